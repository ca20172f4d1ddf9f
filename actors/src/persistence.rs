//! Group commit: commits the commands of all rooms of this node in batches.
//!
//! This is the only caller of [`Store::append`]. A batch takes whatever has come while earlier batches
//! were being committed, so batches grow with the load, and there is no delay to tune. No two transactions
//! under way share a room. A batch with a row that the store refuses is bisected until that row stands
//! alone. A room whose lock another transaction holds is retried on its own, so that no other room waits
//! for it.

mod batch;
mod locked_rooms;
mod queue;
mod results;
#[cfg(all(test, feature = "memory"))]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, MessageResult};

use self::batch::{CommandResult, CommandResults};
use self::locked_rooms::LockedRooms;
use self::queue::{CommandQueue, QueuedCommand};
use self::results::{RoomResult, RoomResults};
use crate::domain::command::CommandOutcome;
use crate::domain::ids::RoomId;
use crate::error::EngineError;
use crate::failpoint::{self, Failpoint};
use crate::limits::{self, Limits, MailboxBound};
use crate::mailbox::{Bounded, Tell};
use crate::messages::diagnostics::{CountResources, ResourceCounts};
use crate::messages::inbox::EventsCommitted;
use crate::messages::persistence::{Append, CommandBacklog, CommitResult, CountUnfinished, RefuseAppends};
use crate::messages::registry::RouteEvents;
use crate::messages::relay::PublishCommit;
use crate::ports::clock::Clock;
use crate::ports::store::{Store, StoreError};

/// How often deadlines are checked while commands wait.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(250);

/// What the actor works with.
pub(crate) struct PersistenceDependencies {
    pub(crate) clock: Clock,
    pub(crate) limits: Arc<Limits>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) backlog: Arc<CommandBacklog>,
    pub(crate) registry: Arc<dyn Tell<RouteEvents>>,
    pub(crate) inbox: Arc<dyn Tell<EventsCommitted>>,
    pub(crate) relay: Arc<dyn Tell<PublishCommit>>,
}

/// See the [module](self).
pub(crate) struct PersistenceActor {
    deps: PersistenceDependencies,
    queue: CommandQueue,
    locked_rooms: LockedRooms,
    /// The number of transactions under way, without the retries of locked rooms.
    batches: usize,
    /// Whether the store is left alone for a moment, because it failed.
    is_paused: bool,
    /// Whether the last attempt found the store unavailable. Only the first of several is logged.
    store_is_unavailable: bool,
    expiry_is_due: bool,
    /// Whether new commands are refused, because the node stops.
    is_closed: bool,
}

impl PersistenceActor {
    /// An actor with an empty queue.
    pub(crate) fn new(deps: PersistenceDependencies) -> Self {
        Self {
            deps,
            queue: CommandQueue::default(),
            locked_rooms: LockedRooms::default(),
            batches: 0,
            is_paused: false,
            store_is_unavailable: false,
            expiry_is_due: false,
            is_closed: false,
        }
    }
}

impl Actor for PersistenceActor {
    type Context = Context<Self>;
}

impl Bounded for PersistenceActor {
    const MAILBOX: MailboxBound = limits::PERSISTENCE_MAILBOX;
}

impl Handler<Append> for PersistenceActor {
    type Result = ();

    fn handle(&mut self, append: Append, ctx: &mut Self::Context) {
        let Append { command, command_id, instance, room: listener } = append;
        if self.is_closed {
            listener.tell(failed(command_id, EngineError::Unavailable));
            return;
        }
        if self.queue.weight() >= limits::QUEUED_COMMANDS_MAX {
            metrics::counter!("chat_commands_overloaded_total").increment(1);
            listener.tell(failed(command_id, EngineError::Overloaded));
            return;
        }
        let deadline = self.deps.clock.now() + self.deps.limits.store_timeout;
        self.queue.push(QueuedCommand {
            command: Arc::new(command),
            command_id,
            instance,
            listener,
            deadline,
        });
        self.commit(ctx);
        self.schedule_expiry(ctx);
    }
}

impl Handler<RefuseAppends> for PersistenceActor {
    type Result = ();

    fn handle(&mut self, _: RefuseAppends, _: &mut Self::Context) {
        self.is_closed = true;
    }
}

impl Handler<CountUnfinished> for PersistenceActor {
    type Result = MessageResult<CountUnfinished>;

    fn handle(&mut self, _: CountUnfinished, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.queue.weight() + self.queue.committing_rooms())
    }
}

impl PersistenceActor {
    /// Starts as many transactions as may be under way at once.
    fn commit(&mut self, ctx: &mut Context<Self>) {
        while !self.is_paused && self.batches < limits::BATCHES_IN_FLIGHT_MAX && self.queue.ready_rooms() > 0
        {
            let batch = self.queue.take_batch(limits::BATCH_COMMANDS_MAX);
            self.batches += 1;
            metrics::histogram!("chat_batch_commands").record(batch.len() as f64);
            let store = self.deps.store.clone();
            let rooms: BTreeSet<RoomId> = batch.iter().map(QueuedCommand::room).collect();
            let work = async move { batch::append_batch(store.as_ref(), batch).await };
            ctx.spawn(actix::fut::wrap_future::<_, Self>(work).map(move |(results, locked), this, ctx| {
                failpoint::pass(Failpoint::Committed);
                this.batches -= 1;
                let locked_rooms: BTreeSet<RoomId> = locked.iter().map(QueuedCommand::room).collect();
                this.finish_batch(results, ctx);
                this.queue.release(rooms.difference(&locked_rooms).copied());
                this.locked_rooms.add(locked);
                this.retry_locked_rooms(ctx);
                this.schedule_expiry(ctx);
                this.commit(ctx);
            }));
        }
        self.deps.backlog.set(self.queue.weight());
    }

    /// Starts as many retries of locked rooms as may be under way at once.
    fn retry_locked_rooms(&mut self, ctx: &mut Context<Self>) {
        while let Some(commands) = self.locked_rooms.start_retry() {
            metrics::counter!("chat_locked_rooms_total").increment(1);
            let store = self.deps.store.clone();
            let room = commands[0].room();
            let work = async move { batch::append_locked_room(store.as_ref(), commands).await };
            ctx.spawn(actix::fut::wrap_future::<_, Self>(work).map(move |(results, locked), this, ctx| {
                let now = this.deps.clock.now();
                let (waiting, expired): (Vec<QueuedCommand>, Vec<QueuedCommand>) =
                    locked.into_iter().partition(|queued| queued.deadline > now);
                this.finish_batch(results, ctx);
                fail_expired(expired);
                if waiting.is_empty() {
                    this.queue.release(std::iter::once(room));
                }
                this.locked_rooms.end_retry(waiting);
                this.retry_locked_rooms(ctx);
                this.commit(ctx);
            }));
        }
    }

    /// Answers the rooms, and tells the inboxes and the other nodes what was committed.
    fn finish_batch(&mut self, results: CommandResults, ctx: &mut Context<Self>) {
        let mut rooms = RoomResults::default();
        let mut retries: Vec<QueuedCommand> = Vec::new();
        let now = self.deps.clock.now();
        for (queued, result) in results {
            self.note_availability(&result);
            let room = rooms.of(&queued);
            match result {
                CommandResult::Committed(outcome) => {
                    let CommandOutcome { events, signal, reply } = *outcome;
                    Arc::make_mut(&mut room.events).extend(events);
                    room.answers.push((queued.command_id, Ok((reply, signal))));
                }
                CommandResult::Failed(error) => room.answers.push((queued.command_id, Err(error))),
                CommandResult::Retry(_) if queued.deadline <= now => {
                    room.answers.push((queued.command_id, Err(EngineError::Unavailable)));
                }
                CommandResult::Retry(_) => retries.push(queued),
            }
        }
        self.retry_later(retries, ctx);
        for RoomResult { instance, listener, result } in rooms.answered() {
            let room = instance.room;
            self.publish(room, &result);
            if !listener.is_alive() && !result.events.is_empty() {
                // The actor that has replaced it need not find the events in the log first.
                self.deps.registry.tell(RouteEvents { room, events: result.events.clone() });
            }
            listener.tell(result);
        }
    }

    /// Logs when the store becomes unavailable, and when it is available again.
    fn note_availability(&mut self, result: &CommandResult) {
        match result {
            CommandResult::Retry(Some(error @ StoreError::Unavailable(_))) => {
                if !std::mem::replace(&mut self.store_is_unavailable, true) {
                    tracing::warn!(%error, "the store is unavailable; commands are retried");
                }
            }
            CommandResult::Committed(_) => {
                if std::mem::take(&mut self.store_is_unavailable) {
                    tracing::info!("the store is available again");
                }
            }
            CommandResult::Retry(_) | CommandResult::Failed(_) => {}
        }
    }

    /// Tells the inboxes and the other nodes what was committed.
    fn publish(&self, room: RoomId, result: &CommitResult) {
        let answers = result.answers.iter().filter_map(|(_, answer)| answer.as_ref().ok());
        let signals: Vec<_> = answers.filter_map(|(_, signal)| signal.clone()).collect();
        if result.events.is_empty() && signals.is_empty() {
            return;
        }
        let events = result.events.clone();
        self.deps.inbox.tell(EventsCommitted { room, events: events.clone(), signals: signals.clone() });
        self.deps.relay.tell(PublishCommit { room, events, signals });
    }

    /// Queues commands again that were not stored, and leaves the store alone for a moment.
    fn retry_later(&mut self, commands: Vec<QueuedCommand>, ctx: &mut Context<Self>) {
        if commands.is_empty() {
            return;
        }
        self.queue.push_front(commands);
        self.schedule_expiry(ctx);
        if !std::mem::replace(&mut self.is_paused, true) {
            ctx.run_later(limits::STORE_RETRY_DELAY, |this, ctx| {
                this.is_paused = false;
                this.commit(ctx);
            });
        }
    }

    /// Checks deadlines for as long as commands wait.
    fn schedule_expiry(&mut self, ctx: &mut Context<Self>) {
        if self.expiry_is_due || (self.queue.weight() == 0 && self.locked_rooms.none_waits()) {
            return;
        }
        self.expiry_is_due = true;
        ctx.run_later(EXPIRY_INTERVAL, |this, ctx| {
            this.expiry_is_due = false;
            this.expire();
            this.commit(ctx);
            this.schedule_expiry(ctx);
        });
    }

    /// Gives up on commands that have waited for too long. Nothing of them was stored.
    fn expire(&mut self) {
        let now = self.deps.clock.now();
        fail_expired(self.queue.take_expired(now));
        let (expired, rooms) = self.locked_rooms.take_expired(now);
        fail_expired(expired);
        self.queue.release(rooms.into_iter());
    }
}

fn fail_expired(commands: Vec<QueuedCommand>) {
    for queued in commands {
        queued.listener.tell(failed(queued.command_id, EngineError::Unavailable));
    }
}

fn failed(command_id: u64, error: EngineError) -> CommitResult {
    CommitResult { events: Arc::default(), answers: vec![(command_id, Err(error))] }
}

impl Handler<CountResources> for PersistenceActor {
    type Result = MessageResult<CountResources>;

    fn handle(&mut self, _: CountResources, _: &mut Self::Context) -> Self::Result {
        let counts: ResourceCounts = vec![
            ("queued commands", self.queue.weight()),
            ("rooms committing", self.queue.committing_rooms()),
            ("rooms ready to commit", self.queue.ready_rooms()),
            ("locked rooms", self.locked_rooms.len()),
        ];
        MessageResult(counts)
    }
}

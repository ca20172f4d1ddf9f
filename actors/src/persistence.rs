//! Group commit: the only caller of [`crate::ports::store::Store::append`].
//!
//! It commits what has come while the last commit was under way, so batches grow with the load and
//! there is nothing to tune. No two transactions under way have a room in common. A batch in which
//! the store refuses a row is halved until the culprit stands alone; a room whose lock another
//! transaction holds waits in a lane of its own, so that nobody else waits for it.

mod batch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, MessageResult};

use crate::census::Counts;
use crate::core::Core;
use crate::domain::command::{Command, Outcome};
use crate::domain::ids::RoomId;
use crate::error::EngineError;
use crate::failpoint::{self, Point};
use crate::inbox::Happened;
use crate::limits;
use crate::ports::store::StoreError;
use crate::registry::Route;
use crate::relay::Publish;
use crate::room::{RoomActor, Settled};

/// How often deadlines are looked at while anything waits.
const EXPIRE_EVERY: Duration = Duration::from_millis(250);

/// The actor.
#[derive(Default)]
pub struct PersistenceActor {
    core: Option<Arc<Core>>,
    queues: BTreeMap<RoomId, VecDeque<Job>>,
    /// Rooms with something queued and nothing under way, in the order of their turn.
    turns: VecDeque<RoomId>,
    under_way: BTreeSet<RoomId>,
    queued: usize,
    batches: usize,
    lanes: usize,
    /// Rooms that wait for a lane.
    locked: VecDeque<Vec<Job>>,
    /// Whether the store is left alone for a moment.
    pausing: bool,
    /// Whether it could not be reached at the last try; then this is not told at each.
    is_away: bool,
    expiry_is_due: bool,
    /// Whether nothing new is taken; the server goes.
    is_closed: bool,
}

/// A command on its way to the store.
struct Job {
    command: Arc<Command>,
    ticket: u64,
    room: Addr<RoomActor>,
    deadline: Duration,
}

/// What the store made of a job.
enum Verdict {
    Done(Box<Outcome>),
    Failed(EngineError),
    /// Not stored, and why, for the first of a batch; to be tried again while there is time.
    Again(Option<StoreError>),
}

impl Actor for PersistenceActor {
    type Context = Context<Self>;
}

/// Tells the actor of the others.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Begin(pub Arc<Core>);

impl Handler<Begin> for PersistenceActor {
    type Result = ();

    fn handle(&mut self, Begin(core): Begin, _: &mut Self::Context) {
        self.core = Some(core);
    }
}

/// A room wants a command stored. Answered with [`Settled`].
#[derive(Message)]
#[rtype(result = "()")]
pub struct Append {
    /// The command.
    pub command: Command,
    /// What the room calls it.
    pub ticket: u64,
    /// The room's actor.
    pub room: Addr<RoomActor>,
}

impl Handler<Append> for PersistenceActor {
    type Result = ();

    fn handle(&mut self, Append { command, ticket, room }: Append, ctx: &mut Self::Context) {
        let Some(core) = &self.core else { return };
        if self.is_closed {
            room.do_send(failed(ticket, EngineError::Unavailable));
            return;
        }
        if self.queued >= limits::QUEUED_COMMANDS_MAX {
            metrics::counter!("chat_commands_overloaded_total").increment(1);
            room.do_send(failed(ticket, EngineError::Overloaded));
            return;
        }
        let deadline = core.clock.now() + core.limits.store_patience;
        let id = command.room;
        self.enqueue(Job { command: Arc::new(command), ticket, room, deadline }, id);
        self.commit(ctx);
        self.expire_later(ctx);
    }
}

/// Takes nothing new any more; what has come is still settled.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Refuse;

impl Handler<Refuse> for PersistenceActor {
    type Result = ();

    fn handle(&mut self, _: Refuse, _: &mut Self::Context) {
        self.is_closed = true;
    }
}

/// Asks how much is not settled yet.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct Unsettled;

impl Handler<Unsettled> for PersistenceActor {
    type Result = MessageResult<Unsettled>;

    fn handle(&mut self, _: Unsettled, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.queued + self.under_way.len())
    }
}

fn failed(ticket: u64, error: EngineError) -> Settled {
    Settled { events: Arc::default(), answers: vec![(ticket, Err(error))] }
}

impl PersistenceActor {
    /// How much is held.
    pub(crate) fn counts(&self) -> Counts {
        vec![
            ("queued commands", self.queued),
            ("rooms under way", self.under_way.len()),
            ("rooms waiting for a turn", self.turns.len()),
            ("locked rooms", self.locked.len() + self.lanes),
        ]
    }

    fn enqueue(&mut self, job: Job, room: RoomId) {
        let queue = self.queues.entry(room).or_default();
        queue.push_back(job);
        self.queued += 1;
        if queue.len() == 1 && !self.under_way.contains(&room) {
            self.turns.push_back(room);
        }
    }

    /// Begins transactions while some may be begun.
    fn commit(&mut self, ctx: &mut Context<Self>) {
        while !self.pausing && self.batches < limits::BATCHES_IN_FLIGHT_MAX && !self.turns.is_empty() {
            let jobs = self.take_batch();
            self.batches += 1;
            metrics::histogram!("chat_batch_commands").record(jobs.len() as f64);
            let Some(core) = self.core.clone() else { return };
            let rooms: BTreeSet<RoomId> = jobs.iter().map(|job| job.command.room).collect();
            let work = async move { batch::run(core.store.as_ref(), jobs).await };
            ctx.spawn(actix::fut::wrap_future::<_, Self>(work).map(move |(verdicts, locked), this, ctx| {
                failpoint::pass(Point::Committed);
                this.batches -= 1;
                let is_locked: BTreeSet<RoomId> = locked.iter().map(|job| job.command.room).collect();
                this.settle(verdicts, ctx);
                this.release(rooms.difference(&is_locked).copied());
                this.lock_out(locked, ctx);
                this.commit(ctx);
            }));
        }
        self.tell_backlog();
    }

    fn tell_backlog(&self) {
        if let Some(core) = &self.core {
            core.backlog.tell(self.queued);
        }
    }

    /// Takes all that waits for as many rooms as fit into a transaction.
    fn take_batch(&mut self) -> Vec<Job> {
        let mut batch = Vec::new();
        while batch.len() < limits::BATCH_COMMANDS_MAX
            && let Some(room) = self.turns.pop_front()
        {
            let Some(queue) = self.queues.get_mut(&room) else { continue };
            let take = queue.len().min(limits::BATCH_COMMANDS_MAX - batch.len());
            batch.extend(queue.drain(..take));
            if queue.is_empty() {
                self.queues.remove(&room);
            }
            self.under_way.insert(room);
        }
        self.queued -= batch.len();
        batch
    }

    /// Lets these rooms have their next turn.
    fn release(&mut self, rooms: impl Iterator<Item = RoomId>) {
        for room in rooms {
            self.under_way.remove(&room);
            if self.queues.contains_key(&room) {
                self.turns.push_back(room);
            }
        }
    }

    /// Gives each locked room a lane, as far as there are lanes.
    fn lock_out(&mut self, locked: Vec<Job>, ctx: &mut Context<Self>) {
        let mut by_room: Vec<Vec<Job>> = Vec::new();
        for job in locked {
            match by_room.iter_mut().find(|jobs| jobs[0].command.room == job.command.room) {
                Some(jobs) => jobs.push(job),
                None => by_room.push(vec![job]),
            }
        }
        self.locked.extend(by_room);
        self.open_lanes(ctx);
        self.expire_later(ctx);
    }

    fn open_lanes(&mut self, ctx: &mut Context<Self>) {
        while self.lanes < limits::LANES_MAX
            && let Some(jobs) = self.locked.pop_front()
        {
            let Some(core) = self.core.clone() else { return };
            self.lanes += 1;
            metrics::counter!("chat_locked_rooms_total").increment(1);
            let room = jobs[0].command.room;
            let work = async move { batch::run_alone(core.store.as_ref(), jobs).await };
            ctx.spawn(actix::fut::wrap_future::<_, Self>(work).map(move |(verdicts, locked), this, ctx| {
                this.lanes -= 1;
                let now = this.core.as_ref().map_or(Duration::ZERO, |core| core.clock.now());
                let (waiting, late): (Vec<Job>, Vec<Job>) =
                    locked.into_iter().partition(|job| job.deadline > now);
                this.settle(verdicts, ctx);
                for job in late {
                    job.room.do_send(failed(job.ticket, EngineError::Unavailable));
                }
                if waiting.is_empty() {
                    this.release(std::iter::once(room));
                } else {
                    this.locked.push_back(waiting);
                }
                this.open_lanes(ctx);
                this.commit(ctx);
            }));
        }
    }

    /// Hands each room its answers, and everyone else what happened.
    fn settle(&mut self, verdicts: Vec<(Job, Verdict)>, ctx: &mut Context<Self>) {
        let Some(core) = self.core.clone() else { return };
        let mut settled: Vec<(RoomId, Addr<RoomActor>, Settled)> = Vec::new();
        let mut last_of: BTreeMap<RoomId, usize> = BTreeMap::new();
        let mut again: Vec<Job> = Vec::new();
        let now = core.clock.now();
        for (job, verdict) in verdicts {
            let room = job.command.room;
            let verdict = match verdict {
                Verdict::Again(error) => {
                    if let Some(error @ StoreError::Unavailable(_)) = error
                        && !std::mem::replace(&mut self.is_away, true)
                    {
                        tracing::warn!(%error, "nothing can be stored; it is tried again and again");
                    }
                    match job.deadline <= now {
                        true => Verdict::Failed(EngineError::Unavailable),
                        false => Verdict::Again(None),
                    }
                }
                Verdict::Done(_) if std::mem::take(&mut self.is_away) => {
                    tracing::info!("the store works again");
                    verdict
                }
                verdict => verdict,
            };
            // A room's actor may have been replaced meanwhile; each gets its own answers.
            let at = match last_of.get(&room) {
                Some(at) if settled[*at].1 == job.room => *at,
                _ => {
                    settled.push((room, job.room.clone(), Settled::default()));
                    last_of.insert(room, settled.len() - 1);
                    settled.len() - 1
                }
            };
            let settled = &mut settled[at].2;
            match verdict {
                Verdict::Done(outcome) => {
                    let Outcome { events, signal, reply } = *outcome;
                    Arc::make_mut(&mut settled.events).extend(events);
                    settled.answers.push((job.ticket, Ok((reply, signal))));
                }
                Verdict::Failed(error) => settled.answers.push((job.ticket, Err(error))),
                Verdict::Again(_) => again.push(job),
            }
        }
        self.try_again(again, ctx);
        for (room, addr, settled) in settled {
            if !settled.answers.is_empty() {
                publish(&core, room, &settled);
                if !addr.connected() && !settled.events.is_empty() {
                    // Whoever has taken its place shall not wait until it finds that in the log.
                    core.registry.do_send(Route { room, events: settled.events.clone() });
                }
                addr.do_send(settled);
            }
        }
    }

    /// Puts back what was not stored, before what has come since, and leaves the store alone a moment.
    fn try_again(&mut self, again: Vec<Job>, ctx: &mut Context<Self>) {
        if again.is_empty() {
            return;
        }
        self.queued += again.len();
        for job in again.into_iter().rev() {
            self.queues.entry(job.command.room).or_default().push_front(job);
        }
        self.expire_later(ctx);
        if !self.pausing {
            self.pausing = true;
            ctx.run_later(limits::STORE_RETRY, |this, ctx| {
                this.pausing = false;
                this.commit(ctx);
            });
        }
    }

    /// Looks after deadlines while anything waits.
    fn expire_later(&mut self, ctx: &mut Context<Self>) {
        if self.expiry_is_due || (self.queued == 0 && self.locked.is_empty()) {
            return;
        }
        self.expiry_is_due = true;
        ctx.run_later(EXPIRE_EVERY, |this, ctx| {
            this.expiry_is_due = false;
            this.expire();
            this.commit(ctx);
            this.expire_later(ctx);
        });
    }

    /// Answers what has waited too long for a store that can't be reached or for a lane; it was not stored.
    fn expire(&mut self) {
        let Some(core) = &self.core else { return };
        let now = core.clock.now();
        let is_early = |job: &Job| {
            let is_early = job.deadline > now;
            if !is_early {
                job.room.do_send(failed(job.ticket, EngineError::Unavailable));
            }
            is_early
        };
        for queue in self.queues.values_mut() {
            queue.retain(is_early);
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        self.queued = self.queues.values().map(VecDeque::len).sum();
        let queues = &self.queues;
        self.turns.retain(|room| queues.contains_key(room));
        let mut given_up = Vec::new();
        self.locked.retain_mut(|jobs| {
            let room = jobs[0].command.room;
            jobs.retain(is_early);
            given_up.extend(jobs.is_empty().then_some(room));
            !jobs.is_empty()
        });
        self.release(given_up.into_iter());
    }
}

/// Tells the people's lists of rooms and the other nodes what was committed.
fn publish(core: &Core, room: RoomId, settled: &Settled) {
    let signals: Vec<_> = settled
        .answers
        .iter()
        .filter_map(|(_, answer)| answer.as_ref().ok().and_then(|(_, signal)| signal.clone()))
        .collect();
    if settled.events.is_empty() && signals.is_empty() {
        return;
    }
    let events = settled.events.clone();
    core.inbox.do_send(Happened { room, events: events.clone(), signals: signals.clone() });
    core.relay.do_send(Publish { room, events, signals });
}

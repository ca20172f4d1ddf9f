//! Commands on their way through a room: from a socket or REST to the persistence actor, and back
//! with an answer.

use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, AsyncContext, Context, Handler, Message};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::RoomActor;
use crate::domain::command::{Change, Command, ReadTarget, Reply};
use crate::domain::event::Event;
use crate::domain::ids::{ClientId, MessageId};
use crate::domain::message::Message as ChatMessage;
use crate::domain::rate::{Budget, Rate};
use crate::domain::signal::Signal;
use crate::error::EngineError;
use crate::failpoint::{self, Point};
use crate::limits;
use crate::persistence::Append;
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;
use crate::session::{Overloaded, Refused, SessionActor, SessionId};
use crate::switchboard::OutboxRef;

/// People whose budgets are kept before it is looked for those that are full again.
pub(super) const BUDGETS_MIN: usize = 64;

/// Who waits for the answer to a command.
pub enum Origin {
    /// A socket.
    Session {
        /// Which one.
        session: SessionId,
        /// Its actor.
        addr: Addr<SessionActor>,
        /// Where the answer goes, whether or not the session is a guest here.
        outbox: OutboxRef,
        /// What its client calls the send.
        client_id: Option<ClientId>,
    },
    /// A caller of the façade.
    Caller(oneshot::Sender<Result<Reply, EngineError>>),
}

impl Origin {
    /// What the client calls the send.
    pub(crate) fn client_id(&self) -> Option<ClientId> {
        match self {
            Self::Session { client_id, .. } => *client_id,
            Self::Caller(_) => None,
        }
    }
}

/// A command that the store has not answered, and what is needed for its answer.
pub(super) struct Waiting {
    origin: Origin,
    kind: Kind,
    since: Duration,
    post: Option<MessageId>,
}

/// What is to be said to a socket beside events and errors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read { whole_room: bool },
    Other,
}

/// What one person has left in one room.
#[derive(Default)]
pub(super) struct Budgets {
    messages: Budget,
    changes: Budget,
    reads: Budget,
}

impl Budgets {
    pub(super) fn are_full(&self, now: Duration) -> bool {
        self.messages.is_full(now) && self.changes.is_full(now) && self.reads.is_full(now)
    }
}

/// A command for the store.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Submit {
    /// The command.
    pub command: Command,
    /// Who waits for the answer.
    pub origin: Origin,
}

/// What the store made of this room's commands in one transaction.
#[derive(Default, Message)]
#[rtype(result = "()")]
pub struct Settled {
    /// What the log gained, in order.
    pub events: Arc<Vec<Event>>,
    /// The answers, by ticket, in the order of the commands.
    pub answers: Vec<(u64, Answer)>,
}

/// What became of one command, for who asked and for everyone.
pub type Answer = Result<(Reply, Option<Signal>), EngineError>;

impl Handler<Submit> for RoomActor {
    type Result = ();

    fn handle(&mut self, Submit { command, origin }: Submit, ctx: &mut Self::Context) {
        let kind = match &command.change {
            Change::Read(target) => Kind::Read { whole_room: *target == ReadTarget::Head },
            _ => Kind::Other,
        };
        let post = match &command.change {
            Change::Post(draft) => Some(draft.id),
            _ => None,
        };
        let waiting = Waiting { origin, kind, since: self.core.clock.now(), post };
        if let Err(error) = self.admit(&command, &waiting.origin) {
            self.answer(waiting, Err(error));
            return self.go_if_unknown(ctx);
        }
        if let Origin::Session { session, .. } = &waiting.origin
            && let Some(seat) = self.guests.get_mut(*session)
        {
            seat.unanswered += 1;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.insert(ticket, waiting);
        self.posts.extend(post.map(|post| (post, ticket)));
        #[cfg(feature = "planted-bugs")]
        self.ack_before_commit(&command, &ticket);
        self.core.persistence.do_send(Append { command, ticket, room: ctx.address() });
        self.lose_patience_later(ctx);
        self.sleep_when_idle(ctx);
    }
}

impl Handler<Settled> for RoomActor {
    type Result = ();

    fn handle(&mut self, Settled { events, answers }: Settled, ctx: &mut Self::Context) {
        failpoint::pass(Point::Room);
        if !self.is_of_this_history(ctx) {
            // Who waits is told that the outcome is unknown; asking again tells it in the new history.
            return;
        }
        let mut signals = Vec::new();
        if answers.iter().any(|(_, answer)| answer.is_ok()) {
            self.turns_out_known(ctx);
        }
        for (ticket, answer) in answers {
            let answer = answer.map(|(reply, signal)| {
                signals.extend(signal);
                reply
            });
            if let Some(waiting) = self.no_longer_waiting(ticket) {
                self.answer(waiting, answer);
            }
        }
        self.deliver(&events, ctx);
        for signal in signals {
            self.tell(&signal);
        }
        if self.retired {
            let events = crate::registry::Route { room: self.room, events };
            self.core.registry.do_send(events);
        }
        self.go_if_unknown(ctx);
    }
}

impl RoomActor {
    /// Whether there is room for one more command, by the person's rates and by what waits already.
    fn admit(&mut self, command: &Command, origin: &Origin) -> Result<(), EngineError> {
        let core = &self.core;
        if self.waiting.len() >= limits::ROOM_PENDING_MAX {
            return Err(EngineError::Overloaded);
        }
        if let Origin::Session { session, .. } = origin
            && self
                .guests
                .get(*session)
                .is_some_and(|seat| seat.unanswered as usize >= limits::SESSION_PENDING_MAX)
        {
            return Err(EngineError::Overloaded);
        }
        let Some(user) = command.by.person() else { return Ok(()) };
        let (now, limits) = (core.clock.now(), &core.limits);
        let (rate, budget): (Rate, fn(&mut Budgets) -> &mut Budget) = match &command.change {
            Change::Post(_) => (limits.messages, |budgets| &mut budgets.messages),
            Change::Edit { .. } | Change::Delete { .. } => (limits.changes, |budgets| &mut budgets.changes),
            Change::Read(_) => (limits.reads, |budgets| &mut budgets.reads),
            _ => return Ok(()),
        };
        if self.budgets.len() >= self.tidy_budgets_at {
            // Those of people who write no more, or who aren't even in the room.
            self.budgets.retain(|_, budgets| !budgets.are_full(now));
            self.tidy_budgets_at = (self.budgets.len() * 2).max(BUDGETS_MIN);
        }
        let taken = budget(self.budgets.entry(user).or_default()).take(rate, now);
        taken.map_err(|retry_after| EngineError::RateLimited { retry_after })
    }

    #[cfg(feature = "planted-bugs")]
    fn ack_before_commit(&mut self, command: &Command, ticket: &u64) {
        let Change::Post(draft) = &command.change else { return };
        let Some(seq) = self.view.as_ref().map(|view| view.head.next()) else { return };
        if !crate::planted::Bug::AckBeforeCommit.is_planted() {
            return;
        }
        if let Some(Waiting { origin: Origin::Session { outbox, client_id: Some(client_id), .. }, .. }) =
            self.no_longer_waiting(*ticket)
        {
            outbox.send(&ServerFrame::Ack {
                room_id: self.room,
                client_id,
                message_id: draft.id,
                seq,
                created_at: self.core.clock.date(),
                duplicate: false,
            });
        }
    }

    fn no_longer_waiting(&mut self, ticket: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&ticket)?;
        if let Some(post) = waiting.post {
            self.posts.remove(&post);
        }
        if let Origin::Session { session, .. } = &waiting.origin
            && let Some(seat) = self.guests.get_mut(*session)
        {
            seat.unanswered = seat.unanswered.saturating_sub(1);
        }
        Some(waiting)
    }

    /// The log tells of a message: who waits for its answer gets that now, before its frame.
    pub(super) fn found_in_log(&mut self, message: &ChatMessage) {
        if let Some(ticket) = self.posts.get(&message.id).copied()
            && let Some(waiting) = self.no_longer_waiting(ticket)
        {
            self.answer(waiting, Ok(Reply::Posted { message: Box::new(message.clone()), duplicate: false }));
        }
    }

    /// Answers those who have waited so long that nobody can say any more when the store will.
    fn lose_patience_later(&mut self, ctx: &mut Context<Self>) {
        if self.patience_is_due || self.waiting.is_empty() {
            return;
        }
        self.patience_is_due = true;
        ctx.run_later(limits::ANSWER_LOOK_EVERY, |room, ctx| {
            room.patience_is_due = false;
            let now = room.core.clock.now();
            let late = |waiting: &Waiting| now.saturating_sub(waiting.since) >= limits::ANSWER_WITHIN;
            // Tickets are in the order of asking.
            while let Some(ticket) =
                room.waiting.first_key_value().filter(|(_, waiting)| late(waiting)).map(|(ticket, _)| *ticket)
            {
                if let Some(waiting) = room.no_longer_waiting(ticket) {
                    room.answer_unknown(waiting);
                }
            }
            room.lose_patience_later(ctx);
            room.go_if_unknown(ctx);
        });
    }

    /// Says to who asked what became of it.
    fn answer(&mut self, waiting: Waiting, answer: Result<Reply, EngineError>) {
        match waiting.origin {
            Origin::Caller(caller) => {
                let _gone = caller.send(answer);
            }
            Origin::Session { addr, outbox, client_id, .. } => {
                let frame = match answer {
                    Ok(reply) => self.success_frame(&reply, client_id, waiting.kind),
                    Err(error) => {
                        match error {
                            EngineError::RateLimited { .. } => addr.do_send(Refused),
                            EngineError::Overloaded => addr.do_send(Overloaded),
                            _ => {}
                        }
                        Some(codec::refusal(&error, Some(self.room), client_id))
                    }
                };
                if let Some(frame) = frame {
                    outbox.push(frame);
                }
            }
        }
    }

    /// Says to who asked that nobody knows what became of it.
    pub(super) fn answer_unknown(&mut self, waiting: Waiting) {
        self.answer(waiting, Err(EngineError::OutcomeUnknown));
    }

    fn success_frame(&self, reply: &Reply, client_id: Option<ClientId>, kind: Kind) -> Option<Bytes> {
        match (reply, kind) {
            (Reply::Posted { message, duplicate }, _) => Some(codec::encode(&ServerFrame::Ack {
                room_id: self.room,
                client_id: client_id?,
                message_id: message.id,
                seq: message.seq,
                created_at: message.created_at,
                duplicate: *duplicate,
            })),
            (Reply::SentBefore { message, seq, created_at }, _) => Some(codec::encode(&ServerFrame::Ack {
                room_id: self.room,
                client_id: client_id?,
                message_id: *message,
                seq: *seq,
                created_at: *created_at,
                duplicate: true,
            })),
            (_, Kind::Read { whole_room: true }) => {
                Some(codec::encode(&ServerFrame::RoomMarkedRead { room_id: self.room }))
            }
            _ => None,
        }
    }

    /// Runs `work` on this actor when it is done.
    pub(super) fn after<T: 'static>(
        ctx: &mut Context<Self>,
        work: impl Future<Output = T> + 'static,
        then: impl FnOnce(&mut Self, T, &mut Context<Self>) + 'static,
    ) {
        use actix::ActorFutureExt;
        ctx.spawn(actix::fut::wrap_future::<_, Self>(work).map(|result, room, ctx| then(room, result, ctx)));
    }
}

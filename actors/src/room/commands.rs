//! Commands on their way through a room: from a socket or REST to the persistence actor, and back
//! with an answer.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use bytes::Bytes;

use super::RoomActor;
use crate::domain::command::{Command, CommandReply, RateClass, ReadTarget, RoomChange};
use crate::domain::ids::{ClientId, MessageId};
use crate::domain::message::Message;
use crate::domain::rate::{Budget, Rate};
use crate::error::{EngineError, ErrorCode};
use crate::failpoint::{self, Failpoint};
use crate::limits;
use crate::messages::persistence::{Append, CommitResult};
use crate::messages::registry::RouteEvents;
use crate::messages::room::{CommandOrigin, CommandOverloaded, CommandRateLimited, SubmitCommand};
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;

/// Budgets that are kept before full ones are dropped.
pub(super) const BUDGETS_MIN: usize = 64;

/// A command that the store has not answered, with what its answer needs.
pub(super) struct PendingCommand {
    origin: CommandOrigin,
    kind: ReplyKind,
    since: Duration,
    post: Option<MessageId>,
}

/// What a socket is told beside events and errors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReplyKind {
    Read { whole_room: bool },
    Other,
}

/// What one user may still send in one room.
#[derive(Default)]
pub(super) struct Budgets {
    messages: Budget,
    urgent_messages: Budget,
    changes: Budget,
    reads: Budget,
}

impl Budgets {
    pub(super) fn are_full(&self, now: Duration) -> bool {
        let all = [&self.messages, &self.urgent_messages, &self.changes, &self.reads];
        all.iter().all(|budget| budget.is_full(now))
    }
}

impl Handler<SubmitCommand> for RoomActor {
    type Result = ();

    fn handle(&mut self, SubmitCommand { command, origin }: SubmitCommand, ctx: &mut Self::Context) {
        let kind = match &command.change {
            RoomChange::Read(target) => ReplyKind::Read { whole_room: *target == ReadTarget::Head },
            _ => ReplyKind::Other,
        };
        let post = match &command.change {
            RoomChange::Post(draft) => Some(draft.id),
            _ => None,
        };
        let pending = PendingCommand { origin, kind, since: self.deps.clock.now(), post };
        if let Err(error) = self.check_limits(&command, &pending.origin) {
            self.answer(pending, Err(error));
            return self.retire_if_unconfirmed();
        }
        if let CommandOrigin::Session { subscriber, .. } = &pending.origin
            && let Some(subscription) = self.subscriptions.get_mut(subscriber.id)
        {
            subscription.unanswered += 1;
        }
        let command_id = self.next_command_id;
        self.next_command_id += 1;
        self.pending.insert(command_id, pending);
        self.pending_posts.extend(post.map(|post| (post, command_id)));
        #[cfg(feature = "injected-bugs")]
        self.ack_before_commit(&command, &command_id);
        let (instance, room) = (self.instance, self.address.clone());
        self.deps.persistence.tell(Append { command, command_id, instance, room });
        self.expire_pending_later(ctx);
        self.retire_when_idle(ctx);
    }
}

impl Handler<CommitResult> for RoomActor {
    type Result = ();

    fn handle(&mut self, CommitResult { events, answers }: CommitResult, ctx: &mut Self::Context) {
        failpoint::pass(Failpoint::Room);
        if !self.is_current_epoch(ctx) {
            // Whoever waits is told that the outcome is unknown; asking again tells it in the new history.
            return;
        }
        let mut signals = Vec::new();
        if answers.iter().any(|(_, answer)| answer.is_ok()) {
            self.confirm_room();
        }
        for (command_id, answer) in answers {
            let answer = answer.map(|(reply, signal)| {
                signals.extend(signal);
                reply
            });
            if let Some(pending) = self.take_pending(command_id) {
                self.answer(pending, answer);
            }
        }
        self.deliver(&events, ctx);
        for signal in signals {
            self.broadcast_signal(&signal);
        }
        if self.retired {
            self.deps.registry.tell(RouteEvents { room: self.room, events });
        }
        self.retire_if_unconfirmed();
    }
}

impl RoomActor {
    /// Checks the user's rates, and how much waits already.
    ///
    /// # Errors
    /// [`EngineError::RateLimited`] and [`EngineError::Overloaded`].
    fn check_limits(&mut self, command: &Command, origin: &CommandOrigin) -> Result<(), EngineError> {
        let deps = &self.deps;
        if self.pending.len() >= limits::ROOM_PENDING_MAX {
            return Err(EngineError::Overloaded);
        }
        if let CommandOrigin::Session { subscriber, .. } = origin
            && self
                .subscriptions
                .get(subscriber.id)
                .is_some_and(|subscription| subscription.unanswered as usize >= limits::SESSION_PENDING_MAX)
        {
            return Err(EngineError::Overloaded);
        }
        let Some(user) = command.by.user_id() else { return Ok(()) };
        let (now, limits) = (deps.clock.now(), &deps.limits);
        let (rate, budget): (Rate, fn(&mut Budgets) -> &mut Budget) = match command.rules().rate {
            Some(RateClass::Messages) => (limits.messages, |budgets| &mut budgets.messages),
            Some(RateClass::UrgentMessages) => {
                (limits.urgent_messages, |budgets| &mut budgets.urgent_messages)
            }
            Some(RateClass::Changes) => (limits.changes, |budgets| &mut budgets.changes),
            Some(RateClass::Reads) => (limits.reads, |budgets| &mut budgets.reads),
            None => return Ok(()),
        };
        if self.budgets.len() >= self.prune_budgets_at {
            // Those of users who write no more, or who aren't even in the room.
            self.budgets.retain(|_, budgets| !budgets.are_full(now));
            self.prune_budgets_at = (self.budgets.len() * 2).max(BUDGETS_MIN);
        }
        let taken = budget(self.budgets.entry(user).or_default()).take_many(rate, command.weight(), now);
        taken.map_err(|retry_after| EngineError::RateLimited { retry_after })
    }

    #[cfg(feature = "injected-bugs")]
    fn ack_before_commit(&mut self, command: &Command, command_id: &u64) {
        let RoomChange::Post(draft) = &command.change else { return };
        let Some(seq) = self.view.as_ref().map(|view| view.head.next()) else { return };
        if !crate::injected_bugs::InjectedBug::AckBeforeCommit.is_injected() {
            return;
        }
        if let Some(PendingCommand {
            origin: CommandOrigin::Session { subscriber, client_id: Some(client_id) },
            ..
        }) = self.take_pending(*command_id)
        {
            subscriber.outbox.send(&ServerFrame::Ack {
                room_id: self.room,
                client_id,
                message_id: draft.id,
                seq,
                created_at: self.deps.clock.date(),
                duplicate: false,
            });
        }
    }

    fn take_pending(&mut self, command_id: u64) -> Option<PendingCommand> {
        let pending = self.pending.remove(&command_id)?;
        if let Some(post) = pending.post {
            self.pending_posts.remove(&post);
        }
        if let CommandOrigin::Session { subscriber, .. } = &pending.origin
            && let Some(subscription) = self.subscriptions.get_mut(subscriber.id)
        {
            subscription.unanswered = subscription.unanswered.saturating_sub(1);
        }
        Some(pending)
    }

    /// Answers whoever waits for this message, which the log shows: the ack comes before the frame.
    pub(super) fn answer_from_log(&mut self, message: &Message) {
        if let Some(command_id) = self.pending_posts.get(&message.id).copied()
            && let Some(pending) = self.take_pending(command_id)
        {
            self.answer(
                pending,
                Ok(CommandReply::Posted { message: Box::new(message.clone()), duplicate: false }),
            );
        }
    }

    /// Answers commands that have waited for longer than [`limits::COMMAND_TIMEOUT`], until none is left.
    fn expire_pending_later(&mut self, ctx: &mut Context<Self>) {
        if self.expiry_is_due || self.pending.is_empty() {
            return;
        }
        self.expiry_is_due = true;
        ctx.run_later(limits::COMMAND_TIMEOUT_SCAN_INTERVAL, |room, ctx| {
            room.expiry_is_due = false;
            let now = room.deps.clock.now();
            let late =
                |pending: &PendingCommand| now.saturating_sub(pending.since) >= limits::COMMAND_TIMEOUT;
            // Command ids are in the order of asking.
            while let Some(command_id) = room
                .pending
                .first_key_value()
                .filter(|(_, pending)| late(pending))
                .map(|(command_id, _)| *command_id)
            {
                if let Some(pending) = room.take_pending(command_id) {
                    room.answer_unknown(pending);
                }
            }
            room.expire_pending_later(ctx);
            room.retire_if_unconfirmed();
        });
    }

    /// Tells the sender of a command what became of it.
    fn answer(&mut self, pending: PendingCommand, answer: Result<CommandReply, EngineError>) {
        match pending.origin {
            CommandOrigin::Caller(caller) => {
                let _gone = caller.send(answer);
            }
            CommandOrigin::Session { subscriber, client_id } => {
                let frame = match answer {
                    Ok(reply) => self.success_frame(&reply, client_id, pending.kind),
                    Err(error) => {
                        match error.code() {
                            ErrorCode::RateLimited => subscriber.session.tell(CommandRateLimited),
                            ErrorCode::Overloaded => subscriber.session.tell(CommandOverloaded),
                            _ => {}
                        }
                        Some(codec::engine_error(&error, Some(self.room), client_id))
                    }
                };
                if let Some(frame) = frame {
                    subscriber.outbox.push(frame);
                }
            }
        }
    }

    /// Tells the sender of a command that its outcome is unknown.
    pub(super) fn answer_unknown(&mut self, pending: PendingCommand) {
        self.answer(pending, Err(EngineError::OutcomeUnknown));
    }

    fn success_frame(
        &self,
        reply: &CommandReply,
        client_id: Option<ClientId>,
        kind: ReplyKind,
    ) -> Option<Bytes> {
        match (reply, kind) {
            (CommandReply::Posted { message, duplicate }, _) => Some(codec::encode(&ServerFrame::Ack {
                room_id: self.room,
                client_id: client_id?,
                message_id: message.id,
                seq: message.seq,
                created_at: message.created_at,
                duplicate: *duplicate,
            })),
            (CommandReply::AlreadyPosted { message, seq, created_at }, _) => {
                Some(codec::encode(&ServerFrame::Ack {
                    room_id: self.room,
                    client_id: client_id?,
                    message_id: *message,
                    seq: *seq,
                    created_at: *created_at,
                    duplicate: true,
                }))
            }
            (CommandReply::MessageChanged { message, at, is_duplicate }, _) => {
                Some(codec::encode(&ServerFrame::Ack {
                    room_id: self.room,
                    client_id: client_id?,
                    message_id: message.id,
                    seq: message.last_change(),
                    created_at: *at,
                    duplicate: *is_duplicate,
                }))
            }
            (_, ReplyKind::Read { whole_room: true }) => {
                Some(codec::encode(&ServerFrame::RoomMarkedRead { room_id: self.room }))
            }
            _ => None,
        }
    }

    /// Runs `work`, and `then` on this actor when it is done.
    pub(super) fn after<T: 'static>(
        ctx: &mut Context<Self>,
        work: impl Future<Output = T> + 'static,
        then: impl FnOnce(&mut Self, T, &mut Context<Self>) + 'static,
    ) {
        use actix::ActorFutureExt;
        ctx.spawn(actix::fut::wrap_future::<_, Self>(work).map(|result, room, ctx| then(room, result, ctx)));
    }
}

//! The rooms that a session is in or wants to join, and the commands that it passes to them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, Handler};

use super::SessionActor;
use crate::domain::command::{Command, Principal, Refusal, RoomChange};
use crate::domain::ids::{ClientId, Epoch, RoomId, Seq};
use crate::error::EngineError;
use crate::limits;
use crate::messages::inbox::{ContinuePersonalLog, ResendInbox};
use crate::messages::room::{
    AcceptedJoin, CommandOrigin, JoinAnswer, JoinFailed, JoinKind, JoinRoom, LeaveRoom, ResendState,
    ResumePosition, RoomActorDied, RoomHandle, SubmitCommand, Subscriber, SubscriptionEnded,
    SubscriptionKind,
};
use crate::messages::session::ConnectError;
use crate::messages::switchboard::{RefreshState, StateRefresh};
use crate::protocol::close::CloseCode;

/// Actors of one room that a session asks before it gives up: one may be retired.
const JOIN_TRIES: usize = 4;

/// A room that the session is in.
pub(super) struct JoinedRoom {
    pub(super) room: RoomId,
    pub(super) handle: RoomHandle,
    kind: SubscriptionKind,
}

/// What a client wants from a room.
#[derive(Clone, Copy)]
struct JoinRequest {
    join_kind: JoinKind,
    position: ResumePosition,
}

/// A room that the session has asked to join. It waits for one answer at a time.
pub(super) struct PendingJoin {
    request: JoinRequest,
    /// What the client has wanted since, in order: to join again, or to leave (none).
    followups: VecDeque<Option<JoinRequest>>,
}

impl SessionActor {
    pub(super) fn joined_room(&self, room: RoomId) -> Option<&JoinedRoom> {
        self.rooms.iter().find(|joined_room| joined_room.room == room)
    }

    /// Asks a room to accept this session, which is answered with [`JoinAnswer`] or [`JoinFailed`].
    pub(super) fn join(
        &mut self,
        room: RoomId,
        join_kind: JoinKind,
        since: Option<Seq>,
        epoch: Option<Epoch>,
    ) {
        let request = JoinRequest { join_kind, position: ResumePosition { since, epoch } };
        let Some(pending) = self.pending_joins.get_mut(&room) else {
            if self.rooms.len() + self.pending_joins.len() >= limits::SUBSCRIPTIONS_MAX {
                return self.error(&EngineError::Overloaded, Some(room), None);
            }
            return self.start_join(room, request, VecDeque::new());
        };
        if pending.followups.len() >= limits::PENDING_JOINS_MAX {
            return self.error(&EngineError::Overloaded, Some(room), None);
        }
        pending.followups.push_back(Some(request));
    }

    fn start_join(&mut self, room: RoomId, request: JoinRequest, followups: VecDeque<Option<JoinRequest>>) {
        let Some(subscriber) = self.subscriber.clone() else { return };
        self.pending_joins.insert(room, PendingJoin { request, followups });
        self.send_join(room, subscriber, request);
    }

    /// Takes out the join that a room has answered.
    fn take_pending_join(&mut self, room: RoomId) -> Option<PendingJoin> {
        let pending = self.pending_joins.remove(&room);
        if self.pending_joins.is_empty() {
            // An empty map would keep a node: as much memory as all the rest of an idle session.
            self.pending_joins = BTreeMap::new();
        }
        pending
    }

    /// Hands the session to the room's actor, and to the next one if that is retired or has just ended.
    fn send_join(
        &self,
        room: RoomId,
        subscriber: Arc<Subscriber>,
        JoinRequest { join_kind, position }: JoinRequest,
    ) {
        let (worker, issued_at) = (self.worker.clone(), self.issued_at);
        // Not on the context, which would keep the space for as many as were ever under way at once.
        actix::spawn(async move {
            let mut error = EngineError::Unavailable;
            for _ in 0..JOIN_TRIES {
                let handle = match worker.room(room, subscriber.user).await {
                    Ok(handle) => handle,
                    Err(refused) => {
                        error = refused;
                        break;
                    }
                };
                if !subscriber.session.is_alive() {
                    return;
                }
                let join = JoinRoom { subscriber: subscriber.clone(), join_kind, position, issued_at };
                if let Ok(true) = handle.ask(join).await {
                    return;
                }
                worker.forget_room(room, &handle);
            }
            subscriber.session.tell(JoinFailed { room, error });
        });
    }

    /// Does what the client has wanted from a room since it was asked.
    fn run_followups(&mut self, room: RoomId, mut followups: VecDeque<Option<JoinRequest>>) {
        if self.is_closing {
            return;
        }
        while let Some(next) = followups.pop_front() {
            self.unsubscribe(room);
            if let Some(request) = next {
                return self.start_join(room, request, followups);
            }
        }
    }

    /// Leaves a room, or withdraws the wish to join it.
    pub(super) fn unsubscribe(&mut self, room: RoomId) {
        if let Some(pending) = self.pending_joins.get_mut(&room) {
            if pending.followups.back().is_none_or(Option::is_some) {
                pending.followups.push_back(None);
            }
            return;
        }
        let Some(at) = self.rooms.iter().position(|joined_room| joined_room.room == room) else { return };
        let joined_room = self.rooms.swap_remove(at);
        self.leave_room(room, &joined_room.handle);
    }

    fn leave_room(&self, room: RoomId, handle: &RoomHandle) {
        handle.tell(LeaveRoom { session: self.id });
        if let Some(outbox) = self.outbox() {
            outbox.unsubscribe(room);
        }
    }

    /// Passes a command to its room, in the order in which the client sent them.
    pub(super) fn submit(
        &mut self,
        room: RoomId,
        change: RoomChange,
        client_id: Option<ClientId>,
        ctx: &mut Context<Self>,
    ) {
        let Some(subscriber) = self.subscriber.clone() else { return };
        let by = Principal::TokenHolder { user: self.user, issued_at: self.issued_at };
        let command = Command { room, by, change };
        let origin = CommandOrigin::Session { subscriber, client_id };
        let mut submit = SubmitCommand { command, origin };
        if let Some(queue) = self.queued.get_mut(&room) {
            // Its actor is being resolved already.
            return match queue.len() < limits::SESSION_PENDING_MAX {
                true => queue.push_back(submit),
                false => self.error(&EngineError::Overloaded, Some(room), client_id),
            };
        }
        let joined = self.joined_room(room).map(|joined_room| joined_room.handle.clone());
        for handle in joined.into_iter().chain(self.worker.cached_room(room)) {
            match handle.try_tell(submit) {
                Ok(()) => return,
                Err(ended) => submit = ended,
            }
        }
        self.queued.insert(room, VecDeque::from([submit]));
        let (worker, user) = (self.worker.clone(), self.user);
        let resolve = async move { worker.room(room, user).await };
        ctx.spawn(actix::fut::wrap_future::<_, Self>(resolve).map(move |handle, this, _| {
            let queue = this.queued.remove(&room);
            if this.queued.is_empty() {
                this.queued = BTreeMap::new();
            }
            for submit in queue.into_iter().flatten() {
                match &handle {
                    Ok(handle) => handle.tell(submit),
                    Err(error) => this.error(error, Some(room), submit.origin.client_id()),
                }
            }
        }));
    }
}

impl Handler<JoinAnswer> for SessionActor {
    type Result = ();

    fn handle(&mut self, JoinAnswer { room, result }: JoinAnswer, _: &mut Self::Context) {
        let is_own = self.own_room == Some(room);
        let followups = self.take_pending_join(room).map(|pending| pending.followups).unwrap_or_default();
        match result {
            Ok(accepted) if self.is_closing => self.leave_room(room, &accepted.handle),
            Ok(AcceptedJoin { handle, username }) => {
                self.username = Some(username);
                self.worker.cache_room(room, &handle);
                let kind = if is_own { SubscriptionKind::RoomSocket } else { SubscriptionKind::Multiplexed };
                self.rooms.retain(|joined_room| joined_room.room != room);
                if is_own {
                    // There is only one; a vector would make space for four.
                    self.rooms.reserve_exact(1);
                }
                self.rooms.push(JoinedRoom { room, handle, kind });
                if self.pending_joins.is_empty() {
                    self.rooms.shrink_to_fit();
                }
                if is_own {
                    self.accept_socket();
                }
            }
            Err(_) if self.is_closing => {}
            Err(error) if is_own || error == ConnectError::Unauthorized => self.reject(error),
            // The same answer for a room that doesn't exist and one that the user isn't in.
            Err(ConnectError::NotInRoom) => {
                self.error(&EngineError::Refused(Refusal::NotParticipant), Some(room), None);
            }
            Err(_) => self.error(&EngineError::Unavailable, Some(room), None),
        }
        self.run_followups(room, followups);
    }
}

impl Handler<JoinFailed> for SessionActor {
    type Result = ();

    fn handle(&mut self, JoinFailed { room, error }: JoinFailed, _: &mut Self::Context) {
        let followups = self.take_pending_join(room).map(|pending| pending.followups).unwrap_or_default();
        if self.is_closing {
            return;
        }
        match error {
            EngineError::RateLimited { .. } if self.own_room.is_none() => {
                self.error(&error, Some(room), None);
                self.run_followups(room, followups);
            }
            EngineError::RateLimited { .. } => self.reject(ConnectError::RateLimited),
            _ => self.reject(ConnectError::Restarting),
        }
    }
}

impl Handler<SubscriptionEnded> for SessionActor {
    type Result = ();

    fn handle(&mut self, SubscriptionEnded { room }: SubscriptionEnded, _: &mut Self::Context) {
        self.rooms.retain(|joined_room| joined_room.room != room);
    }
}

impl Handler<RoomActorDied> for SessionActor {
    type Result = ();

    fn handle(&mut self, RoomActorDied { room, epoch }: RoomActorDied, ctx: &mut Self::Context) {
        if self.is_closing {
            return;
        }
        if let Some(PendingJoin { request, .. }) = self.pending_joins.get(&room) {
            let request = *request;
            if let Some(subscriber) = self.subscriber.clone() {
                self.send_join(room, subscriber, request);
            }
            return;
        }
        let Some(at) = self.rooms.iter().position(|joined_room| joined_room.room == room) else { return };
        let kind = self.rooms.swap_remove(at).kind;
        let Some(subscriber) = self.subscriber.clone() else { return };
        let position = subscriber.outbox.take_position(room);
        ctx.spawn(actix::fut::wrap_future::<_, Self>(position).map(move |position, this, _| {
            match position.ok().flatten() {
                // The client may have asked to join again meanwhile.
                Some(_) if this.is_closing || this.pending_joins.contains_key(&room) => {}
                Some(since) => {
                    let position = ResumePosition { since: Some(since), epoch: Some(epoch) };
                    this.start_join(
                        room,
                        JoinRequest { join_kind: JoinKind::Rejoin(kind), position },
                        VecDeque::new(),
                    );
                }
                // It was still catching up: only the client knows its position.
                None => subscriber.outbox.close(CloseCode::Internal),
            }
        }));
    }
}

impl Handler<RefreshState> for SessionActor {
    type Result = ();

    fn handle(&mut self, RefreshState { refresh }: RefreshState, _: &mut Self::Context) {
        let (user, session) = (self.user, self.id);
        match refresh {
            StateRefresh::Inbox => self.deps().inbox.tell(ResendInbox { user, session, from_start: true }),
            StateRefresh::RestOfInbox => {
                self.deps().inbox.tell(ResendInbox { user, session, from_start: false });
            }
            StateRefresh::PersonalLog => self.deps().inbox.tell(ContinuePersonalLog { user, session }),
            StateRefresh::RoomState(room) => {
                if let Some(joined_room) = self.joined_room(room) {
                    joined_room.handle.tell(ResendState { session });
                }
            }
        }
    }
}

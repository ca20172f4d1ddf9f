//! Typing, read marks and presence in a room, sent to its subscribers and to other nodes.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler, MessageResult};

use super::RoomActor;
use super::subscriptions::StateFrames;
use super::typing::TypingUpdate;
use crate::domain::command::Refusal;
use crate::domain::ids::UserId;
use crate::domain::signal::{ReadMark, Signal};
use crate::error::EngineError;
use crate::messages::relay::PublishSignal;
use crate::messages::room::{ListTyping, RemoteSignal, SetTyping};
use crate::messages::switchboard::SignalKind;
use crate::messages::users::PresenceChanged;
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;

/// How often typing is checked for expiry while anyone types.
const TYPING_CHECK_EVERY: Duration = Duration::from_millis(500);

impl Handler<SetTyping> for RoomActor {
    type Result = ();

    fn handle(&mut self, typing: SetTyping, ctx: &mut Self::Context) {
        let SetTyping { session, username, is_typing } = typing;
        let Some(subscription) = self.subscriptions.get(session) else { return };
        if is_typing && self.view.as_ref().is_some_and(|view| view.is_archived) {
            let error = EngineError::Refused(Refusal::Archived);
            return subscription.subscriber.outbox.push(codec::engine_error(&error, Some(self.room), None));
        }
        let user = subscription.subscriber.user;
        let (now, date) = (self.deps.clock.now(), self.deps.clock.date());
        let update = self.typists.update(user, &username, is_typing, now, date);
        self.broadcast_typing(update);
        self.expire_typing_later(ctx);
    }
}

impl Handler<RemoteSignal> for RoomActor {
    type Result = ();

    fn handle(&mut self, RemoteSignal(signal): RemoteSignal, ctx: &mut Self::Context) {
        if !self.is_current_epoch(ctx) {
            return;
        }
        if let Signal::Typing { user, username, is_typing } = &signal {
            let (now, date) = (self.deps.clock.now(), self.deps.clock.date());
            let is_news = self.typists.update_remote(*user, username, *is_typing, now, date);
            self.expire_typing_later(ctx);
            if !is_news {
                return;
            }
        }
        self.broadcast_signal(&signal);
    }
}

impl Handler<PresenceChanged> for RoomActor {
    type Result = ();

    fn handle(&mut self, PresenceChanged { came, went, anew }: PresenceChanged, _: &mut Self::Context) {
        if self.presence_is_due {
            return self.set_initial_presence(&came);
        }
        let last_seen = (!anew).then(|| self.deps.clock.date());
        if let (true, Some(view)) = (anew, self.view.as_mut().filter(|view| view.shows_presence())) {
            // The opposite of what is broadcast next, so that all of it is news.
            view.online = went.iter().copied().filter(|user| view.participants.contains(user)).collect();
        }
        for user in came {
            self.broadcast_signal(&Signal::Presence { user, online: true, last_seen: None });
        }
        for user in went {
            self.broadcast_signal(&Signal::Presence { user, online: false, last_seen });
        }
    }
}

impl Handler<ListTyping> for RoomActor {
    type Result = MessageResult<ListTyping>;

    fn handle(&mut self, _: ListTyping, _: &mut Self::Context) -> Self::Result {
        self.confirm_room();
        self.follow();
        MessageResult(self.typists.now())
    }
}

impl RoomActor {
    /// Sends a signal to every subscriber if it says something new.
    pub(super) fn broadcast_signal(&mut self, signal: &Signal) {
        if let Signal::Read(mark) = signal
            && !self.advance_mark(mark)
        {
            return;
        }
        let Some(view) = &mut self.view else { return };
        let (kind, user, except) = match signal {
            Signal::Read(mark) => (SignalKind::Read, mark.user, None),
            Signal::Typing { user, .. } => (SignalKind::Typing, *user, Some(*user)),
            Signal::Presence { user, online, .. } => {
                if !view.participants.contains(user) || !view.shows_presence() {
                    return;
                }
                let news = if *online { view.online.insert(*user) } else { view.online.remove(user) };
                if !news {
                    return;
                }
                self.state_frames = StateFrames::default();
                (SignalKind::Presence, *user, None)
            }
            Signal::OwnState { .. } => return,
        };
        if let Some(frame) = ServerFrame::of_signal(self.room, signal) {
            self.broadcast(kind, user, &frame, except);
        }
    }

    /// Notes a read mark. Returns false if it doesn't go forward.
    pub(super) fn advance_mark(&mut self, mark: &ReadMark) -> bool {
        let is_news = self.marks.get(&mark.user).is_none_or(|known| known.up_to < mark.up_to);
        if is_news {
            self.marks.insert(mark.user, mark.clone());
            self.state_frames = StateFrames::default();
        }
        is_news
    }

    /// Sends the read mark of a participant who has come back: whoever joined meanwhile was not told of it.
    pub(super) fn send_rejoined_mark(&mut self, user: UserId, ctx: &mut Context<Self>) {
        if self.marks.get(&user).is_none_or(|mark| mark.message.is_some()) {
            return self.send_mark(user);
        }
        // Legacy clients rely on a receipt naming a message.
        let (store, room) = (self.deps.store.clone(), self.room);
        let read = async move { store.snapshot(room, &[], true).await };
        Self::after(ctx, read, move |room, snapshot, _| {
            let marks = snapshot.ok().flatten().map(|snapshot| snapshot.marks).unwrap_or_default();
            if let (Some(mark), Some(known)) =
                (marks.into_iter().find(|mark| mark.user == user), room.marks.get_mut(&user))
                && mark.up_to >= known.up_to
            {
                *known = mark;
                room.state_frames = StateFrames::default();
            }
            room.send_mark(user);
        });
    }

    /// Sends the read mark of a participant.
    fn send_mark(&self, user: UserId) {
        let is_in = self.view.as_ref().is_some_and(|view| view.participants.contains(&user));
        let Some(mark) = self.marks.get(&user).filter(|_| is_in) else { return };
        if let Some(frame) = ServerFrame::of_signal(self.room, &Signal::Read(mark.clone())) {
            self.broadcast(SignalKind::Read, user, &frame, None);
        }
    }

    /// Ends a user's typing, because the message came or because the user left.
    pub(super) fn stopped_typing(&mut self, user: UserId, ctx: &mut Context<Self>) {
        let (now, date) = (self.deps.clock.now(), self.deps.clock.date());
        let update = self.typists.update(user, &"".into(), false, now, date);
        self.broadcast_typing(update);
        self.expire_typing_later(ctx);
    }

    fn broadcast_typing(&self, update: Option<TypingUpdate>) {
        let Some(TypingUpdate { user, username, is_typing, is_ours }) = update else { return };
        let frame = ServerFrame::Typing { room_id: self.room, user_id: user, username: &username, is_typing };
        self.broadcast(SignalKind::Typing, user, &frame, Some(user));
        if is_ours {
            let signal = Signal::Typing { user, username, is_typing };
            self.deps.relay.tell(PublishSignal { room: self.room, signal });
        }
    }

    /// Checks typing for expiry until nobody types.
    fn expire_typing_later(&mut self, ctx: &mut Context<Self>) {
        if self.typing_expiry_is_due || self.typists.is_empty() {
            return;
        }
        self.typing_expiry_is_due = true;
        ctx.run_later(TYPING_CHECK_EVERY, |room, ctx| {
            room.typing_expiry_is_due = false;
            for update in room.typists.expire(room.deps.clock.now()) {
                room.broadcast_typing(Some(update));
            }
            room.expire_typing_later(ctx);
        });
    }
}

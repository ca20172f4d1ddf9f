//! Typing, read marks and presence in a room: told to who is here, and to other nodes.

use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext, Context, Handler, Message, MessageResult};

use super::RoomActor;
use super::guests::States;
use super::typing::TypingNow;
use crate::domain::command::Refusal;
use crate::domain::ids::UserId;
use crate::domain::signal::{ReadMark, Signal};
use crate::error::EngineError;
use crate::outbox::SignalKind;
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;
use crate::relay::Tell;
use crate::session::SessionId;

/// How often typing is looked at while anyone types.
const LAPSE_EVERY: Duration = Duration::from_millis(500);

/// A session says whether its person is typing.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SetTyping {
    /// Which one.
    pub session: SessionId,
    /// The person's name.
    pub username: Arc<str>,
    /// Whether typing.
    pub is_typing: bool,
}

impl Handler<SetTyping> for RoomActor {
    type Result = ();

    fn handle(&mut self, typing: SetTyping, ctx: &mut Self::Context) {
        let SetTyping { session, username, is_typing } = typing;
        let Some(seat) = self.guests.get(session) else { return };
        if is_typing && self.view.as_ref().is_some_and(|view| view.is_archived) {
            let error = EngineError::Refused(Refusal::Archived);
            return seat.guest.outbox.push(codec::refusal(&error, Some(self.room), None));
        }
        let user = seat.guest.user;
        let (now, date) = (self.core.clock.now(), self.core.clock.date());
        let told = self.typists.heard(user, &username, is_typing, now, date);
        self.tell_typing(told);
        self.lapse_later(ctx);
    }
}

/// A signal of this room from elsewhere.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct Told(pub Signal);

impl Handler<Told> for RoomActor {
    type Result = ();

    fn handle(&mut self, Told(signal): Told, ctx: &mut Self::Context) {
        if !self.is_of_this_history(ctx) {
            return;
        }
        if let Signal::Typing { user, username, is_typing } = &signal {
            let (now, date) = (self.core.clock.now(), self.core.clock.date());
            let is_news = self.typists.heard_elsewhere(*user, username, *is_typing, now, date);
            self.lapse_later(ctx);
            if !is_news {
                return;
            }
        }
        self.tell(&signal);
    }
}

/// Who of the people in this room is online, or that someone came or went.
#[derive(Message)]
#[rtype(result = "()")]
pub struct OnlineNow {
    /// Who came.
    pub came: Vec<UserId>,
    /// Who went, or isn't there.
    pub went: Vec<UserId>,
    /// Whether this is to be told even where it is no news.
    pub anew: bool,
}

impl Handler<OnlineNow> for RoomActor {
    type Result = ();

    fn handle(&mut self, OnlineNow { came, went, anew }: OnlineNow, _: &mut Self::Context) {
        if self.presence_is_due {
            return self.present(&came);
        }
        let last_seen = (!anew).then(|| self.core.clock.date());
        if let (true, Some(view)) = (anew, self.view.as_mut().filter(|view| view.shows_presence())) {
            // The opposite of what is told next, so that all of it is news.
            view.online = went.iter().copied().filter(|user| view.people.contains(user)).collect();
        }
        for user in came {
            self.tell(&Signal::Presence { user, online: true, last_seen: None });
        }
        for user in went {
            self.tell(&Signal::Presence { user, online: false, last_seen });
        }
    }
}

/// Asks who is typing.
#[derive(Message)]
#[rtype(result = "Vec<TypingNow>")]
pub struct WhoIsTyping;

impl Handler<WhoIsTyping> for RoomActor {
    type Result = MessageResult<WhoIsTyping>;

    fn handle(&mut self, _: WhoIsTyping, ctx: &mut Self::Context) -> Self::Result {
        self.turns_out_known(ctx);
        self.follow();
        MessageResult(self.typists.now())
    }
}

impl RoomActor {
    /// Tells everyone here a signal, when it says something new.
    pub(super) fn tell(&mut self, signal: &Signal) {
        if let Signal::Read(mark) = signal
            && !self.is_news(mark)
        {
            return;
        }
        let Some(view) = &mut self.view else { return };
        let (kind, user, except) = match signal {
            Signal::Read(mark) => (SignalKind::Read, mark.user, None),
            Signal::Typing { user, .. } => (SignalKind::Typing, *user, Some(*user)),
            Signal::Presence { user, online, .. } => {
                if !view.people.contains(user) || !view.shows_presence() {
                    return;
                }
                let news = if *online { view.online.insert(*user) } else { view.online.remove(user) };
                if !news {
                    return;
                }
                self.states = States::default();
                (SignalKind::Presence, *user, None)
            }
            Signal::Muted { .. } => return,
        };
        if let Some(frame) = ServerFrame::of_signal(self.room, signal) {
            self.broadcast(kind, user, &frame, except);
        }
    }

    /// Takes in a read mark; false when it doesn't go forward.
    pub(super) fn is_news(&mut self, mark: &ReadMark) -> bool {
        let is_news = self.marks.get(&mark.user).is_none_or(|known| known.up_to < mark.up_to);
        if is_news {
            self.marks.insert(mark.user, mark.clone());
            self.states = States::default();
        }
        is_news
    }

    /// Tells how far one has read who has come back: of those who are out nobody is told that who comes.
    pub(super) fn tell_returned(&mut self, user: UserId, ctx: &mut Context<Self>) {
        if self.marks.get(&user).is_none_or(|mark| mark.message.is_some()) {
            return self.tell_mark(user);
        }
        // Inherited clients take it for given that a receipt names a message.
        let (store, room) = (self.core.store.clone(), self.room);
        let read = async move { store.snapshot(room, &[], true).await };
        Self::after(ctx, read, move |room, snapshot, _| {
            let marks = snapshot.ok().flatten().map(|snapshot| snapshot.marks).unwrap_or_default();
            if let (Some(mark), Some(known)) =
                (marks.into_iter().find(|mark| mark.user == user), room.marks.get_mut(&user))
                && mark.up_to >= known.up_to
            {
                *known = mark;
                room.states = States::default();
            }
            room.tell_mark(user);
        });
    }

    /// Tells how far someone has read, who is in the room.
    fn tell_mark(&self, user: UserId) {
        let is_in = self.view.as_ref().is_some_and(|view| view.people.contains(&user));
        let Some(mark) = self.marks.get(&user).filter(|_| is_in) else { return };
        if let Some(frame) = ServerFrame::of_signal(self.room, &Signal::Read(mark.clone())) {
            self.broadcast(SignalKind::Read, user, &frame, None);
        }
    }

    /// Someone sent what he was typing, or went.
    pub(super) fn stopped_typing(&mut self, user: UserId, ctx: &mut Context<Self>) {
        let (now, date) = (self.core.clock.now(), self.core.clock.date());
        let told = self.typists.heard(user, &"".into(), false, now, date);
        self.tell_typing(told);
        self.lapse_later(ctx);
    }

    fn tell_typing(&self, told: Option<super::typing::Told>) {
        let Some(super::typing::Told { user, username, is_typing, is_ours }) = told else { return };
        let frame = ServerFrame::Typing { room_id: self.room, user_id: user, username: &username, is_typing };
        self.broadcast(SignalKind::Typing, user, &frame, Some(user));
        if is_ours {
            let signal = Signal::Typing { user, username, is_typing };
            self.core.relay.do_send(Tell { room: self.room, signal });
        }
    }

    /// Looks after typing until nobody types.
    fn lapse_later(&mut self, ctx: &mut Context<Self>) {
        if self.lapse_is_due || self.typists.is_empty() {
            return;
        }
        self.lapse_is_due = true;
        ctx.run_later(LAPSE_EVERY, |room, ctx| {
            room.lapse_is_due = false;
            for told in room.typists.lapse(room.core.clock.now()) {
                room.tell_typing(Some(told));
            }
            room.lapse_later(ctx);
        });
    }
}

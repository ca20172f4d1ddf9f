//! The lists of rooms of those who look at them: unread counts, previews and badges, kept as events
//! come and read anew from the store whenever that can't be done exactly.

mod history;
mod onlooker;
mod stale;

use std::collections::{BTreeMap, BTreeSet, HashMap, btree_map, hash_map};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseActFuture, WrapFuture};
use chrono::{DateTime, Utc};

use self::onlooker::{Face, Follower, Line, Onlooker};
use crate::census::Counts;
use crate::core::Core;
use crate::domain::event::{Event, EventBody};
use crate::domain::ids::{Epoch, RoomId, Seq, UserId};
use crate::domain::signal::Signal;
use crate::limits;
use crate::outbox::{SignalKey, SignalKind};
use crate::ports::store::InboxRoom;
use crate::protocol::codec;
use crate::protocol::server::{PROTOCOL, ServerFrame};
use crate::relay;
use crate::session::SessionId;
use crate::switchboard::{ForgetSignal, OutboxRef, PushSignal};

/// The actor.
#[derive(Default)]
pub struct InboxActor {
    core: Option<Arc<Core>>,
    /// The history that the lists are of.
    epoch: Option<Epoch>,
    people: BTreeMap<UserId, Onlooker>,
    followed: HashMap<RoomId, Followed>,
    /// Lines that changed and are to be told.
    changed: BTreeSet<(UserId, RoomId)>,
    /// Lines that must be read anew.
    stale: BTreeMap<UserId, BTreeSet<RoomId>>,
    /// When whose mutings lapse.
    lapses: BTreeMap<UserId, BTreeMap<RoomId, DateTime<Utc>>>,
    turn_is_due: bool,
    /// Whether stale lines are being read, or it is waited with that for the store.
    reading: bool,
    /// Whose were read last; those after him have their turn.
    read_last: Option<UserId>,
    /// How long it was waited after the last read, which failed.
    patience: Duration,
    /// Lists that are being read for the first time.
    loading: usize,
    /// Rooms of which something was heard meanwhile: a list that is read may not show it yet.
    news: BTreeSet<RoomId>,
}

/// A room that someone's list shows.
struct Followed {
    /// In the order of their ids.
    by: Vec<UserId>,
    /// How it was shown last.
    face: Arc<Face>,
}

impl Actor for InboxActor {
    type Context = Context<Self>;
}

/// Tells the actor of the others.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Begin(pub Arc<Core>);

impl Handler<Begin> for InboxActor {
    type Result = ();

    fn handle(&mut self, Begin(core): Begin, ctx: &mut Self::Context) {
        self.epoch = Some(core.store.epoch());
        self.core = Some(core);
        ctx.run_interval(limits::LAPSES_EVERY, Self::lapse);
    }
}

/// A socket wants to hear of all its person's rooms. It is greeted, and then told what changes; false:
/// the store can't be read, or it has gone meanwhile.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct Follow {
    /// Whose.
    pub user: UserId,
    /// The name to greet by.
    pub username: Arc<str>,
    /// Which session.
    pub session: SessionId,
    /// Where its frames go.
    pub outbox: OutboxRef,
}

impl Handler<Follow> for InboxActor {
    type Result = ResponseActFuture<Self, bool>;

    fn handle(&mut self, follow: Follow, _: &mut Self::Context) -> Self::Result {
        self.is_of_this_history();
        let Follow { user, username, session, outbox } = follow;
        let follower = Follower { session, outbox, greeted: false };
        let sockets = &mut self.people.entry(user).or_default().sockets;
        // Most have one; a vector would make space for four.
        sockets.reserve_exact(usize::from(sockets.is_empty()));
        sockets.push(follower);
        let store = self.core.as_ref().map(|core| core.store.clone());
        self.loading += 1;
        let epoch = self.epoch;
        let read = async move { store?.inbox(user, None).await.ok() };
        Box::pin(read.into_actor(self).map(move |rooms, this, ctx| {
            this.loading -= 1;
            if !this.is_of_this_history() || this.epoch != epoch {
                return false;
            }
            let news = this.news.clone();
            this.forget_news();
            let Some(mut rooms) = rooms else {
                this.unfollow(user, session);
                return false;
            };
            // In the order in which they are kept, so that each is put behind the one before.
            rooms.sort_unstable_by_key(|told| told.room);
            for told in rooms {
                let room = told.room;
                let line = this.line_of(user, told);
                // The person's other sockets may have been told otherwise.
                if this.line(user, room).is_some_and(|known| *known != line) {
                    this.changed.insert((user, room));
                }
                this.take_in(user, line);
                if news.contains(&room) {
                    this.make_stale(user, room);
                }
            }
            if let Some(onlooker) = this.people.get_mut(&user) {
                onlooker.fit();
            }
            this.turn_later(ctx);
            this.greet(user, session, &username)
        }))
    }
}

/// A socket no longer wants to.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Unfollow {
    /// Whose.
    pub user: UserId,
    /// Which session.
    pub session: SessionId,
}

impl Handler<Unfollow> for InboxActor {
    type Result = ();

    fn handle(&mut self, Unfollow { user, session }: Unfollow, _: &mut Self::Context) {
        self.unfollow(user, session);
    }
}

/// Something was committed in a room, here or elsewhere.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct Happened {
    /// The room.
    pub room: RoomId,
    /// The events.
    pub events: Arc<Vec<Event>>,
    /// The signals.
    pub signals: Vec<Signal>,
}

impl Handler<Happened> for InboxActor {
    type Result = ();

    fn handle(&mut self, Happened { room, events, signals }: Happened, ctx: &mut Self::Context) {
        if !self.is_of_this_history() {
            return;
        }
        for event in events.iter() {
            self.event(room, event);
        }
        for signal in &signals {
            match signal {
                Signal::Read(mark) => self.make_stale(mark.user, room),
                Signal::Muted { user } => self.make_stale(*user, room),
                Signal::Typing { .. } | Signal::Presence { .. } => {}
            }
        }
        self.turn_later(ctx);
    }
}

/// How far the logs of some rooms reach.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Heads(pub Vec<(RoomId, Seq)>);

impl Handler<Heads> for InboxActor {
    type Result = ();

    fn handle(&mut self, Heads(heads): Heads, ctx: &mut Self::Context) {
        if !self.is_of_this_history() {
            return;
        }
        for (room, head) in heads {
            self.note_news(room);
            let behind: Vec<UserId> = self
                .followers(room)
                .filter(|user| self.line(*user, room).is_some_and(|line| line.head < head))
                .collect();
            for user in behind {
                self.make_stale(user, room);
            }
        }
        self.turn_later(ctx);
    }
}

/// People whose lists may have gained rooms that this node did not hear of.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Recheck {
    /// The room.
    pub room: RoomId,
    /// The people.
    pub users: Vec<UserId>,
}

impl Handler<Recheck> for InboxActor {
    type Result = ();

    fn handle(&mut self, Recheck { room, users }: Recheck, ctx: &mut Self::Context) {
        for user in users {
            self.make_stale(user, room);
        }
        self.turn_later(ctx);
    }
}

impl InboxActor {
    /// How much is held.
    pub(crate) fn counts(&self) -> Counts {
        vec![
            ("onlookers", self.people.len()),
            ("followed rooms", self.followed.len()),
            ("stale lists", self.stale.len()),
            ("changed lines", self.changed.len()),
        ]
    }

    fn line(&self, user: UserId, room: RoomId) -> Option<&Line> {
        self.people.get(&user)?.line(room)
    }

    /// The line that the store tells of.
    fn line_of(&mut self, user: UserId, told: InboxRoom) -> Line {
        if self.people.contains_key(&user) {
            self.lapses_at(user, told.room, told.muted_until);
        }
        let known = self.followed.get(&told.room).map(|followed| &followed.face);
        Line::of(told, known)
    }

    fn followers(&self, room: RoomId) -> impl Iterator<Item = UserId> {
        self.followed.get(&room).into_iter().flat_map(|followed| followed.by.iter().copied())
    }

    /// Tells a socket how things stand; from now on it is told what changes.
    fn greet(&mut self, user: UserId, session: SessionId, username: &str) -> bool {
        let Some(onlooker) = self.people.get_mut(&user) else { return false };
        let unread_count = onlooker.total_unread();
        let Some(follower) = onlooker.sockets.iter_mut().find(|follower| follower.session == session) else {
            return false;
        };
        follower.greeted = true;
        follower.outbox.send(&ServerFrame::ConnectionEstablished {
            room_id: None,
            unread_count,
            user_id: user,
            username,
            seq: None,
            epoch: None,
            protocol: PROTOCOL,
        });
        true
    }

    fn unfollow(&mut self, user: UserId, session: SessionId) {
        let Some(onlooker) = self.people.get_mut(&user) else { return };
        onlooker.sockets.retain(|follower| follower.session != session);
        if !onlooker.sockets.is_empty() {
            return;
        }
        let onlooker = self.people.remove(&user).unwrap_or_default();
        for room in onlooker.rooms() {
            self.forget_follower(user, room);
        }
        self.stale.remove(&user);
        self.lapses.remove(&user);
    }

    fn forget_follower(&mut self, user: UserId, room: RoomId) {
        if let Some(followed) = self.followed.get_mut(&room) {
            if let Ok(at) = followed.by.binary_search(&user) {
                followed.by.remove(at);
            }
            if followed.by.is_empty() {
                self.followed.remove(&room);
                self.tell_relay(room, false);
            }
        }
    }

    fn tell_relay(&self, room: RoomId, on: bool) {
        if let Some(core) = &self.core {
            core.relay.do_send(relay::Follow { room, on });
        }
    }

    fn note_news(&mut self, room: RoomId) {
        if self.reading || self.loading > 0 {
            self.news.insert(room);
        }
    }

    fn forget_news(&mut self) {
        if !self.reading && self.loading == 0 {
            self.news.clear();
        }
    }

    /// Puts a line as the store has it into a person's list.
    fn take_in(&mut self, user: UserId, line: Line) {
        let Some(onlooker) = self.people.get_mut(&user) else { return };
        let (room, face) = (line.room, line.face.clone());
        if onlooker.line(room).is_some_and(|known| known.head > line.head) {
            // It was read before what has come since; once more.
            return self.make_stale(user, room);
        }
        onlooker.put(line);
        match self.followed.entry(room) {
            hash_map::Entry::Occupied(followed) => {
                let followed = followed.into_mut();
                if let Err(at) = followed.by.binary_search(&user) {
                    followed.by.insert(at, user);
                }
                followed.face = face;
            }
            hash_map::Entry::Vacant(place) => {
                place.insert(Followed { by: vec![user], face });
                self.tell_relay(room, true);
            }
        }
    }

    /// Notes when a person's muting of a room lapses, if it ever does.
    fn lapses_at(&mut self, user: UserId, room: RoomId, until: Option<DateTime<Utc>>) {
        if let Some(until) = until {
            self.lapses.entry(user).or_default().insert(room, until);
        } else if let btree_map::Entry::Occupied(mut rooms) = self.lapses.entry(user) {
            rooms.get_mut().remove(&room);
            if rooms.get().is_empty() {
                rooms.remove();
            }
        }
    }

    /// Has the store look at mutings that may have lapsed; its clock decides.
    fn lapse(&mut self, ctx: &mut Context<Self>) {
        let Some(today) = self.core.as_ref().map(|core| core.clock.date()) else { return };
        let mut lapsed = Vec::new();
        self.lapses.retain(|user, rooms| {
            lapsed.extend(rooms.extract_if(.., |_, until| *until <= today).map(|(room, _)| (*user, room)));
            !rooms.is_empty()
        });
        for (user, room) in lapsed {
            self.make_stale(user, room);
        }
        self.turn_later(ctx);
    }

    /// Takes a person's room off the list.
    fn take_off(&mut self, user: UserId, room: RoomId) {
        let Some(onlooker) = self.people.get_mut(&user) else { return };
        let Some(line) = onlooker.take(room) else { return };
        self.lapses_at(user, room, None);
        let Some(onlooker) = self.people.get_mut(&user) else { return };
        for outbox in onlooker.greeted() {
            // Or it would show the room again, on a socket that is behind.
            outbox.switchboard.do_send(ForgetSignal { outbox: outbox.id, key: line_key(user, room) });
        }
        onlooker.send(&ServerFrame::RoomRemoved { room_id: room });
        if line.unread > 0 && !line.is_muted {
            // Any line tells what is unread in all from now on.
            self.changed.extend(onlooker.rooms().next().map(|other| (user, other)));
        }
        self.forget_follower(user, room);
    }

    fn make_stale(&mut self, user: UserId, room: RoomId) {
        if self.people.contains_key(&user) {
            self.stale.entry(user).or_default().insert(room);
        }
    }

    /// Changes the lines of those who follow the room, where the event alone says how.
    fn event(&mut self, room: RoomId, event: &Event) {
        match &event.body {
            EventBody::ParticipantJoined(participant) => self.make_stale(participant.user.id, room),
            // One who came back is told of his leaving by a late hint: the line knows better.
            EventBody::ParticipantLeft(participant)
                if self.line(participant.user.id, room).is_none_or(|line| line.head < event.seq) =>
            {
                self.take_off(participant.user.id, room);
            }
            _ => {}
        }
        self.note_news(room);
        // Most show the room alike, and go on to show it alike.
        let mut faces: Option<(Arc<Face>, Arc<Face>)> = None;
        for user in self.followers(room).collect::<Vec<_>>() {
            if matches!(event.body, EventBody::RoomDeleted) {
                self.take_off(user, room);
                continue;
            }
            let Some(line) = self.people.get_mut(&user).and_then(|onlooker| onlooker.line_mut(room)) else {
                continue;
            };
            if event.seq <= line.head {
                continue;
            }
            if event.seq != line.head.next() {
                self.make_stale(user, room);
                continue;
            }
            line.head = event.seq;
            match &event.body {
                EventBody::MessagePosted(message) => {
                    let (before, face) = faces
                        .take_if(|(before, _)| Arc::ptr_eq(before, &line.face))
                        .unwrap_or_else(|| (line.face.clone(), Arc::new(line.face.after(message))));
                    line.posted(user, message, face.clone());
                    faces = Some((before, face));
                    self.changed.insert((user, room));
                }
                // Neither shown nor counted otherwise than before.
                EventBody::MessageEdited(message) if line.face.is_newer_than(message) => {}
                EventBody::MessageEdited(_)
                | EventBody::MessageDeleted { .. }
                | EventBody::RoomUpdated(_)
                | EventBody::RoomCreated(_) => self.make_stale(user, room),
                _ => {}
            }
        }
        if let (Some((_, face)), Some(followed)) = (faces, self.followed.get_mut(&room)) {
            followed.face = face;
        }
    }

    /// Gathers what changes for a moment, then reads what must be read and tells what is to be told.
    fn turn_later(&mut self, ctx: &mut Context<Self>) {
        if self.turn_is_due || (self.changed.is_empty() && self.stale.is_empty()) {
            return;
        }
        self.turn_is_due = true;
        ctx.run_later(limits::INBOX_GATHER, |this, ctx| {
            this.turn_is_due = false;
            this.tell_changed();
            this.read_stale(ctx);
        });
    }

    fn tell_changed(&mut self) {
        for (user, room) in std::mem::take(&mut self.changed) {
            let Some(onlooker) = self.people.get(&user) else { continue };
            let Some(line) = onlooker.line(room) else { continue };
            let bytes = codec::encode(&line.frame(onlooker.total_unread()));
            for outbox in onlooker.greeted() {
                let (key, bytes) = (line_key(user, room), bytes.clone());
                outbox.switchboard.do_send(PushSignal { outbox: outbox.id, key, bytes });
            }
        }
    }
}

/// What the frame of a line is kept back under.
fn line_key(user: UserId, room: RoomId) -> SignalKey {
    SignalKey { kind: SignalKind::Inbox, room, user }
}

//! The lists of rooms of those who look at them: unread counts, previews and badges, kept as events
//! come and read anew from the store whenever that can't be done exactly.

mod onlooker;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseActFuture, WrapFuture};
use chrono::{DateTime, Utc};

use self::onlooker::{Follower, Onlooker};
use crate::census::Counts;
use crate::core::Core;
use crate::domain::event::{Event, EventBody};
use crate::domain::ids::{RoomId, Seq, UserId};
use crate::domain::room::Room;
use crate::domain::signal::Signal;
use crate::limits;
use crate::outbox::{SignalKey, SignalKind};
use crate::ports::store::{InboxRoom, StoreError};
use crate::protocol::codec;
use crate::protocol::server::{PROTOCOL, ServerFrame};
use crate::relay;
use crate::session::SessionId;
use crate::switchboard::{ForgetSignal, OutboxRef, PushSignal};

/// The actor.
#[derive(Default)]
pub struct InboxActor {
    core: Option<Arc<Core>>,
    people: BTreeMap<UserId, Onlooker>,
    followers: HashMap<RoomId, BTreeSet<UserId>>,
    /// Lines that changed and are to be told.
    changed: BTreeSet<(UserId, RoomId)>,
    /// Lines that must be read anew.
    stale: BTreeMap<UserId, BTreeSet<RoomId>>,
    /// When which mutings lapse.
    lapses: BTreeSet<(DateTime<Utc>, UserId, RoomId)>,
    turn_is_due: bool,
    reading: bool,
    /// Lists that are being read for the first time.
    loading: usize,
    /// Rooms of which something was heard meanwhile: a list that is read may not show it yet.
    news: BTreeSet<RoomId>,
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
        let Follow { user, username, session, outbox } = follow;
        let follower = Follower { session, outbox, greeted: false };
        self.people.entry(user).or_default().sockets.push(follower);
        let store = self.core.as_ref().map(|core| core.store.clone());
        self.loading += 1;
        let read = async move { store?.inbox(user, None).await.ok() };
        Box::pin(read.into_actor(self).map(move |rooms, this, ctx| {
            this.loading -= 1;
            let news = this.news.clone();
            this.forget_news();
            let Some(rooms) = rooms else {
                this.unfollow(user, session);
                return false;
            };
            for line in rooms {
                let room = line.room;
                // The person's other sockets may have been told otherwise.
                if this.line(user, room).is_some_and(|known| *known != line) {
                    this.changed.insert((user, room));
                }
                this.take_in(user, line);
                if news.contains(&room) {
                    this.make_stale(user, room);
                }
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
        for (room, head) in heads {
            self.note_news(room);
            let behind: Vec<UserId> = self
                .followers
                .get(&room)
                .into_iter()
                .flatten()
                .filter(|user| self.line(**user, room).is_some_and(|line| line.head < head))
                .copied()
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
            ("followed rooms", self.followers.len()),
            ("stale lists", self.stale.len()),
            ("changed lines", self.changed.len()),
        ]
    }

    fn line(&self, user: UserId, room: RoomId) -> Option<&InboxRoom> {
        self.people.get(&user)?.rooms.get(&room).map(Box::as_ref)
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
        let rooms = self.people.remove(&user).map(|onlooker| onlooker.rooms).unwrap_or_default();
        for room in rooms.into_keys() {
            self.forget_follower(user, room);
        }
        self.stale.remove(&user);
        self.lapses.retain(|(_, muter, _)| *muter != user);
    }

    fn forget_follower(&mut self, user: UserId, room: RoomId) {
        if let Some(users) = self.followers.get_mut(&room) {
            users.remove(&user);
            if users.is_empty() {
                self.followers.remove(&room);
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
    fn take_in(&mut self, user: UserId, line: InboxRoom) {
        let Some(onlooker) = self.people.get_mut(&user) else { return };
        let room = line.room;
        self.lapses.extend(line.muted_until.map(|until| (until, user, room)));
        if onlooker.rooms.get(&room).is_some_and(|known| known.head > line.head) {
            // It was read before what has come since; once more.
            return self.make_stale(user, room);
        }
        if onlooker.rooms.insert(room, Box::new(line)).is_none() {
            let users = self.followers.entry(room).or_default();
            let is_first = users.is_empty();
            users.insert(user);
            if is_first {
                self.tell_relay(room, true);
            }
        }
    }

    /// Has the store look at mutings that may have lapsed; its clock decides.
    fn lapse(&mut self, ctx: &mut Context<Self>) {
        let Some(today) = self.core.as_ref().map(|core| core.clock.date()) else { return };
        while let Some(lapse) = self.lapses.first().copied().filter(|(at, ..)| *at <= today) {
            self.lapses.remove(&lapse);
            self.make_stale(lapse.1, lapse.2);
        }
        self.turn_later(ctx);
    }

    /// Takes a person's room off the list.
    fn take_off(&mut self, user: UserId, room: RoomId) {
        let Some(onlooker) = self.people.get_mut(&user) else { return };
        let Some(line) = onlooker.rooms.remove(&room) else { return };
        for outbox in onlooker.greeted() {
            // Or it would show the room again, on a socket that is behind.
            outbox.switchboard.do_send(ForgetSignal { outbox: outbox.id, key: line_key(user, room) });
        }
        onlooker.send(&ServerFrame::RoomRemoved { room_id: room });
        if line.unread > 0 && !line.is_muted {
            // Any line tells what is unread in all from now on.
            self.changed.extend(onlooker.rooms.keys().next().map(|other| (user, *other)));
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
        let followers: Vec<UserId> = self.followers.get(&room).into_iter().flatten().copied().collect();
        for user in followers {
            if matches!(event.body, EventBody::RoomDeleted) {
                self.take_off(user, room);
                continue;
            }
            let Some(line) = self.people.get_mut(&user).and_then(|onlooker| onlooker.rooms.get_mut(&room))
            else {
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
                    line.unread += i64::from(message.sender.id != user && message.seq > line.unread_after);
                    line.last_message_preview = message.preview();
                    line.last_message_time = message.created_at;
                    line.last_message_sender = Some(message.sender.clone());
                    self.changed.insert((user, room));
                }
                EventBody::MessageEdited(_)
                | EventBody::MessageDeleted { .. }
                | EventBody::RoomUpdated(_)
                | EventBody::RoomCreated(_) => self.make_stale(user, room),
                _ => {}
            }
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
            let Some(line) = onlooker.rooms.get(&room) else { continue };
            let bytes = codec::encode(&ServerFrame::Inbox {
                room_id: room,
                unread_count: line.unread,
                total_unread: onlooker.total_unread(),
                last_message_preview: &line.last_message_preview,
                last_message_time: line.last_message_time,
                last_message_sender: line.last_message_sender.as_ref(),
                display_name: &line.display_name,
            });
            for outbox in onlooker.greeted() {
                let (key, bytes) = (line_key(user, room), bytes.clone());
                outbox.switchboard.do_send(PushSignal { outbox: outbox.id, key, bytes });
            }
        }
    }

    /// Reads stale lines from the store, one person after another.
    fn read_stale(&mut self, ctx: &mut Context<Self>) {
        if self.reading {
            return;
        }
        let Some((user, rooms)) = self.stale.pop_first() else { return };
        let Some(core) = self.core.clone() else { return };
        self.reading = true;
        let rooms: Vec<RoomId> = rooms.into_iter().collect();
        let asked = rooms.clone();
        let read = async move {
            let lines = core.store.inbox(user, Some(&asked)).await;
            let mut added = BTreeMap::new();
            for line in lines.iter().flatten() {
                if let Ok(Some(snapshot)) = core.store.snapshot(line.room, &[], false).await {
                    added.insert(line.room, snapshot.room);
                }
            }
            (lines, added)
        };
        ctx.spawn(actix::fut::wrap_future::<_, Self>(read).map(move |(lines, added), this, ctx| {
            this.reading = false;
            this.refresh(user, &rooms, lines, &added);
            this.forget_news();
            this.tell_changed();
            if this.stale.is_empty() { this.turn_later(ctx) } else { this.read_stale(ctx) }
        }));
    }

    fn refresh(
        &mut self,
        user: UserId,
        asked: &[RoomId],
        lines: Result<Vec<InboxRoom>, StoreError>,
        added: &BTreeMap<RoomId, Room>,
    ) {
        let lines = match lines {
            Ok(lines) => lines,
            Err(error) => {
                tracing::warn!(%error, "could not refresh a list of rooms");
                for room in asked {
                    self.make_stale(user, *room);
                }
                return;
            }
        };
        let found: BTreeSet<RoomId> = lines.iter().map(|line| line.room).collect();
        for room in asked.iter().filter(|room| !found.contains(room)) {
            self.take_off(user, *room);
        }
        for line in lines {
            let room = line.room;
            let is_new = self.line(user, room).is_none();
            if is_new && (!added.contains_key(&room) || self.news.contains(&room)) {
                // What the client is to be told of it could not be read, or is no longer all; once more.
                self.make_stale(user, room);
                if !added.contains_key(&room) {
                    continue;
                }
            }
            let is_same = self.line(user, room) == Some(&line);
            self.take_in(user, line);
            if let (true, Some(onlooker), Some(room)) = (is_new, self.people.get(&user), added.get(&room)) {
                onlooker.send(&ServerFrame::RoomAdded { room_id: room.id, room: room.into() });
            }
            if !is_same {
                self.changed.insert((user, room));
            }
        }
    }
}

/// What the frame of a line is kept back under.
fn line_key(user: UserId, room: RoomId) -> SignalKey {
    SignalKey { kind: SignalKind::Inbox, room, user }
}

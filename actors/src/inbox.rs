//! The lists of rooms of those who look at them: unread counts, previews and badges, kept as events
//! come and read anew from the store whenever that can't be done exactly.
//!
//! Each list is read by one read at a time, however many sockets show it, so that what is read later is
//! newer; and what is heard of a line while it is being read is read once more. Events are ordered by
//! their positions. So older never replaces newer, and what is told ends with what the store has.

mod folding;
mod history;
mod onlooker;
mod reading;
mod telling;

use std::collections::{BTreeMap, BTreeSet, HashMap, btree_map};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, ResponseFuture};
use chrono::{DateTime, Utc};
use tokio::sync::oneshot;

use self::onlooker::{Face, Follower, Line, Onlooker};
use self::reading::{Arrival, Reading};
pub use self::telling::Retell;
use crate::census::Counts;
use crate::core::Core;
use crate::domain::event::Event;
use crate::domain::ids::{Epoch, RoomId, Seq, UserId};
use crate::domain::signal::Signal;
use crate::limits;
use crate::session::SessionId;
use crate::switchboard::OutboxRef;

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
    /// Whose total changed by a line that is no longer in the list.
    totals: BTreeSet<UserId>,
    /// Lines that must be read anew, and whether each is to be told even where that finds it as it was:
    /// a client may have read by REST what was so in between.
    stale: BTreeMap<UserId, BTreeMap<RoomId, bool>>,
    /// Who has come and is to be greeted by the next read of the list.
    arrivals: BTreeMap<UserId, Vec<Arrival>>,
    /// Lists that are being read.
    reads: BTreeMap<UserId, Reading>,
    /// Whether stale lines are being read, or it is waited with that for the store.
    refreshing: bool,
    /// Whose were read last; those after him have their turn.
    read_last: Option<UserId>,
    /// How long it was waited after the last read, which failed.
    patience: Duration,
    /// How far rooms were heard of while anything is being read, which may not show it yet.
    news: BTreeMap<RoomId, Seq>,
    /// People who are called otherwise now, and whether the lines that show them are to be told in any case.
    named: BTreeMap<UserId, bool>,
    /// Those of whom that was heard while anything is being read, which may not show it yet.
    named_meanwhile: BTreeSet<UserId>,
    /// When whose mutings lapse.
    lapses: BTreeMap<UserId, BTreeMap<RoomId, DateTime<Utc>>>,
    turn_is_due: bool,
    /// Sockets that are told their whole list anew, and up to which line that has come.
    retelling: BTreeMap<SessionId, RoomId>,
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
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, follow: Follow, ctx: &mut Self::Context) -> Self::Result {
        self.is_of_this_history();
        let Follow { user, username, session, outbox } = follow;
        let follower = Follower { session, outbox, greeted: false };
        let sockets = &mut self.people.entry(user).or_default().sockets;
        // Most have one; a vector would make space for four.
        sockets.reserve_exact(usize::from(sockets.is_empty()));
        sockets.push(follower);
        let (answer, answered) = oneshot::channel();
        self.arrivals.entry(user).or_default().push(Arrival { session, username, answer });
        self.read_list(user, ctx);
        Box::pin(async move { answered.await.unwrap_or(false) })
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
                Signal::Read(mark) => {
                    let known = self.line(mark.user, room);
                    let is_known = known.is_some();
                    // A mark only goes forward, so that a line which has it needn't be read for it.
                    if known.is_none_or(|line| !line.has_read(mark.up_to)) {
                        self.make_stale(mark.user, room, is_known);
                    }
                }
                Signal::Muted { user } => {
                    self.make_stale(*user, room, self.line(*user, room).is_some());
                }
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
            self.note_news(room, head);
            let behind: Vec<UserId> = self
                .followers(room)
                .filter(|user| self.line(*user, room).is_some_and(|line| line.head < head))
                .collect();
            for user in behind {
                self.make_stale(user, room, false);
            }
        }
        self.turn_later(ctx);
    }
}

/// One whose line of a room this node may not have heard of.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Recheck {
    /// The room.
    pub room: RoomId,
    /// Whose.
    pub user: UserId,
    /// Whether the person was put in: of a line that is there the room's head tells the rest.
    pub is_new: bool,
}

impl Handler<Recheck> for InboxActor {
    type Result = ();

    fn handle(&mut self, Recheck { room, user, is_new }: Recheck, ctx: &mut Self::Context) {
        let is_known = self.line(user, room).is_some();
        if !(is_new && is_known) {
            self.make_stale(user, room, is_new);
        }
        self.turn_later(ctx);
    }
}

/// Someone may be called otherwise now.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Named {
    /// Who.
    pub user: UserId,
    /// Whether that has just happened; else the feed repeats it.
    pub is_news: bool,
}

impl Handler<Named> for InboxActor {
    type Result = ();

    fn handle(&mut self, Named { user, is_news }: Named, ctx: &mut Self::Context) {
        if self.followed.is_empty() && self.reads.is_empty() {
            return;
        }
        *self.named.entry(user).or_default() |= is_news;
        if !self.reads.is_empty() {
            self.named_meanwhile.insert(user);
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
            ("lists that are read", self.reads.len()),
            ("lists that are told anew", self.retelling.len()),
        ]
    }

    fn line(&self, user: UserId, room: RoomId) -> Option<&Line> {
        self.people.get(&user)?.line(room)
    }

    fn followers(&self, room: RoomId) -> impl Iterator<Item = UserId> {
        self.followed.get(&room).into_iter().flat_map(|followed| followed.by.iter().copied())
    }

    fn unfollow(&mut self, user: UserId, session: SessionId) {
        self.retelling.remove(&session);
        if let btree_map::Entry::Occupied(mut arrivals) = self.arrivals.entry(user) {
            arrivals.get_mut().retain(|arrival| arrival.session != session);
            if arrivals.get().is_empty() {
                arrivals.remove();
            }
        }
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
            self.make_stale(user, room, false);
        }
        self.turn_later(ctx);
    }

    /// Has a line read anew, and told in any case where `is_told`.
    fn make_stale(&mut self, user: UserId, room: RoomId, is_told: bool) {
        if self.people.contains_key(&user) {
            *self.stale.entry(user).or_default().entry(room).or_default() |= is_told;
        }
    }

    /// Gathers what changes for a moment, then reads what must be read and tells what is to be told.
    fn turn_later(&mut self, ctx: &mut Context<Self>) {
        let has_some = !(self.changed.is_empty()
            && self.totals.is_empty()
            && self.stale.is_empty()
            && self.named.is_empty());
        if self.turn_is_due || !has_some {
            return;
        }
        self.turn_is_due = true;
        ctx.run_later(limits::INBOX_GATHER, |this, ctx| {
            this.turn_is_due = false;
            this.read_names();
            this.tell_changed();
            this.refresh_stale(ctx);
        });
    }
}

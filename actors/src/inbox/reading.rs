//! Reading lists from the store: all of one for those who come, and lines that events alone could not
//! bring up to date. Of each list there is one read at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context};
use tokio::sync::oneshot;

use super::InboxActor;
use super::onlooker::Line;
use crate::domain::ids::{Epoch, RoomId, Seq, UserId};
use crate::limits;
use crate::ports::store::{InboxRoom, StoreError};
use crate::protocol::server::ServerFrame;
use crate::session::SessionId;

/// A socket that has come and is to be greeted.
pub(super) struct Arrival {
    pub(super) session: SessionId,
    pub(super) username: Arc<str>,
    /// Whether it was let in.
    pub(super) answer: oneshot::Sender<bool>,
}

/// A read of someone's list that is under way.
pub(super) struct Reading {
    /// Whom it lets in: it began after they came. With any of them it is of the whole list.
    arrivals: Vec<Arrival>,
    /// The lines that were stale, as [`InboxActor::stale`] has them.
    asked: BTreeMap<RoomId, bool>,
    /// Rooms that the person left since it began, with the positions of that.
    left: BTreeMap<RoomId, Seq>,
}

impl Reading {
    /// Notes that the person is no longer in a room.
    pub(super) fn left(&mut self, room: RoomId, at: Seq) {
        let known = self.left.entry(room).or_insert(at);
        *known = at.max(*known);
    }

    /// Whether it is a read of this room's line that is told in any case.
    pub(super) fn asks_for(&self, room: RoomId) -> bool {
        self.asked.get(&room) == Some(&true)
    }

    fn is_whole(&self) -> bool {
        !self.arrivals.is_empty()
    }
}

/// What a read came to, and the history that it was begun in.
struct Read {
    rooms: Result<Vec<InboxRoom>, StoreError>,
    epoch: Option<Epoch>,
}

impl InboxActor {
    /// Reads the whole list of one for whom sockets wait, once no other read of it is under way.
    pub(super) fn read_list(&mut self, user: UserId, ctx: &mut Context<Self>) {
        if self.reads.contains_key(&user) {
            return;
        }
        let Some(arrivals) = self.arrivals.remove(&user) else { return };
        let asked = self.stale.remove(&user).unwrap_or_default();
        self.read(user, Reading { arrivals, asked, left: BTreeMap::new() }, ctx, move |this, read, ctx| {
            this.has_read(user, read, ctx);
            this.turn_later(ctx);
        });
    }

    /// Reads stale lines from the store, one person after another, each in turn.
    pub(super) fn refresh_stale(&mut self, ctx: &mut Context<Self>) {
        if self.refreshing {
            return;
        }
        let after = self.stale.range((self.read_last.map_or(Unbounded, Excluded), Unbounded));
        let mut in_turn = after.chain(&self.stale).map(|(user, _)| *user);
        // A list that is being read has its turn after that.
        let Some(user) = in_turn.find(|user| !self.reads.contains_key(user)) else { return };
        let Some(asked) = self.stale.remove(&user) else { return };
        self.refreshing = true;
        self.read_last = Some(user);
        let reading = Reading { arrivals: Vec::new(), asked, left: BTreeMap::new() };
        self.read(user, reading, ctx, move |this, read, ctx| {
            if let Err(error) = &read.rooms {
                tracing::warn!(%error, "could not refresh a list of rooms");
                this.patience = (this.patience * 2).clamp(limits::INBOX_RETRY, limits::INBOX_RETRY_MAX);
                this.has_read(user, read, ctx);
                ctx.run_later(this.patience, |this, ctx| {
                    this.refreshing = false;
                    this.refresh_stale(ctx);
                });
                return;
            }
            this.patience = Duration::ZERO;
            this.refreshing = false;
            this.has_read(user, read, ctx);
            this.refresh_stale(ctx);
        });
    }

    fn read(
        &mut self,
        user: UserId,
        reading: Reading,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Read, &mut Context<Self>) + 'static,
    ) {
        let Some(store) = self.core.as_ref().map(|core| core.store.clone()) else { return };
        let rooms = (!reading.is_whole()).then(|| reading.asked.keys().copied().collect::<Vec<_>>());
        self.reads.insert(user, reading);
        let epoch = self.epoch;
        let read = async move { Read { rooms: store.inbox(user, rooms.as_deref()).await, epoch } };
        ctx.spawn(actix::fut::wrap_future::<_, Self>(read).map(move |read, this, ctx| then(this, read, ctx)));
    }

    /// Takes in what was read, greets those who waited for it, and tells what changed.
    fn has_read(&mut self, user: UserId, Read { rooms, epoch }: Read, ctx: &mut Context<Self>) {
        if !self.is_of_this_history() || self.epoch != epoch {
            return;
        }
        let Some(reading) = self.reads.remove(&user) else { return };
        let is_read = rooms.is_ok();
        match rooms {
            Ok(rooms) => self.refresh(user, &reading, rooms),
            Err(_) => {
                for (room, is_told) in reading.asked {
                    self.make_stale(user, room, is_told);
                }
            }
        }
        for Arrival { session, username, answer } in reading.arrivals {
            let is_in = is_read && self.greet(user, session, &username);
            if !is_in {
                self.unfollow(user, session);
            }
            // Nobody waits any more for one who has gone.
            let _gone = answer.send(is_in);
        }
        if self.reads.is_empty() {
            self.news.clear();
            self.named_meanwhile.clear();
        }
        self.tell_changed();
        self.read_list(user, ctx);
    }

    fn refresh(&mut self, user: UserId, reading: &Reading, mut rooms: Vec<InboxRoom>) {
        let Some(onlooker) = self.people.get(&user) else { return };
        let is_shown = onlooker.greeted().next().is_some();
        // In the order in which they are kept, so that each is put behind the one before.
        rooms.sort_unstable_by_key(|told| told.room.id);
        let found: BTreeSet<RoomId> = rooms.iter().map(|told| told.room.id).collect();
        let listed: Vec<RoomId> = onlooker.rooms().filter(|_| reading.is_whole()).collect();
        for room in listed.into_iter().chain(reading.asked.keys().copied()) {
            if found.contains(&room) {
                continue;
            }
            if self.line(user, room).is_some() {
                self.take_off(user, room);
            } else if reading.asked.get(&room) == Some(&true) && !reading.left.contains_key(&room) {
                // It came and went; a client may have read it by REST meanwhile.
                self.tell_removed(user, room);
            }
        }
        for told in rooms {
            self.refresh_line(user, reading, &told, is_shown);
        }
        if let Some(onlooker) = self.people.get_mut(&user).filter(|_| reading.is_whole()) {
            onlooker.fit();
        }
    }

    fn refresh_line(&mut self, user: UserId, reading: &Reading, told: &InboxRoom, is_shown: bool) {
        let (room, head) = (told.room.id, told.room.head);
        if reading.left.get(&room).is_some_and(|left| *left > head) {
            return;
        }
        let is_asked = reading.asked.get(&room) == Some(&true);
        let known = self.line(user, room);
        if known.is_some_and(|known| known.head > head) {
            // It was read before what has come since; once more.
            return self.make_stale(user, room, is_asked);
        }
        let is_new = known.is_none();
        self.lapses_at(user, room, told.muted_until);
        let line = Line::of(told, self.followed.get(&room).map(|followed| &followed.face));
        let is_told = is_shown && (is_asked || self.line(user, room) != Some(&line));
        #[cfg(feature = "planted-bugs")]
        let is_told = is_told && !crate::planted::Bug::UntoldLine.is_planted();
        let names_are_old = line.face.people().any(|person| self.named_meanwhile.contains(&person));
        self.take_in(user, line);
        if let (true, true, Some(onlooker)) = (is_new, is_shown, self.people.get(&user)) {
            onlooker.send(&ServerFrame::RoomAdded { room_id: room, room: (&told.room).into() });
        }
        if is_told {
            self.changed.insert((user, room));
        }
        if names_are_old || (is_new && self.news.get(&room).is_some_and(|heard| *heard > head)) {
            self.make_stale(user, room, false);
        }
    }
}

//! Lines that events alone could not bring up to date: read anew, and told where they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context};

use super::InboxActor;
use crate::core::Core;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::room::Room;
use crate::limits;
use crate::ports::store::{InboxRoom, StoreError};
use crate::protocol::server::ServerFrame;

/// What the store tells of some of a person's lines, and of the rooms that the list didn't show before.
struct Told {
    lines: Vec<InboxRoom>,
    added: BTreeMap<RoomId, Room>,
}

impl InboxActor {
    /// Reads stale lines from the store, one person after another, each in turn.
    pub(super) fn read_stale(&mut self, ctx: &mut Context<Self>) {
        if self.reading {
            return;
        }
        let after = self.stale.range((self.read_last.map_or(Unbounded, Excluded), Unbounded)).next();
        let Some(user) = after.or_else(|| self.stale.first_key_value()).map(|(user, _)| *user) else {
            return;
        };
        let (Some(core), Some(rooms)) = (self.core.clone(), self.stale.remove(&user)) else { return };
        self.reading = true;
        self.read_last = Some(user);
        let rooms: Vec<RoomId> = rooms.into_iter().collect();
        let unknown = rooms.iter().copied().filter(|room| self.line(user, *room).is_none()).collect();
        let (asked, epoch) = (rooms.clone(), self.epoch);
        let read = async move { read(&core, user, &asked, &unknown).await };
        ctx.spawn(actix::fut::wrap_future::<_, Self>(read).map(move |told, this, ctx| match told {
            Ok(told) => {
                this.patience = Duration::ZERO;
                let is_current = this.is_of_this_history() && this.epoch == epoch;
                this.has_read(|this| {
                    if is_current {
                        this.refresh(user, &rooms, told);
                    }
                });
                if this.stale.is_empty() { this.turn_later(ctx) } else { this.read_stale(ctx) }
            }
            Err(error) => {
                tracing::warn!(%error, "could not refresh a list of rooms");
                for room in rooms {
                    this.make_stale(user, room);
                }
                this.patience = (this.patience * 2).clamp(limits::INBOX_RETRY, limits::INBOX_RETRY_MAX);
                ctx.run_later(this.patience, |this, ctx| {
                    this.has_read(|_| ());
                    this.read_stale(ctx);
                });
            }
        }));
    }

    fn has_read(&mut self, take: impl FnOnce(&mut Self)) {
        self.reading = false;
        take(self);
        self.forget_news();
        self.tell_changed();
    }

    fn refresh(&mut self, user: UserId, asked: &[RoomId], Told { lines, added }: Told) {
        let found: BTreeSet<RoomId> = lines.iter().map(|line| line.room).collect();
        for room in asked.iter().filter(|room| !found.contains(room)) {
            self.take_off(user, *room);
        }
        for told in lines {
            let room = told.room;
            let is_new = self.line(user, room).is_none();
            if is_new && (!added.contains_key(&room) || self.news.contains(&room)) {
                // What the client is to be told of it could not be read, or is no longer all; once more.
                self.make_stale(user, room);
                if !added.contains_key(&room) {
                    continue;
                }
            }
            let line = self.line_of(user, told);
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

async fn read(
    core: &Core,
    user: UserId,
    rooms: &[RoomId],
    unknown: &BTreeSet<RoomId>,
) -> Result<Told, StoreError> {
    let lines = core.store.inbox(user, Some(rooms)).await?;
    let mut added = BTreeMap::new();
    for line in lines.iter().filter(|line| unknown.contains(&line.room)) {
        if let Some(snapshot) = core.store.snapshot(line.room, &[], false).await? {
            added.insert(line.room, snapshot.room);
        }
    }
    Ok(Told { lines, added })
}

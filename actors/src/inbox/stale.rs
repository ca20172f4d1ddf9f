//! Lines that events alone could not bring up to date: read anew, and told where they differ.

use std::collections::{BTreeMap, BTreeSet};

use actix::{ActorFutureExt, AsyncContext, Context};

use super::InboxActor;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::room::Room;
use crate::ports::store::{InboxRoom, StoreError};
use crate::protocol::server::ServerFrame;

impl InboxActor {
    /// Reads stale lines from the store, one person after another.
    pub(super) fn read_stale(&mut self, ctx: &mut Context<Self>) {
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

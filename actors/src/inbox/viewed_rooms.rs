//! Which rooms the inboxes show, to whom, and what is shown of each.

use std::collections::HashMap;
use std::sync::Arc;

use super::InboxActor;
use super::viewer::{InboxRow, RoomPreview};
use crate::domain::ids::{RoomId, UserId};
use crate::messages::relay::FollowRoom;

/// The rooms that at least one viewer's inbox shows.
#[derive(Default)]
pub(super) struct ViewedRooms(HashMap<RoomId, ViewedRoom>);

struct ViewedRoom {
    /// The viewers, in the order of their ids.
    users: Vec<UserId>,
    /// The newest preview. Viewers to whom the room looks the same share it.
    preview: Arc<RoomPreview>,
}

impl ViewedRooms {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The users whose inboxes show a room, in the order of their ids.
    pub(super) fn viewers(&self, room: RoomId) -> Vec<UserId> {
        self.0.get(&room).map(|viewed| viewed.users.clone()).unwrap_or_default()
    }

    pub(super) fn preview(&self, room: RoomId) -> Option<&Arc<RoomPreview>> {
        self.0.get(&room).map(|viewed| &viewed.preview)
    }

    /// Replaces the preview of a room, if it is viewed.
    pub(super) fn set_preview(&mut self, room: RoomId, preview: Arc<RoomPreview>) {
        if let Some(viewed) = self.0.get_mut(&room) {
            viewed.preview = preview;
        }
    }

    /// Adds a viewer. Returns whether the room had none before.
    fn add(&mut self, user: UserId, room: RoomId, preview: Arc<RoomPreview>) -> bool {
        let viewed =
            self.0.entry(room).or_insert_with(|| ViewedRoom { users: Vec::new(), preview: preview.clone() });
        viewed.preview = preview;
        let is_new = viewed.users.is_empty();
        if let Err(at) = viewed.users.binary_search(&user) {
            viewed.users.insert(at, user);
        }
        is_new
    }

    /// Removes a viewer. Returns whether it was the last one of the room.
    fn remove(&mut self, user: UserId, room: RoomId) -> bool {
        let Some(viewed) = self.0.get_mut(&room) else { return false };
        if let Ok(at) = viewed.users.binary_search(&user) {
            viewed.users.remove(at);
        }
        let is_last = viewed.users.is_empty();
        if is_last {
            self.0.remove(&room);
        }
        is_last
    }

    /// Removes all rooms, and returns them.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = RoomId> + use<> {
        std::mem::take(&mut self.0).into_keys()
    }
}

impl InboxActor {
    /// Puts a row that was read from the store into a user's inbox.
    pub(super) fn put_row(&mut self, user: UserId, row: InboxRow) {
        let Some(viewer) = self.viewers.get_mut(&user) else { return };
        let (room, preview) = (row.room, row.preview.clone());
        viewer.put(row);
        if self.viewed_rooms.add(user, room, preview) {
            self.follow_room(room, true);
        }
    }

    /// Notes that a user's inbox doesn't show a room any more.
    pub(super) fn stop_viewing(&mut self, user: UserId, room: RoomId) {
        if self.viewed_rooms.remove(user, room) {
            self.follow_room(room, false);
        }
    }

    pub(super) fn follow_room(&self, room: RoomId, on: bool) {
        self.deps.relay.tell(FollowRoom { room, on });
    }
}

//! Rooms that are told which of their participants are online.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::ids::{RoomId, UserId};
use crate::messages::instance::RoomInstance;
use crate::messages::users::{PresenceChanged, PresenceWatcher};

/// The watching rooms, and the users that they watch.
#[derive(Default)]
pub(super) struct PresenceWatchers {
    rooms: HashMap<RoomId, WatchingRoom>,
    rooms_by_user: HashMap<UserId, Vec<RoomId>>,
}

struct WatchingRoom {
    instance: RoomInstance,
    mailbox: Arc<dyn PresenceWatcher>,
    users: Vec<UserId>,
}

impl PresenceWatchers {
    pub(super) fn room_count(&self) -> usize {
        self.rooms.len()
    }

    pub(super) fn user_count(&self) -> usize {
        self.rooms_by_user.len()
    }

    /// Adds users to those that a room watches. The room's newest actor is the one that is told.
    pub(super) fn watch(
        &mut self,
        instance: RoomInstance,
        mailbox: Arc<dyn PresenceWatcher>,
        users: Vec<UserId>,
    ) {
        let room = instance.room;
        let watching = self.rooms.entry(room).or_insert_with(|| WatchingRoom {
            instance,
            mailbox: mailbox.clone(),
            users: Vec::with_capacity(users.len()),
        });
        (watching.instance, watching.mailbox) = (instance, mailbox);
        for user in users {
            let rooms = self.rooms_by_user.entry(user).or_default();
            if !rooms.contains(&room) {
                // Most users are in few rooms; a vector would reserve space for four.
                rooms.reserve_exact(usize::from(rooms.is_empty()));
                rooms.push(room);
                watching.users.push(user);
            }
        }
    }

    /// Removes a room, unless another actor of it watches by now.
    pub(super) fn unwatch(&mut self, instance: RoomInstance) {
        let room = instance.room;
        if self.rooms.get(&room).is_none_or(|watching| watching.instance != instance) {
            return;
        }
        let users = self.rooms.remove(&room).map(|watching| watching.users).unwrap_or_default();
        for user in users {
            if let Some(rooms) = self.rooms_by_user.get_mut(&user) {
                rooms.retain(|other| *other != room);
                if rooms.is_empty() {
                    self.rooms_by_user.remove(&user);
                }
            }
        }
    }

    /// Tells the rooms of a user that the user came online or went offline.
    pub(super) fn tell(&self, user: UserId, online: bool) {
        for room in self.rooms_by_user.get(&user).into_iter().flatten() {
            let Some(watching) = self.rooms.get(room) else { continue };
            let (came, went) = if online { (vec![user], Vec::new()) } else { (Vec::new(), vec![user]) };
            watching.mailbox.tell(PresenceChanged { came, went, anew: false });
        }
    }
}

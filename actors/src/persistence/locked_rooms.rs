//! Rooms whose lock another transaction holds. Each is retried in a transaction of its own that waits for
//! the lock, so that no other room waits with it.

use std::collections::VecDeque;
use std::time::Duration;

use super::queue::QueuedCommand;
use crate::domain::ids::RoomId;
use crate::limits;

/// The locked rooms, with their commands.
#[derive(Default)]
pub(super) struct LockedRooms {
    /// The commands of each room that waits for a retry, in the order of their turns.
    waiting: VecDeque<Vec<QueuedCommand>>,
    retries: usize,
}

impl LockedRooms {
    /// The number of locked rooms, with those that are being retried.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.retries
    }

    /// Whether no room waits for a retry.
    pub(super) fn none_waits(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds the commands of rooms that are not here yet.
    pub(super) fn add(&mut self, commands: Vec<QueuedCommand>) {
        let mut by_room: Vec<Vec<QueuedCommand>> = Vec::new();
        for queued in commands {
            match by_room.iter_mut().find(|others| others[0].room() == queued.room()) {
                Some(others) => others.push(queued),
                None => by_room.push(vec![queued]),
            }
        }
        self.waiting.extend(by_room);
    }

    /// Takes the commands of the next room, unless too many are being retried.
    pub(super) fn start_retry(&mut self) -> Option<Vec<QueuedCommand>> {
        if self.retries >= limits::LOCKED_ROOM_RETRIES_MAX {
            return None;
        }
        let commands = self.waiting.pop_front()?;
        self.retries += 1;
        Some(commands)
    }

    /// Ends a retry. The room's commands that are left wait for another one.
    pub(super) fn end_retry(&mut self, commands: Vec<QueuedCommand>) {
        self.retries -= 1;
        if !commands.is_empty() {
            self.waiting.push_back(commands);
        }
    }

    /// Removes the commands whose deadlines have passed, and the rooms that have none left.
    pub(super) fn take_expired(&mut self, now: Duration) -> (Vec<QueuedCommand>, Vec<RoomId>) {
        let (mut expired, mut rooms) = (Vec::new(), Vec::new());
        self.waiting.retain_mut(|commands| {
            let room = commands[0].room();
            expired.extend(commands.extract_if(.., |queued| queued.deadline <= now));
            rooms.extend(commands.is_empty().then_some(room));
            !commands.is_empty()
        });
        (expired, rooms)
    }
}

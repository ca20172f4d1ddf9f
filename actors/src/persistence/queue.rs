//! Commands that wait for the store, by room.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::command::Command;
use crate::domain::ids::RoomId;
use crate::messages::instance::RoomInstance;
use crate::messages::persistence::CommitListener;

/// A command on its way to the store.
pub(super) struct QueuedCommand {
    pub(super) command: Arc<Command>,
    /// What the room calls the command.
    pub(super) command_id: u64,
    pub(super) instance: RoomInstance,
    pub(super) listener: Arc<dyn CommitListener>,
    pub(super) deadline: Duration,
}

impl QueuedCommand {
    pub(super) fn room(&self) -> RoomId {
        self.instance.room
    }

    fn weight(&self) -> usize {
        self.command.weight()
    }
}

fn weight_of(commands: &[QueuedCommand]) -> usize {
    commands.iter().map(QueuedCommand::weight).sum()
}

/// The queues of all rooms. A room whose commands are in a transaction has no turn until it is released.
#[derive(Default)]
pub(super) struct CommandQueue {
    by_room: BTreeMap<RoomId, VecDeque<QueuedCommand>>,
    /// Rooms that have queued commands and are in no transaction, in the order of their turns.
    ready_rooms: VecDeque<RoomId>,
    committing: BTreeSet<RoomId>,
    weight: usize,
}

impl CommandQueue {
    /// The number of queued commands, by their weight.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    pub(super) fn ready_rooms(&self) -> usize {
        self.ready_rooms.len()
    }

    pub(super) fn committing_rooms(&self) -> usize {
        self.committing.len()
    }

    pub(super) fn push(&mut self, queued: QueuedCommand) {
        let room = queued.room();
        self.weight += queued.weight();
        let queue = self.by_room.entry(room).or_default();
        queue.push_back(queued);
        if queue.len() == 1 && !self.committing.contains(&room) {
            self.ready_rooms.push_back(room);
        }
    }

    /// Puts back commands of rooms that are not released yet, before those that have come since.
    pub(super) fn push_front(&mut self, commands: Vec<QueuedCommand>) {
        self.weight += weight_of(&commands);
        for queued in commands.into_iter().rev() {
            self.by_room.entry(queued.room()).or_default().push_front(queued);
        }
    }

    /// Takes commands, room by room, and everything of a room that fits, until they weigh `max`; the last one may
    /// weigh more than what is left.
    pub(super) fn take_batch(&mut self, max: usize) -> Vec<QueuedCommand> {
        let mut batch = Vec::new();
        let mut weight = 0;
        while weight < max
            && let Some(room) = self.ready_rooms.pop_front()
        {
            let Some(queue) = self.by_room.get_mut(&room) else { continue };
            while weight < max
                && let Some(queued) = queue.pop_front()
            {
                weight += queued.weight();
                batch.push(queued);
            }
            if queue.is_empty() {
                self.by_room.remove(&room);
            }
            self.committing.insert(room);
        }
        self.weight -= weight;
        batch
    }

    /// Gives rooms their next turns, because their transaction has ended.
    pub(super) fn release(&mut self, rooms: impl Iterator<Item = RoomId>) {
        for room in rooms {
            self.committing.remove(&room);
            if self.by_room.contains_key(&room) {
                self.ready_rooms.push_back(room);
            }
        }
    }

    /// Removes the commands whose deadlines have passed. Those of a room have their deadlines in the order in
    /// which they came.
    pub(super) fn take_expired(&mut self, now: Duration) -> Vec<QueuedCommand> {
        let mut expired = Vec::new();
        for queue in self.by_room.values_mut() {
            expired.extend(std::iter::from_fn(|| queue.pop_front_if(|queued| queued.deadline <= now)));
        }
        self.by_room.retain(|_, queue| !queue.is_empty());
        self.weight -= weight_of(&expired);
        let by_room = &self.by_room;
        self.ready_rooms.retain(|room| by_room.contains_key(room));
        expired
    }
}

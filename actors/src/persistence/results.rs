//! What a batch made of its commands, for each room that waits for an answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::queue::QueuedCommand;
use crate::domain::ids::RoomId;
use crate::messages::instance::RoomInstance;
use crate::messages::persistence::{CommitListener, CommitResult};

/// The result for one room's actor.
pub(super) struct RoomResult {
    pub(super) instance: RoomInstance,
    pub(super) listener: Arc<dyn CommitListener>,
    pub(super) result: CommitResult,
}

/// The results for all rooms of a batch, in the order in which the rooms came.
#[derive(Default)]
pub(super) struct RoomResults {
    results: Vec<RoomResult>,
    last_of_room: BTreeMap<RoomId, usize>,
}

impl RoomResults {
    /// The result that a command belongs to. A room's actor may have been replaced since the command came:
    /// each gets its own answers.
    pub(super) fn of(&mut self, queued: &QueuedCommand) -> &mut CommitResult {
        let last = self.last_of_room.get(&queued.room()).copied();
        let at = last.filter(|at| self.results[*at].instance == queued.instance).unwrap_or_else(|| {
            let (instance, listener) = (queued.instance, queued.listener.clone());
            self.results.push(RoomResult { instance, listener, result: CommitResult::default() });
            self.results.len() - 1
        });
        self.last_of_room.insert(queued.room(), at);
        &mut self.results[at].result
    }

    /// The results of the rooms for which there are answers.
    pub(super) fn answered(self) -> impl Iterator<Item = RoomResult> {
        self.results.into_iter().filter(|room| !room.result.answers.is_empty())
    }
}

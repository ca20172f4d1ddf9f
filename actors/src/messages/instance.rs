//! What names one actor of a room.

use crate::domain::ids::RoomId;

/// Names one actor of a room: another one may take its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RoomInstance {
    pub(crate) room: RoomId,
    /// Counts the room actors of this node.
    pub(crate) number: u64,
}

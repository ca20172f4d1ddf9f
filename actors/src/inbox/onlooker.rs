//! One who looks at a list of rooms, on as many sockets as show it.

use std::collections::BTreeMap;

use crate::domain::ids::RoomId;
use crate::ports::store::InboxRoom;
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;
use crate::session::SessionId;
use crate::switchboard::OutboxRef;

/// A person with at least one socket that shows his rooms.
#[derive(Default)]
pub(super) struct Onlooker {
    pub(super) sockets: Vec<Follower>,
    /// Boxed, for a map keeps space for as many again.
    pub(super) rooms: BTreeMap<RoomId, Box<InboxRoom>>,
}

/// A socket that shows its person's rooms.
pub(super) struct Follower {
    pub(super) session: SessionId,
    pub(super) outbox: OutboxRef,
    /// Whether it has been told how things stood; before that it is told nothing.
    pub(super) greeted: bool,
}

impl Onlooker {
    pub(super) fn greeted(&self) -> impl Iterator<Item = &OutboxRef> {
        self.sockets.iter().filter(|follower| follower.greeted).map(|follower| &follower.outbox)
    }

    pub(super) fn total_unread(&self) -> i64 {
        self.rooms.values().filter(|room| !room.is_muted).map(|room| room.unread).sum()
    }

    pub(super) fn send(&self, frame: &ServerFrame<'_>) {
        let bytes = codec::encode(frame);
        for outbox in self.greeted() {
            outbox.push(bytes.clone());
        }
    }
}

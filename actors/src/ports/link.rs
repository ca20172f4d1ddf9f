//! The link between nodes. It may lose, repeat, reorder and corrupt; the log repairs all of it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::domain::ids::{RoomId, UserId};

/// Where an envelope goes: to the nodes that listen to one of a fixed number of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Rooms, by a hash of their id.
    Room(u16),
    /// People, by a hash of their id.
    User(u16),
    /// Every node.
    Nodes,
}

/// What comes from the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// An envelope, as some node sent it or as something made of it.
    Envelope(Bytes),
    /// The link works for all that is listened to. Told again whenever that has grown: what was
    /// published before is missing.
    Up,
    /// The link doesn't work; envelopes are being lost.
    Down,
}

/// A way to hint to other nodes.
#[async_trait]
pub trait Link: Send + Sync + 'static {
    /// Sends an envelope once to each node that listens to any of these topics, or drops it when it
    /// can't go out soon. Never waits.
    fn publish(&self, topics: &BTreeSet<Topic>, envelope: Bytes);

    /// Listens to these topics from now on, and to no others. Never waits.
    fn listen(&self, topics: BTreeSet<Topic>);

    /// Starts the link; what comes from it goes to `incoming`, and what doesn't fit is dropped.
    async fn start(&self, incoming: mpsc::Sender<Incoming>);

    /// Ends the link after sending what is queued, for a short while.
    async fn stop(&self);
}

/// Shards of rooms, and of people: so many that nodes share few of them, so few that a node may
/// listen to all.
const SHARDS: u16 = 256;

impl Topic {
    /// The topic of a room.
    #[must_use]
    pub fn of_room(room: RoomId) -> Self {
        Self::Room(shard(room.0.as_bytes()))
    }

    /// The topic of a person.
    #[must_use]
    pub fn of_user(user: UserId) -> Self {
        Self::User(shard(&user.0.to_be_bytes()))
    }
}

/// FNV-1a, folded: the same on every node and in every version.
fn shard(id: &[u8]) -> u16 {
    let hash =
        id.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    u16::try_from((hash ^ (hash >> 16)) % u32::from(SHARDS)).unwrap_or_default()
}

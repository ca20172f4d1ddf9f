//! The broker between nodes. It may lose, repeat, reorder and corrupt envelopes; the log repairs all of it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::domain::ids::{RoomId, UserId};

/// An address of envelopes: a fixed number of shards, each with the nodes that subscribe to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Rooms, by a hash of their id.
    Room(u16),
    /// Users, by a hash of their id.
    User(u16),
    /// Every node.
    Nodes,
}

/// What the broker delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerEvent {
    /// An envelope, possibly corrupted.
    Envelope(Bytes),
    /// The broker works for all subscribed topics. Repeated whenever topics were added, since envelopes
    /// published to those before are missing.
    Up,
    /// The broker doesn't work; envelopes are being lost.
    Down,
}

/// A way to send hints to other nodes.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Sends an envelope once to each node that subscribes to any of these topics, or drops it if it can't go
    /// out soon. Never waits.
    fn publish(&self, topics: &BTreeSet<Topic>, envelope: Bytes);

    /// Subscribes to exactly these topics from now on. Never waits.
    fn listen(&self, topics: BTreeSet<Topic>);

    /// Starts delivery to `incoming`; what doesn't fit is dropped.
    async fn start(&self, incoming: mpsc::Sender<BrokerEvent>);

    /// Stops after sending what is queued, within a short time.
    async fn stop(&self);
}

/// Shards of rooms, and of users: enough that nodes share few of them, few enough for a node to subscribe to
/// all.
const SHARDS: u16 = 256;

impl Topic {
    /// The topic of a room.
    #[must_use]
    pub fn of_room(room: RoomId) -> Self {
        Self::Room(shard(room.0.as_bytes()))
    }

    /// The topic of a user.
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

//! How much an engine holds: what must come back to nothing when all clients have gone.

use actix::Message;

/// What an actor holds: a name and a number for each kind of thing.
pub type ResourceCounts = Vec<(&'static str, usize)>;

/// Asks an actor how much it holds.
#[derive(Clone, Copy, Message)]
#[rtype(result = "ResourceCounts")]
pub(crate) struct CountResources;

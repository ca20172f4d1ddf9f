//! The rooms' logs: appending to them, reading them, following all of them, and removing what they no
//! longer need.

pub(crate) mod append;
pub(crate) mod changes;
mod commit_resolver;
pub(crate) mod consumer;
pub(crate) mod consumer_batch;
mod erasure;
pub(crate) mod events;
mod feature_tables;
pub(crate) mod feed;
mod load_locked;
pub(crate) mod open_room;
mod read_moves;
mod statements;
mod write_set;

/// The statements that a connection of the engine prepares as soon as it is opened.
pub(crate) fn prepared() -> Vec<&'static str> {
    [&load_locked::PREPARED[..], &statements::PREPARED[..], &feature_tables::prepared()].concat()
}

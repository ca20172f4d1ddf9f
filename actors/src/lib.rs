//! The chat engine: rooms and sessions as actors, over ports that the server fills in.
//!
//! Reads from the inside out: [`domain`] holds the rules as plain functions, [`protocol`] the wire,
//! [`ports`] what the engine needs of the world, the actors move messages between them, and
//! [`engine`] is all that the server sees. There is no SQL, HTTP, AMQP or environment in here.

#![forbid(unsafe_code)]

pub mod census;
pub mod core;
pub mod domain;
pub mod engine;
pub mod error;
pub mod failpoint;
pub mod inbox;
pub mod limits;
#[cfg(feature = "memory")]
pub mod memory;
pub mod outbox;
pub mod people;
pub mod persistence;
#[cfg(feature = "planted-bugs")]
pub mod planted;
pub mod ports;
pub mod protocol;
pub mod registry;
pub mod relay;
pub mod room;
pub mod session;
pub mod switchboard;
pub mod worker;

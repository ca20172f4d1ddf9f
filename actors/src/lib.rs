//! The chat engine: rooms and sessions as actors, over ports that the server fills in.
//!
//! Reads from the inside out: [`domain`] holds the rules as plain functions, [`protocol`] the wire,
//! [`ports`] what the engine needs of the world, the actors move messages between them, and
//! [`engine`] is all that the server sees. There is no SQL, HTTP, AMQP or environment in here.

#![forbid(unsafe_code)]

mod bots;
pub mod domain;
pub mod engine;
pub mod error;
pub mod failpoint;
mod inbox;
#[cfg(feature = "injected-bugs")]
pub mod injected_bugs;
pub mod limits;
mod mailbox;
#[cfg(feature = "memory")]
pub mod memory;
mod messages;
mod outbox;
mod persistence;
pub mod ports;
pub mod protocol;
mod registry;
mod relay;
mod room;
mod session;
#[cfg(all(test, feature = "memory"))]
mod setup;
mod switchboard;
mod users;
mod worker;

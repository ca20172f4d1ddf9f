//! Ports in memory, for tests and the simulation: the same rules, no database, faults at will.

#![allow(clippy::disallowed_types, reason = "what several engines of one test share")]

pub mod broker;
pub mod connection;
pub mod engine;
mod faults;
pub(crate) mod mailbox;
mod personal_table;
mod room_table;
pub mod store;
pub mod switchboard;

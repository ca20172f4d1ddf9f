//! Ports in memory, for tests and the simulation: the same rules, no database, faults at will.

#![allow(clippy::disallowed_types, reason = "what several engines of one test share")]

pub mod engine;
pub mod link;
mod shelf;
pub mod store;
pub mod wire;

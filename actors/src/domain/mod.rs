//! The rules of a chat, as plain values and functions: no actor, no I/O, no clock.

pub mod command;
pub mod event;
pub mod ids;
pub mod ledger;
pub mod message;
pub mod opening;
pub mod participant;
pub mod permission;
pub mod person;
pub mod rate;
pub mod room;
pub mod signal;
pub mod text;

//! What the engine needs from outside. The server implements each port; the memory ports serve tests.

pub mod broker;
pub mod clock;
pub mod connection;
pub mod identity;
pub mod store;

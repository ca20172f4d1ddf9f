//! What the engine needs of the world. The server fills each port in; the memory ports serve tests.

pub mod clock;
pub mod identity;
pub mod link;
pub mod store;
pub mod wire;

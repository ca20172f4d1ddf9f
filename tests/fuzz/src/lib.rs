//! The sources under test, included by path.
//!
//! Depending on the server's package would build a PostgreSQL and an AMQP client with instrumentation
//! first, to fuzz three files that need neither.

#[path = "../../../src/socket/framing.rs"]
pub mod framing;
#[path = "../../../src/socket/guard.rs"]
pub mod guard;
#[path = "../../../src/socket/handshake/mod.rs"]
pub mod handshake;

//! The sources under test, included by path.
//!
//! Depending on the server's package would first build a PostgreSQL and an AMQP client with instrumentation,
//! to fuzz three files that need neither.

#[path = "../../../src/socket/framing.rs"]
pub mod framing;
#[path = "../../../src/socket/frame_header.rs"]
pub mod frame_header;
#[path = "../../../src/socket/handshake/mod.rs"]
pub mod handshake;

//! Chat sockets on the upgraded connection itself: the handshake's checks, and frames.
//!
//! Nothing here knows a room or an actor. [`handshake`] judges an upgrade request, [`framing`] turns
//! bytes into messages and back, behind the [`guard`] on frame headers.

pub mod admission;
pub mod framing;
pub mod guard;
pub mod handshake;
mod reading;
pub mod upgrade;
mod wire;

pub use framing::{CloseFrame, Decoder, Incoming, Text};
pub use guard::{CHAT_RULES, Rules, Violation};
pub use handshake::{Handshake, Origins, Refusal, Target, UpgradeRequest};

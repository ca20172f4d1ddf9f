//! WebSockets: the handshake, the frames, and the connection below the engine's sessions.
//!
//! Only [`upgrade`] and the private modules below it know the engine. [`handshake`] validates an upgrade
//! request, and [`framing`] decodes messages after [`frame_header`] has checked their headers.

mod connection;
pub mod frame_header;
pub mod framing;
pub mod handshake;
pub mod handshake_limiter;
mod reader;
pub mod upgrade;

pub use frame_header::{CHAT_FRAME_LIMITS, FrameLimits, Violation};
pub use framing::{CloseFrame, FrameDecoder, Text, WsMessage};
pub use handshake::{Handshake, Origins, SocketTarget, UpgradeRejection, UpgradeRequest};

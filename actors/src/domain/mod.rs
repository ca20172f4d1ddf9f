//! The rules of a chat, as plain values and functions: no actor, no I/O, no clock.
//!
//! Rooms, messages, participants and users are values with their wire views; [`features`] says what can
//! happen to them.

pub mod attachment;
pub mod bot_command;
pub mod card;
pub mod emoji;
pub mod entry;
pub mod error_code;
pub mod features;
pub mod ids;
pub mod invitation;
pub mod mentions;
pub mod message;
pub mod message_extras;
pub mod notifications;
pub mod participant;
pub mod permission;
pub mod personal;
pub mod rate;
pub mod room;
pub mod room_settings;
pub mod room_type;
pub mod row_change;
pub mod signal;
pub mod text;
pub mod thread;
pub mod upload;
pub mod urgency;
pub mod user;

pub use features::{aggregate, command, event};

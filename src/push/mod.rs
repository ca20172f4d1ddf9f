//! Pushes: sends what users are told to the push services of their browsers (Web Push) and phones (FCM).
//!
//! What is to be sent stands in the store before it is sent from here (`docs/adr/0038-web-push.md`).

mod encryption;
mod fcm;
mod message;
mod sender;
mod vapid;

pub use encryption::{AUTH_BYTES, PUBLIC_KEY_BYTES, is_public_key};
pub use fcm::{ENDPOINT_PREFIX as FCM_ENDPOINT_PREFIX, Fcm, TOKEN_BYTES_MAX as FCM_TOKEN_BYTES_MAX};
pub use sender::run;
pub use vapid::{VapidError, VapidKey};

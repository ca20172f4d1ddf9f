//! Notifications: what the caller was told, why, how the caller wants to be told, and pushes to browsers.

pub mod feed;
pub mod push;
pub mod settings;
pub mod why;

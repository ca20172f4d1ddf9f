//! The chat server: what connects the engine in `actors/` to the world.
//!
//! [`app`] is the only place that wires; everything else is an adapter of one port or one resource of
//! the API.

pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod demo;
pub mod doors;
pub mod files;
pub mod http;
pub mod janitor;
pub mod link;
pub mod socket;
pub mod store;
pub mod telemetry;
pub mod texts;

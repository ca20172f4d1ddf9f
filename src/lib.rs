//! The chat server: connects the engine in `actors/` to HTTP, WebSocket, PostgreSQL and RabbitMQ.
//!
//! [`app`] is the only module that wires the others together. Every other module is an adapter for one port
//! of the engine, or serves one resource of the API.

pub mod app;
pub mod auth;
pub mod broker;
pub mod cli;
pub mod config;
pub mod consumers;
pub mod demo;
pub mod exports;
pub mod files;
pub mod http;
pub mod integrations;
pub mod janitor;
mod keyed_limiter;
pub mod link_previews;
pub mod listener;
pub mod membership_ends;
pub mod moving;
pub mod notifier;
pub mod outbound;
pub mod push;
pub mod retention;
pub mod scheduler;
pub mod socket;
pub mod store;
pub mod telemetry;

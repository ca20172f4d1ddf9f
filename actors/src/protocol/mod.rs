//! The wire: frames from and to clients, close codes, and envelopes between nodes.

pub mod answer_token;
pub mod client;
pub mod close;
pub mod codec;
pub mod envelope;
pub mod personal;
pub mod server;
pub mod surrogates;

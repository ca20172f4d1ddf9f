//! Connections to the database: how they are made, which history they belong to, who gets one, and what
//! an error on one means.

pub(crate) mod client;
pub(crate) mod connector;
pub(crate) mod errors;
pub(crate) mod history;
pub(crate) mod installation;
pub(crate) mod lease;
pub(crate) mod migrate;
pub(crate) mod pipeline;
pub(crate) mod pools;
mod tls;
pub(crate) mod tracked;
mod transaction_ids;

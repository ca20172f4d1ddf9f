//! What other applications are told, and how: webhooks are sent from here; `http::changes` and `http::webhooks` have
//! their REST.

pub mod backoff;
pub mod event;
pub mod sender;
pub mod signature;
mod turns;

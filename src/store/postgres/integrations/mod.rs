//! Webhooks out and in: who set them up, what is to be sent, and what became of it.

mod access;
mod deliveries;
mod incoming;
mod lanes;
pub(crate) mod scope;
mod settling;
mod webhooks;

pub use access::{IntegrationManager, ManagedRoom};
pub use deliveries::Delivery;
pub use incoming::{IncomingHook, IncomingOutcome, NewIncomingHook};
pub(crate) use lanes::{CONSUMER, extend_lanes};
pub use lanes::{DueWebhook, Lane, NextEvent, PendingEvent};
pub use settling::{Attempt, Settlement};
pub use webhooks::{NewWebhook, ReplayStart, Webhook, WebhookChange, WebhookOutcome, WebhookState};

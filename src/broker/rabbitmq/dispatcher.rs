//! Passes messages and the status of the connection to the engine, without waiting for it.

use std::sync::{Mutex, PoisonError};

use actors::ports::broker::BrokerEvent;
use bytes::Bytes;
use tokio::sync::mpsc;

/// Whether messages get through the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BrokerStatus {
    Up,
    Down,
}

/// Sends events to the engine's channel.
pub(super) struct Dispatcher {
    incoming: mpsc::Sender<BrokerEvent>,
    notified: Mutex<Option<BrokerStatus>>,
}

impl Dispatcher {
    pub(super) fn new(incoming: mpsc::Sender<BrokerEvent>) -> Self {
        Self { incoming, notified: Mutex::default() }
    }

    /// Reports the status, unless it is the one that was last reported. Called repeatedly, so that a full
    /// channel only delays it.
    pub(super) fn notify_status(&self, status: BrokerStatus) {
        let mut notified = self.notified.lock().unwrap_or_else(PoisonError::into_inner);
        if *notified == Some(status) {
            return;
        }
        let event = match status {
            BrokerStatus::Up => BrokerEvent::Up,
            BrokerStatus::Down => BrokerEvent::Down,
        };
        if self.incoming.try_send(event).is_ok() {
            metrics::gauge!("chat_broker_up").set(if status == BrokerStatus::Up { 1.0 } else { 0.0 });
            *notified = Some(status);
        }
    }

    /// Lets [`BrokerEvent::Up`] be reported once more: new topics are bound, and the engine must read what it
    /// may have missed until now.
    pub(super) fn repeat_up(&self) {
        let mut notified = self.notified.lock().unwrap_or_else(PoisonError::into_inner);
        if *notified == Some(BrokerStatus::Up) {
            *notified = None;
        }
    }

    /// Passes an envelope on, or drops it if the engine is behind.
    pub(super) fn dispatch(&self, envelope: Bytes) {
        metrics::counter!("chat_broker_received_total").increment(1);
        if self.incoming.try_send(BrokerEvent::Envelope(envelope)).is_err() {
            metrics::counter!("chat_broker_dropped_total", "reason" => "behind").increment(1);
        }
    }
}

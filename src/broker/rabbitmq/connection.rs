//! One connection to the broker: publishes, receives, maintains the bindings, and monitors whether all of
//! that works. Any failure ends the connection, and the broker opens another.

mod bindings;
mod publishing;

use std::{
    collections::BTreeSet,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actors::ports::broker::Topic;
use futures_util::{Stream, StreamExt};
use lapin::{
    Channel, Connection, ConnectionProperties, Consumer, Event,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeleteOptions},
    types::{FieldTable, ShortString},
};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    OutgoingEnvelope, SharedState,
    connector::{self, ShutdownOnDrop},
    dispatcher::{BrokerStatus, Dispatcher},
    heartbeat::{HEARTBEAT_INTERVAL, HeartbeatMonitor},
    topology,
};

/// Unacknowledged messages that the broker delivers, and thus the most that this node holds.
const PREFETCH: u16 = 512;
/// Messages acknowledged at once, unless a heartbeat arrives first.
const ACK_EVERY: usize = 128;
/// How long a write may take; during an outage the socket accepts nothing.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long closing a working connection may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(300);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionEnd {
    /// The server is stopping.
    #[error("the link was stopped")]
    Stopped,
    /// The connection or one of its channels failed.
    #[error("{0}")]
    Failed(#[from] lapin::Error),
    /// The queue or its consumer was deleted.
    #[error("the broker no longer sends from the queue")]
    Cancelled,
    /// The heartbeats no longer return.
    #[error("no heartbeat came back in time")]
    HeartbeatLost,
    /// The socket or the broker doesn't accept what is written.
    #[error("the broker doesn't take {0} in time")]
    WriteTimedOut(&'static str),
}

/// A connection whose queue is declared and bound.
pub(super) struct BrokerConnection {
    connection: Connection,
    traffic: Channel,
    bindings: Channel,
    bound: BTreeSet<Topic>,
    heartbeat: HeartbeatMonitor,
    /// Wakes the monitor when the status may have changed.
    status_changed: Notify,
    /// Shuts the socket down. Must be the last field, because fields are dropped in order.
    _shutdown: Arc<ShutdownOnDrop>,
}

/// The streams that a connection receives from.
pub(super) struct ConnectionStreams {
    consumer: Consumer,
    events: std::pin::Pin<Box<dyn Stream<Item = Event> + Send>>,
}

impl BrokerConnection {
    /// Connects, declares a new queue, and binds it to all wanted topics.
    pub(super) async fn open(
        shared: &SharedState,
        wanted_topics: &mut watch::Receiver<BTreeSet<Topic>>,
    ) -> lapin::Result<(Self, ConnectionStreams)> {
        let shutdown = Arc::new(ShutdownOnDrop::default());
        let properties = ConnectionProperties::default()
            .with_connection_name(format!("aristay-chat {}", shared.node_name).into());
        let connection = connector::connect(shared.uri.clone(), properties, &shutdown).await?;
        let events = Box::pin(connection.events_listener());
        let bindings = connection.create_channel().await?;
        topology::declare(&bindings, &shared.names).await?;
        let bound = wanted_topics.borrow_and_update().clone();
        topology::bind(&bindings, &shared.names, bound.iter().copied().map(topology::routing_key)).await?;
        let traffic = connection.create_channel().await?;
        traffic.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let consumer = traffic
            .basic_consume(
                shared.names.queue.clone(),
                ShortString::default(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        let (heartbeat, status_changed) = (HeartbeatMonitor::default(), Notify::new());
        let connection =
            Self { connection, traffic, bindings, bound, heartbeat, status_changed, _shutdown: shutdown };
        Ok((connection, ConnectionStreams { consumer, events }))
    }

    /// Serves the connection until it fails or the broker is stopped.
    pub(super) async fn serve(
        &self,
        shared: &SharedState,
        streams: ConnectionStreams,
        outgoing: &mut mpsc::Receiver<OutgoingEnvelope>,
        wanted_topics: &mut watch::Receiver<BTreeSet<Topic>>,
        dispatcher: &Dispatcher,
    ) -> ConnectionEnd {
        let ConnectionStreams { mut consumer, events } = streams;
        tokio::select! {
            end = self.publish(shared, outgoing) => end,
            end = self.receive(shared, &mut consumer, dispatcher) => end,
            end = self.sync_bindings(shared, wanted_topics, dispatcher) => end,
            end = self.monitor(shared, events, dispatcher) => end,
            () = shared.stopped() => ConnectionEnd::Stopped,
        }
    }

    /// Dispatches what arrives, and acknowledges it in batches.
    async fn receive(
        &self,
        shared: &SharedState,
        consumer: &mut Consumer,
        dispatcher: &Dispatcher,
    ) -> ConnectionEnd {
        let mut unacknowledged = 0;
        while let Some(delivery) = consumer.next().await {
            let delivery = match delivery {
                Ok(delivery) => delivery,
                Err(error) => return error.into(),
            };
            let tag = delivery.delivery_tag;
            self.heartbeat.message_received();
            unacknowledged += 1;
            if delivery.routing_key == shared.names.heartbeat_key {
                self.heartbeat_received(&delivery);
                unacknowledged = ACK_EVERY;
            } else {
                dispatcher.dispatch(delivery.data.into());
            }
            if unacknowledged < ACK_EVERY || self.heartbeat.is_blocked() {
                continue;
            }
            unacknowledged = 0;
            let ack = self.traffic.basic_ack(tag, BasicAckOptions { multiple: true });
            match timeout(WRITE_TIMEOUT, ack).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.into(),
                Err(_) if self.heartbeat.is_blocked() => {}
                Err(_) => return ConnectionEnd::WriteTimedOut("acknowledgements"),
            }
        }
        ConnectionEnd::Cancelled
    }

    fn heartbeat_received(&self, delivery: &Delivery) {
        let was_confirmed = self.heartbeat.is_confirmed();
        let number = delivery.data.as_slice().try_into().map_or(0, u64::from_be_bytes);
        if let Some(took) = self.heartbeat.heartbeat_received(number) {
            metrics::histogram!("chat_broker_heartbeat_seconds").record(took);
        }
        if !was_confirmed {
            self.status_changed.notify_one();
        }
    }

    /// Ends the connection when the heartbeats no longer return, and reports its status.
    async fn monitor(
        &self,
        shared: &SharedState,
        events: impl Stream<Item = Event>,
        dispatcher: &Dispatcher,
    ) -> ConnectionEnd {
        let mut events = pin!(events);
        let mut looks = interval(HEARTBEAT_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {
                    if self.heartbeat.has_timed_out() {
                        return ConnectionEnd::HeartbeatLost;
                    }
                }
                () = self.status_changed.notified() => {}
                Some(event) = events.next() => match event {
                    Event::ConnectionBlocked(_) => {
                        tracing::warn!("the broker is short of memory or disk and takes no messages");
                        self.heartbeat.set_blocked(true);
                    }
                    Event::ConnectionUnblocked => self.heartbeat.set_blocked(false),
                    Event::Error(error) => return error.into(),
                    _ => {}
                },
            }
            let is_blocked = self.heartbeat.is_blocked();
            shared.is_open.store(!is_blocked, Ordering::Relaxed);
            if is_blocked {
                dispatcher.notify_status(BrokerStatus::Down);
            } else if self.heartbeat.is_confirmed() {
                dispatcher.notify_status(BrokerStatus::Up);
            }
        }
    }

    /// Whether a heartbeat has returned, and thus everything has worked.
    pub(super) fn was_confirmed(&self) -> bool {
        self.heartbeat.is_confirmed()
    }

    /// Publishes what is queued, deletes the queue and closes the connection.
    pub(super) async fn drain(self, shared: &SharedState, outgoing: &mut mpsc::Receiver<OutgoingEnvelope>) {
        let mut batch = Vec::new();
        while let Ok(last) = outgoing.try_recv() {
            batch.push(last);
        }
        let batch = shared.take_batch(&mut batch);
        let closing = async {
            self.send_all(&batch).await?;
            let queue = shared.names.queue.clone();
            self.bindings.queue_delete(queue, QueueDeleteOptions::default()).await?;
            self.connection.close(200, "the node stops".into()).await
        };
        match timeout(CLOSE_TIMEOUT * 2, closing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the broker connection did not close cleanly"),
            Err(_) => tracing::debug!("the broker connection did not close in time"),
        }
    }
}

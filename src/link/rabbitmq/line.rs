//! One connection to the broker, from its making to its end: it publishes, receives, keeps the bindings
//! and watches whether all of that works. Whatever goes wrong ends it; the link then makes another.

use std::{
    collections::BTreeSet,
    future::Future,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actors::ports::link::{Incoming, Topic};
use futures_util::{Stream, StreamExt, future::try_join_all};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer, Event,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, QueueDeleteOptions,
    },
    types::{AMQPValue, FieldArray, FieldTable, ShortString},
};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    Outgoing, Shared, State, Teller,
    cord::{self, Cord},
    pulse::{BEACON_EVERY, Pulse},
    topology,
};

/// Messages that the broker sends ahead of their acknowledgement; what this node holds at most.
const PREFETCH: u16 = 512;
/// Messages acknowledged at once, unless a beacon comes first.
const ACK_EVERY: usize = 128;
/// Envelopes handed to the socket at once.
const PUBLISH_AT_ONCE: usize = 64;
/// How long the socket may take to take what is published; in an outage it takes nothing for ever.
const WRITE_PATIENCE: Duration = Duration::from_secs(1);
/// How long the broker may take to change bindings.
const BINDING_PATIENCE: Duration = Duration::from_secs(10);
/// How long changes of what is wanted are gathered.
const GATHER: Duration = Duration::from_millis(10);
/// Bindings renewed with each beacon, in turn: all of them within some seconds.
const RENEWED_AT_ONCE: usize = 32;
/// How long the end of a connection may take that works.
const CLOSE_PATIENCE: Duration = Duration::from_millis(300);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ending {
    /// The server stops.
    #[error("the link was stopped")]
    Stopped,
    /// The connection or one of its channels failed.
    #[error("{0}")]
    Failed(#[from] lapin::Error),
    /// The queue or its consumer is gone.
    #[error("the broker no longer sends from the queue")]
    Cancelled,
    /// The beacon doesn't come back.
    #[error("the beacon doesn't come back")]
    Silent,
    /// The socket or the broker doesn't take what it is given.
    #[error("the broker doesn't take {0} in time")]
    Stuck(&'static str),
}

/// A connection with its queue declared and bound, about to be used.
pub(super) struct Line {
    connection: Connection,
    traffic: Channel,
    bindings: Channel,
    bound: BTreeSet<Topic>,
    pulse: Pulse,
    /// Something changed that may have to be told.
    news: Notify,
    /// Ends the socket when all else is gone. The last field: dropped last.
    _cord: Arc<Cord>,
}

/// What a line receives from.
pub(super) struct Ears {
    consumer: Consumer,
    events: std::pin::Pin<Box<dyn Stream<Item = Event> + Send>>,
}

impl Line {
    /// Connects, makes the queue anew and binds it to all that is wanted.
    pub(super) async fn open(
        shared: &Shared,
        wanted: &mut watch::Receiver<BTreeSet<Topic>>,
    ) -> lapin::Result<(Self, Ears)> {
        let cord = Arc::new(Cord::default());
        let properties = ConnectionProperties::default()
            .with_connection_name(format!("aristay-chat {}", shared.node_name).into());
        let connection = cord::connect(shared.uri.clone(), properties, &cord).await?;
        let events = Box::pin(connection.events_listener());
        let bindings = connection.create_channel().await?;
        topology::declare(&bindings, &shared.names).await?;
        let bound = wanted.borrow_and_update().clone();
        topology::bind(&bindings, &shared.names, bound.iter().copied().map(topology::key)).await?;
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
        let (pulse, news) = (Pulse::default(), Notify::new());
        let line = Self { connection, traffic, bindings, bound, pulse, news, _cord: cord };
        Ok((line, Ears { consumer, events }))
    }

    /// Does all that the connection is for, until it fails or the link is stopped.
    pub(super) async fn serve(
        &self,
        shared: &Shared,
        ears: Ears,
        outgoing: &mut mpsc::Receiver<Outgoing>,
        wanted: &mut watch::Receiver<BTreeSet<Topic>>,
        teller: &Teller,
    ) -> Ending {
        let Ears { mut consumer, events } = ears;
        tokio::select! {
            ending = self.publish(shared, outgoing) => ending,
            ending = self.receive(shared, &mut consumer, teller) => ending,
            ending = self.keep_bindings(shared, wanted, teller) => ending,
            ending = self.watch(shared, events, teller) => ending,
            () = shared.stopped() => Ending::Stopped,
        }
    }

    /// Publishes what is queued, and a beacon now and then.
    async fn publish(&self, shared: &Shared, outgoing: &mut mpsc::Receiver<Outgoing>) -> Ending {
        let mut beacons = interval(BEACON_EVERY);
        beacons.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(PUBLISH_AT_ONCE);
        loop {
            let sent = tokio::select! {
                biased;
                _ = beacons.tick() => {
                    if self.pulse.is_blocked() {
                        continue;
                    }
                    let beacon = self.pulse.next_beacon().to_be_bytes();
                    timeout(WRITE_PATIENCE, self.send(std::slice::from_ref(&shared.names.beacon), &beacon)).await
                }
                _ = outgoing.recv_many(&mut batch, PUBLISH_AT_ONCE) => {
                    let batch = shared.take_off(&mut batch);
                    if self.pulse.is_blocked() {
                        shared.count_dropped("blocked", batch.len());
                        continue;
                    }
                    timeout(WRITE_PATIENCE, self.send_all(&batch)).await
                }
            };
            match sent {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.into(),
                Err(_) if self.pulse.is_blocked() => {}
                Err(_) => return Ending::Stuck("what is published"),
            }
        }
    }

    async fn send_all(&self, batch: &[Outgoing]) -> lapin::Result<()> {
        let keys: Vec<Vec<ShortString>> = batch
            .iter()
            .map(|outgoing| outgoing.topics.iter().copied().map(topology::key).collect())
            .collect();
        let sends = batch.iter().zip(&keys).map(|(outgoing, keys)| self.send(keys, &outgoing.envelope));
        try_join_all(sends).await?;
        metrics::counter!("chat_link_published_total").increment(batch.len() as u64);
        Ok(())
    }

    /// Sends one message to several keys: each queue gets it once, however many of them it is bound to.
    fn send(&self, keys: &[ShortString], payload: &[u8]) -> impl Future<Output = lapin::Result<()>> {
        let (first, others) = keys
            .split_first()
            .map_or((ShortString::default(), keys), |(first, others)| (first.clone(), others));
        // Not to disk: what a restart of the broker loses is read from the store.
        let mut properties = BasicProperties::default().with_delivery_mode(1);
        if !others.is_empty() {
            let others: Vec<AMQPValue> =
                others.iter().map(|key| AMQPValue::LongString(key.as_str().into())).collect();
            let mut headers = FieldTable::default();
            headers.insert("CC".into(), AMQPValue::FieldArray(FieldArray::from(others)));
            properties = properties.with_headers(headers);
        }
        let options = BasicPublishOptions::default();
        async move {
            self.traffic
                .basic_publish(topology::EXCHANGE.into(), first, options, payload, properties)
                .await
                .map(drop)
        }
    }

    /// Passes on what comes, and acknowledges it now and then.
    async fn receive(&self, shared: &Shared, consumer: &mut Consumer, teller: &Teller) -> Ending {
        let mut unacknowledged = 0;
        while let Some(delivery) = consumer.next().await {
            let delivery = match delivery {
                Ok(delivery) => delivery,
                Err(error) => return error.into(),
            };
            let tag = delivery.delivery_tag;
            self.pulse.something_came();
            unacknowledged += 1;
            if delivery.routing_key == shared.names.beacon {
                self.beacon_came(&delivery);
                unacknowledged = ACK_EVERY;
            } else {
                teller.pass_on(delivery.data.into());
            }
            if unacknowledged < ACK_EVERY || self.pulse.is_blocked() {
                continue;
            }
            unacknowledged = 0;
            let ack = self.traffic.basic_ack(tag, BasicAckOptions { multiple: true });
            match timeout(WRITE_PATIENCE, ack).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.into(),
                Err(_) if self.pulse.is_blocked() => {}
                Err(_) => return Ending::Stuck("acknowledgements"),
            }
        }
        Ending::Cancelled
    }

    fn beacon_came(&self, delivery: &Delivery) {
        let was_proven = self.pulse.is_proven();
        let number = delivery.data.as_slice().try_into().map_or(0, u64::from_be_bytes);
        if let Some(took) = self.pulse.beacon_came(number) {
            metrics::histogram!("chat_link_beacon_seconds").record(took);
        }
        if !was_proven {
            self.news.notify_one();
        }
    }

    /// Binds and unbinds as what is wanted changes, and binds all again in turn: a binding that is gone
    /// shows by nothing else.
    async fn keep_bindings(
        &self,
        shared: &Shared,
        wanted: &mut watch::Receiver<BTreeSet<Topic>>,
        teller: &Teller,
    ) -> Ending {
        let mut bound = self.bound.clone();
        let mut renewals = interval(BEACON_EVERY);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut renewed = 0;
        loop {
            tokio::select! {
                Ok(()) = wanted.changed() => sleep(GATHER).await,
                _ = renewals.tick() => {}
            }
            if self.pulse.is_blocked() {
                continue;
            }
            let now = wanted.borrow_and_update().clone();
            let gained: Vec<Topic> = now.difference(&bound).copied().collect();
            let lost: BTreeSet<Topic> = bound.difference(&now).copied().collect();
            let in_turn = now.iter().copied().cycle().skip(renewed % now.len().max(1));
            let renewal = in_turn.take(RENEWED_AT_ONCE.min(now.len()));
            let keys = gained.iter().copied().chain(renewal).map(topology::key);
            let change = async {
                topology::bind(&self.bindings, &shared.names, keys).await?;
                topology::unbind(&self.bindings, &shared.names, &lost).await
            };
            match timeout(BINDING_PATIENCE, change).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.into(),
                Err(_) if self.pulse.is_blocked() => continue,
                Err(_) => return Ending::Stuck("bindings"),
            }
            renewed += RENEWED_AT_ONCE;
            if !gained.is_empty() {
                teller.forget_up();
                self.news.notify_one();
            }
            bound = now;
        }
    }

    /// Ends the connection when the beacon stays away, and tells how it stands.
    async fn watch(&self, shared: &Shared, events: impl Stream<Item = Event>, teller: &Teller) -> Ending {
        let mut events = pin!(events);
        let mut looks = interval(BEACON_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {
                    if self.pulse.is_broken() {
                        return Ending::Silent;
                    }
                }
                () = self.news.notified() => {}
                Some(event) = events.next() => match event {
                    Event::ConnectionBlocked(_) => {
                        tracing::warn!("the broker is short of memory or disk and takes no messages");
                        self.pulse.set_blocked(true);
                    }
                    Event::ConnectionUnblocked => self.pulse.set_blocked(false),
                    Event::Error(error) => return error.into(),
                    _ => {}
                },
            }
            let is_blocked = self.pulse.is_blocked();
            shared.is_open.store(!is_blocked, Ordering::Relaxed);
            if is_blocked {
                teller.tell(State::Down);
            } else if self.pulse.is_proven() {
                teller.tell(State::Up);
            }
        }
    }

    /// Whether all of it has worked.
    pub(super) fn was_up(&self) -> bool {
        self.pulse.is_proven()
    }

    /// Sends what is queued and leaves nothing behind at the broker.
    pub(super) async fn finish(self, shared: &Shared, outgoing: &mut mpsc::Receiver<Outgoing>) {
        let mut batch = Vec::new();
        while let Ok(last) = outgoing.try_recv() {
            batch.push(last);
        }
        let batch = shared.take_off(&mut batch);
        let farewell = async {
            self.send_all(&batch).await?;
            let queue = shared.names.queue.clone();
            self.bindings.queue_delete(queue, QueueDeleteOptions::default()).await?;
            self.connection.close(200, "the node stops".into()).await
        };
        match timeout(CLOSE_PATIENCE * 2, farewell).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the link did not end in order"),
            Err(_) => tracing::debug!("the link did not end in time"),
        }
    }
}

impl Teller {
    /// Passes an envelope on, or drops it when the engine is behind.
    fn pass_on(&self, envelope: bytes::Bytes) {
        metrics::counter!("chat_link_received_total").increment(1);
        if self.incoming.try_send(Incoming::Envelope(envelope)).is_err() {
            metrics::counter!("chat_link_dropped_total", "reason" => "behind").increment(1);
        }
    }
}

//! Publishes envelopes and heartbeats.

use std::future::Future;

use futures_util::future::try_join_all;
use lapin::{
    BasicProperties,
    options::BasicPublishOptions,
    types::{AMQPValue, FieldArray, FieldTable, ShortString},
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};

use super::super::{OutgoingEnvelope, SharedState, heartbeat::HEARTBEAT_INTERVAL, topology};
use super::{BrokerConnection, ConnectionEnd, WRITE_TIMEOUT};

/// Envelopes written to the socket at once.
const PUBLISH_BATCH_MAX: usize = 64;

impl BrokerConnection {
    /// Publishes queued envelopes, and a heartbeat at each interval.
    pub(super) async fn publish(
        &self,
        shared: &SharedState,
        outgoing: &mut mpsc::Receiver<OutgoingEnvelope>,
    ) -> ConnectionEnd {
        let mut heartbeats = interval(HEARTBEAT_INTERVAL);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(PUBLISH_BATCH_MAX);
        loop {
            let sent = tokio::select! {
                biased;
                _ = heartbeats.tick() => {
                    if self.heartbeat.is_blocked() {
                        continue;
                    }
                    let heartbeat = self.heartbeat.next_heartbeat().to_be_bytes();
                    timeout(WRITE_TIMEOUT, self.send(std::slice::from_ref(&shared.names.heartbeat_key), &heartbeat)).await
                }
                _ = outgoing.recv_many(&mut batch, PUBLISH_BATCH_MAX) => {
                    let batch = shared.take_batch(&mut batch);
                    if self.heartbeat.is_blocked() {
                        shared.count_dropped("blocked", batch.len());
                        continue;
                    }
                    timeout(WRITE_TIMEOUT, self.send_all(&batch)).await
                }
            };
            match sent {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.into(),
                Err(_) if self.heartbeat.is_blocked() => {}
                Err(_) => return ConnectionEnd::WriteTimedOut("what is published"),
            }
        }
    }

    pub(super) async fn send_all(&self, batch: &[OutgoingEnvelope]) -> lapin::Result<()> {
        let keys: Vec<Vec<ShortString>> = batch
            .iter()
            .map(|outgoing| outgoing.topics.iter().copied().map(topology::routing_key).collect())
            .collect();
        let sends = batch.iter().zip(&keys).map(|(outgoing, keys)| self.send(keys, &outgoing.envelope));
        try_join_all(sends).await?;
        metrics::counter!("chat_broker_published_total").increment(batch.len() as u64);
        Ok(())
    }

    /// Publishes one message with several routing keys. Each queue receives it once, whatever the number of
    /// its matching bindings.
    fn send(&self, keys: &[ShortString], payload: &[u8]) -> impl Future<Output = lapin::Result<()>> {
        let (first, others) = keys
            .split_first()
            .map_or((ShortString::default(), keys), |(first, others)| (first.clone(), others));
        // Not persistent: what a restart of the broker loses is read from the store.
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
}

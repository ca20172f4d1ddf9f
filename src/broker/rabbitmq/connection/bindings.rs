//! Keeps the bindings of the node's queue.

use std::collections::BTreeSet;
use std::time::Duration;

use actors::ports::broker::Topic;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::super::{SharedState, dispatcher::Dispatcher, heartbeat::HEARTBEAT_INTERVAL, topology};
use super::{BrokerConnection, ConnectionEnd};

/// How long the broker may take to change bindings.
const BINDING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long changes of the wanted topics are collected.
const BINDING_DEBOUNCE: Duration = Duration::from_millis(10);
/// Bindings renewed at each interval, in turn, so that all are renewed within seconds.
const REBIND_BATCH: usize = 32;

impl BrokerConnection {
    /// Binds and unbinds as the wanted topics change, and renews all bindings in turn, because nothing
    /// reports a lost binding.
    pub(super) async fn sync_bindings(
        &self,
        shared: &SharedState,
        wanted_topics: &mut watch::Receiver<BTreeSet<Topic>>,
        dispatcher: &Dispatcher,
    ) -> ConnectionEnd {
        let mut bound = self.bound.clone();
        let mut renewals = interval(HEARTBEAT_INTERVAL);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut renewed = 0;
        loop {
            tokio::select! {
                Ok(()) = wanted_topics.changed() => sleep(BINDING_DEBOUNCE).await,
                _ = renewals.tick() => {}
            }
            if self.heartbeat.is_blocked() {
                continue;
            }
            let now = wanted_topics.borrow_and_update().clone();
            let gained: Vec<Topic> = now.difference(&bound).copied().collect();
            let lost: BTreeSet<Topic> = bound.difference(&now).copied().collect();
            let in_turn = now.iter().copied().cycle().skip(renewed % now.len().max(1));
            let renewal = in_turn.take(REBIND_BATCH.min(now.len()));
            let keys = gained.iter().copied().chain(renewal).map(topology::routing_key);
            let change = async {
                topology::bind(&self.bindings, &shared.names, keys).await?;
                topology::unbind(&self.bindings, &shared.names, &lost).await
            };
            match timeout(BINDING_TIMEOUT, change).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.into(),
                Err(_) if self.heartbeat.is_blocked() => continue,
                Err(_) => return ConnectionEnd::WriteTimedOut("bindings"),
            }
            renewed += REBIND_BATCH;
            if !gained.is_empty() {
                dispatcher.repeat_up();
                self.status_changed.notify_one();
            }
            bound = now;
        }
    }
}

//! Starts the engine with its adapters and limits.

use std::sync::Arc;
use std::time::Duration;

use actors::domain::ids::NodeId;
use actors::domain::rate::Rate as EngineRate;
use actors::engine::{EngineHandle, EngineParts};
use actors::limits::Limits;
use actors::ports::broker::Broker;
use actors::ports::clock::Clock;
use actors::protocol::envelope::EnvelopeKey;
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::auth::TokenVerifier;
use crate::broker::rabbitmq::RabbitMqBroker;
use crate::config::{Rate, Settings};
use crate::socket::upgrade::TokenIdentity;
use crate::store::postgres::PostgresStore;

/// Starts the engine on this thread, which also drives the database connections, so that persistence never
/// wakes another thread.
pub(super) fn start_engine(
    settings: &Settings,
    store: PostgresStore,
    tokens: Arc<TokenVerifier>,
    clock: Clock,
) -> anyhow::Result<EngineHandle> {
    let node = NodeId(Uuid::new_v4());
    let parts = EngineParts {
        node,
        limits: engine_limits(settings),
        clock,
        envelope_key: EnvelopeKey::new(&store.link_key()),
        store: Arc::new(store),
        identity: Arc::new(TokenIdentity(tokens)),
        broker: open_broker(settings, node)?,
    };
    Ok(EngineHandle::start(parts))
}

/// The broker between nodes, if one is configured. It need not be reachable yet.
fn open_broker(settings: &Settings, node: NodeId) -> anyhow::Result<Option<Arc<dyn Broker>>> {
    let Some(url) = &settings.amqp_url else { return Ok(None) };
    let broker = RabbitMqBroker::new(url.expose_secret(), &settings.node_id, node)?;
    Ok(Some(Arc::new(broker)))
}

/// The engine's limits, as configured.
fn engine_limits(settings: &Settings) -> Limits {
    let rate = |rate: Option<Rate>| {
        rate.map_or(EngineRate::UNLIMITED, |rate| {
            EngineRate::new(f64::from(rate.per_second.get()), rate.burst.get())
        })
    };
    let (rates, limits) = (&settings.rates, &settings.limits);
    let urgent_messages = rates.urgent_per_minute.map_or(EngineRate::UNLIMITED, |per_minute| {
        EngineRate::new(f64::from(per_minute.get()) / 60.0, per_minute.get())
    });
    Limits {
        messages: rate(rates.messages),
        urgent_messages,
        changes: rate(rates.edits),
        reads: rate(rates.reads),
        lookups: rate(rates.lookups),
        frames: rate(rates.frames),
        sockets_per_user: limits.max_sockets_per_user as usize,
        replay_events_max: limits.max_replay_events as usize,
        outbox_bytes_max: limits.max_outbox_bytes as usize,
        outbox_frames_max: limits.max_outbox_frames as usize,
        write_stall_timeout: Duration::from_secs(limits.outbox_stall_seconds),
        bad_frames_max: limits.max_bad_frames,
        refusals_max: limits.max_refusals,
        ping_interval: Duration::from_secs(limits.ping_seconds),
        idle_timeout: Duration::from_secs(limits.silent_seconds),
        store_timeout: Duration::from_secs(limits.store_wait_seconds),
    }
}

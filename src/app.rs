//! Wires the server together: the only module that knows all others. What is started here is stopped in
//! reverse order.

mod commands;
mod database;
mod engine;
mod listeners;
mod moving;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::web::Data;
use actors::engine::{DrainReport, EngineHandle};
use actors::ports::clock::Clock;
use anyhow::{Context as _, bail};
use chrono::Utc;
use metrics_exporter_prometheus::PrometheusHandle;
use nix::sys::stat::{Mode, umask};
use sd_notify::NotifyState;
use secrecy::SecretString;
use tokio::time::{Instant, sleep_until, timeout_at};

pub use self::commands::{manage_consumers, migrate, renew_epoch, seed, verify_audit};
use self::database::open_store;
use self::engine::start_engine;
use self::listeners::{start_listener, start_metrics_listener};
pub use self::moving::{export_django, import_django, verify_django};
use crate::auth::{FileUrlSigner, TokenIssuer, TokenVerifier, signing_key};
use crate::cli::ServeArgs;
use crate::config::{Database, Settings};
use crate::consumers::{AuditWriter, NotificationScheduler, SearchIndexer, WebhookPlanner};
use crate::files::Uploads;
use crate::http::{ApiSettings, ApiState, InFlight, RateLimits};
use crate::link_previews::LinkPreviews;
use crate::moving::IMPORT_LEASE;
use crate::outbound::OutboundClient;
use crate::push::{Fcm, VapidKey};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::private::PrivatePostgres;
use crate::{
    consumers, demo, exports, integrations, janitor, membership_ends, notifier, push, retention, scheduler,
    telemetry,
};

/// Period over which clients are told to spread their reconnects when the server stops.
const RECONNECT_SPREAD: Duration = Duration::from_secs(5);
/// How often the engine's health is checked.
const HEALTH_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a stop may take beyond `DRAIN_SECONDS`. The unit in `deploy/` relies on it.
const STOP_AFTER_DRAIN: Duration = Duration::from_secs(10);
/// How long sockets get to send their close frames when the server stops.
const CLOSE_FRAME_TIMEOUT: Duration = Duration::from_millis(500);

/// Serves until the process is told to stop. The exit code is a failure if work was dropped or a part failed.
///
/// # Errors
/// Whatever prevents the start.
pub async fn serve(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let settings = args.config.validate()?;
    if args.demo && matches!(settings.database, Database::External(_)) {
        bail!("--demo: only with a private PostgreSQL, and DATABASE_URL is set");
    }
    let metrics = telemetry::start_metrics()?;
    let secret = signing_key::load(&settings.auth, &settings.data_dir)?;
    let (database, store) = open_store(&settings).await?;
    // Files created from here on are accessible to this account only. Earlier, a private PostgreSQL that runs
    // under another account had to reach its folder.
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    if args.demo {
        demo::seed(&store).await?;
    }
    store.name_host_account(&settings.service_name).await?;
    let mut lease = store.acquire_node_id(&settings.node_id).await?;
    if store.is_node_id_held(IMPORT_LEASE).await? {
        bail!("a Django chat is being imported into this database; start when that has ended");
    }
    let tokens = TokenVerifier::new(&settings.auth, secret.as_ref()).with_bots(Arc::new(store.clone()));
    let tokens = Arc::new(tokens);
    let clock = Clock::start(Utc::now());
    let engine = start_engine(&settings, store.clone(), tokens.clone(), clock)?;
    let is_ready = Arc::new(AtomicBool::new(true));
    let state = Data::new(
        api_state(&settings, store, &engine, tokens, secret.as_ref(), metrics, is_ready.clone()).await?,
    );
    let metrics_listener = start_metrics_listener(&settings, &state)?;
    let listener = start_listener(&settings, &state, &engine, clock)?;
    let janitor = actix_rt::spawn(janitor::run(state.clone()));
    let scheduler = actix_rt::spawn(scheduler::run(state.clone()));
    let membership_ends = actix_rt::spawn(membership_ends::run(state.clone()));
    let retention = actix_rt::spawn(retention::run(state.clone()));
    let exports = actix_rt::spawn(exports::run(state.clone()));
    let search_indexer = actix_rt::spawn(consumers::run(state.store.clone(), SearchIndexer));
    let audit_writer = actix_rt::spawn(consumers::run(state.store.clone(), AuditWriter));
    let webhook_planner = actix_rt::spawn(consumers::run(state.store.clone(), WebhookPlanner));
    let webhook_sender = actix_rt::spawn(integrations::sender::run(state.clone()));
    let notification_scheduler = actix_rt::spawn(consumers::run(state.store.clone(), NotificationScheduler));
    let notifier = actix_rt::spawn(notifier::run(state.clone()));
    let push_sender = actix_rt::spawn(push::run(state.clone()));
    tracing::info!(bind = %settings.bind, node = %settings.node_id, "serving");
    if args.demo {
        println!("{}", demo::greeting(&format!("http://{}", settings.bind)));
    }
    notify_supervisor(NotifyState::Ready);

    let has_failed = tokio::select! {
        stop = stop_requested() => stop.map(|()| false)?,
        () = lease.lost() => true,
        () = engine_failed(&engine) => true,
    };
    notify_supervisor(NotifyState::Stopping);
    tracing::info!(has_failed, "stopping");
    is_ready.store(false, Ordering::Release);
    janitor.abort();
    scheduler.abort();
    membership_ends.abort();
    retention.abort();
    exports.abort();
    search_indexer.abort();
    audit_writer.abort();
    webhook_planner.abort();
    webhook_sender.abort();
    notification_scheduler.abort();
    notifier.abort();
    push_sender.abort();
    let drain_timeout = Duration::from_secs(settings.drain_seconds);
    // A single deadline for all steps, because the service manager kills the process soon after.
    let deadline = Instant::now() + drain_timeout + STOP_AFTER_DRAIN - PrivatePostgres::STOP_WITHIN;
    let report = timeout_at(deadline, engine.drain(RECONNECT_SPREAD, drain_timeout)).await.ok();
    sleep_until(deadline.min(Instant::now() + CLOSE_FRAME_TIMEOUT)).await;
    listener.shutdown(deadline.saturating_duration_since(Instant::now())).await;
    drop(metrics_listener);
    drop(lease);
    database.stop().await;
    match &report {
        Some(report) => {
            tracing::info!(commands = report.commands, sockets = report.sockets, "stopped");
        }
        None => tracing::error!("stopped before the engine had drained"),
    }
    Ok(if report == Some(DrainReport::default()) && !has_failed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The state that the REST handlers share.
async fn api_state(
    settings: &Settings,
    store: PostgresStore,
    engine: &EngineHandle,
    tokens: Arc<TokenVerifier>,
    secret: Option<&SecretString>,
    metrics: PrometheusHandle,
    is_ready: Arc<AtomicBool>,
) -> anyhow::Result<ApiState> {
    let outbound = OutboundClient::new(&settings.outbound_allow)?;
    let link_previews = settings.link_previews.then(|| LinkPreviews::new(store.clone(), outbound.clone()));
    Ok(ApiState {
        engine: engine.clone(),
        log: Arc::new(store.clone()),
        tokens,
        token_issuer: secret
            .filter(|_| settings.auth.builtin_accounts)
            .map(|secret| TokenIssuer::new(&settings.auth, secret)),
        file_urls: FileUrlSigner::new(&store.link_key()),
        uploads: Uploads::open_folder(&settings.data_dir, settings.limits.max_upload_bytes)?,
        outbound,
        link_previews,
        fcm: fcm(settings)?,
        vapid: VapidKey::read(&store.vapid_key(&VapidKey::generate()?).await?)?,
        rate_limits: RateLimits::new(&settings.rates),
        in_flight: InFlight::new(
            settings.limits.max_requests_per_user as usize,
            usize::try_from(settings.limits.max_held_bytes).unwrap_or(usize::MAX),
        ),
        is_ready,
        metrics: Some(metrics),
        settings: ApiSettings::from(settings),
        store,
    })
}

/// Reads the account for pushes to phones, if one is set.
fn fcm(settings: &Settings) -> anyhow::Result<Option<Fcm>> {
    let Some(path) = &settings.fcm_service_account else { return Ok(None) };
    let file = std::fs::read_to_string(path)
        .with_context(|| format!("FCM_SERVICE_ACCOUNT: {} can't be read", path.display()))?;
    let account = Fcm::read(&file, &settings.fcm_url)
        .with_context(|| format!("FCM_SERVICE_ACCOUNT: {}", path.display()))?;
    Ok(Some(account))
}

/// Notifies the service manager, if there is one.
fn notify_supervisor(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "the service manager can't be notified");
    }
}

/// Completes when the engine has lost an essential actor.
async fn engine_failed(engine: &EngineHandle) {
    while engine.is_healthy().await {
        tokio::time::sleep(HEALTH_CHECK_INTERVAL).await;
    }
    tracing::error!("an essential actor of the engine has died; this process must be replaced");
}

/// Waits for SIGTERM or SIGINT.
async fn stop_requested() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

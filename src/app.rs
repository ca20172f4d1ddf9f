//! The wiring: the only place that knows every part. What is started here is stopped here, in the
//! opposite order.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_cors::Cors;
use actix_http::{HttpService, Protocol};
use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, header};
use actix_web::middleware::{Compress, Next, from_fn};
use actix_web::web::Data;
use actors::domain::ids::NodeId;
use actors::domain::rate::Rate as EngineRate;
use actors::engine::{EngineHandle, Leftovers, Parts};
use actors::limits::Limits;
use actors::ports::clock::Clock;
use actors::ports::link::Link;
use actors::protocol::envelope::LinkKey;
use anyhow::{Context, bail};
use chrono::Utc;
use futures_util::FutureExt;
use governor::{Quota, RateLimiter};
use sd_notify::NotifyState;
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::auth::{FileUrlSigner, TokenMint, TokenVerifier, kept_secret};
use crate::cli::ServeArgs;
use crate::config::{Config, Database, Origin, Rate, Settings};
use crate::doors::{Arrival, Closing, Doors};
use crate::files::Uploads;
use crate::http::{self, Budgets, Rest, RestSettings};
use crate::link::rabbitmq::RabbitLink;
use crate::socket::upgrade::{Doorway, TokenIdentity, pass};
use crate::socket::{CHAT_RULES, Origins, Rules};
use crate::store::postgres::private::PrivatePostgres;
use crate::store::postgres::{Options, PostgresStore};
use crate::{demo, janitor, telemetry, texts};

/// Within what time of the stop's begin clients shall come back, each at its own moment.
const RECONNECT_SPREAD: Duration = Duration::from_secs(5);
/// How often it is looked whether the engine is whole.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long sockets get to take their close frames at the stop.
const CLOSE_PATIENCE: Duration = Duration::from_millis(500);

/// Where the rooms are kept, for as long as it is needed.
enum Ground {
    Private(PrivatePostgres),
    External,
}

/// Serves until it is told to stop. The exit code says whether anything was dropped then.
///
/// # Errors
/// What keeps it from starting.
pub async fn serve(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let settings = args.config.validate()?;
    if args.demo && matches!(settings.database, Database::External(_)) {
        bail!("--demo: only with a private PostgreSQL, and DATABASE_URL is set");
    }
    let metrics = telemetry::start_metrics()?;
    let secret = kept_secret::signing_secret(&settings.auth, &settings.data_dir)?;
    let (ground, store) = open_store(&settings).await?;
    if args.demo {
        demo::seed(&store).await?;
    }
    let mut lease = store.hold_node_id(&settings.node_id).await?;
    let tokens = Arc::new(TokenVerifier::new(&settings.auth, secret.as_ref()));
    let clock = Clock::start(Utc::now());
    let engine = start_engine(&settings, store.clone(), tokens.clone(), clock)?;
    let is_ready = Arc::new(AtomicBool::new(true));
    let rest = Data::new(Rest {
        engine: engine.clone(),
        log: Arc::new(store.clone()),
        tokens: tokens.clone(),
        mint: secret
            .as_ref()
            .filter(|_| settings.auth.builtin_accounts)
            .map(|secret| TokenMint::new(&settings.auth, secret)),
        file_urls: FileUrlSigner::new(&store.link_key()),
        uploads: Uploads::open_folder(&settings.data_dir, settings.limits.max_upload_bytes)?,
        budgets: Budgets::new(&settings.rates),
        is_ready: is_ready.clone(),
        metrics: Some(metrics),
        settings: RestSettings::from(&settings),
        store,
    });
    let doors = open_doors(&settings, &rest, &engine, clock)?;
    let janitor = actix_rt::spawn(janitor::work(rest.clone()));
    let texts = actix_rt::spawn(texts::keep_up(rest.store.clone()));
    tracing::info!(bind = %settings.bind, node = %settings.node_id, "serving");
    if args.demo {
        println!("{}", demo::greeting(&format!("http://{}", settings.bind)));
    }
    tell_supervisor(NotifyState::Ready);

    let has_failed = tokio::select! {
        told = told_to_stop() => told.map(|()| false)?,
        () = lease.lost() => true,
        () = broken(&engine) => true,
    };
    tell_supervisor(NotifyState::Stopping);
    tracing::info!(has_failed, "stopping");
    is_ready.store(false, Ordering::Release);
    janitor.abort();
    texts.abort();
    let left = engine.drain(RECONNECT_SPREAD, Duration::from_secs(settings.drain_seconds)).await;
    tokio::time::sleep(CLOSE_PATIENCE).await;
    doors.close(Duration::from_secs(settings.drain_seconds)).await;
    drop(lease);
    if let Ground::Private(postgres) = ground {
        postgres.stop().await;
    }
    tracing::info!(commands = left.commands, sockets = left.sockets, "stopped");
    Ok(if left == Leftovers::default() && !has_failed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Brings the database to the form that this version needs.
///
/// # Errors
/// The database can't be reached or changed.
pub async fn migrate(config: Config) -> anyhow::Result<()> {
    with_store(config, async |_| Ok(())).await
}

/// Begins a new history.
///
/// # Errors
/// The database can't be reached or written to.
pub async fn renew_epoch(config: Config) -> anyhow::Result<()> {
    let epoch = with_store(config, async |store| Ok(store.renew_epoch().await?)).await?;
    println!("{}", epoch.0);
    Ok(())
}

/// Puts demo people and rooms into the database.
///
/// # Errors
/// The database can't be reached or written to.
pub async fn seed(config: Config) -> anyhow::Result<()> {
    with_store(config, async |store| demo::seed(store).await).await?;
    println!(
        "Sign in as one of {:?} with the password {}",
        demo::PEOPLE.map(|person| person.0),
        demo::PASSWORD
    );
    Ok(())
}

async fn with_store<T>(
    config: Config,
    work: impl AsyncFnOnce(&PostgresStore) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (ground, store) = open_store(&config.validate()?).await?;
    let done = work(&store).await;
    store.close();
    if let Ground::Private(postgres) = ground {
        postgres.stop().await;
    }
    done
}

/// Tells the service manager, where there is one.
fn tell_supervisor(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "the service manager can't be told");
    }
}

/// Opens the store, on a PostgreSQL of this server's own where none is given.
async fn open_store(settings: &Settings) -> anyhow::Result<(Ground, PostgresStore)> {
    let (ground, config) = match &settings.database {
        Database::External(config) => (Ground::External, config.as_ref().clone()),
        Database::Private => {
            let postgres = PrivatePostgres::start(&settings.data_dir).await?;
            let config = postgres.config();
            (Ground::Private(postgres), config)
        }
    };
    let connections = usize::from(settings.database_connections);
    let options = Options {
        append_connections: connections / 2,
        read_connections: connections - connections / 2,
        migrate: true,
        allow_unsafe_durability: settings.unsafe_durability,
    };
    let store = PostgresStore::connect(config, options).await?;
    Ok((ground, store))
}

/// Starts the engine on this thread, which is also that of the connections to the database: what
/// passes between persistence and them wakes no other thread.
fn start_engine(
    settings: &Settings,
    store: PostgresStore,
    tokens: Arc<TokenVerifier>,
    clock: Clock,
) -> anyhow::Result<EngineHandle> {
    let node = NodeId(Uuid::new_v4());
    let parts = Parts {
        node,
        limits: engine_limits(settings),
        clock,
        link_key: LinkKey::new(&store.link_key()),
        store: Arc::new(store),
        identity: Arc::new(TokenIdentity(tokens)),
        link: open_link(settings, node)?,
    };
    Ok(EngineHandle::start(parts))
}

/// The way to other nodes, when a broker is named. It need not be there yet.
fn open_link(settings: &Settings, node: NodeId) -> anyhow::Result<Option<Arc<dyn Link>>> {
    let Some(url) = &settings.amqp_url else { return Ok(None) };
    let link = RabbitLink::new(url.expose_secret(), &settings.node_id, node)?;
    Ok(Some(Arc::new(link)))
}

/// What of the settings concerns the engine.
fn engine_limits(settings: &Settings) -> Limits {
    let rate = |rate: Option<Rate>| {
        rate.map_or(EngineRate::UNLIMITED, |rate| {
            EngineRate::new(f64::from(rate.per_second.get()), rate.burst.get())
        })
    };
    let (rates, limits) = (&settings.rates, &settings.limits);
    Limits {
        messages: rate(rates.messages),
        changes: rate(rates.edits),
        reads: rate(rates.reads),
        lookups: rate(rates.lookups),
        frames: rate(rates.frames),
        sockets_per_user: limits.max_sockets_per_user as usize,
        replay_events_max: limits.max_replay_events as usize,
        outbox_bytes_max: limits.max_outbox_bytes as usize,
        outbox_frames_max: limits.max_outbox_frames as usize,
        stalled_after: Duration::from_secs(limits.outbox_stall_seconds),
        bad_frames_max: limits.max_bad_frames,
        refusals_max: limits.max_refusals,
        ping_every: Duration::from_secs(limits.ping_seconds),
        silent_after: Duration::from_secs(limits.silent_seconds),
        store_patience: Duration::from_secs(limits.store_wait_seconds),
    }
}

/// Listens for requests and sockets, on as many threads as are set.
fn open_doors(
    settings: &Settings,
    rest: &Data<Rest>,
    engine: &EngineHandle,
    clock: Clock,
) -> anyhow::Result<Doors> {
    let doorway = Arc::new(Doorway {
        tokens: rest.tokens.clone(),
        store: rest.store.clone(),
        clock,
        origins: Origins::parse(settings.allowed_origins.iter().map(Origin::as_str))?,
        handshakes: settings
            .rates
            .handshakes
            .map(|rate| RateLimiter::direct(Quota::per_second(rate.per_second).allow_burst(rate.burst))),
        // One for the whole process, and a pointer to it for each socket.
        frames: Box::leak(Box::new(Rules {
            frame_bytes_max: settings.limits.max_frame_bytes,
            message_bytes_max: settings.limits.max_frame_bytes,
            fragments_max: settings.limits.max_fragments,
            ..CHAT_RULES.clone()
        })),
        grace: Duration::from_secs(settings.limits.legacy_socket_seconds),
    });
    let (engine, rest) = (engine.clone(), rest.clone());
    let origins = settings.allowed_origins.clone();
    let header_patience = Duration::from_secs(settings.limits.header_seconds);
    Doors::open(settings.bind, settings.workers, move |closing: Closing| {
        let worker = engine.worker();
        let (doorway, rest) = (doorway.clone(), rest.clone());
        let app = App::new()
            .configure(http::assets::routes)
            .configure(move |config| http::routes(config, rest))
            .wrap(Compress::default())
            .wrap(cross_origin(&origins))
            .wrap(from_fn(part_while_stopping))
            .wrap(from_fn(http::watch::watch));
        let http = HttpService::build()
            .client_request_timeout(header_patience)
            .graceful_shutdown_signal(move || closing.clone().begins())
            // Boxed, for every connection keeps the place for it, and most become no socket.
            .upgrade(fn_service(move |upgrade| {
                Box::pin(pass(doorway.clone(), worker.clone(), upgrade).map(Ok::<_, Infallible>))
            }))
            .on_connect_ext(|stream: &Arrival, _| {
                // Without this an answer in two parts waits for the client's next acknowledgement.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection can't be tuned");
                }
            })
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(async |arrival: Arrival| {
            let peer = arrival.peer_addr().ok();
            Ok((arrival, Protocol::Http1, peer))
        })
        .and_then(http)
    })
    .with_context(|| format!("BIND: {} can't be listened on", settings.bind))
}

/// Ends a connection after its answer once the server stops: one that is kept open, and used again and
/// again, would hold up the stop to its last second.
async fn part_while_stopping<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let is_ready = request.app_data::<Data<Rest>>().map(|rest| rest.is_ready.clone());
    let mut answer = next.call(request).await?;
    if is_ready.is_some_and(|is_ready| !is_ready.load(Ordering::Acquire)) {
        answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(answer)
}

/// Which pages of other origins may call.
fn cross_origin(origins: &[Origin]) -> Cors {
    origins
        .iter()
        .fold(Cors::default(), |cors, origin| cors.allowed_origin(origin.as_str()))
        .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers(["X-Room-Seq", "Retry-After", "WWW-Authenticate"])
        .max_age(3_600)
}

/// Becomes ready when the engine has lost an actor that it can't do without.
async fn broken(engine: &EngineHandle) {
    while engine.is_whole().await {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    tracing::error!("a part of the engine has died; this process must be replaced");
}

/// Waits for SIGTERM or SIGINT.
async fn told_to_stop() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

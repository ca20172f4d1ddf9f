//! The wiring: the only place that knows every part. What is started here is stopped here, in the
//! opposite order.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_cors::Cors;
use actix_http::{HttpService, KeepAlive, Protocol};
use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, Method, StatusCode, header};
use actix_web::middleware::{Compress, Next, from_fn};
use actix_web::web::{self, Data};
use actors::domain::ids::NodeId;
use actors::domain::rate::Rate as EngineRate;
use actors::engine::{EngineHandle, Leftovers, Parts};
use actors::limits::{BATCHES_IN_FLIGHT_MAX, LANES_MAX, Limits};
use actors::ports::clock::Clock;
use actors::ports::link::Link;
use actors::protocol::envelope::LinkKey;
use anyhow::{Context, bail};
use chrono::Utc;
use futures_util::FutureExt;
use nix::sys::stat::{Mode, umask};
use sd_notify::NotifyState;
use secrecy::ExposeSecret;
use tokio::time::{Instant, sleep_until, timeout_at};
use uuid::Uuid;

use crate::auth::{FileUrlSigner, TokenMint, TokenVerifier, kept_secret};
use crate::cli::ServeArgs;
use crate::config::{Config, Database, MetricsBind, Origin, Rate, Settings};
use crate::doors::{Addresses, Arrival, Closing, Doors, HouseRules, Patience};
use crate::files::Uploads;
use crate::http::{self, Budgets, InFlight, Rest, RestSettings};
use crate::link::rabbitmq::RabbitLink;
use crate::socket::upgrade::{Doorway, TokenIdentity, pass};
use crate::socket::{CHAT_RULES, Origins, Rules};
use crate::store::postgres::private::PrivatePostgres;
use crate::store::postgres::{Connections, Options, PostgresStore};
use crate::{demo, janitor, telemetry, texts};

/// Within what time of the stop's begin clients shall come back, each at its own moment.
const RECONNECT_SPREAD: Duration = Duration::from_secs(5);
/// How often it is looked whether the engine is whole.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the stop may take beyond `DRAIN_SECONDS`: OPERATIONS and the unit in `deploy/` promise that.
const STOP_AFTER_DRAIN: Duration = Duration::from_secs(10);
/// Connections of one address to the figures.
const FIGURES_CONNECTIONS_MAX: usize = 16;
/// How much longer than one that is read a body that nobody reads may rest: the reader's answer goes first.
const UNREAD_BODY_PATIENCE: Duration = Duration::from_secs(5);
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
    // What is written from here on is for this account alone. A private PostgreSQL may have another one, which
    // has had to reach its folder.
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
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
        in_flight: InFlight::new(
            settings.limits.max_requests_per_user as usize,
            usize::try_from(settings.limits.max_held_bytes).unwrap_or(usize::MAX),
        ),
        is_ready: is_ready.clone(),
        metrics: Some(metrics),
        settings: RestSettings::from(&settings),
        store,
    });
    let figures = open_figures(&settings, &rest)?;
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
    let patience = Duration::from_secs(settings.drain_seconds);
    // One deadline for all of it, whatever takes long: the supervisor kills soon after.
    let deadline = Instant::now() + patience + STOP_AFTER_DRAIN - PrivatePostgres::STOPS_WITHIN;
    let left = timeout_at(deadline, engine.drain(RECONNECT_SPREAD, patience)).await.ok();
    sleep_until(deadline.min(Instant::now() + CLOSE_PATIENCE)).await;
    doors.close(deadline.saturating_duration_since(Instant::now())).await;
    drop(figures);
    drop(lease);
    if let Ground::Private(postgres) = ground {
        postgres.stop().await;
    }
    match &left {
        Some(left) => tracing::info!(commands = left.commands, sockets = left.sockets, "stopped"),
        None => tracing::error!("stopped before the engine had settled what was under way"),
    }
    Ok(if left == Some(Leftovers::default()) && !has_failed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
    let options = Options {
        connections: Connections::of(settings.database_connections.into(), BATCHES_IN_FLIGHT_MAX + LANES_MAX),
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
        rest: rest.clone(),
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
    // Who measures comes back with thousands at once, from one address.
    let is_measured = settings.rates.bad_handshakes.is_none();
    let of_each_address =
        if is_measured { usize::MAX } else { settings.limits.max_connections_per_address as usize };
    let rules = house_rules(settings, of_each_address);
    let keep_alive = Duration::from_secs(settings.limits.keep_alive_seconds);
    Doors::open(settings.bind, settings.workers, &rules, move |closing: Closing| {
        let worker = engine.worker();
        let (doorway, rest) = (doorway.clone(), rest.clone());
        let app = App::new()
            .configure(http::assets::routes)
            .configure(move |config| http::routes(config, rest))
            .wrap(from_fn(http::in_flight::hold))
            .wrap(Compress::default())
            .wrap(cross_origin(&origins))
            .wrap(from_fn(empty_preflight))
            .wrap(from_fn(part_while_stopping))
            .wrap(from_fn(http::watch::watch));
        let http = HttpService::build()
            // The doors have a time for every head, not only for the first.
            .client_request_timeout(Duration::ZERO)
            .keep_alive(KeepAlive::Timeout(keep_alive))
            .graceful_shutdown_signal(move || closing.clone().begins())
            // Boxed, for every connection keeps the place for it, and most become no socket.
            .upgrade(fn_service(move |upgrade| {
                Box::pin(pass(doorway.clone(), worker.clone(), upgrade).map(Ok::<_, Infallible>))
            }))
            .on_connect_ext(|arrival: &Arrival, known| {
                if let Some(stranger) = arrival.stranger() {
                    known.insert(stranger);
                }
            })
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(async |arrival: Arrival| {
            let peer = arrival.peer();
            Ok((arrival, Protocol::Http1, peer))
        })
        .and_then(http)
    })
    .with_context(|| format!("BIND: {} can't be listened on", settings.bind))
}

/// How long clients may take, and how many connections an address may have that nobody knows.
fn house_rules(settings: &Settings, of_each_address: usize) -> HouseRules {
    HouseRules {
        addresses: Addresses::new(of_each_address, settings.trusted_proxies.clone()),
        patience: Patience {
            head: Duration::from_secs(settings.limits.header_seconds),
            body: Duration::from_secs(settings.limits.body_stall_seconds) + UNREAD_BODY_PATIENCE,
            answer: Duration::from_secs(settings.limits.answer_stall_seconds),
        },
    }
}

/// Listens where nothing but the figures is.
fn open_figures(settings: &Settings, rest: &Data<Rest>) -> anyhow::Result<Option<Doors>> {
    let (MetricsBind::Preferred(bind) | MetricsBind::Given(bind)) = settings.metrics_bind else {
        return Ok(None);
    };
    let rest = rest.clone();
    let opened = Doors::open(bind, 1, &house_rules(settings, FIGURES_CONNECTIONS_MAX), move |_| {
        let route = web::get().to(http::health::metrics_alone);
        let app = App::new().app_data(rest.clone()).route("/metrics", route);
        let http = HttpService::build()
            .client_request_timeout(Duration::ZERO)
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(async |arrival: Arrival| {
            let peer = arrival.peer();
            Ok((arrival, Protocol::Http1, peer))
        })
        .and_then(http)
    });
    match (opened, settings.metrics_bind) {
        (Ok(doors), _) => Ok(Some(doors)),
        (Err(error), MetricsBind::Given(_)) => {
            Err(error).with_context(|| format!("METRICS_BIND: {bind} can't be listened on"))
        }
        (Err(_), _) => {
            tracing::info!(%bind, "the figures are not served: someone else listens there; set METRICS_BIND");
            Ok(None)
        }
    }
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

/// Tells by its status that the answer to a preflight has nothing in it.
async fn empty_preflight<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut answer = next.call(request).await?;
    if is_preflight && answer.status() == StatusCode::OK {
        *answer.response_mut().status_mut() = StatusCode::NO_CONTENT;
    }
    Ok(answer)
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

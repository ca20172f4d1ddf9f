//! The HTTP services on the listeners, and their middleware.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
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
use actors::engine::EngineHandle;
use actors::ports::clock::Clock;
use anyhow::Context;
use futures_util::FutureExt;

use crate::config::{MetricsBind, Origin, Settings};
use crate::http::{self, ApiState};
use crate::listener::{Connection, ConnectionLimiter, Listener, ListenerOptions, ShutdownSignal, Timeouts};
use crate::socket::upgrade::{UpgradeService, handle_upgrade};
use crate::socket::{CHAT_FRAME_LIMITS, FrameLimits, Origins};

/// Unauthenticated connections of one address to the metrics.
const METRICS_CONNECTIONS_MAX: usize = 16;
/// How much longer than a body that is read an unread one may stall, so that the handler responds first.
const UNREAD_BODY_GRACE: Duration = Duration::from_secs(5);

/// Starts the listener for requests and sockets, on the configured number of threads.
pub(super) fn start_listener(
    settings: &Settings,
    state: &Data<ApiState>,
    engine: &EngineHandle,
    clock: Clock,
) -> anyhow::Result<Listener> {
    let upgrade_service = Arc::new(UpgradeService {
        tokens: state.tokens.clone(),
        store: state.store.clone(),
        clock,
        origins: Origins::parse(settings.allowed_origins.iter().map(Origin::as_str))?,
        state: state.clone(),
        // Leaked, so that each socket needs only a pointer to it.
        frame_limits: Box::leak(Box::new(FrameLimits {
            frame_bytes_max: settings.limits.max_frame_bytes,
            message_bytes_max: settings.limits.max_frame_bytes,
            fragments_max: settings.limits.max_fragments,
            ..CHAT_FRAME_LIMITS.clone()
        })),
        grace: Duration::from_secs(settings.limits.legacy_socket_seconds),
    });
    let (engine, state) = (engine.clone(), state.clone());
    let origins = settings.allowed_origins.clone();
    // Load tests reconnect thousands of clients at once from one address.
    let rates_are_off = settings.rates.bad_handshakes.is_none();
    let connections_per_address_max =
        if rates_are_off { usize::MAX } else { settings.limits.max_connections_per_address as usize };
    let options = listener_options(settings, connections_per_address_max);
    let keep_alive = Duration::from_secs(settings.limits.keep_alive_seconds);
    Listener::bind(settings.bind, settings.workers, &options, move |shutdown: ShutdownSignal| {
        let worker = engine.worker();
        let (upgrade_service, state) = (upgrade_service.clone(), state.clone());
        let app = App::new()
            .configure(http::assets::routes)
            .configure(move |config| http::routes(config, state))
            .wrap(from_fn(http::in_flight::track))
            .wrap(Compress::default())
            .wrap(cors(&origins))
            .wrap(from_fn(no_content_preflight))
            .wrap(from_fn(close_while_stopping))
            .wrap(from_fn(http::request_log::log_request));
        let http = HttpService::build()
            // The listener applies its timeout to every head, the parser only to the first.
            .client_request_timeout(Duration::ZERO)
            .keep_alive(KeepAlive::Timeout(keep_alive))
            .graceful_shutdown_signal(move || shutdown.clone().triggered())
            // Boxed, because every connection reserves space for this future, and most don't become sockets.
            .upgrade(fn_service(move |upgrade| {
                Box::pin(
                    handle_upgrade(upgrade_service.clone(), worker.clone(), upgrade).map(Ok::<_, Infallible>),
                )
            }))
            .on_connect_ext(|connection: &Connection, known| {
                if let Some(guard) = connection.guard() {
                    known.insert(guard);
                }
            })
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(async |connection: Connection| {
            let peer = connection.peer();
            Ok((connection, Protocol::Http1, peer))
        })
        .and_then(http)
    })
    .with_context(|| format!("BIND: {} can't be listened on", settings.bind))
}

/// The timeouts of connections and their number per address.
fn listener_options(settings: &Settings, connections_per_address_max: usize) -> ListenerOptions {
    ListenerOptions {
        limiter: ConnectionLimiter::new(connections_per_address_max, settings.trusted_proxies.clone()),
        timeouts: Timeouts {
            head: Duration::from_secs(settings.limits.header_seconds),
            body: Duration::from_secs(settings.limits.body_stall_seconds) + UNREAD_BODY_GRACE,
            response: Duration::from_secs(settings.limits.answer_stall_seconds),
        },
    }
}

/// Starts the listener that serves nothing but the metrics, if configured.
pub(super) fn start_metrics_listener(
    settings: &Settings,
    state: &Data<ApiState>,
) -> anyhow::Result<Option<Listener>> {
    let (MetricsBind::Preferred(bind) | MetricsBind::Given(bind)) = settings.metrics_bind else {
        return Ok(None);
    };
    let state = state.clone();
    let opened = Listener::bind(bind, 1, &listener_options(settings, METRICS_CONNECTIONS_MAX), move |_| {
        let route = web::get().to(http::health::metrics_without_token);
        let app = App::new().app_data(state.clone()).route("/metrics", route);
        let http = HttpService::build()
            .client_request_timeout(Duration::ZERO)
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(async |connection: Connection| {
            let peer = connection.peer();
            Ok((connection, Protocol::Http1, peer))
        })
        .and_then(http)
    });
    match (opened, settings.metrics_bind) {
        (Ok(listener), _) => Ok(Some(listener)),
        (Err(error), MetricsBind::Given(_)) => {
            Err(error).with_context(|| format!("METRICS_BIND: {bind} can't be listened on"))
        }
        (Err(_), _) => {
            tracing::info!(%bind, "metrics are not served: the address is in use; set METRICS_BIND");
            Ok(None)
        }
    }
}

/// Closes connections after the next response once the server is stopping; clients that keep reusing one
/// would otherwise delay the stop.
async fn close_while_stopping<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let is_ready = request.app_data::<Data<ApiState>>().map(|state| state.is_ready.clone());
    let mut response = next.call(request).await?;
    if is_ready.is_some_and(|is_ready| !is_ready.load(Ordering::Acquire)) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// The headers of tus that pages of other origins send.
const UPLOAD_REQUEST_HEADERS: [&str; 5] =
    ["Tus-Resumable", "Upload-Length", "Upload-Metadata", "Upload-Offset", "Upload-Checksum"];
/// The headers of tus that pages of other origins read.
const UPLOAD_RESPONSE_HEADERS: [&str; 10] = [
    "Location",
    "Tus-Resumable",
    "Tus-Version",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Checksum-Algorithm",
    "Upload-Offset",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Expires",
];

/// CORS for the configured origins.
fn cors(origins: &[Origin]) -> Cors {
    origins
        .iter()
        .fold(Cors::default(), |cors, origin| cors.allowed_origin(origin.as_str()))
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .allowed_headers(UPLOAD_REQUEST_HEADERS)
        .expose_headers(["X-Room-Seq", "X-Personal-Position", "Retry-After", "WWW-Authenticate"])
        .expose_headers(UPLOAD_RESPONSE_HEADERS)
        .max_age(3_600)
}

/// Changes the status of preflight responses to 204, because they have no content.
async fn no_content_preflight<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = next.call(request).await?;
    if is_preflight && response.status() == StatusCode::OK {
        *response.response_mut().status_mut() = StatusCode::NO_CONTENT;
    }
    Ok(response)
}

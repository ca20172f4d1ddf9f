//! The server that all tests of this binary share: one node on a temporary PostgreSQL.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle};
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use actors::domain::ids::{NodeId, RoomId};
use actors::engine::{EngineHandle, EngineParts};
use actors::limits::Limits;
use actors::ports::clock::Clock;
use actors::ports::identity::{Credential, Identity};
use actors::protocol::envelope::EnvelopeKey;
use aristay_chat::auth::{FileUrlSigner, TokenIssuer, TokenVerifier, passwords};
use aristay_chat::config::{Config, Settings};
use aristay_chat::files::Uploads;
use aristay_chat::http::{ApiSettings, ApiState, InFlight, RateLimits, routes};
use aristay_chat::link_previews::LinkPreviews;
use aristay_chat::outbound::OutboundClient;
use aristay_chat::push::VapidKey;
use aristay_chat::store::postgres::private::PrivatePostgres;
use aristay_chat::store::postgres::{PostgresStore, StoreOptions};
use aristay_chat::{exports, janitor, retention};
use clap::Parser;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

/// The key that signs the tests' tokens.
const SECRET: &str = "7f1c2b9e4d5a60738f1e2d3c4b5a69780a1b2c3d4e5f60718293a4b5c6d7e8f9";

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    /// Its store, for what REST can't do.
    pub store: PostgresStore,
    state: Data<ApiState>,
    arbiter: ArbiterHandle,
    database: tokio_postgres::Config,
    /// Issues tokens that it accepts.
    pub token_issuer: TokenIssuer,
    /// The folder of its attachments and uploads.
    pub folder: PathBuf,
}

impl Server {
    /// Creates a built-in account.
    pub async fn creates_account(&self, username: &str, password: &str) {
        let hash = passwords::hash(SecretString::from(password)).await.expect("a hash");
        self.store.upsert_account(username, "", "", false, &hash).await.expect("an account");
    }

    /// Signs a token with these claims over those of a current access token.
    pub fn signs_token(&self, says: &Value) -> String {
        let now = chrono::Utc::now().timestamp();
        let jti = uuid::Uuid::new_v4().simple().to_string();
        let mut claims = json!({"token_type": "access", "exp": now + 300, "iat": now, "jti": jti});
        for (name, value) in says.as_object().expect("claims") {
            claims[name] = value.clone();
        }
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("a token")
    }

    /// A connection to its database, bypassing the store.
    pub async fn client(&self) -> Client {
        let (client, connection) = self.database.connect(NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client
    }

    /// Deletes what the rules of retention don't keep, in all rooms.
    pub async fn sweeps(&self) {
        let (state, (done, swept)) = (self.state.clone(), tokio::sync::oneshot::channel());
        // The engine's rooms live where the server does.
        let is_running = self.arbiter.spawn_fn(move || {
            actix_web::rt::spawn(async move {
                let start = RoomId(uuid::Uuid::nil());
                let mut after = start;
                loop {
                    after = retention::sweep(&state, after).await.expect("a round").last;
                    if after == start {
                        break;
                    }
                }
                done.send(()).expect("the test waits");
            });
        });
        assert!(is_running);
        swept.await.expect("everything is swept");
    }

    /// Writes the export that has waited longest. Returns whether there was one.
    pub async fn writes_export(&self) -> bool {
        exports::write_next(&self.state, uuid::Uuid::new_v4()).await.expect("an archive")
    }

    /// Deletes archives that are no longer kept.
    pub async fn expires_exports(&self) {
        janitor::expire_exports(&self.state).await.expect("done");
    }

    /// A transaction that blocks inserts into a table until it ends.
    pub async fn holds_inserts(&self, table: &str) -> Client {
        let client = self.client().await;
        let trigger = format!(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$;
             CREATE TRIGGER hold BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION hold()"
        );
        client.batch_execute(&trigger).await.expect("a trigger");
        client.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(1)").await.expect("a lock");
        client
    }

    /// Waits until a session waits for a lock.
    pub async fn wait_for_lock(&self) {
        self.wait_for_locks(1).await;
    }

    /// Waits until `count` sessions wait for a lock.
    pub async fn wait_for_locks(&self, count: i64) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        let client = self.client().await;
        for _ in 0..1_000 {
            if client.query_one(waiting, &[]).await.expect("a count").get::<_, i64>(0) >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("nobody waits for a lock");
    }
}

/// These tests open no sockets.
struct Nobody;

#[async_trait::async_trait]
impl Identity for Nobody {
    async fn verify(&self, _token: &str) -> Option<Credential> {
        None
    }
}

/// The shared server, started at the first call.
pub async fn shared() -> &'static Server {
    static SHARED: OnceCell<Server> = OnceCell::const_new();
    SHARED.get_or_init(|| async { start(&[]).await }).await
}

/// Starts a server with `flags` besides the tests' own settings.
pub async fn start(flags: &[&str]) -> Server {
    let (tell, told) = tokio::sync::oneshot::channel();
    let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let settings = settings(&flags);
            let database = PrivatePostgres::temporary().await.expect("a PostgreSQL of the tests' own");
            let options = StoreOptions::default();
            let store = PostgresStore::connect(database.config(), options).await.expect("a store");
            let engine = EngineHandle::start(EngineParts {
                node: NodeId(uuid::Uuid::new_v4()),
                limits: Limits::default(),
                clock: Clock::start(chrono::Utc::now()),
                store: Arc::new(store.clone()),
                identity: Arc::new(Nobody),
                broker: None,
                envelope_key: EnvelopeKey::new(b"tests"),
            });
            let folder = tempfile::tempdir().expect("a folder");
            let state = Data::new(state(&settings, engine, store.clone(), folder.path()));
            let (shared, arbiter) = (state.clone(), Arbiter::current());
            let server = HttpServer::new(move || {
                let state = state.clone();
                App::new().configure(move |config| routes(config, state))
            })
            .workers(2)
            // As the real listener: no unsolicited responses, and no timeouts while the machine is busy.
            .client_request_timeout(Duration::ZERO)
            .keep_alive(Duration::from_secs(75))
            .disable_signals()
            .bind("127.0.0.1:0")
            .expect("a port");
            let address = server.addrs()[0];
            let told = tell
                .send((address, store, shared, arbiter, database.config(), folder.path().to_owned()))
                .is_ok();
            assert!(told, "the test that started it waits");
            server.run().await.expect("a server that runs");
        });
    });
    let (address, store, state, arbiter, database, folder) = told.await.expect("the server has started");
    let token_issuer = TokenIssuer::new(&settings(&[]).auth, &SecretString::from(SECRET));
    Server { address, store, state, arbiter, database, token_issuer, folder }
}

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    config: Config,
}

fn settings(flags: &[String]) -> Settings {
    let is_rated = flags.iter().any(|flag| flag.starts_with("--rate"));
    let own = ["it", "--jwt-secret", SECRET, "--rate-limits", if is_rated { "on" } else { "off" }];
    let arguments = own.iter().map(ToString::to_string).chain(flags.iter().cloned());
    Arguments::parse_from(arguments).config.validate().expect("settings")
}

fn state(
    settings: &Settings,
    engine: EngineHandle,
    store: PostgresStore,
    folder: &std::path::Path,
) -> ApiState {
    let secret = SecretString::from(SECRET);
    let outbound = OutboundClient::new(&settings.outbound_allow).expect("certificates");
    let link_previews = settings.link_previews.then(|| LinkPreviews::new(store.clone(), outbound.clone()));
    ApiState {
        engine,
        log: Arc::new(store.clone()),
        tokens: Arc::new(
            TokenVerifier::new(&settings.auth, Some(&secret)).with_bots(Arc::new(store.clone())),
        ),
        store,
        token_issuer: Some(TokenIssuer::new(&settings.auth, &secret)),
        file_urls: FileUrlSigner::new(SECRET.as_bytes()),
        uploads: Uploads::open_folder(folder, settings.limits.max_upload_bytes).expect("a folder"),
        outbound,
        link_previews,
        fcm: None,
        vapid: VapidKey::read(&VapidKey::generate().expect("a key")).expect("a key"),
        rate_limits: RateLimits::new(&settings.rates),
        in_flight: InFlight::new(
            settings.limits.max_requests_per_user as usize,
            usize::try_from(settings.limits.max_held_bytes).expect("a number"),
        ),
        is_ready: Arc::new(AtomicBool::new(true)),
        metrics: metrics(),
        settings: ApiSettings { body_stall: Duration::from_secs(2), ..ApiSettings::from(settings) },
    }
}

/// The metrics of this process, which all servers share.
fn metrics() -> Option<metrics_exporter_prometheus::PrometheusHandle> {
    static METRICS: std::sync::OnceLock<Option<metrics_exporter_prometheus::PrometheusHandle>> =
        std::sync::OnceLock::new();
    METRICS.get_or_init(|| aristay_chat::telemetry::start_metrics().ok()).clone()
}

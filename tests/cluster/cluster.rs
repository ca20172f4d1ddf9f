//! Nodes as processes, and what an operator and a host application do with them.

use std::{
    fs::{self, File},
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use aristay_chat::store::postgres::private::PrivatePostgres;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    sync::{MappedMutexGuard, Mutex, MutexGuard, OwnedMutexGuard},
    time::sleep,
};

use crate::{client::Socket, rabbitmq::RabbitMq};

/// The key shared with the host application.
const SECRET: &str = "a-key-that-is-only-for-the-tests-of-many-nodes";
/// Grants access to the metrics of a node.
const METRICS_TOKEN: &str = "a-token-for-the-figures-of-many-nodes";
/// How long the start of a node may take on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Stops the nodes when the process that started them ends.
const CLEAN_UP: &str = r#"
cat > /dev/null
for pid in "$1"/*.pid; do kill -KILL "$(cat "$pid")" 2> /dev/null; done
rm -rf "$1"
"#;

/// A node.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) port: u16,
    child: Option<Child>,
    settings: Vec<(String, String)>,
    log: PathBuf,
}

/// Nodes on one database and one broker.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    folder: PathBuf,
    guard: Child,
}

/// A user and a token.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) token: String,
}

/// Acquires the broker; only one test at a time can have it.
pub(crate) async fn broker() -> OwnedMutexGuard<RabbitMq> {
    static BROKER: OnceLock<Arc<Mutex<RabbitMq>>> = OnceLock::new();
    BROKER.get_or_init(|| Arc::new(Mutex::new(RabbitMq::start()))).clone().lock_owned().await
}

/// Three nodes, and their broker, shared by tests that don't break them.
pub(crate) struct Shared {
    cluster: MappedMutexGuard<'static, Cluster>,
    _broker: OwnedMutexGuard<RabbitMq>,
}

impl Deref for Shared {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

/// Acquires the shared nodes for a test; the first one starts them.
pub(crate) async fn shared() -> Shared {
    static SHARED: OnceLock<Mutex<Option<Cluster>>> = OnceLock::new();
    let broker = broker().await;
    let mut shared = SHARED.get_or_init(Mutex::default).lock().await;
    if shared.is_none() {
        let postgres = PrivatePostgres::shared().await.unwrap();
        *shared = Some(Cluster::start(3, &database(postgres).await, &broker.url()).await);
    }
    let cluster = MutexGuard::map(shared, |shared| shared.as_mut().expect("started above"));
    Shared { cluster, _broker: broker }
}

/// Creates a database and returns its URL.
pub(crate) async fn database(postgres: &PrivatePostgres) -> String {
    let config = postgres.fresh_database(None).await.unwrap();
    let name = config.get_dbname().unwrap();
    let url = postgres.url();
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

impl Node {
    /// Starts the node without waiting for it.
    pub(crate) fn start(&mut self) {
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_aristay-chat"))
            .arg("serve")
            .env_clear()
            .envs(self.settings.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        fs::write(self.log.with_extension("pid"), child.id().to_string()).unwrap();
        self.child = Some(child);
    }

    /// Changes a setting for the next start.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) async fn is_ready(&self) -> bool {
        let ready = reqwest::Client::new()
            .get(format!("http://127.0.0.1:{}/health/ready", self.port))
            .timeout(Duration::from_secs(2))
            .send()
            .await;
        ready.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    /// Waits until the node serves. Returns how long that took.
    pub(crate) async fn ready(&mut self) -> Duration {
        let begin = Instant::now();
        while !self.is_ready().await {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().unwrap()) {
                panic!("{} ended with {status}:\n{}", self.name, self.log_end());
            }
            assert!(begin.elapsed() < START_PATIENCE, "{} isn't ready:\n{}", self.name, self.log_end());
            sleep(Duration::from_millis(20)).await;
        }
        begin.elapsed()
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Asks the node to stop, and waits until it has.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended().await
    }

    /// Waits until the node exits by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a node that runs");
        tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().expect("a node that runs").id().to_string();
        assert!(Command::new("/bin/kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub(crate) fn log_end(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// The value of a metric; 0 if nothing was counted.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let url = format!("http://127.0.0.1:{}/metrics", self.port);
        let asked = reqwest::Client::new().get(url).bearer_auth(METRICS_TOKEN).send();
        let text = asked.await.unwrap().text().await.unwrap();
        text.lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    }
}

impl Cluster {
    /// Starts nodes and waits until they serve and receive each other's messages.
    pub(crate) async fn start(count: usize, database_url: &str, amqp_url: &str) -> Self {
        let mut cluster = Self::prepare(count, database_url, amqp_url);
        for node in &mut cluster.nodes {
            node.start();
        }
        cluster.linked().await;
        cluster
    }

    /// Prepares nodes without starting them.
    pub(crate) fn prepare(count: usize, database_url: &str, amqp_url: &str) -> Self {
        let folder = PathBuf::from(format!("/tmp/aristay-cluster-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir_all(folder.join("data")).unwrap();
        let guard = Command::new("/bin/sh")
            .args(["-c", CLEAN_UP, "sh"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let nodes = (1..=count).map(|n| new_node(&folder, n, database_url, amqp_url)).collect();
        Self { nodes, folder, guard }
    }

    /// Waits until all nodes serve and are connected to the broker.
    pub(crate) async fn linked(&mut self) {
        for node in &mut self.nodes {
            node.ready().await;
        }
        let until = Instant::now() + START_PATIENCE;
        for node in &self.nodes {
            while node.metric("chat_broker_up").await < 1.0 {
                assert!(Instant::now() < until, "{} has no link:\n{}", node.name, node.log_end());
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Calls a node and returns status and body.
    pub(crate) async fn call(
        &self,
        node: usize,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let url = format!("http://127.0.0.1:{}{path}", self.nodes[node].port);
        let mut call = reqwest::Client::new().request(method, url).bearer_auth(token);
        if let Some(body) = body {
            call = call.json(&body);
        }
        let answer = call.timeout(Duration::from_secs(12)).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Creates a new user, as the host application does.
    pub(crate) async fn user(&self) -> User {
        static NEXT: AtomicI64 = AtomicI64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let body = json!({"username": format!("person{id}"), "full_name": format!("Person {id}")});
        self.put_user(0, id, body).await;
        User { id, token: token(id) }
    }

    /// Changes a user, as the host application does.
    pub(crate) async fn put_user(&self, node: usize, id: i64, body: Value) {
        let path = format!("/api/chat/users/{id}/");
        let (status, answer) = self.call(node, Method::PUT, &path, &service_token(), Some(body)).await;
        assert!(status.is_success(), "{status} {answer}");
    }

    /// Creates a group of these users; the first is its admin.
    pub(crate) async fn room(&self, users: &[&User]) -> String {
        let others: Vec<i64> = users[1..].iter().map(|user| user.id).collect();
        let body = json!({"room_type": "group", "name": "Roof", "participant_ids": others});
        let (status, room) =
            self.call(0, Method::POST, "/api/chat/rooms/", &users[0].token, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{room}");
        room["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn room_socket(&self, node: usize, user: &User, room: &str) -> Socket {
        let path = format!("/ws/chat/{room}/?token={}", user.token);
        let mut socket = Socket::open(self.nodes[node].port, &path).await.expect("let in");
        socket.sees("connection_established").await;
        socket
    }

    pub(crate) async fn user_socket(&self, node: usize, user: &User) -> Socket {
        let path = format!("/ws/chat/?token={}", user.token);
        let mut socket = Socket::open(self.nodes[node].port, &path).await.expect("let in");
        socket.sees("connection_established").await;
        socket
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.kill();
        }
        drop(self.guard.stdin.take());
        let _reaped = self.guard.wait();
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

fn new_node(folder: &Path, n: usize, database_url: &str, amqp_url: &str) -> Node {
    let (name, port) = (format!("node{n}"), crate::rabbitmq::free_port());
    let mut node =
        Node { port, child: None, settings: Vec::new(), log: folder.join(format!("{name}.log")), name };
    let data = folder.join("data").to_string_lossy().into_owned();
    let (bind, name) = (format!("127.0.0.1:{port}"), node.name.clone());
    for (setting, value) in [
        ("BIND", bind.as_str()),
        ("NODE_ID", &name),
        ("DATABASE_URL", database_url),
        ("AMQP_URL", amqp_url),
        ("DATA_DIR", &data),
        ("JWT_SECRET", SECRET),
        ("METRICS_TOKEN", METRICS_TOKEN),
        ("RATE_LIMITS", "off"),
        ("WORKERS", "1"),
        ("DATABASE_CONNECTIONS", "12"),
        ("MAX_SOCKETS_PER_USER", "100"),
    ] {
        node.set(setting, value);
    }
    node
}

fn signed(claims: &Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}

/// A user token, as the host application signs it.
pub(crate) fn token(user: i64) -> String {
    let now = chrono::Utc::now().timestamp();
    let id = uuid::Uuid::new_v4().simple().to_string();
    signed(&json!({"token_type": "access", "user_id": user, "iat": now, "exp": now + 7_200, "jti": id}))
}

/// A service token of the host application.
pub(crate) fn service_token() -> String {
    let now = chrono::Utc::now().timestamp();
    let id = uuid::Uuid::new_v4().simple().to_string();
    signed(&json!({"token_type": "access", "scope": "service", "iat": now, "exp": now + 7_200, "jti": id}))
}

/// Prints the result of a run directly, which the test harness does not capture.
pub(crate) fn report(line: &str) {
    let mut out = std::io::stdout().lock();
    let _closed = writeln!(out, "{line}");
}

//! A server process with its own database, in the PostgreSQL cluster of this test run.
//!
//! The binary is the one that was built with the tests, or the one that `CHAT_BIN` names, such as a release.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use aristay_chat::store::postgres::private::PrivatePostgres;

/// The key that signs the tests' tokens.
pub const SECRET: &str = "5d0c7b62f14e9a8837c1d2e3f4a5b6978a9b0c1d2e3f40516273849596a7b8c9";
/// The token for the server's metrics.
pub const METRICS_TOKEN: &str = "a-token-for-the-figures-of-the-tests";
/// The longest that a start or a stop may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A server with its settings, and its process while it runs.
pub struct Node {
    /// Its address, which restarts keep.
    pub address: SocketAddr,
    /// The URL of its database.
    pub database: String,
    settings: Vec<(String, String)>,
    folder: tempfile::TempDir,
    process: Option<Process>,
}

/// The resources that a server uses at a moment.
#[derive(Clone, Copy, Debug)]
pub struct ResourceUsage {
    pub descriptors: usize,
    pub threads: usize,
    /// Open sockets, including those that aren't admitted yet.
    pub sessions: u64,
    /// Connections to its database.
    pub connections: i64,
    pub resident_kib: u64,
}

/// A child process, with a watcher that kills it when the test process ends in any way.
struct Process {
    child: Child,
    watcher: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
        drop(self.watcher.stdin.take());
        let _reaped = self.watcher.wait();
    }
}

impl Node {
    /// Starts a server on a fresh database, with `settings` in addition to those of the tests.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let postgres = PrivatePostgres::shared().await.expect("a PostgreSQL of the tests' own");
        Self::start_on(postgres, settings).await
    }

    /// Starts a server on a cluster that the test may damage.
    pub async fn start_on(postgres: &PrivatePostgres, settings: &[(&str, &str)]) -> Self {
        let database = postgres.fresh_database(None).await.expect("a database");
        let url = postgres.url();
        let cluster = url.rsplit_once('/').expect("a URL with a path").0;
        let name = database.get_dbname().expect("a name");
        let mut node = Self {
            address: free_address(),
            database: format!("{cluster}/{name}"),
            settings: settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            folder: tempfile::tempdir().expect("a folder"),
            process: None,
        };
        node.start_process();
        node
    }

    /// Starts another server on the same database.
    pub fn start_peer(&self, settings: &[(&str, &str)]) -> Self {
        let mut node = Self {
            address: free_address(),
            database: self.database.clone(),
            settings: settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            folder: tempfile::tempdir().expect("a folder"),
            process: None,
        };
        node.start_process();
        node
    }

    /// Changes a setting for the next start.
    pub fn configure(&mut self, name: &str, value: &str) {
        self.settings.retain(|(other, _)| other != name);
        self.settings.push((name.into(), value.into()));
    }

    /// Starts the process, and waits until it is ready.
    pub fn start_process(&mut self) {
        let log = self.folder.path().join("log");
        let log = std::fs::File::options().create(true).append(true).open(log).expect("a log");
        let child =
            Command::new(std::env::var("CHAT_BIN").unwrap_or(env!("CARGO_BIN_EXE_aristay-chat").into()))
                .args(["serve"])
                .env("BIND", self.address.to_string())
                .env("DATABASE_URL", &self.database)
                .env("DATA_DIR", self.folder.path())
                .env("JWT_SECRET", SECRET)
                .env("METRICS_TOKEN", METRICS_TOKEN)
                .env("NODE_ID", format!("node-{}", self.address.port()))
                .env("WORKERS", "2")
                .envs(self.settings.iter().cloned())
                .stdin(Stdio::null())
                .stdout(log.try_clone().expect("the same log"))
                .stderr(log)
                .spawn()
                .expect("the server's binary");
        let watcher = Command::new("/bin/sh")
            .args(["-c", "cat > /dev/null; kill -9 $0 2> /dev/null"])
            .arg(child.id().to_string())
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        self.process = Some(Process { child, watcher });
        let since = Instant::now();
        while !self.is_ready() {
            let process = self.process.as_mut().expect("it was just started");
            let ended = process.child.try_wait().expect("a child");
            assert!(ended.is_none() && since.elapsed() < TIMEOUT, "the server doesn't start: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_ready(&self) -> bool {
        use std::io::{Read, Write};
        let Ok(mut stream) = TcpStream::connect(self.address) else { return false };
        let _late = stream.set_read_timeout(Some(Duration::from_secs(2)));
        let sent = stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        let mut answer = [0; 12];
        sent.and_then(|()| stream.read_exact(&mut answer)).is_ok() && answer.ends_with(b"200")
    }

    /// Kills the process without warning.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops the process gracefully and returns its exit status.
    pub fn stop(&mut self) -> ExitStatus {
        self.send_sigterm();
        self.wait_for_exit()
    }

    /// Asks the process to stop.
    pub fn send_sigterm(&self) {
        let told = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status();
        assert!(told.expect("kill").success());
    }

    /// Waits until the process has ended.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it runs");
        let since = Instant::now();
        loop {
            if let Some(status) = process.child.try_wait().expect("a child") {
                return status;
            }
            assert!(since.elapsed() < TIMEOUT, "the server doesn't stop: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the id of the process.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").child.id()
    }

    /// Measures the resources that the server uses now.
    pub async fn resource_usage(&self) -> ResourceUsage {
        let count = |what| {
            let folder = std::fs::read_dir(format!("/proc/{}/{what}", self.pid()));
            folder.expect("a process that runs").count()
        };
        ResourceUsage {
            descriptors: count("fd"),
            threads: count("task"),
            sessions: self.metric("chat_sessions").await.unwrap_or(0),
            connections: self.connections().await,
            resident_kib: self.resident_kib(),
        }
    }

    /// Reads a metric of the server; `None` until it was recorded.
    pub async fn metric(&self, name: &str) -> Option<u64> {
        let page = self.metrics().await;
        page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Reads all metrics of the server.
    pub async fn metrics(&self) -> String {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = http.get(format!("http://{}/metrics", self.address)).bearer_auth(METRICS_TOKEN);
        request.send().await.expect("an answer").text().await.expect("a page")
    }

    /// Counts the connections to the server's database.
    async fn connections(&self) -> i64 {
        const COUNT: &str = "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let connected = tokio_postgres::connect(&self.database, tokio_postgres::NoTls).await;
        let (client, connection) = connected.expect("a database");
        let connection = tokio::spawn(connection);
        let count = client.query_one(COUNT, &[]).await.expect("a count").get(0);
        connection.abort();
        count
    }

    /// Revokes a user's tokens issued before `second` in the database, without telling the server.
    pub async fn revokes_tokens_in_database(&self, user: i64, second: i64) {
        let connected = tokio_postgres::connect(&self.database, tokio_postgres::NoTls).await;
        let (client, connection) = connected.expect("a database");
        let connection = tokio::spawn(connection);
        let revoke = "UPDATE people SET tokens_valid_from = $2 WHERE id = $1";
        assert_eq!(client.execute(revoke, &[&user, &second]).await.expect("a user"), 1);
        connection.abort();
    }

    /// Returns the resident memory of the process, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("a status");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("a size");
        line.split_whitespace().nth(1).and_then(|size| size.parse().ok()).expect("a number")
    }

    /// Returns the server's log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// Finds a free port below the ephemeral range, from which a client could take it between two starts.
fn free_address() -> SocketAddr {
    for _ in 0..1_000 {
        let port = 20_000 + u16::try_from(uuid::Uuid::new_v4().as_u128() % 12_000).expect("below 12,000");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port between 20000 and 32000");
}

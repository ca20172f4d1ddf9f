//! PostgreSQL servers of the tests' own, reached over TCP.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_postgres::{Client, NoTls};

use crate::client::SOON;
use crate::rabbitmq::free_port;

/// A PostgreSQL server that ends with this process.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) folder: PathBuf,
    /// Settings besides those that it needs.
    pub(crate) settings: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// A server whose data will be in `name`, on a port of its own.
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        if is_root() {
            run(Command::new("chown").args(["postgres", &folder.to_string_lossy()]));
        }
        Self { port: free_port(), folder: folder.join(name), settings: Vec::new(), child: None }
    }

    /// The same with an empty cluster.
    pub(crate) fn created(folder: &Path, name: &str) -> Self {
        let server = Self::new(folder, name);
        let data = server.folder.to_string_lossy().into_owned();
        run(postgres_program("initdb").args(["-D", &data, "-U", "aristay", "-A", "trust", "--no-sync"]));
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub(crate) fn start(&mut self) {
        let port = self.port.to_string();
        let mut server = postgres_program("postgres");
        server.args(["-D", &self.folder.to_string_lossy(), "-p", &port]);
        server.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        server.args(["-c", "log_min_messages=fatal"]);
        server.args(self.settings.iter().flat_map(|setting| ["-c", setting]));
        self.child = Some(server.spawn().expect("postgres starts"));
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) async fn client(&self) -> Client {
        let begin = Instant::now();
        loop {
            let url = format!("postgres://aristay@127.0.0.1:{}/postgres", self.port);
            match tokio_postgres::connect(&url, NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return client;
                }
                Err(error) => assert!(begin.elapsed() < SOON, "no PostgreSQL on {}: {error}", self.port),
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program of PostgreSQL, run under an account that it accepts.
pub(crate) fn postgres_program(name: &str) -> Command {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let program = versions.map(|version| version.unwrap().path().join("bin").join(name)).max().unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    }
    command.arg(program).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

pub(crate) fn run(command: &mut Command) {
    assert!(command.status().expect("a program that starts").success(), "{command:?}");
}

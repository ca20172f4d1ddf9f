//! The measured server: a process on a private PostgreSQL, pinned to a core.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::usage::{self, Usage};
use crate::values::Values;

/// The key of the tokens.
pub(crate) const SECRET: &str = "5d0c7b62f14e9a8837c1d2e3f4a5b6978a9b0c1d2e3f40516273849596a7b8c9";
/// Grants access to the server's metrics.
const METRICS_TOKEN: &str = "a-token-for-the-figures-of-the-runs";
/// How long a start and a stop may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// Ports below those that the system assigns to clients.
const PORTS: Range<u16> = 20_000..30_000;

/// The running server.
pub(crate) struct Node {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// The folder of the database's socket.
    pub(crate) sockets: String,
    child: Child,
    /// An optional second node on the same database, and its address.
    peer: Option<(Child, SocketAddr)>,
    postmaster: u32,
    values: Values,
    folder: tempfile::TempDir,
}

impl Node {
    /// Starts `server=PATH` on `core=N` and its PostgreSQL on `postgres_core=N`; the loader runs on
    /// `loader_core=N`. `settings=A=1,B=2` is added to its environment. With `amqp=URL` a second node is
    /// started on `peer_core=N`.
    pub(crate) fn start(values: &Values) -> anyhow::Result<Self> {
        let (address, folder) = (free_address(PORTS)?, tempfile::tempdir()?);
        let child = spawn(values, address, &folder)?;
        let mut node = Self {
            address,
            sockets: String::new(),
            child,
            peer: None,
            postmaster: 0,
            values: values.clone(),
            folder,
        };
        node.begin()?;
        if values.text("amqp").is_some() {
            node.add_peer()?;
        }
        pin(std::process::id(), values.get("loader_core", 1)?)?;
        Ok(node)
    }

    /// Stops server and database and starts them again on the same data.
    pub(crate) fn restart(&mut self) -> anyhow::Result<Duration> {
        self.end()?;
        let began = Instant::now();
        self.child = spawn(&self.values, self.address, &self.folder)?;
        self.wait()?;
        let took = began.elapsed();
        self.begin()?;
        Ok(took)
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        self.wait()?;
        self.find_postgres()?;
        let core: usize = self.values.get("core", 0)?;
        let postgres_core: usize = self.values.get("postgres_core", core)?;
        for pid in usage::tree(self.postmaster) {
            pin(pid, postgres_core)?;
        }
        Ok(())
    }

    /// Starts the second node.
    fn add_peer(&mut self) -> anyhow::Result<()> {
        let core: usize = self.values.get("peer_core", self.values.get("core", 0)?)?;
        let address = free_address(self.address.port() + 1..PORTS.end)?;
        let mut command = command(&self.values, core, address, &self.folder, "peer")?;
        let database = format!("host={} user=chat dbname=chat", self.sockets);
        self.peer = Some((command.env("DATABASE_URL", database).spawn()?, address));
        let since = Instant::now();
        for address in self.addresses() {
            while !is_linked(address) {
                if since.elapsed() > PATIENCE {
                    bail!("{address} is not linked");
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    /// The addresses that sockets may connect to.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let peer = self.peer.as_ref().map(|(_, address)| *address);
        std::iter::once(self.address).chain(peer).collect()
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        loop {
            if self.get("/health/ready").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() || since.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                bail!("the server doesn't start: {log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Finds the database by the file that the server leaves in its folder.
    fn find_postgres(&mut self) -> anyhow::Result<()> {
        let data = self.folder.path().join("data");
        let place = std::fs::read_to_string(data.join("postgres")).context("where the database is")?;
        let file = data.join(place.trim()).join("data/postmaster.pid");
        let text = std::fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
        let lines: Vec<&str> = text.lines().collect();
        let [pid, _, _, _, sockets, ..] = lines[..] else { bail!("{} is too short", file.display()) };
        self.postmaster = pid.trim().parse()?;
        self.sockets = sockets.to_owned();
        Ok(())
    }

    /// The resources used so far.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            server: self.nodes().map(|pid| usage::cpu(pid, false)).sum(),
            postgres: usage::cpu_of_tree(self.postmaster),
            loader: usage::cpu(std::process::id(), false),
        }
    }

    /// The server's memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.nodes().map(usage::resident).sum()
    }

    fn nodes(&self) -> impl Iterator<Item = u32> {
        let peer = self.peer.as_ref().map(|(child, _)| child);
        std::iter::once(&self.child).chain(peer).map(Child::id)
    }

    /// The value of one of the server's metrics.
    pub(crate) fn counter(&self, name: &str) -> anyhow::Result<f64> {
        let metrics = self.get_as(METRICS_TOKEN, "/metrics")?;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.and_then(|value| value.trim().parse().ok()).unwrap_or_default())
    }

    /// The response to a request.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<String> {
        self.get_as("", path)
    }

    /// The response to a request with this token.
    pub(crate) fn get_as(&self, token: &str, path: &str) -> anyhow::Result<String> {
        get(self.address, token, path)
    }

    /// Runs a shell command during the measurement, with the server's process id in `SERVER`, its address in
    /// `ADDRESS` and the key of its tokens in `SECRET`.
    pub(crate) fn during(&self, command: &str) -> anyhow::Result<Child> {
        let mut shell = Command::new("sh");
        Ok(shell
            .args(["-c", command])
            .env("SERVER", self.child.id().to_string())
            .env("ADDRESS", self.address.to_string())
            .env("SECRET", SECRET)
            .spawn()?)
    }

    /// Has the search index built of all messages.
    pub(crate) fn index_messages(&self) -> anyhow::Result<()> {
        let binary = self.values.get("server", beside_this("aristay-chat")?)?;
        for action in ["rebuild", "catch-up"] {
            let status = Command::new(&binary)
                .args(["consumers", action, "search"])
                .env("DATABASE_URL", format!("host={} user=chat dbname=chat", self.sockets))
                .env("JWT_SECRET", SECRET)
                .status()?;
            anyhow::ensure!(status.success(), "consumers {action}: {status}");
        }
        Ok(())
    }

    /// Stops the server and its PostgreSQL.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        self.end()
    }

    fn end(&mut self) -> anyhow::Result<()> {
        if let Some((mut peer, _)) = self.peer.take() {
            stop(&mut peer)?;
        }
        stop(&mut self.child)
    }
}

/// Leaves nothing running when a run fails.
impl Drop for Node {
    fn drop(&mut self) {
        if let Some((mut peer, _)) = self.peer.take() {
            let _gone = peer.kill();
            let _reaped = peer.wait();
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            let _gone = self.child.kill();
            let _reaped = self.child.wait();
            let _gone = Command::new("kill").args(["-INT", &self.postmaster.to_string()]).status();
        }
    }
}

fn stop(child: &mut Child) -> anyhow::Result<()> {
    Command::new("kill").arg(child.id().to_string()).status()?;
    let since = Instant::now();
    while child.try_wait()?.is_none() {
        if since.elapsed() > PATIENCE {
            bail!("a server doesn't stop");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn get(address: SocketAddr, token: &str, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let who = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    write!(stream, "GET {path} HTTP/1.1\r\nHost: load\r\n{who}Connection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn is_linked(address: SocketAddr) -> bool {
    get(address, METRICS_TOKEN, "/metrics")
        .is_ok_and(|metrics| metrics.lines().any(|line| line == "chat_broker_up 1"))
}

/// The path of a program that was built with this one.
fn beside_this(name: &str) -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.parent().context("a folder")?.join(name))
}

/// Starts the process without waiting until it is ready.
fn spawn(values: &Values, address: SocketAddr, folder: &tempfile::TempDir) -> anyhow::Result<Child> {
    let mut command = command(values, values.get("core", 0)?, address, folder, "data")?;
    command.spawn().with_context(|| format!("{command:?} can't be started"))
}

fn command(
    values: &Values,
    core: usize,
    address: SocketAddr,
    folder: &tempfile::TempDir,
    data: &str,
) -> anyhow::Result<Command> {
    let binary = values.get("server", beside_this("aristay-chat")?)?;
    let log = std::fs::File::options().create(true).append(true).open(folder.path().join("log"))?;
    let settings = values.text("settings").unwrap_or_default();
    let mut command = Command::new("taskset");
    command
        .args(["-c", &core.to_string()])
        .arg(&binary)
        .arg("serve")
        .env("BIND", address.to_string())
        .env("DATA_DIR", folder.path().join(data))
        .env("JWT_SECRET", SECRET)
        .env("METRICS_TOKEN", METRICS_TOKEN)
        .env("RATE_LIMITS", "off")
        .env("WORKERS", values.get("workers", 1_u32)?.to_string())
        .env("MAX_SOCKETS_PER_USER", "1000000")
        .env("LOG", "warn")
        .envs(values.text("amqp").map(|url| ("AMQP_URL", url)))
        .envs(settings.split(',').filter_map(|setting| setting.split_once('=')))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    Ok(command)
}

fn pin(pid: u32, core: usize) -> anyhow::Result<()> {
    // A process that has just ended needs no core.
    let _told = Command::new("taskset")
        .args(["-a", "-p", "-c", &core.to_string(), &pid.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("taskset")?;
    Ok(())
}

fn free_address(ports: Range<u16>) -> anyhow::Result<SocketAddr> {
    for port in ports {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port is free")
}

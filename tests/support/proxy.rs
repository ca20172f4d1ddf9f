//! A TCP proxy that simulates network faults: it forwards connections, stalls them silently, or cuts them. It
//! also balances over several servers.
//!
//! Shared by test targets with `#[path]`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

/// What happens to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All bytes are forwarded.
    Pass,
    /// Open connections stall, and new ones aren't answered.
    Hold,
    /// Connections that are open when this mode is set stall; new ones are forwarded.
    HoldOld,
    /// All connections are closed, and new ones at once.
    Cut,
    /// Bytes from clients stall; bytes from servers are forwarded.
    HoldClients,
}

/// A proxy on its own port.
pub(crate) struct Proxy {
    port: u16,
    mode: watch::Sender<(Mode, u64)>,
    servers: Arc<Mutex<Vec<SocketAddr>>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens, and forwards each connection to the next of `servers` that accepts it.
    pub(crate) async fn start(servers: Vec<SocketAddr>) -> Self {
        let port = super::rabbitmq::free_port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let mode = watch::Sender::new((Mode::Pass, 0));
        let modes = mode.clone();
        let servers = Arc::new(Mutex::new(servers));
        let known = servers.clone();
        let task = tokio::spawn(async move {
            let next = Arc::new(AtomicUsize::default());
            while let Ok((client, _)) = listener.accept().await {
                let servers = known.lock().unwrap().clone();
                tokio::spawn(forward(client, servers, next.clone(), modes.subscribe()));
            }
        });
        Self { port, mode, servers, task }
    }

    /// Returns the port that the proxy listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Forwards new connections to other servers.
    pub(crate) fn route_to(&self, servers: Vec<SocketAddr>) {
        *self.servers.lock().unwrap() = servers;
    }

    /// Changes what happens to connections.
    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_modify(|(now, changes)| (*now, *changes) = (mode, *changes + 1));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Mode::Cut);
        self.task.abort();
    }
}

async fn forward(
    client: TcpStream,
    servers: Vec<SocketAddr>,
    next: Arc<AtomicUsize>,
    mut mode: watch::Receiver<(Mode, u64)>,
) {
    let (opened_in, born) = *mode.borrow_and_update();
    if opened_in == Mode::Cut {
        return;
    }
    if opened_in == Mode::Hold {
        drop(mode.wait_for(|(mode, _)| *mode != Mode::Hold).await);
    }
    for _ in 0..servers.len() {
        let server = servers[next.fetch_add(1, Ordering::Relaxed) % servers.len()];
        let Ok(Ok(server)) = timeout(Duration::from_secs(2), TcpStream::connect(server)).await else {
            continue;
        };
        let _nodelay = (client.set_nodelay(true), server.set_nodelay(true));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let holds_clients = move |(mode, changes): (Mode, u64)| match mode {
            Mode::Hold | Mode::HoldClients => true,
            Mode::HoldOld => changes > born,
            Mode::Pass | Mode::Cut => false,
        };
        let holds_servers = move |state: (Mode, u64)| state.0 != Mode::HoldClients && holds_clients(state);
        let there = copy(from_client, to_server, mode.clone(), holds_clients);
        let back = copy(from_server, to_client, mode.clone(), holds_servers);
        let cut = async { _ = mode.wait_for(|(mode, _)| *mode == Mode::Cut).await };
        tokio::select! {
            () = async { tokio::join!(there, back); } => {}
            () = cut => {}
        }
        return;
    }
}

async fn copy(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    mut mode: watch::Receiver<(Mode, u64)>,
    holds: impl Fn((Mode, u64)) -> bool,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        drop(mode.wait_for(|state| !holds(*state)).await);
        tokio::select! {
            read = from.read(&mut buffer) => match read {
                Ok(count) if count > 0 => {
                    drop(mode.wait_for(|state| !holds(*state)).await);
                    if to.write_all(&buffer[..count]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            _ = mode.changed() => {}
        }
    }
}

//! The TCP listener: accepts connections and passes each to the HTTP service of its thread.
//!
//! `app` starts it, and shuts it down after the engine has closed all sockets. With one worker everything
//! runs on the calling thread, next to the engine and the database connections, so that a message never wakes
//! another thread. With several workers each has its own thread.

pub mod connection;
pub mod connection_limiter;
mod early_response;
pub mod request_tracker;

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use actix_service::{Service, ServiceFactory};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

pub use self::connection::{Connection, Timeouts};
pub use self::connection_limiter::{ConnectionGuard, ConnectionLimiter, USER_CONNECTIONS_MAX};
use self::early_response::EarlyResponse;

/// Open connections over all threads; further ones wait to be accepted.
pub const CONNECTIONS_MAX: u32 = 50_000;
/// Length of the accept queue. A wave of reconnecting clients exceeds the usual 1,024.
const BACKLOG: i32 = 4_096;
/// Pause after `accept` has failed for a reason other than the connection itself, such as a lack of
/// descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(200);
/// Rejected connections that are given [`LINGER`] to read the response; further ones are closed at once.
const LINGERING_MAX: usize = 64;
/// How long a rejected connection stays open for the client to read the response.
const LINGER: Duration = Duration::from_millis(500);

/// Limits that apply to every connection of a listener.
#[derive(Clone)]
pub struct ListenerOptions {
    /// Counts the connections that have not authenticated yet.
    pub limiter: Arc<ConnectionLimiter>,
    /// How long clients may take.
    pub timeouts: Timeouts,
}

/// A running listener.
pub struct Listener {
    shutdown: watch::Sender<bool>,
    permits: Arc<Semaphore>,
    threads: Vec<Arbiter>,
}

/// Completes when the listener shuts down.
#[derive(Clone)]
pub struct ShutdownSignal(watch::Receiver<bool>);

impl ShutdownSignal {
    /// Waits for the shutdown.
    pub async fn triggered(mut self) {
        // A sender that is gone counts as a shutdown too.
        let _gone = self.0.wait_for(|shutdown| *shutdown).await;
    }
}

impl Listener {
    /// Accepts connections at `bind` on `workers` threads; each thread serves them with a service from
    /// `make_service`.
    ///
    /// # Errors
    /// The address can't be bound.
    pub fn bind<F, S>(
        bind: SocketAddr,
        workers: usize,
        options: &ListenerOptions,
        make_service: F,
    ) -> io::Result<Self>
    where
        F: Fn(ShutdownSignal) -> S + Clone + Send + 'static,
        S: ServiceFactory<Connection, Config = (), Response = ()> + 'static,
    {
        let listener = listen(bind)?;
        let (shutdown, closed) = watch::channel(false);
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
        let mut threads = Vec::new();
        for _ in 0..workers {
            let (listener, make_service) = (listener.try_clone()?, make_service.clone());
            let acceptor = Acceptor { permits: permits.clone(), options: options.clone() };
            let shutdown = ShutdownSignal(closed.clone());
            // Called on the thread that will run the service, which need not be `Send`.
            let start = move || {
                let service = make_service(shutdown.clone());
                actix_rt::spawn(accept_loop(listener, service, acceptor, shutdown));
            };
            if workers == 1 {
                start();
            } else {
                let thread = Arbiter::new();
                thread.spawn_fn(start);
                threads.push(thread);
            }
        }
        Ok(Self { shutdown, permits, threads })
    }

    /// Stops accepting and waits until every connection has ended, for at most `timeout`.
    pub async fn shutdown(self, timeout: Duration) {
        self.shutdown.send_replace(true);
        let ended = tokio::time::timeout(timeout, self.permits.acquire_many(CONNECTIONS_MAX)).await;
        if ended.is_err() {
            tracing::warn!("some connections did not end");
        }
        for thread in self.threads {
            thread.stop();
            // Joining the thread guarantees that its actors have been dropped.
            let _panicked = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }
}

fn listen(bind: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(bind), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&bind.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts connections on one thread.
struct Acceptor {
    permits: Arc<Semaphore>,
    options: ListenerOptions,
}

/// Runs until the listener shuts down.
async fn accept_loop<S>(listener: TcpListener, factory: S, acceptor: Acceptor, shutdown: ShutdownSignal)
where
    S: ServiceFactory<Connection, Config = (), Response = ()> + 'static,
{
    let Ok(service) = factory.new_service(()).await else {
        return tracing::error!("the service of a listener thread can't be created");
    };
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a listener thread can't listen"),
    };
    let (service, closed) = (Rc::new(service), shutdown.triggered());
    tokio::pin!(closed);
    loop {
        let next = tokio::select! {
            () = &mut closed => return,
            next = acceptor.accept(&listener) => next,
        };
        match next {
            Ok(Some(connection)) => {
                let service = service.clone();
                actix_rt::spawn(async move {
                    let is_ready = poll_fn(|cx| service.poll_ready(cx)).await.is_ok();
                    if is_ready {
                        // The client sees the error of its own connection; nobody else needs it.
                        let _ended = service.call(connection).await;
                    }
                });
            }
            Ok(None) => {}
            Err(error) if affects_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "accepting connections is paused");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

impl Acceptor {
    /// Waits for the next connection. `None` if its address has too many and it was rejected.
    async fn accept(&self, listener: &tokio::net::TcpListener) -> io::Result<Option<Connection>> {
        let permit = self.permits.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (stream, peer) = listener.accept().await?;
        let Some(guard) = self.options.limiter.acquire(peer.ip()) else {
            reject(stream);
            return Ok(None);
        };
        Ok(Some(Connection::new(stream, peer, permit, guard, self.options.timeouts)))
    }
}

/// Responds with 429 and closes the connection.
fn reject(mut stream: TcpStream) {
    static LINGERING: Semaphore = Semaphore::const_new(LINGERING_MAX);
    let early_response = EarlyResponse::TooManyConnections;
    metrics::counter!("chat_connections_ended_total", "reason" => early_response.reason()).increment(1);
    // The send buffer of a new connection is empty.
    let written = stream.try_write(early_response.bytes());
    let Ok(lingering) = LINGERING.try_acquire() else { return };
    if written.is_err() || socket2::SockRef::from(&stream).shutdown(std::net::Shutdown::Write).is_err() {
        return;
    }
    // Closing with unread bytes in the receive buffer resets the connection and discards the response.
    actix_rt::spawn(async move {
        let _lingering = lingering;
        let mut dropped = [0; 1024];
        let rest = async { while matches!(stream.read(&mut dropped).await, Ok(1..)) {} };
        let _late = tokio::time::timeout(LINGER, rest).await;
    });
}

/// Whether the error concerns only the connection that was being accepted.
fn affects_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

//! The way in: accepts connections and hands each to the service of its thread.
//!
//! `app` opens the doors, and closes them after the engine has parted from all sockets. With one worker
//! everything lives on the thread that opens them, beside the engine and the connections to the
//! database: a message passes through without waking another thread. With more, each has its own.

pub mod addresses;
pub mod arrival;
mod farewell;
pub mod heads;

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

pub use self::addresses::{Addresses, Stranger, USER_CONNECTIONS_MAX};
pub use self::arrival::{Arrival, Patience};
use self::farewell::Farewell;

/// Connections open at once, all threads together; further ones wait to be accepted.
pub const CONNECTIONS_MAX: u32 = 50_000;
/// Connections that wait to be accepted; a storm of those who come back is longer than the usual 1,024.
const BACKLOG: i32 = 4_096;
/// How long nobody is accepted after the system had no descriptor left for one.
const BREATHER: Duration = Duration::from_millis(200);
/// Connections that were turned away and are given a moment to take the answer; further ones aren't.
const TURNED_AWAY_MAX: usize = 64;
/// That moment.
const LINGER: Duration = Duration::from_millis(500);

/// Who may come in, and how long they may take.
#[derive(Clone)]
pub struct HouseRules {
    /// Counts those of whom nothing is known.
    pub addresses: Arc<Addresses>,
    /// How long clients may take.
    pub patience: Patience,
}

/// Doors that are open.
pub struct Doors {
    closing: watch::Sender<bool>,
    places: Arc<Semaphore>,
    threads: Vec<Arbiter>,
}

/// Whether the doors are closing, for those who hold a connection open.
#[derive(Clone)]
pub struct Closing(watch::Receiver<bool>);

impl Closing {
    /// Waits until they are.
    pub async fn begins(mut self) {
        // Doors that are gone are closed.
        let _gone = self.0.wait_for(|closing| *closing).await;
    }
}

impl Doors {
    /// Accepts connections at `bind` on `workers` threads, with a service that `make` makes on each.
    ///
    /// # Errors
    /// The address can't be listened on.
    pub fn open<F, S>(bind: SocketAddr, workers: usize, rules: &HouseRules, make: F) -> io::Result<Self>
    where
        F: Fn(Closing) -> S + Clone + Send + 'static,
        S: ServiceFactory<Arrival, Config = (), Response = ()> + 'static,
    {
        let listener = listen(bind)?;
        let (closing, closed) = watch::channel(false);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
        let mut threads = Vec::new();
        for _ in 0..workers {
            let (listener, make) = (listener.try_clone()?, make.clone());
            let entrance = Entrance { places: places.clone(), rules: rules.clone() };
            let closing = Closing(closed.clone());
            // Called on the thread that it is for: what it makes stays there.
            let begin = move || {
                let service = make(closing.clone());
                actix_rt::spawn(receive(listener, service, entrance, closing));
            };
            if workers == 1 {
                begin();
            } else {
                let thread = Arbiter::new();
                thread.spawn_fn(begin);
                threads.push(thread);
            }
        }
        Ok(Self { closing, places, threads })
    }

    /// Accepts nobody any more and waits, so long at most, until every connection has ended.
    pub async fn close(self, patience: Duration) {
        self.closing.send_replace(true);
        let ended = tokio::time::timeout(patience, self.places.acquire_many(CONNECTIONS_MAX)).await;
        if ended.is_err() {
            tracing::warn!("some connections did not end");
        }
        for thread in self.threads {
            thread.stop();
            // What a thread's actors held is gone when it has ended.
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

/// Where one thread's connections come in.
struct Entrance {
    places: Arc<Semaphore>,
    rules: HouseRules,
}

/// Accepts for one thread, until the doors close.
async fn receive<S>(listener: TcpListener, factory: S, entrance: Entrance, closing: Closing)
where
    S: ServiceFactory<Arrival, Config = (), Response = ()> + 'static,
{
    let Ok(service) = factory.new_service(()).await else {
        return tracing::error!("a thread's service can't be made");
    };
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a thread can't listen"),
    };
    let (service, closed) = (Rc::new(service), closing.begins());
    tokio::pin!(closed);
    loop {
        let next = tokio::select! {
            () = &mut closed => return,
            next = entrance.accept(&listener) => next,
        };
        match next {
            Ok(Some(arrival)) => {
                let service = service.clone();
                actix_rt::spawn(async move {
                    let is_ready = poll_fn(|cx| service.poll_ready(cx)).await.is_ok();
                    if is_ready {
                        // What went wrong with one connection is its client's to see.
                        let _ended = service.call(arrival).await;
                    }
                });
            }
            Ok(None) => {}
            Err(error) if is_of_one(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "nobody can be accepted for a moment");
                tokio::time::sleep(BREATHER).await;
            }
        }
    }
}

impl Entrance {
    /// Waits for the next connection; none when its address has too many.
    async fn accept(&self, listener: &tokio::net::TcpListener) -> io::Result<Option<Arrival>> {
        let place = self.places.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (stream, peer) = listener.accept().await?;
        let Some(stranger) = self.rules.addresses.enter(peer.ip()) else {
            turn_away(stream);
            return Ok(None);
        };
        Ok(Some(Arrival::new(stream, peer, place, stranger, self.rules.patience)))
    }
}

/// Tells a connection that its address has too many, and ends it.
fn turn_away(mut stream: TcpStream) {
    static LINGERING: Semaphore = Semaphore::const_new(TURNED_AWAY_MAX);
    let farewell = Farewell::TooMany;
    metrics::counter!("chat_connections_ended_total", "reason" => farewell.reason()).increment(1);
    // A fresh connection has room for it.
    let told = stream.try_write(farewell.answer());
    let Ok(lingering) = LINGERING.try_acquire() else { return };
    if told.is_err() || socket2::SockRef::from(&stream).shutdown(std::net::Shutdown::Write).is_err() {
        return;
    }
    // A connection that is closed over unread bytes takes the answer with it.
    actix_rt::spawn(async move {
        let _lingering = lingering;
        let mut dropped = [0; 1024];
        let rest = async { while matches!(stream.read(&mut dropped).await, Ok(1..)) {} };
        let _late = tokio::time::timeout(LINGER, rest).await;
    });
}

/// Whether only the connection that was being accepted is lost.
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

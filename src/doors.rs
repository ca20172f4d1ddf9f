//! The way in: accepts connections and hands each to the service of its thread.
//!
//! `app` opens the doors, and closes them after the engine has parted from all sockets. With one worker
//! everything lives on the thread that opens them, beside the engine and the connections to the
//! database: a message passes through without waking another thread. With more, each has its own.

mod request_lines;

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpListener};
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_codec::{AsyncRead, AsyncWrite, ReadBuf};
use actix_rt::Arbiter;
use actix_service::{Service, ServiceFactory};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use self::request_lines::RequestLines;

/// Connections open at once, all threads together; further ones wait to be accepted.
const CONNECTIONS_MAX: u32 = 50_000;
/// Connections that wait to be accepted; a storm of those who come back is longer than the usual 1,024.
const BACKLOG: i32 = 4_096;
/// How long nobody is accepted after the system had no descriptor left for one.
const BREATHER: Duration = Duration::from_millis(200);

/// Doors that are open.
pub struct Doors {
    closing: watch::Sender<bool>,
    places: Arc<Semaphore>,
    threads: Vec<Arbiter>,
}

/// A connection, which takes one of the places until it is dropped, wherever it has been taken to.
pub struct Arrival {
    stream: TcpStream,
    /// For as long as it brings requests. Boxed, for a socket has no need of it.
    lines: Option<Box<RequestLines>>,
    _place: OwnedSemaphorePermit,
}

impl Arrival {
    /// Takes out what was read and not handed on yet; from here on all passes as it is.
    pub fn take_rest(&mut self) -> Vec<u8> {
        self.lines.take().map(|mut lines| lines.take(usize::MAX)).unwrap_or_default()
    }
}

impl Deref for Arrival {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}

impl AsyncRead for Arrival {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(lines) = &mut this.lines else { return Pin::new(&mut this.stream).poll_read(cx, buf) };
        let kept = lines.take(buf.remaining());
        if !kept.is_empty() {
            buf.put_slice(&kept);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if let Some(encoded) = lines.encoded(&buf.filled()[before..]) {
            buf.set_filled(before);
            let (fits, rest) = encoded.split_at(encoded.len().min(buf.remaining()));
            buf.put_slice(fits);
            lines.keep(rest);
        }
        if lines.is_over() {
            this.lines = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Arrival {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
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
    pub fn open<F, S>(bind: SocketAddr, workers: usize, make: F) -> io::Result<Self>
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
            let (places, closing) = (places.clone(), Closing(closed.clone()));
            // Called on the thread that it is for: what it makes stays there.
            let begin = move || {
                let service = make(closing.clone());
                actix_rt::spawn(receive(listener, service, places, closing));
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

/// Accepts for one thread, until the doors close.
async fn receive<S>(listener: TcpListener, factory: S, places: Arc<Semaphore>, closing: Closing)
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
            next = accept(&listener, &places) => next,
        };
        match next {
            Ok(arrival) => {
                let service = service.clone();
                actix_rt::spawn(async move {
                    let is_ready = poll_fn(|cx| service.poll_ready(cx)).await.is_ok();
                    if is_ready {
                        // What went wrong with one connection is its client's to see.
                        let _ended = service.call(arrival).await;
                    }
                });
            }
            Err(error) if is_of_one(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "nobody can be accepted for a moment");
                tokio::time::sleep(BREATHER).await;
            }
        }
    }
}

async fn accept(listener: &tokio::net::TcpListener, places: &Arc<Semaphore>) -> io::Result<Arrival> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok(Arrival { stream, lines: Some(Box::default()), _place: place })
}

/// Whether only the connection that was being accepted is lost.
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

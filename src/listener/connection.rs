//! The stream under the HTTP parser: passes bytes through and enforces limits that the parser lacks.
//!
//! Every request head has a timeout, not only the first. A connection on which nothing was sent is closed
//! without a response. Heads with bare line feeds and heads of unbounded length are rejected. A client that
//! doesn't read its response is disconnected.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_codec::{AsyncRead, AsyncWrite, ReadBuf};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};

use super::connection_limiter::ConnectionGuard;
use super::early_response::EarlyResponse;
use super::request_tracker::{BadHead, RequestTracker};

/// Send buffer in the kernel, which doubles this value. Without a bound it grows to several MB.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// Pipelined requests that may arrive before any response is written. The parser alone would read and answer
/// everything that a client sends, and buffer the responses.
const PIPELINED_MAX: u64 = 16;
/// Size of a read outside of a body: every read may contain a hundred requests.
const HEAD_READ_BYTES: usize = 4 * 1024;

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a request head, from its first byte; for the first head, from the start of the connection.
    pub head: Duration,
    /// For the next bytes of a body. Handlers that read a body have a shorter timeout and a response for it;
    /// this one is for bodies that nobody reads, for which the parser would wait without end.
    pub body: Duration,
    /// For the next part of a response to be taken.
    pub response: Duration,
}

/// A connection. It holds its permit until it is dropped, also when it has become a WebSocket.
pub struct Connection {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
    /// `None` once the connection is a WebSocket.
    http: Option<Box<HttpState>>,
}

/// State that is needed only while the connection carries HTTP requests.
struct HttpState {
    peer: SocketAddr,
    guard: Arc<ConnectionGuard>,
    timeouts: Timeouts,
    requests: RequestTracker,
    /// Number of heads received when a response was last written.
    answered: u64,
    /// Wakes the reader that waits for a response to be written before it reads more.
    read_waker: Option<Waker>,
    /// Bytes that were percent-encoded and didn't fit into the parser's buffer yet.
    undelivered: Vec<u8>,
    /// Whether the client has ever sent anything.
    has_received: bool,
    /// Runs while a head is awaited.
    head_timer: Option<Pin<Box<Sleep>>>,
    /// Runs while more of a body is awaited.
    body_timer: Option<Pin<Box<Sleep>>>,
    /// Runs while a response waits to be taken.
    response_timer: Option<Pin<Box<Sleep>>>,
    /// Set once nothing more is read: the response to close with, if any.
    ended: Option<Option<EarlyResponse>>,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        permit: OwnedSemaphorePermit,
        guard: Arc<ConnectionGuard>,
        timeouts: Timeouts,
    ) -> Self {
        let socket = SockRef::from(&stream);
        // Without TCP_NODELAY a response in two parts waits for the client's next acknowledgement.
        let tuned =
            socket.set_tcp_nodelay(true).and_then(|()| socket.set_send_buffer_size(SEND_BUFFER_BYTES));
        if let Err(error) = tuned {
            tracing::debug!(%error, "socket options of a connection can't be set");
        }
        let http = HttpState {
            peer,
            guard,
            timeouts,
            requests: RequestTracker::new(),
            answered: 0,
            read_waker: None,
            undelivered: Vec::new(),
            has_received: false,
            head_timer: None,
            body_timer: None,
            response_timer: None,
            ended: None,
        };
        Self { stream, _permit: permit, http: Some(Box::new(http)) }
    }

    /// Address of the peer, which may be a proxy.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|http| http.peer)
    }

    /// The guard that counts this connection, for handlers that authenticate its user.
    #[must_use]
    pub fn guard(&self) -> Option<Arc<ConnectionGuard>> {
        self.http.as_ref().map(|http| http.guard.clone())
    }

    /// Switches to a WebSocket: returns the guard, and the bytes that were read but not delivered. The
    /// connection stays counted against its address for as long as the guard is kept.
    #[must_use]
    pub fn detach_http(&mut self) -> (Option<Arc<ConnectionGuard>>, Vec<u8>) {
        self.http.take().map(|http| (Some(http.guard), http.undelivered)).unwrap_or_default()
    }
}

impl HttpState {
    /// Examines received bytes and returns how many of them the parser may have.
    fn inspect(&mut self, received: &[u8]) -> usize {
        self.has_received |= !received.is_empty();
        self.body_timer = None;
        let passed = match self.requests.advance(received) {
            Ok(()) => received.len(),
            Err((passed, bad)) => {
                self.ended = Some(Some(match bad {
                    BadHead::BareLineFeed => EarlyResponse::BadRequest,
                    BadHead::TooLong => EarlyResponse::HeadTooLarge,
                }));
                passed
            }
        };
        if self.is_between_requests() || self.ended.is_some() {
            self.head_timer = None;
        }
        passed
    }

    /// Whether a request has ended and no other has begun; empty lines don't begin one.
    fn is_between_requests(&self) -> bool {
        self.requests.count() > 0 && !self.requests.is_in_head()
    }

    /// Copies as many percent-encoded bytes as fit into the parser's buffer.
    fn deliver(&mut self, buf: &mut ReadBuf<'_>) {
        let fits = self.undelivered.len().min(buf.remaining());
        buf.put_slice(&self.undelivered[..fits]);
        self.undelivered.drain(..fits);
    }

    /// Whether a head or more of a body is overdue; called when a read finds nothing.
    fn has_timed_out(&mut self, cx: &mut Context<'_>) -> bool {
        if self.requests.is_in_body() {
            let timer = self.body_timer.get_or_insert_with(|| Box::pin(sleep(self.timeouts.body)));
            let has_timed_out = timer.as_mut().poll(cx).is_ready();
            if has_timed_out {
                self.ended = Some(None);
            }
            return has_timed_out;
        }
        if self.is_between_requests() {
            return false;
        }
        let timer = self.head_timer.get_or_insert_with(|| Box::pin(sleep(self.timeouts.head)));
        if timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        // Browsers and proxies open connections in advance, and would take an unsolicited response for the
        // answer to their next request.
        self.ended = Some(self.has_received.then_some(EarlyResponse::RequestTimeout));
        self.head_timer = None;
        true
    }

    /// Whether the client has left a response unread for too long; called when a write makes no progress.
    fn write_has_timed_out(&mut self, cx: &mut Context<'_>) -> bool {
        let timer = self.response_timer.get_or_insert_with(|| Box::pin(sleep(self.timeouts.response)));
        timer.as_mut().poll(cx).is_ready()
    }
}

impl Deref for Connection {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(http) = &mut this.http else { return Pin::new(&mut this.stream).poll_read(cx, buf) };
        if !http.undelivered.is_empty() {
            http.deliver(buf);
            return Poll::Ready(Ok(()));
        }
        if http.ended.is_some() {
            return Poll::Ready(Ok(()));
        }
        if http.requests.count() - http.answered >= PIPELINED_MAX {
            http.read_waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = if http.requests.is_in_body() {
            Pin::new(&mut this.stream).poll_read(cx, buf)
        } else {
            let mut piece = [0; HEAD_READ_BYTES];
            let mut piece = ReadBuf::new(&mut piece[..buf.remaining().min(HEAD_READ_BYTES)]);
            let read = Pin::new(&mut this.stream).poll_read(cx, &mut piece);
            buf.put_slice(piece.filled());
            read
        };
        match read {
            Poll::Ready(Ok(())) => {
                let passed = http.inspect(&buf.filled()[before..]);
                buf.set_filled(before + passed);
                if let Some(percent_encoded) = http.requests.percent_encoded(&buf.filled()[before..]) {
                    buf.set_filled(before);
                    http.undelivered = percent_encoded;
                    http.deliver(buf);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending if http.has_timed_out(cx) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        let Some(http) = &mut this.http else { return written };
        if written.is_ready() {
            http.response_timer = None;
            http.answered = http.requests.count();
            if let Some(read_waker) = http.read_waker.take() {
                read_waker.wake();
            }
        } else if http.write_has_timed_out(cx) {
            metrics::counter!("chat_connections_ended_total", "reason" => "unread").increment(1);
            // Discards what the kernel still holds for the client.
            let _gone = SockRef::from(&this.stream).set_linger(Some(Duration::ZERO));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match slices.iter().find(|slice| !slice.is_empty()) {
            Some(slice) if self.http.is_some() => self.poll_write(cx, slice),
            _ => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // All earlier responses have been written, so the client matches this one to the rejected head.
        let early_response = self.http.as_mut().and_then(|http| http.ended.as_mut()).and_then(Option::take);
        if let Some(early_response) = early_response {
            metrics::counter!("chat_connections_ended_total", "reason" => early_response.reason())
                .increment(1);
            let _full = self.stream.try_write(early_response.bytes());
        }
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }
}

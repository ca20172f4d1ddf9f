//! One connection as the HTTP parser has it: bytes pass through, within a time and a form.
//!
//! What the parser doesn't do is done here: each head has its time, not only the first; a connection on which
//! nothing was sent ends in silence; heads with bare line feeds and heads without an end are refused; and who
//! doesn't take an answer is let go.

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

use super::addresses::Stranger;
use super::farewell::Farewell;
use super::heads::{BadHead, Heads};

/// What the kernel may hold of answers for one client; it doubles this. Without a bound it is some MB.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// Requests that may come before any answer to them has gone out. The parser would take in, and answer, all
/// that a client sends at once, and keep what it doesn't read.
const PIPELINED_MAX: u64 = 16;
/// What one read between bodies brings: some of them may hold a hundred requests each.
const HEAD_READ_BYTES: usize = 4 * 1024;

/// How long clients may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the head of a request, from its first byte; for the first one from the connection's beginning.
    pub head: Duration,
    /// For the next bytes of a body. Whoever reads it has a shorter time and an answer for it; this is for one
    /// that nobody reads, which the parser would wait for without end.
    pub body: Duration,
    /// For the next part of an answer to be taken.
    pub answer: Duration,
}

/// A connection, which takes one of the places until it is dropped, wherever it has been taken to.
pub struct Arrival {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    /// None once it has become a socket.
    http: Option<Box<Http>>,
}

/// What is known while requests come by it.
struct Http {
    peer: SocketAddr,
    stranger: Arc<Stranger>,
    patience: Patience,
    heads: Heads,
    /// Heads that had come when an answer went out last.
    answered: u64,
    /// Whoever waits for the next answer to go out before more is read.
    reader: Option<Waker>,
    /// What was encoded and had no room yet.
    rest: Vec<u8>,
    /// Whether the peer has ever sent anything.
    has_spoken: bool,
    /// Runs while a head is awaited.
    head_timer: Option<Pin<Box<Sleep>>>,
    /// Runs while more of a body is awaited.
    body_timer: Option<Pin<Box<Sleep>>>,
    /// Runs while something waits to be taken.
    answer_timer: Option<Pin<Box<Sleep>>>,
    /// Nothing more is read; what the peer is told at the end.
    ended: Option<Option<Farewell>>,
}

impl Arrival {
    pub(super) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        place: OwnedSemaphorePermit,
        stranger: Arc<Stranger>,
        patience: Patience,
    ) -> Self {
        let socket = SockRef::from(&stream);
        // Without the first an answer in two parts waits for the client's next acknowledgement.
        let tuned =
            socket.set_tcp_nodelay(true).and_then(|()| socket.set_send_buffer_size(SEND_BUFFER_BYTES));
        if let Err(error) = tuned {
            tracing::debug!(%error, "a connection can't be tuned");
        }
        let http = Http {
            peer,
            stranger,
            patience,
            heads: Heads::new(),
            answered: 0,
            reader: None,
            rest: Vec::new(),
            has_spoken: false,
            head_timer: None,
            body_timer: None,
            answer_timer: None,
            ended: None,
        };
        Self { stream, _place: place, http: Some(Box::new(http)) }
    }

    /// Where the other end is, which may be a proxy.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|http| http.peer)
    }

    /// What counts this connection as nobody's, for those who learn whose it is.
    #[must_use]
    pub fn stranger(&self) -> Option<Arc<Stranger>> {
        self.http.as_ref().map(|http| http.stranger.clone())
    }

    /// Gives back what only requests need, when the connection becomes a socket; it stays counted as nobody's
    /// as long as what is given is kept. With it comes what was read and not handed on yet.
    #[must_use]
    pub fn leaves_http(&mut self) -> (Option<Arc<Stranger>>, Vec<u8>) {
        self.http.take().map(|http| (Some(http.stranger), http.rest)).unwrap_or_default()
    }
}

impl Http {
    /// Looks at what came and gives how much of it the parser may have.
    fn take(&mut self, came: &[u8]) -> usize {
        self.has_spoken |= !came.is_empty();
        self.body_timer = None;
        let passed = match self.heads.follow(came) {
            Ok(()) => came.len(),
            Err((passed, bad)) => {
                self.ended = Some(Some(match bad {
                    BadHead::BareLineFeed => Farewell::BadRequest,
                    BadHead::TooLong => Farewell::HeadTooLong,
                }));
                passed
            }
        };
        if self.has_asked_and_waits() || self.ended.is_some() {
            self.head_timer = None;
        }
        passed
    }

    /// Whether it is between two requests. Empty lines alone are none.
    fn has_asked_and_waits(&self) -> bool {
        self.heads.count() > 0 && !self.heads.is_within()
    }

    /// Gives the parser as much of what was encoded as it has room for.
    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) {
        let fits = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest[..fits]);
        self.rest.drain(..fits);
    }

    /// Whether the peer has taken too long for a head or for more of a body; asked when nothing has come.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        if self.heads.is_within_body() {
            let timer = self.body_timer.get_or_insert_with(|| Box::pin(sleep(self.patience.body)));
            let is_late = timer.as_mut().poll(cx).is_ready();
            if is_late {
                self.ended = Some(None);
            }
            return is_late;
        }
        if self.has_asked_and_waits() {
            return false;
        }
        let timer = self.head_timer.get_or_insert_with(|| Box::pin(sleep(self.patience.head)));
        if timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        // Browsers and proxies connect ahead. What they were told unasked they would take for the answer to
        // their next request.
        self.ended = Some(self.has_spoken.then_some(Farewell::SlowHead));
        self.head_timer = None;
        true
    }

    /// Whether the peer has let an answer wait for too long; asked when nothing more of it could be written.
    fn is_stuck(&mut self, cx: &mut Context<'_>) -> bool {
        let timer = self.answer_timer.get_or_insert_with(|| Box::pin(sleep(self.patience.answer)));
        timer.as_mut().poll(cx).is_ready()
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
        let Some(http) = &mut this.http else { return Pin::new(&mut this.stream).poll_read(cx, buf) };
        if !http.rest.is_empty() {
            http.hand_on(buf);
            return Poll::Ready(Ok(()));
        }
        if http.ended.is_some() {
            return Poll::Ready(Ok(()));
        }
        if http.heads.count() - http.answered >= PIPELINED_MAX {
            http.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = if http.heads.is_within_body() {
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
                let passed = http.take(&buf.filled()[before..]);
                buf.set_filled(before + passed);
                if let Some(encoded) = http.heads.encoded(&buf.filled()[before..]) {
                    buf.set_filled(before);
                    http.rest = encoded;
                    http.hand_on(buf);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending if http.is_late(cx) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Arrival {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        let Some(http) = &mut this.http else { return written };
        if written.is_ready() {
            http.answer_timer = None;
            http.answered = http.heads.count();
            if let Some(reader) = http.reader.take() {
                reader.wake();
            }
        } else if http.is_stuck(cx) {
            metrics::counter!("chat_connections_ended_total", "reason" => "unread").increment(1);
            // What the kernel still holds for it goes too.
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
        // All answers are written by now, so that this one is taken for that of the head that it is about.
        let farewell = self.http.as_mut().and_then(|http| http.ended.as_mut()).and_then(Option::take);
        if let Some(farewell) = farewell {
            metrics::counter!("chat_connections_ended_total", "reason" => farewell.reason()).increment(1);
            let _full = self.stream.try_write(farewell.answer());
        }
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }
}

//! The engine's port to one connection: its write half, on a socket that the reader shares.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actors::ports::clock::Clock;
use actors::ports::wire::Wire;
use socket2::SockRef;

use crate::doors::Arrival;

/// What the kernel may hold for one client; it doubles this. The outbox is the real bound.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// An upgraded connection, and when its peer was last heard.
pub(super) struct Connection {
    pub(super) stream: Arrival,
    clock: Clock,
    /// Milliseconds on `clock`.
    heard_at: AtomicU64,
}

impl Connection {
    pub(super) fn new(stream: Arrival, clock: Clock) -> Arc<Self> {
        let socket = SockRef::from(&*stream);
        let tuned =
            socket.set_tcp_nodelay(true).and_then(|()| socket.set_send_buffer_size(SEND_BUFFER_BYTES));
        if let Err(error) = tuned {
            tracing::debug!(%error, "a socket can't be tuned");
        }
        let connection = Self { stream, clock, heard_at: AtomicU64::new(0) };
        connection.heard();
        Arc::new(connection)
    }

    /// Notes that the peer sent something.
    pub(super) fn heard(&self) {
        let now = u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX);
        self.heard_at.store(now, Ordering::Relaxed);
    }

    /// Ends the connection both ways. One that has ended already is fine.
    pub(super) fn shut(&self) {
        let _ended = SockRef::from(&*self.stream).shutdown(Shutdown::Both);
    }
}

/// The write half.
pub(super) struct TcpWire(pub(super) Arc<Connection>);

/// Nobody can write any more, so the reader must not wait for more either.
impl Drop for TcpWire {
    fn drop(&mut self) {
        self.0.shut();
    }
}

impl Wire for TcpWire {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            // A plain send is the cheaper call.
            [only] => self.0.stream.try_write(only),
            several => self.0.stream.try_write_vectored(several),
        }
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.stream.poll_write_ready(cx)
    }

    fn silence(&self) -> Duration {
        let heard_at = Duration::from_millis(self.0.heard_at.load(Ordering::Relaxed));
        self.0.clock.now().saturating_sub(heard_at)
    }

    fn finish(&mut self) {
        let _ended = SockRef::from(&*self.0.stream).shutdown(Shutdown::Write);
    }

    fn close(&mut self) {
        self.0.shut();
    }
}

//! An upgraded connection, and its write half as the engine's [`ConnectionWriter`] port.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actors::ports::clock::Clock;
use actors::ports::connection::ConnectionWriter;
use socket2::SockRef;

use crate::listener::Connection;

/// Send buffer in the kernel, which doubles this value. The real bound is the outbox.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// An upgraded connection, shared by its reader and its writer.
pub(super) struct SocketConnection {
    pub(super) stream: Connection,
    clock: Clock,
    /// When data was last received, in milliseconds of `clock`.
    last_received_ms: AtomicU64,
}

impl SocketConnection {
    pub(super) fn new(stream: Connection, clock: Clock) -> Arc<Self> {
        let socket = SockRef::from(&*stream);
        let tuned =
            socket.set_tcp_nodelay(true).and_then(|()| socket.set_send_buffer_size(SEND_BUFFER_BYTES));
        if let Err(error) = tuned {
            tracing::debug!(%error, "socket options of an upgraded connection can't be set");
        }
        let connection = Self { stream, clock, last_received_ms: AtomicU64::new(0) };
        connection.mark_received();
        Arc::new(connection)
    }

    /// Notes that the client has sent something.
    pub(super) fn mark_received(&self) {
        let now = u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX);
        self.last_received_ms.store(now, Ordering::Relaxed);
    }

    /// Shuts the connection down in both directions; it may be closed already.
    pub(super) fn shutdown(&self) {
        let _ended = SockRef::from(&*self.stream).shutdown(Shutdown::Both);
    }
}

/// The write half.
pub(super) struct TcpConnectionWriter(pub(super) Arc<SocketConnection>);

/// Without a writer the connection is over, so the reader must not wait any longer.
impl Drop for TcpConnectionWriter {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

impl ConnectionWriter for TcpConnectionWriter {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            // A plain send is cheaper than a vectored one.
            [only] => self.0.stream.try_write(only),
            several => self.0.stream.try_write_vectored(several),
        }
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.stream.poll_write_ready(cx)
    }

    fn silence(&self) -> Duration {
        let last_received_ms = Duration::from_millis(self.0.last_received_ms.load(Ordering::Relaxed));
        self.0.clock.now().saturating_sub(last_received_ms)
    }

    fn finish(&mut self) {
        let _ended = SockRef::from(&*self.0.stream).shutdown(Shutdown::Write);
    }

    fn close(&mut self) {
        self.0.shutdown();
    }
}

//! The write half of a client's connection.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use std::time::Duration;

/// The write half of a connection: a socket in the server, a buffer in tests.
pub trait ConnectionWriter: Send {
    /// Writes what fits at once, without waiting.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing fits now; any other error ends the connection.
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Becomes ready when a write may succeed again.
    ///
    /// # Errors
    /// The connection has ended.
    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// The time since the peer last sent anything.
    fn silence(&self) -> Duration;

    /// Shuts down writing; reading goes on.
    fn finish(&mut self);

    /// Closes the connection both ways; the reading side ends with it.
    fn close(&mut self);
}

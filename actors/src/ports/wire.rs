//! The write half of a client's connection.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use std::time::Duration;

/// Where a session's frames go. The server hands in a socket, tests a buffer.
pub trait Wire: Send {
    /// Writes what fits at once, without waiting.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nothing fits now; any other error ends the connection.
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Becomes ready when a write may succeed again.
    ///
    /// # Errors
    /// The connection has ended.
    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// How long ago the peer was last heard, by anything that it sent.
    fn silence(&self) -> Duration;

    /// Says that nothing more will be written; what the peer still sends is read.
    fn finish(&mut self);

    /// Ends the connection both ways; the reading side ends with it.
    fn close(&mut self);
}

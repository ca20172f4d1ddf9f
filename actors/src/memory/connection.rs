//! A connection in memory: the engine writes to one end, a test reads from the other at its own pace.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::ports::clock::Clock;
use crate::ports::connection::ConnectionWriter;

/// Makes a connection that buffers `capacity` bytes.
#[must_use]
pub fn connection(capacity: usize, clock: Clock) -> (MemoryConnectionWriter, Peer) {
    let pipe = Arc::new(Mutex::new(Pipe {
        bytes: VecDeque::new(),
        capacity,
        is_ended: false,
        is_abandoned: false,
        heard_at: clock.now(),
        writer: None,
        reader: None,
        watcher: None,
    }));
    (MemoryConnectionWriter { pipe: pipe.clone(), clock }, Peer { pipe, clock })
}

struct Pipe {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// Whether the engine's end is closed; buffered bytes can still be read.
    is_ended: bool,
    /// Whether the client's end is closed.
    is_abandoned: bool,
    heard_at: Duration,
    writer: Option<Waker>,
    reader: Option<Waker>,
    /// Waits for the end only.
    watcher: Option<Waker>,
}

impl Pipe {
    fn end(&mut self) {
        self.is_ended = true;
        wake(&mut self.reader);
        wake(&mut self.writer);
        wake(&mut self.watcher);
    }
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// The engine's end.
pub struct MemoryConnectionWriter {
    pipe: Arc<Mutex<Pipe>>,
    clock: Clock,
}

impl ConnectionWriter for MemoryConnectionWriter {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut pipe = lock(&self.pipe);
        if pipe.is_ended || pipe.is_abandoned {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = pipe.capacity.saturating_sub(pipe.bytes.len());
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let before = pipe.bytes.len();
        pipe.bytes.extend(slices.iter().flat_map(|slice| slice.iter()).take(room));
        wake(&mut pipe.reader);
        Ok(pipe.bytes.len() - before)
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.pipe);
        if pipe.is_ended || pipe.is_abandoned {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if pipe.bytes.len() < pipe.capacity {
            return Poll::Ready(Ok(()));
        }
        pipe.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn silence(&self) -> Duration {
        self.clock.now().saturating_sub(lock(&self.pipe).heard_at)
    }

    /// A reader that sees the close frame ends the connection itself.
    fn finish(&mut self) {}

    fn close(&mut self) {
        lock(&self.pipe).end();
    }
}

impl Drop for MemoryConnectionWriter {
    fn drop(&mut self) {
        self.close();
    }
}

/// The client's end. Cheap to clone.
#[derive(Clone)]
pub struct Peer {
    pipe: Arc<Mutex<Pipe>>,
    clock: Clock,
}

impl Peer {
    /// Waits for bytes and takes at most `max` of them; `None` when the connection has ended.
    pub async fn read(&self, max: usize) -> Option<Vec<u8>> {
        std::future::poll_fn(|cx| {
            let mut pipe = lock(&self.pipe);
            if pipe.is_abandoned || (pipe.is_ended && pipe.bytes.is_empty()) {
                return Poll::Ready(None);
            }
            if pipe.bytes.is_empty() {
                pipe.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let taken = pipe.bytes.len().min(max);
            let bytes = pipe.bytes.drain(..taken).collect();
            wake(&mut pipe.writer);
            Poll::Ready(Some(bytes))
        })
        .await
    }

    /// Records that the client sent something.
    pub fn heard(&self) {
        lock(&self.pipe).heard_at = self.clock.now();
    }

    /// Waits until the engine closes its end. Only one task at a time may wait.
    pub async fn ended(&self) {
        std::future::poll_fn(|cx| {
            let mut pipe = lock(&self.pipe);
            if pipe.is_ended {
                return Poll::Ready(());
            }
            pipe.watcher = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Closes the client's end; buffered bytes are lost.
    pub fn abandon(&self) {
        let mut pipe = lock(&self.pipe);
        pipe.is_abandoned = true;
        pipe.bytes.clear();
        wake(&mut pipe.reader);
        wake(&mut pipe.writer);
    }

    /// Breaks the connection, as a crash of the server does.
    pub fn cut(&self) {
        lock(&self.pipe).end();
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn buffers_what_fits_and_ends_after_it_is_read() {
        let clock = Clock::start(DateTime::UNIX_EPOCH);
        let (mut writer, peer) = connection(4, clock);
        let written = writer.try_write_vectored(&[IoSlice::new(b"abc"), IoSlice::new(b"def")]);
        assert_eq!(written.ok(), Some(4));
        let full = writer.try_write_vectored(&[IoSlice::new(b"x")]).map_err(|error| error.kind());
        assert_eq!(full, Err(io::ErrorKind::WouldBlock));
        writer.close();
        let mut cx = Context::from_waker(Waker::noop());
        let mut reads = || std::pin::pin!(peer.read(3)).poll(&mut cx);
        assert_eq!(reads(), Poll::Ready(Some(b"abc".to_vec())));
        assert_eq!(reads(), Poll::Ready(Some(b"d".to_vec())));
        assert_eq!(reads(), Poll::Ready(None));
    }
}

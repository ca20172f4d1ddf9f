//! The reader of one socket: bytes become frames, and frames are handed to the session, in order.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actors::session::{Ended, Input, SessionActor, Violated, hand_over};
use bytes::BytesMut;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::wire::Connection;
use super::{Decoder, Incoming, Violation};

/// What one read asks for; a frame that is longer asks for the rest of itself.
const READ_BYTES: usize = 4 * 1024;
/// The same for a client that sends more than fits, whose frames are gathered before they are looked at.
const READ_BYTES_OVERLOADED: usize = 16 * 1024;
/// Sockets of such clients that are read at a time. Between them everything else has its turn, above all
/// the commits of what did fit.
static OVERLOADED: Semaphore = Semaphore::const_new(4);

/// What a close frame without a code is answered with.
const NO_CODE: u16 = 1000;

/// Reads one connection, for as long as it lives.
pub(super) struct Reader {
    pub(super) connection: Arc<Connection>,
    pub(super) session: Addr<SessionActor>,
    /// What came behind the handshake, and later what is no whole frame yet.
    pub(super) buffer: BytesMut,
    pub(super) decoder: Decoder,
}

/// Why nothing more is read.
enum End {
    Closed,
    Violated(Violation),
}

impl Reader {
    /// Begins to read, in a task of its own that ends with the connection.
    pub(super) fn start(mut self) {
        actix_rt::spawn(async move {
            self.read().await;
            self.session.do_send(Ended);
        });
    }

    /// Reads until the connection ends. While the session works on what has come nothing more is read.
    async fn read(&mut self) {
        let mut turn = None;
        loop {
            let (inputs, end) = self.decode();
            let mut pause = Duration::ZERO;
            if !inputs.is_empty() {
                let Some(wanted) = hand_over(&self.session, inputs).await else { return };
                pause = wanted;
            }
            drop(turn.take());
            match end {
                Some(End::Closed) => return Box::pin(drain(&self.connection)).await,
                Some(End::Violated(violation)) => {
                    self.session.do_send(Violated { code: violation.code });
                    return Box::pin(drain(&self.connection)).await;
                }
                None => {}
            }
            let wanted = self.decoder.missing_bytes(&self.buffer).max(READ_BYTES);
            let received = if pause.is_zero() {
                receive(&self.connection, &mut self.buffer, wanted).await
            } else {
                let wanted = wanted.max(READ_BYTES_OVERLOADED);
                // Boxed, for it is rare and this future lives as long as its socket.
                let in_turn = receive_in_turn(&self.connection, &mut self.buffer, wanted, pause);
                Box::pin(in_turn).await.map(|(read, its_turn)| {
                    turn = Some(its_turn);
                    read
                })
            };
            if !matches!(received, Ok(1..)) {
                return;
            }
            self.connection.heard();
        }
    }

    /// The whole frames that have come.
    fn decode(&mut self) -> (Vec<Input>, Option<End>) {
        let mut inputs = Vec::new();
        loop {
            match self.decoder.decode(&mut self.buffer) {
                Ok(Some(Incoming::Text(text))) => inputs.push(Input::Text(text.into_bytes())),
                Ok(Some(Incoming::Ping(payload))) => inputs.push(Input::Ping(payload)),
                Ok(Some(Incoming::Pong | Incoming::Binary(_))) => {}
                Ok(Some(Incoming::Close(frame))) => {
                    inputs.push(Input::Close(frame.map_or(NO_CODE, |frame| frame.code)));
                    return (inputs, Some(End::Closed));
                }
                Ok(None) => return (inputs, None),
                Err(violation) => return (inputs, Some(End::Violated(violation))),
            }
        }
    }
}

/// Waits until the pause is over, and reads in its turn among the overloaded. A turn is never held while
/// nothing comes: one who has fallen silent would keep all the others waiting.
async fn receive_in_turn(
    connection: &Connection,
    buffer: &mut BytesMut,
    wanted: usize,
    pause: Duration,
) -> std::io::Result<(usize, SemaphorePermit<'static>)> {
    tokio::time::sleep(pause).await;
    loop {
        wait(connection, buffer).await?;
        let turn = OVERLOADED.acquire().await.map_err(std::io::Error::other)?;
        if let Some(read) = take(connection, buffer, wanted)? {
            return Ok((read, turn));
        }
    }
}

/// Waits until something has come, and takes at most `wanted` bytes of it.
async fn receive(connection: &Connection, buffer: &mut BytesMut, wanted: usize) -> std::io::Result<usize> {
    loop {
        wait(connection, buffer).await?;
        if let Some(read) = take(connection, buffer, wanted)? {
            return Ok(read);
        }
    }
}

/// Waits until something may have come. Who is silent keeps no buffer, not even that of the handshake.
async fn wait(connection: &Connection, buffer: &mut BytesMut) -> std::io::Result<()> {
    if buffer.is_empty() {
        *buffer = BytesMut::new();
    }
    // By the one place that a socket has for its reader; a wait of `readable` takes a hundred bytes.
    poll_fn(|cx| connection.stream.poll_read_ready(cx)).await
}

/// Takes what is there, at most `wanted` bytes; none when nothing is.
fn take(connection: &Connection, buffer: &mut BytesMut, wanted: usize) -> std::io::Result<Option<usize>> {
    buffer.reserve(wanted);
    match connection.stream.try_read_buf(buffer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
        read => read.map(Some),
    }
}

/// Reads and drops what still comes, until the switchboard or the peer ends the connection.
pub(super) async fn drain(connection: &Connection) {
    let mut dropped = BytesMut::new();
    while matches!(receive(connection, &mut dropped, READ_BYTES).await, Ok(1..)) {
        dropped.clear();
    }
}

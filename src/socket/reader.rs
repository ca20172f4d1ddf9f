//! Reads a socket: decodes its frames and passes them to the session in order.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use actors::engine::{ClientInput, SessionHandle};
use bytes::BytesMut;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::connection::SocketConnection;
use super::{FrameDecoder, Violation, WsMessage};

/// Size of a read; a longer frame reads what is missing of it.
const READ_BYTES: usize = 4 * 1024;
/// Size of a read for an overloaded client, whose frames are read in larger batches.
const READ_BYTES_THROTTLED: usize = 16 * 1024;
/// How many overloaded clients are read at the same time. In between everything else makes progress, above
/// all the commits.
static THROTTLED_READS: Semaphore = Semaphore::const_new(4);

/// The close code that answers a close frame without one.
const NORMAL_CLOSURE: u16 = 1000;

/// Reads one connection until it ends.
pub(super) struct SocketReader {
    pub(super) connection: Arc<SocketConnection>,
    pub(super) session: SessionHandle,
    /// Bytes behind the handshake, and later those of an incomplete frame.
    pub(super) buffer: BytesMut,
    pub(super) decoder: FrameDecoder,
}

/// Why reading ends.
enum ReadEnd {
    Closed,
    Violated(Violation),
}

impl SocketReader {
    /// Starts reading, in a task that ends with the connection.
    pub(super) fn start(mut self) {
        actix_rt::spawn(async move {
            self.read().await;
            self.session.connection_ended();
        });
    }

    /// Reads until the connection ends. Nothing more is read while the session handles the previous input.
    async fn read(&mut self) {
        let mut permit = None;
        loop {
            let (inputs, end) = self.decode();
            let mut pause = Duration::ZERO;
            if !inputs.is_empty() {
                let Some(wanted) = self.session.receive(inputs).await else { return };
                pause = wanted;
            }
            drop(permit.take());
            match end {
                Some(ReadEnd::Closed) => return Box::pin(drain(&self.connection)).await,
                Some(ReadEnd::Violated(violation)) => {
                    self.session.report_violation(violation.code);
                    return Box::pin(drain(&self.connection)).await;
                }
                None => {}
            }
            let wanted = self.decoder.missing_bytes(&self.buffer).max(READ_BYTES);
            let received = if pause.is_zero() {
                receive(&self.connection, &mut self.buffer, wanted).await
            } else {
                let wanted = wanted.max(READ_BYTES_THROTTLED);
                // Boxed because it is rare, while this future lives as long as the socket.
                let throttled = receive_throttled(&self.connection, &mut self.buffer, wanted, pause);
                Box::pin(throttled).await.map(|(read, acquired)| {
                    permit = Some(acquired);
                    read
                })
            };
            if !matches!(received, Ok(1..)) {
                return;
            }
            self.connection.mark_received();
        }
    }

    /// Decodes all complete frames.
    fn decode(&mut self) -> (Vec<ClientInput>, Option<ReadEnd>) {
        let mut inputs = Vec::new();
        loop {
            match self.decoder.decode(&mut self.buffer) {
                Ok(Some(WsMessage::Text(text))) => inputs.push(ClientInput::Text(text.into_bytes())),
                Ok(Some(WsMessage::Ping(payload))) => inputs.push(ClientInput::Ping(payload)),
                Ok(Some(WsMessage::Pong | WsMessage::Binary(_))) => {}
                Ok(Some(WsMessage::Close(frame))) => {
                    inputs.push(ClientInput::Close(frame.map_or(NORMAL_CLOSURE, |frame| frame.code)));
                    return (inputs, Some(ReadEnd::Closed));
                }
                Ok(None) => return (inputs, None),
                Err(violation) => return (inputs, Some(ReadEnd::Violated(violation))),
            }
        }
    }
}

/// Waits for `pause` and then for a permit among the overloaded clients. The permit is not held while nothing
/// arrives, so that a silent client doesn't block the others.
async fn receive_throttled(
    connection: &SocketConnection,
    buffer: &mut BytesMut,
    wanted: usize,
    pause: Duration,
) -> std::io::Result<(usize, SemaphorePermit<'static>)> {
    tokio::time::sleep(pause).await;
    loop {
        wait(connection, buffer).await?;
        let permit = THROTTLED_READS.acquire().await.map_err(std::io::Error::other)?;
        if let Some(read) = try_receive(connection, buffer, wanted)? {
            return Ok((read, permit));
        }
    }
}

/// Waits for data and reads at most `wanted` bytes.
async fn receive(
    connection: &SocketConnection,
    buffer: &mut BytesMut,
    wanted: usize,
) -> std::io::Result<usize> {
    loop {
        wait(connection, buffer).await?;
        if let Some(read) = try_receive(connection, buffer, wanted)? {
            return Ok(read);
        }
    }
}

/// Waits until data may have arrived. An idle socket keeps no buffer, not even that of its handshake.
async fn wait(connection: &SocketConnection, buffer: &mut BytesMut) -> std::io::Result<()> {
    if buffer.is_empty() {
        *buffer = BytesMut::new();
    }
    // Uses the socket's single slot for a reader; a `readable` future would take a hundred bytes.
    poll_fn(|cx| connection.stream.poll_read_ready(cx)).await
}

/// Reads at most `wanted` bytes without waiting; `None` if there are none.
fn try_receive(
    connection: &SocketConnection,
    buffer: &mut BytesMut,
    wanted: usize,
) -> std::io::Result<Option<usize>> {
    buffer.reserve(wanted);
    match connection.stream.try_read_buf(buffer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
        read => read.map(Some),
    }
}

/// Reads and discards until the switchboard or the client closes the connection.
pub(super) async fn drain(connection: &SocketConnection) {
    let mut dropped = BytesMut::new();
    while matches!(receive(connection, &mut dropped, READ_BYTES).await, Ok(1..)) {
        dropped.clear();
    }
}

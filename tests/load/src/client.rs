//! One socket of the load generator.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;

/// What a client does.
#[derive(Clone, Debug)]
pub(crate) struct ClientSpec {
    /// The user's id.
    pub(crate) user: i64,
    /// Indices of the rooms that the client receives.
    pub(crate) rooms: Vec<usize>,
    /// Whether it opens one user socket for all rooms instead of one for a single room.
    pub(crate) is_user_socket: bool,
    /// The position after which it resumes.
    pub(crate) since: Option<i64>,
    /// Whether it stops reading once it has joined.
    pub(crate) stalls: bool,
}

/// The state of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientState {
    Connecting,
    Upgrading,
    /// Waits until it has joined; the number of rooms that are missing.
    Joining(usize),
    Joined,
    /// Has joined and doesn't read.
    Stalled,
    /// Reads again.
    Woken,
    Ended,
}

/// A room that a client receives, and the position of the last message.
#[derive(Debug)]
pub(crate) struct RoomCursor {
    pub(crate) room: usize,
    pub(crate) last: i64,
}

/// A socket.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    address: SocketAddr,
    pub(crate) spec: ClientSpec,
    pub(crate) state: ClientState,
    pub(crate) cursors: Vec<RoomCursor>,
    /// An incomplete frame.
    pub(crate) rest: Vec<u8>,
    out: Vec<u8>,
}

impl Client {
    /// Starts to connect.
    pub(crate) fn connect(address: SocketAddr, spec: ClientSpec) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        Ok(Self {
            stream,
            address,
            cursors: spec
                .rooms
                .iter()
                .map(|room| RoomCursor { room: *room, last: spec.since.unwrap_or(0) })
                .collect(),
            spec,
            state: ClientState::Connecting,
            rest: Vec::new(),
            out: Vec::new(),
        })
    }

    /// Sends the upgrade request.
    pub(crate) fn ask(&mut self, path: &str) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        self.state = ClientState::Upgrading;
        let address = self.address;
        write!(
            self.out,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: bG9hZCBnZW5lcmF0b3IhIQ==\r\n\r\n"
        )?;
        self.flush()
    }

    /// The buffer of frames to be sent.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Writes as much as the socket accepts.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(written) => drop(self.out.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads once; `None` if there is no data.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.stream.read(buffer) {
            Ok(read) => Ok(Some(read)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether deliveries to this client are counted.
    pub(crate) fn counts(&self) -> bool {
        self.state == ClientState::Joined
    }
}

//! One socket of the loader's.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;

/// What a client wants.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// Who it is.
    pub(crate) user: i64,
    /// The rooms that it hears, by their numbers.
    pub(crate) rooms: Vec<usize>,
    /// Whether it is one socket for all of them, not one room's own.
    pub(crate) is_user_socket: bool,
    /// The position that it resumes after.
    pub(crate) since: Option<i64>,
    /// Whether it reads nothing once it has joined.
    pub(crate) stalls: bool,
}

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Connecting,
    Upgrading,
    /// Waits to be let in; so many rooms are still to be heard of.
    Joining(usize),
    Joined,
    /// Has joined, and reads nothing.
    Stalled,
    /// Reads again.
    Woken,
    Ended,
}

/// A room that a client hears, and the position of the last message that came.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) room: usize,
    pub(crate) last: i64,
}

/// The socket.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    address: SocketAddr,
    pub(crate) wish: Wish,
    pub(crate) stage: Stage,
    pub(crate) heard: Vec<Heard>,
    /// The beginning of a frame whose rest has not come.
    pub(crate) rest: Vec<u8>,
    out: Vec<u8>,
}

impl Client {
    /// Begins to connect.
    pub(crate) fn connect(address: SocketAddr, wish: Wish) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        Ok(Self {
            stream,
            address,
            heard: wish
                .rooms
                .iter()
                .map(|room| Heard { room: *room, last: wish.since.unwrap_or(0) })
                .collect(),
            wish,
            stage: Stage::Connecting,
            rest: Vec::new(),
            out: Vec::new(),
        })
    }

    /// Asks for the upgrade.
    pub(crate) fn ask(&mut self, path: &str) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        self.stage = Stage::Upgrading;
        let address = self.address;
        write!(
            self.out,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: bG9hZCBnZW5lcmF0b3IhIQ==\r\n\r\n"
        )?;
        self.flush()
    }

    /// Where frames to be sent are put.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Writes what the socket takes.
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

    /// Reads once; `None` when nothing is there.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.stream.read(buffer) {
            Ok(read) => Ok(Some(read)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether its messages are waited for.
    pub(crate) fn counts(&self) -> bool {
        self.stage == Stage::Joined
    }
}

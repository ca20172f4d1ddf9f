//! One connection of a client to a node, with a reader on the server's side like the real one.

use std::rc::Rc;

use actors::domain::ids::{RoomId, Seq, UserId};
use actors::engine::{ClientInput, ConnectRequest, ConnectTarget, SessionHandle};
use actors::memory::connection::{Peer, connection};
use actors::ports::identity::Credential;
use actors::protocol::codec;
use bytes::Bytes;
use chrono::DateTime;
use std::time::Duration;
use tokio::sync::mpsc;

use crate::frames::{Frame, take_frames};
use crate::history::{Conn, Fact};
use crate::rng::Rng;
use crate::world::{Node, World};

/// What a client sends to its node.
enum Up {
    Text(String),
    /// The client closes the connection.
    Bye,
    /// The connection has broken, and the server's kernel knows.
    Gone,
}

/// A client's connection.
pub(crate) struct Socket {
    pub(crate) conn: Conn,
    peer: Peer,
    up: mpsc::UnboundedSender<Up>,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a connection; frames show whether it is accepted.
    pub(crate) fn open(
        world: &World,
        node: Rc<Node>,
        user: UserId,
        issued_at: i64,
        room: Option<(RoomId, Option<Seq>)>,
    ) -> Self {
        let conn = world.next_conn();
        let (writer, peer) = connection(world.wire_bytes, world.clock);
        world.recorder.note(Fact::Opened { conn, user, node: node.place, issued_at });
        let target = room.map_or(ConnectTarget::User, |(room, since)| {
            world.recorder.note(Fact::Joining { conn, room, since });
            ConnectTarget::Room { room, since, epoch: None }
        });
        let connect = ConnectRequest {
            credential: Credential {
                user,
                issued_at,
                expires_at: DateTime::UNIX_EPOCH,
                expires_in: Duration::from_secs(86_400),
            },
            grace: Duration::ZERO,
            target,
            writer: Box::new(writer),
            accept: codec::pong(b""),
            // Half of them are refused by a close code after the handshake, as clients with the subprotocol are.
            refuse: conn.is_multiple_of(2).then_some(|error| codec::close(error.close_code())),
        };
        let session = node.worker.connect(connect);
        node.keep(peer.clone());
        let (up, from_client) = mpsc::unbounded_channel();
        actix_rt::spawn(read(from_client, session, peer.clone(), node, world.rng()));
        Self { conn, peer, up, buffer: Vec::new() }
    }

    /// Sends a text frame; it is lost if the connection has ended.
    pub(crate) fn send(&self, text: String) {
        let _lost = self.up.send(Up::Text(text));
    }

    /// Closes the connection by a close frame.
    pub(crate) fn say_bye(&self) {
        let _lost = self.up.send(Up::Bye);
    }

    /// Breaks the connection.
    pub(crate) fn break_connection(&self) {
        self.peer.abandon();
        let _lost = self.up.send(Up::Gone);
    }

    /// Waits for bytes from the node, and takes about `max` of them; none once the connection has ended.
    pub(crate) async fn frames(&mut self, max: usize) -> Option<Vec<Frame>> {
        let bytes = self.peer.read(max).await?;
        self.buffer.extend(bytes);
        let frames = take_frames(&mut self.buffer);
        if frames.contains(&Frame::Ping) {
            self.peer.heard();
        }
        Some(frames)
    }
}

/// The server's reader of one connection.
async fn read(
    mut from_client: mpsc::UnboundedReceiver<Up>,
    session: SessionHandle,
    peer: Peer,
    node: Rc<Node>,
    mut rng: Rng,
) {
    loop {
        let up = tokio::select! {
            biased;
            up = from_client.recv() => up,
            () = peer.ended() => None,
        };
        tokio::time::sleep(rng.millis(0..6)).await;
        if node.liveness.is_dead() {
            return;
        }
        let input = match up {
            Some(Up::Text(text)) => ClientInput::Text(Bytes::from(text)),
            Some(Up::Bye) => ClientInput::Close(1000),
            Some(Up::Gone) | None => return session.connection_ended(),
        };
        peer.heard();
        let Some(pause) = session.receive(vec![input]).await else { return };
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

//! One connection of a client to a node, with a reader on the server's side like the real one's.

use std::rc::Rc;

use actix::Addr;
use actors::domain::ids::{RoomId, Seq, UserId};
use actors::memory::wire::{Peer, connection};
use actors::ports::identity::Credential;
use actors::protocol::codec;
use actors::session::{Connect, Ended, Input, SessionActor, Target, hand_over};
use bytes::Bytes;
use chrono::DateTime;
use std::time::Duration;
use tokio::sync::mpsc;

use crate::chance::Chance;
use crate::frames::{Frame, take_frames};
use crate::history::{Conn, Fact};
use crate::world::{Node, World};

/// What goes from the client to its node.
enum Up {
    Text(String),
    /// The client wants to end.
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
    /// Opens a connection; whether it is let in is told by frames.
    pub(crate) fn open(
        world: &World,
        node: Rc<Node>,
        user: UserId,
        issued_at: i64,
        room: Option<(RoomId, Option<Seq>)>,
    ) -> Self {
        let conn = world.next_conn();
        let (wire, peer) = connection(world.wire_bytes, world.clock);
        world.recorder.note(Fact::Opened { conn, user, node: node.place, issued_at });
        let target = room.map_or(Target::User, |(room, since)| {
            world.recorder.note(Fact::Joining { conn, room, since });
            Target::Room { room, since, epoch: None }
        });
        let connect = Connect {
            credential: Credential {
                user,
                issued_at,
                expires_at: DateTime::UNIX_EPOCH,
                expires_in: Duration::from_secs(86_400),
            },
            grace: Duration::ZERO,
            target,
            wire: Box::new(wire),
            accept: codec::pong(b""),
            // Half of them are closed with a code behind the answer, as those are that offer the subprotocol.
            refuse: conn.is_multiple_of(2).then_some(|error| codec::close(error.close_code())),
        };
        let session = node.worker.connect(connect);
        node.keep(peer.clone());
        let (up, from_client) = mpsc::unbounded_channel();
        actix_rt::spawn(read(from_client, session, peer.clone(), node, world.chance()));
        Self { conn, peer, up, buffer: Vec::new() }
    }

    /// Sends a text frame; on a connection that has ended it is lost.
    pub(crate) fn send(&self, text: String) {
        let _lost = self.up.send(Up::Text(text));
    }

    /// Says goodbye.
    pub(crate) fn say_bye(&self) {
        let _lost = self.up.send(Up::Bye);
    }

    /// Breaks the connection.
    pub(crate) fn drop_line(&self) {
        self.peer.abandon();
        let _lost = self.up.send(Up::Gone);
    }

    /// Waits for what the node sends, and takes about `max` bytes of it. None: the connection has ended.
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
    session: Addr<SessionActor>,
    peer: Peer,
    node: Rc<Node>,
    mut chance: Chance,
) {
    loop {
        let up = tokio::select! {
            biased;
            up = from_client.recv() => up,
            () = peer.ended() => None,
        };
        tokio::time::sleep(chance.millis(0..6)).await;
        if node.life.is_dead() {
            return;
        }
        let input = match up {
            Some(Up::Text(text)) => Input::Text(Bytes::from(text)),
            Some(Up::Bye) => Input::Close(1000),
            Some(Up::Gone) | None => return session.do_send(Ended),
        };
        peer.heard();
        let Some(pause) = hand_over(&session, vec![input]).await else { return };
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

//! Who hears which room, and what a room has to tell them.

use std::sync::Arc;

use actix::{Handler, Message};
use bytes::Bytes;

use super::{Listener, OutboxId, SwitchboardActor};
use crate::domain::ids::{RoomId, Seq};
use crate::outbox::SignalKey;
use crate::protocol::close::CloseCode;

/// Frames of one room, in `seq` order, as one piece of bytes.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The position before the first of them.
    pub after: Seq,
    /// The frames, one behind the other.
    pub bytes: Bytes,
    /// Where each one ends; the frame of `after + 1 + i` ends at `ends[i]`.
    pub ends: Arc<[u32]>,
}

impl Batch {
    /// The position of the last frame.
    #[must_use]
    pub fn last(&self) -> Seq {
        Seq(self.after.0 + i64::try_from(self.ends.len()).unwrap_or(i64::MAX))
    }

    /// The frames after `position`, and how many they are.
    #[must_use]
    pub fn after(&self, position: Seq) -> (Bytes, u32) {
        let skip = usize::try_from(position.0 - self.after.0).unwrap_or(0).min(self.ends.len());
        let start = if skip == 0 { 0 } else { self.ends[skip - 1] as usize };
        (self.bytes.slice(start..), u32::try_from(self.ends.len() - skip).unwrap_or(u32::MAX))
    }
}

/// Lets a socket hear a room from `position` on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Enter {
    /// The room.
    pub room: RoomId,
    /// The socket.
    pub outbox: OutboxId,
    /// What it has heard already.
    pub position: Seq,
}

impl Handler<Enter> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, Enter { room, outbox, position }: Enter, _: &mut Self::Context) {
        if let Some(entry) = self.entry(outbox) {
            if entry.hears.is_empty() {
                // Most hear one room; a vector would make space for four.
                entry.hears.reserve_exact(1);
            }
            entry.hears.push(room);
            self.rooms.entry(room).or_default().push(Listener { outbox, position });
        }
    }
}

/// Lets a socket no longer hear a room; answers with what it has heard.
#[derive(Message)]
#[rtype(result = "Option<Seq>")]
pub struct Exit {
    /// The room.
    pub room: RoomId,
    /// The socket.
    pub outbox: OutboxId,
}

impl Handler<Exit> for SwitchboardActor {
    type Result = Option<Seq>;

    fn handle(&mut self, Exit { room, outbox }: Exit, _: &mut Self::Context) -> Self::Result {
        let limits = self.limits.clone();
        let entry = self.entry(outbox)?;
        entry.outbox.end_turn(room, &limits);
        entry.outbox.forget_signals(room);
        entry.hears.retain(|heard| *heard != room);
        let listeners = self.rooms.get_mut(&room)?;
        let at = listeners.iter().position(|listener| listener.outbox == outbox)?;
        let position = listeners.swap_remove(at).position;
        if listeners.is_empty() {
            self.rooms.remove(&room);
        }
        Some(position)
    }
}

/// Frames for all who hear a room.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Deliver {
    /// The room.
    pub room: RoomId,
    /// The frames.
    pub batch: Batch,
}

impl Handler<Deliver> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, Deliver { room, batch }: Deliver, ctx: &mut Self::Context) {
        let Some(mut listeners) = self.rooms.remove(&room) else { return };
        let (last, limits) = (batch.last(), self.limits.clone());
        listeners.retain_mut(|listener| {
            // A slot may belong to another socket by now, which never entered this room.
            let Some(entry) = self.entry(listener.outbox) else { return false };
            if listener.position < batch.after && !entry.outbox.closing {
                // What comes before was told while the room's actor was replaced; the client resumes.
                self.begin_close(listener.outbox.slot, CloseCode::Internal, ctx);
                return true;
            }
            if listener.position < last && !entry.outbox.closing {
                let (bytes, frames) = batch.after(listener.position);
                let fits = entry.outbox.push(bytes, frames, &limits);
                self.touched(listener.outbox.slot, fits, ctx);
            }
            listener.position = listener.position.max(last);
            true
        });
        if !listeners.is_empty() {
            self.rooms.insert(room, listeners);
        }
    }
}

/// A signal for all who hear a room, but for some.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Broadcast {
    /// What it is about; its room's listeners hear it.
    pub key: SignalKey,
    /// The frame.
    pub bytes: Bytes,
    /// Those that don't hear it.
    pub excepted: Vec<OutboxId>,
}

impl Handler<Broadcast> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, signal: Broadcast, ctx: &mut Self::Context) {
        let Some(listeners) = self.rooms.remove(&signal.key.room) else { return };
        let limits = self.limits.clone();
        for listener in &listeners {
            let Some(entry) = self.entry(listener.outbox) else { continue };
            if entry.outbox.closing || signal.excepted.contains(&listener.outbox) {
                continue;
            }
            let fits = entry.outbox.signal(signal.key, signal.bytes.clone(), &limits);
            self.touched(listener.outbox.slot, fits, ctx);
        }
        self.rooms.insert(signal.key.room, listeners);
    }
}

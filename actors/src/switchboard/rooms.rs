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
        let place = self.rooms.get(&room).map_or(0, Vec::len);
        let place = u32::try_from(place).expect("fewer sockets than 2^32");
        if let Some(entry) = self.entry(outbox) {
            if entry.hears.is_empty() {
                // Most hear one room; a vector would make space for four.
                entry.hears.reserve_exact(1);
            }
            entry.hears.push((room, place));
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
        let at = entry.hears.iter().position(|(heard, _)| *heard == room)?;
        let (_, place) = entry.hears.swap_remove(at);
        self.remove_listener(room, place)
    }
}

impl SwitchboardActor {
    /// Takes a listener out; the last one takes its place. Gives what it has heard.
    pub(super) fn remove_listener(&mut self, room: RoomId, place: u32) -> Option<Seq> {
        let listeners = self.rooms.get_mut(&room)?;
        let position = listeners.swap_remove(place as usize).position;
        let moved = listeners.get(place as usize).map(|moved| (moved.outbox, listeners.len()));
        if listeners.is_empty() {
            self.rooms.remove(&room);
        }
        if let Some((moved, from)) = moved
            && let Some(entry) = self.entry(moved)
        {
            let hears = entry.hears.iter_mut();
            let stood = |(heard, at): &&mut (RoomId, u32)| *heard == room && *at as usize == from;
            hears.filter(stood).for_each(|(_, at)| *at = place);
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
        for listener in &mut listeners {
            // A socket that is forgotten has left all its rooms.
            let Some(entry) = self.entry(listener.outbox) else { continue };
            if listener.position < batch.after && !entry.outbox.closing {
                // What comes before was told while the room's actor was replaced; the client resumes.
                self.begin_close(listener.outbox.slot, CloseCode::Internal, ctx);
                continue;
            }
            if listener.position < last && !entry.outbox.closing {
                let (bytes, frames) = batch.after(listener.position);
                let fits = entry.outbox.push(bytes, frames, &limits);
                self.touched(listener.outbox.slot, fits, ctx);
            }
            listener.position = listener.position.max(last);
        }
        self.rooms.insert(room, listeners);
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

#[cfg(all(test, feature = "memory"))]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::UserId;
    use crate::limits::Limits;
    use crate::memory::engine::MemoryEngine;
    use crate::memory::store::MemoryStore;
    use crate::memory::wire::{Peer, connection};
    use crate::session::Target;
    use crate::switchboard::{Attach, Detach, Uncork};

    /// A socket that has come into the room at this position.
    async fn enters(engine: &MemoryEngine, room: RoomId, position: i64) -> (OutboxId, Peer) {
        let (wire, peer) = connection(1 << 16, engine.clock);
        let (board, session) =
            (&engine.worker.switchboard, engine.connect(UserId(1), 0, Target::User).session);
        let attach = Attach { wire: Box::new(wire), session: session.downgrade() };
        let outbox = board.send(attach).await.expect("it lives");
        board.do_send(Uncork { outbox, first: Bytes::from_static(b">") });
        board.do_send(Enter { room, outbox, position: Seq(position) });
        (outbox, peer)
    }

    #[test]
    fn whoever_goes_takes_nobody_elses_place() {
        actix::System::new().block_on(async {
            let engine = MemoryEngine::start(MemoryStore::default(), Limits::default());
            let board = &engine.worker.switchboard;
            let (room, other) = (RoomId(Uuid::from_u128(1)), RoomId(Uuid::from_u128(2)));
            let mut sockets = Vec::new();
            for position in 0..6 {
                sockets.push(enters(&engine, room, position).await);
                let (outbox, _) = sockets[sockets.len() - 1];
                board.do_send(Enter { room: other, outbox, position: Seq(10 + position) });
            }
            let exit = async |room, at: usize| {
                let outbox = sockets[at].0;
                board.send(Exit { room, outbox }).await.expect("it lives")
            };
            // In the middle, the last, the first, and once more.
            assert_eq!([exit(room, 2).await, exit(room, 5).await], [Some(Seq(2)), Some(Seq(5))]);
            assert_eq!([exit(room, 0).await, exit(room, 0).await], [Some(Seq(0)), None]);
            board.do_send(Detach { outbox: sockets[3].0 });
            assert_eq!([exit(other, 4).await, exit(other, 2).await], [Some(Seq(14)), Some(Seq(12))]);
            let frames = Bytes::from_static(b"abcdefghij");
            let batch = Batch { after: Seq(0), bytes: frames, ends: (1..=10).collect() };
            board.do_send(Deliver { room, batch });
            assert_eq!([exit(room, 1).await, exit(room, 4).await], [Some(Seq(10)), Some(Seq(10))]);
            assert_eq!([exit(other, 1).await, exit(other, 3).await], [Some(Seq(11)), None]);
            assert_eq!(sockets[1].1.read(64).await, Some(b">bcdefghij".to_vec()));
            assert_eq!(sockets[4].1.read(64).await, Some(b">efghij".to_vec()));
        });
    }
}

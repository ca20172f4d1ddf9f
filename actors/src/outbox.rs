//! A bounded queue of frames to one socket.
//!
//! Owned by the [`crate::switchboard`] of the socket's worker thread; nothing else touches it. Frames
//! are shared bytes, so a queued frame costs a pointer, and everything that waits goes out in as few
//! vectored writes as the socket takes.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, IoSlice};

use actix::{Addr, WeakAddr};
use bytes::{Buf, Bytes};

use crate::domain::ids::{RoomId, UserId};
use crate::limits::Limits;
use crate::ports::wire::Wire;
use crate::room::{Drained, RoomActor};
use crate::session::{SessionActor, SessionId};

/// Slices of one write.
const SLICES_MAX: usize = 64;
/// Signals kept back for a socket that is behind. What doesn't fit is dropped, and how things stand is told
/// once what waits has gone out.
const SIGNALS_MAX: usize = 256;

/// What kind of signal it is: of one kind, room and person only the newest is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignalKind {
    /// Typing: dropped while the socket is behind.
    Typing,
    /// A read mark.
    Read,
    /// Presence.
    Presence,
    /// A line of the list of rooms.
    Inbox,
}

/// Which signal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignalKey {
    /// Its kind.
    pub kind: SignalKind,
    /// The room it is about.
    pub room: RoomId,
    /// The person it is about.
    pub user: UserId,
}

/// A room that waits for its turn, and the guest that its page is for.
pub(crate) struct Turn {
    pub(crate) room: RoomId,
    pub(crate) addr: Addr<RoomActor>,
    pub(crate) session: SessionId,
}

/// What a socket is to be told anew once all that waits for it has gone out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Untold {
    /// The list of rooms, from its start: lines of it were dropped.
    List,
    /// More of that list.
    RestOfList,
    /// How far each has read in a room, and who is online there.
    States(RoomId),
}

struct Chunk {
    bytes: Bytes,
    frames: u32,
    /// Whether a part of it is out, so that it must be finished.
    begun: bool,
}

/// Signals of which only the newest of each key is kept, in the order in which they came.
#[derive(Default)]
struct KeptBack(Vec<(SignalKey, Bytes)>);

impl KeptBack {
    /// Keeps a signal; false where it doesn't fit.
    fn keep(&mut self, key: SignalKey, bytes: Bytes) -> bool {
        let fits = self.forget(key) || self.0.len() < SIGNALS_MAX;
        if fits {
            self.0.push((key, bytes));
        }
        fits
    }

    /// Drops one; whether it was there.
    fn forget(&mut self, key: SignalKey) -> bool {
        let at = self.0.iter().position(|(kept, _)| *kept == key);
        at.map(|at| self.0.remove(at)).is_some()
    }
}

/// What a flush came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing waits any more.
    All,
    /// The socket takes no more now.
    Blocked,
    /// The connection is gone.
    Gone,
}

/// The queue, with its socket.
pub(crate) struct Outbox {
    pub(crate) wire: Box<dyn Wire>,
    /// Weak, for each copy of a strong address takes a hundred bytes of its own.
    pub(crate) session: WeakAddr<SessionActor>,
    queue: VecDeque<Chunk>,
    bytes: usize,
    frames: u32,
    /// Held back until the session has been let in.
    pub(crate) corked: bool,
    /// Whether a write was refused and the socket is being watched.
    pub(crate) blocked: bool,
    /// Whether it is in the list of those to be flushed.
    pub(crate) dirty: bool,
    /// Whether the last frame is a close frame; nothing may follow.
    pub(crate) closing: bool,
    /// Boxed, for of thousands few are behind.
    missed: Option<Box<Missed>>,
    /// Boxed, for of thousands few are catching up.
    replays: Option<Box<Replays>>,
}

/// What a socket that is behind has not been sent.
#[derive(Default)]
struct Missed {
    kept_back: KeptBack,
    untold: BTreeSet<Untold>,
}

/// Rooms that have a page of a replay to send.
#[derive(Default)]
struct Replays {
    /// Those that wait, in the order of their turns.
    turns: VecDeque<Turn>,
    /// The one whose page may come; one at a time, or many replays would overflow together.
    turn_of: Option<RoomId>,
}

impl Outbox {
    pub(crate) fn new(wire: Box<dyn Wire>, session: WeakAddr<SessionActor>) -> Self {
        Self {
            wire,
            session,
            queue: VecDeque::new(),
            bytes: 0,
            frames: 0,
            corked: true,
            blocked: false,
            dirty: false,
            closing: false,
            missed: None,
            replays: None,
        }
    }

    /// Queues `bytes`, which are `frames` whole frames. False: over the bound.
    pub(crate) fn push(&mut self, bytes: Bytes, frames: u32, limits: &Limits) -> bool {
        if bytes.is_empty() {
            return true;
        }
        self.bytes += bytes.len();
        self.frames += frames;
        self.queue.push_back(Chunk { bytes, frames, begun: false });
        self.bytes <= limits.outbox_bytes_max && self.frames as usize <= limits.outbox_frames_max
    }

    /// Queues a signal; while the socket is behind only the newest of its key is kept. What is kept back
    /// holds up all that is newer, for a line of the list of rooms also tells what is unread in all.
    pub(crate) fn signal(&mut self, key: SignalKey, bytes: Bytes, limits: &Limits) -> bool {
        let is_behind = self.is_behind(limits);
        if key.kind == SignalKind::Typing {
            return is_behind || self.push(bytes, 1, limits);
        }
        if !is_behind && self.missed.as_ref().is_none_or(|missed| missed.kept_back.0.is_empty()) {
            return self.push(bytes, 1, limits);
        }
        if !self.missed.get_or_insert_default().kept_back.keep(key, bytes) {
            let is_line = key.kind == SignalKind::Inbox;
            self.tell_when_out(if is_line { Untold::List } else { Untold::States(key.room) });
        }
        true
    }

    /// Notes what is to be told anew once all that waits has gone out.
    pub(crate) fn tell_when_out(&mut self, untold: Untold) {
        self.missed.get_or_insert_default().untold.insert(untold);
    }

    /// Gives one thing that is to be told anew: one after another, each when the one before has gone out.
    pub(crate) fn take_untold(&mut self) -> Option<Untold> {
        let missed = self.missed.as_mut()?;
        let first = missed.untold.pop_first();
        if missed.untold.is_empty() && missed.kept_back.0.is_empty() {
            self.missed = None;
        }
        first
    }

    /// Drops a signal that is kept back.
    pub(crate) fn forget_signal(&mut self, key: SignalKey) {
        if let Some(missed) = &mut self.missed {
            missed.kept_back.forget(key);
        }
    }

    /// Puts `bytes` before everything that waits.
    pub(crate) fn push_first(&mut self, bytes: Bytes) {
        self.bytes += bytes.len();
        self.queue.push_front(Chunk { bytes, frames: 0, begun: false });
    }

    /// Drops what waits, but for a frame that has begun to go out, and queues `last`.
    pub(crate) fn close_with(&mut self, last: Bytes) {
        let begun = self.queue.front().is_some_and(|chunk| chunk.begun);
        self.queue.truncate(usize::from(begun));
        for chunk in &mut self.queue {
            // They are counted no longer.
            chunk.frames = 0;
        }
        self.missed = None;
        self.bytes = self.queue.iter().map(|chunk| chunk.bytes.len()).sum::<usize>() + last.len();
        self.frames = self.queue.iter().map(|chunk| chunk.frames).sum();
        self.queue.push_back(Chunk { bytes: last, frames: 0, begun: false });
        self.closing = true;
    }

    /// Lets a room have its turn with a page when there is room for one.
    pub(crate) fn ask_turn(&mut self, turn: Turn, limits: &Limits) {
        self.replays.get_or_insert_default().turns.push_back(turn);
        self.give_turn(limits);
    }

    /// A room has sent its page, or sends none.
    pub(crate) fn end_turn(&mut self, room: RoomId, limits: &Limits) {
        let Some(replays) = &mut self.replays else { return };
        replays.turns.retain(|turn| turn.room != room);
        replays.turn_of.take_if(|holder| *holder == room);
        if replays.turns.is_empty() && replays.turn_of.is_none() {
            self.replays = None;
        }
        self.give_turn(limits);
    }

    /// Drops the signals of a room that is no longer heard; newer ones may come by another stay.
    pub(crate) fn forget_signals(&mut self, room: RoomId) {
        if let Some(missed) = &mut self.missed {
            missed.kept_back.0.retain(|(key, _)| key.room != room || key.kind == SignalKind::Inbox);
            missed.untold.remove(&Untold::States(room));
        }
    }

    fn give_turn(&mut self, limits: &Limits) {
        if self.bytes * 4 <= limits.outbox_bytes_max
            && self.frames as usize * 4 <= limits.outbox_frames_max
            && let Some(replays) = self.replays.as_mut().filter(|replays| replays.turn_of.is_none())
            && let Some(Turn { room, addr, session }) = replays.turns.pop_front()
        {
            replays.turn_of = Some(room);
            addr.do_send(Drained { session });
        }
    }

    /// Gives back the space of frames that are out.
    pub(crate) fn rest(&mut self) {
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    fn is_behind(&self, limits: &Limits) -> bool {
        self.bytes * 8 > limits.outbox_bytes_max || self.frames as usize * 8 > limits.outbox_frames_max
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Writes what the socket takes. `progress` is set when anything went out.
    pub(crate) fn flush(&mut self, limits: &Limits, progress: &mut bool) -> Flushed {
        loop {
            if self.queue.is_empty() {
                self.release_signals(limits);
                if self.queue.is_empty() {
                    if self.queue.capacity() > 16 {
                        self.rest();
                    }
                    self.give_turn(limits);
                    return Flushed::All;
                }
            }
            let written = if self.queue.len() == 1 {
                self.wire.try_write_vectored(&[IoSlice::new(&self.queue[0].bytes)])
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                let count = self.queue.len().min(SLICES_MAX);
                for (slice, chunk) in slices.iter_mut().zip(&self.queue) {
                    *slice = IoSlice::new(&chunk.bytes);
                }
                self.wire.try_write_vectored(&slices[..count])
            };
            match written {
                Ok(0) => return Flushed::Gone,
                Ok(written) => {
                    *progress = true;
                    self.took(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.give_turn(limits);
                    return Flushed::Blocked;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Flushed::Gone,
            }
        }
    }

    fn took(&mut self, mut written: usize) {
        self.bytes -= written;
        while written > 0 {
            let Some(chunk) = self.queue.front_mut() else { return };
            if written < chunk.bytes.len() {
                chunk.bytes.advance(written);
                chunk.begun = true;
                return;
            }
            self.frames -= chunk.frames;
            written -= chunk.bytes.len();
            self.queue.pop_front();
        }
    }

    fn release_signals(&mut self, limits: &Limits) {
        let Some(missed) = &mut self.missed else { return };
        for (_, bytes) in std::mem::take(&mut missed.kept_back.0) {
            self.push(bytes, 1, limits);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn line(room: u128) -> SignalKey {
        SignalKey { kind: SignalKind::Inbox, room: RoomId(Uuid::from_u128(room)), user: UserId(1) }
    }

    #[test]
    fn of_what_is_kept_back_the_newest_goes_last() {
        let mut kept = KeptBack::default();
        for (room, bytes) in [(1, "1 of 2"), (2, "1 of 3"), (3, "1 of 4"), (1, "2 of 5")] {
            kept.keep(line(room), Bytes::from_static(bytes.as_bytes()));
        }
        assert!(kept.forget(line(3)) && !kept.forget(line(3)));
        let told: Vec<&[u8]> = kept.0.iter().map(|(_, bytes)| &bytes[..]).collect();
        assert_eq!(told, [&b"1 of 3"[..], b"2 of 5"]);
    }

    #[test]
    fn so_many_are_kept_back_and_no_more() {
        let mut kept = KeptBack::default();
        for room in 0..=SIGNALS_MAX {
            assert_eq!(kept.keep(line(room as u128), Bytes::new()), room < SIGNALS_MAX);
        }
        assert_eq!(kept.0.len(), SIGNALS_MAX);
        assert!(kept.keep(line(0), Bytes::from_static(b"newer")));
        assert_eq!(
            (kept.0.len(), kept.0.last()),
            (SIGNALS_MAX, Some(&(line(0), Bytes::from_static(b"newer"))))
        );
    }
}

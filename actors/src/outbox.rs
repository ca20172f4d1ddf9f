//! A bounded queue of frames to one socket.
//!
//! Owned by the [`crate::switchboard`] of the socket's worker thread; nothing else touches it. Frames
//! are shared bytes, so a queued frame costs a pointer, and everything that waits goes out in as few
//! vectored writes as the socket takes.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Buf, Bytes};

use crate::domain::ids::RoomId;
use crate::limits::Limits;
use crate::messages::switchboard::{
    ReplaySlotGranted, ReplaySlotRequest, SignalKey, SignalKind, SocketOwner, StateRefresh,
};
use crate::ports::connection::ConnectionWriter;

/// The slices of one write at most.
const SLICES_MAX: usize = 64;
/// Signals that are coalesced for a socket that is behind. What doesn't fit is dropped, and the state is sent
/// again once everything that waits has gone out.
const SIGNALS_MAX: usize = 256;

struct Chunk {
    bytes: Bytes,
    frames: u32,
    /// Whether a part of it has gone out, so that the rest must.
    is_partial: bool,
}

/// Signals of which only the newest of each key is kept, in order of arrival.
#[derive(Default)]
struct CoalescedSignals(Vec<(SignalKey, Bytes)>);

impl CoalescedSignals {
    /// Keeps a signal. Returns false if it doesn't fit.
    fn keep(&mut self, key: SignalKey, bytes: Bytes) -> bool {
        let fits = self.forget(key) || self.0.len() < SIGNALS_MAX;
        if fits {
            self.0.push((key, bytes));
        }
        fits
    }

    /// Drops a signal. Returns whether it was there.
    fn forget(&mut self, key: SignalKey) -> bool {
        let at = self.0.iter().position(|(kept, _)| *kept == key);
        at.map(|at| self.0.remove(at)).is_some()
    }
}

/// How a flush ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlushOutcome {
    /// Everything has gone out.
    All,
    /// The socket takes no more for now.
    Blocked,
    /// The connection has ended.
    Gone,
}

/// The queue, and the socket that it is for.
pub(crate) struct Outbox {
    pub(crate) writer: Box<dyn ConnectionWriter>,
    /// Doesn't keep the session running.
    pub(crate) session: Arc<dyn SocketOwner>,
    queue: VecDeque<Chunk>,
    bytes: usize,
    frames: u32,
    /// Whether nothing goes out yet, because the socket isn't accepted.
    pub(crate) is_held: bool,
    /// Whether the socket took no more, and is being waited for.
    pub(crate) blocked: bool,
    /// Whether the socket is listed to be flushed.
    pub(crate) dirty: bool,
    /// Whether the last frame is a close frame, which nothing may follow.
    pub(crate) closing: bool,
    /// Boxed, because few of thousands are behind.
    deferred: Option<Box<DeferredOutput>>,
    /// Boxed, because few of thousands are catching up.
    replay_queue: Option<Box<ReplayQueue>>,
}

/// What a socket that is behind has not been queued.
#[derive(Default)]
struct DeferredOutput {
    coalesced: CoalescedSignals,
    refresh: BTreeSet<StateRefresh>,
}

/// Rooms that have pages of replays to send.
#[derive(Default)]
struct ReplayQueue {
    /// Rooms that wait, in the order of asking.
    waiting: VecDeque<ReplaySlotRequest>,
    /// The room whose page may come. Only one at a time, or many replays would overflow together.
    holder: Option<RoomId>,
}

impl Outbox {
    pub(crate) fn new(writer: Box<dyn ConnectionWriter>, session: Arc<dyn SocketOwner>) -> Self {
        Self {
            writer,
            session,
            queue: VecDeque::new(),
            bytes: 0,
            frames: 0,
            is_held: true,
            blocked: false,
            dirty: false,
            closing: false,
            deferred: None,
            replay_queue: None,
        }
    }

    /// Queues `bytes`, which are `frames` whole frames. Returns false if that exceeds the bound.
    pub(crate) fn push(&mut self, bytes: Bytes, frames: u32, limits: &Limits) -> bool {
        if bytes.is_empty() {
            return true;
        }
        self.bytes += bytes.len();
        self.frames += frames;
        self.queue.push_back(Chunk { bytes, frames, is_partial: false });
        self.bytes <= limits.outbox_bytes_max && self.frames as usize <= limits.outbox_frames_max
    }

    /// Queues a signal, or keeps it among the coalesced ones while the socket is behind. While any is kept,
    /// newer ones wait behind it, because each inbox row also tells what is unread in all rooms.
    pub(crate) fn signal(&mut self, key: SignalKey, bytes: Bytes, limits: &Limits) -> bool {
        let is_behind = self.is_behind(limits);
        if key.kind == SignalKind::Typing {
            return is_behind || self.push(bytes, 1, limits);
        }
        if !is_behind && self.deferred.as_ref().is_none_or(|deferred| deferred.coalesced.0.is_empty()) {
            return self.push(bytes, 1, limits);
        }
        if !self.deferred.get_or_insert_default().coalesced.keep(key, bytes) {
            let is_line = key.kind == SignalKind::Inbox;
            self.refresh_when_drained(if is_line {
                StateRefresh::Inbox
            } else {
                StateRefresh::RoomState(key.room)
            });
        }
        true
    }

    /// Notes state that is to be sent again once everything that waits has gone out.
    pub(crate) fn refresh_when_drained(&mut self, refresh: StateRefresh) {
        self.deferred.get_or_insert_default().refresh.insert(refresh);
    }

    /// Takes one piece of state that is to be sent again: the next one's turn comes when that has gone out.
    pub(crate) fn take_refresh(&mut self) -> Option<StateRefresh> {
        let deferred = self.deferred.as_mut()?;
        let first = deferred.refresh.pop_first();
        if deferred.refresh.is_empty() && deferred.coalesced.0.is_empty() {
            self.deferred = None;
        }
        first
    }

    /// Drops a coalesced signal.
    pub(crate) fn drop_signal(&mut self, key: SignalKey) {
        if let Some(deferred) = &mut self.deferred {
            deferred.coalesced.forget(key);
        }
    }

    /// Puts `bytes` before everything that waits.
    pub(crate) fn push_first(&mut self, bytes: Bytes) {
        self.bytes += bytes.len();
        self.queue.push_front(Chunk { bytes, frames: 0, is_partial: false });
    }

    /// Drops everything that waits, except a frame of which a part has gone out, and queues `last`.
    pub(crate) fn close_with(&mut self, last: Bytes) {
        let is_partial = self.queue.front().is_some_and(|chunk| chunk.is_partial);
        self.queue.truncate(usize::from(is_partial));
        for chunk in &mut self.queue {
            // Only `last` counts from now on.
            chunk.frames = 0;
        }
        self.deferred = None;
        self.bytes = self.queue.iter().map(|chunk| chunk.bytes.len()).sum::<usize>() + last.len();
        self.frames = self.queue.iter().map(|chunk| chunk.frames).sum();
        self.queue.push_back(Chunk { bytes: last, frames: 0, is_partial: false });
        self.closing = true;
    }

    /// Grants a room the replay slot when there is space for a page.
    pub(crate) fn acquire_replay_slot(&mut self, request: ReplaySlotRequest, limits: &Limits) {
        self.replay_queue.get_or_insert_default().waiting.push_back(request);
        self.grant_replay_slot(limits);
    }

    /// Frees the replay slot of a room that has sent its page, or sends none.
    pub(crate) fn release_replay_slot(&mut self, room: RoomId, limits: &Limits) {
        let Some(replay_queue) = &mut self.replay_queue else { return };
        replay_queue.waiting.retain(|request| request.room != room);
        replay_queue.holder.take_if(|holder| *holder == room);
        if replay_queue.waiting.is_empty() && replay_queue.holder.is_none() {
            self.replay_queue = None;
        }
        self.grant_replay_slot(limits);
    }

    /// Drops the signals of a room that the socket has left; if it subscribes again, newer ones come.
    pub(crate) fn drop_room_signals(&mut self, room: RoomId) {
        if let Some(deferred) = &mut self.deferred {
            deferred.coalesced.0.retain(|(key, _)| key.room != room || key.kind == SignalKind::Inbox);
            deferred.refresh.remove(&StateRefresh::RoomState(room));
        }
    }

    fn grant_replay_slot(&mut self, limits: &Limits) {
        if self.bytes * 4 <= limits.outbox_bytes_max
            && self.frames as usize * 4 <= limits.outbox_frames_max
            && let Some(replay_queue) =
                self.replay_queue.as_mut().filter(|replay_queue| replay_queue.holder.is_none())
            && let Some(ReplaySlotRequest { room, reader, session }) = replay_queue.waiting.pop_front()
        {
            replay_queue.holder = Some(room);
            reader.tell(ReplaySlotGranted { session });
        }
    }

    /// Frees the space of frames that have gone out.
    pub(crate) fn shrink(&mut self) {
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

    /// Writes what the socket takes. Sets `progress` if anything went out.
    pub(crate) fn flush(&mut self, limits: &Limits, progress: &mut bool) -> FlushOutcome {
        loop {
            if self.queue.is_empty() {
                self.release_signals(limits);
                if self.queue.is_empty() {
                    if self.queue.capacity() > 16 {
                        self.shrink();
                    }
                    self.grant_replay_slot(limits);
                    return FlushOutcome::All;
                }
            }
            let written = if self.queue.len() == 1 {
                self.writer.try_write_vectored(&[IoSlice::new(&self.queue[0].bytes)])
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                let count = self.queue.len().min(SLICES_MAX);
                for (slice, chunk) in slices.iter_mut().zip(&self.queue) {
                    *slice = IoSlice::new(&chunk.bytes);
                }
                self.writer.try_write_vectored(&slices[..count])
            };
            match written {
                Ok(0) => return FlushOutcome::Gone,
                Ok(written) => {
                    *progress = true;
                    self.consume(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.grant_replay_slot(limits);
                    return FlushOutcome::Blocked;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return FlushOutcome::Gone,
            }
        }
    }

    fn consume(&mut self, mut written: usize) {
        self.bytes -= written;
        while written > 0 {
            let Some(chunk) = self.queue.front_mut() else { return };
            if written < chunk.bytes.len() {
                chunk.bytes.advance(written);
                chunk.is_partial = true;
                return;
            }
            self.frames -= chunk.frames;
            written -= chunk.bytes.len();
            self.queue.pop_front();
        }
    }

    fn release_signals(&mut self, limits: &Limits) {
        let Some(deferred) = &mut self.deferred else { return };
        for (_, bytes) in std::mem::take(&mut deferred.coalesced.0) {
            self.push(bytes, 1, limits);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::UserId;

    fn line(room: u128) -> SignalKey {
        SignalKey { kind: SignalKind::Inbox, room: RoomId(Uuid::from_u128(room)), user: UserId(1) }
    }

    #[test]
    fn of_what_is_kept_back_the_newest_goes_last() {
        let mut kept = CoalescedSignals::default();
        for (room, bytes) in [(1, "1 of 2"), (2, "1 of 3"), (3, "1 of 4"), (1, "2 of 5")] {
            kept.keep(line(room), Bytes::from_static(bytes.as_bytes()));
        }
        assert!(kept.forget(line(3)) && !kept.forget(line(3)));
        let told: Vec<&[u8]> = kept.0.iter().map(|(_, bytes)| &bytes[..]).collect();
        assert_eq!(told, [&b"1 of 3"[..], b"2 of 5"]);
    }

    #[test]
    fn so_many_are_kept_back_and_no_more() {
        let mut kept = CoalescedSignals::default();
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

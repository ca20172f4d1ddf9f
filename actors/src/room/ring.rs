//! The newest frames of a room, kept for clients that come back.
//!
//! A replay shows everything as it is now. So a frame is dropped when a later event changes what it
//! shows; a replay that reaches its place goes on from the store.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::domain::event::{Event, Outdated, Shown};
use crate::domain::ids::{Seq, UserId};
use crate::limits;
use crate::messages::switchboard::FrameBatch;

/// Frames of consecutive positions, bounded in number and bytes.
#[derive(Default)]
pub(super) struct Ring {
    frames: VecDeque<RingEntry>,
    last: Seq,
    bytes: usize,
    changes: u64,
    /// The page that was asked for last. Subscribers at the same position share its bytes.
    page: Option<FrameBatch>,
}

/// A frame, and the messages and users that it shows.
struct RingEntry {
    /// None once it is no longer true.
    frame: Option<Bytes>,
    shown: Shown,
    /// See [`Event::shows_since`].
    shows_since: Seq,
}

impl RingEntry {
    fn of(frame: Bytes, event: &Event) -> Self {
        let shown = event.body.facts().shown();
        Self {
            frame: Some(frame).filter(|_| shown.is_some()),
            shown: shown.unwrap_or_default(),
            shows_since: event.shows_since(),
        }
    }
}

impl Ring {
    /// An empty ring of a room that has delivered up to `last`.
    pub(super) fn after(last: Seq) -> Self {
        Self { last, ..Self::default() }
    }

    /// The number of changes so far. What was read from the log before a change may be outdated after it.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Appends the frame of the next position, and drops those that its event outdates.
    pub(super) fn push(&mut self, frame: Bytes, event: &Event) {
        for outdated in event.body.facts().outdated() {
            match outdated {
                Outdated::Message(id) => {
                    self.invalidate(|entry| entry.shown.messages.contains(&Some(id)));
                }
                Outdated::User(user) => self.invalidate_user(user),
            }
        }
        self.changed();
        self.last = self.last.next();
        let entry = RingEntry::of(frame, event);
        self.bytes += entry.frame.as_ref().map_or(0, Bytes::len);
        self.frames.push_back(entry);
        while self.frames.len() > limits::RING_FRAMES_MAX || self.bytes > limits::RING_BYTES_MAX {
            let Some(oldest) = self.frames.pop_front() else { break };
            self.bytes -= oldest.frame.as_ref().map_or(0, Bytes::len);
        }
    }

    /// Prepends frames of the log that end where these begin, or later, as far as there is room: the next
    /// client that comes back from as far is given them without a read.
    pub(super) fn push_before(&mut self, frames: &[Bytes], events: &[&Event]) {
        for (frame, event) in frames.iter().zip(events).rev() {
            let missing = self.last.0 - event.seq.0;
            match usize::try_from(missing) {
                Ok(missing) if missing == self.frames.len() => {}
                Ok(missing) if missing > self.frames.len() => break,
                _ => continue,
            }
            let entry = RingEntry::of(frame.clone(), event);
            let bytes = self.bytes + entry.frame.as_ref().map_or(0, Bytes::len);
            if self.frames.len() >= limits::RING_FRAMES_MAX || bytes > limits::RING_BYTES_MAX {
                break;
            }
            self.bytes = bytes;
            self.frames.push_front(entry);
        }
    }

    /// Drops the frames that show this user, who may have another name now, or none.
    pub(super) fn invalidate_user(&mut self, user: UserId) {
        self.changed();
        self.invalidate(|entry| entry.shown.users.contains(&Some(user)));
    }

    fn changed(&mut self) {
        self.changes += 1;
        self.page = None;
    }

    fn invalidate(&mut self, is_untrue: impl Fn(&RingEntry) -> bool) {
        for entry in self.frames.iter_mut().filter(|entry| is_untrue(entry)) {
            self.bytes -= entry.frame.take().map_or(0, |frame| frame.len());
        }
    }

    /// Returns the frames after `position`, at most `frames_max` and about `bytes_max`, which must be the
    /// same in each call. None if the first of them isn't here.
    pub(super) fn page(&mut self, position: Seq, frames_max: usize, bytes_max: usize) -> Option<FrameBatch> {
        if self.page.as_ref().is_none_or(|page| page.after != position) {
            self.page = self.build_page(position, frames_max, bytes_max);
        }
        self.page.clone()
    }

    fn build_page(&self, position: Seq, frames_max: usize, bytes_max: usize) -> Option<FrameBatch> {
        let missing = usize::try_from(self.last.0 - position.0).ok()?;
        let skip = self.frames.len().checked_sub(missing)?;
        let mut builder = BatchBuilder::after(position);
        let entries = self.frames.iter().skip(skip);
        let whole = entries.map_while(|entry| Some((entry.frame.as_ref()?, entry.shows_since)));
        for (frame, shows_since) in whole.take(frames_max) {
            builder.push(frame, shows_since);
            if builder.len() >= bytes_max {
                break;
            }
        }
        builder.finish()
    }
}

/// Joins frames of consecutive positions into one batch.
pub(super) struct BatchBuilder {
    after: Seq,
    first: Option<Bytes>,
    bytes: Vec<u8>,
    ends: Vec<u32>,
    older: Vec<(Seq, Seq)>,
}

impl BatchBuilder {
    /// A batch that begins after `after`.
    pub(super) fn after(after: Seq) -> Self {
        Self { after, first: None, bytes: Vec::new(), ends: Vec::new(), older: Vec::new() }
    }

    /// Adds the frame of the next position, which shows something from `shows_since` on. A batch of one frame
    /// shares its bytes.
    pub(super) fn push(&mut self, frame: &Bytes, shows_since: Seq) {
        if self.ends.is_empty() {
            self.first = Some(frame.clone());
        } else {
            if let Some(first) = self.first.take() {
                self.bytes.reserve(first.len() * 4);
                self.bytes.extend_from_slice(&first);
            }
            self.bytes.extend_from_slice(frame);
        }
        self.ends.push(u32::try_from(self.len()).unwrap_or(u32::MAX));
        let position = Seq(self.after.0 + i64::try_from(self.ends.len()).unwrap_or(i64::MAX));
        if shows_since < position {
            self.older.push((position, shows_since));
        }
    }

    /// The bytes so far.
    pub(super) fn len(&self) -> usize {
        self.first.as_ref().map_or(self.bytes.len(), Bytes::len)
    }

    /// Returns the batch; none without frames.
    pub(super) fn finish(self) -> Option<FrameBatch> {
        if self.ends.is_empty() {
            return None;
        }
        let bytes = self.first.unwrap_or_else(|| self.bytes.into());
        let older = (!self.older.is_empty()).then(|| self.older.into());
        Some(FrameBatch { after: self.after, bytes, ends: self.ends.into(), older })
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::event::EventBody;
    use crate::domain::features::MessageDeletion;
    use crate::domain::ids::{MessageId, RoomId};
    use crate::domain::message::RemovedBy;

    fn event(seq: i64, body: EventBody) -> Event {
        Event { room: RoomId(Uuid::nil()), seq: Seq(seq), at: DateTime::UNIX_EPOCH, by: None, body }
    }

    fn deletion(seq: i64, message: u128) -> Event {
        let message = MessageId(Uuid::from_u128(message));
        let (sent, sender, removed_by) = (Seq(1), UserId(1), RemovedBy::Author);
        let deletion = MessageDeletion { message, sent, sender, removed_by, reason: None, thread: None };
        event(seq, EventBody::MessageDeleted(Box::new(deletion)))
    }

    /// A ring whose frames each show a message of their own.
    fn ring(last: i64) -> Ring {
        let mut ring = Ring::after(Seq(10));
        for seq in 11..=last {
            ring.push(Bytes::from(format!("<{seq}>")), &deletion(seq, u128::try_from(seq).expect("past 0")));
        }
        ring
    }

    #[test]
    fn gives_what_follows_a_position() {
        let batch = ring(13).page(Seq(11), 10, 1_000).expect("it reaches back");
        assert_eq!((&batch.bytes[..], batch.last()), (&b"<12><13>"[..], Seq(13)));
        assert_eq!(batch.after(Seq(12)), (Bytes::from_static(b"<13>"), 1));
        assert!(ring(13).page(Seq(9), 10, 1_000).is_none());
        assert!(ring(13).page(Seq(13), 10, 1_000).is_none());
    }

    #[test]
    fn shares_a_page_until_something_changes() {
        let mut ring = ring(13);
        let mut page = || ring.page(Seq(11), 10, 1_000).expect("it reaches back").bytes;
        assert_eq!(page().as_ptr(), page().as_ptr());
        ring.push(Bytes::from_static(b"<14>"), &deletion(14, 14));
        assert_eq!(ring.page(Seq(11), 10, 1_000).map(|batch| batch.last()), Some(Seq(14)));
    }

    #[test]
    fn forgets_the_oldest() {
        let last = 10 + i64::try_from(limits::RING_FRAMES_MAX).expect("small") + 5;
        let mut ring = ring(last);
        assert!(ring.page(Seq(14), 10, 1_000).is_none());
        assert_eq!(ring.page(Seq(15), 1, 1_000).map(|batch| batch.last()), Some(Seq(16)));
    }

    #[test]
    fn is_filled_from_the_log_where_that_adjoins() {
        let events: Vec<Event> = (7..=12).map(|seq| deletion(seq, 1)).collect();
        let log: Vec<Bytes> = events.iter().map(|event| Bytes::from(format!("({})", event.seq.0))).collect();
        let events: Vec<&Event> = events.iter().collect();
        let page = |ring: &mut Ring| ring.page(Seq(7), 10, 1_000).map(|batch| batch.bytes);

        let mut apart = ring(13);
        apart.push_before(&log[..3], &events[..3]);
        assert_eq!(page(&mut apart), None);

        let mut overlapping = ring(13);
        overlapping.push_before(&log, &events);
        assert_eq!(page(&mut overlapping), Some(Bytes::from_static(b"(8)(9)(10)<11><12><13>")));
        overlapping.push(Bytes::from_static(b"<14>"), &deletion(14, 1));
        assert_eq!(page(&mut overlapping), None);

        let mut empty = Ring::after(Seq(12));
        empty.push_before(&log, &events);
        assert_eq!(page(&mut empty), Some(Bytes::from_static(b"(8)(9)(10)(11)(12)")));

        let first = 11 + i64::try_from(limits::RING_FRAMES_MAX).expect("small");
        let mut full = ring(first);
        full.push_before(&[Bytes::from_static(b"(11)")], &[&deletion(11, 1)]);
        assert!(full.page(Seq(10), 10, 1_000).is_none());
    }

    #[test]
    fn gives_no_frame_that_a_later_event_has_made_untrue() {
        let mut ring = ring(13);
        ring.push(Bytes::from_static(b"<14>"), &deletion(14, 12));
        assert_eq!(ring.page(Seq(10), 10, 1_000).map(|batch| batch.last()), Some(Seq(11)));
        assert!(ring.page(Seq(11), 10, 1_000).is_none());
        assert_eq!(ring.page(Seq(12), 10, 1_000).map(|batch| batch.last()), Some(Seq(14)));
        assert_eq!(ring.bytes, 12);
    }

    #[test]
    fn keeps_no_frame_of_the_room_itself() {
        let mut ring = ring(11);
        ring.push(Bytes::from_static(b"<12>"), &event(12, EventBody::RoomDeleted));
        assert!(ring.page(Seq(11), 10, 1_000).is_none());
    }
}

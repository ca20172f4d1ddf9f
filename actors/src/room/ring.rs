//! The newest frames of a room, kept for those who come back.
//!
//! A replay tells everything as it is now. So a frame is taken out when a later event changes what it
//! tells of; whoever comes to its place is given what follows from the store.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::domain::event::{Event, EventBody};
use crate::domain::ids::{MessageId, Seq, UserId};
use crate::domain::message::Message;
use crate::limits;
use crate::switchboard::Batch;

/// Frames of consecutive positions, bounded in number and bytes.
#[derive(Default)]
pub(super) struct Ring {
    frames: VecDeque<Kept>,
    last: Seq,
    bytes: usize,
    changes: u64,
    /// The page that was asked for last: whoever is at the same position shares its bytes.
    page: Option<Batch>,
}

/// A frame and what it tells of.
struct Kept {
    /// None: it is no longer true.
    frame: Option<Bytes>,
    /// The message, and the one that it answers.
    messages: [Option<MessageId>; 2],
    /// The person who wrote it or whose place it is, and the author of the message that it answers.
    people: [Option<UserId>; 2],
}

impl Kept {
    fn of(frame: Bytes, event: &Event) -> Self {
        let (messages, people) = match &event.body {
            EventBody::MessagePosted(message) | EventBody::MessageEdited(message) => told_by(message),
            EventBody::MessageDeleted { message, .. } => ([Some(*message), None], [None; 2]),
            EventBody::ParticipantJoined(participant)
            | EventBody::ParticipantLeft(participant)
            | EventBody::ParticipantUpdated(participant) => ([None; 2], [Some(participant.user.id), None]),
            EventBody::RoomCreated(_) | EventBody::RoomUpdated(_) | EventBody::RoomDeleted => {
                ([None; 2], [None; 2])
            }
        };
        // A room is changed, in its time of activity, by every event that follows.
        let is_of_room = messages == [None; 2] && people == [None; 2];
        Self { frame: Some(frame).filter(|_| !is_of_room), messages, people }
    }
}

fn told_by(message: &Message) -> ([Option<MessageId>; 2], [Option<UserId>; 2]) {
    let quote = message.reply_to.as_ref();
    (
        [Some(message.id), quote.map(|quote| quote.id)],
        [Some(message.sender.id), quote.map(|quote| quote.sender)],
    )
}

impl Ring {
    /// An empty ring of a room that has delivered up to `last`.
    pub(super) fn after(last: Seq) -> Self {
        Self { last, ..Self::default() }
    }

    /// How often something has changed. What was read from the log before a change may be untrue after it.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Takes in the frame of the next position, and takes out those that its event makes untrue.
    pub(super) fn push(&mut self, frame: Bytes, event: &Event) {
        match &event.body {
            EventBody::MessageEdited(message) => self.spoil(|kept| kept.messages.contains(&Some(message.id))),
            EventBody::MessageDeleted { message, .. } => {
                self.spoil(|kept| kept.messages.contains(&Some(*message)));
            }
            EventBody::ParticipantJoined(participant)
            | EventBody::ParticipantLeft(participant)
            | EventBody::ParticipantUpdated(participant) => self.forget_person(participant.user.id),
            _ => {}
        }
        self.changed();
        self.last = self.last.next();
        let kept = Kept::of(frame, event);
        self.bytes += kept.frame.as_ref().map_or(0, Bytes::len);
        self.frames.push_back(kept);
        while self.frames.len() > limits::RING_FRAMES_MAX || self.bytes > limits::RING_BYTES_MAX {
            let Some(oldest) = self.frames.pop_front() else { break };
            self.bytes -= oldest.frame.as_ref().map_or(0, Bytes::len);
        }
    }

    /// Takes in frames of the log that end where these begin, or later, as far as there is room: whoever
    /// comes back next from so far is given them without a read.
    pub(super) fn push_before(&mut self, frames: &[Bytes], events: &[&Event]) {
        for (frame, event) in frames.iter().zip(events).rev() {
            let missing = self.last.0 - event.seq.0;
            match usize::try_from(missing) {
                Ok(missing) if missing == self.frames.len() => {}
                Ok(missing) if missing > self.frames.len() => break,
                _ => continue,
            }
            let kept = Kept::of(frame.clone(), event);
            let bytes = self.bytes + kept.frame.as_ref().map_or(0, Bytes::len);
            if self.frames.len() >= limits::RING_FRAMES_MAX || bytes > limits::RING_BYTES_MAX {
                break;
            }
            self.bytes = bytes;
            self.frames.push_front(kept);
        }
    }

    /// Takes out the frames that name this person, who may have another name now, or none.
    pub(super) fn forget_person(&mut self, user: UserId) {
        self.changed();
        self.spoil(|kept| kept.people.contains(&Some(user)));
    }

    fn changed(&mut self) {
        self.changes += 1;
        self.page = None;
    }

    fn spoil(&mut self, is_untrue: impl Fn(&Kept) -> bool) {
        for kept in self.frames.iter_mut().filter(|kept| is_untrue(kept)) {
            self.bytes -= kept.frame.take().map_or(0, |frame| frame.len());
        }
    }

    /// The frames after `position`, at most `frames_max` and about `bytes_max`, which are the same each
    /// time; none when the first of them isn't here.
    pub(super) fn page(&mut self, position: Seq, frames_max: usize, bytes_max: usize) -> Option<Batch> {
        if self.page.as_ref().is_none_or(|page| page.after != position) {
            self.page = self.build_page(position, frames_max, bytes_max);
        }
        self.page.clone()
    }

    fn build_page(&self, position: Seq, frames_max: usize, bytes_max: usize) -> Option<Batch> {
        let missing = usize::try_from(self.last.0 - position.0).ok()?;
        let skip = self.frames.len().checked_sub(missing)?;
        let mut builder = BatchBuilder::after(position);
        let whole = self.frames.iter().skip(skip).map_while(|kept| kept.frame.as_ref());
        for frame in whole.take(frames_max) {
            builder.push(frame);
            if builder.len() >= bytes_max {
                break;
            }
        }
        builder.finish()
    }
}

/// Puts frames one behind the other.
pub(super) struct BatchBuilder {
    after: Seq,
    first: Option<Bytes>,
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl BatchBuilder {
    /// A batch that begins after `after`.
    pub(super) fn after(after: Seq) -> Self {
        Self { after, first: None, bytes: Vec::new(), ends: Vec::new() }
    }

    /// Adds the frame of the next position. A batch of one shares its bytes.
    pub(super) fn push(&mut self, frame: &Bytes) {
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
    }

    /// The bytes so far.
    pub(super) fn len(&self) -> usize {
        self.first.as_ref().map_or(self.bytes.len(), Bytes::len)
    }

    /// The batch; none without frames.
    pub(super) fn finish(self) -> Option<Batch> {
        if self.ends.is_empty() {
            return None;
        }
        let bytes = self.first.unwrap_or_else(|| self.bytes.into());
        Some(Batch { after: self.after, bytes, ends: self.ends.into() })
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::RoomId;
    use crate::domain::message::RemovedBy;

    fn event(seq: i64, body: EventBody) -> Event {
        Event { room: RoomId(Uuid::nil()), seq: Seq(seq), at: DateTime::UNIX_EPOCH, by: None, body }
    }

    fn deletion(seq: i64, message: u128) -> Event {
        let message = MessageId(Uuid::from_u128(message));
        let (sent, sender, removed_by) = (Seq(1), UserId(1), RemovedBy::Author);
        event(seq, EventBody::MessageDeleted { message, sent, sender, removed_by, reason: None })
    }

    /// A ring whose frames each tell of a message of their own.
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

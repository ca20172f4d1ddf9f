//! One who looks at a list of rooms, on as many sockets as show it.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::ids::{RoomId, Seq, UserId};
use crate::domain::message::Message;
use crate::domain::person::Author;
use crate::ports::store::InboxRoom;
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;
use crate::session::SessionId;
use crate::switchboard::OutboxRef;

/// A person with at least one socket that shows his rooms.
#[derive(Default)]
pub(super) struct Onlooker {
    pub(super) sockets: Vec<Follower>,
    /// In the order of the rooms' ids. A map would take twice the space, and there is a list for each of
    /// thousands of people.
    lines: Vec<Line>,
}

/// A socket that shows its person's rooms.
pub(super) struct Follower {
    pub(super) session: SessionId,
    pub(super) outbox: OutboxRef,
    /// Whether it has been told how things stood; before that it is told nothing.
    pub(super) greeted: bool,
}

/// One room in one person's list.
#[derive(PartialEq)]
pub(super) struct Line {
    pub(super) room: RoomId,
    /// The position that all else here is as of.
    pub(super) head: Seq,
    /// After which position a message of another is unread.
    unread_after: Seq,
    pub(super) unread: i64,
    pub(super) is_muted: bool,
    pub(super) face: Arc<Face>,
}

// There is one for each room of each person who looks.
const _: () = assert!(size_of::<Line>() <= 56);

/// What a line shows of its room: the same for all who call it the same, and then kept once for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Face {
    display_name: Arc<str>,
    partner: Option<Author>,
    preview: Arc<str>,
    time: DateTime<Utc>,
    sender: Option<Author>,
    is_active: bool,
}

impl Line {
    /// The line that the store tells of, with the face of `known` where that is the same.
    pub(super) fn of(told: &InboxRoom, known: Option<&Arc<Face>>) -> Self {
        let face = Face {
            display_name: told.display_name.as_str().into(),
            partner: told.partner.clone(),
            preview: told.last_message_preview.as_str().into(),
            time: told.last_message_time,
            sender: told.last_message_sender.clone(),
            is_active: told.room.archived_at.is_none(),
        };
        Self {
            room: told.room.id,
            head: told.room.head,
            unread_after: told.unread_after,
            unread: told.unread,
            is_muted: told.is_muted,
            face: known.filter(|known| ***known == face).cloned().unwrap_or_else(|| Arc::new(face)),
        }
    }

    /// Whether all up to there counts as read already.
    pub(super) fn has_read(&self, up_to: Seq) -> bool {
        self.unread_after >= up_to
    }

    /// Whether what is unread here counts in the total.
    pub(super) fn counts(&self) -> bool {
        !self.is_muted && self.face.is_active
    }

    /// Shows that `message` has been posted, which gave the room `face`.
    pub(super) fn posted(&mut self, user: UserId, message: &Message, face: Arc<Face>) {
        self.unread += i64::from(message.sender.id != user && message.seq > self.unread_after);
        self.face = face;
    }

    /// The frame that tells of it, beside what is unread in all rooms.
    pub(super) fn frame(&self, total_unread: i64) -> ServerFrame<'_> {
        ServerFrame::Inbox {
            room_id: self.room,
            unread_count: self.unread,
            total_unread,
            last_message_preview: &self.face.preview,
            last_message_time: self.face.time,
            last_message_sender: self.face.sender.as_ref(),
            display_name: &self.face.display_name,
            partner: self.face.partner.as_ref(),
            is_active: self.face.is_active,
            is_muted: self.is_muted,
        }
    }
}

impl Face {
    /// The face after `message`.
    pub(super) fn after(&self, message: &Message) -> Self {
        Self {
            display_name: self.display_name.clone(),
            partner: self.partner.clone(),
            preview: message.preview().into(),
            time: message.created_at,
            sender: Some(message.sender.clone()),
            is_active: self.is_active,
        }
    }

    /// The people whose names it shows.
    pub(super) fn people(&self) -> impl Iterator<Item = UserId> {
        self.partner.iter().chain(&self.sender).map(|person| person.id)
    }

    /// Whether what is shown was sent after `message`; false also where they are of the same moment.
    pub(super) fn is_newer_than(&self, message: &Message) -> bool {
        self.time > message.created_at
    }
}

impl Onlooker {
    fn find(&self, room: RoomId) -> Result<usize, usize> {
        self.lines.binary_search_by_key(&room, |line| line.room)
    }

    pub(super) fn line(&self, room: RoomId) -> Option<&Line> {
        self.find(room).ok().map(|at| &self.lines[at])
    }

    pub(super) fn line_mut(&mut self, room: RoomId) -> Option<&mut Line> {
        self.find(room).ok().map(|at| &mut self.lines[at])
    }

    /// Puts a line in, in place of the one that the room may have.
    pub(super) fn put(&mut self, line: Line) {
        match self.find(line.room) {
            Ok(at) => self.lines[at] = line,
            Err(at) => self.lines.insert(at, line),
        }
    }

    /// Takes a room's line off.
    pub(super) fn take(&mut self, room: RoomId) -> Option<Line> {
        self.find(room).ok().map(|at| self.lines.remove(at))
    }

    /// Keeps no more space than the lines need.
    pub(super) fn fit(&mut self) {
        self.lines.shrink_to_fit();
    }

    /// The lines, in the order of their rooms' ids.
    pub(super) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter()
    }

    /// The lines of the rooms after `room`, or all.
    pub(super) fn lines_after(&self, room: Option<RoomId>) -> impl Iterator<Item = &Line> {
        let from = room.map_or(0, |room| self.find(room).map_or_else(|at| at, |at| at + 1));
        self.lines[from..].iter()
    }

    /// The rooms, in the order of their ids.
    pub(super) fn rooms(&self) -> impl Iterator<Item = RoomId> {
        self.lines.iter().map(|line| line.room)
    }

    /// A socket's outbox, once it has been greeted.
    pub(super) fn greeted_socket(&self, session: SessionId) -> Option<&OutboxRef> {
        let follower = self.sockets.iter().find(|follower| follower.session == session && follower.greeted);
        follower.map(|follower| &follower.outbox)
    }

    pub(super) fn greeted(&self) -> impl Iterator<Item = &OutboxRef> {
        self.sockets.iter().filter(|follower| follower.greeted).map(|follower| &follower.outbox)
    }

    pub(super) fn total_unread(&self) -> i64 {
        self.lines.iter().filter(|line| line.counts()).map(|line| line.unread).sum()
    }

    pub(super) fn send(&self, frame: &ServerFrame<'_>) {
        let bytes = codec::encode(frame);
        for outbox in self.greeted() {
            outbox.push(bytes.clone());
        }
    }
}

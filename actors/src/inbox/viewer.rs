//! A user who looks at the inbox, and its rows.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::personal_cursor::PersonalCursor;
use crate::domain::ids::{RoomId, Seq, UserId};
use crate::domain::message::Message;
use crate::domain::participant::NotificationLevel;
use crate::domain::user::UserSummary;
use crate::messages::session::SessionId;
use crate::messages::switchboard::OutboxHandle;
use crate::ports::store::InboxRoom;
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;

/// A user with at least one socket that shows the inbox.
#[derive(Default)]
pub(super) struct InboxViewer {
    pub(super) sockets: Vec<ViewerSocket>,
    /// In the order of the rooms' ids. A map would take twice the memory, for each of thousands of users.
    rows: Vec<InboxRow>,
}

/// A socket that shows its user's inbox.
pub(super) struct ViewerSocket {
    pub(super) session: SessionId,
    pub(super) outbox: OutboxHandle,
    /// Whether it has been sent a snapshot. Before that it is sent nothing else.
    pub(super) is_ready: bool,
    /// How far it has been sent the personal log.
    pub(super) personal: PersonalCursor,
}

/// One room in one user's inbox.
#[derive(PartialEq)]
pub(super) struct InboxRow {
    pub(super) room: RoomId,
    /// The position in the room's log that everything here is as of.
    pub(super) head: Seq,
    /// Messages of others behind this position are unread.
    unread_after: Seq,
    pub(super) unread: i64,
    /// How many of these messages mention the user.
    mentions: u32,
    pub(super) is_muted: bool,
    level: NotificationLevel,
    is_favourite: bool,
    /// Whether the user lets the room count as unread, until the next read mark.
    is_marked_unread: bool,
    pub(super) preview: Arc<RoomPreview>,
}

// There is one for each room of each viewer.
const _: () = assert!(size_of::<InboxRow>() <= 56);

/// The badges of a user: sums over the rows.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct InboxTotals {
    pub(super) unread: i64,
    pub(super) mentions: i64,
}

/// What a row shows of its room. Viewers to whom the room looks the same share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RoomPreview {
    display_name: Arc<str>,
    partner: Option<UserSummary>,
    text: Arc<str>,
    time: DateTime<Utc>,
    sender: Option<UserSummary>,
    is_active: bool,
    description: Arc<str>,
}

impl InboxRow {
    /// The row that was read from the store. It shares the preview `known` if that is the same.
    pub(super) fn of(stored: &InboxRoom, known: Option<&Arc<RoomPreview>>) -> Self {
        let preview = RoomPreview {
            display_name: stored.display_name.as_str().into(),
            partner: stored.partner.clone(),
            text: stored.last_message_preview.as_str().into(),
            time: stored.last_message_time,
            sender: stored.last_message_sender.clone(),
            is_active: stored.room.archived_at.is_none(),
            description: stored.room.settings.description.as_str().into(),
        };
        Self {
            room: stored.room.id,
            head: stored.room.head,
            unread_after: stored.unread_after,
            unread: stored.unread,
            mentions: u32::try_from(stored.mentions).unwrap_or(u32::MAX),
            is_muted: stored.is_muted,
            level: stored.level,
            is_favourite: stored.is_favourite,
            is_marked_unread: stored.is_marked_unread,
            preview: known.filter(|known| ***known == preview).cloned().unwrap_or_else(|| Arc::new(preview)),
        }
    }

    /// Whether a read mark at a position changes nothing.
    pub(super) fn has_read(&self, up_to: Seq) -> bool {
        !self.is_marked_unread && self.unread_after >= up_to
    }

    /// What the row adds to the totals: mentions in muted rooms too, and nothing in archived ones.
    pub(super) fn totals(&self) -> InboxTotals {
        match (self.preview.is_active, self.is_muted) {
            (false, _) => InboxTotals::default(),
            (true, true) => InboxTotals { unread: 0, mentions: self.mentions.into() },
            (true, false) => InboxTotals { unread: self.unread, mentions: self.mentions.into() },
        }
    }

    /// Counts a message that was posted, after which the room has this preview.
    pub(super) fn add_message(&mut self, user: UserId, message: &Message, preview: Arc<RoomPreview>) {
        if self.is_unread(user, message) {
            self.unread += 1;
            self.mentions += u32::from(message.extras.mentions.includes(user, message.sender.id));
        }
        self.preview = preview;
    }

    /// Whether an edit of `message` may have changed how many unread messages mention the user.
    pub(super) fn may_count_mention(&self, user: UserId, message: &Message) -> bool {
        let may_be_counted = self.mentions > 0 || message.extras.mentions.includes(user, message.sender.id);
        may_be_counted && self.is_unread(user, message)
    }

    fn is_unread(&self, user: UserId, message: &Message) -> bool {
        message.sender.id != user && message.seq > self.unread_after
    }

    /// The frame of the row, with the totals of all rows.
    pub(super) fn frame(&self, totals: InboxTotals) -> ServerFrame<'_> {
        ServerFrame::Inbox {
            room_id: self.room,
            unread_count: self.unread,
            mention_count: self.mentions,
            total_unread: totals.unread,
            total_mentions: totals.mentions,
            last_message_preview: &self.preview.text,
            last_message_time: self.preview.time,
            last_message_sender: self.preview.sender.as_ref(),
            display_name: &self.preview.display_name,
            partner: self.preview.partner.as_ref(),
            is_active: self.preview.is_active,
            is_muted: self.is_muted,
            description: &self.preview.description,
            level: self.level,
            favourite: self.is_favourite,
        }
    }
}

impl RoomPreview {
    /// The preview after a message was posted.
    pub(super) fn after(&self, message: &Message) -> Self {
        Self {
            display_name: self.display_name.clone(),
            partner: self.partner.clone(),
            text: message.preview().into(),
            time: message.created_at,
            sender: Some(message.sender.clone()),
            is_active: self.is_active,
            description: self.description.clone(),
        }
    }

    /// The users whose names it shows.
    pub(super) fn users(&self) -> impl Iterator<Item = UserId> {
        self.partner.iter().chain(&self.sender).map(|user| user.id)
    }

    /// Whether the message that is shown was posted after another one, and not at the same moment.
    pub(super) fn is_newer_than(&self, message: &Message) -> bool {
        self.time > message.created_at
    }
}

impl InboxViewer {
    fn find(&self, room: RoomId) -> Result<usize, usize> {
        self.rows.binary_search_by_key(&room, |row| row.room)
    }

    pub(super) fn row(&self, room: RoomId) -> Option<&InboxRow> {
        self.find(room).ok().map(|at| &self.rows[at])
    }

    pub(super) fn row_mut(&mut self, room: RoomId) -> Option<&mut InboxRow> {
        self.find(room).ok().map(|at| &mut self.rows[at])
    }

    /// Adds a row, or replaces the row of the same room.
    pub(super) fn put(&mut self, row: InboxRow) {
        match self.find(row.room) {
            Ok(at) => self.rows[at] = row,
            Err(at) => self.rows.insert(at, row),
        }
    }

    /// Removes the row of a room.
    pub(super) fn take(&mut self, room: RoomId) -> Option<InboxRow> {
        self.find(room).ok().map(|at| self.rows.remove(at))
    }

    /// Frees memory that the rows don't need.
    pub(super) fn fit(&mut self) {
        self.rows.shrink_to_fit();
    }

    /// The rows, in the order of their rooms' ids.
    pub(super) fn rows(&self) -> impl Iterator<Item = &InboxRow> {
        self.rows.iter()
    }

    /// The rows behind that of `room`, or all.
    pub(super) fn rows_after(&self, room: Option<RoomId>) -> impl Iterator<Item = &InboxRow> {
        let from = room.map_or(0, |room| self.find(room).map_or_else(|at| at, |at| at + 1));
        self.rows[from..].iter()
    }

    /// The rooms, in the order of their ids.
    pub(super) fn rooms(&self) -> impl Iterator<Item = RoomId> {
        self.rows.iter().map(|row| row.room)
    }

    /// A socket's outbox, if it has been sent a snapshot.
    pub(super) fn ready_socket(&self, session: SessionId) -> Option<&OutboxHandle> {
        let socket = self.sockets.iter().find(|socket| socket.session == session && socket.is_ready);
        socket.map(|socket| &socket.outbox)
    }

    pub(super) fn ready_sockets(&self) -> impl Iterator<Item = &OutboxHandle> {
        self.sockets.iter().filter(|socket| socket.is_ready).map(|socket| &socket.outbox)
    }

    pub(super) fn totals(&self) -> InboxTotals {
        self.rows.iter().fold(InboxTotals::default(), |sum, row| {
            let InboxTotals { unread, mentions } = row.totals();
            InboxTotals { unread: sum.unread + unread, mentions: sum.mentions + mentions }
        })
    }

    pub(super) fn send(&self, frame: &ServerFrame<'_>) {
        let bytes = codec::encode(frame);
        for outbox in self.ready_sockets() {
            outbox.push(bytes.clone());
        }
    }
}

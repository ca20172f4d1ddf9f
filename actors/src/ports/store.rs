//! The truth: one ordered log for each room.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::command::{Command, OpenRoom, Opened, Outcome, Refusal};
use crate::domain::event::Event;
use crate::domain::ids::{Epoch, RoomId, Seq, UserId};
use crate::domain::participant::Participant;
use crate::domain::person::Author;
use crate::domain::room::Room;
use crate::domain::signal::ReadMark;

/// Why the store did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached or can't write now; nothing was stored.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It may have been stored or not, and the store can't be asked.
    #[error("the outcome of a commit is unknown")]
    OutcomeUnknown,
    /// A lock was not had in time; nothing was stored.
    #[error("a lock was not had in time")]
    Locked,
    /// The store refuses one of the rows; nothing of the batch was stored.
    #[error("the store refuses a row")]
    RowRefused,
}

/// What became of each command of a batch, in its order.
pub type Outcomes = Vec<Result<Outcome, Refusal>>;

/// The store of rooms and their logs.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Carries out `batch` in one transaction, in order within each room, and gives each event its
    /// `seq`. Each command is judged by a [`crate::domain::ledger::Ledger`] read under the room's lock.
    ///
    /// With `wait` unset, a room that another transaction holds is not waited for: its commands come
    /// back as `None` and nothing of them is stored. With `wait` set it is waited for, for a short
    /// while, and the batch has one room.
    ///
    /// # Errors
    /// [`StoreError`]: but for [`StoreError::OutcomeUnknown`] nothing of the batch is stored. A broken
    /// commit is looked up before that is said.
    async fn append(
        &self,
        batch: &[Arc<Command>],
        wait: bool,
    ) -> Result<Vec<Option<Result<Outcome, Refusal>>>, StoreError>;

    /// Makes a room, or finds the one there is of its pair or subject; see
    /// [`crate::domain::ledger::Ledger::found`] and `reopen`.
    ///
    /// # Errors
    /// The outer one is the store's, the inner one the rules'.
    async fn open_room(&self, open: &OpenRoom) -> Result<Result<Opened, Refusal>, StoreError>;

    /// Reads as of one moment a room, with what each of `visitors` sees of it and, where `roster` is
    /// set, all who are in it, and the right of each of `visitors` to be here at all.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn visit(&self, room: RoomId, visitors: &[UserId], roster: bool) -> Result<Visit, StoreError>;

    /// Reads the room of [`Self::visit`]. `None`: no such room, or deleted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn snapshot(
        &self,
        room: RoomId,
        visitors: &[UserId],
        roster: bool,
    ) -> Result<Option<RoomSnapshot>, StoreError> {
        Ok(self.visit(room, visitors, roster).await?.room)
    }

    /// Reads at most `limit` events after `after`, in order, each as things are now.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn events(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError>;

    /// Tells what committed since `since`; see [`Changes`]. With no cursor it tells where to begin.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError>;

    /// Reads what a person's list of rooms shows: all rooms, or those named.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn inbox(&self, user: UserId, rooms: Option<&[RoomId]>) -> Result<Vec<InboxRoom>, StoreError>;

    /// Reads a person's right to be here, with the name to greet by; none for one who is unknown.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn person(&self, user: UserId) -> Result<Option<(Author, PersonChange)>, StoreError>;

    /// The history that the store holds. It changes while a node runs when a standby takes over that had
    /// not received all of the log; whatever is answered after that is of the new one.
    fn epoch(&self) -> Epoch;
}

/// What those who want to be let into a room are judged by, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The room; `None` when there is no such room, or it was deleted.
    pub room: Option<RoomSnapshot>,
    /// The right of each visitor of the directory, wherever that person is.
    pub rights: Vec<PersonChange>,
}

/// A room as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSnapshot {
    /// The room; its `head` is the position that all else here is as of.
    pub room: Room,
    /// Those of the visitors who are in the room and may be, with what they have not read.
    pub visitors: Vec<Visitor>,
    /// All who are in the room, when asked for.
    pub roster: Vec<Participant>,
    /// The read marks of those in the roster that are past the start.
    pub marks: Vec<ReadMark>,
}

/// One who wants to see a room, and may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Who.
    pub person: Author,
    /// The count of unread messages.
    pub unread: i64,
}

/// A position in the feed of all commits. Only the store that gave it can read it: commits become
/// visible in another order than they began, so a position is more than a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub Arc<str>);

/// What committed since a cursor. Repeats are possible, gaps are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The history that all of this is of. A cursor of another one tells nothing.
    pub epoch: Epoch,
    /// Where to go on.
    pub next: Cursor,
    /// The rooms whose log grew, with their heads.
    pub rooms: Vec<(RoomId, Seq)>,
    /// Who was put into which room.
    pub joined: Vec<(RoomId, UserId)>,
    /// Read marks that moved.
    pub marks: Vec<(RoomId, ReadMark)>,
    /// Who changed what only that person sees of a room: mutings.
    pub mutes: Vec<(RoomId, UserId)>,
    /// People whose names or right to be here changed.
    pub people: Vec<PersonChange>,
}

/// A person's right to be here, after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PersonChange {
    /// Who.
    pub user: UserId,
    /// Whether the account may do anything.
    pub is_active: bool,
    /// Tokens issued before this second are void; Unix time.
    pub tokens_valid_from: Option<i64>,
}

impl PersonChange {
    /// Whether a token issued at that second (Unix time) counts for anything.
    #[must_use]
    pub fn honours(&self, issued_at: i64) -> bool {
        self.is_active && self.tokens_valid_from.is_none_or(|from| issued_at >= from)
    }
}

/// One room in a person's list of rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRoom {
    /// The room; its `head` is the position that all else here is as of.
    pub room: Room,
    /// After which position a message of another is unread.
    pub unread_after: Seq,
    /// The count of unread messages.
    pub unread: i64,
    /// Whether it is muted, and so not in the total.
    pub is_muted: bool,
    /// When muting lapses by itself, on the store's clock; none when it is not muted or stays so.
    pub muted_until: Option<DateTime<Utc>>,
    /// What this person calls the room.
    pub display_name: String,
    /// The other person of a direct room.
    pub partner: Option<Author>,
    /// One line about its last message.
    pub last_message_preview: String,
    /// When that was sent; the room's making when there is none.
    pub last_message_time: DateTime<Utc>,
    /// Who sent that.
    pub last_message_sender: Option<Author>,
}

impl InboxRoom {
    /// Whether what is unread here counts in the total: rooms that are muted or archived are left out.
    #[must_use]
    pub fn counts(&self) -> bool {
        !self.is_muted && self.room.archived_at.is_none()
    }
}

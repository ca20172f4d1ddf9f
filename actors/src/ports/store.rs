//! The store: one ordered log for each room, which everything else follows.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::command::{Command, CommandOutcome, OpenRoom, OpenedRoom, Refusal};
use crate::domain::event::Event;
use crate::domain::ids::{Epoch, PersonalSeq, RoomId, Seq, UserId};
use crate::domain::participant::{NotificationLevel, Participant, Role};
use crate::domain::personal::{PersonalBounds, PersonalPage};
use crate::domain::room::Room;
use crate::domain::signal::ReadMark;
use crate::domain::user::UserSummary;

/// Why a call of the store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached or can't write now; nothing was stored.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It may have been stored or not, and the store can't be asked.
    #[error("the outcome of a commit is unknown")]
    OutcomeUnknown,
    /// A lock was not acquired in time; nothing was stored.
    #[error("a lock was not acquired in time")]
    Locked,
    /// The store refuses one of the rows; nothing of the batch was stored.
    #[error("the store refuses a row")]
    RowRefused,
}

/// The store of rooms and their logs.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Carries out `batch` in one transaction, in order within each room, and gives each event its `seq`.
    /// Each command is judged by a [`RoomAggregate`] read under the room's lock.
    ///
    /// Without `wait`, commands of a room whose lock another transaction holds come back as `None`, and
    /// nothing of them is stored. With `wait` the lock is waited for, for a short while, and the batch has
    /// one room.
    ///
    /// # Errors
    /// Nothing of the batch is stored, except that after [`StoreError::OutcomeUnknown`] it may be. A commit
    /// whose answer is lost is looked up before that is returned.
    ///
    /// [`RoomAggregate`]: crate::domain::aggregate::RoomAggregate
    async fn append(
        &self,
        batch: &[Arc<Command>],
        wait: bool,
    ) -> Result<Vec<Option<Result<CommandOutcome, Refusal>>>, StoreError>;

    /// Creates a room, or finds the one of its pair or subject; see [`RoomAggregate::create_room`] and
    /// [`RoomAggregate::reopen_room`].
    ///
    /// # Errors
    /// The outer result is the store's, the inner one the rules'.
    ///
    /// [`RoomAggregate::create_room`]: crate::domain::aggregate::RoomAggregate::create_room
    /// [`RoomAggregate::reopen_room`]: crate::domain::aggregate::RoomAggregate::reopen_room
    async fn open_room(&self, open: &OpenRoom) -> Result<Result<OpenedRoom, Refusal>, StoreError>;

    /// Reads, as of one moment, a room with those of `candidates` who may join it, with all its participants
    /// if `roster` is set, and each candidate's access to the service.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn join_context(
        &self,
        room: RoomId,
        candidates: &[UserId],
        roster: bool,
    ) -> Result<JoinContext, StoreError>;

    /// Reads the room of [`Self::join_context`]; none if there is no such room, or it was deleted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn snapshot(
        &self,
        room: RoomId,
        candidates: &[UserId],
        roster: bool,
    ) -> Result<Option<RoomSnapshot>, StoreError> {
        Ok(self.join_context(room, candidates, roster).await?.room)
    }

    /// Reads at most `limit` events after `after`, in order, each with what it is about as it is now.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn events(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError>;

    /// Reads what was committed since `since`. Without a cursor it only returns where to begin.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError>;

    /// Reads a user's list of rooms: all of it, or these rooms.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn inbox(&self, user: UserId, rooms: Option<&[RoomId]>) -> Result<Vec<InboxRoom>, StoreError>;

    /// Reads a user's whole list of rooms, and how far the user's personal log reaches.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn open_inbox(&self, user: UserId) -> Result<OpenedInbox, StoreError>;

    /// Reads at most `limit` entries of a user's personal log after `after`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn personal_log(
        &self,
        user: UserId,
        after: PersonalSeq,
        limit: usize,
    ) -> Result<PersonalPage, StoreError>;

    /// Reads a user's name and access; none for an unknown user.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn user(&self, user: UserId) -> Result<Option<(UserSummary, UserAccess)>, StoreError>;

    /// Finds the bot in a room that has a command; of several, the one that joined first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn bot_of_command(&self, room: RoomId, name: &str) -> Result<Option<UserId>, StoreError>;

    /// The history that the store holds. It changes while a node runs if a standby takes over that had not
    /// received all of the log; every answer after that is of the new history.
    fn epoch(&self) -> Epoch;
}

/// What join requests are judged by, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinContext {
    /// The room; none if there is no such room, or it was deleted.
    pub room: Option<RoomSnapshot>,
    /// The access of each candidate whom the directory knows.
    pub rights: Vec<UserAccess>,
}

/// A room as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSnapshot {
    /// The room; all the rest is as of its `head`.
    pub room: Room,
    /// The candidates who are in the room and active, with their unread counts.
    pub admitted_users: Vec<AdmittedUser>,
    /// All current participants, if asked for.
    pub roster: Vec<Participant>,
    /// The read marks of the roster, of those who have read anything.
    pub marks: Vec<ReadMark>,
}

/// A user who may join a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmittedUser {
    /// The user.
    pub user: UserSummary,
    /// The count of unread messages.
    pub unread: i64,
    /// The user's role.
    pub role: Role,
    /// Whether the user is on the host application's staff.
    pub is_staff: bool,
    /// From which position on the user may read.
    pub visible_from: Seq,
    /// From when on slow mode lets the user write; none if that is at once.
    pub next_post_at: Option<DateTime<Utc>>,
}

/// A position in the change feed. Only the store that returned it can read it: transactions become visible in
/// another order than they began, so a position is more than a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub Arc<str>);

/// What was committed since a cursor, without gaps and possibly with repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The history that all of this is of; a cursor of another history yields nothing.
    pub epoch: Epoch,
    /// The cursor to go on from.
    pub next: Cursor,
    /// The rooms with new events, and their heads.
    pub rooms: Vec<(RoomId, Seq)>,
    /// Users who joined, by room.
    pub joined: Vec<(RoomId, UserId)>,
    /// Read marks that moved.
    pub marks: Vec<(RoomId, ReadMark)>,
    /// Users whose own state of a room changed: muting and the like.
    pub own_states: Vec<(RoomId, UserId)>,
    /// Users whose name or access changed.
    pub people: Vec<UserAccess>,
    /// Users whose personal logs grew, and their heads.
    pub personal: Vec<(UserId, PersonalSeq)>,
}

/// A user's access to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UserAccess {
    /// The user.
    pub user: UserId,
    /// Whether the account may do anything.
    pub is_active: bool,
    /// Tokens issued before this second are void; Unix time.
    pub tokens_valid_from: Option<i64>,
}

impl UserAccess {
    /// Whether a token issued at `issued_at` (Unix time in seconds) is accepted.
    #[must_use]
    pub fn accepts(&self, issued_at: i64) -> bool {
        self.is_active && self.tokens_valid_from.is_none_or(|from| issued_at >= from)
    }
}

/// What the first socket of a user's inbox begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedInbox {
    /// The rooms.
    pub rooms: Vec<InboxRoom>,
    /// How far the personal log reaches.
    pub personal: PersonalBounds,
}

/// One room in a user's list of rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRoom {
    /// The room; all the rest is as of its `head`.
    pub room: Room,
    /// After which position another user's message is unread.
    pub unread_after: Seq,
    /// The count of unread messages.
    pub unread: i64,
    /// How many of them mention the user.
    pub mentions: i64,
    /// Whether it is muted.
    pub is_muted: bool,
    /// When muting lapses, on the store's clock; none if it isn't muted or doesn't lapse.
    pub muted_until: Option<DateTime<Utc>>,
    /// What the user wants to be told of.
    pub level: NotificationLevel,
    /// Whether it is a favourite.
    pub is_favourite: bool,
    /// Whether the user lets it count as unread from some message on.
    pub is_marked_unread: bool,
    /// The room's name for this user.
    pub display_name: String,
    /// The other user of a direct room.
    pub partner: Option<UserSummary>,
    /// One line about its last message.
    pub last_message_preview: String,
    /// When that was sent; when the room was created, if there is none.
    pub last_message_time: DateTime<Utc>,
    /// The user who sent that.
    pub last_message_sender: Option<UserSummary>,
}

impl InboxRoom {
    /// Whether its unread messages count in the user's total: not if it is muted or archived.
    #[must_use]
    pub fn counts_toward_total(&self) -> bool {
        !self.is_muted && self.room.archived_at.is_none()
    }

    /// How many of its messages count in the user's total of unread mentions: none if it is archived.
    #[must_use]
    pub fn total_mentions(&self) -> i64 {
        if self.room.archived_at.is_none() { self.mentions } else { 0 }
    }
}

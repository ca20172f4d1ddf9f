//! What only one user sees. Each change of it takes the next position of that user's personal log.
//!
//! An entry names what changed and not how: it is read with what it is about as it is now, so of several
//! entries about one thing the last one is enough.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::ids::{ClientId, MessageId, PersonalSeq, RoomId, UserId};
use super::notifications::Notification;
use super::participant::NotificationLevel;

/// The newest entries that a personal log keeps: a client that missed more loads everything anew.
pub const ENTRIES_KEPT: i64 = 1_000;

/// What an entry of a personal log is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PersonalKind {
    /// The user's own settings of a room, which the entry names.
    RoomSettings,
    /// The user's draft in a room, which the entry names.
    Draft,
    /// Whether a message, which the entry names, is saved.
    Saved,
    /// A reminder, which the entry names.
    Reminder,
    /// A message to be sent later, which the entry names.
    Scheduled,
    /// A notification, which the entry names.
    Notification,
}

impl PersonalKind {
    const ALL: [Self; 6] =
        [Self::RoomSettings, Self::Draft, Self::Saved, Self::Reminder, Self::Scheduled, Self::Notification];

    /// The name in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RoomSettings => "room_settings",
            Self::Draft => "draft",
            Self::Saved => "saved",
            Self::Reminder => "reminder",
            Self::Scheduled => "scheduled",
            Self::Notification => "notification",
        }
    }

    /// Reads the name in the store; a newer node may write kinds that this one doesn't know.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A change to be appended to a personal log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersonalChange {
    /// Whose log it is.
    pub user: UserId,
    /// What changed.
    pub kind: PersonalKind,
    /// The id of what changed.
    pub id: Uuid,
}

/// An entry of a personal log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonalEntry {
    /// The position.
    pub position: PersonalSeq,
    /// What the entry is about, as it is now.
    pub state: PersonalState,
}

/// Something that only one user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersonalState {
    /// See [`PersonalKind::RoomSettings`].
    RoomSettings(OwnRoomSettings),
    /// See [`PersonalKind::Draft`].
    Draft(Draft),
    /// See [`PersonalKind::Saved`].
    Saved(SavedMessage),
    /// See [`PersonalKind::Reminder`].
    Reminder(Reminder),
    /// A reminder that is no longer there.
    ReminderRemoved(Uuid),
    /// See [`PersonalKind::Scheduled`].
    Scheduled(ScheduledMessage),
    /// A message to be sent later that is no longer there.
    ScheduledRemoved(Uuid),
    /// See [`PersonalKind::Notification`].
    Notification(Notification),
    /// A notification that was read or withdrawn.
    NotificationGone(Uuid),
}

impl PersonalState {
    /// Whether rows of the inbox show it too, so that only sockets which follow the log need its frames.
    #[must_use]
    pub fn is_in_inbox(&self) -> bool {
        matches!(self, Self::RoomSettings(_))
    }
}

/// A user's own settings of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRoomSettings {
    /// The room.
    pub room: RoomId,
    /// Whether it is muted.
    pub is_muted: bool,
    /// When muting lapses.
    pub muted_until: Option<DateTime<Utc>>,
    /// What the user wants to be told of.
    pub level: NotificationLevel,
    /// Whether it is a favourite.
    pub is_favourite: bool,
}

/// A text that a user hasn't sent yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The room.
    pub room: RoomId,
    /// The text, as it was typed; empty once the draft is ended.
    pub content: String,
    /// The message that it replies to.
    pub reply_to: Option<MessageId>,
    /// When it last changed, by the store's clock.
    pub updated_at: DateTime<Utc>,
}

/// A message that a user saved, or no longer saves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedMessage {
    /// The message.
    pub message: MessageId,
    /// Its room, and when it was saved; none if it isn't.
    pub saved: Option<(RoomId, DateTime<Utc>)>,
}

/// A message that a user wants to be told of again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminder {
    /// The id.
    pub id: Uuid,
    /// The room of the message.
    pub room: RoomId,
    /// The message.
    pub message: MessageId,
    /// When to remind.
    pub at: DateTime<Utc>,
    /// When the user asked for it.
    pub created_at: DateTime<Utc>,
    /// When the user was reminded.
    pub fired_at: Option<DateTime<Utc>>,
}

/// A message to be sent later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledMessage {
    /// The id, which is not that of the message that it becomes.
    pub id: Uuid,
    /// The room.
    pub room: RoomId,
    /// What the message is sent under.
    pub client_id: ClientId,
    /// The text; empty once it is sent.
    pub content: String,
    /// The message that it replies to.
    pub reply_to: Option<MessageId>,
    /// When it is sent.
    pub at: DateTime<Utc>,
    /// When its user asked for it.
    pub created_at: DateTime<Utc>,
    /// How far it is.
    pub state: ScheduledState,
    /// The code of the error of one that failed.
    pub error: Option<String>,
    /// The message that it became.
    pub message: Option<MessageId>,
}

/// How far a message is that is sent later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduledState {
    /// It waits for its time.
    Pending,
    /// A node sends it.
    Sending,
    /// It was sent.
    Sent,
    /// It was refused.
    Failed,
}

impl ScheduledState {
    /// The name in the store and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Pending, Self::Sending, Self::Sent, Self::Failed];
        all.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether its user may still change it.
    #[must_use]
    pub fn is_changeable(self) -> bool {
        matches!(self, Self::Pending | Self::Failed)
    }
}

/// How far ahead something may be asked for: a year, by any calendar.
const DUE_WITHIN: TimeDelta = TimeDelta::days(366);

/// Why nothing can be done at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DueTimeError {
    /// It is over.
    #[error("This time is over.")]
    Past,
    /// It is too far ahead.
    #[error("This is more than a year ahead.")]
    TooFar,
}

/// Checks that something can be asked for at `at`.
///
/// # Errors
/// [`DueTimeError`].
pub fn check_due_time(at: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), DueTimeError> {
    if at <= now {
        Err(DueTimeError::Past)
    } else if at - now > DUE_WITHIN {
        Err(DueTimeError::TooFar)
    } else {
        Ok(())
    }
}

/// How far a personal log reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PersonalBounds {
    /// The position of the last entry.
    pub head: PersonalSeq,
    /// Entries up to here may be gone.
    pub pruned: PersonalSeq,
}

impl PersonalBounds {
    /// Whether everything after `position` is still there, and is no more than `missed_max` changes.
    #[must_use]
    pub fn can_resume(&self, position: PersonalSeq, missed_max: usize) -> bool {
        let missed = usize::try_from(self.head.0 - position.0);
        position >= self.pruned && missed.is_ok_and(|missed| missed <= missed_max)
    }
}

/// Entries of a personal log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonalPage {
    /// How far the log reached when they were read.
    pub bounds: PersonalBounds,
    /// The entries in order, without those that a later one about the same thing makes superfluous.
    pub entries: Vec<PersonalEntry>,
    /// The position up to which nothing is left out.
    pub through: PersonalSeq,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_resumed_from_while_nothing_after_it_is_gone() {
        let bounds = PersonalBounds { head: PersonalSeq(50), pruned: PersonalSeq(20) };
        let can_resume = |position, missed_max| bounds.can_resume(PersonalSeq(position), missed_max);
        assert!(can_resume(20, 30) && can_resume(50, 0));
        assert!(!can_resume(19, 100), "entries are gone");
        assert!(!can_resume(20, 29), "too many");
        assert!(!can_resume(51, 100), "past the head");
        assert!(!can_resume(i64::MAX, 100) && !can_resume(-1, 100));
    }

    #[test]
    fn a_time_to_do_something_is_ahead_and_at_most_a_year() {
        let now = DateTime::UNIX_EPOCH;
        let check = |seconds| check_due_time(now + TimeDelta::seconds(seconds), now);
        let year = 366 * 86_400;
        assert_eq!((check(1), check(year)), (Ok(()), Ok(())));
        assert_eq!((check(0), check(-1)), (Err(DueTimeError::Past), Err(DueTimeError::Past)));
        assert_eq!(check(year + 1), Err(DueTimeError::TooFar));
    }

    #[test]
    fn the_names_of_kinds_are_read_as_they_are_written() {
        for kind in PersonalKind::ALL {
            assert_eq!(PersonalKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(PersonalKind::parse("something_newer"), None);
    }
}

//! Mentioning users in a message, or everyone in its room.

use super::aggregate::RoomAggregate;
use super::command::{Principal, Refusal};
use crate::domain::ids::UserId;
use crate::domain::mentions::Mentions;
use crate::domain::message::Message;
use crate::domain::permission::Action;
use crate::domain::row_change::{ColumnType, RowChange, Table};

/// In rooms of more current participants only admins mention everyone.
const MEMBERS_MENTION_ROOM_UP_TO: i64 = 20;
/// The user of a row of [`MENTIONS`] that stands for everyone in the room.
const EVERYONE: UserId = UserId(0);

/// Who is mentioned by which message of whom, for the counts of unread mentions. A mention of everyone is one
/// row, which covers users that are named too; a mention of oneself is none.
pub(super) static MENTIONS: Table = Table {
    name: "mentions",
    columns: &[
        ("room_id", ColumnType::Uuid),
        ("message_id", ColumnType::Uuid),
        ("user_id", ColumnType::BigInt),
        ("seq", ColumnType::BigInt),
        ("sender_id", ColumnType::BigInt),
    ],
    key_columns: 3,
    removals: &[2],
    selections: &[],
    goes_with_message: true,
};

impl RoomAggregate {
    /// Refuses mentions that `by` may not make: of users who are neither in the room nor `joining` it, and of
    /// everyone in a large room. What the message mentioned `before` may stay.
    pub(super) fn check_mentions(
        &self,
        by: Principal,
        mentions: &Mentions,
        before: &Mentions,
        joining: Option<UserId>,
    ) -> Result<(), Refusal> {
        let is_in = |user: UserId| joining == Some(user) || self.require_current(user).is_ok();
        let new = mentions.users.iter().copied().filter(|user| !before.users.contains(user));
        let outsiders: Vec<UserId> = new.filter(|user| !is_in(*user)).collect();
        if !outsiders.is_empty() {
            return Err(Refusal::MentionedOutsiders(outsiders));
        }
        let is_large = self.participant_count.is_none_or(|count| count > MEMBERS_MENTION_ROOM_UP_TO);
        let may = || self.access_level(by).allows(Action::MentionLargeRoom, self.room.room_type);
        if mentions.room && !before.room && is_large && !may() {
            return Err(Refusal::Forbidden);
        }
        Ok(())
    }

    /// Keeps the mentions of an edited message in place of the earlier ones.
    pub(super) fn replace_mentions(&mut self, message: &Message) {
        self.change_row(RowChange::remove(&MENTIONS, [message.room.0.into(), message.id.0.into()]));
        self.keep_mentions(message);
    }

    /// Keeps the mentions of a new message. One that stands in a thread alone counts as no unread message, and so
    /// as no unread mention.
    pub(super) fn keep_mentions(&mut self, message: &Message) {
        if !message.is_in_timeline() {
            return;
        }
        let (mentions, sender) = (&message.extras.mentions, message.sender.id);
        let (room, id) = (message.room.0, message.id.0);
        let users: &[UserId] = if mentions.room { &[EVERYONE] } else { &mentions.users };
        for user in users.iter().filter(|user| **user != sender) {
            let row = [room.into(), id.into(), user.0.into(), message.seq.0.into(), sender.0.into()];
            self.change_row(RowChange::insert(&MENTIONS, row));
        }
    }
}

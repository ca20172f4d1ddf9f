//! The rules by which a user is told of a message, or isn't, and when.
//!
//! `docs/NOTIFICATIONS.md` has them as a table.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::settings::has_keyword;
use crate::domain::ids::{MessageId, Seq, UserId};
use crate::domain::mentions::Mentions;
use crate::domain::participant::NotificationLevel;

/// Why a user is told of a message, the strongest reason last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TellingRule {
    /// The user wants to be told of everything in the room.
    Message,
    /// The same in a direct room.
    Direct,
    /// It is a reply in a thread that the user takes part in.
    Thread,
    /// It has one of the user's keywords.
    Keyword,
    /// It mentions everyone in the room.
    RoomMention,
    /// It mentions the user.
    Mention,
    /// It is urgent.
    Urgent,
}

/// Why a user isn't told of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SilenceRule {
    /// The user sent it.
    Own,
    /// The user has blocked who sent it.
    Blocked,
    /// The user wants to be told of nothing in the room.
    LevelNothing,
    /// The room is muted.
    Muted,
    /// The user wants to be told of mentions alone.
    LevelMentions,
    /// It is in a thread that the user doesn't take part in.
    OtherThread,
}

impl TellingRule {
    /// All rules, the strongest last.
    pub const ALL: [Self; 7] = [
        Self::Message,
        Self::Direct,
        Self::Thread,
        Self::Keyword,
        Self::RoomMention,
        Self::Mention,
        Self::Urgent,
    ];

    /// The name in the store and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Direct => "direct",
            Self::Thread => "thread",
            Self::Keyword => "keyword",
            Self::RoomMention => "room_mention",
            Self::Mention => "mention",
            Self::Urgent => "urgent",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == name)
    }

    /// The kind of a notification by this rule, as clients distinguish them.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Message | Self::Direct => "message",
            Self::Thread => "thread",
            Self::Keyword => "keyword",
            Self::RoomMention | Self::Mention => "mention",
            Self::Urgent => "urgent",
        }
    }

    /// Whether the message mentions the user, alone or with everyone.
    #[must_use]
    pub fn is_mention(self) -> bool {
        matches!(self, Self::RoomMention | Self::Mention)
    }

    /// The rule in a sentence to its user.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Message => "You are told of all messages in this room.",
            Self::Direct => "It was sent to you alone.",
            Self::Thread => "It is a reply in a thread that you take part in.",
            Self::Keyword => "It has one of your keywords.",
            Self::RoomMention => "It mentions everyone in the room.",
            Self::Mention => "It mentions you.",
            Self::Urgent => "It is urgent: its sender asks everyone in the room to acknowledge it.",
        }
    }
}

impl SilenceRule {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Blocked => "blocked",
            Self::LevelNothing => "level_nothing",
            Self::Muted => "muted",
            Self::LevelMentions => "level_mentions",
            Self::OtherThread => "other_thread",
        }
    }

    /// The rule in a sentence to its user.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Own => "You sent it.",
            Self::Blocked => "You have blocked who sent it.",
            Self::LevelNothing => "You are told of nothing in this room.",
            Self::Muted => "The room is muted for you, and the message doesn't mention you.",
            Self::LevelMentions => "In this room you are told of mentions and keywords alone.",
            Self::OtherThread => "It is in a thread that you don't take part in.",
        }
    }
}

/// What the rules look at in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageFacts {
    /// The message.
    pub id: MessageId,
    /// The position of its sending.
    pub seq: Seq,
    /// Who sent it.
    pub sender: UserId,
    /// When.
    pub at: DateTime<Utc>,
    /// The root of the thread in which alone it stands.
    pub thread_alone: Option<MessageId>,
    /// Whom it mentions.
    pub mentions: Mentions,
    /// Whether it is urgent.
    pub is_urgent: bool,
    /// What it says; empty where nobody has keywords.
    pub text: String,
}

/// What the rules look at in someone who may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderFacts {
    /// The user.
    pub user: UserId,
    /// Everything up to here is read, was told, or can't be seen.
    pub after: Seq,
    /// What the user wants to be told of.
    pub level: NotificationLevel,
    /// Whether the room is muted.
    pub is_muted: bool,
    /// Whom the user has blocked.
    pub blocked: BTreeSet<UserId>,
    /// The threads that the user takes part in.
    pub threads: BTreeSet<MessageId>,
    /// The urgent messages that the user has acknowledged already, which are as any other for this user.
    pub acknowledged: BTreeSet<MessageId>,
    /// Words of which the user is told as of a mention.
    pub keywords: Vec<String>,
    /// How long the user has to read a message before being told of it.
    pub delay: Duration,
    /// Until when it is quiet, if it is.
    pub quiet_until: Option<DateTime<Utc>>,
    /// Whether no device of the user is connected, so that nothing is read by itself.
    pub is_offline: bool,
}

/// When a user is told of what is new in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TellingTime {
    /// Never: there is nothing that the user wants to be told of.
    Never,
    /// Not before `at`, if it isn't read by then. It begins with the message at `first`.
    Later {
        /// When.
        at: DateTime<Utc>,
        /// The position of the first message to tell of.
        first: Seq,
    },
    /// Now.
    Now(Telling),
}

/// What a user is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    /// The strongest rule.
    pub rule: TellingRule,
    /// The position of the first message.
    pub first: Seq,
    /// The position of the last one.
    pub last: Seq,
    /// The one to show: the last one, but an urgent one rather than others.
    pub message: MessageId,
}

impl Telling {
    /// Both in one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let shown = |telling: &Self| (telling.rule == TellingRule::Urgent, telling.last);
        Self {
            rule: self.rule.max(other.rule),
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            message: if shown(&other) > shown(&self) { other.message } else { self.message },
        }
    }
}

/// Judges one message. An urgent one is told to everyone but who has blocked its sender. Being mentioned by name
/// pierces muting, being mentioned with everyone doesn't.
///
/// # Errors
/// Why the user isn't told.
pub fn rule_for(
    is_direct: bool,
    message: &MessageFacts,
    reader: &ReaderFacts,
) -> Result<TellingRule, SilenceRule> {
    if message.sender == reader.user {
        return Err(SilenceRule::Own);
    }
    if reader.blocked.contains(&message.sender) {
        return Err(SilenceRule::Blocked);
    }
    if message.is_urgent && !reader.acknowledged.contains(&message.id) {
        return Ok(TellingRule::Urgent);
    }
    if reader.level == NotificationLevel::Nothing {
        return Err(SilenceRule::LevelNothing);
    }
    if message.mentions.users.contains(&reader.user) {
        return Ok(TellingRule::Mention);
    }
    if reader.is_muted {
        return Err(SilenceRule::Muted);
    }
    if message.mentions.room {
        return Ok(TellingRule::RoomMention);
    }
    if reader.keywords.iter().any(|keyword| has_keyword(&message.text, keyword)) {
        return Ok(TellingRule::Keyword);
    }
    if reader.level == NotificationLevel::Mentions {
        return Err(SilenceRule::LevelMentions);
    }
    match message.thread_alone {
        Some(root) if reader.threads.contains(&root) => Ok(TellingRule::Thread),
        Some(_) => Err(SilenceRule::OtherThread),
        None if is_direct => Ok(TellingRule::Direct),
        None => Ok(TellingRule::Message),
    }
}

/// Returns when the user has had the time to read a message that was sent at `sent`, by the settings and quiet hours;
/// of an urgent one the user is told at once. In a direct room nobody waits for a device that isn't there.
#[must_use]
pub fn due_time(
    rule: TellingRule,
    is_direct: bool,
    sent: DateTime<Utc>,
    reader: &ReaderFacts,
) -> DateTime<Utc> {
    if rule == TellingRule::Urgent {
        return sent;
    }
    let delay = if is_direct && reader.is_offline { Duration::ZERO } else { reader.delay };
    let due = sent + delay;
    reader.quiet_until.map_or(due, |quiet_until| due.max(quiet_until))
}

/// Decides when a user is told of `messages`, which are in the order of their positions. The first one that the user
/// is to be told of decides when, or an urgent one, and the others go with it.
#[must_use]
pub fn telling_time(
    is_direct: bool,
    messages: &[MessageFacts],
    reader: &ReaderFacts,
    now: DateTime<Utc>,
) -> TellingTime {
    let begin = messages.partition_point(|message| message.seq <= reader.after);
    let mut due: Option<DateTime<Utc>> = None;
    let mut telling: Option<Telling> = None;
    for message in &messages[begin..] {
        let Ok(rule) = rule_for(is_direct, message, reader) else { continue };
        let due_at = due_time(rule, is_direct, message.at, reader);
        due = Some(match due {
            Some(earlier) if rule == TellingRule::Urgent => earlier.min(due_at),
            Some(earlier) => earlier,
            None => due_at,
        });
        let alone = Telling { rule, first: message.seq, last: message.seq, message: message.id };
        telling = Some(telling.map_or(alone, |so_far| so_far.and(alone)));
    }
    match (telling, due) {
        (Some(Telling { first, .. }), Some(at)) if at > now => TellingTime::Later { at, first },
        (Some(telling), _) => TellingTime::Now(telling),
        (None, _) => TellingTime::Never,
    }
}

#[cfg(test)]
mod tests;

//! A room under its lock: the one place where a command becomes events.
//!
//! A store locks the room, reads what [`RequiredState`] names into a [`RoomAggregate`], lets that apply the
//! commands in order, and writes what came of it, all in one transaction. So every rule is judged on what is
//! true at the commit, and the same on every store.
//!
//! [`RequiredState`]: super::command::RequiredState

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::command::{CommandReply, CommandRules, Principal, Refusal, RequiredAccess};
use super::event::{AudienceChange, Event, EventBody};
use crate::domain::ids::{ClientId, FileId, MessageId, ParticipantId, Seq, UploadId, UserId};
use crate::domain::message::Message;
use crate::domain::participant::{NotificationLevel, Participant};
use crate::domain::permission::AccessLevel;
use crate::domain::personal::PersonalChange;
use crate::domain::room::Room;
use crate::domain::row_change::{Cell, FeatureRows, RowChange, Table};
use crate::domain::upload::Upload;
use crate::domain::user::User;

/// A participant, with what the room itself doesn't know of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantState {
    /// The participant.
    pub participant: Participant,
    /// Whether the account may do anything at all.
    pub is_active: bool,
    /// Tokens issued before this second are void; Unix time.
    pub tokens_valid_from: Option<i64>,
    /// Whether the room is muted for this participant.
    pub is_muted: bool,
    /// When muting lapses.
    pub muted_until: Option<DateTime<Utc>>,
    /// What this participant wants to be told of.
    pub level: NotificationLevel,
    /// Whether the room is one of this participant's favourites.
    pub is_favourite: bool,
    /// Whether a participant who left was not removed.
    pub left_willingly: bool,
}

impl ParticipantState {
    /// Whether the account is active and the principal's token wasn't revoked.
    fn accepts(&self, by: Principal) -> bool {
        self.is_active && !by.is_revoked(self.tokens_valid_from)
    }

    /// Whether the user is in the room, and the time for that isn't over.
    fn is_in_room(&self, now: DateTime<Utc>) -> bool {
        self.participant.is_current() && !self.participant.has_ended(now)
    }
}

/// What was sent under a `client_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMessage {
    /// The message as it is now.
    pub message: Message,
    /// The digest of what the client sent then.
    pub digest: [u8; 16],
}

/// A room under its lock, and what the commands of this transaction need to know of it.
#[derive(Clone, Debug)]
pub struct RoomAggregate {
    /// The room; its `head` moves with each event.
    pub room: Room,
    /// The participants that were asked for.
    pub participants: HashMap<UserId, ParticipantState>,
    /// How many are in the room, if that was asked for.
    pub participant_count: Option<i64>,
    /// The users of the directory that were asked for.
    pub users: HashMap<UserId, User>,
    /// The messages that were asked for, deleted ones too, and with each the root of its thread.
    pub messages: HashMap<MessageId, Message>,
    /// What was sent under the `client_id`s that were asked for.
    pub sent: HashMap<(UserId, ClientId), SentMessage>,
    /// The files that were asked for and that are still there. They stay until this transaction has ended.
    pub files: HashSet<FileId>,
    /// The uploads that were asked for and that no message carries, as the commands so far have left them. No other
    /// transaction attaches them meanwhile.
    pub uploads: HashMap<UploadId, Upload>,
    /// The newest message of the timeline and its position.
    pub newest: Option<(Seq, MessageId)>,
    /// The newest undeleted replies of the threads that were asked for, by root and position, with their times.
    pub replies: HashMap<MessageId, BTreeMap<Seq, DateTime<Utc>>>,
    /// When the users that were asked for sent their last messages, deleted ones too.
    pub last_posts: HashMap<UserId, DateTime<Utc>>,
    /// Unused participant ids, one for each user who may be added.
    pub fresh_ids: Vec<ParticipantId>,
    /// The store's time of this transaction.
    pub now: DateTime<Utc>,
    /// The messages that the commands so far deleted, as they were before.
    pub removed: Vec<Message>,
    /// The uploads that messages carry by the commands so far.
    pub attached_uploads: Vec<UploadId>,
    /// The rows of features' tables that were asked for, as the commands so far have left them.
    pub rows: FeatureRows,
    /// What the commands so far changed in the tables of features, in order.
    pub row_changes: Vec<RowChange>,
    /// What the commands so far changed that only one user sees, in order.
    pub personal_changes: Vec<PersonalChange>,
}

impl RoomAggregate {
    /// An aggregate that knows the room alone.
    #[must_use]
    pub fn new(room: Room, now: DateTime<Utc>) -> Self {
        Self {
            room,
            participants: HashMap::new(),
            participant_count: None,
            users: HashMap::new(),
            messages: HashMap::new(),
            sent: HashMap::new(),
            files: HashSet::new(),
            uploads: HashMap::new(),
            newest: None,
            replies: HashMap::new(),
            last_posts: HashMap::new(),
            fresh_ids: Vec::new(),
            now,
            removed: Vec::new(),
            attached_uploads: Vec::new(),
            rows: FeatureRows::default(),
            row_changes: Vec::new(),
            personal_changes: Vec::new(),
        }
    }

    /// Whether `by` may do what `rules` are of.
    pub(super) fn authorize(&self, by: Principal, rules: &CommandRules) -> Result<(), Refusal> {
        let access_level = self.access_level(by);
        let is_staff = rules.required.staff.is_some() && self.is_staff(by);
        if access_level == AccessLevel::Outsider && !is_staff && rules.access != RequiredAccess::Invited {
            return Err(Refusal::NotParticipant);
        }
        let action = match rules.access {
            RequiredAccess::Invited => return self.authorize_invited(by),
            RequiredAccess::To(action) => action,
            RequiredAccess::ToMessage { message, own, others } => {
                let found =
                    if is_staff { self.live_message(message) } else { self.visible_message(by, message) };
                let sender = found?.sender.id;
                let is_own = access_level != AccessLevel::Outsider && Some(sender) == by.user_id();
                if is_own { own } else { others }
            }
        };
        let is_allowed = self.room.allows(access_level, action)
            || (is_staff && self.room.allows(AccessLevel::Staff, action));
        if !is_allowed {
            return Err(Refusal::Forbidden);
        }
        if self.room.archived_at.is_some() && rules.needs_active_room {
            return Err(Refusal::Archived);
        }
        if self.room.is_blocked && rules.needs_active_room {
            return Err(Refusal::Blocked);
        }
        Ok(())
    }

    /// How `by` stands to the room.
    pub(super) fn access_level(&self, by: Principal) -> AccessLevel {
        let Some(user) = by.user_id() else { return AccessLevel::Service };
        if let Principal::Integration(account) = by {
            let is_active = self.users.get(&account).is_some_and(|user| user.is_active);
            return if is_active { AccessLevel::Integration } else { AccessLevel::Outsider };
        }
        match self.participants.get(&user) {
            Some(state) if state.accepts(by) && state.is_in_room(self.now) => {
                AccessLevel::Participant(state.participant.role)
            }
            _ => AccessLevel::Outsider,
        }
    }

    fn is_staff(&self, by: Principal) -> bool {
        let user = by.user_id().and_then(|user| self.users.get(&user));
        user.is_some_and(|user| user.is_staff && user.is_active && !by.is_revoked(user.tokens_valid_from))
    }

    /// A message that isn't deleted.
    pub(super) fn live_message(&self, id: MessageId) -> Result<&Message, Refusal> {
        self.messages.get(&id).filter(|message| message.deleted_at.is_none()).ok_or(Refusal::MessageNotFound)
    }

    /// A message that isn't deleted and that `by` may see.
    pub(super) fn visible_message(&self, by: Principal, id: MessageId) -> Result<&Message, Refusal> {
        let message = self.live_message(id)?;
        if message.seq >= self.visible_from(by) { Ok(message) } else { Err(Refusal::MessageNotFound) }
    }

    /// The position from which on `by` may see the room. It is no limit for those who aren't in the room and
    /// have rights in it all the same.
    pub(super) fn visible_from(&self, by: Principal) -> Seq {
        let participant = by.user_id().and_then(|user| self.participants.get(&user));
        let current = participant.filter(|state| state.participant.is_current());
        current.map_or(Seq::START, |state| state.participant.visible_from)
    }

    /// A message as the room's frames show it, which are the same for all who are in the room.
    pub(super) fn shown_to_all(&self, message: &Message) -> Box<Message> {
        let mut shown = Box::new(message.clone());
        shown.hide_quote_before(self.room.visible_to_all_from);
        shown
    }

    /// A message as `by` may see it.
    pub(super) fn shown_to(&self, by: Principal, message: &Message) -> Box<Message> {
        let mut shown = Box::new(message.clone());
        shown.hide_quote_before(self.visible_from(by));
        shown
    }

    /// Keeps what later commands of this transaction may see of a changed message.
    pub(super) fn cache_message(&mut self, message: &Message) {
        self.messages.insert(message.id, message.clone());
        if let Some(client_id) = message.client_id
            && let Some(sent) = self.sent.get_mut(&(message.sender.id, client_id))
        {
            sent.message = message.clone();
        }
    }

    /// Changes a feature's table.
    pub(super) fn change_row(&mut self, change: RowChange) {
        self.rows.apply(&change);
        self.row_changes.push(change);
    }

    /// Whether `table` has the row with this key, which was asked for.
    pub(super) fn has_row(&self, table: &Table, key: &[Cell]) -> bool {
        debug_assert_eq!(key.len(), table.key_columns, "{}", table.name);
        self.rows.select(table, key).next().is_some()
    }

    /// The reply to a change of a message; `is_duplicate` where it was so already.
    pub(super) fn changed_reply(&self, by: Principal, message: &Message, is_duplicate: bool) -> CommandReply {
        CommandReply::MessageChanged { message: self.shown_to(by, message), at: self.now, is_duplicate }
    }

    /// Refuses a user who isn't in the room now.
    pub(super) fn require_current(&self, user: UserId) -> Result<(), Refusal> {
        match self.participants.get(&user) {
            Some(state) if state.participant.is_current() => Ok(()),
            _ => Err(Refusal::ParticipantNotFound),
        }
    }

    pub(super) fn participant_mut(&mut self, user: UserId) -> &mut Participant {
        &mut self.participants.get_mut(&user).expect("the caller has looked the participant up").participant
    }

    pub(super) fn participant_reply(&self, user: UserId) -> CommandReply {
        CommandReply::Participant(Box::new(self.participants[&user].participant.clone()))
    }

    /// The next event of the room's log.
    pub(super) fn event(&mut self, by: Principal, body: EventBody) -> Event {
        self.room.head = self.room.head.next();
        let facts = body.facts();
        if facts.is_activity {
            self.room.modified_at = self.now;
        }
        if let Some(count) = &mut self.participant_count {
            *count += i64::from(facts.audience == AudienceChange::Joined);
            *count -= i64::from(facts.audience == AudienceChange::Left);
        }
        Event { room: self.room.id, seq: self.room.head, at: self.now, by: by.user_id(), body }
    }
}

//! One room as the memory store keeps it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::domain::aggregate::{ParticipantState, RoomAggregate, SentMessage};
use crate::domain::command::{Command, CommandOutcome};
use crate::domain::event::{Event, EventBody, EventKind, LogRow};
use crate::domain::ids::{ClientId, FileId, MessageId, RoomId, Seq, UserId};
use crate::domain::message::Message;
use crate::domain::participant::{Participant, Role};
use crate::domain::room::{Room, RoomType};
use crate::domain::row_change::{FeatureRows, RowSelection};
use crate::domain::signal::{ReadMark, Signal};
use crate::domain::user::{User, UserSummary};

/// The users of the directory by their ids.
pub(super) type UserDirectory = BTreeMap<UserId, User>;

/// A room, its log, and the state that the log has led to.
#[derive(Clone, Debug)]
pub(super) struct RoomTable {
    pub(super) room: Room,
    pub(super) participants: BTreeMap<UserId, ParticipantRow>,
    /// The number of the last commit that appended an event.
    pub(super) grown: u64,
    log: Vec<StoredEvent>,
    messages: BTreeMap<MessageId, Message>,
    /// The messages that stand in the room's timeline.
    timeline: BTreeMap<Seq, MessageId>,
    sent: BTreeMap<(UserId, ClientId), (MessageId, [u8; 16])>,
    rows: FeatureRows,
}

/// A participant, with the commits in which that one's own state changed.
#[derive(Clone, Debug)]
pub(super) struct ParticipantRow {
    pub(super) state: ParticipantState,
    /// When the read mark moved to where it is, and in which commit.
    pub(super) moved: Option<(DateTime<Utc>, u64)>,
    /// The last commit in which the participant changed what only that one sees of the room.
    pub(super) changed_in: Option<u64>,
}

/// An event as the log holds it.
#[derive(Clone, Debug)]
struct StoredEvent {
    at: DateTime<Utc>,
    by: Option<UserId>,
    commit: u64,
    kind: EventKind,
    message: Option<MessageId>,
    user: Option<UserId>,
    data: Option<serde_json::Value>,
}

/// A stored event beside the room and the directory as they are now.
struct StoredEventNow<'a> {
    stored: &'a StoredEvent,
    table: &'a RoomTable,
    users: &'a UserDirectory,
}

impl LogRow for StoredEventNow<'_> {
    fn message(&self) -> Message {
        let id = self.stored.message.expect("the event is about a message");
        let mut message = self.table.current_message(&self.table.messages[&id], self.users);
        message.hide_quote_before(self.table.room.visible_to_all_from);
        message
    }

    fn participant(&self) -> Participant {
        let user = self.stored.user.expect("the event is about a participant");
        current_participant(&self.table.participants[&user], self.users).participant
    }

    fn room(&self) -> Room {
        self.table.room.clone()
    }

    fn data(&self) -> Option<&serde_json::Value> {
        self.stored.data.as_ref()
    }
}

impl RoomTable {
    /// A room that is created in commit `commit`.
    pub(super) fn new(room: Room, commit: u64) -> Self {
        Self {
            room,
            participants: BTreeMap::new(),
            grown: commit,
            log: Vec::new(),
            messages: BTreeMap::new(),
            timeline: BTreeMap::new(),
            sent: BTreeMap::new(),
            rows: FeatureRows::default(),
        }
    }

    /// An aggregate with no more than `commands` require, so that a forgotten requirement shows in tests.
    pub(super) fn aggregate(
        &self,
        commands: &[&Command],
        users: &UserDirectory,
        now: DateTime<Utc>,
    ) -> RoomAggregate {
        let mut aggregate = RoomAggregate::new(self.room.clone(), now.max(self.room.modified_at));
        let has_slow_mode = self.room.settings.slow_mode_seconds.interval().is_some()
            || commands.iter().any(|command| command.required_state().starts_slow_mode);
        for command in commands {
            let required = command.required_state();
            if required.roster || (required.partner && self.room.room_type == RoomType::Direct) {
                self.load_roster(&mut aggregate, users);
            }
            let participants = required.participant.iter().chain(&required.participants);
            for row in participants.filter_map(|user| self.participants.get(user)) {
                load_participant(&mut aggregate, row, users);
            }
            if required.participant_count {
                let current = self.participants.values().filter(|row| row.state.participant.is_current());
                aggregate.participant_count = i64::try_from(current.count()).ok();
            }
            for id in [required.added_user, required.staff, required.author].into_iter().flatten() {
                aggregate.users.extend(users.get(&id).map(|user| (id, user.clone())));
            }
            for id in [required.message, required.thread].into_iter().flatten() {
                self.load_message(&mut aggregate, id, users);
            }
            if let Some(root) = required.replies.and_then(|id| Some(self.messages.get(&id)?.thread?.root)) {
                let of_root = |reply: &&Message| reply.thread.is_some_and(|place| place.root == root);
                let replies = self.messages.values().filter(of_root);
                let undeleted = replies.filter(|reply| reply.deleted_at.is_none());
                let times = undeleted.map(|reply| (reply.seq, reply.created_at)).collect();
                aggregate.replies.insert(root, times);
            }
            for (key, (id, digest)) in
                required.sent.into_iter().filter_map(|key| Some((key, self.sent.get(&key)?)))
            {
                let message = self.current_message(&self.messages[id], users);
                aggregate.sent.insert(key, SentMessage { message, digest: *digest });
            }
            if required.newest {
                aggregate.newest = self.newest();
            }
            if let Some(RowSelection { table, prefix }) = &required.rows {
                for row in self.rows.select(table, prefix) {
                    aggregate.rows.load(table, row.to_vec());
                }
            }
            if let Some(user) = required.last_post.filter(|_| has_slow_mode) {
                aggregate.last_posts.extend(self.last_post(user).map(|at| (user, at)));
            }
        }
        aggregate
    }

    /// Puts a message and the root of its thread into `aggregate`.
    fn load_message(&self, aggregate: &mut RoomAggregate, id: MessageId, users: &UserDirectory) {
        let Some(message) = self.messages.get(&id) else { return };
        let root = message.thread.and_then(|place| self.messages.get(&place.root));
        for message in [Some(message), root].into_iter().flatten() {
            aggregate.messages.insert(message.id, self.current_message(message, users));
        }
    }

    /// Puts all who are or were in the room into `aggregate`.
    pub(super) fn load_roster(&self, aggregate: &mut RoomAggregate, users: &UserDirectory) {
        for row in self.participants.values() {
            load_participant(aggregate, row, users);
        }
    }

    /// Stores what an aggregate has become.
    pub(super) fn store(&mut self, aggregate: &RoomAggregate, commit: u64) {
        if self.room.head < aggregate.room.head {
            self.grown = commit;
        }
        self.room = aggregate.room.clone();
        for (user, state) in &aggregate.participants {
            let known = self.participants.get(user);
            let moved = known.and_then(|row| row.moved);
            let changed_in = known.and_then(|row| row.changed_in);
            self.participants.insert(*user, ParticipantRow { state: state.clone(), moved, changed_in });
        }
        for (id, message) in &aggregate.messages {
            if message.is_in_timeline() {
                self.timeline.insert(message.seq, *id);
            }
            self.messages.insert(*id, message.clone());
        }
        for (key, sent) in &aggregate.sent {
            self.sent.insert(*key, (sent.message.id, sent.digest));
        }
        for change in &aggregate.row_changes {
            self.rows.apply(change);
        }
    }

    /// Stores the events and the signal of one command.
    pub(super) fn record(&mut self, outcome: &CommandOutcome, commit: u64) {
        self.append(&outcome.events, commit);
        if let Some(Signal::Read(mark)) = &outcome.signal
            && let Some(row) = self.participants.get_mut(&mark.user)
        {
            row.moved = Some((mark.at, commit));
        }
        if let Some(Signal::OwnState { user }) = &outcome.signal
            && let Some(row) = self.participants.get_mut(user)
        {
            row.changed_in = Some(commit);
        }
    }

    /// Appends events to the log.
    pub(super) fn append(&mut self, events: &[Event], commit: u64) {
        self.log.extend(events.iter().map(|event| {
            let facts = event.body.facts();
            StoredEvent {
                at: event.at,
                by: event.by,
                commit,
                kind: event.body.kind(),
                message: facts.message_id(),
                user: facts.participant().map(|participant| participant.user.id),
                data: event.body.data(),
            }
        }));
    }

    /// Who joined after the commit `since`.
    pub(super) fn joined(&self, since: u64) -> impl Iterator<Item = UserId> {
        let new = self.log.iter().rev().take_while(move |stored| stored.commit > since);
        new.filter(|stored| stored.kind == EventKind::ParticipantJoined).filter_map(|stored| stored.user)
    }

    /// The events after `after`, each as things are now.
    pub(super) fn events(&self, after: Seq, limit: usize, users: &UserDirectory) -> Vec<Event> {
        let skipped = usize::try_from(after.0).unwrap_or(0);
        let numbered = self.log.iter().zip(1..).skip(skipped).take(limit);
        numbered.map(|(stored, seq)| self.event(stored, Seq(seq), users)).collect()
    }

    fn event(&self, stored: &StoredEvent, seq: Seq, users: &UserDirectory) -> Event {
        let body = EventBody::restore(stored.kind, &StoredEventNow { stored, table: self, users });
        Event { room: self.room.id, seq, at: stored.at, by: stored.by, body }
    }

    fn current_message(&self, message: &Message, users: &UserDirectory) -> Message {
        let mut message = message.clone();
        message.sender = current_summary(&message.sender, users);
        if let Some(quoted) = message.reply_to.as_ref().and_then(|quote| self.messages.get(&quote.id)) {
            let mut quoted = quoted.clone();
            quoted.sender = current_summary(&quoted.sender, users);
            message.reply_to = Some(quoted.quote());
        }
        if let Some(origin) = &mut message.extras.forwarded {
            origin.sender = current_summary(&origin.sender, users);
        }
        message
    }

    /// When a user sent a message last, be it deleted.
    pub(super) fn last_post(&self, user: UserId) -> Option<DateTime<Utc>> {
        let own = self.messages.values().filter(|message| message.sender.id == user);
        own.map(|message| message.created_at).max()
    }

    fn newest(&self) -> Option<(Seq, MessageId)> {
        self.timeline.last_key_value().map(|(seq, id)| (*seq, *id))
    }

    /// Whether one of the messages carries this file.
    pub(super) fn carries(&self, file: FileId) -> bool {
        self.messages.values().flat_map(Message::files).any(|attachment| attachment.file == file)
    }

    /// The newest message of the timeline that isn't deleted.
    pub(super) fn last_message(&self) -> Option<&Message> {
        let newest_first = self.timeline.values().rev().map(|id| &self.messages[id]);
        newest_first.into_iter().find(|message| message.deleted_at.is_none())
    }

    /// How many undeleted messages of others in the timeline follow what the participant has read.
    pub(super) fn unread(&self, row: &ParticipantRow) -> i64 {
        i64::try_from(self.unread_messages(row).count()).unwrap_or(i64::MAX)
    }

    /// How many of them mention the participant.
    pub(super) fn unread_mentions(&self, row: &ParticipantRow) -> i64 {
        let user = row.state.participant.user.id;
        let mentions = self
            .unread_messages(row)
            .filter(|message| message.extras.mentions.includes(user, message.sender.id));
        i64::try_from(mentions.count()).unwrap_or(i64::MAX)
    }

    fn unread_messages(&self, row: &ParticipantRow) -> impl Iterator<Item = &Message> {
        let (user, after) = (row.state.participant.user.id, row.state.participant.unread_after());
        self.messages.values().filter(move |message| {
            message.seq > after
                && message.deleted_at.is_none()
                && message.sender.id != user
                && message.is_in_timeline()
        })
    }

    /// The participant's read mark, if it ever moved.
    pub(super) fn mark(&self, row: &ParticipantRow) -> Option<ReadMark> {
        let (at, _) = row.moved?;
        let up_to = row.state.participant.read_seq;
        let message = self.timeline.range(..=up_to).next_back().map(|(_, id)| *id);
        Some(ReadMark { user: row.state.participant.user.id, up_to, message, at })
    }
}

fn load_participant(aggregate: &mut RoomAggregate, row: &ParticipantRow, users: &UserDirectory) {
    let state = current_participant(row, users);
    aggregate.participants.insert(state.participant.user.id, state);
}

/// A participant with what the directory says of the user now.
pub(super) fn current_participant(row: &ParticipantRow, users: &UserDirectory) -> ParticipantState {
    let mut state = row.state.clone();
    let user = users.get(&state.participant.user.id);
    state.is_active = user.is_some_and(|user| user.is_active);
    state.tokens_valid_from = user.and_then(|user| user.tokens_valid_from);
    state.participant.user = current_summary(&state.participant.user, users);
    state
}

/// Notes which of `users` are guest accounts, by what the rooms say of them now.
pub(super) fn mark_guests<'a>(
    users: impl IntoIterator<Item = (&'a UserId, &'a mut User)>,
    tables: &BTreeMap<RoomId, RoomTable>,
) {
    for (id, user) in users {
        user.is_guest = is_guest(*id, tables);
    }
}

/// Whether a user is or was a guest somewhere, and is no more than that in any room.
fn is_guest(user: UserId, tables: &BTreeMap<RoomId, RoomTable>) -> bool {
    let (mut was_guest, mut is_more) = (false, false);
    for table in tables.values() {
        let Some(row) = table.participants.get(&user) else { continue };
        let participant = &row.state.participant;
        if participant.role == Role::Guest {
            was_guest = true;
        } else if participant.is_current() && table.room.room_type != RoomType::Direct {
            is_more |= !table.room.is_deleted;
        }
    }
    was_guest && !is_more
}

/// What is shown of a user, by what the directory says now.
pub(super) fn current_summary(known: &UserSummary, users: &UserDirectory) -> UserSummary {
    users.get(&known.id).map_or_else(|| UserSummary::erased(known.id), |user| user.summary.clone())
}

//! The store in memory. Each call is one step, without anything between its reads and its writes, and the
//! same calls with the same faults give the same answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeZone, Utc};
use uuid::Uuid;

pub use super::faults::{CallFate, Fault, Faults, NoFaults, StoreCall};
use super::personal_table::PersonalTables;
use super::room_table::{RoomTable, UserDirectory, current_participant, current_summary, mark_guests};
use crate::domain::aggregate::RoomAggregate;
use crate::domain::command::{Command, CommandOutcome, OpenRoom, OpenedRoom, Refusal};
use crate::domain::event::Event;
use crate::domain::features::Entrants;
use crate::domain::ids::{Epoch, FileId, ParticipantId, PersonalSeq, RoomId, Seq, UploadId, UserId};
use crate::domain::message::{Message, NO_MESSAGES_TEXT};
use crate::domain::permission::AccessLevel;
use crate::domain::personal::{Draft, PersonalPage};
use crate::domain::room::RoomType;
use crate::domain::upload::Upload;
use crate::domain::user::{User, UserSummary};
use crate::ports::clock::Clock;
use crate::ports::store::{
    AdmittedUser, Changes, Cursor, InboxRoom, JoinContext, OpenedInbox, RoomSnapshot, Store, StoreError,
    UserAccess,
};

/// How long an append waits for a room whose lock another transaction holds.
const LOCK_WITHIN: Duration = Duration::from_millis(1_500);
/// How often the lock is tried meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

type Veto = Box<dyn Fn(&Command) -> bool + Send>;

struct State {
    users: UserDirectory,
    /// The last change of each user's name or access, and its commit.
    access: BTreeMap<UserId, (UserAccess, u64)>,
    tables: BTreeMap<RoomId, RoomTable>,
    personal: PersonalTables,
    uploads: BTreeMap<UploadId, Upload>,
    /// The commands of bots.
    bot_commands: BTreeSet<(UserId, String)>,
    participants: i64,
    commits: u64,
    held: BTreeSet<RoomId>,
    veto: Veto,
    epoch: Epoch,
}

/// A store whose content ends with it.
#[allow(clippy::disallowed_types, reason = "the port is shared between threads, and each call is one step")]
pub struct MemoryStore {
    state: Mutex<State>,
    faults: Box<dyn Faults>,
    clock: Clock,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(NoFaults)
    }
}

impl MemoryStore {
    /// An empty store with `faults`.
    #[must_use]
    pub fn new(faults: impl Faults) -> Self {
        let state = State {
            users: BTreeMap::new(),
            access: BTreeMap::new(),
            tables: BTreeMap::new(),
            personal: PersonalTables::default(),
            uploads: BTreeMap::new(),
            bot_commands: BTreeSet::new(),
            participants: 0,
            commits: 0,
            held: BTreeSet::new(),
            veto: Box::new(|_| false),
            epoch: Epoch(Uuid::from_u128(1)),
        };
        Self { state: Mutex::new(state), faults: Box::new(faults), clock: Clock::start(start()) }
    }

    /// Adds a user to the directory, or changes one.
    pub fn put_user(&self, summary: UserSummary, is_active: bool) {
        let mut state = self.state();
        let id = summary.id;
        let tokens_valid_from = state.access.get(&id).and_then(|(access, _)| access.tokens_valid_from);
        state.set_access(UserAccess { user: id, is_active, tokens_valid_from });
        let is_staff = state.users.get(&id).is_some_and(|user| user.is_staff);
        let user = User { summary, is_active, is_staff, tokens_valid_from, is_guest: false };
        state.users.insert(id, user);
    }

    /// Sets whether a user of the directory is on the staff.
    pub fn set_staff(&self, user: UserId, is_staff: bool) {
        if let Some(user) = self.state().users.get_mut(&user) {
            user.is_staff = is_staff;
        }
    }

    /// Revokes a user's tokens that were issued before `second` (Unix time).
    pub fn revoke_tokens(&self, user: UserId, second: i64) {
        let mut state = self.state();
        if let Some((access, _)) = state.access.get(&user).copied() {
            state.set_access(UserAccess { tokens_valid_from: Some(second), ..access });
            if let Some(user) = state.users.get_mut(&user) {
                user.tokens_valid_from = Some(second);
            }
        }
    }

    /// Stores a user's draft in a room, as the server does; an empty one is ended. Returns the personal log's head.
    pub fn put_draft(&self, user: UserId, room: RoomId, content: &str) -> PersonalSeq {
        let updated_at = self.now();
        let mut state = self.state();
        state.commits += 1;
        let commit = state.commits;
        let draft = Draft { room, content: content.to_owned(), reply_to: None, updated_at };
        state.personal.put_draft(user, draft, commit);
        state.personal.bounds(user).head
    }

    /// Adds a file that was uploaded, and that no message carries yet.
    pub fn put_upload(&self, id: UploadId, upload: Upload) {
        self.state().uploads.insert(id, upload);
    }

    /// Gives a bot a command.
    pub fn put_bot_command(&self, bot: UserId, name: &str) {
        self.state().bot_commands.insert((bot, name.to_owned()));
    }

    /// Locks a room, as another transaction would, or unlocks it.
    pub fn hold(&self, room: RoomId, is_held: bool) {
        let mut state = self.state();
        if is_held {
            state.held.insert(room)
        } else {
            state.held.remove(&room)
        };
    }

    /// Refuses the rows of the commands that `veto` selects.
    pub fn refuse(&self, veto: impl Fn(&Command) -> bool + Send + 'static) {
        self.state().veto = Box::new(veto);
    }

    /// Starts another history.
    pub fn set_epoch(&self, epoch: Epoch) {
        self.state().epoch = epoch;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A date that moves with the clock alone, so that runs are reproducible.
    fn now(&self) -> DateTime<Utc> {
        self.clock.date()
    }

    async fn with_faults<T>(
        &self,
        call: StoreCall<'_>,
        operation: impl AsyncFnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let fault = self.faults.fault_for(call);
        pause(fault.before).await;
        if let CallFate::Fails(error) = fault.fate {
            pause(fault.after).await;
            return Err(error);
        }
        let done = operation().await;
        pause(fault.after).await;
        match (fault.fate, call) {
            (CallFate::AnswerLost, StoreCall::Append { .. } | StoreCall::OpenRoom(_)) => {
                done.and(Err(StoreError::OutcomeUnknown))
            }
            (CallFate::AnswerLost, _) => Err(StoreError::Unavailable("the answer was lost".into())),
            _ => done,
        }
    }

    async fn wait_for(&self, room: RoomId) -> Result<(), StoreError> {
        let until = self.clock.now() + LOCK_WITHIN;
        while self.state().held.contains(&room) {
            if self.clock.now() >= until {
                return Err(StoreError::Locked);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

fn start() -> DateTime<Utc> {
    Utc.timestamp_opt(1_800_000_000, 0).single().expect("it is a time")
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

impl State {
    fn set_access(&mut self, access: UserAccess) {
        self.commits += 1;
        self.access.insert(access.user, (access, self.commits));
    }

    fn append(
        &mut self,
        batch: &[Arc<Command>],
        now: DateTime<Utc>,
    ) -> Result<Vec<Option<Result<CommandOutcome, Refusal>>>, StoreError> {
        let mut by_room: BTreeMap<RoomId, Vec<&Command>> = BTreeMap::new();
        for command in batch {
            by_room.entry(command.room).or_default().push(command);
        }
        let mut aggregates = BTreeMap::new();
        for (room, commands) in by_room {
            let Some(table) = self.tables.get(&room).filter(|_| !self.held.contains(&room)) else {
                continue;
            };
            let mut aggregate = table.aggregate(&commands, &self.users, now);
            mark_guests(&mut aggregate.users, &self.tables);
            let adds = commands.iter().filter(|command| command.required_state().added_user.is_some());
            aggregate.fresh_ids = fresh_ids(&mut self.participants, adds.count());
            let files = commands.iter().flat_map(|command| command.required_state().files);
            let is_there = |file: &FileId| self.tables.values().any(|table| table.carries(*file));
            aggregate.files = files.filter(is_there).collect();
            let uploads = commands.iter().flat_map(|command| command.required_state().uploads);
            aggregate.uploads = uploads.filter_map(|id| Some((id, self.uploads.get(&id)?.clone()))).collect();
            aggregates.insert(room, aggregate);
        }
        let mut answers = Vec::with_capacity(batch.len());
        for command in batch {
            answers.push(match aggregates.get_mut(&command.room) {
                Some(aggregate) => {
                    let answer = aggregate.apply(command);
                    let attached = aggregate.attached_uploads.clone();
                    for other in aggregates.values_mut() {
                        other.uploads.retain(|id, _| !attached.contains(id));
                    }
                    Some(answer)
                }
                None if self.tables.contains_key(&command.room) => None,
                None => Some(Err(Refusal::RoomNotFound)),
            });
        }
        let is_done = |answer: &Option<Result<CommandOutcome, Refusal>>| matches!(answer, Some(Ok(_)));
        if batch.iter().zip(&answers).any(|(command, answer)| is_done(answer) && (self.veto)(command)) {
            return Err(StoreError::RowRefused);
        }
        self.commits += 1;
        for (room, aggregate) in &aggregates {
            if let Some(table) = self.tables.get_mut(room) {
                table.store(aggregate, self.commits);
            }
            for change in &aggregate.personal_changes {
                self.personal.append(*change, self.commits);
            }
            for upload in &aggregate.attached_uploads {
                self.uploads.remove(upload);
            }
        }
        for (command, answer) in batch.iter().zip(&answers) {
            if let (Some(Ok(outcome)), Some(table)) = (answer, self.tables.get_mut(&command.room)) {
                table.record(outcome, self.commits);
            }
        }
        Ok(answers)
    }

    fn open_room(&mut self, open: &OpenRoom, now: DateTime<Utc>) -> Result<OpenedRoom, Refusal> {
        let mut known = self.users.clone();
        mark_guests(&mut known, &self.tables);
        let entrants = open.entrants(&known)?;
        if self.tables.contains_key(&open.id) {
            let unknown = entrants.unknown;
            return Ok(OpenedRoom { room: open.id, created: true, events: Vec::new(), unknown });
        }
        let can_create = open.can_create(&entrants);
        let Entrants { users, unknown } = entrants;
        let fresh = fresh_ids(&mut self.participants, users.len());
        let (mut aggregate, events, created) = match self.find_unique(open) {
            Some(room) => {
                let table = &self.tables[&room];
                let mut aggregate = RoomAggregate::new(table.room.clone(), now.max(table.room.modified_at));
                table.load_roster(&mut aggregate, &self.users);
                aggregate.users = users.into_iter().map(|(user, _)| (user.summary.id, user)).collect();
                aggregate.fresh_ids = fresh;
                let events = aggregate.reopen_room(open)?;
                (aggregate, events, false)
            }
            None if can_create => {
                let (aggregate, events) = RoomAggregate::create_room(open, users, fresh, now);
                (aggregate, events, true)
            }
            None => return Err(Refusal::Forbidden),
        };
        let room = aggregate.room.id;
        aggregate.messages.clear();
        self.commits += 1;
        let commit = self.commits;
        let table = self.tables.entry(room).or_insert_with(|| RoomTable::new(aggregate.room.clone(), commit));
        table.store(&aggregate, commit);
        table.append(&events, commit);
        Ok(OpenedRoom { room, created, events, unknown })
    }

    /// The room that there may be only one of.
    fn find_unique(&self, open: &OpenRoom) -> Option<RoomId> {
        let pair = open.pair();
        let is_it = |table: &RoomTable| match open.room_type {
            RoomType::Group => false,
            RoomType::Direct => pair.is_some_and(|(low, high)| {
                table.room.room_type == RoomType::Direct
                    && table.participants.contains_key(&low)
                    && table.participants.contains_key(&high)
            }),
            RoomType::Task | RoomType::Property => table.room.subject == open.subject,
        };
        self.tables.values().find(|table| !table.room.is_deleted && is_it(table)).map(|table| table.room.id)
    }

    fn snapshot(
        &self,
        room: RoomId,
        candidates: &[UserId],
        roster: bool,
        now: DateTime<Utc>,
    ) -> Option<RoomSnapshot> {
        let table = self.tables.get(&room).filter(|table| !table.room.is_deleted)?;
        let candidates: BTreeSet<UserId> = candidates.iter().copied().collect();
        let candidates = candidates.into_iter().filter_map(|user| {
            let row = table.participants.get(&user)?;
            let state = current_participant(row, &self.users);
            let is_admitted = state.is_active && state.participant.is_current();
            let (role, access_level) =
                (state.participant.role, AccessLevel::Participant(state.participant.role));
            is_admitted.then(|| AdmittedUser {
                unread: table.unread(row),
                role,
                is_staff: self.users.get(&user).is_some_and(|user| user.is_staff),
                visible_from: state.participant.visible_from,
                next_post_at: table.room.next_post_at(access_level, table.last_post(user), now),
                user: state.participant.user,
            })
        });
        let mut rows: Vec<_> =
            table.participants.values().filter(|row| roster && row.state.participant.is_current()).collect();
        rows.sort_by_key(|row| row.state.participant.id);
        Some(RoomSnapshot {
            room: table.room.clone(),
            admitted_users: candidates.collect(),
            roster: rows.iter().map(|row| current_participant(row, &self.users).participant).collect(),
            marks: rows.iter().filter_map(|row| table.mark(row)).collect(),
        })
    }

    fn changes(&self, since: Option<u64>) -> Changes {
        let since = since.unwrap_or(self.commits);
        let grown = self.tables.values().filter(|table| table.grown > since);
        let moved = self.tables.iter().flat_map(|(room, table)| {
            let moved = table.participants.values().filter(|row| row.moved.is_some_and(|(_, at)| at > since));
            moved.filter_map(|row| Some((*room, table.mark(row)?)))
        });
        let joined: BTreeSet<_> =
            grown.clone().flat_map(|table| table.joined(since).map(|user| (table.room.id, user))).collect();
        let changed = self.tables.iter().flat_map(|(room, table)| {
            let changed =
                table.participants.iter().filter(|(_, row)| row.changed_in.is_some_and(|at| at > since));
            changed.map(|(user, _)| (*room, *user))
        });
        let people = self.access.values().filter(|(_, commit)| *commit > since);
        Changes {
            epoch: self.epoch,
            next: Cursor(self.commits.to_string().into()),
            rooms: grown.map(|table| (table.room.id, table.room.head)).collect(),
            joined: joined.into_iter().collect(),
            marks: moved.collect(),
            own_states: changed.collect(),
            people: people.map(|(change, _)| *change).collect(),
            personal: self.personal.grown(since),
        }
    }

    fn inbox(&self, user: UserId, rooms: Option<&[RoomId]>, now: DateTime<Utc>) -> Vec<InboxRoom> {
        let mut tables: Vec<&RoomTable> = self
            .tables
            .values()
            .filter(|table| {
                !table.room.is_deleted && rooms.is_none_or(|rooms| rooms.contains(&table.room.id))
            })
            .collect();
        tables.sort_by_key(|table| (std::cmp::Reverse(table.room.modified_at), table.room.id));
        tables.into_iter().filter_map(|table| self.inbox_room(table, user, now)).collect()
    }

    fn inbox_room(&self, table: &RoomTable, user: UserId, now: DateTime<Utc>) -> Option<InboxRoom> {
        let row = table.participants.get(&user).filter(|row| row.state.participant.is_current())?;
        let is_direct = table.room.room_type == RoomType::Direct;
        let partner =
            table.participants.values().find(|row| is_direct && row.state.participant.user.id != user);
        let partner = partner.map(|partner| current_participant(partner, &self.users).participant.user);
        let last = table.last_message().filter(|last| row.state.participant.can_see(last.seq));
        let state = &row.state;
        Some(InboxRoom {
            room: table.room.clone(),
            unread_after: state.participant.unread_after(),
            unread: table.unread(row),
            mentions: table.unread_mentions(row),
            is_muted: state.is_muted && state.muted_until.is_none_or(|until| until > now),
            muted_until: state.muted_until.filter(|until| state.is_muted && *until > now),
            level: state.level,
            is_favourite: state.is_favourite,
            is_marked_unread: state.participant.unread_from.is_some(),
            display_name: table.room.display_name(partner.as_ref().map(|partner| &*partner.full_name)),
            partner,
            last_message_preview: last.map_or_else(|| NO_MESSAGES_TEXT.to_owned(), Message::preview),
            last_message_time: last.map_or(table.room.created_at, |last| last.created_at),
            last_message_sender: last.map(|last| current_summary(&last.sender, &self.users)),
        })
    }
}

fn fresh_ids(last: &mut i64, count: usize) -> Vec<ParticipantId> {
    let fresh = (0..count).map(|_| {
        *last += 1;
        ParticipantId(*last)
    });
    fresh.collect()
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(
        &self,
        batch: &[Arc<Command>],
        wait: bool,
    ) -> Result<Vec<Option<Result<CommandOutcome, Refusal>>>, StoreError> {
        self.with_faults(StoreCall::Append { batch, wait }, async || {
            if let (true, Some(command)) = (wait, batch.first()) {
                self.wait_for(command.room).await?;
            }
            let now = self.now();
            self.state().append(batch, now)
        })
        .await
    }

    async fn open_room(&self, open: &OpenRoom) -> Result<Result<OpenedRoom, Refusal>, StoreError> {
        self.with_faults(StoreCall::OpenRoom(open), async || {
            let now = self.now();
            Ok(self.state().open_room(open, now))
        })
        .await
    }

    async fn join_context(
        &self,
        room: RoomId,
        candidates: &[UserId],
        roster: bool,
    ) -> Result<JoinContext, StoreError> {
        self.with_faults(StoreCall::Snapshot(room), async || {
            let (now, state) = (self.now(), self.state());
            let rights = candidates.iter().filter_map(|user| Some(state.access.get(user)?.0)).collect();
            Ok(JoinContext { room: state.snapshot(room, candidates, roster, now), rights })
        })
        .await
    }

    async fn events(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.with_faults(StoreCall::Events(room), async || {
            let state = self.state();
            let table = state.tables.get(&room);
            Ok(table.map(|table| table.events(after, limit, &state.users)).unwrap_or_default())
        })
        .await
    }

    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        self.with_faults(StoreCall::Changes, async || {
            Ok(self.state().changes(since.and_then(|since| since.0.parse().ok())))
        })
        .await
    }

    async fn inbox(&self, user: UserId, rooms: Option<&[RoomId]>) -> Result<Vec<InboxRoom>, StoreError> {
        self.with_faults(StoreCall::Inbox(user), async || {
            let now = self.now();
            Ok(self.state().inbox(user, rooms, now))
        })
        .await
    }

    async fn open_inbox(&self, user: UserId) -> Result<OpenedInbox, StoreError> {
        self.with_faults(StoreCall::Inbox(user), async || {
            let now = self.now();
            let state = self.state();
            Ok(OpenedInbox { rooms: state.inbox(user, None, now), personal: state.personal.bounds(user) })
        })
        .await
    }

    async fn personal_log(
        &self,
        user: UserId,
        after: PersonalSeq,
        limit: usize,
    ) -> Result<PersonalPage, StoreError> {
        self.with_faults(StoreCall::PersonalLog(user), async || {
            let now = self.now();
            let state = self.state();
            Ok(state.personal.page(user, after, limit, &state.tables, now))
        })
        .await
    }

    async fn user(&self, user: UserId) -> Result<Option<(UserSummary, UserAccess)>, StoreError> {
        self.with_faults(StoreCall::User(user), async || {
            let state = self.state();
            let known = state.users.get(&user).zip(state.access.get(&user));
            Ok(known.map(|(user, (access, _))| (user.summary.clone(), *access)))
        })
        .await
    }

    async fn bot_of_command(&self, room: RoomId, name: &str) -> Result<Option<UserId>, StoreError> {
        self.with_faults(StoreCall::BotOfCommand(room), async || {
            let state = self.state();
            let rows = state.tables.get(&room).into_iter().flat_map(|table| table.participants.values());
            let states = rows.map(|row| current_participant(row, &state.users));
            let bots = states.filter(|bot| {
                let has_command = state.bot_commands.contains(&(bot.participant.user.id, name.to_owned()));
                has_command && bot.is_active && bot.participant.is_current()
            });
            let first = bots.min_by_key(|bot| bot.participant.joined_seq);
            Ok(first.map(|bot| bot.participant.user.id))
        })
        .await
    }

    fn epoch(&self) -> Epoch {
        self.state().epoch
    }
}

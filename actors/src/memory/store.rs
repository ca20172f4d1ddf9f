//! The store in memory. Each call is one step: nothing comes between its reading and its writing, and
//! with the same calls and faults it gives the same answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeZone, Utc};
use uuid::Uuid;

use super::shelf::{People, Shelf, author_as_now, member_as_now};
use crate::domain::command::{Command, OpenRoom, Opened, Outcome, Refusal};
use crate::domain::event::Event;
use crate::domain::ids::{Epoch, ParticipantId, RoomId, Seq, UserId};
use crate::domain::ledger::Ledger;
use crate::domain::message::Message;
use crate::domain::person::{Author, Person};
use crate::domain::room::RoomType;
use crate::ports::clock::Clock;
use crate::ports::store::{
    Changes, Cursor, InboxRoom, PersonChange, RoomSnapshot, Store, StoreError, Visit, Visitor,
};

/// How long a lane waits for a room that another transaction holds.
const LOCK_WITHIN: Duration = Duration::from_millis(1_500);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A call of the store, as [`Faults`] sees it.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each is the call of that name")]
pub enum Call<'a> {
    Append { batch: &'a [Arc<Command>], wait: bool },
    OpenRoom(&'a OpenRoom),
    Snapshot(RoomId),
    Events(RoomId),
    Changes,
    Inbox(UserId),
    Person(UserId),
}

/// What happens to a call.
#[derive(Clone, Debug, Default)]
pub struct Fault {
    /// How long until it is done.
    pub before: Duration,
    /// What becomes of it then.
    pub fate: Fate,
    /// How long until the answer is there.
    pub after: Duration,
}

/// What becomes of a call.
#[derive(Clone, Debug, Default)]
pub enum Fate {
    /// It is done, and says so.
    #[default]
    Done,
    /// It isn't done.
    Fails(StoreError),
    /// It is done, and its answer is lost.
    Lost,
}

/// Decides what happens to each call.
pub trait Faults: Send + Sync + 'static {
    /// Asked once at each call.
    fn strike(&self, call: Call<'_>) -> Fault;
}

/// All goes well.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Faults for NoFaults {
    fn strike(&self, _: Call<'_>) -> Fault {
        Fault::default()
    }
}

type Veto = Box<dyn Fn(&Command) -> bool + Send>;

struct State {
    people: People,
    /// What is said last of people's names and right to be here, and in which commit.
    rights: BTreeMap<UserId, (PersonChange, u64)>,
    shelves: BTreeMap<RoomId, Shelf>,
    participants: i64,
    commits: u64,
    held: BTreeSet<RoomId>,
    veto: Veto,
    epoch: Epoch,
}

/// A store that forgets all when it is dropped.
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
    /// An empty store whose calls meet `faults`.
    #[must_use]
    pub fn new(faults: impl Faults) -> Self {
        let state = State {
            people: BTreeMap::new(),
            rights: BTreeMap::new(),
            shelves: BTreeMap::new(),
            participants: 0,
            commits: 0,
            held: BTreeSet::new(),
            veto: Box::new(|_| false),
            epoch: Epoch(Uuid::from_u128(1)),
        };
        Self { state: Mutex::new(state), faults: Box::new(faults), clock: Clock::start(start()) }
    }

    /// Puts a person into the directory, or changes what it says.
    pub fn put_person(&self, author: Author, is_active: bool) {
        let mut state = self.state();
        let kept = state.rights.get(&author.id).and_then(|(right, _)| right.tokens_valid_from);
        state.set_right(PersonChange { user: author.id, is_active, tokens_valid_from: kept });
        let is_staff = state.people.get(&author.id).is_some_and(|person| person.is_staff);
        state.people.insert(author.id, Person { author, is_active, is_staff, tokens_valid_from: kept });
    }

    /// Says whether a person of the directory is of the staff.
    pub fn set_staff(&self, user: UserId, is_staff: bool) {
        if let Some(person) = self.state().people.get_mut(&user) {
            person.is_staff = is_staff;
        }
    }

    /// Makes a person's tokens from before `second` (Unix time) void.
    pub fn revoke_tokens(&self, user: UserId, second: i64) {
        let mut state = self.state();
        if let Some((right, _)) = state.rights.get(&user).copied() {
            state.set_right(PersonChange { tokens_valid_from: Some(second), ..right });
            if let Some(person) = state.people.get_mut(&user) {
                person.tokens_valid_from = Some(second);
            }
        }
    }

    /// Holds a room's lock, as another transaction would, or lets it go.
    pub fn hold(&self, room: RoomId, is_held: bool) {
        let mut state = self.state();
        if is_held {
            state.held.insert(room)
        } else {
            state.held.remove(&room)
        };
    }

    /// Refuses the rows of commands for which `veto` is true.
    pub fn refuse(&self, veto: impl Fn(&Command) -> bool + Send + 'static) {
        self.state().veto = Box::new(veto);
    }

    /// Begins a new history.
    pub fn set_epoch(&self, epoch: Epoch) {
        self.state().epoch = epoch;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A date that moves with the clock alone, so that a run can be repeated.
    fn now(&self) -> DateTime<Utc> {
        self.clock.date()
    }

    async fn meet<T>(
        &self,
        call: Call<'_>,
        act: impl AsyncFnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let fault = self.faults.strike(call);
        pause(fault.before).await;
        if let Fate::Fails(error) = fault.fate {
            pause(fault.after).await;
            return Err(error);
        }
        let done = act().await;
        pause(fault.after).await;
        match (fault.fate, call) {
            (Fate::Lost, Call::Append { .. } | Call::OpenRoom(_)) => {
                done.and(Err(StoreError::OutcomeUnknown))
            }
            (Fate::Lost, _) => Err(StoreError::Unavailable("the answer was lost".into())),
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
    fn set_right(&mut self, right: PersonChange) {
        self.commits += 1;
        self.rights.insert(right.user, (right, self.commits));
    }

    fn append(
        &mut self,
        batch: &[Arc<Command>],
        now: DateTime<Utc>,
    ) -> Result<Vec<Option<Result<Outcome, Refusal>>>, StoreError> {
        let mut wanted: BTreeMap<RoomId, Vec<&Command>> = BTreeMap::new();
        for command in batch {
            wanted.entry(command.room).or_default().push(command);
        }
        let mut ledgers = BTreeMap::new();
        for (room, commands) in wanted {
            let Some(shelf) = self.shelves.get(&room).filter(|_| !self.held.contains(&room)) else {
                continue;
            };
            let mut ledger = shelf.ledger(&commands, &self.people, now);
            let adds = commands.iter().filter(|command| command.needs().person.is_some());
            ledger.fresh_ids = fresh_ids(&mut self.participants, adds.count());
            ledgers.insert(room, ledger);
        }
        let mut answers = Vec::with_capacity(batch.len());
        for command in batch {
            answers.push(match ledgers.get_mut(&command.room) {
                Some(ledger) => Some(ledger.apply(command)),
                None if self.shelves.contains_key(&command.room) => None,
                None => Some(Err(Refusal::RoomNotFound)),
            });
        }
        let is_done = |answer: &Option<Result<Outcome, Refusal>>| matches!(answer, Some(Ok(_)));
        if batch.iter().zip(&answers).any(|(command, answer)| is_done(answer) && (self.veto)(command)) {
            return Err(StoreError::RowRefused);
        }
        self.commits += 1;
        for (room, ledger) in &ledgers {
            if let Some(shelf) = self.shelves.get_mut(room) {
                shelf.take(ledger, self.commits);
            }
        }
        for (command, answer) in batch.iter().zip(&answers) {
            if let (Some(Ok(outcome)), Some(shelf)) = (answer, self.shelves.get_mut(&command.room)) {
                shelf.record(command, outcome, self.commits);
            }
        }
        Ok(answers)
    }

    fn open_room(&mut self, open: &OpenRoom, now: DateTime<Utc>) -> Result<Opened, Refusal> {
        let people = open.cast(&self.people)?;
        if self.shelves.contains_key(&open.id) {
            return Ok(Opened { room: open.id, made: true, events: Vec::new() });
        }
        let fresh = fresh_ids(&mut self.participants, people.len());
        let (mut ledger, events, made) = match self.find(open) {
            Some(room) => {
                let shelf = &self.shelves[&room];
                let mut ledger = Ledger::new(shelf.room.clone(), now.max(shelf.room.modified_at));
                shelf.lend_roster(&mut ledger, &self.people);
                ledger.people = people.into_iter().map(|(person, _)| (person.author.id, person)).collect();
                ledger.fresh_ids = fresh;
                let events = ledger.reopen(open)?;
                (ledger, events, false)
            }
            None if open.may_make() => {
                let (ledger, events) = Ledger::found(open, people, fresh, now);
                (ledger, events, true)
            }
            None => return Err(Refusal::Forbidden),
        };
        let room = ledger.room.id;
        ledger.messages.clear();
        self.commits += 1;
        let commit = self.commits;
        let shelf = self.shelves.entry(room).or_insert_with(|| Shelf::new(ledger.room.clone(), commit));
        shelf.take(&ledger, commit);
        shelf.extend(&events, commit);
        Ok(Opened { room, made, events })
    }

    /// The room there may be only one of.
    fn find(&self, open: &OpenRoom) -> Option<RoomId> {
        let pair = open.pair();
        let is_it = |shelf: &Shelf| match open.room_type {
            RoomType::Group => false,
            RoomType::Direct => pair.is_some_and(|(low, high)| {
                shelf.room.room_type == RoomType::Direct
                    && shelf.places.contains_key(&low)
                    && shelf.places.contains_key(&high)
            }),
            RoomType::Task | RoomType::Property => shelf.room.subject == open.subject,
        };
        self.shelves.values().find(|shelf| !shelf.room.is_deleted && is_it(shelf)).map(|shelf| shelf.room.id)
    }

    fn snapshot(&self, room: RoomId, visitors: &[UserId], roster: bool) -> Option<RoomSnapshot> {
        let shelf = self.shelves.get(&room).filter(|shelf| !shelf.room.is_deleted)?;
        let visitors: BTreeSet<UserId> = visitors.iter().copied().collect();
        let visitors = visitors.into_iter().filter_map(|user| {
            let place = shelf.places.get(&user)?;
            let member = member_as_now(place, &self.people);
            let may = member.is_active && member.participant.is_in();
            let (person, unread) = (member.participant.user, shelf.unread(place));
            may.then_some(Visitor { person, unread })
        });
        let mut places: Vec<_> =
            shelf.places.values().filter(|place| roster && place.member.participant.is_in()).collect();
        places.sort_by_key(|place| place.member.participant.id);
        Some(RoomSnapshot {
            room: shelf.room.clone(),
            visitors: visitors.collect(),
            roster: places.iter().map(|place| member_as_now(place, &self.people).participant).collect(),
            marks: places.iter().filter_map(|place| shelf.mark(place)).collect(),
        })
    }

    fn changes(&self, since: Option<u64>) -> Changes {
        let since = since.unwrap_or(self.commits);
        let grown = self.shelves.values().filter(|shelf| shelf.grown > since);
        let moved = self.shelves.iter().flat_map(|(room, shelf)| {
            let moved = shelf.places.values().filter(|place| place.moved.is_some_and(|(_, at)| at > since));
            moved.filter_map(|place| Some((*room, shelf.mark(place)?)))
        });
        let joined: BTreeSet<_> =
            grown.clone().flat_map(|shelf| shelf.joined(since).map(|user| (shelf.room.id, user))).collect();
        let muted = self.shelves.iter().flat_map(|(room, shelf)| {
            let muted = shelf.places.iter().filter(|(_, place)| place.muted_in.is_some_and(|at| at > since));
            muted.map(|(user, _)| (*room, *user))
        });
        let people = self.rights.values().filter(|(_, commit)| *commit > since);
        Changes {
            epoch: self.epoch,
            next: Cursor(self.commits.to_string().into()),
            rooms: grown.map(|shelf| (shelf.room.id, shelf.room.head)).collect(),
            joined: joined.into_iter().collect(),
            marks: moved.collect(),
            mutes: muted.collect(),
            people: people.map(|(change, _)| *change).collect(),
        }
    }

    fn inbox(&self, user: UserId, rooms: Option<&[RoomId]>, now: DateTime<Utc>) -> Vec<InboxRoom> {
        let mut shelves: Vec<&Shelf> = self
            .shelves
            .values()
            .filter(|shelf| {
                !shelf.room.is_deleted && rooms.is_none_or(|rooms| rooms.contains(&shelf.room.id))
            })
            .collect();
        shelves.sort_by_key(|shelf| (std::cmp::Reverse(shelf.room.modified_at), shelf.room.id));
        shelves.into_iter().filter_map(|shelf| self.inbox_room(shelf, user, now)).collect()
    }

    fn inbox_room(&self, shelf: &Shelf, user: UserId, now: DateTime<Utc>) -> Option<InboxRoom> {
        let place = shelf.places.get(&user).filter(|place| place.member.participant.is_in())?;
        let is_direct = shelf.room.room_type == RoomType::Direct;
        let partner =
            shelf.places.values().find(|place| is_direct && place.member.participant.user.id != user);
        let partner = partner.map(|partner| member_as_now(partner, &self.people).participant.user);
        let last = shelf.last_message();
        let member = &place.member;
        Some(InboxRoom {
            room: shelf.room.clone(),
            unread_after: member.participant.unread_after(),
            unread: shelf.unread(place),
            is_muted: member.is_muted && member.muted_until.is_none_or(|until| until > now),
            muted_until: member.muted_until.filter(|until| member.is_muted && *until > now),
            display_name: shelf.room.display_name(partner.as_ref().map(|partner| &*partner.full_name)),
            partner,
            last_message_preview: last.map_or_else(|| "No messages yet".to_owned(), Message::preview),
            last_message_time: last.map_or(shelf.room.created_at, |last| last.created_at),
            last_message_sender: last.map(|last| author_as_now(&last.sender, &self.people)),
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
    ) -> Result<Vec<Option<Result<Outcome, Refusal>>>, StoreError> {
        self.meet(Call::Append { batch, wait }, async || {
            if let (true, Some(command)) = (wait, batch.first()) {
                self.wait_for(command.room).await?;
            }
            let now = self.now();
            self.state().append(batch, now)
        })
        .await
    }

    async fn open_room(&self, open: &OpenRoom) -> Result<Result<Opened, Refusal>, StoreError> {
        self.meet(Call::OpenRoom(open), async || {
            let now = self.now();
            Ok(self.state().open_room(open, now))
        })
        .await
    }

    async fn visit(&self, room: RoomId, visitors: &[UserId], roster: bool) -> Result<Visit, StoreError> {
        self.meet(Call::Snapshot(room), async || {
            let state = self.state();
            let rights = visitors.iter().filter_map(|user| Some(state.rights.get(user)?.0)).collect();
            Ok(Visit { room: state.snapshot(room, visitors, roster), rights })
        })
        .await
    }

    async fn events(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.meet(Call::Events(room), async || {
            let state = self.state();
            let shelf = state.shelves.get(&room);
            Ok(shelf.map(|shelf| shelf.events(after, limit, &state.people)).unwrap_or_default())
        })
        .await
    }

    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        self.meet(Call::Changes, async || {
            Ok(self.state().changes(since.and_then(|since| since.0.parse().ok())))
        })
        .await
    }

    async fn inbox(&self, user: UserId, rooms: Option<&[RoomId]>) -> Result<Vec<InboxRoom>, StoreError> {
        self.meet(Call::Inbox(user), async || {
            let now = self.now();
            Ok(self.state().inbox(user, rooms, now))
        })
        .await
    }

    async fn person(&self, user: UserId) -> Result<Option<(Author, PersonChange)>, StoreError> {
        self.meet(Call::Person(user), async || {
            let state = self.state();
            let known = state.people.get(&user).zip(state.rights.get(&user));
            Ok(known.map(|(person, (right, _))| (person.author.clone(), *right)))
        })
        .await
    }

    fn epoch(&self) -> Epoch {
        self.state().epoch
    }
}

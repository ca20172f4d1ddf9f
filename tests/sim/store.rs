//! A node's way to the one store: it may be slow, fail, lose answers, be cut off, and ends with the node.
//! What commits is written into the history at the moment of its commit.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actors::domain::command::{Command, OpenRoom, Opened, Outcome, Refusal};
use actors::domain::event::{Event, EventBody};
use actors::domain::ids::{Epoch, RoomId, Seq, UserId};
use actors::domain::person::Author;
use actors::memory::store::MemoryStore;
use actors::ports::store::{Changes, Cursor, InboxRoom, PersonChange, Store, StoreError, Visit};
use async_trait::async_trait;

use crate::chance::Chance;
use crate::history::{Fact, Recorder, Row};

/// How bad the store is; chances are of a hundred.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    /// Calls that take long.
    pub(crate) slow: u32,
    /// Calls that fail.
    pub(crate) fails: u32,
    /// Calls whose answer is lost.
    pub(crate) lost: u32,
}

/// Whether a node lives, and reaches the store.
#[derive(Debug, Default)]
pub(crate) struct Life {
    dead: AtomicBool,
    cut_off: AtomicBool,
}

impl Life {
    pub(crate) fn end(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    pub(crate) fn cut_off(&self, is_cut_off: bool) {
        self.cut_off.store(is_cut_off, Ordering::Relaxed);
    }

    fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Relaxed)
    }
}

/// The store, as all nodes share it.
pub(crate) struct Truth {
    pub(crate) store: MemoryStore,
    pub(crate) recorder: Recorder,
    rooms: Mutex<BTreeSet<RoomId>>,
    trouble: Mutex<Trouble>,
}

impl Truth {
    pub(crate) fn new(recorder: Recorder) -> Self {
        Self { store: MemoryStore::default(), recorder, rooms: Mutex::default(), trouble: Mutex::default() }
    }

    pub(crate) fn set_trouble(&self, trouble: Trouble) {
        *locked(&self.trouble) = trouble;
    }

    /// The rooms there are.
    pub(crate) fn rooms(&self) -> Vec<RoomId> {
        locked(&self.rooms).iter().copied().collect()
    }

    /// Writes down what the logs have gained, as it was at the commit.
    pub(crate) fn record<'a>(&self, events: impl IntoIterator<Item = &'a Event>) {
        for event in events {
            self.recorder.note(Fact::Committed(row_of(event)));
            locked(&self.rooms).insert(event.room);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a frame of this event has to say.
fn row_of(event: &Event) -> Row {
    let kind = match &event.body {
        EventBody::RoomCreated(_) | EventBody::RoomUpdated(_) => "room_updated",
        EventBody::RoomDeleted => "room_deleted",
        EventBody::MessagePosted(_) => "chat_message",
        EventBody::MessageEdited(_) => "message_updated",
        EventBody::MessageDeleted { .. } => "message_deleted",
        EventBody::ParticipantJoined(_) => "participant_joined",
        EventBody::ParticipantLeft(_) => "participant_left",
        EventBody::ParticipantUpdated(_) => "participant_updated",
    };
    let message = match &event.body {
        EventBody::MessagePosted(message) | EventBody::MessageEdited(message) => Some(message),
        _ => None,
    };
    let name = match &event.body {
        EventBody::RoomCreated(room) | EventBody::RoomUpdated(room) => Some(room.name.clone()),
        _ => None,
    };
    let says = match &event.body {
        EventBody::RoomCreated(room) | EventBody::RoomUpdated(room) => Some(room.room_type.as_str()),
        EventBody::MessageDeleted { removed_by, .. } => Some(removed_by.as_str()),
        body => body.participant().map(|participant| participant.role.as_str()),
    };
    Row {
        room: event.room,
        seq: event.seq,
        kind: kind.to_owned(),
        message: event.body.message(),
        text: message.map(|message| message.content.clone()).or(name),
        rev: message.map(|message| message.rev),
        client_id: message.and_then(|message| message.client_id),
        user: message
            .map(|message| message.sender.id)
            .or_else(|| event.body.participant().map(|participant| participant.user.id)),
        says: says.map(str::to_owned),
        by: event.by,
    }
}

/// What becomes of one call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    Fails,
    NeverDone,
    Lost,
}

/// One node's way to the store.
pub(crate) struct NodeStore {
    truth: Arc<Truth>,
    life: Arc<Life>,
    chance: Mutex<Chance>,
}

impl NodeStore {
    pub(crate) fn new(truth: Arc<Truth>, life: Arc<Life>, chance: Chance) -> Self {
        Self { truth, life, chance: Mutex::new(chance) }
    }

    fn draw(&self) -> (Fate, Duration, Duration) {
        let trouble = locked(&self.truth.trouble).clone();
        let mut chance = locked(&self.chance);
        let mut take = || match chance.percent(trouble.slow) {
            true => chance.millis(5..1_500),
            false => chance.millis(0..4),
        };
        let (before, after) = (take(), take());
        let fate = match chance.below(100) as u32 {
            at if at < trouble.fails => Fate::Fails,
            at if at < trouble.fails + trouble.lost => Fate::Lost,
            at if at < trouble.fails + trouble.lost * 3 / 2 => Fate::NeverDone,
            _ => Fate::Done,
        };
        (fate, before, after)
    }

    /// Waits for a call's turn; what comes back is to be handed to [`Self::end`].
    async fn begin(&self, is_write: bool) -> Result<(Fate, Duration), StoreError> {
        let (fate, before, after) = self.draw();
        self.wait(before).await;
        if self.life.is_cut_off() || fate == Fate::Fails {
            self.wait(after).await;
            return Err(StoreError::Unavailable("simulated".into()));
        }
        if fate == Fate::NeverDone {
            self.wait(after).await;
            return Err(unknown(is_write));
        }
        Ok((fate, after))
    }

    /// Waits until the answer is there.
    async fn end<T>(
        &self,
        (fate, after): (Fate, Duration),
        done: Result<T, StoreError>,
        is_write: bool,
    ) -> Result<T, StoreError> {
        self.wait(after).await;
        if fate == Fate::Lost || self.life.is_cut_off() {
            return done.and_then(|_| Err(unknown(is_write)));
        }
        done
    }

    /// Lets time pass; a node that has died meanwhile hears nothing any more.
    async fn wait(&self, time: Duration) {
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        if self.life.is_dead() {
            std::future::pending::<()>().await;
        }
    }
}

fn unknown(is_write: bool) -> StoreError {
    if is_write { StoreError::OutcomeUnknown } else { StoreError::Unavailable("the answer was lost".into()) }
}

#[async_trait]
impl Store for NodeStore {
    async fn append(
        &self,
        batch: &[Arc<Command>],
        wait: bool,
    ) -> Result<Vec<Option<Result<Outcome, Refusal>>>, StoreError> {
        let begun = self.begin(true).await?;
        let done = self.truth.store.append(batch, wait).await;
        let outcomes = done.iter().flatten().flatten().flatten();
        self.truth.record(outcomes.flat_map(|outcome| &outcome.events));
        self.end(begun, done, true).await
    }

    async fn open_room(&self, open: &OpenRoom) -> Result<Result<Opened, Refusal>, StoreError> {
        let begun = self.begin(true).await?;
        let done = self.truth.store.open_room(open).await;
        if let Ok(Ok(opened)) = &done {
            self.truth.record(&opened.events);
        }
        self.end(begun, done, true).await
    }

    async fn visit(&self, room: RoomId, visitors: &[UserId], roster: bool) -> Result<Visit, StoreError> {
        let begun = self.begin(false).await?;
        let done = self.truth.store.visit(room, visitors, roster).await;
        self.end(begun, done, false).await
    }

    async fn events(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        let begun = self.begin(false).await?;
        let done = self.truth.store.events(room, after, limit).await;
        self.end(begun, done, false).await
    }

    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        let begun = self.begin(false).await?;
        let done = self.truth.store.changes(since).await;
        self.end(begun, done, false).await
    }

    async fn inbox(&self, user: UserId, rooms: Option<&[RoomId]>) -> Result<Vec<InboxRoom>, StoreError> {
        let begun = self.begin(false).await?;
        let done = self.truth.store.inbox(user, rooms).await;
        self.end(begun, done, false).await
    }

    async fn person(&self, user: UserId) -> Result<Option<(Author, PersonChange)>, StoreError> {
        let begun = self.begin(false).await?;
        let done = self.truth.store.person(user).await;
        self.end(begun, done, false).await
    }

    fn epoch(&self) -> Epoch {
        self.truth.store.epoch()
    }
}

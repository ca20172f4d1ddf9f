//! A node's access to the shared store: it may be slow, fail, lose answers or be cut off, and ends with the node.
//! Commits are recorded in the history at the moment they happen.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actors::domain::command::{Command, CommandOutcome, OpenRoom, OpenedRoom, Refusal};
use actors::domain::event::{Event, EventBody, EventKind, EventSubject};
use actors::domain::ids::{Epoch, PersonalSeq, RoomId, Seq, UserId};
use actors::domain::personal::PersonalPage;
use actors::domain::user::UserSummary;
use actors::memory::store::MemoryStore;
use actors::ports::store::{
    Changes, Cursor, InboxRoom, JoinContext, OpenedInbox, Store, StoreError, UserAccess,
};
use async_trait::async_trait;

use crate::history::{Fact, Recorder, Row};
use crate::rng::Rng;

/// The faults of the store; chances are in percent.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreFaults {
    /// Calls that take long.
    pub(crate) slow: u32,
    /// Calls that fail.
    pub(crate) fails: u32,
    /// Calls whose answer is lost.
    pub(crate) lost: u32,
}

/// Whether a node is alive and reaches the store.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    dead: AtomicBool,
    cut_off: AtomicBool,
}

impl Liveness {
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

/// The store that all nodes share.
pub(crate) struct SharedStore {
    pub(crate) store: MemoryStore,
    pub(crate) recorder: Recorder,
    rooms: Mutex<BTreeSet<RoomId>>,
    store_faults: Mutex<StoreFaults>,
}

impl SharedStore {
    pub(crate) fn new(recorder: Recorder) -> Self {
        Self {
            store: MemoryStore::default(),
            recorder,
            rooms: Mutex::default(),
            store_faults: Mutex::default(),
        }
    }

    pub(crate) fn set_faults(&self, store_faults: StoreFaults) {
        *locked(&self.store_faults) = store_faults;
    }

    /// The rooms.
    pub(crate) fn rooms(&self) -> Vec<RoomId> {
        locked(&self.rooms).iter().copied().collect()
    }

    /// Records the rows that the logs have gained, as of their commit.
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

/// What a frame of this event shows.
fn row_of(event: &Event) -> Row {
    let facts = event.body.facts();
    let kind = match event.body.kind() {
        EventKind::RoomCreated | EventKind::RoomUpdated => "room_updated",
        EventKind::MessagePosted => "chat_message",
        EventKind::MessageEdited => "message_updated",
        kind => kind.as_str(),
    };
    let message = match facts.subject {
        EventSubject::NewMessage(message) | EventSubject::Message(message) => Some(message),
        _ => None,
    };
    let name = facts.room().map(|room| room.name.clone());
    let says = match &event.body {
        EventBody::MessageDeleted(deletion) => Some(deletion.removed_by.as_str().to_owned()),
        EventBody::Reaction(change) => Some(format!("{} {}", change.emoji, change.added)),
        EventBody::MessagePinned(change) => Some(change.pinned.to_string()),
        _ => facts
            .room()
            .map(|room| room.room_type.as_str())
            .or_else(|| facts.participant().map(|participant| participant.role.as_str()))
            .map(str::to_owned),
    };
    let acting = match &event.body {
        EventBody::Reaction(change) => Some(change.user),
        EventBody::MessagePinned(_) => event.by,
        EventBody::MessageAcknowledged(given) => Some(given.user),
        _ => None,
    };
    Row {
        room: event.room,
        seq: event.seq,
        kind: kind.to_owned(),
        message: facts.message_id(),
        text: message.map(|message| message.content.clone()).or(name),
        rev: message.map(|message| message.rev),
        client_id: message.and_then(|message| message.client_id),
        root: facts.thread_root,
        user: message
            .map(|message| message.sender.id)
            .or(acting)
            .or_else(|| facts.participant().map(|participant| participant.user.id)),
        says,
        by: event.by,
        settings: facts.room().map(|room| room.settings.clone()),
    }
}

/// What happens to one call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CallFate {
    Done,
    Fails,
    NeverDone,
    Lost,
}

/// One node's access to the store.
pub(crate) struct NodeStore {
    shared_store: Arc<SharedStore>,
    liveness: Arc<Liveness>,
    rng: Mutex<Rng>,
}

impl NodeStore {
    pub(crate) fn new(shared_store: Arc<SharedStore>, liveness: Arc<Liveness>, rng: Rng) -> Self {
        Self { shared_store, liveness, rng: Mutex::new(rng) }
    }

    fn draw(&self) -> (CallFate, Duration, Duration) {
        let store_faults = locked(&self.shared_store.store_faults).clone();
        let mut rng = locked(&self.rng);
        let mut take = || match rng.percent(store_faults.slow) {
            true => rng.millis(5..1_500),
            false => rng.millis(0..4),
        };
        let (before, after) = (take(), take());
        let call_fate = match rng.below(100) as u32 {
            at if at < store_faults.fails => CallFate::Fails,
            at if at < store_faults.fails + store_faults.lost => CallFate::Lost,
            at if at < store_faults.fails + store_faults.lost * 3 / 2 => CallFate::NeverDone,
            _ => CallFate::Done,
        };
        (call_fate, before, after)
    }

    /// Starts a call; what it returns goes to [`Self::end`].
    async fn begin(&self, is_write: bool) -> Result<(CallFate, Duration), StoreError> {
        let (call_fate, before, after) = self.draw();
        self.wait(before).await;
        if self.liveness.is_cut_off() || call_fate == CallFate::Fails {
            self.wait(after).await;
            return Err(StoreError::Unavailable("simulated".into()));
        }
        if call_fate == CallFate::NeverDone {
            self.wait(after).await;
            return Err(unknown(is_write));
        }
        Ok((call_fate, after))
    }

    /// Waits for the answer.
    async fn end<T>(
        &self,
        (call_fate, after): (CallFate, Duration),
        done: Result<T, StoreError>,
        is_write: bool,
    ) -> Result<T, StoreError> {
        self.wait(after).await;
        if call_fate == CallFate::Lost || self.liveness.is_cut_off() {
            return done.and_then(|_| Err(unknown(is_write)));
        }
        done
    }

    /// Lets time pass; for a node that has died meanwhile, it never ends.
    async fn wait(&self, time: Duration) {
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        if self.liveness.is_dead() {
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
    ) -> Result<Vec<Option<Result<CommandOutcome, Refusal>>>, StoreError> {
        let begun = self.begin(true).await?;
        let done = self.shared_store.store.append(batch, wait).await;
        let outcomes = done.iter().flatten().flatten().flatten();
        self.shared_store.record(outcomes.flat_map(|outcome| &outcome.events));
        self.end(begun, done, true).await
    }

    async fn open_room(&self, open: &OpenRoom) -> Result<Result<OpenedRoom, Refusal>, StoreError> {
        let begun = self.begin(true).await?;
        let done = self.shared_store.store.open_room(open).await;
        if let Ok(Ok(opened)) = &done {
            self.shared_store.record(&opened.events);
        }
        self.end(begun, done, true).await
    }

    async fn join_context(
        &self,
        room: RoomId,
        candidates: &[UserId],
        roster: bool,
    ) -> Result<JoinContext, StoreError> {
        let begun = self.begin(false).await?;
        let done = self.shared_store.store.join_context(room, candidates, roster).await;
        self.end(begun, done, false).await
    }

    async fn events(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        let begun = self.begin(false).await?;
        let done = self.shared_store.store.events(room, after, limit).await;
        self.end(begun, done, false).await
    }

    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        let begun = self.begin(false).await?;
        let done = self.shared_store.store.changes(since).await;
        self.end(begun, done, false).await
    }

    async fn inbox(&self, user: UserId, rooms: Option<&[RoomId]>) -> Result<Vec<InboxRoom>, StoreError> {
        let begun = self.begin(false).await?;
        let done = self.shared_store.store.inbox(user, rooms).await;
        self.end(begun, done, false).await
    }

    async fn open_inbox(&self, user: UserId) -> Result<OpenedInbox, StoreError> {
        let begun = self.begin(false).await?;
        let done = self.shared_store.store.open_inbox(user).await;
        self.end(begun, done, false).await
    }

    async fn personal_log(
        &self,
        user: UserId,
        after: PersonalSeq,
        limit: usize,
    ) -> Result<PersonalPage, StoreError> {
        let begun = self.begin(false).await?;
        let done = self.shared_store.store.personal_log(user, after, limit).await;
        self.end(begun, done, false).await
    }

    async fn bot_of_command(&self, room: RoomId, name: &str) -> Result<Option<UserId>, StoreError> {
        let begun = self.begin(false).await?;
        let done = self.shared_store.store.bot_of_command(room, name).await;
        self.end(begun, done, false).await
    }

    async fn user(&self, user: UserId) -> Result<Option<(UserSummary, UserAccess)>, StoreError> {
        let begun = self.begin(false).await?;
        let done = self.shared_store.store.user(user).await;
        self.end(begun, done, false).await
    }

    fn epoch(&self) -> Epoch {
        self.shared_store.store.epoch()
    }
}

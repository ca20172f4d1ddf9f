//! Makes a room, or finds the one there is of its pair or subject.
//!
//! The table's unique keys decide between those who make the same room at once: the row of the first
//! stands, and the others wait for it, lock it and come in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actors::domain::command::{OpenRoom, Opened, Refusal};
use actors::domain::event::Event;
use actors::domain::ids::{ParticipantId, RoomId, UserId};
use actors::domain::ledger::Ledger;
use actors::domain::participant::Role;
use actors::domain::person::Person;
use actors::domain::room::RoomType;
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresStore;
use super::append::{abandon, finish, roll_back};
use super::errors::{Failure, within};
use super::ledgers::{CLOCK, FRESH_IDS, LOCK, Locked, PEOPLE, ROSTERS, ask};
use super::rows;
use super::writes::Writes;

/// How often it is tried when deadlocks or deletions come in between.
const TRIES_MAX: u32 = 4;
/// How long all before the commit may take: several round trips, and waits for those who make the same.
const JUDGE_WITHIN: Duration = Duration::from_secs(4);

/// The room there is of a pair, a task or a property, or what an earlier try of the same call made.
const FIND: &str = "SELECT id FROM rooms WHERE deleted_at IS NULL \
     AND ((pair_low = $1 AND pair_high = $2) OR task = $3 OR property = $4 OR id = $5)";

const MAKE: &str = "INSERT INTO rooms (id, room_type, name, title, task, property, pair_low, pair_high, \
     created_by, created_at, modified_at, head) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, 0) ON CONFLICT DO NOTHING";

/// What came out under the locks.
enum Verdict {
    /// This is written.
    Write { made: bool, locked: Locked, events: Vec<Event> },
    /// There is nothing to write.
    Stands(Opened),
    /// A rule says no.
    Refused(Refusal),
    /// The room that was in the way is gone.
    Again,
}

/// See [`actors::ports::store::Store::open_room`].
pub(super) async fn open_room(
    store: &PostgresStore,
    open: &OpenRoom,
) -> Result<Result<Opened, Refusal>, StoreError> {
    let mut tries = 1;
    loop {
        match attempt(store, open).await {
            Err(Failure::Again) if tries < TRIES_MAX => tries += 1,
            done => return done.map_err(Failure::into_error),
        }
    }
}

async fn attempt(store: &PostgresStore, open: &OpenRoom) -> Result<Result<Opened, Refusal>, Failure> {
    let client = store.pools.write().await?;
    let verdict = match within(JUDGE_WITHIN, judge(&client, open)).await {
        Ok(verdict) => verdict,
        Err(failure) => return Err(abandon(client, failure).await),
    };
    let (made, locked, events) = match verdict {
        Verdict::Write { made, locked, events } => (made, locked, events),
        Verdict::Stands(opened) => {
            roll_back(client).await;
            return Ok(Ok(opened));
        }
        Verdict::Refused(refusal) => {
            roll_back(client).await;
            return Ok(Err(refusal));
        }
        Verdict::Again => {
            roll_back(client).await;
            return Err(Failure::Again);
        }
    };
    let room = events.first().map_or(open.id, |event| event.room);
    let mut writes = Writes::default();
    writes.add_events(&events);
    finish(store, client, &writes, &locked).await?;
    Ok(Ok(Opened { room, made, events }))
}

/// Finds or makes the room's row, and lets the rules speak.
async fn judge(client: &ClientWrapper, open: &OpenRoom) -> Result<Verdict, tokio_postgres::Error> {
    client.batch_execute("BEGIN").await?;
    let people = match first_people(client, open).await? {
        Ok(people) => people,
        Err(refusal) => return Ok(Verdict::Refused(refusal)),
    };
    if let Some(room) = find(client, open).await? {
        return reopen(client, open, room, people).await;
    }
    if !open.may_make() {
        return Ok(Verdict::Refused(Refusal::Forbidden));
    }
    let clock = client.query_one(CLOCK, &[]).await?;
    let now: DateTime<Utc> = clock.get(0);
    if !make(client, open, now).await? {
        // Another has made it since; a statement of now sees it.
        return match find(client, open).await? {
            Some(room) => reopen(client, open, room, people).await,
            None => Ok(Verdict::Again),
        };
    }
    let count = i64::try_from(people.len()).unwrap_or(i64::MAX);
    let fresh = fresh_ids(client, count).await?;
    let (ledger, events) = Ledger::found(open, people, fresh, now);
    let ledgers = BTreeMap::from([(open.id, ledger)]);
    let locked = Locked { ledgers, held: BTreeSet::new(), xid: clock.get(1) };
    Ok(Verdict::Write { made: true, locked, events })
}

/// Who shall be in the room, the one who asks before all others, each once, and with which role.
async fn first_people(
    client: &ClientWrapper,
    open: &OpenRoom,
) -> Result<Result<Vec<(Person, Role)>, Refusal>, tokio_postgres::Error> {
    let ids = open.first_people();
    let wanted: Vec<i64> = ids.iter().map(|user| user.0).collect();
    let statement = client.prepare_cached(PEOPLE).await?;
    let rows = client.query(&statement, &[&wanted]).await?;
    let known: BTreeMap<UserId, Person> =
        rows.iter().map(rows::person).map(|person| (person.author.id, person)).collect();
    Ok(open.cast(&known))
}

async fn find(client: &ClientWrapper, open: &OpenRoom) -> Result<Option<RoomId>, tokio_postgres::Error> {
    let keys = Keys::of(open);
    let statement = client.prepare_cached(FIND).await?;
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
        [&keys.low, &keys.high, &keys.task, &keys.property, &open.id.0];
    let row = client.query_opt(&statement, &params).await?;
    Ok(row.map(|row| RoomId(row.get(0))))
}

async fn make(
    client: &ClientWrapper,
    open: &OpenRoom,
    now: DateTime<Utc>,
) -> Result<bool, tokio_postgres::Error> {
    let keys = Keys::of(open);
    let statement = client.prepare_cached(MAKE).await?;
    let made = client
        .execute(
            &statement,
            &[
                &open.id.0,
                &open.room_type.as_str(),
                &open.name,
                &open.told_title(),
                &keys.task,
                &keys.property,
                &keys.low,
                &keys.high,
                &open.by.person().map(|user| user.0),
                &now,
            ],
        )
        .await?;
    Ok(made > 0)
}

/// Locks the room there is, and lets in by it who may come in.
async fn reopen(
    client: &ClientWrapper,
    open: &OpenRoom,
    room: RoomId,
    people: Vec<(Person, Role)>,
) -> Result<Verdict, tokio_postgres::Error> {
    let ids: Vec<Uuid> = vec![room.0];
    let lock = client.prepare_cached(LOCK).await?;
    let roster = client.prepare_cached(ROSTERS).await?;
    let fresh = client.prepare_cached(FRESH_IDS).await?;
    let count = i64::try_from(people.len()).unwrap_or(i64::MAX);
    let (row, roster, fresh) = futures_util::join!(
        ask(client, Some(&lock), [&ids]),
        ask(client, Some(&roster), [&ids]),
        ask(client, Some(&fresh), [&count]),
    );
    let (mut locked, roster, fresh) = (Locked::of(&row?), roster?, fresh?);
    let Some(ledger) = locked.ledgers.get_mut(&room).filter(|ledger| !ledger.room.is_deleted) else {
        return Ok(Verdict::Again);
    };
    ledger.members =
        roster.iter().map(rows::member).map(|member| (member.participant.user.id, member)).collect();
    ledger.people = people.into_iter().map(|(person, _)| (person.author.id, person)).collect();
    ledger.fresh_ids = ids_of(&fresh);
    // A group room is found by its own id alone: it is what an earlier try of this call made.
    let made = open.room_type == RoomType::Group || room == open.id;
    if made {
        return Ok(Verdict::Stands(Opened { room, made, events: Vec::new() }));
    }
    match ledger.reopen(open) {
        Ok(events) if events.is_empty() => Ok(Verdict::Stands(Opened { room, made, events })),
        Ok(events) => Ok(Verdict::Write { made, locked, events }),
        Err(refusal) => Ok(Verdict::Refused(refusal)),
    }
}

async fn fresh_ids(client: &ClientWrapper, count: i64) -> Result<Vec<ParticipantId>, tokio_postgres::Error> {
    let statement = client.prepare_cached(FRESH_IDS).await?;
    Ok(ids_of(&client.query(&statement, &[&count]).await?))
}

fn ids_of(rows: &[Row]) -> Vec<ParticipantId> {
    rows.iter().map(|row| ParticipantId(row.get(0))).collect()
}

/// What there may be only one room of.
struct Keys {
    low: Option<i64>,
    high: Option<i64>,
    task: Option<i64>,
    property: Option<i64>,
}

impl Keys {
    fn of(open: &OpenRoom) -> Self {
        let pair = open.pair();
        Self {
            low: pair.map(|(low, _)| low.0),
            high: pair.map(|(_, high)| high.0),
            task: open.task(),
            property: open.property(),
        }
    }
}

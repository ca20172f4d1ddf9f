//! Creates a room, or finds the existing one of its pair or subject.
//!
//! The table's unique keys decide between concurrent calls for the same room: the first inserts the row, and
//! the others wait for it, lock it and join.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actors::domain::aggregate::RoomAggregate;
use actors::domain::command::{OpenRoom, OpenedRoom, Refusal};
use actors::domain::event::Event;
use actors::domain::features::Entrants;
use actors::domain::ids::{ParticipantId, RoomId, UserId};
use actors::domain::room::RoomType;
use actors::domain::user::User;
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::append::commit;
use super::load_locked::{CLOCK, LOCK_ROOMS, LockedRooms, ROSTERS, UNUSED_PARTICIPANT_IDS, USERS};
use super::write_set::WriteSet;
use crate::store::postgres::PostgresStore;
use crate::store::postgres::blocks::{IS_BLOCKED, LOCK_PAIR};
use crate::store::postgres::pool::errors::{Failure, with_timeout};
use crate::store::postgres::pool::pipeline::query_if;
use crate::store::postgres::rows;

/// How often a call is tried that loses a deadlock or meets a deleted room.
const TRIES_MAX: u32 = 4;
/// How long everything before the commit may take: several round trips, and waiting for concurrent calls.
const DECIDE_WITHIN: Duration = Duration::from_secs(4);

/// The existing room of a pair, a task or a property, or the one that an earlier attempt of this call created.
const FIND: &str = "SELECT id FROM rooms WHERE deleted_at IS NULL \
     AND ((pair_low = $1 AND pair_high = $2) OR task = $3 OR property = $4 OR id = $5)";

const INSERT_ROOM: &str = "INSERT INTO rooms (id, room_type, name, title, task, property, pair_low, pair_high, \
     created_by, created_at, modified_at, head) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, 0) ON CONFLICT DO NOTHING";

/// What is to be done, decided under the locks.
enum Decision {
    Write {
        created: bool,
        locked: LockedRooms,
        events: Vec<Event>,
        unknown: Vec<UserId>,
    },
    /// The room is as it should be.
    Unchanged(OpenedRoom),
    Refused(Refusal),
    /// The existing room was deleted meanwhile.
    Retry,
}

/// See [`actors::ports::store::Store::open_room`].
pub(crate) async fn open_room(
    store: &PostgresStore,
    open: &OpenRoom,
) -> Result<Result<OpenedRoom, Refusal>, StoreError> {
    let mut tries = 1;
    loop {
        match attempt(store, open).await {
            Err(Failure::Retry) if tries < TRIES_MAX => tries += 1,
            done => return done.map_err(Failure::into_error),
        }
    }
}

async fn attempt(store: &PostgresStore, open: &OpenRoom) -> Result<Result<OpenedRoom, Refusal>, Failure> {
    let client = store.pools.write().await?;
    let decision = match with_timeout(DECIDE_WITHIN, decide(&client, open)).await {
        Ok(decision) => decision,
        Err(failure) => return Err(client.fail(failure).await),
    };
    let (created, locked, events, unknown) = match decision {
        Decision::Write { created, locked, events, unknown } => (created, locked, events, unknown),
        Decision::Unchanged(opened) => {
            client.roll_back().await;
            return Ok(Ok(opened));
        }
        Decision::Refused(refusal) => {
            client.roll_back().await;
            return Ok(Err(refusal));
        }
        Decision::Retry => {
            client.roll_back().await;
            return Err(Failure::Retry);
        }
    };
    let room = events.first().map_or(open.id, |event| event.room);
    let mut write_set = WriteSet::default();
    write_set.add_events(&events);
    commit(store, client, &write_set, &locked).await?;
    Ok(Ok(OpenedRoom { room, created, events, unknown }))
}

/// Finds or inserts the room's row and applies the rules.
async fn decide(client: &ClientWrapper, open: &OpenRoom) -> Result<Decision, Error> {
    client.batch_execute("BEGIN").await?;
    let entrants = match entrants(client, open).await? {
        Ok(entrants) => entrants,
        Err(refusal) => return Ok(Decision::Refused(refusal)),
    };
    if let Some(room) = find(client, open).await? {
        return reopen_room(client, open, room, entrants).await;
    }
    if !open.can_create(&entrants) {
        return Ok(Decision::Refused(Refusal::Forbidden));
    }
    if let Some((low, high)) = open.pair() {
        let (low, high) = (low.0, high.0);
        client.query(LOCK_PAIR, &[&low, &high]).await?;
        if client.query_one(IS_BLOCKED, &[&low, &high]).await?.get(0) {
            return Ok(Decision::Refused(Refusal::Blocked));
        }
    }
    let clock = client.query_one(CLOCK, &[]).await?;
    let now: DateTime<Utc> = clock.get(0);
    if !insert_room(client, open, now).await? {
        // A concurrent call has inserted it; a new statement sees it.
        return match find(client, open).await? {
            Some(room) => reopen_room(client, open, room, entrants).await,
            None => Ok(Decision::Retry),
        };
    }
    let Entrants { users, unknown } = entrants;
    let count = i64::try_from(users.len()).unwrap_or(i64::MAX);
    let fresh = unused_participant_ids(client, count).await?;
    let (aggregate, events) = RoomAggregate::create_room(open, users, fresh, now);
    let aggregates = BTreeMap::from([(open.id, aggregate)]);
    let locked = LockedRooms { aggregates, busy: BTreeSet::new(), xid: clock.get(1) };
    Ok(Decision::Write { created: true, locked, events, unknown })
}

/// The users to put into the room with their terms: the caller first, each once.
async fn entrants(client: &ClientWrapper, open: &OpenRoom) -> Result<Result<Entrants, Refusal>, Error> {
    let ids: Vec<i64> = open.initial_users().iter().map(|user| user.0).collect();
    let statement = client.prepare_cached(USERS).await?;
    let rows = client.query(&statement, &[&ids]).await?;
    let known: BTreeMap<UserId, User> =
        rows.iter().map(rows::user).map(|user| (user.summary.id, user)).collect();
    Ok(open.entrants(&known))
}

async fn find(client: &ClientWrapper, open: &OpenRoom) -> Result<Option<RoomId>, Error> {
    let keys = UniqueKeys::of(open);
    let statement = client.prepare_cached(FIND).await?;
    let params: [&(dyn ToSql + Sync); 5] = [&keys.low, &keys.high, &keys.task, &keys.property, &open.id.0];
    let row = client.query_opt(&statement, &params).await?;
    Ok(row.map(|row| RoomId(row.get(0))))
}

async fn insert_room(client: &ClientWrapper, open: &OpenRoom, now: DateTime<Utc>) -> Result<bool, Error> {
    let keys = UniqueKeys::of(open);
    let statement = client.prepare_cached(INSERT_ROOM).await?;
    let created = client
        .execute(
            &statement,
            &[
                &open.id.0,
                &open.room_type.as_str(),
                &open.name,
                &open.accepted_title(),
                &keys.task,
                &keys.property,
                &keys.low,
                &keys.high,
                &open.by.user_id().map(|user| user.0),
                &now,
            ],
        )
        .await?;
    Ok(created > 0)
}

/// Locks the existing room, and adds to it the users who may join.
async fn reopen_room(
    client: &ClientWrapper,
    open: &OpenRoom,
    room: RoomId,
    Entrants { users, unknown }: Entrants,
) -> Result<Decision, Error> {
    let ids: Vec<Uuid> = vec![room.0];
    let lock = client.prepare_cached(LOCK_ROOMS).await?;
    let roster = client.prepare_cached(ROSTERS).await?;
    let fresh = client.prepare_cached(UNUSED_PARTICIPANT_IDS).await?;
    let count = i64::try_from(users.len()).unwrap_or(i64::MAX);
    let (row, roster, fresh) = futures_util::join!(
        query_if(client, Some(&lock), [&ids]),
        query_if(client, Some(&roster), [&ids]),
        query_if(client, Some(&fresh), [&count]),
    );
    let (mut locked, roster, fresh) = (LockedRooms::of(&row?), roster?, fresh?);
    let Some(aggregate) = locked.aggregates.get_mut(&room).filter(|aggregate| !aggregate.room.is_deleted)
    else {
        return Ok(Decision::Retry);
    };
    aggregate.participants =
        roster.iter().map(rows::participant_state).map(|state| (state.participant.user.id, state)).collect();
    aggregate.users = users.into_iter().map(|(user, _)| (user.summary.id, user)).collect();
    aggregate.fresh_ids = ids_of(&fresh);
    // A group room is found only by its own id: an earlier attempt of this call created it.
    let created = open.room_type == RoomType::Group || room == open.id;
    if created {
        return Ok(Decision::Unchanged(OpenedRoom { room, created, events: Vec::new(), unknown }));
    }
    match aggregate.reopen_room(open) {
        Ok(events) if events.is_empty() => {
            Ok(Decision::Unchanged(OpenedRoom { room, created, events, unknown }))
        }
        Ok(events) => Ok(Decision::Write { created, locked, events, unknown }),
        Err(refusal) => Ok(Decision::Refused(refusal)),
    }
}

async fn unused_participant_ids(client: &ClientWrapper, count: i64) -> Result<Vec<ParticipantId>, Error> {
    let statement = client.prepare_cached(UNUSED_PARTICIPANT_IDS).await?;
    Ok(ids_of(&client.query(&statement, &[&count]).await?))
}

fn ids_of(rows: &[Row]) -> Vec<ParticipantId> {
    rows.iter().map(|row| ParticipantId(row.get(0))).collect()
}

/// The keys of which only one room may exist.
struct UniqueKeys {
    low: Option<i64>,
    high: Option<i64>,
    task: Option<i64>,
    property: Option<i64>,
}

impl UniqueKeys {
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

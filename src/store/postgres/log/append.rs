//! Appending a batch: one transaction in two round trips.
//!
//! The first round trip begins the transaction, locks the rooms in the order of their ids and reads what
//! the commands need. Then the aggregates decide, and the second round trip writes the result and commits.
//! A failure before the second stores nothing; after a failure during the second, the database is asked
//! what became of the transaction.

use std::sync::Arc;
use std::time::Duration;

use actors::domain::command::{Command, CommandOutcome, Refusal};
use actors::ports::store::StoreError;

use super::commit_resolver::UnresolvedCommit;
use super::load_locked::{BatchNeeds, LockedRooms, load_locked};
use super::write_set::WriteSet;
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::errors::{Failure, with_timeout};
use crate::store::postgres::pool::pools::PooledClient;

/// How often a batch is tried that loses a deadlock or a race.
const TRIES_MAX: u32 = 4;
/// How long the first round trip may take; more than the lock timeout.
const LOCK_WITHIN: Duration = Duration::from_millis(2_500);
/// How long the second round trip may take before the connection is given up.
const COMMIT_WITHIN: Duration = Duration::from_secs(2);

/// The outcome of each command; `None` for those whose room another transaction holds.
type Outcomes = Vec<Option<Result<CommandOutcome, Refusal>>>;

/// See [`actors::ports::store::Store::append`].
pub(crate) async fn append(
    store: &PostgresStore,
    batch: &[Arc<Command>],
    wait: bool,
) -> Result<Outcomes, StoreError> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let needs = BatchNeeds::by(batch);
    let mut tries = 1;
    loop {
        match attempt(store, batch, &needs, wait).await {
            Ok(outcomes) => return Ok(outcomes),
            Err(Failure::Retry) if tries < TRIES_MAX => tries += 1,
            Err(Failure::Retry) => return Err(StoreError::Unavailable("too many deadlocks".into())),
            Err(failure) => return Err(failure.into_error()),
        }
    }
}

async fn attempt(
    store: &PostgresStore,
    batch: &[Arc<Command>],
    needs: &BatchNeeds,
    wait: bool,
) -> Result<Outcomes, Failure> {
    let client = store.pools.append().await?;
    let mut locked = match with_timeout(LOCK_WITHIN, load_locked(&client, needs, wait)).await {
        Ok(locked) => locked,
        Err(failure) => return Err(client.fail(failure).await),
    };
    let outcomes = apply(batch, &mut locked);
    let mut write_set = WriteSet::default();
    for (command, outcome) in batch.iter().zip(&outcomes) {
        if let Some(Ok(outcome)) = outcome {
            write_set.add(command.room, outcome);
        }
    }
    let is_unchanged = locked.aggregates.values().all(|aggregate| aggregate.row_changes.is_empty());
    if write_set.is_empty() && is_unchanged {
        client.roll_back().await;
        return Ok(outcomes);
    }
    commit(store, client, &write_set, &locked).await?;
    Ok(outcomes)
}

/// Applies the commands to the aggregates, in order.
fn apply(batch: &[Arc<Command>], locked: &mut LockedRooms) -> Outcomes {
    let mut outcomes = Vec::with_capacity(batch.len());
    for command in batch {
        let Some(aggregate) = locked.aggregates.get_mut(&command.room) else {
            let is_busy = locked.busy.contains(&command.room);
            outcomes.push(if is_busy { None } else { Some(Err(Refusal::RoomNotFound)) });
            continue;
        };
        let attached_before = aggregate.attached_uploads.len();
        outcomes.push(Some(aggregate.apply(command)));
        let attached = aggregate.attached_uploads[attached_before..].to_vec();
        if !attached.is_empty() {
            locked.forget_uploads(&attached);
        }
    }
    outcomes
}

/// Writes and commits. A commit whose answer is lost is looked up.
pub(super) async fn commit(
    store: &PostgresStore,
    client: PooledClient,
    write_set: &WriteSet<'_>,
    locked: &LockedRooms,
) -> Result<(), Failure> {
    match with_timeout(COMMIT_WITHIN, write_set.commit(&client, &locked.aggregates)).await {
        Ok(()) => {
            client.give_back();
            Ok(())
        }
        Err(Failure::Broken(what)) => {
            drop(client);
            let unresolved = UnresolvedCommit { xid: &locked.xid, marker: write_set.marker() };
            unresolved.resolve(store, what).await.map_err(Failure::Rejected)
        }
        // The transaction had failed, so its COMMIT ended it without storing anything.
        Err(failure) => {
            client.give_back();
            Err(failure)
        }
    }
}

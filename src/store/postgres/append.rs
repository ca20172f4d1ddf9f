//! The append of a batch: two round trips, one transaction.
//!
//! The first begins it, locks the rooms in the order of their ids and reads what the commands need;
//! the ledgers judge; the second writes what they said and commits. What breaks before the second is
//! not stored; what breaks in it is settled by asking.

use std::sync::Arc;
use std::time::Duration;

use actors::domain::command::{Command, Outcome, Refusal};
use actors::ports::store::StoreError;

use super::PostgresStore;
use super::errors::{Failure, within};
use super::ledgers::{self, Locked, Wanted};
use super::pool::Held;
use super::settle::Doubt;
use super::writes::{Before, Writes};

/// How often a batch that lost a deadlock or a race is tried.
const TRIES_MAX: u32 = 4;
/// How long the first round trip may take: the wait for a lock, and then some.
const LOCK_WITHIN: Duration = Duration::from_millis(2_500);
/// How long the second round trip may take before the connection is given up.
pub(super) const COMMIT_WITHIN: Duration = Duration::from_secs(2);

/// What became of each command; `None` for those whose room another transaction holds.
type Answers = Vec<Option<Result<Outcome, Refusal>>>;

/// See [`actors::ports::store::Store::append`].
pub(super) async fn append(
    store: &PostgresStore,
    batch: &[Arc<Command>],
    wait: bool,
) -> Result<Answers, StoreError> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = Wanted::by(batch);
    let mut tries = 1;
    loop {
        match attempt(store, batch, &wanted, wait).await {
            Ok(answers) => return Ok(answers),
            Err(Failure::Again) if tries < TRIES_MAX => tries += 1,
            Err(Failure::Again) => return Err(StoreError::Unavailable("too many deadlocks".into())),
            Err(failure) => return Err(failure.into_error()),
        }
    }
}

async fn attempt(
    store: &PostgresStore,
    batch: &[Arc<Command>],
    wanted: &Wanted,
    wait: bool,
) -> Result<Answers, Failure> {
    let client = store.pools.append().await?;
    let mut locked = match within(LOCK_WITHIN, ledgers::lock(&client, wanted, wait)).await {
        Ok(locked) => locked,
        Err(failure) => return Err(abandon(client, failure).await),
    };
    let (answers, before) = judge(batch, &mut locked);
    let mut writes = Writes::default();
    for (command, answer) in batch.iter().zip(&answers) {
        if let Some(Ok(outcome)) = answer {
            writes.add(command, outcome);
        }
    }
    writes.add_before(&before, &locked.ledgers);
    if writes.is_empty() {
        roll_back(client).await;
        return Ok(answers);
    }
    finish(store, client, &writes, &locked).await?;
    Ok(answers)
}

/// Lets the ledgers judge the commands, in order.
fn judge(batch: &[Arc<Command>], locked: &mut Locked) -> (Answers, Vec<Before>) {
    let mut before = Vec::new();
    let mut answers = Vec::with_capacity(batch.len());
    for command in batch {
        let Some(ledger) = locked.ledgers.get_mut(&command.room) else {
            let is_held = locked.held.contains(&command.room);
            answers.push(if is_held { None } else { Some(Err(Refusal::RoomNotFound)) });
            continue;
        };
        let found = Before::of(command, ledger);
        let answer = ledger.apply(command);
        if answer.is_ok() {
            before.extend(found);
        }
        answers.push(Some(answer));
    }
    (answers, before)
}

/// Writes and commits; a commit whose answer is lost is looked up.
pub(super) async fn finish(
    store: &PostgresStore,
    client: Held,
    writes: &Writes<'_>,
    locked: &Locked,
) -> Result<(), Failure> {
    match within(COMMIT_WITHIN, writes.commit(&client, &locked.ledgers)).await {
        Ok(()) => {
            client.give_back();
            Ok(())
        }
        Err(Failure::Broken(what)) => {
            drop(client);
            let doubt = Doubt { xid: &locked.xid, trace: writes.trace() };
            doubt.settle(store, what).await.map_err(Failure::Told)
        }
        // The transaction had failed, so its COMMIT ended it without storing anything.
        Err(failure) => {
            client.give_back();
            Err(failure)
        }
    }
}

/// Ends a transaction that came to nothing.
pub(super) async fn roll_back(client: Held) {
    if within(COMMIT_WITHIN, client.batch_execute("ROLLBACK")).await.is_ok() {
        client.give_back();
    }
}

/// Ends a transaction that failed, and passes on why.
pub(super) async fn abandon(client: Held, failure: Failure) -> Failure {
    match failure {
        Failure::Broken(_) => drop(client),
        Failure::Again | Failure::Told(_) => roll_back(client).await,
    }
    failure
}

//! Appends batches of commands to the store, and says what became of each command.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::queue::QueuedCommand;
use crate::domain::command::{Command, CommandOutcome, Refusal};
use crate::domain::ids::RoomId;
use crate::error::EngineError;
use crate::ports::store::{Store, StoreError};

/// What became of a command.
pub(super) enum CommandResult {
    Committed(Box<CommandOutcome>),
    Failed(EngineError),
    /// The command was not stored and is to be retried. The first one of a batch says why.
    Retry(Option<StoreError>),
}

pub(super) type CommandResults = Vec<(QueuedCommand, CommandResult)>;

/// Appends a batch, and bisects it around rows that the store refuses. Returns the commands of rooms whose
/// lock another transaction holds beside the results.
pub(super) async fn append_batch(
    store: &dyn Store,
    batch: Vec<QueuedCommand>,
) -> (CommandResults, Vec<QueuedCommand>) {
    let mut results = Vec::with_capacity(batch.len());
    let mut locked: Vec<QueuedCommand> = Vec::new();
    let mut deferred: BTreeSet<RoomId> = BTreeSet::new();
    let mut parts = vec![batch];
    while let Some(part) = parts.pop() {
        // To keep the order of a room, whatever follows a locked or retried command waits with it.
        let (late, part): (Vec<QueuedCommand>, Vec<QueuedCommand>) =
            part.into_iter().partition(|queued| locked.iter().any(|other| other.room() == queued.room()));
        locked.extend(late);
        let (late, part): (Vec<QueuedCommand>, Vec<QueuedCommand>) =
            part.into_iter().partition(|queued| deferred.contains(&queued.room()));
        results.extend(late.into_iter().map(|queued| (queued, CommandResult::Retry(None))));
        if part.is_empty() {
            continue;
        }
        match append(store, &part, false).await {
            Ok(outcomes) => {
                for (queued, outcome) in part.into_iter().zip(outcomes) {
                    match outcome {
                        Some(outcome) => results.push((queued, result(outcome))),
                        None => locked.push(queued),
                    }
                }
            }
            Err(StoreError::RowRefused) if part.len() > 1 => bisect(part, &mut parts),
            Err(StoreError::Locked) => locked.extend(part),
            Err(error) => {
                if is_retryable(&error) {
                    deferred.extend(part.iter().map(QueuedCommand::room));
                }
                fail(part, &error, &mut results);
            }
        }
    }
    (results, locked)
}

/// Appends the commands of one room, and waits for its lock. Returns those that are still locked beside the
/// results.
pub(super) async fn append_locked_room(
    store: &dyn Store,
    commands: Vec<QueuedCommand>,
) -> (CommandResults, Vec<QueuedCommand>) {
    let mut results = Vec::with_capacity(commands.len());
    let mut parts = vec![commands];
    while let Some(part) = parts.pop() {
        match append(store, &part, true).await {
            Ok(outcomes) => {
                for (queued, outcome) in part.into_iter().zip(outcomes) {
                    results.push((queued, outcome.map_or(CommandResult::Retry(None), result)));
                }
            }
            Err(StoreError::RowRefused) if part.len() > 1 => bisect(part, &mut parts),
            Err(StoreError::Locked) => {
                parts.push(part);
                return (results, parts.into_iter().rev().flatten().collect());
            }
            Err(error) if is_retryable(&error) => {
                // Everything that is left is retried, in the same order.
                parts.push(part);
                fail(parts.into_iter().rev().flatten(), &error, &mut results);
                break;
            }
            Err(error) => fail(part, &error, &mut results),
        }
    }
    (results, Vec::new())
}

/// Whether nothing was stored and a retry may succeed.
fn is_retryable(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::Locked)
}

async fn append(
    store: &dyn Store,
    part: &[QueuedCommand],
    wait: bool,
) -> Result<Vec<Option<Result<CommandOutcome, Refusal>>>, StoreError> {
    let commands: Vec<Arc<Command>> = part.iter().map(|queued| queued.command.clone()).collect();
    store.append(&commands, wait).await
}

fn result(outcome: Result<CommandOutcome, Refusal>) -> CommandResult {
    match outcome {
        Ok(outcome) => CommandResult::Committed(Box::new(outcome)),
        Err(refusal) => CommandResult::Failed(EngineError::Refused(refusal)),
    }
}

/// Replaces a part by its halves. The first half comes first.
fn bisect(mut part: Vec<QueuedCommand>, parts: &mut Vec<Vec<QueuedCommand>>) {
    let second = part.split_off(part.len() / 2);
    parts.push(second);
    parts.push(part);
}

fn fail(part: impl IntoIterator<Item = QueuedCommand>, error: &StoreError, results: &mut CommandResults) {
    if !is_retryable(error) {
        tracing::warn!(%error, "a batch was not stored");
    }
    let mut cause = Some(error.clone());
    for queued in part {
        let result = match error {
            StoreError::RowRefused => CommandResult::Failed(EngineError::Refused(Refusal::Rejected)),
            StoreError::OutcomeUnknown => CommandResult::Failed(EngineError::OutcomeUnknown),
            StoreError::Unavailable(_) | StoreError::Locked => CommandResult::Retry(cause.take()),
        };
        results.push((queued, result));
    }
}

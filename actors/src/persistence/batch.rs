//! Carries out batches of jobs at the store, and makes of its answers what becomes of each.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Job, Verdict};
use crate::domain::command::{Command, Outcome, Refusal};
use crate::domain::ids::RoomId;
use crate::error::EngineError;
use crate::ports::store::{Store, StoreError};

/// What became of each job.
pub(super) type Verdicts = Vec<(Job, Verdict)>;

/// Carries out a batch, halving it around rows that the store refuses. Gives back the jobs of rooms
/// whose lock another transaction holds.
pub(super) async fn run(store: &dyn Store, batch: Vec<Job>) -> (Verdicts, Vec<Job>) {
    let mut verdicts = Vec::with_capacity(batch.len());
    let mut locked: Vec<Job> = Vec::new();
    let mut put_off: BTreeSet<RoomId> = BTreeSet::new();
    let mut parts = vec![batch];
    while let Some(part) = parts.pop() {
        // What follows a locked command of the same room waits with it, or the order would break; and
        // what follows one that is tried again, too.
        let (late, part): (Vec<Job>, Vec<Job>) = part
            .into_iter()
            .partition(|job| locked.iter().any(|other| other.command.room == job.command.room));
        locked.extend(late);
        let (late, part): (Vec<Job>, Vec<Job>) =
            part.into_iter().partition(|job| put_off.contains(&job.command.room));
        verdicts.extend(late.into_iter().map(|job| (job, Verdict::Again(None))));
        if part.is_empty() {
            continue;
        }
        match append(store, &part, false).await {
            Ok(outcomes) => {
                for (job, outcome) in part.into_iter().zip(outcomes) {
                    match outcome {
                        Some(outcome) => verdicts.push((job, verdict(outcome))),
                        None => locked.push(job),
                    }
                }
            }
            Err(StoreError::RowRefused) if part.len() > 1 => halve(part, &mut parts),
            Err(StoreError::Locked) => locked.extend(part),
            Err(error) => {
                if is_again(&error) {
                    put_off.extend(part.iter().map(|job| job.command.room));
                }
                fail(part, &error, &mut verdicts);
            }
        }
    }
    (verdicts, locked)
}

/// Carries out the jobs of one locked room, waiting for its lock.
pub(super) async fn run_alone(store: &dyn Store, jobs: Vec<Job>) -> (Verdicts, Vec<Job>) {
    let mut verdicts = Vec::with_capacity(jobs.len());
    let mut parts = vec![jobs];
    while let Some(part) = parts.pop() {
        match append(store, &part, true).await {
            Ok(outcomes) => {
                for (job, outcome) in part.into_iter().zip(outcomes) {
                    verdicts.push((job, outcome.map_or(Verdict::Again(None), verdict)));
                }
            }
            Err(StoreError::RowRefused) if part.len() > 1 => halve(part, &mut parts),
            Err(StoreError::Locked) => {
                parts.push(part);
                return (verdicts, parts.into_iter().rev().flatten().collect());
            }
            Err(error) if is_again(&error) => {
                // All of it again, in the same order.
                parts.push(part);
                fail(parts.into_iter().rev().flatten(), &error, &mut verdicts);
                break;
            }
            Err(error) => fail(part, &error, &mut verdicts),
        }
    }
    (verdicts, Vec::new())
}

/// Whether nothing was stored and trying again may help.
fn is_again(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::Locked)
}

async fn append(
    store: &dyn Store,
    part: &[Job],
    wait: bool,
) -> Result<Vec<Option<Result<Outcome, Refusal>>>, StoreError> {
    let commands: Vec<Arc<Command>> = part.iter().map(|job| job.command.clone()).collect();
    store.append(&commands, wait).await
}

fn verdict(outcome: Result<Outcome, Refusal>) -> Verdict {
    match outcome {
        Ok(outcome) => Verdict::Done(Box::new(outcome)),
        Err(refusal) => Verdict::Failed(EngineError::Refused(refusal)),
    }
}

/// Puts both halves back, the first on top.
fn halve(mut part: Vec<Job>, parts: &mut Vec<Vec<Job>>) {
    let second = part.split_off(part.len() / 2);
    parts.push(second);
    parts.push(part);
}

fn fail(part: impl IntoIterator<Item = Job>, error: &StoreError, verdicts: &mut Verdicts) {
    if !is_again(error) {
        tracing::warn!(%error, "a batch was not stored");
    }
    let mut cause = Some(error.clone());
    for job in part {
        let verdict = match error {
            StoreError::RowRefused => Verdict::Failed(EngineError::Refused(Refusal::Rejected)),
            StoreError::OutcomeUnknown => Verdict::Failed(EngineError::OutcomeUnknown),
            StoreError::Unavailable(_) | StoreError::Locked => Verdict::Again(cause.take()),
        };
        verdicts.push((job, verdict));
    }
}

//! Faults of the memory store, as a test or the simulation decides on them.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::command::{Command, OpenRoom};
use crate::domain::ids::{RoomId, UserId};
use crate::ports::store::StoreError;

/// A call of the store, for [`Faults`] to judge.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each is the call of that name")]
pub enum StoreCall<'a> {
    Append { batch: &'a [Arc<Command>], wait: bool },
    OpenRoom(&'a OpenRoom),
    Snapshot(RoomId),
    Events(RoomId),
    Changes,
    Inbox(UserId),
    PersonalLog(UserId),
    User(UserId),
    BotOfCommand(RoomId),
}

/// A fault of one call.
#[derive(Clone, Debug, Default)]
pub struct Fault {
    /// The time before the call does anything.
    pub before: Duration,
    /// What happens to the call then.
    pub fate: CallFate,
    /// The time until its answer.
    pub after: Duration,
}

/// What happens to a call.
#[derive(Clone, Debug, Default)]
pub enum CallFate {
    /// It is carried out and answered.
    #[default]
    Done,
    /// It fails and has no effect.
    Fails(StoreError),
    /// It is carried out, and its answer is lost.
    AnswerLost,
}

/// Decides on the fault of each call.
pub trait Faults: Send + Sync + 'static {
    /// Called once for each call of the store.
    fn fault_for(&self, call: StoreCall<'_>) -> Fault;
}

/// No faults at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Faults for NoFaults {
    fn fault_for(&self, _: StoreCall<'_>) -> Fault {
        Fault::default()
    }
}

//! Messages of the persistence actor, which commits commands in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::Message;

use super::instance::RoomInstance;
use crate::domain::command::{Command, CommandReply};
use crate::domain::event::Event;
use crate::domain::signal::Signal;
use crate::error::EngineError;
use crate::limits;
use crate::mailbox::{Liveness, Tell, mailbox};

mailbox! {
    /// A room that has commands committed.
    CommitListener: Tell<CommitResult>, Liveness,
}

/// Asks for a command to be committed. Answered with [`CommitResult`].
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Append {
    pub(crate) command: Command,
    /// What the room calls the command.
    pub(crate) command_id: u64,
    pub(crate) instance: RoomInstance,
    pub(crate) room: Arc<dyn CommitListener>,
}

/// Takes nothing new any more; what has come is still committed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RefuseAppends;

/// Asks how many commands are not finished yet.
#[derive(Message)]
#[rtype(result = "usize")]
pub(crate) struct CountUnfinished;

/// Tells a room what one transaction made of its commands.
#[derive(Default, Message)]
#[rtype(result = "()")]
pub(crate) struct CommitResult {
    /// What the log gained, in order.
    pub(crate) events: Arc<Vec<Event>>,
    /// The answers by command id, in the order of the commands.
    pub(crate) answers: Vec<(u64, CommandAnswer)>,
}

/// What became of one command: the reply to whoever sent it, and the signal for everyone.
pub(crate) type CommandAnswer = Result<(CommandReply, Option<Signal>), EngineError>;

/// The number of commands that wait for the store, which the persistence actor alone updates. A session
/// that finds it full refuses a message before any work is done for it, which keeps an overloaded server
/// responsive.
#[derive(Debug, Default)]
pub(crate) struct CommandBacklog(AtomicUsize);

impl CommandBacklog {
    pub(crate) fn set(&self, queued: usize) {
        self.0.store(queued, Ordering::Relaxed);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= limits::QUEUED_COMMANDS_MAX
    }
}

//! What a transaction writes, gathered from what the ledgers said, and its commit.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::command::{Change, Command, Outcome, Reply};
use actors::domain::event::{Event, EventBody};
use actors::domain::ids::{MessageId, RoomId, UserId};
use actors::domain::ledger::Ledger;
use actors::domain::message::Message;
use actors::domain::signal::Signal;
use actors::failpoint::{self, Point};
use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use futures_util::future::join_all;
use tokio_postgres::Error;
use uuid::Uuid;

use super::tables::{self, Put};

/// A message as it was before an edit or a deletion of this transaction.
pub(super) struct Before {
    /// Whether an edit follows, else a deletion.
    pub(super) is_edit: bool,
    /// The message until then.
    pub(super) message: Message,
}

impl Before {
    /// Keeps what `command` is about to change.
    pub(super) fn of(command: &Command, ledger: &Ledger) -> Option<Self> {
        let (id, is_edit) = match &command.change {
            Change::Edit { message, .. } => (message, true),
            Change::Delete { message, .. } | Change::Erase { message } => (message, false),
            _ => return None,
        };
        Some(Self { is_edit, message: ledger.messages.get(id)?.clone() })
    }
}

/// A message that is sent.
pub(super) struct Post<'a> {
    /// It.
    pub(super) message: &'a Message,
    /// The digest of what the client sent, when it may send it again.
    pub(super) digest: Option<&'a [u8; 16]>,
}

/// One event of this transaction, by which it can be found again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace {
    /// The room.
    pub(super) room: Uuid,
    /// The position.
    pub(super) seq: i64,
    /// The time.
    pub(super) at: DateTime<Utc>,
}

/// All that one transaction writes. Its parts borrow from the outcomes and the ledgers.
#[derive(Default)]
pub(super) struct Writes<'a> {
    events: Vec<&'a Event>,
    posts: Vec<Post<'a>>,
    before: &'a [Before],
    changed: BTreeMap<(RoomId, MessageId), &'a Message>,
    members: BTreeMap<(RoomId, UserId), Option<DateTime<Utc>>>,
    moves: BTreeMap<(RoomId, UserId, i64), DateTime<Utc>>,
    /// The rooms that have new events, each with its newest message of this transaction.
    rooms: BTreeMap<RoomId, Option<&'a Message>>,
    states: BTreeSet<RoomId>,
}

impl<'a> Writes<'a> {
    /// Takes in what became of one command.
    pub(super) fn add(&mut self, command: &'a Command, outcome: &'a Outcome) {
        self.add_events(&outcome.events);
        match (&command.change, &outcome.reply) {
            (Change::Post(draft), Reply::Posted { message, duplicate: false }) => {
                let digest = draft.client_id.map(|_| &draft.digest);
                self.posts.push(Post { message, digest });
                self.rooms.insert(command.room, Some(message));
            }
            (Change::Edit { .. }, Reply::Edited(message)) => {
                self.changed.insert((command.room, message.id), message);
            }
            _ => {}
        }
        match &outcome.signal {
            Some(Signal::Read(mark)) => {
                self.members.insert((command.room, mark.user), Some(mark.at));
                self.moves.insert((command.room, mark.user, mark.up_to.0), mark.at);
            }
            Some(Signal::Muted { user }) => {
                self.members.entry((command.room, *user)).or_default();
            }
            _ => {}
        }
    }

    /// Takes in events, and what follows from each by itself.
    pub(super) fn add_events(&mut self, events: &'a [Event]) {
        for event in events {
            self.events.push(event);
            self.rooms.entry(event.room).or_default();
            if let Some(who) = event.body.participant() {
                self.members.entry((event.room, who.user.id)).or_default();
            }
            if matches!(event.body, EventBody::RoomUpdated(_) | EventBody::RoomDeleted) {
                self.states.insert(event.room);
            }
        }
    }

    /// Takes in what edits and deletions found.
    pub(super) fn add_before(&mut self, before: &'a [Before], ledgers: &'a BTreeMap<RoomId, Ledger>) {
        self.before = before;
        for Before { message, .. } in before {
            if let Some(now) = ledgers.get(&message.room).and_then(|ledger| ledger.messages.get(&message.id))
            {
                self.changed.insert((message.room, message.id), now);
            }
        }
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.members.is_empty()
    }

    /// One of the events.
    pub(super) fn trace(&self) -> Option<Trace> {
        let event = self.events.first()?;
        Some(Trace { room: event.room.0, seq: event.seq.0, at: event.at })
    }

    /// Writes all of it and commits, in one round trip. An error is that of the first statement that
    /// failed; nothing is committed then.
    pub(super) async fn commit(
        &self,
        client: &ClientWrapper,
        ledgers: &BTreeMap<RoomId, Ledger>,
    ) -> Result<(), Error> {
        let puts: Vec<Put<'_>> = [
            tables::events(&self.events),
            tables::posted(&self.posts, &self.rooms, ledgers),
            tables::sent_files(&self.posts),
            tables::versions(self.before),
            tables::changed_messages(&self.changed),
            tables::no_versions(self.before),
            tables::no_files(self.before),
            tables::participants(&self.members, ledgers),
            tables::read_moves(&self.moves),
            tables::rooms(&self.rooms, ledgers),
            tables::room_states(&self.states, ledgers),
            tables::last_messages(self.before),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut statements = Vec::with_capacity(puts.len());
        for put in &puts {
            statements.push(client.prepare_cached(put.sql).await?);
        }
        failpoint::pass(Point::Committing);
        // So few are polled, and with that sent, in their order.
        let written =
            join_all(puts.iter().zip(&statements).map(|(put, statement)| put.run(client, statement)));
        let (written, committed) = futures_util::join!(written, client.batch_execute("COMMIT"));
        written.into_iter().collect::<Result<(), Error>>()?;
        committed
    }
}

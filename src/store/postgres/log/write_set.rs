//! What a transaction writes, by the outcomes of its commands, and its commit.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::aggregate::RoomAggregate;
use actors::domain::command::CommandOutcome;
use actors::domain::event::{AudienceChange, Event, EventSubject};
use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::domain::message::Message;
use actors::domain::signal::Signal;
use actors::failpoint::{self, Failpoint};
use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use futures_util::future::join_all;
use tokio_postgres::Error;
use uuid::Uuid;

use super::feature_tables;
use super::statements::{self, BatchStatement};

/// One event of this transaction, by which it can be found again.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventMarker {
    pub(super) room: Uuid,
    pub(super) seq: i64,
    pub(super) at: DateTime<Utc>,
}

/// All that one transaction writes. Its parts borrow from the outcomes; states are those of the aggregates.
#[derive(Default)]
pub(super) struct WriteSet<'a> {
    events: Vec<&'a Event>,
    new_messages: Vec<&'a Message>,
    changed_messages: BTreeSet<(RoomId, MessageId)>,
    participants: BTreeMap<(RoomId, UserId), Option<DateTime<Utc>>>,
    /// The rooms that have new events, each with the newest message of its timeline in this transaction.
    rooms: BTreeMap<RoomId, Option<&'a Message>>,
    changed_rooms: BTreeSet<RoomId>,
}

impl<'a> WriteSet<'a> {
    /// Adds the outcome of one command of `room`.
    pub(super) fn add(&mut self, room: RoomId, outcome: &'a CommandOutcome) {
        self.add_events(&outcome.events);
        match &outcome.signal {
            Some(Signal::Read(mark)) => {
                self.participants.insert((room, mark.user), Some(mark.at));
            }
            Some(Signal::OwnState { user }) => {
                self.participants.entry((room, *user)).or_default();
            }
            _ => {}
        }
    }

    /// Adds events, and the rows that follow from each by itself.
    pub(super) fn add_events(&mut self, events: &'a [Event]) {
        for event in events {
            let facts = event.body.facts();
            self.events.push(event);
            let newest = self.rooms.entry(event.room).or_default();
            if let Some(message) = facts.new_message() {
                if message.is_in_timeline() {
                    *newest = Some(message);
                }
                self.new_messages.push(message);
            }
            let changed = [facts.changed_message(), facts.thread_root].into_iter().flatten();
            self.changed_messages.extend(changed.map(|message| (event.room, message)));
            if let Some(participant) = facts.participant() {
                self.participants.entry((event.room, participant.user.id)).or_default();
                // From where on all may read changes only with those who may not read all, or might not before.
                if facts.audience == AudienceChange::Same || participant.visible_from > Seq::START {
                    self.changed_rooms.insert(event.room);
                }
            }
            if matches!(facts.subject, EventSubject::Room(_) | EventSubject::DeletedRoom) {
                self.changed_rooms.insert(event.room);
            }
        }
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.participants.is_empty()
    }

    /// One of the events, if there is any.
    pub(super) fn marker(&self) -> Option<EventMarker> {
        let event = self.events.first()?;
        Some(EventMarker { room: event.room.0, seq: event.seq.0, at: event.at })
    }

    /// Writes everything and commits, in one round trip. On an error, which is that of the first statement
    /// that failed, nothing is committed.
    pub(super) async fn commit(
        &self,
        client: &ClientWrapper,
        aggregates: &BTreeMap<RoomId, RoomAggregate>,
    ) -> Result<(), Error> {
        let removed = || aggregates.values().flat_map(|aggregate| &aggregate.removed);
        let mut writes: Vec<BatchStatement<'_>> = [
            statements::insert_events(&self.events),
            statements::insert_messages(&self.new_messages, &self.rooms, aggregates),
            statements::attach_files(&self.new_messages),
            statements::attach_uploads(aggregates.values().flat_map(|aggregate| &aggregate.attached_uploads)),
            statements::update_messages(&self.changed_messages, aggregates),
            statements::upsert_participants(&self.participants, aggregates),
            statements::update_heads(&self.rooms, aggregates),
            statements::update_room_states(&self.changed_rooms, aggregates),
            statements::update_last_messages(removed()),
            statements::append_personal(
                aggregates.values().flat_map(|aggregate| &aggregate.personal_changes),
            ),
        ]
        .into_iter()
        .flatten()
        .collect();
        writes
            .extend(feature_tables::write(aggregates.values().flat_map(|aggregate| &aggregate.row_changes)));
        // After the rows of copies are gone, which would keep their files.
        writes.extend(statements::delete_files(removed()));
        let mut prepared = Vec::with_capacity(writes.len());
        for write in &writes {
            prepared.push(client.prepare_cached(write.sql).await?);
        }
        failpoint::pass(Failpoint::Committing);
        // `join_all` polls so few futures, and thereby sends them, in their order.
        let written =
            join_all(writes.iter().zip(&prepared).map(|(write, statement)| write.run(client, statement)));
        let (written, committed) = futures_util::join!(written, client.batch_execute("COMMIT"));
        written.into_iter().collect::<Result<(), Error>>()?;
        committed
    }
}

//! One room as the memory store keeps it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::domain::command::{Change, Command, Outcome, Reply};
use crate::domain::event::{Event, EventBody, EventKind};
use crate::domain::ids::{ClientId, MessageId, Seq, UserId};
use crate::domain::ledger::{Ledger, Member, Sent};
use crate::domain::message::Message;
use crate::domain::person::{Author, Person};
use crate::domain::room::{Room, RoomType};
use crate::domain::signal::{ReadMark, Signal};

/// People by their ids, each with what is known of them now.
pub(super) type People = BTreeMap<UserId, Person>;

/// A room, its log, and what the log has made of it.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    pub(super) room: Room,
    pub(super) places: BTreeMap<UserId, Place>,
    /// The number of the commit that last let the log grow.
    pub(super) grown: u64,
    log: Vec<Entry>,
    messages: BTreeMap<MessageId, Message>,
    order: BTreeMap<Seq, MessageId>,
    sent: BTreeMap<(UserId, ClientId), (MessageId, [u8; 16])>,
}

/// Someone's place in the room.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) member: Member,
    /// When the read mark moved to where it is, and in which commit.
    pub(super) moved: Option<(DateTime<Utc>, u64)>,
    /// The commit in which the room was muted last, or that was lifted.
    pub(super) muted_in: Option<u64>,
}

/// An event, as little of it as a log holds.
#[derive(Clone, Debug)]
struct Entry {
    at: DateTime<Utc>,
    by: Option<UserId>,
    commit: u64,
    kind: EventKind,
    message: Option<MessageId>,
    user: Option<UserId>,
    reason: Option<String>,
}

impl Shelf {
    /// A room that is made in commit `commit`.
    pub(super) fn new(room: Room, commit: u64) -> Self {
        Self {
            room,
            places: BTreeMap::new(),
            grown: commit,
            log: Vec::new(),
            messages: BTreeMap::new(),
            order: BTreeMap::new(),
            sent: BTreeMap::new(),
        }
    }

    /// A ledger that knows no more than `commands` need, so that a need which isn't named shows in tests.
    pub(super) fn ledger(&self, commands: &[&Command], people: &People, now: DateTime<Utc>) -> Ledger {
        let mut ledger = Ledger::new(self.room.clone(), now.max(self.room.modified_at));
        for command in commands {
            let needs = command.needs();
            let is_written = matches!(command.change, Change::Post(_));
            if needs.roster || (is_written && self.room.room_type == RoomType::Direct) {
                self.lend_roster(&mut ledger, people);
            }
            if let Some(place) = needs.member.and_then(|user| self.places.get(&user)) {
                lend(&mut ledger, place, people);
            }
            for user in [needs.person, needs.staff].into_iter().flatten() {
                ledger.people.extend(people.get(&user).map(|person| (user, person.clone())));
            }
            if let Some(message) = needs.message.and_then(|id| self.messages.get(&id)) {
                ledger.messages.insert(message.id, self.as_now(message, people));
            }
            if let Some((key, (id, digest))) = needs.sent.and_then(|key| Some((key, self.sent.get(&key)?))) {
                let message = self.as_now(&self.messages[id], people);
                ledger.sent.insert(key, Sent { message, digest: *digest });
            }
            if needs.newest {
                ledger.newest = self.newest();
            }
        }
        ledger
    }

    /// Lends the places of all who are or were in the room.
    pub(super) fn lend_roster(&self, ledger: &mut Ledger, people: &People) {
        for place in self.places.values() {
            lend(ledger, place, people);
        }
    }

    /// Takes over what a ledger has become, and the events and marks that came of it.
    pub(super) fn take(&mut self, ledger: &Ledger, commit: u64) {
        if self.room.head < ledger.room.head {
            self.grown = commit;
        }
        self.room = ledger.room.clone();
        for (user, member) in &ledger.members {
            let known = self.places.get(user);
            let moved = known.and_then(|place| place.moved);
            let muted_in = known.and_then(|place| place.muted_in);
            self.places.insert(*user, Place { member: member.clone(), moved, muted_in });
        }
        for (id, message) in &ledger.messages {
            self.order.insert(message.seq, *id);
            self.messages.insert(*id, message.clone());
        }
    }

    /// Writes down what became of one command.
    pub(super) fn record(&mut self, command: &Command, outcome: &Outcome, commit: u64) {
        self.extend(&outcome.events, commit);
        if let (Change::Post(draft), Reply::Posted { message, duplicate: false }) =
            (&command.change, &outcome.reply)
            && let Some(client_id) = draft.client_id
        {
            self.sent.insert((message.sender.id, client_id), (message.id, draft.digest));
        }
        if let Some(Signal::Read(mark)) = &outcome.signal
            && let Some(place) = self.places.get_mut(&mark.user)
        {
            place.moved = Some((mark.at, commit));
        }
        if let Some(Signal::Muted { user }) = &outcome.signal
            && let Some(place) = self.places.get_mut(user)
        {
            place.muted_in = Some(commit);
        }
    }

    /// Lets the log grow.
    pub(super) fn extend(&mut self, events: &[Event], commit: u64) {
        self.log.extend(events.iter().map(|event| Entry {
            at: event.at,
            by: event.by,
            commit,
            kind: event.body.kind(),
            message: event.body.message(),
            user: event.body.participant().map(|participant| participant.user.id),
            reason: match &event.body {
                EventBody::MessageDeleted { reason, .. } => reason.clone(),
                _ => None,
            },
        }));
    }

    /// Who came in after the commit `since`.
    pub(super) fn joined(&self, since: u64) -> impl Iterator<Item = UserId> {
        let new = self.log.iter().rev().take_while(move |entry| entry.commit > since);
        new.filter(|entry| entry.kind == EventKind::ParticipantJoined).filter_map(|entry| entry.user)
    }

    /// The events after `after`, each as things are now.
    pub(super) fn events(&self, after: Seq, limit: usize, people: &People) -> Vec<Event> {
        let skipped = usize::try_from(after.0).unwrap_or(0);
        let numbered = self.log.iter().zip(1..).skip(skipped).take(limit);
        numbered.map(|(entry, seq)| self.event(entry, Seq(seq), people)).collect()
    }

    fn event(&self, entry: &Entry, seq: Seq, people: &People) -> Event {
        let message = || {
            let id = entry.message.expect("the event is about a message");
            Box::new(self.as_now(&self.messages[&id], people))
        };
        let participant = || {
            let user = entry.user.expect("the event is about a participant");
            Box::new(member_as_now(&self.places[&user], people).participant)
        };
        let body = match entry.kind {
            EventKind::RoomCreated => EventBody::RoomCreated(Box::new(self.room.clone())),
            EventKind::RoomUpdated => EventBody::RoomUpdated(Box::new(self.room.clone())),
            EventKind::RoomDeleted => EventBody::RoomDeleted,
            EventKind::MessagePosted => EventBody::MessagePosted(message()),
            EventKind::MessageEdited => EventBody::MessageEdited(message()),
            EventKind::MessageDeleted => {
                let gone = message();
                EventBody::MessageDeleted {
                    message: gone.id,
                    sent: gone.seq,
                    sender: gone.sender.id,
                    removed_by: gone.removed_by.unwrap_or_default(),
                    reason: entry.reason.clone(),
                }
            }
            EventKind::ParticipantJoined => EventBody::ParticipantJoined(participant()),
            EventKind::ParticipantLeft => EventBody::ParticipantLeft(participant()),
            EventKind::ParticipantUpdated => EventBody::ParticipantUpdated(participant()),
        };
        Event { room: self.room.id, seq, at: entry.at, by: entry.by, body }
    }

    fn as_now(&self, message: &Message, people: &People) -> Message {
        let mut message = message.clone();
        message.sender = author_as_now(&message.sender, people);
        if let Some(answered) = message.reply_to.as_ref().and_then(|quote| self.messages.get(&quote.id)) {
            let mut answered = answered.clone();
            answered.sender = author_as_now(&answered.sender, people);
            message.reply_to = Some(answered.quote());
        }
        message
    }

    fn newest(&self) -> Option<(Seq, MessageId)> {
        self.order.last_key_value().map(|(seq, id)| (*seq, *id))
    }

    /// The newest message that isn't deleted.
    pub(super) fn last_message(&self) -> Option<&Message> {
        let newest_first = self.order.values().rev().map(|id| &self.messages[id]);
        newest_first.into_iter().find(|message| message.deleted_at.is_none())
    }

    /// Undeleted messages of others after what `place` has read.
    pub(super) fn unread(&self, place: &Place) -> i64 {
        let participant = &place.member.participant;
        let unread = self
            .messages
            .values()
            .filter(|message| message.seq > participant.unread_after() && message.deleted_at.is_none())
            .filter(|message| message.sender.id != participant.user.id);
        i64::try_from(unread.count()).unwrap_or(i64::MAX)
    }

    /// The read mark of a place that is past the start.
    pub(super) fn mark(&self, place: &Place) -> Option<ReadMark> {
        let (at, _) = place.moved?;
        let up_to = place.member.participant.read_seq;
        let message = self.order.range(..=up_to).next_back().map(|(_, id)| *id);
        Some(ReadMark { user: place.member.participant.user.id, up_to, message, at })
    }
}

fn lend(ledger: &mut Ledger, place: &Place, people: &People) {
    let member = member_as_now(place, people);
    ledger.members.insert(member.participant.user.id, member);
}

/// A member with what the directory says of the person now.
pub(super) fn member_as_now(place: &Place, people: &People) -> Member {
    let mut member = place.member.clone();
    let person = people.get(&member.participant.user.id);
    member.is_active = person.is_some_and(|person| person.is_active);
    member.tokens_valid_from = person.and_then(|person| person.tokens_valid_from);
    member.participant.user = author_as_now(&member.participant.user, people);
    member
}

/// An author with what the directory says of the person now.
pub(super) fn author_as_now(author: &Author, people: &People) -> Author {
    people.get(&author.id).map_or_else(|| Author::erased(author.id), |person| person.author.clone())
}

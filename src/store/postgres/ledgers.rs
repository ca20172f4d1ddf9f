//! Locks the rooms of a batch and reads what its commands need, into one ledger a room.
//!
//! Nothing is read before the lock but the room's own row, which the lock gives in its newest version:
//! a statement's snapshot is older than its wait, so facts are left to statements that begin after it.
//! The clock may be read before the wait too: a room's times follow those of its row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actors::domain::command::{Change, Command};
use actors::domain::ids::{ClientId, MessageId, ParticipantId, RoomId, Seq};
use actors::domain::ledger::Ledger;
use actors::domain::room::RoomType;
use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Statement};
use uuid::Uuid;

use super::rows::{
    self, ROOM_WIDTH, author_columns, member_columns, message_columns, message_tables, participant_columns,
    room_columns,
};

/// The time of a transaction, and its name.
macro_rules! clock_columns {
    () => {
        "clock_timestamp(), pg_current_xact_id()::text"
    };
}

macro_rules! lock_rooms {
    ($wait:literal) => {
        concat!(
            "SELECT ",
            room_columns!(),
            ", ",
            clock_columns!(),
            " FROM rooms r WHERE r.id = ANY($1) ORDER BY r.id FOR NO KEY UPDATE ",
            $wait
        )
    };
}

/// The one order in which rooms are locked; the columns of the clock follow those of the room.
pub(super) const LOCK: &str = lock_rooms!("");
const LOCK_FREE: &str = lock_rooms!("SKIP LOCKED");

/// The clock alone.
pub(super) const CLOCK: &str = concat!("SELECT ", clock_columns!());

// A plan outlives the size of the tables that it was made for. What is looked up by many keys is looked up
// for each key by itself (`LIMIT 1`), so that no plan reads a table that was empty once from end to end.

const MEMBERS: &str = concat!(
    "SELECT ",
    participant_columns!(),
    ", ",
    member_columns!(),
    " FROM unnest($1::uuid[], $2::bigint[]) k (room_id, user_id) \
     CROSS JOIN LATERAL (SELECT * FROM participants \
     WHERE room_id = k.room_id AND user_id = k.user_id LIMIT 1) p \
     CROSS JOIN LATERAL (SELECT * FROM people WHERE id = p.user_id LIMIT 1) u"
);

/// All who are or were in some rooms.
pub(super) const ROSTERS: &str = concat!(
    "SELECT ",
    participant_columns!(),
    ", ",
    member_columns!(),
    " FROM participants p JOIN people u ON u.id = p.user_id WHERE p.room_id = ANY($1)"
);

/// People of the directory.
pub(super) const PEOPLE: &str = concat!(
    "SELECT u.id, ",
    author_columns!(),
    ", u.is_active, u.is_staff, u.tokens_valid_from FROM people u WHERE u.id = ANY($1)"
);

/// Unused participant ids.
pub(super) const FRESH_IDS: &str =
    "SELECT nextval(pg_get_serial_sequence('participants', 'id')) FROM generate_series(1, $1::bigint)";

const MESSAGES: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM unnest($1::uuid[], $2::uuid[]) k (room_id, id) \
     CROSS JOIN LATERAL (SELECT * FROM messages WHERE room_id = k.room_id AND id = k.id LIMIT 1) m",
    message_tables!()
);

/// Which client ids were used before. Nearly none, so their messages are read only then.
const USED: &str = "SELECT k.room_id, k.sender_id, k.client_id \
     FROM unnest($1::uuid[], $2::bigint[], $3::uuid[]) k (room_id, sender_id, client_id) \
     CROSS JOIN LATERAL (SELECT FROM messages \
     WHERE room_id = k.room_id AND sender_id = k.sender_id AND client_id = k.client_id LIMIT 1) m";

const SENT: &str = concat!(
    "SELECT ",
    message_columns!(),
    ", m.client_digest \
     FROM unnest($1::uuid[], $2::bigint[], $3::uuid[]) k (room_id, sender_id, client_id) \
     CROSS JOIN LATERAL (SELECT * FROM messages \
     WHERE room_id = k.room_id AND sender_id = k.sender_id AND client_id = k.client_id LIMIT 1) m",
    message_tables!()
);

const NEWEST: &str = "SELECT k.room_id, m.seq, m.id FROM unnest($1::uuid[]) k (room_id) CROSS JOIN LATERAL \
     (SELECT seq, id FROM messages WHERE room_id = k.room_id ORDER BY seq DESC LIMIT 1) m";

/// Which rooms there are at all.
const THERE: &str = "SELECT id FROM rooms WHERE id = ANY($1)";

/// The statements of this file that a batch may begin with.
pub(super) const PREPARED: [&str; 11] =
    [LOCK, LOCK_FREE, MEMBERS, ROSTERS, PEOPLE, FRESH_IDS, MESSAGES, USED, SENT, NEWEST, THERE];

/// What the commands of a batch need to be judged.
#[derive(Default)]
pub(super) struct Wanted {
    rooms: BTreeSet<Uuid>,
    members: BTreeSet<(Uuid, i64)>,
    rosters: BTreeSet<Uuid>,
    people: BTreeSet<i64>,
    /// How many of a room's commands may each put a person in who was never there.
    adds: BTreeMap<Uuid, i64>,
    messages: BTreeSet<(Uuid, Uuid)>,
    sent: BTreeSet<(Uuid, i64, Uuid)>,
    newest: BTreeSet<Uuid>,
    /// Rooms that someone writes in: of the direct ones among them both people are needed.
    written: BTreeSet<Uuid>,
}

impl Wanted {
    /// Gathers what `batch` needs.
    pub(super) fn by(batch: &[Arc<Command>]) -> Self {
        let mut wanted = Self::default();
        for command in batch {
            let (room, needs) = (command.room.0, command.needs());
            wanted.rooms.insert(room);
            wanted.members.extend(needs.member.map(|user| (room, user.0)));
            wanted.messages.extend(needs.message.map(|message| (room, message.0)));
            wanted.sent.extend(needs.sent.map(|(user, id)| (room, user.0, id.0)));
            if needs.roster {
                wanted.rosters.insert(room);
            }
            if needs.newest {
                wanted.newest.insert(room);
            }
            if let Some(user) = needs.person {
                wanted.people.insert(user.0);
                *wanted.adds.entry(room).or_default() += 1;
            }
            wanted.people.extend(needs.staff.map(|user| user.0));
            if matches!(command.change, Change::Post(_)) {
                wanted.written.insert(room);
            }
        }
        wanted
    }
}

/// The locked rooms of a batch.
pub(super) struct Locked {
    /// A ledger for each, ready to judge.
    pub(super) ledgers: BTreeMap<RoomId, Ledger>,
    /// Rooms of the batch that exist, and that another transaction holds.
    pub(super) held: BTreeSet<RoomId>,
    /// The transaction's name; empty where no room was had, and so nothing can be written.
    pub(super) xid: String,
}

/// Begins a transaction, locks the rooms of `wanted` and reads the rest of it, in one round trip; a
/// second one is taken where a direct room is written in, a message is sent again or a room was not had.
pub(super) async fn lock(client: &ClientWrapper, wanted: &Wanted, wait: bool) -> Result<Locked, Error> {
    let rooms: Vec<Uuid> = wanted.rooms.iter().copied().collect();
    let (member_rooms, members): (Vec<_>, Vec<_>) = wanted.members.iter().copied().unzip();
    let (message_rooms, messages): (Vec<_>, Vec<_>) = wanted.messages.iter().copied().unzip();
    let (mut sent_rooms, mut senders, mut client_ids) = (Vec::new(), Vec::new(), Vec::new());
    for (room, sender, client_id) in &wanted.sent {
        sent_rooms.push(*room);
        senders.push(*sender);
        client_ids.push(*client_id);
    }
    let rosters: Vec<Uuid> = wanted.rosters.iter().copied().collect();
    let people: Vec<i64> = wanted.people.iter().copied().collect();
    let newest: Vec<Uuid> = wanted.newest.iter().copied().collect();
    let fresh: i64 = wanted.adds.values().sum();

    let locking = client.prepare_cached(if wait { LOCK } else { LOCK_FREE }).await?;
    let statements = [
        prepare(client, MEMBERS, !members.is_empty()).await?,
        prepare(client, ROSTERS, !rosters.is_empty()).await?,
        prepare(client, PEOPLE, !people.is_empty()).await?,
        prepare(client, FRESH_IDS, fresh > 0).await?,
        prepare(client, MESSAGES, !messages.is_empty()).await?,
        prepare(client, USED, !sent_rooms.is_empty()).await?,
        prepare(client, NEWEST, !newest.is_empty()).await?,
    ];
    // These go out in this order and at once; each begins when the one before has ended.
    let (begun, locked, members, rosters, people, fresh, messages, used, newest) = futures_util::join!(
        client.batch_execute("BEGIN"),
        ask(client, Some(&locking), [&rooms]),
        ask(client, statements[0].as_ref(), [&member_rooms, &members]),
        ask(client, statements[1].as_ref(), [&rosters]),
        ask(client, statements[2].as_ref(), [&people]),
        ask(client, statements[3].as_ref(), [&fresh]),
        ask(client, statements[4].as_ref(), [&message_rooms, &messages]),
        ask(client, statements[5].as_ref(), [&sent_rooms, &senders, &client_ids]),
        ask(client, statements[6].as_ref(), [&newest]),
    );
    begun?;
    let mut locked = Locked::of(&locked?);
    locked.learn_members(&members?);
    locked.learn_members(&rosters?);
    locked.learn_people(&people?);
    locked.hand_out(&fresh?, wanted);
    locked.learn_messages(&messages?, &newest?);
    locked.complete(client, wanted, &rooms, &used?).await?;
    Ok(locked)
}

impl Locked {
    /// Reads the rows of [`LOCK`].
    pub(super) fn of(rows: &[Row]) -> Self {
        let mut locked = Self { ledgers: BTreeMap::new(), held: BTreeSet::new(), xid: String::new() };
        for row in rows {
            let room = rows::room(row, 0);
            // A room's times never go backwards, whatever the clock does.
            let now = row.get::<_, DateTime<Utc>>(ROOM_WIDTH).max(room.modified_at);
            locked.ledgers.insert(room.id, Ledger::new(room, now));
        }
        locked.xid = rows.first().map(|row| row.get(ROOM_WIDTH + 1)).unwrap_or_default();
        locked
    }

    fn learn_members(&mut self, rows: &[Row]) {
        for row in rows {
            let member = rows::member(row);
            if let Some(ledger) = self.ledgers.get_mut(&member.participant.room) {
                ledger.members.insert(member.participant.user.id, member);
            }
        }
    }

    fn learn_people(&mut self, rows: &[Row]) {
        for row in rows {
            let person = rows::person(row);
            for ledger in self.ledgers.values_mut() {
                ledger.people.insert(person.author.id, person.clone());
            }
        }
    }

    fn hand_out(&mut self, rows: &[Row], wanted: &Wanted) {
        let mut fresh = rows.iter().map(|row| ParticipantId(row.get(0)));
        for (room, adds) in &wanted.adds {
            let ids: Vec<_> = fresh.by_ref().take(usize::try_from(*adds).unwrap_or_default()).collect();
            if let Some(ledger) = self.ledgers.get_mut(&RoomId(*room)) {
                ledger.fresh_ids = ids;
            }
        }
    }

    fn learn_messages(&mut self, messages: &[Row], newest: &[Row]) {
        for row in messages {
            let message = rows::message(row, 0);
            if let Some(ledger) = self.ledgers.get_mut(&message.room) {
                ledger.messages.insert(message.id, message);
            }
        }
        for row in newest {
            if let Some(ledger) = self.ledgers.get_mut(&RoomId(row.get(0))) {
                ledger.newest = Some((Seq(row.get(1)), MessageId(row.get(2))));
            }
        }
    }

    fn learn_sent(&mut self, rows: &[Row]) {
        for row in rows {
            let sent = rows::sent(row);
            let client_id: Option<ClientId> = sent.message.client_id;
            if let (Some(ledger), Some(client_id)) = (self.ledgers.get_mut(&sent.message.room), client_id) {
                ledger.sent.insert((sent.message.sender.id, client_id), sent);
            }
        }
    }

    /// Reads what only the locked rooms could tell that it is needed: both people of a direct room that
    /// someone writes in, what was sent under client ids that were used before, and whether a room that
    /// was not had is there at all.
    async fn complete(
        &mut self,
        client: &ClientWrapper,
        wanted: &Wanted,
        rooms: &[Uuid],
        used: &[Row],
    ) -> Result<(), Error> {
        let direct: Vec<Uuid> = self
            .ledgers
            .values()
            .filter(|ledger| ledger.room.room_type == RoomType::Direct)
            .map(|ledger| ledger.room.id.0)
            .filter(|room| wanted.written.contains(room) && !wanted.rosters.contains(room))
            .collect();
        let missing: Vec<Uuid> =
            rooms.iter().copied().filter(|room| !self.ledgers.contains_key(&RoomId(*room))).collect();
        if direct.is_empty() && missing.is_empty() && used.is_empty() {
            return Ok(());
        }
        let sent_rooms: Vec<Uuid> = used.iter().map(|row| row.get(0)).collect();
        let senders: Vec<i64> = used.iter().map(|row| row.get(1)).collect();
        let client_ids: Vec<Uuid> = used.iter().map(|row| row.get(2)).collect();
        let pairs = prepare(client, ROSTERS, !direct.is_empty()).await?;
        let sent = prepare(client, SENT, !used.is_empty()).await?;
        let there = prepare(client, THERE, !missing.is_empty()).await?;
        let (pairs, sent, there) = futures_util::try_join!(
            ask(client, pairs.as_ref(), [&direct]),
            ask(client, sent.as_ref(), [&sent_rooms, &senders, &client_ids]),
            ask(client, there.as_ref(), [&missing]),
        )?;
        self.learn_members(&pairs);
        self.learn_sent(&sent);
        self.held.extend(there.iter().map(|row| RoomId(row.get(0))));
        Ok(())
    }
}

/// Prepares a statement that is needed.
pub(super) async fn prepare(
    client: &ClientWrapper,
    sql: &str,
    is_needed: bool,
) -> Result<Option<Statement>, Error> {
    if is_needed { client.prepare_cached(sql).await.map(Some) } else { Ok(None) }
}

/// Asks for rows, if at all.
pub(super) async fn ask<const N: usize>(
    client: &ClientWrapper,
    statement: Option<&Statement>,
    params: [&(dyn ToSql + Sync); N],
) -> Result<Vec<Row>, Error> {
    match statement {
        Some(statement) => client.query(statement, &params).await,
        None => Ok(Vec::new()),
    }
}

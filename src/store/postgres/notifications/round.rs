//! One round of telling and withdrawing, in one transaction.
//!
//! Who holds the row of `notification_progress` is the only one who does so. Read marks that move after the round has
//! looked at them are found by the next round, together with what this one tells; so nothing that is read stays told.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::ids::{MessageId, PersonalSeq, RoomId, Seq, UserId};
use actors::domain::notifications::rules::{Telling, TellingRule, TellingTime, telling_time};
use actors::domain::personal::{PersonalChange, PersonalKind};
use actors::failpoint::{self, Failpoint};
use actors::ports::store::{Cursor, StoreError};
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::pushes::{self, ToldNotification};
use super::repeats::DueRepeats;
use super::windows::{DueWindow, NextLook};
use super::{facts, repeats, windows};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::log::feed::{UnseenTransactions, unseen};
use crate::store::postgres::personal::log;
use crate::store::postgres::pool::client::WriteTransaction;

/// Rooms that are decided about in one round.
const ROOMS_AT_ONCE: usize = 20;
/// How long a room waits that can't be decided about.
const POSTPONED_SECONDS: f64 = 60.0;
/// Urgent messages of which users are told again in one round.
const REPEATS_AT_ONCE: usize = 20;
/// Users of direct rooms who are asked for at once.
const DIRECT_USERS_AT_ONCE: i64 = 200;

/// What came of a round.
#[derive(Debug, Default)]
pub struct NotifierRound {
    /// Whose personal logs grew, and how far.
    pub heads: Vec<(UserId, PersonalSeq)>,
    /// Whether more rooms may be due.
    pub has_more: bool,
}

/// What a round does, as far as it has been decided.
#[derive(Default)]
struct Decisions {
    told: BTreeMap<(RoomId, UserId), Telling>,
    again: Vec<NextLook>,
    /// Notifications that end, with their users and what they become.
    ended: BTreeMap<Uuid, (UserId, &'static str)>,
    /// Notifications that show another message from now on, because theirs is gone.
    changed: Vec<(Uuid, UserId, MessageId)>,
}

impl Decisions {
    fn tell(&mut self, room: RoomId, user: UserId, telling: Telling) {
        let all = self.told.entry((room, user)).or_insert(telling);
        *all = all.and(telling);
    }
}

impl PostgresStore {
    /// Returns the users of direct rooms that are due; `None` if nothing is to be told or withdrawn.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn notifier_work(&self) -> Result<Option<Vec<UserId>>, StoreError> {
        const IS_DUE: &str =
            "SELECT position::text, EXISTS (SELECT FROM notification_windows WHERE due_at <= now())
                OR EXISTS (SELECT FROM notification_repeats WHERE due_at <= now())
            FROM notification_progress";
        const HAS_MOVED: &str = concat!("SELECT FROM read_moves WHERE ", unseen!(), " LIMIT 1");
        const DIRECT: &str = "SELECT u.user_id FROM (
                SELECT room_id FROM notification_windows WHERE due_at <= now() ORDER BY due_at LIMIT $1) w
            CROSS JOIN LATERAL (
                SELECT unnest(ARRAY[pair_low, pair_high]) AS user_id FROM rooms
                WHERE id = w.room_id AND room_type = 'direct' LIMIT 2) u";
        let client = self.read_client().await?;
        let Some(row) = client.row(IS_DUE, &[]).await? else { return Ok(None) };
        if !row.get::<_, bool>(1) {
            let UnseenTransactions { future, open } = unseen_by(&row, 0);
            let has_moved = client.row(HAS_MOVED, &[&future, &open]).await?.is_some();
            return Ok(has_moved.then(Vec::new));
        }
        let rows = client.rows(DIRECT, &[&DIRECT_USERS_AT_ONCE]).await?;
        Ok(Some(rows.iter().map(|row| UserId(row.get(0))).collect()))
    }

    /// Tells users of what is due, and withdraws what they have read, each once whichever node calls this. Those of
    /// `offline` are known to have no device connected.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn notify(&self, offline: &BTreeSet<UserId>) -> Result<NotifierRound, StoreError> {
        self.notify_of_rooms(offline, ROOMS_AT_ONCE).await
    }

    /// The same with one room alone, for when something fails.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn notify_of_one_room(&self, offline: &BTreeSet<UserId>) -> Result<NotifierRound, StoreError> {
        self.notify_of_rooms(offline, 1).await
    }

    async fn notify_of_rooms(
        &self,
        offline: &BTreeSet<UserId>,
        rooms_max: usize,
    ) -> Result<NotifierRound, StoreError> {
        const LOCK: &str = "SELECT now(), pg_current_snapshot()::text, position::text
            FROM notification_progress FOR UPDATE SKIP LOCKED";
        const ADVANCE: &str = "UPDATE notification_progress SET position = $1::text::pg_snapshot";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let Some(row) = transaction.row(LOCK, &[]).await? else { return Ok(NotifierRound::default()) };
        let (now, snapshot): (DateTime<Utc>, String) = (row.get(0), row.get(1));
        let due = windows::take_due(&transaction, rooms_max).await?;
        let mut decisions = Decisions::default();
        for window in &due {
            decide(&transaction, *window, offline, now, &mut decisions).await?;
        }
        let DueRepeats { count, rooms, told } = repeats::take_due(&transaction, REPEATS_AT_ONCE).await?;
        for (room, user, telling) in told {
            decisions.tell(room, user, telling);
        }
        let rooms: Vec<Uuid> = due.iter().map(|window| window.room).chain(rooms).map(|room| room.0).collect();
        find_read(&transaction, &unseen_by(&row, 2), &mut decisions).await?;
        let settled = repeats::find_settled(&transaction, &rooms).await?;
        decisions.ended.extend(settled.into_iter().map(|(id, user)| (id, (user, "read"))));
        find_gone(&transaction, &rooms, &mut decisions).await?;
        let heads = carry_out(&transaction, &decisions, now).await?;
        windows::close(&transaction, &due, &decisions.again).await?;
        transaction.rows(ADVANCE, &[&snapshot]).await?;
        failpoint::pass(Failpoint::Committing);
        transaction.commit().await?;
        Ok(NotifierRound { heads, has_more: due.len() == rooms_max || count == REPEATS_AT_ONCE })
    }

    /// Has the room wait that is due first, so that others are decided about. Returns which one that is.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn postpone_first_room(&self) -> Result<Option<RoomId>, StoreError> {
        const POSTPONE: &str = "UPDATE notification_windows SET due_at = now() + make_interval(secs => $1)
            WHERE room_id = (SELECT room_id FROM notification_windows WHERE due_at <= now()
                ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING room_id";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let postponed = transaction.row(POSTPONE, &[&POSTPONED_SECONDS]).await?;
        transaction.commit().await?;
        Ok(postponed.map(|row| RoomId(row.get(0))))
    }
}

/// The transactions that the snapshot in column `at` didn't see.
fn unseen_by(row: &Row, at: usize) -> UnseenTransactions {
    UnseenTransactions::of(&Cursor(row.get::<_, &str>(at).into()))
}

/// Decides who is told of what is new in one room, and when the room is looked at again.
async fn decide(
    transaction: &WriteTransaction<'_>,
    window: DueWindow,
    offline: &BTreeSet<UserId>,
    now: DateTime<Utc>,
    decisions: &mut Decisions,
) -> Result<(), StoreError> {
    let Some(room) = facts::read(transaction, window, offline, now).await? else { return Ok(()) };
    let mut again: Option<(DateTime<Utc>, Seq)> = None;
    for reader in &room.readers {
        match telling_time(room.is_direct, &room.messages, reader, now) {
            TellingTime::Never => {}
            TellingTime::Now(telling) => decisions.tell(window.room, reader.user, telling),
            TellingTime::Later { at, first } => {
                again = Some(again.map_or((at, first), |(soonest, from)| (soonest.min(at), from.min(first))));
            }
        }
    }
    decisions.again.extend(again.map(|(at, first)| NextLook { room: window.room, first, at }));
    Ok(())
}

/// Finds what users have read in the rooms themselves.
async fn find_read(
    transaction: &WriteTransaction<'_>,
    UnseenTransactions { future, open }: &UnseenTransactions,
    decisions: &mut Decisions,
) -> Result<(), StoreError> {
    const READ: &str = concat!(
        "SELECT n.id, n.user_id FROM (SELECT room_id, user_id, max(seq) AS seq FROM read_moves WHERE ",
        unseen!(),
        " GROUP BY room_id, user_id) v CROSS JOIN LATERAL (
             SELECT id, user_id FROM notifications WHERE room_id = v.room_id AND user_id = v.user_id
                 AND state = 'told' AND last_seq <= v.seq LIMIT 1) n"
    );
    let rows = transaction.rows(READ, &[future, open]).await?;
    decisions.ended.extend(rows.iter().map(|row| (row.get(0), (UserId(row.get(1)), "read"))));
    Ok(())
}

/// Finds what there is nothing to tell of any more in these rooms: its user is out, or the message is deleted and no
/// other one is left in its place.
async fn find_gone(
    transaction: &WriteTransaction<'_>,
    rooms: &[Uuid],
    decisions: &mut Decisions,
) -> Result<(), StoreError> {
    const GONE: &str = "SELECT n.id, n.user_id, x.id FROM notifications n
        LEFT JOIN LATERAL (
            SELECT p.visible_from_seq FROM participants p JOIN rooms r ON r.id = p.room_id AND r.deleted_at IS NULL
            WHERE p.room_id = n.room_id AND p.user_id = n.user_id AND p.left_at IS NULL LIMIT 1) p ON true
        LEFT JOIN LATERAL (
            SELECT deleted_at FROM messages WHERE room_id = n.room_id AND id = n.message_id LIMIT 1) m ON true
        LEFT JOIN LATERAL (
            SELECT o.id FROM messages o WHERE o.room_id = n.room_id
                AND o.seq BETWEEN greatest(n.first_seq, p.visible_from_seq) AND n.last_seq
                AND o.deleted_at IS NULL AND o.sender_id <> n.user_id AND o.in_timeline
                AND o.message_type <> 'system' AND NOT EXISTS (SELECT FROM blocks b
                    WHERE b.user_id = n.user_id AND b.blocked_id = o.sender_id)
                AND (n.rule = ANY($2) OR (n.rule = $4 AND o.extras ? 'urgent') OR (n.rule = ANY($3) AND EXISTS (
                    SELECT FROM mentions x WHERE x.room_id = o.room_id AND x.message_id = o.id
                        AND x.user_id = ANY (ARRAY[0, n.user_id]))))
            ORDER BY o.seq DESC LIMIT 1) x ON p.visible_from_seq IS NOT NULL
        WHERE n.room_id = ANY($1) AND n.state = 'told'
            AND (p.visible_from_seq IS NULL OR m.deleted_at IS NOT NULL)";
    let all = [TellingRule::Message, TellingRule::Direct].map(TellingRule::as_str);
    let mentions = [TellingRule::RoomMention, TellingRule::Mention].map(TellingRule::as_str);
    let urgent = TellingRule::Urgent.as_str();
    for row in transaction.rows(GONE, &[&rooms, &&all[..], &&mentions[..], &urgent]).await? {
        let (id, user): (Uuid, UserId) = (row.get(0), UserId(row.get(1)));
        match row.get::<_, Option<Uuid>>(2) {
            Some(message) => decisions.changed.push((id, user, MessageId(message))),
            None => _ = decisions.ended.entry(id).or_insert((user, "gone")),
        }
    }
    Ok(())
}

/// Writes what was decided, and tells of it in the personal logs. Returns the heads of these.
async fn carry_out(
    transaction: &WriteTransaction<'_>,
    decisions: &Decisions,
    now: DateTime<Utc>,
) -> Result<Vec<(UserId, PersonalSeq)>, StoreError> {
    let ended = decisions.ended.values().map(|(user, _)| *user);
    let changed = decisions.changed.iter().map(|(_, user, _)| *user);
    let users: BTreeSet<UserId> =
        decisions.told.keys().map(|(_, user)| *user).chain(ended).chain(changed).collect();
    if users.is_empty() {
        return Ok(Vec::new());
    }
    // The heads come first, as for whoever changes what only a user sees.
    log::lock_all(transaction, &users).await?;
    let mut changes = end(transaction, &decisions.ended, now).await?;
    // What is shown in another message's place is pushed too, so that no device shows what is deleted.
    let changed = change(transaction, &decisions.changed).await?;
    let told = tell(transaction, &decisions.told, now).await?;
    let told: BTreeMap<Uuid, ToldNotification> =
        changed.into_iter().chain(told).map(|told| (told.id, told)).collect();
    let told: Vec<ToldNotification> = told.into_values().collect();
    pushes::push(transaction, &told).await?;
    let change = |told: &ToldNotification| personal_change(told.user, told.id);
    changes.extend(told.iter().map(change));
    let appended = log::append(transaction, &changes).await?;
    let mut heads: BTreeMap<UserId, PersonalSeq> = BTreeMap::new();
    for (user, position) in appended {
        let head = heads.entry(user).or_insert(position);
        *head = position.max(*head);
    }
    Ok(heads.into_iter().collect())
}

async fn end(
    transaction: &WriteTransaction<'_>,
    ended: &BTreeMap<Uuid, (UserId, &'static str)>,
    now: DateTime<Utc>,
) -> Result<Vec<PersonalChange>, StoreError> {
    const END: &str = "UPDATE notifications n SET state = k.state, ended_at = $3
        FROM unnest($1::uuid[], $2::text[]) k (id, state)
        WHERE n.id = k.id AND n.id = ANY($1) AND n.state = 'told' RETURNING n.id, n.user_id";
    let ids: Vec<Uuid> = ended.keys().copied().collect();
    let states: Vec<&str> = ended.values().map(|(_, state)| *state).collect();
    let rows = transaction.rows(END, &[&ids, &states, &now]).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    pushes::withdraw(transaction, &ids).await?;
    Ok(rows.iter().map(|row| personal_change(UserId(row.get(1)), row.get(0))).collect())
}

async fn change(
    transaction: &WriteTransaction<'_>,
    changed: &[(Uuid, UserId, MessageId)],
) -> Result<Vec<ToldNotification>, StoreError> {
    const CHANGE: &str = "UPDATE notifications n SET message_id = k.message_id
        FROM unnest($1::uuid[], $2::uuid[]) k (id, message_id)
        WHERE n.id = k.id AND n.id = ANY($1) AND n.state = 'told' RETURNING n.id, n.user_id, n.room_id";
    let ids: Vec<Uuid> = changed.iter().map(|(id, ..)| *id).collect();
    let messages: Vec<Uuid> = changed.iter().map(|(.., message)| message.0).collect();
    let rows = transaction.rows(CHANGE, &[&ids, &messages]).await?;
    Ok(rows.iter().map(told_of).collect())
}

async fn tell(
    transaction: &WriteTransaction<'_>,
    told: &BTreeMap<(RoomId, UserId), Telling>,
    now: DateTime<Utc>,
) -> Result<Vec<ToldNotification>, StoreError> {
    // A notification keeps the strongest of its rules, and goes on to show what is urgent.
    const TELL: &str = "INSERT INTO notifications AS n
            (id, user_id, room_id, first_seq, last_seq, message_id, rule, state, created_at, told_at)
        SELECT k.*, 'told', $8::timestamptz, $8::timestamptz FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bigint[], $5::bigint[],
            $6::uuid[], $7::text[]) k (id, user_id, room_id, first_seq, last_seq, message_id, rule)
        ON CONFLICT (room_id, user_id) WHERE state = 'told' DO UPDATE SET
            first_seq = least(n.first_seq, excluded.first_seq), last_seq = greatest(n.last_seq, excluded.last_seq),
            message_id = CASE WHEN n.rule = $10 AND excluded.rule <> $10 THEN n.message_id ELSE excluded.message_id END,
            told_at = excluded.told_at,
            rule = CASE WHEN array_position($9::text[], n.rule) > array_position($9::text[], excluded.rule)
                THEN n.rule ELSE excluded.rule END
        RETURNING n.id, n.user_id, n.room_id";
    let ids: Vec<Uuid> = told.iter().map(|_| Uuid::now_v7()).collect();
    let users: Vec<i64> = told.keys().map(|(_, user)| user.0).collect();
    let rooms: Vec<Uuid> = told.keys().map(|(room, _)| room.0).collect();
    let firsts: Vec<i64> = told.values().map(|telling| telling.first.0).collect();
    let lasts: Vec<i64> = told.values().map(|telling| telling.last.0).collect();
    let messages: Vec<Uuid> = told.values().map(|telling| telling.message.0).collect();
    let rules: Vec<&str> = told.values().map(|telling| telling.rule.as_str()).collect();
    let order = TellingRule::ALL.map(TellingRule::as_str);
    let urgent = TellingRule::Urgent.as_str();
    let params: [&(dyn ToSql + Sync); 10] =
        [&ids, &users, &rooms, &firsts, &lasts, &messages, &rules, &now, &&order[..], &urgent];
    let rows = transaction.rows(TELL, &params).await?;
    Ok(rows.iter().map(told_of).collect())
}

fn told_of(row: &Row) -> ToldNotification {
    ToldNotification { id: row.get(0), user: UserId(row.get(1)), room: RoomId(row.get(2)) }
}

fn personal_change(user: UserId, id: Uuid) -> PersonalChange {
    PersonalChange { user, kind: PersonalKind::Notification, id }
}

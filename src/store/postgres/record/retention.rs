//! For how long messages are kept, and which of them are due.
//!
//! A message with a file is kept as files are, any other as texts are. A round looks at the next messages of some rooms
//! behind what earlier rounds have dealt with; times ascend with positions, so it ends at the first one that is kept.

use std::collections::BTreeMap;

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::domain::room::RoomType;
use actors::ports::store::StoreError;
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::audit::{self, AuditKind, NewAuditEntry};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::ReadClient;

/// The most rules.
pub const RULES_MAX: usize = 1_000;
/// The most days.
pub const DAYS_MAX: u32 = 36_500;
/// Rooms of one round, and messages of each that it looks at.
const ROOMS_AT_ONCE: i64 = 200;
const MESSAGES_AT_ONCE: i64 = 200;
/// Messages that one statement of a preview counts; beyond them it counts no further.
const COUNTED_MAX: i64 = 100_000;

/// Which rooms a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionScope {
    /// Those of a type that have no rule of their own.
    Type(RoomType),
    /// One room.
    Room(RoomId),
}

/// For how long messages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionRule {
    /// Of which rooms.
    pub scope: RetentionScope,
    /// Messages without a file, in days; none for ever.
    pub texts_days: Option<i32>,
    /// Messages with a file, in days; none for ever.
    pub files_days: Option<i32>,
}

/// What rules would delete in rooms of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionCount {
    /// The type.
    pub room_type: String,
    /// Messages without a file.
    pub texts: i64,
    /// Messages with a file.
    pub files: i64,
    /// Whether there are more.
    pub is_capped: bool,
}

/// A message that isn't kept any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueMessage {
    /// The room.
    pub room: RoomId,
    /// Whether the room is deleted, so that no command changes it.
    pub is_room_deleted: bool,
    /// The message.
    pub message: MessageId,
}

/// What a round has to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionRound {
    /// The messages.
    pub due: Vec<DueMessage>,
    /// Up to where each room is dealt with then: for texts, and for files.
    progress: BTreeMap<RoomId, [Seq; 2]>,
    /// The last room of the round; none at the end of all rooms.
    pub last: Option<RoomId>,
    /// Whether some room may have more.
    pub has_more: bool,
}

/// A room of a round.
struct SweptRoom {
    id: RoomId,
    is_deleted: bool,
    /// The days and the progress of texts and of files.
    classes: [(Option<i32>, i64); 2],
}

fn rule_of(row: &Row) -> RetentionRule {
    let room = row.get::<_, Option<Uuid>>(1).map(|room| RetentionScope::Room(RoomId(room)));
    let of_type = row.get::<_, Option<&str>>(0).and_then(RoomType::parse).map(RetentionScope::Type);
    RetentionRule {
        scope: room.or(of_type).expect("the table holds one of the two"),
        texts_days: row.get(2),
        files_days: row.get(3),
    }
}

/// The rules as columns.
struct RuleColumns {
    types: Vec<Option<&'static str>>,
    rooms: Vec<Option<Uuid>>,
    texts: Vec<Option<i32>>,
    files: Vec<Option<i32>>,
}

impl RuleColumns {
    fn of(rules: &[RetentionRule]) -> Self {
        let of_type = |rule: &RetentionRule| match rule.scope {
            RetentionScope::Type(room_type) => Some(room_type.as_str()),
            RetentionScope::Room(_) => None,
        };
        let room = |rule: &RetentionRule| match rule.scope {
            RetentionScope::Type(_) => None,
            RetentionScope::Room(room) => Some(room.0),
        };
        Self {
            types: rules.iter().map(of_type).collect(),
            rooms: rules.iter().map(room).collect(),
            texts: rules.iter().map(|rule| rule.texts_days).collect(),
            files: rules.iter().map(|rule| rule.files_days).collect(),
        }
    }

    fn to_json(&self) -> Value {
        let rules = (0..self.types.len()).map(|n| {
            json!({"room_type": self.types[n], "room": self.rooms[n],
                "texts_days": self.texts[n], "files_days": self.files[n]})
        });
        rules.collect()
    }
}

impl PostgresStore {
    /// Lists the rules, those of types first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn retention_rules(&self) -> Result<Vec<RetentionRule>, StoreError> {
        const LIST: &str = "SELECT room_type, room_id, texts_days, files_days FROM retention_rules
            ORDER BY room_type, room_id LIMIT $1";
        let limit = i64::try_from(RULES_MAX).unwrap_or(i64::MAX);
        Ok(self.read_client().await?.rows(LIST, &[&limit]).await?.iter().map(rule_of).collect())
    }

    /// Sets all rules. Returns the rooms that don't exist; if there are any, nothing is changed.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn set_retention_rules(
        &self,
        rules: &[RetentionRule],
        by: Option<UserId>,
    ) -> Result<Vec<RoomId>, StoreError> {
        const LOCK: &str = "LOCK TABLE retention_rules IN SHARE ROW EXCLUSIVE MODE";
        const UNKNOWN: &str = "SELECT k.id FROM unnest($1::uuid[]) k (id)
            WHERE k.id IS NOT NULL AND NOT EXISTS (SELECT FROM rooms WHERE id = k.id) LIMIT 10";
        const INSERT: &str = "INSERT INTO retention_rules (room_type, room_id, texts_days, files_days)
            SELECT * FROM unnest($1::text[], $2::uuid[], $3::int[], $4::int[])";
        let columns = RuleColumns::of(rules);
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let unknown = transaction.rows(UNKNOWN, &[&columns.rooms]).await?;
        if !unknown.is_empty() {
            return Ok(unknown.iter().map(|row| RoomId(row.get(0))).collect());
        }
        transaction.rows(LOCK, &[]).await?;
        transaction.rows("DELETE FROM retention_rules", &[]).await?;
        let RuleColumns { types, rooms, texts, files } = &columns;
        transaction.rows(INSERT, &[types, rooms, texts, files]).await?;
        let data = json!({ "rules": columns.to_json() });
        audit::add(&transaction, vec![NewAuditEntry::of(AuditKind::RetentionChanged, by, data)]).await?;
        transaction.commit().await?;
        Ok(Vec::new())
    }

    /// Counts what rules would delete now, by type of room.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also where there is more to look through than a request may take.
    pub async fn preview_retention(
        &self,
        rules: &[RetentionRule],
    ) -> Result<Vec<RetentionCount>, StoreError> {
        const COUNT: &str = "SELECT count(*) FILTER (WHERE NOT due.has_file), count(*) FILTER (WHERE due.has_file),
                count(*) >= $6
            FROM (SELECT m.file_id IS NOT NULL AS has_file
                FROM rooms r
                CROSS JOIN LATERAL (SELECT k.texts_days, k.files_days
                    FROM unnest($2::text[], $3::uuid[], $4::int[], $5::int[]) k (room_type, id, texts_days, files_days)
                    WHERE k.id = r.id OR k.room_type = r.room_type ORDER BY k.id NULLS LAST LIMIT 1) rule
                CROSS JOIN LATERAL (SELECT file_id FROM messages
                    WHERE room_id = r.id AND deleted_at IS NULL AND created_at < now() - make_interval(days =>
                            CASE WHEN file_id IS NULL THEN rule.texts_days ELSE rule.files_days END)
                        AND NOT EXISTS (SELECT FROM holds h
                            WHERE h.user_id = messages.sender_id AND h.released_at IS NULL)) m
                WHERE r.room_type = $1 AND NOT r.is_held LIMIT $6) due";
        let RuleColumns { types, rooms, texts, files } = RuleColumns::of(rules);
        let client = self.long_read_client().await?;
        let mut counts = Vec::new();
        for room_type in [RoomType::Direct, RoomType::Group, RoomType::Task, RoomType::Property] {
            let name = room_type.as_str();
            let row = client.row(COUNT, &[&name, &types, &rooms, &texts, &files, &COUNTED_MAX]).await?;
            counts.extend(row.map(|row| RetentionCount {
                room_type: name.to_owned(),
                texts: row.get(0),
                files: row.get(1),
                is_capped: row.get(2),
            }));
        }
        Ok(counts)
    }

    /// Looks for messages that aren't kept any longer, in some rooms after `after`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn retention_round(&self, after: RoomId) -> Result<RetentionRound, StoreError> {
        const ANY: &str = "SELECT FROM retention_rules LIMIT 1";
        const ROOMS: &str =
            "SELECT r.id, r.deleted_at IS NOT NULL, rule.texts_days, coalesce(p.texts_seq, 0),
                rule.files_days, coalesce(p.files_seq, 0)
            FROM (SELECT id, room_type, deleted_at, is_held FROM rooms WHERE id > $1 ORDER BY id LIMIT $2) r
            LEFT JOIN LATERAL (SELECT texts_days, files_days FROM retention_rules
                WHERE NOT r.is_held AND (room_id = r.id OR room_type = r.room_type)
                ORDER BY room_id NULLS LAST LIMIT 1) rule ON true
            LEFT JOIN LATERAL (SELECT * FROM retention_progress WHERE room_id = r.id LIMIT 1) p ON true
            ORDER BY r.id";
        let client = self.long_read_client().await?;
        if client.row(ANY, &[]).await?.is_none() {
            return Ok(RetentionRound::default());
        }
        let rows = client.rows(ROOMS, &[&after.0, &ROOMS_AT_ONCE]).await?;
        let rooms: Vec<SweptRoom> = rows
            .iter()
            .map(|row| SweptRoom {
                id: RoomId(row.get(0)),
                is_deleted: row.get(1),
                classes: [(row.get(2), row.get(3)), (row.get(4), row.get(5))],
            })
            .collect();
        let mut round =
            RetentionRound { last: rooms.last().map(|room| room.id), ..RetentionRound::default() };
        for class in [0, 1] {
            look_through(&client, &rooms, class, &mut round).await?;
        }
        Ok(round)
    }

    /// Records that what a round had to delete is deleted.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn finish_retention_round(&self, round: &RetentionRound) -> Result<(), StoreError> {
        const ADVANCE: &str = "INSERT INTO retention_progress AS p (room_id, texts_seq, files_seq)
            SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[])
            ON CONFLICT (room_id) DO UPDATE SET texts_seq = greatest(p.texts_seq, excluded.texts_seq),
                files_seq = greatest(p.files_seq, excluded.files_seq)";
        if round.progress.is_empty() {
            return Ok(());
        }
        // In the order of rooms, so that two nodes don't wait for each other.
        let rooms: Vec<Uuid> = round.progress.keys().map(|room| room.0).collect();
        let seqs = |class: usize| round.progress.values().map(|seqs| seqs[class].0).collect::<Vec<i64>>();
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(ADVANCE, &[&rooms, &seqs(0), &seqs(1)]).await?;
        transaction.commit().await
    }
}

/// Adds what is due of one class of messages: 0 for those without a file, 1 for those with one.
async fn look_through(
    client: &ReadClient,
    rooms: &[SweptRoom],
    class: usize,
    round: &mut RetentionRound,
) -> Result<(), StoreError> {
    const WINDOW: &str = "SELECT k.number, m.id, m.seq,
            m.created_at < now() - make_interval(days => k.days),
            m.deleted_at IS NULL AND (m.file_id IS NOT NULL) = $5 AND NOT EXISTS (
                SELECT FROM holds h WHERE h.user_id = m.sender_id AND h.released_at IS NULL)
        FROM unnest($1::uuid[], $2::bigint[], $3::int[]) WITH ORDINALITY k (room_id, after, days, number)
        CROSS JOIN LATERAL (SELECT id, seq, created_at, deleted_at, file_id, sender_id FROM messages
            WHERE room_id = k.room_id AND seq > k.after ORDER BY seq LIMIT $4) m
        ORDER BY k.number, m.seq";
    let ruled: Vec<(&SweptRoom, i32)> =
        rooms.iter().filter_map(|room| Some((room, room.classes[class].0?))).collect();
    let ids: Vec<Uuid> = ruled.iter().map(|(room, _)| room.id.0).collect();
    let after: Vec<i64> = ruled.iter().map(|(room, _)| room.classes[class].1).collect();
    let days: Vec<i32> = ruled.iter().map(|(_, days)| *days).collect();
    let rows = client.rows(WINDOW, &[&ids, &after, &days, &MESSAGES_AT_ONCE, &(class == 1)]).await?;
    let (mut ended, mut seen) = (0_i64, (0_i64, 0_i64));
    for row in &rows {
        let (number, is_old): (i64, bool) = (row.get(0), row.get(3));
        if number == ended {
            continue;
        }
        if !is_old {
            ended = number;
            continue;
        }
        let index = usize::try_from(number - 1).unwrap_or_default();
        let Some((room, _)) = ruled.get(index) else { continue };
        let earlier = room.classes.map(|(_, seq)| Seq(seq));
        round.progress.entry(room.id).or_insert(earlier)[class] = Seq(row.get(2));
        if row.get(4) {
            let (room, is_room_deleted) = (room.id, room.is_deleted);
            round.due.push(DueMessage { room, is_room_deleted, message: MessageId(row.get(1)) });
        }
        seen = if seen.0 == number { (number, seen.1 + 1) } else { (number, 1) };
        round.has_more |= seen.1 == MESSAGES_AT_ONCE;
    }
    Ok(())
}

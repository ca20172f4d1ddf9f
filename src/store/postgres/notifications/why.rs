//! Why a user was told of a message, or wasn't.

use actors::domain::ids::{MessageId, Seq, UserId};
use actors::domain::mentions::Mentions;
use actors::domain::notifications::rules::{MessageFacts, ReaderFacts, TellingRule};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use super::facts::{READER_WIDTH, reader_columns, reader_of};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::SnapshotTransaction;
use crate::store::postgres::rules::is_visible;

/// What decides whether a user is told of one message, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageReasons {
    /// The message.
    pub message: MessageFacts,
    /// Whether it is in a direct room.
    pub is_direct: bool,
    /// The user, by the settings of now; everything up to `after` is read.
    pub reader: ReaderFacts,
    /// Whether the room's messages still wait to be decided about.
    pub is_waiting: bool,
    /// What the user was told, if the message was part of it.
    pub told: Option<ToldState>,
    /// The pushes of that.
    pub pushes: Vec<PushState>,
    /// When all of this was read.
    pub now: DateTime<Utc>,
}

/// A notification that a message was part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldState {
    /// Its strongest rule.
    pub rule: TellingRule,
    /// The message that it shows.
    pub message: MessageId,
    /// What became of it, and since when.
    pub state: WayState,
}

/// What became of a notification on one way to its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayState {
    /// `told`, `read` or `gone`; of a push `pending`, `sending`, `sent`, `failed` or `withdrawn`.
    pub state: String,
    /// Since when.
    pub at: DateTime<Utc>,
}

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushState {
    /// Whether it goes to a phone rather than to a browser.
    pub is_to_phone: bool,
    /// What became of it.
    pub state: WayState,
}

impl PostgresStore {
    /// Reads why a user was told of a message, or wasn't. `None`: there is no such message that the user may see.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn message_reasons(
        &self,
        user: UserId,
        id: MessageId,
    ) -> Result<Option<MessageReasons>, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            reader_columns!(),
            ", m.room_id, m.seq, m.sender_id, m.created_at, CASE WHEN NOT m.in_timeline THEN m.thread_root END,
               m.content, r.room_type = 'direct', now(), EXISTS (
                   SELECT FROM notification_windows w
                   WHERE w.room_id = m.room_id AND m.seq BETWEEN w.first_seq AND w.last_seq),
               EXISTS (SELECT FROM thread_users t
                   WHERE t.room_id = m.room_id AND t.message_id = m.thread_root AND t.user_id = $1),
               EXISTS (SELECT FROM blocks b WHERE b.user_id = $1 AND b.blocked_id = m.sender_id),
               coalesce(m.extras ? 'urgent', false)
             FROM messages m
             JOIN rooms r ON r.id = m.room_id AND r.deleted_at IS NULL
             JOIN participants p ON p.room_id = m.room_id AND p.user_id = $1 AND p.left_at IS NULL
             LEFT JOIN notification_settings s ON s.user_id = $1
             WHERE m.id = $2 AND m.deleted_at IS NULL AND ",
            is_visible!("m", "p")
        );
        let mut client = self.read_client().await?;
        let snapshot = client.snapshot().await?;
        let reasons = match snapshot.rows(FIND, &[&user.0, &id.0]).await?.first() {
            Some(row) => Some(reasons_of(&snapshot, user, id, row).await?),
            None => None,
        };
        snapshot.end().await?;
        Ok(reasons)
    }
}

async fn reasons_of(
    snapshot: &SnapshotTransaction<'_>,
    user: UserId,
    id: MessageId,
    row: &Row,
) -> Result<MessageReasons, StoreError> {
    const MENTIONS: &str = "SELECT user_id FROM mentions WHERE room_id = $1 AND message_id = $2";
    const TOLD: &str = "SELECT id, rule, message_id, state, coalesce(ended_at, told_at) FROM notifications
        WHERE user_id = $1 AND room_id = $2 AND last_seq >= $3 AND first_seq <= $3
        ORDER BY last_seq, told_at DESC LIMIT 1";
    const PUSHES: &str =
        "SELECT CASE WHEN d.is_withdrawal AND d.state = 'sent' THEN 'withdrawn' ELSE d.state END,
            coalesce(d.finished_at, d.created_at),
            coalesce((SELECT s.endpoint LIKE 'fcm:%' FROM push_subscriptions s WHERE s.id = d.subscription_id), false)
        FROM push_deliveries d WHERE d.notification_id = $1 ORDER BY d.subscription_id";
    let room: Uuid = row.get(READER_WIDTH);
    let (seq, now): (i64, DateTime<Utc>) = (row.get(READER_WIDTH + 1), row.get(READER_WIDTH + 7));
    let mut mentions = Mentions::default();
    for row in snapshot.rows(MENTIONS, &[&room, &id.0]).await? {
        match row.get(0) {
            0 => mentions.room = true,
            user => mentions.users.push(UserId(user)),
        }
    }
    let root = row.get::<_, Option<Uuid>>(READER_WIDTH + 4).map(MessageId);
    let mut reader = reader_of(row, 0, now);
    if row.get(READER_WIDTH + 9) {
        reader.threads.extend(root);
    }
    let sender = UserId(row.get(READER_WIDTH + 2));
    if row.get(READER_WIDTH + 10) {
        reader.blocked.insert(sender);
    }
    let told = snapshot.rows(TOLD, &[&user.0, &room, &seq]).await?;
    let pushes = match told.first() {
        Some(told) => snapshot.rows(PUSHES, &[&told.get::<_, Uuid>(0)]).await?,
        None => Vec::new(),
    };
    Ok(MessageReasons {
        message: MessageFacts {
            id,
            seq: Seq(seq),
            sender,
            at: row.get(READER_WIDTH + 3),
            thread_alone: root,
            mentions,
            is_urgent: row.get(READER_WIDTH + 11),
            text: row.get(READER_WIDTH + 5),
        },
        is_direct: row.get(READER_WIDTH + 6),
        reader,
        is_waiting: row.get(READER_WIDTH + 8),
        told: told.first().map(|row| ToldState {
            rule: TellingRule::parse(row.get(1)).unwrap_or(TellingRule::Message),
            message: MessageId(row.get(2)),
            state: WayState { state: row.get(3), at: row.get(4) },
        }),
        pushes: pushes
            .iter()
            .map(|row| PushState {
                is_to_phone: row.get(2),
                state: WayState { state: row.get(0), at: row.get(1) },
            })
            .collect(),
        now,
    })
}

//! What notifications show, read together with their messages as these are now.

use std::collections::HashMap;

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::domain::notifications::rules::TellingRule;
use actors::domain::notifications::{self, Notification};
use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use crate::store::postgres::rows::preview;

/// A notification with what only the list of them has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationDetails {
    /// The notification.
    pub notification: Notification,
    /// When its user was told first.
    pub created_at: DateTime<Utc>,
    /// When its user was told last.
    pub told_at: DateTime<Utc>,
    /// When its user read it, here or in the room.
    pub read_at: Option<DateTime<Utc>>,
}

/// The columns of a notification `n` with its [`notification_tables`], for [`details_of`].
macro_rules! notification_columns {
    () => {
        concat!(
            "n.id, n.rule, n.room_id, m.seq, n.message_id, ",
            $crate::store::postgres::rules::display_name!("r", "w"),
            " AS title, r.room_type = 'direct' AS is_direct, ",
            $crate::store::postgres::rules::user_name!("u"),
            " AS sender, coalesce(g.hide_text, false) AS hides_text, ",
            $crate::store::postgres::rules::preview_columns!("m"),
            " AS content, n.created_at, n.told_at, CASE WHEN n.state = 'read' THEN n.ended_at END AS read_at"
        )
    };
}

/// What a notification `n` shows: the room `r`, the message `m` that its user may see there, its sender `u`, the other
/// user `w` of a direct room, and the settings `g` of the user. There is nothing to show where one of the first two is
/// missing.
macro_rules! notification_tables {
    () => {
        concat!(
            " CROSS JOIN LATERAL (SELECT * FROM rooms WHERE id = n.room_id AND deleted_at IS NULL LIMIT 1) r
              CROSS JOIN LATERAL (SELECT visible_from_seq FROM participants
                  WHERE room_id = n.room_id AND user_id = n.user_id AND left_at IS NULL LIMIT 1) p
              CROSS JOIN LATERAL (SELECT * FROM messages m
                  WHERE m.room_id = n.room_id AND m.id = n.message_id AND m.deleted_at IS NULL AND ",
            $crate::store::postgres::rules::is_visible!("m", "p"),
            " LIMIT 1) m
              LEFT JOIN LATERAL (SELECT * FROM people WHERE id = m.sender_id LIMIT 1) u ON true
              LEFT JOIN LATERAL (SELECT o.* FROM people o
                  WHERE o.id = CASE WHEN r.pair_low = n.user_id THEN r.pair_high ELSE r.pair_low END LIMIT 1) w ON true
              LEFT JOIN LATERAL (SELECT hide_text FROM notification_settings WHERE user_id = n.user_id LIMIT 1) g ON true "
        )
    };
}

pub(super) use {notification_columns, notification_tables};

/// Reads the notification whose columns begin at `at`; `None` where there is none.
pub(super) fn details_of(row: &Row, at: usize) -> Option<NotificationDetails> {
    let id = row.get::<_, Option<Uuid>>(at)?;
    // A newer node may tell by rules that this one doesn't know.
    let rule = TellingRule::parse(row.get(at + 1)).unwrap_or(TellingRule::Message);
    let is_direct: bool = row.get(at + 6);
    let sender = row.get::<_, Option<&str>>(at + 7).filter(|_| !is_direct);
    let preview = preview(row, at + 9).unwrap_or_default();
    Some(NotificationDetails {
        notification: Notification {
            id,
            rule,
            room: RoomId(row.get(at + 2)),
            seq: Seq(row.get(at + 3)),
            message: MessageId(row.get(at + 4)),
            title: row.get(at + 5),
            body: notifications::body(rule, sender, &preview, row.get(at + 8)),
        },
        created_at: row.get(at + 11),
        told_at: row.get(at + 12),
        read_at: row.get(at + 13),
    })
}

/// Those of a user's notifications that haven't ended.
pub(super) const SHOWN: &str = concat!(
    "SELECT ",
    notification_columns!(),
    " FROM notifications n ",
    notification_tables!(),
    " WHERE n.user_id = $1 AND n.id = ANY($2) AND n.state = 'told'"
);

/// Reads those of these notifications that haven't ended.
pub(crate) async fn shown(
    client: &ClientWrapper,
    user: UserId,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Notification>, Error> {
    let statement = client.prepare_cached(SHOWN).await?;
    let rows = client.query(&statement, &[&user.0, &ids]).await?;
    let shown = rows.iter().filter_map(|row| details_of(row, 0)).map(|details| details.notification);
    Ok(shown.map(|notification| (notification.id, notification)).collect())
}

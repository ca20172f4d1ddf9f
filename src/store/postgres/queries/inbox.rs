//! Reads a user's inbox: their rooms with unread counts and previews.

use actors::domain::ids::{RoomId, Seq, UserId};
use actors::domain::message::NO_MESSAGES_TEXT;
use actors::domain::room::RoomType;
use actors::ports::store::InboxRoom;
use deadpool_postgres::ClientWrapper;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use crate::store::postgres::rows::{self, ROOM_WIDTH, room_columns, user_summary_columns};
use crate::store::postgres::rules::{
    is_muted, is_visible, mention_count, preview_columns, unread_after, unread_count,
};

/// How many columns precede those of the room.
const INBOX_WIDTH: usize = 9;
const PARTNER: usize = INBOX_WIDTH + ROOM_WIDTH;
const SENDER: usize = PARTNER + 3;
const OWN_STATE: usize = SENDER + 4;

/// One statement, so that counts and heads agree. `$2` is `NULL` for all rooms. Each joined table is limited to one
/// row, which keeps the planner from reading whole tables for many rooms.
const INBOX: &str = concat!(
    "SELECT c.mark, c.unread, ",
    is_muted!("p"),
    ", m.created_at, ",
    preview_columns!("m"),
    ", w.user_id, CASE WHEN p.is_muted AND p.muted_until > now() THEN p.muted_until END, c.mentions, ",
    room_columns!(),
    ", ",
    user_summary_columns!(),
    ", m.sender_id, s.username, s.full_name, s.erased_at IS NOT NULL, p.level, p.is_favourite, \
      p.unread_from IS NOT NULL \
      FROM participants p JOIN rooms r ON r.id = p.room_id AND r.deleted_at IS NULL \
      CROSS JOIN LATERAL (SELECT k.mark, ",
    unread_count!("r.id", "k.mark", "p.user_id"),
    " AS unread, ",
    mention_count!("r.id", "k.mark", "p.user_id"),
    " AS mentions FROM (SELECT ",
    unread_after!("p"),
    " AS mark) k) c \
      LEFT JOIN LATERAL (SELECT message_type, content, sender_id, created_at FROM messages last \
      WHERE last.room_id = r.id AND last.id = r.last_message_id AND ",
    is_visible!("last", "p"),
    " LIMIT 1) m ON true \
      LEFT JOIN LATERAL (SELECT user_id FROM participants \
      WHERE r.room_type = 'direct' AND room_id = r.id AND user_id <> p.user_id LIMIT 1) w ON true \
      LEFT JOIN people u ON u.id = w.user_id LEFT JOIN people s ON s.id = m.sender_id \
      WHERE p.user_id = $1 AND p.left_at IS NULL AND ($2::uuid[] IS NULL OR p.room_id = ANY($2)) \
      ORDER BY r.modified_at DESC, r.id"
);

/// Reads the rooms that `user` is in: all of them, or those of `rooms`.
pub(crate) async fn read(
    client: &ClientWrapper,
    user: UserId,
    rooms: Option<&[RoomId]>,
) -> Result<Vec<InboxRoom>, Error> {
    let ids: Option<Vec<Uuid>> = rooms.map(|rooms| rooms.iter().map(|room| room.0).collect());
    let statement = client.prepare_cached(INBOX).await?;
    let rows = client.query(&statement, &[&user.0, &ids]).await?;
    Ok(rows.iter().map(inbox_room).collect())
}

fn inbox_room(row: &Row) -> InboxRoom {
    let room = rows::room(row, INBOX_WIDTH);
    let partner = row
        .get::<_, Option<i64>>(6)
        .filter(|_| room.room_type == RoomType::Direct)
        .map(|id| rows::user_summary(row, UserId(id), PARTNER));
    InboxRoom {
        unread_after: Seq(row.get(0)),
        unread: row.get(1),
        mentions: row.get(8),
        is_muted: row.get(2),
        muted_until: row.get(7),
        level: rows::level(row, OWN_STATE),
        is_favourite: row.get(OWN_STATE + 1),
        is_marked_unread: row.get(OWN_STATE + 2),
        display_name: room.display_name(partner.as_ref().map(|partner| &*partner.full_name)),
        partner,
        last_message_preview: rows::preview(row, 4).unwrap_or_else(|| NO_MESSAGES_TEXT.to_owned()),
        last_message_time: row.get::<_, Option<_>>(3).unwrap_or(room.created_at),
        last_message_sender: row
            .get::<_, Option<i64>>(SENDER)
            .map(|id| rows::user_summary(row, UserId(id), SENDER + 1)),
        room,
    }
}

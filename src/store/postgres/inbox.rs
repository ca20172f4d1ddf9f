//! Reads a person's list of rooms, as badges and list rows show it.

use actors::domain::ids::{RoomId, Seq, UserId};
use actors::domain::message::{MessageType, preview};
use actors::domain::room::RoomType;
use actors::ports::store::InboxRoom;
use deadpool_postgres::ClientWrapper;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::rows::{self, author_columns, room_columns};

const FIXED: usize = 8;
const ROOM_WIDTH: usize = 12;
const SENDER: usize = FIXED + ROOM_WIDTH + 3;

/// One statement, so that counts and heads agree. `$2` is `NULL` for all rooms. What stands beside a
/// room is limited to one row, which keeps the planner from reading whole tables for many rooms.
const INBOX: &str = concat!(
    "SELECT c.mark, c.unread, p.is_muted AND (p.muted_until IS NULL OR p.muted_until > now()), \
     r.last_message_at, m.message_type, left(m.content, 100), w.user_id, \
     CASE WHEN p.is_muted AND p.muted_until > now() THEN p.muted_until END, ",
    room_columns!(),
    ", ",
    author_columns!(),
    ", m.sender_id, s.username, s.full_name, s.erased_at IS NOT NULL",
    " FROM participants p JOIN rooms r ON r.id = p.room_id AND r.deleted_at IS NULL \
      CROSS JOIN LATERAL (SELECT k.mark, (SELECT count(*) FROM messages n WHERE n.room_id = r.id \
      AND n.seq > k.mark AND n.sender_id <> p.user_id AND n.deleted_at IS NULL) AS unread \
      FROM (SELECT greatest(p.read_seq, p.joined_seq, p.visible_from_seq - 1) AS mark) k) c \
      LEFT JOIN LATERAL (SELECT message_type, content, sender_id FROM messages \
      WHERE room_id = r.id AND id = r.last_message_id LIMIT 1) m ON true \
      LEFT JOIN LATERAL (SELECT user_id FROM participants \
      WHERE r.room_type = 'direct' AND room_id = r.id AND user_id <> p.user_id LIMIT 1) w ON true \
      LEFT JOIN people u ON u.id = w.user_id LEFT JOIN people s ON s.id = m.sender_id \
      WHERE p.user_id = $1 AND p.left_at IS NULL AND ($2::uuid[] IS NULL OR p.room_id = ANY($2)) \
      ORDER BY r.modified_at DESC, r.id"
);

/// Reads the rooms that `user` is in: all, or those of `rooms`.
pub(super) async fn read(
    client: &ClientWrapper,
    user: UserId,
    rooms: Option<&[RoomId]>,
) -> Result<Vec<InboxRoom>, Error> {
    let named: Option<Vec<Uuid>> = rooms.map(|rooms| rooms.iter().map(|room| room.0).collect());
    let statement = client.prepare_cached(INBOX).await?;
    let rows = client.query(&statement, &[&user.0, &named]).await?;
    Ok(rows.iter().map(inbox_room).collect())
}

fn inbox_room(row: &Row) -> InboxRoom {
    let room = rows::room(row, FIXED);
    let partner = row
        .get::<_, Option<i64>>(6)
        .filter(|_| room.room_type == RoomType::Direct)
        .map(|id| rows::author(row, UserId(id), FIXED + ROOM_WIDTH));
    let last = row.get::<_, Option<&str>>(4).and_then(MessageType::parse).zip(row.get::<_, Option<&str>>(5));
    InboxRoom {
        unread_after: Seq(row.get(0)),
        unread: row.get(1),
        is_muted: row.get(2),
        muted_until: row.get(7),
        display_name: room.display_name(partner.as_ref().map(|partner| &*partner.full_name)),
        partner,
        last_message_preview: match last {
            Some((message_type, content)) => preview(message_type, false, content),
            None => "No messages yet".to_owned(),
        },
        last_message_time: row.get::<_, Option<_>>(3).unwrap_or(room.created_at),
        last_message_sender: row
            .get::<_, Option<i64>>(SENDER)
            .map(|id| rows::author(row, UserId(id), SENDER + 1)),
        room,
    }
}

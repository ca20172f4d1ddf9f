//! The viewer's unread replies in threads.

use std::collections::HashMap;

use actors::domain::ids::{MessageId, UserId};
use actors::domain::message::Message;
use actors::ports::store::StoreError;
use uuid::Uuid;

use crate::store::postgres::pool::client::ReadClient;
use crate::store::postgres::rules::unread_after;

/// Counts the viewer's unread replies in the threads of those of `messages` that are roots, where the viewer takes
/// part.
pub(super) async fn unread<'a>(
    client: &ReadClient,
    viewer: UserId,
    messages: impl Iterator<Item = &'a Message>,
) -> Result<HashMap<MessageId, i64>, StoreError> {
    const COUNT: &str = concat!(
        "SELECT k.root, (SELECT count(*) FROM messages n
             WHERE n.room_id = k.room_id AND n.thread_root = k.root AND n.seq > me.mark
               AND n.sender_id <> $3 AND n.deleted_at IS NULL)
         FROM unnest($1::uuid[], $2::uuid[]) k (room_id, root)
         CROSS JOIN LATERAL (SELECT FROM thread_users
             WHERE room_id = k.room_id AND message_id = k.root AND user_id = $3 LIMIT 1) own
         CROSS JOIN LATERAL (SELECT ",
        unread_after!("p"),
        " AS mark FROM participants p
             WHERE p.room_id = k.room_id AND p.user_id = $3 AND p.left_at IS NULL LIMIT 1) me"
    );
    let roots = messages.filter(|message| message.extras.thread.is_some());
    let (rooms, ids): (Vec<Uuid>, Vec<Uuid>) = roots.map(|message| (message.room.0, message.id.0)).unzip();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = client.rows(COUNT, &[&rooms, &ids, &viewer.0]).await?;
    Ok(rows.iter().map(|row| (MessageId(row.get(0)), row.get(1))).collect())
}

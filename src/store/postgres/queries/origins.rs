//! Which originals of forwarded messages a viewer may see.

use std::collections::HashSet;

use actors::domain::ids::{MessageId, UserId};
use actors::domain::message::Message;
use actors::ports::store::StoreError;
use uuid::Uuid;

use crate::store::postgres::pool::client::ReadClient;
use crate::store::postgres::rules::is_visible;

/// Finds the originals of `messages` that the viewer may see where they were written first.
pub(super) async fn visible<'a>(
    client: &ReadClient,
    viewer: UserId,
    messages: impl Iterator<Item = &'a Message>,
) -> Result<HashSet<MessageId>, StoreError> {
    const FIND: &str = concat!(
        "SELECT k.id FROM unnest($1::uuid[], $2::uuid[]) k (room_id, id)
         CROSS JOIN LATERAL (SELECT seq FROM messages
             WHERE room_id = k.room_id AND id = k.id AND deleted_at IS NULL LIMIT 1) m
         CROSS JOIN LATERAL (SELECT visible_from_seq FROM participants
             WHERE room_id = k.room_id AND user_id = $3 AND left_at IS NULL LIMIT 1) me
         CROSS JOIN LATERAL (SELECT FROM rooms WHERE id = k.room_id AND deleted_at IS NULL LIMIT 1) r
         WHERE ",
        is_visible!("m", "me")
    );
    let origins = messages.filter_map(|message| message.extras.forwarded.as_ref());
    let (rooms, ids): (Vec<Uuid>, Vec<Uuid>) =
        origins.map(|origin| (origin.room.0, origin.message.0)).unzip();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = client.rows(FIND, &[&rooms, &ids, &viewer.0]).await?;
    Ok(rows.iter().map(|row| MessageId(row.get(0))).collect())
}

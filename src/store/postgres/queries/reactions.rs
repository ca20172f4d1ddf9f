//! A viewer's own reactions, as far as the sums with a message don't name them.

use std::collections::HashMap;

use actors::domain::ids::{MessageId, UserId};
use actors::domain::message::Message;
use actors::domain::message_extras::Reaction;
use actors::ports::store::StoreError;
use uuid::Uuid;

use crate::store::postgres::pool::client::ReadClient;

/// Reads the emojis with which the viewer reacted to those of `messages` that have a reaction with more users than
/// it names.
pub(super) async fn own<'a>(
    client: &ReadClient,
    viewer: UserId,
    messages: impl Iterator<Item = &'a Message>,
) -> Result<HashMap<MessageId, Vec<String>>, StoreError> {
    const FIND: &str = "SELECT k.message_id, own.emoji FROM unnest($1::uuid[], $2::uuid[]) k (room_id, message_id)
        CROSS JOIN LATERAL (SELECT emoji FROM reactions
            WHERE room_id = k.room_id AND message_id = k.message_id AND user_id = $3 ORDER BY emoji OFFSET 0) own";
    let has_more =
        |reaction: &Reaction| usize::try_from(reaction.count).is_ok_and(|count| count > reaction.users.len());
    let long = messages.filter(|message| message.extras.reactions.iter().any(has_more));
    let (rooms, ids): (Vec<Uuid>, Vec<Uuid>) = long.map(|message| (message.room.0, message.id.0)).unzip();
    let mut own: HashMap<MessageId, Vec<String>> = HashMap::new();
    if ids.is_empty() {
        return Ok(own);
    }
    for row in client.rows(FIND, &[&rooms, &ids, &viewer.0]).await? {
        own.entry(MessageId(row.get(0))).or_default().push(row.get(1));
    }
    Ok(own)
}

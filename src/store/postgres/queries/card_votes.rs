//! The viewer's own votes in polls, where the polls themselves don't name the viewer.

use std::collections::HashMap;

use actors::domain::card::{CardBody, PollChoice};
use actors::domain::ids::{MessageId, UserId};
use actors::domain::message::Message;
use actors::ports::store::StoreError;
use uuid::Uuid;

use crate::store::postgres::pool::client::ReadClient;

/// Reads the choices that the viewer voted for on those of `messages` whose card has a choice with more votes than it
/// names users.
pub(super) async fn own<'a>(
    client: &ReadClient,
    viewer: UserId,
    messages: impl Iterator<Item = &'a Message>,
) -> Result<HashMap<MessageId, Vec<String>>, StoreError> {
    const FIND: &str = "SELECT k.message_id, own.choice FROM unnest($1::uuid[], $2::uuid[]) k (room_id, message_id)
        CROSS JOIN LATERAL (SELECT choice FROM card_votes
            WHERE room_id = k.room_id AND message_id = k.message_id AND user_id = $3 ORDER BY choice OFFSET 0) own";
    let long = messages.filter(|message| has_long_choice(message));
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

fn has_long_choice(message: &Message) -> bool {
    let has_more =
        |choice: &PollChoice| usize::try_from(choice.votes).is_ok_and(|votes| votes > choice.users.len());
    match message.extras.card.as_deref().map(|card| &card.body) {
        Some(CardBody::Poll(poll)) => poll.choices.iter().any(has_more),
        _ => false,
    }
}

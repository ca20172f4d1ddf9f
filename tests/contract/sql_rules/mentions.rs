//! Who is mentioned: counts, and lists of mentions.

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::domain::mentions::Mentions;
use actors::ports::store::Store as _;
use aristay_chat::store::postgres::queries::{MessageAnchor, MessageFilter, RoomFilter};
use proptest::prop_assert_eq;
use proptest::test_runner::TestCaseError;
use tokio_postgres::Client;

use super::{CaseMessage, Stored};
use crate::world::Postgres;

impl CaseMessage {
    pub(super) fn mentions(&self, viewer: UserId) -> Mentions {
        Mentions::new(self.mentions_viewer.then_some(viewer).into_iter().collect(), self.mentions_room)
    }
}

impl Stored {
    fn unread_mentions(&self) -> i64 {
        self.unread_messages(self.participant.unread_after())
            .filter(|(_, _, message)| self.mentions_viewer(message))
            .count()
            .try_into()
            .unwrap()
    }

    fn mentions_viewer(&self, message: &CaseMessage) -> bool {
        message.mentions(self.viewer).includes(self.viewer, message.sender([self.viewer, self.partner.id]))
    }
}

/// Stores mentions as their feature does: one row for everyone, none for oneself, none of a deleted message.
pub(super) async fn store(
    client: &Client,
    room: RoomId,
    (id, seq, sender): (MessageId, Seq, UserId),
    mentions: &Mentions,
    is_deleted: bool,
) {
    let users: &[UserId] = if mentions.room { &[UserId(0)] } else { &mentions.users };
    for user in users.iter().filter(|user| **user != sender && !is_deleted) {
        let insert =
            "INSERT INTO mentions (room_id, message_id, user_id, seq, sender_id) VALUES ($1, $2, $3, $4, $5)";
        client.execute(insert, &[&room.0, &id.0, &user.0, &seq.0, &sender.0]).await.unwrap();
    }
}

pub(super) async fn check(postgres: &Postgres, stored: &Stored) -> Result<(), TestCaseError> {
    let (store, viewer, room) = (&postgres.store, stored.viewer, stored.room.id);
    let mentions = stored.unread_mentions();
    let inbox = store.inbox(viewer, Some(&[room])).await.unwrap().remove(0);
    prop_assert_eq!(inbox.mentions, mentions, "inbox");
    let rooms = store.unread_rooms(viewer).await.unwrap();
    let is_archived = stored.room.archived_at.is_some();
    prop_assert_eq!((rooms[0].mentions, rooms[0].is_archived), (mentions, is_archived), "unread rooms");
    let page = store.room_page(viewer, &RoomFilter::default(), 5, 0).await.unwrap();
    prop_assert_eq!(page.rooms[0].mentions, mentions, "room list");
    let visible = stored.timeline();
    let unread: Vec<MessageId> =
        stored.unread_messages(stored.participant.unread_after()).map(|(_, id, _)| id).collect();
    for (mentions_viewer, unread_only) in [(true, false), (false, true), (true, true)] {
        let is_listed = |id: &MessageId, message: &CaseMessage| {
            visible.contains(id)
                && (!mentions_viewer || stored.mentions_viewer(message))
                && (!unread_only || unread.contains(id))
        };
        let listed = stored.messages.iter().filter(|(_, id, _, message)| is_listed(id, message));
        let expected: Vec<MessageId> = listed.map(|(_, id, _, _)| *id).collect();
        for of in [Some(room), None] {
            let filter = MessageFilter {
                room: of,
                mentions_viewer,
                unread: unread_only,
                oldest_first: true,
                ..MessageFilter::default()
            };
            let page = store.message_page(viewer, &filter, 50, 0).await.unwrap();
            let shown: Vec<_> = page.messages.iter().map(|shown| shown.message.id).collect();
            prop_assert_eq!(
                (&shown, page.count),
                (&expected, i64::try_from(expected.len()).unwrap()),
                "page"
            );
            let filter = MessageFilter { room: Some(room), ..filter };
            let after = MessageAnchor::After(Seq(0));
            let slice = store.message_slice(viewer, &filter, after, 50).await.unwrap();
            let shown: Vec<_> = slice.messages.iter().map(|shown| shown.message.id).collect();
            prop_assert_eq!(&shown, &expected, "slice");
            let slice = store.message_slice(viewer, &filter, MessageAnchor::Newest, 1).await.unwrap();
            let shown: Vec<_> = slice.messages.iter().map(|shown| shown.message.id).collect();
            prop_assert_eq!(shown, expected.last().copied().into_iter().collect::<Vec<_>>(), "newest");
            prop_assert_eq!(slice.has_more, expected.len() > 1, "more");
        }
    }
    Ok(())
}

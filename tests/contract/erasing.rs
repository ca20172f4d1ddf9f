//! All messages of a user are found for erasure.

use actors::domain::command::RoomChange;
use actors::domain::ids::{RoomId, Seq};
use uuid::Uuid;

use crate::world::{ANN, BOB, World, delete};

#[tokio::test]
async fn messages_of_a_user_are_listed_in_pages() {
    let world = World::postgres().await;
    let [stays, left, deleted] =
        [world.group(&[ANN, BOB]).await, world.group(&[BOB, ANN]).await, world.group(&[ANN, BOB]).await];
    let mut expected = Vec::new();
    for n in 0..5 {
        for room in [stays, left, deleted] {
            let message = world.says(ANN, room, &n.to_string()).await;
            world.says(BOB, room, "yes").await;
            if n == 2 {
                world.does(ANN, room, delete(&message)).await.unwrap();
            } else if room != deleted {
                expected.push((room, message.seq, message.id));
            }
        }
    }
    world.does(ANN, left, RoomChange::Leave).await.unwrap();
    world.does(ANN, deleted, RoomChange::DeleteRoom).await.unwrap();
    expected.sort_unstable();
    assert_eq!(world.database().store.room_ids_of(ANN).await.unwrap(), [stays]);
    let (mut found, mut after) = (Vec::new(), (RoomId(Uuid::nil()), Seq::START));
    loop {
        let page = world.database().store.messages_of_sender(ANN, after, 3).await.unwrap();
        let Some((room, seq, _)) = page.last() else { break };
        assert!(page.len() <= 3);
        after = (*room, *seq);
        found.extend(page);
    }
    assert_eq!(found, expected);
}

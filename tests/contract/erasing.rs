//! What one person wrote is found, wherever that was.

use actors::domain::command::Change;
use actors::domain::ids::{RoomId, Seq};
use uuid::Uuid;

use crate::world::{ANN, BOB, World, delete};

#[tokio::test]
async fn what_one_wrote_is_listed_by_pieces() {
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
    world.does(ANN, left, Change::Leave).await.unwrap();
    world.does(ANN, deleted, Change::DeleteRoom).await.unwrap();
    expected.sort_unstable();
    assert_eq!(world.database().store.rooms_of(ANN).await.unwrap(), [stays]);
    let (mut found, mut after) = (Vec::new(), (RoomId(Uuid::nil()), Seq::START));
    loop {
        let piece = world.database().store.messages_by(ANN, after, 3).await.unwrap();
        let Some((room, seq, _)) = piece.last() else { break };
        assert!(piece.len() <= 3);
        after = (*room, *seq);
        found.extend(piece);
    }
    assert_eq!(found, expected);
}

//! Files that several messages carry: who is served them, and when they go.

use std::sync::Arc;

use actors::domain::command::{Command, Principal, Refusal, RoomChange};
use actors::domain::ids::{FileId, RoomId, UserId};
use actors::domain::message::Message;
use actors::ports::store::Store;
use uuid::Uuid;

use crate::forwarding::{attaches, copy, forwards};
use crate::world::{ANN, BOB, CAT, DAN, World, add, delete};

fn file_of(message: &Message) -> FileId {
    message.attachment.as_ref().unwrap().file
}

async fn is_served(world: &World, user: UserId, file: FileId) -> bool {
    world.database().store.visible_file(user, file, None).await.unwrap().is_some()
}

async fn is_to_be_erased(world: &World, file: FileId) -> bool {
    world.database().store.files_to_erase(1_000).await.unwrap().contains(&file)
}

/// The copy of `source` that `user` makes in `room`.
async fn copied(world: &World, user: UserId, room: RoomId, source: &Message) -> Message {
    let outcome = forwards(world, user, room, vec![copy(Uuid::new_v4(), room, source)]).await.unwrap();
    let added = outcome.events.iter().find_map(|event| event.body.facts().new_message().cloned());
    added.expect("a message")
}

#[tokio::test]
async fn a_file_is_served_to_those_who_see_a_message_that_carries_it() {
    let world = World::postgres().await;
    let (from, to) = (world.group(&[ANN, BOB]).await, world.group(&[BOB, CAT]).await);
    let original = attaches(&world, ANN, from).await;
    let file = file_of(&original);
    assert!(!is_served(&world, CAT, file).await);
    let first = copied(&world, BOB, to, &original).await;
    for (user, expected) in [(ANN, true), (BOB, true), (CAT, true), (DAN, false)] {
        assert_eq!(is_served(&world, user, file).await, expected, "{user}");
    }
    // Who came later than the history that they may see isn't served what is older.
    world.does(BOB, to, add(DAN)).await.unwrap();
    let hide =
        format!("UPDATE participants SET visible_from_seq = 9 WHERE room_id = '{to}' AND user_id = {DAN}");
    world.database().database.run(&hide).await;
    assert!(!is_served(&world, DAN, file).await);

    world.does(ANN, from, delete(&original)).await.unwrap();
    assert!(!is_served(&world, ANN, file).await);
    assert!(is_served(&world, CAT, file).await && !is_to_be_erased(&world, file).await);
    // Two copies in one room.
    let second = copied(&world, CAT, to, &first).await;
    world.does(BOB, to, delete(&first)).await.unwrap();
    assert!(is_served(&world, BOB, file).await && !is_to_be_erased(&world, file).await);
    world.does(CAT, to, RoomChange::Leave).await.unwrap();
    assert!(!is_served(&world, CAT, file).await);
    world.does(BOB, to, delete(&second)).await.unwrap();
    assert!(!is_served(&world, BOB, file).await && is_to_be_erased(&world, file).await);
    let client = world.database().database.client().await;
    for table in ["files", "forwarded_files"] {
        let row = client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 0, "{table}");
    }
}

#[tokio::test]
async fn a_file_of_a_deleted_room_is_served_where_it_was_forwarded() {
    let world = World::postgres().await;
    let (from, to) = (world.group(&[ANN, BOB]).await, world.group(&[BOB, CAT]).await);
    let (original, alone) = (attaches(&world, ANN, from).await, attaches(&world, ANN, from).await);
    let copy = copied(&world, BOB, to, &original).await;
    world.does(BOB, from, RoomChange::Pin { message: original.id, pinned: true }).await.unwrap();
    world.does(ANN, from, RoomChange::DeleteRoom).await.unwrap();
    let (file, only) = (file_of(&original), file_of(&alone));
    assert!(!is_served(&world, ANN, file).await && is_served(&world, CAT, file).await);
    // The account of its author ends; the copy is another's message.
    world.database().store.erase_messages_in_deleted_rooms(ANN).await.unwrap();
    assert!(is_served(&world, CAT, file).await && !is_to_be_erased(&world, file).await);
    assert!(is_to_be_erased(&world, only).await);
    world.does(BOB, to, delete(&copy)).await.unwrap();
    assert!(is_to_be_erased(&world, file).await);
    let client = world.database().database.client().await;
    for table in ["files", "forwarded_files", "pins"] {
        let row = client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 0, "{table}");
    }
}

#[tokio::test]
async fn the_copies_of_a_deleted_room_go_with_their_senders_account() {
    let world = World::postgres().await;
    let (from, to) = (world.group(&[ANN, BOB]).await, world.group(&[BOB, CAT]).await);
    let original = attaches(&world, ANN, from).await;
    copied(&world, BOB, to, &original).await;
    world.does(BOB, to, RoomChange::DeleteRoom).await.unwrap();
    world.does(ANN, from, delete(&original)).await.unwrap();
    let file = file_of(&original);
    assert!(!is_to_be_erased(&world, file).await);
    world.database().store.erase_messages_in_deleted_rooms(BOB).await.unwrap();
    assert!(is_to_be_erased(&world, file).await);
}

/// Whichever comes first, neither is refused by the database: the copy has its file, or there is no copy.
#[tokio::test]
async fn a_file_is_forwarded_and_deleted_at_the_same_time() {
    let world = World::postgres().await;
    let other_node = world.database().second_node().await;
    let (from, to) = (world.group(&[ANN]).await, world.group(&[ANN]).await);
    let (mut kept, mut gone) = (0, 0);
    for _ in 0..40 {
        let original = attaches(&world, ANN, from).await;
        let file = file_of(&original);
        let by_ann = |room, change| [Arc::new(Command { room, by: Principal::User(ANN), change })];
        let deletion = by_ann(from, delete(&original));
        let forward = by_ann(to, RoomChange::Forward(vec![copy(Uuid::new_v4(), to, &original)]));
        let (deleted, forwarded) =
            tokio::join!(world.store.append(&deletion, true), other_node.append(&forward, true));
        deleted.unwrap().remove(0).expect("the room is free").unwrap();
        match forwarded.unwrap().remove(0).expect("the room is free") {
            Ok(_) => {
                kept += 1;
                assert!(is_served(&world, ANN, file).await && !is_to_be_erased(&world, file).await);
            }
            Err(refusal) => {
                gone += 1;
                assert_eq!(refusal, Refusal::MessageNotFound);
                assert!(!is_served(&world, ANN, file).await && is_to_be_erased(&world, file).await);
            }
        }
    }
    assert_eq!(kept + gone, 40);
}

/// A transaction that makes a copy holds the file until it ends; a deletion waits for it and sees the copy.
#[tokio::test]
async fn a_deletion_sees_the_copy_of_a_transaction_that_it_waited_for() {
    let world = World::postgres().await;
    let (from, to) = (world.group(&[ANN]).await, world.group(&[ANN]).await);
    let original = attaches(&world, ANN, from).await;
    let file = file_of(&original);
    let client = world.database().database.client().await;
    client.batch_execute("BEGIN").await.unwrap();
    client.execute("SELECT FROM files WHERE id = $1 FOR KEY SHARE", &[&file.0]).await.unwrap();
    let deletion = [Arc::new(Command { room: from, by: Principal::User(ANN), change: delete(&original) })];
    let forward = async {
        // The deletion waits for the file by now, or comes later.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        client
            .execute(
                "INSERT INTO messages (room_id, id, seq, rev, sender_id, message_type, content, file_id, created_at,
                     modified_at) VALUES ($1, $2, 99, 99, $3, 'file', '', $4, now(), now())",
                &[&to.0, &Uuid::new_v4(), &ANN.0, &file.0],
            )
            .await
            .unwrap();
        client.batch_execute("COMMIT").await.unwrap();
    };
    let (deleted, ()) = tokio::join!(world.store.append(&deletion, true), forward);
    deleted.unwrap().remove(0).expect("the room is free").unwrap();
    assert!(!is_to_be_erased(&world, file).await);
}

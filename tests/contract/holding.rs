//! Legal holds: what is on hold isn't deleted for good, by whatever way.

use actors::domain::command::{Refusal, RoomChange};
use actors::domain::ids::MessageId;
use aristay_chat::store::postgres::PostgresStore;
use aristay_chat::store::postgres::record::holds::{HeldMessage, Hold, HoldOutcome, HoldSubject};
use aristay_chat::store::postgres::users::EraseOutcome;
use serde_json::json;
use uuid::Uuid;

use crate::forwarding::attaches;
use crate::world::{ANN, BOB, CAT, World, delete, edit};

async fn place(store: &PostgresStore, subject: HoldSubject) -> Hold {
    match store.place_hold(subject, "Case 12", None).await.unwrap() {
        HoldOutcome::Placed(hold) => hold,
        other => panic!("{other:?}"),
    }
}

async fn kept(store: &PostgresStore, hold: &Hold) -> Vec<HeldMessage> {
    store.held_messages(hold, MessageId(Uuid::nil()), 100, None).await.unwrap()
}

#[tokio::test]
async fn a_room_on_hold_is_deleted_only_when_the_last_hold_is_released() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let room = world.group(&[ANN, BOB]).await;
    let holds = [place(store, HoldSubject::Room(room)).await, place(store, HoldSubject::Room(room)).await];
    for hold in &holds {
        let refused = world.does(ANN, room, RoomChange::DeleteRoom).await;
        assert_eq!(refused.unwrap_err(), Refusal::OnHold);
        assert_eq!(store.hold_on_room(room).await.unwrap().as_deref(), Some("Case 12"));
        assert!(store.release_hold(hold.id, Some(CAT)).await.unwrap());
    }
    world.does(ANN, room, RoomChange::DeleteRoom).await.unwrap();
    assert!(!store.release_hold(Uuid::nil(), None).await.unwrap());
    let unknown = HoldSubject::Room(actors::domain::ids::RoomId::new());
    assert_eq!(store.place_hold(unknown, "x", None).await.unwrap(), HoldOutcome::Unknown);
}

#[tokio::test]
async fn a_hold_that_a_dead_node_has_left_half_placed_takes_effect() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let room = world.group(&[ANN, BOB]).await;
    place(store, HoldSubject::Room(room)).await;
    world.database().database.run("UPDATE rooms SET is_held = false").await;
    store.settle_holds().await.unwrap();
    assert_eq!(world.does(ANN, room, RoomChange::DeleteRoom).await.unwrap_err(), Refusal::OnHold);
}

#[tokio::test]
async fn a_message_that_is_deleted_under_a_hold_is_kept_until_the_hold_is_released() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let (room, elsewhere) = (world.group(&[ANN, BOB]).await, world.group(&[ANN, BOB]).await);
    let edited = world.says(BOB, room, "first").await;
    let before = world.says(BOB, room, "deleted before").await;
    let others = world.says(BOB, elsewhere, "in another room").await;
    let with_file = attaches(&world, ANN, room).await;
    world.does(BOB, room, edit(&edited, "second")).await.unwrap();
    world.does(BOB, room, delete(&before)).await.unwrap();
    let hold = place(store, HoldSubject::Room(room)).await;
    for (user, room, message) in [(BOB, room, &edited), (ANN, room, &with_file), (BOB, elsewhere, &others)] {
        world.does(user, room, delete(message)).await.unwrap();
    }

    let found = kept(store, &hold).await;
    let mut told: Vec<_> =
        found.iter().map(|message| (message.sender, message.content.as_str(), &message.versions)).collect();
    told.sort_by_key(|(sender, ..)| *sender);
    let (content, none) = (with_file.content.as_str(), json!([]));
    let versions = json!([{"content": "first", "at": told[1].2[0]["at"]}]);
    assert_eq!(told, [(ANN, content, &none), (BOB, "second", &versions)]);
    // The one file stays; it is erased when nothing keeps it.
    assert_eq!(store.files_to_erase(10).await.unwrap(), []);
    store.settle_holds().await.unwrap();
    assert_eq!(kept(store, &hold).await.len(), 2);
    store.release_hold(hold.id, None).await.unwrap();
    store.settle_holds().await.unwrap();
    assert_eq!(kept(store, &hold).await, []);
    let file = with_file.attachment.unwrap().file;
    assert_eq!(store.files_to_erase(10).await.unwrap(), [file]);
}

#[tokio::test]
async fn a_user_on_hold_is_not_erased_and_loses_no_text() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let room = world.group(&[ANN, BOB]).await;
    let said = world.says(BOB, room, "as agreed").await;
    let hold = place(store, HoldSubject::User(BOB)).await;
    assert_eq!(store.erase_user(BOB).await.unwrap(), EraseOutcome::OnHold("Case 12".into()));
    assert!(store.user_record(BOB).await.unwrap().unwrap().is_active);
    world.does(BOB, room, delete(&said)).await.unwrap();
    assert_eq!(kept(store, &hold).await[0].content, "as agreed");
    store.release_hold(hold.id, None).await.unwrap();
    assert!(matches!(store.erase_user(BOB).await.unwrap(), EraseOutcome::Erased(_)));
    let erased = store.place_hold(HoldSubject::User(BOB), "late", None).await.unwrap();
    assert_eq!(erased, HoldOutcome::Unknown);
}

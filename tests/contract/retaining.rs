//! Retention in both stores: a message that expires is deleted by a rule's right, and not under a hold.

use actors::domain::command::{Command, CommandOutcome, Principal, Refusal, RoomChange};
use actors::domain::event::EventBody;
use actors::domain::ids::{MessageId, RoomId};
use actors::domain::message::RemovedBy;
use aristay_chat::store::postgres::record::retention::{RetentionRule, RetentionScope};
use uuid::Uuid;

use crate::world::{ANN, BOB, World, on_both};

on_both!(only_the_server_expires_messages_and_their_log_says_so);

async fn expires(world: &World, room: RoomId, message: MessageId) -> Result<CommandOutcome, Refusal> {
    world.run(Command { room, by: Principal::Service, change: RoomChange::Expire { message } }).await
}

async fn only_the_server_expires_messages_and_their_log_says_so(world: &World) {
    let room = world.direct(ANN, BOB).await.unwrap().room;
    let message = world.says(ANN, room, "old").await.id;
    let refused = world.does(ANN, room, RoomChange::Expire { message }).await;
    assert_eq!(refused.unwrap_err(), Refusal::Forbidden);
    expires(world, room, message).await.unwrap();
    let last = world.log(room).await.pop().unwrap();
    let EventBody::MessageDeleted(deletion) = &last.body else { panic!("{last:?}") };
    assert_eq!((deletion.removed_by, last.by), (RemovedBy::Retention, None));
    assert_eq!(expires(world, room, message).await.unwrap_err(), Refusal::MessageNotFound);
}

#[tokio::test]
async fn a_round_ends_at_the_first_message_that_is_kept_and_goes_on_behind_what_is_done() {
    let world = World::postgres().await;
    let (store, database) = (&world.database().store, &world.database().database);
    let room = world.group(&[ANN, BOB]).await;
    for n in 0..250 {
        world.says(ANN, room, &n.to_string()).await;
    }
    // Moved to another time by hand, one in the middle is kept: what is behind it waits.
    let age =
        "UPDATE messages SET created_at = created_at - interval '40 days' WHERE seq <> 230 AND seq < 240";
    database.run(age).await;
    let scope = RetentionScope::Room(room);
    let rule = RetentionRule { scope, texts_days: Some(30), files_days: None };
    assert_eq!(store.set_retention_rules(&[rule], None).await.unwrap(), []);
    let start = RoomId(Uuid::nil());
    let mut deleted = Vec::new();
    for _ in 0..3 {
        let round = store.retention_round(start).await.unwrap();
        for due in &round.due {
            expires(&world, due.room, due.message).await.unwrap();
        }
        deleted.push((round.due.len(), round.has_more));
        store.finish_retention_round(&round).await.unwrap();
    }
    assert_eq!(deleted, [(200, true), (26, false), (0, false)]);
    assert_eq!(store.set_retention_rules(&[], None).await.unwrap(), []);
    assert_eq!(store.retention_round(start).await.unwrap().due, []);
    assert_eq!(store.verify_audit_log(None).await.unwrap().unwrap().id, 2);
}

//! Who may delete the messages of others, and what the log records of it.

use actors::domain::command::{Command, CommandOutcome, Principal, Refusal, RoomChange};
use actors::domain::event::EventBody;
use actors::domain::features::MessageDeletion;
use actors::domain::ids::RoomId;
use actors::domain::message::{Message, RemovedBy};

use crate::world::{ANN, BOB, CAT, DAN, World, delete, on_both};

on_both!(
    admins_staff_and_the_host_delete_what_others_wrote,
    between_two_people_each_deletes_their_own_alone,
    a_deletion_says_in_whose_right_and_the_log_why,
    nobody_else_deletes_and_nothing_twice,
    an_ended_account_deletes_its_messages_as_their_author,
);

async fn by_host(world: &World, room: RoomId, change: RoomChange) -> Result<CommandOutcome, Refusal> {
    world.run(Command { room, by: Principal::Service, change }).await
}

async fn removal_right(world: &World, message: &Message) -> Option<RemovedBy> {
    let log = world.log(message.room).await;
    log.iter().find_map(|event| match &event.body {
        EventBody::MessagePosted(now) if now.id == message.id => Some(now.removed_by),
        _ => None,
    })?
}

async fn admins_staff_and_the_host_delete_what_others_wrote(world: &World) {
    let room = world.group(&[ANN, BOB, CAT]).await;
    world.make_staff(DAN).await;
    world.make_staff(CAT).await;
    for n in 0..4 {
        let message = world.says(BOB, room, "by bob").await;
        let deleted = match n {
            0 => world.does(ANN, room, delete(&message)).await,
            1 => world.does(DAN, room, delete(&message)).await,
            2 => world.does(CAT, room, delete(&message)).await,
            _ => by_host(world, room, delete(&message)).await,
        };
        let event = &deleted.unwrap().events[0];
        assert_eq!(event.by, [Some(ANN), Some(DAN), Some(CAT), None][n]);
        assert_eq!(removal_right(world, &message).await, Some(RemovedBy::Moderator));
    }
}

async fn between_two_people_each_deletes_their_own_alone(world: &World) {
    let room = world.direct(ANN, BOB).await.unwrap().room;
    world.make_staff(ANN).await;
    world.make_staff(DAN).await;
    let message = world.says(BOB, room, "by bob").await;
    for user in [ANN, DAN] {
        assert_eq!(world.does(user, room, delete(&message)).await, Err(Refusal::Forbidden));
    }
    assert_eq!(by_host(world, room, delete(&message)).await, Err(Refusal::Forbidden));
    world.does(BOB, room, delete(&message)).await.unwrap();
    assert_eq!(removal_right(world, &message).await, Some(RemovedBy::Author));
    let own = world.says(ANN, room, "by ann").await;
    world.does(ANN, room, delete(&own)).await.unwrap();
}

async fn a_deletion_says_in_whose_right_and_the_log_why(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let message = world.says(BOB, room, "the code is 4711").await;
    let change = RoomChange::Delete { message: message.id, reason: Some("a door code".into()) };
    let outcome = world.does(ANN, room, change).await.unwrap();
    let deletion = MessageDeletion {
        message: message.id,
        sent: message.seq,
        sender: BOB,
        removed_by: RemovedBy::Moderator,
        reason: Some("a door code".into()),
        thread: None,
    };
    let deleted = EventBody::MessageDeleted(Box::new(deletion));
    assert_eq!(outcome.events[0].body, deleted);
    let log = world.log(room).await;
    let last = log.last().unwrap();
    assert_eq!((&last.body, last.by), (&deleted, Some(ANN)));
    assert!(!format!("{log:?}").contains("4711"));
}

async fn nobody_else_deletes_and_nothing_twice(world: &World) {
    let room = world.group(&[ANN, BOB, CAT]).await;
    let message = world.says(BOB, room, "by bob").await;
    assert_eq!(world.does(CAT, room, delete(&message)).await, Err(Refusal::Forbidden));
    assert_eq!(world.does(DAN, room, delete(&message)).await, Err(Refusal::NotParticipant));
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    assert_eq!(world.does(BOB, room, delete(&message)).await, Err(Refusal::NotParticipant));
    world.make_staff(DAN).await;
    world.put_user(DAN, "dan", false).await;
    assert_eq!(world.does(DAN, room, delete(&message)).await, Err(Refusal::NotParticipant));
    world.does(ANN, room, delete(&message)).await.unwrap();
    for user in [ANN, CAT] {
        assert_eq!(world.does(user, room, delete(&message)).await, Err(Refusal::MessageNotFound));
    }
    assert_eq!(by_host(world, room, delete(&message)).await, Err(Refusal::MessageNotFound));
    assert_eq!(removal_right(world, &message).await, Some(RemovedBy::Moderator));
}

async fn an_ended_account_deletes_its_messages_as_their_author(world: &World) {
    let room = world.direct(ANN, BOB).await.unwrap().room;
    let message = world.says(BOB, room, "by bob").await;
    assert_eq!(
        world.does(ANN, room, RoomChange::Erase { message: message.id }).await,
        Err(Refusal::Forbidden)
    );
    by_host(world, room, RoomChange::Erase { message: message.id }).await.unwrap();
    assert_eq!(removal_right(world, &message).await, Some(RemovedBy::Author));
}

//! Pinned messages.

use actors::domain::command::{Command, CommandOutcome, CommandReply, Principal, Refusal, RoomChange};
use actors::domain::event::EventBody;
use actors::domain::features::PinChange;
use actors::domain::ids::{RoomId, Seq};
use actors::domain::message::Message;
use actors::domain::message_extras::Pinned;
use serde_json::json;

use crate::world::{ANN, BOB, CAT, World, add, delete, edit, on_both, set, task_room_command};

on_both!(
    a_message_is_pinned_once_and_taken_off_once,
    a_room_has_fifty_pinned_messages_at_most,
    pins_of_one_batch_are_all_counted,
    a_deleted_message_takes_its_pin_along,
    everyone_in_the_room_pins_and_the_host_where_it_manages,
    an_archived_room_takes_no_pins,
    a_room_may_leave_pins_to_its_admins,
    what_one_may_not_see_takes_neither_pin_nor_reaction,
);

fn pin(message: &Message, pinned: bool) -> RoomChange {
    RoomChange::Pin { message: message.id, pinned }
}

async fn by_host(world: &World, room: RoomId, change: RoomChange) -> Result<CommandOutcome, Refusal> {
    world.run(Command { room, by: Principal::Service, change }).await
}

/// Since when a message is pinned and by whom, as its replayed event tells.
async fn pinned(world: &World, message: &Message) -> Option<Pinned> {
    let log = world.log(message.room).await;
    let sent = log.iter().find_map(|event| match &event.body {
        EventBody::MessagePosted(now) if now.id == message.id => Some(now.extras.pinned),
        _ => None,
    });
    sent.expect("the message")
}

async fn a_message_is_pinned_once_and_taken_off_once(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let message = world.says(ANN, room, "the code is 4711").await;
    let modified = world.store.snapshot(room, &[], false).await.unwrap().unwrap().room.modified_at;
    for n in 0..2 {
        let user = [BOB, ANN][n];
        let outcome = world.does(user, room, pin(&message, true)).await.unwrap();
        assert_eq!(outcome.events.len(), 1 - n);
        let CommandReply::MessageChanged { message: now, is_duplicate, .. } = outcome.reply else { panic!() };
        assert_eq!((now.rev, is_duplicate), (message.seq.next(), n == 1));
        assert_eq!(now.extras.pinned.map(|pinned| pinned.by), Some(Some(BOB)));
    }
    let log = world.log(room).await;
    let last = log.last().unwrap();
    let change = PinChange { message: message.id, sent: message.seq, pinned: true };
    assert_eq!((&last.body, last.by), (&EventBody::MessagePinned(Box::new(change)), Some(BOB)));
    assert_eq!(pinned(world, &message).await, Some(Pinned { at: last.at, by: Some(BOB) }));
    // Neither an edit nor a room's list changes for it, nor the other way round.
    world.does(ANN, room, edit(&message, "the code is 4712")).await.unwrap();
    assert_eq!(pinned(world, &message).await.map(|pinned| pinned.by), Some(Some(BOB)));
    assert_eq!(world.store.snapshot(room, &[], false).await.unwrap().unwrap().room.modified_at, modified);
    for n in 0..2 {
        let outcome = world.does(ANN, room, pin(&message, false)).await.unwrap();
        assert_eq!(outcome.events.len(), 1 - n);
    }
    assert_eq!(pinned(world, &message).await, None);
}

async fn a_room_has_fifty_pinned_messages_at_most(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let mut messages = Vec::new();
    for n in 0..51 {
        messages.push(world.says(ANN, room, &n.to_string()).await);
    }
    for message in &messages[..50] {
        world.does(ANN, room, pin(message, true)).await.unwrap();
    }
    let one_more = &messages[50];
    assert_eq!(world.does(BOB, room, pin(one_more, true)).await, Err(Refusal::TooManyPins));
    world.does(ANN, room, pin(&messages[3], true)).await.unwrap();
    world.does(ANN, room, pin(&messages[7], false)).await.unwrap();
    world.does(BOB, room, pin(one_more, true)).await.unwrap();
    assert_eq!(world.does(BOB, room, pin(&messages[7], true)).await, Err(Refusal::TooManyPins));
    // The place of a deleted message is free.
    world.does(ANN, room, delete(&messages[0])).await.unwrap();
    world.does(BOB, room, pin(&messages[7], true)).await.unwrap();
}

async fn pins_of_one_batch_are_all_counted(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let mut messages = Vec::new();
    for n in 0..52 {
        messages.push(world.says(ANN, room, &n.to_string()).await);
    }
    let by_bob = |change| Command { room, by: Principal::User(BOB), change };
    let mut batch: Vec<Command> = messages[..51].iter().map(|message| by_bob(pin(message, true))).collect();
    batch.push(by_bob(pin(&messages[0], false)));
    batch.push(by_bob(pin(&messages[51], true)));
    batch.push(by_bob(pin(&messages[0], true)));
    let mut outcomes = world.append(batch, true).await.unwrap().into_iter().map(Option::unwrap);
    assert!(outcomes.by_ref().take(50).all(|outcome| outcome.is_ok()));
    assert_eq!(outcomes.next(), Some(Err(Refusal::TooManyPins)));
    assert!(outcomes.by_ref().take(2).all(|outcome| outcome.is_ok()));
    assert_eq!(outcomes.next(), Some(Err(Refusal::TooManyPins)));
    // What the batch left is what the next one finds.
    assert_eq!(world.does(BOB, room, pin(&messages[0], true)).await, Err(Refusal::TooManyPins));
    assert!(pinned(world, &messages[51]).await.is_some());
    world.does(BOB, room, pin(&messages[51], false)).await.unwrap();
    world.does(BOB, room, pin(&messages[0], true)).await.unwrap();
}

async fn a_deleted_message_takes_its_pin_along(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let message = world.says(ANN, room, "done").await;
    world.does(BOB, room, pin(&message, true)).await.unwrap();
    world.does(ANN, room, delete(&message)).await.unwrap();
    assert_eq!(pinned(world, &message).await, None);
    for on in [true, false] {
        assert_eq!(world.does(BOB, room, pin(&message, on)).await, Err(Refusal::MessageNotFound));
    }
}

async fn everyone_in_the_room_pins_and_the_host_where_it_manages(world: &World) {
    let (room, other) = (world.group(&[ANN, BOB]).await, world.group(&[CAT]).await);
    let message = world.says(ANN, room, "done").await;
    assert_eq!(world.does(CAT, room, pin(&message, true)).await, Err(Refusal::NotParticipant));
    assert_eq!(world.does(CAT, other, pin(&message, true)).await, Err(Refusal::MessageNotFound));
    assert_eq!(by_host(world, room, pin(&message, true)).await, Err(Refusal::Forbidden));
    world.make_staff(CAT).await;
    assert_eq!(world.does(CAT, room, pin(&message, true)).await, Err(Refusal::NotParticipant));
    world.does(BOB, room, pin(&message, true)).await.unwrap();
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    assert_eq!(world.does(BOB, room, pin(&message, false)).await, Err(Refusal::NotParticipant));

    let direct = world.direct(ANN, BOB).await.unwrap().room;
    let message = world.says(ANN, direct, "between two").await;
    world.does(BOB, direct, pin(&message, true)).await.unwrap();
    world.does(ANN, direct, pin(&message, false)).await.unwrap();
    assert_eq!(by_host(world, direct, pin(&message, true)).await, Err(Refusal::Forbidden));

    let task = world.open(&task_room_command(ANN, 7)).await.unwrap().room;
    let message = world.says(ANN, task, "the keys are in the box").await;
    let event = by_host(world, task, pin(&message, true)).await.unwrap().events.remove(0);
    assert_eq!(event.by, None);
    assert_eq!(pinned(world, &message).await, Some(Pinned { at: event.at, by: None }));
    by_host(world, task, pin(&message, false)).await.unwrap();
}

async fn an_archived_room_takes_no_pins(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let (kept, other) = (world.says(ANN, room, "kept").await, world.says(ANN, room, "other").await);
    world.does(BOB, room, pin(&kept, true)).await.unwrap();
    world.does(ANN, room, RoomChange::Archive).await.unwrap();
    assert_eq!(world.does(ANN, room, pin(&kept, false)).await, Err(Refusal::Archived));
    assert_eq!(world.does(ANN, room, pin(&other, true)).await, Err(Refusal::Archived));
    assert!(pinned(world, &kept).await.is_some());
    assert_eq!(world.head(room).await, Seq(kept.seq.0 + 3));
}

async fn a_room_may_leave_pins_to_its_admins(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let message = world.says(BOB, room, "done").await;
    world.does(ANN, room, set(json!({"pinning": "admins"}))).await.unwrap();
    assert_eq!(world.does(BOB, room, pin(&message, true)).await, Err(Refusal::Forbidden));
    world.does(ANN, room, pin(&message, true)).await.unwrap();
    assert_eq!(world.does(BOB, room, pin(&message, false)).await, Err(Refusal::Forbidden));
    world.does(ANN, room, set(json!({"pinning": "everyone"}))).await.unwrap();
    world.does(BOB, room, pin(&message, false)).await.unwrap();
}

async fn what_one_may_not_see_takes_neither_pin_nor_reaction(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let before = world.says(ANN, room, "before").await;
    world.does(ANN, room, set(json!({"history": "joined"}))).await.unwrap();
    world.does(ANN, room, add(CAT)).await.unwrap();
    let react = RoomChange::React { message: before.id, emoji: "\u{1f44d}", on: true };
    for change in [pin(&before, true), pin(&before, false), react] {
        assert_eq!(world.does(CAT, room, change.clone()).await, Err(Refusal::MessageNotFound));
        world.does(BOB, room, change).await.unwrap();
    }
    let after = world.says(ANN, room, "after").await;
    world.does(CAT, room, pin(&after, true)).await.unwrap();
}

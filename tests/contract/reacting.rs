//! Reactions.

use actors::domain::command::{Command, CommandReply, Principal, Refusal, RoomChange};
use actors::domain::event::EventBody;
use actors::domain::features::ReactionChange;
use actors::domain::ids::UserId;
use actors::domain::message::Message;
use actors::domain::message_extras::Reaction;

use crate::world::{ANN, BOB, CAT, World, delete, on_both};

const THUMB: &str = "\u{1f44d}";
const PARTY: &str = "\u{1f389}";

on_both!(
    a_reaction_is_an_event_once_and_stays_with_its_message,
    reactions_of_one_batch_are_all_counted,
    a_deleted_message_loses_its_reactions,
    others_than_participants_do_not_react,
);

fn react(message: &Message, emoji: &'static str, on: bool) -> RoomChange {
    RoomChange::React { message: message.id, emoji, on }
}

/// The reactions of a message as its replayed event tells them.
async fn reactions(world: &World, message: &Message) -> Vec<Reaction> {
    let log = world.log(message.room).await;
    let sent = log.iter().find_map(|event| match &event.body {
        EventBody::MessagePosted(now) if now.id == message.id => Some(now.extras.reactions.clone()),
        _ => None,
    });
    sent.expect("the message")
}

fn reaction(emoji: &str, users: &[UserId]) -> Reaction {
    Reaction {
        emoji: emoji.to_owned(),
        count: i64::try_from(users.len()).expect("few"),
        users: users.to_vec(),
    }
}

async fn a_reaction_is_an_event_once_and_stays_with_its_message(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let message = world.says(ANN, room, "done").await;
    for n in 0..2 {
        let outcome = world.does(BOB, room, react(&message, THUMB, true)).await.unwrap();
        assert_eq!(outcome.events.len(), 1 - n);
        let CommandReply::MessageChanged { message: now, is_duplicate, .. } = outcome.reply else { panic!() };
        assert_eq!((now.rev, is_duplicate), (message.seq.next(), n == 1));
    }
    let (id, sent) = (message.id, message.seq);
    let change = ReactionChange { message: id, sent, user: BOB, emoji: THUMB.to_owned(), added: true };
    let log = world.log(room).await;
    let last = log.last().unwrap();
    assert_eq!((&last.body, last.by), (&EventBody::Reaction(Box::new(change)), Some(BOB)));
    world.does(ANN, room, react(&message, THUMB, true)).await.unwrap();
    world.does(ANN, room, react(&message, PARTY, true)).await.unwrap();
    assert_eq!(reactions(world, &message).await, [reaction(THUMB, &[BOB, ANN]), reaction(PARTY, &[ANN])]);
    for n in 0..2 {
        let outcome = world.does(BOB, room, react(&message, THUMB, false)).await.unwrap();
        assert_eq!(outcome.events.len(), 1 - n);
    }
    world.does(ANN, room, react(&message, THUMB, false)).await.unwrap();
    assert_eq!(reactions(world, &message).await, [reaction(PARTY, &[ANN])]);
}

async fn reactions_of_one_batch_are_all_counted(world: &World) {
    let room = world.group(&[ANN, BOB, CAT]).await;
    let message = world.says(ANN, room, "done").await;
    let commands = [
        (BOB, THUMB, true),
        (CAT, THUMB, true),
        (BOB, THUMB, false),
        (BOB, THUMB, true),
        (BOB, THUMB, true),
        (CAT, THUMB, false),
        (ANN, PARTY, true),
    ];
    let commands = commands.map(|(user, emoji, on)| {
        let change = react(&message, emoji, on);
        Command { room, by: Principal::User(user), change }
    });
    for outcome in world.append(commands.into(), true).await.unwrap() {
        outcome.expect("the room is free").unwrap();
    }
    assert_eq!(reactions(world, &message).await, [reaction(THUMB, &[BOB]), reaction(PARTY, &[ANN])]);
    // What the batch left is what the next one finds.
    assert!(world.does(CAT, room, react(&message, THUMB, false)).await.unwrap().events.is_empty());
    assert!(world.does(BOB, room, react(&message, THUMB, true)).await.unwrap().events.is_empty());
}

async fn a_deleted_message_loses_its_reactions(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let message = world.says(ANN, room, "done").await;
    world.does(BOB, room, react(&message, THUMB, true)).await.unwrap();
    world.does(ANN, room, delete(&message)).await.unwrap();
    assert_eq!(reactions(world, &message).await, []);
    for on in [true, false] {
        let refused = world.does(BOB, room, react(&message, THUMB, on)).await;
        assert_eq!(refused, Err(Refusal::MessageNotFound));
    }
}

async fn others_than_participants_do_not_react(world: &World) {
    let (room, other) = (world.group(&[ANN, BOB]).await, world.group(&[CAT]).await);
    let message = world.says(ANN, room, "done").await;
    assert_eq!(world.does(CAT, room, react(&message, THUMB, true)).await, Err(Refusal::NotParticipant));
    assert_eq!(world.does(CAT, other, react(&message, THUMB, true)).await, Err(Refusal::MessageNotFound));
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    assert_eq!(world.does(BOB, room, react(&message, THUMB, true)).await, Err(Refusal::NotParticipant));
    world.does(ANN, room, RoomChange::Archive).await.unwrap();
    assert_eq!(world.does(ANN, room, react(&message, THUMB, true)).await, Err(Refusal::Archived));
}

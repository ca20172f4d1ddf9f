//! Checklists, polls and other cards.

use std::sync::Arc;

use actors::domain::card::{Card, CardBody, CardChange, CardRefusal, ChecklistItem, Poll, PollChoice};
use actors::domain::command::{
    Command, CommandReply, DraftExtras, MessageDraft, Principal, Refusal, RoomChange,
};
use actors::domain::event::EventBody;
use actors::domain::features::ChangedCard;
use actors::domain::ids::{RoomId, UserId};
use actors::domain::message::Message;
use serde_json::{Value, json};

use crate::world::{ANN, BOB, CAT, World, delete, draft, edit, on_both, posted};

on_both!(
    an_item_is_ticked_once_and_by_anyone,
    votes_of_one_batch_are_all_counted,
    a_vote_moves_where_one_choice_is_all,
    a_poll_is_closed_by_its_author_alone,
    a_card_goes_with_its_message_and_stays_with_its_text,
    what_a_card_has_not_is_refused,
    others_than_participants_change_no_card,
);

async fn sends(world: &World, user: UserId, room: RoomId, card: Value) -> Message {
    let card = Card::read(&card).unwrap();
    let extras = DraftExtras { card: Some(Box::new(card.clone())), ..DraftExtras::default() };
    let draft = MessageDraft { extras, ..draft(&card.as_text()) };
    posted(world.does(user, room, RoomChange::Post(draft)).await.unwrap())
}

async fn sends_checklist(world: &World, user: UserId, room: RoomId) -> Message {
    let items = json!([{"id": "beds", "text": "Beds"}, {"id": "bins", "text": "Bins"}]);
    sends(world, user, room, json!({"v": 1, "kind": "checklist", "title": "Turnover", "items": items})).await
}

async fn sends_poll(world: &World, user: UserId, room: RoomId, multiple: bool) -> Message {
    let choices = json!([{"id": "mo", "text": "Monday"}, {"id": "tu", "text": "Tuesday"}]);
    let card = json!({"v": 1, "kind": "poll", "title": "When?", "choices": choices, "multiple": multiple});
    sends(world, user, room, card).await
}

fn change(message: &Message, change: CardChange) -> RoomChange {
    RoomChange::ChangeCard { message: message.id, change }
}

fn tick(message: &Message, id: &str, on: bool) -> RoomChange {
    change(message, CardChange::Item { id: id.to_owned(), on })
}

fn vote(message: &Message, id: &str, on: bool) -> RoomChange {
    change(message, CardChange::Choice { id: id.to_owned(), on })
}

/// The message as its replayed event tells it.
async fn replayed(world: &World, message: &Message) -> Message {
    let log = world.log(message.room).await;
    let sent = log.iter().find_map(|event| match &event.body {
        EventBody::MessagePosted(now) if now.id == message.id => Some((**now).clone()),
        _ => None,
    });
    sent.expect("the message")
}

async fn items(world: &World, message: &Message) -> Vec<ChecklistItem> {
    match replayed(world, message).await.extras.card.expect("a card").body {
        CardBody::Checklist { items } => items,
        other => panic!("{other:?}"),
    }
}

async fn poll(world: &World, message: &Message) -> Poll {
    match replayed(world, message).await.extras.card.expect("a card").body {
        CardBody::Poll(poll) => poll,
        other => panic!("{other:?}"),
    }
}

fn voters(poll: &Poll) -> Vec<(i64, Vec<UserId>)> {
    poll.choices.iter().map(|PollChoice { votes, users, .. }| (*votes, users.clone())).collect()
}

async fn an_item_is_ticked_once_and_by_anyone(world: &World) {
    let room = world.group(&[ANN, BOB, CAT]).await;
    let message = sends_checklist(world, ANN, room).await;
    assert_eq!(message.content, "Turnover\n- Beds\n- Bins");
    let first = world.does(BOB, room, tick(&message, "beds", true)).await.unwrap();
    let EventBody::CardChanged(changed) = &first.events[0].body else { panic!("{first:?}") };
    assert_eq!(changed.change, json!({"item": "beds", "on": true}));
    let again = world.does(CAT, room, tick(&message, "beds", true)).await.unwrap();
    assert!(again.events.is_empty());
    let CommandReply::MessageChanged { message: now, is_duplicate, .. } = again.reply else { panic!() };
    assert_eq!((now.rev, is_duplicate), (message.seq.next(), true));
    let known = items(world, &message).await;
    assert_eq!((known[0].done_by, known[0].done_at), (Some(BOB), Some(first.events[0].at)));
    assert_eq!((known[1].done_by, known[1].done_at), (None, None));
    // Anyone may take it away, too.
    world.does(CAT, room, tick(&message, "beds", false)).await.unwrap();
    assert!(world.does(BOB, room, tick(&message, "beds", false)).await.unwrap().events.is_empty());
    assert!(items(world, &message).await.iter().all(|item| item.done_by.is_none()));
    // Each replayed change has the card as it is now.
    let now = replayed(world, &message).await;
    let log = world.log(room).await;
    let changes: Vec<&ChangedCard> = log
        .iter()
        .filter_map(
            |event| if let EventBody::CardChanged(changed) = &event.body { Some(&**changed) } else { None },
        )
        .collect();
    assert_eq!(changes.len(), 2);
    assert!(changes.iter().all(|changed| changed.card == now.extras.card && changed.message == message.id));
    assert_eq!(changes[1].change, json!({"item": "beds", "on": false}));
    assert_eq!((log.last().unwrap().by, now.rev), (Some(CAT), log.last().unwrap().seq));
}

async fn votes_of_one_batch_are_all_counted(world: &World) {
    let room = world.group(&[ANN, BOB, CAT]).await;
    let message = sends_poll(world, ANN, room, true).await;
    let commands = [
        (BOB, "mo", true),
        (CAT, "mo", true),
        (BOB, "mo", true),
        (BOB, "tu", true),
        (CAT, "mo", false),
        (CAT, "mo", false),
        (ANN, "tu", true),
    ];
    let commands = commands.map(|(user, id, on)| {
        Arc::new(Command { room, by: Principal::User(user), change: vote(&message, id, on) })
    });
    for outcome in world.store.append(&commands, true).await.unwrap() {
        outcome.expect("the room is free").unwrap();
    }
    assert_eq!(voters(&poll(world, &message).await), [(1, vec![BOB]), (2, vec![BOB, ANN])]);
    // What the batch left is what the next one finds.
    assert!(world.does(BOB, room, vote(&message, "tu", true)).await.unwrap().events.is_empty());
    assert!(world.does(CAT, room, vote(&message, "mo", false)).await.unwrap().events.is_empty());
    world.does(BOB, room, vote(&message, "tu", false)).await.unwrap();
    assert_eq!(voters(&poll(world, &message).await), [(1, vec![BOB]), (1, vec![ANN])]);
}

async fn a_vote_moves_where_one_choice_is_all(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let message = sends_poll(world, ANN, room, false).await;
    for (user, id) in [(BOB, "mo"), (ANN, "mo"), (BOB, "tu")] {
        assert_eq!(world.does(user, room, vote(&message, id, true)).await.unwrap().events.len(), 1);
    }
    assert_eq!(voters(&poll(world, &message).await), [(1, vec![ANN]), (1, vec![BOB])]);
    // There and back within one batch.
    let commands = [("mo", true), ("tu", true), ("mo", true)]
        .map(|(id, on)| Arc::new(Command { room, by: Principal::User(BOB), change: vote(&message, id, on) }));
    for outcome in world.store.append(&commands, true).await.unwrap() {
        assert_eq!(outcome.expect("the room is free").unwrap().events.len(), 1);
    }
    assert_eq!(voters(&poll(world, &message).await), [(2, vec![ANN, BOB]), (0, vec![])]);
    assert!(world.does(BOB, room, vote(&message, "tu", false)).await.unwrap().events.is_empty());
    world.does(BOB, room, vote(&message, "mo", false)).await.unwrap();
    assert_eq!(voters(&poll(world, &message).await), [(1, vec![ANN]), (0, vec![])]);
}

async fn a_poll_is_closed_by_its_author_alone(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let message = sends_poll(world, BOB, room, false).await;
    world.does(ANN, room, vote(&message, "mo", true)).await.unwrap();
    let close = || change(&message, CardChange::Close);
    // Not even an admin of the room closes another's.
    assert_eq!(world.does(ANN, room, close()).await, Err(Refusal::Forbidden));
    for n in 0..2 {
        assert_eq!(world.does(BOB, room, close()).await.unwrap().events.len(), 1 - n);
    }
    assert!(poll(world, &message).await.closed);
    for (id, on) in [("tu", true), ("mo", false)] {
        let refused = world.does(ANN, room, vote(&message, id, on)).await;
        assert_eq!(refused, Err(Refusal::Card(CardRefusal::PollClosed)));
    }
    // A vote that was given is repeated in vain.
    assert!(world.does(ANN, room, vote(&message, "mo", true)).await.unwrap().events.is_empty());
}

async fn a_card_goes_with_its_message_and_stays_with_its_text(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let message = sends_checklist(world, ANN, room).await;
    world.does(BOB, room, tick(&message, "beds", true)).await.unwrap();
    world.does(ANN, room, edit(&message, "Unit 5")).await.unwrap();
    let edited = replayed(world, &message).await;
    assert_eq!((edited.content.as_str(), items(world, &message).await[0].done_by), ("Unit 5", Some(BOB)));
    world.does(ANN, room, delete(&message)).await.unwrap();
    let log = world.log(room).await;
    for event in &log {
        match &event.body {
            EventBody::CardChanged(changed) => assert_eq!(changed.card, None),
            EventBody::MessagePosted(now) => assert_eq!(now.extras.card, None),
            _ => {}
        }
    }
    assert!(!format!("{log:?}").contains("Beds"));
    let refused = world.does(BOB, room, tick(&message, "bins", true)).await;
    assert_eq!(refused, Err(Refusal::MessageNotFound));
}

async fn what_a_card_has_not_is_refused(world: &World) {
    let room = world.group(&[ANN]).await;
    let (text, list) = (world.says(ANN, room, "no card").await, sends_checklist(world, ANN, room).await);
    let poll = sends_poll(world, ANN, room, false).await;
    let plain = sends(world, ANN, room, json!({"v": 1, "kind": "card", "title": "Unit 4"})).await;
    for (wrong, refusal) in [
        (tick(&text, "beds", true), CardRefusal::NoCard),
        (change(&text, CardChange::Close), CardRefusal::NoCard),
        (tick(&list, "roof", true), CardRefusal::UnknownItem),
        (tick(&poll, "mo", true), CardRefusal::UnknownItem),
        (tick(&plain, "beds", true), CardRefusal::UnknownItem),
        (vote(&list, "beds", true), CardRefusal::UnknownChoice),
        (vote(&poll, "we", false), CardRefusal::UnknownChoice),
        (change(&list, CardChange::Close), CardRefusal::NoPoll),
        (change(&plain, CardChange::Close), CardRefusal::NoPoll),
    ] {
        assert_eq!(world.does(ANN, room, wrong).await, Err(Refusal::Card(refusal)));
    }
    assert_eq!(world.log(room).await.len(), 6, "the room, its creator and four messages");
}

async fn others_than_participants_change_no_card(world: &World) {
    let (room, other) = (world.group(&[ANN, BOB]).await, world.group(&[CAT]).await);
    let message = sends_checklist(world, ANN, room).await;
    let ticks = || tick(&message, "beds", true);
    assert_eq!(world.does(CAT, room, ticks()).await, Err(Refusal::NotParticipant));
    assert_eq!(world.does(CAT, other, ticks()).await, Err(Refusal::MessageNotFound));
    let service = Command { room, by: Principal::Service, change: ticks() };
    assert_eq!(world.run(service).await, Err(Refusal::Forbidden));
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    assert_eq!(world.does(BOB, room, ticks()).await, Err(Refusal::NotParticipant));
    world.does(ANN, room, RoomChange::Archive).await.unwrap();
    assert_eq!(world.does(ANN, room, ticks()).await, Err(Refusal::Archived));
}

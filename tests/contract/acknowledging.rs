//! Urgent messages, and who has acknowledged them.

use actors::domain::command::{
    Command, CommandOutcome, CommandReply, DraftExtras, MessageDraft, Principal, Refusal, RoomChange,
};
use actors::domain::entry::EntryTerms;
use actors::domain::event::EventBody;
use actors::domain::features::MessageAcknowledgement;
use actors::domain::ids::{MessageId, RoomId, UserId};
use actors::domain::message::Message;
use actors::domain::participant::Role;
use actors::domain::urgency::{Acknowledgement, UrgencyRefusal, UrgentDraft, UrgentMark};
use chrono::{TimeDelta, Utc};
use serde_json::json;

use crate::world::{ANN, BOB, CAT, DAN, World, add, delete, draft, edit, on_both, posted, set};

on_both!(
    an_acknowledgement_is_an_event_once_and_stays_with_its_message,
    acknowledgements_of_one_batch_are_all_counted,
    only_who_sees_the_urgent_message_of_another_acknowledges_it,
    a_deleted_message_is_acknowledged_no_more,
    a_room_may_leave_urgent_messages_to_its_admins_or_to_nobody,
    the_time_is_ahead_and_at_most_a_week,
    a_copy_of_an_urgent_message_is_not_urgent,
);

/// An urgent message.
pub(crate) fn urgent(text: &str, ack_by: Option<chrono::DateTime<Utc>>) -> RoomChange {
    let extras = DraftExtras { urgent: Some(UrgentDraft { ack_by }), ..DraftExtras::default() };
    let draft = draft(text);
    let digest = extras.add_to(draft.digest);
    RoomChange::Post(MessageDraft { extras, digest, ..draft })
}

pub(crate) fn acknowledge(message: MessageId) -> RoomChange {
    RoomChange::Acknowledge { message }
}

pub(crate) async fn says_urgently(world: &World, user: UserId, room: RoomId, text: &str) -> Message {
    posted(world.does(user, room, urgent(text, None)).await.unwrap())
}

/// The mark of a message, as its replayed event tells it.
async fn mark(world: &World, message: &Message) -> Option<UrgentMark> {
    let log = world.log(message.room).await;
    let sent = log.iter().find_map(|event| match &event.body {
        EventBody::MessagePosted(now) if now.id == message.id => Some(now.extras.urgent.as_deref().cloned()),
        _ => None,
    });
    sent.expect("the message")
}

async fn acks(world: &World, message: &Message) -> Vec<UserId> {
    let mark = mark(world, message).await.expect("an urgent message");
    assert_eq!(usize::try_from(mark.ack_count).ok(), Some(mark.acks.len()));
    mark.acks.into_iter().map(|ack| ack.user).collect()
}

async fn an_acknowledgement_is_an_event_once_and_stays_with_its_message(world: &World) {
    let room = world.group(&[ANN, BOB, CAT]).await;
    let message = says_urgently(world, ANN, room, "water in the cellar").await;
    assert_eq!(message.extras.urgent.as_deref(), Some(&UrgentMark::default()));
    let (modified, unread) = (modified_at(world, room).await, world.unread(CAT, room).await);
    for n in 0..2 {
        let outcome = world.does(BOB, room, acknowledge(message.id)).await.unwrap();
        assert_eq!(outcome.events.len(), 1 - n);
        let CommandReply::MessageChanged { message: now, is_duplicate, .. } = outcome.reply else { panic!() };
        assert_eq!((now.rev, is_duplicate), (message.seq.next(), n == 1));
        assert_eq!(now.extras.urgent.as_deref(), mark(world, &message).await.as_ref());
    }
    let log = world.log(room).await;
    let last = log.last().unwrap();
    let given = MessageAcknowledgement { message: message.id, user: BOB };
    assert_eq!((&last.body, last.by), (&EventBody::MessageAcknowledged(Box::new(given)), Some(BOB)));
    let ack = Acknowledgement { user: BOB, at: last.at };
    assert_eq!(mark(world, &message).await.map(|mark| mark.acks), Some(vec![ack]));
    // Neither the room's place in lists nor what is unread changes, and an edit changes nothing of it.
    assert_eq!((modified_at(world, room).await, world.unread(CAT, room).await), (modified, unread));
    world.does(ANN, room, edit(&message, "water in the cellar!")).await.unwrap();
    assert_eq!(acks(world, &message).await, [BOB]);
    world.does(ANN, room, RoomChange::Archive).await.unwrap();
    world.does(CAT, room, acknowledge(message.id)).await.unwrap();
    assert_eq!(acks(world, &message).await, [BOB, CAT]);
}

async fn modified_at(world: &World, room: RoomId) -> chrono::DateTime<Utc> {
    world.store.snapshot(room, &[], false).await.unwrap().unwrap().room.modified_at
}

async fn acknowledgements_of_one_batch_are_all_counted(world: &World) {
    let room = world.group(&[ANN, BOB, CAT, DAN]).await;
    let message = says_urgently(world, ANN, room, "fire").await;
    let commands = [BOB, CAT, BOB, DAN].map(|user| Command {
        room,
        by: Principal::User(user),
        change: acknowledge(message.id),
    });
    for outcome in world.append(commands.into(), true).await.unwrap() {
        outcome.expect("the room is free").unwrap();
    }
    assert_eq!(acks(world, &message).await, [BOB, CAT, DAN]);
    assert!(world.does(DAN, room, acknowledge(message.id)).await.unwrap().events.is_empty());
}

async fn only_who_sees_the_urgent_message_of_another_acknowledges_it(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let message = says_urgently(world, ANN, room, "fire").await;
    let plain = world.says(ANN, room, "lunch").await;
    let refused = |outcome: Result<CommandOutcome, Refusal>| outcome.unwrap_err();
    assert_eq!(refused(world.does(BOB, room, acknowledge(plain.id)).await), UrgencyRefusal::NotUrgent.into());
    assert_eq!(refused(world.does(ANN, room, acknowledge(message.id)).await), UrgencyRefusal::Own.into());
    assert_eq!(refused(world.does(CAT, room, acknowledge(message.id)).await), Refusal::NotParticipant);
    let by_host = Command { room, by: Principal::Service, change: acknowledge(message.id) };
    assert_eq!(refused(world.run(by_host).await), Refusal::Forbidden);
    // Who comes in later and sees nothing from before doesn't see this one either.
    let terms = EntryTerms::from(Role::Guest);
    world.does(ANN, room, RoomChange::Add { user: CAT, terms }).await.unwrap();
    assert_eq!(refused(world.does(CAT, room, acknowledge(message.id)).await), Refusal::MessageNotFound);
    let later = says_urgently(world, BOB, room, "again").await;
    world.does(CAT, room, acknowledge(later.id)).await.unwrap();
    assert_eq!(acks(world, &later).await, [CAT]);
}

async fn a_deleted_message_is_acknowledged_no_more(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let message = says_urgently(world, ANN, room, "fire").await;
    world.does(BOB, room, acknowledge(message.id)).await.unwrap();
    world.does(ANN, room, delete(&message)).await.unwrap();
    assert_eq!(mark(world, &message).await, None);
    assert_eq!(world.does(BOB, room, acknowledge(message.id)).await, Err(Refusal::MessageNotFound));
}

async fn a_room_may_leave_urgent_messages_to_its_admins_or_to_nobody(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    for (setting, by_admin, by_member) in
        [("everyone", true, true), ("admins", true, false), ("nobody", false, false)]
    {
        world.does(ANN, room, set(json!({"urgent": setting}))).await.unwrap();
        for (user, may) in [(ANN, by_admin), (BOB, by_member)] {
            let outcome = world.does(user, room, urgent("fire", None)).await;
            assert_eq!(outcome.is_ok(), may, "{setting}");
            if !may {
                assert_eq!(outcome, Err(Refusal::Forbidden));
            }
        }
        world.says(BOB, room, "what isn't urgent").await;
    }
    world.does(ANN, room, set(json!({"urgent": "everyone"}))).await.unwrap();
    let guest = RoomChange::Add { user: CAT, terms: Role::Guest.into() };
    world.does(ANN, room, guest).await.unwrap();
    assert_eq!(world.does(CAT, room, urgent("fire", None)).await, Err(Refusal::Forbidden));
}

async fn the_time_is_ahead_and_at_most_a_week(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    // By the store's clock.
    let now = world.says(ANN, room, "lunch").await.created_at;
    let soon = now + TimeDelta::hours(1);
    let sent = posted(world.does(ANN, room, urgent("fire", Some(soon))).await.unwrap());
    assert_eq!(mark(world, &sent).await.and_then(|mark| mark.ack_by), Some(soon));
    for wrong in [TimeDelta::hours(-1), TimeDelta::days(8)] {
        let outcome = world.does(ANN, room, urgent("fire", Some(now + wrong))).await;
        assert_eq!(outcome, Err(UrgencyRefusal::AckByOutOfRange.into()));
    }
}

async fn a_copy_of_an_urgent_message_is_not_urgent(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let message = says_urgently(world, ANN, room, "fire").await;
    world.does(ANN, room, add(CAT)).await.unwrap();
    let copy = crate::forwarding::copy(uuid::Uuid::new_v4(), room, &message);
    let outcome = crate::forwarding::forwards(world, CAT, room, vec![copy]).await.unwrap();
    let CommandReply::Forwarded(replies) = outcome.reply else { panic!() };
    let CommandReply::Posted { message: copied, .. } = &replies[0] else { panic!() };
    assert_eq!(copied.extras.urgent, None);
}

//! Rooms that show their history from joining on: what every store hides from those who joined later.

use actors::domain::command::{CommandReply, MessageDraft, Refusal, RoomChange};
use actors::domain::event::{Event, EventBody};
use actors::domain::ids::{ClientId, MessageId, RoomId, Seq};
use actors::domain::message::{Message, Quote};
use actors::domain::participant::Role;
use serde_json::json;
use uuid::Uuid;

use crate::world::{
    ANN, BOB, CAT, DAN, World, add, delete, draft, edit, on_both, posted, read_to, reply, say_with_client_id,
    set,
};

on_both!(
    who_joins_sees_from_joining_on,
    who_was_there_before_sees_all,
    what_one_may_not_see_one_may_not_touch,
    a_quote_of_what_someone_may_not_see_is_an_id_alone,
    quotes_are_shown_again_when_everyone_may_see_them,
    a_change_of_an_older_message_shows_something_older,
);

/// A room in which Cat sees from position 6 on; of the messages before that, Ann wrote the first one.
async fn with_late_cat(world: &World) -> (RoomId, Message, Message) {
    let room = world.group(&[ANN, BOB]).await;
    let old = world.says(ANN, room, "old").await;
    world.does(ANN, room, set(json!({"history": "joined"}))).await.unwrap();
    world.does(ANN, room, add(CAT)).await.unwrap();
    let new = world.says(ANN, room, "new").await;
    (room, old, new)
}

async fn visible_from(world: &World, room: RoomId) -> Vec<(i64, Seq)> {
    let snapshot = world.store.snapshot(room, &[ANN, BOB, CAT, DAN], true).await.unwrap().unwrap();
    let roster: Vec<_> =
        snapshot.roster.iter().map(|participant| (participant.user.id.0, participant.visible_from)).collect();
    let mut admitted: Vec<_> =
        snapshot.admitted_users.iter().map(|admitted| (admitted.user.id.0, admitted.visible_from)).collect();
    let mut sorted = roster.clone();
    sorted.sort_unstable();
    admitted.sort_unstable();
    assert_eq!(sorted, admitted);
    let greatest = roster.iter().map(|(_, seq)| *seq).max().unwrap_or_default();
    assert_eq!(snapshot.room.visible_to_all_from, greatest);
    sorted
}

async fn who_joins_sees_from_joining_on(world: &World) {
    let (room, _, new) = with_late_cat(world).await;
    assert_eq!(visible_from(world, room).await, [(1, Seq(0)), (2, Seq(0)), (3, Seq(6))]);
    assert_eq!((world.unread(BOB, room).await, world.unread(CAT, room).await), (Some(2), Some(1)));
    // The list shows the newest message that one may see.
    world.does(ANN, room, delete(&new)).await.unwrap();
    let preview = async |user| {
        let mut rows = world.store.inbox(user, Some(&[room])).await.unwrap();
        rows.remove(0).last_message_preview
    };
    assert_eq!((preview(BOB).await, preview(CAT).await), ("old".into(), "No messages yet".into()));
    // Who comes back joins anew, and so does who joins by the old setting.
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    world.does(ANN, room, add(BOB)).await.unwrap();
    assert_eq!(visible_from(world, room).await[1], (2, Seq(10)));
    world.does(ANN, room, set(json!({"history": "all"}))).await.unwrap();
    world.does(ANN, room, add(DAN)).await.unwrap();
    assert_eq!(
        visible_from(world, room).await,
        [(1, Seq(0)), (2, Seq(10)), (3, Seq(6)), (4, Seq(0))],
        "the setting is for those who join"
    );
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    world.does(ANN, room, add(BOB)).await.unwrap();
    assert_eq!(visible_from(world, room).await[1], (2, Seq(0)));
}

async fn who_was_there_before_sees_all(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let old = world.says(ANN, room, "old").await;
    world.does(ANN, room, set(json!({"history": "joined"}))).await.unwrap();
    assert_eq!(visible_from(world, room).await, [(1, Seq(0)), (2, Seq(0))]);
    world.does(BOB, room, read_to(&old)).await.unwrap();
    let answer = posted(world.does(BOB, room, reply(&old, "answer")).await.unwrap());
    assert_eq!(answer.reply_to.as_ref().and_then(Quote::content), Some("old"));
}

async fn what_one_may_not_see_one_may_not_touch(world: &World) {
    let (room, old, new) = with_late_cat(world).await;
    let id = Uuid::new_v4();
    let hers = posted(world.run(say_with_client_id(CAT, room, "hers", id)).await.unwrap());
    world.does(ANN, room, RoomChange::SetRole { user: CAT, role: Role::Admin }).await.unwrap();
    assert_eq!(world.does(CAT, room, read_to(&old)).await, Err(Refusal::MessageNotFound));
    assert_eq!(world.does(CAT, room, delete(&old)).await, Err(Refusal::MessageNotFound));
    assert_eq!(world.does(CAT, room, reply(&old, "answer")).await, Err(Refusal::ReplyTargetNotFound));
    let reaction = RoomChange::React { message: old.id, emoji: "\u{1f44d}", on: true };
    assert_eq!(world.does(CAT, room, reaction).await, Err(Refusal::MessageNotFound));
    let pin = RoomChange::Pin { message: old.id, pinned: true };
    assert_eq!(world.does(CAT, room, pin).await, Err(Refusal::MessageNotFound));
    let unread = RoomChange::MarkUnread { message: old.id };
    assert_eq!(world.does(CAT, room, unread).await, Err(Refusal::MessageNotFound));
    world.does(CAT, room, reply(&new, "answer")).await.unwrap();
    // One's own messages are no exception after one has come back, and a repeated send tells what it told then.
    world.does(CAT, room, RoomChange::Leave).await.unwrap();
    world.does(ANN, room, add(CAT)).await.unwrap();
    assert_eq!(world.does(CAT, room, edit(&hers, "changed")).await, Err(Refusal::MessageNotFound));
    assert_eq!(world.does(CAT, room, delete(&hers)).await, Err(Refusal::MessageNotFound));
    world.does(ANN, room, delete(&hers)).await.unwrap();
    let again = world.run(say_with_client_id(CAT, room, "hers", id)).await.unwrap();
    let (message, seq, created_at) = (hers.id, hers.seq, hers.created_at);
    assert_eq!(again.reply, CommandReply::AlreadyPosted { message, seq, created_at });
    // The staff sees everything, in the room or not.
    world.make_staff(CAT).await;
    world.does(CAT, room, delete(&old)).await.unwrap();
}

fn quote_of(event: &Event) -> &Quote {
    match &event.body {
        EventBody::MessagePosted(message) | EventBody::MessageEdited(message) => {
            message.reply_to.as_ref().unwrap()
        }
        other => panic!("{other:?}"),
    }
}

async fn a_quote_of_what_someone_may_not_see_is_an_id_alone(world: &World) {
    let (room, old, new) = with_late_cat(world).await;
    let outcome = world.does(BOB, room, reply(&old, "to the old one")).await.unwrap();
    let (hidden, answer) = (quote_of(&outcome.events[0]).clone(), posted(outcome.clone()));
    assert_eq!((hidden.id, &hidden.shown), (old.id, &None));
    assert_eq!(answer.reply_to.as_ref().and_then(Quote::content), Some("old"), "its author sees it");
    let to_new = world.does(CAT, room, reply(&new, "to the new one")).await.unwrap();
    assert_eq!(quote_of(&to_new.events[0]).content(), Some("new"));
    let edited = world.does(BOB, room, edit(&answer, "changed")).await.unwrap();
    assert_eq!(quote_of(&edited.events[0]).shown, None);
    let CommandReply::Edited(reply) = edited.reply else { panic!("{:?}", edited.reply) };
    assert_eq!(reply.reply_to.as_ref().and_then(Quote::content), Some("old"));
    let log = world.log(room).await;
    assert_eq!((&quote_of(&log[7]).shown, quote_of(&log[8]).content()), (&None, Some("new")));
    assert_eq!(quote_of(&log[9]).shown, None);
    // A retry is answered as its sender may see it.
    let draft = MessageDraft {
        client_id: Some(ClientId(Uuid::new_v4())),
        reply_to: Some(old.id),
        ..draft("sent twice")
    };
    world.does(BOB, room, RoomChange::Post(draft.clone())).await.unwrap();
    let again = MessageDraft { id: MessageId::new(), ..draft };
    let again = posted(world.does(BOB, room, RoomChange::Post(again)).await.unwrap());
    assert_eq!(again.reply_to.as_ref().and_then(Quote::content), Some("old"));
}

async fn quotes_are_shown_again_when_everyone_may_see_them(world: &World) {
    let (room, old, _) = with_late_cat(world).await;
    world.does(BOB, room, reply(&old, "answer")).await.unwrap();
    world.does(ANN, room, RoomChange::Remove { user: CAT }).await.unwrap();
    assert_eq!(quote_of(&world.log(room).await[7]).content(), Some("old"));
    let after = world.does(BOB, room, reply(&old, "answer")).await.unwrap();
    assert_eq!(quote_of(&after.events[0]).content(), Some("old"));
    world.does(ANN, room, add(CAT)).await.unwrap();
    assert_eq!(quote_of(&world.log(room).await[7]).shown, None);
}

async fn a_change_of_an_older_message_shows_something_older(world: &World) {
    let (room, old, new) = with_late_cat(world).await;
    let edited = world.does(ANN, room, edit(&old, "changed")).await.unwrap();
    let deleted = world.does(ANN, room, delete(&new)).await.unwrap();
    assert_eq!((edited.events[0].seq, edited.events[0].shows_since()), (Seq(8), old.seq));
    assert_eq!(deleted.events[0].shows_since(), Seq(9), "a deletion shows no text");
    let log = world.log(room).await;
    let since: Vec<i64> = log.iter().map(|event| event.shows_since().0).collect();
    assert_eq!(since, [1, 2, 3, 4, 5, 6, 7, 4, 9]);
}

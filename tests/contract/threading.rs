//! Threads.

use std::sync::Arc;

use actors::domain::command::{
    Command, DraftExtras, MessageDraft, Principal, ReadTarget, Refusal, RoomChange,
};
use actors::domain::event::EventBody;
use actors::domain::ids::{MessageId, Seq, UserId};
use actors::domain::message::Message;
use actors::domain::signal::Signal;
use actors::domain::thread::{ThreadPlace, ThreadView};
use aristay_chat::store::postgres::queries::{MessageAnchor, MessageDetails, MessageFilter};

use crate::world::{ANN, BOB, CAT, World, delete, draft, edit, on_both, posted, read_to, say};

on_both!(
    a_root_sums_up_its_replies,
    a_reply_to_a_reply_belongs_to_the_same_root,
    what_stands_in_a_thread_alone_is_in_no_timeline,
    deletions_of_one_batch_leave_the_right_sums,
    a_deleted_root_keeps_its_replies_and_takes_no_more,
    a_thread_is_of_one_room,
);

fn reply(root: &Message, text: &str, in_timeline: bool) -> RoomChange {
    let thread = Some(ThreadPlace { root: root.id, in_timeline });
    let extras = DraftExtras { thread, ..DraftExtras::default() };
    RoomChange::Post(MessageDraft { extras, ..draft(text) })
}

async fn replies(world: &World, user: UserId, root: &Message, text: &str) -> Message {
    posted(world.does(user, root.room, reply(root, text, false)).await.unwrap())
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

/// The sums of a root: the number of replies, the time of the last one, and the position of the last change.
async fn sums(world: &World, root: &Message) -> (i64, Option<Message>, Seq) {
    let now = replayed(world, root).await;
    let sums = now.extras.thread.unwrap_or_default();
    let log = world.log(root.room).await;
    let last = log.into_iter().find_map(|event| match event.body {
        EventBody::MessagePosted(reply) if Some(reply.created_at) == sums.last_reply_at => Some(*reply),
        _ => None,
    });
    (sums.replies, last, now.last_change())
}

async fn a_root_sums_up_its_replies(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let root = world.says(ANN, room, "the boiler").await;
    assert_eq!((root.thread, root.extras.thread), (None, None));
    let first = replies(world, BOB, &root, "is hot").await;
    assert_eq!(first.thread, Some(ThreadPlace { root: root.id, in_timeline: false }));
    let second = posted(world.does(ANN, room, reply(&root, "good", true)).await.unwrap());
    assert_eq!(second.thread, Some(ThreadPlace { root: root.id, in_timeline: true }));
    let (count, last, rev) = sums(world, &root).await;
    assert_eq!((count, last.map(|last| last.id), rev), (2, Some(second.id), second.seq));
    assert_eq!(replayed(world, &root).await.rev, root.seq, "nothing of the root itself has changed");
    // What happens to a reply changes no sums, and what happens to the root keeps them.
    world.does(BOB, room, edit(&first, "is warm")).await.unwrap();
    world.does(ANN, room, edit(&root, "The boiler")).await.unwrap();
    let (count, last, rev) = sums(world, &root).await;
    assert_eq!((count, last.map(|last| last.id), rev), (2, Some(second.id), Seq(second.seq.0 + 2)));

    let deleted = world.does(ANN, room, delete(&second)).await.unwrap();
    let EventBody::MessageDeleted(deletion) = &deleted.events[0].body else { panic!("{deleted:?}") };
    let left = ThreadView { root_id: root.id, replies: 1, last_reply_at: Some(first.created_at) };
    assert_eq!(deletion.thread, Some(left));
    let (count, last, rev) = sums(world, &root).await;
    assert_eq!((count, last.map(|last| last.id), rev), (1, Some(first.id), deleted.events[0].seq));
    // The replayed deletion has the sums as they were after it.
    world.does(BOB, room, delete(&first)).await.unwrap();
    let log = world.log(room).await;
    let after: Vec<Option<ThreadView>> = log
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::MessageDeleted(deletion) => Some(deletion.thread),
            _ => None,
        })
        .collect();
    assert_eq!(after, [Some(left), Some(ThreadView { replies: 0, last_reply_at: None, ..left })]);
    assert_eq!(sums(world, &root).await.0, 0);
    // A deleted reply still says where it stood, so that no client counts it anywhere else.
    assert_eq!(replayed(world, &second).await.thread, second.thread);
}

async fn a_reply_to_a_reply_belongs_to_the_same_root(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let root = world.says(ANN, room, "the boiler").await;
    let first = replies(world, BOB, &root, "is hot").await;
    let second = replies(world, ANN, &first, "good").await;
    assert_eq!(second.thread.map(|place| place.root), Some(root.id));
    assert_eq!((sums(world, &root).await.0, sums(world, &first).await.0), (2, 0));
    // All in one batch, to a root of the same batch too.
    let new = Message { id: MessageId::new(), ..root.clone() };
    let post = RoomChange::Post(MessageDraft { id: new.id, ..draft("the roof") });
    let changes = [
        post,
        reply(&second, "warm", false),
        reply(&root, "hot", false),
        reply(&first, "cold", false),
        reply(&new, "leaks", false),
    ];
    let batch = changes.map(|change| Arc::new(Command { room, by: Principal::User(BOB), change }));
    for outcome in world.store.append(&batch, true).await.unwrap() {
        outcome.expect("the room is free").unwrap();
    }
    assert_eq!(sums(world, &new).await.0, 1);
    assert_eq!(sums(world, &root).await.0, 5);
    // A reply that is gone names no thread.
    world.does(BOB, room, delete(&first)).await.unwrap();
    let refused = world.does(ANN, room, reply(&first, "late", false)).await;
    assert_eq!(refused, Err(Refusal::ThreadRootNotFound));
}

async fn what_stands_in_a_thread_alone_is_in_no_timeline(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let root = world.says(ANN, room, "the boiler").await;
    world.does(BOB, room, read_to(&root)).await.unwrap();
    let before = world.store.inbox(BOB, Some(&[room])).await.unwrap().remove(0);
    let aside = replies(world, ANN, &root, "between us").await;
    let after = world.store.inbox(BOB, Some(&[room])).await.unwrap().remove(0);
    assert_eq!((after.unread, world.unread(BOB, room).await), (0, Some(0)));
    assert_eq!(after.room.head, aside.seq);
    assert_eq!(after.room.modified_at, before.room.modified_at);
    assert_eq!(after.last_message_preview, "the boiler");
    assert_eq!(after.last_message_time, root.created_at);
    // Deleting a message of the timeline doesn't bring it there.
    world.does(ANN, room, delete(&root)).await.unwrap();
    let after = world.store.inbox(BOB, Some(&[room])).await.unwrap().remove(0);
    assert_eq!(after.last_message_preview, "No messages yet");

    let root = world.says(ANN, room, "the roof").await;
    let too = posted(world.does(ANN, room, reply(&root, "for all", true)).await.unwrap());
    let after = world.store.inbox(BOB, Some(&[room])).await.unwrap().remove(0);
    assert_eq!((after.unread, after.last_message_preview.as_str()), (2, "for all"));
    assert_eq!(world.unread(BOB, room).await, Some(2));
    // A mark at the end is told with the newest message that everyone has.
    replies(world, ANN, &root, "between us").await;
    let outcome = world.does(BOB, room, RoomChange::Read(ReadTarget::Head)).await.unwrap();
    let Some(Signal::Read(mark)) = outcome.signal else { panic!("{outcome:?}") };
    assert_eq!((mark.up_to, mark.message), (world.head(room).await, Some(too.id)));
    let marks = world.store.snapshot(room, &[BOB], true).await.unwrap().unwrap().marks;
    assert!(marks.contains(&mark), "{marks:?}");
}

async fn deletions_of_one_batch_leave_the_right_sums(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let root = world.says(ANN, room, "the boiler").await;
    let mut sent = Vec::new();
    for n in 0..5 {
        sent.push(replies(world, BOB, &root, &n.to_string()).await);
    }
    let by_bob = |change| Arc::new(Command { room, by: Principal::User(BOB), change });
    let batch = [
        by_bob(delete(&sent[4])),
        by_bob(delete(&sent[3])),
        by_bob(delete(&sent[4])),
        by_bob(delete(&sent[1])),
        by_bob(delete(&sent[2])),
    ];
    let outcomes = world.store.append(&batch, true).await.unwrap();
    let done = outcomes.iter().filter(|outcome| matches!(outcome, Some(Ok(_)))).count();
    assert_eq!(done, 4);
    let (count, last, _) = sums(world, &root).await;
    assert_eq!((count, last.map(|last| last.id)), (1, Some(sent[0].id)));
    let more = by_bob(reply(&root, "more", false));
    for outcome in world.store.append(&[more, by_bob(delete(&sent[0]))], true).await.unwrap() {
        outcome.expect("the room is free").unwrap();
    }
    let (count, last, _) = sums(world, &root).await;
    assert_eq!((count, last.map(|last| last.content)), (1, Some("more".to_owned())));
}

async fn a_deleted_root_keeps_its_replies_and_takes_no_more(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let root = world.says(ANN, room, "the boiler").await;
    let first = replies(world, BOB, &root, "is hot").await;
    world.does(ANN, room, delete(&root)).await.unwrap();
    let kept = replayed(world, &first).await;
    assert_eq!((kept.content.as_str(), kept.thread), ("is hot", first.thread));
    assert_eq!(sums(world, &root).await.0, 1);
    for named in [&root, &first] {
        let refused = world.does(ANN, room, reply(named, "late", false)).await;
        assert_eq!(refused, Err(Refusal::ThreadRootNotFound));
    }
    world.does(BOB, room, delete(&first)).await.unwrap();
    assert_eq!(sums(world, &root).await.0, 0);
}

async fn a_thread_is_of_one_room(world: &World) {
    let (room, other) = (world.group(&[ANN, BOB]).await, world.group(&[ANN, CAT]).await);
    let elsewhere = world.says(ANN, other, "secret").await;
    let never = Message { id: MessageId::new(), ..elsewhere.clone() };
    for root in [&elsewhere, &never] {
        let refused = world.does(BOB, room, reply(root, "hi", false)).await;
        assert_eq!(refused, Err(Refusal::ThreadRootNotFound));
    }
    let root = world.says(ANN, room, "the boiler").await;
    assert_eq!(world.does(CAT, room, reply(&root, "hi", false)).await, Err(Refusal::NotParticipant));
    assert_eq!(world.log(other).await.len(), 4);
}

/// What REST shows comes from queries of PostgreSQL.
#[tokio::test]
async fn threads_are_read_by_any_of_their_messages_and_listed_for_who_takes_part() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let (room, other) = (world.group(&[ANN, BOB, CAT]).await, world.group(&[ANN]).await);
    let root = world.says(ANN, room, "the boiler").await;
    let first = replies(&world, BOB, &root, "is hot").await;
    let second = posted(world.does(ANN, room, reply(&root, "good", true)).await.unwrap());
    let third = replies(&world, BOB, &root, "thanks").await;
    let ids =
        |messages: &[MessageDetails]| messages.iter().map(|details| details.message.id).collect::<Vec<_>>();
    let all = MessageFilter::default();
    for named in [root.id, first.id, third.id] {
        let page = store.thread_page(CAT, named, &all, 10, 0).await.unwrap();
        assert_eq!((page.count, ids(&page.messages)), (4, vec![root.id, first.id, second.id, third.id]));
        assert_eq!(page.head, Some(third.seq));
    }
    let page = store.thread_page(CAT, root.id, &all, 2, 2).await.unwrap();
    assert_eq!((page.count, ids(&page.messages)), (4, vec![second.id, third.id]));
    let slice = |anchor, limit| store.thread_slice(CAT, root.id, &all, anchor, limit);
    let newest = slice(MessageAnchor::Newest, 2).await.unwrap();
    assert_eq!((ids(&newest.messages), newest.has_more), (vec![root.id, first.id], true));
    let after = slice(MessageAnchor::After(first.seq), 2).await.unwrap();
    assert_eq!((ids(&after.messages), after.has_more), (vec![second.id, third.id], false));
    let before = slice(MessageAnchor::Before(second.seq), 1).await.unwrap();
    assert_eq!((ids(&before.messages), before.has_more), (vec![first.id], true));
    for filter in [
        MessageFilter { room: Some(other), ..MessageFilter::default() },
        MessageFilter { sender: Some(CAT), ..MessageFilter::default() },
    ] {
        assert!(store.thread_page(CAT, root.id, &filter, 10, 0).await.unwrap().messages.is_empty());
    }

    // The timeline has what stands in it.
    let timeline = MessageFilter { room: Some(room), oldest_first: true, ..MessageFilter::default() };
    let page = store.message_page(CAT, &timeline, 10, 0).await.unwrap();
    assert_eq!((page.count, ids(&page.messages)), (2, vec![root.id, second.id]));
    let newest = store.message_slice(CAT, &timeline, MessageAnchor::Newest, 10).await.unwrap();
    assert_eq!(ids(&newest.messages), [second.id, root.id]);

    // Cat has only read along.
    let lists = async |user| {
        let page = store.threads_of(user, None, 10, 0).await.unwrap();
        let unread: Vec<_> = page.messages.iter().map(|root| (root.message.id, root.thread_unread)).collect();
        unread
    };
    assert_eq!(lists(CAT).await, []);
    assert_eq!(lists(ANN).await, [(root.id, Some(2))]);
    assert_eq!(lists(BOB).await, [(root.id, Some(1))]);
    assert_eq!(store.message(CAT, root.id).await.unwrap().unwrap().thread_unread, None);
    world.does(ANN, room, read_to(&first)).await.unwrap();
    assert_eq!(lists(ANN).await, [(root.id, Some(1))]);
    let newer = posted(world.run(say(BOB, room, "the roof")).await.unwrap());
    replies(&world, ANN, &newer, "leaks").await;
    assert_eq!(lists(ANN).await, [(newer.id, Some(0)), (root.id, Some(1))]);
    assert!(store.threads_of(ANN, Some(other), 10, 0).await.unwrap().messages.is_empty());
    // Threads without replies, with a deleted root, or of a room that one has left are no more listed.
    world.does(BOB, room, delete(&newer)).await.unwrap();
    assert_eq!(lists(ANN).await, [(root.id, Some(1))]);
    let page = store.thread_page(ANN, newer.id, &all, 10, 0).await.unwrap();
    assert_eq!(page.count, 1, "the reply stays");
    for (user, gone) in [(BOB, &first), (ANN, &second), (BOB, &third)] {
        world.does(user, room, delete(gone)).await.unwrap();
    }
    assert_eq!(lists(ANN).await, []);
    replies(&world, BOB, &root, "again").await;
    assert_eq!(lists(BOB).await, [(root.id, Some(0))]);
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    assert_eq!(lists(BOB).await, []);
    assert_eq!(store.thread_page(BOB, root.id, &all, 10, 0).await.unwrap().count, 0);
}

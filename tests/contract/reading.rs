//! Reading a room: its log, snapshots, its row in lists, and the change feed.

use actors::domain::command::{MessageDraft, MissingReplyTarget, ReadTarget, RoomChange, RoomPatch};
use actors::domain::event::EventBody;
use actors::domain::features::MessageDeletion;
use actors::domain::ids::{PersonalSeq, Seq};
use actors::domain::message::RemovedBy;
use actors::domain::signal::Signal;
use actors::ports::store::Changes;

use crate::world::{ANN, BOB, CAT, DAN, World, add, delete, draft, edit, on_both, posted, read_to, say};

on_both!(
    a_replay_shows_things_as_they_are_now,
    pages_of_the_log_join_without_a_seam,
    a_quote_of_a_deleted_message_tells_nothing,
    read_marks_only_go_forward,
    unread_equals_a_recount,
    a_snapshot_is_of_one_moment,
    an_inbox_says_what_a_list_shows,
    the_change_feed_reports_each_change,
);

async fn a_replay_shows_things_as_they_are_now(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let (kept, gone) = (world.says(ANN, room, "kept").await, world.says(ANN, room, "gone").await);
    world.does(ANN, room, edit(&kept, "changed")).await.unwrap();
    world.does(ANN, room, delete(&gone)).await.unwrap();
    world.does(ANN, room, RoomPatch::named("Roof").into()).await.unwrap();
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    let log = world.log(room).await;
    assert_eq!(log.iter().map(|event| event.seq.0).collect::<Vec<_>>(), (1..=9).collect::<Vec<_>>());
    let EventBody::RoomCreated(whole) = &log[0].body else { panic!("{:?}", log[0]) };
    assert_eq!((whole.name.as_str(), whole.head), ("Roof", Seq(9)));
    let EventBody::ParticipantJoined(bob) = &log[2].body else { panic!("{:?}", log[2]) };
    assert!(bob.left_at.is_some());
    let EventBody::MessagePosted(first) = &log[3].body else { panic!("{:?}", log[3]) };
    assert_eq!((first.content.as_str(), first.seq, first.rev), ("changed", Seq(4), Seq(6)));
    let EventBody::MessagePosted(second) = &log[4].body else { panic!("{:?}", log[4]) };
    assert_eq!((second.content.as_str(), second.rev), ("[Message deleted]", Seq(7)));
    assert!(second.deleted_at.is_some() && second.attachment.is_none());
    assert_eq!(log[5].body, EventBody::MessageEdited(first.clone()));
    assert_eq!((first.removed_by, second.removed_by), (None, Some(RemovedBy::Author)));
    let (message, sent, removed_by) = (gone.id, gone.seq, RemovedBy::Author);
    let deletion = MessageDeletion { message, sent, sender: ANN, removed_by, reason: None, thread: None };
    let deleted = EventBody::MessageDeleted(Box::new(deletion));
    assert_eq!((&log[6].body, log[6].by), (&deleted, Some(ANN)));
    assert!(matches!(&log[8].body, EventBody::ParticipantLeft(who) if **who == **bob));
}

async fn pages_of_the_log_join_without_a_seam(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    for n in 0..25 {
        world.says(ANN, room, &n.to_string()).await;
    }
    let (mut after, mut pages) = (Seq::START, Vec::new());
    loop {
        let page = world.store.events(room, after, 7).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 7);
        after = last.seq;
        pages.extend(page);
    }
    assert_eq!(pages, world.log(room).await);
    assert_eq!(pages.len(), 28);
}

async fn a_quote_of_a_deleted_message_tells_nothing(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let secret = world.says(ANN, room, "secret").await;
    let answer = MessageDraft {
        reply_to: Some(secret.id),
        missing_reply_target: MissingReplyTarget::Reject,
        ..draft("answer")
    };
    let answer = posted(world.does(BOB, room, RoomChange::Post(answer)).await.unwrap());
    assert_eq!(answer.reply_to.unwrap().content(), Some("secret"));
    world.does(ANN, room, delete(&secret)).await.unwrap();
    let log = world.log(room).await;
    let EventBody::MessagePosted(answer) = &log[4].body else { panic!("{:?}", log[4]) };
    let quote = answer.reply_to.as_ref().unwrap();
    assert_eq!((quote.id, quote.content()), (secret.id, Some("[Message deleted]")));
    assert!(!format!("{log:?}").contains("secret"));
}

async fn read_marks_only_go_forward(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let (one, two) = (world.says(ANN, room, "one").await, world.says(ANN, room, "two").await);
    let outcome = world.does(BOB, room, read_to(&two)).await.unwrap();
    let Some(Signal::Read(mark)) = outcome.signal else { panic!("no mark") };
    assert_eq!((mark.user, mark.up_to, mark.message), (BOB, two.seq, Some(two.id)));
    assert!(outcome.events.is_empty());
    assert_eq!(world.does(BOB, room, read_to(&one)).await.unwrap().signal, None);
    assert_eq!(world.does(BOB, room, read_to(&two)).await.unwrap().signal, None);
    let snapshot = world.store.snapshot(room, &[BOB], true).await.unwrap().unwrap();
    assert_eq!(snapshot.marks, [mark]);
    world.does(ANN, room, RoomPatch::named("x").into()).await.unwrap();
    let outcome = world.does(BOB, room, RoomChange::Read(ReadTarget::Head)).await.unwrap();
    let Some(Signal::Read(mark)) = outcome.signal else { panic!("no mark") };
    assert_eq!((mark.up_to, mark.message), (Seq(6), Some(two.id)));
}

async fn unread_equals_a_recount(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let early = world.says(ANN, room, "early").await;
    world.says(BOB, room, "own").await;
    let gone = world.says(ANN, room, "gone").await;
    world.does(ANN, room, delete(&gone)).await.unwrap();
    world.does(ANN, room, add(CAT)).await.unwrap();
    world.says(ANN, room, "late").await;
    // Own and deleted messages don't count, nor those from before joining.
    assert_eq!(world.unread(ANN, room).await, Some(1));
    assert_eq!(world.unread(BOB, room).await, Some(2));
    assert_eq!(world.unread(CAT, room).await, Some(1));
    assert_eq!(world.unread(DAN, room).await, None);
    world.does(BOB, room, read_to(&early)).await.unwrap();
    assert_eq!(world.unread(BOB, room).await, Some(1));
    world.does(BOB, room, RoomChange::Read(ReadTarget::Head)).await.unwrap();
    assert_eq!(world.unread(BOB, room).await, Some(0));
    for user in [ANN, BOB, CAT] {
        let listed = world.store.inbox(user, Some(&[room])).await.unwrap()[0].unread;
        assert_eq!(Some(listed), world.unread(user, room).await);
    }
}

async fn a_snapshot_is_of_one_moment(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let writing = async {
        for n in 0..60 {
            world.says(ANN, room, &n.to_string()).await;
        }
    };
    let reading = async {
        for _ in 0..60 {
            let snapshot = world.store.snapshot(room, &[ANN, BOB, CAT], true).await.unwrap().unwrap();
            assert_eq!(snapshot.admitted_users.len(), 2);
            assert_eq!(snapshot.admitted_users[1].unread, snapshot.room.head.0 - 3, "count and head agree");
            assert_eq!(snapshot.roster.len(), 2);
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(writing, reading);
}

async fn an_inbox_says_what_a_list_shows(world: &World) {
    let direct = world.direct(ANN, BOB).await.unwrap().room;
    let group = world.group(&[ANN, BOB]).await;
    let inbox = world.store.inbox(ANN, None).await.unwrap();
    assert_eq!(inbox.iter().map(|row| row.room.id).collect::<Vec<_>>(), [group, direct]);
    assert_eq!(inbox[0].display_name, format!("Chat #{}", &group.to_string()[..8]));
    assert_eq!(inbox[0].last_message_preview, "No messages yet");
    assert_eq!(inbox[1].display_name, "Bob");
    let partner = inbox[1].partner.as_ref().map(|partner| (partner.id, &*partner.full_name));
    assert_eq!((partner, &inbox[0].partner), (Some((BOB, "Bob")), &None));
    let message = world.says(BOB, direct, &"ä".repeat(150)).await;
    world.does(ANN, group, RoomPatch::named("Roof").into()).await.unwrap();
    let inbox = world.store.inbox(ANN, None).await.unwrap();
    assert_eq!(inbox[0].display_name, "Roof");
    assert_eq!(inbox[1].last_message_preview, "ä".repeat(100));
    assert_eq!((inbox[1].last_message_time, inbox[1].unread), (message.created_at, 1));
    assert_eq!((inbox[1].room.head, inbox[1].unread_after), (Seq(4), Seq(2)));
    world.does(BOB, direct, delete(&message)).await.unwrap();
    let inbox = world.store.inbox(ANN, Some(&[direct])).await.unwrap();
    assert_eq!((inbox.len(), inbox[0].last_message_preview.as_str()), (1, "No messages yet"));
    world.does(ANN, direct, RoomChange::Leave).await.unwrap();
    assert_eq!(world.store.inbox(ANN, None).await.unwrap().len(), 1);
}

async fn the_change_feed_reports_each_change(world: &World) {
    let (room, still) = (world.group(&[ANN, BOB]).await, world.group(&[ANN, BOB]).await);
    world.says(ANN, still, "hm").await;
    let start = world.store.changes(None).await.unwrap();
    assert!(start.rooms.is_empty() && start.marks.is_empty() && start.people.is_empty());
    assert!(start.own_states.is_empty() && start.personal.is_empty());
    let message = world.says(ANN, room, "hi").await;
    world.does(BOB, still, RoomChange::Read(ReadTarget::Head)).await.unwrap();
    world.put_user(CAT, "cat", false).await;
    world.does(ANN, room, add(DAN)).await.unwrap();
    world.does(ANN, still, RoomChange::Mute { muted: true, until: None }).await.unwrap();
    let changes = world.store.changes(Some(start.next)).await.unwrap();
    let Changes { epoch, next, rooms, joined, marks, own_states, people, personal } = changes;
    assert_eq!(epoch, world.store.epoch());
    assert_eq!(own_states, [(still, ANN)]);
    assert_eq!(personal, [(ANN, PersonalSeq(1))]);
    assert_eq!((rooms, joined), (vec![(room, message.seq.next())], vec![(room, DAN)]));
    assert_eq!((marks.len(), marks[0].0, marks[0].1.up_to), (1, still, Seq(4)));
    assert_eq!((people.len(), people[0].user, people[0].is_active), (1, CAT, false));
    world.run(say(BOB, still, "ho")).await.unwrap();
    let more = world.store.changes(Some(next)).await.unwrap();
    assert_eq!((more.marks.len(), more.own_states.len(), more.people.len()), (0, 0, 0));
    assert_eq!((more.rooms, more.personal.len()), (vec![(still, Seq(5))], 0));
    let more = world.store.changes(Some(more.next)).await.unwrap();
    assert!(more.rooms.is_empty());
}

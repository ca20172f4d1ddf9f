//! The rules of a room, which every store must enforce.

use actors::domain::command::{
    Command, CommandReply, MessageDraft, MissingReplyTarget, OpenRoom, Principal, ReadTarget, Refusal,
    RoomChange, RoomPatch,
};
use actors::domain::event::EventBody;
use actors::domain::features::SettingsChange;
use actors::domain::ids::{ClientId, MessageId, PersonalSeq, RoomId, Seq};
use actors::domain::mentions::MentionsEdit;
use actors::domain::message::Message;
use actors::domain::participant::{NotificationLevel, Role};
use actors::domain::personal::PersonalState;
use actors::domain::room::RoomType;
use actors::domain::signal::Signal;
use uuid::Uuid;

use crate::world::{
    ANN, BOB, CAT, DAN, World, add, delete, draft, edit, on_both, open_room_command, posted, read_to, say,
    say_with_client_id,
};

on_both!(
    numbers_are_dense_and_in_order,
    a_batch_keeps_the_order_of_each_room,
    one_client_id_is_one_message,
    a_client_id_for_another_text_is_a_conflict,
    a_retry_gets_the_message_as_it_is_now,
    a_retry_by_a_former_participant_reveals_nothing_of_the_room,
    an_archived_room_rejects_sends,
    a_user_outside_the_room_does_nothing,
    a_revoked_token_does_nothing_from_that_commit_on,
    writing_to_a_direct_room_brings_the_partner_back,
    the_last_admin_stays,
    a_stray_reply_is_refused_or_dropped,
    a_returning_user_is_the_same_participant,
    only_the_author_edits,
    a_deleted_room_is_gone,
    muting_is_for_oneself,
    settings_are_for_oneself_and_stay_when_one_returns,
    a_room_is_unread_again_from_a_message_on_until_something_is_read,
    a_room_is_marked_unread_by_what_its_user_may_see,
    edits_and_deletions_do_not_move_a_room_in_lists,
    a_read_mark_never_moves_to_a_deleted_message,
    an_unknown_room_is_not_found,
    an_inactive_user_says_nothing,
    an_expelled_admin_leaves_a_successor,
    posts_edits_and_deletes_fit_in_one_batch,
);

async fn numbers_are_dense_and_in_order(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    for text in ["one", "two", "three"] {
        world.says(ANN, room, text).await;
    }
    let log = world.log(room).await;
    let seqs: Vec<i64> = log.iter().map(|event| event.seq.0).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
    assert!(log.is_sorted_by_key(|event| event.at));
    assert!(matches!(log[0].body, EventBody::RoomCreated(_)));
    assert_eq!(world.head(room).await, Seq(6));
}

async fn a_batch_keeps_the_order_of_each_room(world: &World) {
    let rooms = [world.group(&[ANN, BOB]).await, world.group(&[ANN, CAT]).await];
    let batch = (0..20).map(|n| say(ANN, rooms[n % 2], &n.to_string())).collect();
    let answers = world.append(batch, false).await.unwrap();
    for (n, answer) in answers.into_iter().enumerate() {
        let message = posted(answer.unwrap().unwrap());
        assert_eq!((message.content, message.seq), (n.to_string(), Seq(4 + (n as i64) / 2)));
    }
}

async fn one_client_id_is_one_message(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let id = Uuid::new_v4();
    let first = posted(world.run(say_with_client_id(ANN, room, "hi", id)).await.unwrap());
    let again = world.run(say_with_client_id(ANN, room, "hi", id)).await.unwrap();
    assert!(again.events.is_empty());
    assert_eq!(again.reply, CommandReply::Posted { message: Box::new(first.clone()), duplicate: true });
    let other = Uuid::new_v4();
    let twice = vec![say_with_client_id(ANN, room, "ho", other), say_with_client_id(ANN, room, "ho", other)];
    let answers = world.append(twice, true).await.unwrap();
    let ids: Vec<_> = answers.into_iter().map(|answer| posted(answer.unwrap().unwrap()).id).collect();
    assert_eq!(ids[0], ids[1]);
    // The same `client_id` of another user is another send.
    assert_ne!(posted(world.run(say_with_client_id(BOB, room, "hi", id)).await.unwrap()).id, first.id);
    assert_eq!(world.head(room).await, Seq(6));
}

async fn a_client_id_for_another_text_is_a_conflict(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let id = Uuid::new_v4();
    world.run(say_with_client_id(ANN, room, "hi", id)).await.unwrap();
    assert_eq!(world.run(say_with_client_id(ANN, room, "ho", id)).await, Err(Refusal::ClientIdConflict));
}

async fn a_retry_gets_the_message_as_it_is_now(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let id = Uuid::new_v4();
    let first = posted(world.run(say_with_client_id(ANN, room, "hi", id)).await.unwrap());
    world.does(ANN, room, edit(&first, "ho")).await.unwrap();
    assert_eq!(posted(world.run(say_with_client_id(ANN, room, "hi", id)).await.unwrap()).content, "ho");
    world.does(ANN, room, delete(&first)).await.unwrap();
    let gone = posted(world.run(say_with_client_id(ANN, room, "hi", id)).await.unwrap());
    assert_eq!(gone.content, "[Message deleted]");
    assert!(gone.deleted_at.is_some());
}

async fn a_retry_by_a_former_participant_reveals_nothing_of_the_room(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let quoted = world.says(ANN, room, "quoted").await;
    let draft =
        MessageDraft { client_id: Some(ClientId(Uuid::new_v4())), reply_to: Some(quoted.id), ..draft("hi") };
    let first = posted(world.does(BOB, room, RoomChange::Post(draft.clone())).await.unwrap());
    world.does(ANN, room, RoomChange::Remove { user: BOB }).await.unwrap();
    world.does(ANN, room, edit(&quoted, "a secret")).await.unwrap();
    let head = world.head(room).await;
    let known =
        CommandReply::AlreadyPosted { message: first.id, seq: first.seq, created_at: first.created_at };
    let again = MessageDraft { id: MessageId::new(), ..draft.clone() };
    assert_eq!(world.does(BOB, room, RoomChange::Post(again)).await.unwrap().reply, known);
    let other = MessageDraft { content: "ho".into(), digest: [0; 16], ..draft.clone() };
    assert_eq!(world.does(BOB, room, RoomChange::Post(other)).await, Err(Refusal::ClientIdConflict));
    let unsent = MessageDraft { client_id: Some(ClientId(Uuid::new_v4())), ..draft.clone() };
    assert_eq!(world.does(BOB, room, RoomChange::Post(unsent)).await, Err(Refusal::NotParticipant));
    assert_eq!(world.head(room).await, head);
    // A user who has returned sees the message as it is now.
    world.does(ANN, room, add(BOB)).await.unwrap();
    let seen = posted(world.does(BOB, room, RoomChange::Post(draft)).await.unwrap());
    assert_eq!(seen.reply_to.unwrap().content(), Some("a secret"));
}

async fn an_archived_room_rejects_sends(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let message = world.says(BOB, room, "hi").await;
    assert_eq!(world.does(BOB, room, RoomChange::Archive).await, Err(Refusal::Forbidden));
    world.does(ANN, room, RoomChange::Archive).await.unwrap();
    assert_eq!(world.run(say(BOB, room, "ho")).await, Err(Refusal::Archived));
    assert_eq!(world.does(BOB, room, edit(&message, "ho")).await, Err(Refusal::Archived));
    assert_eq!(world.does(ANN, room, add(CAT)).await, Err(Refusal::Archived));
    world.does(ANN, room, RoomChange::Read(ReadTarget::Head)).await.unwrap();
    world.does(BOB, room, delete(&message)).await.unwrap();
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    world.does(ANN, room, RoomChange::Unarchive).await.unwrap();
    world.says(ANN, room, "again").await;
}

async fn a_revoked_token_does_nothing_from_that_commit_on(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let by_token_of = |issued_at| {
        let by = Principal::TokenHolder { user: BOB, issued_at };
        Command { by, ..say(BOB, room, "hi") }
    };
    assert!(world.run(by_token_of(99)).await.is_ok());
    world.revoke_tokens(BOB, 100).await;
    assert_eq!(world.run(by_token_of(99)).await, Err(Refusal::NotParticipant));
    let read = Command { change: RoomChange::Read(ReadTarget::Head), ..by_token_of(99) };
    assert_eq!(world.run(read).await, Err(Refusal::NotParticipant));
    assert!(world.run(by_token_of(100)).await.is_ok());
    assert!(world.run(say(ANN, room, "ho")).await.is_ok());
}

async fn a_user_outside_the_room_does_nothing(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    world.does(ANN, room, RoomChange::Remove { user: BOB }).await.unwrap();
    for user in [BOB, CAT] {
        assert_eq!(world.run(say(user, room, "hi")).await, Err(Refusal::NotParticipant));
        assert_eq!(
            world.does(user, room, RoomChange::Read(ReadTarget::Head)).await,
            Err(Refusal::NotParticipant)
        );
    }
}

async fn writing_to_a_direct_room_brings_the_partner_back(world: &World) {
    let room = world.direct(ANN, BOB).await.unwrap().room;
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    assert_eq!(world.run(say(BOB, room, "hi")).await, Err(Refusal::NotParticipant));
    let outcome = world.run(say(ANN, room, "hi")).await.unwrap();
    assert!(matches!(&outcome.events[0].body, EventBody::ParticipantJoined(who) if who.user.id == BOB));
    assert_eq!(outcome.events[1].seq, outcome.events[0].seq.next());
    assert_eq!(world.unread(BOB, room).await, Some(1));
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    world.put_user(BOB, "bob", false).await;
    assert_eq!(world.run(say(ANN, room, "ho")).await.unwrap().events.len(), 1);
}

async fn the_last_admin_stays(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    assert_eq!(world.does(ANN, room, RoomChange::Leave).await, Err(Refusal::LastAdmin));
    let demote = RoomChange::SetRole { user: ANN, role: Role::Member };
    assert_eq!(world.does(ANN, room, demote.clone()).await, Err(Refusal::LastAdmin));
    world.does(ANN, room, RoomChange::SetRole { user: BOB, role: Role::Admin }).await.unwrap();
    world.does(ANN, room, demote).await.unwrap();
    assert_eq!(world.does(BOB, room, RoomChange::Leave).await, Err(Refusal::LastAdmin));
    world.does(BOB, room, RoomChange::Remove { user: ANN }).await.unwrap();
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
}

async fn a_stray_reply_is_refused_or_dropped(world: &World) {
    let (room, other) = (world.group(&[ANN, BOB]).await, world.group(&[ANN, CAT]).await);
    let elsewhere = world.says(ANN, other, "elsewhere").await;
    let here = world.says(BOB, room, "here").await;
    let answer = |reply_to: MessageId, missing_reply_target| {
        let draft = MessageDraft { reply_to: Some(reply_to), missing_reply_target, ..draft("answer") };
        world.does(ANN, room, RoomChange::Post(draft))
    };
    for stray in [elsewhere.id, MessageId::new()] {
        assert_eq!(answer(stray, MissingReplyTarget::Reject).await, Err(Refusal::ReplyTargetNotFound));
        assert_eq!(posted(answer(stray, MissingReplyTarget::Ignore).await.unwrap()).reply_to, None);
    }
    let quote = posted(answer(here.id, MissingReplyTarget::Reject).await.unwrap()).reply_to.unwrap();
    let shown = quote.shown.unwrap();
    assert_eq!((quote.id, shown.content.as_str(), shown.username.as_str()), (here.id, "here", "bob"));
    world.does(BOB, room, delete(&here)).await.unwrap();
    assert_eq!(answer(here.id, MissingReplyTarget::Reject).await, Err(Refusal::ReplyTargetNotFound));
}

async fn a_returning_user_is_the_same_participant(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let first = match world.does(ANN, room, add(CAT)).await.unwrap().reply {
        CommandReply::Participant(participant) => *participant,
        other => panic!("{other:?}"),
    };
    assert_eq!(world.does(ANN, room, add(CAT)).await, Err(Refusal::AlreadyParticipant));
    assert!(world.does(ANN, room, add(actors::domain::ids::UserId(99))).await.is_err());
    world.does(CAT, room, RoomChange::Leave).await.unwrap();
    let again = match world.does(ANN, room, add(CAT)).await.unwrap().reply {
        CommandReply::Participant(participant) => *participant,
        other => panic!("{other:?}"),
    };
    assert_eq!(again.id, first.id);
    assert!(again.joined_seq > first.joined_seq);
    assert_eq!(again.left_at, None);
}

async fn only_the_author_edits(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let message = world.says(BOB, room, "hi").await;
    assert_eq!(world.does(ANN, room, edit(&message, "ho")).await, Err(Refusal::Forbidden));
    let edited = world.does(BOB, room, edit(&message, "ho")).await.unwrap();
    let CommandReply::Edited(edited) = edited.reply else { panic!("no edit") };
    assert_eq!((edited.content.as_str(), edited.seq, edited.rev), ("ho", message.seq, Seq(5)));
    assert!(edited.edited_at.is_some());
    world.does(BOB, room, delete(&message)).await.unwrap();
    for change in [edit(&message, "hu"), delete(&message)] {
        assert_eq!(world.does(BOB, room, change).await, Err(Refusal::MessageNotFound));
    }
}

async fn a_deleted_room_is_gone(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    world.does(ANN, room, RoomChange::DeleteRoom).await.unwrap();
    assert_eq!(world.run(say(ANN, room, "hi")).await, Err(Refusal::RoomNotFound));
    assert_eq!(world.store.snapshot(room, &[ANN], true).await.unwrap(), None);
    assert!(world.store.inbox(ANN, None).await.unwrap().is_empty());
    assert_eq!(world.log(room).await.len(), 4);
}

async fn muting_is_for_oneself(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let outcome = world.does(BOB, room, RoomChange::Mute { muted: true, until: None }).await.unwrap();
    assert_eq!((outcome.events.len(), outcome.signal), (0, Some(Signal::OwnState { user: BOB })));
    assert!(world.store.inbox(BOB, None).await.unwrap()[0].is_muted);
    assert!(!world.store.inbox(ANN, None).await.unwrap()[0].is_muted);
    let past = Some(chrono::DateTime::UNIX_EPOCH);
    world.does(BOB, room, RoomChange::Mute { muted: true, until: past }).await.unwrap();
    assert!(!world.store.inbox(BOB, None).await.unwrap()[0].is_muted);
}

async fn settings_are_for_oneself_and_stay_when_one_returns(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let change = |level, is_favourite, muted_until| {
        RoomChange::Settings(SettingsChange { level, is_favourite, muted_until })
    };
    let row = async |user| world.store.inbox(user, Some(&[room])).await.unwrap().remove(0);
    let mentions = Some(NotificationLevel::Mentions);
    let outcome = world.does(BOB, room, change(mentions, Some(true), None)).await.unwrap();
    assert_eq!((outcome.events.len(), outcome.signal), (0, Some(Signal::OwnState { user: BOB })));
    let bob = row(BOB).await;
    assert_eq!((bob.level, bob.is_favourite, bob.is_muted), (NotificationLevel::Mentions, true, false));
    let ann = row(ANN).await;
    assert_eq!((ann.level, ann.is_favourite), (NotificationLevel::All, false));
    // What isn't named stays as it is.
    let soon = Some(Some(bob.room.created_at + chrono::TimeDelta::days(36_500)));
    world.does(BOB, room, change(None, Some(false), soon)).await.unwrap();
    let bob = row(BOB).await;
    assert_eq!((bob.level, bob.is_favourite, bob.is_muted), (NotificationLevel::Mentions, false, true));
    world.does(BOB, room, change(None, None, Some(None))).await.unwrap();
    assert!(!row(BOB).await.is_muted);
    let page = world.store.personal_log(BOB, PersonalSeq(0), 10).await.unwrap();
    let PersonalState::RoomSettings(told) = &page.entries[0].state else { panic!("other settings") };
    assert_eq!(
        (told.level, page.bounds.head, page.entries.len()),
        (NotificationLevel::Mentions, PersonalSeq(3), 1)
    );
    assert_eq!(world.does(CAT, room, change(mentions, None, None)).await, Err(Refusal::NotParticipant));
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    world.does(ANN, room, add(BOB)).await.unwrap();
    assert_eq!(row(BOB).await.level, NotificationLevel::Mentions);
}

async fn a_room_is_unread_again_from_a_message_on_until_something_is_read(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let mut said = Vec::new();
    for text in ["1", "2", "3", "4"] {
        said.push(world.says(ANN, room, text).await);
    }
    world.does(BOB, room, RoomChange::Read(ReadTarget::Head)).await.unwrap();
    let mark = |message: &Message| RoomChange::MarkUnread { message: message.id };
    let mark_of = async |user| {
        let snapshot = world.store.snapshot(room, &[], true).await.unwrap().unwrap();
        snapshot.marks.into_iter().find(|mark| mark.user == user).map(|mark| mark.up_to)
    };
    let before = mark_of(BOB).await;
    let outcome = world.does(BOB, room, mark(&said[1])).await.unwrap();
    assert_eq!((outcome.events.len(), outcome.signal), (0, Some(Signal::OwnState { user: BOB })));
    assert_eq!((world.unread(BOB, room).await, mark_of(BOB).await), (Some(3), before));
    let row = world.store.inbox(BOB, Some(&[room])).await.unwrap().remove(0);
    assert_eq!((row.unread, row.is_marked_unread), (3, true));
    world.says(ANN, room, "5").await;
    world.says(BOB, room, "own").await;
    assert_eq!(world.unread(BOB, room).await, Some(4));
    // The next reading ends it, even of what was read before; others hear nothing of that.
    let read = world.does(BOB, room, read_to(&said[0])).await.unwrap();
    assert_eq!(read.signal, Some(Signal::OwnState { user: BOB }));
    assert_eq!((world.unread(BOB, room).await, mark_of(BOB).await), (Some(1), before));
    assert_eq!(world.does(BOB, room, read_to(&said[0])).await.unwrap().signal, None);
    // From an unread message on it may be less than what is unread.
    world.says(ANN, room, "6").await;
    let last = world.says(ANN, room, "7").await;
    world.does(BOB, room, mark(&last)).await.unwrap();
    assert_eq!(world.unread(BOB, room).await, Some(1));
    let all = world.does(BOB, room, RoomChange::Read(ReadTarget::Head)).await.unwrap();
    assert!(matches!(all.signal, Some(Signal::Read(_))));
    assert_eq!((world.unread(BOB, room).await, world.unread(ANN, room).await), (Some(0), Some(1)));
    world.does(BOB, room, mark(&last)).await.unwrap();
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    world.does(ANN, room, add(BOB)).await.unwrap();
    assert_eq!(world.unread(BOB, room).await, Some(0), "who comes back begins anew");
}

async fn a_room_is_marked_unread_by_what_its_user_may_see(world: &World) {
    let (room, other) = (world.group(&[ANN, BOB]).await, world.group(&[ANN]).await);
    let (gone, foreign) = (world.says(ANN, room, "gone").await, world.says(ANN, other, "elsewhere").await);
    world.does(ANN, room, delete(&gone)).await.unwrap();
    let mark = |message: MessageId| RoomChange::MarkUnread { message };
    for message in [gone.id, foreign.id, MessageId::new()] {
        assert_eq!(world.does(BOB, room, mark(message)).await, Err(Refusal::MessageNotFound));
    }
    assert_eq!(world.does(CAT, room, mark(gone.id)).await, Err(Refusal::NotParticipant));
    let kept = world.says(ANN, room, "kept").await;
    world.does(ANN, room, RoomChange::Archive).await.unwrap();
    world.does(BOB, room, mark(kept.id)).await.unwrap();
    assert_eq!(world.unread(BOB, room).await, Some(1));
}

async fn edits_and_deletions_do_not_move_a_room_in_lists(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let (first, last) = (world.says(ANN, room, "one").await, world.says(ANN, room, "two").await);
    let activity = async || world.store.snapshot(room, &[], false).await.unwrap().unwrap().room.modified_at;
    let said = activity().await;
    for change in [edit(&first, "1"), delete(&first), edit(&last, "2"), delete(&last)] {
        world.does(ANN, room, change).await.unwrap();
        assert_eq!(activity().await, said);
    }
    world.does(ANN, room, RoomPatch::named("Roof").into()).await.unwrap();
    let event = world.log(room).await.pop().unwrap();
    assert_eq!(activity().await, event.at);
}

async fn a_read_mark_never_moves_to_a_deleted_message(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let (kept, gone) = (world.says(ANN, room, "kept").await, world.says(ANN, room, "gone").await);
    world.does(ANN, room, delete(&gone)).await.unwrap();
    assert_eq!(world.does(BOB, room, read_to(&gone)).await, Err(Refusal::MessageNotFound));
    assert!(world.does(BOB, room, read_to(&kept)).await.unwrap().signal.is_some());
}

async fn an_unknown_room_is_not_found(world: &World) {
    let here = world.group(&[ANN, BOB]).await;
    let nowhere = RoomId::new();
    for wait in [true, false] {
        let batch = vec![say(ANN, nowhere, "hi"), say(ANN, here, "hi")];
        let answers = world.append(batch, wait).await.unwrap();
        assert_eq!(answers[0], Some(Err(Refusal::RoomNotFound)));
        assert!(matches!(answers[1], Some(Ok(_))));
    }
    assert_eq!(world.store.snapshot(nowhere, &[ANN], true).await.unwrap(), None);
    assert!(world.log(nowhere).await.is_empty());
}

async fn an_inactive_user_says_nothing(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    world.put_user(BOB, "bob", false).await;
    assert_eq!(world.run(say(BOB, room, "hi")).await, Err(Refusal::NotParticipant));
    assert_eq!(world.unread(BOB, room).await, None);
    world.put_user(DAN, "dan", false).await;
    assert_eq!(world.does(ANN, room, add(DAN)).await, Err(Refusal::UsersNotFound(vec![DAN])));
}

async fn an_expelled_admin_leaves_a_successor(world: &World) {
    let room = world.group(&[ANN, BOB, CAT]).await;
    let expel = Command { room, by: Principal::Service, change: RoomChange::Expel { user: ANN } };
    let events = world.run(expel).await.unwrap().events;
    assert!(matches!(&events[0].body, EventBody::ParticipantUpdated(heir) if heir.user.id == BOB));
    assert!(matches!(&events[1].body, EventBody::ParticipantLeft(gone) if gone.user.id == ANN));
    assert_eq!(events[1].by, None);
    world.does(BOB, room, RoomPatch::named("ours").into()).await.unwrap();
    let open = OpenRoom { users: vec![BOB], ..open_room_command(ANN, RoomType::Group) };
    assert!(world.open(&open).await.unwrap().created);
}

async fn posts_edits_and_deletes_fit_in_one_batch(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let (kept, gone) = (draft("kept"), draft("gone"));
    let by_ann = |change| Command { room, by: Principal::User(ANN), change };
    let change = |message, content: &str| RoomChange::Edit {
        message,
        content: Some(content.to_owned()),
        mentions: MentionsEdit::default(),
    };
    let batch = vec![
        by_ann(RoomChange::Post(kept.clone())),
        by_ann(RoomChange::Post(gone.clone())),
        by_ann(change(kept.id, "kept 2")),
        by_ann(change(kept.id, "kept 3")),
        by_ann(change(gone.id, "gone 2")),
        by_ann(RoomChange::Delete { message: gone.id, reason: None }),
        by_ann(RoomChange::Read(ReadTarget::Head)),
        by_ann(add(CAT)),
        by_ann(add(DAN)),
        by_ann(RoomChange::Remove { user: CAT }),
    ];
    for answer in world.append(batch, false).await.unwrap() {
        answer.unwrap().unwrap();
    }
    let log = world.log(room).await;
    assert_eq!(log.len(), 12);
    let EventBody::MessagePosted(message) = &log[3].body else { panic!("{:?}", log[3]) };
    assert_eq!((message.content.as_str(), message.rev), ("kept 3", Seq(7)));
    let EventBody::MessagePosted(message) = &log[4].body else { panic!("{:?}", log[4]) };
    assert_eq!((message.content.as_str(), message.rev), ("[Message deleted]", Seq(9)));
    let people = world.store.snapshot(room, &[], true).await.unwrap().unwrap().roster;
    assert_eq!(people.iter().map(|who| who.user.id).collect::<Vec<_>>(), [ANN, BOB, DAN]);
    let inbox = world.store.inbox(BOB, None).await.unwrap();
    assert_eq!((inbox[0].last_message_preview.as_str(), inbox[0].unread), ("kept 3", 1));
    world.does(ANN, room, read_to(&posted_first(world, room).await)).await.unwrap();
}

async fn posted_first(world: &World, room: RoomId) -> Message {
    world
        .log(room)
        .await
        .into_iter()
        .find_map(|event| match event.body {
            EventBody::MessagePosted(message) => Some(*message),
            _ => None,
        })
        .expect("something was posted")
}

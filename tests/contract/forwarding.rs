//! Forwarding messages, and what the copies are.

use actors::domain::attachment::Media;
use actors::domain::command::{
    Command, CommandOutcome, CommandReply, DraftExtras, ForwardDraft, MessageDraft, Principal, Refusal,
    RoomChange,
};
use actors::domain::event::EventBody;
use actors::domain::ids::{ClientId, MessageId, RoomId, UserId};
use actors::domain::message::{Attachment, Message, MessageType};
use actors::domain::message_extras::Forwarded;
use serde_json::json;
use uuid::Uuid;

use crate::world::{ANN, BOB, CAT, World, delete, draft, edit, on_both, posted, set};

on_both!(
    copies_are_sent_together_and_name_their_first_author,
    a_forward_that_is_repeated_sends_nothing_twice,
    a_forward_is_sent_as_a_whole_or_not_at_all,
    two_forwards_of_one_batch_are_one,
    a_copy_has_the_names_of_now_and_nobody_else_changes_its_words,
    forwarding_to_a_partner_who_left_joins_them_again,
    a_rooms_settings_hold_for_forwards,
    a_file_goes_with_its_last_message,
    a_file_that_is_gone_is_not_forwarded,
);

/// The copy of `source` in `room`, as a handler drafts it.
pub(crate) fn copy(client_id: Uuid, room: RoomId, source: &Message) -> ForwardDraft {
    let origin = source.extras.forwarded.clone().unwrap_or_else(|| Forwarded {
        sender: source.sender.clone(),
        created_at: source.created_at,
        room: source.room,
        message: source.id,
    });
    let draft = MessageDraft {
        client_id: Some(ClientId(client_id).of_part(room, Some(source.id))),
        message_type: source.message_type,
        attachment: source.attachment.clone(),
        extras: DraftExtras { more_files: source.extras.more_files.clone(), ..DraftExtras::default() },
        digest: MessageDraft::digest_of_copy(source.id),
        ..draft(&source.content)
    };
    ForwardDraft { draft, origin: Some(origin) }
}

/// The copy of what can't be read any more.
fn unreadable(client_id: Uuid, room: RoomId, source: MessageId) -> ForwardDraft {
    let draft = MessageDraft {
        client_id: Some(ClientId(client_id).of_part(room, Some(source))),
        digest: MessageDraft::digest_of_copy(source),
        ..draft("")
    };
    ForwardDraft { draft, origin: None }
}

fn comment(client_id: Uuid, room: RoomId, text: &str) -> ForwardDraft {
    let client_id = Some(ClientId(client_id).of_part(room, None));
    ForwardDraft { draft: MessageDraft { client_id, ..draft(text) }, origin: None }
}

pub(crate) async fn forwards(
    world: &World,
    user: UserId,
    room: RoomId,
    drafts: Vec<ForwardDraft>,
) -> Result<CommandOutcome, Refusal> {
    world.does(user, room, RoomChange::Forward(drafts)).await
}

/// The messages of a forward, and whether each was sent before.
fn sent(outcome: CommandOutcome) -> Vec<(Message, bool)> {
    let CommandReply::Forwarded(replies) = outcome.reply else { panic!("nothing was forwarded") };
    let sent = replies.into_iter().map(|reply| match reply {
        CommandReply::Posted { message, duplicate } => (*message, duplicate),
        other => panic!("no message: {other:?}"),
    });
    sent.collect()
}

/// A message with a file.
pub(crate) async fn attaches(world: &World, user: UserId, room: RoomId) -> Message {
    let file = world.stores_file(user).await;
    let attachment =
        Some(Attachment { file, name: "plan.pdf".into(), size: 3, media: Media::of_type("application/pdf") });
    let draft = MessageDraft { attachment, message_type: MessageType::File, ..draft("") };
    posted(world.does(user, room, RoomChange::Post(draft)).await.unwrap())
}

/// The messages of a room as its log tells them now.
async fn log(world: &World, room: RoomId) -> Vec<Message> {
    let log = world.log(room).await.into_iter();
    let messages = log.filter_map(|event| match event.body {
        EventBody::MessagePosted(message) => Some(*message),
        _ => None,
    });
    messages.collect()
}

async fn copies_are_sent_together_and_name_their_first_author(world: &World) {
    let [from, to, on] =
        [world.group(&[ANN, BOB]).await, world.group(&[BOB, CAT]).await, world.group(&[CAT]).await];
    let asked = world.says(ANN, from, "is it tight?").await;
    let answer = MessageDraft { reply_to: Some(asked.id), ..draft("it is") };
    let answer = posted(world.does(BOB, from, RoomChange::Post(answer)).await.unwrap());
    let reaction = RoomChange::React { message: asked.id, emoji: "\u{1f44d}", on: true };
    world.does(BOB, from, reaction).await.unwrap();
    world.does(BOB, from, RoomChange::Pin { message: asked.id, pinned: true }).await.unwrap();
    let sources = log(world, from).await;
    let head = world.head(to).await;

    let client_id = Uuid::new_v4();
    let drafts = vec![
        comment(client_id, to, "look"),
        copy(client_id, to, &sources[0]),
        copy(client_id, to, &sources[1]),
    ];
    let outcome = forwards(world, BOB, to, drafts).await.unwrap();
    let positions: Vec<i64> = outcome.events.iter().map(|event| event.seq.0 - head.0).collect();
    assert_eq!(positions, [1, 2, 3]);
    let copies: Vec<Message> = sent(outcome).into_iter().map(|(message, _)| message).collect();
    assert_eq!(log(world, to).await, copies);
    let [said, first, second] = [&copies[0], &copies[1], &copies[2]];
    assert_eq!((said.content.as_str(), &said.extras.forwarded), ("look", &None));
    for (copy, source, author) in [(first, &asked, ANN), (second, &answer, BOB)] {
        assert_eq!((copy.sender.id, copy.content.as_str()), (BOB, source.content.as_str()));
        let origin = copy.extras.forwarded.as_ref().unwrap();
        assert_eq!((origin.sender.id, origin.created_at), (author, source.created_at));
        assert_eq!((origin.room, origin.message), (from, source.id));
        // Nothing else goes along.
        assert_eq!((&copy.reply_to, copy.extras.pinned, copy.extras.reactions.len()), (&None, None, 0));
        assert_eq!(copy.rev, copy.seq);
    }
    assert_eq!(world.unread(CAT, to).await, Some(3));

    // A copy of a copy names the same.
    let drafts = vec![copy(client_id, on, first)];
    let again = sent(forwards(world, CAT, on, drafts).await.unwrap()).remove(0).0;
    assert_eq!(again.extras.forwarded, first.extras.forwarded);
    assert_eq!(log(world, on).await[0].extras.forwarded, first.extras.forwarded);
}

async fn a_forward_that_is_repeated_sends_nothing_twice(world: &World) {
    let (from, to) = (world.group(&[ANN]).await, world.group(&[BOB, ANN]).await);
    let (one, two) = (world.says(ANN, from, "one").await, world.says(ANN, from, "two").await);
    let client_id = Uuid::new_v4();
    let drafts =
        || vec![comment(client_id, to, "look"), copy(client_id, to, &one), copy(client_id, to, &two)];
    let first = sent(forwards(world, ANN, to, drafts()).await.unwrap());
    let ids: Vec<MessageId> = first.iter().map(|(message, _)| message.id).collect();
    let head = world.head(to).await;
    let repeats = async |drafts| {
        let outcome = forwards(world, ANN, to, drafts).await.unwrap();
        assert!(outcome.events.is_empty());
        let again = sent(outcome);
        assert!(again.iter().all(|(_, duplicate)| *duplicate));
        let again: Vec<MessageId> = again.iter().map(|(message, _)| message.id).collect();
        assert_eq!(again, ids[ids.len() - again.len()..]);
    };
    repeats(drafts()).await;
    // Whatever became of the originals.
    world.does(ANN, from, edit(&one, "another one")).await.unwrap();
    let edited = log(world, from).await.remove(0);
    repeats(vec![copy(client_id, to, &edited), copy(client_id, to, &two)]).await;
    world.does(ANN, from, delete(&one)).await.unwrap();
    let gone =
        || vec![comment(client_id, to, "look"), unreadable(client_id, to, one.id), copy(client_id, to, &two)];
    repeats(gone()).await;
    // And in a room that takes nothing new.
    world.does(BOB, to, RoomChange::Archive).await.unwrap();
    repeats(gone()).await;
    world.does(BOB, to, RoomChange::Unarchive).await.unwrap();
    assert_eq!(world.head(to).await.0, head.0 + 2);

    // Who has left is told what they knew.
    world.does(ANN, to, RoomChange::Leave).await.unwrap();
    let CommandReply::Forwarded(replies) = forwards(world, ANN, to, gone()).await.unwrap().reply else {
        panic!()
    };
    let known = replies.iter().map(|reply| match reply {
        CommandReply::AlreadyPosted { message, .. } => *message,
        other => panic!("{other:?}"),
    });
    assert_eq!(known.collect::<Vec<_>>(), ids);
    // Another text under the same id is another message.
    let other = vec![comment(client_id, to, "listen"), copy(client_id, to, &two)];
    assert_eq!(forwards(world, ANN, to, other).await, Err(Refusal::ClientIdConflict));
}

async fn a_forward_is_sent_as_a_whole_or_not_at_all(world: &World) {
    let (from, to) = (world.group(&[ANN]).await, world.group(&[BOB, ANN]).await);
    let (one, two) = (world.says(ANN, from, "one").await, world.says(ANN, from, "two").await);
    let before = world.head(to).await;
    let refused = async |user, drafts: Vec<ForwardDraft>, refusal| {
        assert_eq!(forwards(world, user, to, drafts).await, Err(refusal));
    };
    let id = Uuid::new_v4();
    let whole = || vec![comment(id, to, "look"), copy(id, to, &one), copy(id, to, &two)];
    let torn = vec![comment(id, to, "look"), copy(id, to, &one), unreadable(id, to, two.id)];
    refused(ANN, torn, Refusal::MessageNotFound).await;
    refused(CAT, whole(), Refusal::NotParticipant).await;
    let by_host = Command { room: to, by: Principal::Service, change: RoomChange::Forward(whole()) };
    assert_eq!(world.run(by_host).await, Err(Refusal::Forbidden));
    world.does(BOB, to, RoomChange::Archive).await.unwrap();
    refused(ANN, whole(), Refusal::Archived).await;
    world.does(BOB, to, RoomChange::Unarchive).await.unwrap();
    // A comment that was sent before and another one now: the copies aren't sent either.
    sent(forwards(world, ANN, to, vec![comment(id, to, "look")]).await.unwrap());
    let other = vec![comment(id, to, "listen"), copy(id, to, &one)];
    refused(ANN, other, Refusal::ClientIdConflict).await;
    assert_eq!(world.head(to).await.0, before.0 + 3);
    // The rest of what was sent in part is sent.
    let completed = sent(forwards(world, ANN, to, whole()).await.unwrap());
    assert_eq!(completed.iter().map(|(_, again)| *again).collect::<Vec<_>>(), [true, false, false]);
}

async fn two_forwards_of_one_batch_are_one(world: &World) {
    let (from, to) = (world.group(&[ANN]).await, world.group(&[BOB, ANN]).await);
    let one = world.says(ANN, from, "one").await;
    let id = Uuid::new_v4();
    let command = || {
        let change = RoomChange::Forward(vec![comment(id, to, "look"), copy(id, to, &one)]);
        Command { room: to, by: Principal::User(ANN), change }
    };
    let outcomes = world.append(vec![command(), command()], true).await.unwrap();
    let [first, second]: [Vec<(Message, bool)>; 2] = outcomes
        .into_iter()
        .map(|outcome| sent(outcome.unwrap().unwrap()))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert!(first.iter().all(|(_, again)| !again) && second.iter().all(|(_, again)| *again));
    assert!(first.iter().zip(&second).all(|((one, _), (other, _))| one == other));
    assert_eq!(log(world, to).await.len(), 2);
}

async fn a_copy_has_the_names_of_now_and_nobody_else_changes_its_words(world: &World) {
    let (from, to) = (world.group(&[ANN, BOB]).await, world.group(&[BOB, CAT]).await);
    let source = world.says(ANN, from, "the boiler is fixed").await;
    let copied =
        sent(forwards(world, BOB, to, vec![copy(Uuid::new_v4(), to, &source)]).await.unwrap()).remove(0).0;
    world.rename(ANN, "anna").await;
    let now = log(world, to).await.remove(0);
    assert_eq!(&*now.extras.forwarded.unwrap().sender.username, "anna");
    assert_eq!(world.does(BOB, to, edit(&copied, "nothing is")).await, Err(Refusal::Forbidden));
    assert_eq!(world.does(ANN, to, edit(&copied, "nothing is")).await, Err(Refusal::NotParticipant));
    // The author's deletion leaves the copy, and the copy's leaves nothing.
    world.does(ANN, from, delete(&source)).await.unwrap();
    assert_eq!(log(world, to).await[0].content, "the boiler is fixed");
    world.does(BOB, to, delete(&copied)).await.unwrap();
    let gone = log(world, to).await.remove(0);
    assert_eq!((gone.content.as_str(), gone.extras.forwarded), ("[Message deleted]", None));
}

async fn forwarding_to_a_partner_who_left_joins_them_again(world: &World) {
    let (from, direct) = (world.group(&[ANN]).await, world.direct(ANN, BOB).await.unwrap().room);
    let (one, two) = (world.says(ANN, from, "one").await, world.says(ANN, from, "two").await);
    world.does(BOB, direct, RoomChange::Leave).await.unwrap();
    let id = Uuid::new_v4();
    let outcome =
        forwards(world, ANN, direct, vec![copy(id, direct, &one), copy(id, direct, &two)]).await.unwrap();
    let kinds: Vec<&str> = outcome.events.iter().map(|event| event.body.kind().as_str()).collect();
    assert_eq!(kinds, ["participant_joined", "message_posted", "message_posted"]);
    assert_eq!(world.unread(BOB, direct).await, Some(2));
}

async fn a_rooms_settings_hold_for_forwards(world: &World) {
    let (from, to) = (world.group(&[BOB]).await, world.group(&[ANN, BOB]).await);
    let (one, two) = (world.says(BOB, from, "one").await, world.says(BOB, from, "two").await);
    let forward = |id| vec![copy(id, to, &one), copy(id, to, &two)];
    world.does(ANN, to, set(json!({"posting": "admins"}))).await.unwrap();
    assert_eq!(forwards(world, BOB, to, forward(Uuid::new_v4())).await, Err(Refusal::Forbidden));
    // A forward counts as one message for slow mode.
    world.does(ANN, to, set(json!({"posting": "everyone", "slow_mode_seconds": 60}))).await.unwrap();
    let id = Uuid::new_v4();
    assert_eq!(sent(forwards(world, BOB, to, forward(id)).await.unwrap()).len(), 2);
    let too_soon = forwards(world, BOB, to, forward(Uuid::new_v4())).await;
    assert!(matches!(too_soon, Err(Refusal::TooSoon { .. })), "{too_soon:?}");
    assert_eq!(sent(forwards(world, BOB, to, forward(id)).await.unwrap()).len(), 2);
    assert_eq!(log(world, to).await.len(), 2);
}

async fn a_file_goes_with_its_last_message(world: &World) {
    let [from, to, on] = [world.group(&[ANN]).await, world.group(&[ANN]).await, world.group(&[ANN]).await];
    let original = attaches(world, ANN, from).await;
    let id = Uuid::new_v4();
    let copied = async |room, source: &Message| {
        sent(forwards(world, ANN, room, vec![copy(id, room, source)]).await.unwrap()).remove(0).0
    };
    let first = copied(to, &original).await;
    assert_eq!((&first.attachment, first.message_type), (&original.attachment, MessageType::File));
    world.does(ANN, from, delete(&original)).await.unwrap();
    assert_eq!(log(world, to).await[0].attachment, first.attachment);
    let second = copied(on, &first).await;
    world.does(ANN, to, delete(&first)).await.unwrap();
    assert_eq!(log(world, on).await[0].attachment, second.attachment);
    world.does(ANN, on, delete(&second)).await.unwrap();
    for room in [from, to, on] {
        assert!(log(world, room).await[0].attachment.is_none());
    }
    // Its last message took it along.
    let again = vec![copy(Uuid::new_v4(), to, &second)];
    assert_eq!(forwards(world, ANN, to, again).await, Err(Refusal::MessageNotFound));
}

async fn a_file_that_is_gone_is_not_forwarded(world: &World) {
    let (from, to) = (world.group(&[ANN]).await, world.group(&[ANN]).await);
    let (text, file) = (world.says(ANN, from, "text").await, attaches(world, ANN, from).await);
    let before = world.head(to).await;
    world.does(ANN, from, delete(&file)).await.unwrap();
    let id = Uuid::new_v4();
    let drafts = vec![copy(id, to, &text), copy(id, to, &file)];
    assert_eq!(forwards(world, ANN, to, drafts).await, Err(Refusal::MessageNotFound));
    assert_eq!(world.head(to).await, before);

    // In one transaction with the deletion, the copy keeps the file.
    let file = attaches(world, ANN, from).await;
    let batch = vec![
        Command { room: from, by: Principal::User(ANN), change: delete(&file) },
        Command {
            room: to,
            by: Principal::User(ANN),
            change: RoomChange::Forward(vec![copy(id, to, &file)]),
        },
    ];
    assert!(world.append(batch, true).await.unwrap().into_iter().all(|outcome| outcome.unwrap().is_ok()));
    let kept = log(world, to).await.remove(0);
    assert_eq!(kept.attachment, file.attachment);
    let more = vec![copy(Uuid::new_v4(), to, &kept)];
    forwards(world, ANN, to, more).await.unwrap();
}

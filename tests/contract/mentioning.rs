//! Mentions.

use actors::domain::command::{Command, CommandOutcome, MessageDraft, Principal, Refusal, RoomChange};
use actors::domain::event::EventBody;
use actors::domain::ids::{ClientId, MessageId, RoomId, UserId};
use actors::domain::mentions::{Mentions, MentionsEdit};
use actors::domain::message::Message;
use actors::domain::participant::Role;
use uuid::Uuid;

use crate::world::{ANN, BOB, CAT, DAN, World, add, delete, draft, edit, on_both, posted, read_to};

on_both!(
    unread_mentions_are_counted_and_kept_with_their_message,
    everyone_in_the_room_is_mentioned_but_the_sender,
    others_than_participants_are_not_mentioned,
    the_partner_of_a_direct_room_is_mentioned_even_after_leaving_it,
    an_edit_replaces_mentions_and_counts_them_once,
    what_was_mentioned_before_may_stay_in_an_edit,
    a_deletion_takes_mentions_with_it,
    only_admins_mention_everyone_in_a_large_room,
    mentions_from_before_joining_again_are_not_counted,
    muted_rooms_count_in_the_total_and_archived_ones_do_not,
    a_client_id_stands_for_its_mentions_too,
);

fn users(users: &[UserId]) -> Mentions {
    Mentions::new(users.to_vec(), false)
}

fn everyone() -> Mentions {
    Mentions::new(Vec::new(), true)
}

fn post(mentions: Mentions) -> RoomChange {
    RoomChange::Post(draft("look at this").mentioning(mentions))
}

async fn mentions(world: &World, by: UserId, room: RoomId, mentions: Mentions) -> Message {
    posted(world.does(by, room, post(mentions)).await.unwrap())
}

async fn edits(world: &World, message: &Message, edit: MentionsEdit) -> Result<CommandOutcome, Refusal> {
    let change = RoomChange::Edit { message: message.id, content: None, mentions: edit };
    world.does(message.sender.id, message.room, change).await
}

fn only(users: &[UserId]) -> MentionsEdit {
    MentionsEdit { users: Some(users.to_vec()), room: None }
}

fn room_only(room: bool) -> MentionsEdit {
    MentionsEdit { users: None, room: Some(room) }
}

/// How many unread messages in the room mention each of these users.
async fn counts<const N: usize>(world: &World, room: RoomId, of: [UserId; N]) -> [i64; N] {
    let mut counts = [0; N];
    for (count, user) in counts.iter_mut().zip(of) {
        *count = world.store.inbox(user, Some(&[room])).await.unwrap().remove(0).mentions;
    }
    counts
}

/// A message as a replay tells it.
async fn replayed(world: &World, message: &Message) -> Message {
    let log = world.log(message.room).await;
    let sent = log.iter().find_map(|event| match &event.body {
        EventBody::MessagePosted(now) if now.id == message.id => Some((**now).clone()),
        _ => None,
    });
    sent.expect("the message")
}

async fn unread_mentions_are_counted_and_kept_with_their_message(world: &World) {
    let room = world.group(&[ANN, BOB, CAT]).await;
    let first = mentions(world, ANN, room, users(&[BOB, ANN])).await;
    assert_eq!(first.extras.mentions, users(&[BOB, ANN]));
    assert_eq!(replayed(world, &first).await, first);
    world.says(ANN, room, "no mention").await;
    assert_eq!(counts(world, room, [ANN, BOB, CAT]).await, [0, 1, 0]);
    let second = mentions(world, CAT, room, users(&[ANN, BOB])).await;
    assert_eq!(counts(world, room, [ANN, BOB, CAT]).await, [1, 2, 0]);
    world.does(BOB, room, read_to(&first)).await.unwrap();
    assert_eq!(counts(world, room, [ANN, BOB, CAT]).await, [1, 1, 0]);
    world.does(BOB, room, read_to(&second)).await.unwrap();
    assert_eq!(counts(world, room, [ANN, BOB, CAT]).await, [1, 0, 0]);
}

async fn everyone_in_the_room_is_mentioned_but_the_sender(world: &World) {
    let room = world.group(&[ANN, BOB, CAT]).await;
    let message = mentions(world, ANN, room, Mentions::new(vec![BOB], true)).await;
    assert_eq!(replayed(world, &message).await.extras.mentions, Mentions::new(vec![BOB], true));
    assert_eq!(counts(world, room, [ANN, BOB, CAT]).await, [0, 1, 1]);
    world.does(ANN, room, add(DAN)).await.unwrap();
    assert_eq!(counts(world, room, [DAN]).await, [0], "who joins later was not meant");
    mentions(world, BOB, room, everyone()).await;
    assert_eq!(counts(world, room, [ANN, BOB, CAT, DAN]).await, [1, 1, 2, 1]);
}

async fn others_than_participants_are_not_mentioned(world: &World) {
    let room = world.group(&[ANN, BOB, CAT]).await;
    world.does(CAT, room, RoomChange::Leave).await.unwrap();
    let head = world.head(room).await;
    let strangers = [CAT, DAN, UserId(99), UserId(0), UserId(-1)];
    let refused =
        world.does(ANN, room, post(users(&[BOB, CAT, DAN, UserId(99), UserId(0), UserId(-1)]))).await;
    assert_eq!(refused, Err(Refusal::MentionedOutsiders(strangers.to_vec())));
    assert_eq!(world.head(room).await, head);
    let message = mentions(world, ANN, room, users(&[BOB])).await;
    let refused = edits(world, &message, only(&[BOB, DAN])).await;
    assert_eq!(refused, Err(Refusal::MentionedOutsiders(vec![DAN])));
    // Of two at once, the one that is judged after the removal is refused.
    let command = |change| Command { room, by: Principal::User(ANN), change };
    let batch = vec![
        command(post(users(&[BOB]))),
        command(RoomChange::Remove { user: BOB }),
        command(post(users(&[BOB]))),
        command(add(DAN)),
        command(post(users(&[DAN]))),
    ];
    let answers = world.append(batch, true).await.unwrap();
    let refused: Vec<bool> = answers.into_iter().map(|answer| answer.unwrap().is_err()).collect();
    assert_eq!(refused, [false, false, true, false, false]);
    assert_eq!(counts(world, room, [DAN]).await, [1]);
}

async fn the_partner_of_a_direct_room_is_mentioned_even_after_leaving_it(world: &World) {
    let room = world.direct(ANN, BOB).await.unwrap().room;
    mentions(world, ANN, room, users(&[BOB])).await;
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    mentions(world, ANN, room, users(&[BOB])).await;
    assert_eq!(counts(world, room, [BOB]).await, [1]);
    let refused = world.does(ANN, room, post(users(&[BOB, CAT]))).await;
    assert_eq!(refused, Err(Refusal::MentionedOutsiders(vec![CAT])));
    // One who can't come back isn't mentioned, and stays outside.
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    world.put_user(BOB, "bob", false).await;
    let refused = world.does(ANN, room, post(users(&[BOB]))).await;
    assert_eq!(refused, Err(Refusal::MentionedOutsiders(vec![BOB])));
}

async fn an_edit_replaces_mentions_and_counts_them_once(world: &World) {
    let room = world.group(&[ANN, BOB, CAT]).await;
    let message = mentions(world, ANN, room, users(&[BOB])).await;
    let outcome = edits(world, &message, only(&[BOB, CAT])).await.unwrap();
    assert_eq!(outcome.events.len(), 1);
    assert_eq!(counts(world, room, [BOB, CAT]).await, [1, 1]);
    let outcome = edits(world, &message, only(&[BOB, CAT])).await.unwrap();
    assert_eq!(outcome.events, [], "it says so already");
    let now = replayed(world, &message).await;
    assert_eq!((now.content, now.edited_at), (message.content.clone(), None), "its text is the same");
    edits(world, &message, only(&[CAT])).await.unwrap();
    assert_eq!(counts(world, room, [BOB, CAT]).await, [0, 1]);
    world.does(ANN, room, edit(&message, "changed")).await.unwrap();
    assert_eq!(counts(world, room, [BOB, CAT]).await, [0, 1]);
    edits(world, &message, room_only(true)).await.unwrap();
    assert_eq!(counts(world, room, [ANN, BOB, CAT]).await, [0, 1, 1]);
    world.does(BOB, room, read_to(&message)).await.unwrap();
    edits(world, &message, only(&[BOB])).await.unwrap();
    edits(world, &message, room_only(false)).await.unwrap();
    assert_eq!(counts(world, room, [BOB, CAT]).await, [0, 0], "Bob has read it, and Cat is no longer meant");
    assert_eq!(replayed(world, &message).await.extras.mentions, users(&[BOB]));
    let foreign = RoomChange::Edit { message: message.id, content: None, mentions: only(&[CAT]) };
    assert_eq!(world.does(BOB, room, foreign).await, Err(Refusal::Forbidden));
}

async fn what_was_mentioned_before_may_stay_in_an_edit(world: &World) {
    let room = world.group(&[ANN, BOB, CAT]).await;
    let message = mentions(world, ANN, room, users(&[BOB])).await;
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    edits(world, &message, only(&[BOB, CAT])).await.unwrap();
    edits(world, &message, only(&[CAT])).await.unwrap();
    let refused = edits(world, &message, only(&[BOB, CAT])).await;
    assert_eq!(refused, Err(Refusal::MentionedOutsiders(vec![BOB])));
    assert_eq!(replayed(world, &message).await.extras.mentions, users(&[CAT]));
}

async fn a_deletion_takes_mentions_with_it(world: &World) {
    let room = world.group(&[ANN, BOB, CAT]).await;
    let one = mentions(world, ANN, room, users(&[BOB])).await;
    let other = mentions(world, ANN, room, everyone()).await;
    assert_eq!(counts(world, room, [BOB, CAT]).await, [2, 1]);
    world.does(ANN, room, delete(&one)).await.unwrap();
    assert_eq!(counts(world, room, [BOB, CAT]).await, [1, 1]);
    assert!(replayed(world, &one).await.extras.mentions.is_empty());
    let erase = Command { room, by: Principal::Service, change: RoomChange::Erase { message: other.id } };
    world.run(erase).await.unwrap();
    assert_eq!(counts(world, room, [BOB, CAT]).await, [0, 0]);
    // Posted, edited and deleted within one transaction.
    let gone = draft("gone").mentioning(users(&[BOB]));
    let change = |change| Command { room, by: Principal::User(ANN), change };
    let batch = vec![
        change(RoomChange::Post(gone.clone())),
        change(RoomChange::Edit { message: gone.id, content: None, mentions: only(&[BOB, CAT]) }),
        change(RoomChange::Delete { message: gone.id, reason: None }),
    ];
    for answer in world.append(batch, true).await.unwrap() {
        answer.unwrap().unwrap();
    }
    assert_eq!(counts(world, room, [BOB, CAT]).await, [0, 0]);
}

async fn only_admins_mention_everyone_in_a_large_room(world: &World) {
    let mut people = vec![ANN, BOB];
    for id in 10..28 {
        world.put_user(UserId(id), "p", true).await;
        people.push(UserId(id));
    }
    let room = world.group(&people).await;
    assert_eq!(people.len(), 20);
    let small = mentions(world, BOB, room, everyone()).await;
    world.does(ANN, room, add(CAT)).await.unwrap();
    let by = |user, change| Command { room, by: Principal::User(user), change };
    assert_eq!(world.does(BOB, room, post(everyone())).await, Err(Refusal::Forbidden));
    mentions(world, ANN, room, everyone()).await;
    mentions(world, BOB, room, users(&[ANN])).await;
    // What it mentioned before the room grew may stay, and nothing may be added.
    edits(world, &small, MentionsEdit { users: Some(vec![ANN]), room: Some(true) }).await.unwrap();
    edits(world, &small, room_only(false)).await.unwrap();
    assert_eq!(edits(world, &small, room_only(true)).await, Err(Refusal::Forbidden));
    // The room's size is that at the command, within one transaction too.
    let batch = vec![
        by(BOB, post(everyone())),
        by(CAT, RoomChange::Leave),
        by(BOB, post(everyone())),
        by(ANN, add(DAN)),
        by(BOB, post(everyone())),
        by(ANN, RoomChange::SetRole { user: BOB, role: Role::Admin }),
        by(BOB, post(everyone())),
    ];
    let answers = world.append(batch, true).await.unwrap();
    let refused: Vec<bool> = answers.into_iter().map(|answer| answer.unwrap().is_err()).collect();
    assert_eq!(refused, [true, false, false, false, true, false, false]);
}

async fn mentions_from_before_joining_again_are_not_counted(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    mentions(world, ANN, room, users(&[BOB])).await;
    mentions(world, ANN, room, everyone()).await;
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    assert_eq!(world.store.inbox(BOB, None).await.unwrap(), []);
    world.does(ANN, room, add(BOB)).await.unwrap();
    assert_eq!(counts(world, room, [BOB]).await, [0]);
    mentions(world, ANN, room, users(&[BOB])).await;
    assert_eq!(counts(world, room, [BOB]).await, [1]);
}

async fn muted_rooms_count_in_the_total_and_archived_ones_do_not(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    mentions(world, ANN, room, users(&[BOB])).await;
    let total = async || {
        let row = world.store.inbox(BOB, Some(&[room])).await.unwrap().remove(0);
        (row.mentions, row.total_mentions(), row.counts_toward_total())
    };
    assert_eq!(total().await, (1, 1, true));
    world.does(BOB, room, RoomChange::Mute { muted: true, until: None }).await.unwrap();
    assert_eq!(total().await, (1, 1, false));
    world.does(ANN, room, RoomChange::Archive).await.unwrap();
    assert_eq!(total().await, (1, 0, false));
    assert_eq!(world.does(ANN, room, post(users(&[BOB]))).await, Err(Refusal::Archived));
}

async fn a_client_id_stands_for_its_mentions_too(world: &World) {
    let room = world.group(&[ANN, BOB, CAT]).await;
    let plain = draft("look at this");
    assert_eq!(
        plain.clone().mentioning(Mentions::default()),
        plain,
        "retries of older messages stay the same"
    );
    let client_id = ClientId(Uuid::new_v4());
    let send = |mentions| {
        let draft = MessageDraft { id: MessageId::new(), client_id: Some(client_id), ..plain.clone() };
        world.does(ANN, room, RoomChange::Post(draft.mentioning(mentions)))
    };
    let sent = posted(send(users(&[BOB, CAT])).await.unwrap());
    let again = send(users(&[BOB, CAT])).await.unwrap();
    assert_eq!(again.events, []);
    assert_eq!(posted(again), sent);
    for other in [Mentions::default(), users(&[BOB]), Mentions::new(vec![BOB, CAT], true), everyone()] {
        assert_eq!(send(other).await, Err(Refusal::ClientIdConflict));
    }
    // A retry is answered as before, whatever has become of those whom it mentions.
    world.does(CAT, room, RoomChange::Leave).await.unwrap();
    assert_eq!(posted(send(users(&[BOB, CAT])).await.unwrap()), sent);
    assert_eq!(counts(world, room, [BOB]).await, [1]);
}

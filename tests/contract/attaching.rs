//! Messages with files that were uploaded before.

use actors::domain::attachment::{Attachment, Media};
use actors::domain::command::{Command, DraftExtras, MessageDraft, Principal, Refusal, RoomChange};
use actors::domain::event::EventBody;
use actors::domain::ids::{ClientId, FileId, MessageId, RoomId, UploadId, UserId};
use actors::domain::message::{Message, MessageType};
use actors::domain::upload::{UploadProblem, UploadRefusal};
use actors::ports::store::Store;
use uuid::Uuid;

use crate::forwarding::{copy, forwards};
use crate::world::{ANN, BOB, CAT, World, delete, draft, on_both, posted};

on_both!(
    a_message_carries_several_uploads_each_once,
    only_ones_own_finished_uploads_are_attached,
    an_upload_is_attached_once_by_a_batch_of_several_rooms,
    a_repeated_send_is_found_by_its_uploads,
    copies_carry_all_files,
);

fn with_uploads(text: &str, uploads: &[UploadId]) -> MessageDraft {
    let extras = DraftExtras { uploads: uploads.to_vec(), ..DraftExtras::default() };
    let digest = extras.add_to(MessageDraft::digest_of(text, None, None));
    MessageDraft { extras, digest, ..draft(text) }
}

async fn sends(world: &World, user: UserId, room: RoomId, uploads: &[UploadId]) -> Result<Message, Refusal> {
    world.does(user, room, RoomChange::Post(with_uploads("", uploads))).await.map(posted)
}

fn files(message: &Message) -> Vec<FileId> {
    message.files().map(|attachment| attachment.file).collect()
}

/// The message as the room's log tells it now.
async fn now(world: &World, message: &Message) -> Message {
    let log = world.log(message.room).await;
    let found = log.into_iter().find_map(|event| match event.body {
        EventBody::MessagePosted(now) if now.id == message.id => Some(*now),
        _ => None,
    });
    found.expect("the message")
}

async fn a_message_carries_several_uploads_each_once(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let picture =
        Media { width: Some(640), height: Some(480), has_previews: true, ..Media::of_type("image/jpeg") };
    let (first, a) = world.uploads(ANN, "a.jpg", picture.clone()).await;
    let (second, b) = world.uploads(ANN, "b.pdf", Media::of_type("application/pdf")).await;
    let message = sends(world, ANN, room, &[first, second]).await.unwrap();
    let named = |file, name: &str, media| Attachment { file, name: name.into(), size: 3, media };
    assert_eq!(message.message_type, MessageType::Image);
    assert_eq!(message.attachment, Some(named(a, "a.jpg", picture)));
    assert_eq!(message.extras.more_files, [named(b, "b.pdf", Media::of_type("application/pdf"))]);
    assert_eq!(now(world, &message).await, message);
    let unknown = |upload| Refusal::Upload(UploadRefusal { upload, problem: UploadProblem::Unknown });
    assert_eq!(sends(world, ANN, room, &[second]).await, Err(unknown(second)), "it was sent");
    world.does(ANN, room, delete(&message)).await.unwrap();
    assert_eq!(files(&now(world, &message).await), []);
}

async fn only_ones_own_finished_uploads_are_attached(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let (of_bob, _) = world.uploads(BOB, "b.pdf", Media::of_type("application/pdf")).await;
    let (own, file) = world.uploads(ANN, "a.pdf", Media::of_type("application/pdf")).await;
    let unfinished = world.begins_upload(ANN).await;
    let refused = world.begins_upload(ANN).await;
    world.refuses_upload(ANN, refused, "It is no picture.").await;
    let never = UploadId(Uuid::new_v4());
    for (upload, problem) in [
        (of_bob, UploadProblem::Foreign),
        (unfinished, UploadProblem::Unfinished),
        (refused, UploadProblem::Refused("It is no picture.".into())),
        (never, UploadProblem::Unknown),
    ] {
        let refusal = sends(world, ANN, room, &[own, upload]).await;
        assert_eq!(refusal, Err(Refusal::Upload(UploadRefusal { upload, problem })));
    }
    // Nothing was taken by what was refused.
    assert_eq!(files(&sends(world, ANN, room, &[own]).await.unwrap()), [file]);
    let by = Principal::Service;
    let change = RoomChange::Post(with_uploads("", &[of_bob]));
    assert!(world.run(Command { room, by, change }).await.is_err());
}

async fn an_upload_is_attached_once_by_a_batch_of_several_rooms(world: &World) {
    let (one, other) = (world.group(&[ANN]).await, world.group(&[ANN]).await);
    let (upload, file) = world.uploads(ANN, "a.pdf", Media::of_type("application/pdf")).await;
    let by = Principal::User(ANN);
    let send = |room| Command { room, by, change: RoomChange::Post(with_uploads("x", &[upload])) };
    let outcomes = world.append(vec![send(one), send(other), send(one)], true).await.unwrap();
    let mut sent = outcomes.into_iter().map(|outcome| outcome.expect("free"));
    assert_eq!(files(&posted(sent.next().unwrap().unwrap())), [file]);
    assert!(sent.all(|outcome| matches!(outcome, Err(Refusal::Upload(_)))));
}

async fn a_repeated_send_is_found_by_its_uploads(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let (first, _) = world.uploads(ANN, "a.pdf", Media::of_type("application/pdf")).await;
    let (other, _) = world.uploads(ANN, "b.pdf", Media::of_type("application/pdf")).await;
    let client_id = Some(ClientId(Uuid::new_v4()));
    let send = async |uploads: &[UploadId]| {
        let draft = MessageDraft { client_id, id: MessageId::new(), ..with_uploads("", uploads) };
        world.does(ANN, room, RoomChange::Post(draft)).await.map(posted)
    };
    let message = send(&[first]).await.unwrap();
    assert_eq!(send(&[first]).await, Ok(message));
    assert_eq!(send(&[other]).await, Err(Refusal::ClientIdConflict));
    assert_eq!(send(&[first, other]).await, Err(Refusal::ClientIdConflict));
}

async fn copies_carry_all_files(world: &World) {
    let (from, to) = (world.group(&[ANN, BOB]).await, world.group(&[BOB, CAT]).await);
    let (first, _) = world.uploads(ANN, "a.pdf", Media::of_type("application/pdf")).await;
    let (second, _) = world.uploads(ANN, "b.pdf", Media::of_type("application/pdf")).await;
    let source = sends(world, ANN, from, &[first, second]).await.unwrap();
    let outcome = forwards(world, BOB, to, vec![copy(Uuid::new_v4(), to, &source)]).await.unwrap();
    let copied = outcome.events.iter().find_map(|event| event.body.facts().new_message().cloned()).unwrap();
    assert_eq!(files(&copied), files(&source));
    assert_eq!(files(&now(world, &copied).await), files(&source));
    world.does(ANN, from, delete(&source)).await.unwrap();
    assert_eq!(files(&now(world, &copied).await), files(&source));
}

async fn is_served(world: &World, user: UserId, file: FileId) -> bool {
    world.database().store.visible_file(user, file, None).await.unwrap().is_some()
}

async fn to_be_erased(world: &World) -> Vec<FileId> {
    let mut files = world.database().store.files_to_erase(1_000).await.unwrap();
    files.sort_unstable_by_key(|file| file.0);
    files
}

#[tokio::test]
async fn each_file_of_a_message_is_served_as_long_as_a_message_carries_it() {
    let world = World::postgres().await;
    let (from, to) = (world.group(&[ANN, BOB]).await, world.group(&[BOB, CAT]).await);
    let (first, a) = world.uploads(ANN, "a.pdf", Media::of_type("application/pdf")).await;
    let (second, b) = world.uploads(ANN, "b.pdf", Media::of_type("application/pdf")).await;
    assert!(!is_served(&world, ANN, a).await);
    let source = sends(&world, ANN, from, &[first, second]).await.unwrap();
    for file in [a, b] {
        for (user, expected) in [(ANN, true), (BOB, true), (CAT, false)] {
            assert_eq!(is_served(&world, user, file).await, expected, "{user}");
        }
    }
    let name = world.database().store.visible_file(BOB, b, None).await.unwrap().unwrap().name;
    assert_eq!(name, "b.pdf");
    let outcome = forwards(&world, BOB, to, vec![copy(Uuid::new_v4(), to, &source)]).await.unwrap();
    let copied = outcome.events.iter().find_map(|event| event.body.facts().new_message().cloned()).unwrap();
    world.does(ANN, from, delete(&source)).await.unwrap();
    for file in [a, b] {
        assert!(is_served(&world, CAT, file).await && !is_served(&world, ANN, file).await);
    }
    assert_eq!(to_be_erased(&world).await, []);
    world.does(BOB, to, delete(&copied)).await.unwrap();
    let mut both = vec![a, b];
    both.sort_unstable_by_key(|file| file.0);
    assert_eq!(to_be_erased(&world).await, both);
    let client = world.database().database.client().await;
    for table in ["files", "forwarded_files", "uploads"] {
        let row = client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 0, "{table}");
    }
}

#[tokio::test]
async fn all_files_of_a_deleted_room_go_with_their_senders_account() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    let (first, a) = world.uploads(ANN, "a.pdf", Media::of_type("application/pdf")).await;
    let (second, b) = world.uploads(ANN, "b.pdf", Media::of_type("application/pdf")).await;
    sends(&world, ANN, room, &[first, second]).await.unwrap();
    world.does(ANN, room, RoomChange::DeleteRoom).await.unwrap();
    world.database().store.erase_messages_in_deleted_rooms(ANN).await.unwrap();
    let mut both = vec![a, b];
    both.sort_unstable_by_key(|file| file.0);
    assert_eq!(to_be_erased(&world).await, both);
}

/// Two nodes attach the same upload in two rooms at the same moment.
#[tokio::test]
async fn an_upload_is_attached_once_by_two_nodes() {
    let world = World::postgres().await;
    let other_node = world.database().second_node().await;
    let rooms = [world.group(&[ANN]).await, world.group(&[ANN]).await];
    for _ in 0..20 {
        let (upload, _) = world.uploads(ANN, "a.pdf", Media::of_type("application/pdf")).await;
        let send = |room| {
            let change = RoomChange::Post(with_uploads("", &[upload]));
            [std::sync::Arc::new(Command { room, by: Principal::User(ANN), change })]
        };
        let (one, other) = (send(rooms[0]), send(rooms[1]));
        let (one, other) = tokio::join!(world.store.append(&one, true), other_node.append(&other, true));
        let sent = [one, other].map(|outcomes| outcomes.unwrap().remove(0).unwrap().is_ok());
        assert_eq!(sent.iter().filter(|is_sent| **is_sent).count(), 1);
    }
}

//! Demo users and rooms, for trying the chat before connecting it to anything.

use std::sync::Arc;

use actors::domain::command::{
    Command, DraftExtras, MessageDraft, MissingReplyTarget, OpenRoom, Principal, RoomChange,
};
use actors::domain::entry::{EntryTerms, HostRoster};
use actors::domain::ids::{ClientId, MessageId, RoomId, UserId};
use actors::domain::mentions::Mentions;
use actors::domain::message::MessageType;
use actors::domain::room::{RoomType, Subject};
use actors::ports::store::Store;
use anyhow::Context;
use secrecy::SecretString;
use uuid::Uuid;

use crate::auth::passwords;
use crate::store::postgres::PostgresStore;

/// Password of every demo account.
pub const PASSWORD: &str = "aristay-demo";

/// Sign-in name, display name, and whether the user is staff.
pub const USERS: [(&str, &str, bool); 5] = [
    ("maria", "Maria Oliveira", true),
    ("jonas", "Jonas Weber", false),
    ("amina", "Amina Diallo", false),
    ("pedro", "Pedro Santos", false),
    ("yuki", "Yuki Tanaka", false),
];

/// The messages of a room: the sender's index in [`USERS`], and the text.
type Conversation = &'static [(usize, &'static str)];

const TEAM: Conversation = &[
    (0, "Good morning! Three check-outs today: Harbour 2, Mill Lane 7 and the loft."),
    (2, "I take Harbour 2 and then the loft."),
    (3, "Mill Lane is mine. Are there fresh towels in the van?"),
    (0, "Two full sets, plus the new bath mats."),
    (2, "👍"),
    (4, "The loft guest asked for a late check-out, 12:30. I said yes."),
    (0, "Fine with me. Amina, then please do Harbour first."),
];
const BOILER: Conversation = &[
    (0, "No hot water at Mill Lane 7 since last night. Guests arrive at 16:00."),
    (1, "On my way. Sounds like the ignition again."),
    (1, "It was the ignition electrode. Replaced, pressure is at 1.6 bar."),
    (0, "You saved the day. Please keep the old part for the invoice."),
    (1, "Will do. Photo follows."),
];
const HARBOUR: Conversation = &[
    (2, "The left bedroom window doesn't close all the way."),
    (1, "I'll bring a new hinge on Thursday."),
    (3, "Key box battery is low, I put a new one in."),
];
const DIRECT: Conversation = &[(0, "Can you cover Sunday?"), (1, "Yes, from 10 on."), (0, "Thank you!")];

/// Inserts the demo users and rooms. Running it again changes nothing.
///
/// # Errors
/// The store can't be written to.
pub async fn seed(store: &PostgresStore) -> anyhow::Result<()> {
    let hash = passwords::hash(SecretString::from(PASSWORD)).await?;
    let mut users = Vec::with_capacity(USERS.len());
    for (username, full_name, is_staff) in USERS {
        let email = format!("{username}@example.com");
        users.push(store.upsert_account(username, full_name, &email, is_staff, &hash).await?);
    }
    let room =
        |room_type, name: &str, subject: Option<Subject>, title: Option<&str>, members: &[usize]| OpenRoom {
            id: RoomId(stable_uuid(name)),
            by: Principal::User(users[members[0]]),
            room_type,
            name: if subject.is_some() || room_type == RoomType::Direct {
                String::new()
            } else {
                name.to_owned()
            },
            subject,
            title: title.map(ToOwned::to_owned),
            users: members[1..].iter().map(|member| users[*member]).collect(),
            granted: None,
            granted_terms: EntryTerms::default(),
            roster: HostRoster::default(),
            open_subjects: true,
        };
    let boiler = Some(Subject::Task(42));
    let harbour = Some(Subject::Property(7));
    let rooms = [
        (room(RoomType::Direct, "maria and jonas", None, None, &[0, 1]), DIRECT),
        (room(RoomType::Property, "harbour", harbour, Some("Harbour 2"), &[0, 1, 2, 3]), HARBOUR),
        (room(RoomType::Task, "boiler", boiler, Some("Fix the boiler"), &[0, 1]), BOILER),
        (room(RoomType::Group, "Today's team", None, None, &[0, 1, 2, 3, 4]), TEAM),
    ];
    for (open, conversation) in rooms {
        seed_room(store, &users, &open, conversation).await?;
    }
    Ok(())
}

async fn seed_room(
    store: &PostgresStore,
    users: &[UserId],
    open: &OpenRoom,
    conversation: Conversation,
) -> anyhow::Result<()> {
    if store.snapshot(open.id, &[], false).await?.is_some() {
        return Ok(());
    }
    let room = store.open_room(open).await?.context("a demo room is refused")?.room;
    let batch: Vec<Arc<Command>> = conversation
        .iter()
        .enumerate()
        .map(|(index, (speaker, text))| {
            let draft = MessageDraft {
                id: MessageId(stable_uuid(&format!("{room} {index}"))),
                client_id: Some(ClientId(stable_uuid(&format!("{room} send {index}")))),
                content: (*text).to_owned(),
                message_type: MessageType::Text,
                attachment: None,
                reply_to: None,
                missing_reply_target: MissingReplyTarget::Reject,
                extras: DraftExtras::default(),
                mentions: Mentions::default(),
                digest: MessageDraft::digest_of(text, None, None),
            };
            let (by, change) = (Principal::User(users[*speaker]), RoomChange::Post(draft));
            Arc::new(Command { room, by, change })
        })
        .collect();
    for outcome in store.append(&batch, true).await? {
        outcome.context("a demo room is locked")?.context("a demo message is refused")?;
    }
    Ok(())
}

/// Derives an id from a name, so that a second run finds what the first one inserted.
fn stable_uuid(name: &str) -> Uuid {
    use sha2::{Digest, Sha256};
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Sha256::digest(format!("aristay-chat demo: {name}"))[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The text to print once the demo is served at `address`.
#[must_use]
pub fn greeting(address: &str) -> String {
    let names: Vec<&str> = USERS.iter().map(|(username, ..)| *username).collect();
    format!(
        "\n  The chat is at    {address}/chat/\n  Sign in as        {}\n  Password          {PASSWORD}\n  \
         The API is at     {address}/api/docs/\n",
        names.join(", ")
    )
}

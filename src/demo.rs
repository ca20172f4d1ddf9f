//! Demo people and rooms, for whoever wants to see the chat before connecting it to anything.

use std::sync::Arc;

use actors::domain::command::{Actor, Change, Command, Draft, OpenRoom, StrayReply};
use actors::domain::ids::{ClientId, MessageId, RoomId, UserId};
use actors::domain::message::MessageType;
use actors::domain::room::{RoomType, Subject};
use actors::ports::store::Store;
use anyhow::Context;
use secrecy::SecretString;
use uuid::Uuid;

use crate::auth::passwords;
use crate::store::postgres::PostgresStore;

/// The password of every demo account. It opens nothing but demo data on one's own machine.
pub const PASSWORD: &str = "aristay-demo";

/// Sign-in name, name, and whether staff.
pub const PEOPLE: [(&str, &str, bool); 5] = [
    ("maria", "Maria Oliveira", true),
    ("jonas", "Jonas Weber", false),
    ("amina", "Amina Diallo", false),
    ("pedro", "Pedro Santos", false),
    ("yuki", "Yuki Tanaka", false),
];

/// Who says what, by the index in [`PEOPLE`].
type Talk = &'static [(usize, &'static str)];

const TEAM: Talk = &[
    (0, "Good morning! Three check-outs today: Harbour 2, Mill Lane 7 and the loft."),
    (2, "I take Harbour 2 and then the loft."),
    (3, "Mill Lane is mine. Are there fresh towels in the van?"),
    (0, "Two full sets, plus the new bath mats."),
    (2, "👍"),
    (4, "The loft guest asked for a late check-out, 12:30. I said yes."),
    (0, "Fine with me. Amina, then please do Harbour first."),
];
const BOILER: Talk = &[
    (0, "No hot water at Mill Lane 7 since last night. Guests arrive at 16:00."),
    (1, "On my way. Sounds like the ignition again."),
    (1, "It was the ignition electrode. Replaced, pressure is at 1.6 bar."),
    (0, "You saved the day. Please keep the old part for the invoice."),
    (1, "Will do. Photo follows."),
];
const HARBOUR: Talk = &[
    (2, "The left bedroom window doesn't close all the way."),
    (1, "I'll bring a new hinge on Thursday."),
    (3, "Key box battery is low, I put a new one in."),
];
const DIRECT: Talk = &[(0, "Can you cover Sunday?"), (1, "Yes, from 10 on."), (0, "Thank you!")];

/// Puts demo people and rooms in. Doing it again changes nothing.
///
/// # Errors
/// The store can't be written to.
pub async fn seed(store: &PostgresStore) -> anyhow::Result<()> {
    let hash = passwords::hash(SecretString::from(PASSWORD)).await?;
    let mut people = Vec::with_capacity(PEOPLE.len());
    for (username, full_name, is_staff) in PEOPLE {
        let email = format!("{username}@example.com");
        people.push(store.keep_account(username, full_name, &email, is_staff, &hash).await?);
    }
    let room =
        |room_type, name: &str, subject: Option<Subject>, title: Option<&str>, members: &[usize]| OpenRoom {
            id: RoomId(of_name(name)),
            by: Actor::Person(people[members[0]]),
            room_type,
            name: if subject.is_some() || room_type == RoomType::Direct {
                String::new()
            } else {
                name.to_owned()
            },
            subject,
            title: title.map(ToOwned::to_owned),
            people: members[1..].iter().map(|member| people[*member]).collect(),
            granted: None,
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
    for (open, talk) in rooms {
        seed_room(store, &people, &open, talk).await?;
    }
    Ok(())
}

async fn seed_room(
    store: &PostgresStore,
    people: &[UserId],
    open: &OpenRoom,
    talk: Talk,
) -> anyhow::Result<()> {
    if store.snapshot(open.id, &[], false).await?.is_some() {
        return Ok(());
    }
    let room = store.open_room(open).await?.context("a demo room is refused")?.room;
    let batch: Vec<Arc<Command>> = talk
        .iter()
        .enumerate()
        .map(|(index, (speaker, text))| {
            let draft = Draft {
                id: MessageId(of_name(&format!("{room} {index}"))),
                client_id: Some(ClientId(of_name(&format!("{room} send {index}")))),
                content: (*text).to_owned(),
                message_type: MessageType::Text,
                attachment: None,
                reply_to: None,
                stray_reply: StrayReply::Refuse,
                digest: Draft::digest_of(text, None, None),
            };
            let (by, change) = (Actor::Person(people[*speaker]), Change::Post(draft));
            Arc::new(Command { room, by, change })
        })
        .collect();
    for outcome in store.append(&batch, true).await? {
        outcome.context("a demo room is locked")?.context("a demo message is refused")?;
    }
    Ok(())
}

/// The same id for the same name each time, so that nothing is put in twice.
fn of_name(name: &str) -> Uuid {
    use sha2::{Digest, Sha256};
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Sha256::digest(format!("aristay-chat demo: {name}"))[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// What to print once the demo is being served at `address`.
#[must_use]
pub fn greeting(address: &str) -> String {
    let names: Vec<&str> = PEOPLE.iter().map(|(username, ..)| *username).collect();
    format!(
        "\n  The chat is at    {address}/chat/\n  Sign in as        {}\n  Password          {PASSWORD}\n  \
         The API is at     {address}/api/docs/\n",
        names.join(", ")
    )
}

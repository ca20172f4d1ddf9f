//! A store with people in it, and the words in which the tests speak of them.

use std::sync::Arc;

use actors::domain::command::{
    Actor, Change, Command, Draft, OpenRoom, Opened, Outcome, ReadTarget, Refusal, Reply, StrayReply,
};
use actors::domain::event::Event;
use actors::domain::ids::{ClientId, MessageId, RoomId, Seq, UserId};
use actors::domain::message::{Message, MessageType};
use actors::domain::participant::Role;
use actors::domain::person::Author;
use actors::domain::room::{RoomType, Subject};
use actors::memory::store::MemoryStore;
use actors::ports::store::{Store, StoreError, Visitor};
use aristay_chat::store::postgres::private::PrivatePostgres;
use aristay_chat::store::postgres::{Connections, Options, PostgresStore};
use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

pub(crate) const ANN: UserId = UserId(1);
pub(crate) const BOB: UserId = UserId(2);
pub(crate) const CAT: UserId = UserId(3);
pub(crate) const DAN: UserId = UserId(4);

/// A store with Ann, Bob, Cat and Dan in its directory.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    directory: Directory,
}

#[allow(clippy::large_enum_variant, reason = "one for each test")]
enum Directory {
    Memory(Arc<MemoryStore>),
    Postgres(Box<Postgres>),
}

/// A database of its own for one test, with a store on it.
pub(crate) struct Postgres {
    pub(crate) store: PostgresStore,
    pub(crate) database: Database,
}

/// A database of its own in the cluster that the tests of this process share.
pub(crate) struct Database {
    pub(crate) config: Config,
}

impl Database {
    pub(crate) async fn new() -> Self {
        let shared = PrivatePostgres::shared().await.unwrap();
        Self { config: shared.fresh_database(None).await.unwrap() }
    }

    /// A connection past the store.
    pub(crate) async fn client(&self) -> Client {
        let (client, connection) = self.config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.client().await.batch_execute(sql).await.unwrap();
    }
}

impl Postgres {
    pub(crate) async fn new() -> Self {
        let database = Database::new().await;
        let store = PostgresStore::connect(database.config.clone(), small()).await.unwrap();
        Self { store, database }
    }

    /// Another node on the same database.
    pub(crate) async fn second_node(&self) -> PostgresStore {
        PostgresStore::connect(self.database.config.clone(), small()).await.unwrap()
    }

    pub(crate) async fn put_person(&self, user: UserId, username: &str, is_active: bool) {
        let client = self.database.client().await;
        client
            .execute(
                "INSERT INTO people (id, username, full_name, is_active) VALUES ($1, $2, initcap($2), $3) \
                 ON CONFLICT (id) DO UPDATE SET is_active = $3, changed_xid = pg_current_xact_id()",
                &[&user.0, &username, &is_active],
            )
            .await
            .unwrap();
    }
}

pub(crate) fn small() -> Options {
    Options { connections: Connections { append: 4, write: 2, read: 2 }, ..Options::default() }
}

impl World {
    pub(crate) async fn memory() -> Self {
        let store = Arc::new(MemoryStore::default());
        Self { store: store.clone(), directory: Directory::Memory(store) }.peopled().await
    }

    pub(crate) async fn postgres() -> Self {
        let postgres = Postgres::new().await;
        Self { store: Arc::new(postgres.store.clone()), directory: Directory::Postgres(Box::new(postgres)) }
            .peopled()
            .await
    }

    async fn peopled(self) -> Self {
        for (user, username) in [(ANN, "ann"), (BOB, "bob"), (CAT, "cat"), (DAN, "dan")] {
            self.put_person(user, username, true).await;
        }
        self
    }

    /// The database behind it.
    pub(crate) fn database(&self) -> &Postgres {
        match &self.directory {
            Directory::Postgres(postgres) => postgres,
            Directory::Memory(_) => panic!("this world has no database"),
        }
    }

    pub(crate) async fn put_person(&self, user: UserId, username: &str, is_active: bool) {
        match &self.directory {
            Directory::Memory(store) => {
                let mut full_name = username.to_owned();
                full_name[..1].make_ascii_uppercase();
                store.put_person(Author::new(user, username, &full_name), is_active);
            }
            Directory::Postgres(postgres) => postgres.put_person(user, username, is_active).await,
        }
    }

    pub(crate) async fn make_staff(&self, user: UserId) {
        match &self.directory {
            Directory::Memory(store) => store.set_staff(user, true),
            Directory::Postgres(postgres) => {
                let sql = format!("UPDATE people SET is_staff = true WHERE id = {user}");
                postgres.database.run(&sql).await;
            }
        }
    }

    /// Makes a person's tokens from before `second` (Unix time) void.
    pub(crate) async fn revoke_tokens(&self, user: UserId, second: i64) {
        match &self.directory {
            Directory::Memory(store) => store.revoke_tokens(user, second),
            Directory::Postgres(postgres) => {
                let sql = format!("UPDATE people SET tokens_valid_from = {second} WHERE id = {user}");
                postgres.database.run(&sql).await;
            }
        }
    }

    pub(crate) async fn open(&self, open: &OpenRoom) -> Result<Opened, Refusal> {
        self.store.open_room(open).await.unwrap()
    }

    /// A group of these people; the first is its admin.
    pub(crate) async fn group(&self, people: &[UserId]) -> RoomId {
        let open = OpenRoom { people: people[1..].to_vec(), ..opening(people[0], RoomType::Group) };
        self.open(&open).await.unwrap().room
    }

    pub(crate) async fn direct(&self, one: UserId, other: UserId) -> Result<Opened, Refusal> {
        self.open(&OpenRoom { people: vec![other], ..opening(one, RoomType::Direct) }).await
    }

    pub(crate) async fn append(
        &self,
        batch: Vec<Command>,
        wait: bool,
    ) -> Result<Vec<Option<Result<Outcome, Refusal>>>, StoreError> {
        let batch: Vec<_> = batch.into_iter().map(Arc::new).collect();
        self.store.append(&batch, wait).await
    }

    pub(crate) async fn run(&self, command: Command) -> Result<Outcome, Refusal> {
        self.append(vec![command], true).await.unwrap().remove(0).expect("the room is free")
    }

    pub(crate) async fn does(&self, user: UserId, room: RoomId, change: Change) -> Result<Outcome, Refusal> {
        self.run(Command { room, by: Actor::Person(user), change }).await
    }

    pub(crate) async fn says(&self, user: UserId, room: RoomId, text: &str) -> Message {
        posted(self.run(say(user, room, text)).await.unwrap())
    }

    pub(crate) async fn log(&self, room: RoomId) -> Vec<Event> {
        self.store.events(room, Seq::START, 1_000).await.unwrap()
    }

    pub(crate) async fn unread(&self, user: UserId, room: RoomId) -> Option<i64> {
        let snapshot = self.store.snapshot(room, &[user], false).await.unwrap().unwrap();
        snapshot.visitors.first().map(|Visitor { unread, .. }| *unread)
    }

    pub(crate) async fn head(&self, room: RoomId) -> Seq {
        self.store.snapshot(room, &[], false).await.unwrap().unwrap().room.head
    }
}

pub(crate) fn opening(by: UserId, room_type: RoomType) -> OpenRoom {
    OpenRoom {
        id: RoomId::new(),
        by: Actor::Person(by),
        room_type,
        name: String::new(),
        subject: None,
        title: None,
        people: Vec::new(),
        granted: None,
        open_subjects: true,
    }
}

pub(crate) fn task(by: UserId, id: i64) -> OpenRoom {
    OpenRoom { subject: Some(Subject::Task(id)), ..opening(by, RoomType::Task) }
}

pub(crate) fn draft(text: &str) -> Draft {
    Draft {
        id: MessageId::new(),
        client_id: None,
        content: text.to_owned(),
        message_type: MessageType::Text,
        attachment: None,
        reply_to: None,
        stray_reply: StrayReply::Refuse,
        digest: Draft::digest_of(text, None, None),
    }
}

pub(crate) fn say(user: UserId, room: RoomId, text: &str) -> Command {
    Command { room, by: Actor::Person(user), change: Change::Post(draft(text)) }
}

pub(crate) fn say_once(user: UserId, room: RoomId, text: &str, client_id: Uuid) -> Command {
    let draft = Draft { client_id: Some(ClientId(client_id)), ..draft(text) };
    Command { room, by: Actor::Person(user), change: Change::Post(draft) }
}

pub(crate) fn posted(outcome: Outcome) -> Message {
    match outcome.reply {
        Reply::Posted { message, .. } => *message,
        other => panic!("no message was posted: {other:?}"),
    }
}

pub(crate) fn edit(message: &Message, text: &str) -> Change {
    Change::Edit { message: message.id, content: text.to_owned() }
}

pub(crate) fn delete(message: &Message) -> Change {
    Change::Delete { message: message.id, reason: None }
}

pub(crate) fn add(user: UserId) -> Change {
    Change::Add { user, role: Role::Member }
}

pub(crate) fn read_to(message: &Message) -> Change {
    Change::Read(ReadTarget::Message(message.id))
}

/// Runs each test on both stores.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $test() { super::$test(&crate::world::World::memory().await).await; })+
        }
        mod postgres {
            $(#[tokio::test] async fn $test() { super::$test(&crate::world::World::postgres().await).await; })+
        }
    };
}
pub(crate) use on_both;

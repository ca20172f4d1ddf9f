//! A store with users, and the vocabulary of the contract tests.

use std::sync::Arc;
use std::time::Duration;

use actors::domain::attachment::{Attachment, Media, MediaKind};
use actors::domain::command::{
    Command, CommandOutcome, CommandReply, DraftExtras, MessageDraft, MissingReplyTarget, OpenRoom,
    OpenedRoom, Principal, ReadTarget, Refusal, RoomChange, RoomPatch,
};
use actors::domain::entry::{EntryTerms, HostRoster};
use actors::domain::event::Event;
use actors::domain::ids::{ClientId, FileId, MessageId, PersonalSeq, RoomId, Seq, UploadId, UserId};
use actors::domain::mentions::{Mentions, MentionsEdit};
use actors::domain::message::{Message, MessageType};
use actors::domain::participant::Role;
use actors::domain::room::{RoomType, Subject};
use actors::domain::room_settings::{RoomSettingsPatch, SettingInput};
use actors::domain::upload::{Upload, UploadState};
use actors::domain::user::UserSummary;
use actors::memory::store::MemoryStore;
use actors::ports::store::{AdmittedUser, Store, StoreError};
use aristay_chat::store::postgres::files::UnattachedFile;
use aristay_chat::store::postgres::personal::{DraftOutcome, NewDraft};
use aristay_chat::store::postgres::private::PrivatePostgres;
use aristay_chat::store::postgres::uploads::{BegunUpload, NewUpload, UploadBounds};
use aristay_chat::store::postgres::{PoolSizes, PostgresStore, StoreOptions};
use serde_json::Value;
use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

pub(crate) const ANN: UserId = UserId(1);
pub(crate) const BOB: UserId = UserId(2);
pub(crate) const CAT: UserId = UserId(3);
pub(crate) const DAN: UserId = UserId(4);

/// A store with Ann, Bob, Cat and Dan in its directory.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    backend: Backend,
}

#[allow(clippy::large_enum_variant, reason = "one for each test")]
enum Backend {
    Memory(Arc<MemoryStore>),
    Postgres(Box<Postgres>),
}

/// A database for one test, with a store.
pub(crate) struct Postgres {
    pub(crate) store: PostgresStore,
    pub(crate) database: Database,
}

/// A database for one test, in the cluster that all tests of this process share.
pub(crate) struct Database {
    pub(crate) config: Config,
}

impl Database {
    pub(crate) async fn new() -> Self {
        let shared = PrivatePostgres::shared().await.unwrap();
        Self { config: shared.fresh_database(None).await.unwrap() }
    }

    /// Opens a connection that bypasses the store.
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
        let store = PostgresStore::connect(database.config.clone(), small_pool()).await.unwrap();
        Self { store, database }
    }

    /// Creates the store of another node on the same database.
    pub(crate) async fn second_node(&self) -> PostgresStore {
        PostgresStore::connect(self.database.config.clone(), small_pool()).await.unwrap()
    }

    pub(crate) async fn stores_file(&self, id: FileId, uploaded_by: UserId) {
        let (name, content_type) = ("plan.pdf", "application/pdf");
        let file = UnattachedFile {
            id,
            uploaded_by,
            name,
            size: 3,
            content_type,
            is_image: false,
            pixels: None,
            has_previews: false,
        };
        self.store.insert_unattached_file(file).await.unwrap();
    }

    async fn begins_upload(&self, id: UploadId, user: UserId) {
        let new = NewUpload { id, user, length: 3, name: "", metadata: "", kept: Duration::from_secs(60) };
        let bounds =
            UploadBounds { per_user: 1_000, bytes_per_user: 10_000, total: 10_000, bytes_total: 100_000 };
        let begun = self.store.begin_upload(new, bounds).await.unwrap();
        assert!(matches!(begun, BegunUpload::Begun(_)));
    }

    pub(crate) async fn put_user(&self, user: UserId, username: &str, is_active: bool) {
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

pub(crate) fn small_pool() -> StoreOptions {
    StoreOptions { connections: PoolSizes { append: 4, write: 2, read: 2 }, ..StoreOptions::default() }
}

impl World {
    pub(crate) async fn memory() -> Self {
        let store = Arc::new(MemoryStore::default());
        Self { store: store.clone(), backend: Backend::Memory(store) }.with_users().await
    }

    pub(crate) async fn postgres() -> Self {
        let postgres = Postgres::new().await;
        Self { store: Arc::new(postgres.store.clone()), backend: Backend::Postgres(Box::new(postgres)) }
            .with_users()
            .await
    }

    async fn with_users(self) -> Self {
        for (user, username) in [(ANN, "ann"), (BOB, "bob"), (CAT, "cat"), (DAN, "dan")] {
            self.put_user(user, username, true).await;
        }
        self
    }

    /// Returns the database behind the store.
    pub(crate) fn database(&self) -> &Postgres {
        match &self.backend {
            Backend::Postgres(postgres) => postgres,
            Backend::Memory(_) => panic!("this world has no database"),
        }
    }

    pub(crate) async fn put_user(&self, user: UserId, username: &str, is_active: bool) {
        match &self.backend {
            Backend::Memory(store) => {
                let mut full_name = username.to_owned();
                full_name[..1].make_ascii_uppercase();
                store.put_user(UserSummary::new(user, username, &full_name), is_active);
            }
            Backend::Postgres(postgres) => postgres.put_user(user, username, is_active).await,
        }
    }

    pub(crate) async fn rename(&self, user: UserId, username: &str) {
        match &self.backend {
            Backend::Memory(store) => store.put_user(UserSummary::new(user, username, ""), true),
            Backend::Postgres(postgres) => {
                let sql =
                    format!("UPDATE people SET username = '{username}', full_name = '' WHERE id = {user}");
                postgres.database.run(&sql).await;
            }
        }
    }

    /// Stores a file that no message carries yet.
    pub(crate) async fn stores_file(&self, user: UserId) -> FileId {
        let id = FileId(Uuid::new_v4());
        if let Backend::Postgres(postgres) = &self.backend {
            postgres.stores_file(id, user).await;
        }
        id
    }

    /// Gives a bot a command.
    pub(crate) async fn put_bot_command(&self, bot: UserId, name: &str) {
        match &self.backend {
            Backend::Memory(store) => store.put_bot_command(bot, name),
            Backend::Postgres(postgres) => {
                let sql = format!(
                    "INSERT INTO bots (user_id, token_hash, token_issued_at) VALUES ({bot}, '{bot}', 1) \
                         ON CONFLICT DO NOTHING; \
                     INSERT INTO bot_commands (bot_id, name, description, hint) VALUES ({bot}, '{name}', '', '')"
                );
                postgres.database.run(&sql).await;
            }
        }
    }

    /// Begins an upload of three bytes.
    pub(crate) async fn begins_upload(&self, user: UserId) -> UploadId {
        let id = UploadId(Uuid::new_v4());
        match &self.backend {
            Backend::Memory(store) => {
                store.put_upload(id, Upload { owner: user, state: UploadState::Unfinished });
            }
            Backend::Postgres(postgres) => postgres.begins_upload(id, user).await,
        }
        id
    }

    /// Records that an upload may not be attached.
    pub(crate) async fn refuses_upload(&self, user: UserId, id: UploadId, why: &str) {
        match &self.backend {
            Backend::Memory(store) => {
                store.put_upload(id, Upload { owner: user, state: UploadState::Refused(why.to_owned()) });
            }
            Backend::Postgres(postgres) => {
                assert!(postgres.store.finish_upload(id, Err(why)).await.unwrap());
            }
        }
    }

    /// Uploads a file of three bytes.
    pub(crate) async fn uploads(&self, user: UserId, name: &str, media: Media) -> (UploadId, FileId) {
        let id = self.begins_upload(user).await;
        let file = FileId(Uuid::new_v4());
        match &self.backend {
            Backend::Memory(store) => {
                let attachment = Attachment { file, name: name.to_owned(), size: 3, media };
                store.put_upload(id, Upload { owner: user, state: UploadState::Ready(Box::new(attachment)) });
            }
            Backend::Postgres(postgres) => {
                let row = UnattachedFile {
                    id: file,
                    uploaded_by: user,
                    name,
                    size: 3,
                    content_type: &media.content_type,
                    is_image: media.kind() == MediaKind::Image,
                    pixels: media.width.zip(media.height),
                    has_previews: media.has_previews,
                };
                postgres.store.insert_unattached_file(row).await.unwrap();
                assert!(postgres.store.finish_upload(id, Ok(file)).await.unwrap());
            }
        }
        (id, file)
    }

    pub(crate) async fn make_staff(&self, user: UserId) {
        match &self.backend {
            Backend::Memory(store) => store.set_staff(user, true),
            Backend::Postgres(postgres) => {
                let sql = format!("UPDATE people SET is_staff = true WHERE id = {user}");
                postgres.database.run(&sql).await;
            }
        }
    }

    /// Revokes a user's tokens issued before `second`, in Unix time.
    pub(crate) async fn revoke_tokens(&self, user: UserId, second: i64) {
        match &self.backend {
            Backend::Memory(store) => store.revoke_tokens(user, second),
            Backend::Postgres(postgres) => {
                let sql = format!("UPDATE people SET tokens_valid_from = {second} WHERE id = {user}");
                postgres.database.run(&sql).await;
            }
        }
    }

    /// Stores a draft, which must change something, and returns the head of the personal log.
    pub(crate) async fn types(&self, user: UserId, room: RoomId, text: &str) -> PersonalSeq {
        match &self.backend {
            Backend::Memory(store) => store.put_draft(user, room, text),
            Backend::Postgres(postgres) => {
                let draft = NewDraft { room, content: text, reply_to: None };
                match postgres.store.put_draft(user, draft).await.unwrap() {
                    DraftOutcome::Stored { head: Some(head), .. } => head,
                    other => panic!("nothing changed: {other:?}"),
                }
            }
        }
    }

    pub(crate) async fn open(&self, open: &OpenRoom) -> Result<OpenedRoom, Refusal> {
        self.store.open_room(open).await.unwrap()
    }

    /// Creates a group of these users; the first is its admin.
    pub(crate) async fn group(&self, people: &[UserId]) -> RoomId {
        let open = OpenRoom { users: people[1..].to_vec(), ..open_room_command(people[0], RoomType::Group) };
        self.open(&open).await.unwrap().room
    }

    pub(crate) async fn direct(&self, one: UserId, other: UserId) -> Result<OpenedRoom, Refusal> {
        self.open(&OpenRoom { users: vec![other], ..open_room_command(one, RoomType::Direct) }).await
    }

    pub(crate) async fn append(
        &self,
        batch: Vec<Command>,
        wait: bool,
    ) -> Result<Vec<Option<Result<CommandOutcome, Refusal>>>, StoreError> {
        let batch: Vec<_> = batch.into_iter().map(Arc::new).collect();
        self.store.append(&batch, wait).await
    }

    pub(crate) async fn run(&self, command: Command) -> Result<CommandOutcome, Refusal> {
        self.append(vec![command], true).await.unwrap().remove(0).expect("the room is free")
    }

    pub(crate) async fn does(
        &self,
        user: UserId,
        room: RoomId,
        change: RoomChange,
    ) -> Result<CommandOutcome, Refusal> {
        self.run(Command { room, by: Principal::User(user), change }).await
    }

    pub(crate) async fn says(&self, user: UserId, room: RoomId, text: &str) -> Message {
        posted(self.run(say(user, room, text)).await.unwrap())
    }

    pub(crate) async fn log(&self, room: RoomId) -> Vec<Event> {
        self.store.events(room, Seq::START, 1_000).await.unwrap()
    }

    pub(crate) async fn unread(&self, user: UserId, room: RoomId) -> Option<i64> {
        let snapshot = self.store.snapshot(room, &[user], false).await.unwrap().unwrap();
        snapshot.admitted_users.first().map(|AdmittedUser { unread, .. }| *unread)
    }

    pub(crate) async fn head(&self, room: RoomId) -> Seq {
        self.store.snapshot(room, &[], false).await.unwrap().unwrap().room.head
    }
}

pub(crate) fn open_room_command(by: UserId, room_type: RoomType) -> OpenRoom {
    OpenRoom {
        id: RoomId::new(),
        by: Principal::User(by),
        room_type,
        name: String::new(),
        subject: None,
        title: None,
        users: Vec::new(),
        granted: None,
        granted_terms: EntryTerms::default(),
        roster: HostRoster::default(),
        open_subjects: true,
    }
}

pub(crate) fn task_room_command(by: UserId, id: i64) -> OpenRoom {
    OpenRoom { subject: Some(Subject::Task(id)), ..open_room_command(by, RoomType::Task) }
}

pub(crate) fn draft(text: &str) -> MessageDraft {
    MessageDraft {
        id: MessageId::new(),
        client_id: None,
        content: text.to_owned(),
        message_type: MessageType::Text,
        attachment: None,
        reply_to: None,
        missing_reply_target: MissingReplyTarget::Reject,
        extras: DraftExtras::default(),
        mentions: Mentions::default(),
        digest: MessageDraft::digest_of(text, None, None),
    }
}

pub(crate) fn say(user: UserId, room: RoomId, text: &str) -> Command {
    Command { room, by: Principal::User(user), change: RoomChange::Post(draft(text)) }
}

pub(crate) fn say_with_client_id(user: UserId, room: RoomId, text: &str, client_id: Uuid) -> Command {
    let draft = MessageDraft { client_id: Some(ClientId(client_id)), ..draft(text) };
    Command { room, by: Principal::User(user), change: RoomChange::Post(draft) }
}

pub(crate) fn posted(outcome: CommandOutcome) -> Message {
    match outcome.reply {
        CommandReply::Posted { message, .. } => *message,
        other => panic!("no message was posted: {other:?}"),
    }
}

pub(crate) fn edit(message: &Message, text: &str) -> RoomChange {
    RoomChange::Edit {
        message: message.id,
        content: Some(text.to_owned()),
        mentions: MentionsEdit::default(),
    }
}

pub(crate) fn delete(message: &Message) -> RoomChange {
    RoomChange::Delete { message: message.id, reason: None }
}

pub(crate) fn add(user: UserId) -> RoomChange {
    RoomChange::Add { user, terms: Role::Member.into() }
}

/// Sets a room's settings, given as the wire has them.
pub(crate) fn set(settings: Value) -> RoomChange {
    let settings = RoomSettingsPatch::read(|setting| match settings.get(setting.name)? {
        Value::String(text) => Some(SettingInput::Text(text.clone().into())),
        Value::Number(number) => Some(SettingInput::Number(number.as_i64().unwrap())),
        Value::Bool(flag) => Some(SettingInput::Flag(*flag)),
        other => panic!("no setting is {other}"),
    });
    RoomPatch { name: None, settings }.into()
}

pub(crate) fn reply(to: &Message, text: &str) -> RoomChange {
    RoomChange::Post(MessageDraft { reply_to: Some(to.id), ..draft(text) })
}

pub(crate) fn read_to(message: &Message) -> RoomChange {
    RoomChange::Read(ReadTarget::Message(message.id))
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

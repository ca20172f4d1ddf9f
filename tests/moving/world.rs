//! A chat into which Django chats are moved.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actors::domain::event::{Event, EventBody};
use actors::domain::ids::{RoomId, Seq, UserId};
use actors::domain::message::Message;
use actors::ports::store::{InboxRoom, Store};
use aristay_chat::config::{DatabaseAddress, DatabaseTls};
use aristay_chat::consumers::{self, SearchIndexer};
use aristay_chat::files::Uploads;
use aristay_chat::moving::export::{Export, ExportSummary};
use aristay_chat::moving::import::{Import, ImportSummary};
use aristay_chat::moving::media::MediaSource;
use aristay_chat::moving::report::MoveReport;
use aristay_chat::moving::verify::{Verify, VerifySummary};
use aristay_chat::moving::{ImportOptions, MarksSource};
use aristay_chat::store::postgres::moving::{DjangoDatabase, DjangoWriter, MoveError};
use aristay_chat::store::postgres::{PoolSizes, PostgresStore, StoreOptions};
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::django::{Django, fresh_database, id};

/// The largest file that these chats take.
pub const UPLOAD_BYTES_MAX: u64 = 4_096;

pub const IMPORT: ImportOptions = ImportOptions { marks: MarksSource::LastRead, is_dry_run: false };

/// A chat without anything in it.
pub struct Chat {
    pub store: PostgresStore,
    pub client: Client,
    pub url: String,
    pub folder: TempDir,
    pub uploads: Uploads,
}

/// A report that can be read while it is written.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Chat {
    pub async fn new() -> Self {
        let (config, url, client) = fresh_database().await;
        let connections = PoolSizes { append: 2, write: 2, read: 2 };
        let options = StoreOptions { connections, ..StoreOptions::default() };
        let store = PostgresStore::connect(config, options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let uploads = Uploads::open_folder(folder.path(), UPLOAD_BYTES_MAX).unwrap();
        Self { store, client, url, folder, uploads }
    }

    /// A chat that was just moved in.
    pub async fn of(django: &Django) -> Self {
        let chat = Self::new().await;
        chat.imports(django).await;
        chat
    }

    pub async fn imports(&self, django: &Django) -> (ImportSummary, String) {
        self.imports_with(django, IMPORT).await.unwrap()
    }

    pub async fn imports_with(
        &self,
        django: &Django,
        options: ImportOptions,
    ) -> Result<(ImportSummary, String), MoveError> {
        let mut database = DjangoDatabase::connect(address(django)).await?;
        let (snapshot, writer) = (database.snapshot().await?, self.store.chat_writer().await?);
        let media = MediaSource::parse(django.media.path().to_str().unwrap()).unwrap();
        let uploads = &self.uploads;
        let import = Import { django: &snapshot, writer: &writer, media: &media, uploads, options };
        let lines = Lines::default();
        let mut report = MoveReport::new(Box::new(lines.clone()));
        let summary = import.run(&mut report).await?;
        report.finish().unwrap();
        Ok((summary, lines.text()))
    }

    pub async fn exports(&self, django: &Django) -> (ExportSummary, String) {
        let (mut reader, writer) =
            (self.store.chat_writer().await.unwrap(), self.store.chat_writer().await.unwrap());
        let snapshot = reader.snapshot().await.unwrap();
        let target = DjangoWriter::connect(address(django)).await.unwrap();
        let export = Export {
            chat: &snapshot,
            writer: &writer,
            django: &target,
            uploads: &self.uploads,
            media: django.media.path(),
        };
        let lines = Lines::default();
        let mut report = MoveReport::new(Box::new(lines.clone()));
        let summary = export.run(&mut report).await.unwrap();
        report.finish().unwrap();
        (summary, lines.text())
    }

    pub async fn verifies(&self, django: &Django) -> (VerifySummary, String) {
        let mut database = DjangoDatabase::connect(address(django)).await.unwrap();
        let snapshot = database.snapshot().await.unwrap();
        let mut reader = self.store.chat_writer().await.unwrap();
        let chat = reader.snapshot().await.unwrap();
        let marks = MarksSource::LastRead;
        let verify = Verify { django: &snapshot, chat: &chat, uploads: &self.uploads, marks };
        let lines = Lines::default();
        let summary = verify.run(&mut MoveReport::new(Box::new(lines.clone()))).await.unwrap();
        (summary, lines.text())
    }

    pub async fn is_equal_to(&self, django: &Django) {
        let (summary, lines) = self.verifies(django).await;
        assert_eq!(summary.differences, 0, "{lines}");
    }

    /// A room's log as the engine reads it, which is dense.
    pub async fn log(&self, room: u32) -> Vec<Event> {
        let events = self.store.events(RoomId(id(room)), Seq(0), 10_000).await.unwrap();
        let seqs: Vec<i64> = events.iter().map(|event| event.seq.0).collect();
        let head = i64::try_from(events.len()).unwrap();
        assert_eq!(seqs, (1..=head).collect::<Vec<_>>(), "a log without a hole");
        let stored: i64 = self.one(&format!("SELECT head FROM rooms WHERE id = '{}'", id(room))).await;
        assert_eq!(stored, head);
        events
    }

    /// What happened in a room: the kinds of its events, with the numbers of messages.
    pub async fn story(&self, room: u32) -> Vec<String> {
        let told = |event: &Event| {
            let kind = event.body.kind().as_str();
            match event.body.facts().message_id() {
                Some(message) => format!("{kind} {}", message.0.as_u128()),
                None => kind.to_owned(),
            }
        };
        self.log(room).await.iter().map(told).collect()
    }

    /// The messages of a room in the order of its log.
    pub async fn messages(&self, room: u32) -> Vec<Message> {
        let log = self.log(room).await;
        let posted = log.into_iter().filter_map(|event| match event.body {
            EventBody::MessagePosted(message) => Some(*message),
            _ => None,
        });
        posted.collect()
    }

    pub async fn message(&self, room: u32, message: u32) -> Message {
        self.messages(room).await.into_iter().find(|found| found.id.0 == id(message)).unwrap()
    }

    /// A room as it is in a user's list.
    pub async fn row(&self, user: i32, room: u32) -> InboxRoom {
        let rooms = self.store.inbox(UserId(user.into()), None).await.unwrap();
        rooms.into_iter().find(|row| row.room.id.0 == id(room)).unwrap()
    }

    /// Fills the search index, and checks how many events it has seen of all rooms together. Transactions of other
    /// tests, which share the cluster, may hold it up.
    pub async fn is_indexed_up_to(&self, events: i64) {
        const INDEXED: &str = "SELECT coalesce(sum(indexed_seq), 0)::bigint FROM search_rooms";
        for _ in 0..400 {
            consumers::catch_up(&self.store, &SearchIndexer).await.unwrap();
            if self.one::<i64>(INDEXED).await >= events {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.one::<i64>(INDEXED).await, events);
    }

    /// The only column of the only row.
    pub async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(&self, sql: &str) -> T {
        self.client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{error}: {sql}")).get(0)
    }

    /// All that a move writes, as text, apart from transactions and from ids that are made anew.
    pub async fn contents(&self) -> String {
        const TABLES: [&str; 6] = [
            "SELECT string_agg((to_jsonb(t) - 'changed_xid')::text, E'\\n' ORDER BY id) FROM people t WHERE id > 0",
            "SELECT string_agg(to_jsonb(t)::text, E'\\n' ORDER BY id) FROM rooms t",
            "SELECT string_agg((to_jsonb(t) - 'own_xid' - 'id')::text, E'\\n' ORDER BY room_id, user_id)
             FROM participants t",
            "SELECT string_agg((to_jsonb(t) - 'xid')::text, E'\\n' ORDER BY room_id, seq) FROM events t",
            "SELECT string_agg((to_jsonb(t) - 'file_id')::text || (file_id IS NULL), E'\\n' ORDER BY room_id, id)
             FROM messages t",
            "SELECT string_agg((to_jsonb(t) - 'xid')::text, E'\\n' ORDER BY room_id, user_id, seq) FROM read_moves t",
        ];
        let mut contents = String::new();
        for table in TABLES {
            let rows: Option<String> = self.one(table).await;
            contents.push_str(&rows.unwrap_or_default());
            contents.push_str("\n\n");
        }
        contents
    }
}

/// Where Django's tables are.
fn address(django: &Django) -> DatabaseAddress {
    DatabaseAddress { config: django.config.clone(), tls: DatabaseTls::Off }
}

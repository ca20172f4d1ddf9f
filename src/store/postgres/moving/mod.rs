//! The SQL of moving a Django chat in and out again. [`crate::moving`] decides what becomes of what.
//!
//! A move uses connections of its own: its statements may take longer than those of a request, and it writes logs
//! that are given, where the engine's store writes what commands come to.

mod chat_export;
mod chat_files;
mod chat_log;
mod chat_rooms;
mod django;
mod django_export;
mod django_log;
mod records;

use actors::failpoint::{self, Failpoint};
use actors::ports::store::StoreError;
use deadpool_postgres::ClientWrapper;
use tokio_postgres::Error;

use super::pool::connector::Connector;
use super::pool::lease;
use super::{PostgresStore, with_defaults};
use crate::config::DatabaseAddress;

pub use self::chat_export::{
    ChatSnapshot, DjangoFile, ExportedMessage, ExportedMessages, ExportedParticipant, ExportedRoom,
};
pub use self::chat_files::{FileRecord, KnownFile};
pub use self::chat_log::EntryKey;
pub use self::chat_rooms::MovedRoom;
pub use self::django::{DjangoDatabase, DjangoSnapshot};
pub use self::django_export::{DjangoMessage, DjangoWriter};
pub use self::django_log::OldLog;
pub use self::records::{
    FileFate, LogEntry, LogEntryKind, MovedFile, MovedMessage, MovedParticipant, MovedReadMark, MovedRoomRow,
    OldCounts, OldEvent, OldEventKind, OldMessage, OldParticipant, OldReply, OldRoom, OldUser, ReadMove,
};

/// Settings of the connection that writes. Rows are looked up by key, whatever the planner thinks of the tables' sizes.
/// A crash may take the last commits away and then takes all after them, so that the move goes on before these;
/// [`ChatWriter::make_durable`] ends that.
const WRITER_SETTINGS: &str = "
    SET statement_timeout = 0;
    SET lock_timeout = '30s';
    SET jit = off;
    SET synchronous_commit = off;
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;";

/// The parameters of a statement.
type Params<'a> = &'a [&'a (dyn tokio_postgres::types::ToSql + Sync)];

/// Why a move can't go on.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// Django's database failed or refused.
    #[error("Django's database: {0}")]
    Django(#[source] Error),
    /// Django's database can't be connected to.
    #[error("Django's database can't be reached: {0}")]
    DjangoUnreachable(String),
    /// It isn't the database of a Django chat.
    #[error("{0} isn't in Django's database: is this the database of the AriStay application?")]
    NoTable(String),
    /// The chat's own database failed or refused.
    #[error("the chat's database: {0}")]
    Chat(#[source] Error),
    /// Nodes serve.
    #[error(
        "{0} node(s) serve from the chat's database; stop them first. --dry-run and verify-django may run meanwhile"
    )]
    NodesServe(i64),
    /// Built-in accounts would become those of other people.
    #[error(
        "{0} built-in account(s) of this chat have ids that Django's people have, as those of a demo do: who signs in \
         by one would be somebody else. Import into another database"
    )]
    Accounts(i64),
    /// A file of the report or of the media folder can't be written.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The error of the system.
        source: std::io::Error,
    },
}

impl MoveError {
    /// Makes the error of a file operation.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Whether the chat's database refused a row, which need not stop others.
    #[must_use]
    pub fn is_about_a_row(&self) -> bool {
        let Self::Chat(error) = self else { return false };
        error.code().is_some_and(|code| matches!(&code.code()[..2], "21" | "22" | "23"))
    }
}

/// A connection to the chat's database that reads and writes whole logs. One transaction at a time.
pub struct ChatWriter {
    client: ClientWrapper,
}

impl PostgresStore {
    /// Whether a session holds a node's name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn is_node_id_held(&self, name: &str) -> Result<bool, StoreError> {
        let row = self.read_client().await?.row(lease::IS_HELD, &[&lease::LOCK_SPACE, &name]).await?;
        Ok(row.is_some_and(|row| row.get(0)))
    }

    /// Opens a connection for moving logs in and out.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn chat_writer(&self) -> Result<ChatWriter, MoveError> {
        let connected = self.connector.connect(&self.config, WRITER_SETTINGS).await;
        let (client, connection) = connected.map_err(MoveError::Chat)?;
        Ok(ChatWriter { client: ClientWrapper::new(client, connection) })
    }
}

impl ChatWriter {
    /// Begins a transaction.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn begin(&self) -> Result<(), MoveError> {
        self.client.batch_execute("BEGIN").await.map_err(MoveError::Chat)
    }

    /// Commits the transaction.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn commit(&self) -> Result<(), MoveError> {
        failpoint::pass(Failpoint::Committing);
        self.client.batch_execute("COMMIT").await.map_err(MoveError::Chat)?;
        failpoint::pass(Failpoint::Committed);
        Ok(())
    }

    /// Rolls the transaction back, if there is one.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn roll_back(&self) -> Result<(), MoveError> {
        self.client.batch_execute("ROLLBACK").await.map_err(MoveError::Chat)
    }

    /// Waits until all that was committed would survive a crash.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn make_durable(&self) -> Result<(), MoveError> {
        // A commit that waits for the disk waits for all commits before it.
        const FLUSH: &str = "BEGIN; SET LOCAL synchronous_commit = on; SELECT pg_current_xact_id(); COMMIT";
        self.client.batch_execute(FLUSH).await.map_err(MoveError::Chat)
    }

    async fn rows(
        &self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Vec<tokio_postgres::Row>, MoveError> {
        let run = async {
            let statement = self.client.prepare_cached(sql).await?;
            self.client.query(&statement, params).await
        };
        run.await.map_err(MoveError::Chat)
    }

    async fn row(
        &self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Option<tokio_postgres::Row>, MoveError> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    async fn run(&self, sql: &'static str, params: Params<'_>) -> Result<u64, MoveError> {
        let run = async {
            let statement = self.client.prepare_cached(sql).await?;
            self.client.execute(&statement, params).await
        };
        run.await.map_err(MoveError::Chat)
    }
}

/// Connects to Django's database.
async fn connect_to_django(
    address: DatabaseAddress,
    settings: &'static str,
) -> Result<ClientWrapper, MoveError> {
    let config = with_defaults(address.config);
    let unreachable = |error: String| MoveError::DjangoUnreachable(error);
    let connector = Connector::new(&address.tls).map_err(|error| unreachable(error.to_string()))?;
    let connected = connector.connect(&config, settings).await;
    let (client, connection) = connected.map_err(|error| unreachable(error.to_string()))?;
    Ok(ClientWrapper::new(client, connection))
}

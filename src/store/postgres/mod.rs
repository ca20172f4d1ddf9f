//! The store on PostgreSQL. All SQL of the server is under this folder.

mod append;
mod errors;
mod events;
pub mod families;
mod feed;
pub mod files;
mod folding;
mod history;
mod inbox;
mod installation;
mod lease;
mod ledgers;
pub mod messages;
mod migrate;
mod open_room;
pub mod participants;
pub mod people;
mod pool;
pub mod private;
mod read_moves;
mod reader;
pub mod room_pages;
pub mod rooms;
mod rows;
pub mod search;
mod settle;
mod snapshot;
mod standing;
mod tables;
mod texts;
mod writes;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use actors::domain::command::{Command, OpenRoom, Opened, Outcome, Refusal};
use actors::domain::event::Event;
use actors::domain::ids::{Epoch, RoomId, Seq, UserId};
use actors::domain::person::Author;
use actors::ports::store::{Changes, Cursor, InboxRoom, PersonChange, Store, StoreError, Visit};
use async_trait::async_trait;
use deadpool_postgres::ClientWrapper;
use tokio::sync::Semaphore;
use tokio_postgres::{Config, Error};

use errors::{Failure, within};
use history::History;
use pool::{Dialer, Pools};

pub use lease::{NodeLease, NodeNameError};
pub use pool::Connections;

/// How long a read may take; beyond, the database counts as away.
const READ_WITHIN: Duration = Duration::from_secs(3);
/// How often that is doubled for a read of the feed, once for each that took too long: up to 48 s.
const FEED_DOUBLINGS_MAX: u32 = 4;
/// How long a connection to the database may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long sent bytes may stay unacknowledged before a connection counts as dead.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(5);

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections at most.
    pub connections: Connections,
    /// Whether to bring the tables up to date first.
    pub migrate: bool,
    /// Whether to serve from a database that may lose what it has confirmed.
    pub allow_unsafe_durability: bool,
}

impl Default for Options {
    fn default() -> Self {
        let connections = Connections { append: 8, write: 4, read: 8 };
        Self { connections, migrate: true, allow_unsafe_durability: false }
    }
}

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database can't be reached, or not be asked.
    #[error("the database can't be used: {0}")]
    Unavailable(String),
    /// The tables can't be brought up to date.
    #[error("a migration failed: {0}")]
    Migration(String),
    /// The database may lose what it has confirmed.
    #[error("{setting} is {value} in this database: a crash may lose confirmed messages")]
    UnsafeDurability {
        /// The setting that is off.
        setting: &'static str,
        /// Its value.
        value: String,
    },
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure.into_error().to_string())
    }
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}

/// The store of rooms and their logs in a PostgreSQL database. Clones share its connections.
#[derive(Clone)]
pub struct PostgresStore {
    pools: Pools,
    dialer: Dialer,
    config: Arc<Config>,
    history: History,
    long_readers: Arc<Semaphore>,
    background_writers: Arc<Semaphore>,
    /// How often the bound of a read of the feed has been doubled.
    feed_doublings: Arc<AtomicU32>,
}

impl PostgresStore {
    /// Opens the store: brings the tables up to date, checks that the database keeps what it confirms,
    /// and reads which history it holds. Connections live on the present runtime.
    ///
    /// # Errors
    /// [`OpenError`] says what is in the way.
    pub async fn connect(config: Config, options: Options) -> Result<Self, OpenError> {
        let config = prepared(config);
        let dialer = Dialer::new(&config).map_err(|error| OpenError::Unavailable(error.to_string()))?;
        if options.migrate {
            migrate::migrate(&config, &dialer).await?;
        }
        let (history, unsafe_setting) = {
            let (client, _ends_with_it) = dialer.dial(&config, "SET lock_timeout = '60s'").await?;
            let unsafe_setting = within(READ_WITHIN, installation::unsafe_setting(&client)).await?;
            if let (Some((setting, value)), false) = (&unsafe_setting, options.allow_unsafe_durability) {
                return Err(OpenError::UnsafeDurability { setting, value: value.clone() });
            }
            (History::new(installation::read(&client).await?), unsafe_setting)
        };
        if let Some((setting, value)) = unsafe_setting {
            tracing::warn!(setting, value, "a crash of this database may lose confirmed messages");
        }
        let statements = Vec::leak([&ledgers::PREPARED[..], &tables::PREPARED[..]].concat());
        let Connections { write, read, .. } = options.connections;
        Ok(Self {
            pools: Pools::new(&config, &dialer, &history, options.connections, statements),
            dialer,
            config: Arc::new(config),
            history,
            long_readers: Arc::new(Semaphore::new((read / 2).max(1))),
            background_writers: Arc::new(Semaphore::new((write / 2).max(1))),
            feed_doublings: Arc::default(),
        })
    }

    /// Whether the database answers.
    pub async fn is_reachable(&self) -> bool {
        let asked = self.reading(async |client| client.query_one("SELECT 1", &[]).await.map(drop));
        asked.await.is_ok()
    }

    /// The key with which the nodes of this installation sign what they send each other.
    #[must_use]
    pub fn link_key(&self) -> Vec<u8> {
        self.history.link_key()
    }

    /// Begins a new history, for a copy of a database that shall not be taken for the original: clients
    /// resync, also those of nodes that are running.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn renew_epoch(&self) -> Result<Epoch, StoreError> {
        let client = self.pools.write().await.map_err(Failure::into_error)?;
        let renewed = within(READ_WITHIN, installation::renew(&client)).await.map_err(Failure::into_error)?;
        client.give_back();
        let epoch = renewed.epoch;
        self.history.replace(renewed);
        Ok(epoch)
    }

    /// Takes a node's name, which no two running nodes may have.
    ///
    /// # Errors
    /// [`NodeNameError`].
    pub async fn hold_node_id(&self, name: &str) -> Result<NodeLease, NodeNameError> {
        lease::hold(self.dialer.clone(), self.config.clone(), name).await
    }

    /// Ends the connections; what is asked from now on is unavailable.
    pub fn close(&self) {
        self.pools.close();
    }

    /// Reads on one connection, within a bounded time.
    async fn reading<T>(
        &self,
        read: impl AsyncFnOnce(&ClientWrapper) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        self.reading_within(READ_WITHIN, read).await
    }

    async fn reading_within<T>(
        &self,
        patience: Duration,
        read: impl AsyncFnOnce(&ClientWrapper) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let client = self.pools.read().await.map_err(Failure::into_error)?;
        match within(patience, read(&client)).await {
            Ok(done) => {
                client.give_back();
                Ok(done)
            }
            Err(failure) => Err(append::abandon(client, failure).await.into_error()),
        }
    }
}

/// Bounds what the address leaves open.
fn prepared(mut config: Config) -> Config {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_WITHIN);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(ACKNOWLEDGED_WITHIN);
    }
    if config.get_application_name().is_none() {
        config.application_name("aristay-chat");
    }
    config
}

#[async_trait]
impl Store for PostgresStore {
    async fn append(
        &self,
        batch: &[Arc<Command>],
        wait: bool,
    ) -> Result<Vec<Option<Result<Outcome, Refusal>>>, StoreError> {
        append::append(self, batch, wait).await
    }

    async fn open_room(&self, open: &OpenRoom) -> Result<Result<Opened, Refusal>, StoreError> {
        open_room::open_room(self, open).await
    }

    async fn visit(&self, room: RoomId, visitors: &[UserId], roster: bool) -> Result<Visit, StoreError> {
        let visitors: Vec<i64> = visitors.iter().map(|user| user.0).collect();
        self.reading(async |client| snapshot::read(client, room, &visitors, roster).await).await
    }

    async fn events(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.reading(async |client| events::read(client, room, after, limit).await).await
    }

    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        // What committed while this node slept for an hour may take longer to read than all else; with one
        // bound for all it would be tried in vain for ever, and grow meanwhile.
        let doublings = self.feed_doublings.load(Ordering::Relaxed);
        let patience = READ_WITHIN * 2_u32.pow(doublings);
        let began = Instant::now();
        let epoch = self.epoch();
        let read = async |client: &ClientWrapper| {
            let changes = feed::read(client, since, patience).await?;
            if changes.epoch != epoch {
                self.history.reread(client, epoch).await?;
            }
            Ok(changes)
        };
        let changes = self.reading_within(patience, read).await;
        let doublings = match &changes {
            Ok(_) => 0,
            Err(_) if began.elapsed() < patience => doublings,
            Err(_) => (doublings + 1).min(FEED_DOUBLINGS_MAX),
        };
        self.feed_doublings.store(doublings, Ordering::Relaxed);
        changes
    }

    async fn inbox(&self, user: UserId, rooms: Option<&[RoomId]>) -> Result<Vec<InboxRoom>, StoreError> {
        self.reading(async |client| inbox::read(client, user, rooms).await).await
    }

    async fn person(&self, user: UserId) -> Result<Option<(Author, PersonChange)>, StoreError> {
        self.reading(async |client| standing::read(client, user).await).await
    }

    fn epoch(&self) -> Epoch {
        self.history.epoch()
    }
}

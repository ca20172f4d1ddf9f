//! The store on PostgreSQL. All SQL of the server is below this folder.

pub mod blocks;
pub mod bots;
pub mod files;
pub mod integrations;
pub mod link_previews;
mod log;
pub mod moving;
pub mod notifications;
pub mod personal;
mod pool;
pub mod private;
pub mod queries;
pub mod record;
pub mod reports;
mod rows;
mod rules;
pub mod search;
pub mod uploads;
pub mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use actors::domain::command::{Command, CommandOutcome, OpenRoom, OpenedRoom, Refusal};
use actors::domain::event::Event;
use actors::domain::ids::{Epoch, PersonalSeq, RoomId, Seq, UserId};
use actors::domain::personal::PersonalPage;
use actors::domain::user::UserSummary;
use actors::ports::store::{
    Changes, Cursor, InboxRoom, JoinContext, OpenedInbox, Store, StoreError, UserAccess,
};
use async_trait::async_trait;
use deadpool_postgres::ClientWrapper;
use tokio::sync::Semaphore;
use tokio_postgres::{Config, Error};

use self::log::{append, events, feed, open_room};
use self::personal::page as personal_page;
use pool::connector::{CONNECT_WITHIN, Connector};
use pool::errors::{Failure, with_timeout};
use pool::history::History;
use pool::pools::Pools;
use pool::{installation, lease, migrate};
use queries::{inbox, room_snapshot};
use users::access;

use crate::config::DatabaseTls;

pub use self::log::changes::{ChangesCursor, ChangesPage, InvalidCursor};
pub use self::log::consumer::{ConsumerError, ConsumerRound, ConsumerStatus, LogConsumer};
pub use self::log::consumer_batch::LogEvent;
pub use pool::client::WriteTransaction;
pub use pool::lease::{NodeLease, NodeNameError};
pub use pool::pools::PoolSizes;

/// How long a read may take before the database counts as unavailable.
const READ_WITHIN: Duration = Duration::from_secs(3);
/// How often this is doubled for reads of the feed, once for each that timed out: up to 48 s.
const FEED_DOUBLINGS_MAX: u32 = 4;
/// How long sent bytes may stay unacknowledged before a connection counts as dead.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(5);

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The most connections, by purpose.
    pub connections: PoolSizes,
    /// How connections are encrypted.
    pub tls: DatabaseTls,
    /// Whether to run pending migrations first.
    pub migrate: bool,
    /// Whether to accept a database that may lose commits it has confirmed.
    pub allow_unsafe_durability: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        let connections = PoolSizes { append: 8, write: 4, read: 8 };
        Self { connections, tls: DatabaseTls::Off, migrate: true, allow_unsafe_durability: false }
    }
}

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreOpenError {
    /// The database can't be reached or used.
    #[error("the database can't be used: {0}")]
    Unavailable(String),
    /// A migration failed.
    #[error("a migration failed: {0}")]
    Migration(String),
    /// The database may lose commits it has confirmed.
    #[error("{setting} is {value} in this database: a crash may lose confirmed messages")]
    UnsafeDurability {
        /// The setting that is off.
        setting: &'static str,
        /// Its value.
        value: String,
    },
}

impl From<Failure> for StoreOpenError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure.into_error().to_string())
    }
}

impl From<Error> for StoreOpenError {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}

/// The store of rooms and their logs in a PostgreSQL database. Clones share its connections.
#[derive(Clone)]
pub struct PostgresStore {
    pools: Pools,
    connector: Connector,
    config: Arc<Config>,
    history: History,
    long_readers: Arc<Semaphore>,
    background_writers: Arc<Semaphore>,
    /// How often the timeout of reads of the feed has been doubled.
    feed_timeout_doublings: Arc<AtomicU32>,
}

impl PostgresStore {
    /// Opens the store: runs migrations, checks that the database is durable, and reads which history it
    /// holds. Its connections live on the current runtime.
    ///
    /// # Errors
    /// [`StoreOpenError`].
    pub async fn connect(config: Config, options: StoreOptions) -> Result<Self, StoreOpenError> {
        let config = with_defaults(config);
        let connector =
            Connector::new(&options.tls).map_err(|error| StoreOpenError::Unavailable(error.to_string()))?;
        if options.migrate {
            migrate::migrate(&config, &connector).await?;
        }
        let (history, unsafe_setting) = {
            let (client, _ends_with_it) = connector.connect(&config, "SET lock_timeout = '60s'").await?;
            let unsafe_setting = with_timeout(READ_WITHIN, installation::unsafe_setting(&client)).await?;
            if let (Some((setting, value)), false) = (&unsafe_setting, options.allow_unsafe_durability) {
                return Err(StoreOpenError::UnsafeDurability { setting, value: value.clone() });
            }
            (History::new(installation::load_or_create(&client).await?), unsafe_setting)
        };
        if let Some((setting, value)) = unsafe_setting {
            tracing::warn!(setting, value, "a crash of this database may lose confirmed messages");
        }
        let prepared = Vec::leak(log::prepared());
        let PoolSizes { write, read, .. } = options.connections;
        Ok(Self {
            pools: Pools::new(&config, &connector, &history, options.connections, prepared),
            connector,
            config: Arc::new(config),
            history,
            long_readers: Arc::new(Semaphore::new((read / 2).max(1))),
            background_writers: Arc::new(Semaphore::new((write / 2).max(1))),
            feed_timeout_doublings: Arc::default(),
        })
    }

    /// Whether the database answers.
    pub async fn is_reachable(&self) -> bool {
        let answer = self.with_read_client(async |client| client.query_one("SELECT 1", &[]).await.map(drop));
        answer.await.is_ok()
    }

    /// The key with which the nodes of this installation sign envelopes to each other.
    #[must_use]
    pub fn link_key(&self) -> Vec<u8> {
        self.history.link_key()
    }

    /// Begins a new history, for a copy of a database that must not be taken for the original. Clients
    /// resync, including those of running nodes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn renew_epoch(&self) -> Result<Epoch, StoreError> {
        let client = self.pools.write().await.map_err(Failure::into_error)?;
        let renewed = with_timeout(READ_WITHIN, installation::renew_epoch(&client))
            .await
            .map_err(Failure::into_error)?;
        client.give_back();
        let epoch = renewed.epoch;
        self.history.replace(renewed);
        Ok(epoch)
    }

    /// Acquires a node name, which only one running node may hold.
    ///
    /// # Errors
    /// [`NodeNameError`].
    pub async fn acquire_node_id(&self, name: &str) -> Result<NodeLease, NodeNameError> {
        lease::acquire(self.connector.clone(), self.config.clone(), name).await
    }

    /// Closes the connections; later calls fail as unavailable.
    pub fn close(&self) {
        self.pools.close();
    }

    async fn with_read_client<T>(
        &self,
        read: impl AsyncFnOnce(&ClientWrapper) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        self.with_read_client_for(READ_WITHIN, read).await
    }

    async fn with_read_client_for<T>(
        &self,
        timeout: Duration,
        read: impl AsyncFnOnce(&ClientWrapper) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let client = self.pools.read().await.map_err(Failure::into_error)?;
        match with_timeout(timeout, read(&client)).await {
            Ok(done) => {
                client.give_back();
                Ok(done)
            }
            Err(failure) => Err(client.fail(failure).await.into_error()),
        }
    }
}

/// Sets timeouts and a name where the address leaves them open.
fn with_defaults(mut config: Config) -> Config {
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
    ) -> Result<Vec<Option<Result<CommandOutcome, Refusal>>>, StoreError> {
        append::append(self, batch, wait).await
    }

    async fn open_room(&self, open: &OpenRoom) -> Result<Result<OpenedRoom, Refusal>, StoreError> {
        open_room::open_room(self, open).await
    }

    async fn join_context(
        &self,
        room: RoomId,
        candidates: &[UserId],
        roster: bool,
    ) -> Result<JoinContext, StoreError> {
        let candidates: Vec<i64> = candidates.iter().map(|user| user.0).collect();
        self.with_read_client(async |client| room_snapshot::read(client, room, &candidates, roster).await)
            .await
    }

    async fn events(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.with_read_client(async |client| events::read(client, room, after, limit).await).await
    }

    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        // After this node has slept for an hour, the feed may take longer to read than anything else. With a
        // fixed timeout it would be retried in vain for ever, and grow meanwhile.
        let doublings = self.feed_timeout_doublings.load(Ordering::Relaxed);
        let timeout = READ_WITHIN * 2_u32.pow(doublings);
        let began = Instant::now();
        let epoch = self.epoch();
        let read = async |client: &ClientWrapper| {
            let changes = feed::read(client, since, timeout).await?;
            if changes.epoch != epoch {
                self.history.refresh(client, epoch).await?;
            }
            Ok(changes)
        };
        let changes = self.with_read_client_for(timeout, read).await;
        let doublings = match &changes {
            Ok(_) => 0,
            Err(_) if began.elapsed() < timeout => doublings,
            Err(_) => (doublings + 1).min(FEED_DOUBLINGS_MAX),
        };
        self.feed_timeout_doublings.store(doublings, Ordering::Relaxed);
        changes
    }

    async fn inbox(&self, user: UserId, rooms: Option<&[RoomId]>) -> Result<Vec<InboxRoom>, StoreError> {
        self.with_read_client(async |client| inbox::read(client, user, rooms).await).await
    }

    async fn open_inbox(&self, user: UserId) -> Result<OpenedInbox, StoreError> {
        self.with_read_client(async |client| {
            let rooms = inbox::read(client, user, None);
            let (rooms, personal) = futures_util::try_join!(rooms, personal_page::bounds(client, user))?;
            Ok(OpenedInbox { rooms, personal })
        })
        .await
    }

    async fn personal_log(
        &self,
        user: UserId,
        after: PersonalSeq,
        limit: usize,
    ) -> Result<PersonalPage, StoreError> {
        self.with_read_client(async |client| personal_page::read(client, user, after, limit).await).await
    }

    async fn user(&self, user: UserId) -> Result<Option<(UserSummary, UserAccess)>, StoreError> {
        self.with_read_client(async |client| access::read(client, user).await).await
    }

    async fn bot_of_command(&self, room: RoomId, name: &str) -> Result<Option<UserId>, StoreError> {
        self.with_read_client(async |client| bots::of_command(client, room, name).await).await
    }

    fn epoch(&self) -> Epoch {
        self.history.epoch()
    }
}

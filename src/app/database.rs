//! The database that the server runs on.

use actors::limits::{BATCHES_IN_FLIGHT_MAX, LOCKED_ROOM_RETRIES_MAX};

use crate::config::{Database, DatabaseTls, Settings};
use crate::store::postgres::private::PrivatePostgres;
use crate::store::postgres::{PoolSizes, PostgresStore, StoreOptions};

/// Keeps a private PostgreSQL running.
pub(super) enum DatabaseHandle {
    Private(PrivatePostgres),
    External,
}

impl DatabaseHandle {
    /// Stops the PostgreSQL that this process started, if any.
    pub(super) async fn stop(self) {
        if let Self::Private(postgres) = self {
            postgres.stop().await;
        }
    }
}

/// Connects to the configured database, or to a private PostgreSQL that it starts.
pub(super) async fn open_store(settings: &Settings) -> anyhow::Result<(DatabaseHandle, PostgresStore)> {
    let (database, config, tls) = match &settings.database {
        Database::External(address) => {
            (DatabaseHandle::External, address.config.clone(), address.tls.clone())
        }
        Database::Private => {
            let postgres = PrivatePostgres::start(&settings.data_dir).await?;
            let config = postgres.config();
            (DatabaseHandle::Private(postgres), config, DatabaseTls::Off)
        }
    };
    let options = StoreOptions {
        connections: PoolSizes::of(
            settings.database_connections.into(),
            BATCHES_IN_FLIGHT_MAX + LOCKED_ROOM_RETRIES_MAX,
        ),
        tls,
        migrate: true,
        allow_unsafe_durability: settings.unsafe_durability,
    };
    let store = PostgresStore::connect(config, options).await?;
    Ok((database, store))
}

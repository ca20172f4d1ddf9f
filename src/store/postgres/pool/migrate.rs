//! Runs the migrations, which are embedded in the binary.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Config;

use super::connector::Connector;
use crate::store::postgres::StoreOpenError;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// The advisory lock by which nodes that start together take turns; the number is arbitrary.
const MIGRATION_LOCK: i64 = 0x6172_6973_7461_7901;

/// Runs the pending migrations while no other node does.
pub(crate) async fn migrate(config: &Config, connector: &Connector) -> Result<(), StoreOpenError> {
    let (client, connection) = connector.connect(config, "SET lock_timeout = '60s'").await?;
    let mut client = ClientWrapper::new(client, connection);
    client.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await?;
    let report = embedded::migrations::runner()
        .run_async(&mut *client)
        .await
        .map_err(|error| StoreOpenError::Migration(error.to_string()))?;
    for migration in report.applied_migrations() {
        tracing::info!(%migration, "migrated");
    }
    // Closing the connection releases the lock.
    Ok(())
}

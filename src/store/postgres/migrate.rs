//! Brings the tables up to date. The migrations are part of the binary.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Config;

use super::OpenError;
use super::pool::Dialer;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// The advisory lock that nodes which start at once take in turn; the number has no meaning.
const MIGRATION_LOCK: i64 = 0x6172_6973_7461_7901;

/// Runs what hasn't run yet, alone.
pub(super) async fn migrate(config: &Config, dialer: &Dialer) -> Result<(), OpenError> {
    let (client, connection) = dialer.dial(config, "SET lock_timeout = '60s'").await?;
    let mut client = ClientWrapper::new(client, connection);
    client.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await?;
    let report = embedded::migrations::runner()
        .run_async(&mut *client)
        .await
        .map_err(|error| OpenError::Migration(error.to_string()))?;
    for migration in report.applied_migrations() {
        tracing::info!(%migration, "migrated");
    }
    // The lock ends with the connection.
    Ok(())
}

//! What this database is: which history it holds, and whether its commits are durable.

use actors::domain::ids::Epoch;
use tokio_postgres::{Client, Error};
use uuid::Uuid;

use super::transaction_ids;

/// The settings without which a confirmed commit may be lost.
const DURABLE: [&str; 3] = ["fsync", "synchronous_commit", "full_page_writes"];

/// The row of this installation.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    pub(crate) epoch: Epoch,
    /// The key with which nodes sign envelopes to each other.
    pub(crate) link_key: Vec<u8>,
    /// The server that the history was last served from.
    pub(crate) server: ServerIdentity,
}

/// The cluster that a connection leads to and the number of its promotions. A standby that takes over has
/// its primary's identifier and the next timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerIdentity {
    system: String,
    timeline: i32,
}

/// Reads the identity of the server behind a connection. The timeline is that of the write-ahead log: the
/// control file records a promotion only at the next checkpoint. A standby rejects the query (55000) and so
/// is never read from: it may lag behind what clients have seen.
pub(crate) async fn server_identity(client: &Client) -> Result<ServerIdentity, Error> {
    let row = client
        .query_one(
            "SELECT system_identifier::text, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int \
             FROM pg_control_system()",
            &[],
        )
        .await?;
    Ok(ServerIdentity { system: row.get(0), timeline: row.get(1) })
}

/// Returns the first durability setting that is off, with its value.
pub(crate) async fn unsafe_setting(client: &Client) -> Result<Option<(&'static str, String)>, Error> {
    for setting in DURABLE {
        let row = client.query_one("SELECT current_setting($1)", &[&setting]).await?;
        let value: String = row.get(0);
        if value == "off" {
            return Ok(Some((setting, value)));
        }
    }
    Ok(None)
}

/// Reads the row, creating it at the first start. A server other than the stored one means that the database
/// was restored from a copy or that a standby took over, and begins a new history.
pub(crate) async fn load_or_create(client: &Client) -> Result<Installation, Error> {
    let server = server_identity(client).await?;
    let mut key = [0; 32];
    key[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    key[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    client
        .execute(
            "INSERT INTO installation (epoch, system_identifier, timeline, link_key) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
            &[&Uuid::new_v4(), &server.system, &server.timeline, &key.as_slice()],
        )
        .await?;
    adopt_server(client, &server).await
}

/// Begins a new history if the stored one was last served from a server other than `server`. Of several
/// nodes that find this at the same moment, one does it.
pub(crate) async fn adopt_server(client: &Client, server: &ServerIdentity) -> Result<Installation, Error> {
    // Read connections call this too.
    client.batch_execute("BEGIN READ WRITE; SET LOCAL statement_timeout = 0").await?;
    let renewed = client
        .execute(
            "UPDATE installation SET epoch = $1, system_identifier = $2, timeline = $3 \
             WHERE (system_identifier, timeline) <> ($2, $3)",
            &[&Uuid::new_v4(), &server.system, &server.timeline],
        )
        .await?;
    if renewed > 0 {
        transaction_ids::reset(client).await?;
        tracing::warn!(
            timeline = server.timeline,
            "this database was restored from a copy, or a standby took over: clients will load their rooms anew"
        );
    }
    client.batch_execute("COMMIT").await?;
    load(client).await
}

/// Begins a new history on the same server.
pub(crate) async fn renew_epoch(client: &Client) -> Result<Installation, Error> {
    client.execute("UPDATE installation SET epoch = $1", &[&Uuid::new_v4()]).await?;
    load(client).await
}

pub(crate) async fn load(client: &Client) -> Result<Installation, Error> {
    let row = client
        .query_one("SELECT epoch, link_key, system_identifier, timeline FROM installation", &[])
        .await?;
    let server = ServerIdentity { system: row.get(2), timeline: row.get(3) };
    Ok(Installation { epoch: Epoch(row.get(0)), link_key: row.get(1), server })
}

//! What this database is: which history it holds, and whether it keeps what it confirms.

use actors::domain::ids::Epoch;
use tokio_postgres::{Client, Error};
use uuid::Uuid;

/// The settings without which a confirmed commit may be lost.
const DURABLE: [&str; 3] = ["fsync", "synchronous_commit", "full_page_writes"];

/// The row of this installation.
#[derive(Clone, Debug)]
pub(super) struct Installation {
    /// The history.
    pub(super) epoch: Epoch,
    /// The key of envelopes between nodes.
    pub(super) link_key: Vec<u8>,
    /// The cluster that the history was last served from.
    pub(super) cluster: Cluster,
}

/// Which cluster a connection leads to, and how often that one has been promoted. A standby that took over
/// has the identifier of its primary and the next timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cluster {
    system: String,
    timeline: i32,
}

/// Asks which cluster a connection leads to. The timeline is that of the write-ahead log: the control file
/// learns of a promotion only with the next checkpoint. A standby refuses the question (55000), and so is
/// never read from: what it shows may be older than what was told already.
pub(super) async fn cluster(client: &Client) -> Result<Cluster, Error> {
    let row = client
        .query_one(
            "SELECT system_identifier::text, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int \
             FROM pg_control_system()",
            &[],
        )
        .await?;
    Ok(Cluster { system: row.get(0), timeline: row.get(1) })
}

/// The first setting that is off, with its value.
pub(super) async fn unsafe_setting(client: &Client) -> Result<Option<(&'static str, String)>, Error> {
    for setting in DURABLE {
        let row = client.query_one("SELECT current_setting($1)", &[&setting]).await?;
        let value: String = row.get(0);
        if value == "off" {
            return Ok(Some((setting, value)));
        }
    }
    Ok(None)
}

/// Reads the row, or makes it at the first start. A cluster or a timeline other than the stored one
/// means that the database was restored from a copy or that a standby took over, and begins a new history.
pub(super) async fn read(client: &Client) -> Result<Installation, Error> {
    let here = cluster(client).await?;
    let mut key = [0; 32];
    key[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    key[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    client
        .execute(
            "INSERT INTO installation (epoch, system_identifier, timeline, link_key) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
            &[&Uuid::new_v4(), &here.system, &here.timeline, &key.as_slice()],
        )
        .await?;
    move_to(client, &here).await
}

/// Begins a new history where the stored one was last served from another cluster or timeline than `here`;
/// of several nodes that find this at the same moment one does it.
pub(super) async fn move_to(client: &Client, here: &Cluster) -> Result<Installation, Error> {
    // Also on a connection that otherwise only reads.
    client.batch_execute("BEGIN READ WRITE; SET LOCAL statement_timeout = 0").await?;
    let renewed = client
        .execute(
            "UPDATE installation SET epoch = $1, system_identifier = $2, timeline = $3 \
             WHERE (system_identifier, timeline) <> ($2, $3)",
            &[&Uuid::new_v4(), &here.system, &here.timeline],
        )
        .await?;
    if renewed > 0 {
        forget_transactions(client).await?;
        tracing::warn!(
            timeline = here.timeline,
            "this database was restored from a copy, or a standby took over: clients will load their rooms anew"
        );
    }
    client.batch_execute("COMMIT").await?;
    stored(client).await
}

/// Gives rows that another cluster's transactions wrote to the past: the numbers of this one's may be lower,
/// and what follows the commits would take the old rows for new ones ever after.
async fn forget_transactions(client: &Client) -> Result<(), Error> {
    client
        .batch_execute(
            "UPDATE events SET xid = '3' WHERE xid > pg_current_xact_id();
             UPDATE read_moves SET xid = '3' WHERE xid > pg_current_xact_id();
             UPDATE people SET changed_xid = '3' WHERE changed_xid > pg_current_xact_id();
             UPDATE participants SET own_xid = '3' WHERE own_xid > pg_current_xact_id();
             UPDATE texts_progress SET position = '4'
                 WHERE position > pg_snapshot_xmax(pg_current_snapshot())",
        )
        .await
}

/// Begins a new history.
pub(super) async fn renew(client: &Client) -> Result<Installation, Error> {
    client.execute("UPDATE installation SET epoch = $1", &[&Uuid::new_v4()]).await?;
    stored(client).await
}

/// Reads the row.
pub(super) async fn stored(client: &Client) -> Result<Installation, Error> {
    let row = client
        .query_one("SELECT epoch, link_key, system_identifier, timeline FROM installation", &[])
        .await?;
    let cluster = Cluster { system: row.get(2), timeline: row.get(3) };
    Ok(Installation { epoch: Epoch(row.get(0)), link_key: row.get(1), cluster })
}

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
/// means that the database was restored from a copy, and begins a new history.
pub(super) async fn read(client: &Client) -> Result<Installation, Error> {
    let here = client
        .query_one(
            "SELECT s.system_identifier::text, c.timeline_id \
             FROM pg_control_system() s, pg_control_checkpoint() c",
            &[],
        )
        .await?;
    let (system, timeline): (String, i32) = (here.get(0), here.get(1));
    let mut key = [0; 32];
    key[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    key[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    client
        .execute(
            "INSERT INTO installation (epoch, system_identifier, timeline, link_key) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
            &[&Uuid::new_v4(), &system, &timeline, &key.as_slice()],
        )
        .await?;
    client.batch_execute("BEGIN").await?;
    let renewed = client
        .execute(
            "UPDATE installation SET epoch = $1, system_identifier = $2, timeline = $3 \
             WHERE (system_identifier, timeline) <> ($2, $3)",
            &[&Uuid::new_v4(), &system, &timeline],
        )
        .await?;
    if renewed > 0 {
        forget_transactions(client).await?;
        tracing::warn!("this database was restored from a copy: clients will load their rooms anew");
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

async fn stored(client: &Client) -> Result<Installation, Error> {
    let row = client.query_one("SELECT epoch, link_key FROM installation", &[]).await?;
    Ok(Installation { epoch: Epoch(row.get(0)), link_key: row.get(1) })
}

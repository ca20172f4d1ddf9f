//! Transaction ids after a restore from a dump. They are of the cluster that was dumped, and this one may not have
//! reached them: readers of the feed would take those rows for new ones for ever, and consumers and webhooks would take
//! what happens from now on for old.

use tokio_postgres::{Client, Error};

use crate::store::postgres::integrations::scope::wants;

/// Whether events, or webhooks, have ids that this cluster hasn't reached.
const ARE_AHEAD: &str = "SELECT EXISTS (SELECT FROM events WHERE xid > pg_current_xact_id()),
    EXISTS (SELECT FROM webhooks WHERE pg_snapshot_xmax(created_in) > pg_current_xact_id())";

/// Extends the lanes of webhooks by what their consumer hasn't seen, as long as the ids tell that: of all webhooks if
/// `$1` is set, and otherwise of those that are ahead.
const EXTEND_LANES: &str = concat!(
    "INSERT INTO webhook_lanes AS l (webhook_id, room_id, sent, head, due_at)
     SELECT w.id, e.room_id, min(e.seq) - 1, max(e.seq), now()
     FROM log_consumers c JOIN events e ON e.xid >= c.position JOIN rooms r ON r.id = e.room_id
     JOIN webhooks w ON ($1 OR pg_snapshot_xmax(w.created_in) > pg_current_xact_id()) AND ",
    wants!(),
    " WHERE c.name = 'webhooks' GROUP BY w.id, e.room_id ORDER BY w.id, e.room_id
     ON CONFLICT (webhook_id, room_id) DO UPDATE
         SET head = excluded.head, due_at = coalesce(l.due_at, excluded.due_at) WHERE l.head < excluded.head"
);

/// After that, everything in the log counts as older than these webhooks.
const RENEW_WEBHOOKS: &str = "UPDATE webhooks SET created_in = pg_current_snapshot()
    WHERE $1 OR pg_snapshot_xmax(created_in) > pg_current_xact_id()";

/// Divides the log among ids that this cluster has left behind, from 3 on, which is the first that isn't special: a
/// thousand events each, or more if there are too few ids, so that consumers read the log in pieces. Each room's events
/// are in their order.
const RENUMBER_EVENTS: &str = "UPDATE events e SET xid = n.xid FROM (
        SELECT room_id, seq, (3 + (row_number() OVER (ORDER BY room_id, seq) - 1) / p.size)::text::xid8 AS xid
        FROM events CROSS JOIN (
            SELECT greatest(1000, count(*) / (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 4) + 1) AS size
            FROM events) p) n
    WHERE e.room_id = n.room_id AND e.seq = n.seq";

/// Consumers that are ahead read the whole log again; all of them if `$1` is set.
const RESET_CONSUMERS: &str = "UPDATE log_consumers SET position = '3', failure = NULL, failed_until = NULL
    WHERE $1 OR position > pg_current_xact_id()";

/// The order of these says nothing.
const RESET_OTHERS: &str = "
    UPDATE read_moves SET xid = '3' WHERE xid > pg_current_xact_id();
    UPDATE people SET changed_xid = '3' WHERE changed_xid > pg_current_xact_id();
    UPDATE participants SET own_xid = '3' WHERE own_xid > pg_current_xact_id();
    UPDATE personal_log SET xid = '3' WHERE xid > pg_current_xact_id();
    UPDATE notification_progress SET position = pg_current_snapshot()
        WHERE pg_snapshot_xmax(position) > pg_snapshot_xmax(pg_current_snapshot())";

/// Replaces ids that this cluster hasn't reached, in the transaction that the caller has begun. Webhooks go on where
/// they were.
pub(super) async fn reset(client: &Client) -> Result<(), Error> {
    let ahead = client.query_one(ARE_AHEAD, &[]).await?;
    let (events, webhooks): (bool, bool) = (ahead.get(0), ahead.get(1));
    if events || webhooks {
        client.execute(EXTEND_LANES, &[&events]).await?;
        client.execute(RENEW_WEBHOOKS, &[&events]).await?;
    }
    if events {
        client.execute(RENUMBER_EVENTS, &[]).await?;
    }
    client.execute(RESET_CONSUMERS, &[&events]).await?;
    client.batch_execute(RESET_OTHERS).await
}

//! Deleting old rows in batches: a full batch says that there may be more, so that the janitor goes on.

use std::time::Duration;

use crate::world::Postgres;

/// A few more old rows of each kind than one batch deletes.
const OLD_ROWS: &str = "
    INSERT INTO personal_heads (user_id, head) SELECT n, 1 FROM generate_series(1, 1005) n;
    INSERT INTO personal_log (user_id, position, kind, id, at)
        SELECT n, 1, 'draft', md5('d' || n)::uuid, now() - interval '1 day' FROM generate_series(1, 1005) n;
    INSERT INTO link_previews (url_hash, asked_until, expires_at)
        SELECT sha256(n::text::bytea), now() - interval '1 day', now() - interval '1 day'
        FROM generate_series(1, 505) n;
    INSERT INTO webhook_deliveries (webhook_id, room_id, seq, kind, url, state, duration_ms, answer, error, last_at)
        SELECT md5('w')::uuid, md5('r')::uuid, n, 'message_posted', '', 'delivered', 1, '', '', now() - interval '1 day'
        FROM generate_series(1, 10005) n;
    INSERT INTO notifications (id, user_id, room_id, first_seq, last_seq, message_id, rule, state, created_at, told_at, ended_at)
        SELECT md5('n' || n)::uuid, n, md5('r')::uuid, 4, 10, md5('m')::uuid, 'message', 'read', now(),
            now() - interval '1 day', now() FROM generate_series(1, 1005) n;
    INSERT INTO push_deliveries (subscription_id, room_id, notification_id, state, due_at, created_at)
        SELECT md5('p' || n)::uuid, md5('r')::uuid, md5('n' || n)::uuid, 'sent', now(), now() - interval '1 day'
        FROM generate_series(1, 2005) n";

#[tokio::test]
async fn a_full_batch_says_that_there_may_be_more() {
    let postgres = Postgres::new().await;
    postgres.database.run(OLD_ROWS).await;
    let (store, hour) = (&postgres.store, Duration::from_secs(3_600));
    for has_more in [true, false] {
        assert_eq!(store.delete_old_personal_entries(hour).await.unwrap(), has_more);
        assert_eq!(store.delete_expired_link_previews().await.unwrap(), has_more);
        assert_eq!(store.forget_deliveries(hour).await.unwrap(), has_more);
    }
    // Two batches of pushes are full, and one of notifications.
    for has_more in [true, true, false] {
        assert_eq!(store.delete_old_notifications(hour).await.unwrap(), has_more);
    }
    let left = "SELECT (SELECT count(*) FROM personal_log) + (SELECT count(*) FROM link_previews)
        + (SELECT count(*) FROM webhook_deliveries) + (SELECT count(*) FROM notifications)
        + (SELECT count(*) FROM push_deliveries)";
    let client = postgres.database.client().await;
    assert_eq!(client.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
}

//! The list of what a user was told, and reading in it.

use std::time::Duration;

use actors::domain::ids::{PersonalSeq, UserId};
use actors::domain::personal::{PersonalChange, PersonalKind};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::pushes;
use super::view::{NotificationDetails, details_of, notification_columns, notification_tables};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::personal::PersonalList;
use crate::store::postgres::personal::log;

/// Notifications, and pushes, that one call deletes.
const DELETED_AT_ONCE: i64 = 1_000;

/// What came of reading in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadNotifications {
    /// The head of the personal log, if anything was read.
    pub head: Option<PersonalSeq>,
    /// How many notifications are left that aren't read.
    pub unread: i64,
}

impl PostgresStore {
    /// Lists what a user was told and may still see, what was told last first; only what isn't read, or only what is,
    /// by `unread`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn notifications(
        &self,
        user: UserId,
        unread: Option<bool>,
        limit: i64,
        offset: i64,
    ) -> Result<PersonalList<NotificationDetails>, StoreError> {
        const LIST: &str = concat!(
            "WITH mine AS MATERIALIZED (
                 SELECT n.id, n.told_at FROM notifications n ",
            notification_tables!(),
            "    WHERE n.user_id = $1 AND n.state IN ('told', 'read')
                     AND ($4::boolean IS NULL OR (n.state = 'told') = $4))
             SELECT (SELECT count(*) FROM mine), (SELECT head FROM personal_heads WHERE user_id = $1), v.*
             FROM (SELECT 1) one LEFT JOIN (
                 SELECT ",
            notification_columns!(),
            "    FROM (SELECT id FROM mine ORDER BY told_at DESC, id DESC LIMIT $2 OFFSET $3) k
                 CROSS JOIN LATERAL (SELECT * FROM notifications WHERE id = k.id LIMIT 1) n ",
            notification_tables!(),
            ") v ON true ORDER BY v.told_at DESC, v.id DESC"
        );
        let client = self.long_read_client().await?;
        let rows = client.rows(LIST, &[&user.0, &limit, &offset, &unread]).await?;
        Ok(PersonalList::of(&rows, |row| details_of(row, 2)))
    }

    /// Takes what a user was told as read, up to one notification in the order of the list. `None`: the user has no
    /// such notification.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn read_notifications(
        &self,
        user: UserId,
        up_to: Uuid,
    ) -> Result<Option<ReadNotifications>, StoreError> {
        const FIND: &str = "SELECT told_at FROM notifications WHERE id = $2 AND user_id = $1";
        const READ: &str = "UPDATE notifications SET state = 'read', ended_at = clock_timestamp()
            WHERE user_id = $1 AND state = 'told' AND (told_at, id) <= ($2, $3) RETURNING id";
        const LEFT: &str = "SELECT count(*) FROM notifications WHERE user_id = $1 AND state = 'told'";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        log::lock(&transaction, user).await?;
        let Some(found) = transaction.row(FIND, &[&user.0, &up_to]).await? else { return Ok(None) };
        let told_at: DateTime<Utc> = found.get(0);
        let read = transaction.rows(READ, &[&user.0, &told_at, &up_to]).await?;
        let ids: Vec<Uuid> = read.iter().map(|row| row.get(0)).collect();
        pushes::withdraw(&transaction, &ids).await?;
        let change = |id: &Uuid| PersonalChange { user, kind: PersonalKind::Notification, id: *id };
        let changes: Vec<PersonalChange> = ids.iter().map(change).collect();
        let head = log::append(&transaction, &changes).await?.into_iter().map(|(_, head)| head).max();
        let unread = transaction.row(LEFT, &[&user.0]).await?.map_or(0, |row| row.get(0));
        transaction.commit().await?;
        Ok(Some(ReadNotifications { head, unread }))
    }

    /// Deletes some of the notifications and pushes that are older than `age`. Returns whether there may be more.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn delete_old_notifications(&self, age: Duration) -> Result<bool, StoreError> {
        const NOTIFICATIONS: &str = "WITH deleted AS (
                DELETE FROM notifications WHERE id = ANY (ARRAY(
                    SELECT id FROM notifications WHERE told_at < now() - make_interval(secs => $1)
                    ORDER BY told_at LIMIT $2)) RETURNING 1)
            SELECT count(*) >= $2 FROM deleted";
        const PUSHES: &str = "WITH deleted AS (
                DELETE FROM push_deliveries WHERE ctid = ANY (ARRAY(
                    SELECT ctid FROM push_deliveries WHERE created_at < now() - make_interval(secs => $1)
                    ORDER BY created_at LIMIT $2)) RETURNING 1)
            SELECT count(*) >= $2 FROM deleted";
        let mut client = self.background_write_client().await?;
        let mut has_more = false;
        for delete in [NOTIFICATIONS, PUSHES] {
            let transaction = client.begin().await?;
            let deleted = transaction.row(delete, &[&age.as_secs_f64(), &DELETED_AT_ONCE]).await?;
            transaction.commit().await?;
            has_more |= deleted.is_some_and(|row| row.get(0));
        }
        Ok(has_more)
    }
}

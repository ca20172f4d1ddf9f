//! Pages of the audit log.

use actors::domain::ids::UserId;
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::types::ToSql;

use super::audit::{AuditEntry, AuditKind, audit_columns, audit_entry_of};
use crate::store::postgres::PostgresStore;

/// Which entries to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Those of what was done from then on.
    pub since: Option<DateTime<Utc>>,
    /// Those of this kind.
    pub kind: Option<AuditKind>,
    /// Those of what this user did, and of what was done to this user.
    pub user: Option<UserId>,
}

/// Where a page of the audit log stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditAnchor {
    /// The newest entries, the newest first.
    Newest,
    /// The entries before this one, the newest first.
    Before(i64),
    /// The entries after this one, the oldest first.
    After(i64),
}

impl PostgresStore {
    /// Lists at most `limit` entries of the audit log.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn audit_page(
        &self,
        filter: AuditFilter,
        anchor: AuditAnchor,
        limit: i64,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let AuditFilter { since, kind, user } = filter;
        let (kind, user) = (kind.map(AuditKind::as_str), user.map(|user| user.0));
        let (bound, id, order) = match anchor {
            AuditAnchor::Newest => ("a.id < ", i64::MAX, "DESC"),
            AuditAnchor::Before(id) => ("a.id < ", id, "DESC"),
            AuditAnchor::After(id) => ("a.id > ", id, "ASC"),
        };
        // A statement for each combination, so that each is planned for the index that it has.
        let mut sql = format!(concat!("SELECT ", audit_columns!(), " FROM audit_log a WHERE {}$1"), bound);
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&id, &limit];
        if let Some(since) = &since {
            params.push(since);
            sql += &format!(" AND a.at >= ${}", params.len());
        }
        if let Some(kind) = &kind {
            params.push(kind);
            sql += &format!(" AND a.kind = ${}", params.len());
        }
        if let Some(user) = &user {
            params.push(user);
            sql += &format!(" AND (a.actor_id = ${0} OR a.user_id = ${0})", params.len());
        }
        sql += &format!(" ORDER BY a.id {order} LIMIT $2");
        let rows = self.long_read_client().await?.rows(&sql, &params).await?;
        Ok(rows.iter().map(audit_entry_of).collect())
    }
}

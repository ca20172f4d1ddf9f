//! Who may set up integrations: the host application, its staff, and the admins of rooms for these.

use std::collections::BTreeMap;

use actors::domain::ids::{RoomId, UserId};
use actors::domain::room::RoomType;
use actors::ports::store::StoreError;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::store::postgres::PostgresStore;

/// Who sets up integrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntegrationManager {
    /// The host application, for everything.
    Host,
    /// Someone on its staff, for everything but what the host application has set up.
    Staff(UserId),
    /// Anyone else, for rooms that they are admins of.
    Admin(UserId),
}

/// A room for which an integration is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManagedRoom {
    /// Its type.
    pub room_type: RoomType,
    /// Whether the user who was asked about is an admin of it.
    pub is_admin: bool,
}

/// Whether the manager whose parameters are `$1` and `$2` may manage a row with `owner` and `rooms`.
macro_rules! is_manageable {
    ($row:literal) => {
        concat!(
            "($1::boolean OR (",
            $row,
            ".owner IS NOT NULL AND ($2::bigint IS NULL OR (cardinality(",
            $row,
            ".rooms) > 0 AND NOT EXISTS (SELECT FROM unnest(",
            $row,
            ".rooms) managed (id) WHERE NOT EXISTS (SELECT FROM participants p WHERE p.room_id = managed.id
                 AND p.user_id = $2 AND p.left_at IS NULL AND p.role = 'admin'))))))"
        )
    };
}

/// Those of a row's `rooms` that user `$2` is an admin of, in their order.
macro_rules! rooms_of_admin {
    ($row:literal) => {
        concat!(
            "ARRAY(SELECT named.id FROM unnest(",
            $row,
            ".rooms) WITH ORDINALITY named (id, n) WHERE EXISTS (SELECT FROM participants p
                 WHERE p.room_id = named.id AND p.user_id = $2 AND p.left_at IS NULL AND p.role = 'admin')
             ORDER BY named.n)"
        )
    };
}

pub(super) use {is_manageable, rooms_of_admin};

impl IntegrationManager {
    /// The user; none for the host application.
    #[must_use]
    pub fn user(self) -> Option<UserId> {
        match self {
            Self::Host => None,
            Self::Staff(user) | Self::Admin(user) => Some(user),
        }
    }

    /// Whether what this manager sets up may concern any room.
    #[must_use]
    pub fn is_for_all_rooms(self) -> bool {
        matches!(self, Self::Host | Self::Staff(_))
    }

    /// The parameters of [`is_manageable`].
    pub(super) fn params(self) -> (bool, Option<i64>) {
        match self {
            Self::Host => (true, None),
            Self::Staff(_) => (false, None),
            Self::Admin(user) => (false, Some(user.0)),
        }
    }
}

impl PostgresStore {
    /// Reads those of `rooms` that exist, and whether `user` is an admin of them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn managed_rooms(
        &self,
        rooms: &[RoomId],
        user: Option<UserId>,
    ) -> Result<BTreeMap<Uuid, ManagedRoom>, StoreError> {
        const FIND: &str = "SELECT r.id, r.room_type, EXISTS (SELECT FROM participants p WHERE p.room_id = r.id
                AND p.user_id = $2 AND p.left_at IS NULL AND p.role = 'admin')
            FROM unnest($1::uuid[]) k (id)
            CROSS JOIN LATERAL (SELECT id, room_type FROM rooms WHERE id = k.id AND deleted_at IS NULL LIMIT 1) r";
        let ids: Vec<Uuid> = rooms.iter().map(|room| room.0).collect();
        let params: [&(dyn ToSql + Sync); 2] = [&ids, &user.map(|user| user.0)];
        let rows = self.read_client().await?.rows(FIND, &params).await?;
        let managed = rows.iter().map(|row| {
            let room_type = RoomType::parse(row.get(1)).expect("the table holds known types only");
            (row.get(0), ManagedRoom { room_type, is_admin: row.get(2) })
        });
        Ok(managed.collect())
    }
}

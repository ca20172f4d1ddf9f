//! Reading the directory of users, and learning of users from their tokens.

use actors::domain::ids::UserId;
use actors::domain::user::UserSummary;
use actors::ports::store::StoreError;

use super::record::{USER_RECORD_WIDTH, UserRecord, user_record_columns, user_record_of};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::rows::{user_summary, user_summary_columns};
use crate::store::postgres::rules::is_guest_account;

/// What a token claims about its holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileClaims {
    /// The sign-in name.
    pub username: Option<String>,
    /// The name to show.
    pub full_name: Option<String>,
    /// The email address.
    pub email: Option<String>,
}

/// A user whom a caller has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundUser {
    /// Id and names.
    pub summary: UserSummary,
    /// Whether it is a guest account.
    pub is_guest: bool,
}

/// The users that a caller may find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserScope {
    /// Everyone in the directory.
    Everyone,
    /// Those who share a room with this user.
    SharedRooms(UserId),
}

/// The users who are in a room together with the user `$viewer`. Each room is read by index.
macro_rules! known_users {
    ($viewer:literal) => {
        concat!(
            "SELECT DISTINCT p.user_id FROM (
                 SELECT me.room_id FROM participants me JOIN rooms r ON r.id = me.room_id
                 WHERE me.user_id = ",
            $viewer,
            " AND me.left_at IS NULL AND r.deleted_at IS NULL OFFSET 0) mine
             CROSS JOIN LATERAL (SELECT user_id FROM participants
                 WHERE room_id = mine.room_id AND left_at IS NULL OFFSET 0) p"
        )
    };
}

impl PostgresStore {
    /// Reads the holder of a valid token. A user who is unknown, or whom the token names differently, is inserted or
    /// updated first, unless the host application manages the user.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn user_for_token(
        &self,
        user: UserId,
        claimed: &ProfileClaims,
    ) -> Result<UserRecord, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            user_record_columns!(),
            ", NOT u.told_by_host AND u.erased_at IS NULL
                 AND (u.username, u.full_name, u.email)
                     IS DISTINCT FROM (coalesce($2, u.username), coalesce($3, u.full_name), coalesce($4, u.email))
               FROM people u WHERE u.id = $1"
        );
        const UPSERT_CLAIMED: &str = concat!(
            "INSERT INTO people AS u (id, username, full_name, email)
             VALUES ($1, coalesce($2, 'user' || $1::bigint), coalesce($3, ''), coalesce($4, ''))
             ON CONFLICT (id) DO UPDATE SET username = coalesce($2, u.username),
                 full_name = coalesce($3, u.full_name), email = coalesce($4, u.email),
                 changed_xid = CASE WHEN (u.username, u.full_name)
                         IS DISTINCT FROM (coalesce($2, u.username), coalesce($3, u.full_name))
                     THEN pg_current_xact_id() ELSE u.changed_xid END
             WHERE NOT u.told_by_host AND u.erased_at IS NULL
             RETURNING ",
            user_record_columns!()
        );
        let ProfileClaims { username, full_name, email } = claimed;
        let found = self.read_client().await?.row(FIND, &[&user.0, username, full_name, email]).await?;
        if let Some(row) = found.as_ref().filter(|row| !row.get::<_, bool>(USER_RECORD_WIDTH)) {
            return Ok(user_record_of(row));
        }
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let updated = transaction.row(UPSERT_CLAIMED, &[&user.0, username, full_name, email]).await?;
        transaction.commit().await?;
        match updated.or(found) {
            Some(row) => Ok(user_record_of(&row)),
            // The host application took the user over between the two statements.
            None => {
                let row = self.read_client().await?.row(FIND, &[&user.0, username, full_name, email]).await?;
                row.as_ref()
                    .map(user_record_of)
                    .ok_or_else(|| StoreError::Unavailable("a user vanished".into()))
            }
        }
    }

    /// Reads a user of the directory.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn user_record(&self, user: UserId) -> Result<Option<UserRecord>, StoreError> {
        const FIND: &str = concat!("SELECT ", user_record_columns!(), " FROM people u WHERE u.id = $1");
        Ok(self.read_client().await?.row(FIND, &[&user.0]).await?.as_ref().map(user_record_of))
    }

    /// Reads those of `users` that exist and are within `scope`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn user_records(
        &self,
        scope: UserScope,
        users: &[UserId],
    ) -> Result<Vec<UserRecord>, StoreError> {
        const FIND: &str = concat!("SELECT ", user_record_columns!(), " FROM people u WHERE u.id = ANY($1)");
        const KNOWN: &str = concat!(
            "SELECT ",
            user_record_columns!(),
            " FROM (",
            known_users!("$2"),
            ") known JOIN people u ON u.id = known.user_id WHERE u.id = ANY($1)"
        );
        let ids: Vec<i64> = users.iter().map(|user| user.0).collect();
        let rows = match scope {
            UserScope::Everyone => self.read_client().await?.rows(FIND, &[&ids]).await?,
            UserScope::SharedRooms(viewer) => {
                self.long_read_client().await?.rows(KNOWN, &[&ids, &viewer.0]).await?
            }
        };
        Ok(rows.iter().map(user_record_of).collect())
    }

    /// Whether a user is within `scope`, if there is such a user at all.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn may_name_user(&self, scope: UserScope, user: UserId) -> Result<bool, StoreError> {
        Ok(scope == UserScope::Everyone || !self.user_records(scope, &[user]).await?.is_empty())
    }

    /// Reads a page of the active users within `scope` whose names contain each word of `text`, ordered by username,
    /// with their total number.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn search_users(
        &self,
        scope: UserScope,
        text: &str,
        limit: i64,
        offset: i64,
    ) -> Result<(i64, Vec<FoundUser>), StoreError> {
        macro_rules! find {
            ($among:expr, $which:expr) => {
                concat!(
                    "WITH found AS MATERIALIZED (
                         SELECT u.id, u.username, u.full_name, u.erased_at, u.is_guest FROM ",
                    $among,
                    " WHERE u.is_active ",
                    $which,
                    ")
                     SELECT (SELECT count(*) FROM found), u.id, ",
                    user_summary_columns!(),
                    ", ",
                    is_guest_account!("u"),
                    " FROM (SELECT 1) one LEFT JOIN LATERAL (
                          SELECT * FROM found ORDER BY lower(username), id LIMIT $1 OFFSET $2) u ON true
                      ORDER BY lower(u.username), u.id"
                )
            };
        }
        macro_rules! named {
            () => {
                "AND folded_name(u.username || ' ' || u.full_name) LIKE name_pattern($3)
                 AND folded_name(u.username || ' ' || u.full_name)
                     LIKE ALL (ARRAY(SELECT name_pattern(term) FROM unnest($4::text[]) term))"
            };
        }
        macro_rules! known {
            ($viewer:literal) => {
                concat!("(", known_users!($viewer), ") known JOIN people u ON u.id = known.user_id")
            };
        }
        // The longest word selects the fewest rows of the index; the others may be in any order.
        let mut terms: Vec<&str> = text.split_whitespace().collect();
        terms.sort_by_key(|term| std::cmp::Reverse(term.chars().count()));
        let client = self.long_read_client().await?;
        let rows = match (scope, terms.split_first()) {
            (UserScope::Everyone, None) => client.rows(find!("people u", ""), &[&limit, &offset]).await?,
            (UserScope::Everyone, Some((first, others))) => {
                client.rows(find!("people u", named!()), &[&limit, &offset, first, &others]).await?
            }
            (UserScope::SharedRooms(viewer), None) => {
                client.rows(find!(known!("$3"), ""), &[&limit, &offset, &viewer.0]).await?
            }
            (UserScope::SharedRooms(viewer), Some((first, others))) => {
                let sql = find!(known!("$5"), named!());
                client.rows(sql, &[&limit, &offset, first, &others, &viewer.0]).await?
            }
        };
        let count = rows.first().map_or(0, |row| row.get(0));
        let users = rows
            .iter()
            .filter_map(|row| {
                let summary = user_summary(row, UserId(row.get::<_, Option<i64>>(1)?), 2);
                Some(FoundUser { summary, is_guest: row.get(5) })
            })
            .collect();
        Ok((count, users))
    }
}

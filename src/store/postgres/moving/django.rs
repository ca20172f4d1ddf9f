//! Reads Django's tables, all as they were at one moment.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use deadpool_postgres::{ClientWrapper, Transaction};
use tokio_postgres::{IsolationLevel, Row};
use uuid::Uuid;

use super::records::{OldCounts, OldParticipant, OldRoom, OldUser};
use super::{MoveError, Params, connect_to_django};
use crate::config::DatabaseAddress;

/// Settings of the connection. Rows are hashed as texts, so times need one zone.
const SETTINGS: &str = "
    SET statement_timeout = 0;
    SET idle_in_transaction_session_timeout = 0;
    SET jit = off;
    SET TimeZone = 'UTC';
    SET work_mem = '32MB';";

/// The tables that are read.
const TABLES: [&str; 6] =
    ["auth_user", "api_chatroom", "api_chatparticipant", "api_chatmessage", "api_task", "api_property"];

/// A point in time, or nothing where a column holds what is none, such as infinity.
macro_rules! moment {
    ($column:literal) => {
        concat!(
            "(CASE WHEN ",
            $column,
            " BETWEEN '0001-01-02 00:00:00+00' AND '9999-12-30 00:00:00+00' THEN ",
            $column,
            " END)"
        )
    };
}

/// The same for a column that must have one.
macro_rules! known_moment {
    ($column:literal) => {
        concat!("coalesce(", $crate::store::postgres::moving::django::moment!($column), ", 'epoch')")
    };
}

pub(super) use {known_moment, moment};

/// A connection to Django's database.
pub struct DjangoDatabase {
    client: ClientWrapper,
}

/// Django's tables at one moment.
pub struct DjangoSnapshot<'a> {
    pub(super) transaction: Transaction<'a>,
}

impl DjangoDatabase {
    /// Connects, and checks that the tables of the chat are there.
    ///
    /// # Errors
    /// [`MoveError`].
    pub async fn connect(address: DatabaseAddress) -> Result<Self, MoveError> {
        let client = connect_to_django(address, SETTINGS).await?;
        for table in TABLES {
            let found = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await;
            if !found.map_err(MoveError::Django)?.get::<_, bool>(0) {
                return Err(MoveError::NoTable(table.to_owned()));
            }
        }
        Ok(Self { client })
    }

    /// Begins to read.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn snapshot(&mut self) -> Result<DjangoSnapshot<'_>, MoveError> {
        let begin = self.client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
        let transaction = begin.read_only(true).start().await.map_err(MoveError::Django)?;
        Ok(DjangoSnapshot { transaction })
    }
}

impl DjangoSnapshot<'_> {
    /// Counts what is there.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn counts(&self) -> Result<OldCounts, MoveError> {
        const COUNT: &str = "SELECT (SELECT count(*) FROM auth_user), (SELECT count(*) FROM api_chatroom),
            (SELECT count(*) FROM api_chatmessage), (SELECT count(*) FROM api_chatparticipant),
            (SELECT coalesce(max(id), 0)::bigint FROM api_chatparticipant),
            (SELECT coalesce(max(id), 0)::bigint FROM auth_user)";
        let rows = self.rows(COUNT, &[]).await?;
        let count = |at| rows.first().map(|row| row.get(at)).unwrap_or_default();
        Ok(OldCounts {
            users: count(0),
            rooms: count(1),
            messages: count(2),
            participants: count(3),
            last_participant: count(4),
            last_user: count(5),
        })
    }

    /// Reads at most `limit` people after `after`, by their ids.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn users(&self, after: i64, limit: i64) -> Result<Vec<OldUser>, MoveError> {
        const USERS: &str = concat!(
            "SELECT id::bigint, username::text, btrim(concat_ws(' ', first_name, last_name)),
                coalesce(email, '')::text, is_active, is_staff, ",
            known_moment!("date_joined"),
            " FROM auth_user WHERE id > $1::bigint ORDER BY id LIMIT $2"
        );
        let user = |row: &Row| OldUser {
            id: row.get(0),
            username: row.get(1),
            full_name: row.get(2),
            email: row.get(3),
            is_active: row.get(4),
            is_staff: row.get(5),
            joined_at: row.get(6),
        };
        Ok(self.rows(USERS, &[&after, &limit]).await?.iter().map(user).collect())
    }

    /// The ids of all people.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn user_ids(&self) -> Result<BTreeSet<i64>, MoveError> {
        let rows = self.rows("SELECT id::bigint FROM auth_user", &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Reads all rooms, the oldest first. Reads every row of the chat once, for the fingerprints.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn rooms(&self) -> Result<Vec<OldRoom>, MoveError> {
        const ROOMS: &str = concat!(
            "SELECT r.id, r.room_type::text, r.name::text,
                coalesce(CASE r.room_type WHEN 'task' THEN t.title WHEN 'property' THEN p.name END, '')::text,
                r.task_id::bigint, r.property_id::bigint, r.created_by_id::bigint, ",
            known_moment!("r.created_at"),
            ", ",
            known_moment!("r.modified_at"),
            ", CASE WHEN NOT r.is_active THEN coalesce(",
            moment!("r.archived_at"),
            ", ",
            known_moment!("r.modified_at"),
            ") END, CASE WHEN r.room_type = 'direct' THEN coalesce(c.members, '{}') ELSE '{}'::bigint[] END,
                coalesce(m.count, 0)::bigint,
                md5(concat_ws('|', r::text, t.title, p.name, c.hash, m.count, m.hash))
            FROM api_chatroom r
            LEFT JOIN api_task t ON t.id = r.task_id
            LEFT JOIN api_property p ON p.id = r.property_id
            LEFT JOIN (SELECT room_id, (array_agg(user_id::bigint ORDER BY user_id))[1:3] AS members,
                    sum(hashtextextended(o::text, 0)::numeric)::text AS hash
                FROM api_chatparticipant o GROUP BY room_id) c ON c.room_id = r.id
            LEFT JOIN (SELECT room_id, count(*) AS count, sum(hashtextextended(o::text, 0)::numeric)::text AS hash
                FROM api_chatmessage o GROUP BY room_id) m ON m.room_id = r.id
            ORDER BY r.created_at, r.id"
        );
        let room = |row: &Row| OldRoom {
            id: row.get(0),
            room_type: row.get(1),
            name: row.get(2),
            title: row.get(3),
            task: row.get(4),
            property: row.get(5),
            created_by: row.get(6),
            created_at: row.get(7),
            modified_at: row.get(8),
            archived_at: row.get(9),
            members: row.get(10),
            messages: row.get(11),
            fingerprint: row.get(12),
        };
        Ok(self.rows(ROOMS, &[]).await?.iter().map(room).collect())
    }

    /// Reads the participants of rooms, by their ids.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn participants(&self, rooms: &[Uuid]) -> Result<Vec<OldParticipant>, MoveError> {
        const PARTICIPANTS: &str = concat!(
            "SELECT id::bigint, room_id, user_id::bigint, ",
            known_moment!("joined_at"),
            ", ",
            moment!("left_at"),
            ", ",
            moment!("last_read_at"),
            ", muted, ",
            moment!("muted_until"),
            ", is_admin FROM api_chatparticipant WHERE room_id = ANY($1) ORDER BY id"
        );
        let participant = |row: &Row| OldParticipant {
            id: row.get(0),
            room: row.get(1),
            user: row.get(2),
            joined_at: row.get(3),
            left_at: row.get(4),
            last_read_at: row.get(5),
            is_muted: row.get(6),
            muted_until: row.get(7),
            is_admin: row.get(8),
        };
        Ok(self.rows(PARTICIPANTS, &[&rooms]).await?.iter().map(participant).collect())
    }

    /// The newest message at or before each of the times, and when it was sent.
    ///
    /// # Errors
    /// [`MoveError::Django`].
    pub async fn newest_before(
        &self,
        rooms: &[Uuid],
        times: &[DateTime<Utc>],
    ) -> Result<Vec<Option<(Uuid, DateTime<Utc>)>>, MoveError> {
        const NEWEST: &str =
            "SELECT m.id, m.created_at FROM unnest($2::timestamptz[]) WITH ORDINALITY k (at, number)
            LEFT JOIN LATERAL (SELECT id, created_at FROM api_chatmessage
                WHERE room_id = ANY($1) AND created_at <= k.at
                ORDER BY created_at DESC, id DESC LIMIT 1) m ON true
            ORDER BY k.number";
        let newest = |row: &Row| row.get::<_, Option<Uuid>>(0).zip(row.get(1));
        Ok(self.rows(NEWEST, &[&rooms, &times]).await?.iter().map(newest).collect())
    }

    pub(super) async fn rows(&self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, MoveError> {
        let read = async {
            let statement = self.transaction.prepare_cached(sql).await?;
            self.transaction.query(&statement, params).await
        };
        read.await.map_err(MoveError::Django)
    }
}

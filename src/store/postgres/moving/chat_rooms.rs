//! Writes people, rooms and participants, and what is known of rooms that were moved.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::records::{MovedParticipant, MovedRoomRow, OldUser};
use super::{ChatWriter, MoveError};
use crate::store::postgres::pool::lease;

/// What is known of a room that was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedRoom {
    /// The room here.
    pub room: Uuid,
    /// Of all that it was made of when the last move of it ended.
    pub fingerprint: Option<String>,
    /// The last event that was moved.
    pub head: i64,
}

/// An erased account stays erased, and what didn't change is not written.
const UPSERT_USERS: &str = "INSERT INTO people AS u
        (id, username, full_name, email, is_active, is_staff, told_by_host, created_at)
    SELECT id, username, full_name, email, is_active, is_staff, true, created_at
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::boolean[], $7::timestamptz[])
        k (id, username, full_name, email, is_active, is_staff, created_at)
    ON CONFLICT (id) DO UPDATE SET username = excluded.username, full_name = excluded.full_name,
        email = excluded.email, is_active = excluded.is_active, is_staff = excluded.is_staff, told_by_host = true,
        changed_xid = pg_current_xact_id()
    WHERE u.erased_at IS NULL AND (u.username, u.full_name, u.email, u.is_active, u.is_staff, u.told_by_host)
        IS DISTINCT FROM (excluded.username, excluded.full_name, excluded.email, excluded.is_active,
        excluded.is_staff, true)";

const INSERT_ERASED_USER: &str =
    "INSERT INTO people (id, username, full_name, is_active, told_by_host, erased_at, created_at)
    VALUES ($1, 'deleted', 'Deleted user', false, true, $2, $2) ON CONFLICT (id) DO NOTHING";

const UPSERT_ROOM: &str = "INSERT INTO rooms AS r (id, room_type, name, title, task, property, pair_low, pair_high,
        created_by, created_at, modified_at, archived_at, head)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0)
    ON CONFLICT (id) DO UPDATE SET room_type = excluded.room_type, name = excluded.name, title = excluded.title,
        task = excluded.task, property = excluded.property, pair_low = excluded.pair_low,
        pair_high = excluded.pair_high, created_by = excluded.created_by, created_at = excluded.created_at,
        modified_at = excluded.modified_at, archived_at = excluded.archived_at";

/// From here on the room is being moved.
const UNFINISHED_ROOMS: &str =
    "INSERT INTO moved_rooms (old_id, room_id) SELECT id, $2 FROM unnest($1::uuid[]) k (id)
    ON CONFLICT (old_id) DO UPDATE SET room_id = excluded.room_id, fingerprint = NULL";

/// A participant whose id another one has here gets a new id. Users count messages from the start of the log on.
const UPSERT_PARTICIPANTS: &str =
    "INSERT INTO participants AS p (id, room_id, user_id, role, joined_at, joined_seq, left_at, is_muted, muted_until)
    SELECT CASE WHEN k.id IS NULL OR EXISTS (SELECT FROM participants o WHERE o.id = k.id
                AND (o.room_id <> $1 OR o.user_id <> k.user_id) OFFSET 0)
            THEN nextval(pg_get_serial_sequence('participants', 'id')) ELSE k.id END,
        $1, k.user_id, k.role, k.joined_at, 0, k.left_at, k.is_muted, k.muted_until
    FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::boolean[],
        $8::timestamptz[]) k (id, user_id, role, joined_at, left_at, is_muted, muted_until)
    ON CONFLICT (room_id, user_id) DO UPDATE SET role = excluded.role, joined_at = excluded.joined_at,
        left_at = excluded.left_at, is_muted = excluded.is_muted, muted_until = excluded.muted_until
    RETURNING user_id, id";

impl ChatWriter {
    /// Counts the nodes that serve from this database, apart from the lease `own`.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn serving_nodes(&self, own: &str) -> Result<i64, MoveError> {
        let row = self.row(lease::COUNT_OTHERS, &[&lease::LOCK_SPACE, &own]).await?;
        Ok(row.map(|row| row.get(0)).unwrap_or_default())
    }

    /// Counts the built-in accounts with ids up to `last`.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn accounts_up_to(&self, last: i64) -> Result<i64, MoveError> {
        let row = self.row("SELECT count(*) FROM accounts WHERE user_id <= $1", &[&last]).await?;
        Ok(row.map(|row| row.get(0)).unwrap_or_default())
    }

    /// Reads what is known of all rooms that were moved, by their ids in Django.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn moved_rooms(&self) -> Result<BTreeMap<Uuid, MovedRoom>, MoveError> {
        const ROOMS: &str = "SELECT old_id, room_id, fingerprint, head FROM moved_rooms";
        let rows = self.rows(ROOMS, &[]).await?;
        let room = |row: &tokio_postgres::Row| {
            (row.get(0), MovedRoom { room: row.get(1), fingerprint: row.get(2), head: row.get(3) })
        };
        Ok(rows.iter().map(room).collect())
    }

    /// The head of a room that is here, and whether it was deleted.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn room_head(&self, room: Uuid) -> Result<Option<(i64, bool)>, MoveError> {
        const HEAD: &str = "SELECT head, deleted_at IS NOT NULL FROM rooms WHERE id = $1";
        Ok(self.row(HEAD, &[&room]).await?.map(|row| (row.get(0), row.get(1))))
    }

    /// Finds another room that already is the one of this room's task, property or pair.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn rival_room(&self, room: &MovedRoomRow) -> Result<Option<Uuid>, MoveError> {
        // One index for each key.
        const FIND: &str = "SELECT id FROM (
                SELECT id FROM rooms WHERE task = $2 AND deleted_at IS NULL
                UNION ALL SELECT id FROM rooms WHERE property = $3 AND deleted_at IS NULL
                UNION ALL SELECT id FROM rooms WHERE pair_low = $4 AND pair_high = $5 AND deleted_at IS NULL) r
            WHERE id <> $1 LIMIT 1";
        let (low, high) = room.pair.unzip();
        let found = self.row(FIND, &[&room.id, &room.task, &room.property, &low, &high]).await?;
        Ok(found.map(|row| row.get(0)))
    }

    /// Makes sure that no participant gets an id up to `last` later.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn reserve_participant_ids(&self, last: i64) -> Result<(), MoveError> {
        const RESERVE: &str = "SELECT setval(pg_get_serial_sequence('participants', 'id'),
            greatest($1, (SELECT coalesce(max(id), 0) FROM participants), nextval(pg_get_serial_sequence('participants', 'id')) - 1, 1))";
        self.rows(RESERVE, &[&last]).await.map(drop)
    }

    /// Writes people as the host application tells of them. Returns how many were new or changed.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn put_users(&self, users: &[OldUser]) -> Result<u64, MoveError> {
        let ids: Vec<i64> = users.iter().map(|user| user.id).collect();
        let usernames: Vec<&str> = users.iter().map(|user| user.username.as_str()).collect();
        let full_names: Vec<&str> = users.iter().map(|user| user.full_name.as_str()).collect();
        let emails: Vec<&str> = users.iter().map(|user| user.email.as_str()).collect();
        let active: Vec<bool> = users.iter().map(|user| user.is_active).collect();
        let staff: Vec<bool> = users.iter().map(|user| user.is_staff).collect();
        let joined: Vec<DateTime<Utc>> = users.iter().map(|user| user.joined_at).collect();
        self.run(UPSERT_USERS, &[&ids, &usernames, &full_names, &emails, &active, &staff, &joined]).await
    }

    /// Writes an account that is gone.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn put_erased_user(&self, id: i64, since: DateTime<Utc>) -> Result<(), MoveError> {
        self.run(INSERT_ERASED_USER, &[&id, &since]).await.map(drop)
    }

    /// Writes a room that is made of the rooms `parts` of Django's. Its log stays as it is.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn put_room(&self, room: &MovedRoomRow, parts: &[Uuid]) -> Result<(), MoveError> {
        let (low, high) = room.pair.unzip();
        self.run(
            UPSERT_ROOM,
            &[
                &room.id,
                &room.room_type.as_str(),
                &room.name,
                &room.title,
                &room.task,
                &room.property,
                &low,
                &high,
                &room.created_by,
                &room.created_at,
                &room.modified_at,
                &room.archived_at,
            ],
        )
        .await?;
        self.run(UNFINISHED_ROOMS, &[&parts, &room.id]).await.map(drop)
    }

    /// Writes participants; their read marks stay. Returns those whose ids were taken, each with the new id.
    ///
    /// # Errors
    /// [`MoveError::Chat`].
    pub async fn put_participants(
        &self,
        room: Uuid,
        participants: &[MovedParticipant],
    ) -> Result<Vec<(i64, i64)>, MoveError> {
        let ids: Vec<Option<i64>> = participants.iter().map(|participant| participant.id).collect();
        let users: Vec<i64> = participants.iter().map(|participant| participant.user).collect();
        let role = |is_admin| if is_admin { "admin" } else { "member" };
        let roles: Vec<&str> = participants.iter().map(|participant| role(participant.is_admin)).collect();
        let joined: Vec<DateTime<Utc>> =
            participants.iter().map(|participant| participant.joined_at).collect();
        let left: Vec<Option<DateTime<Utc>>> =
            participants.iter().map(|participant| participant.left_at).collect();
        let muted: Vec<bool> = participants.iter().map(|participant| participant.is_muted).collect();
        let until: Vec<Option<DateTime<Utc>>> =
            participants.iter().map(|participant| participant.muted_until).collect();
        let rows = self
            .rows(UPSERT_PARTICIPANTS, &[&room, &ids, &users, &roles, &joined, &left, &muted, &until])
            .await?;
        let wanted: BTreeMap<i64, i64> =
            users.iter().zip(&ids).filter_map(|(user, id)| Some((*user, (*id)?))).collect();
        let given = rows.iter().map(|row| (row.get::<_, i64>(0), row.get::<_, i64>(1)));
        Ok(given.filter(|(user, id)| wanted.get(user).is_some_and(|wanted| wanted != id)).collect())
    }
}

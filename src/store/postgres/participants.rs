//! Participants as REST shows them, with what each has not read.

use std::collections::HashMap;

use actors::domain::ids::{ParticipantId, RoomId, Seq, UserId};
use actors::domain::participant::{Participant, Role};
use actors::domain::room::RoomType;
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresStore;
use super::reader::Reader;
use super::rows::{PARTICIPANT_WIDTH, author_columns, participant, participant_columns};

/// A participant with what events don't tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenParticipant {
    /// The participant.
    pub participant: Participant,
    /// The person's address.
    pub email: String,
    /// When the read mark moved last.
    pub read_at: Option<DateTime<Utc>>,
    /// Whether the room is muted for the person now.
    pub is_muted: bool,
    /// When that lapses.
    pub muted_until: Option<DateTime<Utc>>,
    /// The count of unread messages.
    pub unread: i64,
}

/// Which participants of the viewer's rooms are wanted.
#[derive(Clone, Debug, Default)]
pub struct ParticipantFilter {
    /// Of this room alone.
    pub room: Option<RoomId>,
    /// Of this person alone.
    pub user: Option<UserId>,
    /// Admins alone, or all but them.
    pub is_admin: Option<bool>,
}

/// How someone stands to a room that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The room's kind.
    pub room_type: RoomType,
    /// The person's role; `None` for one who isn't in it.
    pub role: Option<Role>,
}

/// A participant's columns and what [`seen`] reads beside them.
macro_rules! seen_columns {
    () => {
        concat!(
            participant_columns!(),
            ", u.email, p.read_at, p.is_muted AND (p.muted_until IS NULL OR p.muted_until > now()), p.muted_until"
        )
    };
}

const SEEN_WIDTH: usize = PARTICIPANT_WIDTH + 4;

fn seen(row: &Row) -> SeenParticipant {
    SeenParticipant {
        participant: participant(row, 0),
        email: row.get(PARTICIPANT_WIDTH),
        read_at: row.get(PARTICIPANT_WIDTH + 1),
        is_muted: row.get(PARTICIPANT_WIDTH + 2),
        muted_until: row.get(PARTICIPANT_WIDTH + 3),
        unread: 0,
    }
}

impl PostgresStore {
    /// Tells how a person stands to a room; `None`: no such room, or deleted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn standing(&self, room: RoomId, user: Option<UserId>) -> Result<Option<Standing>, StoreError> {
        const FIND: &str = "SELECT r.room_type, p.role FROM rooms r LEFT JOIN participants p
                ON p.room_id = r.id AND p.user_id = $2 AND p.left_at IS NULL
            WHERE r.id = $1 AND r.deleted_at IS NULL";
        let row = self.reader().await?.row(FIND, &[&room.0, &user.map(|user| user.0)]).await?;
        Ok(row.map(|row| Standing {
            room_type: RoomType::parse(row.get(0)).expect("the table holds known types only"),
            role: row.get::<_, Option<&str>>(1).map(Role::parse),
        }))
    }

    /// Reads those of `users` who are in a room.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn people_in(
        &self,
        room: RoomId,
        users: &[UserId],
    ) -> Result<Vec<SeenParticipant>, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            seen_columns!(),
            " FROM participants p JOIN people u ON u.id = p.user_id
              WHERE p.room_id = $1 AND p.user_id = ANY($2) AND p.left_at IS NULL"
        );
        let users: Vec<i64> = users.iter().map(|user| user.0).collect();
        Ok(self.reader().await?.rows(FIND, &[&room.0, &users]).await?.iter().map(seen).collect())
    }

    /// Reads a page of those who are in the viewer's rooms, in the order of their coming, and counts them.
    ///
    /// With `as_host`, task and property rooms count as the viewer's too.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn participant_page(
        &self,
        viewer: Option<UserId>,
        as_host: bool,
        filter: &ParticipantFilter,
        limit: i64,
        offset: i64,
    ) -> Result<(i64, Vec<SeenParticipant>), StoreError> {
        macro_rules! wanted {
            () => {
                "p.left_at IS NULL AND ($3::uuid IS NULL OR p.room_id = $3)
                 AND ($4::bigint IS NULL OR p.user_id = $4) AND ($5::text IS NULL OR p.role = $5)"
            };
        }
        const COUNTED: usize = SEEN_WIDTH;
        const FIND: &str = concat!(
            // One arm a way in: joined by an OR, all rooms would be gone through for someone who is in ten.
            "WITH mine AS MATERIALIZED (
                 SELECT r.id FROM participants me JOIN rooms r ON r.id = me.room_id AND r.deleted_at IS NULL
                 WHERE me.user_id = $1 AND me.left_at IS NULL AND ($3::uuid IS NULL OR me.room_id = $3)
                 UNION
                 SELECT r.id FROM rooms r
                 WHERE $2 AND r.id = $3 AND r.deleted_at IS NULL AND r.room_type IN ('task', 'property')
                 UNION
                 SELECT r.id FROM rooms r
                 WHERE $2 AND $3 IS NULL AND r.deleted_at IS NULL AND r.room_type IN ('task', 'property'))
             SELECT ",
            seen_columns!(),
            ", (SELECT count(*) FROM mine JOIN participants p ON p.room_id = mine.id WHERE ",
            wanted!(),
            ") FROM (SELECT 1) one LEFT JOIN (
                 SELECT p.* FROM mine JOIN participants p ON p.room_id = mine.id WHERE ",
            wanted!(),
            "    ORDER BY p.joined_at, p.id LIMIT $6 OFFSET $7) p ON true
             LEFT JOIN people u ON u.id = p.user_id ORDER BY p.joined_at, p.id"
        );
        let reader = self.long_reader().await?;
        let role = filter.is_admin.map(|is_admin| Role::of(is_admin).as_str());
        let (room, user) = (filter.room.map(|room| room.0), filter.user.map(|user| user.0));
        let viewer = viewer.map(|viewer| viewer.0);
        let rows = reader.rows(FIND, &[&viewer, &as_host, &room, &user, &role, &limit, &offset]).await?;
        let count = rows.first().map_or(0, |row| row.get(COUNTED));
        let is_one = |row: &&Row| row.get::<_, Option<Uuid>>(0).is_some();
        let mut people: Vec<_> = rows.iter().filter(is_one).map(seen).collect();
        fill_unread(&reader, &mut people).await?;
        Ok((count, people))
    }

    /// Reads one who is in a room, for someone who is in that room too or, with `as_host`, for the host
    /// application where the room is a task's or a property's.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn participant(
        &self,
        viewer: Option<UserId>,
        as_host: bool,
        id: ParticipantId,
    ) -> Result<Option<SeenParticipant>, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            seen_columns!(),
            " FROM participants p
              JOIN rooms r ON r.id = p.room_id AND r.deleted_at IS NULL
              JOIN people u ON u.id = p.user_id
              WHERE p.id = $1 AND p.left_at IS NULL AND (
                  ($3 AND r.room_type IN ('task', 'property'))
                  OR EXISTS (SELECT FROM participants me
                             WHERE me.room_id = p.room_id AND me.user_id = $2 AND me.left_at IS NULL))"
        );
        let reader = self.reader().await?;
        let row = reader.row(FIND, &[&id.0, &viewer.map(|viewer| viewer.0), &as_host]).await?;
        let mut found: Vec<_> = row.iter().map(seen).collect();
        fill_unread(&reader, &mut found).await?;
        Ok(found.pop())
    }
}

/// Reads all who are in a room, in the order of their coming.
pub(super) async fn roster(reader: &Reader, room: RoomId) -> Result<Vec<SeenParticipant>, StoreError> {
    const FIND: &str = concat!(
        "SELECT ",
        seen_columns!(),
        " FROM participants p JOIN people u ON u.id = p.user_id
          WHERE p.room_id = $1 AND p.left_at IS NULL ORDER BY p.joined_at, p.id"
    );
    let mut people: Vec<_> = reader.rows(FIND, &[&room.0]).await?.iter().map(seen).collect();
    fill_unread(reader, &mut people).await?;
    Ok(people)
}

/// Counts what each of `people` has not read.
///
/// A room's messages are gone through once, however many people there are: they are counted between
/// the marks, and for each person those after the mark are summed, less the person's own.
async fn fill_unread(reader: &Reader, people: &mut [SeenParticipant]) -> Result<(), StoreError> {
    const BETWEEN_MARKS: &str = "
        WITH marks AS (
            SELECT room_id, min(mark) AS first, array_agg(DISTINCT mark ORDER BY mark) AS steps
            FROM unnest($1::uuid[], $2::bigint[]) AS marks(room_id, mark) GROUP BY room_id)
        SELECT m.room_id, marks.steps[width_bucket(m.seq - 1, marks.steps)], count(*)
        FROM marks JOIN messages m ON m.room_id = marks.room_id AND m.seq > marks.first AND m.deleted_at IS NULL
        GROUP BY 1, 2";
    const OWN: &str = "
        SELECT mine.number, count(*)
        FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS mine(room_id, mark, user_id, number)
        JOIN messages m ON m.room_id = mine.room_id AND m.sender_id = mine.user_id AND m.seq > mine.mark
            AND m.deleted_at IS NULL
        GROUP BY mine.number";
    if people.is_empty() {
        return Ok(());
    }
    let rooms: Vec<Uuid> = people.iter().map(|seen| seen.participant.room.0).collect();
    let marks: Vec<i64> = people.iter().map(|seen| seen.participant.unread_after().0).collect();
    let users: Vec<i64> = people.iter().map(|seen| seen.participant.user.id.0).collect();
    let between = reader.rows(BETWEEN_MARKS, &[&rooms, &marks]).await?;
    let own = reader.rows(OWN, &[&rooms, &marks, &users]).await?;
    let mut steps: HashMap<RoomId, Vec<(Seq, i64)>> = HashMap::new();
    for row in between {
        steps.entry(RoomId(row.get(0))).or_default().push((Seq(row.get(1)), row.get(2)));
    }
    for seen in people.iter_mut() {
        let mark = seen.participant.unread_after();
        let later = steps.get(&seen.participant.room).into_iter().flatten();
        seen.unread = later.filter(|(step, _)| *step >= mark).map(|(_, count)| count).sum();
    }
    for row in own {
        let number: i64 = row.get(0);
        if let Some(seen) = usize::try_from(number - 1).ok().and_then(|index| people.get_mut(index)) {
            seen.unread -= row.get::<_, i64>(1);
        }
    }
    Ok(())
}

//! Participants as REST shows them, each with an unread count.

use std::collections::HashMap;

use actors::domain::ids::{ParticipantId, RoomId, Seq, UserId};
use actors::domain::participant::{NotificationLevel, Participant, Role};
use actors::domain::room::RoomType;
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::ReadClient;
use crate::store::postgres::rows::{PARTICIPANT_WIDTH, level, participant, participant_columns};
use crate::store::postgres::rules::{is_muted, timeline_count};

/// A participant with details that events don't carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantDetails {
    /// The participant as events carry it.
    pub participant: Participant,
    /// The user's email address.
    pub email: String,
    /// When the read mark last moved.
    pub read_at: Option<DateTime<Utc>>,
    /// Whether the room is muted for the user now.
    pub is_muted: bool,
    /// When the muting ends by itself.
    pub muted_until: Option<DateTime<Utc>>,
    /// What the user wants to be told of.
    pub level: NotificationLevel,
    /// Whether the room is one of the user's favourites.
    pub is_favourite: bool,
    /// The number of unread messages.
    pub unread: i64,
}

/// Selects participants of the viewer's rooms.
#[derive(Clone, Debug, Default)]
pub struct ParticipantFilter {
    /// Only of this room.
    pub room: Option<RoomId>,
    /// Only this user.
    pub user: Option<UserId>,
    /// Only admins, or only others.
    pub is_admin: Option<bool>,
    /// Only those with this role.
    pub role: Option<Role>,
}

/// A user's access to an existing room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomAccess {
    /// The room's type.
    pub room_type: RoomType,
    /// The user's role; `None` for a user who isn't in the room.
    pub role: Option<Role>,
    /// The position from which on the user may read. It is no limit for who isn't in the room.
    pub visible_from: Seq,
}

/// The columns that [`details`] reads.
macro_rules! details_columns {
    () => {
        concat!(
            participant_columns!(),
            ", u.email, p.read_at, ",
            is_muted!("p"),
            ", p.muted_until, p.level, p.is_favourite"
        )
    };
}

const DETAILS_WIDTH: usize = PARTICIPANT_WIDTH + 6;

fn details(row: &Row) -> ParticipantDetails {
    ParticipantDetails {
        participant: participant(row, 0),
        email: row.get(PARTICIPANT_WIDTH),
        read_at: row.get(PARTICIPANT_WIDTH + 1),
        is_muted: row.get(PARTICIPANT_WIDTH + 2),
        muted_until: row.get(PARTICIPANT_WIDTH + 3),
        level: level(row, PARTICIPANT_WIDTH + 4),
        is_favourite: row.get(PARTICIPANT_WIDTH + 5),
        unread: 0,
    }
}

impl PostgresStore {
    /// Reads a user's access to a room; `None`: the room doesn't exist or was deleted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn room_access(
        &self,
        room: RoomId,
        user: Option<UserId>,
    ) -> Result<Option<RoomAccess>, StoreError> {
        const FIND: &str = "SELECT r.room_type, p.role, coalesce(p.visible_from_seq, 0)
            FROM rooms r LEFT JOIN participants p
                ON p.room_id = r.id AND p.user_id = $2 AND p.left_at IS NULL
            WHERE r.id = $1 AND r.deleted_at IS NULL";
        let row = self.read_client().await?.row(FIND, &[&room.0, &user.map(|user| user.0)]).await?;
        Ok(row.map(|row| RoomAccess {
            room_type: RoomType::parse(row.get(0)).expect("the table holds known types only"),
            role: row.get::<_, Option<&str>>(1).map(Role::parse),
            visible_from: Seq(row.get(2)),
        }))
    }

    /// Whether a user is, or once was, a participant of a room that isn't deleted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn has_been_participant(&self, room: RoomId, user: UserId) -> Result<bool, StoreError> {
        const FIND: &str = "SELECT FROM participants p
                JOIN rooms r ON r.id = p.room_id AND r.deleted_at IS NULL
            WHERE p.room_id = $1 AND p.user_id = $2";
        Ok(self.read_client().await?.row(FIND, &[&room.0, &user.0]).await?.is_some())
    }

    /// Reads those of `users` who are in a room.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn participants_among(
        &self,
        room: RoomId,
        users: &[UserId],
    ) -> Result<Vec<ParticipantDetails>, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            details_columns!(),
            " FROM participants p JOIN people u ON u.id = p.user_id
              WHERE p.room_id = $1 AND p.user_id = ANY($2) AND p.left_at IS NULL"
        );
        let users: Vec<i64> = users.iter().map(|user| user.0).collect();
        Ok(self.read_client().await?.rows(FIND, &[&room.0, &users]).await?.iter().map(details).collect())
    }

    /// Reads a page of the current participants of the viewer's rooms, in the order in which they joined, with
    /// their total number.
    ///
    /// With `as_host`, task and property rooms count as the viewer's rooms too.
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
    ) -> Result<(i64, Vec<ParticipantDetails>), StoreError> {
        macro_rules! matches_filter {
            () => {
                "p.left_at IS NULL AND ($3::uuid IS NULL OR p.room_id = $3)
                 AND ($4::bigint IS NULL OR p.user_id = $4) AND ($5::text IS NULL OR p.role = $5)
                 AND ($8::boolean IS NULL OR (p.role = 'admin') = $8)"
            };
        }
        const COUNT_COLUMN: usize = DETAILS_WIDTH;
        const FIND: &str = concat!(
            // One arm for each kind of access: joined by OR they would scan all rooms for a viewer of ten.
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
            details_columns!(),
            ", (SELECT count(*) FROM mine JOIN participants p ON p.room_id = mine.id WHERE ",
            matches_filter!(),
            ") FROM (SELECT 1) one LEFT JOIN (
                 SELECT p.* FROM mine JOIN participants p ON p.room_id = mine.id WHERE ",
            matches_filter!(),
            "    ORDER BY p.joined_at, p.id LIMIT $6 OFFSET $7) p ON true
             LEFT JOIN people u ON u.id = p.user_id ORDER BY p.joined_at, p.id"
        );
        let client = self.long_read_client().await?;
        let (role, is_admin) = (filter.role.map(Role::as_str), filter.is_admin);
        let (room, user) = (filter.room.map(|room| room.0), filter.user.map(|user| user.0));
        let viewer_id = viewer.map(|viewer| viewer.0);
        let rows = client
            .rows(FIND, &[&viewer_id, &as_host, &room, &user, &role, &limit, &offset, &is_admin])
            .await?;
        let count = rows.first().map_or(0, |row| row.get(COUNT_COLUMN));
        let is_present = |row: &&Row| row.get::<_, Option<Uuid>>(0).is_some();
        let mut participants: Vec<_> = rows.iter().filter(is_present).map(details).collect();
        load_unread(&client, viewer, &mut participants).await?;
        Ok((count, participants))
    }

    /// Reads a current participant, for a viewer who is in the same room or, with `as_host`, for the host
    /// application if it is a task or property room.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn participant(
        &self,
        viewer: Option<UserId>,
        as_host: bool,
        id: ParticipantId,
    ) -> Result<Option<ParticipantDetails>, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            details_columns!(),
            " FROM participants p
              JOIN rooms r ON r.id = p.room_id AND r.deleted_at IS NULL
              JOIN people u ON u.id = p.user_id
              WHERE p.id = $1 AND p.left_at IS NULL AND (
                  ($3 AND r.room_type IN ('task', 'property'))
                  OR EXISTS (SELECT FROM participants me
                             WHERE me.room_id = p.room_id AND me.user_id = $2 AND me.left_at IS NULL))"
        );
        let client = self.read_client().await?;
        let row = client.row(FIND, &[&id.0, &viewer.map(|viewer| viewer.0), &as_host]).await?;
        let mut found: Vec<_> = row.iter().map(details).collect();
        load_unread(&client, viewer, &mut found).await?;
        Ok(found.pop())
    }
}

/// Reads the current participants of a room in the order in which they joined.
pub(crate) async fn roster(
    client: &ReadClient,
    viewer: Option<UserId>,
    room: RoomId,
) -> Result<Vec<ParticipantDetails>, StoreError> {
    const FIND: &str = concat!(
        "SELECT ",
        details_columns!(),
        " FROM participants p JOIN people u ON u.id = p.user_id
          WHERE p.room_id = $1 AND p.left_at IS NULL ORDER BY p.joined_at, p.id"
    );
    let mut participants: Vec<_> = client.rows(FIND, &[&room.0]).await?.iter().map(details).collect();
    load_unread(client, viewer, &mut participants).await?;
    Ok(participants)
}

/// Counts the unread messages of each of `participants`.
///
/// A room's messages are counted once, however many participants there are: they are counted between the read
/// marks, and each participant gets the sum of the counts after their mark, less their own messages.
async fn load_unread(
    client: &ReadClient,
    viewer: Option<UserId>,
    participants: &mut [ParticipantDetails],
) -> Result<(), StoreError> {
    // Those that stand in a thread alone are few and in an index of their own: they are taken away again.
    macro_rules! between_marks {
        ($sign:literal, $condition:literal) => {
            concat!(
                "SELECT m.room_id, marks.steps[width_bucket(m.seq - 1, marks.steps)], ",
                $sign,
                "count(*) FROM marks JOIN messages m
                     ON m.room_id = marks.room_id AND m.seq > marks.first AND m.deleted_at IS NULL",
                $condition,
                " GROUP BY 1, 2"
            )
        };
    }
    const BETWEEN_MARKS: &str = concat!(
        "WITH marks AS (
             SELECT room_id, min(mark) AS first, array_agg(DISTINCT mark ORDER BY mark) AS steps
             FROM unnest($1::uuid[], $2::bigint[]) AS marks(room_id, mark) GROUP BY room_id) ",
        between_marks!("", ""),
        " UNION ALL ",
        between_marks!("-", " AND NOT m.in_timeline")
    );
    const OWN: &str = concat!(
        "SELECT mine.number, ",
        timeline_count!("n.room_id = mine.room_id AND n.sender_id = mine.user_id AND n.seq > mine.mark"),
        " FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) WITH ORDINALITY
             AS mine(room_id, mark, user_id, number)"
    );
    if participants.is_empty() {
        return Ok(());
    }
    let rooms: Vec<Uuid> = participants.iter().map(|details| details.participant.room.0).collect();
    // What somebody else has marked as unread concerns that user alone.
    let unread_after = |participant: &Participant| match Some(participant.user.id) == viewer {
        true => participant.unread_after(),
        false => participant.unread_after_mark(),
    };
    let marks: Vec<i64> = participants.iter().map(|details| unread_after(&details.participant).0).collect();
    let users: Vec<i64> = participants.iter().map(|details| details.participant.user.id.0).collect();
    let between = client.rows(BETWEEN_MARKS, &[&rooms, &marks]).await?;
    let own = client.rows(OWN, &[&rooms, &marks, &users]).await?;
    let mut steps: HashMap<RoomId, Vec<(Seq, i64)>> = HashMap::new();
    for row in between {
        steps.entry(RoomId(row.get(0))).or_default().push((Seq(row.get(1)), row.get(2)));
    }
    for details in participants.iter_mut() {
        let mark = unread_after(&details.participant);
        let later = steps.get(&details.participant.room).into_iter().flatten();
        details.unread = later.filter(|(step, _)| *step >= mark).map(|(_, count)| count).sum();
    }
    for row in own {
        let number: i64 = row.get(0);
        if let Some(details) = usize::try_from(number - 1).ok().and_then(|index| participants.get_mut(index))
        {
            details.unread -= row.get::<_, i64>(1);
        }
    }
    Ok(())
}

//! A user's rooms as a list, page by page.
//!
//! Rooms move in the list while a client pages through it. A page requested by its number may repeat or skip
//! rooms. A page requested by the previous page's cursor continues the list as it was when its first page was
//! read, so nothing is repeated or skipped.

use std::fmt;
use std::str::FromStr;

use actors::domain::ids::UserId;
use actors::domain::participant::NotificationLevel;
use actors::domain::room::{Room, RoomType};
use actors::domain::user::UserSummary;
use actors::ports::store::StoreError;
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::store::postgres::PostgresStore;
use crate::store::postgres::rows::{ROOM_WIDTH, level, preview, room, room_columns, user_summary};
use crate::store::postgres::rules::{
    display_name, is_muted, is_visible, mention_count, preview_columns, unread_after, unread_count,
};

/// The longest accepted cursor. Its snapshot lists the transactions that were in progress.
const CURSOR_BYTES_MAX: usize = 4_096;
/// How long a list can be continued.
const CURSOR_AGE_MAX: TimeDelta = TimeDelta::hours(1);

/// A room in a list.
#[derive(Clone, Debug)]
pub struct ListedRoom {
    /// The room itself.
    pub room: Room,
    /// The other user of a direct room.
    pub partner: Option<UserSummary>,
    /// The number of unread messages.
    pub unread: i64,
    /// How many of them mention the user.
    pub mentions: i64,
    /// The number of current participants.
    pub participant_count: i64,
    /// The preview of the newest message, when it was sent, and by whom.
    pub last_message: Option<(String, DateTime<Utc>, UserSummary)>,
    /// Whether it is muted for the user now.
    pub is_muted: bool,
    /// What the user wants to be told of.
    pub level: NotificationLevel,
    /// Whether it is one of the user's favourites.
    pub is_favourite: bool,
}

/// Selects and orders a user's rooms.
#[derive(Clone, Debug, Default)]
pub struct RoomFilter {
    /// Only of this type.
    pub room_type: Option<RoomType>,
    /// Only rooms whose display name contains each of these words.
    pub search: Option<String>,
    /// Only rooms that aren't archived, or only those that are.
    pub is_active: Option<bool>,
    /// The order of the list.
    pub order: RoomOrder,
}

/// The order of a list of rooms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoomOrder {
    /// The latest activity first.
    #[default]
    LatestActivity,
    /// The latest activity last.
    EarliestActivity,
    /// The newest first.
    Newest,
    /// The oldest first.
    Oldest,
}

/// A page of a list of rooms.
#[derive(Clone, Debug)]
pub struct RoomPage {
    /// The number of rooms on all pages.
    pub count: i64,
    /// The rooms of this page.
    pub rooms: Vec<ListedRoom>,
    /// The cursor of the next page; `None` at the end.
    pub next: Option<RoomCursor>,
}

/// A position in a list of rooms as it was when its first page was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomCursor {
    /// When the first page was read, and the database snapshot of that moment.
    taken_at: DateTime<Utc>,
    snapshot: String,
    /// The sort key of the last room so far, and its id.
    key: DateTime<Utc>,
    room: Uuid,
}

impl RoomCursor {
    /// Whether the list can still be continued. Each page looks up what has changed since the first one, which
    /// must not become too much.
    #[must_use]
    pub fn is_usable(&self, now: DateTime<Utc>) -> bool {
        (now - CURSOR_AGE_MAX..now + CURSOR_AGE_MAX).contains(&self.taken_at)
    }
}

impl fmt::Display for RoomCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (taken_at, key) = (self.taken_at.timestamp_micros(), self.key.timestamp_micros());
        write!(f, "{taken_at}.{key}.{}.{}", self.room.simple(), self.snapshot)
    }
}

impl FromStr for RoomCursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(4, '.');
        let mut part = || parts.next().filter(|_| text.len() <= CURSOR_BYTES_MAX).ok_or(());
        // Times outside this range don't come from the database.
        let is_valid = |time: &DateTime<Utc>| (1970..10_000).contains(&time.year());
        let time = |part: &str| {
            part.parse().ok().and_then(DateTime::from_timestamp_micros).filter(is_valid).ok_or(())
        };
        let (taken_at, key) = (time(part()?)?, time(part()?)?);
        let room = Uuid::try_parse(part()?).map_err(drop)?;
        let snapshot = part()?;
        if !is_snapshot(snapshot) {
            return Err(());
        }
        Ok(Self { taken_at, snapshot: snapshot.to_owned(), key, room })
    }
}

/// Whether the database accepts this as a snapshot: `oldest:future:open,open`, in ascending order.
fn is_snapshot(text: &str) -> bool {
    let number = |part: &str| part.parse::<u64>().ok().filter(|_| !part.starts_with('+'));
    let mut parts = text.split(':');
    let (Some(oldest), Some(future), Some(open), None) =
        (parts.next().and_then(number), parts.next().and_then(number), parts.next(), parts.next())
    else {
        return false;
    };
    let mut last = oldest;
    let mut open = open.split(',').filter(|_| !open.is_empty());
    oldest > 0
        && oldest <= future
        && open.all(|id| {
            number(id).is_some_and(|id| {
                let fits = id >= last && id < future;
                last = id;
                fits
            })
        })
}

/// A page of the list: by its offset, or after a cursor.
struct PageRequest<'a> {
    limit: i64,
    offset: i64,
    after: Option<&'a RoomCursor>,
}

impl PostgresStore {
    /// Reads a page of a user's rooms with their total number, in one statement.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn room_page(
        &self,
        viewer: UserId,
        filter: &RoomFilter,
        limit: i64,
        offset: i64,
    ) -> Result<RoomPage, StoreError> {
        self.read_room_page(viewer, filter, &PageRequest { limit, offset, after: None }).await
    }

    /// Reads the page after `cursor` of the list as it was when its first page was read. The filter must be the
    /// same.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn room_page_after(
        &self,
        viewer: UserId,
        filter: &RoomFilter,
        limit: i64,
        cursor: &RoomCursor,
    ) -> Result<RoomPage, StoreError> {
        self.read_room_page(viewer, filter, &PageRequest { limit, offset: 0, after: Some(cursor) }).await
    }

    async fn read_room_page(
        &self,
        viewer: UserId,
        filter: &RoomFilter,
        request: &PageRequest<'_>,
    ) -> Result<RoomPage, StoreError> {
        macro_rules! page {
            ($key:expr, $direction:literal, $after:literal) => {
                concat!(
                    "WITH mine AS MATERIALIZED (
                         SELECT r.*, ", $key, " AS key, me.user_id, me.visible_from_seq,
                             ", unread_after!("me"), " AS unread_after,
                             partner.id AS partner, partner.username, partner.full_name,
                             partner.erased_at IS NOT NULL AS is_erased,
                             ", is_muted!("me"), " AS is_muted, me.level, me.is_favourite
                         FROM participants me JOIN rooms r ON r.id = me.room_id AND r.deleted_at IS NULL
                         LEFT JOIN people partner ON r.room_type = 'direct'
                             AND partner.id = CASE WHEN r.pair_low = me.user_id THEN r.pair_high ELSE r.pair_low END
                         WHERE me.user_id = $1 AND me.left_at IS NULL
                           AND ($2::text IS NULL OR r.room_type = $2)
                           AND ($3::boolean IS NULL OR (r.archived_at IS NULL) = $3)
                           AND ($4::text[] IS NULL OR folded_name(", display_name!("r", "partner"), ")
                               LIKE ALL (ARRAY(SELECT name_pattern(term) FROM unnest($4) term))))
                     SELECT ", room_columns!(), ", (SELECT count(*) FROM mine), r.partner,
                         ", unread_count!("r.id", "r.unread_after", "r.user_id"), ",
                         ", mention_count!("r.id", "r.unread_after", "r.user_id"), ",
                         (SELECT count(*) FROM participants p WHERE p.room_id = r.id AND p.left_at IS NULL),
                         ", preview_columns!("m"), ", m.created_at, r.is_muted,
                         m.sender_id, s.username, s.full_name, s.erased_at IS NOT NULL,
                         r.username, r.full_name, r.is_erased,
                         r.key, now(), pg_current_snapshot()::text, r.level, r.is_favourite
                     FROM (SELECT 1) one
                     LEFT JOIN (SELECT * FROM mine
                         WHERE $9::timestamptz IS NULL OR key ", $after, " $9 OR (key = $9 AND id > $10::uuid)
                         ORDER BY key ", $direction, ", id LIMIT $5 OFFSET $6) r ON true
                     LEFT JOIN messages m ON m.room_id = r.id AND m.id = r.last_message_id
                         AND ", is_visible!("m", "r"), "
                     LEFT JOIN people s ON s.id = m.sender_id
                     ORDER BY r.key ", $direction, ", r.id"
                )
            };
        }
        // The sort key of a room in the snapshot `$8`, which was taken at `$7`. Later activity is skipped by
        // reading the log; no transaction takes as long as a minute.
        macro_rules! activity {
            () => {
                "CASE WHEN $7::timestamptz IS NULL OR r.modified_at < $7 - interval '1 minute' THEN r.modified_at
                 ELSE (SELECT e.at FROM events e
                       WHERE e.room_id = r.id AND pg_visible_in_snapshot(e.xid, $8::text::pg_snapshot)
                         AND e.kind NOT IN ('message_edited', 'message_deleted', 'message_pinned', 'reaction',
                                            'message_acknowledged', 'card_changed', 'card_action')
                         AND NOT (e.kind = 'message_posted' AND EXISTS (SELECT FROM messages reply
                             WHERE reply.room_id = e.room_id AND reply.id = e.message_id AND NOT reply.in_timeline))
                       ORDER BY e.seq DESC LIMIT 1) END"
            };
        }
        // It never changes, but the parameters need types all the same.
        macro_rules! creation {
            () => {
                "CASE WHEN $7::timestamptz IS NULL OR $8::text IS NULL THEN r.created_at ELSE r.created_at END"
            };
        }
        let sql = match filter.order {
            RoomOrder::LatestActivity => page!(activity!(), "DESC", "<"),
            RoomOrder::EarliestActivity => page!(activity!(), "ASC", ">"),
            RoomOrder::Newest => page!(creation!(), "DESC", "<"),
            RoomOrder::Oldest => page!(creation!(), "ASC", ">"),
        };
        let room_type = filter.room_type.map(RoomType::as_str);
        let terms = filter.search.as_deref().map(|text| text.split_whitespace().collect::<Vec<_>>());
        // One row more than requested shows whether there are more.
        let limit = request.limit + 1;
        let (taken_at, snapshot) = request.after.map(|after| (after.taken_at, &*after.snapshot)).unzip();
        let (key, last) = request.after.map(|after| (after.key, after.room)).unzip();
        let client = self.long_read_client().await?;
        let mut rows = client
            .rows(
                sql,
                &[
                    &viewer.0,
                    &room_type,
                    &filter.is_active,
                    &terms,
                    &limit,
                    &request.offset,
                    &taken_at,
                    &snapshot,
                    &key,
                    &last,
                ],
            )
            .await?;
        let count = rows.first().map_or(0, |row| row.get(ROOM_WIDTH));
        let requested = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > requested;
        rows.truncate(requested);
        let next = rows.last().filter(|_| has_more).map(|last| RoomCursor {
            taken_at: taken_at.unwrap_or_else(|| last.get(KEY_COLUMN + 1)),
            snapshot: snapshot.map_or_else(|| last.get(KEY_COLUMN + 2), str::to_owned),
            key: last.get(KEY_COLUMN),
            room: last.get(0),
        });
        let is_present = |row: &&Row| row.get::<_, Option<Uuid>>(0).is_some();
        Ok(RoomPage { count, rooms: rows.iter().filter(is_present).map(listed_room).collect(), next })
    }
}

const PARTNER_COLUMNS: usize = ROOM_WIDTH + 13;
const KEY_COLUMN: usize = PARTNER_COLUMNS + 3;

fn listed_room(row: &Row) -> ListedRoom {
    let last_message = preview(row, ROOM_WIDTH + 5).map(|preview| {
        let sender = user_summary(row, UserId(row.get(ROOM_WIDTH + 9)), ROOM_WIDTH + 10);
        (preview, row.get(ROOM_WIDTH + 7), sender)
    });
    ListedRoom {
        room: room(row, 0),
        partner: row
            .get::<_, Option<i64>>(ROOM_WIDTH + 1)
            .map(|id| user_summary(row, UserId(id), PARTNER_COLUMNS)),
        unread: row.get(ROOM_WIDTH + 2),
        mentions: row.get(ROOM_WIDTH + 3),
        participant_count: row.get(ROOM_WIDTH + 4),
        last_message,
        is_muted: row.get(ROOM_WIDTH + 8),
        level: level(row, KEY_COLUMN + 3),
        is_favourite: row.get(KEY_COLUMN + 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        let written = "1763802000123456.1763802000000001.0190a000000070008000000000000001.10:20:10,14";
        let cursor: RoomCursor = written.parse().expect("a cursor");
        assert_eq!(cursor.to_string(), written);
        let with = |snapshot: &str| format!("1.1.0190a000000070008000000000000001.{snapshot}");
        assert!(with("20:20:").parse::<RoomCursor>().is_ok());
        for snapshot in
            ["", "0:1:", "2:1:", "1:2", "1:2:3", "1:9:5,4", "1:9:,", "1:9:5:6", "+1:2:", "1:2:x", "'"]
        {
            assert_eq!(with(snapshot).parse::<RoomCursor>(), Err(()), "{snapshot}");
        }
        for text in [
            "",
            "x",
            "1.2",
            "1.x.0190a000000070008000000000000001.1:2:",
            "1.1.x.1:2:",
            &with(&"1".repeat(5_000)),
        ] {
            assert_eq!(text.parse::<RoomCursor>(), Err(()), "{text}");
        }
    }
}

//! A person's rooms as lists, page by page.
//!
//! Rooms move while someone pages through them. A page can be asked for by its number, and then rooms may be
//! on two pages or on none; or by the cursor of the page before, which goes on through the list as it was
//! when that cursor's first page was read: nothing is repeated or left out.

use std::fmt;
use std::str::FromStr;

use actors::domain::ids::UserId;
use actors::domain::message::{self, MessageType};
use actors::domain::person::Author;
use actors::domain::room::{Room, RoomType};
use actors::ports::store::StoreError;
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresStore;
use super::rooms::ROOM_WIDTH;
use super::rows::{author, room, room_columns};

/// The longest cursor that is read: a snapshot names the transactions that were under way.
const CURSOR_BYTES_MAX: usize = 4_096;
/// How long a list can be gone on with.
const CURSOR_LASTS: TimeDelta = TimeDelta::hours(1);

/// A room in a list.
#[derive(Clone, Debug)]
pub struct ListedRoom {
    /// The room.
    pub room: Room,
    /// The other person of a direct room.
    pub partner: Option<Author>,
    /// The count of unread messages.
    pub unread: i64,
    /// How many are in it.
    pub participant_count: i64,
    /// One line about its newest message, when that was sent, and by whom.
    pub last_message: Option<(String, DateTime<Utc>, Author)>,
    /// Whether it is muted for this person now.
    pub is_muted: bool,
}

/// Which of a person's rooms are wanted.
#[derive(Clone, Debug, Default)]
pub struct RoomFilter {
    /// Of this kind alone.
    pub room_type: Option<RoomType>,
    /// Those whose names hold this.
    pub search: Option<String>,
    /// Those that are archived, or those that aren't; `None` for both.
    pub is_active: Option<bool>,
    /// In which order.
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
    /// How many rooms there are in all.
    pub count: i64,
    /// Those of this page.
    pub rooms: Vec<ListedRoom>,
    /// Where to go on; none at the end.
    pub next: Option<RoomCursor>,
}

/// A place in a list of rooms as it was when its first page was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomCursor {
    /// When that was, and what had committed by then; as the database writes it.
    taken: DateTime<Utc>,
    snapshot: String,
    /// The last room so far, and by what it has its place.
    key: DateTime<Utc>,
    room: Uuid,
}

impl RoomCursor {
    /// Whether a list can still be gone on with: what has changed since it was taken is looked up, and that
    /// may not be everything there is.
    #[must_use]
    pub fn is_usable(&self, now: DateTime<Utc>) -> bool {
        (now - CURSOR_LASTS..now + CURSOR_LASTS).contains(&self.taken)
    }
}

impl fmt::Display for RoomCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (taken, key) = (self.taken.timestamp_micros(), self.key.timestamp_micros());
        write!(f, "{taken}.{key}.{}.{}", self.room.simple(), self.snapshot)
    }
}

impl FromStr for RoomCursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(4, '.');
        let mut part = || parts.next().filter(|_| text.len() <= CURSOR_BYTES_MAX).ok_or(());
        // Of the times that the database knows.
        let is_one = |time: &DateTime<Utc>| (1970..10_000).contains(&time.year());
        let time =
            |part: &str| part.parse().ok().and_then(DateTime::from_timestamp_micros).filter(is_one).ok_or(());
        let (taken, key) = (time(part()?)?, time(part()?)?);
        let room = Uuid::try_parse(part()?).map_err(drop)?;
        let snapshot = part()?;
        if !is_snapshot(snapshot) {
            return Err(());
        }
        Ok(Self { taken, snapshot: snapshot.to_owned(), key, room })
    }
}

/// Whether the database reads this as a snapshot: `oldest:future:open,open`, rising.
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

/// Which rooms of the list are wanted.
struct Place<'a> {
    limit: i64,
    offset: i64,
    after: Option<&'a RoomCursor>,
}

impl PostgresStore {
    /// Reads a page of a person's rooms and counts them all, in one statement.
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
        self.rooms_at(viewer, filter, &Place { limit, offset, after: None }).await
    }

    /// Reads the page after `cursor`, of the list as it was when its first page was read; of the same
    /// filter and order.
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
        self.rooms_at(viewer, filter, &Place { limit, offset: 0, after: Some(cursor) }).await
    }

    async fn rooms_at(
        &self,
        viewer: UserId,
        filter: &RoomFilter,
        place: &Place<'_>,
    ) -> Result<RoomPage, StoreError> {
        // A name to be found is any by which the room is shown to this person.
        macro_rules! page {
            ($key:expr, $direction:literal, $after:literal) => {
                concat!(
                    "WITH mine AS MATERIALIZED (
                         SELECT r.*, ", $key, " AS key, me.user_id, me.read_seq, me.joined_seq,
                             partner.id AS partner, partner.username, partner.full_name,
                             partner.erased_at IS NOT NULL AS is_erased,
                             me.is_muted AND (me.muted_until IS NULL OR me.muted_until > now()) AS is_muted
                         FROM participants me JOIN rooms r ON r.id = me.room_id AND r.deleted_at IS NULL
                         LEFT JOIN people partner ON r.room_type = 'direct'
                             AND partner.id = CASE WHEN r.pair_low = me.user_id THEN r.pair_high ELSE r.pair_low END
                         WHERE me.user_id = $1 AND me.left_at IS NULL
                           AND ($2::text IS NULL OR r.room_type = $2)
                           AND ($3::boolean IS NULL OR (r.archived_at IS NULL) = $3)
                           AND ($4::text[] IS NULL OR folded_name(CASE
                               WHEN r.name <> '' THEN r.name
                               WHEN partner.id IS NOT NULL
                                   THEN coalesce(nullif(partner.full_name, ''), partner.username)
                               WHEN r.title <> '' AND r.room_type = 'task' THEN 'Task: ' || r.title
                               WHEN r.title <> '' AND r.room_type = 'property' THEN 'Property: ' || r.title
                               ELSE 'Chat #' || left(r.id::text, 8) END)
                               LIKE ALL (ARRAY(SELECT name_pattern(term) FROM unnest($4) term))))
                     SELECT ", room_columns!(), ", (SELECT count(*) FROM mine), r.partner,
                         (SELECT count(*) FROM messages m WHERE m.room_id = r.id AND m.deleted_at IS NULL
                              AND m.seq > greatest(r.read_seq, r.joined_seq) AND m.sender_id <> r.user_id),
                         (SELECT count(*) FROM participants p WHERE p.room_id = r.id AND p.left_at IS NULL),
                         m.message_type, left(m.content, 100), m.created_at, r.is_muted,
                         m.sender_id, s.username, s.full_name, s.erased_at IS NOT NULL,
                         r.username, r.full_name, r.is_erased,
                         r.key, now(), pg_current_snapshot()::text
                     FROM (SELECT 1) one
                     LEFT JOIN (SELECT * FROM mine
                         WHERE $9::timestamptz IS NULL OR key ", $after, " $9 OR (key = $9 AND id > $10::uuid)
                         ORDER BY key ", $direction, ", id LIMIT $5 OFFSET $6) r ON true
                     LEFT JOIN messages m ON m.room_id = r.id AND m.id = r.last_message_id
                     LEFT JOIN people s ON s.id = m.sender_id
                     ORDER BY r.key ", $direction, ", r.id"
                )
            };
        }
        // Where a room had its place in the snapshot `$8`, which was taken at `$7`. What was said or changed
        // since then is found in its log; no transaction takes as long as a minute.
        macro_rules! activity {
            () => {
                "CASE WHEN $7::timestamptz IS NULL OR r.modified_at < $7 - interval '1 minute' THEN r.modified_at
                 ELSE (SELECT e.at FROM events e
                       WHERE e.room_id = r.id AND pg_visible_in_snapshot(e.xid, $8::text::pg_snapshot)
                         AND e.kind NOT IN ('message_edited', 'message_deleted')
                       ORDER BY e.seq DESC LIMIT 1) END"
            };
        }
        // It never changes; the parameters must have types all the same.
        macro_rules! making {
            () => {
                "CASE WHEN $7::timestamptz IS NULL OR $8::text IS NULL THEN r.created_at ELSE r.created_at END"
            };
        }
        let sql = match filter.order {
            RoomOrder::LatestActivity => page!(activity!(), "DESC", "<"),
            RoomOrder::EarliestActivity => page!(activity!(), "ASC", ">"),
            RoomOrder::Newest => page!(making!(), "DESC", "<"),
            RoomOrder::Oldest => page!(making!(), "ASC", ">"),
        };
        let room_type = filter.room_type.map(RoomType::as_str);
        let terms = filter.search.as_deref().map(|text| text.split_whitespace().collect::<Vec<_>>());
        // One more than wanted tells whether there are more.
        let limit = place.limit + 1;
        let (taken, snapshot) = place.after.map(|after| (after.taken, &*after.snapshot)).unzip();
        let (key, last) = place.after.map(|after| (after.key, after.room)).unzip();
        let reader = self.long_reader().await?;
        let mut rows = reader
            .rows(
                sql,
                &[
                    &viewer.0,
                    &room_type,
                    &filter.is_active,
                    &terms,
                    &limit,
                    &place.offset,
                    &taken,
                    &snapshot,
                    &key,
                    &last,
                ],
            )
            .await?;
        let count = rows.first().map_or(0, |row| row.get(ROOM_WIDTH));
        let wanted = usize::try_from(place.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > wanted;
        rows.truncate(wanted);
        let next = rows.last().filter(|_| has_more).map(|last| RoomCursor {
            taken: taken.unwrap_or_else(|| last.get(KEY + 1)),
            snapshot: snapshot.map_or_else(|| last.get(KEY + 2), str::to_owned),
            key: last.get(KEY),
            room: last.get(0),
        });
        let is_one = |row: &&Row| row.get::<_, Option<Uuid>>(0).is_some();
        Ok(RoomPage { count, rooms: rows.iter().filter(is_one).map(listed).collect(), next })
    }
}

const PARTNER: usize = ROOM_WIDTH + 12;
const KEY: usize = PARTNER + 3;

fn listed(row: &Row) -> ListedRoom {
    let message_type = row.get::<_, Option<&str>>(ROOM_WIDTH + 4).and_then(MessageType::parse);
    let last_message = message_type.map(|message_type| {
        let content: &str = row.get(ROOM_WIDTH + 5);
        let sender = author(row, UserId(row.get(ROOM_WIDTH + 8)), ROOM_WIDTH + 9);
        (message::preview(message_type, false, content), row.get(ROOM_WIDTH + 6), sender)
    });
    ListedRoom {
        room: room(row, 0),
        partner: row.get::<_, Option<i64>>(ROOM_WIDTH + 1).map(|id| author(row, UserId(id), PARTNER)),
        unread: row.get(ROOM_WIDTH + 2),
        participant_count: row.get(ROOM_WIDTH + 3),
        last_message,
        is_muted: row.get(ROOM_WIDTH + 7),
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

//! Keeps the texts that are searched up with the messages, as a reader of the feed of commits.
//!
//! Of all nodes one at a time does a round; whoever is stopped in the middle has done nothing.

use actors::ports::store::StoreError;
use uuid::Uuid;

use super::PostgresStore;
use super::folding::{folded, is_nothing};

/// Makes a round, or an erasure that no event tells of, the only one.
///
/// It stands before the round and not in it: a statement's snapshot is older than its locks, and would show
/// what was erased while it waited for them.
pub(super) const ALONE: &str = "SELECT FROM texts_progress FOR UPDATE";
const ALONE_OR_NOT: &str = "SELECT FROM texts_progress FOR UPDATE SKIP LOCKED";

/// Messages that are read and folded at once, whatever their length: some megabytes at most.
const READ_AT_ONCE: usize = 100;

/// The messages of a round: of the events of whole transactions that follow the last round's. None of those
/// below the oldest transaction that is under way can still commit, so none is missed.
const CHANGED: &str = "WITH bounds AS MATERIALIZED (
        SELECT position AS since, coalesce(
            (SELECT (xid::text::bigint + 1)::text::xid8 FROM events
             WHERE xid >= position AND xid < pg_snapshot_xmin(pg_current_snapshot())
             ORDER BY xid OFFSET $1 LIMIT 1),
            pg_snapshot_xmin(pg_current_snapshot())) AS until
        FROM texts_progress)
    SELECT DISTINCT until::text, e.room_id, e.message_id FROM bounds LEFT JOIN LATERAL (
        SELECT room_id, message_id FROM events
        WHERE xid >= since AND xid < until AND message_id IS NOT NULL OFFSET 0) e ON true";

/// Messages as they are by now. What has changed them since the round began is of a later one.
const CURRENT: &str = "SELECT m.* FROM unnest($1::uuid[], $2::uuid[]) c (room_id, id) CROSS JOIN LATERAL (
        SELECT room_id, id, rev, CASE WHEN deleted_at IS NULL THEN content ELSE '' END
        FROM messages WHERE room_id = c.room_id AND id = c.id LIMIT 1) m";

/// The messages that are given, each with its folded text or none.
macro_rules! given {
    () => {
        "WITH given AS MATERIALIZED (
             SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[]) g (room_id, id, rev, folded)), "
    };
}

/// Takes the rows of given messages out of a table: each looked up by its key, whatever the planner thinks of
/// the tables' sizes. Nobody else writes meanwhile.
macro_rules! gone {
    ($table:literal, $which:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE ctid = ANY (ARRAY(
                 SELECT t.ctid FROM given g CROSS JOIN LATERAL (
                     SELECT ctid FROM ",
            $table,
            " WHERE room_id = g.room_id AND message_id = g.id LIMIT 1) t
                 WHERE ",
            $which,
            "))"
        )
    };
}

/// Puts texts in place of those that were there, and none for those without.
const PUT: &str = concat!(
    given!(),
    "gone AS (",
    gone!("texts", "g.folded IS NULL"),
    "), before AS (",
    gone!("texts_before", "true"),
    ")
     INSERT INTO texts (room_id, message_id, rev, folded)
     SELECT room_id, id, rev, folded FROM given WHERE folded IS NOT NULL
     ON CONFLICT (room_id, message_id) DO UPDATE SET rev = excluded.rev, folded = excluded.folded"
);
const REACHED: &str = "UPDATE texts_progress SET position = $1::text::xid8";

/// Texts of before they were folded, from a place on.
const UNFOLDED: &str = "SELECT room_id, message_id, rev, content FROM texts_before
    WHERE (room_id, message_id) > ($1, $2) ORDER BY room_id, message_id LIMIT $3";

/// Puts them, folded, where they are searched now.
const MOVE: &str = concat!(
    given!(),
    "before AS (",
    gone!("texts_before", "true"),
    ")
     INSERT INTO texts (room_id, message_id, rev, folded)
     SELECT room_id, id, rev, folded FROM given WHERE folded IS NOT NULL AND EXISTS (
         SELECT FROM messages m WHERE m.room_id = given.room_id AND m.id = given.id AND m.deleted_at IS NULL)
     ON CONFLICT (room_id, message_id) DO NOTHING"
);

/// Messages with their texts as they are searched; none where there is nothing to find.
#[derive(Default)]
struct Folded {
    rooms: Vec<Uuid>,
    ids: Vec<Uuid>,
    revs: Vec<i64>,
    texts: Vec<Option<String>>,
}

impl Folded {
    fn push(&mut self, room: Uuid, id: Uuid, rev: i64, content: &str) {
        self.rooms.push(room);
        self.ids.push(id);
        self.revs.push(rev);
        self.texts.push(Some(folded(content)).filter(|folded| !is_nothing(folded)));
    }
}

impl PostgresStore {
    /// Takes in the messages of up to about `limit` events; how many messages that were. None when there is
    /// nothing new or another node is at it.
    ///
    /// # Errors
    /// [`StoreError`]; doing it again is safe.
    pub async fn take_in_texts(&self, limit: i64) -> Result<i64, StoreError> {
        let mut client = self.background_writer().await?;
        let writer = client.begin().await?;
        if writer.row(ALONE_OR_NOT, &[]).await?.is_none() {
            return Ok(0);
        }
        let changed = writer.rows(CHANGED, &[&limit]).await?;
        let Some(until) = changed.first().map(|row| row.get::<_, String>(0)) else { return Ok(0) };
        let (rooms, ids): (Vec<Uuid>, Vec<Uuid>) = changed
            .iter()
            .filter_map(|row| Some((row.get::<_, Option<Uuid>>(1)?, row.get::<_, Uuid>(2))))
            .unzip();
        for (rooms, ids) in rooms.chunks(READ_AT_ONCE).zip(ids.chunks(READ_AT_ONCE)) {
            let mut current = Folded::default();
            for row in writer.rows(CURRENT, &[&rooms, &ids]).await? {
                current.push(row.get(0), row.get(1), row.get(2), row.get(3));
            }
            let Folded { rooms, ids, revs, texts } = &current;
            writer.rows(PUT, &[rooms, ids, revs, texts]).await?;
        }
        writer.rows(REACHED, &[&until]).await?;
        writer.commit().await?;
        Ok(i64::try_from(ids.len()).unwrap_or(i64::MAX))
    }

    /// Folds up to `limit` texts that an earlier version has taken in, those after `place`; where it came to.
    /// None when there are no more of them, or another node is at it.
    ///
    /// # Errors
    /// [`StoreError`]; doing it again is safe.
    pub async fn fold_earlier_texts(
        &self,
        place: (Uuid, Uuid),
        limit: i64,
    ) -> Result<Option<(Uuid, Uuid)>, StoreError> {
        let mut client = self.background_writer().await?;
        let writer = client.begin().await?;
        if writer.row(ALONE_OR_NOT, &[]).await?.is_none() {
            return Ok(Some(place));
        }
        let mut earlier = Folded::default();
        for row in writer.rows(UNFOLDED, &[&place.0, &place.1, &limit]).await? {
            earlier.push(row.get(0), row.get(1), row.get(2), row.get(3));
        }
        let Folded { rooms, ids, revs, texts } = &earlier;
        let Some(last) = rooms.last().copied().zip(ids.last().copied()) else { return Ok(None) };
        writer.rows(MOVE, &[rooms, ids, revs, texts]).await?;
        writer.commit().await?;
        Ok(Some(last))
    }
}

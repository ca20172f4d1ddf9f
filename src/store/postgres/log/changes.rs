//! Everything that happened in all rooms, in pages, for the host application.
//!
//! It is the feed that consumers of the log read, without a row that holds the position: the reader keeps a cursor.
//! A page has events of whole transactions that ended before the oldest one in progress, so what overlaps is neither
//! left out nor given twice. Transactions with more events than a page holds are given in parts: their events never
//! change, so the cursor names them, and the last one given.

use std::fmt;
use std::str::FromStr;

use actors::domain::event::Event;
use actors::domain::ids::{Epoch, RoomId, Seq};
use actors::ports::store::StoreError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::consumer::{Batch, read_batch};
use super::events;
use crate::store::postgres::PostgresStore;

/// The form of a cursor, which its text begins with.
const VERSION: &str = "1";

/// How far the host application has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangesCursor {
    /// The history that it is of.
    pub epoch: Epoch,
    /// Everything before this transaction was given.
    position: i64,
    /// What was given of the transactions from there on.
    part: Option<PartialBatch>,
}

/// Transactions of which a part was given, in the order of rooms and positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PartialBatch {
    /// The transaction after them.
    until: i64,
    /// The last event given.
    last: (RoomId, Seq),
}

/// The positions of the next events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesPage {
    /// The events, each room's in their order.
    pub positions: Vec<(RoomId, Seq)>,
    /// Where the page begins.
    from: ChangesCursor,
    /// The transaction after those that the events are of.
    until: i64,
    /// Whether these transactions have more events.
    is_cut: bool,
    /// Whether there is more in any case.
    pub has_more: bool,
}

impl ChangesCursor {
    /// The start of a history.
    #[must_use]
    pub fn start(epoch: Epoch) -> Self {
        Self { epoch, position: 0, part: None }
    }
}

impl ChangesPage {
    /// The cursor after the first `taken` events of the page.
    #[must_use]
    pub fn cursor_after(&self, taken: usize) -> ChangesCursor {
        let Self { positions, from, until, is_cut, .. } = self;
        if taken == positions.len() && !is_cut {
            return ChangesCursor { position: *until, part: None, ..*from };
        }
        match taken.checked_sub(1).and_then(|last| positions.get(last)) {
            None => *from,
            Some(last) => ChangesCursor { part: Some(PartialBatch { until: *until, last: *last }), ..*from },
        }
    }
}

impl PostgresStore {
    /// Reads where the next events after `cursor` are: at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn changes_page(&self, cursor: ChangesCursor, limit: usize) -> Result<ChangesPage, StoreError> {
        const REST: &str = "SELECT room_id, seq FROM events
            WHERE xid >= $1::text::xid8 AND xid < $2::text::xid8 AND (room_id, seq) > ($3, $4)
            ORDER BY room_id, seq LIMIT $5";
        let mut client = self.read_client().await?;
        let snapshot = client.snapshot().await?;
        let (mut positions, until, has_others): (Vec<(RoomId, Seq)>, i64, bool) = match cursor.part {
            Some(PartialBatch { until, last: (room, seq) }) => {
                let rows = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
                let (from, to) = (cursor.position.to_string(), until.to_string());
                let rows = snapshot.rows(REST, &[&from, &to, &room.0, &seq.0, &rows]).await?;
                // Behind the rest of a batch there may be others.
                (rows.iter().map(|row| (RoomId(row.get(0)), Seq(row.get(1)))).collect(), until, true)
            }
            None => {
                let Batch { events, until, is_cut } = read_batch(&snapshot, cursor.position, limit).await?;
                (events.iter().map(|event| (event.room, event.seq)).collect(), until, is_cut)
            }
        };
        snapshot.end().await?;
        let is_cut = positions.len() > limit;
        let has_more = has_others || positions.len() >= limit;
        positions.truncate(limit);
        Ok(ChangesPage { positions, from: cursor, until, is_cut, has_more })
    }

    /// Reads the events at these positions, each with what it is about as it is now. It ends before an event of a kind
    /// that only newer nodes know.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn events_at(&self, positions: &[(RoomId, Seq)]) -> Result<Vec<Event>, StoreError> {
        self.with_read_client(async |client| events::read_at(client, positions).await).await
    }
}

impl fmt::Display for ChangesCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{VERSION}.{}.{}", self.epoch.0.simple(), self.position);
        if let Some(PartialBatch { until, last: (room, seq) }) = self.part {
            text += &format!(".{until}.{}.{seq}", room.0.simple());
        }
        f.write_str(&URL_SAFE_NO_PAD.encode(text))
    }
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct InvalidCursor;

impl FromStr for ChangesCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let text = str::from_utf8(&bytes).map_err(|_| InvalidCursor)?;
        let parts: Vec<&str> = text.split('.').collect();
        let id = |text: &str| Uuid::try_parse(text).map_err(|_| InvalidCursor);
        let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0).ok_or(InvalidCursor);
        let (epoch, position, part) = match parts[..] {
            [VERSION, epoch, position] => (epoch, position, None),
            [VERSION, epoch, position, until, room, seq] => {
                let last = (RoomId(id(room)?), Seq(number(seq)?));
                (epoch, position, Some(PartialBatch { until: number(until)?, last }))
            }
            _ => return Err(InvalidCursor),
        };
        Ok(Self { epoch: Epoch(id(epoch)?), position: number(position)?, part })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let epoch = Epoch(Uuid::from_u128(7));
        let whole = ChangesCursor { epoch, position: 812, part: None };
        let last = (RoomId(Uuid::from_u128(9)), Seq(41));
        let part = ChangesCursor { part: Some(PartialBatch { until: 815, last }), ..whole };
        for cursor in [ChangesCursor::start(epoch), whole, part] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for wrong in [
            String::new(),
            "812".to_owned(),
            "%%".to_owned(),
            encoded("1"),
            encoded("2.00000000000000000000000000000007.812"),
            encoded("1.x.812"),
            encoded("1.00000000000000000000000000000007.-1"),
            encoded("1.00000000000000000000000000000007.812.815"),
        ] {
            assert_eq!(wrong.parse::<ChangesCursor>(), Err(InvalidCursor), "{wrong}");
        }
    }

    #[test]
    fn a_page_goes_on_after_what_was_taken_of_it() {
        let from = ChangesCursor::start(Epoch(Uuid::from_u128(7)));
        let positions: Vec<_> = (1..=3).map(|seq| (RoomId(Uuid::from_u128(9)), Seq(seq))).collect();
        let page = ChangesPage { positions, from, until: 20, is_cut: false, has_more: false };
        let whole = ChangesCursor { position: 20, ..from };
        let after = |seq| {
            let last = (RoomId(Uuid::from_u128(9)), Seq(seq));
            ChangesCursor { part: Some(PartialBatch { until: 20, last }), ..from }
        };
        assert_eq!(
            (page.cursor_after(0), page.cursor_after(2), page.cursor_after(3)),
            (from, after(2), whole)
        );
        let cut = ChangesPage { is_cut: true, ..page };
        assert_eq!(cut.cursor_after(3), after(3));
    }
}

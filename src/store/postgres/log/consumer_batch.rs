//! Which events of the feed a consumer can be given next.
//!
//! The feed is in the order of transaction ids. A transaction that locks several rooms may wait for one while a
//! younger transaction commits there, so within one room a lower position may have a higher transaction id. A
//! batch must contain the predecessor of each of its events, unless an earlier batch has.

use actors::domain::ids::{MessageId, RoomId, Seq};

/// An event as consumers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// The room.
    pub room: RoomId,
    /// The position in the room's log.
    pub seq: Seq,
    /// The message that the event is about.
    pub message: Option<MessageId>,
}

/// An event of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FeedEvent {
    pub(super) event: LogEvent,
    /// The transaction that committed it.
    pub(super) transaction: i64,
    /// The transaction of the event before it in the same room.
    pub(super) previous: Option<i64>,
}

/// Counts the events at the beginning of `feed` that can be given next: the fewest whole transactions that have at
/// least `wanted` events and contain the predecessors of all of them, or as many as possible. If `is_cut` is set,
/// more events of the last transaction may follow, so it is left out.
pub(super) fn batch_len(feed: &[FeedEvent], wanted: usize, is_cut: bool) -> usize {
    let (mut found, mut len) = (0, 0);
    let mut newest_previous = i64::MIN;
    for transaction in feed.chunk_by(|one, other| one.transaction == other.transaction) {
        len += transaction.len();
        if found >= wanted || (is_cut && len == feed.len()) {
            break;
        }
        let previous = transaction.iter().filter_map(|event| event.previous);
        newest_previous = previous.fold(newest_previous, i64::max);
        if newest_previous <= transaction[0].transaction {
            found = len;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    /// A feed of rooms whose logs list the transactions of their events, in the order of positions.
    fn feed(logs: &[&[i64]]) -> Vec<FeedEvent> {
        let mut feed = Vec::new();
        for (room, log) in (1..).zip(logs) {
            for (at, transaction) in log.iter().enumerate() {
                let event = LogEvent {
                    room: RoomId(Uuid::from_u128(room)),
                    seq: Seq(i64::try_from(at).expect("a short log") + 1),
                    message: None,
                };
                let previous = at.checked_sub(1).map(|before| log[before]);
                feed.push(FeedEvent { event, transaction: *transaction, previous });
            }
        }
        feed.sort_by_key(|event| event.transaction);
        feed
    }

    #[test]
    fn a_batch_has_whole_transactions() {
        let feed = feed(&[&[1, 1, 2, 3], &[1, 3]]);
        assert_eq!(batch_len(&feed, 1, false), 3);
        assert_eq!(batch_len(&feed, 3, false), 3);
        assert_eq!(batch_len(&feed, 4, false), 4);
        assert_eq!(batch_len(&feed, 9, false), 6);
        assert_eq!(batch_len(&feed, 9, true), 4);
        assert_eq!(batch_len(&[], 1, false), 0);
    }

    #[test]
    fn an_event_waits_for_its_predecessor_of_a_later_transaction() {
        let out_of_order = feed(&[&[5, 4, 6], &[4]]);
        assert_eq!(batch_len(&out_of_order, 1, false), 3);
        assert_eq!(batch_len(&out_of_order[..2], 1, false), 0, "transaction 5 is still in progress");
        assert_eq!(batch_len(&out_of_order, 1, true), 3);
    }

    proptest! {
        #[test]
        fn batches_give_each_room_its_log_in_order(
            logs in vec(vec(1..20_i64, 0..12), 1..4),
            wanted in 1..8_usize,
        ) {
            let logs: Vec<&[i64]> = logs.iter().map(Vec::as_slice).collect();
            let feed = feed(&logs);
            let mut rest = feed.as_slice();
            let mut given: BTreeMap<RoomId, i64> = BTreeMap::new();
            while !rest.is_empty() {
                let len = batch_len(rest, wanted, false);
                prop_assert!(len > 0, "all of these transactions have ended");
                let (batch, after) = rest.split_at(len);
                prop_assert!(after.first().is_none_or(|next| next.transaction > batch[len - 1].transaction));
                let mut events: Vec<LogEvent> = batch.iter().map(|event| event.event).collect();
                events.sort_by_key(|event| (event.room, event.seq));
                for event in events {
                    let last = given.entry(event.room).or_default();
                    prop_assert_eq!(event.seq.0, *last + 1);
                    *last = event.seq.0;
                }
                rest = after;
            }
        }
    }
}

//! Read marks, and when they moved, from `last_read_at` and `read_by`.
//!
//! A mark moves forward only. So of what a user has read, an entry counts as a move unless a later message was read at
//! the same time or before: then the mark was past it already.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::{Map, Value};

use super::MarksSource;
use crate::store::postgres::moving::{MovedReadMark, OldParticipant, ReadMove};

/// Moves of one user that are kept until later messages are known, which could take their place. Nobody reads a message
/// before it is sent, so the older half of that many is settled.
const MOVES_PENDING_MAX: usize = 4_096;

/// The entries of `read_by` that don't count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DroppedReceipts {
    /// Those that name no user of the room, or no time.
    pub(super) invalid: u64,
    /// Those of authors.
    pub(super) own: u64,
    /// Those beyond the mark.
    pub(super) beyond: u64,
}

/// The read marks of a room, as its messages come in the order of the log.
pub(super) struct ReadMarks {
    source: MarksSource,
    readers: BTreeMap<i64, Reader>,
    settled: Vec<ReadMove>,
}

#[derive(Default)]
struct Reader {
    last_read_at: Option<DateTime<Utc>>,
    /// The newest message at or before that.
    last_read: i64,
    is_last_read_added: bool,
    /// The mark.
    seq: i64,
    /// When the mark moved last.
    at: Option<DateTime<Utc>>,
    /// Moves with rising positions and rising times.
    moves: VecDeque<(i64, DateTime<Utc>)>,
}

impl Reader {
    fn read(&mut self, seq: i64, at: DateTime<Utc>) {
        if self.moves.back().is_some_and(|(last, _)| *last >= seq) {
            return;
        }
        while self.moves.back().is_some_and(|(_, earlier)| *earlier >= at) {
            self.moves.pop_back();
        }
        self.moves.push_back((seq, at));
        self.seq = self.seq.max(seq);
    }

    fn add_last_read(&mut self) {
        if let (Some(at), false) = (self.last_read_at, self.is_last_read_added) {
            self.is_last_read_added = true;
            if self.last_read > 0 {
                self.read(self.last_read, at);
            }
        }
    }
}

impl ReadMarks {
    pub(super) fn new(source: MarksSource, participants: &[OldParticipant]) -> Self {
        let reader = |participant: &OldParticipant| {
            (participant.user, Reader { last_read_at: participant.last_read_at, ..Reader::default() })
        };
        Self { source, readers: participants.iter().map(reader).collect(), settled: Vec::new() }
    }

    /// Takes in a message. Returns which entries of its `read_by` don't count.
    pub(super) fn add_message(
        &mut self,
        seq: i64,
        sent_at: DateTime<Utc>,
        sender: Option<i64>,
        read_by: &str,
    ) -> DroppedReceipts {
        for reader in self.readers.values_mut() {
            match reader.last_read_at {
                Some(at) if sent_at <= at => reader.last_read = seq,
                _ => reader.add_last_read(),
            }
        }
        let mut dropped = DroppedReceipts::default();
        if read_by.is_empty() || read_by == "{}" {
            return dropped;
        }
        let Ok(entries) = serde_json::from_str::<Map<String, Value>>(read_by) else {
            dropped.invalid = 1;
            return dropped;
        };
        for (user, time) in &entries {
            let user = user.parse().ok();
            let at = time.as_str().and_then(parse_time);
            let reader = user.and_then(|user: i64| self.readers.get_mut(&user));
            let (Some(reader), Some(at)) = (reader, at) else {
                dropped.invalid += 1;
                continue;
            };
            if user == sender {
                dropped.own += 1;
            } else if self.source == MarksSource::LastRead && reader.last_read < seq {
                dropped.beyond += 1;
            } else {
                reader.read(seq, at);
            }
        }
        self.settle();
        dropped
    }

    /// Takes the moves that nothing can change any more.
    pub(super) fn take_settled(&mut self) -> Vec<ReadMove> {
        std::mem::take(&mut self.settled)
    }

    /// The marks at the end of the log; all moves are settled then.
    pub(super) fn finish(&mut self) -> Vec<MovedReadMark> {
        let mut marks = Vec::with_capacity(self.readers.len());
        for (user, reader) in &mut self.readers {
            reader.add_last_read();
            reader.at = reader.moves.back().map(|(_, at)| *at).max(reader.last_read_at);
            marks.push(MovedReadMark { user: *user, seq: reader.seq, at: reader.at });
            self.settled.extend(reader.moves.drain(..).map(|(seq, at)| ReadMove { user: *user, seq, at }));
        }
        marks
    }

    fn settle(&mut self) {
        for (user, reader) in &mut self.readers {
            if reader.moves.len() >= MOVES_PENDING_MAX {
                let older = reader.moves.drain(..MOVES_PENDING_MAX / 2);
                self.settled.extend(older.map(|(seq, at)| ReadMove { user: *user, seq, at }));
            }
        }
    }
}

/// Reads a time as Python writes it; without a zone it is one of UTC.
fn parse_time(time: &str) -> Option<DateTime<Utc>> {
    let zoned = DateTime::parse_from_rfc3339(time).or_else(|_| DateTime::parse_from_str(time, "%F %T%.f%:z"));
    let naive = || {
        ["%FT%T%.f", "%F %T%.f"].iter().find_map(|format| NaiveDateTime::parse_from_str(time, format).ok())
    };
    zoned.ok().map(|time| time.with_timezone(&Utc)).or_else(|| naive().map(|time| time.and_utc()))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const ANN: i64 = 1;
    const BOB: i64 = 2;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn participant(user: i64, last_read_at: Option<i64>) -> OldParticipant {
        OldParticipant {
            id: user,
            room: Uuid::nil(),
            user,
            joined_at: at(0),
            left_at: None,
            last_read_at: last_read_at.map(at),
            is_muted: false,
            muted_until: None,
            is_admin: false,
        }
    }

    fn read_at(minutes: &[(i64, i64)]) -> String {
        let entries =
            minutes.iter().map(|(user, minute)| (user.to_string(), json!(at(*minute).to_rfc3339())));
        Value::Object(entries.collect()).to_string()
    }

    /// Messages of Bob's, each one sent at ten times its position, which Ann has read at these minutes.
    fn ann_reads(source: MarksSource, last_read_at: Option<i64>, reads: &[Option<i64>]) -> ReadMarks {
        let participants = [participant(ANN, last_read_at), participant(BOB, None)];
        let mut marks = ReadMarks::new(source, &participants);
        for (seq, minute) in (1..).zip(reads) {
            let entries: Vec<(i64, i64)> = minute.iter().map(|minute| (ANN, *minute)).collect();
            marks.add_message(seq, at(seq * 10), Some(BOB), &read_at(&entries));
        }
        marks
    }

    fn moves_of(marks: &mut ReadMarks) -> (MovedReadMark, Vec<(i64, DateTime<Utc>)>) {
        let mark = *marks.finish().iter().find(|mark| mark.user == ANN).expect("Ann has a mark");
        (mark, marks.take_settled().iter().map(|one| (one.seq, one.at)).collect())
    }

    #[test]
    fn the_mark_is_the_newest_message_at_or_before_last_read_at() {
        let mut marks = ann_reads(MarksSource::LastRead, Some(20), &[Some(15), None, Some(35)]);
        let (mark, moves) = moves_of(&mut marks);
        assert_eq!(mark, MovedReadMark { user: ANN, seq: 2, at: Some(at(20)) });
        assert_eq!(moves, [(1, at(15)), (2, at(20))]);
        let (mark, moves) = moves_of(&mut ann_reads(MarksSource::LastRead, Some(5), &[None]));
        assert_eq!((mark.seq, mark.at, moves.len()), (0, Some(at(5)), 0), "read before anything was sent");
        let (mark, _) = moves_of(&mut ann_reads(MarksSource::LastRead, None, &[Some(11)]));
        assert_eq!((mark.seq, mark.at), (0, None));
    }

    #[test]
    fn the_furthest_mark_takes_receipts_beyond_last_read_at() {
        let mut marks = ann_reads(MarksSource::Furthest, Some(12), &[None, None, Some(35), None]);
        let (mark, moves) = moves_of(&mut marks);
        assert_eq!(mark, MovedReadMark { user: ANN, seq: 3, at: Some(at(35)) });
        assert_eq!(moves, [(1, at(12)), (3, at(35))]);
    }

    #[test]
    fn what_was_read_later_than_a_later_message_is_no_move() {
        let mut marks = ann_reads(MarksSource::Furthest, None, &[Some(40), Some(31), Some(32)]);
        let (_, moves) = moves_of(&mut marks);
        assert_eq!(moves, [(2, at(31)), (3, at(32))]);
    }

    #[test]
    fn entries_of_authors_unknown_users_and_without_a_time_are_dropped() {
        let participants = [participant(ANN, Some(99)), participant(BOB, None)];
        let mut marks = ReadMarks::new(MarksSource::LastRead, &participants);
        let read_by = json!({"1": "1970-01-01T00:20:00", "2": "1970-01-01T00:20:00+00:00", "abc": "x",
            "99999": "1970-01-01T00:20:00+00:00", "01": 5});
        let dropped = marks.add_message(1, at(10), Some(BOB), &read_by.to_string());
        assert_eq!(dropped, DroppedReceipts { invalid: 3, own: 1, beyond: 0 });
        assert_eq!(marks.add_message(2, at(11), None, "[1]").invalid, 1);
        let (_, moves) = moves_of(&mut marks);
        assert_eq!(moves, [(1, at(20)), (2, at(99))], "a time without a zone is one of UTC");
    }

    #[test]
    fn a_long_log_is_settled_in_pieces() {
        let reads: Vec<Option<i64>> = (1..=10_000).map(|seq| Some(seq * 10 + 1)).collect();
        let mut marks = ann_reads(MarksSource::Furthest, None, &reads);
        assert!(marks.readers[&ANN].moves.len() < MOVES_PENDING_MAX);
        let (mark, moves) = moves_of(&mut marks);
        assert_eq!((mark.seq, moves.len()), (10_000, 10_000));
        assert!(moves.is_sorted());
    }
}

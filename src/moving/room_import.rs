//! Moves one room in.
//!
//! Django's rows are read as a log. As far as the chat has that log already, both are compared; the rest is appended, a
//! piece with each transaction. Where they differ, the room's log is written anew: what happened late in Django, such as
//! a second edit of one message, can take the place of something earlier.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::file_mover::FileMover;
use super::message::{self, MessagePlace};
use super::plan::{RoomPlan, describe};
use super::progress::Progress;
use super::read_marks::ReadMarks;
use super::report::{Finding, MoveReport};
use super::{ERASED_USER, ImportOptions};
use crate::store::postgres::moving::{
    ChatWriter, DjangoSnapshot, LogEntry, LogEntryKind, MoveError, MovedMessage, MovedParticipant, MovedRoom,
    OldEvent, OldEventKind, OldMessage, OldParticipant, OldReply,
};

/// Events read and written at once.
const EVENTS_AT_ONCE: i32 = 1_000;
/// Replies to later messages that are set at once.
const REPLIES_AT_ONCE: usize = 1_000;

/// What it takes to move a room.
pub(super) struct RoomImport<'a> {
    pub(super) django: &'a DjangoSnapshot<'a>,
    pub(super) writer: &'a ChatWriter,
    pub(super) files: FileMover<'a>,
    pub(super) options: ImportOptions,
}

/// What became of a room.
pub(super) enum RoomOutcome {
    Moved {
        /// New messages.
        messages: u64,
        is_rewritten: bool,
    },
    LeftAlone,
}

/// A room whose log is being read.
struct RoomWalk<'a> {
    plan: &'a RoomPlan,
    participants: &'a [OldParticipant],
    admins: BTreeSet<i64>,
    /// The last event that the chat has.
    head: i64,
    /// The last event that was read.
    position: i64,
    marks: ReadMarks,
    has_later_replies: bool,
    new_messages: u64,
}

impl RoomImport<'_> {
    pub(super) async fn run(
        &self,
        mut plan: RoomPlan,
        moved: &BTreeMap<Uuid, MovedRoom>,
        fingerprint: &str,
        report: &mut MoveReport,
        progress: &mut Progress,
    ) -> Result<RoomOutcome, MoveError> {
        let Some(mut head) = self.prepare(&mut plan, moved, report).await? else {
            return Ok(RoomOutcome::LeftAlone);
        };
        let rows = self.django.participants(&plan.parts).await?;
        let participants = merge_participants(plan.row.id, rows);
        if self.options.is_dry_run {
            head = 0;
        } else {
            self.put_room(&plan, &participants, report).await?;
        }
        // What was reported of the room isn't reported again when its log is read twice.
        let (mut reported, mut is_rewritten) = (0, false);
        loop {
            let mut walk = RoomWalk {
                plan: &plan,
                participants: &participants,
                admins: participants.iter().filter(|one| one.is_admin).map(|one| one.user).collect(),
                head,
                position: 0,
                marks: ReadMarks::new(self.options.marks, &participants),
                has_later_replies: false,
                new_messages: 0,
            };
            if self.walk(&mut walk, &mut reported, report, progress).await? {
                if !self.options.is_dry_run {
                    self.finish(&mut walk, fingerprint).await?;
                }
                return Ok(RoomOutcome::Moved { messages: walk.new_messages, is_rewritten });
            }
            // An empty log can't differ, so this happens once.
            self.writer.begin().await?;
            self.writer.remove_log(plan.row.id).await?;
            self.writer.commit().await?;
            (head, is_rewritten) = (0, true);
        }
    }

    /// Finds out how far the room is moved; `None` if it has to be left alone.
    async fn prepare(
        &self,
        plan: &mut RoomPlan,
        moved: &BTreeMap<Uuid, MovedRoom>,
        report: &mut MoveReport,
    ) -> Result<Option<i64>, MoveError> {
        for part in &plan.parts {
            let Some((head, is_deleted)) = self.writer.room_head(*part).await? else { continue };
            match moved.get(part) {
                None => {
                    report.note(Finding::RoomNotMoved, describe(&plan.row));
                    return Ok(None);
                }
                Some(known) if is_deleted || known.head != head => {
                    report.note(Finding::RoomWrittenTo, describe(&plan.row));
                    return Ok(None);
                }
                // It was a room of its own until its pair got an older one.
                Some(_) if *part != plan.row.id && !self.options.is_dry_run => {
                    self.writer.begin().await?;
                    self.writer.remove_room(*part).await?;
                    self.writer.commit().await?;
                }
                Some(_) => {}
            }
        }
        if let Some(rival) = self.writer.rival_room(&plan.row).await? {
            plan.make_group();
            report.note(Finding::RivalRoom, format_args!("{}: {rival}", describe(&plan.row)));
        }
        Ok(Some(self.writer.room_head(plan.row.id).await?.map_or(0, |(head, _)| head)))
    }

    async fn put_room(
        &self,
        plan: &RoomPlan,
        participants: &[OldParticipant],
        report: &mut MoveReport,
    ) -> Result<(), MoveError> {
        let row = &plan.row;
        let mut written: Vec<MovedParticipant> = participants.iter().map(moved_participant).collect();
        self.writer.begin().await?;
        if let Some(partner) = plan.lost_partner {
            self.writer.put_erased_user(partner, row.created_at).await?;
            written.push(MovedParticipant {
                id: None,
                user: partner,
                joined_at: row.created_at,
                left_at: Some(row.modified_at),
                is_muted: false,
                muted_until: None,
                is_admin: false,
            });
        }
        self.writer.put_room(row, &plan.parts).await?;
        let renumbered = self.writer.put_participants(row.id, &written).await?;
        self.writer.commit().await?;
        for (user, id) in renumbered {
            let room = row.id;
            report.note(Finding::ParticipantRenumbered, format_args!("user {user} of room {room}, now {id}"));
        }
        Ok(())
    }

    /// Reads the log to its end. Returns `false` where the chat has another one.
    async fn walk(
        &self,
        walk: &mut RoomWalk<'_>,
        reported: &mut i64,
        report: &mut MoveReport,
        progress: &mut Progress,
    ) -> Result<bool, MoveError> {
        let plan = walk.plan;
        let row = &plan.row;
        let log = self.django.log(&plan.parts, walk.participants, row.archived_at).await?;
        let mut entries = vec![LogEntry {
            seq: 1,
            kind: LogEntryKind::Created,
            actor: row.created_by,
            message: None,
            at: row.created_at,
            participant: None,
        }];
        loop {
            let events = log.next(EVENTS_AT_ONCE).await?;
            entries.extend(events.iter().map(|event| walk.entry(event)));
            let messages = self.convert(walk, &events, reported, report, progress).await?;
            if !self.write(walk, &entries, &messages).await? {
                return Ok(false);
            }
            walk.position = entries.last().map_or(walk.position, |last| last.seq);
            entries.clear();
            if events.is_empty() {
                return Ok(walk.position >= walk.head);
            }
        }
    }

    /// Makes messages of those that were sent by these events, with their files, and notes who has read them.
    async fn convert(
        &self,
        walk: &mut RoomWalk<'_>,
        events: &[OldEvent],
        reported: &mut i64,
        report: &mut MoveReport,
        progress: &mut Progress,
    ) -> Result<Vec<MovedMessage>, MoveError> {
        let room = walk.plan.row.id;
        let erased_user = walk.plan.lost_partner.unwrap_or(ERASED_USER);
        let posted = || events.iter().filter_map(|event| Some((event, event.posted.as_deref()?)));
        let old: Vec<&OldMessage> = posted().map(|(_, message)| message).collect();
        let fates = self.files.move_files(room, &old, erased_user).await?;
        let later: Vec<Uuid> = old.iter().filter_map(|message| later_target(message)).collect();
        let present = self.writer.present_messages(room, &later).await?;
        let mut messages = Vec::with_capacity(old.len());
        for (event, old) in posted() {
            let fate = fates.get(&old.id);
            let place = MessagePlace { seq: event.seq, rev: event.rev, erased_user };
            let mut moved = message::convert(old, place, fate);
            if later_target(old).is_some_and(|target| !present.contains(&target)) {
                // The database takes it once the other message is there.
                moved.reply_to = None;
                walk.has_later_replies = true;
            }
            let dropped = walk.marks.add_message(event.seq, old.created_at, old.sender, &old.read_by);
            if event.seq > *reported {
                message::report(old, &moved, fate, room, report);
                if dropped.invalid > 0 {
                    let count = dropped.invalid;
                    report.note(
                        Finding::InvalidReceipt,
                        format_args!("{count} of message {} in room {room}", old.id),
                    );
                }
                report.count(Finding::OwnReceipt, dropped.own);
                report.count(Finding::ReceiptBeyondMark, dropped.beyond);
            }
            messages.push(moved);
        }
        if let Some(last) = events.last().filter(|last| last.seq > *reported) {
            *reported = last.seq;
            progress.add_messages(messages.len());
        }
        Ok(messages)
    }

    /// Compares what the chat has, and appends what it hasn't. Returns `false` where it has something else.
    async fn write(
        &self,
        walk: &mut RoomWalk<'_>,
        entries: &[LogEntry],
        messages: &[MovedMessage],
    ) -> Result<bool, MoveError> {
        let (room, head) = (walk.plan.row.id, walk.head);
        let (there, new) = entries.split_at(entries.partition_point(|entry| entry.seq <= head));
        let (old_messages, new_messages): (Vec<&MovedMessage>, Vec<&MovedMessage>) =
            messages.iter().partition(|message| message.seq <= head);
        walk.new_messages += u64::try_from(new_messages.len()).unwrap_or(u64::MAX);
        let moves = walk.marks.take_settled();
        if self.options.is_dry_run {
            return Ok(true);
        }
        if let (Some(first), Some(last)) = (there.first(), there.last()) {
            let found = self.writer.entries(room, first.seq, last.seq).await?;
            let is_same =
                found.len() == there.len() && found.iter().zip(there).all(|(key, entry)| key.is(entry));
            if !is_same || self.writer.update_messages(room, &old_messages, head).await? {
                return Ok(false);
            }
        }
        if !new.is_empty() || !moves.is_empty() {
            self.writer.begin().await?;
            self.writer.append(room, new, &new_messages).await?;
            self.writer.put_read_moves(room, &moves).await?;
            self.writer.commit().await?;
        }
        Ok(true)
    }

    /// Writes what is known at the end of the log only.
    async fn finish(&self, walk: &mut RoomWalk<'_>, fingerprint: &str) -> Result<(), MoveError> {
        let room = walk.plan.row.id;
        let replies = if walk.has_later_replies {
            self.django.later_replies(&walk.plan.parts).await?
        } else {
            Vec::new()
        };
        let marks = walk.marks.finish();
        self.writer.begin().await?;
        for replies in replies.chunks(REPLIES_AT_ONCE) {
            self.writer.set_replies(room, replies).await?;
        }
        self.writer.put_read_moves(room, &walk.marks.take_settled()).await?;
        self.writer.put_read_marks(room, &marks).await?;
        self.writer.finish_room(room, fingerprint).await?;
        self.writer.drop_unused_files(room).await?;
        self.writer.commit().await
    }
}

impl RoomWalk<'_> {
    fn entry(&self, event: &OldEvent) -> LogEntry {
        let (kind, actor) = match event.kind {
            OldEventKind::Joined => (LogEntryKind::Joined, None),
            OldEventKind::Left => (LogEntryKind::Left, None),
            OldEventKind::Archived => (LogEntryKind::Archived, None),
            OldEventKind::Posted => (LogEntryKind::Posted, Some(self.author(event))),
            OldEventKind::Edited => (LogEntryKind::Edited, Some(self.author(event))),
            OldEventKind::Deleted => (LogEntryKind::Deleted, Some(self.author(event))),
        };
        LogEntry {
            seq: event.seq,
            kind,
            actor,
            message: event.message.map(|(id, _)| id),
            at: event.at,
            participant: event.user.map(|user| (user, self.admins.contains(&user))),
        }
    }

    fn author(&self, event: &OldEvent) -> i64 {
        let sender = event.message.and_then(|(_, sender)| sender);
        sender.or(self.plan.lost_partner).unwrap_or(ERASED_USER)
    }
}

fn later_target(message: &OldMessage) -> Option<Uuid> {
    match message.reply {
        OldReply::Later(target) => Some(target),
        _ => None,
    }
}

fn moved_participant(old: &OldParticipant) -> MovedParticipant {
    MovedParticipant {
        id: Some(old.id),
        user: old.user,
        joined_at: old.joined_at,
        left_at: old.left_at,
        is_muted: old.is_muted,
        muted_until: old.muted_until,
        is_admin: old.is_admin,
    }
}

/// One participant for each user, where a user is in several rooms that become one. The row of `room` counts; the user
/// has been there since the first of the times, and has read up to the last.
pub(super) fn merge_participants(room: Uuid, mut rows: Vec<OldParticipant>) -> Vec<OldParticipant> {
    fn latest(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        one.max(other)
    }
    rows.sort_by_key(|row| (row.room != room, row.id));
    let mut merged: Vec<OldParticipant> = Vec::with_capacity(rows.len());
    let mut places: BTreeMap<i64, usize> = BTreeMap::new();
    for row in rows {
        let Some(first) = places.get(&row.user).and_then(|at| merged.get_mut(*at)) else {
            places.insert(row.user, merged.len());
            merged.push(row);
            continue;
        };
        first.joined_at = first.joined_at.min(row.joined_at);
        first.last_read_at = latest(first.last_read_at, row.last_read_at);
        first.left_at = first.left_at.zip(row.left_at).map(|(one, other)| one.max(other));
    }
    merged.sort_by_key(|row| row.id);
    merged
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn participants_of_merged_rooms_are_one_for_each_user() {
        let at = |minute| DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        let (older, newer) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let row = |id, room, user, minute, left: Option<i64>| OldParticipant {
            id,
            room,
            user,
            joined_at: at(minute),
            left_at: left.map(at),
            last_read_at: Some(at(minute + 5)),
            is_muted: room == older,
            muted_until: None,
            is_admin: false,
        };
        let rows =
            vec![row(1, newer, 7, 3, None), row(2, older, 7, 1, Some(9)), row(3, older, 8, 1, Some(9))];
        let merged = merge_participants(older, rows);
        assert_eq!(merged.iter().map(|row| row.id).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(
            (merged[0].left_at, merged[0].last_read_at, merged[0].is_muted),
            (None, Some(at(8)), true)
        );
        assert_eq!((merged[0].joined_at, merged[1].left_at), (at(1), Some(at(9))));
    }
}

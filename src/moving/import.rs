//! Moves a Django chat in.
//!
//! Room by room, each in pieces: an import that was killed goes on where it was, and one that is run again takes what is
//! new or changed, by a fingerprint of each room. A room that fails costs itself alone.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::file_mover::FileMover;
use super::media::MediaSource;
use super::plan::{RoomPlan, describe, plan_rooms};
use super::progress::Progress;
use super::report::{Finding, MoveReport};
use super::room_import::{RoomImport, RoomOutcome};
use super::{ERASED_USER, IMPORT_LEASE, ImportOptions};
use crate::files::Uploads;
use crate::store::postgres::moving::{ChatWriter, DjangoSnapshot, MoveError, MovedRoom, OldCounts};

/// People read and written at once.
const USERS_AT_ONCE: i64 = 1_000;

/// An import.
pub struct Import<'a> {
    /// Django's tables.
    pub django: &'a DjangoSnapshot<'a>,
    /// The chat's tables.
    pub writer: &'a ChatWriter,
    /// Where Django's files are.
    pub media: &'a MediaSource,
    /// Where the chat's files are.
    pub uploads: &'a Uploads,
    /// What the import is told.
    pub options: ImportOptions,
}

/// What an import came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// People who were new or changed.
    pub users: u64,
    /// Rooms that were new or changed.
    pub rooms: u64,
    /// Rooms that were as they were.
    pub unchanged_rooms: u64,
    /// Rooms whose logs had to be written anew, since what was moved before stands elsewhere now.
    pub rewritten_rooms: u64,
    /// Rooms that could not be moved.
    pub failed_rooms: u64,
    /// Messages that were new.
    pub messages: u64,
}

impl Import<'_> {
    /// Imports everything.
    ///
    /// # Errors
    /// [`MoveError`]; what was moved stays, and the next import goes on from there.
    pub async fn run(&self, report: &mut MoveReport) -> Result<ImportSummary, MoveError> {
        self.require_no_nodes().await?;
        let counts = self.django.counts().await?;
        match self.writer.accounts_up_to(counts.last_user).await? {
            0 => {}
            accounts => return Err(MoveError::Accounts(accounts)),
        }
        let OldCounts { users, rooms, messages, participants, .. } = counts;
        report.line(format_args!(
            "in Django: {users} people, {rooms} rooms, {participants} participants, {messages} messages"
        ));
        report.line("left behind: who is typing");
        let mut summary = ImportSummary { users: self.move_users().await?, ..ImportSummary::default() };
        if !self.options.is_dry_run {
            self.writer.reserve_participant_ids(counts.last_participant).await?;
        }
        let old_rooms = self.django.rooms().await?;
        if let (Some(oldest), false) = (old_rooms.first(), self.options.is_dry_run) {
            self.writer.put_erased_user(ERASED_USER, oldest.created_at).await?;
        }
        let plans = plan_rooms(&old_rooms, report);
        drop(old_rooms);
        let moved = self.writer.moved_rooms().await?;
        report_vanished(&plans, &moved, report);
        let missing: BTreeSet<Uuid> = self.writer.rooms_of_missing_files().await?.into_iter().collect();
        let (unchanged, changed): (Vec<&RoomPlan>, Vec<&RoomPlan>) = plans.iter().partition(|plan| {
            let known = moved.get(&plan.row.id).and_then(|known| known.fingerprint.as_ref());
            known == Some(&self.fingerprint(plan)) && !missing.contains(&plan.row.id)
        });
        summary.unchanged_rooms = count(unchanged.len());
        let messages = changed.iter().map(|plan| plan.messages).sum();
        let mut progress = Progress::new("moved", changed.len(), messages);
        for plan in changed {
            self.require_no_nodes().await?;
            self.move_room(plan, &moved, report, &mut progress, &mut summary).await?;
            progress.add_room();
        }
        progress.print();
        if !self.options.is_dry_run {
            self.writer.make_durable().await?;
        }
        Ok(summary)
    }

    async fn move_users(&self) -> Result<u64, MoveError> {
        let (mut after, mut changed) = (i64::MIN, 0);
        loop {
            let users = self.django.users(after, USERS_AT_ONCE).await?;
            let Some(last) = users.last() else { return Ok(changed) };
            after = last.id;
            if !self.options.is_dry_run {
                changed += self.writer.put_users(&users).await?;
            }
        }
    }

    async fn move_room(
        &self,
        plan: &RoomPlan,
        moved: &BTreeMap<Uuid, MovedRoom>,
        report: &mut MoveReport,
        progress: &mut Progress,
        summary: &mut ImportSummary,
    ) -> Result<(), MoveError> {
        let files = FileMover {
            media: self.media,
            uploads: self.uploads,
            writer: self.writer,
            is_dry_run: self.options.is_dry_run,
        };
        let fingerprint = self.fingerprint(plan);
        let import = RoomImport { django: self.django, writer: self.writer, files, options: self.options };
        match import.run(plan.clone(), moved, &fingerprint, report, progress).await {
            Ok(RoomOutcome::Moved { messages, is_rewritten }) => {
                summary.rooms += 1;
                summary.messages += messages;
                summary.rewritten_rooms += u64::from(is_rewritten);
            }
            Ok(RoomOutcome::LeftAlone) => summary.failed_rooms += 1,
            Err(error) if error.is_about_a_row() => {
                self.writer.roll_back().await?;
                report.note(Finding::RoomFailed, format_args!("{}: {error}", describe(&plan.row)));
                summary.failed_rooms += 1;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The fingerprint of a room together with what is made of it.
    fn fingerprint(&self, plan: &RoomPlan) -> String {
        format!("{:?} {}", self.options.marks, plan.fingerprint)
    }

    /// A node keeps what it has read of a room, and would answer from it; its users would write meanwhile.
    async fn require_no_nodes(&self) -> Result<(), MoveError> {
        match self.writer.serving_nodes(IMPORT_LEASE).await? {
            nodes if nodes > 0 && !self.options.is_dry_run => Err(MoveError::NodesServe(nodes)),
            _ => Ok(()),
        }
    }
}

/// Reports rooms that were moved and are no longer in Django.
fn report_vanished(plans: &[RoomPlan], moved: &BTreeMap<Uuid, MovedRoom>, report: &mut MoveReport) {
    let there: BTreeSet<Uuid> = plans.iter().flat_map(|plan| plan.parts.iter().copied()).collect();
    for old_id in moved.keys().filter(|old_id| !there.contains(old_id)) {
        report.note(Finding::RoomVanished, old_id);
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

//! Compares Django's tables with the chat, both ways: counts and hashes of each room, and every difference by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Display};

use actors::domain::room::RoomType;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::message::{self, MessagePlace};
use super::plan::{RoomPlan, describe, plan_rooms};
use super::report::MoveReport;
use super::room_import::merge_participants;
use super::{ERASED_USER, MarksSource};
use crate::files::Uploads;
use crate::store::postgres::moving::{
    ChatSnapshot, DjangoSnapshot, ExportedMessage, ExportedParticipant, ExportedRoom, FileFate, MoveError,
    MovedFile, OldMessage,
};

/// Messages read at once.
const MESSAGES_AT_ONCE: i32 = 1_000;

/// A comparison.
pub struct Verify<'a> {
    /// Django's tables.
    pub django: &'a DjangoSnapshot<'a>,
    /// The chat's tables.
    pub chat: &'a ChatSnapshot<'a>,
    /// The chat's files.
    pub uploads: &'a Uploads,
    /// What read marks were taken from.
    pub marks: MarksSource,
}

/// What a comparison came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifySummary {
    /// Rooms on either side.
    pub rooms: u64,
    /// Messages on either side.
    pub messages: u64,
    /// Differences.
    pub differences: u64,
}

/// What messages are compared by. Users whom Django doesn't have are nobody.
#[derive(Debug, PartialEq, Eq)]
struct ComparedMessage<'a> {
    sender: Option<i64>,
    message_type: &'a str,
    content: &'a str,
    file: Option<&'a str>,
    reply_to: Option<Uuid>,
    created_at: DateTime<Utc>,
    edited_at: Option<DateTime<Utc>>,
    deleted_at: Option<DateTime<Utc>>,
}

/// One room that is being compared.
struct RoomComparison<'a> {
    name: String,
    report: &'a mut MoveReport,
    differences: u64,
    hashes: [Sha256; 2],
    counts: [u64; 2],
}

impl RoomComparison<'_> {
    fn differs(&mut self, what: impl Display) {
        self.differences += 1;
        let name = &self.name;
        self.report.line(format_args!("difference: {name}: {what}"));
    }

    fn compare<T: PartialEq + Debug>(&mut self, what: impl Display, django: &T, chat: &T) {
        if django != chat {
            self.differs(format_args!("{what} is {django:?} in Django and {chat:?} in the chat"));
        }
    }

    fn add(&mut self, side: usize, id: Uuid, message: &ComparedMessage<'_>) {
        self.counts[side] += 1;
        self.hashes[side].update(format!("{id} {message:?}\n"));
    }
}

impl Verify<'_> {
    /// Compares everything.
    ///
    /// # Errors
    /// [`MoveError`].
    pub async fn run(&self, report: &mut MoveReport) -> Result<VerifySummary, MoveError> {
        let users = self.django.user_ids().await?;
        let old_rooms = self.django.rooms().await?;
        let plans = plan_rooms(&old_rooms, &mut MoveReport::new(Box::new(std::io::sink())));
        let mut rooms: BTreeMap<Uuid, ExportedRoom> =
            self.chat.rooms().await?.into_iter().map(|room| (room.row.id, room)).collect();
        let mut summary = VerifySummary::default();
        for plan in &plans {
            summary.rooms += 1;
            let Some(room) = rooms.remove(&plan.row.id) else {
                summary.differences += 1;
                report.line(format_args!("difference: {} is only in Django", describe(&plan.row)));
                continue;
            };
            self.compare_room(plan, &room, &users, report, &mut summary).await?;
        }
        for room in rooms.values() {
            summary.rooms += 1;
            summary.differences += 1;
            report.line(format_args!("difference: {} is only in the chat", describe(&room.row)));
        }
        Ok(summary)
    }

    async fn compare_room(
        &self,
        plan: &RoomPlan,
        room: &ExportedRoom,
        users: &BTreeSet<i64>,
        report: &mut MoveReport,
        summary: &mut VerifySummary,
    ) -> Result<(), MoveError> {
        let mut comparison = RoomComparison {
            name: describe(&room.row),
            report,
            differences: 0,
            hashes: [Sha256::new(), Sha256::new()],
            counts: [0; 2],
        };
        compare_rows(plan, room, &mut comparison);
        let gaps = self.chat.log_gaps(plan.row.id).await?;
        if gaps > 0 {
            comparison.differs(format_args!("{gaps} positions of its log are wrong"));
        }
        self.compare_participants(plan, users, &mut comparison).await?;
        self.compare_messages(plan, users, &mut comparison).await?;
        let [django, chat] = comparison.hashes.map(|hash| format!("{:x}", hash.finalize()));
        let [in_django, in_chat] = comparison.counts;
        let verdict = if comparison.differences == 0 { "equal" } else { "DIFFERENT" };
        summary.messages += in_django.max(in_chat);
        summary.differences += comparison.differences;
        comparison.report.line(format_args!(
            "{verdict}: {}: {in_django} messages {} in Django, {in_chat} messages {} in the chat",
            comparison.name,
            &django[..16],
            &chat[..16]
        ));
        Ok(())
    }

    async fn compare_participants(
        &self,
        plan: &RoomPlan,
        users: &BTreeSet<i64>,
        comparison: &mut RoomComparison<'_>,
    ) -> Result<(), MoveError> {
        let rows = self.django.participants(&plan.parts).await?;
        let expected = merge_participants(plan.row.id, rows);
        let here = self.chat.participants(plan.row.id).await?;
        let mut here: BTreeMap<i64, ExportedParticipant> = here
            .into_iter()
            .filter(|participant| users.contains(&participant.user))
            .map(|participant| (participant.user, participant))
            .collect();
        let times: Vec<DateTime<Utc>> = expected.iter().filter_map(|one| one.last_read_at).collect();
        let mut newest = self.django.newest_before(&plan.parts, &times).await?.into_iter();
        for old in &expected {
            let user = old.user;
            let read = old.last_read_at.and_then(|_| newest.next().flatten());
            let Some(new) = here.remove(&user) else {
                comparison.differs(format_args!("user {user} is a participant only in Django"));
                continue;
            };
            let what = |field| format!("{field} of user {user}");
            comparison.compare(what("admin"), &old.is_admin, &new.is_admin);
            comparison.compare(what("joined_at"), &old.joined_at, &new.joined_at);
            comparison.compare(what("left_at"), &old.left_at, &new.left_at);
            comparison.compare(what("muted"), &old.is_muted, &new.is_muted);
            comparison.compare(what("muted_until"), &old.muted_until, &new.muted_until);
            let is_further = self.marks == MarksSource::Furthest
                && read.map(|(_, sent_at)| sent_at) <= new.read.map(|(_, sent_at)| sent_at);
            if !is_further {
                let ids = [read, new.read].map(|read| read.map(|(id, _)| id));
                comparison.compare(what("newest read message"), &ids[0], &ids[1]);
            }
        }
        for user in here.keys() {
            comparison.differs(format_args!("user {user} is a participant only in the chat"));
        }
        Ok(())
    }

    async fn compare_messages(
        &self,
        plan: &RoomPlan,
        users: &BTreeSet<i64>,
        comparison: &mut RoomComparison<'_>,
    ) -> Result<(), MoveError> {
        let django = self.django.messages(&plan.parts).await?;
        let chat = self.chat.messages_by_id(plan.row.id).await?;
        let (mut old, mut new) = (Vec::new().into_iter().peekable(), Vec::new().into_iter().peekable());
        let (mut has_old, mut has_new) = (true, true);
        loop {
            if has_old && old.peek().is_none() {
                let events = django.next(MESSAGES_AT_ONCE).await?.into_iter();
                old = events.filter_map(|event| event.posted).collect::<Vec<_>>().into_iter().peekable();
                has_old = old.peek().is_some();
            }
            if has_new && new.peek().is_none() {
                new = chat.next(MESSAGES_AT_ONCE).await?.into_iter().peekable();
                has_new = new.peek().is_some();
            }
            let ids = (old.peek().map(|old| old.id), new.peek().map(|new| new.id));
            let (old, new) = match ids {
                (None, None) => return Ok(()),
                (Some(there), Some(here)) if there == here => (old.next(), new.next()),
                (Some(there), here) if here.is_none_or(|here| there < here) => (old.next(), None),
                _ => (None, new.next()),
            };
            self.compare_message(old.as_deref(), new.as_ref(), users, comparison).await;
        }
    }

    async fn compare_message(
        &self,
        old: Option<&OldMessage>,
        new: Option<&ExportedMessage>,
        users: &BTreeSet<i64>,
        comparison: &mut RoomComparison<'_>,
    ) {
        let fate = old.and_then(|old| fate(old, new));
        let place = MessagePlace { seq: 0, rev: 0, erased_user: ERASED_USER };
        let expected = old.map(|old| (old, message::convert(old, place, fate.as_ref())));
        let expected = expected.as_ref().map(|(old, message)| ComparedMessage {
            sender: old.sender,
            message_type: message.message_type.as_str(),
            content: &message.content,
            file: old.attachment.as_deref().filter(|_| message.file.is_some() || is_lost(old, fate.as_ref())),
            reply_to: message.reply_to,
            created_at: message.created_at,
            edited_at: message.edited_at,
            deleted_at: message.deleted_at,
        });
        let found = new.map(|new| ComparedMessage {
            sender: Some(new.sender).filter(|sender| users.contains(sender)),
            message_type: &new.message_type,
            content: &new.content,
            file: new.file.as_ref().map(|(_, name, _)| {
                new.django_file.as_ref().map_or(name.as_str(), |file| file.path.as_str())
            }),
            reply_to: new.reply_to.map(|(target, _)| target),
            created_at: new.created_at,
            edited_at: new.edited_at,
            deleted_at: new.deleted_at,
        });
        if let (Some(old), Some(expected)) = (old, &expected) {
            comparison.add(0, old.id, expected);
        }
        if let (Some(new), Some(found)) = (new, &found) {
            comparison.add(1, new.id, found);
        }
        match (old, expected, new, found) {
            (Some(old), Some(_), None, _) => {
                comparison.differs(format_args!("message {} is only in Django", old.id));
            }
            (None, _, Some(new), _) => {
                comparison.differs(format_args!("message {} is only in the chat", new.id));
            }
            (Some(old), Some(expected), Some(new), Some(found)) => {
                let what = |field| format!("{field} of message {}", old.id);
                comparison.compare(what("sender"), &expected.sender, &found.sender);
                comparison.compare(what("type"), &expected.message_type, &found.message_type);
                if expected.content != found.content {
                    comparison.differs(format_args!("the text of message {} differs", old.id));
                }
                comparison.compare(what("file"), &expected.file, &found.file);
                comparison.compare(what("reply"), &expected.reply_to, &found.reply_to);
                comparison.compare(what("created_at"), &expected.created_at, &found.created_at);
                comparison.compare(what("edited_at"), &expected.edited_at, &found.edited_at);
                comparison.compare(what("deleted_at"), &expected.deleted_at, &found.deleted_at);
                self.compare_bytes(new, comparison).await;
            }
            _ => {}
        }
    }

    /// Checks that a file's bytes are in the storage.
    async fn compare_bytes(&self, message: &ExportedMessage, comparison: &mut RoomComparison<'_>) {
        let Some((file, _, size)) = &message.file else { return };
        let stored = match self.uploads.open(*file, None).await {
            Ok(body) => Ok(i64::try_from(body.size).unwrap_or(i64::MAX)),
            Err(error) => Err(error.to_string()),
        };
        if stored.as_ref() != Ok(size) {
            comparison.differs(format_args!(
                "the file {file} of message {} should have {size} bytes: {stored:?}",
                message.id
            ));
        }
    }
}

/// Compares what the tables of rooms say. A room whose task or property Django doesn't have is a group there.
fn compare_rows(plan: &RoomPlan, room: &ExportedRoom, comparison: &mut RoomComparison<'_>) {
    let (django, chat) = (&plan.row, &room.row);
    comparison.compare("created_at", &django.created_at, &chat.created_at);
    comparison.compare("archived_at", &django.archived_at, &chat.archived_at);
    if django.room_type == RoomType::Group && chat.room_type.is_host_managed() {
        return;
    }
    comparison.compare("type", &django.room_type, &chat.room_type);
    comparison.compare("task", &django.task, &chat.task);
    comparison.compare("property", &django.property, &chat.property);
    let name: String = chat.name.chars().take(255).collect();
    comparison.compare("name", &django.name, &name);
}

/// What became of a file, as far as the message in the chat tells.
fn fate(old: &OldMessage, new: Option<&ExportedMessage>) -> Option<FileFate> {
    old.attachment.as_ref().filter(|_| old.deleted_at.is_none())?;
    let new = new?;
    let known = new.django_file.as_ref().filter(|known| Some(&known.path) == old.attachment.as_ref())?;
    match (&known.refusal, &new.file) {
        (Some(reason), _) if known.is_final => Some(FileFate::Refused(reason.clone())),
        (Some(reason), _) => Some(FileFate::Missing(reason.clone())),
        (None, Some((id, name, size))) => Some(FileFate::Moved(MovedFile {
            id: *id,
            name: name.clone(),
            size: *size,
            is_image: new.message_type == "image",
        })),
        (None, None) => None,
    }
}

/// Whether a file should be in the chat and nothing is known of it.
fn is_lost(old: &OldMessage, fate: Option<&FileFate>) -> bool {
    old.deleted_at.is_none() && fate.is_none()
}

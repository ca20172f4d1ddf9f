//! Forwarding messages: what was written in one room is sent again in another.
//!
//! The copies of one forward, and what is said beside them, are sent in one room together or not at all. A copy
//! carries the files of its original; a file stays as long as any message carries it.

use super::aggregate::RoomAggregate;
use super::command::{
    CommandOutcome, CommandReply, CommandRules, ForwardDraft, MessageDraft, Principal, RateClass, Refusal,
    RequiredState,
};
use super::sending::MessagePlace;
use crate::domain::message_extras::MessageExtras;
use crate::domain::permission::Action;
use crate::domain::row_change::{ColumnType, RowChange, Table};

/// The files of copies. The table of files names the message with which each of them came.
pub(super) static FORWARDED_FILES: Table = Table {
    name: "forwarded_files",
    columns: &[
        ("room_id", ColumnType::Uuid),
        ("message_id", ColumnType::Uuid),
        ("file_id", ColumnType::Uuid),
    ],
    key_columns: 3,
    removals: &[2],
    selections: &[],
    goes_with_message: true,
};

pub(super) fn rules(by: Principal, messages: &[ForwardDraft]) -> CommandRules {
    let drafts = messages.iter().map(|message| &message.draft);
    let sent = drafts.clone().filter_map(|draft| by.user_id().zip(draft.client_id));
    let files = drafts.flat_map(MessageDraft::files).map(|attachment| attachment.file);
    CommandRules {
        required: RequiredState {
            partner: true,
            sent: sent.collect(),
            files: files.collect(),
            last_post: by.user_id(),
            ..RequiredState::default()
        },
        needs_active_room: true,
        rate: Some(RateClass::Messages),
        ..CommandRules::of(Action::Post)
    }
}

impl RoomAggregate {
    /// The reply to a forward of which every message was sent before.
    pub(super) fn duplicate_forward_reply(
        &self,
        by: Principal,
        messages: &[ForwardDraft],
    ) -> Result<Option<CommandReply>, Refusal> {
        let earlier: Result<Option<Vec<CommandReply>>, Refusal> =
            messages.iter().map(|message| self.duplicate_reply(by, &message.draft)).collect();
        Ok(earlier?.map(CommandReply::Forwarded))
    }

    pub(super) fn forward(
        &mut self,
        by: Principal,
        messages: &[ForwardDraft],
    ) -> Result<CommandOutcome, Refusal> {
        let sender = by.user_id().ok_or(Refusal::Forbidden)?;
        // All of them are judged before the first one is sent.
        let mut replies = Vec::with_capacity(messages.len());
        for ForwardDraft { draft, .. } in messages {
            let earlier = self.duplicate_reply(by, draft)?;
            if earlier.is_none() {
                self.judge_copy(by, draft)?;
            }
            replies.push(earlier);
        }
        if replies.iter().any(Option::is_none) {
            self.judge_pace(by, sender)?;
        }
        let mut events = Vec::with_capacity(messages.len());
        for (ForwardDraft { draft, origin }, reply) in messages.iter().zip(&mut replies) {
            if reply.is_none() {
                let extras = MessageExtras {
                    forwarded: origin.clone(),
                    more_files: draft.extras.more_files.clone(),
                    ..MessageExtras::default()
                };
                let message = self.send(by, sender, draft, MessagePlace::default(), extras, &mut events);
                for attachment in message.files() {
                    let row = [message.room.0.into(), message.id.0.into(), attachment.file.0.into()];
                    self.change_row(RowChange::insert(&FORWARDED_FILES, row));
                }
                *reply = Some(CommandReply::Posted { message, duplicate: false });
            }
        }
        Ok(CommandOutcome::of(events, CommandReply::Forwarded(replies.into_iter().flatten().collect())))
    }

    /// Judges one message of a forward that wasn't sent before. What it copies may have been deleted since it was
    /// read, and its file with it.
    fn judge_copy(&self, by: Principal, draft: &MessageDraft) -> Result<(), Refusal> {
        let is_gone = match draft.attachment {
            Some(_) => draft.files().any(|attachment| !self.files.contains(&attachment.file)),
            None => draft.content.is_empty(),
        };
        if is_gone {
            return Err(Refusal::MessageNotFound);
        }
        self.judge_draft(by, draft).map(drop)
    }
}

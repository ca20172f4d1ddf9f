//! Attaching files that were uploaded before: an upload becomes the file of one message.

use std::borrow::Cow;

use super::aggregate::RoomAggregate;
use super::command::{MessageDraft, Principal, Refusal};
use crate::domain::attachment::{Attachment, MediaKind};
use crate::domain::ids::UploadId;
use crate::domain::message::MessageType;
use crate::domain::upload::{Upload, UploadProblem, UploadRefusal, UploadState};

impl MessageDraft {
    /// Its files, in their order.
    pub fn files(&self) -> impl Iterator<Item = &Attachment> {
        self.attachment.iter().chain(&self.extras.more_files)
    }

    /// The draft with these files, the first of which gives it its type.
    fn with_files(mut self, files: Vec<Attachment>) -> Self {
        let mut files = files.into_iter();
        if let Some(first) = files.next() {
            self.message_type = match first.media.kind() {
                MediaKind::Image => MessageType::Image,
                _ => MessageType::File,
            };
            self.attachment = Some(first);
        }
        self.extras.more_files = files.collect();
        self
    }
}

impl RoomAggregate {
    /// A draft with the files of the uploads that it names.
    pub(super) fn with_uploaded_files<'a>(
        &self,
        by: Principal,
        draft: &'a MessageDraft,
    ) -> Result<Cow<'a, MessageDraft>, Refusal> {
        if draft.extras.uploads.is_empty() {
            return Ok(Cow::Borrowed(draft));
        }
        let files: Result<Vec<Attachment>, Refusal> =
            draft.extras.uploads.iter().map(|upload| self.uploaded_file(by, *upload)).collect();
        Ok(Cow::Owned(draft.clone().with_files(files?)))
    }

    fn uploaded_file(&self, by: Principal, upload: UploadId) -> Result<Attachment, Refusal> {
        let problem = match self.uploads.get(&upload) {
            None => UploadProblem::Unknown,
            Some(Upload { owner, .. }) if Some(*owner) != by.user_id() => UploadProblem::Foreign,
            Some(Upload { state: UploadState::Ready(file), .. }) => return Ok(Attachment::clone(file)),
            Some(Upload { state: UploadState::Refused(why), .. }) => UploadProblem::Refused(why.clone()),
            Some(Upload { state: UploadState::Unfinished, .. }) => UploadProblem::Unfinished,
        };
        Err(UploadRefusal { upload, problem }.into())
    }

    /// Lets no other message carry what becomes the files of one.
    pub(super) fn attach_uploads(&mut self, uploads: &[UploadId]) {
        for upload in uploads {
            self.uploads.remove(upload);
            self.attached_uploads.push(*upload);
        }
    }
}

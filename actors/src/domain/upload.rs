//! Files that were uploaded before the message that is to carry them.

use super::attachment::Attachment;
use super::ids::{UploadId, UserId};

/// An upload, as the judgement of a message needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Whose it is; nobody else may attach it.
    pub owner: UserId,
    /// How far it has come.
    pub state: UploadState,
}

/// How far an upload has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadState {
    /// Its bytes aren't all here, or nobody has looked at them yet.
    Unfinished,
    /// Its content may not be attached, for this reason.
    Refused(String),
    /// A file that no message carries yet.
    Ready(Box<Attachment>),
}

/// Why an upload can't be attached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{upload}: {problem}")]
pub struct UploadRefusal {
    /// The upload.
    pub upload: UploadId,
    /// What is wrong with it.
    pub problem: UploadProblem,
}

/// What is wrong with an upload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadProblem {
    /// There never was one, its time is over, or a message carries it.
    #[error("There is no such upload, or it was sent already.")]
    Unknown,
    /// It is another user's.
    #[error("This is someone else's upload.")]
    Foreign,
    /// It isn't complete.
    #[error("The upload is not finished.")]
    Unfinished,
    /// Its content may not be attached.
    #[error("{0}")]
    Refused(String),
}

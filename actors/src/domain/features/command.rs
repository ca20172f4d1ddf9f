//! Commands: what a principal wants changed in a room, before it is judged.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use super::RoomChange;
use super::event::Event;
pub use super::principal::Principal;
use crate::domain::card::{Card, CardRefusal};
use crate::domain::entry::{EntryTerms, HostRoster};
use crate::domain::error_code::ErrorCode;
use crate::domain::ids::{ClientId, FileId, MessageId, RoomId, Seq, UploadId, UserId};
use crate::domain::invitation::{Invitation, InvitationError};
use crate::domain::mentions::Mentions;
use crate::domain::message::{Attachment, Message, MessageType};
use crate::domain::message_extras::Forwarded;
use crate::domain::participant::Participant;
use crate::domain::permission::Action;
use crate::domain::room::{Room, RoomType, Subject};
use crate::domain::room_settings::RoomSettingsPatch;
use crate::domain::row_change::RowSelection;
use crate::domain::signal::Signal;
use crate::domain::thread::ThreadPlace;
use crate::domain::upload::UploadRefusal;
use crate::domain::urgency::{UrgencyRefusal, UrgentDraft};

/// One change of one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The room.
    pub room: RoomId,
    /// Who gives the command.
    pub by: Principal,
    /// The change.
    pub change: RoomChange,
}

impl Command {
    /// As how many commands it counts, in budgets and in batches: as one for each message that it sends.
    #[must_use]
    pub fn weight(&self) -> usize {
        match &self.change {
            RoomChange::Forward(messages) => messages.len().max(1),
            _ => 1,
        }
    }
}

/// What holds for a command before it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRules {
    /// What the principal must be allowed to do.
    pub access: RequiredAccess,
    /// What the judgement looks at, beside the room and the principal's own participant.
    pub required: RequiredState,
    /// Whether an archived room refuses it. Reading, marks, deleting, leaving, muting and an admin's
    /// work go on there.
    pub needs_active_room: bool,
    /// The budget that it draws on, if any, by as much as its [`Command::weight`].
    pub rate: Option<RateClass>,
}

impl CommandRules {
    /// The rules of a command that needs `action`, and neither an active room, a budget nor any state.
    pub(super) fn of(action: Action) -> Self {
        Self {
            access: RequiredAccess::To(action),
            required: RequiredState::default(),
            needs_active_room: false,
            rate: None,
        }
    }
}

/// What a principal must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequiredAccess {
    /// This.
    To(Action),
    /// Nothing in the room, as the command brings an invitation.
    Invited,
    /// One of two things, by who wrote a message.
    ToMessage {
        /// The message.
        message: MessageId,
        /// Where it is the principal's own.
        own: Action,
        /// Where it is another user's.
        others: Action,
    },
}

/// The budgets of one user in one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateClass {
    /// New messages.
    Messages,
    /// New messages that are urgent.
    UrgentMessages,
    /// Edits and deletions.
    Changes,
    /// Moves of the read mark.
    Reads,
}

/// What a store reads for a command's judgement, beside the room itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequiredState {
    /// The participant of this user.
    pub participant: Option<UserId>,
    /// The participants of these users.
    pub participants: Vec<UserId>,
    /// How many are in the room.
    pub participant_count: bool,
    /// Both participants, where the room is a direct one.
    pub partner: bool,
    /// All who are or were in the room.
    pub roster: bool,
    /// This user of the directory, and an unused participant id.
    pub added_user: Option<UserId>,
    /// This user of the directory, who may be on the staff.
    pub staff: Option<UserId>,
    /// This user of the directory, who writes without being in the room.
    pub author: Option<UserId>,
    /// This message, with the root of its thread.
    pub message: Option<MessageId>,
    /// The same of the message in whose thread a new one shall stand.
    pub thread: Option<MessageId>,
    /// The newest replies in the thread of this message: one more than the commands of a transaction delete messages.
    pub replies: Option<MessageId>,
    /// What these users sent under these `client_id`s.
    pub sent: Vec<(UserId, ClientId)>,
    /// Which of these files are still there.
    pub files: Vec<FileId>,
    /// These uploads.
    pub uploads: Vec<UploadId>,
    /// The newest message of the room's timeline.
    pub newest: bool,
    /// These rows of a feature's table. Its key begins with the room, which rules leave out of the prefix.
    pub rows: Option<RowSelection>,
    /// When this user sent a message last, where slow mode is on or a command of the transaction may start it.
    pub last_post: Option<UserId>,
    /// Whether the command starts slow mode if it is carried out.
    pub starts_slow_mode: bool,
}

/// How far a user has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadTarget {
    /// Up to the room's head at the commit.
    Head,
    /// Up to this message.
    Message(MessageId),
}

/// What is to be changed of a room itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomPatch {
    /// The new name, trimmed and checked; empty for none.
    pub name: Option<String>,
    /// New values of settings.
    pub settings: RoomSettingsPatch,
}

impl RoomPatch {
    /// A patch of the name alone.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }
}

impl From<RoomPatch> for RoomChange {
    fn from(patch: RoomPatch) -> Self {
        Self::Update(Box::new(patch))
    }
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageDraft {
    /// The id, made by the caller so that a retry of the commit can't make another.
    pub id: MessageId,
    /// What the client calls this send.
    pub client_id: Option<ClientId>,
    /// The text, trimmed and checked; empty only beside a file.
    pub content: String,
    /// Text, or the type of the file.
    pub message_type: MessageType,
    /// The file, the first one where it carries several.
    pub attachment: Option<Attachment>,
    /// The message that it replies to.
    pub reply_to: Option<MessageId>,
    /// What happens if `reply_to` isn't in this room.
    pub missing_reply_target: MissingReplyTarget,
    /// What else it carries.
    pub extras: DraftExtras,
    /// Whom it mentions; see [`Self::mentioning`].
    pub mentions: Mentions,
    /// A digest of what the client sent, to tell a retry from another message.
    pub digest: [u8; 16],
}

/// What a message to be sent carries beside its text, its file and what it replies to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DraftExtras {
    /// Its card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<Box<Card>>,
    /// The thread that it stands in. The root may be named by one of its replies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadPlace>,
    /// That it is urgent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgent: Option<UrgentDraft>,
    /// The uploads that become its files, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uploads: Vec<UploadId>,
    /// Its files beside the first one, where they are known.
    #[serde(skip)]
    pub more_files: Vec<Attachment>,
}

/// One message of a forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardDraft {
    /// The message. One without text and file stands for a copy of what can't be read any more: it is found
    /// where it was sent before, and refused where it wasn't.
    pub draft: MessageDraft,
    /// Where the message was written first, if it is a copy.
    pub origin: Option<Forwarded>,
}

/// What happens to a reply to a message that isn't in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingReplyTarget {
    /// It is refused.
    Reject,
    /// It is sent as no reply.
    Ignore,
}

impl MessageDraft {
    /// Digests what a client sent: the text, what it replies to, and the digest of its file.
    #[must_use]
    pub fn digest_of(content: &str, reply_to: Option<MessageId>, file: Option<&[u8; 32]>) -> [u8; 16] {
        let mut hash = Sha256::new();
        hash.update((content.len() as u64).to_be_bytes());
        hash.update(content);
        hash.update(reply_to.map_or([0; 16], |id| *id.0.as_bytes()));
        hash.update(file.unwrap_or(&[0; 32]));
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash.finalize()[..16]);
        digest
    }

    /// The draft with these mentions, which its digest covers where there are any. So a message without mentions
    /// keeps the digest that it had before there were mentions.
    #[must_use]
    pub fn mentioning(mut self, mentions: Mentions) -> Self {
        if !mentions.is_empty() {
            let mut hash = Sha256::new();
            hash.update(self.digest);
            hash.update(b"mentions");
            hash.update([u8::from(mentions.room)]);
            for user in &mentions.users {
                hash.update(user.0.to_be_bytes());
            }
            self.digest.copy_from_slice(&hash.finalize()[..16]);
        }
        self.mentions = mentions;
        self
    }

    /// Digests what a client sent that had `source` copied. Whatever becomes of that message, it is the same.
    #[must_use]
    pub fn digest_of_copy(source: MessageId) -> [u8; 16] {
        // Every other message has a text or a file.
        Self::digest_of("", Some(source), None)
    }
}

impl DraftExtras {
    /// Adds these to the digest of the rest of what a client sent. Where there are none, it stays as it is.
    #[must_use]
    pub fn add_to(&self, mut digest: [u8; 16]) -> [u8; 16] {
        if *self != Self::default() {
            let mut hash = Sha256::new();
            hash.update(digest);
            hash.update(serde_json::to_vec(self).expect("the extras of a draft are plain data"));
            digest.copy_from_slice(&hash.finalize()[..16]);
        }
        digest
    }
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutcome {
    /// What the room's log gained, in order.
    pub events: Vec<Event>,
    /// What changed without an event.
    pub signal: Option<Signal>,
    /// The reply to the caller.
    pub reply: CommandReply,
}

/// The reply to a command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandReply {
    /// The message that is in the log.
    Posted {
        /// The message; as it is now, if it had been sent before.
        message: Box<Message>,
        /// Whether it had been sent before.
        duplicate: bool,
    },
    /// The message had been sent before, by a user who may not see the room now: what that user knew of it
    /// when it was sent, and nothing of what has become of it.
    AlreadyPosted {
        /// The message.
        message: MessageId,
        /// Its position.
        seq: Seq,
        /// When it was sent.
        created_at: DateTime<Utc>,
    },
    /// What [`Self::Posted`] or [`Self::AlreadyPosted`] says of each message of a forward, in order.
    Forwarded(Vec<Self>),
    /// The changed message.
    Edited(Box<Message>),
    /// A message of which something changed beside its text and its file.
    MessageChanged {
        /// The message.
        message: Box<Message>,
        /// When it was changed.
        at: DateTime<Utc>,
        /// Whether it was so already.
        is_duplicate: bool,
    },
    /// The changed participant.
    Participant(Box<Participant>),
    /// The invitation that was made.
    Invitation(Box<Invitation>),
    /// The changed room.
    Room(Box<Room>),
    /// Nothing more to say.
    Done,
}

/// Why a command is refused. Nothing of it is stored, and nothing of it ever will be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such room, or it was deleted.
    #[error("no such room")]
    RoomNotFound,
    /// There is no such message in this room, or it was deleted.
    #[error("no such message")]
    MessageNotFound,
    /// There is no such participant in this room.
    #[error("no such participant")]
    ParticipantNotFound,
    /// These users are unknown or inactive.
    #[error("unknown people")]
    UsersNotFound(Vec<UserId>),
    /// Only participants may do this.
    #[error("You are not a participant in this room")]
    NotParticipant,
    /// The table in [`crate::domain::permission`] doesn't allow it.
    #[error("You do not have permission to perform this action.")]
    Forbidden,
    /// The room accepts nothing new.
    #[error("This room is archived")]
    Archived,
    /// One of a direct room's two users has blocked the other.
    #[error("One of you has blocked the other")]
    Blocked,
    /// Slow mode doesn't let the user send another message yet.
    #[error("Slow mode is on in this room")]
    TooSoon {
        /// How long until it does.
        retry_after: Duration,
    },
    /// The `client_id` was used for another message.
    #[error("This client_id was used for another message")]
    ClientIdConflict,
    /// The message to reply to isn't in this room.
    #[error("The message replied to is not in this room")]
    ReplyTargetNotFound,
    /// The root of a thread isn't in this room, or the sender doesn't see it.
    #[error("The message of this thread is not in this room")]
    ThreadRootNotFound,
    /// A message needs a text or a file.
    #[error("This field may not be blank.")]
    Blank,
    /// A room can't be without an admin while participants remain.
    #[error("The only admin of a room cannot leave or be demoted while others remain")]
    LastAdmin,
    /// A direct room's two participants are fixed.
    #[error("The people of a direct room are fixed")]
    DirectRoom,
    /// A message has only so many different reactions.
    #[error("This message has too many different reactions")]
    TooManyReactions,
    /// What is asked of a card isn't possible.
    #[error(transparent)]
    Card(#[from] CardRefusal),
    /// What is asked about an urgent message isn't possible.
    #[error(transparent)]
    Urgency(#[from] UrgencyRefusal),
    /// These users are mentioned, and aren't in the room.
    #[error("Not in this room: {}", ids(.0))]
    MentionedOutsiders(Vec<UserId>),
    /// An upload can't be attached.
    #[error(transparent)]
    Upload(#[from] UploadRefusal),
    /// A room has only so many pinned messages.
    #[error("This room has too many pinned messages")]
    TooManyPins,
    /// A membership can't end before it begins.
    #[error("This time has passed already.")]
    EndInPast,
    /// An invitation lets nobody in.
    #[error(transparent)]
    Invitation(#[from] InvitationError),
    /// A room has only so many invitations that can be used.
    #[error("This room has too many open invitations")]
    TooManyInvitations,
    /// The user is in the room already.
    #[error("Already a participant in this room")]
    AlreadyParticipant,
    /// No bot in the room has this command.
    #[error("No bot in this room has this command")]
    BotCommandNotFound,
    /// A legal hold is on the room.
    #[error("A legal hold is on this room")]
    OnHold,
    /// A rule of the database refuses the row.
    #[error("refused by a rule of the operator")]
    Rejected,
}

impl Refusal {
    /// The error code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::RoomNotFound
            | Self::MessageNotFound
            | Self::ParticipantNotFound
            | Self::BotCommandNotFound => ErrorCode::NotFound,
            Self::NotParticipant | Self::Forbidden => ErrorCode::Forbidden,
            Self::Archived => ErrorCode::Archived,
            Self::Blocked => ErrorCode::Blocked,
            Self::TooSoon { .. } => ErrorCode::RateLimited,
            Self::ClientIdConflict => ErrorCode::ClientIdConflict,
            Self::UsersNotFound(_)
            | Self::ReplyTargetNotFound
            | Self::ThreadRootNotFound
            | Self::Blank
            | Self::LastAdmin
            | Self::DirectRoom
            | Self::TooManyReactions
            | Self::Card(_)
            | Self::Urgency(_)
            | Self::MentionedOutsiders(_)
            | Self::Upload(_)
            | Self::TooManyPins
            | Self::EndInPast
            | Self::Invitation(_)
            | Self::TooManyInvitations
            | Self::AlreadyParticipant => ErrorCode::Invalid,
            Self::OnHold | Self::Rejected => ErrorCode::Rejected,
        }
    }
}

/// Ids as a sentence lists them.
fn ids(users: &[UserId]) -> String {
    users.iter().map(UserId::to_string).collect::<Vec<_>>().join(", ")
}

/// A room to be created, or found where there may be only one of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRoom {
    /// The id of the room if it is created.
    pub id: RoomId,
    /// Who opens it.
    pub by: Principal,
    /// The type.
    pub room_type: RoomType,
    /// The name, trimmed and checked; empty for none.
    pub name: String,
    /// The subject; `Some` exactly for task and property rooms.
    pub subject: Option<Subject>,
    /// The subject's title, where the host application gives it.
    pub title: Option<String>,
    /// Who shall be in it beside the principal; one user for a direct room.
    pub users: Vec<UserId>,
    /// When the grant for the subject was signed that the principal holds.
    pub granted: Option<DateTime<Utc>>,
    /// The terms of that grant.
    pub granted_terms: EntryTerms,
    /// Who the host application says is in the room.
    pub roster: HostRoster,
    /// Whether a principal without a grant may create a subject's room.
    pub open_subjects: bool,
}

/// A room that was created or found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedRoom {
    /// The room.
    pub room: RoomId,
    /// Whether it was created by this call.
    pub created: bool,
    /// What its log gained.
    pub events: Vec<Event>,
    /// Those of the host application's roster whom the directory doesn't know, or who are inactive.
    pub unknown: Vec<UserId>,
}

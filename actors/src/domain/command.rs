//! Commands: what someone wants changed in a room, before anyone has said whether that may be.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::event::Event;
use super::ids::{ClientId, MessageId, RoomId, Seq, UserId};
use super::message::{Attachment, Message, MessageType};
use super::participant::{Participant, Role};
use super::room::{Room, RoomType, Subject};
use super::signal::Signal;

/// Who wants something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A user, whenever they signed in.
    Person(UserId),
    /// A user by a token: void where that was issued before the user's tokens were revoked.
    Holder {
        /// Whose it is.
        user: UserId,
        /// When it was issued; Unix time in seconds.
        issued_at: i64,
    },
    /// The host application, by a service token.
    Service,
}

impl Actor {
    /// The person, when it is one.
    #[must_use]
    pub fn person(self) -> Option<UserId> {
        match self {
            Self::Person(user) | Self::Holder { user, .. } => Some(user),
            Self::Service => None,
        }
    }

    /// Whether the token by which this is wanted is from before `tokens_valid_from`, in seconds of Unix time.
    #[must_use]
    pub fn is_void(self, tokens_valid_from: Option<i64>) -> bool {
        match self {
            Self::Holder { issued_at, .. } => tokens_valid_from.is_some_and(|from| issued_at < from),
            Self::Person(_) | Self::Service => false,
        }
    }
}

/// One change of one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The room.
    pub room: RoomId,
    /// Who wants it.
    pub by: Actor,
    /// What is wanted.
    pub change: Change,
}

/// What can be changed in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Send a message.
    Post(Draft),
    /// Change a message's text (already trimmed and checked; empty only beside a file).
    Edit {
        /// Which one.
        message: MessageId,
        /// The new text.
        content: String,
    },
    /// Delete a message: one's own, or another's where one may.
    Delete {
        /// Which one.
        message: MessageId,
        /// Why (already trimmed and checked); kept in the log and told to nobody.
        reason: Option<String>,
    },
    /// Delete a message of a person whose account ends.
    Erase {
        /// Which one.
        message: MessageId,
    },
    /// Put a person in, or back in.
    Add {
        /// Whom.
        user: UserId,
        /// As what.
        role: Role,
    },
    /// Take a person out.
    Remove {
        /// Whom.
        user: UserId,
    },
    /// Take out a person whose account ends, whatever role that person has here.
    Expel {
        /// Whom.
        user: UserId,
    },
    /// Go.
    Leave,
    /// Make someone an admin, or no longer one.
    SetRole {
        /// Whom.
        user: UserId,
        /// What that person becomes.
        role: Role,
    },
    /// Name the room (already trimmed and checked).
    Rename {
        /// The new name; empty for none.
        name: String,
    },
    /// Take nothing new from now on.
    Archive,
    /// Take new things again.
    Unarchive,
    /// Delete the room for everyone.
    DeleteRoom,
    /// Move one's own read mark forward.
    Read(ReadTarget),
    /// Mute the room for oneself, or lift that.
    Mute {
        /// Whether muted.
        muted: bool,
        /// When it lapses by itself.
        until: Option<DateTime<Utc>>,
    },
}

/// Up to where one has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadTarget {
    /// All there is at the commit.
    Head,
    /// Up to this message.
    Message(MessageId),
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its id, made here so that a retry of the commit can't make another.
    pub id: MessageId,
    /// What the client calls this send.
    pub client_id: Option<ClientId>,
    /// Its text (already trimmed and checked; empty only beside a file).
    pub content: String,
    /// Its kind; text or that of the file.
    pub message_type: MessageType,
    /// Its file.
    pub attachment: Option<Attachment>,
    /// What it answers.
    pub reply_to: Option<MessageId>,
    /// What becomes of a `reply_to` that isn't in this room.
    pub stray_reply: StrayReply,
    /// A digest of what the client sent, to tell a retry from another message.
    pub digest: [u8; 16],
}

/// What becomes of an answer to a message that isn't there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrayReply {
    /// The message is refused.
    Refuse,
    /// The message is sent as no answer.
    Drop,
}

impl Draft {
    /// Digests what a client sent: the text, what it answers, and the digest of its file.
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
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the room's log gained, in order.
    pub events: Vec<Event>,
    /// What is true now besides.
    pub signal: Option<Signal>,
    /// The answer for who asked.
    pub reply: Reply,
}

/// The answer to a command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The message that stands in the log.
    Posted {
        /// It; as it is now, when it had been sent before.
        message: Box<Message>,
        /// Whether it had been sent before.
        duplicate: bool,
    },
    /// The message had been sent before, by someone who may not see the room now: what that person knew of
    /// it when it was sent, and nothing of what has become of it.
    SentBefore {
        /// The message.
        message: MessageId,
        /// Its position.
        seq: Seq,
        /// When it was sent.
        created_at: DateTime<Utc>,
    },
    /// The changed message.
    Edited(Box<Message>),
    /// The participant that was changed.
    Participant(Box<Participant>),
    /// The changed room.
    Room(Box<Room>),
    /// Nothing more to say.
    Done,
}

/// Why a command is refused. Nothing of it is stored, and nothing of it ever will be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such room, or it was deleted.
    #[error("no such room")]
    RoomNotFound,
    /// No such message in this room, or it was deleted.
    #[error("no such message")]
    MessageNotFound,
    /// No such participant in this room.
    #[error("no such participant")]
    ParticipantNotFound,
    /// These people are unknown or inactive.
    #[error("unknown people")]
    PeopleNotFound(Vec<UserId>),
    /// Only people in the room may.
    #[error("You are not a participant in this room")]
    NotParticipant,
    /// Only what the table in [`super::permission`] allows.
    #[error("You do not have permission to perform this action.")]
    Forbidden,
    /// The room takes nothing new.
    #[error("This room is archived")]
    Archived,
    /// The `client_id` was used for another message.
    #[error("This client_id was used for another message")]
    ClientIdConflict,
    /// The message to be answered isn't in this room.
    #[error("The message replied to is not in this room")]
    StrayReply,
    /// A message needs a text or a file.
    #[error("This field may not be blank.")]
    Blank,
    /// A room can't be without an admin while people remain.
    #[error("The only admin of a room cannot leave or be demoted while others remain")]
    LastAdmin,
    /// A direct room's two people are fixed.
    #[error("The people of a direct room are fixed")]
    DirectRoom,
    /// That person is in the room already.
    #[error("Already a participant in this room")]
    AlreadyIn,
    /// The store's own rules refuse the row.
    #[error("refused by a rule of the operator")]
    Rejected,
}

/// A room to be made, or found again when there may be only one of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRoom {
    /// The id it gets when it is made.
    pub id: RoomId,
    /// Who wants it.
    pub by: Actor,
    /// Its kind.
    pub room_type: RoomType,
    /// Its name (already trimmed and checked); empty for none.
    pub name: String,
    /// What it is about; `Some` exactly for task and property rooms.
    pub subject: Option<Subject>,
    /// The subject's title, when the host application tells it.
    pub title: Option<String>,
    /// Who shall be in it beside the one who asks; one person for a direct room.
    pub people: Vec<UserId>,
    /// When the grant for the subject was signed that the one who asks holds.
    pub granted: Option<DateTime<Utc>>,
    /// Whether one without a grant may make a subject's room.
    pub open_subjects: bool,
}

/// A room that was made or found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The room.
    pub room: RoomId,
    /// Whether it was made just now.
    pub made: bool,
    /// What its log gained.
    pub events: Vec<Event>,
}

//! What can happen in a room, one module a feature.
//!
//! A feature's module holds its commands' judgement, its events, what these change, their frames, and what
//! they make stale. This file is the table of them: [`EventBody`] has a line for each kind of event,
//! [`RoomChange`] one for each kind of command. Nothing outside of this folder tells kinds of events apart:
//! the ring, delivery, replays, lists and both stores go by [`EventFacts`].

pub mod aggregate;
mod attaching;
mod card_changing;
pub mod command;
mod deleting;
mod editing;
pub mod event;
mod forwarding;
mod inviting;
mod membership;
mod mentioning;
mod pinning;
mod pressing;
mod principal;
mod reacting;
mod reading;
mod room_creation;
mod room_state;
mod sending;
mod settings;
mod threading;
mod urgent;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use self::aggregate::RoomAggregate;
pub use self::card_changing::ChangedCard;
use self::command::{
    Command, CommandOutcome, CommandReply, CommandRules, ForwardDraft, MessageDraft, ReadTarget, Refusal,
    RequiredState, RoomPatch,
};
pub use self::deleting::MessageDeletion;
use self::event::{Event, EventFacts, EventRules, LogRow};
pub use self::pinning::PinChange;
pub use self::pressing::ButtonPress;
pub use self::reacting::ReactionChange;
pub use self::room_creation::Entrants;
pub use self::room_state::RoomUpdate;
pub use self::settings::SettingsChange;
pub use self::urgent::MessageAcknowledgement;
use super::card::CardChange;
use super::entry::EntryTerms;
use super::ids::{ClientId, MessageId, UserId};
use super::invitation::{InvitationDraft, InvitationId};
use super::mentions::MentionsEdit;
use super::message::Message;
use super::participant::{Participant, Role};
use super::room::Room;
use super::row_change::Table;

/// Declares the kinds of events: those that carry something, and those that say all by their kind.
macro_rules! events {
    (
        with_payload { $($(#[$doc:meta])* $kind:ident($payload:ty) => $rules:ty;)+ }
        bare { $($(#[$bare_doc:meta])* $bare:ident => $bare_rules:ty;)+ }
    ) => {
        /// What an event says. A live event carries things as they were at its commit, a replayed one as they
        /// are now; folding either gives the same state.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum EventBody {
            $($(#[$doc])* $kind(Box<$payload>),)+
            $($(#[$bare_doc])* $bare,)+
        }

        /// The kinds of events.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum EventKind {
            $(#[doc = concat!("See [`EventBody::", stringify!($kind), "`].")] $kind,)+
            $(#[doc = concat!("See [`EventBody::", stringify!($bare), "`].")] $bare,)+
        }

        /// An event as the wire has it.
        #[derive(Serialize)]
        #[serde(untagged)]
        pub enum EventFrame<'a> {
            $(#[doc = concat!("See [`EventBody::", stringify!($kind), "`].")]
            $kind(<$rules as EventRules>::Frame<'a>),)+
        }

        impl EventKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind,)+ $(Self::$bare,)+];

            /// The name in the store.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => <$rules as EventRules>::STORE_NAME,)+
                    $(Self::$bare => <$bare_rules as EventRules>::STORE_NAME,)+
                }
            }

            /// The `type` of the frame; for the deletion of a room, which has none, that of the frame to lists.
            #[must_use]
            pub fn frame_type(self) -> &'static str {
                match self {
                    $(Self::$kind => <$rules as EventRules>::FRAME_TYPE,)+
                    $(Self::$bare => <$bare_rules as EventRules>::FRAME_TYPE,)+
                }
            }
        }

        impl EventBody {
            /// Which kind of event it is.
            #[must_use]
            pub fn kind(&self) -> EventKind {
                match self {
                    $(Self::$kind(_) => EventKind::$kind,)+
                    $(Self::$bare => EventKind::$bare,)+
                }
            }

            /// What the event means to those who pass it on, and to those who keep something of the room.
            #[must_use]
            pub fn facts(&self) -> EventFacts<'_> {
                match self {
                    $(Self::$kind(payload) => <$rules as EventRules>::facts(payload),)+
                    $(Self::$bare => <$bare_rules as EventRules>::facts(&()),)+
                }
            }

            /// What the log keeps of the event beside its kind and its message; see [`Self::restore`].
            #[must_use]
            pub fn data(&self) -> Option<serde_json::Value> {
                match self {
                    $(Self::$kind(payload) => <$rules as EventRules>::data(payload),)+
                    $(Self::$bare => <$bare_rules as EventRules>::data(&()),)+
                }
            }

            /// Makes an event of its row in the log, with what it is about as it is now.
            #[must_use]
            pub fn restore(kind: EventKind, row: &impl LogRow) -> Self {
                match kind {
                    $(EventKind::$kind => {
                        Self::$kind(Box::new(<$rules as EventRules>::restore(row)))
                    })+
                    $(EventKind::$bare => Self::$bare,)+
                }
            }
        }

        impl Event {
            /// The frame of this event. The deletion of a room has none: it closes the sockets.
            #[must_use]
            pub fn frame(&self) -> Option<EventFrame<'_>> {
                match &self.body {
                    $(EventBody::$kind(payload) => {
                        Some(EventFrame::$kind(<$rules as EventRules>::frame(self, payload)))
                    })+
                    $(EventBody::$bare => None,)+
                }
            }
        }
    };
}

events! {
    with_payload {
        /// The room was created.
        RoomCreated(Room) => room_state::RoomCreatedEvent;
        /// The room's name, title, archive state or settings changed.
        RoomUpdated(RoomUpdate) => room_state::RoomUpdatedEvent;
        /// A message was sent.
        MessagePosted(Message) => sending::MessagePostedEvent;
        /// A message's text or mentions changed.
        MessageEdited(Message) => editing::MessageEditedEvent;
        /// A message was deleted.
        MessageDeleted(MessageDeletion) => deleting::MessageDeletedEvent;
        /// A user reacted to a message, or took a reaction back.
        Reaction(ReactionChange) => reacting::ReactionEvent;
        /// A message's card changed.
        CardChanged(ChangedCard) => card_changing::CardChangedEvent;
        /// A button on a message's card was pressed.
        CardAction(ButtonPress) => pressing::CardActionEvent;
        /// A message was pinned, or taken off.
        MessagePinned(PinChange) => pinning::MessagePinnedEvent;
        /// A user acknowledged an urgent message.
        MessageAcknowledged(MessageAcknowledgement) => urgent::MessageAcknowledgedEvent;
        /// A user joined, for the first time or again.
        ParticipantJoined(Participant) => membership::ParticipantJoinedEvent;
        /// A user left or was removed.
        ParticipantLeft(Participant) => membership::ParticipantLeftEvent;
        /// A participant's role, or the end of a membership, changed.
        ParticipantUpdated(Participant) => membership::ParticipantUpdatedEvent;
    }
    bare {
        /// The room was deleted; nothing follows.
        RoomDeleted => room_state::RoomDeletedEvent;
    }
}

/// The tables that features keep.
pub static TABLES: &[&Table] = &[
    &card_changing::CARD_VOTES,
    &editing::MESSAGE_VERSIONS,
    &forwarding::FORWARDED_FILES,
    &inviting::INVITATIONS,
    &mentioning::MENTIONS,
    &pinning::PINS,
    &pressing::CARD_PRESSES,
    &reacting::REACTIONS,
    &reading::READ_MOVES,
    &threading::THREAD_USERS,
    &urgent::ACKNOWLEDGEMENTS,
];

impl EventKind {
    /// Reads the name in the store; a newer node may write kinds that this one doesn't know.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

/// What can be changed in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "most changes are messages, which a box would allocate for once more"
)]
pub enum RoomChange {
    /// Send a message.
    Post(MessageDraft),
    /// Send copies of other messages, and what is said beside them: all of them or none.
    Forward(Vec<ForwardDraft>),
    /// Change a message's text, and whom it mentions.
    Edit {
        /// The message to change; the principal's own.
        message: MessageId,
        /// The new text, trimmed and checked; empty only beside a file. None leaves it as it is.
        content: Option<String>,
        /// What becomes of the mentions.
        mentions: MentionsEdit,
    },
    /// Delete a message: one's own, or another's where the principal may moderate.
    Delete {
        /// The message to delete.
        message: MessageId,
        /// Why, trimmed and checked; kept in the log and shown to nobody.
        reason: Option<String>,
    },
    /// Delete a message of a user whose account ends.
    Erase {
        /// The message to delete.
        message: MessageId,
    },
    /// Delete a message that a rule doesn't keep any longer.
    Expire {
        /// The message to delete.
        message: MessageId,
    },
    /// React to a message, or take a reaction back.
    React {
        /// The message.
        message: MessageId,
        /// One emoji, in its recommended form.
        emoji: &'static str,
        /// Whether the reaction shall be there.
        on: bool,
    },
    /// Change a message's card.
    ChangeCard {
        /// The message.
        message: MessageId,
        /// The change.
        change: CardChange,
    },
    /// Press a button on a message's card.
    Press {
        /// The message.
        message: MessageId,
        /// The button's id.
        button: String,
        /// What the client calls this press.
        client_id: Option<ClientId>,
    },
    /// Pin a message, or take it off.
    Pin {
        /// The message.
        message: MessageId,
        /// Whether it shall be pinned.
        pinned: bool,
    },
    /// Acknowledge another user's urgent message.
    Acknowledge {
        /// The message.
        message: MessageId,
    },
    /// Add a user, or add one again.
    Add {
        /// The user to add.
        user: UserId,
        /// On which terms.
        terms: EntryTerms,
    },
    /// Remove a participant.
    Remove {
        /// The user to remove.
        user: UserId,
    },
    /// Remove a participant whose account ends, whatever the role.
    Expel {
        /// The user to remove.
        user: UserId,
    },
    /// Leave the room.
    Leave,
    /// Change a participant's role.
    SetRole {
        /// The participant.
        user: UserId,
        /// The new role.
        role: Role,
    },
    /// Change when a membership ends by itself.
    SetUntil {
        /// The participant.
        user: UserId,
        /// When; none for never.
        until: Option<DateTime<Utc>>,
    },
    /// Remove a participant whose membership ends by itself, if the time for that has come.
    EndMembership {
        /// The participant.
        user: UserId,
    },
    /// Make an invitation.
    Invite(InvitationDraft),
    /// Take an invitation back.
    Withdraw(InvitationId),
    /// Come in by an invitation.
    Accept(InvitationId),
    /// Name the room, and change its settings.
    Update(Box<RoomPatch>),
    /// Accept no new messages from now on.
    Archive,
    /// Accept new messages again.
    Unarchive,
    /// Delete the room for everyone.
    DeleteRoom,
    /// Move one's own read mark forward.
    Read(ReadTarget),
    /// Mute the room for oneself, or unmute it.
    Mute {
        /// Whether the room is muted.
        muted: bool,
        /// When muting lapses by itself.
        until: Option<DateTime<Utc>>,
    },
    /// Change one's own settings of the room.
    Settings(SettingsChange),
    /// Let the room count as unread for oneself, from a message on.
    MarkUnread {
        /// The message.
        message: MessageId,
    },
}

impl Command {
    /// Who may do this, what its judgement needs to know, and which budget it draws on.
    #[must_use]
    pub fn rules(&self) -> CommandRules {
        match &self.change {
            RoomChange::Post(draft) => sending::rules(self.by, draft),
            RoomChange::Forward(messages) => forwarding::rules(self.by, messages),
            RoomChange::Edit { message, mentions, .. } => editing::rules(*message, mentions),
            RoomChange::Delete { message, .. } => deleting::rules(self.by, *message),
            RoomChange::Erase { message } | RoomChange::Expire { message } => {
                deleting::erasure_rules(*message)
            }
            RoomChange::React { message, .. } => reacting::rules(self.by, *message),
            RoomChange::ChangeCard { message, change } => card_changing::rules(self.by, *message, change),
            RoomChange::Press { message, client_id, .. } => pressing::rules(self.by, *message, *client_id),
            RoomChange::Pin { message, pinned } => pinning::rules(*message, *pinned),
            RoomChange::Acknowledge { message } => urgent::acknowledge_rules(self.by, *message),
            RoomChange::Add { user, .. } => membership::add_rules(*user),
            RoomChange::Remove { .. } | RoomChange::SetRole { .. } | RoomChange::SetUntil { .. } => {
                membership::manage_rules()
            }
            RoomChange::Expel { .. } | RoomChange::EndMembership { .. } => membership::expel_rules(),
            RoomChange::Invite(_) => inviting::invite_rules(),
            RoomChange::Withdraw(invitation) => inviting::withdraw_rules(*invitation),
            RoomChange::Accept(invitation) => inviting::accept_rules(self.by, *invitation),
            RoomChange::Leave => membership::leave_rules(),
            RoomChange::Update(patch) => room_state::update_rules(patch),
            RoomChange::Archive | RoomChange::Unarchive | RoomChange::DeleteRoom => room_state::rules(),
            RoomChange::Read(target) => reading::rules(*target),
            RoomChange::Mute { .. } | RoomChange::Settings(_) => settings::rules(),
            RoomChange::MarkUnread { message } => reading::mark_unread_rules(*message),
        }
    }

    /// What [`RoomAggregate::apply`] will look at.
    #[must_use]
    pub fn required_state(&self) -> RequiredState {
        let mut required = self.rules().required;
        required.participant = self.by.user_id();
        if let Some(rows) = &mut required.rows {
            rows.prefix.insert(0, self.room.0.into());
        }
        required
    }
}

impl RoomAggregate {
    /// Judges one command and, where it is allowed, carries it out.
    ///
    /// # Errors
    /// A [`Refusal`] leaves the aggregate as it was.
    pub fn apply(&mut self, command: &Command) -> Result<CommandOutcome, Refusal> {
        if self.room.is_deleted {
            return Err(Refusal::RoomNotFound);
        }
        let by = command.by;
        let earlier = match &command.change {
            RoomChange::Post(draft) => self.duplicate_reply(by, draft)?,
            RoomChange::Forward(messages) => self.duplicate_forward_reply(by, messages)?,
            _ => None,
        };
        if let Some(earlier) = earlier {
            return Ok(CommandOutcome::of(Vec::new(), earlier));
        }
        self.authorize(by, &command.rules())?;
        match &command.change {
            RoomChange::Post(draft) => self.post(by, draft),
            RoomChange::Forward(messages) => self.forward(by, messages),
            RoomChange::Edit { message, content, mentions } => {
                self.edit(by, *message, content.as_deref(), mentions)
            }
            RoomChange::Delete { message, reason } => self.delete(by, *message, reason.clone()),
            RoomChange::Erase { message } => self.erase(by, *message),
            RoomChange::Expire { message } => self.expire(by, *message),
            RoomChange::React { message, emoji, on } => self.react(by, *message, emoji, *on),
            RoomChange::ChangeCard { message, change } => self.change_card(by, *message, change),
            RoomChange::Press { message, button, client_id } => self.press(by, *message, button, *client_id),
            RoomChange::Pin { message, pinned } => self.pin(by, *message, *pinned),
            RoomChange::Acknowledge { message } => self.acknowledge(by, *message),
            RoomChange::Add { user, terms } => self.add(by, *user, *terms),
            RoomChange::Remove { user } => self.remove(by, *user),
            RoomChange::Expel { user } => self.expel(*user),
            RoomChange::Leave => self.leave(by),
            RoomChange::SetRole { user, role } => self.set_role(by, *user, *role),
            RoomChange::SetUntil { user, until } => self.set_until(by, *user, *until),
            RoomChange::EndMembership { user } => self.end_membership(*user),
            RoomChange::Invite(draft) => self.invite(by, draft),
            RoomChange::Withdraw(invitation) => self.withdraw(*invitation),
            RoomChange::Accept(invitation) => self.accept(by, *invitation),
            RoomChange::Update(patch) => Ok(self.update(by, patch)),
            RoomChange::Archive => Ok(self.archive(by)),
            RoomChange::Unarchive => Ok(self.unarchive(by)),
            RoomChange::DeleteRoom => self.delete_room(by),
            RoomChange::Read(target) => self.read(by, *target),
            RoomChange::Mute { muted, until } => self.mute(by, *muted, *until),
            RoomChange::Settings(change) => self.change_settings(by, change),
            RoomChange::MarkUnread { message } => self.mark_unread(by, *message),
        }
    }
}

impl CommandOutcome {
    /// An outcome that tells events and nothing besides.
    fn of(events: Vec<Event>, reply: CommandReply) -> Self {
        Self { events, signal: None, reply }
    }
}

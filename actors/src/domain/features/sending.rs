//! Sending a message.

use serde::Serialize;

use super::aggregate::{RoomAggregate, SentMessage};
use super::command::{
    CommandOutcome, CommandReply, CommandRules, MessageDraft, MissingReplyTarget, Principal, RateClass,
    Refusal, RequiredState,
};
use super::event::{Event, EventBody, EventFacts, EventRules, EventSubject, InboxChange, LogRow};
use crate::domain::card::CardRefusal;
use crate::domain::ids::{RoomId, Seq, UserId};
use crate::domain::mentions::Mentions;
use crate::domain::message::{Message, MessageView, Quote};
use crate::domain::message_extras::MessageExtras;
use crate::domain::participant::Role;
use crate::domain::permission::{AccessLevel, Action};
use crate::domain::room::RoomType;
use crate::domain::thread::ThreadPlace;
use crate::domain::user::UserSummary;

/// The event of a message that was sent.
pub enum MessagePostedEvent {}

/// What a new message stands beside.
#[derive(Default)]
pub(super) struct MessagePlace {
    /// The message that it replies to.
    reply_to: Option<Quote>,
    /// The thread that it stands in.
    thread: Option<ThreadPlace>,
}

/// A frame that carries a message.
#[derive(Serialize)]
pub struct MessageFrame<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) room_id: RoomId,
    pub(super) seq: Seq,
    pub(super) message: MessageView<'a>,
}

impl EventRules for MessagePostedEvent {
    type Payload = Message;
    type Frame<'a> = MessageFrame<'a>;

    const STORE_NAME: &'static str = "message_posted";
    const FRAME_TYPE: &'static str = "chat_message";

    fn facts(message: &Message) -> EventFacts<'_> {
        let is_in_timeline = message.is_in_timeline();
        EventFacts {
            is_activity: is_in_timeline,
            inbox: if is_in_timeline { InboxChange::NewMessage } else { InboxChange::Same },
            stops_typing: Some(message.sender.id),
            thread_root: message.thread.map(|place| place.root),
            ..EventFacts::about(EventSubject::NewMessage(message))
        }
    }

    fn frame<'a>(event: &'a Event, message: &'a Message) -> MessageFrame<'a> {
        let message = message.into();
        MessageFrame { kind: Self::FRAME_TYPE, room_id: event.room, seq: event.seq, message }
    }

    fn restore(row: &impl LogRow) -> Message {
        row.message()
    }
}

pub(super) fn rules(by: Principal, draft: &MessageDraft) -> CommandRules {
    let required = RequiredState {
        partner: true,
        message: draft.reply_to,
        thread: draft.extras.thread.map(|place| place.root),
        participants: draft.mentions.users.clone(),
        participant_count: draft.mentions.room,
        uploads: draft.extras.uploads.clone(),
        sent: draft.client_id.map(|client_id| (by.author(), client_id)).into_iter().collect(),
        last_post: by.user_id(),
        author: by.is_outside_author().then(|| by.author()),
        ..RequiredState::default()
    };
    CommandRules {
        required,
        needs_active_room: true,
        rate: Some(if draft.extras.urgent.is_some() {
            RateClass::UrgentMessages
        } else {
            RateClass::Messages
        }),
        ..CommandRules::of(Action::Post)
    }
}

impl RoomAggregate {
    /// The reply to a draft whose `client_id` was used before. It stays true for a user who has left the
    /// room, but who may not see the message now is not shown what became of it since, or of the one it replies
    /// to.
    pub(super) fn duplicate_reply(
        &self,
        by: Principal,
        draft: &MessageDraft,
    ) -> Result<Option<CommandReply>, Refusal> {
        let Some(client_id) = draft.client_id else { return Ok(None) };
        match self.sent.get(&(by.author(), client_id)) {
            None => Ok(None),
            Some(sent) if sent.digest != draft.digest => Err(Refusal::ClientIdConflict),
            Some(SentMessage { message, .. })
                if self.access_level(by) == AccessLevel::Outsider || message.seq < self.visible_from(by) =>
            {
                let (message, seq, created_at) = (message.id, message.seq, message.created_at);
                Ok(Some(CommandReply::AlreadyPosted { message, seq, created_at }))
            }
            Some(sent) => {
                let message = self.shown_to(by, &sent.message);
                Ok(Some(CommandReply::Posted { message, duplicate: true }))
            }
        }
    }

    pub(super) fn post(&mut self, by: Principal, draft: &MessageDraft) -> Result<CommandOutcome, Refusal> {
        let sender = by.author();
        self.judge_pace(by, sender)?;
        let draft = self.with_uploaded_files(by, draft)?;
        let place = self.judge_draft(by, &draft)?;
        let extras = MessageExtras {
            more_files: draft.extras.more_files.clone(),
            card: draft.extras.card.clone(),
            mentions: draft.mentions.clone(),
            urgent: self.urgent_mark(by, draft.extras.urgent)?,
            ..MessageExtras::default()
        };
        self.attach_uploads(&draft.extras.uploads);
        let mut events = Vec::with_capacity(1);
        let message = self.send(by, sender, &draft, place, extras, &mut events);
        Ok(CommandOutcome::of(events, CommandReply::Posted { message, duplicate: false }))
    }

    /// Refuses what comes too soon after the sender's last message in a room with slow mode.
    pub(super) fn judge_pace(&self, by: Principal, sender: UserId) -> Result<(), Refusal> {
        let last_post = self.last_posts.get(&sender).copied();
        match self.room.next_post_at(self.access_level(by), last_post, self.now) {
            Some(next) => {
                Err(Refusal::TooSoon { retry_after: (next - self.now).to_std().unwrap_or_default() })
            }
            None => Ok(()),
        }
    }

    /// Judges a draft that wasn't sent before, and finds its place.
    pub(super) fn judge_draft(&self, by: Principal, draft: &MessageDraft) -> Result<MessagePlace, Refusal> {
        if draft.content.is_empty() && draft.attachment.is_none() {
            return Err(Refusal::Blank);
        }
        let has_buttons = draft.extras.card.as_ref().is_some_and(|card| !card.buttons.is_empty());
        if has_buttons && !by.is_outside_author() && !by.author().is_bot() {
            return Err(CardRefusal::ButtonsFromPerson.into());
        }
        let rejoining = by.user_id().and_then(|sender| self.rejoining_partner(sender));
        self.check_mentions(by, &draft.mentions, &Mentions::default(), rejoining)?;
        let target = draft.reply_to.and_then(|id| self.visible_message(by, id).ok());
        match (draft.reply_to, target) {
            (Some(_), None) if draft.missing_reply_target == MissingReplyTarget::Reject => {
                Err(Refusal::ReplyTargetNotFound)
            }
            (_, target) => {
                let reply_to = target.map(Message::quote);
                Ok(MessagePlace { reply_to, thread: self.thread_place(by, draft.extras.thread)? })
            }
        }
    }

    /// Sends a message that was judged, and joins the partner of a direct room who has left.
    pub(super) fn send(
        &mut self,
        by: Principal,
        sender: UserId,
        draft: &MessageDraft,
        MessagePlace { reply_to, thread }: MessagePlace,
        extras: MessageExtras,
        events: &mut Vec<Event>,
    ) -> Box<Message> {
        let state = self.participants.get(&sender);
        let is_guest = state.is_some_and(|state| state.participant.role == Role::Guest);
        let extras = MessageExtras { external: is_guest, ..extras };
        let author = match state {
            Some(state) => state.participant.user.clone(),
            None => self
                .users
                .get(&sender)
                .map_or_else(|| UserSummary::erased(sender), |user| user.summary.clone()),
        };
        if let Some(partner) = self.rejoining_partner(sender) {
            events.push(self.rejoin(by, partner, Role::Member.into()));
        }
        let seq = self.room.head.next();
        let message = Message {
            message_type: draft.message_type,
            content: draft.content.clone(),
            attachment: draft.attachment.clone(),
            reply_to,
            thread,
            client_id: draft.client_id,
            extras,
            ..Message::new(draft.id, self.room.id, seq, author, self.now)
        };
        let shown = self.shown_to_all(&message);
        let event = self.event(by, EventBody::MessagePosted(shown));
        events.push(Event { by: Some(sender), ..event });
        self.keep_mentions(&message);
        if message.is_in_timeline() {
            self.newest = Some((seq, message.id));
        }
        self.last_posts.insert(sender, message.created_at);
        if let Some(client_id) = draft.client_id {
            self.sent
                .insert((sender, client_id), SentMessage { message: message.clone(), digest: draft.digest });
        }
        self.messages.insert(message.id, message.clone());
        if let Some(place) = thread {
            self.count_reply(&message, place.root);
        }
        Box::new(message)
    }

    /// The other user of a direct room, who left it and is in it again when `sender` writes.
    fn rejoining_partner(&self, sender: UserId) -> Option<UserId> {
        let mut others = self.participants.values().filter(|state| state.participant.user.id != sender);
        let partner = others.next().filter(|_| self.room.room_type == RoomType::Direct)?;
        (partner.is_active && !partner.participant.is_current()).then_some(partner.participant.user.id)
    }
}

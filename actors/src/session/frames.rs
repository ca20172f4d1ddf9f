//! The frames that a client sends, and what each leads to.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult};
use bytes::Bytes;

use super::{RejectedFrames, SessionActor};
use crate::domain::attachment::ATTACHMENTS_MAX;
use crate::domain::card::Card;
use crate::domain::command::{DraftExtras, MessageDraft, MissingReplyTarget, Refusal, RoomChange};
use crate::domain::emoji;
use crate::domain::ids::{ClientId, MessageId, RoomId};
use crate::domain::mentions::Mentions;
use crate::domain::message::MessageType;
use crate::domain::text::{self, TextError};
use crate::error::{EngineError, ErrorCode};
use crate::failpoint::{self, Failpoint};
use crate::limits;
use crate::messages::room::{JoinKind, SetTyping};
use crate::messages::users::TokenRenewed;
use crate::protocol::client::{self, AddressedFrame, ClientFrame, SentExtras};
use crate::protocol::close::CloseCode;
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;

/// What one read of the socket brought; given back if it comes too early.
#[derive(Message)]
#[rtype(result = "Result<Duration, Vec<ClientInput>>")]
pub(super) struct ReceiveInputs(pub(super) Vec<ClientInput>);

/// One frame of the WebSocket protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientInput {
    /// A text frame; valid UTF-8.
    Text(Bytes),
    /// A ping, to be answered with the same payload.
    Ping(Bytes),
    /// A close frame, with its code.
    Close(u16),
}

impl Handler<ReceiveInputs> for SessionActor {
    type Result = MessageResult<ReceiveInputs>;

    fn handle(&mut self, ReceiveInputs(inputs): ReceiveInputs, ctx: &mut Self::Context) -> Self::Result {
        if (self.handshake.is_some() || self.is_renewing) && !self.is_closing {
            return MessageResult(Err(inputs));
        }
        failpoint::pass(Failpoint::Session);
        let mut inputs = inputs.into_iter();
        while let Some(input) = inputs.next() {
            if self.is_closing {
                break;
            }
            match input {
                ClientInput::Text(text) => self.text(&text, ctx),
                ClientInput::Ping(payload) => {
                    if self.take_frame().is_ok() {
                        self.push(codec::pong(&payload));
                    } else {
                        self.count_refusal();
                    }
                }
                ClientInput::Close(code) => self.close(CloseCode::Echoed(code)),
            }
            if self.is_renewing && inputs.len() > 0 {
                // A token that isn't valid ends the session, and then nothing behind it may have an effect.
                self.flush_rejected_frames();
                return MessageResult(Err(inputs.collect()));
            }
        }
        self.flush_rejected_frames();
        let read_again_at = self.abuse.as_ref().map_or(Duration::ZERO, |abuse| abuse.read_again_at);
        MessageResult(Ok(read_again_at.saturating_sub(self.deps().clock.now())))
    }
}

impl SessionActor {
    fn take_frame(&mut self) -> Result<(), EngineError> {
        let (rate, now) = (self.deps().limits.frames, self.deps().clock.now());
        self.frames.take(rate, now).map_err(|retry_after| EngineError::RateLimited { retry_after })
    }

    fn text(&mut self, text: &[u8], ctx: &mut Context<Self>) {
        let decoded = std::str::from_utf8(text)
            .map_err(|_| client::BadFrame {
                message: "not UTF-8",
                client_id: None,
                room: None,
                is_unknown: false,
            })
            .and_then(client::decode);
        let (room, client_id) = match &decoded {
            Ok(AddressedFrame { room, frame }) => (*room, frame.client_id()),
            Err(bad) => (bad.room, bad.client_id),
        };
        let room = room.or(self.own_room);
        if let Err(error) = self.take_frame() {
            return self.error(&error, room, client_id);
        }
        match decoded {
            Ok(AddressedFrame { room: Some(named), .. }) if self.own_room.is_some_and(|own| own != named) => {
                self.bad_frame("room_id is not the room of this socket", self.own_room, client_id);
            }
            Ok(AddressedFrame { frame, .. }) => self.frame(room, frame, ctx),
            // A legacy client may have a heartbeat of its own, and shows its user every error.
            Err(bad) if bad.is_unknown && bad.client_id.is_none() && self.is_legacy_client => {}
            Err(bad) => self.bad_frame(bad.message, self.own_room.or(bad.room), bad.client_id),
        }
    }

    fn bad_frame(&mut self, message: &str, room: Option<RoomId>, client_id: Option<ClientId>) {
        self.push(codec::error(ErrorCode::BadFrame, message, room, client_id, None));
        let (now, most) = (self.deps().clock.now(), self.deps().limits.bad_frames_max);
        if self.abuse().bad_frames.count(now, most, limits::BAD_FRAMES_WINDOW) {
            self.close(CloseCode::BadFrames);
        }
    }

    fn frame(&mut self, room: Option<RoomId>, frame: ClientFrame, ctx: &mut Context<Self>) {
        match frame {
            ClientFrame::Ping { n } => return self.send(&ServerFrame::Pong { n }),
            ClientFrame::Auth { token } => return self.renew(token, ctx),
            _ => {}
        }
        let Some(room) = room else {
            return self.bad_frame("room_id is missing", None, frame.client_id());
        };
        match frame {
            ClientFrame::ChatMessage { text, reply_to, extras, client_id } => {
                self.post(room, &text, reply_to, &extras, client_id, ctx);
            }
            ClientFrame::React { message, emoji, on, client_id } => match emoji::parse(&emoji) {
                Some(emoji) => {
                    self.submit(room, RoomChange::React { message, emoji, on }, client_id, ctx);
                }
                None => self.invalid("emoji must be one emoji", room, client_id),
            },
            ClientFrame::Change { change, client_id } => self.submit(room, change, client_id, ctx),
            ClientFrame::BotCommand { name, text, client_id } => {
                self.give_bot_command(room, name, &text, client_id);
            }
            ClientFrame::Typing { is_typing } => match self.joined_room(room) {
                Some(joined_room) => {
                    if let Some(username) = self.username.clone() {
                        joined_room.handle.tell(SetTyping { session: self.id, username, is_typing });
                    }
                }
                // The room has not answered yet, and a signal is the first to be dropped.
                None if self.pending_joins.contains_key(&room) => {}
                None => self.error(&EngineError::Refused(Refusal::NotParticipant), Some(room), None),
            },
            ClientFrame::Subscribe { since, epoch } if self.own_room.is_none() => {
                self.unsubscribe(room);
                self.join(room, JoinKind::Multiplexed, since, epoch);
            }
            ClientFrame::Unsubscribe if self.own_room.is_none() => self.unsubscribe(room),
            ClientFrame::Subscribe { .. } | ClientFrame::Unsubscribe => {
                self.bad_frame("this socket is for one room", Some(room), None);
            }
            ClientFrame::Ping { .. } | ClientFrame::Auth { .. } => {}
        }
    }

    fn post(
        &mut self,
        room: RoomId,
        text: &str,
        reply_to: Option<MessageId>,
        sent: &SentExtras,
        client_id: Option<ClientId>,
        ctx: &mut Context<Self>,
    ) {
        if self.deps().backlog.is_full() {
            return self.reject_post(room, client_id);
        }
        let card = match sent.card.as_ref().map(Card::read).transpose() {
            Ok(card) => card.map(Box::new),
            Err(error) => return self.invalid(&format!("card: {error}"), room, client_id),
        };
        // A client that can't be told that the text is too long has emptied the input already.
        let chars_max = client_id.map_or(text::CONTENT_CHARS_KEPT, |_| text::CONTENT_CHARS_MAX);
        let content = match text::content(text, chars_max) {
            Ok(content) => content.to_owned(),
            Err(TextError::Blank) if card.is_some() => card.as_deref().map(Card::as_text).unwrap_or_default(),
            Err(TextError::Blank) if !sent.uploads.is_empty() => String::new(),
            // A legacy client expects a blank message to be ignored.
            Err(TextError::Blank) if client_id.is_none() => return,
            Err(error) => return self.invalid(&error.to_string(), room, client_id),
        };
        if sent.mentions.users.len() > Mentions::USERS_MAX {
            let message = format!("mentions may name {} people at most", Mentions::USERS_MAX);
            return self.invalid(&message, room, client_id);
        }
        if sent.uploads.len() > ATTACHMENTS_MAX {
            let message = format!("attachments may name {ATTACHMENTS_MAX} uploads at most");
            return self.invalid(&message, room, client_id);
        }
        let (uploads, urgent) = (sent.uploads.clone(), sent.urgent);
        let extras = DraftExtras { card, thread: sent.thread, urgent, uploads, more_files: Vec::new() };
        let draft = MessageDraft {
            id: self.worker.next_message(),
            client_id,
            digest: extras.add_to(MessageDraft::digest_of(&content, reply_to, None)),
            content,
            message_type: MessageType::Text,
            attachment: None,
            reply_to,
            missing_reply_target: MissingReplyTarget::Ignore,
            extras,
            mentions: Mentions::default(),
        };
        self.submit(room, RoomChange::Post(draft.mentioning(sent.mentions.clone())), client_id, ctx);
    }

    /// Refuses a frame that was understood, for one of its values.
    pub(super) fn invalid(&mut self, message: &str, room: RoomId, client_id: Option<ClientId>) {
        self.push(codec::error(ErrorCode::Invalid, message, Some(room), client_id, None));
    }

    /// Refuses a message before any work is done for it.
    fn reject_post(&mut self, room: RoomId, client_id: Option<ClientId>) {
        let rejected_frames = &mut self.abuse().rejected_frames;
        rejected_frames.frames.extend_from_slice(&codec::engine_error(
            &EngineError::Overloaded,
            Some(room),
            client_id,
        ));
        rejected_frames.count += 1;
        self.pause();
    }

    /// Sends the refusals of one read together.
    fn flush_rejected_frames(&mut self) {
        let Some(abuse) = &mut self.abuse else { return };
        let RejectedFrames { frames, count } = std::mem::take(&mut abuse.rejected_frames);
        if count > 0 {
            metrics::counter!("chat_commands_overloaded_total").increment(count);
            self.push(frames.into());
        }
    }

    /// Takes a newer token of the same user. Any other ends the connection.
    fn renew(&mut self, token: String, ctx: &mut Context<Self>) {
        let (identity, store, user) = (self.deps().identity.clone(), self.deps().store.clone(), self.user);
        let verify = async move {
            let credential = identity.verify(&token).await.filter(|credential| credential.user == user)?;
            let is_void = match store.user(user).await {
                Ok(Some((_, right))) => !right.accepts(credential.issued_at),
                Ok(None) => true,
                // The token is valid, and the feed of commits tells of a revocation when the store is back.
                Err(_) => false,
            };
            (!is_void).then_some(credential)
        };
        self.is_renewing = true;
        ctx.spawn(actix::fut::wrap_future::<_, Self>(verify).map(move |credential, this, _| {
            this.is_renewing = false;
            if this.is_closing {
                return;
            }
            let Some(credential) = credential else { return this.close(CloseCode::Unauthorized) };
            this.issued_at = credential.issued_at;
            let (user, session, issued_at) = (this.user, this.id, credential.issued_at);
            this.deps().users.tell(TokenRenewed { user, session, issued_at });
            this.expire_at(this.deps().clock.now() + credential.expires_in);
            this.send(&ServerFrame::AuthOk { expires_at: credential.expires_at });
        }));
    }
}

//! What a client's frames come to.

use std::time::Duration;

use actix::{ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, MessageResult};
use bytes::Bytes;

use super::{SessionActor, Shed};
use crate::domain::command::{Change, Draft, ReadTarget, Refusal, StrayReply};
use crate::domain::ids::{ClientId, MessageId, RoomId};
use crate::domain::message::MessageType;
use crate::domain::text::{self, TextError};
use crate::error::{EngineError, ErrorCode};
use crate::failpoint::{self, Point};
use crate::limits;
use crate::people::Renewed;
use crate::protocol::client::{self, Addressed, ClientFrame};
use crate::protocol::close::CloseCode;
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;
use crate::room::{Purpose, SetTyping};

/// How often it is looked whether a session that takes nothing yet, for it is being let in or its token is
/// being looked at, does so by now.
const EARLY_PAUSE: Duration = Duration::from_millis(20);

/// Gives the session what one read of the socket brought, in order, once it has been let in. Awaiting this
/// keeps the reader from running ahead of the session; it says how long to wait before the next read. None
/// when the session has ended.
pub async fn hand_over(session: &Addr<SessionActor>, mut inputs: Vec<Input>) -> Option<Duration> {
    loop {
        match session.send(Received(inputs)).await.ok()? {
            Ok(pause) => return Some(pause),
            Err(early) => inputs = early,
        }
        // Boxed, for it is rare, and there is a reader for each of thousands of sockets.
        Box::pin(tokio::time::sleep(EARLY_PAUSE)).await;
    }
}

/// What came from the socket; given back when it comes too early.
#[derive(Message)]
#[rtype(result = "Result<Duration, Vec<Input>>")]
struct Received(Vec<Input>);

/// One frame of the WebSocket protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A text frame; valid UTF-8.
    Text(Bytes),
    /// A ping, to be answered with the same payload.
    Ping(Bytes),
    /// The client wants to end, for the reason that its code tells.
    Close(u16),
}

impl Handler<Received> for SessionActor {
    type Result = MessageResult<Received>;

    fn handle(&mut self, Received(inputs): Received, ctx: &mut Self::Context) -> Self::Result {
        if (self.opening.is_some() || self.is_renewing) && !self.is_closing {
            return MessageResult(Err(inputs));
        }
        failpoint::pass(Point::Session);
        let mut inputs = inputs.into_iter();
        while let Some(input) = inputs.next() {
            if self.is_closing {
                break;
            }
            match input {
                Input::Text(text) => self.text(&text, ctx),
                Input::Ping(payload) => {
                    if self.take_frame().is_ok() {
                        self.push(codec::pong(&payload));
                    } else {
                        self.count_refusal();
                    }
                }
                Input::Close(code) => self.close(CloseCode::Echoed(code)),
            }
            if self.is_renewing && inputs.len() > 0 {
                // A token that isn't good ends the session, and nothing behind it has an effect then.
                self.tell_what_was_shed();
                return MessageResult(Err(inputs.collect()));
            }
        }
        self.tell_what_was_shed();
        let reads_at = self.trouble.as_ref().map_or(Duration::ZERO, |trouble| trouble.reads_at);
        MessageResult(Ok(reads_at.saturating_sub(self.core().clock.now())))
    }
}

impl SessionActor {
    fn take_frame(&mut self) -> Result<(), EngineError> {
        let (rate, now) = (self.core().limits.frames, self.core().clock.now());
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
            Ok(Addressed { room, frame: ClientFrame::ChatMessage { client_id, .. } }) => (*room, *client_id),
            Ok(Addressed { room, .. }) => (*room, None),
            Err(bad) => (bad.room, bad.client_id),
        };
        let room = room.or(self.own_room);
        if let Err(error) = self.take_frame() {
            return self.error(&error, room, client_id);
        }
        match decoded {
            Ok(Addressed { room: Some(named), .. }) if self.own_room.is_some_and(|own| own != named) => {
                self.bad_frame("room_id is not the room of this socket", self.own_room, client_id);
            }
            Ok(Addressed { frame, .. }) => self.frame(room, frame, ctx),
            // An inherited client may have a heartbeat of its own, and shows its user every error.
            Err(bad) if bad.is_unknown && bad.client_id.is_none() && self.is_inherited => {}
            Err(bad) => self.bad_frame(bad.message, self.own_room.or(bad.room), bad.client_id),
        }
    }

    fn bad_frame(&mut self, message: &str, room: Option<RoomId>, client_id: Option<ClientId>) {
        self.push(codec::error(ErrorCode::BadFrame, message, room, client_id, None));
        let (now, most) = (self.core().clock.now(), self.core().limits.bad_frames_max);
        if self.trouble().bad_frames.count(now, most, limits::BAD_FRAMES_WITHIN) {
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
            let client_id = match frame {
                ClientFrame::ChatMessage { client_id, .. } => client_id,
                _ => None,
            };
            return self.bad_frame("room_id is missing", None, client_id);
        };
        match frame {
            ClientFrame::ChatMessage { text, reply_to, client_id } => {
                self.post(room, &text, reply_to, client_id, ctx);
            }
            ClientFrame::ReadReceipt { message } => {
                self.submit(room, Change::Read(ReadTarget::Message(message)), None, ctx);
            }
            ClientFrame::MarkRoomRead => self.submit(room, Change::Read(ReadTarget::Head), None, ctx),
            ClientFrame::Typing { is_typing } => match self.place(room) {
                Some(place) => {
                    if let (Some(addr), Some(username)) = (place.actor(), self.username.clone()) {
                        addr.do_send(SetTyping { session: self.id, username, is_typing });
                    }
                }
                // The room has not answered yet, and a signal is the first to be dropped.
                None if self.asked.contains_key(&room) => {}
                None => self.error(&EngineError::Refused(Refusal::NotParticipant), Some(room), None),
            },
            ClientFrame::Subscribe { since, epoch } if self.own_room.is_none() => {
                self.unsubscribe(room);
                self.join(room, Purpose::Subscription, since, epoch);
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
        client_id: Option<ClientId>,
        ctx: &mut Context<Self>,
    ) {
        if self.core().backlog.is_full() {
            return self.shed(room, client_id);
        }
        // Who can't be told that it is too long has emptied the input already.
        let chars_max = client_id.map_or(text::CONTENT_CHARS_KEPT, |_| text::CONTENT_CHARS_MAX);
        let content = match text::content(text, chars_max) {
            Ok(content) => content.to_owned(),
            // An old client expects a blank message to be ignored.
            Err(TextError::Blank) if client_id.is_none() => return,
            Err(error) => {
                let message = error.to_string();
                return self.push(codec::error(ErrorCode::Invalid, &message, Some(room), client_id, None));
            }
        };
        let draft = Draft {
            id: self.worker.next_message(),
            client_id,
            digest: Draft::digest_of(&content, reply_to, None),
            content,
            message_type: MessageType::Text,
            attachment: None,
            reply_to,
            stray_reply: StrayReply::Drop,
        };
        self.submit(room, Change::Post(draft), client_id, ctx);
    }

    /// Refuses a message before anything else is done for it.
    fn shed(&mut self, room: RoomId, client_id: Option<ClientId>) {
        let shed = &mut self.trouble().shed;
        shed.frames.extend_from_slice(&codec::refusal(&EngineError::Overloaded, Some(room), client_id));
        shed.count += 1;
        self.pause();
    }

    /// Refusals of one read go out together.
    fn tell_what_was_shed(&mut self) {
        let Some(trouble) = &mut self.trouble else { return };
        let Shed { frames, count } = std::mem::take(&mut trouble.shed);
        if count > 0 {
            metrics::counter!("chat_commands_overloaded_total").increment(count);
            self.push(frames.into());
        }
    }

    /// Takes a newer token of the same person; any other ends the connection.
    fn renew(&mut self, token: String, ctx: &mut Context<Self>) {
        let (identity, store, user) = (self.core().identity.clone(), self.core().store.clone(), self.user);
        let verify = async move {
            let credential = identity.verify(&token).await.filter(|credential| credential.user == user)?;
            let is_void = match store.person(user).await {
                Ok(Some((_, right))) => !right.honours(credential.issued_at),
                Ok(None) => true,
                // The feed of commits tells of a revocation when the store is back; the token is valid.
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
            this.core().people.do_send(Renewed { user, session, issued_at });
            this.expire_at(this.core().clock.now() + credential.expires_in);
            this.send(&ServerFrame::AuthOk { expires_at: credential.expires_at });
        }));
    }
}

//! Forwarding messages of one room to others.
//!
//! The messages are read first; then each room is sent its copies by one command, which is carried out as a whole
//! or refused as a whole.

use std::collections::{BTreeMap, HashMap};

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::command::{
    Command, CommandReply, DraftExtras, ForwardDraft, MessageDraft, MissingReplyTarget, Principal, Refusal,
    RoomChange,
};
use actors::domain::ids::{ClientId, MessageId, RoomId};
use actors::domain::mentions::Mentions;
use actors::domain::message::{Message, MessageType};
use actors::domain::message_extras::Forwarded;
use actors::domain::text::CONTENT_CHARS_MAX;
use actors::error::{EngineError, ErrorCode};
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::view::{ApiMessage, BASE_BYTES, MessagePresenter};
use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::{Fields, FromFields};
use crate::http::in_flight::Permit;
use crate::http::state::ApiState;
use crate::store::postgres::queries::MessageDetails;

/// The most messages of one request.
const MESSAGES_MAX: usize = 20;
/// The most rooms of one request.
const ROOMS_MAX: usize = 10;

/// Messages to be forwarded.
#[derive(ToSchema)]
#[schema(as = ForwardMessages)]
pub struct ForwardRequest {
    /// The messages, all of one room, in the order in which they are to be sent.
    #[schema(value_type = Vec<Uuid>, min_items = 1, max_items = 20)]
    message_ids: Vec<MessageId>,
    /// The rooms to which they are sent.
    #[schema(value_type = Vec<Uuid>, min_items = 1, max_items = 10)]
    rooms: Vec<RoomId>,
    /// A message that is sent before them in each room.
    #[schema(value_type = Option<String>, max_length = 4000)]
    content: String,
    /// What the client calls this send, so that a retry makes nothing new.
    #[schema(value_type = Uuid)]
    client_id: ClientId,
}

impl FromFields for ForwardRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let message_ids = fields.some_uuids("message_ids", MESSAGES_MAX);
        let rooms = fields.some_uuids("rooms", ROOMS_MAX);
        let content = fields.optional_text("content", CONTENT_CHARS_MAX).unwrap_or_default();
        let client_id = fields.uuid("client_id");
        let client_id = fields.require("client_id", client_id);
        Some(Self {
            message_ids: message_ids?.into_iter().map(MessageId).collect(),
            rooms: rooms?.into_iter().map(RoomId).collect(),
            content,
            client_id: ClientId(client_id?),
        })
    }
}

/// What was sent, and where nothing was.
#[derive(Serialize, ToSchema)]
#[schema(as = ForwardedMessages)]
pub struct ApiForwardedMessages {
    /// What was sent, room by room; in a room that the caller has left since, `id`, `room`, `seq` and `created_at`
    /// alone.
    #[schema(value_type = Vec<ApiMessage>)]
    messages: Vec<SentCopy>,
    /// The rooms in which nothing was sent, each with the code of its error.
    errors: BTreeMap<Uuid, &'static str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum SentCopy {
    Visible(Box<ApiMessage>),
    /// Sent before, in a room that the caller has left since.
    Hidden {
        id: Uuid,
        room: Uuid,
        seq: i64,
        created_at: DateTime<Utc>,
    },
}

/// Sends copies of messages to other rooms: in each room all of them or none.
#[utoipa::path(post, path = "/api/chat/messages/forward/", tag = "messages", request_body = ForwardRequest,
    responses((status = 201, body = ApiForwardedMessages),
        (status = 200, body = ApiForwardedMessages, description = "All of it was sent before")))]
pub async fn create(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let viewer = caller.user_id()?;
    if caller.is_service() {
        return Err(ApiError::forbidden());
    }
    let forward: ForwardRequest = body.object().await?;
    let read = state.store.messages_by_id(viewer, &forward.message_ids).await?;
    let sources: HashMap<MessageId, Message> =
        read.into_iter().map(|details| (details.message.id, details.message)).collect();
    let first_room = sources.values().next().map(|source| source.room);
    if sources.values().any(|source| Some(source.room) != first_room) {
        return Err(ApiError::field("message_ids", "The messages must be of one room."));
    }
    let bytes: usize = sources.values().map(|source| source.content.len() + BASE_BYTES).sum();
    Permit::of(&request, &state.in_flight)
        .reserve((bytes + forward.content.len() + BASE_BYTES) * forward.rooms.len())?;

    let by = caller.token_holder()?;
    let answers = join_all(forward.rooms.iter().map(|room| forward.send(&state, by, *room, &sources))).await;
    let mut replies = Vec::new();
    let mut errors: BTreeMap<Uuid, ErrorCode> = BTreeMap::new();
    for (room, answer) in forward.rooms.iter().zip(answers) {
        match answer {
            Ok(sent) => replies.extend(sent.into_iter().map(|reply| (*room, reply))),
            Err(error) => _ = errors.insert(room.0, error.code()),
        }
    }
    let is_missing = forward.message_ids.iter().any(|id| !sources.contains_key(id));
    if is_missing && replies.is_empty() && !errors.values().any(|code| code.is_retryable()) {
        return Err(ApiError::field("message_ids", "Each must be a message that you can read."));
    }
    let has_sent =
        replies.iter().any(|(_, reply)| matches!(reply, CommandReply::Posted { duplicate: false, .. }));
    let messages = present(&request, &state, &caller, replies).await?;
    let mut response =
        if has_sent || messages.is_empty() { HttpResponse::Created() } else { HttpResponse::Ok() };
    let errors = errors.into_iter().map(|(room, code)| (room, code.as_str())).collect();
    Ok(response.json(ApiForwardedMessages { messages, errors }))
}

impl ForwardRequest {
    /// Sends one room its messages; returns what [`CommandReply::Forwarded`] says of each.
    async fn send(
        &self,
        state: &ApiState,
        by: Principal,
        room: RoomId,
        sources: &HashMap<MessageId, Message>,
    ) -> Result<Vec<CommandReply>, EngineError> {
        let comment = (!self.content.is_empty()).then(|| self.comment(room));
        let copies = self.message_ids.iter().map(|id| self.copy(room, *id, sources.get(id)));
        let change = RoomChange::Forward(comment.into_iter().chain(copies).collect());
        match state.engine.command(Command { room, by, change }).await {
            Ok(CommandReply::Forwarded(replies)) => Ok(replies),
            Ok(_) => Err(EngineError::OutcomeUnknown),
            // Who isn't in a room isn't told whether there is one.
            Err(EngineError::Refused(Refusal::RoomNotFound)) => Err(Refusal::NotParticipant.into()),
            Err(error) => Err(error),
        }
    }

    fn comment(&self, room: RoomId) -> ForwardDraft {
        let draft = MessageDraft {
            id: MessageId::new(),
            client_id: Some(self.client_id.of_part(room, None)),
            content: self.content.clone(),
            message_type: MessageType::Text,
            attachment: None,
            reply_to: None,
            missing_reply_target: MissingReplyTarget::Reject,
            extras: DraftExtras::default(),
            mentions: Mentions::default(),
            digest: MessageDraft::digest_of(&self.content, None, None),
        };
        ForwardDraft { draft, origin: None }
    }

    /// The copy of the message `id`, whose `source` is none if it can't be read any more.
    fn copy(&self, room: RoomId, id: MessageId, source: Option<&Message>) -> ForwardDraft {
        let origin = source.map(|source| {
            let first = source.extras.forwarded.clone();
            first.unwrap_or_else(|| Forwarded {
                sender: source.sender.clone(),
                created_at: source.created_at,
                room: source.room,
                message: source.id,
            })
        });
        let draft = MessageDraft {
            id: MessageId::new(),
            client_id: Some(self.client_id.of_part(room, Some(id))),
            content: source.map(|source| source.content.clone()).unwrap_or_default(),
            message_type: source.map_or(MessageType::Text, |source| source.message_type),
            attachment: source.and_then(|source| source.attachment.clone()),
            reply_to: None,
            missing_reply_target: MissingReplyTarget::Reject,
            extras: DraftExtras {
                more_files: source.map(|source| source.extras.more_files.clone()).unwrap_or_default(),
                ..DraftExtras::default()
            },
            mentions: Mentions::default(),
            digest: MessageDraft::digest_of_copy(id),
        };
        ForwardDraft { draft, origin }
    }
}

/// Presents what was sent now or before, in order.
async fn present(
    request: &HttpRequest,
    state: &ApiState,
    caller: &Caller,
    replies: Vec<(RoomId, CommandReply)>,
) -> Result<Vec<SentCopy>, ApiError> {
    let presenter = MessagePresenter::new(request, state, caller);
    let sent: Vec<MessageId> = replies
        .iter()
        .filter_map(|(_, reply)| match reply {
            CommandReply::Posted { message, .. } => Some(message.id),
            _ => None,
        })
        .collect();
    let read = state.store.messages_by_id(caller.user_id()?, &sent).await?;
    let mut visible: HashMap<MessageId, MessageDetails> =
        read.into_iter().map(|details| (details.message.id, details)).collect();
    let present = |(room, reply): (RoomId, CommandReply)| match reply {
        CommandReply::Posted { message, .. } => {
            // A message that was deleted meanwhile is shown as the log has it.
            let details = visible.remove(&message.id);
            let shown = details
                .map_or_else(|| presenter.present_sent(&message), |details| presenter.present(details));
            Some(SentCopy::Visible(Box::new(shown)))
        }
        CommandReply::AlreadyPosted { message, seq, created_at } => {
            Some(SentCopy::Hidden { id: message.0, room: room.0, seq: seq.0, created_at })
        }
        _ => None,
    };
    Ok(replies.into_iter().filter_map(present).collect())
}

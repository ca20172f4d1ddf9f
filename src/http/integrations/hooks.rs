//! What other applications post. The address is the secret, so no token is asked for.

use std::collections::BTreeMap;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::card::Card;
use actors::domain::command::{
    Command, CommandReply, DraftExtras, MessageDraft, MissingReplyTarget, Principal, Refusal, RoomChange,
};
use actors::domain::ids::{ClientId, MessageId, RoomId};
use actors::domain::mentions::Mentions;
use actors::domain::message::MessageType;
use actors::domain::text::{CONTENT_CHARS_MAX, NAME_CHARS_MAX};
use actors::error::EngineError;
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::incoming::hash_of;
use crate::http::body::RequestBody;
use crate::http::error::ApiError;
use crate::http::fields::{Fields, FromFields};
use crate::http::messages::card_view::SendCard;
use crate::http::state::ApiState;
use crate::store::postgres::integrations::IncomingHook;

/// A message that another application posts.
#[derive(ToSchema)]
#[schema(as = PostToHook)]
pub struct PostToHookRequest {
    /// The text; may be left out beside a card.
    #[schema(value_type = Option<String>, max_length = 4000)]
    text: String,
    /// A card.
    #[schema(value_type = Option<SendCard>)]
    card: Option<Card>,
    /// What the application calls this post, so that a retry posts nothing new.
    #[schema(max_length = 255)]
    key: Option<String>,
}

impl FromFields for PostToHookRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let text = fields.optional_text("text", CONTENT_CHARS_MAX).unwrap_or_default();
        let card = fields.parsed("card", Card::read);
        let key = fields.optional_text("key", NAME_CHARS_MAX).filter(|key| !key.is_empty());
        Some(Self { text, card, key })
    }
}

/// What was posted, and where nothing was.
#[derive(Serialize, ToSchema)]
#[schema(as = PostedToHook)]
pub struct ApiPosted {
    /// The messages, one in each room.
    pub messages: Vec<ApiPostedMessage>,
    /// The rooms in which nothing was posted, each with the code of its error.
    pub errors: BTreeMap<Uuid, &'static str>,
}

/// A message that was posted.
#[derive(Serialize, ToSchema)]
#[schema(as = PostedMessage)]
pub struct ApiPostedMessage {
    /// The message's id.
    pub id: Uuid,
    /// Its room.
    pub room: Uuid,
    /// Its position in the room's log.
    pub seq: i64,
    /// When it was posted.
    pub created_at: DateTime<Utc>,
}

/// Posts a message to the rooms of an address.
#[utoipa::path(post, path = "/api/chat/hooks/{secret}/", tag = "integrations", security(()),
    params(("secret" = String, Path)), request_body = PostToHookRequest,
    responses((status = 201, body = ApiPosted),
        (status = 200, body = ApiPosted, description = "All of it was posted before, under the same `key`"),
        (status = 403, body = crate::http::error::ErrorBody, description = "No room of the address takes it")))]
pub async fn post(
    request: HttpRequest,
    state: Data<ApiState>,
    secret: Path<String>,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let hook = state.store.hook_of_secret(&hash_of(&secret)).await?.ok_or_else(ApiError::not_found)?;
    state.rate_limits.check_request(hook.account)?;
    state.in_flight.enter(&request, hook.account)?;
    let post: PostToHookRequest = body.object().await?;
    if hook.rooms.is_empty() {
        // Whoever has set it up may no longer do so.
        return Err(ApiError::forbidden());
    }
    let draft = post.draft(&hook)?;
    let answers = join_all(hook.rooms.iter().map(|room| send(&state, &hook, RoomId(*room), &draft))).await;
    let (mut messages, mut errors, mut first_error) = (Vec::new(), BTreeMap::new(), None);
    let mut is_new = false;
    for (room, answer) in hook.rooms.iter().zip(answers) {
        match answer {
            Ok(Posted { id, seq, created_at, is_duplicate }) => {
                is_new |= !is_duplicate;
                messages.push(ApiPostedMessage { id: id.0, room: *room, seq, created_at });
            }
            Err(error) => {
                errors.insert(*room, error.code().as_str());
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) if messages.is_empty() => Err(error.into()),
        _ => {
            let mut response = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
            Ok(response.json(ApiPosted { messages, errors }))
        }
    }
}

/// A message that is in a room's log.
struct Posted {
    id: MessageId,
    seq: i64,
    created_at: DateTime<Utc>,
    is_duplicate: bool,
}

/// Posts a message to one room.
async fn send(
    state: &ApiState,
    hook: &IncomingHook,
    room: RoomId,
    draft: &MessageDraft,
) -> Result<Posted, EngineError> {
    let draft = MessageDraft { id: MessageId::new(), ..draft.clone() };
    let by = Principal::Integration(hook.account);
    match state.engine.command(Command { room, by, change: RoomChange::Post(draft) }).await? {
        CommandReply::Posted { message, duplicate } => Ok(Posted {
            id: message.id,
            seq: message.seq.0,
            created_at: message.created_at,
            is_duplicate: duplicate,
        }),
        CommandReply::AlreadyPosted { message, seq, created_at } => {
            Ok(Posted { id: message, seq: seq.0, created_at, is_duplicate: true })
        }
        _ => Err(EngineError::OutcomeUnknown),
    }
}

impl PostToHookRequest {
    /// The message, as it is the same in each room.
    fn draft(self, hook: &IncomingHook) -> Result<MessageDraft, ApiError> {
        let content = match &self.card {
            Some(card) if self.text.is_empty() => card.as_text(),
            _ => self.text,
        };
        if content.is_empty() {
            return Err(ApiError::field("text", Refusal::Blank.to_string()));
        }
        let extras = DraftExtras { card: self.card.map(Box::new), ..DraftExtras::default() };
        let client_id = self.key.map(|key| ClientId(Uuid::new_v5(&hook.id, key.as_bytes())));
        Ok(MessageDraft {
            id: MessageId::new(),
            client_id,
            digest: extras.add_to(MessageDraft::digest_of(&content, None, None)),
            content,
            message_type: MessageType::Text,
            attachment: None,
            reply_to: None,
            missing_reply_target: MissingReplyTarget::Reject,
            extras,
            mentions: Mentions::default(),
        })
    }
}

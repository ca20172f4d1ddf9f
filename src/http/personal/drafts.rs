//! Drafts: what the caller has typed in a room and not sent yet, on whatever device.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::ids::MessageId;
use actors::domain::personal::Draft;
use actors::domain::text::DRAFT_CHARS_MAX;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{notify, page_response, require_reply_target};
use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::{Fields, FromFields};
use crate::http::page::{PER_PAGE_DEFAULT, Page, Pagination};
use crate::http::query::QueryString;
use crate::http::rooms::room_id;
use crate::http::state::ApiState;
use crate::store::postgres::personal::{DRAFTS_MAX, DraftOutcome, NewDraft};

/// Drafts on one page at most: 2 MB if each holds the longest text.
const PAGE_SIZE_MAX: i64 = 25;

/// A draft.
#[derive(Serialize, ToSchema)]
#[schema(as = Draft)]
pub struct ApiDraft {
    /// The room.
    pub room_id: Uuid,
    /// The text as it was typed; empty for none.
    pub content: String,
    /// The message that it answers.
    pub reply_to_id: Option<Uuid>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<Draft> for ApiDraft {
    fn from(draft: Draft) -> Self {
        Self {
            room_id: draft.room.0,
            content: draft.content,
            reply_to_id: draft.reply_to.map(|message| message.0),
            updated_at: draft.updated_at,
        }
    }
}

/// A draft to be kept.
#[derive(ToSchema)]
#[schema(as = PutDraft)]
pub struct PutDraftRequest {
    /// The text, kept as it is; empty to end the draft.
    #[schema(max_length = 20000)]
    content: String,
    /// The message that it answers, in the same room.
    #[schema(value_type = Option<Uuid>)]
    reply_to: Option<MessageId>,
}

impl FromFields for PutDraftRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let content = fields.verbatim_text("content", DRAFT_CHARS_MAX);
        let content = fields.require("content", content);
        let reply_to = fields.uuid("reply_to").map(MessageId);
        Some(Self { content: content?, reply_to })
    }
}

/// Keeps what the caller has typed in a room; the last call wins. An empty text ends the draft.
#[utoipa::path(put, path = "/api/chat/rooms/{id}/draft/", tag = "personal",
    params(("id" = Uuid, Path)), request_body = PutDraftRequest, responses((status = 200, body = ApiDraft)))]
pub async fn put(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<Json<ApiDraft>, ApiError> {
    let (user, room) = (caller.user_id()?, room_id(&id)?);
    let access = state.store.room_access(room, Some(user)).await?.ok_or_else(ApiError::not_found)?;
    if access.role.is_none() {
        return Err(ApiError::forbidden());
    }
    let PutDraftRequest { content, reply_to } = body.object().await?;
    require_reply_target(&state, user, room, reply_to).await?;
    match state.store.put_draft(user, NewDraft { room, content: &content, reply_to }).await? {
        DraftOutcome::Stored { draft, head } => {
            notify(&state, user, head);
            Ok(Json(draft.into()))
        }
        DraftOutcome::TooMany => {
            Err(ApiError::field("content", format!("No more than {DRAFTS_MAX} drafts are kept.")))
        }
    }
}

/// Lists the caller's drafts, the newest first.
#[utoipa::path(get, path = "/api/chat/drafts/", tag = "personal", params(Pagination),
    responses((status = 200, body = Page<ApiDraft>,
        headers(("X-Personal-Position" = i64, description = "The position of the personal log that this shows")))))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<HttpResponse, ApiError> {
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?.limited_to(PAGE_SIZE_MAX);
    let found = state.store.drafts(caller.user_id()?, pagination.limit(), pagination.offset()).await?;
    let drafts = found.items.into_iter().map(ApiDraft::from).collect();
    Ok(page_response(found.head, pagination.page(&request, &query, found.count, drafts)?))
}

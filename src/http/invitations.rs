//! Invitations: links by which a few users may come into a room for a while.
//!
//! The link ends with a token, which is told once and stored as its hash.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::command::{Command, CommandReply, Refusal, RoomChange};
use actors::domain::ids::RoomId;
use actors::domain::invitation::{Invitation, InvitationDraft, InvitationError, InvitationId, USES_MAX};
use actors::domain::participant::Role;
use actors::error::EngineError;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::RequestBody;
use super::caller::Caller;
use super::error::{ApiError, map_refusal};
use super::fields::{Fields, FromFields, parse_uuid};
use super::page::{PER_PAGE_DEFAULT, Page, Pagination};
use super::params::ListInvitationsParams;
use super::participants::check_manager;
use super::query::QueryString;
use super::rooms::{ApiRoom, load_room};
use super::state::ApiState;
use crate::store::postgres::record::audit::{AuditKind, NewAuditEntry};

/// The most bytes of a token, or of the link that ends with it.
const TOKEN_BYTES_MAX: usize = 2_000;

/// An invitation into a room.
#[derive(Serialize, ToSchema)]
#[schema(as = Invitation)]
pub struct ApiInvitation {
    /// The invitation's id.
    pub id: Uuid,
    /// The room.
    pub room: Uuid,
    /// As what people come in: `admin`, `member` or `guest`.
    pub role: &'static str,
    /// When their memberships end.
    pub until: Option<DateTime<Utc>>,
    /// How many people it lets in.
    pub uses: i64,
    /// How many it has let in.
    pub used: i64,
    /// Who made it; none where the host application did.
    pub created_by: Option<i64>,
    /// When that was.
    pub created_at: DateTime<Utc>,
    /// Until when it can be used.
    pub expires_at: DateTime<Utc>,
}

/// An invitation that was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = NewInvitation)]
pub struct ApiNewInvitation {
    #[serde(flatten)]
    invitation: ApiInvitation,
    /// The link to pass on, which ends with the token.
    url: String,
    /// The token, for links of the host application's own. It is told this once.
    token: String,
}

impl From<&Invitation> for ApiInvitation {
    fn from(invitation: &Invitation) -> Self {
        Self {
            id: invitation.id.0,
            room: invitation.room.0,
            role: invitation.role.as_str(),
            until: invitation.until,
            uses: invitation.uses,
            used: invitation.used,
            created_by: invitation.created_by.map(|user| user.0),
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
        }
    }
}

/// An invitation to be made.
#[derive(ToSchema)]
#[schema(as = CreateInvitation)]
pub struct CreateInvitationRequest {
    /// The room, of which the caller is an admin.
    #[schema(value_type = Uuid)]
    room: RoomId,
    /// As what people come in; `guest` when left out.
    #[schema(value_type = Option<String>, pattern = "^(admin|member|guest)$", nullable = false)]
    role: Option<Role>,
    /// When their memberships end; the invitation ends then too, and after 30 days at the latest.
    until: Option<DateTime<Utc>>,
    /// How many people it lets in; one when left out.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1000, nullable = false)]
    uses: Option<u32>,
}

impl FromFields for CreateInvitationRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let room = fields.uuid("room");
        let room = fields.require("room", room).map(RoomId);
        let uses = fields.number("uses", USES_MAX);
        if uses == Some(0) {
            fields.add_error("uses", "Ensure this value is greater than or equal to 1.");
        }
        let uses = uses.and_then(|uses| u32::try_from(uses).ok());
        let (role, until) = (fields.choice("role", Role::named), fields.stored_time("until"));
        Some(Self { room: room?, role, until, uses })
    }
}

/// The token of an invitation.
#[derive(ToSchema)]
#[schema(as = AcceptInvitation)]
pub struct AcceptInvitationRequest {
    /// The token, or the link that ends with it.
    token: String,
}

impl FromFields for AcceptInvitationRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let token = fields.raw_text("token", TOKEN_BYTES_MAX);
        let token = fields.require("token", token)?;
        // People paste what they were sent.
        let token = token.trim().rsplit(['=', '#', '/']).next().unwrap_or_default().to_owned();
        Some(Self { token })
    }
}

/// Makes an invitation into a room; its admins only.
#[utoipa::path(post, path = "/api/chat/invitations/", tag = "participants", request_body = CreateInvitationRequest,
    responses((status = 201, body = ApiNewInvitation)))]
pub async fn create(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let CreateInvitationRequest { room, role, until, uses } = body.object().await?;
    let access = state.store.room_access(room, caller.viewer()).await?;
    let access = access.ok_or_else(|| ApiError::field("room", "This room does not exist."))?;
    check_manager(&caller, access, "room")?;
    let token = new_token();
    let draft = InvitationDraft {
        id: InvitationId(Uuid::now_v7()),
        token_hash: hash(&token),
        role: role.unwrap_or(Role::Guest),
        until,
        uses: uses.unwrap_or(1),
    };
    let command = Command { room, by: caller.principal()?, change: RoomChange::Invite(draft) };
    let reply = map_refusal(state.engine.command(command).await, |refusal| match refusal {
        Refusal::NotParticipant => ApiError::forbidden(),
        other => other.into(),
    })?;
    let CommandReply::Invitation(invitation) = reply else {
        return Err(EngineError::OutcomeUnknown.into());
    };
    let ApiInvitation { id, role, until, uses, .. } = invitation.as_ref().into();
    let data = json!({"invitation": id, "role": role, "until": until, "uses": uses});
    record(&state, &caller, AuditKind::InvitationAdded, room, data).await;
    let base_url = state.base_url(&request);
    let base_url = base_url.as_ref().map_or("", |url| url.as_str().trim_end_matches('/'));
    let url = format!("{base_url}/chat/#invitation={token}");
    let invitation = invitation.as_ref().into();
    Ok(HttpResponse::Created().json(ApiNewInvitation { invitation, url, token }))
}

/// Lists the invitations into a room that weren't withdrawn, the newest first; its admins only.
#[utoipa::path(get, path = "/api/chat/invitations/", tag = "participants",
    params(ListInvitationsParams, Pagination),
    responses((status = 200, body = Page<ApiInvitation>)))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<Page<ApiInvitation>>, ApiError> {
    let params: ListInvitationsParams = query.read()?;
    let room = params.room.ok_or_else(ApiError::not_found)?;
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?;
    let access = state.store.room_access(room, caller.viewer()).await?.ok_or_else(ApiError::not_found)?;
    check_manager(&caller, access, "room")?;
    let (count, found) = state.store.invitation_page(room, pagination.limit(), pagination.offset()).await?;
    let invitations = found.iter().map(ApiInvitation::from).collect();
    Ok(Json(pagination.page(&request, &query, count, invitations)?))
}

/// Takes an invitation back; the room's admins only. Who came in by it stays.
#[utoipa::path(delete, path = "/api/chat/invitations/{id}/", tag = "participants",
    params(("id" = Uuid, Path)), responses((status = 204)))]
pub async fn delete(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = parse_uuid(&id).map(InvitationId).ok_or_else(ApiError::not_found)?;
    let room = state.store.room_of_invitation(id).await?.ok_or_else(ApiError::not_found)?;
    let command = Command { room, by: caller.principal()?, change: RoomChange::Withdraw(id) };
    map_refusal(state.engine.command(command).await, |refusal| match refusal {
        Refusal::NotParticipant | Refusal::Invitation(_) => ApiError::not_found(),
        other => other.into(),
    })?;
    record(&state, &caller, AuditKind::InvitationWithdrawn, room, json!({"invitation": id.0})).await;
    Ok(HttpResponse::NoContent().finish())
}

/// Adds an entry to the audit log for what was committed: invitations are in no room's log.
async fn record(state: &ApiState, caller: &Caller, kind: AuditKind, room: RoomId, data: Value) {
    let entry = NewAuditEntry { room: Some(room), ..NewAuditEntry::of(kind, caller.actor(), data) };
    if let Err(error) = state.store.add_audit_entry(entry).await {
        tracing::error!(%room, kind = kind.as_str(), %error, "the audit log has no entry of this");
    }
}

/// Comes into a room by an invitation. Who is in it already uses none up.
#[utoipa::path(post, path = "/api/chat/invitations/accept/", tag = "participants",
    request_body = AcceptInvitationRequest, responses((status = 200, body = ApiRoom)))]
pub async fn accept(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<Json<ApiRoom>, ApiError> {
    let by = caller.token_holder()?;
    let AcceptInvitationRequest { token } = body.object().await?;
    let unknown = || ApiError::from(Refusal::Invitation(InvitationError::Unknown));
    let (room, id) = state.store.invitation_of_token(&hash(&token)).await?.ok_or_else(unknown)?;
    let command = Command { room, by, change: RoomChange::Accept(id) };
    map_refusal(state.engine.command(command).await, |refusal| match refusal {
        Refusal::RoomNotFound => unknown(),
        other => other.into(),
    })?;
    Ok(Json(load_room(&request, &state, &caller, room).await?))
}

/// A token of 244 random bits.
fn new_token() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// The hash by which a token is found. A token is as good as random, so that a plain hash tells nothing of it.
fn hash(token: &str) -> String {
    let digest = Sha256::digest(token.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

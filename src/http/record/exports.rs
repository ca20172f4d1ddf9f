//! Exports: of a room, of what a user wrote, or of everything, as an archive whose manifest is signed.

use actix_web::HttpResponse;
use actix_web::http::header::{
    CONTENT_TYPE, ContentDisposition, ContentEncoding, DispositionParam, DispositionType,
};
use actix_web::web::{Data, Json, Path};
use actors::domain::ids::{RoomId, UserId};
use actors::error::EngineError;
use chrono::{DateTime, Days, Utc};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::exports::{ExportError, ExportKey};
use crate::files::FileOpenError;
use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::{Fields, FromFields, parse_uuid};
use crate::http::state::ApiState;
use crate::store::postgres::record::audit::{AuditKind, NewAuditEntry};
use crate::store::postgres::record::exports::{
    DAYS_KEPT, ExportJob, ExportOutcome, ExportState, ExportSubject,
};

/// What is to be exported: a room, what a user wrote, or everything.
#[derive(ToSchema)]
#[schema(as = RequestExport)]
pub struct ExportRequest {
    /// A room.
    #[schema(value_type = Option<Uuid>)]
    room: Option<RoomId>,
    /// A user.
    #[schema(value_type = Option<i64>)]
    user: Option<UserId>,
    /// Whether everything is.
    #[schema(value_type = Option<bool>)]
    all: bool,
    /// As it stood then; as it is now when left out.
    at: Option<DateTime<Utc>>,
}

impl FromFields for ExportRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let room = fields.uuid("room").map(RoomId);
        let user = fields.id("user").map(UserId);
        let all = fields.optional_flag("all").unwrap_or(false);
        let given = ["room", "user"].iter().filter(|name| fields.has(name)).count() + usize::from(all);
        if given != 1 {
            fields.add_error("room", "Name either a room or a user, or all.");
        }
        Some(Self { room, user, all, at: fields.stored_time("at") })
    }
}

/// An export.
#[derive(Serialize, ToSchema)]
#[schema(as = Export)]
pub struct ApiExport {
    /// The export's id.
    pub id: Uuid,
    /// The room; null for other exports.
    pub room: Option<Uuid>,
    /// The user; null for other exports.
    pub user: Option<i64>,
    /// Whether it is of everything.
    pub all: bool,
    /// As it stood then; null for when it was asked for.
    pub at: Option<DateTime<Utc>>,
    /// `waiting`, `running`, `done`, `failed` or `expired`.
    pub state: &'static str,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When the archive was written.
    pub finished_at: Option<DateTime<Utc>>,
    /// When the archive is deleted.
    pub expires_at: Option<DateTime<Utc>>,
    /// The archive's bytes.
    pub size: Option<i64>,
    /// The archive's SHA-256; hexadecimal.
    pub sha256: Option<String>,
    /// The key with which the manifest's signature is verified; null until the archive is written.
    pub public_key: Option<String>,
}

impl ApiExport {
    fn new(export: ExportJob, public_key: Option<String>) -> Self {
        let (room, user) = match export.subject {
            ExportSubject::Room(room) => (Some(room.0), None),
            ExportSubject::User(user) => (None, Some(user.0)),
            ExportSubject::All => (None, None),
        };
        let kept = Days::new(u64::try_from(DAYS_KEPT).unwrap_or_default());
        Self {
            id: export.id,
            room,
            user,
            all: export.subject == ExportSubject::All,
            at: export.at,
            state: export.state.as_str(),
            created_at: export.created_at,
            finished_at: export.finished_at,
            expires_at: export.finished_at.and_then(|at| at.checked_add_days(kept)),
            size: export.size,
            sha256: export.sha256.map(|hash| hash.iter().map(|byte| format!("{byte:02x}")).collect()),
            public_key,
        }
    }
}

/// Asks for an export, which a node then writes. The staff and the host application may export anything, everyone else
/// what they wrote themselves.
#[utoipa::path(post, path = "/api/chat/exports/", tag = "record", request_body = ExportRequest,
    responses((status = 202, body = ApiExport)))]
pub async fn create(
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let ExportRequest { room, user, all, at } = body.object().await?;
    let (subject, field) = match (room, user) {
        (Some(room), _) => (ExportSubject::Room(room), "room"),
        (None, Some(user)) => (ExportSubject::User(user), "user"),
        (None, None) if all => (ExportSubject::All, "all"),
        (None, None) => return Err(ApiError::field("room", "Name either a room or a user, or all.")),
    };
    let is_own = user.is_some() && user == caller.viewer();
    if !caller.is_moderator() && !is_own {
        return Err(ApiError::forbidden());
    }
    match state.store.request_export(subject, at, caller.actor()).await? {
        ExportOutcome::Requested(export) => Ok(HttpResponse::Accepted().json(ApiExport::new(export, None))),
        ExportOutcome::Unknown => Err(ApiError::field(field, format!("This {field} does not exist."))),
        ExportOutcome::TooMany => Err(ApiError::field(field, "Too many exports wait to be written.")),
    }
}

/// Shows how far an export is: to the staff and the host application, and to who asked for it.
#[utoipa::path(get, path = "/api/chat/exports/{id}/", tag = "record",
    params(("id" = Uuid, Path)), responses((status = 200, body = ApiExport)))]
pub async fn get(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiExport>, ApiError> {
    let export = find(&state, &caller, &id).await?;
    let key = if export.state == ExportState::Done {
        Some(ExportKey::load(&state.store).await.map_err(|error| unavailable(&error))?.public_pem())
    } else {
        None
    };
    Ok(Json(ApiExport::new(export, key)))
}

/// Returns the archive of an export that is done, a tar file.
#[utoipa::path(get, path = "/api/chat/exports/{id}/file/", tag = "record",
    params(("id" = Uuid, Path)),
    responses((status = 200, content_type = "application/x-tar", body = Vec<u8>)))]
pub async fn file(state: Data<ApiState>, caller: Caller, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let export = find(&state, &caller, &id).await?;
    if export.state != ExportState::Done {
        return Err(ApiError::not_found());
    }
    let body = state.uploads.open(export.id, None).await.map_err(|error| match error {
        FileOpenError::NotFound => ApiError::not_found(),
        other => unavailable(&other.into()),
    })?;
    let entry = NewAuditEntry::of(AuditKind::ExportRead, caller.actor(), json!({ "export": export.id }));
    state.store.add_audit_entry(entry).await?;
    let name = format!("export-{}.tar", export.id);
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/x-tar"))
        .insert_header(ContentEncoding::Identity)
        .insert_header(ContentDisposition {
            disposition: DispositionType::Attachment,
            parameters: vec![DispositionParam::Filename(name)],
        })
        .no_chunking(body.size)
        .streaming(body.stream))
}

async fn find(state: &ApiState, caller: &Caller, id: &str) -> Result<ExportJob, ApiError> {
    let id = parse_uuid(id).ok_or_else(ApiError::not_found)?;
    let export = state.store.export(id).await?.ok_or_else(ApiError::not_found)?;
    let is_own = export.requested_by.is_some() && export.requested_by == caller.viewer();
    if caller.is_moderator() || is_own { Ok(export) } else { Err(ApiError::not_found()) }
}

fn unavailable(error: &ExportError) -> ApiError {
    tracing::error!(%error, "an export can't be shown");
    EngineError::Unavailable.into()
}

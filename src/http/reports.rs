//! Reports of messages and users: any user makes them, staff and the host application deal with them.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::ids::{MessageId, UserId};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::RequestBody;
use super::caller::Caller;
use super::error::ApiError;
use super::fields::{Fields, FromFields, parse_uuid};
use super::page::{PER_PAGE_DEFAULT, Page, Pagination};
use super::params::ListReportsParams;
use super::query::QueryString;
use super::state::ApiState;
use crate::store::postgres::reports::{
    NewReport, OPEN_REPORTS_MAX, Report, ReportFilter, ReportOutcome, ReportState, ReportSubject,
};

/// The most code points of a reason, and of a note.
const REASON_CHARS_MAX: usize = 100;
const NOTE_CHARS_MAX: usize = 2_000;
const UNKNOWN_USER: &str = "This user does not exist.";

/// A report.
#[derive(Serialize, ToSchema)]
#[schema(as = Report)]
pub struct ApiReport {
    /// The report's id.
    pub id: Uuid,
    /// The message; null for a report of a user.
    pub message_id: Option<Uuid>,
    /// The user, or the author of the message.
    pub user_id: i64,
    /// Why.
    pub reason: String,
    /// What the reporter says about it.
    pub note: String,
    /// When it was reported.
    pub created_at: DateTime<Utc>,
    /// `open`, `resolved` or `dismissed`.
    pub state: &'static str,
    /// When a moderator changed it last.
    pub handled_at: Option<DateTime<Utc>>,
    /// What only moderators see; null for the reporter.
    pub moderation: Option<ApiModeration>,
}

/// What only moderators see of a report.
#[derive(Serialize, ToSchema)]
#[schema(as = Moderation)]
pub struct ApiModeration {
    /// Who reported.
    pub reporter_id: i64,
    /// The message's room.
    pub room_id: Option<Uuid>,
    /// The message's text and file name when it was reported, whatever became of it.
    pub content: String,
    /// What a moderator noted.
    pub note: String,
    /// The moderator who changed it last; null for nobody, or the host application.
    pub moderator_id: Option<i64>,
}

/// A report to be made: of a message or of a user.
#[derive(ToSchema)]
#[schema(as = CreateReport)]
pub struct CreateReportRequest {
    /// A message that the caller may read.
    #[schema(value_type = Option<Uuid>)]
    message: Option<MessageId>,
    /// A user other than the caller.
    #[schema(value_type = Option<i64>)]
    user: Option<UserId>,
    /// Why; up to 100 characters.
    #[schema(max_length = 100)]
    reason: String,
    /// More about it.
    #[schema(max_length = 2000)]
    note: Option<String>,
}

/// What moderators make of a report.
#[derive(ToSchema)]
#[schema(as = HandleReport)]
pub struct HandleReportRequest {
    /// The new state.
    #[schema(value_type = Option<String>)]
    state: Option<ReportState>,
    /// A note, which only moderators see.
    #[schema(max_length = 2000)]
    note: Option<String>,
}

impl FromFields for CreateReportRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let message = fields.uuid("message").map(MessageId);
        let user = fields.user("user");
        let reason = fields.text("reason", REASON_CHARS_MAX);
        let reason = fields.require("reason", reason);
        if reason.as_ref().is_some_and(String::is_empty) {
            fields.add_error("reason", "This field may not be blank.");
        }
        let note = fields.optional_text("note", NOTE_CHARS_MAX);
        if !fields.has("message") && !fields.has("user") {
            fields.add_error("message", "Name a message or a user.");
        }
        Some(Self { message, user, reason: reason?, note })
    }
}

impl FromFields for HandleReportRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let state = fields.choice("state", ReportState::parse);
        Some(Self { state, note: fields.optional_text("note", NOTE_CHARS_MAX) })
    }
}

impl ApiReport {
    fn of(report: Report, shows_moderation: bool) -> Self {
        let moderation = shows_moderation.then(|| ApiModeration {
            reporter_id: report.reporter.0,
            room_id: report.room.map(|room| room.0),
            content: report.content,
            note: report.moderator_note,
            moderator_id: report.moderator.map(|moderator| moderator.0),
        });
        Self {
            id: report.id,
            message_id: report.message.map(|message| message.0),
            user_id: report.user.0,
            reason: report.reason,
            note: report.note,
            created_at: report.created_at,
            state: report.state.as_str(),
            handled_at: report.handled_at,
            moderation,
        }
    }
}

/// Reports a message or a user to the moderators. What a message says is kept for them, whatever becomes of it. The
/// same report again changes nothing.
#[utoipa::path(post, path = "/api/chat/reports/", tag = "reports", request_body = CreateReportRequest,
    responses((status = 201, body = ApiReport)))]
pub async fn create(
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let reporter = caller.user_id()?;
    let CreateReportRequest { message, user, reason, note } = body.object().await?;
    let subject = match (message, user) {
        (Some(id), _) => {
            let found = state.store.message(reporter, id).await?;
            let unknown = || ApiError::field("message", "This message does not exist.");
            let message = found.ok_or_else(unknown)?.message;
            let file = message.attachment.as_ref().map(|file| file.name.as_str()).unwrap_or_default();
            let content = [message.content.as_str(), file].join("\n").trim().to_owned();
            ReportSubject::Message { id, room: message.room, author: message.sender.id, content }
        }
        (None, Some(user)) if state.store.may_name_user(caller.user_scope(), user).await? => {
            ReportSubject::User(user)
        }
        (None, Some(_)) => return Err(ApiError::field("user", UNKNOWN_USER)),
        (None, None) => return Err(ApiError::field("message", "Name a message or a user.")),
    };
    let about = match &subject {
        ReportSubject::Message { author, .. } => *author,
        ReportSubject::User(user) => *user,
    };
    let field = if message.is_some() { "message" } else { "user" };
    if about == reporter {
        return Err(ApiError::field(field, "Nobody reports themselves."));
    }
    let note = note.unwrap_or_default();
    match state.store.add_report(&NewReport { reporter, subject, reason, note }).await? {
        ReportOutcome::Kept(report) => {
            Ok(HttpResponse::Created().json(ApiReport::of(*report, caller.is_moderator())))
        }
        ReportOutcome::UnknownUser => Err(ApiError::field(field, UNKNOWN_USER)),
        ReportOutcome::TooMany => Err(ApiError::field(
            field,
            format!("No more than {OPEN_REPORTS_MAX} reports wait to be dealt with."),
        )),
    }
}

/// Lists reports, the newest first: for staff and the host application all, for others their own.
#[utoipa::path(get, path = "/api/chat/reports/", tag = "reports", params(ListReportsParams, Pagination),
    responses((status = 200, body = Page<ApiReport>)))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<Page<ApiReport>>, ApiError> {
    let params: ListReportsParams = query.read()?;
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?;
    let is_moderator = caller.is_moderator();
    let reporter = if is_moderator { None } else { Some(caller.user_id()?) };
    let filter = ReportFilter { reporter, state: params.state };
    let (count, reports) = state.store.reports(filter, pagination.limit(), pagination.offset()).await?;
    let reports = reports.into_iter().map(|report| ApiReport::of(report, is_moderator)).collect();
    Ok(Json(pagination.page(&request, &query, count, reports)?))
}

/// Shows a report: to staff and the host application, and to who made it.
#[utoipa::path(get, path = "/api/chat/reports/{id}/", tag = "reports",
    params(("id" = Uuid, Path)), responses((status = 200, body = ApiReport)))]
pub async fn get(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiReport>, ApiError> {
    let id = parse_uuid(&id).ok_or_else(ApiError::not_found)?;
    let report = state.store.report(id).await?.ok_or_else(ApiError::not_found)?;
    let is_moderator = caller.is_moderator();
    if !is_moderator && caller.viewer() != Some(report.reporter) {
        return Err(ApiError::not_found());
    }
    Ok(Json(ApiReport::of(report, is_moderator)))
}

/// Sets the state and the moderators' note of a report. For staff and the host application.
#[utoipa::path(patch, path = "/api/chat/reports/{id}/", tag = "reports",
    params(("id" = Uuid, Path)), request_body = HandleReportRequest,
    responses((status = 200, body = ApiReport)))]
pub async fn patch(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<Json<ApiReport>, ApiError> {
    if !caller.is_moderator() {
        return Err(ApiError::forbidden());
    }
    let id = parse_uuid(&id).ok_or_else(ApiError::not_found)?;
    let HandleReportRequest { state: decided, note } = body.object().await?;
    let handled = state.store.handle_report(id, caller.viewer(), decided, note.as_deref()).await?;
    Ok(Json(ApiReport::of(handled.ok_or_else(ApiError::not_found)?, true)))
}

//! The audit log: what staff, admins and the host application did. The staff and the host application read it.

use actix_web::web::{Data, Json};
use actors::domain::ids::UserId;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::require_moderator;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::query::{FromQuery, QueryFields, QueryString};
use crate::http::schema::{Number, SeqParam};
use crate::http::state::ApiState;
use crate::store::postgres::record::audit::{AuditEntry, AuditKind};
use crate::store::postgres::record::audit_page::{AuditAnchor, AuditFilter};

/// Entries in one response when the client names no limit.
const ENTRIES_DEFAULT: usize = 50;
/// The most entries in one response.
const ENTRIES_MAX: usize = 500;

/// The query of `GET /api/chat/audit/`.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListAuditParams {
    /// What was done from then on: a time or a date
    #[param(value_type = Option<String>)]
    since: Option<DateTime<Utc>>,
    /// What was done, such as `room_updated`
    #[param(value_type = Option<String>)]
    kind: Option<AuditKind>,
    /// What this user did, and what was done to this user
    #[param(value_type = Option<i64>)]
    user: Option<UserId>,
    /// The entries before the one of this id, the newest first
    #[param(value_type = Option<SeqParam>)]
    before: Option<i64>,
    /// The entries after the one of this id, the oldest first
    #[param(value_type = Option<SeqParam>)]
    after: Option<i64>,
    /// How many, 500 at most
    #[param(value_type = Option<Number>)]
    limit: usize,
}

impl FromQuery for ListAuditParams {
    fn from_query(fields: &mut QueryFields<'_>) -> Self {
        if fields.has("before") && fields.has("after") {
            fields.add_error("before", "Not together with after.");
        }
        Self {
            since: fields.time("since"),
            kind: fields.choice("kind", AuditKind::parse),
            user: fields.id("user").map(UserId),
            before: fields.seq("before"),
            after: fields.seq("after"),
            limit: fields.count("limit", ENTRIES_DEFAULT, ENTRIES_MAX),
        }
    }
}

/// An entry of the audit log.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct ApiAuditEntry {
    /// The entry's number: 1, 2, 3 …
    pub id: i64,
    /// When it was done.
    pub at: DateTime<Utc>,
    /// What was done.
    pub kind: String,
    /// Who did it; null for the host application, and for what the server did by itself.
    pub actor_id: Option<i64>,
    /// Whom it is about.
    pub user_id: Option<i64>,
    /// In which room.
    pub room_id: Option<Uuid>,
    /// By which event of the room's log.
    pub seq: Option<i64>,
    /// More about it: ids, flags and reasons.
    #[schema(value_type = Object)]
    pub data: Value,
    /// The hash of the entry, which seals the ones before it too; hexadecimal.
    pub hash: String,
}

impl From<AuditEntry> for ApiAuditEntry {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            kind: entry.kind,
            actor_id: entry.actor,
            user_id: entry.user,
            room_id: entry.room,
            seq: entry.seq,
            data: serde_json::from_str(&entry.data).unwrap_or_default(),
            hash: entry.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// A part of the audit log.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntries)]
pub struct ApiAuditEntries {
    /// The entries: the newest first, and with `after` the oldest first.
    pub results: Vec<ApiAuditEntry>,
    /// Whether more follow: ask with `before` or `after` the last one's id.
    pub has_more: bool,
}

/// Lists what staff, admins and the host application did. For the staff and the host application.
#[utoipa::path(get, path = "/api/chat/audit/", tag = "record", params(ListAuditParams),
    responses((status = 200, body = ApiAuditEntries)))]
pub async fn list(
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<ApiAuditEntries>, ApiError> {
    require_moderator(&caller)?;
    let ListAuditParams { since, kind, user, before, after, limit } = query.read()?;
    let anchor = match (before, after) {
        (Some(id), _) => AuditAnchor::Before(id),
        (None, Some(id)) => AuditAnchor::After(id),
        (None, None) => AuditAnchor::Newest,
    };
    let wanted = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let mut found = state.store.audit_page(AuditFilter { since, kind, user }, anchor, wanted).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    Ok(Json(ApiAuditEntries { results: found.into_iter().map(Into::into).collect(), has_more }))
}

//! For how long messages are kept, which the staff and the host application decide.

use std::collections::BTreeSet;

use actix_web::web::{Data, Json};
use actors::domain::ids::RoomId;
use actors::domain::room::RoomType;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::require_moderator;
use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::{Fields, FromFields};
use crate::http::state::ApiState;
use crate::store::postgres::record::retention::{
    DAYS_MAX, RULES_MAX, RetentionCount, RetentionRule, RetentionScope,
};

/// For how long messages of some rooms are kept.
#[derive(ToSchema)]
#[schema(as = SetRetentionRule)]
pub struct RetentionRuleRequest {
    /// Of all rooms of this type that have no rule of their own.
    #[schema(value_type = Option<String>, pattern = "^(direct|group|task|property)$")]
    room_type: Option<RoomType>,
    /// Of this room.
    #[schema(value_type = Option<Uuid>)]
    room: Option<RoomId>,
    /// The days for which messages without a file are kept; for ever when left out.
    #[schema(minimum = 1, maximum = 36500, nullable = true)]
    texts_days: Option<i32>,
    /// The days for which messages with a file are kept; for ever when left out.
    #[schema(minimum = 1, maximum = 36500, nullable = true)]
    files_days: Option<i32>,
}

/// Reads a number of days; `null` counts as absent.
fn days(fields: &mut Fields, name: &'static str) -> Option<i32> {
    if fields.is_null(name) {
        return None;
    }
    let days = fields.number(name, DAYS_MAX)?;
    if days == 0 {
        fields.add_error(name, "Ensure this value is greater than or equal to 1.");
    }
    i32::try_from(days).ok()
}

impl FromFields for RetentionRuleRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        // As the answer to a GET has it, where one of the two is null.
        let is_given = |fields: &Fields, name: &str| fields.has(name) && !fields.is_null(name);
        let has_type = is_given(fields, "room_type");
        let room_type = if has_type { fields.choice("room_type", RoomType::parse) } else { None };
        let room = fields.uuid("room").map(RoomId);
        let (texts_days, files_days) = (days(fields, "texts_days"), days(fields, "files_days"));
        if has_type == is_given(fields, "room") {
            fields.add_error("room_type", "Name either a type or a room.");
        }
        Some(Self { room_type, room, texts_days, files_days })
    }
}

/// All rules.
#[derive(ToSchema)]
#[schema(as = SetRetention)]
pub struct SetRetentionRequest {
    /// The rules, of which the one of a room takes the place of that of its type. None: everything is kept.
    #[schema(max_items = 1000)]
    rules: Vec<RetentionRuleRequest>,
}

impl FromFields for SetRetentionRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let rules = fields.objects("rules", RULES_MAX);
        let rules: Vec<RetentionRuleRequest> = fields.require("rules", rules)?;
        let mut scopes = BTreeSet::new();
        if !rules.iter().all(|rule| scopes.insert((rule.room_type.map(RoomType::as_str), rule.room))) {
            fields.add_error("rules", "Two of them are for the same rooms.");
        }
        Some(Self { rules })
    }
}

impl SetRetentionRequest {
    fn into_rules(self) -> Vec<RetentionRule> {
        let rule = |rule: RetentionRuleRequest| {
            let scope = rule.room.map(RetentionScope::Room).or(rule.room_type.map(RetentionScope::Type))?;
            let RetentionRuleRequest { texts_days, files_days, .. } = rule;
            Some(RetentionRule { scope, texts_days, files_days })
        };
        self.rules.into_iter().filter_map(rule).collect()
    }
}

/// What is to be previewed.
#[derive(ToSchema)]
#[schema(as = PreviewRetention)]
pub struct PreviewRetentionRequest {
    /// The rules; those in force when left out.
    #[schema(max_items = 1000)]
    rules: Option<Vec<RetentionRuleRequest>>,
}

impl FromFields for PreviewRetentionRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let is_given = fields.has("rules") && !fields.is_null("rules");
        let rules = if is_given { Some(SetRetentionRequest::from_fields(fields)?.rules) } else { None };
        Some(Self { rules })
    }
}

/// A rule.
#[derive(Serialize, ToSchema)]
#[schema(as = RetentionRule)]
pub struct ApiRetentionRule {
    /// The type of rooms that it is for; null for one of a room.
    pub room_type: Option<&'static str>,
    /// The room that it is for; null for one of a type.
    pub room: Option<Uuid>,
    /// The days for which messages without a file are kept; null: for ever.
    pub texts_days: Option<i32>,
    /// The days for which messages with a file are kept; null: for ever.
    pub files_days: Option<i32>,
}

/// The rules in force.
#[derive(Serialize, ToSchema)]
#[schema(as = Retention)]
pub struct ApiRetention {
    /// The rules, those of types first.
    pub rules: Vec<ApiRetentionRule>,
}

impl From<Vec<RetentionRule>> for ApiRetention {
    fn from(rules: Vec<RetentionRule>) -> Self {
        let rule = |rule: RetentionRule| {
            let (room_type, room) = match rule.scope {
                RetentionScope::Type(room_type) => (Some(room_type.as_str()), None),
                RetentionScope::Room(room) => (None, Some(room.0)),
            };
            let RetentionRule { texts_days, files_days, .. } = rule;
            ApiRetentionRule { room_type, room, texts_days, files_days }
        };
        Self { rules: rules.into_iter().map(rule).collect() }
    }
}

/// What rules would delete in rooms of one type.
#[derive(Serialize, ToSchema)]
#[schema(as = RetentionCount)]
pub struct ApiRetentionCount {
    /// The type.
    pub room_type: String,
    /// Messages without a file.
    pub texts: i64,
    /// Messages with a file.
    pub files: i64,
    /// Whether there are more: up to 100,000 are counted.
    pub is_capped: bool,
}

/// What rules would delete now.
#[derive(Serialize, ToSchema)]
#[schema(as = RetentionPreview)]
pub struct ApiRetentionPreview {
    /// By type of room.
    pub results: Vec<ApiRetentionCount>,
}

impl From<RetentionCount> for ApiRetentionCount {
    fn from(count: RetentionCount) -> Self {
        let RetentionCount { room_type, texts, files, is_capped } = count;
        Self { room_type, texts, files, is_capped }
    }
}

/// Shows for how long messages are kept. For the staff and the host application.
#[utoipa::path(get, path = "/api/chat/retention/", tag = "record",
    responses((status = 200, body = ApiRetention)))]
pub async fn get(state: Data<ApiState>, caller: Caller) -> Result<Json<ApiRetention>, ApiError> {
    require_moderator(&caller)?;
    Ok(Json(state.store.retention_rules().await?.into()))
}

/// Sets for how long messages are kept, for all rooms at once: what isn't named is kept for ever. What is older is
/// deleted from then on, but for what legal holds keep. For the staff and the host application.
#[utoipa::path(put, path = "/api/chat/retention/", tag = "record", request_body = SetRetentionRequest,
    responses((status = 200, body = ApiRetention)))]
pub async fn put(
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<Json<ApiRetention>, ApiError> {
    require_moderator(&caller)?;
    let rules = body.object::<SetRetentionRequest>().await?.into_rules();
    let unknown = state.store.set_retention_rules(&rules, caller.actor()).await?;
    if !unknown.is_empty() {
        let unknown: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        return Err(ApiError::field("rules", format!("No such rooms: {}.", unknown.join(", "))));
    }
    Ok(Json(state.store.retention_rules().await?.into()))
}

/// Counts what rules would delete now, without deleting anything. For the staff and the host application.
#[utoipa::path(post, path = "/api/chat/retention/preview/", tag = "record",
    request_body = Option<PreviewRetentionRequest>, responses((status = 200, body = ApiRetentionPreview)))]
pub async fn preview(
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<Json<ApiRetentionPreview>, ApiError> {
    require_moderator(&caller)?;
    let rules = match body.object_or_empty::<PreviewRetentionRequest>().await?.rules {
        Some(rules) => SetRetentionRequest { rules }.into_rules(),
        None => state.store.retention_rules().await?,
    };
    let counts = state.store.preview_retention(&rules).await?;
    Ok(Json(ApiRetentionPreview { results: counts.into_iter().map(Into::into).collect() }))
}

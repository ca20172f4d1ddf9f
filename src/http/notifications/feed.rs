//! The list of what the caller was told.

use actix_web::web::{Data, Json};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::{Fields, FromFields};
use crate::http::page::{PER_PAGE_DEFAULT, Page, Pagination};
use crate::http::params::ListNotificationsParams;
use crate::http::personal::{notify, page_response};
use crate::http::query::QueryString;
use crate::http::state::ApiState;
use crate::store::postgres::notifications::NotificationDetails;

/// Something that the caller was told.
#[derive(Serialize, ToSchema)]
#[schema(as = Notification)]
pub struct ApiNotification {
    /// The notification's id; what is new in the room changes the notification and not its id.
    pub id: Uuid,
    /// `message`, `thread`, `keyword`, `mention` or `urgent`.
    pub kind: &'static str,
    /// The room.
    pub room_id: Uuid,
    /// The position of the message.
    pub seq: i64,
    /// The newest message of which the caller was told.
    pub message_id: Uuid,
    /// The name of the room.
    pub title: String,
    /// Who says what.
    pub body: String,
    /// Whether it shows an urgent message, which its sender asks the caller to acknowledge.
    pub urgent: bool,
    /// When the caller was told first.
    pub created_at: DateTime<Utc>,
    /// When the caller was told last.
    pub updated_at: DateTime<Utc>,
    /// When the caller read it, in the list or in the room.
    pub read_at: Option<DateTime<Utc>>,
}

impl From<NotificationDetails> for ApiNotification {
    fn from(details: NotificationDetails) -> Self {
        let NotificationDetails { notification, created_at, told_at, read_at } = details;
        Self {
            urgent: notification.is_urgent(),
            id: notification.id,
            kind: notification.rule.kind(),
            room_id: notification.room.0,
            seq: notification.seq.0,
            message_id: notification.message.0,
            title: notification.title,
            body: notification.body,
            created_at,
            updated_at: told_at,
            read_at,
        }
    }
}

/// Up to where the caller has read the list.
#[derive(ToSchema)]
#[schema(as = ReadNotifications)]
pub struct ReadNotificationsRequest {
    /// A notification: this one, and what was told before it.
    up_to: Uuid,
}

impl FromFields for ReadNotificationsRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let up_to = fields.uuid("up_to");
        Some(Self { up_to: fields.require("up_to", up_to)? })
    }
}

/// What is left after reading in the list.
#[derive(Serialize, ToSchema)]
#[schema(as = UnreadNotifications)]
pub struct ApiUnreadNotifications {
    /// How many notifications aren't read.
    pub unread_count: i64,
}

/// Lists what the caller was told in the last 30 days and may still see, what was told last first.
#[utoipa::path(get, path = "/api/chat/notifications/", tag = "notifications",
    params(Pagination, ListNotificationsParams),
    responses((status = 200, body = Page<ApiNotification>,
        headers(("X-Personal-Position" = i64, description = "The position of the personal log that this shows")))))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user_id()?;
    let ListNotificationsParams { unread } = query.read()?;
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?;
    let found = state.store.notifications(user, unread, pagination.limit(), pagination.offset()).await?;
    let notifications = found.items.into_iter().map(ApiNotification::from).collect();
    Ok(page_response(found.head, pagination.page(&request, &query, found.count, notifications)?))
}

/// Takes what the caller was told as read, up to one notification in the order of the list. The rooms' messages stay
/// unread.
#[utoipa::path(post, path = "/api/chat/notifications/read/", tag = "notifications",
    request_body = ReadNotificationsRequest, responses((status = 200, body = ApiUnreadNotifications)))]
pub async fn read(
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<Json<ApiUnreadNotifications>, ApiError> {
    let user = caller.user_id()?;
    let ReadNotificationsRequest { up_to } = body.object().await?;
    let read = state.store.read_notifications(user, up_to).await?;
    let read = read.ok_or_else(|| ApiError::field("up_to", "This notification does not exist."))?;
    notify(&state, user, read.head);
    Ok(Json(ApiUnreadNotifications { unread_count: read.unread }))
}

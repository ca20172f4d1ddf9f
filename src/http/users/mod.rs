//! Users: the directory, which the host application maintains and everyone may search.

pub mod blocks;
mod erasure;
mod view;

use std::collections::HashSet;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use actors::domain::ids::UserId;
use actors::domain::text::NAME_CHARS_MAX;
use serde::Serialize;
use utoipa::ToSchema;

pub use self::view::{ApiDirectoryUser, ApiListedUser, ApiUser};
use super::body::RequestBody;
use super::caller::{Caller, USERNAME_CHARS_MAX};
use super::error::{ApiError, ErrorBody};
use super::fields::{Fields, FromFields, parse_id, parse_user_id};
use super::page::{PER_PAGE_DEFAULT, Page, Pagination};
use super::params::{DeleteUserParams, SearchUsersParams};
use super::query::QueryString;
use super::schema::Second;
use super::state::ApiState;
use crate::store::postgres::users::{EraseOutcome, UpsertedUser, UserUpsert};

/// The most users in one request.
const SYNC_MAX: usize = 1_000;

/// Declares a request that holds the given fields and those of a user.
macro_rules! user_request {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$field_meta:meta])* $field:ident: $kind:ty = $read:path,)*
    }) => {
        #[derive(ToSchema)]
        $(#[$meta])*
        pub struct $name {
            $($(#[$field_meta])* $field: $kind,)*
            /// The sign-in name.
            #[schema(min_length = 1, max_length = 150, nullable = false)]
            username: Option<String>,
            /// The name to show.
            #[schema(max_length = 255, nullable = false)]
            full_name: Option<String>,
            /// The address.
            #[schema(max_length = 255, nullable = false)]
            email: Option<String>,
            /// Whether the account may do anything.
            #[schema(nullable = false)]
            is_active: Option<bool>,
            /// Whether this person sees everyone's address.
            #[schema(nullable = false)]
            is_staff: Option<bool>,
            /// Tokens issued before are void; null lifts that.
            #[schema(value_type = Option<Second>)]
            tokens_valid_from: Option<Option<i64>>,
            /// Whether this person belongs to another organisation, and so sees only the people of the rooms
            /// that they are in; null leaves that to their roles.
            #[schema(value_type = Option<bool>)]
            is_guest: Option<Option<bool>>,
        }

        impl FromFields for $name {
            fn from_fields(fields: &mut Fields) -> Option<Self> {
                $(let $field = $read(fields);)*
                let username = fields.text("username", USERNAME_CHARS_MAX);
                if username.as_deref() == Some("") {
                    fields.add_error("username", "This field may not be blank.");
                }
                let full_name = fields.text("full_name", NAME_CHARS_MAX);
                let email = fields.text("email", NAME_CHARS_MAX);
                let (is_active, is_staff) = (fields.flag("is_active"), fields.flag("is_staff"));
                let tokens_valid_from = fields.second("tokens_valid_from");
                let is_guest = fields.has("is_guest").then(|| fields.optional_flag("is_guest"));
                Some(Self {
                    $($field: $field?,)*
                    username, full_name, email, is_active, is_staff, tokens_valid_from, is_guest,
                })
            }
        }

        impl $name {
            fn into_upsert(self, id: UserId) -> UserUpsert {
                let Self { username, full_name, email, is_active, is_staff, .. } = self;
                let Self { tokens_valid_from, is_guest, .. } = self;
                UserUpsert { id, username, full_name, email, is_active, is_staff, tokens_valid_from, is_guest }
            }
        }
    };
}

user_request! {
    /// What the host application tells of a person; what is left out stays as it is.
    #[schema(as = TellUser)]
    UpsertUserRequest {}
}
user_request! {
    /// One of many people told at once.
    #[schema(as = SyncUser)]
    SyncUserRequest {
        /// The person's id.
        #[schema(value_type = i64, minimum = 1)]
        id: UserId = required_id,
    }
}

fn required_id(fields: &mut Fields) -> Option<UserId> {
    let id = fields.id("id");
    fields.require("id", id).map(UserId)
}

/// How many people were told of.
#[derive(Serialize, ToSchema)]
#[schema(as = Synced)]
pub struct SyncCounts {
    /// Those unknown before.
    pub created: usize,
    /// Those known before.
    pub updated: usize,
}

/// Finds active people by their names; for guests and with a grant, those of the caller's rooms alone.
#[utoipa::path(get, path = "/api/chat/users/", tag = "people",
    params(SearchUsersParams, Pagination),
    responses((status = 200, body = Page<ApiListedUser>)))]
pub async fn list(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<Page<ApiListedUser>>, ApiError> {
    let params: SearchUsersParams = query.read()?;
    let pagination = Pagination::read(&query, PER_PAGE_DEFAULT)?;
    let part = params.search.unwrap_or_default();
    let (limit, offset) = (pagination.limit(), pagination.offset());
    let (count, users) = state.store.search_users(caller.user_scope(), &part, limit, offset).await?;
    let users = users.iter().map(ApiUser::found).map(ApiListedUser::from).collect();
    Ok(Json(pagination.page(&request, &query, count, users)?))
}

/// Tells who one is.
#[utoipa::path(get, path = "/api/chat/users/me/", tag = "people", responses((status = 200, body = ApiListedUser)))]
pub async fn me(caller: Caller) -> Result<Json<ApiListedUser>, ApiError> {
    let user = caller.user()?;
    Ok(Json(ApiUser::seen_by(&caller, &user.profile).marked(user.is_guest).into()))
}

/// Shows a person or a bot; for guests and with a grant, one of the caller's rooms.
#[utoipa::path(get, path = "/api/chat/users/{id}/", tag = "people",
    params(("id" = i64, Path)), responses((status = 200, body = ApiListedUser)))]
pub async fn get(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<ApiListedUser>, ApiError> {
    let id = parse_user_id(&id).ok_or_else(ApiError::not_found)?;
    let found = if caller.viewer() == Some(id) {
        caller.user().ok().cloned()
    } else {
        state.store.user_records(caller.user_scope(), &[id]).await?.pop()
    };
    let user = found.ok_or_else(ApiError::not_found)?;
    Ok(Json(ApiUser::seen_by(&caller, &user.profile).marked(user.is_guest).into()))
}

/// Takes over what the host application tells of one person; service tokens only.
#[utoipa::path(put, path = "/api/chat/users/{id}/", tag = "people",
    params(("id" = i64, Path, minimum = 1)), request_body = UpsertUserRequest,
    responses((status = 200, body = ApiDirectoryUser)))]
pub async fn put(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<Json<ApiDirectoryUser>, ApiError> {
    caller.require_service()?;
    let id = parse_id(&id).map(UserId).ok_or_else(ApiError::not_found)?;
    let request: UpsertUserRequest = body.object().await?;
    let upserted = upsert(&state, &[request.into_upsert(id)]).await?;
    upserted.first().map(|user| Json(ApiDirectoryUser::from(&user.record))).ok_or_else(ApiError::not_found)
}

/// Takes over what the host application tells of many people; service tokens only.
#[utoipa::path(post, path = "/api/chat/users/sync/", tag = "people", request_body = Vec<SyncUserRequest>,
    responses((status = 200, body = SyncCounts)))]
pub async fn sync(
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<Json<SyncCounts>, ApiError> {
    caller.require_service()?;
    let requests: Vec<SyncUserRequest> = body.list(SYNC_MAX).await?;
    // Of several entries for one user, the last one counts.
    let mut seen = HashSet::new();
    let last = requests.into_iter().rev().filter(|request| seen.insert(request.id));
    let users: Vec<UserUpsert> = last
        .map(|request| {
            let id = request.id;
            request.into_upsert(id)
        })
        .collect();
    let upserted = upsert(&state, &users).await?;
    let created = upserted.iter().filter(|user| user.created).count();
    let erased = upserted.iter().filter(|user| user.is_erased).count();
    Ok(Json(SyncCounts { created, updated: upserted.len() - created - erased }))
}

/// Ends a person's account for good, unless a legal hold is on it; service tokens only.
#[utoipa::path(delete, path = "/api/chat/users/{id}/", tag = "people",
    params(("id" = i64, Path, minimum = 1), DeleteUserParams),
    responses((status = 204), (status = 422, body = ErrorBody, description = "A legal hold is on it")))]
pub async fn delete(
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    query: QueryString,
) -> Result<HttpResponse, ApiError> {
    caller.require_service()?;
    let id = parse_id(&id).map(UserId).ok_or_else(ApiError::not_found)?;
    let params: DeleteUserParams = query.read()?;
    // The account ends first, so that nothing more is accepted from this user.
    let erased = match state.store.erase_user(id).await? {
        EraseOutcome::Erased(user) => user,
        EraseOutcome::Unknown => return Err(ApiError::not_found()),
        EraseOutcome::OnHold(name) => return Err(ApiError::on_hold(&name)),
    };
    state.engine.user_changed(erased.access());
    // A message that is being stored holds its room's lock, so it is listed once the user is out of the room.
    erasure::expel(&state, id).await?;
    if params.texts {
        erasure::erase_messages(&state, id).await?;
    }
    Ok(HttpResponse::NoContent().finish())
}

/// Stores what the host application told, and passes changes of access and of names on to the engine.
async fn upsert(state: &ApiState, users: &[UserUpsert]) -> Result<Vec<UpsertedUser>, ApiError> {
    let upserted = state.store.upsert_users(users).await?;
    for user in upserted.iter().filter(|user| user.access_changed || user.renamed) {
        state.engine.user_changed(user.record.access());
    }
    Ok(upserted)
}

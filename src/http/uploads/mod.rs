//! Uploads that can be resumed, by tus 1.0.0 (<https://tus.io/protocols/resumable-upload>). A message carries them by
//! their ids once they are complete.
//!
//! How far an upload has come is what is stored of it, so any node continues what another began.

pub(super) mod finishing;
mod headers;
mod receiving;

use std::time::{Duration, SystemTime};

use actix_web::http::header::{self, HeaderName, HeaderValue, HttpDate};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError as _};
use actors::domain::ids::{UploadId, UserId};
use actors::error::{EngineError, ErrorCode};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use self::headers::{Checksum, Metadata};
use super::body::RequestBody;
use super::caller::Caller;
use super::error::ApiError;
use super::fields::parse_uuid;
use super::state::ApiState;
use crate::files::limits::{
    UPLOAD_BYTES_TOTAL_MAX, UPLOAD_KEPT, UPLOAD_SIZES_PER_USER_MAX, UPLOADS_PER_USER_MAX, UPLOADS_TOTAL_MAX,
};
use crate::store::postgres::uploads::{BegunUpload, NewUpload, UploadBounds, UploadRecord};

/// The field of a message that names uploads, and that errors in their content are reported under.
pub(super) const FIELD: &str = "attachments";
/// When a user with too many uploads may retry: by then some may have been sent.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Tells which tus is spoken here.
pub async fn options(state: Data<ApiState>) -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ALLOW, "OPTIONS, POST, HEAD, PATCH, DELETE"))
        .insert_header((headers::RESUMABLE, headers::VERSION))
        .insert_header(("Tus-Version", headers::VERSION))
        .insert_header(("Tus-Extension", headers::EXTENSIONS))
        .insert_header(("Tus-Checksum-Algorithm", headers::ALGORITHMS))
        .insert_header(("Tus-Max-Size", state.settings.upload_bytes_max.to_string()))
        .finish()
}

/// Begins an upload, with its first bytes or without.
#[utoipa::path(post, path = "/api/chat/uploads/", tag = "uploads",
    params(("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Length" = u64, Header, description = "The size of the file in bytes"),
        ("Upload-Metadata" = Option<String>, Header, description = "`filename` and its value in Base64"),
        ("Upload-Checksum" = Option<String>, Header, description = "Of the body, as in `PATCH`")),
    responses((status = 201, description = "Begun", headers(
            ("Location" = String, description = "Where it goes on"),
            ("Upload-Offset" = u64, description = "How many bytes are stored"),
            ("Upload-Expires" = String, description = "When it is removed if no message carries it"))),
        (status = 412, description = "Another version of tus", body = super::error::ErrorBody),
        (status = 460, description = "Another checksum", body = super::error::ErrorBody)))]
pub async fn create(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> HttpResponse {
    respond(begin(&request, &state, &caller, body).await)
}

/// Tells how far an upload has come.
#[utoipa::path(head, path = "/api/chat/uploads/{id}/", tag = "uploads",
    params(("id" = Uuid, Path), ("Tus-Resumable" = String, Header, description = "`1.0.0`")),
    responses((status = 200, description = "How far", headers(
            ("Upload-Offset" = u64, description = "How many bytes are stored"),
            ("Upload-Length" = u64, description = "The size of the file in bytes"),
            ("Upload-Metadata" = String, description = "As it was given"),
            ("Upload-Expires" = String, description = "When it is removed if no message carries it"))),
        (status = 410, description = "Its time is over"),
        (status = 412, description = "Another version of tus")))]
pub async fn head(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> HttpResponse {
    respond(show(&request, &state, &caller, &id).await)
}

/// Adds bytes to an upload. Once it is complete its content is looked at.
#[utoipa::path(patch, path = "/api/chat/uploads/{id}/", tag = "uploads",
    params(("id" = Uuid, Path), ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Offset" = u64, Header, description = "How many bytes are stored"),
        ("Upload-Checksum" = Option<String>, Header, description = "`sha1` or `sha256`, and the sum in Base64")),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses((status = 204, description = "Stored", headers(
            ("Upload-Offset" = u64, description = "How many bytes are stored"),
            ("Upload-Expires" = String, description = "When it is removed if no message carries it"))),
        (status = 410, description = "Its time is over", body = super::error::ErrorBody),
        (status = 412, description = "Another version of tus", body = super::error::ErrorBody),
        (status = 460, description = "Another checksum", body = super::error::ErrorBody)))]
pub async fn patch(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> HttpResponse {
    respond(go_on(&request, &state, &caller, &id, body).await)
}

/// Removes an upload that no message carries.
#[utoipa::path(delete, path = "/api/chat/uploads/{id}/", tag = "uploads",
    params(("id" = Uuid, Path), ("Tus-Resumable" = String, Header, description = "`1.0.0`")),
    responses((status = 204), (status = 412, description = "Another version of tus", body = super::error::ErrorBody)))]
pub async fn delete(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
) -> HttpResponse {
    respond(end(&request, &state, &caller, &id).await)
}

async fn begin(
    request: &HttpRequest,
    state: &ApiState,
    caller: &Caller,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user_id()?;
    headers::check_version(request)?;
    let length = headers::bytes(request, headers::LENGTH)?;
    if length == 0 {
        return Err(headers::invalid("The file is empty."));
    }
    let length_max = i64::try_from(state.settings.upload_bytes_max).unwrap_or(i64::MAX);
    if length > length_max {
        return Err(ApiError::coded(ErrorCode::TooLarge, state.uploads.allowed()));
    }
    let metadata = Metadata::of(request)?;
    let has_bytes = body.is_octets();
    let checksum = Checksum::of(request)?.filter(|_| has_bytes);
    state.rate_limits.check_upload(user)?;
    let id = UploadId(Uuid::now_v7());
    let new =
        NewUpload { id, user, length, name: &metadata.name, metadata: &metadata.raw, kept: UPLOAD_KEPT };
    let bounds = UploadBounds {
        per_user: UPLOADS_PER_USER_MAX,
        bytes_per_user: length_max.saturating_mul(UPLOAD_SIZES_PER_USER_MAX),
        total: UPLOADS_TOTAL_MAX,
        bytes_total: UPLOAD_BYTES_TOTAL_MAX.max(length_max),
    };
    let expires_at = match state.store.begin_upload(new, bounds).await? {
        BegunUpload::Begun(expires_at) => expires_at,
        BegunUpload::UserBound => return Err(ApiError::rate_limited(RETRY_AFTER)),
        BegunUpload::TotalBound => return Err(EngineError::Unavailable.into()),
    };
    let mut upload = UploadRecord {
        id,
        length,
        received: 0,
        piece_count: 0,
        metadata: metadata.raw,
        expires_at,
        has_expired: false,
        is_finished: false,
        refusal: None,
    };
    if has_bytes {
        let received = receiving::receive(state, &mut upload, body, checksum).await;
        // Whatever failed, the upload was begun, and goes on behind what is stored.
        if let Err(error) = received {
            tracing::debug!(%error, "the first bytes of an upload broke off");
        }
        check_content(state, user, &upload).await?;
    }
    let base_url = state.base_url(request);
    let base_url = base_url.as_ref().map_or("", |url| url.as_str().trim_end_matches('/'));
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, format!("{base_url}/api/chat/uploads/{id}/")));
    add_progress(&mut response, &upload);
    Ok(response.finish())
}

async fn show(
    request: &HttpRequest,
    state: &ApiState,
    caller: &Caller,
    id: &str,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user_id()?;
    headers::check_version(request)?;
    let upload = find(state, user, id).await?;
    if upload.is_complete() && !upload.is_finished {
        finishing::finish(state, user, &[upload.id]).await?;
    }
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((headers::LENGTH, upload.length.to_string()));
    if !upload.metadata.is_empty() {
        response.insert_header((headers::METADATA, upload.metadata.as_str()));
    }
    add_progress(&mut response, &upload);
    Ok(response.finish())
}

async fn go_on(
    request: &HttpRequest,
    state: &ApiState,
    caller: &Caller,
    id: &str,
    body: RequestBody,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user_id()?;
    headers::check_version(request)?;
    if !body.is_octets() {
        return Err(ApiError::UnsupportedMediaType);
    }
    let offset = headers::bytes(request, headers::OFFSET)?;
    let checksum = Checksum::of(request)?;
    let mut upload = find(state, user, id).await?;
    if offset != upload.received {
        return Err(ApiError::Conflict(format!("The upload has {} bytes.", upload.received)));
    }
    receiving::receive(state, &mut upload, body, checksum).await?;
    check_content(state, user, &upload).await?;
    let mut response = HttpResponse::NoContent();
    add_progress(&mut response, &upload);
    Ok(response.finish())
}

async fn end(
    request: &HttpRequest,
    state: &ApiState,
    caller: &Caller,
    id: &str,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user_id()?;
    headers::check_version(request)?;
    let id = parse_uuid(id).map(UploadId).ok_or_else(ApiError::not_found)?;
    let pieces = state.store.end_upload(user, id).await?.ok_or_else(ApiError::not_found)?;
    state.uploads.delete_pieces(&pieces).await;
    Ok(HttpResponse::NoContent().finish())
}

/// Looks at the content of an upload, if it is complete.
///
/// # Errors
/// 400: it may not be attached. 503.
async fn check_content(state: &ApiState, user: UserId, upload: &UploadRecord) -> Result<(), ApiError> {
    if !upload.is_complete() {
        return Ok(());
    }
    finishing::finish(state, user, &[upload.id]).await?;
    let refusal = state.store.upload(user, upload.id).await?.and_then(|upload| upload.refusal);
    refusal.map_or(Ok(()), |why| Err(ApiError::field(FIELD, why)))
}

/// Finds an upload of a user.
///
/// # Errors
/// 404: there is none, or it is someone else's. 410: its time is over.
async fn find(state: &ApiState, user: UserId, id: &str) -> Result<UploadRecord, ApiError> {
    let id = parse_uuid(id).map(UploadId).ok_or_else(ApiError::not_found)?;
    let upload = state.store.upload(user, id).await?.ok_or_else(ApiError::not_found)?;
    if upload.has_expired { Err(ApiError::Gone) } else { Ok(upload) }
}

fn add_progress(response: &mut HttpResponseBuilder, upload: &UploadRecord) {
    response
        .insert_header((headers::OFFSET, upload.received.to_string()))
        .insert_header((headers::EXPIRES, http_date(upload.expires_at)));
}

fn http_date(at: DateTime<Utc>) -> String {
    HttpDate::from(SystemTime::from(at)).to_string()
}

/// Adds to a response what tus demands of each.
fn respond(result: Result<HttpResponse, ApiError>) -> HttpResponse {
    let is_refused = result.is_err();
    let mut response = result.unwrap_or_else(|error| error.error_response());
    let version = HeaderValue::from_static(headers::VERSION);
    if response.status() == StatusCode::PRECONDITION_FAILED {
        response.headers_mut().insert(HeaderName::from_static("tus-version"), version.clone());
    }
    response.headers_mut().insert(HeaderName::from_static("tus-resumable"), version);
    if is_refused {
        // The client may still be sending bytes that nobody reads.
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

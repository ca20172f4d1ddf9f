//! Downloads of attachments: by signed URL or by token, for users who are in the file's room.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentDisposition, DispositionParam, DispositionType};
use actix_web::http::header::{
    Charset, ContentEncoding, ETag, EntityTag, ExtendedValue, Header as _, IfNoneMatch,
};
use actix_web::web::{Data, Path};
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, HttpResponseBuilder};
use actors::domain::ids::{FileId, UserId};
use actors::error::EngineError;
use uuid::Uuid;

use super::caller::{Caller, has_authorization};
use super::error::ApiError;
use super::fields::{parse_user_id, parse_uuid};
use super::params::{FileParams, FileSize};
use super::query::QueryString;
use super::state::ApiState;
use crate::auth::tokens::now_seconds;
use crate::files::{ByteRange, FileOpenError, PREVIEW_TYPE, PREVIEWED_TYPES, PreviewSize, served_name};
use crate::store::postgres::files::FileDetails;

/// Gives a file, or a range of it; a picture in a smaller size, too.
#[utoipa::path(get, path = "/api/chat/files/{id}/", tag = "files", security((), ("bearer" = [])),
    params(("id" = Uuid, Path), FileParams, ("Range" = Option<String>, Header),
        ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, description = "The file", content_type = "application/octet-stream"),
        (status = 304, description = "The same as the caller has already"),
        (status = 206, description = "A range of it", content_type = "application/octet-stream"),
        (status = 416, description = "A range outside of it", body = super::error::ErrorBody)))]
pub async fn get(
    request: HttpRequest,
    state: Data<ApiState>,
    id: Path<String>,
    query: QueryString,
) -> Result<HttpResponse, ApiError> {
    let id = parse_uuid(&id).ok_or_else(ApiError::not_found)?;
    let params: FileParams = query.read()?;
    let signed = verify_url(&state, id, &params);
    let (viewer, valid_from) = match signed {
        Some(SignedUrl { viewer, valid_from, .. }) => {
            state.in_flight.enter(&request, viewer)?;
            (viewer, Some(valid_from))
        }
        None if has_authorization(&request) => {
            let caller = Caller::extract(&request).await?;
            (caller.viewer().ok_or_else(ApiError::not_found)?, None)
        }
        None => return Err(ApiError::not_found()),
    };
    let file =
        state.store.visible_file(viewer, FileId(id), valid_from).await?.ok_or_else(ApiError::not_found)?;
    let (file, preview) = find_preview(&state, id, file, params.size).await?;
    let tag = EntityTag::new_strong(preview.map_or(id.to_string(), |size| format!("{id}-{}", size.as_str())));
    let seconds_left = signed.map(|signed| signed.seconds_left);
    if is_not_modified(&request, &tag) {
        let mut response = HttpResponse::NotModified();
        add_cache_headers(&mut response, tag, &file, seconds_left);
        return Ok(response.finish());
    }
    let range = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok());
    let range = range.and_then(ByteRange::parse).filter(|_| if_range_matches(&request, &tag));
    let body = match preview {
        Some(size) => state.uploads.open_preview(id, size, range).await,
        None => state.uploads.open(id, range).await,
    };
    let body = body.map_err(open_error)?;
    let mut response = if range.is_some() {
        let mut response = HttpResponse::build(StatusCode::PARTIAL_CONTENT);
        let (first, last) = (body.range.start, body.range.end.saturating_sub(1));
        response.insert_header((header::CONTENT_RANGE, format!("bytes {first}-{last}/{}", body.size)));
        response
    } else {
        HttpResponse::Ok()
    };
    add_content_headers(&mut response, &file);
    add_cache_headers(&mut response, tag, &file, seconds_left);
    Ok(response.no_chunking(body.range.end - body.range.start).streaming(body.stream))
}

/// Has a picture made in the size that is asked for. Returns the file as it is served, and the size; none for the
/// original.
async fn find_preview(
    state: &ApiState,
    id: Uuid,
    file: FileDetails,
    size: Option<FileSize>,
) -> Result<(FileDetails, Option<PreviewSize>), ApiError> {
    let Some(FileSize::Preview(size)) =
        size.filter(|_| PREVIEWED_TYPES.contains(&file.content_type.as_str()))
    else {
        return Ok((file, None));
    };
    if !state.uploads.make_preview(id, size).await.map_err(open_error)? {
        return Ok((file, None));
    }
    Ok((FileDetails { content_type: PREVIEW_TYPE.to_owned(), ..file }, Some(size)))
}

fn open_error(error: FileOpenError) -> ApiError {
    match error {
        FileOpenError::NotFound => ApiError::not_found(),
        FileOpenError::BadRange { size } => ApiError::RangeNotSatisfiable(size),
        FileOpenError::Io(cause) => {
            tracing::error!(%cause, "a file could not be read");
            EngineError::Unavailable.into()
        }
    }
}

/// A URL whose signature was verified.
#[derive(Clone, Copy)]
struct SignedUrl {
    /// The user whom it was signed for.
    viewer: UserId,
    /// Since when that user's tokens were valid at the time.
    valid_from: i64,
    /// How long it stays valid.
    seconds_left: i64,
}

/// Verifies the signature of a file's URL; `None` where it is missing, wrong or expired.
fn verify_url(state: &ApiState, id: Uuid, params: &FileParams) -> Option<SignedUrl> {
    let user = parse_user_id(params.u.as_deref()?)?.0;
    let exp: i64 = params.exp.as_deref()?.parse().ok()?;
    let now = now_seconds();
    let valid_from = state.file_urls.check(id, user, exp, params.sig.as_deref()?, now)?;
    Some(SignedUrl { viewer: UserId(user), valid_from, seconds_left: exp - now })
}

/// Whether the client has this file already (RFC 9110, 13.1.2).
fn is_not_modified(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
        Err(_) => false,
    }
}

/// Whether `If-Range` allows a partial response (RFC 9110, 13.1.5); files have an entity tag and no date.
fn if_range_matches(request: &HttpRequest, tag: &EntityTag) -> bool {
    match request.headers().get(header::IF_RANGE) {
        None => true,
        Some(condition) => condition.to_str().is_ok_and(|condition| condition == tag.to_string()),
    }
}

/// Adds the headers for caches. A file never changes, so an image by signed URL is cached for an hour without
/// revalidation; the cache of a client that uses a token may have been filled by another user.
fn add_cache_headers(
    response: &mut HttpResponseBuilder,
    tag: EntityTag,
    file: &FileDetails,
    seconds_left: Option<i64>,
) {
    const IMAGE_SECONDS: i64 = 60 * 60;
    let caching = match seconds_left {
        Some(left) if file.is_image => format!("private, max-age={}", left.min(IMAGE_SECONDS)),
        _ => "private, no-cache".to_owned(),
    };
    response.insert_header((header::CACHE_CONTROL, caching)).insert_header(ETag(tag));
}

/// Adds the headers of the content. It was uploaded by a user, so a browser may show images but run nothing.
fn add_content_headers(response: &mut HttpResponseBuilder, file: &FileDetails) {
    let disposition = if file.is_image { DispositionType::Inline } else { DispositionType::Attachment };
    let name = ExtendedValue {
        charset: Charset::Ext("UTF-8".to_owned()),
        language_tag: None,
        value: served_name(&file.name, &file.content_type).into_bytes(),
    };
    response
        .insert_header((header::CONTENT_TYPE, file.content_type.as_str()))
        // Not compressed: most formats are already, and a compressed response has no known length.
        .insert_header(ContentEncoding::Identity)
        .insert_header(ContentDisposition {
            disposition,
            parameters: vec![DispositionParam::FilenameExt(name)],
        })
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header(("Cross-Origin-Resource-Policy", "cross-origin"));
}

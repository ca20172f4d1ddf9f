//! Attachments given out: to whom the address was made for, or the bearer, while in the room.

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
use super::fields::{parse_id, parse_uuid};
use super::query::Query;
use super::rest::Rest;
use crate::auth::tokens::now_seconds;
use crate::files::{ByteRange, OpenError, served_name};
use crate::store::postgres::files::ServedFile;

/// Gives a file, or a range of it.
#[utoipa::path(get, path = "/api/chat/files/{id}/", tag = "files", security((), ("bearer" = [])),
    params(("id" = Uuid, Path), ("u" = Option<String>, Query), ("exp" = Option<String>, Query),
        ("sig" = Option<String>, Query), ("Range" = Option<String>, Header),
        ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, description = "The file", content_type = "application/octet-stream"),
        (status = 304, description = "The same as the caller has already"),
        (status = 206, description = "A range of it", content_type = "application/octet-stream"),
        (status = 416, description = "A range outside of it", body = super::error::ErrorBody)))]
pub async fn get(
    request: HttpRequest,
    rest: Data<Rest>,
    id: Path<String>,
    query: Query,
) -> Result<HttpResponse, ApiError> {
    let id = parse_uuid(&id).ok_or_else(ApiError::not_found)?;
    let signed = signed_viewer(&rest, id, &query);
    let (viewer, valid_from) = match signed {
        Some(Signed { viewer, valid_from, .. }) => {
            rest.in_flight.enter(&request, viewer)?;
            (viewer, Some(valid_from))
        }
        None if has_authorization(&request) => {
            let caller = Caller::extract(&request).await?;
            (caller.viewer().ok_or_else(ApiError::not_found)?, None)
        }
        None => return Err(ApiError::not_found()),
    };
    let file = rest.store.file_for(viewer, FileId(id), valid_from).await?.ok_or_else(ApiError::not_found)?;
    let tag = EntityTag::new_strong(id.to_string());
    let good_for = signed.map(|signed| signed.good_for);
    if has_already(&request, &tag) {
        let mut answer = HttpResponse::NotModified();
        add_caching(&mut answer, tag, &file, good_for);
        return Ok(answer.finish());
    }
    let range = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok());
    let range = range.and_then(ByteRange::parse).filter(|_| is_of_this(&request, &tag));
    let body = rest.uploads.open(id, range).await.map_err(|error| match error {
        OpenError::NotFound => ApiError::not_found(),
        OpenError::BadRange { size } => ApiError::Range(size),
        OpenError::Io(cause) => {
            tracing::error!(%cause, "a file could not be read");
            EngineError::Unavailable.into()
        }
    })?;
    let mut answer = if range.is_some() {
        let mut answer = HttpResponse::build(StatusCode::PARTIAL_CONTENT);
        let (first, last) = (body.range.start, body.range.end.saturating_sub(1));
        answer.insert_header((header::CONTENT_RANGE, format!("bytes {first}-{last}/{}", body.size)));
        answer
    } else {
        HttpResponse::Ok()
    };
    add_headers(&mut answer, &file);
    add_caching(&mut answer, tag, &file, good_for);
    Ok(answer.no_chunking(body.range.end - body.range.start).streaming(body.stream))
}

/// Whom an address was made for.
#[derive(Clone, Copy)]
struct Signed {
    viewer: UserId,
    /// Since when that person's tokens were good.
    valid_from: i64,
    /// How many seconds more it is good.
    good_for: i64,
}

/// Whom the address was made for, when its signature is right.
fn signed_viewer(rest: &Rest, id: Uuid, query: &Query) -> Option<Signed> {
    let user = parse_id(query.get("u")?)?;
    let exp: i64 = query.get("exp")?.parse().ok()?;
    let now = now_seconds();
    let valid_from = rest.file_urls.check(id, user, exp, query.get("sig")?, now)?;
    Some(Signed { viewer: UserId(user), valid_from, good_for: exp - now })
}

/// Whether the caller says that it has the file (RFC 9110, 13.1.2).
fn has_already(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
        Err(_) => false,
    }
}

/// Whether a range is wanted of this very file (RFC 9110, 13.1.5); a file has no date to go by.
fn is_of_this(request: &HttpRequest, tag: &EntityTag) -> bool {
    match request.headers().get(header::IF_RANGE) {
        None => true,
        Some(condition) => condition.to_str().is_ok_and(|condition| condition == tag.to_string()),
    }
}

/// What a file is never changes. A picture by its address is shown for an hour without asking anew; whoever
/// asks with a token might have been another person before.
fn add_caching(answer: &mut HttpResponseBuilder, tag: EntityTag, file: &ServedFile, good_for: Option<i64>) {
    const PICTURE_SECONDS: i64 = 60 * 60;
    let caching = match good_for {
        Some(good_for) if file.is_image => format!("private, max-age={}", good_for.min(PICTURE_SECONDS)),
        _ => "private, no-cache".to_owned(),
    };
    answer.insert_header((header::CACHE_CONTROL, caching)).insert_header(ETag(tag));
}

/// A file is somebody's upload: a browser may show images and must not run anything.
fn add_headers(answer: &mut HttpResponseBuilder, file: &ServedFile) {
    let disposition = if file.is_image { DispositionType::Inline } else { DispositionType::Attachment };
    let name = ExtendedValue {
        charset: Charset::Ext("UTF-8".to_owned()),
        language_tag: None,
        value: served_name(&file.name, &file.content_type).into_bytes(),
    };
    answer
        .insert_header((header::CONTENT_TYPE, file.content_type.as_str()))
        // Most are compressed already, and of one that is compressed on the way nobody knows how long it is.
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

//! Attachments given out: to whom the address was made for, or the bearer, while in the room.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentDisposition, DispositionParam, DispositionType};
use actix_web::http::header::{Charset, ContentEncoding, ExtendedValue};
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
use crate::auth::file_urls::FILE_URL_SECONDS;
use crate::auth::tokens::now_seconds;
use crate::files::{ByteRange, OpenError};
use crate::store::postgres::files::ServedFile;

/// Gives a file, or a range of it.
#[utoipa::path(get, path = "/api/chat/files/{id}/", tag = "files", security((), ("bearer" = [])),
    params(("id" = Uuid, Path), ("u" = Option<String>, Query), ("exp" = Option<String>, Query),
        ("sig" = Option<String>, Query), ("Range" = Option<String>, Header)),
    responses((status = 200, description = "The file", content_type = "application/octet-stream"),
        (status = 206, description = "A range of it", content_type = "application/octet-stream"),
        (status = 416, description = "A range outside of it", body = super::error::ErrorBody)))]
pub async fn get(
    request: HttpRequest,
    rest: Data<Rest>,
    id: Path<String>,
    query: Query,
) -> Result<HttpResponse, ApiError> {
    let id = parse_uuid(&id).ok_or_else(ApiError::not_found)?;
    let (viewer, signed_at) = match signed_viewer(&rest, id, &query) {
        Some((viewer, exp)) => {
            rest.in_flight.enter(&request, viewer)?;
            (viewer, Some(exp - FILE_URL_SECONDS))
        }
        None if has_authorization(&request) => {
            let caller = Caller::extract(&request).await?;
            (caller.viewer().ok_or_else(ApiError::not_found)?, None)
        }
        None => return Err(ApiError::not_found()),
    };
    let file = rest.store.file_for(viewer, FileId(id), signed_at).await?.ok_or_else(ApiError::not_found)?;
    let range = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok());
    let range = range.and_then(ByteRange::parse);
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
    Ok(answer.no_chunking(body.range.end - body.range.start).streaming(body.stream))
}

/// Whom the address was made for and until when it is good, when its signature is right.
fn signed_viewer(rest: &Rest, id: Uuid, query: &Query) -> Option<(UserId, i64)> {
    let user = parse_id(query.get("u")?)?;
    let exp = query.get("exp")?.parse().ok()?;
    let is_good = rest.file_urls.check(id, user, exp, query.get("sig")?, now_seconds());
    is_good.then_some((UserId(user), exp))
}

/// A file is somebody's upload: a browser may show images and must not run anything.
fn add_headers(answer: &mut HttpResponseBuilder, file: &ServedFile) {
    let disposition = if file.is_image { DispositionType::Inline } else { DispositionType::Attachment };
    let name = ExtendedValue {
        charset: Charset::Ext("UTF-8".to_owned()),
        language_tag: None,
        value: file.name.clone().into_bytes(),
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
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header(("Cross-Origin-Resource-Policy", "cross-origin"));
}

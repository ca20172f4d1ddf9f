//! Request bodies: read only once the caller is known, up to a size and at a minimum rate.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix_multipart::Multipart;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{self, Bytes, BytesMut, Data};
use actix_web::{FromRequest, HttpRequest};
use futures_util::{Stream, StreamExt as _};
use serde_json::map::Entry;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use super::error::ApiError;
use super::fields::{Fields, FromFields};
use super::in_flight::Permit;
use super::json;
use super::state::ApiState;
use crate::files::limits::{PART_BYTES, PIECE_BYTES};
use actors::error::ErrorCode;

/// The fewest bytes that a body must bring within `BODY_STALL_SECONDS`; a slower one is answered 408.
pub(crate) const PROGRESS_BYTES: usize = 1024;
/// The most bytes of a multipart body besides its file.
pub(crate) const FORM_BYTES_MAX: usize = 64 * 1024;

/// The unread body of a request.
pub struct RequestBody {
    request: HttpRequest,
    payload: Payload,
    state: Data<ApiState>,
    /// The most bytes, unless it is a multipart body.
    bytes_max: usize,
}

impl FromRequest for RequestBody {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let state = ApiState::of(request);
        let bytes_max = state.settings.json_bytes_max;
        std::future::ready(Ok(Self { request: request.clone(), payload: payload.take(), state, bytes_max }))
    }
}

impl RequestBody {
    /// Lowers the limit of the body, for routes whose caller isn't known yet.
    #[must_use]
    pub fn limited_to(self, bytes_max: usize) -> Self {
        Self { bytes_max: bytes_max.min(self.bytes_max), ..self }
    }

    /// Whether the content type is `multipart/form-data`.
    #[must_use]
    pub fn is_multipart(&self) -> bool {
        self.media_type().is_some_and(|media| media == "multipart/form-data")
    }

    /// Whether the content type is `application/x-www-form-urlencoded`.
    fn is_urlencoded(&self) -> bool {
        self.media_type().is_some_and(|media| media == "application/x-www-form-urlencoded")
    }

    /// Reads a `T` from a JSON object or a URL-encoded form.
    ///
    /// # Errors
    /// 400, 408, 413, 415.
    pub async fn object<T: FromFields>(self) -> Result<T, ApiError> {
        let is_urlencoded = self.is_urlencoded();
        match self.value().await? {
            Value::Object(object) if is_urlencoded => Fields::read_form(object),
            Value::Object(object) => Fields::read(object),
            _ => Err(invalid_shape("Invalid data. Expected an object.")),
        }
    }

    /// Reads a `T` as [`Self::object`] does; no body, or `null`, counts as an empty object.
    ///
    /// # Errors
    /// As [`RequestBody::object`].
    pub async fn object_or_empty<T: FromFields>(self) -> Result<T, ApiError> {
        let is_empty = match self.headers().get(header::CONTENT_LENGTH) {
            Some(length) => length.as_bytes() == b"0",
            None => !self.headers().contains_key(header::TRANSFER_ENCODING),
        };
        if is_empty {
            return Fields::read(Map::new());
        }
        let is_urlencoded = self.is_urlencoded();
        match self.value().await? {
            Value::Object(object) if is_urlencoded => Fields::read_form(object),
            Value::Object(object) => Fields::read(object),
            Value::Null => Fields::read(Map::new()),
            _ => Err(invalid_shape("Invalid data. Expected an object.")),
        }
    }

    /// Reads at most `count_max` of `T` from a JSON list of objects.
    ///
    /// # Errors
    /// As [`RequestBody::object`].
    pub async fn list<T: FromFields>(self, count_max: usize) -> Result<Vec<T>, ApiError> {
        let Value::Array(list) = self.value().await? else {
            return Err(invalid_shape("Invalid data. Expected a list."));
        };
        if list.len() > count_max {
            return Err(invalid_shape(&format!("Invalid data. Expected at most {count_max} items.")));
        }
        list.into_iter()
            .map(|item| match item {
                Value::Object(object) => Fields::read(object),
                _ => Err(invalid_shape("Invalid data. Expected objects in the list.")),
            })
            .collect()
    }

    async fn value(self) -> Result<Value, ApiError> {
        let is_urlencoded = self.is_urlencoded();
        if !is_urlencoded && self.media_type().as_deref() != Some("application/json") {
            return Err(ApiError::UnsupportedMediaType);
        }
        self.check_encoding()?;
        let (bytes_max, time_max) = (self.bytes_max, self.state.settings.body_seconds);
        let permit = Permit::of(&self.request, &self.state.in_flight);
        let (stream, error) = self.paced(bytes_max, time_max)?;
        let mut stream = std::pin::pin!(stream);
        let mut bytes = BytesMut::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| error.take().unwrap_or_else(truncated_body))?;
            permit.reserve(chunk.len())?;
            bytes.extend_from_slice(&chunk);
        }
        if is_urlencoded {
            return parse_form(&bytes);
        }
        json::parse(&bytes).map_err(|_| ApiError::coded(ErrorCode::BadFrame, "JSON parse error."))
    }

    /// Starts to read a multipart body whose file may have `file_bytes_max`.
    ///
    /// When the stream of parts fails, the [`BodyError`] tells why.
    ///
    /// # Errors
    /// 413, 415, 429, 503.
    pub fn multipart(self, file_bytes_max: u64) -> Result<(Multipart, Rc<BodyError>), ApiError> {
        self.check_encoding()?;
        let file_bytes_max = usize::try_from(file_bytes_max).unwrap_or(usize::MAX);
        let headers = self.multipart_headers()?;
        Permit::of(&self.request, &self.state.in_flight).reserve(PART_BYTES)?;
        let time_max = self.state.settings.upload_seconds;
        let (stream, error) = self.paced(file_bytes_max.saturating_add(FORM_BYTES_MAX), time_max)?;
        Ok((Multipart::new(&headers, Box::pin(stream)), error))
    }

    /// Whether the content type is that of bytes of an upload that can be resumed.
    #[must_use]
    pub fn is_octets(&self) -> bool {
        self.media_type().is_some_and(|media| media == "application/offset+octet-stream")
    }

    /// Streams a body of at most `bytes_max`, as a file comes.
    ///
    /// When the stream fails, the [`BodyError`] tells why.
    ///
    /// # Errors
    /// 413, 415, 429, 503.
    #[allow(clippy::type_complexity, reason = "as that of the function below")]
    pub fn octets(
        self,
        bytes_max: usize,
    ) -> Result<(impl Stream<Item = Result<Bytes, PayloadError>> + 'static, Rc<BodyError>), ApiError> {
        self.check_encoding()?;
        Permit::of(&self.request, &self.state.in_flight).reserve(PIECE_BYTES)?;
        let time_max = self.state.settings.upload_seconds;
        self.paced(bytes_max, time_max)
    }

    /// Rewrites the content type for the multipart parser: it needs the boundary in quotes, and as
    /// `multipart/form-data` it would refuse parts whose `Content-Disposition` it can't parse.
    fn multipart_headers(&self) -> Result<HeaderMap, ApiError> {
        let value = self.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary =
            value.and_then(boundary).map(|boundary| format!("multipart/mixed; boundary=\"{boundary}\""));
        let value = boundary.and_then(|value| header::HeaderValue::try_from(value).ok());
        let value = value.ok_or_else(|| ApiError::coded(ErrorCode::BadFrame, "The form has no boundary."))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, value);
        Ok(headers)
    }

    fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    fn media_type(&self) -> Option<String> {
        let value = self.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
        Some(value.split(';').next()?.trim().to_ascii_lowercase())
    }

    /// Refuses compressed bodies: a small one can expand without bound.
    fn check_encoding(&self) -> Result<(), ApiError> {
        match self.headers().get(header::CONTENT_ENCODING) {
            Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
                Err(ApiError::UnsupportedMediaType)
            }
            _ => Ok(()),
        }
    }

    /// Streams the body, and ends it with an error when it is too large or too slow.
    #[allow(clippy::type_complexity, reason = "used by the functions above")]
    fn paced(
        self,
        bytes_max: usize,
        time_max: Duration,
    ) -> Result<(impl Stream<Item = Result<Bytes, PayloadError>> + 'static, Rc<BodyError>), ApiError> {
        let declared = self.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        if declared
            .and_then(|length| length.parse::<u64>().ok())
            .is_some_and(|length| length > bytes_max as u64)
        {
            return Err(ApiError::too_large());
        }
        let settings = &self.state.settings;
        let error = Rc::new(BodyError::default());
        let paced = PacedPayload {
            payload: self.payload,
            stall_timeout: settings.body_stall,
            time_max,
            bytes_per_second: f64::from(settings.body_bytes_per_second),
            bytes_max,
            error: error.clone(),
            received: 0,
            started_at: None,
            window: None,
        };
        // The multipart parser polls once more after the end.
        Ok((futures_util::stream::unfold(paced, PacedPayload::next).fuse(), error))
    }
}

/// Why a body ended early. The stream's own error type can't carry it.
#[derive(Default)]
pub struct BodyError(Cell<Option<ApiError>>);

impl BodyError {
    /// Takes the error out; `None` where the body didn't end early.
    pub fn take(&self) -> Option<ApiError> {
        self.0.take()
    }
}

/// A payload that fails when it exceeds its size or falls below its rate.
struct PacedPayload {
    payload: Payload,
    /// The time for the next [`PROGRESS_BYTES`].
    stall_timeout: Duration,
    /// The time for the whole body.
    time_max: Duration,
    /// The minimum rate on average, once the first `stall_timeout` is over.
    bytes_per_second: f64,
    bytes_max: usize,
    error: Rc<BodyError>,
    received: usize,
    started_at: Option<Instant>,
    /// When the current [`PROGRESS_BYTES`] began, and how many of them have been received.
    window: Option<(Instant, usize)>,
}

impl PacedPayload {
    async fn next(mut self) -> Option<(Result<Bytes, PayloadError>, Self)> {
        let started_at = *self.started_at.get_or_insert_with(Instant::now);
        let (since, progress) = *self.window.get_or_insert((started_at, 0));
        let earned = Duration::from_secs_f64(self.received as f64 / self.bytes_per_second);
        let deadline = (since + self.stall_timeout)
            .min(started_at + self.time_max)
            .min(started_at + self.stall_timeout + earned);
        let chunk = match timeout_at(deadline, self.payload.next()).await {
            Err(_) => return self.fail(ApiError::SlowBody),
            Ok(None) => return None,
            Ok(Some(Err(error))) => return Some((Err(error), self)),
            Ok(Some(Ok(chunk))) => chunk,
        };
        self.received += chunk.len();
        if self.received > self.bytes_max {
            return self.fail(ApiError::too_large());
        }
        let progress = progress + chunk.len();
        self.window = Some(if progress >= PROGRESS_BYTES { (Instant::now(), 0) } else { (since, progress) });
        Some((Ok(chunk), self))
    }

    fn fail(self, error: ApiError) -> Option<(Result<Bytes, PayloadError>, Self)> {
        self.error.0.set(Some(error));
        Some((Err(PayloadError::Overflow), self))
    }
}

/// Finds the boundary in a content type. Quoted or not, it may hold any character of RFC 2046, 5.1.1, and
/// be longer than the 70 characters allowed there, as some clients write it.
fn boundary(content_type: &str) -> Option<&str> {
    const CHARS_MAX: usize = 200;
    let (_, mut rest) = content_type.split_once(';')?;
    loop {
        let (key, value) = rest.split_once('=')?;
        let value = value.trim_start();
        let (value, tail) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_once(';').unwrap_or((value, "")),
        };
        if key.trim_matches([' ', '\t', ';']).eq_ignore_ascii_case("boundary") {
            let value = value.trim_end();
            let is_allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\') || c == ' ';
            return (1..=CHARS_MAX)
                .contains(&value.len())
                .then_some(value)
                .filter(|it| it.chars().all(is_allowed));
        }
        rest = tail;
    }
}

/// Parses a URL-encoded form into an object of texts; a repeated field becomes a list.
fn parse_form(bytes: &[u8]) -> Result<Value, ApiError> {
    let unreadable = || ApiError::coded(ErrorCode::BadFrame, "The form can't be read.");
    let text = str::from_utf8(bytes).map_err(|_| unreadable())?;
    let pairs = web::Query::<Vec<(String, String)>>::from_query(text).map_err(|_| unreadable())?;
    let mut fields = Map::new();
    for (name, value) in pairs.into_inner() {
        // A form has no null: an empty field counts as absent, except the text of a message.
        if value.is_empty() && name != "content" {
            continue;
        }
        match fields.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(Value::String(value));
            }
            Entry::Occupied(mut entry) => match entry.get_mut() {
                Value::Array(list) => list.push(Value::String(value)),
                first => *first = Value::Array(vec![first.take(), Value::String(value)]),
            },
        }
    }
    Ok(Value::Object(fields))
}

fn invalid_shape(detail: &str) -> ApiError {
    ApiError::coded(ErrorCode::Invalid, detail)
}

/// Returns 400 of a body that broke off.
pub(super) fn truncated_body() -> ApiError {
    ApiError::coded(ErrorCode::BadFrame, "The body broke off.")
}

#[cfg(test)]
mod tests {
    use super::boundary;

    #[test]
    fn a_boundary_is_found_however_it_is_written() {
        for (written, found) in [
            ("boundary=abc123", Some("abc123")),
            ("boundary====1700000000000===", Some("===1700000000000===")),
            ("boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW", Some("----WebKitFormBoundary7MA4YWxkTrZu0gW")),
            ("Boundary=\"a b'()+_,-./:=?\"", Some("a b'()+_,-./:=?")),
            ("charset=utf-8; boundary=a/b:c?d ", Some("a/b:c?d")),
            ("x=\"boundary=no\";boundary=yes; y", Some("yes")),
            ("boundary=", None),
            ("boundary=\"open", None),
            ("boundary=a\\b", None),
            ("charset=utf-8", None),
            ("", None),
        ] {
            assert_eq!(boundary(&format!("multipart/form-data; {written}")), found, "{written}");
        }
        assert_eq!(boundary("multipart/form-data"), None);
    }
}

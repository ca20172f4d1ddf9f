//! Bodies of requests: read only after the caller is known, within a size, and at a pace.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix_multipart::Multipart;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, BytesMut, Data, Query};
use actix_web::{FromRequest, HttpRequest};
use futures_util::{Stream, StreamExt as _};
use serde_json::map::Entry;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use super::error::ApiError;
use super::fields::{Fields, FromFields};
use super::in_flight::Permit;
use super::json;
use super::rest::Rest;
use crate::files::limits::PART_BYTES;
use actors::error::ErrorCode;

/// A body that goes on by less than this in the time allowed is given up.
pub(crate) const PROGRESS_BYTES: usize = 1024;
/// What a multipart body may hold besides its file.
pub(crate) const FORM_BYTES_MAX: usize = 64 * 1024;

/// A request's body that nobody has read yet.
pub struct Body {
    request: HttpRequest,
    payload: Payload,
    rest: Data<Rest>,
    /// Bytes that it may have unless it is a form.
    bytes_max: usize,
}

impl FromRequest for Body {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let rest = Rest::of(request);
        let bytes_max = rest.settings.json_bytes_max;
        std::future::ready(Ok(Self { request: request.clone(), payload: payload.take(), rest, bytes_max }))
    }
}

impl Body {
    /// Lets it have fewer bytes than others: where nobody knows yet who is asking.
    #[must_use]
    pub fn within(self, bytes_max: usize) -> Self {
        Self { bytes_max: bytes_max.min(self.bytes_max), ..self }
    }

    /// Whether it says that it is a form with files.
    #[must_use]
    pub fn is_multipart(&self) -> bool {
        self.media_type().is_some_and(|media| media == "multipart/form-data")
    }

    /// Whether it says that it is a form without files.
    fn is_form(&self) -> bool {
        self.media_type().is_some_and(|media| media == "application/x-www-form-urlencoded")
    }

    /// Reads a JSON object, or a form, of the form of `T`.
    ///
    /// # Errors
    /// 400, 408, 413, 415.
    pub async fn object<T: FromFields>(self) -> Result<T, ApiError> {
        let is_form = self.is_form();
        match self.value().await? {
            Value::Object(object) if is_form => Fields::read_form(object),
            Value::Object(object) => Fields::read(object),
            _ => Err(not_of_form("Invalid data. Expected an object.")),
        }
    }

    /// Reads a JSON object of the form of `T`; no body at all, or `null`, is an empty one.
    ///
    /// # Errors
    /// As [`Body::object`].
    pub async fn object_or_nothing<T: FromFields>(self) -> Result<T, ApiError> {
        let is_empty = match self.headers().get(header::CONTENT_LENGTH) {
            Some(length) => length.as_bytes() == b"0",
            None => !self.headers().contains_key(header::TRANSFER_ENCODING),
        };
        if is_empty {
            return Fields::read(Map::new());
        }
        let is_form = self.is_form();
        match self.value().await? {
            Value::Object(object) if is_form => Fields::read_form(object),
            Value::Object(object) => Fields::read(object),
            Value::Null => Fields::read(Map::new()),
            _ => Err(not_of_form("Invalid data. Expected an object.")),
        }
    }

    /// Reads a JSON list of objects of the form of `T`, at most `count_max`.
    ///
    /// # Errors
    /// As [`Body::object`].
    pub async fn list<T: FromFields>(self, count_max: usize) -> Result<Vec<T>, ApiError> {
        let Value::Array(list) = self.value().await? else {
            return Err(not_of_form("Invalid data. Expected a list."));
        };
        if list.len() > count_max {
            return Err(not_of_form(&format!("Invalid data. Expected at most {count_max} items.")));
        }
        list.into_iter()
            .map(|item| match item {
                Value::Object(object) => Fields::read(object),
                _ => Err(not_of_form("Invalid data. Expected objects in the list.")),
            })
            .collect()
    }

    async fn value(self) -> Result<Value, ApiError> {
        let is_form = self.is_form();
        if !is_form && self.media_type().as_deref() != Some("application/json") {
            return Err(ApiError::MediaType);
        }
        self.check_encoding()?;
        let (bytes_max, within) = (self.bytes_max, self.rest.settings.body_seconds);
        let permit = Permit::of(&self.request, &self.rest.in_flight);
        let (stream, fault) = self.paced(bytes_max, within)?;
        let mut stream = std::pin::pin!(stream);
        let mut bytes = BytesMut::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| fault.take().unwrap_or_else(broken_off))?;
            permit.hold(chunk.len())?;
            bytes.extend_from_slice(&chunk);
        }
        if is_form {
            return fields_of_form(&bytes);
        }
        json::parse(&bytes).map_err(|_| ApiError::coded(ErrorCode::BadFrame, "JSON parse error."))
    }

    /// Begins to read a form whose files may have `file_bytes_max`; what ends it early is in the cell.
    ///
    /// # Errors
    /// 413, 415, 429, 503.
    pub fn form(self, file_bytes_max: u64) -> Result<(Multipart, Rc<BodyFault>), ApiError> {
        self.check_encoding()?;
        let file_bytes_max = usize::try_from(file_bytes_max).unwrap_or(usize::MAX);
        let headers = self.form_headers()?;
        Permit::of(&self.request, &self.rest.in_flight).hold(PART_BYTES)?;
        let within = self.rest.settings.upload_seconds;
        let (stream, fault) = self.paced(file_bytes_max.saturating_add(FORM_BYTES_MAX), within)?;
        Ok((Multipart::new(&headers, Box::pin(stream)), fault))
    }

    /// The one header that the reader of forms looks at, so written that it can: with its boundary in quotes,
    /// and as no form, of which it would refuse parts whose own headers it can't read.
    fn form_headers(&self) -> Result<HeaderMap, ApiError> {
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

    /// A compressed body may be far more than it looks; none is unpacked.
    fn check_encoding(&self) -> Result<(), ApiError> {
        match self.headers().get(header::CONTENT_ENCODING) {
            Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
                Err(ApiError::MediaType)
            }
            _ => Ok(()),
        }
    }

    /// The body as it comes, ended when it is too much or too slow.
    #[allow(clippy::type_complexity, reason = "a stream and the cell that it writes to, used just above")]
    fn paced(
        self,
        bytes_max: usize,
        within: Duration,
    ) -> Result<(impl Stream<Item = Result<Bytes, PayloadError>> + 'static, Rc<BodyFault>), ApiError> {
        let declared = self.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        if declared
            .and_then(|length| length.parse::<u64>().ok())
            .is_some_and(|length| length > bytes_max as u64)
        {
            return Err(ApiError::too_large());
        }
        let settings = &self.rest.settings;
        let fault = Rc::new(BodyFault::default());
        let pace = Pace {
            payload: self.payload,
            patience: settings.body_stall,
            within,
            per_second: f64::from(settings.body_bytes_per_second),
            bytes_max,
            fault: fault.clone(),
            came: 0,
            begun: None,
            window: None,
        };
        // The reader of forms looks once more after the end.
        Ok((futures_util::stream::unfold(pace, Pace::next).fuse(), fault))
    }
}

/// What ended a body early, told beside the stream that can't tell it.
#[derive(Default)]
pub struct BodyFault(Cell<Option<ApiError>>);

impl BodyFault {
    /// Takes the fault out, where there is one.
    pub fn take(&self) -> Option<ApiError> {
        self.0.take()
    }
}

struct Pace {
    payload: Payload,
    /// For [`PROGRESS_BYTES`].
    patience: Duration,
    /// For all of it.
    within: Duration,
    /// What must come on average, once the first patience is over.
    per_second: f64,
    bytes_max: usize,
    fault: Rc<BodyFault>,
    came: usize,
    begun: Option<Instant>,
    /// Since when how many bytes have come.
    window: Option<(Instant, usize)>,
}

impl Pace {
    async fn next(mut self) -> Option<(Result<Bytes, PayloadError>, Self)> {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        let (since, came) = *self.window.get_or_insert((begun, 0));
        let earned = Duration::from_secs_f64(self.came as f64 / self.per_second);
        let deadline = (since + self.patience).min(begun + self.within).min(begun + self.patience + earned);
        let chunk = match timeout_at(deadline, self.payload.next()).await {
            Err(_) => return self.end(ApiError::SlowBody),
            Ok(None) => return None,
            Ok(Some(Err(error))) => return Some((Err(error), self)),
            Ok(Some(Ok(chunk))) => chunk,
        };
        self.came += chunk.len();
        if self.came > self.bytes_max {
            return self.end(ApiError::too_large());
        }
        let came = came + chunk.len();
        self.window = Some(if came >= PROGRESS_BYTES { (Instant::now(), 0) } else { (since, came) });
        Some((Ok(chunk), self))
    }

    fn end(self, fault: ApiError) -> Option<(Result<Bytes, PayloadError>, Self)> {
        self.fault.0.set(Some(fault));
        Some((Err(PayloadError::Overflow), self))
    }
}

/// What parts a form from the next one. In quotes or not it may hold any characters of RFC 2046, 5.1.1, and
/// some clients make longer ones.
fn boundary(content_type: &str) -> Option<&str> {
    const CHARS_MAX: usize = 200;
    let (_, mut left) = content_type.split_once(';')?;
    loop {
        let (key, value) = left.split_once('=')?;
        let value = value.trim_start();
        let (value, rest) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_once(';').unwrap_or((value, "")),
        };
        if key.trim_matches([' ', '\t', ';']).eq_ignore_ascii_case("boundary") {
            let value = value.trim_end();
            let is_fit = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\') || c == ' ';
            return (1..=CHARS_MAX)
                .contains(&value.len())
                .then_some(value)
                .filter(|it| it.chars().all(is_fit));
        }
        left = rest;
    }
}

/// The fields of a form as an object of texts; one that stands several times is a list of them.
fn fields_of_form(bytes: &[u8]) -> Result<Value, ApiError> {
    let unreadable = || ApiError::coded(ErrorCode::BadFrame, "The form can't be read.");
    let text = str::from_utf8(bytes).map_err(|_| unreadable())?;
    let pairs = Query::<Vec<(String, String)>>::from_query(text).map_err(|_| unreadable())?;
    let mut fields = Map::new();
    for (name, value) in pairs.into_inner() {
        // A form has no null: what is empty was left out, but for the text itself.
        if value.is_empty() && name != "content" {
            continue;
        }
        match fields.entry(name) {
            Entry::Vacant(place) => {
                place.insert(Value::String(value));
            }
            Entry::Occupied(mut there) => match there.get_mut() {
                Value::Array(list) => list.push(Value::String(value)),
                first => *first = Value::Array(vec![first.take(), Value::String(value)]),
            },
        }
    }
    Ok(Value::Object(fields))
}

fn not_of_form(detail: &str) -> ApiError {
    ApiError::coded(ErrorCode::Invalid, detail)
}

/// 400 of a body that ended before its end.
pub(super) fn broken_off() -> ApiError {
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

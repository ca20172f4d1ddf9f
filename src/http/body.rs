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
use super::json;
use super::rest::Rest;
use actors::error::ErrorCode;

/// A body that goes on by less than this in the time allowed is given up.
const PROGRESS_BYTES: usize = 1024;
/// What a multipart body may hold besides its file.
pub(super) const FORM_BYTES_MAX: usize = 64 * 1024;

/// A request's body that nobody has read yet.
pub struct Body {
    headers: HeaderMap,
    payload: Payload,
    rest: Data<Rest>,
}

impl FromRequest for Body {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let rest = Rest::of(request);
        std::future::ready(Ok(Self { headers: request.headers().clone(), payload: payload.take(), rest }))
    }
}

impl Body {
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
        let is_empty = match self.headers.get(header::CONTENT_LENGTH) {
            Some(length) => length.as_bytes() == b"0",
            None => !self.headers.contains_key(header::TRANSFER_ENCODING),
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
        let bytes_max = self.rest.settings.json_bytes_max;
        let (stream, fault) = self.paced(bytes_max)?;
        let mut stream = std::pin::pin!(stream);
        let mut bytes = BytesMut::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| fault.take().unwrap_or_else(broken_off))?;
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
    /// 413, 415.
    pub fn form(self, file_bytes_max: u64) -> Result<(Multipart, Rc<BodyFault>), ApiError> {
        self.check_encoding()?;
        let file_bytes_max = usize::try_from(file_bytes_max).unwrap_or(usize::MAX);
        let headers = self.headers.clone();
        let (stream, fault) = self.paced(file_bytes_max.saturating_add(FORM_BYTES_MAX))?;
        Ok((Multipart::new(&headers, Box::pin(stream)), fault))
    }

    fn media_type(&self) -> Option<String> {
        let value = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        Some(value.split(';').next()?.trim().to_ascii_lowercase())
    }

    /// A compressed body may be far more than it looks; none is unpacked.
    fn check_encoding(&self) -> Result<(), ApiError> {
        match self.headers.get(header::CONTENT_ENCODING) {
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
    ) -> Result<(impl Stream<Item = Result<Bytes, PayloadError>> + 'static, Rc<BodyFault>), ApiError> {
        let declared = self.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        if declared
            .and_then(|length| length.parse::<u64>().ok())
            .is_some_and(|length| length > bytes_max as u64)
        {
            return Err(ApiError::too_large());
        }
        let patience = self.rest.settings.body_stall;
        let fault = Rc::new(BodyFault::default());
        let pace =
            Pace { payload: self.payload, patience, left: bytes_max, fault: fault.clone(), window: None };
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
    patience: Duration,
    left: usize,
    fault: Rc<BodyFault>,
    /// Since when how many bytes have come.
    window: Option<(Instant, usize)>,
}

impl Pace {
    async fn next(mut self) -> Option<(Result<Bytes, PayloadError>, Self)> {
        let (since, came) = *self.window.get_or_insert_with(|| (Instant::now(), 0));
        let chunk = match timeout_at(since + self.patience, self.payload.next()).await {
            Err(_) => return self.end(ApiError::SlowBody),
            Ok(None) => return None,
            Ok(Some(Err(error))) => return Some((Err(error), self)),
            Ok(Some(Ok(chunk))) => chunk,
        };
        let Some(left) = self.left.checked_sub(chunk.len()) else {
            return self.end(ApiError::too_large());
        };
        self.left = left;
        let came = came + chunk.len();
        self.window = Some(if came >= PROGRESS_BYTES { (Instant::now(), 0) } else { (since, came) });
        Some((Ok(chunk), self))
    }

    fn end(self, fault: ApiError) -> Option<(Result<Bytes, PayloadError>, Self)> {
        self.fault.0.set(Some(fault));
        Some((Err(PayloadError::Overflow), self))
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

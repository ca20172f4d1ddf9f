//! Error responses of REST, in the shapes of the contract.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use actors::domain::command::Refusal;
use actors::error::{EngineError, ErrorCode};
use actors::ports::store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::InvalidToken;
use crate::auth::tokens::BAD_GRANT;

/// The errors in the fields of a request: `{"<field>": ["..."]}`.
pub type FieldErrors = BTreeMap<&'static str, Vec<String>>;

/// Why a request failed.
#[derive(Debug, PartialEq)]
pub enum ApiError {
    /// 400: invalid fields.
    Fields(FieldErrors),
    /// 400: one of the few errors that the contract puts under `error`.
    ErrorMessage(String),
    /// 401: no token.
    MissingToken,
    /// 401: a token that isn't accepted; the reason isn't told.
    BadToken,
    /// 401: a valid token whose grant is malformed.
    BadGrant,
    /// 401: no such account, or a wrong password.
    InvalidCredentials,
    /// One of the codes that REST and sockets share, with its status.
    Coded {
        /// The code.
        code: ErrorCode,
        /// A sentence for people.
        detail: String,
        /// How long to wait before a retry may succeed.
        retry_after: Option<Duration>,
    },
    /// 409: it is too late for that.
    Conflict(String),
    /// 405, with the methods that the path has.
    MethodNotAllowed(String),
    /// 408: the body arrived too slowly.
    SlowBody,
    /// 426: the path serves WebSocket upgrades only.
    UpgradeRequired,
    /// 415: the route doesn't read this content type or encoding.
    UnsupportedMediaType,
    /// 416: a range outside a file of this many bytes.
    RangeNotSatisfiable(u64),
    /// 410: it was here, and its time is over.
    Gone,
    /// 412: a client that speaks another version of tus.
    UnsupportedTusVersion,
    /// 460, by tus: the body has another checksum than was announced.
    ChecksumMismatch,
}

/// The shape of most errors.
#[derive(Serialize, ToSchema)]
pub struct ErrorBody {
    /// A sentence for people.
    pub detail: String,
    /// One of a fixed set of codes.
    pub code: String,
    /// Seconds after which trying again may help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<f64>,
}

#[derive(Serialize)]
struct ErrorMessageBody<'a> {
    error: &'a str,
}

impl ApiError {
    /// Creates an error with a shared code and a sentence.
    pub fn coded(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self::Coded { code, detail: detail.into(), retry_after: None }
    }

    /// Creates a 404 that doesn't tell what is missing.
    #[must_use]
    pub fn not_found() -> Self {
        Self::coded(ErrorCode::NotFound, "Not found.")
    }

    /// Creates the 404 of a page past the end of a list.
    #[must_use]
    pub fn invalid_page() -> Self {
        Self::coded(ErrorCode::NotFound, "Invalid page.")
    }

    /// Creates a 403.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::from(Refusal::Forbidden)
    }

    /// Creates the 422 of what a legal hold of this name keeps.
    #[must_use]
    pub fn on_hold(name: &str) -> Self {
        Self::coded(ErrorCode::Rejected, format!("On hold: {name}"))
    }

    /// Creates a 400 of one field.
    pub fn field(name: &'static str, problem: impl Into<String>) -> Self {
        Self::Fields(FieldErrors::from([(name, vec![problem.into()])]))
    }

    /// Creates a 413.
    #[must_use]
    pub fn too_large() -> Self {
        Self::coded(ErrorCode::TooLarge, "The request is larger than allowed.")
    }

    /// Creates a 429.
    #[must_use]
    pub fn rate_limited(retry_after: Duration) -> Self {
        Self::from(EngineError::RateLimited { retry_after })
    }

    fn body(&self) -> ErrorBody {
        let (detail, code, retry_after) = match self {
            Self::Fields(_) | Self::ErrorMessage(_) => ("", ErrorCode::Invalid.as_str(), None),
            Self::MissingToken => {
                ("Authentication credentials were not provided.", "not_authenticated", None)
            }
            Self::BadToken => ("Given token not valid for any token type", "token_not_valid", None),
            Self::BadGrant => (BAD_GRANT, "token_not_valid", None),
            Self::InvalidCredentials => {
                ("No active account found with the given credentials", "no_active_account", None)
            }
            Self::Coded { code, detail, retry_after } => (detail.as_str(), code.as_str(), *retry_after),
            Self::Conflict(detail) => (detail.as_str(), "conflict", None),
            Self::MethodNotAllowed(_) => ("Method not allowed.", "method_not_allowed", None),
            Self::SlowBody => ("The body came too slowly.", "timeout", None),
            Self::UpgradeRequired => ("Only WebSocket upgrades are served here.", "upgrade_required", None),
            Self::UnsupportedMediaType => {
                ("Unsupported media type in request.", "unsupported_media_type", None)
            }
            Self::RangeNotSatisfiable(_) => ("Range outside of the file.", "invalid", None),
            Self::Gone => ("Its time is over.", "not_found", None),
            Self::UnsupportedTusVersion => ("Only Tus-Resumable: 1.0.0 is supported.", "invalid", None),
            Self::ChecksumMismatch => ("The body has another checksum.", "checksum_mismatch", None),
        };
        ErrorBody {
            detail: detail.to_owned(),
            code: code.to_owned(),
            retry_after: retry_after.map(|wait| wait.as_secs_f64()),
        }
    }

    fn add_headers(&self, response: &mut HttpResponseBuilder) {
        match self {
            Self::MissingToken | Self::BadToken | Self::BadGrant | Self::InvalidCredentials => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"api\""));
            }
            Self::Coded { retry_after: Some(wait), .. } => {
                let seconds = wait.as_secs_f64().ceil().max(1.0);
                response.insert_header((header::RETRY_AFTER, format!("{seconds:.0}")));
            }
            Self::MethodNotAllowed(allowed) => {
                response.insert_header((header::ALLOW, allowed.as_str()));
            }
            Self::UpgradeRequired => {
                response.insert_header((header::UPGRADE, "websocket"));
                response.insert_header((header::SEC_WEBSOCKET_VERSION, "13"));
            }
            Self::RangeNotSatisfiable(size) => {
                response.insert_header((header::CONTENT_RANGE, format!("bytes */{size}")));
            }
            _ => {}
        }
        if self.leaves_body_unread() {
            response.force_close();
        }
    }

    /// Whether the connection must close, because the client may still send a body that nobody reads.
    fn leaves_body_unread(&self) -> bool {
        matches!(
            self,
            Self::SlowBody | Self::UnsupportedMediaType | Self::Coded { code: ErrorCode::TooLarge, .. }
        )
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.body().code)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Fields(_) | Self::ErrorMessage(_) => StatusCode::BAD_REQUEST,
            Self::MissingToken | Self::BadToken | Self::BadGrant | Self::InvalidCredentials => {
                StatusCode::UNAUTHORIZED
            }
            Self::Coded { code, .. } => {
                StatusCode::from_u16(code.status()).expect("the table of codes holds real statuses")
            }
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RangeNotSatisfiable(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Gone => StatusCode::GONE,
            Self::UnsupportedTusVersion => StatusCode::PRECONDITION_FAILED,
            Self::ChecksumMismatch => StatusCode::from_u16(460).expect("a number of three digits"),
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        self.add_headers(&mut response);
        match self {
            Self::Fields(faults) => response.json(faults),
            Self::ErrorMessage(error) => response.json(ErrorMessageBody { error }),
            _ => response.json(self.body()),
        }
    }
}

impl From<InvalidToken> for ApiError {
    fn from(error: InvalidToken) -> Self {
        match error {
            InvalidToken::Refused => Self::BadToken,
            InvalidToken::BadGrant => Self::BadGrant,
            InvalidToken::Unavailable => Self::from(EngineError::Unavailable),
        }
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        Self::Coded { code: error.code(), detail: error.to_string(), retry_after: error.retry_after() }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::ReplyTargetNotFound => Self::field("reply_to", refusal.to_string()),
            Refusal::ThreadRootNotFound => Self::field("thread_root", refusal.to_string()),
            Refusal::Blank => Self::field("content", refusal.to_string()),
            Refusal::TooManyPins => Self::field("pin", refusal.to_string()),
            Refusal::EndInPast => Self::field("until", refusal.to_string()),
            Refusal::Invitation(_) => Self::field("token", refusal.to_string()),
            Refusal::TooManyInvitations => Self::field("room", refusal.to_string()),
            Refusal::TooManyReactions => Self::field("emoji", refusal.to_string()),
            Refusal::Card(wrong) => Self::field(wrong.field(), refusal.to_string()),
            Refusal::Urgency(wrong) => Self::field(wrong.field(), refusal.to_string()),
            Refusal::MentionedOutsiders(_) => Self::field("mentions", refusal.to_string()),
            Refusal::Upload(_) => Self::field("attachments", refusal.to_string()),
            Refusal::RoomNotFound | Refusal::MessageNotFound | Refusal::ParticipantNotFound => {
                Self::not_found()
            }
            other => Self::from(EngineError::Refused(other)),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => {
                tracing::warn!(%cause, "the store is unavailable to a request");
                Self::from(EngineError::Unavailable)
            }
            StoreError::Locked => Self::from(EngineError::Unavailable),
            StoreError::OutcomeUnknown => Self::from(EngineError::OutcomeUnknown),
            StoreError::RowRefused => Self::from(EngineError::Refused(Refusal::Rejected)),
        }
    }
}

/// Maps the refusals of a command by `to_error`, for routes that report some under a field.
///
/// # Errors
/// The mapped refusal, or any other error of the engine as it is.
pub fn map_refusal<T>(
    result: Result<T, EngineError>,
    to_error: impl FnOnce(Refusal) -> ApiError,
) -> Result<T, ApiError> {
    result.map_err(|error| match error {
        EngineError::Refused(refusal) => to_error(refusal),
        other => ApiError::from(other),
    })
}

/// Answers requests for unknown paths; those that lack only the last slash are redirected.
///
/// # Errors
/// 404.
pub async fn unknown_path(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let with_slash = format!("{}/", request.uri().path());
    if !request.resource_map().has_resource(&with_slash) {
        return Err(ApiError::not_found());
    }
    let location = match request.uri().query() {
        Some(query) => format!("{with_slash}?{query}"),
        None => with_slash,
    };
    // 308 makes the client repeat the method and the body.
    Ok(HttpResponse::PermanentRedirect().insert_header((header::LOCATION, location)).finish())
}

//! Every answer of REST that is no success, in the contract's shapes.

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

/// What is wrong with each field of a request: `{"<field>": ["..."]}`.
pub type Faults = BTreeMap<&'static str, Vec<String>>;

/// Why a request has no good answer.
#[derive(Debug, PartialEq)]
pub enum ApiError {
    /// 400: fields whose values can't be.
    Fields(Faults),
    /// 400: the few errors that the contract puts under `error`.
    Said(String),
    /// 401: no token.
    NoToken,
    /// 401: a token that isn't accepted, for whatever reason.
    BadToken,
    /// 401: a good token with a grant that is none.
    BadGrant,
    /// 401: no such account, or another password.
    BadSignIn,
    /// One of the codes of the wire, with its status.
    Coded {
        /// The code.
        code: ErrorCode,
        /// A sentence for people.
        detail: String,
        /// When trying again may help.
        retry_after: Option<Duration>,
    },
    /// 405, with the methods that there are.
    MethodNotAllowed(String),
    /// 408: the body came too slowly.
    SlowBody,
    /// 426: only a WebSocket opens here.
    UpgradeRequired,
    /// 415: the body is of a kind that isn't read here.
    MediaType,
    /// 416: a range outside of a file of this many bytes.
    Range(u64),
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
struct SaidBody<'a> {
    error: &'a str,
}

impl ApiError {
    /// One of the wire's codes with a sentence.
    pub fn coded(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self::Coded { code, detail: detail.into(), retry_after: None }
    }

    /// 404 that tells nothing.
    #[must_use]
    pub fn not_found() -> Self {
        Self::coded(ErrorCode::NotFound, "Not found.")
    }

    /// 404 of a page past the end.
    #[must_use]
    pub fn invalid_page() -> Self {
        Self::coded(ErrorCode::NotFound, "Invalid page.")
    }

    /// 403 of one who may not.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::from(Refusal::Forbidden)
    }

    /// 400 of one field.
    pub fn field(name: &'static str, problem: impl Into<String>) -> Self {
        Self::Fields(Faults::from([(name, vec![problem.into()])]))
    }

    /// 413 of a body or a file.
    #[must_use]
    pub fn too_large() -> Self {
        Self::coded(ErrorCode::TooLarge, "The request is larger than allowed.")
    }

    /// 429.
    #[must_use]
    pub fn rate_limited(retry_after: Duration) -> Self {
        Self::from(EngineError::RateLimited { retry_after })
    }

    fn body(&self) -> ErrorBody {
        let (detail, code, retry_after) = match self {
            Self::Fields(_) | Self::Said(_) => ("", ErrorCode::Invalid.as_str(), None),
            Self::NoToken => ("Authentication credentials were not provided.", "not_authenticated", None),
            Self::BadToken => ("Given token not valid for any token type", "token_not_valid", None),
            Self::BadGrant => (BAD_GRANT, "token_not_valid", None),
            Self::BadSignIn => {
                ("No active account found with the given credentials", "no_active_account", None)
            }
            Self::Coded { code, detail, retry_after } => (detail.as_str(), code.as_str(), *retry_after),
            Self::MethodNotAllowed(_) => ("Method not allowed.", "method_not_allowed", None),
            Self::SlowBody => ("The body came too slowly.", "timeout", None),
            Self::UpgradeRequired => ("Only WebSocket upgrades are served here.", "upgrade_required", None),
            Self::MediaType => ("Unsupported media type in request.", "unsupported_media_type", None),
            Self::Range(_) => ("Range outside of the file.", "invalid", None),
        };
        ErrorBody {
            detail: detail.to_owned(),
            code: code.to_owned(),
            retry_after: retry_after.map(|wait| wait.as_secs_f64()),
        }
    }

    fn add_headers(&self, answer: &mut HttpResponseBuilder) {
        match self {
            Self::NoToken | Self::BadToken | Self::BadGrant | Self::BadSignIn => {
                answer.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"api\""));
            }
            Self::Coded { retry_after: Some(wait), .. } => {
                let seconds = wait.as_secs_f64().ceil().max(1.0);
                answer.insert_header((header::RETRY_AFTER, format!("{seconds:.0}")));
            }
            Self::MethodNotAllowed(allowed) => {
                answer.insert_header((header::ALLOW, allowed.as_str()));
            }
            Self::UpgradeRequired => {
                answer.insert_header((header::UPGRADE, "websocket"));
                answer.insert_header((header::SEC_WEBSOCKET_VERSION, "13"));
            }
            Self::Range(size) => {
                answer.insert_header((header::CONTENT_RANGE, format!("bytes */{size}")));
            }
            _ => {}
        }
        if self.leaves_body_unread() {
            answer.force_close();
        }
    }

    /// Whether what the client still sends must not be taken for its next request.
    fn leaves_body_unread(&self) -> bool {
        matches!(self, Self::SlowBody | Self::MediaType | Self::Coded { code: ErrorCode::TooLarge, .. })
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
            Self::Fields(_) | Self::Said(_) => StatusCode::BAD_REQUEST,
            Self::NoToken | Self::BadToken | Self::BadGrant | Self::BadSignIn => StatusCode::UNAUTHORIZED,
            Self::Coded { code, .. } => {
                StatusCode::from_u16(code.status()).expect("the table of codes holds real statuses")
            }
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Range(_) => StatusCode::RANGE_NOT_SATISFIABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        self.add_headers(&mut answer);
        match self {
            Self::Fields(faults) => answer.json(faults),
            Self::Said(error) => answer.json(SaidBody { error }),
            _ => answer.json(self.body()),
        }
    }
}

impl From<InvalidToken> for ApiError {
    fn from(error: InvalidToken) -> Self {
        match error {
            InvalidToken::Refused => Self::BadToken,
            InvalidToken::BadGrant => Self::BadGrant,
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
            Refusal::StrayReply => Self::field("reply_to", refusal.to_string()),
            Refusal::Blank => Self::field("content", refusal.to_string()),
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
                tracing::warn!(%cause, "a request found the store unavailable");
                Self::from(EngineError::Unavailable)
            }
            StoreError::Locked => Self::from(EngineError::Unavailable),
            StoreError::OutcomeUnknown => Self::from(EngineError::OutcomeUnknown),
            StoreError::RowRefused => Self::from(EngineError::Refused(Refusal::Rejected)),
        }
    }
}

/// Splits what the engine says into its refusals, for those who know a field to blame, and the rest.
///
/// # Errors
/// What `blame` makes of a refusal, or the rest.
pub fn blaming<T>(
    result: Result<T, EngineError>,
    blame: impl FnOnce(Refusal) -> ApiError,
) -> Result<T, ApiError> {
    result.map_err(|error| match error {
        EngineError::Refused(refusal) => blame(refusal),
        other => ApiError::from(other),
    })
}

/// Answers for paths that aren't there, but for those that only lack their last slash.
///
/// # Errors
/// 404.
pub async fn no_such_path(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let whole = format!("{}/", request.uri().path());
    if !request.resource_map().has_resource(&whole) {
        return Err(ApiError::not_found());
    }
    let place = match request.uri().query() {
        Some(query) => format!("{whole}?{query}"),
        None => whole,
    };
    // Of a status that has the client send method and body along.
    Ok(HttpResponse::PermanentRedirect().insert_header((header::LOCATION, place)).finish())
}

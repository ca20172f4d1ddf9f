//! Who is calling: the token is checked, then the person behind it is read anew at each request, so
//! that one who was deactivated is out at once.

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest};
use actors::domain::command::Actor;
use actors::domain::ids::UserId;
use actors::domain::room::Subject;
use chrono::{DateTime, Utc};
use futures_util::future::LocalBoxFuture;

use super::error::ApiError;
use super::rest::Rest;
use crate::auth::{Claims, Grant, SubjectKind};
use crate::doors::Stranger;
use crate::store::postgres::people::{ClaimedNames, PeopleScope, PersonRecord, Profile};

/// The most code points of a username.
pub const USERNAME_CHARS_MAX: usize = 150;

/// One whose token is good and who may be here.
#[derive(Clone, Debug)]
pub struct Caller {
    person: Option<PersonRecord>,
    is_service: bool,
    grant: Option<Grant>,
    issued_at: i64,
}

impl Caller {
    /// The person; a service token without one isn't anybody's.
    ///
    /// # Errors
    /// 403.
    pub fn user(&self) -> Result<UserId, ApiError> {
        self.person().map(|person| person.profile.author.id)
    }

    /// All of the person.
    ///
    /// # Errors
    /// 403.
    pub fn person(&self) -> Result<&PersonRecord, ApiError> {
        self.person.as_ref().ok_or_else(ApiError::forbidden)
    }

    /// The person, where there is one.
    #[must_use]
    pub fn viewer(&self) -> Option<UserId> {
        self.person.as_ref().map(|person| person.profile.author.id)
    }

    /// Who wants a command carried out: the host application, when the token is its own.
    ///
    /// # Errors
    /// 403.
    pub fn actor(&self) -> Result<Actor, ApiError> {
        if self.is_service { Ok(Actor::Service) } else { self.holder() }
    }

    /// The user, by the token that they came with.
    ///
    /// # Errors
    /// 403.
    pub fn holder(&self) -> Result<Actor, ApiError> {
        Ok(Actor::Holder { user: self.user()?, issued_at: self.issued_at })
    }

    /// Whether it is the host application.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.is_service
    }

    /// Whether it is one of the host application's staff.
    #[must_use]
    pub fn is_staff(&self) -> bool {
        self.person.as_ref().is_some_and(|person| person.is_staff)
    }

    /// Insists on the host application.
    ///
    /// # Errors
    /// 403.
    pub fn require_service(&self) -> Result<(), ApiError> {
        if self.is_service { Ok(()) } else { Err(ApiError::forbidden()) }
    }

    /// When the grant was signed that lets its holder into the room of `subject`.
    #[must_use]
    pub fn granted(&self, subject: Subject) -> Option<DateTime<Utc>> {
        let granted = match self.grant?.kind {
            SubjectKind::Task => Subject::Task(self.grant?.id),
            SubjectKind::Property => Subject::Property(self.grant?.id),
        };
        DateTime::from_timestamp(self.issued_at, 0).filter(|_| granted == subject)
    }

    /// Whom this one may find or name: everyone, or those of one's own rooms alone.
    #[must_use]
    pub fn people_scope(&self) -> PeopleScope {
        match (&self.grant, self.viewer()) {
            // The host application lets its holder onto one page, and not into the directory.
            (Some(_), Some(viewer)) if !self.is_service => PeopleScope::SharedRooms(viewer),
            _ => PeopleScope::Everyone,
        }
    }

    /// The address of a person as far as this caller may see it.
    #[must_use]
    pub fn email_of(&self, profile: &Profile) -> String {
        let is_own = self.viewer() == Some(profile.author.id);
        if is_own || self.is_staff() || self.is_service { profile.email.clone() } else { String::new() }
    }

    async fn identify(request: HttpRequest) -> Result<Self, ApiError> {
        let rest = Rest::of(&request);
        let token = bearer(&request)?;
        let claims = rest.tokens.verify(token).await?;
        if let Some(user) = claims.user_id.filter(|_| !claims.is_service) {
            rest.in_flight.enter(&request, UserId(user))?;
        }
        let user = claims.user_id.map(UserId);
        let caller = Self::admit(&rest, claims).await?;
        if let (Some(stranger), Some(user)) = (request.conn_data::<Arc<Stranger>>(), user) {
            stranger.is_known(user);
        }
        Ok(caller)
    }

    async fn admit(rest: &Rest, claims: Claims) -> Result<Self, ApiError> {
        let person = match claims.user_id.map(UserId) {
            None => None,
            Some(user) => {
                if !claims.is_service {
                    rest.budgets.request(user)?;
                }
                let person = rest.store.token_holder(user, &names_in(&claims)).await?;
                let is_void = person.tokens_valid_from.is_some_and(|from| claims.iat < from);
                if !person.is_active || is_void {
                    return Err(ApiError::BadToken);
                }
                Some(person)
            }
        };
        let Claims { is_service, grant, iat: issued_at, .. } = claims;
        Ok(Self { person, is_service, grant, issued_at })
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        Box::pin(Self::identify(request.clone()))
    }
}

/// Whether the request names anyone at all.
#[must_use]
pub fn has_authorization(request: &HttpRequest) -> bool {
    request.headers().contains_key(AUTHORIZATION)
}

/// The token of a request.
///
/// # Errors
/// 401: there is none, or not exactly one.
pub fn bearer(request: &HttpRequest) -> Result<&str, ApiError> {
    let mut lines = request.headers().get_all(AUTHORIZATION);
    let (Some(line), None) = (lines.next(), lines.next()) else {
        let is_missing = !has_authorization(request);
        return Err(if is_missing { ApiError::NoToken } else { ApiError::BadToken });
    };
    let (scheme, token) =
        line.to_str().ok().and_then(|line| line.trim().split_once(' ')).ok_or(ApiError::BadToken)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(ApiError::BadToken) }
}

/// What a token says of its holder, as far as the directory can keep it.
#[must_use]
pub fn names_in(claims: &Claims) -> ClaimedNames {
    use actors::domain::text::{NAME_CHARS_MAX, prefix};
    let kept = |claim: &Option<String>, chars_max| {
        let claim = claim.as_deref()?.trim();
        let is_kept = !claim.is_empty() && !claim.contains('\0');
        is_kept.then(|| prefix(claim, chars_max).to_owned())
    };
    ClaimedNames {
        username: kept(&claims.username, USERNAME_CHARS_MAX),
        full_name: kept(&claims.full_name, NAME_CHARS_MAX),
        email: kept(&claims.email, NAME_CHARS_MAX),
    }
}

//! The authenticated caller of a request.
//!
//! The token is verified first; then the user is read from the database at each request, so that a
//! deactivation or revocation takes effect at once.

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest};
use actors::domain::command::Principal;
use actors::domain::entry::EntryTerms;
use actors::domain::ids::UserId;
use actors::domain::room::Subject;
use chrono::{DateTime, Utc};
use futures_util::future::LocalBoxFuture;
use uuid::Uuid;

use super::error::ApiError;
use super::state::ApiState;
use crate::auth::{AccessClaims, RoomGrant, SubjectKind};
use crate::listener::ConnectionGuard;
use crate::store::postgres::users::{ProfileClaims, UserProfile, UserRecord, UserScope};

/// The most code points of a username.
pub const USERNAME_CHARS_MAX: usize = 150;

/// The holder of a valid token whose account is active, or the host application.
#[derive(Clone, Debug)]
pub struct Caller {
    user: Option<UserRecord>,
    is_service: bool,
    grant: Option<RoomGrant>,
    grant_terms: EntryTerms,
    issued_at: i64,
    family: Option<Uuid>,
}

impl Caller {
    /// Returns the caller's user id.
    ///
    /// # Errors
    /// 403: a service token that names no user.
    pub fn user_id(&self) -> Result<UserId, ApiError> {
        self.user().map(|user| user.profile.summary.id)
    }

    /// Returns the caller's user record.
    ///
    /// # Errors
    /// 403: a service token that names no user.
    pub fn user(&self) -> Result<&UserRecord, ApiError> {
        self.user.as_ref().ok_or_else(ApiError::forbidden)
    }

    /// Returns the user id that reads are made for; `None` for a service token that names no user.
    #[must_use]
    pub fn viewer(&self) -> Option<UserId> {
        self.user.as_ref().map(|user| user.profile.summary.id)
    }

    /// Returns who does what the caller does, for the audit log; `None` for the host application.
    #[must_use]
    pub fn actor(&self) -> Option<UserId> {
        self.viewer().filter(|_| !self.is_service)
    }

    /// Whether the caller moderates: the staff and the host application do.
    #[must_use]
    pub fn is_moderator(&self) -> bool {
        self.is_staff() || self.is_service
    }

    /// Returns the principal of a command: the host application for its own tokens, else the user.
    ///
    /// # Errors
    /// As [`Self::token_holder`], but never for a service token.
    pub fn principal(&self) -> Result<Principal, ApiError> {
        if self.is_service { Ok(Principal::Service) } else { self.token_holder() }
    }

    /// Returns the user as the principal of a command, also for a service token.
    ///
    /// # Errors
    /// 403: a service token that names no user.
    pub fn token_holder(&self) -> Result<Principal, ApiError> {
        Ok(Principal::TokenHolder { user: self.user_id()?, issued_at: self.issued_at })
    }

    /// Whether the caller is the host application.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.is_service
    }

    /// Whether the caller's user belongs to the host application's staff.
    #[must_use]
    pub fn is_staff(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.is_staff)
    }

    /// Checks that the caller is the host application.
    ///
    /// # Errors
    /// 403.
    pub fn require_service(&self) -> Result<(), ApiError> {
        if self.is_service { Ok(()) } else { Err(ApiError::forbidden()) }
    }

    /// Whether the caller's user is a guest account.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.is_guest)
    }

    /// Returns the terms on which the caller's grant lets its holder in.
    #[must_use]
    pub fn grant_terms(&self) -> EntryTerms {
        self.grant_terms
    }

    /// Returns when the caller's grant for the room of `subject` was issued; `None` without such a grant, or if it
    /// lets nobody in any more.
    #[must_use]
    pub fn grant_issued_at(&self, subject: Subject) -> Option<DateTime<Utc>> {
        if self.grant_terms.have_ended(Utc::now()) {
            return None;
        }
        let granted = match self.grant?.kind {
            SubjectKind::Task => Subject::Task(self.grant?.id),
            SubjectKind::Property => Subject::Property(self.grant?.id),
        };
        DateTime::from_timestamp(self.issued_at, 0).filter(|_| granted == subject)
    }

    /// Returns the sign-in that the caller's token comes of; `None` where the host application signs users in.
    #[must_use]
    pub fn family(&self) -> Option<Uuid> {
        self.family
    }

    /// Returns which users the caller may find and name: everyone, or those in shared rooms for guests and with a
    /// grant.
    #[must_use]
    pub fn user_scope(&self) -> UserScope {
        match self.viewer() {
            // A grant opens one page of the host application, not its directory.
            Some(viewer) if !self.is_service && (self.grant.is_some() || self.is_guest()) => {
                UserScope::SharedRooms(viewer)
            }
            _ => UserScope::Everyone,
        }
    }

    /// Returns a user's email address if the caller may see it, else an empty text.
    #[must_use]
    pub fn visible_email(&self, profile: &UserProfile) -> String {
        let is_own = self.viewer() == Some(profile.summary.id);
        if is_own || self.is_staff() || self.is_service { profile.email.clone() } else { String::new() }
    }

    async fn identify(request: HttpRequest) -> Result<Self, ApiError> {
        let state = ApiState::of(&request);
        let token = bearer(&request)?;
        let claims = state.tokens.verify(token).await?;
        if let Some(user) = claims.user_id.filter(|_| !claims.is_service) {
            state.in_flight.enter(&request, UserId(user))?;
        }
        let user = claims.user_id.map(UserId);
        let caller = Self::admit(&state, claims).await?;
        if let (Some(guard), Some(user)) = (request.conn_data::<Arc<ConnectionGuard>>(), user) {
            guard.assign_to(user);
        }
        Ok(caller)
    }

    async fn admit(state: &ApiState, claims: AccessClaims) -> Result<Self, ApiError> {
        let user = match claims.user_id.map(UserId) {
            None => None,
            Some(id) => {
                if !claims.is_service {
                    state.rate_limits.check_request(id)?;
                }
                let user = state.store.user_for_token(id, &profile_claims(&claims)).await?;
                let is_revoked = user.tokens_valid_from.is_some_and(|from| claims.iat < from);
                if !user.is_active || is_revoked {
                    return Err(ApiError::BadToken);
                }
                Some(user)
            }
        };
        let AccessClaims { is_service, grant, grant_terms, iat: issued_at, family, .. } = claims;
        Ok(Self { user, is_service, grant, grant_terms, issued_at, family })
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        Box::pin(Self::identify(request.clone()))
    }
}

/// Whether a request carries an `Authorization` header.
#[must_use]
pub fn has_authorization(request: &HttpRequest) -> bool {
    request.headers().contains_key(AUTHORIZATION)
}

/// Returns the bearer token of a request.
///
/// # Errors
/// 401: there is no `Authorization` header, more than one, or one of another scheme.
pub fn bearer(request: &HttpRequest) -> Result<&str, ApiError> {
    let mut lines = request.headers().get_all(AUTHORIZATION);
    let (Some(line), None) = (lines.next(), lines.next()) else {
        let is_missing = !has_authorization(request);
        return Err(if is_missing { ApiError::MissingToken } else { ApiError::BadToken });
    };
    let (scheme, token) =
        line.to_str().ok().and_then(|line| line.trim().split_once(' ')).ok_or(ApiError::BadToken)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(ApiError::BadToken) }
}

/// Extracts what a token says about its user, cut to what the directory stores.
#[must_use]
pub fn profile_claims(claims: &AccessClaims) -> ProfileClaims {
    use actors::domain::text::{NAME_CHARS_MAX, prefix};
    let kept = |claim: &Option<String>, chars_max| {
        let claim = claim.as_deref()?.trim();
        let is_kept = !claim.is_empty() && !claim.contains('\0');
        is_kept.then(|| prefix(claim, chars_max).to_owned())
    };
    ProfileClaims {
        username: kept(&claims.username, USERNAME_CHARS_MAX),
        full_name: kept(&claims.full_name, NAME_CHARS_MAX),
        email: kept(&claims.email, NAME_CHARS_MAX),
    }
}

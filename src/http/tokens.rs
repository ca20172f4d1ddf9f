//! Signing in with a built-in account, in the form of Django SimpleJWT. These paths exist only where this
//! server issues tokens.
//!
//! The caller isn't known yet, so each call counts against the rate limit of its address before its body is
//! read, and the body may only be small.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use actors::domain::ids::UserId;
use secrecy::SecretString;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::RequestBody;
use super::caller::USERNAME_CHARS_MAX;
use super::error::ApiError;
use super::fields::{Fields, FromFields};
use super::state::ApiState;
use crate::auth::passwords::{self, PASSWORD_BYTES_MAX};
use crate::auth::tokens::TOKEN_BYTES_MAX;
use crate::auth::{RefreshClaims, TokenIssuer, TokenPair};
use crate::store::postgres::users::{ROTATION_GRACE_MS, RefreshState, TokenFamily};

/// The most bytes of a body: a name and a password, or a token.
const BODY_BYTES_MAX: usize = 8 * 1024;
/// How long after an update to token families the nodes of the old version may still issue tokens without one.
const OLD_NODES_STAY_SECONDS: i64 = 3_600;

/// Name and password.
#[derive(ToSchema)]
#[schema(as = SignIn)]
pub struct SignInRequest {
    /// The sign-in name.
    #[schema(min_length = 1, max_length = 150)]
    username: String,
    /// The password.
    #[schema(value_type = String, min_length = 1, max_length = 1024, format = Password)]
    password: SecretString,
}

impl FromFields for SignInRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let username = fields.text("username", USERNAME_CHARS_MAX);
        let username = fields.require("username", username);
        let password = fields.raw_text("password", PASSWORD_BYTES_MAX);
        let password = fields.require("password", password).map(SecretString::from);
        Some(Self { username: username?, password: password? })
    }
}

/// A refresh token, which is good for one use.
#[derive(ToSchema)]
#[schema(as = Refresh)]
pub struct RefreshRequest {
    /// The token.
    #[schema(min_length = 1, max_length = 4096)]
    refresh: String,
}

impl FromFields for RefreshRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let refresh = fields.raw_text("refresh", TOKEN_BYTES_MAX);
        fields.require("refresh", refresh).map(|refresh| Self { refresh })
    }
}

/// A token of either kind.
#[derive(ToSchema)]
#[schema(as = Verify)]
pub struct VerifyRequest {
    /// The token.
    #[schema(min_length = 1, max_length = 4096)]
    token: String,
}

impl FromFields for VerifyRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let token = fields.raw_text("token", TOKEN_BYTES_MAX);
        fields.require("token", token).map(|token| Self { token })
    }
}

/// What signing in gives.
#[derive(Serialize, ToSchema)]
#[schema(as = TokenPairBody)]
pub struct ApiTokenPair {
    /// Opens sockets and REST calls.
    pub access: String,
    /// Gets new access tokens; good for one use, which gives the next one.
    pub refresh: String,
}

impl From<TokenPair> for ApiTokenPair {
    fn from(pair: TokenPair) -> Self {
        Self { access: pair.access, refresh: pair.refresh }
    }
}

/// Nothing more to say.
#[derive(Serialize, ToSchema)]
#[schema(as = Empty)]
pub struct EmptyObject {}

/// Signs in.
#[utoipa::path(post, path = "/api/token/", tag = "tokens", security(()), request_body = SignInRequest,
    responses((status = 200, body = ApiTokenPair)))]
pub async fn obtain(
    request: HttpRequest,
    state: Data<ApiState>,
    body: RequestBody,
) -> Result<Json<ApiTokenPair>, ApiError> {
    let SignInRequest { username, password } = admit(&state, &request, body)?.object().await?;
    let account = state.store.account(&username).await?;
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    // An unknown name takes as long as a wrong password, so that timing doesn't tell which names exist.
    let is_right = passwords::verify(password, hash).await;
    let account =
        account.filter(|account| is_right && account.is_active).ok_or(ApiError::InvalidCredentials)?;
    start_family(&state, account.user).await
}

/// Gives a new access token, and the refresh token that takes the place of the one that is shown.
///
/// One that was used before ends all that came of its sign-in: whoever else has it may have got the
/// newer ones too. Only tabs that call at the same moment all go on, with the same new one.
#[utoipa::path(post, path = "/api/token/refresh/", tag = "tokens", security(()), request_body = RefreshRequest,
    responses((status = 200, body = ApiTokenPair)))]
pub async fn refresh(
    request: HttpRequest,
    state: Data<ApiState>,
    body: RequestBody,
) -> Result<Json<ApiTokenPair>, ApiError> {
    let RefreshRequest { refresh: token } = admit(&state, &request, body)?.object().await?;
    let claims = state.tokens.verify_refresh(&token)?;
    let refresh_state = refresh_state(&state, &claims).await?;
    let user = refresh_state.user.profile.summary.id;
    let (Some((family, presented)), Some(current)) = (claims.family, refresh_state.current) else {
        return start_family(&state, user).await;
    };
    let token_issuer = token_issuer(&state)?;
    let next = if presented == current {
        let rotated = TokenFamily { id: family, current };
        let next =
            state.store.rotate_token_family(rotated, Uuid::new_v4(), token_issuer.refresh_seconds()).await?;
        next.ok_or(ApiError::BadToken)?
    } else if refresh_state.previous == Some(presented) {
        current
    } else {
        state.store.revoke_token_family(family).await?;
        tracing::warn!(%user, "a refresh token was used again; its sign-in has ended");
        return Err(ApiError::BadToken);
    };
    // The grace period ends before the response is sent, so no client can hold a new token while it lasts.
    tokio::time::sleep(Duration::from_millis(ROTATION_GRACE_MS.into())).await;
    Ok(Json(token_issuer.token_pair(user.0, family, next).into()))
}

/// Says whether a token is good: an access token for those calls that it is for, a refresh token for its use.
#[utoipa::path(post, path = "/api/token/verify/", tag = "tokens", security(()), request_body = VerifyRequest,
    responses((status = 200, body = EmptyObject)))]
pub async fn verify(
    request: HttpRequest,
    state: Data<ApiState>,
    body: RequestBody,
) -> Result<Json<EmptyObject>, ApiError> {
    let VerifyRequest { token } = admit(&state, &request, body)?.object().await?;
    if let Ok(claims) = state.tokens.verify_refresh(&token) {
        let current = refresh_state(&state, &claims).await?.current;
        let is_good = claims.family.is_none_or(|(_, presented)| Some(presented) == current);
        return if is_good { Ok(Json(EmptyObject {})) } else { Err(ApiError::BadToken) };
    }
    let claims = state.tokens.verify(&token).await?;
    // A user who isn't in the directory yet is added with the first valid token.
    if let Some(user) = claims.user_id.map(UserId)
        && let Some(user) = state.store.user_record(user).await?
        && !user.access().accepts(claims.iat)
    {
        return Err(ApiError::BadToken);
    }
    Ok(Json(EmptyObject {}))
}

/// Ends a sign-in: signing out takes its refresh tokens with it.
#[utoipa::path(post, path = "/api/token/revoke/", tag = "tokens", security(()), request_body = RefreshRequest,
    responses((status = 200, body = EmptyObject)))]
pub async fn revoke(
    request: HttpRequest,
    state: Data<ApiState>,
    body: RequestBody,
) -> Result<Json<EmptyObject>, ApiError> {
    let RefreshRequest { refresh: token } = admit(&state, &request, body)?.object().await?;
    let claims = state.tokens.verify_refresh(&token)?;
    if let Some((family, _)) = claims.family {
        state.store.revoke_token_family(family).await?;
    }
    Ok(Json(EmptyObject {}))
}

/// Counts a call against the limit of its address, and limits its body.
fn admit(state: &ApiState, request: &HttpRequest, body: RequestBody) -> Result<RequestBody, ApiError> {
    state.rate_limits.check_sign_in(state.client_address(request))?;
    Ok(body.limited_to(BODY_BYTES_MAX))
}

/// Starts the token family of a sign-in and issues its first tokens.
async fn start_family(state: &ApiState, user: UserId) -> Result<Json<ApiTokenPair>, ApiError> {
    let token_issuer = token_issuer(state)?;
    let family = TokenFamily { id: Uuid::new_v4(), current: Uuid::new_v4() };
    state.store.create_token_family(user, family, token_issuer.refresh_seconds()).await?;
    Ok(Json(token_issuer.token_pair(user.0, family.id, family.current).into()))
}

/// Loads what a refresh token may be exchanged for, if its user is active and has a built-in account.
///
/// Tokens of other issuers are renewed by those: renewed here, they would outlive a sign-out there.
///
/// # Errors
/// 401, 503.
async fn refresh_state(state: &ApiState, claims: &RefreshClaims) -> Result<RefreshState, ApiError> {
    let family = claims.family.map(|(family, _)| family);
    let refresh_state =
        state.store.refresh_state(UserId(claims.user_id), family).await?.ok_or(ApiError::BadToken)?;
    let is_known = match family {
        Some(_) => refresh_state.current.is_some(),
        // Issued before there were token families, or by a node of that version a while later.
        None => claims.iat < refresh_state.families_since + OLD_NODES_STAY_SECONDS,
    };
    if is_known && refresh_state.user.access().accepts(claims.iat) {
        Ok(refresh_state)
    } else {
        Err(ApiError::BadToken)
    }
}

fn token_issuer(state: &ApiState) -> Result<&TokenIssuer, ApiError> {
    state.token_issuer.as_ref().ok_or_else(ApiError::not_found)
}

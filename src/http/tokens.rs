//! Signing in with a built-in account, in the form of Django SimpleJWT. Where someone else signs
//! tokens, these paths aren't there.
//!
//! Nobody has a token yet who calls here, so each call takes from its address's budget before its body
//! is looked at, and that is small.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use actors::domain::ids::UserId;
use secrecy::SecretString;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::Body;
use super::caller::USERNAME_CHARS_MAX;
use super::error::ApiError;
use super::fields::{Fields, FromFields};
use super::rest::Rest;
use crate::auth::passwords::{self, PASSWORD_BYTES_MAX};
use crate::auth::tokens::TOKEN_BYTES_MAX;
use crate::auth::{RefreshClaims, TokenMint, TokenPair};
use crate::store::postgres::families::{Family, Renewer, SAME_MOMENT_MS};

/// Bytes of a body here: two names, or a token.
const BODY_BYTES_MAX: usize = 8 * 1024;
/// How long after the update nodes from before it may sign tokens that name no family.
const OLD_NODES_STAY_SECONDS: i64 = 3_600;

/// Name and password.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the form of the body for the OpenAPI document; read field by field")]
pub struct SignIn {
    /// The sign-in name.
    #[schema(min_length = 1, max_length = 150)]
    username: String,
    /// The password.
    #[schema(min_length = 1, max_length = 1024, format = Password)]
    password: String,
}

/// A refresh token, which is good for one use.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the form of the body for the OpenAPI document; read field by field")]
pub struct Refresh {
    /// The token.
    #[schema(min_length = 1, max_length = 4096)]
    refresh: String,
}

/// A token of either kind.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the form of the body for the OpenAPI document; read field by field")]
pub struct Verify {
    /// The token.
    #[schema(min_length = 1, max_length = 4096)]
    token: String,
}

/// What signing in gives.
#[derive(Serialize, ToSchema)]
pub struct TokenPairBody {
    /// Opens sockets and REST calls.
    pub access: String,
    /// Gets new access tokens; good for one use, which gives the next one.
    pub refresh: String,
}

impl From<TokenPair> for TokenPairBody {
    fn from(pair: TokenPair) -> Self {
        Self { access: pair.access, refresh: pair.refresh }
    }
}

/// Nothing more to say.
#[derive(Serialize, ToSchema)]
pub struct Empty {}

struct Credentials {
    username: String,
    password: SecretString,
}

impl FromFields for Credentials {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let username = fields.text("username", USERNAME_CHARS_MAX);
        let username = fields.require("username", username);
        let password = fields.raw_text("password", PASSWORD_BYTES_MAX);
        let password = fields.require("password", password).map(SecretString::from);
        Some(Self { username: username?, password: password? })
    }
}

struct GivenRefresh(String);

impl FromFields for GivenRefresh {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let token = fields.raw_text("refresh", TOKEN_BYTES_MAX);
        fields.require("refresh", token).map(Self)
    }
}

struct GivenToken(String);

impl FromFields for GivenToken {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let token = fields.raw_text("token", TOKEN_BYTES_MAX);
        fields.require("token", token).map(Self)
    }
}

/// Signs in.
#[utoipa::path(post, path = "/api/token/", tag = "tokens", security(()), request_body = SignIn,
    responses((status = 200, body = TokenPairBody)))]
pub async fn obtain(
    request: HttpRequest,
    rest: Data<Rest>,
    body: Body,
) -> Result<Json<TokenPairBody>, ApiError> {
    let Credentials { username, password } = small(&rest, &request, body)?.object().await?;
    let account = rest.store.account(&username).await?;
    let kept = account.as_ref().map(|account| account.password_hash.clone());
    // A name that isn't there takes as long as a wrong password.
    let is_right = passwords::verify(password, kept).await;
    let account = account.filter(|account| is_right && account.is_active).ok_or(ApiError::BadSignIn)?;
    begin(&rest, account.user).await
}

/// Gives a new access token, and the refresh token that takes the place of the one that is shown.
///
/// One that was used before ends all that came of its sign-in: whoever else has it may have got the
/// newer ones too. Only tabs that call at the same moment all go on, with the same new one.
#[utoipa::path(post, path = "/api/token/refresh/", tag = "tokens", security(()), request_body = Refresh,
    responses((status = 200, body = TokenPairBody)))]
pub async fn refresh(
    request: HttpRequest,
    rest: Data<Rest>,
    body: Body,
) -> Result<Json<TokenPairBody>, ApiError> {
    let GivenRefresh(token) = small(&rest, &request, body)?.object().await?;
    let claims = rest.tokens.verify_refresh(&token)?;
    let renewer = renewer(&rest, &claims).await?;
    let user = renewer.person.profile.author.id;
    let (Some((family, shown)), Some(current)) = (claims.family, renewer.current) else {
        return begin(&rest, user).await;
    };
    let mint = mint(&rest)?;
    let next = if shown == current {
        let shown = Family { id: family, current };
        let next = rest.store.rotate_family(shown, Uuid::new_v4(), mint.refresh_seconds()).await?;
        next.ok_or(ApiError::BadToken)?
    } else if renewer.just_before == Some(shown) {
        current
    } else {
        rest.store.end_family(family).await?;
        tracing::warn!(%user, "a refresh token was used again; its sign-in has ended");
        return Err(ApiError::BadToken);
    };
    // The moment lasts until there is an answer, so that nobody has one and a part of it left.
    tokio::time::sleep(Duration::from_millis(SAME_MOMENT_MS.into())).await;
    Ok(Json(mint.pair(user.0, family, next).into()))
}

/// Says whether a token is good: an access token for those calls that it is for, a refresh token for its use.
#[utoipa::path(post, path = "/api/token/verify/", tag = "tokens", security(()), request_body = Verify,
    responses((status = 200, body = Empty)))]
pub async fn verify(request: HttpRequest, rest: Data<Rest>, body: Body) -> Result<Json<Empty>, ApiError> {
    let GivenToken(token) = small(&rest, &request, body)?.object().await?;
    if let Ok(claims) = rest.tokens.verify_refresh(&token) {
        let current = renewer(&rest, &claims).await?.current;
        let is_good = claims.family.is_none_or(|(_, shown)| Some(shown) == current);
        return if is_good { Ok(Json(Empty {})) } else { Err(ApiError::BadToken) };
    }
    let claims = rest.tokens.verify(&token).await?;
    // One whom nobody has told of yet is let in by a good token.
    if let Some(user) = claims.user_id.map(UserId)
        && let Some(person) = rest.store.person(user).await?
        && !person.as_change().honours(claims.iat)
    {
        return Err(ApiError::BadToken);
    }
    Ok(Json(Empty {}))
}

/// Ends a sign-in: signing out takes its refresh tokens with it.
#[utoipa::path(post, path = "/api/token/revoke/", tag = "tokens", security(()), request_body = Refresh,
    responses((status = 200, body = Empty)))]
pub async fn revoke(request: HttpRequest, rest: Data<Rest>, body: Body) -> Result<Json<Empty>, ApiError> {
    let GivenRefresh(token) = small(&rest, &request, body)?.object().await?;
    let claims = rest.tokens.verify_refresh(&token)?;
    if let Some((family, _)) = claims.family {
        rest.store.end_family(family).await?;
    }
    Ok(Json(Empty {}))
}

/// Takes a call from its address's budget, and no more than a little of its body.
fn small(rest: &Rest, request: &HttpRequest, body: Body) -> Result<Body, ApiError> {
    rest.budgets.sign_in(rest.client_address(request))?;
    Ok(body.within(BODY_BYTES_MAX))
}

/// Signs the first tokens of a sign-in.
async fn begin(rest: &Rest, user: UserId) -> Result<Json<TokenPairBody>, ApiError> {
    let mint = mint(rest)?;
    let family = Family { id: Uuid::new_v4(), current: Uuid::new_v4() };
    rest.store.begin_family(user, family, mint.refresh_seconds()).await?;
    Ok(Json(mint.pair(user.0, family.id, family.current).into()))
}

/// Who shows a refresh token, where that one may be here and has an account of this server.
///
/// Anyone else's tokens are renewed by whoever gives them: here that would outlive a sign-out there.
async fn renewer(rest: &Rest, claims: &RefreshClaims) -> Result<Renewer, ApiError> {
    let family = claims.family.map(|(family, _)| family);
    let renewer = rest.store.renewer(UserId(claims.user_id), family).await?.ok_or(ApiError::BadToken)?;
    let is_known = match family {
        Some(_) => renewer.current.is_some(),
        // From before there were families; a node of that time may have gone on signing for a while.
        None => claims.iat < renewer.families_since + OLD_NODES_STAY_SECONDS,
    };
    if is_known && renewer.person.as_change().honours(claims.iat) {
        Ok(renewer)
    } else {
        Err(ApiError::BadToken)
    }
}

fn mint(rest: &Rest) -> Result<&TokenMint, ApiError> {
    rest.mint.as_ref().ok_or_else(ApiError::not_found)
}

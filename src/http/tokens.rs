//! Signing in with a built-in account, in the form of Django SimpleJWT. Where someone else signs
//! tokens, these paths aren't there.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use actors::domain::ids::UserId;
use secrecy::SecretString;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Body;
use super::caller::USERNAME_CHARS_MAX;
use super::error::ApiError;
use super::fields::{Fields, FromFields};
use super::rest::Rest;
use crate::auth::TokenMint;
use crate::auth::mint::AccessRequest;
use crate::auth::passwords::{self, PASSWORD_BYTES_MAX};
use crate::auth::tokens::TOKEN_BYTES_MAX;

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

/// A refresh token.
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
    /// Gets new access tokens.
    pub refresh: String,
}

/// A new access token.
#[derive(Serialize, ToSchema)]
pub struct AccessBody {
    /// Opens sockets and REST calls.
    pub access: String,
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
    rest.budgets.sign_in(rest.client_address(&request))?;
    let Credentials { username, password } = body.object().await?;
    let account = rest.store.account(&username).await?;
    let kept = account.as_ref().map(|account| account.password_hash.clone());
    // A name that isn't there takes as long as a wrong password.
    let is_right = passwords::verify(password, kept).await;
    let account = account.filter(|account| is_right && account.is_active).ok_or(ApiError::BadSignIn)?;
    let pair = mint(&rest)?.pair(account.user.0);
    Ok(Json(TokenPairBody { access: pair.access, refresh: pair.refresh }))
}

/// Gives a new access token.
#[utoipa::path(post, path = "/api/token/refresh/", tag = "tokens", security(()), request_body = Refresh,
    responses((status = 200, body = AccessBody)))]
pub async fn refresh(
    request: HttpRequest,
    rest: Data<Rest>,
    body: Body,
) -> Result<Json<AccessBody>, ApiError> {
    rest.budgets.sign_in(rest.client_address(&request))?;
    let GivenRefresh(token) = body.object().await?;
    let claims = rest.tokens.verify_refresh(&token).map_err(|_| ApiError::BadToken)?;
    let person = rest.store.person(UserId(claims.user_id)).await?.ok_or(ApiError::BadToken)?;
    let is_void = person.tokens_valid_from.is_some_and(|from| claims.iat < from);
    if !person.is_active || is_void {
        return Err(ApiError::BadToken);
    }
    let wanted = AccessRequest { user_id: Some(claims.user_id), ..AccessRequest::default() };
    Ok(Json(AccessBody { access: mint(&rest)?.access(&wanted) }))
}

/// Says whether a token is good.
#[utoipa::path(post, path = "/api/token/verify/", tag = "tokens", security(()), request_body = Verify,
    responses((status = 200, body = Empty)))]
pub async fn verify(rest: Data<Rest>, body: Body) -> Result<Json<Empty>, ApiError> {
    let GivenToken(token) = body.object().await?;
    rest.tokens.verify_any(&token).await.map_err(|_| ApiError::BadToken)?;
    Ok(Json(Empty {}))
}

fn mint(rest: &Rest) -> Result<&TokenMint, ApiError> {
    rest.mint.as_ref().ok_or_else(ApiError::not_found)
}

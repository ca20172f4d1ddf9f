//! Issues tokens for built-in accounts and for the `token` command, in the format of Django SimpleJWT.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use uuid::Uuid;

use super::tokens::{RoomGrant, now_seconds};
use crate::config::auth::AuthSettings;

/// The tokens that a sign-in returns.
#[derive(Debug, Clone, Serialize)]
pub struct TokenPair {
    /// Authorizes sockets and REST calls.
    pub access: String,
    /// Exchanged for new access tokens.
    pub refresh: String,
}

/// The claims of an access token besides its times.
#[derive(Debug, Clone, Default)]
pub struct AccessTokenClaims {
    /// The user; optional in a service token.
    pub user_id: Option<i64>,
    /// Whether the token belongs to the host application.
    pub is_service: bool,
    /// The room that the user may enter.
    pub grant: Option<RoomGrant>,
    /// The user's sign-in name.
    pub username: Option<String>,
    /// The user's display name.
    pub full_name: Option<String>,
    /// The user's mail address.
    pub email: Option<String>,
    /// The sign-in that the token comes of, if it was one at this server.
    pub family: Option<Uuid>,
}

/// Signs this server's own tokens.
pub struct TokenIssuer {
    key: EncodingKey,
    algorithm: Algorithm,
    issuer: Option<String>,
    audience: Option<String>,
    access_seconds: i64,
    refresh_seconds: i64,
}

/// The claims, in the order in which SimpleJWT writes them.
#[derive(Serialize)]
struct Payload<'a> {
    token_type: &'static str,
    exp: i64,
    iat: i64,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
}

impl TokenIssuer {
    /// Signs with `secret`, using the algorithm, issuer and lifetimes of `settings`.
    #[must_use]
    pub fn new(settings: &AuthSettings, secret: &SecretString) -> Self {
        Self {
            key: EncodingKey::from_secret(secret.expose_secret().as_bytes()),
            algorithm: settings.algorithm.into(),
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            access_seconds: settings.access_token_seconds,
            refresh_seconds: settings.refresh_token_seconds,
        }
    }

    /// Issues an access token and a refresh token, which is named `jti` within its `family`.
    #[must_use]
    pub fn token_pair(&self, user_id: i64, family: Uuid, jti: Uuid) -> TokenPair {
        let request = AccessTokenClaims {
            user_id: Some(user_id),
            family: Some(family),
            ..AccessTokenClaims::default()
        };
        TokenPair {
            access: self.access_token(&request),
            refresh: self.sign("refresh", &request, self.refresh_seconds, Some((family, jti))),
        }
    }

    /// Lifetime of a refresh token in seconds.
    #[must_use]
    pub fn refresh_seconds(&self) -> i64 {
        self.refresh_seconds
    }

    /// Issues an access token with the configured lifetime.
    #[must_use]
    pub fn access_token(&self, request: &AccessTokenClaims) -> String {
        self.access_token_for(request, self.access_seconds)
    }

    /// Issues an access token that is valid for `seconds`.
    #[must_use]
    pub fn access_token_for(&self, request: &AccessTokenClaims, seconds: i64) -> String {
        self.sign("access", request, seconds, None)
    }

    fn sign(
        &self,
        token_type: &'static str,
        request: &AccessTokenClaims,
        seconds: i64,
        named: Option<(Uuid, Uuid)>,
    ) -> String {
        let iat = now_seconds();
        let payload = Payload {
            token_type,
            exp: iat + seconds,
            iat,
            jti: named.map_or_else(Uuid::new_v4, |(_, jti)| jti).simple().to_string(),
            family: request.family.map(|family| family.simple().to_string()),
            user_id: request.user_id.map(|id| id.to_string()),
            scope: request.is_service.then_some("service"),
            grant: request.grant.map(|grant| grant.to_string()),
            username: request.username.as_deref(),
            full_name: request.full_name.as_deref(),
            email: request.email.as_deref(),
            aud: self.audience.as_deref(),
            iss: self.issuer.as_deref(),
        };
        encode(&Header::new(self.algorithm), &payload, &self.key)
            .expect("an HMAC of plain strings and numbers, by a key of that family, can't fail")
    }
}

impl std::fmt::Debug for TokenIssuer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TokenMint").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

//! Signs tokens for built-in accounts and for the `token` command, in the form of Django SimpleJWT.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use uuid::Uuid;

use super::tokens::{Grant, now_seconds};
use crate::config::auth::AuthSettings;

/// What signing in gives.
#[derive(Debug, Clone, Serialize)]
pub struct TokenPair {
    /// Opens sockets and REST calls.
    pub access: String,
    /// Gets new access tokens.
    pub refresh: String,
}

/// What an access token is to say beyond its times.
#[derive(Debug, Clone, Default)]
pub struct AccessRequest {
    /// The person; may be left out for a service token.
    pub user_id: Option<i64>,
    /// Whether it is the host application's.
    pub is_service: bool,
    /// The room that its holder may enter.
    pub grant: Option<Grant>,
    /// The person's name for signing in.
    pub username: Option<String>,
    /// The person's name for showing.
    pub full_name: Option<String>,
    /// The person's address.
    pub email: Option<String>,
}

/// The signer of this server's own tokens.
pub struct TokenMint {
    key: EncodingKey,
    algorithm: Algorithm,
    issuer: Option<String>,
    audience: Option<String>,
    access_seconds: i64,
    refresh_seconds: i64,
}

/// The claims in the order in which SimpleJWT writes them.
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

impl TokenMint {
    /// Signs with `secret`, by the algorithm, issuer and lives of `settings`.
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

    /// Signs an access and a refresh token for a person: the one that is named `jti` in the sign-in `family`.
    #[must_use]
    pub fn pair(&self, user_id: i64, family: Uuid, jti: Uuid) -> TokenPair {
        let request = AccessRequest { user_id: Some(user_id), ..AccessRequest::default() };
        TokenPair {
            access: self.access(&request),
            refresh: self.sign("refresh", &request, self.refresh_seconds, Some((family, jti))),
        }
    }

    /// Seconds that a refresh token is good for.
    #[must_use]
    pub fn refresh_seconds(&self) -> i64 {
        self.refresh_seconds
    }

    /// Signs an access token with the life of the settings.
    #[must_use]
    pub fn access(&self, request: &AccessRequest) -> String {
        self.access_for(request, self.access_seconds)
    }

    /// Signs an access token that is good for `seconds`.
    #[must_use]
    pub fn access_for(&self, request: &AccessRequest, seconds: i64) -> String {
        self.sign("access", request, seconds, None)
    }

    fn sign(
        &self,
        token_type: &'static str,
        request: &AccessRequest,
        seconds: i64,
        named: Option<(Uuid, Uuid)>,
    ) -> String {
        let iat = now_seconds();
        let payload = Payload {
            token_type,
            exp: iat + seconds,
            iat,
            jti: named.map_or_else(Uuid::new_v4, |(_, jti)| jti).simple().to_string(),
            family: named.map(|(family, _)| family.simple().to_string()),
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

impl std::fmt::Debug for TokenMint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TokenMint").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

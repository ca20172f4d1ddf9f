//! Verifies access and refresh tokens and reads their claims.
//!
//! Called for every handshake and every REST request. All faults give the same [`InvalidToken::Refused`], so
//! that a response doesn't reveal which check a forged token passed. Only a malformed grant is reported
//! separately: such a token is valid in every other respect, and its issuer needs to know.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use actors::domain::entry::{EntryTerms, HistoryStart};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use super::bot_tokens::{self, BotToken, BotTokenSource, BotTokens};
use super::{jwks::Jwks, keys::PublicKeys};
use crate::config::auth::{AuthSettings, SecretAlgorithm};

/// Maximum length of a token in bytes; longer ones are rejected unread.
pub const TOKEN_BYTES_MAX: usize = 4096;

/// For how long what a bot opens is good; its token has no end, and whatever replaces that ends what it has opened.
const BOT_SESSION_SECONDS: i64 = 10 * 365 * 24 * 60 * 60;

/// The error message for a malformed grant.
pub const BAD_GRANT: &str = "The token's claim grant must be \"task:<id>\" or \"property:<id>\", \
     grant_until a time, grant_from \"start\" or \"now\".";

/// Why a token is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// Any fault other than the grant.
    #[error("token is invalid or expired")]
    Refused,
    /// The token is valid except for its grant.
    #[error("{BAD_GRANT}")]
    BadGrant,
    /// It can't be found out now whether a bot's token is valid.
    #[error("the token can't be looked up")]
    Unavailable,
}

/// What a subject room is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// A task of the host application.
    Task,
    /// A property of the host application.
    Property,
}

/// The right to join the room of one task or property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RoomGrant {
    /// Kind of the subject.
    pub kind: SubjectKind,
    /// The host application's id of the subject.
    pub id: i64,
}

/// The claims of a valid access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessClaims {
    /// The user; `None` only for a service token.
    pub user_id: Option<i64>,
    /// Whether the host application itself is calling.
    pub is_service: bool,
    /// The room that the user may enter.
    pub grant: Option<RoomGrant>,
    /// On which terms.
    pub grant_terms: EntryTerms,
    /// The user's sign-in name.
    pub username: Option<String>,
    /// The user's display name.
    pub full_name: Option<String>,
    /// The user's mail address.
    pub email: Option<String>,
    /// The sign-in that the token comes of; `None` where the host application signs users in.
    pub family: Option<Uuid>,
    /// Issue time in Unix seconds; 0 if the token has none, so that every revocation covers it.
    pub iat: i64,
    /// Expiry in Unix seconds, without leeway.
    pub exp: i64,
}

/// The claims of a valid refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshClaims {
    /// The user.
    pub user_id: i64,
    /// The token family and the token's id within it; `None` in tokens issued before families existed.
    pub family: Option<(Uuid, Uuid)>,
    /// Issue time in Unix seconds; 0 if the token has none.
    pub iat: i64,
    /// Expiry in Unix seconds.
    pub exp: i64,
}

/// Verifies tokens with the configured keys.
#[derive(Debug)]
pub struct TokenVerifier {
    secret: Option<(DecodingKey, Algorithm)>,
    public_keys: PublicKeys,
    jwks: Option<Jwks>,
    issuer: Option<String>,
    audience: Option<String>,
    leeway_seconds: i64,
    bot_tokens: Option<BotTokenSource>,
}

/// The claims as parsed. Deserialization rejects a repeated claim.
#[derive(Deserialize)]
struct RawClaims {
    token_type: String,
    exp: NumericDate,
    #[serde(default)]
    iat: Option<NumericDate>,
    #[serde(default)]
    nbf: Option<NumericDate>,
    #[serde(default)]
    iss: Option<Value>,
    #[serde(default)]
    aud: Option<Value>,
    #[serde(default)]
    user_id: Option<UserIdClaim>,
    #[serde(default)]
    scope: Option<Value>,
    #[serde(default)]
    grant: Option<Value>,
    #[serde(default)]
    grant_until: Option<Value>,
    #[serde(default)]
    grant_from: Option<Value>,
    #[serde(default)]
    jti: Option<Value>,
    #[serde(default)]
    family: Option<Value>,
    #[serde(default)]
    username: Option<Value>,
    #[serde(default)]
    full_name: Option<Value>,
    #[serde(default)]
    name: Option<Value>,
    #[serde(default)]
    email: Option<Value>,
}

/// A NumericDate (RFC 7519): Unix seconds, possibly with a fraction.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "serde_json::Number")]
struct NumericDate(i64);

impl TryFrom<serde_json::Number> for NumericDate {
    type Error = &'static str;

    fn try_from(number: serde_json::Number) -> Result<Self, Self::Error> {
        /// The year 9999; later times could overflow when a leeway or lifetime is added.
        const LAST: i64 = 253_402_300_799;
        let seconds = match (number.as_i64(), number.as_f64()) {
            (Some(seconds), _) => seconds,
            #[expect(clippy::cast_possible_truncation, reason = "checked to be within the bounds")]
            (None, Some(seconds)) if (0.0..LAST as f64).contains(&seconds) => seconds as i64,
            _ => return Err("no time"),
        };
        (0..=LAST).contains(&seconds).then_some(Self(seconds)).ok_or("no time")
    }
}

/// A positive id: an integer, or its canonical decimal string.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "Value")]
struct UserIdClaim(i64);

impl TryFrom<Value> for UserIdClaim {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let id = match &value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => parse_canonical_id(text),
            _ => None,
        };
        id.filter(|id| *id > 0).map(Self).ok_or("no user id")
    }
}

impl TokenVerifier {
    /// Uses the keys of `settings`, and `secret` as the shared key (configured or generated).
    #[must_use]
    pub fn new(settings: &AuthSettings, secret: Option<&SecretString>) -> Self {
        Self {
            secret: secret.map(|secret| {
                (DecodingKey::from_secret(secret.expose_secret().as_bytes()), settings.algorithm.into())
            }),
            public_keys: settings.public_keys.clone(),
            jwks: settings.jwks_url.clone().map(Jwks::new),
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            leeway_seconds: settings.leeway_seconds,
            bot_tokens: None,
        }
    }

    /// Accepts the tokens of bots, too.
    #[must_use]
    pub fn with_bots(self, tokens: Arc<dyn BotTokens>) -> Self {
        Self { bot_tokens: Some(BotTokenSource(tokens)), ..self }
    }

    /// Verifies an access token.
    ///
    /// Waits only if a key set must be fetched, at most 5 s, and for the store with a bot's token.
    ///
    /// # Errors
    /// [`InvalidToken`].
    pub async fn verify(&self, token: &str) -> Result<AccessClaims, InvalidToken> {
        if bot_tokens::is_bot_token(token) {
            return self.verify_bot(token).await;
        }
        let raw = self.read(token).await?;
        if raw.token_type != "access" {
            return Err(InvalidToken::Refused);
        }
        let is_service = raw.scope.as_ref().and_then(Value::as_str) == Some("service");
        if raw.user_id.is_none() && !is_service {
            return Err(InvalidToken::Refused);
        }
        Ok(AccessClaims {
            user_id: raw.user_id.map(|id| id.0),
            is_service,
            grant: raw.grant.as_ref().map(RoomGrant::from_claim).transpose()?,
            grant_terms: EntryTerms {
                role: None,
                until: raw.grant_until.map(grant_until).transpose()?,
                from: raw.grant_from.as_ref().map(grant_from).transpose()?,
            },
            username: text_claim(raw.username),
            full_name: text_claim(raw.full_name).or_else(|| text_claim(raw.name)),
            email: text_claim(raw.email),
            family: raw.family.as_ref().and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok()),
            iat: raw.iat.map_or(0, |iat| iat.0),
            exp: raw.exp.0,
        })
    }

    /// Looks up the token of a bot.
    async fn verify_bot(&self, token: &str) -> Result<AccessClaims, InvalidToken> {
        let source = self.bot_tokens.as_ref().ok_or(InvalidToken::Refused)?;
        let found = source.0.bot_token(&bot_tokens::hash_of(token)).await;
        let found = found.map_err(|_| InvalidToken::Unavailable)?;
        let BotToken { bot, issued_at } = found.ok_or(InvalidToken::Refused)?;
        Ok(AccessClaims {
            user_id: Some(bot.0),
            is_service: false,
            grant: None,
            grant_terms: EntryTerms::default(),
            username: None,
            full_name: None,
            email: None,
            family: None,
            iat: issued_at,
            exp: now_seconds() + BOT_SESSION_SECONDS,
        })
    }

    /// Verifies a refresh token that this server issued.
    ///
    /// # Errors
    /// [`InvalidToken`], also if this server issues no tokens.
    pub fn verify_refresh(&self, token: &str) -> Result<RefreshClaims, InvalidToken> {
        let (key, algorithm) = self.secret.as_ref().ok_or(InvalidToken::Refused)?;
        let header = header(token)?;
        if header.alg != *algorithm {
            return Err(InvalidToken::Refused);
        }
        let raw: RawClaims = verify_signature(token, key, header.alg).ok_or(InvalidToken::Refused)?;
        self.check(&raw)?;
        if raw.token_type != "refresh" {
            return Err(InvalidToken::Refused);
        }
        let user_id = raw.user_id.ok_or(InvalidToken::Refused)?.0;
        let uuid = |claim: Option<Value>| Uuid::try_parse(claim?.as_str()?).ok();
        let family = match raw.family {
            None => None,
            Some(family) => Some(uuid(Some(family)).zip(uuid(raw.jti)).ok_or(InvalidToken::Refused)?),
        };
        Ok(RefreshClaims { user_id, family, iat: raw.iat.map_or(0, |iat| iat.0), exp: raw.exp.0 })
    }

    async fn read(&self, token: &str) -> Result<RawClaims, InvalidToken> {
        let header = header(token)?;
        let raw = match &self.secret {
            Some((key, algorithm)) if *algorithm == header.alg => verify_signature(token, key, header.alg),
            _ => self.read_with_public_key(token, header.alg, header.kid.as_deref()).await,
        };
        let raw: RawClaims = raw.ok_or(InvalidToken::Refused)?;
        self.check(&raw)?;
        Ok(raw)
    }

    async fn read_with_public_key(
        &self,
        token: &str,
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Option<RawClaims> {
        let by = |keys: &PublicKeys| {
            keys.candidates(algorithm, kid)
                .find_map(|candidate| verify_signature(token, &candidate.key, algorithm))
        };
        if let Some(raw) = by(&self.public_keys) {
            return Some(raw);
        }
        // A fetched key is never used with the shared key's family of algorithms.
        let jwks = self.jwks.as_ref().filter(|_| !is_symmetric(algorithm))?;
        by(&*jwks.keys(kid).await)
    }

    fn check(&self, raw: &RawClaims) -> Result<(), InvalidToken> {
        let now = now_seconds();
        let is_current = raw.exp.0 > now - self.leeway_seconds
            && [raw.nbf, raw.iat].iter().flatten().all(|since| since.0 <= now + self.leeway_seconds);
        let has_issuer = self
            .issuer
            .as_deref()
            .is_none_or(|issuer| raw.iss.as_ref().and_then(Value::as_str) == Some(issuer));
        let has_audience = match (&self.audience, &raw.aud) {
            // Without a configured audience the claim isn't checked.
            (None, _) => true,
            (Some(own), Some(Value::String(audience))) => own == audience,
            (Some(own), Some(Value::Array(audiences))) => {
                audiences.iter().any(|one| one.as_str() == Some(own))
            }
            _ => false,
        };
        if is_current && has_issuer && has_audience { Ok(()) } else { Err(InvalidToken::Refused) }
    }
}

impl RoomGrant {
    fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once(':')?;
        let kind = match kind {
            "task" => SubjectKind::Task,
            "property" => SubjectKind::Property,
            _ => return None,
        };
        let id = parse_canonical_id(id).filter(|id| *id > 0)?;
        Some(Self { kind, id })
    }

    fn from_claim(claim: &Value) -> Result<Self, InvalidToken> {
        claim.as_str().and_then(Self::parse).ok_or(InvalidToken::BadGrant)
    }
}

fn grant_until(claim: Value) -> Result<DateTime<Utc>, InvalidToken> {
    let seconds: Option<NumericDate> = serde_json::from_value(claim).ok();
    seconds.and_then(|seconds| DateTime::from_timestamp(seconds.0, 0)).ok_or(InvalidToken::BadGrant)
}

fn grant_from(claim: &Value) -> Result<HistoryStart, InvalidToken> {
    claim.as_str().and_then(HistoryStart::parse).ok_or(InvalidToken::BadGrant)
}

impl std::fmt::Display for RoomGrant {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            SubjectKind::Task => "task",
            SubjectKind::Property => "property",
        };
        write!(formatter, "{kind}:{}", self.id)
    }
}

impl std::str::FromStr for RoomGrant {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or("must be task:<id> or property:<id>")
    }
}

impl From<SecretAlgorithm> for Algorithm {
    fn from(algorithm: SecretAlgorithm) -> Self {
        match algorithm {
            SecretAlgorithm::Hs256 => Self::HS256,
            SecretAlgorithm::Hs384 => Self::HS384,
            SecretAlgorithm::Hs512 => Self::HS512,
        }
    }
}

/// Unix time in seconds, which the times in a token are compared with.
#[must_use]
pub fn now_seconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or_default()
}

/// Parses the header and rejects anything but a plain signed token. Other fields than `alg`, `kid`, `typ` and
/// those rejected here are ignored, because they refer to keys of the sender's choice.
fn header(token: &str) -> Result<jsonwebtoken::Header, InvalidToken> {
    if token.len() > TOKEN_BYTES_MAX || token.bytes().filter(|byte| *byte == b'.').count() != 2 {
        return Err(InvalidToken::Refused);
    }
    let header = decode_header(token).map_err(|_| InvalidToken::Refused)?;
    let is_token = header
        .typ
        .as_deref()
        .is_none_or(|typ| typ.eq_ignore_ascii_case("jwt") || typ.eq_ignore_ascii_case("at+jwt"));
    let is_plain =
        header.crit.is_none() && header.enc.is_none() && header.zip.is_none() && header.cty.is_none();
    if is_token && is_plain { Ok(header) } else { Err(InvalidToken::Refused) }
}

/// Returns the claims if `key` signed them with `algorithm`. [`TokenVerifier::check`] validates the claims
/// themselves.
fn verify_signature<T: DeserializeOwned>(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Option<T> {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    decode::<T>(token, key, &validation).ok().map(|data| data.claims)
}

fn is_symmetric(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}

fn parse_canonical_id(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|id| id.to_string() == text)
}

/// Reads a claim with personal data: its trimmed text, or `None` if it is empty or no text.
fn text_claim(claim: Option<Value>) -> Option<String> {
    match claim {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

//! Access and refresh tokens: whether one is good, and what it says.
//!
//! Called by every handshake and every REST request. Any fault gives the same [`InvalidToken`], so an
//! answer tells nobody which check a forged token got past. Only a grant of a form that nobody reads is
//! told apart: the token is then good in all else, and its signer wants to know what is wrong with it.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use super::{jwks::Jwks, keys::PublicKeys};
use crate::config::auth::{AuthSettings, SecretAlgorithm};

/// The most bytes of a token; a longer one isn't looked at.
pub const TOKEN_BYTES_MAX: usize = 4096;

/// What is said of a grant that is none.
pub const BAD_GRANT: &str =
    "The token's claim grant must be \"task:<id>\" or \"property:<id>\", or be left out.";

/// A token that isn't accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// For whatever reason.
    #[error("token is invalid or expired")]
    Refused,
    /// It is good but for its grant.
    #[error("{BAD_GRANT}")]
    BadGrant,
}

/// What a subject room is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// A task of the host application.
    Task,
    /// A property of the host application.
    Property,
}

/// The right to be put into the room of one task or property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grant {
    /// What the room is about.
    pub kind: SubjectKind,
    /// The host's id of it.
    pub id: i64,
}

/// What a good access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The person; `None` only for a service token.
    pub user_id: Option<i64>,
    /// Whether the host application itself is calling.
    pub is_service: bool,
    /// The room that its holder may enter.
    pub grant: Option<Grant>,
    /// The person's name for signing in.
    pub username: Option<String>,
    /// The person's name for showing.
    pub full_name: Option<String>,
    /// The person's address.
    pub email: Option<String>,
    /// When it was issued, in seconds since 1970; 0 when it doesn't say, so that any revocation covers it.
    pub iat: i64,
    /// When it expires, in seconds since 1970, without leeway.
    pub exp: i64,
}

/// What a good refresh token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshClaims {
    /// The person.
    pub user_id: i64,
    /// The sign-in that it came of, and its own name in that; none in one from before there were families.
    pub family: Option<(Uuid, Uuid)>,
    /// When it was issued, in seconds since 1970; 0 when it doesn't say.
    pub iat: i64,
    /// When it expires, in seconds since 1970.
    pub exp: i64,
}

/// Verifies tokens with the keys of the settings.
#[derive(Debug)]
pub struct TokenVerifier {
    secret: Option<(DecodingKey, Algorithm)>,
    public_keys: PublicKeys,
    jwks: Option<Jwks>,
    issuer: Option<String>,
    audience: Option<String>,
    leeway_seconds: i64,
}

/// The claims as they come. A claim that stands there twice is refused by the derived reader.
#[derive(Deserialize)]
struct RawClaims {
    token_type: String,
    exp: Instant,
    #[serde(default)]
    iat: Option<Instant>,
    #[serde(default)]
    nbf: Option<Instant>,
    #[serde(default)]
    iss: Option<Value>,
    #[serde(default)]
    aud: Option<Value>,
    #[serde(default)]
    user_id: Option<UserId>,
    #[serde(default)]
    scope: Option<Value>,
    #[serde(default)]
    grant: Option<Value>,
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

/// A NumericDate (RFC 7519): seconds since 1970, perhaps with a fraction.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "serde_json::Number")]
struct Instant(i64);

impl TryFrom<serde_json::Number> for Instant {
    type Error = &'static str;

    fn try_from(number: serde_json::Number) -> Result<Self, Self::Error> {
        /// The year 9999; beyond it a sum with a leeway or a life would be at risk.
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

/// A positive id: an integer, or a string that is one written plainly.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "Value")]
struct UserId(i64);

impl TryFrom<Value> for UserId {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let id = match &value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => plain_id(text),
            _ => None,
        };
        id.filter(|id| *id > 0).map(Self).ok_or("no user id")
    }
}

impl TokenVerifier {
    /// Takes the keys of `settings`, with `secret` as the shared one (given, or kept).
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
        }
    }

    /// Verifies an access token.
    ///
    /// Waits only where a key set must be fetched first, 5 s at most.
    ///
    /// # Errors
    /// [`InvalidToken`] for every fault alike.
    pub async fn verify(&self, token: &str) -> Result<Claims, InvalidToken> {
        let raw = self.read(token).await?;
        if raw.token_type != "access" {
            return Err(InvalidToken::Refused);
        }
        let is_service = raw.scope.as_ref().and_then(Value::as_str) == Some("service");
        if raw.user_id.is_none() && !is_service {
            return Err(InvalidToken::Refused);
        }
        Ok(Claims {
            user_id: raw.user_id.map(|id| id.0),
            is_service,
            grant: raw.grant.as_ref().map(Grant::claimed).transpose()?,
            username: text(raw.username),
            full_name: text(raw.full_name).or_else(|| text(raw.name)),
            email: text(raw.email),
            iat: raw.iat.map_or(0, |iat| iat.0),
            exp: raw.exp.0,
        })
    }

    /// Verifies a refresh token that this server signed.
    ///
    /// # Errors
    /// [`InvalidToken`] for every fault alike, and where this server signs no tokens.
    pub fn verify_refresh(&self, token: &str) -> Result<RefreshClaims, InvalidToken> {
        let (key, algorithm) = self.secret.as_ref().ok_or(InvalidToken::Refused)?;
        let header = header(token)?;
        if header.alg != *algorithm {
            return Err(InvalidToken::Refused);
        }
        let raw: RawClaims = signed(token, key, header.alg).ok_or(InvalidToken::Refused)?;
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
            Some((key, algorithm)) if *algorithm == header.alg => signed(token, key, header.alg),
            _ => self.read_foreign(token, header.alg, header.kid.as_deref()).await,
        };
        let raw: RawClaims = raw.ok_or(InvalidToken::Refused)?;
        self.check(&raw)?;
        Ok(raw)
    }

    async fn read_foreign(&self, token: &str, algorithm: Algorithm, kid: Option<&str>) -> Option<RawClaims> {
        let by = |keys: &PublicKeys| {
            keys.candidates(algorithm, kid).find_map(|candidate| signed(token, &candidate.key, algorithm))
        };
        if let Some(raw) = by(&self.public_keys) {
            return Some(raw);
        }
        // The shared key's family is never looked for among keys that come from outside.
        let jwks = self.jwks.as_ref().filter(|_| !is_symmetric(algorithm))?;
        by(&*jwks.keys(kid).await)
    }

    fn check(&self, raw: &RawClaims) -> Result<(), InvalidToken> {
        let now = now_seconds();
        let is_timely = raw.exp.0 > now - self.leeway_seconds
            && [raw.nbf, raw.iat].iter().flatten().all(|since| since.0 <= now + self.leeway_seconds);
        let is_of_issuer = self
            .issuer
            .as_deref()
            .is_none_or(|issuer| raw.iss.as_ref().and_then(Value::as_str) == Some(issuer));
        let is_for_us = match (&self.audience, &raw.aud) {
            // Who demands none doesn't look at it.
            (None, _) => true,
            (Some(own), Some(Value::String(audience))) => own == audience,
            (Some(own), Some(Value::Array(audiences))) => {
                audiences.iter().any(|one| one.as_str() == Some(own))
            }
            _ => false,
        };
        if is_timely && is_of_issuer && is_for_us { Ok(()) } else { Err(InvalidToken::Refused) }
    }
}

impl Grant {
    fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once(':')?;
        let kind = match kind {
            "task" => SubjectKind::Task,
            "property" => SubjectKind::Property,
            _ => return None,
        };
        let id = plain_id(id).filter(|id| *id > 0)?;
        Some(Self { kind, id })
    }

    fn claimed(claim: &Value) -> Result<Self, InvalidToken> {
        claim.as_str().and_then(Self::parse).ok_or(InvalidToken::BadGrant)
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            SubjectKind::Task => "task",
            SubjectKind::Property => "property",
        };
        write!(formatter, "{kind}:{}", self.id)
    }
}

impl std::str::FromStr for Grant {
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

/// Seconds since 1970 by this machine's clock, which the times in a token are measured against.
#[must_use]
pub fn now_seconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or_default()
}

/// Reads the header and refuses what isn't a plain signed token. Everything in it but `alg`, `kid`,
/// `typ` and what is refused here is ignored: it points to keys of the sender's choice.
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

/// Gives the claims when `key` signed them with `algorithm`; the claims themselves are checked by
/// [`TokenVerifier::check`].
fn signed<T: DeserializeOwned>(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Option<T> {
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

fn plain_id(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|id| id.to_string() == text)
}

/// A claim of a person's data: text, or as good as not there.
fn text(claim: Option<Value>) -> Option<String> {
    match claim {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

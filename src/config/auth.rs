//! Settings for tokens and built-in accounts.

use clap::{Args, ValueEnum, value_parser};
use secrecy::{ExposeSecret, SecretString};

use super::{ConfigError, Switch, non_empty, secret};
use crate::auth::keys::PublicKeys;

/// Signature algorithm of the shared key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SecretAlgorithm {
    /// HMAC with SHA-256.
    #[value(name = "HS256")]
    Hs256,
    /// HMAC with SHA-384.
    #[value(name = "HS384")]
    Hs384,
    /// HMAC with SHA-512.
    #[value(name = "HS512")]
    Hs512,
}

/// Token and account settings as parsed.
#[derive(Debug, Clone, Args)]
pub struct AuthConfig {
    /// Shared key that signs tokens, at least 32 bytes; unset with a private PostgreSQL: generated at the
    /// first start and kept in DATA_DIR
    #[arg(long, env = "JWT_SECRET", value_name = "JWT_SECRET", hide_env_values = true)]
    pub jwt_secret: Option<SecretString>,

    /// Algorithm of JWT_SECRET, the only one accepted for it
    #[arg(long, env = "JWT_ALGORITHM", value_name = "JWT_ALGORITHM", default_value = "HS256")]
    pub jwt_algorithm: SecretAlgorithm,

    /// Issuer that a token must name in `iss`; unset: not checked
    #[arg(long, env = "JWT_ISSUER", value_name = "JWT_ISSUER")]
    pub jwt_issuer: Option<String>,

    /// Audience that a token must name in `aud`; unset: not checked
    #[arg(long, env = "JWT_AUDIENCE", value_name = "JWT_AUDIENCE")]
    pub jwt_audience: Option<String>,

    /// Public keys (RSA, EC P-256 or P-384, Ed25519) that verify tokens: PEM text, or PEM files separated by
    /// commas
    #[arg(
        long,
        env = "JWT_PUBLIC_KEYS",
        value_name = "JWT_PUBLIC_KEYS",
        allow_hyphen_values = true,
        hide_env_values = true
    )]
    pub jwt_public_keys: Option<String>,

    /// URL of a JSON Web Key Set that verifies tokens: https, or http on this machine
    #[arg(long, env = "JWKS_URL", value_name = "JWKS_URL")]
    pub jwks_url: Option<String>,

    /// Clock difference in seconds that is tolerated when the times in a token are checked
    #[arg(long, env = "JWT_LEEWAY_SECONDS", value_name = "JWT_LEEWAY_SECONDS", default_value_t = 5,
          value_parser = value_parser!(i64).range(0..=30))]
    pub jwt_leeway_seconds: i64,

    /// Whether this server has accounts with passwords, and the calls that issue tokens for them; unset: on
    /// when only JWT_SECRET verifies tokens
    #[arg(long, env = "BUILTIN_ACCOUNTS", value_name = "BUILTIN_ACCOUNTS")]
    pub builtin_accounts: Option<Switch>,

    /// Lifetime in seconds of an access token of a built-in account
    #[arg(long, env = "ACCESS_TOKEN_SECONDS", value_name = "ACCESS_TOKEN_SECONDS", default_value_t = 3600,
          value_parser = value_parser!(i64).range(1..=31_536_000))]
    pub access_token_seconds: i64,

    /// Lifetime in seconds of a refresh token of a built-in account
    #[arg(long, env = "REFRESH_TOKEN_SECONDS", value_name = "REFRESH_TOKEN_SECONDS", default_value_t = 604_800,
          value_parser = value_parser!(i64).range(1..=315_360_000))]
    pub refresh_token_seconds: i64,
}

/// Token and account settings, validated.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// The shared key; `None` if only public keys verify tokens, or if [`crate::auth::signing_key`] holds it.
    pub secret: Option<SecretString>,
    /// Whether a generated key takes the place of `secret`.
    pub generates_signing_key: bool,
    /// Algorithm of the shared key.
    pub algorithm: SecretAlgorithm,
    /// Issuer that tokens must name, and that this server writes into its own.
    pub issuer: Option<String>,
    /// Audience that tokens must name, and that this server writes into its own.
    pub audience: Option<String>,
    /// Keys that can verify but not sign.
    pub public_keys: PublicKeys,
    /// Where further public keys are fetched.
    pub jwks_url: Option<reqwest::Url>,
    /// Tolerated clock difference.
    pub leeway_seconds: i64,
    /// Whether users may sign in with a password.
    pub builtin_accounts: bool,
    /// Lifetime of an access token.
    pub access_token_seconds: i64,
    /// Lifetime of a refresh token.
    pub refresh_token_seconds: i64,
}

impl AuthConfig {
    /// Validates the settings. With `key_required` the server may not generate a key.
    pub(crate) fn validate(self, key_required: bool) -> Result<AuthSettings, ConfigError> {
        let secret = non_empty(self.jwt_secret.as_ref());
        if let Some(why) = secret.as_ref().and_then(|secret| secret::weakness(secret.expose_secret())) {
            return Err(ConfigError::invalid(
                "JWT_SECRET",
                format!("{why}; `openssl rand -hex 32` makes a good one"),
            ));
        }
        let public_keys = match self.jwt_public_keys.as_deref().map(str::trim).filter(|keys| !keys.is_empty())
        {
            None => PublicKeys::default(),
            Some(keys) => PublicKeys::from_setting(keys)
                .map_err(|error| ConfigError::invalid("JWT_PUBLIC_KEYS", error.to_string()))?,
        };
        let jwks_url = self
            .jwks_url
            .as_deref()
            .map(str::trim)
            .filter(|url| !url.is_empty())
            .map(jwks_url)
            .transpose()?;
        let foreign_keys = !public_keys.is_empty() || jwks_url.is_some();
        if key_required && secret.is_none() && !foreign_keys {
            return Err(ConfigError::NoKey);
        }
        if self.builtin_accounts == Some(Switch::On) && foreign_keys {
            return Err(ConfigError::invalid(
                "BUILTIN_ACCOUNTS",
                "can't be on where JWT_PUBLIC_KEYS or JWKS_URL says that someone else signs tokens",
            ));
        }
        Ok(AuthSettings {
            generates_signing_key: secret.is_none() && !foreign_keys,
            builtin_accounts: !foreign_keys && self.builtin_accounts != Some(Switch::Off),
            secret,
            algorithm: self.jwt_algorithm,
            issuer: self.jwt_issuer.filter(|issuer| !issuer.is_empty()),
            audience: self.jwt_audience.filter(|audience| !audience.is_empty()),
            public_keys,
            jwks_url,
            leeway_seconds: self.jwt_leeway_seconds,
            access_token_seconds: self.access_token_seconds,
            refresh_token_seconds: self.refresh_token_seconds,
        })
    }
}

/// Keys fetched over plain http could come from anyone, so http is allowed on this machine only.
fn jwks_url(text: &str) -> Result<reqwest::Url, ConfigError> {
    let invalid = |problem: &str| ConfigError::invalid("JWKS_URL", problem);
    let url = reqwest::Url::parse(text).map_err(|_| invalid("is no URL"))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_local =
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_local => Ok(url),
        "http" => Err(invalid("must be https, or http on this machine")),
        _ => Err(invalid("must be an https:// URL")),
    }
}

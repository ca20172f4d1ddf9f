//! Settings of tokens and built-in accounts.

use clap::{Args, ValueEnum, value_parser};
use secrecy::{ExposeSecret, SecretString};

use super::{ConfigError, Switch, given, secret};
use crate::auth::keys::PublicKeys;

/// The algorithm of the shared key.
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

/// Tokens and accounts as settings.
#[derive(Debug, Clone, Args)]
pub struct AuthConfig {
    /// Shared key that signs tokens, 32 bytes or more; unset with a private PostgreSQL: made at the
    /// first start and kept in DATA_DIR
    #[arg(long, env = "JWT_SECRET", value_name = "JWT_SECRET", hide_env_values = true)]
    pub jwt_secret: Option<SecretString>,

    /// Algorithm that goes with JWT_SECRET, the only one that it verifies
    #[arg(long, env = "JWT_ALGORITHM", value_name = "JWT_ALGORITHM", default_value = "HS256")]
    pub jwt_algorithm: SecretAlgorithm,

    /// Issuer that a token must name in `iss`; unset: not looked at
    #[arg(long, env = "JWT_ISSUER", value_name = "JWT_ISSUER")]
    pub jwt_issuer: Option<String>,

    /// Audience that a token must name in `aud`; unset: not looked at
    #[arg(long, env = "JWT_AUDIENCE", value_name = "JWT_AUDIENCE")]
    pub jwt_audience: Option<String>,

    /// Public keys (RSA, EC P-256 or P-384, Ed25519) that verify tokens: PEM text, or files of it
    /// separated by commas
    #[arg(
        long,
        env = "JWT_PUBLIC_KEYS",
        value_name = "JWT_PUBLIC_KEYS",
        allow_hyphen_values = true,
        hide_env_values = true
    )]
    pub jwt_public_keys: Option<String>,

    /// Address of a JSON Web Key Set that verifies tokens, https (http only on this machine)
    #[arg(long, env = "JWKS_URL", value_name = "JWKS_URL")]
    pub jwks_url: Option<String>,

    /// Seconds by which clocks may differ when the times of a token are checked
    #[arg(long, env = "JWT_LEEWAY_SECONDS", value_name = "JWT_LEEWAY_SECONDS", default_value_t = 5,
          value_parser = value_parser!(i64).range(0..=30))]
    pub jwt_leeway_seconds: i64,

    /// Accounts of this server with a password, and the calls that give them tokens; unset: on when
    /// JWT_SECRET alone verifies tokens
    #[arg(long, env = "BUILTIN_ACCOUNTS", value_name = "BUILTIN_ACCOUNTS")]
    pub builtin_accounts: Option<Switch>,

    /// Seconds that an access token of a built-in account is good for
    #[arg(long, env = "ACCESS_TOKEN_SECONDS", value_name = "ACCESS_TOKEN_SECONDS", default_value_t = 3600,
          value_parser = value_parser!(i64).range(1..=31_536_000))]
    pub access_token_seconds: i64,

    /// Seconds that a refresh token of a built-in account is good for
    #[arg(long, env = "REFRESH_TOKEN_SECONDS", value_name = "REFRESH_TOKEN_SECONDS", default_value_t = 604_800,
          value_parser = value_parser!(i64).range(1..=315_360_000))]
    pub refresh_token_seconds: i64,
}

/// Tokens and accounts, checked.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// The shared key; `None` where only public keys verify, or where [`crate::auth::kept_secret`]
    /// holds it.
    pub secret: Option<SecretString>,
    /// Whether a key made at the first start takes the place of `secret`.
    pub keeps_secret: bool,
    /// The algorithm of the shared key.
    pub algorithm: SecretAlgorithm,
    /// The issuer that is demanded, and put into what this server signs.
    pub issuer: Option<String>,
    /// The audience that is demanded, and put into what this server signs.
    pub audience: Option<String>,
    /// Keys that verify and can't sign.
    pub public_keys: PublicKeys,
    /// Where more of them are fetched.
    pub jwks_url: Option<reqwest::Url>,
    /// Leeway of the clocks.
    pub leeway_seconds: i64,
    /// Whether people may sign in here with a password.
    pub builtin_accounts: bool,
    /// Life of an access token.
    pub access_token_seconds: i64,
    /// Life of a refresh token.
    pub refresh_token_seconds: i64,
}

impl AuthConfig {
    /// Checks the keys; `key_required` where none may be made up.
    pub(crate) fn validate(self, key_required: bool) -> Result<AuthSettings, ConfigError> {
        let secret = given(self.jwt_secret.as_ref());
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
            keeps_secret: secret.is_none() && !foreign_keys,
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

/// Keys that come over an open line could be anyone's, so plain http is for this machine alone.
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

//! Every setting of the server: its flag, environment variable, default and help.
//!
//! `cli` parses [`Config`]. [`Config::validate`] turns it into the [`Settings`] that `app` uses; no other
//! module reads the environment. An invalid value is reported by the name of its setting before anything
//! starts.

pub mod args;
pub mod auth;
pub mod database_url;
pub mod hosts;
pub mod limits;
mod network;
pub mod origin;
pub mod outbound;
pub mod proxies;
pub mod rates;
pub mod secret;
pub mod settings;
pub mod tables;
mod validation;

use clap::ValueEnum;
use secrecy::{ExposeSecret, SecretString};

pub use self::{
    args::Config,
    auth::{AuthConfig, AuthSettings},
    database_url::{DatabaseAddress, DatabaseTls, RootCertificates},
    hosts::AllowedHosts,
    limits::LimitConfig,
    origin::Origin,
    outbound::OutboundAllow,
    proxies::TrustedProxies,
    rates::{Rate, RateConfig, Rates},
    settings::{Database, MetricsBind, Settings},
};

/// A switch written as a word, so that `NAME=off` in an environment file is unambiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Enabled.
    On,
    /// Disabled.
    Off,
}

/// Format of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Readable text for a terminal.
    Text,
}

/// Who may create the room of a task or a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SubjectRooms {
    /// Any signed-in user, as in the chat server that this one replaces.
    Open,
    /// Only a service token, or a user token that carries the grant.
    Granted,
}

/// An invalid setting. The message names the setting and never contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The value of one setting is invalid.
    #[error("{setting}: {problem}")]
    Invalid {
        /// Name of the setting's environment variable.
        setting: &'static str,
        /// What is wrong with the value.
        problem: String,
    },
    /// No key is configured to verify tokens with.
    #[error(
        "JWT_SECRET, JWT_PUBLIC_KEYS or JWKS_URL: one must be set when DATABASE_URL is, there is no default key"
    )]
    NoKey,
}

impl ConfigError {
    pub(crate) fn invalid(setting: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { setting, problem: problem.into() }
    }
}

/// Treats an empty secret as unset, because an environment file can't omit a name.
pub(crate) fn non_empty(secret: Option<&SecretString>) -> Option<SecretString> {
    secret.filter(|secret| !secret.expose_secret().trim().is_empty()).cloned()
}

#[cfg(test)]
mod tests;

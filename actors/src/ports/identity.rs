//! Verifying tokens, which is up to the server.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::ids::UserId;

/// The claims of a valid token, as far as a session needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The user.
    pub user: UserId,
    /// When it was issued; Unix time in seconds.
    pub issued_at: i64,
    /// When it expires, for the client to read.
    pub expires_at: DateTime<Utc>,
    /// The time until then.
    pub expires_in: Duration,
}

/// Verifies tokens.
#[async_trait]
pub trait Identity: Send + Sync + 'static {
    /// The claims of `token` if it is valid now.
    async fn verify(&self, token: &str) -> Option<Credential>;
}

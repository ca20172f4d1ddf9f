//! Who someone is: the server's to say.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::ids::UserId;

/// What a valid token says, as far as a session needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Whose it is.
    pub user: UserId,
    /// When it was issued; Unix time in seconds.
    pub issued_at: i64,
    /// When it ends, for the client to read.
    pub expires_at: DateTime<Utc>,
    /// In what time it ends.
    pub expires_in: Duration,
}

/// Reads tokens.
#[async_trait]
pub trait Identity: Send + Sync + 'static {
    /// What `token` says, when it is valid now.
    async fn verify(&self, token: &str) -> Option<Credential>;
}

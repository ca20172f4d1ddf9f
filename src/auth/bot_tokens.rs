//! Tokens of bots: opaque, without an end, and known to the store by their hash alone.

use std::fmt;
use std::sync::Arc;

use actors::domain::ids::UserId;
use actors::ports::store::StoreError;
use argon2::password_hash::rand_core::{OsRng, RngCore};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// What every token of a bot begins with, so that it is told from a JWT, and found where it was leaked.
const PREFIX: &str = "bot_";
/// Random bytes of a token.
const SECRET_BYTES: usize = 32;

/// Whose a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BotToken {
    /// The bot.
    pub bot: UserId,
    /// When the token was issued; Unix time in seconds.
    pub issued_at: i64,
}

/// Finds the tokens that are valid now.
#[async_trait]
pub trait BotTokens: Send + Sync + 'static {
    /// Finds a token by its SHA-256.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn bot_token(&self, hash: &[u8]) -> Result<Option<BotToken>, StoreError>;
}

/// Where tokens are found.
#[derive(Clone)]
pub(super) struct BotTokenSource(pub(super) Arc<dyn BotTokens>);

impl fmt::Debug for BotTokenSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BotTokenSource")
    }
}

/// Makes a token.
#[must_use]
pub fn generate() -> String {
    let mut bytes = [0; SECRET_BYTES];
    OsRng.fill_bytes(&mut bytes);
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of a token.
#[must_use]
pub fn hash_of(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Whether a text has the form of a bot's token.
pub(super) fn is_bot_token(token: &str) -> bool {
    let secret = token.strip_prefix(PREFIX).and_then(|secret| URL_SAFE_NO_PAD.decode(secret).ok());
    secret.is_some_and(|secret| secret.len() == SECRET_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_random_and_known_by_its_form() {
        let (one, other) = (generate(), generate());
        assert_ne!(one, other);
        assert!(is_bot_token(&one) && is_bot_token(&other));
        for other in ["", "bot_", "bot_x", "eyJhbGciOiJIUzI1NiJ9.e30.x", &one[4..], &format!("{one}A")] {
            assert!(!is_bot_token(other), "{other}");
        }
    }
}

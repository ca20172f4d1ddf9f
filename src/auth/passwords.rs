//! Passwords of built-in accounts, hashed with argon2id.
//!
//! A hash deliberately costs about 20 MiB and several milliseconds, so it runs on a blocking thread with
//! limited concurrency. The sign-in rate limit bounds how many requests wait.

use std::sync::LazyLock;

use argon2::{
    Argon2, PasswordHash, PasswordHasher, PasswordVerifier,
    password_hash::{SaltString, rand_core::OsRng},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// Maximum length of a password in bytes; hashing longer ones would allow denial of service.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Concurrent hashes, because each takes memory.
static HASHING_PERMITS: Semaphore = Semaphore::const_new(4);

/// Verified when the account doesn't exist, so that unknown names take as long as known ones.
static DUMMY_HASH: LazyLock<Option<String>> = LazyLock::new(|| hash_now("nobody has this one").ok());

/// Why a password can't be hashed.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Longer than [`PASSWORD_BYTES_MAX`].
    #[error("password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// The machine has no memory or no randomness.
    #[error("password can't be hashed: {0}")]
    Hash(String),
}

/// Hashes a password for storage.
///
/// # Errors
/// [`PasswordError`] if it is too long or the machine fails.
pub async fn hash(password: SecretString) -> Result<String, PasswordError> {
    if password.expose_secret().len() > PASSWORD_BYTES_MAX {
        return Err(PasswordError::TooLong);
    }
    run_limited(move || hash_now(password.expose_secret()))
        .await
        .unwrap_or_else(|| Err(PasswordError::Hash("the thread was lost".into())))
}

/// Whether `password` matches `stored_hash`. `None` (no such account) takes as long and is false.
pub async fn verify(password: SecretString, stored_hash: Option<String>) -> bool {
    if password.expose_secret().len() > PASSWORD_BYTES_MAX {
        return false;
    }
    run_limited(move || {
        let is_someone = stored_hash.is_some();
        let Some(stored_hash) = stored_hash.as_ref().or(DUMMY_HASH.as_ref()) else {
            return false;
        };
        let is_right = PasswordHash::new(stored_hash).is_ok_and(|stored_hash| {
            Argon2::default().verify_password(password.expose_secret().as_bytes(), &stored_hash).is_ok()
        });
        is_someone && is_right
    })
    .await
    .unwrap_or(false)
}

fn hash_now(password: &str) -> Result<String, PasswordError> {
    let salt = SaltString::generate(&mut OsRng);
    Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| PasswordError::Hash(error.to_string()))
}

async fn run_limited<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _permit = HASHING_PERMITS.acquire().await.ok()?;
    tokio::task::spawn_blocking(work).await.ok()
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::{PASSWORD_BYTES_MAX, hash, verify};

    #[tokio::test]
    async fn only_the_password_of_an_account_is_accepted() {
        let stored_hash = hash(SecretString::from("correct horse")).await.expect("a hash");
        assert!(stored_hash.starts_with("$argon2id$"));
        assert!(verify(SecretString::from("correct horse"), Some(stored_hash.clone())).await);
        assert!(!verify(SecretString::from("correct horse "), Some(stored_hash)).await);
        assert!(!verify(SecretString::from("nobody has this one"), None).await);
        assert!(!verify(SecretString::from("x"), Some("not a hash".into())).await);
    }

    #[tokio::test]
    async fn a_password_that_is_too_long_is_not_hashed() {
        let endless = "x".repeat(PASSWORD_BYTES_MAX + 1);
        assert!(hash(SecretString::from(endless.clone())).await.is_err());
        assert!(!verify(SecretString::from(endless), None).await);
    }
}

//! Passwords of built-in accounts, hashed by argon2id.
//!
//! A hash costs some 20 MiB and some milliseconds on purpose, so it runs on a blocking thread and
//! only a few at a time; the rate of sign-ins bounds how many wait.

use std::sync::LazyLock;

use argon2::{
    Argon2, PasswordHash, PasswordHasher, PasswordVerifier,
    password_hash::{SaltString, rand_core::OsRng},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// The most bytes of a password; hashing an endless one would be a way to stop the server.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// How many hashes may be made at once: memory is what an attacker would take.
static AT_ONCE: Semaphore = Semaphore::const_new(4);

/// The hash of no one's password: a name that isn't there takes as long as one that is.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| hash_now("nobody has this one").ok());

/// Why a password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// It is over [`PASSWORD_BYTES_MAX`].
    #[error("password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// The machine has no memory or no randomness.
    #[error("password can't be hashed: {0}")]
    Hash(String),
}

/// Hashes a password for keeping.
///
/// # Errors
/// [`PasswordError`] when it is too long or the machine fails.
pub async fn hash(password: SecretString) -> Result<String, PasswordError> {
    if password.expose_secret().len() > PASSWORD_BYTES_MAX {
        return Err(PasswordError::TooLong);
    }
    in_turn(move || hash_now(password.expose_secret()))
        .await
        .unwrap_or_else(|| Err(PasswordError::Hash("the thread was lost".into())))
}

/// Whether `password` is the one behind `kept`; `None` (no such account) takes as long and is false.
pub async fn verify(password: SecretString, kept: Option<String>) -> bool {
    if password.expose_secret().len() > PASSWORD_BYTES_MAX {
        return false;
    }
    in_turn(move || {
        let is_someone = kept.is_some();
        let Some(kept) = kept.as_ref().or(NOBODY.as_ref()) else {
            return false;
        };
        let is_right = PasswordHash::new(kept).is_ok_and(|kept| {
            Argon2::default().verify_password(password.expose_secret().as_bytes(), &kept).is_ok()
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

async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _turn = AT_ONCE.acquire().await.ok()?;
    tokio::task::spawn_blocking(work).await.ok()
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::{PASSWORD_BYTES_MAX, hash, verify};

    #[tokio::test]
    async fn only_the_right_password_of_an_account_is_accepted() {
        let kept = hash(SecretString::from("correct horse")).await.expect("a hash");
        assert!(kept.starts_with("$argon2id$"));
        assert!(verify(SecretString::from("correct horse"), Some(kept.clone())).await);
        assert!(!verify(SecretString::from("correct horse "), Some(kept)).await);
        assert!(!verify(SecretString::from("nobody has this one"), None).await);
        assert!(!verify(SecretString::from("x"), Some("not a hash".into())).await);
    }

    #[tokio::test]
    async fn an_endless_password_is_not_hashed() {
        let endless = "x".repeat(PASSWORD_BYTES_MAX + 1);
        assert!(hash(SecretString::from(endless.clone())).await.is_err());
        assert!(!verify(SecretString::from(endless), None).await);
    }
}

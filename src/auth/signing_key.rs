//! The signing key: configured, or generated once and kept in `DATA_DIR`.
//!
//! Only a server with a private PostgreSQL generates its key; one on a shared database must be given it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use argon2::password_hash::rand_core::{OsRng, RngCore};
use secrecy::SecretString;

use crate::config::{AuthSettings, secret};

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The file can't be read or written.
    #[error("signing key in {path:?}: {source}")]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file contains something that can't be a key.
    #[error("signing key in {path:?} {why}; remove the file to have a new one made")]
    Weak {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong with the content.
        why: &'static str,
    },
}

/// Returns the shared key: the configured one, or the one kept in `data_dir`; `None` if only others sign
/// tokens.
///
/// # Errors
/// [`SigningKeyError`] if the kept key can't be read or created.
pub fn load(settings: &AuthSettings, data_dir: &Path) -> Result<Option<SecretString>, SigningKeyError> {
    if settings.generates_signing_key {
        return load_or_create(data_dir).map(Some);
    }
    Ok(settings.secret.clone())
}

/// Returns the key in `data_dir/jwt-secret`, which is created if it doesn't exist.
///
/// Two processes that start at once agree on one key: the file appears complete, and the first one stays.
///
/// # Errors
/// [`SigningKeyError`] if the file can't be used.
pub fn load_or_create(data_dir: &Path) -> Result<SecretString, SigningKeyError> {
    let path = data_dir.join("jwt-secret");
    let failed = |source| SigningKeyError::Io { path: path.clone(), source };
    if !path.exists() {
        fs::create_dir_all(data_dir).map_err(failed)?;
        create(&path).map_err(failed)?;
    }
    let text = fs::read_to_string(&path).map_err(failed)?;
    let text = text.trim();
    match secret::weakness(text) {
        Some(why) => Err(SigningKeyError::Weak { path, why }),
        None => Ok(SecretString::from(text)),
    }
}

fn create(path: &Path) -> io::Result<()> {
    let mut bytes = [0_u8; 32];
    OsRng.fill_bytes(&mut bytes);
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    let linked = fs::hard_link(&fresh, path);
    fs::remove_file(&fresh)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use secrecy::ExposeSecret;

    use super::load_or_create;

    #[test]
    fn a_signing_key_is_generated_once_and_kept_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let data_dir = folder.path().join("data");
        let first = load_or_create(&data_dir).expect("a key");
        let second = load_or_create(&data_dir).expect("the same key");
        assert_eq!(first.expose_secret(), second.expose_secret());
        assert_eq!(first.expose_secret().len(), 64);
        let mode = fs::metadata(data_dir.join("jwt-secret")).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data_dir).expect("the folder").count(), 1);
    }

    #[test]
    fn a_corrupt_signing_key_stops_the_start() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("jwt-secret"), "").expect("written");
        assert!(load_or_create(folder.path()).is_err());
    }
}

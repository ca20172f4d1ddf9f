//! The signing key of a server that was started without one: made once, kept in `DATA_DIR`.
//!
//! Only for a server with a private PostgreSQL; one that shares a database must be given its key.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use argon2::password_hash::rand_core::{OsRng, RngCore};
use secrecy::SecretString;

use crate::config::{AuthSettings, secret};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeptSecretError {
    /// The file can't be read or written.
    #[error("signing key in {path:?}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("signing key in {path:?} {why}; remove the file to have a new one made")]
    Weak {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Gives the shared key: the one that is set, or the one that is kept in `data_dir`; `None` where
/// only others sign tokens.
///
/// # Errors
/// [`KeptSecretError`] when the kept key can't be read or made.
pub fn signing_secret(
    settings: &AuthSettings,
    data_dir: &Path,
) -> Result<Option<SecretString>, KeptSecretError> {
    if settings.keeps_secret {
        return load_or_create(data_dir).map(Some);
    }
    Ok(settings.secret.clone())
}

/// Gives the key in `data_dir/jwt-secret`, making it when there is none.
///
/// Two processes that start at once agree on one: the file appears whole, and the first stays.
///
/// # Errors
/// [`KeptSecretError`] when the file can't be used.
pub fn load_or_create(data_dir: &Path) -> Result<SecretString, KeptSecretError> {
    let path = data_dir.join("jwt-secret");
    let failed = |source| KeptSecretError::Io { path: path.clone(), source };
    if !path.exists() {
        fs::create_dir_all(data_dir).map_err(failed)?;
        create(&path).map_err(failed)?;
    }
    let text = fs::read_to_string(&path).map_err(failed)?;
    let text = text.trim();
    match secret::weakness(text) {
        Some(why) => Err(KeptSecretError::Weak { path, why }),
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
    fn a_key_is_made_once_and_kept_private() {
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
    fn a_spoiled_key_stops_the_start() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("jwt-secret"), "").expect("written");
        assert!(load_or_create(folder.path()).is_err());
    }
}

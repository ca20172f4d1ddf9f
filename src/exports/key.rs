//! The key of this installation that archives are signed with (Ed25519, RFC 8032).

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::ExportError;
use crate::store::postgres::PostgresStore;

/// What precedes the 32 bytes of a public key in DER (RFC 8410).
const DER_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum ExportKeyError {
    /// No key could be made.
    #[error("the system has no random numbers for a key of exports")]
    Unspecified,
    /// What is stored is no key.
    #[error("the stored key of exports can't be used")]
    Rejected,
}

/// A key pair.
#[derive(Debug)]
pub struct ExportKey(Ed25519KeyPair);

impl ExportKey {
    /// Loads the key of the installation, which is made at the first time.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn load(store: &PostgresStore) -> Result<Self, ExportError> {
        let made = Ed25519KeyPair::generate().map_err(|_| ExportKeyError::Unspecified)?;
        let made = made.to_pkcs8().map_err(|_| ExportKeyError::Unspecified)?;
        let kept = store.export_key(made.as_ref()).await?;
        let pair = Ed25519KeyPair::from_pkcs8(&kept).map_err(|_| ExportKeyError::Rejected)?;
        Ok(Self(pair))
    }

    /// The public key, as programs read it.
    #[must_use]
    pub fn public_pem(&self) -> String {
        let der = [&DER_PREFIX[..], self.0.public_key().as_ref()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(der))
    }

    /// Signs bytes.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.sign(bytes).as_ref().to_vec()
    }
}

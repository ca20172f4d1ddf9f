//! The key of this installation, by which push services know who sends (RFC 8292).

use std::time::Duration;

use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde_json::json;

/// How long a token is good. Push services take up to a day; a clock may be wrong by as much as the rest.
const TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum VapidError {
    /// No key could be made, or nothing signed.
    #[error("the system has no random numbers for a key of pushes")]
    Unspecified,
    /// What is stored is no key.
    #[error("the stored key of pushes can't be used: {0}")]
    Rejected(KeyRejected),
}

impl From<Unspecified> for VapidError {
    fn from(_: Unspecified) -> Self {
        Self::Unspecified
    }
}

/// A key pair.
#[derive(Debug)]
pub struct VapidKey(EcdsaKeyPair);

impl VapidKey {
    /// Makes a private key, in PKCS #8.
    ///
    /// # Errors
    /// [`VapidError::Unspecified`].
    pub fn generate() -> Result<Vec<u8>, VapidError> {
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?;
        Ok(key.as_ref().to_vec())
    }

    /// Reads a private key.
    ///
    /// # Errors
    /// [`VapidError::Rejected`].
    pub fn read(pkcs8: &[u8]) -> Result<Self, VapidError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8);
        pair.map(Self).map_err(VapidError::Rejected)
    }

    /// Returns the public key as browsers take it: an uncompressed point in Base64 for URLs.
    #[must_use]
    pub fn public_key(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref())
    }

    /// Returns the `Authorization` of a request to the push service of `origin`. `contact` is where its operator finds
    /// this server's.
    ///
    /// # Errors
    /// [`VapidError::Unspecified`].
    pub(super) fn authorization(
        &self,
        origin: &str,
        contact: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<String, VapidError> {
        let mut claims = json!({"aud": origin, "exp": (now + TOKEN_LIFETIME).timestamp()});
        if let Some(contact) = contact {
            claims["sub"] = contact.into();
        }
        let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
        let head = encode(br#"{"typ":"JWT","alg":"ES256"}"#);
        let signed = format!("{head}.{}", encode(claims.to_string().as_bytes()));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(format!("vapid t={signed}.{}, k={}", encode(signature.as_ref()), self.public_key()))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_token_is_signed_by_the_public_key_that_it_names() {
        let key = VapidKey::read(&VapidKey::generate().expect("a key")).expect("a key");
        let authorization = key
            .authorization("https://push.example", Some("mailto:a@b.c"), DateTime::UNIX_EPOCH)
            .expect("a token");
        let (token, public_key) = authorization
            .strip_prefix("vapid t=")
            .and_then(|rest| rest.split_once(", k="))
            .expect("two parts");
        assert_eq!(public_key, key.public_key());
        let (signed, signature) = token.rsplit_once('.').expect("a signature");
        let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).expect("Base64");
        let point = decode(public_key);
        assert_eq!(point.len(), 65);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(signed.as_bytes(), &decode(signature))
            .expect("a signature of the key");
        let (_, claims) = signed.split_once('.').expect("claims");
        let claims: Value = serde_json::from_slice(&decode(claims)).expect("JSON");
        assert_eq!(claims, json!({"aud": "https://push.example", "exp": 43_200, "sub": "mailto:a@b.c"}));
        assert!(VapidKey::read(b"x").is_err());
    }
}

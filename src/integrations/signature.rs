//! Signatures of webhooks, by [Standard Webhooks 1.0](https://www.standardwebhooks.com).

use argon2::password_hash::rand_core::{OsRng, RngCore};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};

/// What a secret begins with as text.
const PREFIX: &str = "whsec_";
/// The bytes of a secret that is made here.
const NEW_BYTES: usize = 32;
/// The fewest and the most bytes of a secret.
const BYTES_MIN: usize = 16;
const BYTES_MAX: usize = 64;

/// What signs the requests of one webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// Makes one that nobody can guess.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = vec![0; NEW_BYTES];
        OsRng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Reads a secret: 16 to 64 bytes in Base64, with or without `whsec_` before them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes = STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
        (BYTES_MIN..=BYTES_MAX).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// Takes the bytes of a secret that was read before.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret as text, for the one who set the webhook up.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// Signs a request of this id, Unix time and body.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut message = format!("{id}.{timestamp}.").into_bytes();
        message.extend_from_slice(body);
        let key = EncodingKey::from_secret(&self.0);
        let mac = crypto::sign(&message, &key, Algorithm::HS256).expect("an HMAC by any key can't fail");
        let mac = URL_SAFE_NO_PAD.decode(mac).expect("it was just encoded");
        format!("v1,{}", STANDARD.encode(mac))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_is_signed_as_it_says() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signature =
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_read_as_it_was_written() {
        let secret = WebhookSecret::generate();
        assert_eq!(WebhookSecret::parse(&secret.text()).map(|read| read.0), Some(secret.0.clone()));
        assert_eq!(secret.bytes().len(), NEW_BYTES);
        assert!(WebhookSecret::generate() != secret);
        let unpadded = STANDARD_NO_PAD.encode([7; 20]);
        assert!(WebhookSecret::parse(&unpadded).is_some());
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for wrong in
            ["", "whsec_", "secret", "whsec_%%%%", &STANDARD.encode([7; 15]), &STANDARD.encode([7; 65])]
        {
            assert!(WebhookSecret::parse(wrong).is_none(), "{wrong}");
        }
    }
}

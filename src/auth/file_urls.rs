//! Addresses of attachments that carry their own permission, for an `<img>` that can send no header.
//!
//! The signature names the person it was made for; whether that person is still in the room is
//! checked by the handler at every request. Such an address is never logged.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use uuid::Uuid;

/// How long an address is good, in seconds.
pub const FILE_URL_SECONDS: i64 = 24 * 60 * 60;

/// Signs and checks addresses of files.
pub struct FileUrlSigner {
    signing: EncodingKey,
    verifying: DecodingKey,
}

impl FileUrlSigner {
    /// Derives its key from `secret`, so that a signature of one can never pass for the other's.
    /// All nodes must be given the same.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let key = hmac(&EncodingKey::from_secret(secret), b"aristay-chat file addresses, version 1");
        Self {
            signing: EncodingKey::from_secret(key.as_bytes()),
            verifying: DecodingKey::from_secret(key.as_bytes()),
        }
    }

    /// Gives the path and query under which `user_id` may fetch a file for the next 24 hours.
    #[must_use]
    pub fn sign(&self, file_id: Uuid, user_id: i64, now: i64) -> String {
        let exp = now + FILE_URL_SECONDS;
        let sig = hmac(&self.signing, message(file_id, user_id, exp).as_bytes());
        format!("{}?u={user_id}&exp={exp}&sig={sig}", Self::path(file_id))
    }

    /// Gives the path alone, as it stands in frames.
    #[must_use]
    pub fn path(file_id: Uuid) -> String {
        format!("/api/chat/files/{file_id}/")
    }

    /// Whether `sig` was made here for this file, person and time, and the time isn't over.
    /// Compares in constant time.
    #[must_use]
    pub fn check(&self, file_id: Uuid, user_id: i64, exp: i64, sig: &str, now: i64) -> bool {
        let message = message(file_id, user_id, exp);
        exp > now
            && crypto::verify(sig, message.as_bytes(), &self.verifying, Algorithm::HS256).unwrap_or(false)
    }
}

impl fmt::Debug for FileUrlSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FileUrlSigner")
    }
}

fn message(file_id: Uuid, user_id: i64, exp: i64) -> String {
    format!("{file_id}|{user_id}|{exp}")
}

fn hmac(key: &EncodingKey, message: &[u8]) -> String {
    crypto::sign(message, key, Algorithm::HS256).expect("an HMAC by a key of that family can't fail")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{FILE_URL_SECONDS, FileUrlSigner};

    const NOW: i64 = 1_800_000_000;

    fn parts(url: &str) -> (i64, i64, String) {
        let query = url.split_once('?').expect("a query").1;
        let value = |name: &str| {
            let found = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
            found.expect("a value").to_owned()
        };
        (value("u").parse().expect("an id"), value("exp").parse().expect("a time"), value("sig"))
    }

    #[test]
    fn an_address_is_good_for_one_file_one_person_and_a_day() {
        let signer = FileUrlSigner::new(b"a-key-that-is-only-for-the-tests-of-this-crate");
        let file = Uuid::from_u128(7);
        let url = signer.sign(file, 42, NOW);
        assert!(url.starts_with("/api/chat/files/00000000-0000-0000-0000-000000000007/?u=42&exp="));
        let (user, exp, sig) = parts(&url);
        assert!(signer.check(file, user, exp, &sig, NOW));
        assert!(signer.check(file, user, exp, &sig, NOW + FILE_URL_SECONDS - 1));
        assert!(!signer.check(file, user, exp, &sig, NOW + FILE_URL_SECONDS));
        assert!(!signer.check(Uuid::from_u128(8), user, exp, &sig, NOW));
        assert!(!signer.check(file, 43, exp, &sig, NOW));
        assert!(!signer.check(file, user, exp + 1, &sig, NOW));
        for forged in ["", "x", "====", &sig[1..], &format!("{sig}A"), &"A".repeat(43)] {
            assert!(!signer.check(file, user, exp, forged, NOW), "{forged}");
        }
        assert!(!FileUrlSigner::new(b"another").check(file, user, exp, &sig, NOW));
    }
}

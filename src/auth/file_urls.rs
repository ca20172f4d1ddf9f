//! Signed URLs of attachments, for an `<img>` that can't send an `Authorization` header.
//!
//! The signature names the user for whom it was issued. The handler checks at every request whether that user
//! is still in the room. Signed URLs are never logged. A URL stays the same for a day, so that browsers can
//! cache the image.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use uuid::Uuid;

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// When a URL that is issued at `now` expires: at the end of the next day (UTC), in Unix time.
#[must_use]
pub fn expiry(now: i64) -> i64 {
    (now.div_euclid(DAY_SECONDS) + 2) * DAY_SECONDS
}

/// Signs and verifies URLs of attachments.
pub struct FileUrlSigner {
    signing: EncodingKey,
    verifying: DecodingKey,
}

impl FileUrlSigner {
    /// Derives its own key from `secret`, so that its signatures can't be confused with others made with that
    /// secret. All nodes must be given the same.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let key = hmac(&EncodingKey::from_secret(secret), b"aristay-chat file addresses, version 1");
        Self {
            signing: EncodingKey::from_secret(key.as_bytes()),
            verifying: DecodingKey::from_secret(key.as_bytes()),
        }
    }

    /// Returns the path and query under which `user_id` may fetch a file until the end of the next day.
    ///
    /// `valid_from` is the time from which the user's tokens are valid, if some were revoked. It is part of
    /// the signature, so that another revocation invalidates the URL.
    #[must_use]
    pub fn sign(&self, file_id: Uuid, user_id: i64, valid_from: Option<i64>, now: i64) -> String {
        let exp = expiry(now);
        let mac = hmac(&self.signing, message(file_id, user_id, exp, valid_from).as_bytes());
        let path = Self::path(file_id);
        match valid_from {
            None => format!("{path}?u={user_id}&exp={exp}&sig={mac}"),
            Some(since) => format!("{path}?u={user_id}&exp={exp}&sig={mac}.{since}"),
        }
    }

    /// The path without a signature, as it appears in frames.
    #[must_use]
    pub fn path(file_id: Uuid) -> String {
        format!("/api/chat/files/{file_id}/")
    }

    /// Verifies that `sig` was issued for this file, user and expiry, and that it hasn't expired. Returns the
    /// `valid_from` that it was issued with, [`i64::MIN`] if there was none. Compares in constant time.
    #[must_use]
    pub fn check(&self, file_id: Uuid, user_id: i64, exp: i64, sig: &str, now: i64) -> Option<i64> {
        let (mac, valid_from) = match sig.split_once('.') {
            None => (sig, None),
            Some((mac, since)) => (mac, Some(since.parse().ok()?)),
        };
        let message = message(file_id, user_id, exp, valid_from);
        let is_good = exp > now
            && crypto::verify(mac, message.as_bytes(), &self.verifying, Algorithm::HS256).unwrap_or(false);
        is_good.then_some(valid_from.unwrap_or(i64::MIN))
    }
}

impl fmt::Debug for FileUrlSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FileUrlSigner")
    }
}

fn message(file_id: Uuid, user_id: i64, exp: i64, valid_from: Option<i64>) -> String {
    match valid_from {
        None => format!("{file_id}|{user_id}|{exp}"),
        Some(since) => format!("{file_id}|{user_id}|{exp}|{since}"),
    }
}

fn hmac(key: &EncodingKey, message: &[u8]) -> String {
    crypto::sign(message, key, Algorithm::HS256).expect("an HMAC by a key of that family can't fail")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::FileUrlSigner;

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
    fn a_signed_url_is_valid_for_one_file_and_user_until_the_next_day_ends() {
        let signer = FileUrlSigner::new(b"a-key-that-is-only-for-the-tests-of-this-crate");
        let file = Uuid::from_u128(7);
        let url = signer.sign(file, 42, None, NOW);
        assert!(url.starts_with("/api/chat/files/00000000-0000-0000-0000-000000000007/?u=42&exp="));
        let (user, exp, sig) = parts(&url);
        let checks = |file, user, exp, sig: &str, now| signer.check(file, user, exp, sig, now).is_some();
        assert!(checks(file, user, exp, &sig, NOW));
        assert!(checks(file, user, exp, &sig, exp - 1));
        assert!(!checks(file, user, exp, &sig, exp));
        assert!(!checks(Uuid::from_u128(8), user, exp, &sig, NOW));
        assert!(!checks(file, 43, exp, &sig, NOW));
        assert!(!checks(file, user, exp + 1, &sig, NOW));
        for forged in ["", "x", "====", &sig[1..], &format!("{sig}A"), &format!("{sig}.7"), &"A".repeat(43)] {
            assert!(!checks(file, user, exp, forged, NOW), "{forged}");
        }
        assert!(FileUrlSigner::new(b"another").check(file, user, exp, &sig, NOW).is_none());
    }

    #[test]
    fn a_signed_url_stays_the_same_for_a_day() {
        let signer = FileUrlSigner::new(b"a-key-that-is-only-for-the-tests-of-this-crate");
        let midnight = NOW - NOW.rem_euclid(86_400);
        let at = |now| signer.sign(Uuid::from_u128(7), 42, None, now);
        assert_eq!(at(midnight), at(midnight + 86_399));
        assert_ne!(at(midnight), at(midnight + 86_400));
        assert_eq!(parts(&at(midnight)).1, midnight + 2 * 86_400);
        assert_eq!(parts(&at(midnight - 1)).1, midnight + 86_400);
    }

    #[test]
    fn a_signed_url_ends_with_the_next_revocation() {
        let signer = FileUrlSigner::new(b"a-key-that-is-only-for-the-tests-of-this-crate");
        let file = Uuid::from_u128(7);
        let since = |valid_from| {
            let (user, exp, sig) = parts(&signer.sign(file, 42, valid_from, NOW));
            (signer.check(file, user, exp, &sig, NOW), exp, sig)
        };
        assert_eq!(since(None).0, Some(i64::MIN));
        let (found, exp, sig) = since(Some(NOW - 5));
        assert_eq!(found, Some(NOW - 5));
        let mac = sig.split_once('.').expect("both").0;
        for forged in [mac.to_owned(), format!("{mac}.{NOW}"), format!("{mac}."), format!("{mac}.x")] {
            assert_eq!(signer.check(file, 42, exp, &forged, NOW), None, "{forged}");
        }
    }
}

//! Encryption of a push for one browser: RFC 8291 over `aes128gcm` of RFC 8188, in one record.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{aead, agreement, hkdf, rand};

/// The bytes of a browser's secret.
pub const AUTH_BYTES: usize = 16;
/// The bytes of a public key: an uncompressed point of P-256.
pub const PUBLIC_KEY_BYTES: usize = 65;
/// The size of the record, which no push is longer than.
const RECORD_BYTES: u32 = 4_096;
/// What the header, the delimiter and the tag take of it.
const OVERHEAD_BYTES: usize = 16 + 4 + 1 + PUBLIC_KEY_BYTES + 1 + 16;
/// The longest text.
pub(super) const TEXT_BYTES_MAX: usize = RECORD_BYTES as usize - OVERHEAD_BYTES;

struct KeyBytes(usize);

impl hkdf::KeyType for KeyBytes {
    fn len(&self) -> usize {
        self.0
    }
}

/// Whether these bytes are a point of the curve.
#[must_use]
pub fn is_public_key(bytes: &[u8]) -> bool {
    let agrees = || -> Result<(), Unspecified> {
        let own = agreement::PrivateKey::generate(&agreement::ECDH_P256)?;
        let theirs = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, bytes);
        agreement::agree(&own, theirs, Unspecified, |_| Ok(()))
    };
    bytes.len() == PUBLIC_KEY_BYTES && agrees().is_ok()
}

/// Encrypts `text` for the browser with this public key and secret.
///
/// # Errors
/// The key is no point of the curve, or the text is too long.
pub(super) fn seal(public_key: &[u8], auth: &[u8], text: &[u8]) -> Result<Vec<u8>, Unspecified> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Unspecified);
    }
    let own = agreement::PrivateKey::generate(&agreement::ECDH_P256)?;
    let own_public = own.compute_public_key()?;
    let theirs = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, public_key);
    let ikm: [u8; 32] = agreement::agree(&own, theirs, Unspecified, |secret| {
        derive(auth, secret, &[b"WebPush: info\0", public_key, own_public.as_ref()])
    })?;
    let mut salt = [0; 16];
    rand::fill(&mut salt)?;
    let key: [u8; 16] = derive(&salt, &ikm, &[b"Content-Encoding: aes128gcm\0"])?;
    let nonce: [u8; 12] = derive(&salt, &ikm, &[b"Content-Encoding: nonce\0"])?;
    let mut body = text.to_vec();
    // The delimiter of the last record.
    body.push(2);
    // A key is used once, so its nonce is unique.
    aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_128_GCM, &key)?).seal_in_place_append_tag(
        aead::Nonce::assume_unique_for_key(nonce),
        aead::Aad::empty(),
        &mut body,
    )?;
    let mut sealed = Vec::with_capacity(OVERHEAD_BYTES + text.len());
    sealed.extend_from_slice(&salt);
    sealed.extend_from_slice(&RECORD_BYTES.to_be_bytes());
    sealed.push(65);
    sealed.extend_from_slice(own_public.as_ref());
    sealed.extend_from_slice(&body);
    Ok(sealed)
}

fn derive<const BYTES: usize>(salt: &[u8], ikm: &[u8], info: &[&[u8]]) -> Result<[u8; BYTES], Unspecified> {
    let mut derived = [0; BYTES];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(ikm);
    prk.expand(info, KeyBytes(BYTES))?.fill(&mut derived)?;
    Ok(derived)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Browser {
        key: agreement::PrivateKey,
        public_key: Vec<u8>,
        auth: [u8; AUTH_BYTES],
    }

    impl Browser {
        fn new() -> Self {
            let key = agreement::PrivateKey::generate(&agreement::ECDH_P256).expect("a key");
            let public_key = key.compute_public_key().expect("a point").as_ref().to_vec();
            Self { key, public_key, auth: [7; AUTH_BYTES] }
        }

        /// Decrypts as a browser does.
        fn opens(&self, sealed: &[u8]) -> Vec<u8> {
            let (salt, rest) = sealed.split_at(16);
            assert_eq!(rest[..5], [0, 0, 16, 0, 65], "one record of 4,096 bytes, and a key of 65");
            let (server, body) = rest[5..].split_at(PUBLIC_KEY_BYTES);
            let theirs = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, server);
            let ikm: [u8; 32] = agreement::agree(&self.key, theirs, Unspecified, |secret| {
                derive(&self.auth, secret, &[b"WebPush: info\0", &self.public_key, server])
            })
            .expect("a secret");
            let key: [u8; 16] = derive(salt, &ikm, &[b"Content-Encoding: aes128gcm\0"]).expect("a key");
            let nonce: [u8; 12] = derive(salt, &ikm, &[b"Content-Encoding: nonce\0"]).expect("a nonce");
            let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_128_GCM, &key).expect("a key"));
            let mut body = body.to_vec();
            let nonce = aead::Nonce::assume_unique_for_key(nonce);
            let text = key.open_in_place(nonce, aead::Aad::empty(), &mut body).expect("a text");
            let (delimiter, text) = text.split_last().expect("a delimiter");
            assert_eq!(*delimiter, 2);
            text.to_vec()
        }
    }

    #[test]
    fn a_browser_reads_what_was_sealed_for_it() {
        let browser = Browser::new();
        for text in [b"".as_slice(), b"The boiler is cold", &[b'x'; TEXT_BYTES_MAX]] {
            let sealed = seal(&browser.public_key, &browser.auth, text).expect("sealed");
            assert_eq!(sealed.len(), text.len() + OVERHEAD_BYTES);
            assert_eq!(browser.opens(&sealed), text);
        }
    }

    #[test]
    fn what_is_too_long_or_for_no_key_is_refused() {
        let browser = Browser::new();
        assert!(seal(&browser.public_key, &browser.auth, &[b'x'; TEXT_BYTES_MAX + 1]).is_err());
        let off_the_curve = [4; PUBLIC_KEY_BYTES];
        assert!(seal(&off_the_curve, &browser.auth, b"x").is_err());
        assert!(is_public_key(&browser.public_key));
        assert!(
            !is_public_key(&off_the_curve)
                && !is_public_key(&browser.public_key[..64])
                && !is_public_key(&[])
        );
    }
}

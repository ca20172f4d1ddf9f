//! Keys that verify a signature, each with the algorithms that it may be used for.
//!
//! A key is bound to one family of algorithms when it is read, so no header of a token can make a
//! public key pass for a shared secret. `kid` picks among keys and is nothing else: no path, no URL.

use std::fmt;

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};

/// The most keys that a set may hold.
const KEYS_MAX: usize = 64;

const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// One key and what it may verify.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    pub(crate) kid: Option<String>,
    pub(crate) key: DecodingKey,
    pub(crate) algorithms: Vec<Algorithm>,
}

/// Public keys that someone else signs tokens with.
#[derive(Clone, Default)]
pub struct PublicKeys(Vec<VerifyingKey>);

/// Why a key can't be used. Never holds a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file is out of reach.
    #[error("{path:?} can't be read: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// There is no PEM block.
    #[error("holds no PEM block (-----BEGIN PUBLIC KEY-----)")]
    NoPem,
    /// It is the signer's key.
    #[error("holds a private key; only the public one belongs here")]
    Private,
    /// It is none of the supported kinds.
    #[error("holds a key that is not RSA, EC P-256, EC P-384 or Ed25519")]
    Unsupported,
}

impl PublicKeys {
    /// Reads the value of `JWT_PUBLIC_KEYS`: PEM text (line ends may be written `\n`), or files of
    /// it separated by commas.
    ///
    /// # Errors
    /// [`KeyError`] when a file or a key can't be used.
    pub fn from_setting(value: &str) -> Result<Self, KeyError> {
        if value.contains("-----BEGIN") {
            return Self::from_pem(&value.replace("\\n", "\n"));
        }
        let mut keys = Vec::new();
        for path in value.split(',').map(str::trim).filter(|path| !path.is_empty()) {
            let text = std::fs::read_to_string(path)
                .map_err(|source| KeyError::Unreadable { path: path.to_owned(), source })?;
            keys.extend(Self::from_pem(&text)?.0);
        }
        if keys.is_empty() {
            return Err(KeyError::NoPem);
        }
        Ok(Self(keys))
    }

    /// Reads every PEM block of `text`.
    ///
    /// # Errors
    /// [`KeyError`] when there is none, or one that can't be used.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let keys: Vec<_> = text
            .split_inclusive("-----END ")
            .filter_map(|part| part.find("-----BEGIN ").map(|at| &part[at..]))
            .map(block)
            .collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(KeyError::NoPem);
        }
        Ok(Self(keys))
    }

    /// Takes what is usable of a key set: no symmetric keys, none for encryption.
    #[must_use]
    pub(crate) fn from_jwks(keys: &[Jwk]) -> Self {
        Self(keys.iter().take(KEYS_MAX).filter_map(from_jwk).collect())
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a key has this `kid`.
    pub(crate) fn has(&self, kid: &str) -> bool {
        self.0.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// The keys that a token with this algorithm and `kid` may be signed with. A key without a `kid`
    /// of its own (a PEM file) is tried for every token.
    pub(crate) fn candidates(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> impl Iterator<Item = &VerifyingKey> {
        self.0.iter().filter(move |key| {
            key.algorithms.contains(&algorithm)
                && match (kid, key.kid.as_deref()) {
                    (Some(wanted), Some(own)) => wanted == own,
                    _ => true,
                }
        })
    }
}

impl fmt::Debug for PublicKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKeys({})", self.0.len())
    }
}

/// Reads one block, given from its BEGIN line up to the word END.
fn block(part: &str) -> Result<VerifyingKey, KeyError> {
    let label = part.trim_start_matches("-----BEGIN ").split("-----").next().unwrap_or_default();
    if label.contains("PRIVATE") {
        return Err(KeyError::Private);
    }
    let pem = format!("{part}{label}-----\n");
    let pem = pem.as_bytes();
    let verifying = |key: DecodingKey, algorithms: &[Algorithm]| {
        Ok(VerifyingKey { kid: None, key, algorithms: algorithms.to_vec() })
    };
    if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
        return verifying(key, RSA);
    }
    if let Ok(key) = DecodingKey::from_ed_pem(pem) {
        return verifying(key, &[Algorithm::EdDSA]);
    }
    let key = DecodingKey::from_ec_pem(pem).map_err(|_| KeyError::Unsupported)?;
    // An uncompressed point: a byte and two coordinates of the curve's size.
    match key.try_get_as_bytes().map(<[u8]>::len) {
        Ok(65) => verifying(key, &[Algorithm::ES256]),
        Ok(97) => verifying(key, &[Algorithm::ES384]),
        _ => Err(KeyError::Unsupported),
    }
}

fn from_jwk(jwk: &Jwk) -> Option<VerifyingKey> {
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let family = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => RSA,
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => &[Algorithm::ES256][..],
            EllipticCurve::P384 => &[Algorithm::ES384][..],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            &[Algorithm::EdDSA][..]
        }
        _ => return None,
    };
    let algorithms: Vec<_> = match jwk.common.key_algorithm {
        None => family.to_vec(),
        Some(named) => family.iter().copied().filter(|algorithm| is_named(named, *algorithm)).collect(),
    };
    let key = DecodingKey::from_jwk(jwk).ok()?;
    (!algorithms.is_empty()).then(|| VerifyingKey { kid: jwk.common.key_id.clone(), key, algorithms })
}

fn is_named(named: KeyAlgorithm, algorithm: Algorithm) -> bool {
    named.to_string().parse() == Ok(algorithm)
}

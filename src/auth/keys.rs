//! Public keys that verify signatures, each with the algorithms that it may be used for.
//!
//! A key is bound to one family of algorithms when it is loaded, so no token header can make a public key
//! pass as a shared secret. `kid` only selects among keys; it is never interpreted as a path or URL.

use std::fmt;

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};

/// Maximum number of keys in a set.
const KEYS_MAX: usize = 64;

const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// A key and the algorithms that it may verify.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    pub(crate) kid: Option<String>,
    pub(crate) key: DecodingKey,
    pub(crate) algorithms: Vec<Algorithm>,
}

/// Public keys of external token issuers.
#[derive(Clone, Default)]
pub struct PublicKeys(Vec<VerifyingKey>);

/// Why a key can't be used. Never contains key material.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file can't be read.
    #[error("{path:?} can't be read: {source}")]
    Unreadable {
        /// Path of the file.
        path: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// There is no PEM block.
    #[error("holds no PEM block (-----BEGIN PUBLIC KEY-----)")]
    NoPem,
    /// A private key.
    #[error("holds a private key; only the public one belongs here")]
    Private,
    /// An unsupported kind of key.
    #[error("holds a key that is not RSA, EC P-256, EC P-384 or Ed25519")]
    Unsupported,
}

impl PublicKeys {
    /// Parses the value of `JWT_PUBLIC_KEYS`: PEM text (with line breaks optionally written as `\n`), or PEM
    /// files separated by commas.
    ///
    /// # Errors
    /// [`KeyError`] if a file or a key can't be used.
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

    /// Parses every PEM block of `text`.
    ///
    /// # Errors
    /// [`KeyError`] if there is none, or if one can't be used.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let keys: Vec<_> = text
            .split_inclusive("-----END ")
            .filter_map(|part| part.find("-----BEGIN ").map(|at| &part[at..]))
            .map(parse_pem_block)
            .collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(KeyError::NoPem);
        }
        Ok(Self(keys))
    }

    /// Takes the usable keys of a key set: no symmetric keys, and none for encryption.
    #[must_use]
    pub(crate) fn from_jwks(keys: &[Jwk]) -> Self {
        Self(keys.iter().take(KEYS_MAX).filter_map(from_jwk).collect())
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a key has this `kid`.
    pub(crate) fn has(&self, kid: &str) -> bool {
        self.0.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// The keys that may verify a token with this algorithm and `kid`. A key without a `kid` of its own (from
    /// a PEM file) is tried for every token.
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

/// Parses one block, which reaches from its BEGIN line to the word END.
fn parse_pem_block(part: &str) -> Result<VerifyingKey, KeyError> {
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
    // An uncompressed point: one byte and two coordinates of the curve's size.
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
        Some(named) => {
            family.iter().copied().filter(|algorithm| allows_algorithm(named, *algorithm)).collect()
        }
    };
    let key = DecodingKey::from_jwk(jwk).ok()?;
    (!algorithms.is_empty()).then(|| VerifyingKey { kid: jwk.common.key_id.clone(), key, algorithms })
}

fn allows_algorithm(named: KeyAlgorithm, algorithm: Algorithm) -> bool {
    named.to_string().parse() == Ok(algorithm)
}

//! A JSON Web Key Set, fetched on demand.
//!
//! An unknown `kid` may be a new key or a forgery. It triggers a fetch, but at most once in 30 s. A failed
//! fetch leaves the last good set in use.

use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

use super::keys::PublicKeys;

/// Minimum time between two attempts to fetch the set.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// Age at which the set is fetched again, so that a withdrawn key expires.
const AGE_MAX: Duration = Duration::from_secs(600);
/// Timeout of a fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of a key set in bytes.
const SET_BYTES_MAX: usize = 256 * 1024;

/// The key set at `JWKS_URL`.
#[derive(Debug)]
pub struct Jwks {
    url: reqwest::Url,
    cache: RwLock<(Arc<PublicKeys>, Option<Instant>)>,
    last_attempt: Mutex<Option<Instant>>,
    retry_interval: Duration,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("can't be fetched: {0}")]
    Http(#[from] reqwest::Error),
    #[error("is over {SET_BYTES_MAX} bytes")]
    TooLarge,
    #[error("is no key set: {0}")]
    Json(#[from] serde_json::Error),
    #[error("holds no key that can verify a token")]
    Empty,
}

impl Jwks {
    pub(crate) fn new(url: reqwest::Url) -> Self {
        Self::with_retry_interval(url, RETRY_INTERVAL)
    }

    fn with_retry_interval(url: reqwest::Url, retry_interval: Duration) -> Self {
        Self {
            url,
            cache: RwLock::new((Arc::default(), None)),
            last_attempt: Mutex::new(None),
            retry_interval,
        }
    }

    /// Returns the keys, after fetching them if `kid` is unknown or the set is too old.
    pub(crate) async fn keys(&self, kid: Option<&str>) -> Arc<PublicKeys> {
        let (keys, fetched) = self.cached();
        let is_missing = kid.map_or(keys.is_empty(), |kid| !keys.has(kid));
        let is_old = fetched.is_none_or(|at| at.elapsed() > AGE_MAX);
        // A caller that needs a missing key waits for a fetch in progress; one that only found the set old
        // doesn't.
        let mut last_attempt = match (is_missing, is_old) {
            (true, _) => self.last_attempt.lock().await,
            (false, true) => match self.last_attempt.try_lock() {
                Ok(last_attempt) => last_attempt,
                Err(_) => return keys,
            },
            (false, false) => return keys,
        };
        if last_attempt.is_none_or(|at| at.elapsed() >= self.retry_interval) {
            *last_attempt = Some(Instant::now());
            match self.fetch().await {
                Ok(fetched) => {
                    let mut cache = self.cache.write().expect("no holder of this lock can panic");
                    *cache = (Arc::new(fetched), Some(Instant::now()));
                }
                Err(error) => {
                    tracing::warn!(%error, "the key set can't be fetched; the last good one stays in use");
                }
            }
        }
        self.cached().0
    }

    fn cached(&self) -> (Arc<PublicKeys>, Option<Instant>) {
        self.cache.read().expect("no holder of this lock can panic").clone()
    }

    async fn fetch(&self) -> Result<PublicKeys, FetchError> {
        let client = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let mut response = client.get(self.url.clone()).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > SET_BYTES_MAX {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let document: Document = serde_json::from_slice(&body)?;
        // A key of an unsupported kind must not invalidate the others.
        let keys: Vec<Jwk> =
            document.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
        let keys = PublicKeys::from_jwks(&keys);
        if keys.is_empty() { Err(FetchError::Empty) } else { Ok(keys) }
    }
}

#[cfg(test)]
mod tests;

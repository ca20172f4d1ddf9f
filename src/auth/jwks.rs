//! A key set that someone else keeps, fetched when it is needed.
//!
//! A `kid` that isn't known may be a new key, or a forger's invention: it fetches the set again, but
//! not more than once in 30 s, and a fetch that fails leaves the last good set in force.

use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

use super::keys::PublicKeys;

/// How long after a try the set is left alone.
const PAUSE: Duration = Duration::from_secs(30);
/// How old a set may grow before it is fetched anew, so that a withdrawn key ends.
const AGE_MAX: Duration = Duration::from_secs(600);
/// How long one fetch may take.
const FETCH_MAX: Duration = Duration::from_secs(5);
/// The most bytes of a set.
const SET_BYTES_MAX: usize = 256 * 1024;

/// The keys behind `JWKS_URL`.
#[derive(Debug)]
pub struct Jwks {
    url: reqwest::Url,
    good: RwLock<(Arc<PublicKeys>, Option<Instant>)>,
    last_try: Mutex<Option<Instant>>,
    pause: Duration,
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
        Self::with_pause(url, PAUSE)
    }

    fn with_pause(url: reqwest::Url, pause: Duration) -> Self {
        Self { url, good: RwLock::new((Arc::default(), None)), last_try: Mutex::new(None), pause }
    }

    /// Gives the keys, fetched before when `kid` isn't among them or they are old.
    pub(crate) async fn keys(&self, kid: Option<&str>) -> Arc<PublicKeys> {
        let (keys, fetched) = self.known();
        let is_missing = kid.map_or(keys.is_empty(), |kid| !keys.has(kid));
        let is_old = fetched.is_none_or(|at| at.elapsed() > AGE_MAX);
        // Whoever needs a missing key waits for a fetch under way; whoever only found the set old doesn't.
        let mut last_try = match (is_missing, is_old) {
            (true, _) => self.last_try.lock().await,
            (false, true) => match self.last_try.try_lock() {
                Ok(last_try) => last_try,
                Err(_) => return keys,
            },
            (false, false) => return keys,
        };
        if last_try.is_none_or(|at| at.elapsed() >= self.pause) {
            *last_try = Some(Instant::now());
            match self.fetch().await {
                Ok(fetched) => {
                    let mut good = self.good.write().expect("no holder of this lock can panic");
                    *good = (Arc::new(fetched), Some(Instant::now()));
                }
                Err(error) => {
                    tracing::warn!(%error, "key set not renewed, the last good one stays in force");
                }
            }
        }
        self.known().0
    }

    fn known(&self) -> (Arc<PublicKeys>, Option<Instant>) {
        self.good.read().expect("no holder of this lock can panic").clone()
    }

    async fn fetch(&self) -> Result<PublicKeys, FetchError> {
        let client = reqwest::Client::builder()
            .timeout(FETCH_MAX)
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
        // A key of a kind that isn't known here must not spoil the others.
        let keys: Vec<Jwk> =
            document.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
        let keys = PublicKeys::from_jwks(&keys);
        if keys.is_empty() { Err(FetchError::Empty) } else { Ok(keys) }
    }
}

#[cfg(test)]
mod tests;

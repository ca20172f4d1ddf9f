//! Previews of links, as they were asked for.

use std::time::Duration;

use actors::ports::store::StoreError;
use reqwest::Url;
use sha2::{Digest as _, Sha256};

use super::PostgresStore;

/// How long a preview is kept before it is asked for again.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// When a page that couldn't be asked is asked again.
const RETRY_AFTER: Duration = Duration::from_secs(10 * 60);
/// How long one node has to ask: longer than a page and its picture may take.
const ASKED_WITHIN: Duration = Duration::from_secs(15);
/// The most previews that are deleted at once.
const DELETED_AT_ONCE: i64 = 500;

/// What a page says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkPreview {
    /// The title, up to 200 characters.
    pub title: Option<String>,
    /// A description, up to 400 characters.
    pub description: Option<String>,
    /// The name of the site, up to 100 characters.
    pub site_name: Option<String>,
    /// A JPEG of at most 64 KiB.
    pub picture: Option<Vec<u8>>,
}

/// What is known of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredPreview {
    /// Its preview, which may be empty.
    Found(LinkPreview),
    /// A node is asking for it.
    Asked,
    /// Nothing.
    Missing,
}

impl LinkPreview {
    /// Whether the page says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl PostgresStore {
    /// Returns what is known of each link.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn link_previews(&self, urls: &[Url]) -> Result<Vec<StoredPreview>, StoreError> {
        const FIND: &str = "SELECT url_hash, title, description, site_name, picture, expires_at > now(),
                asked_until > now()
            FROM link_previews WHERE url_hash = ANY ($1)";
        if urls.is_empty() {
            return Ok(Vec::new());
        }
        let hashes: Vec<Vec<u8>> = urls.iter().map(hash).collect();
        let rows = self.read_client().await?.rows(FIND, &[&hashes]).await?;
        let found = |hash: &Vec<u8>| {
            let Some(row) = rows.iter().find(|row| row.get::<_, &[u8]>(0) == hash) else {
                return StoredPreview::Missing;
            };
            match (row.get(5), row.get(6)) {
                (true, _) => StoredPreview::Found(LinkPreview {
                    title: row.get(1),
                    description: row.get(2),
                    site_name: row.get(3),
                    picture: row.get(4),
                }),
                (false, true) => StoredPreview::Asked,
                (false, false) => StoredPreview::Missing,
            }
        };
        Ok(hashes.iter().map(found).collect())
    }

    /// Takes it on to ask for a link's preview. Returns false if another node has, or it is known by now.
    ///
    /// # Errors
    /// [`StoreError`]; a retry may find it taken on by this call.
    pub async fn claim_link_preview(&self, url: &Url) -> Result<bool, StoreError> {
        const CLAIM: &str = "INSERT INTO link_previews AS p (url_hash, asked_until, expires_at)
                VALUES ($1, now() + make_interval(secs => $2), now())
            ON CONFLICT (url_hash) DO UPDATE SET asked_until = EXCLUDED.asked_until
                WHERE p.expires_at <= now() AND p.asked_until <= now()
            RETURNING url_hash";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let claimed = transaction.row(CLAIM, &[&hash(url), &ASKED_WITHIN.as_secs_f64()]).await?.is_some();
        transaction.commit().await?;
        Ok(claimed)
    }

    /// Stores what a page said of itself. If it couldn't be asked, it is asked again sooner.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn put_link_preview(
        &self,
        url: &Url,
        preview: &LinkPreview,
        is_final: bool,
    ) -> Result<(), StoreError> {
        const PUT: &str =
            "UPDATE link_previews SET title = $2, description = $3, site_name = $4, picture = $5,
                asked_until = now(), expires_at = now() + make_interval(secs => $6)
            WHERE url_hash = $1";
        let LinkPreview { title, description, site_name, picture } = preview;
        let kept = if is_final { KEPT } else { RETRY_AFTER }.as_secs_f64();
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(PUT, &[&hash(url), title, description, site_name, picture, &kept]).await?;
        transaction.commit().await
    }

    /// Deletes some of the previews that would be asked for again. Returns whether there may be more.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn delete_expired_link_previews(&self) -> Result<bool, StoreError> {
        const DELETE: &str = "WITH deleted AS (
                DELETE FROM link_previews WHERE url_hash = ANY (ARRAY(
                    SELECT url_hash FROM link_previews WHERE expires_at < now() - interval '1 hour'
                    ORDER BY expires_at LIMIT $1)) RETURNING 1)
            SELECT count(*) >= $1 FROM deleted";
        let mut client = self.background_write_client().await?;
        let transaction = client.begin().await?;
        let deleted = transaction.row(DELETE, &[&DELETED_AT_ONCE]).await?;
        transaction.commit().await?;
        Ok(deleted.is_some_and(|row| row.get(0)))
    }
}

fn hash(url: &Url) -> Vec<u8> {
    Sha256::digest(url.as_str()).to_vec()
}

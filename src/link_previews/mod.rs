//! Previews of links: what a page says of itself, asked by this server once for all users.
//!
//! A preview is asked for when a message with the link is shown for the first time, so that sending waits for nothing.
//! Only a user who may read a message has its links fetched. Browsers load nothing from the other site: the picture is
//! encoded again here, small.

mod fetching;
mod html;
mod links;
mod picture;

use std::sync::Arc;

use actors::ports::store::StoreError;
use futures_util::future::join_all;
use reqwest::Url;
use tokio::sync::Semaphore;

use self::fetching::fetch;
use self::links::links;
use crate::outbound::OutboundClient;
use crate::store::postgres::PostgresStore;
use crate::store::postgres::link_previews::{LinkPreview, StoredPreview};

/// The most pages that a node asks at a time. Further ones are asked when the message is shown again.
const FETCHES_MAX: usize = 16;

/// Finds and fetches previews of links.
#[derive(Clone)]
pub struct LinkPreviews {
    store: PostgresStore,
    outbound: OutboundClient,
    slots: Arc<Semaphore>,
}

/// The previews of a text's links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreviewsOfText {
    /// Each link that has a preview, in the order of the text.
    pub found: Vec<(String, LinkPreview)>,
    /// Whether others may follow: they are being asked for.
    pub is_complete: bool,
}

impl LinkPreviews {
    /// Returns the previews in `store`, and asks for others by `outbound`.
    #[must_use]
    pub fn new(store: PostgresStore, outbound: OutboundClient) -> Self {
        Self { store, outbound, slots: Arc::new(Semaphore::new(FETCHES_MAX)) }
    }

    /// Returns the previews of the first three links of a text, and fetches those that nobody has fetched.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn of_text(&self, text: &str) -> Result<PreviewsOfText, StoreError> {
        let links = links(text);
        let stored = self.store.link_previews(&links).await?;
        let asked = links.iter().zip(stored).map(async |(url, stored)| match stored {
            StoredPreview::Found(preview) => Some(preview),
            StoredPreview::Asked => None,
            StoredPreview::Missing => self.ask(url).await,
        });
        let asked = join_all(asked).await;
        let is_complete = asked.iter().all(Option::is_some);
        let found = links.into_iter().zip(asked).filter_map(|(url, preview)| {
            let preview = preview.filter(|preview| !preview.is_empty())?;
            Some((url.to_string(), preview))
        });
        Ok(PreviewsOfText { found: found.collect(), is_complete })
    }

    /// Fetches and stores a preview, unless another node does. It goes on if the caller doesn't wait.
    async fn ask(&self, url: &Url) -> Option<LinkPreview> {
        let slot = self.slots.clone().try_acquire_owned().ok()?;
        let (this, url) = (self.clone(), url.clone());
        let asking = tokio::spawn(async move {
            let _slot = slot;
            this.fetch_and_store(&url).await
        });
        match asking.await {
            Ok(Ok(preview)) => preview,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a preview can't be stored; it will be asked for again");
                None
            }
            Err(error) => {
                tracing::error!(%error, "a preview can't be read");
                None
            }
        }
    }

    async fn fetch_and_store(&self, url: &Url) -> Result<Option<LinkPreview>, StoreError> {
        if !self.store.claim_link_preview(url).await? {
            return Ok(None);
        }
        let fetched = fetch(&self.outbound, url).await;
        if let Err(error) = &fetched {
            tracing::debug!(host = url.host_str(), %error, "a link has no preview");
        }
        let is_final = fetched.is_ok();
        let preview = fetched.unwrap_or_default();
        self.store.put_link_preview(url, &preview, is_final).await?;
        Ok(Some(preview))
    }
}

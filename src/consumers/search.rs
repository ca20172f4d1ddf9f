//! Keeps the search index up to date.

use async_trait::async_trait;

use crate::store::postgres::search::{CONSUMER, index_messages};
use crate::store::postgres::{ConsumerError, LogConsumer, LogEvent, WriteTransaction};

/// The consumer that indexes messages.
pub struct SearchIndexer;

#[async_trait]
impl LogConsumer for SearchIndexer {
    fn name(&self) -> &'static str {
        CONSUMER
    }

    async fn consume(
        &self,
        transaction: &WriteTransaction<'_>,
        events: &[LogEvent],
    ) -> Result<(), ConsumerError> {
        let messages = index_messages(transaction, events).await?;
        metrics::counter!("chat_search_messages_indexed_total").increment(messages);
        Ok(())
    }
}

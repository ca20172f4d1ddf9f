//! Notes what webhooks are to be sent.

use async_trait::async_trait;

use crate::store::postgres::integrations::{CONSUMER, extend_lanes};
use crate::store::postgres::{ConsumerError, LogConsumer, LogEvent, WriteTransaction};

/// The consumer that extends the lanes of webhooks.
pub struct WebhookPlanner;

#[async_trait]
impl LogConsumer for WebhookPlanner {
    fn name(&self) -> &'static str {
        CONSUMER
    }

    async fn consume(
        &self,
        transaction: &WriteTransaction<'_>,
        events: &[LogEvent],
    ) -> Result<(), ConsumerError> {
        let lanes = extend_lanes(transaction, events).await?;
        metrics::counter!("chat_webhook_lanes_extended_total").increment(lanes);
        Ok(())
    }
}

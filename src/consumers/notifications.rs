//! Makes rooms due in which someone may have to be told of something.

use async_trait::async_trait;

use crate::store::postgres::notifications::{CONSUMER, extend_windows};
use crate::store::postgres::{ConsumerError, LogConsumer, LogEvent, WriteTransaction};

/// The consumer that extends the windows of rooms; the notifier decides what becomes of them.
pub struct NotificationScheduler;

#[async_trait]
impl LogConsumer for NotificationScheduler {
    fn name(&self) -> &'static str {
        CONSUMER
    }

    async fn consume(
        &self,
        transaction: &WriteTransaction<'_>,
        events: &[LogEvent],
    ) -> Result<(), ConsumerError> {
        extend_windows(transaction, events).await
    }
}

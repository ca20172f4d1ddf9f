//! Keeps the audit log of what staff, admins and the host application do in rooms.

use async_trait::async_trait;

use crate::store::postgres::record::audit_events::add_entries_of_events;
use crate::store::postgres::{ConsumerError, LogConsumer, LogEvent, WriteTransaction};

/// The consumer that adds entries to the audit log.
pub struct AuditWriter;

#[async_trait]
impl LogConsumer for AuditWriter {
    fn name(&self) -> &'static str {
        "audit"
    }

    async fn consume(
        &self,
        transaction: &WriteTransaction<'_>,
        events: &[LogEvent],
    ) -> Result<(), ConsumerError> {
        let added = add_entries_of_events(transaction, events).await?;
        metrics::counter!("chat_audit_entries_total").increment(u64::try_from(added).unwrap_or(u64::MAX));
        Ok(())
    }
}

//! Erasing what only one user sees, when that user's account ends.

use actors::domain::ids::UserId;
use actors::ports::store::StoreError;

use super::log;
use crate::store::postgres::pool::client::WriteTransaction;

/// Erases everything that only `user` sees. The log goes on behind what was erased.
pub(crate) async fn erase(transaction: &WriteTransaction<'_>, user: UserId) -> Result<(), StoreError> {
    const ERASE: [&str; 10] = [
        "DELETE FROM drafts WHERE user_id = $1",
        "DELETE FROM saved_messages WHERE user_id = $1",
        "DELETE FROM reminders WHERE user_id = $1",
        "DELETE FROM scheduled_messages WHERE user_id = $1",
        "DELETE FROM push_deliveries WHERE subscription_id = ANY (ARRAY(
             SELECT id FROM push_subscriptions WHERE user_id = $1))",
        "DELETE FROM push_subscriptions WHERE user_id = $1",
        "DELETE FROM notifications WHERE user_id = $1",
        "DELETE FROM notification_settings WHERE user_id = $1",
        "DELETE FROM personal_log WHERE user_id = $1",
        "UPDATE personal_heads SET pruned = head WHERE user_id = $1",
    ];
    log::lock(transaction, user).await?;
    for sql in ERASE {
        transaction.rows(sql, &[&user.0]).await?;
    }
    Ok(())
}

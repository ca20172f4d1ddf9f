//! Reads a user's names and access for the engine.

use actors::domain::ids::UserId;
use actors::domain::user::UserSummary;
use actors::ports::store::UserAccess;
use deadpool_postgres::ClientWrapper;
use tokio_postgres::Error;

use crate::store::postgres::rows::{self, user_summary_columns};

const USER: &str = concat!(
    "SELECT ",
    user_summary_columns!(),
    ", u.is_active, u.tokens_valid_from FROM people u WHERE u.id = $1"
);

/// Reads one user; `None`: the user is unknown.
pub(crate) async fn read(
    client: &ClientWrapper,
    user: UserId,
) -> Result<Option<(UserSummary, UserAccess)>, Error> {
    let statement = client.prepare_cached(USER).await?;
    let row = client.query_opt(&statement, &[&user.0]).await?;
    Ok(row.map(|row| {
        let access = UserAccess { user, is_active: row.get(3), tokens_valid_from: row.get(4) };
        (rows::user_summary(&row, user, 0), access)
    }))
}

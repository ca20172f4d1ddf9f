//! Reads whether a person may be here, and by what name to greet that person.

use actors::domain::ids::UserId;
use actors::domain::person::Author;
use actors::ports::store::PersonChange;
use deadpool_postgres::ClientWrapper;
use tokio_postgres::Error;

use super::rows::{self, author_columns};

const PERSON: &str =
    concat!("SELECT ", author_columns!(), ", u.is_active, u.tokens_valid_from FROM people u WHERE u.id = $1");

/// Reads one person of the directory.
pub(super) async fn read(
    client: &ClientWrapper,
    user: UserId,
) -> Result<Option<(Author, PersonChange)>, Error> {
    let statement = client.prepare_cached(PERSON).await?;
    let row = client.query_opt(&statement, &[&user.0]).await?;
    Ok(row.map(|row| {
        let change = PersonChange { user, is_active: row.get(3), tokens_valid_from: row.get(4) };
        (rows::author(&row, user, 0), change)
    }))
}

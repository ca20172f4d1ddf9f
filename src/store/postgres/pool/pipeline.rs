//! Statements that go out together in one round trip, some of them only when they are needed.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Statement};

/// Prepares `sql` if `is_needed`.
pub(crate) async fn prepare_if(
    client: &ClientWrapper,
    sql: &str,
    is_needed: bool,
) -> Result<Option<Statement>, Error> {
    if is_needed { client.prepare_cached(sql).await.map(Some) } else { Ok(None) }
}

/// Runs `statement` if there is one; without one there are no rows.
pub(crate) async fn query_if<const N: usize>(
    client: &ClientWrapper,
    statement: Option<&Statement>,
    params: [&(dyn ToSql + Sync); N],
) -> Result<Vec<Row>, Error> {
    match statement {
        Some(statement) => client.query(statement, &params).await,
        None => Ok(Vec::new()),
    }
}

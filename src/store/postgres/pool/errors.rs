//! What a database error means to the caller.

use std::future::Future;
use std::time::Duration;

use actors::ports::store::StoreError;
use tokio_postgres::error::{DbError, Severity};

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A deadlock or a conflict. Nothing was stored, and an immediate retry may succeed.
    Retry,
    /// The database refused, and the connection is still usable. Nothing was stored.
    Rejected(StoreError),
    /// The connection broke or timed out. The work in progress may have been done.
    Broken(String),
}

impl Failure {
    /// The error to return where nothing can have been stored.
    pub(crate) fn into_error(self) -> StoreError {
        match self {
            Self::Retry => StoreError::Locked,
            Self::Rejected(error) => error,
            Self::Broken(what) => StoreError::Unavailable(what),
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(db_error) => classify(db_error),
            None => Self::Broken(error.to_string()),
        }
    }
}

/// Maps an SQLSTATE to a [`Failure`]. A message may quote a row, so it is passed on only for error
/// classes that concern the server as a whole.
fn classify(error: &DbError) -> Failure {
    let code = error.code().code();
    if matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) {
        return Failure::Broken(format!("the database ended the connection ({code}: {})", error.message()));
    }
    match (code, &code[..2]) {
        ("55P03", _) => Failure::Rejected(StoreError::Locked),
        ("40P01" | "40001", _) => Failure::Retry,
        // A class 42 error without a context is a mistake in one of our statements, not in a row.
        ("42501", _) | (_, "21" | "22" | "23" | "38" | "39" | "44" | "54" | "P0") => {
            Failure::Rejected(StoreError::RowRefused)
        }
        (_, "42" | "0A") if error.where_().is_some() => Failure::Rejected(StoreError::RowRefused),
        (_, "08" | "25" | "53" | "57" | "58") => {
            Failure::Rejected(StoreError::Unavailable(format!("{code}: {}", error.message())))
        }
        _ => Failure::Rejected(StoreError::Unavailable(format!("the database answered {code}"))),
    }
}

/// Waits for `work` for at most `limit`; a server that doesn't answer in time counts as broken.
pub(crate) async fn with_timeout<T, E>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure>
where
    Failure: From<E>,
{
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(Failure::from),
        Err(_) => Err(Failure::Broken(format!("the database was silent for {limit:?}"))),
    }
}

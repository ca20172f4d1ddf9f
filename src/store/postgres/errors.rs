//! What an error of the database means for those who asked.

use std::future::Future;
use std::time::Duration;

use actors::ports::store::StoreError;
use tokio_postgres::error::{DbError, Severity};

/// Why a try at something ended.
#[derive(Debug)]
pub(super) enum Failure {
    /// A deadlock or a conflict: doing it again at once may succeed. Nothing was stored.
    Again,
    /// The database said no and the connection is well. Nothing was stored.
    Told(StoreError),
    /// The connection broke or was silent for too long; what was under way may have been done.
    Broken(String),
}

impl Failure {
    /// The answer where nothing can have been stored.
    pub(super) fn into_error(self) -> StoreError {
        match self {
            Self::Again => StoreError::Locked,
            Self::Told(error) => error,
            Self::Broken(what) => StoreError::Unavailable(what),
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(told) => classify(told),
            None => Self::Broken(error.to_string()),
        }
    }
}

/// Sorts an answer of the database. Its own words may quote a row, so only the words of classes that
/// concern the server as a whole go on.
fn classify(error: &DbError) -> Failure {
    let code = error.code().code();
    if matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) {
        return Failure::Broken(format!("the database ended the connection ({code}: {})", error.message()));
    }
    match (code, &code[..2]) {
        ("55P03", _) => Failure::Told(StoreError::Locked),
        ("40P01" | "40001", _) => Failure::Again,
        // A class 42 error without a context is a fault in a statement of ours, not in a row.
        ("42501", _) | (_, "21" | "22" | "23" | "38" | "39" | "44" | "54" | "P0") => {
            Failure::Told(StoreError::RowRefused)
        }
        (_, "42" | "0A") if error.where_().is_some() => Failure::Told(StoreError::RowRefused),
        (_, "08" | "25" | "53" | "57" | "58") => {
            Failure::Told(StoreError::Unavailable(format!("{code}: {}", error.message())))
        }
        _ => Failure::Told(StoreError::Unavailable(format!("the database answered {code}"))),
    }
}

/// Waits for `work`, but no longer than `limit`; a silent server is as good as a broken one.
pub(super) async fn within<T, E>(
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

//! Writes exports: one node at a time each, as an archive in the storage of files.
//!
//! A node that dies leaves its export to another one, which begins anew; it may do so three times.

mod archive;
mod contents;
mod key;

use std::time::Duration;

use actix_web::web::Data;
use actors::ports::store::StoreError;
use tokio::time::sleep;
use uuid::Uuid;

pub use self::key::{ExportKey, ExportKeyError};
use crate::files::FileOpenError;
use crate::http::ApiState;

/// How often it looks for an export to write.
const INTERVAL: Duration = Duration::from_secs(2);

/// Why an export wasn't written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The storage failed.
    #[error("the archive can't be written: {0}")]
    Storage(String),
    /// A file can't be read.
    #[error(transparent)]
    File(#[from] FileOpenError),
    /// There is no key to sign with.
    #[error(transparent)]
    Key(#[from] ExportKeyError),
    /// Another node has taken the export over.
    #[error("another node writes it")]
    Lost,
}

/// Runs until it is dropped.
pub async fn run(state: Data<ApiState>) {
    let owner = Uuid::new_v4();
    loop {
        match write_next(&state, owner).await {
            Ok(true) => {}
            Ok(false) => sleep(INTERVAL).await,
            Err(error) => {
                tracing::warn!(%error, "an export was not written; another attempt follows");
                sleep(INTERVAL).await;
            }
        }
    }
}

/// Writes the export that has waited longest. Returns whether there was one.
///
/// # Errors
/// [`ExportError`]; the export is left to another attempt.
pub async fn write_next(state: &ApiState, owner: Uuid) -> Result<bool, ExportError> {
    let Some(export) = state.store.claim_export(owner).await? else { return Ok(false) };
    match contents::write(state, &export, owner).await {
        Ok((size, sha256)) => {
            if !state.store.finish_export(export.id, owner, size, &sha256).await? {
                return Err(ExportError::Lost);
            }
            tracing::info!(export = %export.id, size, "an export was written");
            Ok(true)
        }
        Err(error) => {
            state.store.leave_export(export.id, owner).await?;
            Err(error)
        }
    }
}

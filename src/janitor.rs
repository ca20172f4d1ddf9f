//! Deletes what is no longer needed: files of deleted messages, uploads that were never finished or sent, expired token
//! families, old moves of read marks in large rooms, old entries of personal logs, scheduled messages that were sent,
//! expired link previews, old deliveries of webhooks, old notifications, what released legal holds kept, old archives of exports, and idle rate
//! limits. It can be interrupted at any time.

use std::time::Duration;

use actix_web::web::Data;
use actors::domain::ids::{FileId, RoomId};
use actors::ports::store::StoreError;
use tokio::time::Instant;
use uuid::Uuid;

use crate::http::ApiState;

/// How often it runs.
const INTERVAL: Duration = Duration::from_secs(60);
/// The age from which an upload that no message carries is discarded.
const UNATTACHED_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The age from which a superseded move of a read mark in a large room is deleted.
const READ_MOVE_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The age from which an entry of a personal log is deleted; who was away longer loads everything anew.
const PERSONAL_ENTRY_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// For how long it is known what a scheduled message became.
const SENT_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// For how long it is known what became of what webhooks were sent.
const DELIVERY_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// For how long it is known what a user was told.
const NOTIFICATION_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// For how long one run deletes one kind of rows, a batch after another.
const DELETING_MAX: Duration = Duration::from_secs(5);
/// Files erased by one run.
const FILES_AT_ONCE: i64 = 500;

/// Archives of exports deleted by one run.
const EXPORTS_AT_ONCE: i64 = 100;

/// Runs until it is dropped.
pub async fn run(state: Data<ApiState>) {
    let mut rounds = tokio::time::interval(INTERVAL);
    let first = RoomId(Uuid::nil());
    let mut after = first;
    loop {
        rounds.tick().await;
        state.rate_limits.forget_idle();
        if let Err(error) = erase_files(&state).await {
            tracing::warn!(%error, "files were not erased; the next run tries again");
        }
        if let Err(error) = state.store.delete_expired_token_families().await {
            tracing::warn!(%error, "expired token families were not deleted; the next run tries again");
        }
        let store = &state.store;
        delete_all("entries of personal logs", async || {
            store.delete_old_personal_entries(PERSONAL_ENTRY_AGE_MAX).await
        })
        .await;
        if let Err(error) = state.store.forget_sent_messages(SENT_AGE_MAX).await {
            tracing::warn!(%error, "scheduled messages were not forgotten; the next run tries again");
        }
        delete_all("link previews", async || store.delete_expired_link_previews().await).await;
        delete_all("deliveries of webhooks", async || store.forget_deliveries(DELIVERY_AGE_MAX).await).await;
        delete_all("notifications and pushes", async || {
            store.delete_old_notifications(NOTIFICATION_AGE_MAX).await
        })
        .await;
        if let Err(error) = expire_exports(&state).await {
            tracing::warn!(%error, "archives of exports were not deleted; the next run tries again");
        }
        if let Err(error) = state.store.settle_holds().await {
            tracing::warn!(%error, "what legal holds kept was not deleted; the next run tries again");
        }
        match state.store.delete_old_read_moves(after, READ_MOVE_AGE_MAX).await {
            Ok(last) => after = last.unwrap_or(first),
            Err(error) => {
                tracing::warn!(%error, "old moves of read marks were not deleted; the next run tries again");
            }
        }
    }
}

/// Deletes archives of exports that are no longer kept.
///
/// # Errors
/// The database or the storage fails; doing it again is safe.
pub async fn expire_exports(state: &ApiState) -> anyhow::Result<()> {
    for export in state.store.expired_exports(EXPORTS_AT_ONCE).await? {
        state.uploads.delete(export).await?;
        state.store.expire_export(export).await?;
    }
    Ok(())
}

/// Deletes old rows, batch after batch, as long as `delete` says that there may be more and time is left.
async fn delete_all(what: &str, delete: impl AsyncFn() -> Result<bool, StoreError>) {
    let began = Instant::now();
    loop {
        match delete().await {
            Ok(true) if began.elapsed() < DELETING_MAX => {}
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, what, "old rows were not deleted; the next run tries again");
                return;
            }
        }
    }
}

async fn erase_files(state: &ApiState) -> anyhow::Result<()> {
    state.uploads.sweep().await?;
    state.uploads.sweep_pieces().await?;
    let pieces = state.store.end_expired_uploads(FILES_AT_ONCE).await?;
    state.uploads.delete_pieces(&pieces).await;
    state.store.discard_unattached_files(UNATTACHED_AGE_MAX).await?;
    let files: Vec<FileId> = state.store.files_to_erase(FILES_AT_ONCE).await?;
    let mut erased = Vec::with_capacity(files.len());
    for file in files {
        match state.uploads.delete(file.0).await {
            Ok(()) => erased.push(file),
            Err(error) => tracing::warn!(%file, %error, "a file can't be erased"),
        }
    }
    if !erased.is_empty() {
        state.store.confirm_erased_files(&erased).await?;
        tracing::info!(files = erased.len(), "files of deleted messages were erased");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn old_rows_are_deleted_batch_after_batch_for_a_while() {
        let calls = Cell::new(0);
        let batch = async |answer: Result<bool, StoreError>| {
            calls.set(calls.get() + 1);
            tokio::time::sleep(Duration::from_millis(100)).await;
            answer
        };
        delete_all("rows", async || batch(Ok(calls.get() < 7)).await).await;
        assert_eq!(calls.take(), 8, "until one isn't full");
        delete_all("rows", async || batch(Err(StoreError::Locked)).await).await;
        assert_eq!(calls.take(), 1, "a failure is left to the next run");
        delete_all("rows", async || batch(Ok(true)).await).await;
        assert_eq!(calls.take(), 50, "until the time is over");
    }
}

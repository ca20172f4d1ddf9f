//! Deletes what is no longer needed: files of deleted messages, uploads that were never sent, expired token
//! families, old moves of read marks in large rooms, old entries of personal logs, scheduled messages that were sent,
//! expired link previews, old deliveries of webhooks, old notifications, and idle rate limits. It can be interrupted at
//! any time.

use std::time::Duration;

use actix_web::web::Data;
use actors::domain::ids::{FileId, RoomId};
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
/// Files erased by one run.
const FILES_AT_ONCE: i64 = 500;

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
        if let Err(error) = state.store.delete_old_personal_entries(PERSONAL_ENTRY_AGE_MAX).await {
            tracing::warn!(%error, "old entries of personal logs were not deleted; the next run tries again");
        }
        if let Err(error) = state.store.forget_sent_messages(SENT_AGE_MAX).await {
            tracing::warn!(%error, "scheduled messages were not forgotten; the next run tries again");
        }
        if let Err(error) = state.store.delete_expired_link_previews().await {
            tracing::warn!(%error, "expired link previews were not deleted; the next run tries again");
        }
        if let Err(error) = state.store.forget_deliveries(DELIVERY_AGE_MAX).await {
            tracing::warn!(%error, "deliveries of webhooks were not forgotten; the next run tries again");
        }
        if let Err(error) = state.store.delete_old_notifications(NOTIFICATION_AGE_MAX).await {
            tracing::warn!(%error, "old notifications were not deleted; the next run tries again");
        }
        match state.store.delete_old_read_moves(after, READ_MOVE_AGE_MAX).await {
            Ok(last) => after = last.unwrap_or(first),
            Err(error) => {
                tracing::warn!(%error, "old moves of read marks were not deleted; the next run tries again");
            }
        }
    }
}

async fn erase_files(state: &ApiState) -> anyhow::Result<()> {
    state.uploads.sweep().await?;
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

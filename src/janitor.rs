//! Takes away what nobody needs any more: files of deleted messages, uploads that were never sent, old moves
//! of read marks in large rooms, budgets of those who have not called for long. However often it is
//! interrupted, it goes on.

use std::time::Duration;

use actix_web::web::Data;
use actors::domain::ids::{FileId, RoomId};
use uuid::Uuid;

use crate::http::Rest;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(60);
/// After what time an upload that no message carries is given up.
const UNSENT: Duration = Duration::from_secs(24 * 60 * 60);
/// After what time a move of a read mark in a large room goes.
const MOVED: Duration = Duration::from_secs(24 * 60 * 60);
/// Files of one round.
const FILES_MAX: i64 = 500;

/// Works until it is dropped.
pub async fn work(rest: Data<Rest>) {
    let mut rounds = tokio::time::interval(EVERY);
    let first = RoomId(Uuid::nil());
    let mut after = first;
    loop {
        rounds.tick().await;
        rest.budgets.forget_idle();
        if let Err(error) = erase_files(&rest).await {
            tracing::warn!(%error, "files were not taken away; the next round tries again");
        }
        if let Err(error) = rest.store.forget_families().await {
            tracing::warn!(%error, "sign-ins that have expired stay; the next round tries again");
        }
        match rest.store.forget_read_moves(after, MOVED).await {
            Ok(last) => after = last.unwrap_or(first),
            Err(error) => tracing::warn!(%error, "old moves of read marks stay; the next round tries again"),
        }
    }
}

async fn erase_files(rest: &Rest) -> anyhow::Result<()> {
    rest.uploads.sweep().await?;
    rest.store.give_up_unsent_files(UNSENT).await?;
    let files: Vec<FileId> = rest.store.files_to_erase(FILES_MAX).await?;
    let mut erased = Vec::with_capacity(files.len());
    for file in files {
        match rest.uploads.delete(file.0).await {
            Ok(()) => erased.push(file),
            Err(error) => tracing::warn!(%file, %error, "a file can't be taken away"),
        }
    }
    if !erased.is_empty() {
        rest.store.erased_files(&erased).await?;
        tracing::info!(files = erased.len(), "files of deleted messages are gone");
    }
    Ok(())
}

//! Erasing a user: the user leaves every room and, if asked for, everything that user wrote is deleted.
//!
//! Each step may be repeated, so a failed erasure is completed by calling again.

use actors::domain::command::{Command, Principal, Refusal, RoomChange};
use actors::domain::ids::{RoomId, Seq, UserId};
use actors::error::EngineError;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

use crate::http::error::ApiError;
use crate::http::state::ApiState;

/// Commands of one erasure in flight at once: enough to fill batches, few enough to leave room for others.
const COMMANDS_AT_ONCE: usize = 32;
/// How often the user's rooms are listed: nobody is added to a room once the account has ended, so the second
/// list holds at most what was being committed during the first, and the third is empty.
const EXPEL_ROUNDS_MAX: usize = 5;
/// Messages that are listed at once.
const MESSAGES_PER_PAGE: i64 = 1_000;

/// Removes a user from all rooms, including rooms that a batch adds the user to meanwhile.
///
/// # Errors
/// 503, and what the engine answers.
pub(super) async fn expel(state: &ApiState, user: UserId) -> Result<(), ApiError> {
    for _ in 0..EXPEL_ROUNDS_MAX {
        let rooms = state.store.room_ids_of(user).await?;
        if rooms.is_empty() {
            return Ok(());
        }
        apply(state, rooms.into_iter().map(|room| (room, RoomChange::Expel { user })).collect()).await?;
    }
    tracing::warn!(%user, "an erased user is added to rooms again and again");
    Err(EngineError::Unavailable.into())
}

/// Erases the messages and files of a user who is out of all rooms, page by page.
///
/// # Errors
/// 503, and what the engine answers; what was erased until then stays erased.
pub(super) async fn erase_messages(state: &ApiState, user: UserId) -> Result<(), ApiError> {
    let mut after = (RoomId(Uuid::nil()), Seq::START);
    loop {
        let page = state.store.messages_of_sender(user, after, MESSAGES_PER_PAGE).await?;
        let Some((room, seq, _)) = page.last() else { break };
        after = (*room, *seq);
        let erase = |message| RoomChange::Erase { message };
        apply(state, page.iter().map(|(room, _, message)| (*room, erase(*message))).collect()).await?;
    }
    Ok(state.store.erase_messages_in_deleted_rooms(user).await?)
}

/// Executes changes as the host application. What is gone already counts as done.
async fn apply(state: &ApiState, changes: Vec<(RoomId, RoomChange)>) -> Result<(), ApiError> {
    let commands = changes.into_iter().map(|(room, change)| {
        let engine = state.engine.clone();
        async move {
            match engine.command(Command { room, by: Principal::Service, change }).await {
                Ok(_)
                | Err(EngineError::Refused(
                    Refusal::RoomNotFound | Refusal::MessageNotFound | Refusal::ParticipantNotFound,
                )) => Ok(()),
                Err(error) => Err(ApiError::from(error)),
            }
        }
    });
    stream::iter(commands).buffer_unordered(COMMANDS_AT_ONCE).try_collect().await
}

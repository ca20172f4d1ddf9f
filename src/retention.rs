//! Deletes messages that the rules of retention don't keep any longer. It runs on every node: a message is deleted under
//! its room's lock, so that whichever node comes first does it and the others find it gone.

use std::time::Duration;

use actix_web::web::Data;
use actors::domain::command::{Command, Principal, Refusal, RoomChange};
use actors::domain::ids::RoomId;
use actors::error::EngineError;
use actors::ports::store::StoreError;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::sleep;
use uuid::Uuid;

use crate::http::ApiState;
use crate::store::postgres::record::retention::DueMessage;

/// The pause before it looks at the next rooms, and the one while there is much to delete.
const PAUSE: Duration = Duration::from_secs(10);
const SHORT_PAUSE: Duration = Duration::from_secs(1);
/// How many messages are deleted at a time: enough to fill batches, few enough to leave room for what users send.
const CONCURRENT: usize = 16;

/// Runs until it is dropped.
pub async fn run(state: Data<ApiState>) {
    let mut after = RoomId(Uuid::nil());
    loop {
        let pause = match sweep(&state, after).await {
            Ok(Swept { last, has_more }) => {
                after = last;
                if has_more { SHORT_PAUSE } else { PAUSE }
            }
            Err(error) => {
                tracing::debug!(%error, "messages were not deleted by retention; the next round tries again");
                PAUSE
            }
        };
        sleep(pause).await;
    }
}

/// What came of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// The room to go on after.
    pub last: RoomId,
    /// Whether some of its rooms have more to delete.
    pub has_more: bool,
}

/// Deletes what is due in some rooms after `after`.
///
/// # Errors
/// [`StoreError`]; doing it again is safe.
pub async fn sweep(state: &ApiState, after: RoomId) -> Result<Swept, StoreError> {
    let round = state.store.retention_round(after).await?;
    let deletions = round.due.iter().map(|due| delete(state, *due));
    stream::iter(deletions).buffer_unordered(CONCURRENT).try_collect::<()>().await?;
    state.store.finish_retention_round(&round).await?;
    if !round.due.is_empty() {
        tracing::info!(messages = round.due.len(), "messages were deleted by retention");
    }
    let deleted = u64::try_from(round.due.len()).unwrap_or(u64::MAX);
    metrics::counter!("chat_retention_deleted_total").increment(deleted);
    Ok(Swept { last: round.last.unwrap_or(RoomId(Uuid::nil())), has_more: round.has_more })
}

async fn delete(state: &ApiState, due: DueMessage) -> Result<(), StoreError> {
    let DueMessage { room, is_room_deleted, message } = due;
    if is_room_deleted {
        return state.store.expire_in_deleted_room(room, message).await;
    }
    let change = RoomChange::Expire { message };
    match state.engine.command(Command { room, by: Principal::Service, change }).await {
        Ok(_) | Err(EngineError::Refused(Refusal::MessageNotFound)) => Ok(()),
        Err(error) => Err(StoreError::Unavailable(error.to_string())),
    }
}

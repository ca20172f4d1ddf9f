//! What only the caller sees: drafts, saved messages, reminders, messages to be sent later.

pub mod drafts;
pub mod reminders;
pub mod saved;
pub mod scheduled;

use actix_web::HttpResponse;
use actors::domain::command::Refusal;
use actors::domain::ids::{MessageId, PersonalSeq, RoomId, UserId};
use serde::Serialize;

use super::error::ApiError;
use super::page::Page;
use super::state::ApiState;

/// The header that carries the position of the personal log that a page is as of.
const PERSONAL_POSITION: &str = "X-Personal-Position";

/// Responds with a page that shows what there was at `head`.
pub(super) fn page_response<T: Serialize>(head: PersonalSeq, page: Page<T>) -> HttpResponse {
    HttpResponse::Ok().insert_header((PERSONAL_POSITION, head.0)).json(page)
}

/// Checks that a message that is to be replied to is one of the room, and that the user may read it.
async fn require_reply_target(
    state: &ApiState,
    user: UserId,
    room: RoomId,
    target: Option<MessageId>,
) -> Result<(), ApiError> {
    let Some(target) = target else { return Ok(()) };
    let found = state.store.message(user, target).await?;
    if found.is_some_and(|found| found.message.room == room) {
        Ok(())
    } else {
        Err(Refusal::ReplyTargetNotFound.into())
    }
}

/// Tells the user's devices of a change, if there was any.
pub(super) fn notify(state: &ApiState, user: UserId, head: Option<PersonalSeq>) {
    if let Some(head) = head {
        state.engine.personal_log_grown(user, head);
    }
}

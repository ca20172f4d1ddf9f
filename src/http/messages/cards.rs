//! Changing the card of a message: ticking, voting, closing.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path};
use actors::domain::card::{CARD_ID_CHARS_MAX, CardChange};
use actors::domain::command::RoomChange;
use utoipa::ToSchema;

use super::view::{ApiMessage, MessagePresenter};
use super::{command, find_message};
use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::{Fields, FromFields};
use crate::http::state::ApiState;

/// A change of a card: exactly one of `item`, `choice` and `close`.
#[derive(ToSchema)]
#[schema(as = ChangeCard)]
pub struct ChangeCardRequest {
    /// The id of an item to tick.
    #[schema(value_type = Option<String>, max_length = 40)]
    item: Option<String>,
    /// The id of a choice to vote for.
    #[schema(value_type = Option<String>, max_length = 40)]
    choice: Option<String>,
    /// Whether the tick or the vote shall be there; true unless it is given.
    #[schema(value_type = Option<bool>)]
    on: bool,
    /// True: closes one's own poll.
    #[schema(value_type = Option<bool>)]
    #[expect(dead_code, reason = "validated, and then it is what remains")]
    close: bool,
}

impl FromFields for ChangeCardRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let item = fields.optional_text("item", CARD_ID_CHARS_MAX);
        let choice = fields.optional_text("choice", CARD_ID_CHARS_MAX);
        let on = fields.optional_flag("on").unwrap_or(true);
        let close = fields.optional_flag("close").unwrap_or(false);
        let is_given = |name| fields.has(name) && !fields.is_null(name);
        let (has_button, has_one) = (
            is_given("button"),
            [is_given("item"), is_given("choice"), close].into_iter().filter(|it| *it).count() == 1,
        );
        // Only bots send buttons, and there are none yet.
        if has_button {
            fields.add_error("button", "This card has no such button");
        } else if !has_one {
            fields.add_error("item", "Give one of item, choice and close.");
        }
        Some(Self { item, choice, on, close })
    }
}

impl ChangeCardRequest {
    fn change(self) -> CardChange {
        match (self.item, self.choice) {
            (Some(id), _) => CardChange::Item { id, on: self.on },
            (None, Some(id)) => CardChange::Choice { id, on: self.on },
            (None, None) => CardChange::Close,
        }
    }
}

/// Ticks an item, votes for a choice, or closes one's own poll. Again: nothing new.
#[utoipa::path(post, path = "/api/chat/messages/{id}/card/", tag = "messages",
    params(("id" = uuid::Uuid, Path)), request_body = ChangeCardRequest,
    responses((status = 200, body = ApiMessage)))]
pub async fn change(
    request: HttpRequest,
    state: Data<ApiState>,
    caller: Caller,
    id: Path<String>,
    body: RequestBody,
) -> Result<Json<ApiMessage>, ApiError> {
    let message = find_message(&state, &caller, &id).await?;
    let change = body.object::<ChangeCardRequest>().await?.change();
    let change = RoomChange::ChangeCard { message: message.message.id, change };
    command(&state, &caller, &message, change).await?;
    let changed = find_message(&state, &caller, &id).await?;
    Ok(Json(MessagePresenter::new(&request, &state, &caller).present(changed)))
}

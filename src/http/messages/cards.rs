//! Changing the card of a message: ticking, voting, closing, and pressing its buttons.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path};
use actors::domain::card::{CARD_ID_CHARS_MAX, CardChange};
use actors::domain::command::RoomChange;
use actors::domain::ids::{ClientId, MessageId};
use utoipa::ToSchema;

use super::view::{ApiMessage, MessagePresenter};
use super::{command, find_message};
use crate::http::body::RequestBody;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::fields::{Fields, FromFields};
use crate::http::state::ApiState;

/// A change of a card, or a press of a button on it: exactly one of `item`, `choice`, `button` and `close`.
#[derive(ToSchema)]
#[schema(as = ChangeCard)]
pub struct ChangeCardRequest {
    /// The id of an item to tick.
    #[schema(value_type = Option<String>, max_length = 40)]
    item: Option<String>,
    /// The id of a choice to vote for.
    #[schema(value_type = Option<String>, max_length = 40)]
    choice: Option<String>,
    /// The id of a button to press.
    #[schema(value_type = Option<String>, max_length = 40)]
    button: Option<String>,
    /// What the client calls the press, so that a retry presses nothing again.
    #[schema(value_type = Option<uuid::Uuid>)]
    client_id: Option<ClientId>,
    /// Whether the tick or the vote shall be there; true unless it is given, and always for a button.
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
        let button = fields.optional_text("button", CARD_ID_CHARS_MAX);
        let client_id = fields.uuid("client_id").map(ClientId);
        let on = fields.optional_flag("on").unwrap_or(true);
        let close = fields.optional_flag("close").unwrap_or(false);
        let is_given = |name| fields.has(name) && !fields.is_null(name);
        let given = [is_given("item"), is_given("choice"), is_given("button"), close];
        let presses = is_given("button");
        if given.into_iter().filter(|it| *it).count() != 1 {
            fields.add_error("item", "Give one of item, choice, button and close.");
        }
        if presses && !on {
            fields.add_error("on", "A button is pressed and nothing else.");
        }
        Some(Self { item, choice, button, client_id, on, close })
    }
}

impl ChangeCardRequest {
    fn change(self, message: MessageId) -> RoomChange {
        let change = match (self.item, self.choice, self.button) {
            (Some(id), ..) => CardChange::Item { id, on: self.on },
            (None, Some(id), _) => CardChange::Choice { id, on: self.on },
            (None, None, Some(button)) => {
                return RoomChange::Press { message, button, client_id: self.client_id };
            }
            (None, None, None) => CardChange::Close,
        };
        RoomChange::ChangeCard { message, change }
    }
}

/// Ticks an item, votes for a choice, presses a button, or closes one's own poll. Again: nothing new, and for a button
/// under the same `client_id` alone.
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
    let change = body.object::<ChangeCardRequest>().await?.change(message.message.id);
    command(&state, &caller, &message, change).await?;
    let changed = find_message(&state, &caller, &id).await?;
    Ok(Json(MessagePresenter::new(&request, &state, &caller).present(changed)))
}

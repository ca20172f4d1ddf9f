//! Reacting to a message, and taking a reaction back.

use actix_web::web::{Data, Json, Path};
use actors::domain::command::RoomChange;
use actors::domain::emoji;
use actors::domain::ids::UserId;
use actors::domain::message_extras::Reaction;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{command, find_message};
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::http::state::ApiState;
use crate::store::postgres::queries::MessageDetails;

/// All reactions to a message with one emoji.
#[derive(Serialize, ToSchema)]
#[schema(as = Reaction)]
pub struct ApiReaction {
    /// The emoji.
    pub emoji: String,
    /// How many people reacted with it.
    pub count: i64,
    /// The ids of some of them, at most 20: the first, as long as nobody takes a reaction back.
    pub users: Vec<i64>,
    /// Whether the caller is among them all.
    pub mine: bool,
}

impl ApiReaction {
    /// Shows `reaction` to `viewer`; `own` holds the viewer's own emojis as far as reactions don't name the viewer.
    #[must_use]
    pub fn new(reaction: &Reaction, viewer: Option<UserId>, own: &[String]) -> Self {
        let is_named = viewer.is_some_and(|viewer| reaction.users.contains(&viewer));
        Self {
            emoji: reaction.emoji.clone(),
            count: reaction.count,
            users: reaction.users.iter().map(|user| user.0).collect(),
            mine: is_named || own.contains(&reaction.emoji),
        }
    }

    /// Shows all reactions of a message to `viewer`.
    #[must_use]
    pub fn all(details: &MessageDetails, viewer: Option<UserId>) -> Vec<Self> {
        let reactions = details.message.extras.reactions.iter();
        reactions.map(|reaction| Self::new(reaction, viewer, &details.own_reactions)).collect()
    }
}

/// A message's reactions.
#[derive(Serialize, ToSchema)]
#[schema(as = Reactions)]
pub struct ApiReactions {
    /// The message's id.
    pub message_id: Uuid,
    /// Its reactions, in the order in which each emoji first appeared.
    pub reactions: Vec<ApiReaction>,
}

/// Reacts to a message with an emoji. Again: nothing new.
#[utoipa::path(put, path = "/api/chat/messages/{id}/reactions/{emoji}/", tag = "messages",
    params(("id" = uuid::Uuid, Path), ("emoji" = String, Path, description = "One emoji, a whole sequence")),
    responses((status = 200, body = ApiReactions)))]
pub async fn put(
    state: Data<ApiState>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<Json<ApiReactions>, ApiError> {
    react(&state, &caller, &path, true).await
}

/// Takes back a reaction of one's own. Again: nothing new.
#[utoipa::path(delete, path = "/api/chat/messages/{id}/reactions/{emoji}/", tag = "messages",
    params(("id" = uuid::Uuid, Path), ("emoji" = String, Path, description = "One emoji, a whole sequence")),
    responses((status = 200, body = ApiReactions)))]
pub async fn delete(
    state: Data<ApiState>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<Json<ApiReactions>, ApiError> {
    react(&state, &caller, &path, false).await
}

async fn react(
    state: &ApiState,
    caller: &Caller,
    (id, emoji): &(String, String),
    on: bool,
) -> Result<Json<ApiReactions>, ApiError> {
    let details = find_message(state, caller, id).await?;
    let emoji = emoji::parse(emoji).ok_or_else(|| ApiError::field("emoji", "Enter one emoji."))?;
    command(state, caller, &details, RoomChange::React { message: details.message.id, emoji, on }).await?;
    let details = find_message(state, caller, id).await?;
    let reactions = ApiReaction::all(&details, caller.viewer());
    Ok(Json(ApiReactions { message_id: details.message.id.0, reactions }))
}

//! The caller's unread counts over all rooms.

use std::collections::BTreeMap;

use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::error::ApiError;
use super::state::ApiState;

/// Unread messages.
#[derive(Serialize, ToSchema)]
#[schema(as = Unread)]
pub struct UnreadCounts {
    /// Over all rooms that are neither muted nor archived.
    pub unread_count: i64,
    /// How many unread messages mention the caller, over all rooms that are not archived.
    pub mention_count: i64,
    /// Of each room, by its id.
    pub rooms: BTreeMap<String, i64>,
}

/// Counts what the caller has not read.
#[utoipa::path(get, path = "/api/chat/unread/", tag = "rooms", responses((status = 200, body = UnreadCounts)))]
pub async fn get(state: Data<ApiState>, caller: Caller) -> Result<Json<UnreadCounts>, ApiError> {
    let rooms = state.store.unread_rooms(caller.user_id()?).await?;
    Ok(Json(UnreadCounts {
        unread_count: rooms.iter().filter(|room| room.counts_toward_total).map(|room| room.unread).sum(),
        mention_count: rooms.iter().filter(|room| !room.is_archived).map(|room| room.mentions).sum(),
        rooms: rooms.iter().map(|room| (room.room.to_string(), room.unread)).collect(),
    }))
}

//! What a person has not read, over all rooms.

use std::collections::BTreeMap;

use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::error::ApiError;
use super::rest::Rest;

/// Unread messages.
#[derive(Serialize, ToSchema)]
pub struct Unread {
    /// Over all rooms that are neither muted nor archived.
    pub unread_count: i64,
    /// Of each room, by its id.
    pub rooms: BTreeMap<String, i64>,
}

/// Counts what the caller has not read.
#[utoipa::path(get, path = "/api/chat/unread/", tag = "rooms", responses((status = 200, body = Unread)))]
pub async fn get(rest: Data<Rest>, caller: Caller) -> Result<Json<Unread>, ApiError> {
    let rooms = rest.store.unread_rooms(caller.user()?).await?;
    Ok(Json(Unread {
        unread_count: rooms.iter().filter(|room| room.counts).map(|room| room.unread).sum(),
        rooms: rooms.iter().map(|room| (room.room.to_string(), room.unread)).collect(),
    }))
}

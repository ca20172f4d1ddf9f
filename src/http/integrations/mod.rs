//! Other applications: what they are told (webhooks and the list of changes), and what they post.

pub mod changes;
pub mod deliveries;
pub mod hooks;
pub mod incoming;
pub mod webhook_requests;
pub mod webhooks;

use actors::domain::ids::RoomId;
use actors::domain::room::RoomType;
use uuid::Uuid;

use super::caller::Caller;
use super::error::ApiError;
use super::state::ApiState;
use crate::store::postgres::integrations::IntegrationManager;

/// The most rooms that one integration names.
const ROOMS_MAX: usize = 100;

/// What `caller` may set up.
fn manager(caller: &Caller) -> Result<IntegrationManager, ApiError> {
    if caller.is_service() {
        return Ok(IntegrationManager::Host);
    }
    let user = caller.user_id()?;
    Ok(if caller.is_staff() { IntegrationManager::Staff(user) } else { IntegrationManager::Admin(user) })
}

/// Checks that `manager` may set up an integration of `rooms`; of none means of all.
async fn check_rooms(
    state: &ApiState,
    manager: IntegrationManager,
    rooms: &[Uuid],
    allows: impl Fn(RoomType) -> bool,
) -> Result<(), ApiError> {
    if rooms.is_empty() && !manager.is_for_all_rooms() {
        return Err(ApiError::forbidden());
    }
    let ids: Vec<RoomId> = rooms.iter().copied().map(RoomId).collect();
    let found = state.store.managed_rooms(&ids, manager.user()).await?;
    let is_admin = |room: &Uuid| found.get(room).is_some_and(|room| room.is_admin);
    if !manager.is_for_all_rooms() && !rooms.iter().all(is_admin) {
        return Err(ApiError::forbidden());
    }
    let unknown: Vec<String> =
        rooms.iter().filter(|room| !found.contains_key(*room)).map(Uuid::to_string).collect();
    if !unknown.is_empty() {
        return Err(ApiError::field("rooms", format!("No such rooms: {}.", unknown.join(", "))));
    }
    if found.values().any(|room| !allows(room.room_type)) {
        return Err(ApiError::field("rooms", "A conversation of two has no integrations."));
    }
    Ok(())
}

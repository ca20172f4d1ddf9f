//! REST: the table of routes, and one module per resource with its handlers, requests and responses.
//!
//! Reads go from a handler to the store and ask no actor. Writes go to the engine and are answered after their
//! commit. The engine decides what a caller may do in a room; handlers check in advance only what the
//! contract reports differently.

mod api_page;
pub mod assets;
pub mod body;
pub mod bots;
pub mod caller;
mod disposition;
pub mod endpoint;
pub mod error;
pub mod fields;
pub mod files;
pub mod health;
pub mod in_flight;
pub mod integrations;
pub mod invitations;
pub mod json;
pub mod messages;
pub mod notifications;
pub mod openapi;
pub mod page;
pub(crate) mod params;
pub mod participants;
pub mod personal;
pub mod query;
pub mod rate_limits;
pub mod record;
pub mod reports;
pub mod request_log;
pub mod rooms;
pub mod schema;
pub mod state;
pub mod subjects;
pub mod tokens;
pub mod typing;
pub mod unread;
pub mod uploads;
pub mod users;

use actix_web::web::{self, Data, ServiceConfig};

pub use self::caller::{Caller, profile_claims};
pub use self::endpoint::Endpoint;
use self::endpoint::at;
pub use self::error::ApiError;
pub use self::in_flight::InFlight;
pub use self::rate_limits::RateLimits;
pub use self::state::{ApiSettings, ApiState};

/// The path of the OpenAPI document.
const OPENAPI: &str = "/api/openapi.json";

/// Lists all routes that the OpenAPI document describes. Paths without a parameter come before those with one.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        at("/api/chat/rooms/").get(rooms::list).post(rooms::create),
        at("/api/chat/rooms/{id}/").get(rooms::get).put(rooms::put).patch(rooms::patch).delete(rooms::delete),
        at("/api/chat/rooms/{id}/archive/").post(rooms::archive),
        at("/api/chat/rooms/{id}/unarchive/").post(rooms::unarchive),
        at("/api/chat/rooms/{id}/leave/").post(rooms::leave),
        at("/api/chat/rooms/{id}/mark_read/").post(rooms::marking::mark_read),
        at("/api/chat/rooms/{id}/mark_unread/").post(rooms::marking::mark_unread),
        at("/api/chat/rooms/{id}/stats/").get(rooms::stats),
        at("/api/chat/rooms/{id}/events/").get(rooms::log::events),
        at("/api/chat/rooms/{id}/at/").get(record::room_at::get),
        at("/api/chat/rooms/{id}/pins/").get(messages::pins::list),
        at("/api/chat/rooms/{id}/draft/").put(personal::drafts::put),
        at("/api/chat/drafts/").get(personal::drafts::list),
        at("/api/chat/saved/").get(personal::saved::list),
        at("/api/chat/reminders/").get(personal::reminders::list).post(personal::reminders::create),
        at("/api/chat/reminders/{id}/").get(personal::reminders::get).delete(personal::reminders::delete),
        at("/api/chat/scheduled/").get(personal::scheduled::list).post(personal::scheduled::create),
        at("/api/chat/scheduled/{id}/")
            .get(personal::scheduled::get)
            .patch(personal::scheduled::patch)
            .delete(personal::scheduled::delete),
        at("/api/chat/messages/").get(messages::list).post(messages::send::create),
        at("/api/chat/messages/search/").get(messages::search::search),
        at("/api/chat/messages/forward/").post(messages::forwarding::create),
        at("/api/chat/messages/{id}/")
            .get(messages::get)
            .put(messages::put)
            .patch(messages::patch)
            .delete(messages::deletion::delete),
        at("/api/chat/messages/{id}/mark_read/").post(messages::mark_read),
        at("/api/chat/messages/{id}/link_previews/").get(messages::link_previews::get),
        at("/api/chat/messages/{id}/card/").post(messages::cards::change),
        at("/api/chat/messages/{id}/ack/").post(messages::acks::create),
        at("/api/chat/messages/{id}/pin/").put(messages::pins::put).delete(messages::pins::delete),
        at("/api/chat/messages/{id}/reactions/{emoji}/")
            .put(messages::reactions::put)
            .delete(messages::reactions::delete),
        at("/api/chat/messages/{id}/versions/").get(messages::versions::list),
        at("/api/chat/messages/{id}/saved/").put(personal::saved::put).delete(personal::saved::delete),
        at("/api/chat/messages/{id}/why/").get(notifications::why::message),
        at("/api/chat/notifications/").get(notifications::feed::list),
        at("/api/chat/notifications/read/").post(notifications::feed::read),
        at("/api/chat/notifications/settings/")
            .get(notifications::settings::get)
            .put(notifications::settings::put),
        at("/api/chat/push/key/").get(notifications::push::key),
        at("/api/chat/push/subscriptions/").post(notifications::push::create),
        at("/api/chat/push/subscriptions/{id}/").delete(notifications::push::delete),
        at("/api/chat/threads/").get(messages::threads::list),
        at("/api/chat/participants/").get(participants::list).post(participants::create),
        at("/api/chat/participants/{id}/")
            .get(participants::get)
            .patch(participants::patch)
            .delete(participants::delete),
        at("/api/chat/participants/{id}/mute/").post(participants::mute),
        at("/api/chat/reports/").get(reports::list).post(reports::create),
        at("/api/chat/reports/{id}/").get(reports::get).patch(reports::patch),
        at("/api/chat/audit/").get(record::audit::list),
        at("/api/chat/holds/").get(record::holds::list).post(record::holds::create),
        at("/api/chat/holds/{id}/").delete(record::holds::delete),
        at("/api/chat/holds/{id}/messages/").get(record::holds::messages),
        at("/api/chat/exports/").post(record::exports::create),
        at("/api/chat/exports/{id}/").get(record::exports::get),
        at("/api/chat/exports/{id}/file/").get(record::exports::file),
        at("/api/chat/retention/").get(record::retention::get).put(record::retention::put),
        at("/api/chat/retention/preview/").post(record::retention::preview),
        at("/api/chat/invitations/").get(invitations::list).post(invitations::create),
        at("/api/chat/invitations/accept/").post(invitations::accept),
        at("/api/chat/invitations/{id}/").delete(invitations::delete),
        at("/api/chat/typing/").get(typing::list),
        at("/api/chat/users/").get(users::list),
        at("/api/chat/users/me/").get(users::me),
        at("/api/chat/users/sync/").post(users::sync),
        at("/api/chat/users/{id}/block/").put(users::blocks::put).delete(users::blocks::delete),
        at("/api/chat/blocks/").get(users::blocks::list),
        at("/api/chat/users/{id}/").get(users::get).put(users::put).delete(users::delete),
        at("/api/chat/tasks/{id}/room/").put(subjects::put_task),
        at("/api/chat/properties/{id}/room/").put(subjects::put_property),
        at("/api/chat/rooms/{id}/commands/").post(bots::commands::give),
        at("/api/chat/commands/").get(bots::commands::list).put(bots::commands::put),
        at("/api/chat/commands/answer/").post(bots::commands::answer),
        at("/api/chat/bots/").get(bots::list).post(bots::create),
        at("/api/chat/bots/{id}/").delete(bots::delete),
        at("/api/chat/bots/{id}/token/").post(bots::replace_token),
        at("/api/chat/changes/").get(integrations::changes::list),
        at("/api/chat/webhooks/").get(integrations::webhooks::list).post(integrations::webhooks::create),
        at("/api/chat/webhooks/{id}/")
            .get(integrations::webhooks::get)
            .patch(integrations::webhooks::patch)
            .delete(integrations::webhooks::delete),
        at("/api/chat/webhooks/{id}/deliveries/").get(integrations::deliveries::list),
        at("/api/chat/webhooks/{id}/replay/").post(integrations::webhooks::replay),
        at("/api/chat/incoming/").get(integrations::incoming::list).post(integrations::incoming::create),
        at("/api/chat/incoming/{id}/")
            .get(integrations::incoming::get)
            .delete(integrations::incoming::delete),
        at("/api/chat/hooks/{secret}/").post(integrations::hooks::post),
        at("/api/chat/unread/").get(unread::get),
        at("/api/chat/unread/why/").get(notifications::why::unread),
        at("/api/chat/files/{id}/").get(files::get),
        at("/api/chat/uploads/").options(uploads::options).post(uploads::create),
        at("/api/chat/uploads/{id}/")
            .options(uploads::options)
            .head(uploads::head)
            .patch(uploads::patch)
            .delete(uploads::delete),
        at("/api/token/").post(tokens::obtain),
        at("/api/token/refresh/").post(tokens::refresh),
        at("/api/token/verify/").post(tokens::verify),
        at("/api/token/revoke/").post(tokens::revoke),
        at("/health/live").get(health::live),
        at("/health/ready").get(health::ready),
        at("/metrics").get(health::metrics),
    ]
}

/// Registers REST, the OpenAPI document and the page that shows it.
pub fn routes(config: &mut ServiceConfig, state: Data<ApiState>) {
    // Without built-in accounts nobody can sign in here.
    let has_accounts = state.token_issuer.is_some();
    config.app_data(state);
    for endpoint in endpoints() {
        if has_accounts || !endpoint.path.starts_with("/api/token/") {
            endpoint.register(config);
        }
    }
    for path in ["/ws/chat/", "/ws/chat/{room}/"] {
        // Upgrades are handled before routing, so only other requests get here.
        at(path).get(|| async { Err::<&str, _>(ApiError::UpgradeRequired) }).register(config);
    }
    api_page::routes(config);
    at(OPENAPI).get(|| async { web::Json(openapi::document()) }).register(config);
    config.default_service(web::to(error::unknown_path));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_describes_each_route_and_no_other() {
        let routes: BTreeSet<(String, String)> = endpoints()
            .iter()
            .flat_map(|endpoint| {
                endpoint.methods.iter().map(|method| (endpoint.path.to_owned(), method.to_string()))
            })
            .collect();
        let mut described = BTreeSet::new();
        let json = serde_json::to_value(openapi::document()).expect("plain data");
        for (path, item) in json["paths"].as_object().expect("paths") {
            for method in item.as_object().expect("operations").keys() {
                described.insert((path.clone(), method.to_uppercase()));
            }
        }
        assert_eq!(routes, described);
    }
}

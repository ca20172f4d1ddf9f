//! REST: all routes on one screen, and one file a resource with its handlers, requests and answers.
//!
//! Reads go from a handler to the store and ask no actor; writes go to the engine and are answered
//! after their commit. Nothing here decides what someone may do in a room but what the contract wants
//! told apart before a command is tried.

pub mod assets;
pub mod body;
pub mod budgets;
pub mod caller;
mod disposition;
pub mod endpoint;
pub mod error;
pub mod fields;
pub mod files;
pub mod health;
pub mod in_flight;
pub mod json;
pub mod messages;
pub mod openapi;
pub mod page;
pub mod participants;
pub mod query;
pub mod rest;
pub mod rooms;
pub mod subjects;
pub mod tokens;
pub mod typing;
pub mod unread;
pub mod users;
pub mod watch;

use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, Data, ServiceConfig};
use utoipa_swagger_ui::{Config, SwaggerUi};

pub use self::budgets::Budgets;
pub use self::caller::{Caller, names_in};
pub use self::endpoint::Endpoint;
use self::endpoint::at;
pub use self::error::ApiError;
pub use self::in_flight::InFlight;
pub use self::rest::{Rest, RestSettings};

/// Where the OpenAPI document is.
const OPENAPI: &str = "/api/openapi.json";
/// What the page that shows it may do: nothing that isn't of this server, and in no frame. It sets styles by
/// attributes.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// All routes that the OpenAPI document describes. Paths without a parameter stand before those with one.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        at("/api/chat/rooms/").get(rooms::list).post(rooms::create),
        at("/api/chat/rooms/{id}/").get(rooms::get).put(rooms::put).patch(rooms::patch).delete(rooms::delete),
        at("/api/chat/rooms/{id}/archive/").post(rooms::archive),
        at("/api/chat/rooms/{id}/unarchive/").post(rooms::unarchive),
        at("/api/chat/rooms/{id}/leave/").post(rooms::leave),
        at("/api/chat/rooms/{id}/mark_read/").post(rooms::mark_read),
        at("/api/chat/rooms/{id}/stats/").get(rooms::stats),
        at("/api/chat/rooms/{id}/events/").get(rooms::events),
        at("/api/chat/messages/").get(messages::list).post(messages::create),
        at("/api/chat/messages/search/").get(messages::search),
        at("/api/chat/messages/{id}/")
            .get(messages::get)
            .put(messages::put)
            .patch(messages::patch)
            .delete(messages::deleting::delete),
        at("/api/chat/messages/{id}/mark_read/").post(messages::mark_read),
        at("/api/chat/participants/").get(participants::list).post(participants::create),
        at("/api/chat/participants/{id}/")
            .get(participants::get)
            .patch(participants::patch)
            .delete(participants::delete),
        at("/api/chat/participants/{id}/mute/").post(participants::mute),
        at("/api/chat/typing/").get(typing::list),
        at("/api/chat/users/").get(users::list),
        at("/api/chat/users/me/").get(users::me),
        at("/api/chat/users/sync/").post(users::sync),
        at("/api/chat/users/{id}/").put(users::put).delete(users::delete),
        at("/api/chat/tasks/{id}/room/").put(subjects::put_task),
        at("/api/chat/properties/{id}/room/").put(subjects::put_property),
        at("/api/chat/unread/").get(unread::get),
        at("/api/chat/files/{id}/").get(files::get),
        at("/api/token/").post(tokens::obtain),
        at("/api/token/refresh/").post(tokens::refresh),
        at("/api/token/verify/").post(tokens::verify),
        at("/api/token/revoke/").post(tokens::revoke),
        at("/health/live").get(health::live),
        at("/health/ready").get(health::ready),
        at("/metrics").get(health::metrics),
    ]
}

/// Puts all of REST, its description and the page that shows that into an application of actix-web.
pub fn routes(config: &mut ServiceConfig, rest: Data<Rest>) {
    // Without accounts of its own this server has no place to sign in.
    let has_accounts = rest.mint.is_some();
    config.app_data(rest);
    for endpoint in endpoints() {
        if has_accounts || !endpoint.path.starts_with("/api/token/") {
            endpoint.register(config);
        }
    }
    for path in ["/ws/chat/", "/ws/chat/{room}/"] {
        // What is no upgrade comes by here; an upgrade never does.
        at(path).get(|| async { Err::<&str, _>(ApiError::UpgradeRequired) }).register(config);
    }
    let docs = DefaultHeaders::new()
        .add((CONTENT_SECURITY_POLICY, DOCS_POLICY))
        .add((X_FRAME_OPTIONS, "DENY"))
        .add((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((REFERRER_POLICY, "no-referrer"));
    let page = SwaggerUi::new("/{_:.*}").config(Config::new([OPENAPI]));
    config.service(web::scope("/api/docs").wrap(docs).service(page));
    at(OPENAPI).get(|| async { web::Json(openapi::document()) }).register(config);
    config.default_service(web::to(error::no_such_path));
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

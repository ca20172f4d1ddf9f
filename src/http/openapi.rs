//! The OpenAPI document, assembled from the handlers, their requests and their responses.
//!
//! The error responses that every route shares are added here, once.

#![allow(unused_qualifications, reason = "in the code that the derive generates")]

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::schema::{MessageTypeParam, Number, ReplayStartParam, RoomTypeParam, Second, SeqParam};
use super::{
    bots, files, health, integrations, invitations, messages, notifications, participants, personal, record,
    reports, rooms, subjects, tokens, typing, unread, uploads, users,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "AriStay chat", description = "Rooms, messages and people of the chat."),
    modifiers(&SharedParts),
    security(("bearer" = [])),
    components(schemas(
        super::error::ErrorBody, Number, SeqParam, Second, ReplayStartParam, RoomTypeParam, MessageTypeParam
    )),
    paths(
        rooms::list, rooms::create, rooms::get, rooms::put, rooms::patch, rooms::delete,
        rooms::archive, rooms::unarchive, rooms::leave, rooms::marking::mark_read,
        rooms::marking::mark_unread, rooms::stats, rooms::log::events,
        messages::list, messages::send::create, messages::search::search, messages::get, messages::put,
        messages::patch, messages::deletion::delete, messages::mark_read, messages::versions::list,
        messages::reactions::put, messages::reactions::delete, messages::cards::change,
        messages::pins::list, messages::pins::put, messages::pins::delete, messages::forwarding::create,
        messages::threads::list, messages::link_previews::get, messages::acks::create,
        participants::list, participants::create, participants::get, participants::patch,
        participants::delete, participants::mute,
        personal::drafts::put, personal::drafts::list,
        personal::saved::put, personal::saved::delete, personal::saved::list,
        personal::reminders::create, personal::reminders::list, personal::reminders::get,
        personal::reminders::delete,
        personal::scheduled::create, personal::scheduled::list, personal::scheduled::get,
        personal::scheduled::patch, personal::scheduled::delete,
        reports::create, reports::list, reports::get, reports::patch,
        record::audit::list, record::room_at::get,
        record::holds::list, record::holds::create, record::holds::delete, record::holds::messages,
        record::exports::create, record::exports::get, record::exports::file,
        record::retention::get, record::retention::put, record::retention::preview,
        notifications::feed::list, notifications::feed::read,
        notifications::settings::get, notifications::settings::put,
        notifications::why::message, notifications::why::unread,
        notifications::push::key, notifications::push::create, notifications::push::delete,
        typing::list,
        users::blocks::put, users::blocks::delete, users::blocks::list,
        invitations::create, invitations::list, invitations::delete, invitations::accept,
        users::list, users::sync, users::me, users::get, users::put, users::delete,
        subjects::put_task, subjects::put_property,
        bots::create, bots::list, bots::delete, bots::replace_token,
        bots::commands::put, bots::commands::list, bots::commands::give, bots::commands::answer,
        integrations::changes::list,
        integrations::webhooks::list, integrations::webhooks::create, integrations::webhooks::get,
        integrations::webhooks::patch, integrations::webhooks::delete, integrations::webhooks::replay,
        integrations::deliveries::list,
        integrations::incoming::list, integrations::incoming::create, integrations::incoming::get,
        integrations::incoming::delete, integrations::hooks::post,
        unread::get,
        files::get,
        uploads::create, uploads::head, uploads::patch, uploads::delete,
        tokens::obtain, tokens::refresh, tokens::verify, tokens::revoke,
        health::live, health::ready, health::metrics,
    )
)]
struct ApiDocument;

/// Builds the OpenAPI document of all routes.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    ApiDocument::openapi()
}

/// Renders the document as it is committed: indented JSON and a final line break.
#[must_use]
pub fn document_json() -> String {
    let mut json = document().to_pretty_json().expect("the document is plain data");
    json.push('\n');
    json
}

/// Adds the security scheme, and to each operation its id and the error responses that any route may give.
struct SharedParts;

impl Modify for SharedParts {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        for (path, item) in &mut document.paths.paths {
            let operations = [
                ("get", &mut item.get, false),
                ("head", &mut item.head, false),
                ("delete", &mut item.delete, false),
                ("post", &mut item.post, true),
                ("put", &mut item.put, true),
                ("patch", &mut item.patch, true),
            ];
            for (method, operation, has_body) in operations {
                if let Some(operation) = operation {
                    operation.operation_id = Some(operation_id(method, path));
                    add_errors(operation, has_body);
                }
            }
        }
    }
}

/// Derives the id of an operation: `get_rooms_id_events` for `GET /api/chat/rooms/{id}/events/`.
///
/// Code generators name functions by these ids, so they must be unique; five handlers are called `get`.
fn operation_id(method: &str, path: &str) -> String {
    let path = path.strip_prefix("/api/chat/").unwrap_or(path);
    let words = path.split(['/', '{', '}']).filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}

fn add_errors(operation: &mut Operation, has_body: bool) {
    let of_all = [
        ("400", "Not understood, or understood and not allowed in value"),
        ("401", "No token, or one that isn't accepted"),
        ("403", "Not allowed for this caller"),
        ("404", "Not there, or not for this caller to know of"),
        ("429", "More often than allowed"),
        ("503", "Not possible now; see `retry_after`"),
    ];
    let of_writes = [
        ("408", "The body came too slowly"),
        ("409", "The room is archived, the `client_id` was used for another message, or it is too late"),
        ("413", "Larger than allowed"),
        ("415", "A body of another kind"),
        ("422", "Refused by a rule of the operator"),
    ];
    let is_open =
        operation.security.as_ref().is_some_and(|ways| ways.contains(&SecurityRequirement::default()));
    let writes = of_writes.iter().filter(|_| has_body);
    for (status, description) in of_all.iter().chain(writes) {
        let is_impossible = is_open && *status == "403";
        if !is_impossible {
            let response =
                if *status == "400" { invalid_response(description) } else { error_response(description) };
            operation.responses.responses.entry((*status).to_owned()).or_insert(RefOr::T(response));
        }
    }
}

fn error_response(description: &str) -> Response {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    ResponseBuilder::new().description(description).content("application/json", body).build()
}

/// Describes 400, which has three shapes: the invalid fields, `error`, or `detail` and `code`.
fn invalid_response(description: &str) -> Response {
    let body = ContentBuilder::new().schema(Some(ObjectBuilder::new().build())).build();
    ResponseBuilder::new().description(description).content("application/json", body).build()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};
    use utoipa::PartialSchema;

    use super::document;
    use crate::http::error::ApiError;
    use crate::http::fields::{Fields, FromFields};
    use crate::http::integrations::hooks::PostToHookRequest;
    use crate::http::integrations::incoming::AddIncomingRequest;
    use crate::http::invitations::CreateInvitationRequest;
    use crate::http::messages::EditMessageRequest;
    use crate::http::messages::cards::ChangeCardRequest;
    use crate::http::messages::deletion::DeleteMessageRequest;
    use crate::http::messages::forwarding::ForwardRequest;
    use crate::http::messages::send::SendMessageRequest;
    use crate::http::personal::drafts::PutDraftRequest;
    use crate::http::personal::scheduled::{ChangeScheduledRequest, ScheduleMessageRequest};
    use crate::http::record::holds::PlaceHoldRequest;
    use crate::http::record::retention::{RetentionRuleRequest, SetRetentionRequest};
    use crate::http::rooms::creation::CreateRoomRequest;
    use crate::http::rooms::settings::UpdateRoomRequest;
    use crate::http::subjects::SubjectRoomRequest;
    use crate::http::tokens::{RefreshRequest, SignInRequest, VerifyRequest};
    use crate::http::users::{SyncUserRequest, UpsertUserRequest};

    #[test]
    fn no_two_operations_have_the_same_id() {
        let document = serde_json::to_value(document()).expect("plain data");
        let mut ids: Vec<&str> = document["paths"]
            .as_object()
            .expect("paths")
            .values()
            .flat_map(|item| item.as_object().expect("methods").values())
            .map(|operation| operation["operationId"].as_str().expect("an id"))
            .collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
        assert!(ids.contains(&"get_rooms_id_events"), "{ids:?}");
    }

    /// Checks that `T` accepts values of the documented maximum and refuses longer ones; returns how many
    /// fields have a maximum.
    fn check_limits<T: FromFields + PartialSchema>() -> usize {
        let schema = serde_json::to_value(T::schema()).expect("plain data");
        let is_error = |name: &str, value: Value| {
            let body = Map::from_iter([(name.to_owned(), value)]);
            matches!(Fields::read::<T>(body), Err(ApiError::Fields(errors)) if errors.contains_key(name))
        };
        let mut count = 0;
        for (name, property) in schema["properties"].as_object().expect("properties") {
            let limit = |key: &str| property[key].as_u64().and_then(|limit| usize::try_from(limit).ok());
            if let Some(max) = limit("maxLength") {
                assert!(!is_error(name, json!("x".repeat(max))), "{name} of {max}");
                assert!(is_error(name, json!("x".repeat(max + 1))), "{name} of {max} and one more");
                count += 1;
            }
            if let Some(max) = limit("maximum") {
                assert!(!is_error(name, json!(max)), "{name} of {max}");
                assert!(is_error(name, json!(max + 1)), "{name} of {max} and one more");
                count += 1;
            }
            if let Some(max) = limit("maxItems") {
                let ids = |count: usize| json!((1..=count).collect::<Vec<_>>());
                assert!(is_error(name, ids(max + 1)), "{name} with more than {max} items");
                count += 1;
            }
        }
        count
    }

    #[test]
    fn documented_limits_are_those_that_are_checked() {
        assert_eq!(check_limits::<SendMessageRequest>(), 3);
        assert_eq!(check_limits::<EditMessageRequest>(), 2);
        assert_eq!(check_limits::<DeleteMessageRequest>(), 1);
        assert_eq!(check_limits::<ChangeCardRequest>(), 3);
        assert_eq!(check_limits::<ForwardRequest>(), 3);
        assert_eq!(check_limits::<PutDraftRequest>(), 1);
        assert_eq!(check_limits::<ScheduleMessageRequest>(), 1);
        assert_eq!(check_limits::<ChangeScheduledRequest>(), 1);
        assert_eq!(check_limits::<CreateRoomRequest>(), 2);
        assert_eq!(check_limits::<UpdateRoomRequest>(), 3);
        assert_eq!(check_limits::<SubjectRoomRequest>(), 3);
        assert_eq!(check_limits::<CreateInvitationRequest>(), 1);
        assert_eq!(check_limits::<PlaceHoldRequest>(), 1);
        assert_eq!(check_limits::<RetentionRuleRequest>(), 2);
        assert_eq!(check_limits::<SetRetentionRequest>(), 1);
        assert_eq!(check_limits::<AddIncomingRequest>(), 2);
        assert_eq!(check_limits::<PostToHookRequest>(), 2);
        assert_eq!(check_limits::<UpsertUserRequest>(), 3);
        assert_eq!(check_limits::<SyncUserRequest>(), 3);
        assert_eq!(check_limits::<SignInRequest>(), 2);
        assert_eq!(check_limits::<RefreshRequest>(), 1);
        assert_eq!(check_limits::<VerifyRequest>(), 1);
    }
}

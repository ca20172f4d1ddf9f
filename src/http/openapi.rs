//! The OpenAPI document, put together from the handlers and what they read and answer.
//!
//! What every route may answer besides (errors by the table of codes) is added here in one place.

#![allow(unused_qualifications, reason = "the code that the derive makes")]

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OneOfBuilder, Ref, RefOr, Response, ResponseBuilder, Schema};
use utoipa::{IntoParams, Modify, OpenApi, PartialSchema, ToSchema};

use super::{files, health, messages, participants, rooms, subjects, tokens, typing, unread, users};

/// `page` and `page_size`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "the parameters for the OpenAPI document; read by `PageWanted`")]
pub struct PageParams {
    /// Which page, from 1; what is no number is 1.
    page: Option<Number>,
    /// How many on one page, 100 at most; what is no number is the default.
    page_size: Option<Number>,
}

/// A number; what is none counts as not given.
pub struct Number;

impl PartialSchema for Number {
    fn schema() -> RefOr<Schema> {
        let of = |kind| ObjectBuilder::new().schema_type(SchemaType::new(kind));
        RefOr::T(Schema::OneOf(OneOfBuilder::new().item(of(Type::Integer)).item(of(Type::String)).build()))
    }
}

impl ToSchema for Number {}

/// A position in a log; one beyond any log is past every head.
pub struct SeqParam;

impl PartialSchema for SeqParam {
    fn schema() -> RefOr<Schema> {
        let integer = ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer));
        RefOr::T(Schema::Object(integer.minimum(Some(0)).build()))
    }
}

impl ToSchema for SeqParam {}

/// A time, or the seconds since 1970.
pub struct Second;

impl PartialSchema for Second {
    fn schema() -> RefOr<Schema> {
        let of = |kind| ObjectBuilder::new().schema_type(SchemaType::new(kind));
        let time = of(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let seconds = of(Type::Integer).minimum(Some(0));
        RefOr::T(Schema::OneOf(OneOfBuilder::new().item(time).item(seconds).build()))
    }
}

impl ToSchema for Second {}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($word:literal),*) => {
        $(#[$doc])*
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = ObjectBuilder::new()
                    .schema_type(SchemaType::new(Type::String))
                    .enum_values(Some([$($word),*]));
                RefOr::T(Schema::Object(words.build()))
            }
        }

        impl ToSchema for $name {}
    };
}

words! {
    /// A kind of rooms.
    RoomTypeParam: "direct", "group", "task", "property"
}
words! {
    /// A kind of messages.
    MessageTypeParam: "text", "image", "file", "system"
}

#[derive(OpenApi)]
#[openapi(
    info(title = "AriStay chat", description = "Rooms, messages and people of the chat."),
    modifiers(&Additions),
    security(("bearer" = [])),
    components(schemas(super::error::ErrorBody, Number, SeqParam, Second, RoomTypeParam, MessageTypeParam)),
    paths(
        rooms::list, rooms::create, rooms::get, rooms::put, rooms::patch, rooms::delete,
        rooms::archive, rooms::unarchive, rooms::leave, rooms::mark_read, rooms::stats, rooms::events,
        messages::list, messages::create, messages::search, messages::get, messages::put,
        messages::patch, messages::deleting::delete, messages::mark_read,
        participants::list, participants::create, participants::get, participants::patch,
        participants::delete, participants::mute,
        typing::list,
        users::list, users::sync, users::me, users::put, users::delete,
        subjects::put_task, subjects::put_property,
        unread::get,
        files::get,
        tokens::obtain, tokens::refresh, tokens::verify, tokens::revoke,
        health::live, health::ready, health::metrics,
    )
)]
struct Described;

/// The OpenAPI document of all routes.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    Described::openapi()
}

/// The document as it is committed: JSON with a line break at its end.
#[must_use]
pub fn document_json() -> String {
    let mut json = document().to_pretty_json().expect("the document is plain data");
    json.push('\n');
    json
}

/// Adds the way to sign in, and to each route what any route may answer.
struct Additions;

impl Modify for Additions {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        for (path, item) in &mut document.paths.paths {
            let operations = [
                ("get", &mut item.get, false),
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

/// `get_rooms_id_events` for `GET /api/chat/rooms/{id}/events/`.
///
/// The names of handlers would not do: generators take these ids for names, and there are five `get`.
fn operation_id(method: &str, path: &str) -> String {
    let path = path.strip_prefix("/api/chat/").unwrap_or(path);
    let words = path.split(['/', '{', '}']).filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}

fn add_errors(operation: &mut Operation, has_body: bool) {
    let common = [
        ("400", "Not understood, or understood and not allowed in value"),
        ("401", "No token, or one that isn't accepted"),
        ("403", "Not allowed for this caller"),
        ("404", "Not there, or not for this caller to know of"),
        ("429", "More often than allowed"),
        ("503", "Not possible now; see `retry_after`"),
    ];
    let of_writes = [
        ("408", "The body came too slowly"),
        ("409", "The room is archived, or the `client_id` was used for another message"),
        ("413", "Larger than allowed"),
        ("415", "A body of another kind"),
        ("422", "Refused by a rule of the operator"),
    ];
    let is_open =
        operation.security.as_ref().is_some_and(|ways| ways.contains(&SecurityRequirement::default()));
    let writes = of_writes.iter().filter(|_| has_body);
    for (status, description) in common.iter().chain(writes) {
        let is_moot = is_open && *status == "403";
        if !is_moot {
            let response = if *status == "400" { faults(description) } else { error(description) };
            operation.responses.responses.entry((*status).to_owned()).or_insert(RefOr::T(response));
        }
    }
}

fn error(description: &str) -> Response {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    ResponseBuilder::new().description(description).content("application/json", body).build()
}

/// 400 has three shapes: the fields at fault, `error`, or `detail` and `code`.
fn faults(description: &str) -> Response {
    let body = ContentBuilder::new().schema(Some(ObjectBuilder::new().build())).build();
    ResponseBuilder::new().description(description).content("application/json", body).build()
}

#[cfg(test)]
mod tests {
    use super::document;

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
}

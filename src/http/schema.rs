//! Types of the OpenAPI document for values that a request reads more loosely than their Rust types do.
//!
//! They are never constructed: query parameters and body fields name them as their documented type.

use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{OneOfBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A number, or text; text that is no number counts as absent.
pub struct Number;

impl PartialSchema for Number {
    fn schema() -> RefOr<Schema> {
        let of = |kind| ObjectBuilder::new().schema_type(SchemaType::new(kind));
        RefOr::T(Schema::OneOf(OneOfBuilder::new().item(of(Type::Integer)).item(of(Type::String)).build()))
    }
}

impl ToSchema for Number {}

/// A position in a room's log; a number past 64 bits stands for the end.
pub struct SeqParam;

impl PartialSchema for SeqParam {
    fn schema() -> RefOr<Schema> {
        let integer = ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer));
        RefOr::T(Schema::Object(integer.minimum(Some(0)).build()))
    }
}

impl ToSchema for SeqParam {}

/// A time: RFC 3339, or Unix seconds.
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

/// From where on events are sent again: after a position in each room's log, or from a time on.
pub struct ReplayStartParam;

impl PartialSchema for ReplayStartParam {
    fn schema() -> RefOr<Schema> {
        let of = |kind| ObjectBuilder::new().schema_type(SchemaType::new(kind));
        let time = of(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let seq = of(Type::Integer).minimum(Some(0));
        RefOr::T(Schema::OneOf(OneOfBuilder::new().item(seq).item(time).build()))
    }
}

impl ToSchema for ReplayStartParam {}

macro_rules! string_enum {
    ($(#[$doc:meta])* $name:ident: $($value:literal),*) => {
        $(#[$doc])*
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let string = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
                RefOr::T(Schema::Object(string.enum_values(Some([$($value),*])).build()))
            }
        }

        impl ToSchema for $name {}
    };
}

string_enum! {
    /// The type of a room.
    RoomTypeParam: "direct", "group", "task", "property"
}
string_enum! {
    /// The type of a message.
    MessageTypeParam: "text", "image", "file", "system"
}

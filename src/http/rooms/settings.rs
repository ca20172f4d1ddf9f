//! The settings of a room in requests, in responses and in the OpenAPI document, as the engine declares them.

use std::borrow::Cow;

use actors::domain::command::RoomPatch;
use actors::domain::room_settings::{RoomSettings, RoomSettingsPatch, Setting, SettingInput, SettingKind};
use actors::domain::text::NAME_CHARS_MAX;
use serde::Serialize;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::http::fields::{Fields, FromFields};

/// What is to be changed of a room; a field that is left out stays as it is.
pub struct UpdateRoomRequest(pub RoomPatch);

impl FromFields for UpdateRoomRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let name = fields.name("name");
        let settings = RoomSettingsPatch::read(|setting| read(fields, setting));
        Some(Self(RoomPatch { name, settings }))
    }
}

/// Reads a setting; anything but a value of its kind is an error.
fn read(fields: &mut Fields, setting: &'static Setting) -> Option<SettingInput<'static>> {
    let name = setting.name;
    match setting.kind {
        SettingKind::Choice(choices) => {
            let choice = fields.choice(name, |given| choices.iter().copied().find(|choice| *choice == given));
            choice.map(|choice| SettingInput::Text(choice.into()))
        }
        SettingKind::Number { max } => fields.number(name, max).map(SettingInput::Number),
        SettingKind::Flag => fields.flag(name).map(SettingInput::Flag),
        SettingKind::Text { chars_max } => {
            fields.text(name, chars_max).map(|text| SettingInput::Text(text.into()))
        }
    }
}

/// The settings of a room.
#[derive(Serialize)]
#[serde(transparent)]
pub struct ApiRoomSettings(pub RoomSettings);

fn object(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(kind))
}

/// Describes a setting.
fn property(setting: &Setting) -> Object {
    let property = match setting.kind {
        SettingKind::Choice(choices) => object(Type::String).enum_values(Some(choices.iter().copied())),
        SettingKind::Number { max } => object(Type::Integer).minimum(Some(0)).maximum(Some(max)),
        SettingKind::Flag => object(Type::Boolean),
        SettingKind::Text { chars_max } => object(Type::String).max_length(Some(chars_max)),
    };
    property.description(Some(setting.about)).build()
}

impl PartialSchema for ApiRoomSettings {
    fn schema() -> RefOr<Schema> {
        let settings = RoomSettings::ALL.iter().fold(object(Type::Object), |schema, setting| {
            schema.property(setting.name, property(setting)).required(setting.name)
        });
        RefOr::T(Schema::Object(settings.description(Some("The settings of a room.")).build()))
    }
}

impl ToSchema for ApiRoomSettings {
    fn name() -> Cow<'static, str> {
        "RoomSettings".into()
    }
}

impl PartialSchema for UpdateRoomRequest {
    fn schema() -> RefOr<Schema> {
        let name = object(Type::String)
            .max_length(Some(NAME_CHARS_MAX))
            .description(Some("The name; empty for none."))
            .build();
        let settings =
            RoomSettings::ALL.iter().fold(object(Type::Object).property("name", name), |schema, setting| {
                schema.property(setting.name, property(setting))
            });
        let about = "What is to be changed of a room; a field that is left out stays as it is.";
        RefOr::T(Schema::Object(settings.description(Some(about)).build()))
    }
}

impl ToSchema for UpdateRoomRequest {
    fn name() -> Cow<'static, str> {
        "UpdateRoom".into()
    }
}

//! What is asked of webhooks.

#![allow(unused_qualifications, reason = "in the code that the derive generates")]

use actors::domain::event::EventKind;
use actors::domain::ids::{RoomId, Seq};
use actors::domain::room::RoomType;
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;
use uuid::Uuid;

use super::ROOMS_MAX;
use crate::http::fields::{Fields, FromFields, parse_uuid};
use crate::http::schema::{ReplayStartParam, RoomTypeParam};
use crate::integrations::signature::WebhookSecret;
use crate::store::postgres::integrations::ReplayStart;
use crate::store::postgres::search::parse_time;

/// The most characters of an address.
const URL_CHARS_MAX: usize = 2_048;
/// The most types of events or rooms that are named.
const TYPES_MAX: usize = 50;

/// A webhook to be set up.
#[derive(ToSchema)]
#[schema(as = AddWebhook)]
pub struct AddWebhookRequest {
    /// Where requests are sent: an `https` address of up to 2,048 characters.
    #[schema(value_type = String, format = "uri")]
    pub(super) url: Url,
    /// The types of the frames that are sent; none: all of them.
    #[schema(rename = "events", value_type = Option<Vec<String>>, max_items = 50)]
    pub(super) kinds: Vec<&'static str>,
    /// The rooms that are followed; none: all of them.
    #[schema(value_type = Option<Vec<Uuid>>, max_items = 100)]
    pub(super) rooms: Vec<Uuid>,
    /// The types of rooms that are followed; none: all of them.
    #[schema(value_type = Option<Vec<RoomTypeParam>>, max_items = 50)]
    pub(super) room_types: Vec<&'static str>,
    /// What happened before is sent, too: in each room after this `seq`, or from this time on.
    #[schema(value_type = Option<ReplayStartParam>)]
    pub(super) since: Option<ReplayStart>,
    /// What signs the requests: 16 to 64 bytes in Base64, with `whsec_` before them or without; made here if it is left
    /// out.
    #[schema(value_type = Option<String>)]
    pub(super) secret: Option<WebhookSecret>,
}

impl FromFields for AddWebhookRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let url = url(fields);
        let url = fields.require("url", url);
        Some(Self {
            kinds: kinds(fields).unwrap_or_default(),
            rooms: rooms(fields).unwrap_or_default(),
            room_types: room_types(fields).unwrap_or_default(),
            since: fields.parsed("since", replay_start),
            secret: fields.parsed("secret", secret),
            url: url?,
        })
    }
}

/// What changes of a webhook; what is left out stays as it is.
#[derive(ToSchema)]
#[schema(as = ChangeWebhook)]
pub struct ChangeWebhookRequest {
    /// Where requests are sent.
    #[schema(value_type = Option<String>, format = "uri", nullable = false)]
    pub(super) url: Option<Url>,
    /// The types of the frames that are sent; an empty list for all of them.
    #[schema(rename = "events", value_type = Option<Vec<String>>, max_items = 50)]
    pub(super) kinds: Option<Vec<&'static str>>,
    /// The rooms that are followed; an empty list for all of them.
    #[schema(max_items = 100)]
    pub(super) rooms: Option<Vec<Uuid>>,
    /// The types of rooms that are followed; an empty list for all of them.
    #[schema(value_type = Option<Vec<RoomTypeParam>>, max_items = 50)]
    pub(super) room_types: Option<Vec<&'static str>>,
    /// A new secret; null has one made. The one before signs for another day.
    #[schema(value_type = Option<String>)]
    pub(super) secret: Option<WebhookSecret>,
    /// `active` or `paused`.
    #[schema(rename = "state", value_type = Option<String>, pattern = "^(active|paused)$", nullable = false)]
    pub(super) is_active: Option<bool>,
}

impl FromFields for ChangeWebhookRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let url = url(fields);
        if fields.is_null("url") {
            fields.require("url", url.as_ref());
        }
        let secret = match fields.is_null("secret") {
            true => Some(WebhookSecret::generate()),
            false => fields.parsed("secret", secret),
        };
        let is_active = fields.choice("state", |state| match state {
            "active" => Some(true),
            "paused" => Some(false),
            _ => None,
        });
        let (kinds, rooms, room_types) = (kinds(fields), rooms(fields), room_types(fields));
        Some(Self { url, kinds, rooms, room_types, secret, is_active })
    }
}

/// What is sent again.
#[derive(ToSchema)]
#[schema(as = ReplayWebhook)]
pub struct ReplayRequest {
    /// The room; all that the webhook follows if it is left out.
    #[schema(value_type = Option<Uuid>)]
    pub(super) room: Option<RoomId>,
    /// From where on: in each room after this `seq`, or from this time on.
    #[schema(value_type = ReplayStartParam)]
    pub(super) since: ReplayStart,
}

impl FromFields for ReplayRequest {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let room = fields.uuid("room").map(RoomId);
        let since = fields.parsed("since", replay_start);
        let since = fields.require("since", since);
        Some(Self { room, since: since? })
    }
}

fn url(fields: &mut Fields) -> Option<Url> {
    fields.parsed("url", |value| {
        let text = value.as_str().map(str::trim).filter(|text| text.chars().count() <= URL_CHARS_MAX);
        let url = text.and_then(|text| Url::parse(text).ok());
        url.filter(|url| url.has_host() && url.username().is_empty() && url.password().is_none())
            .ok_or("Enter an address that begins with https://.")
    })
}

/// Reads the types of frames as the kinds of events that have them.
fn kinds(fields: &mut Fields) -> Option<Vec<&'static str>> {
    let of_type = |name: &str| -> Option<Vec<&'static str>> {
        let kinds = EventKind::ALL.iter().filter(|kind| kind.frame_type() == name);
        let kinds: Vec<&'static str> = kinds.map(|kind| kind.as_str()).collect();
        (!kinds.is_empty()).then_some(kinds)
    };
    fields.parsed("events", |value| {
        let kinds = list(value, TYPES_MAX, of_type).map_err(|wrong| match wrong {
            Some(name) => format!("\"{name}\" is no type of an event's frame: {}.", frame_types().join(", ")),
            None => format!("Expected a list of up to {TYPES_MAX} types of frames."),
        })?;
        Ok::<_, String>(kinds.concat())
    })
}

fn room_types(fields: &mut Fields) -> Option<Vec<&'static str>> {
    fields.parsed("room_types", |value| {
        list(value, TYPES_MAX, |name| RoomType::parse(name).map(RoomType::as_str))
            .map_err(|_| "Expected a list of direct, group, task, property.")
    })
}

fn rooms(fields: &mut Fields) -> Option<Vec<Uuid>> {
    fields.parsed("rooms", |value| {
        list(value, ROOMS_MAX, parse_uuid).map_err(|_| format!("Expected a list of up to {ROOMS_MAX} UUIDs."))
    })
}

/// Reads a list of what `read` accepts. The error is a text that it doesn't accept, if that is what is wrong.
fn list<T>(
    value: &Value,
    count_max: usize,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, Option<String>> {
    let items = value.as_array().filter(|items| items.len() <= count_max).ok_or(None)?;
    let texts = items.iter().map(|item| item.as_str().ok_or(None));
    texts.map(|text| text.and_then(|text| read(text).ok_or_else(|| Some(text.replace('\0', ""))))).collect()
}

fn replay_start(value: &Value) -> Result<ReplayStart, &'static str> {
    const WRONG: &str = "A position of 0 or more, or a time, is required.";
    match value {
        Value::Number(number) => {
            let seq = number.as_i64().filter(|seq| *seq >= 0).ok_or(WRONG)?;
            Ok(ReplayStart::After(Seq(seq)))
        }
        Value::String(text) => parse_time(text.trim()).map(ReplayStart::Time).ok_or(WRONG),
        _ => Err(WRONG),
    }
}

fn secret(value: &Value) -> Result<WebhookSecret, &'static str> {
    let secret = value.as_str().map(str::trim).and_then(WebhookSecret::parse);
    secret.ok_or("Expected 16 to 64 bytes in Base64, with whsec_ before them or without.")
}

/// The types of the frames of events, each once.
pub(super) fn frame_types() -> Vec<&'static str> {
    let mut types: Vec<&'static str> = EventKind::ALL.iter().map(|kind| kind.frame_type()).collect();
    types.sort_unstable();
    types.dedup();
    types
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::http::error::ApiError;

    fn read<T: FromFields>(body: &Value) -> Result<T, Vec<&'static str>> {
        let object: Map<String, Value> = body.as_object().expect("an object").clone();
        Fields::read(object).map_err(|error| match error {
            ApiError::Fields(errors) => errors.into_keys().collect(),
            other => panic!("{other}"),
        })
    }

    #[test]
    fn a_webhook_is_read() {
        let body = json!({"url": " https://example.com/hook?x=1 ", "events": ["chat_message", "room_updated"],
            "room_types": ["task"], "since": 0, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"});
        let read = read::<AddWebhookRequest>(&body).expect("a webhook");
        assert_eq!(read.url.as_str(), "https://example.com/hook?x=1");
        assert_eq!(read.kinds, ["message_posted", "room_created", "room_updated"]);
        assert_eq!((read.rooms.len(), read.room_types), (0, vec!["task"]));
        assert_eq!(read.since, Some(ReplayStart::After(Seq(0))));
        assert!(read.secret.is_some());
    }

    #[test]
    fn what_is_no_webhook_is_refused() {
        let wrong = |field: &str, value: Value| {
            let mut body = json!({"url": "https://example.com/"});
            body[field] = value;
            assert_eq!(read::<AddWebhookRequest>(&body).err(), Some(vec![field_name(field)]), "{body}");
        };
        for value in
            [json!("example.com"), json!(5), json!("https://u:p@example.com/"), json!("mailto:x@y.z")]
        {
            wrong("url", value);
        }
        for value in [json!("chat_message"), json!(["typing"]), json!([1]), json!(vec!["reaction"; 51])] {
            wrong("events", value);
        }
        for value in [json!(["x"]), json!("x"), json!([7])] {
            wrong("rooms", value);
        }
        for value in [json!(["house"]), json!({})] {
            wrong("room_types", value);
        }
        for value in [json!(-1), json!(1.5), json!("soon"), json!([])] {
            wrong("since", value);
        }
        for value in [json!("short"), json!(5), json!("")] {
            wrong("secret", value);
        }
        assert_eq!(read::<AddWebhookRequest>(&json!({})).err(), Some(vec!["url"]));
        assert_eq!(read::<ReplayRequest>(&json!({})).err(), Some(vec!["since"]));
        assert_eq!(read::<ChangeWebhookRequest>(&json!({"state": "ended"})).err(), Some(vec!["state"]));
        assert_eq!(read::<ChangeWebhookRequest>(&json!({"url": null})).err(), Some(vec!["url"]));
    }

    fn field_name(name: &str) -> &'static str {
        ["url", "events", "rooms", "room_types", "since", "secret"]
            .into_iter()
            .find(|known| *known == name)
            .expect("a field")
    }

    #[test]
    fn null_has_a_secret_made() {
        assert!(
            read::<ChangeWebhookRequest>(&json!({"secret": null})).is_ok_and(|read| read.secret.is_some())
        );
        assert!(read::<ChangeWebhookRequest>(&json!({})).is_ok_and(|read| read.secret.is_none()));
    }
}

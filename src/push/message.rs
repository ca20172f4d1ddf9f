//! What a push says, and how it is addressed.

use actors::domain::ids::RoomId;
use actors::domain::notifications::Notification;
use actors::domain::notifications::rules::TellingRule;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use uuid::Uuid;

use super::encryption::TEXT_BYTES_MAX;

/// What the service worker of the page gets; `type` is the variant's name in snake case.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum PushText<'a> {
    Notification {
        id: Uuid,
        kind: &'static str,
        room_id: RoomId,
        seq: i64,
        message_id: Uuid,
        title: &'a str,
        body: &'a str,
        urgent: bool,
        badge: i64,
    },
    NotificationGone {
        ids: [Uuid; 1],
        room_id: RoomId,
        badge: i64,
    },
}

/// How soon a push service should deliver (RFC 8030, 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    Normal,
    High,
}

impl Urgency {
    /// The urgency of a notification: what is meant for its user alone is worth waking a device for.
    pub(super) fn of(rule: TellingRule) -> Self {
        match rule {
            TellingRule::Direct | TellingRule::Mention | TellingRule::Urgent => Self::High,
            TellingRule::Message | TellingRule::Thread | TellingRule::Keyword | TellingRule::RoomMention => {
                Self::Normal
            }
        }
    }

    /// The value of the header.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// The topic of a room's pushes: a push service keeps only the newest one of a topic (RFC 8030, 5.4).
pub(super) fn topic(room: RoomId) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(room.0.as_bytes())
}

/// The text that shows a notification, with the number for the badge. A body that would make it too long is left out.
pub(super) fn text_of(notification: &Notification, badge: i64) -> Vec<u8> {
    let text = |body| {
        json(&PushText::Notification {
            id: notification.id,
            kind: notification.rule.kind(),
            room_id: notification.room,
            seq: notification.seq.0,
            message_id: notification.message.0,
            title: &notification.title,
            body,
            urgent: notification.is_urgent(),
            badge,
        })
    };
    let whole = text(notification.body.as_str());
    if whole.len() <= TEXT_BYTES_MAX { whole } else { text("") }
}

/// The text that takes a notification back.
pub(super) fn withdrawal_of(id: Uuid, room_id: RoomId, badge: i64) -> Vec<u8> {
    json(&PushText::NotificationGone { ids: [id], room_id, badge })
}

fn json(text: &PushText<'_>) -> Vec<u8> {
    serde_json::to_vec(text).expect("plain data")
}

#[cfg(test)]
mod tests {
    use actors::domain::ids::{MessageId, Seq};

    use super::*;

    #[test]
    fn a_topic_is_short_and_safe_in_urls() {
        let topic = topic(RoomId(Uuid::from_u128(u128::MAX)));
        assert_eq!(topic, "_____________________w");
        assert!(topic.len() <= 32);
    }

    #[test]
    fn the_longest_notification_fits_into_a_push() {
        let control = "\u{1}";
        let notification = Notification {
            id: Uuid::from_u128(1),
            rule: TellingRule::Message,
            room: RoomId(Uuid::from_u128(2)),
            seq: Seq(i64::MAX),
            message: MessageId(Uuid::from_u128(3)),
            title: control.repeat(255),
            body: control.repeat(400),
        };
        let text = text_of(&notification, i64::MAX);
        assert!(text.len() <= TEXT_BYTES_MAX);
        let short = Notification { body: "Ann: hi".to_owned(), ..notification };
        let text: serde_json::Value = serde_json::from_slice(&text_of(&short, 7)).expect("JSON");
        assert_eq!(
            (&text["type"], &text["body"], &text["badge"]),
            (&"notification".into(), &"Ann: hi".into(), &7.into())
        );
    }
}

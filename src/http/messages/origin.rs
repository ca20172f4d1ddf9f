//! Where a forwarded message was written first, as REST shows it to one caller.

use actors::domain::message_extras::Forwarded;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::store::postgres::queries::MessageDetails;

/// Where a forwarded message was written first.
#[derive(Serialize, ToSchema)]
#[schema(as = Forwarded)]
pub struct ApiForwarded {
    /// Who wrote it.
    pub sender: ApiForwardedSender,
    /// When it was sent there.
    pub created_at: DateTime<Utc>,
    /// The room, for those who may see the message there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_id: Option<Uuid>,
    /// The message there, for the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Uuid>,
}

/// Who wrote a message that was forwarded.
#[derive(Serialize, ToSchema)]
#[schema(as = ForwardedSender)]
pub struct ApiForwardedSender {
    /// The person's id.
    pub id: i64,
    /// The sign-in name.
    pub username: String,
    /// The name to show.
    pub full_name: String,
}

impl ApiForwarded {
    /// Shows where the message was written first; the place only if the viewer may see it.
    #[must_use]
    pub fn of(details: &MessageDetails) -> Option<Self> {
        let Forwarded { sender, created_at, room, message } = details.message.extras.forwarded.as_ref()?;
        Some(Self {
            sender: ApiForwardedSender {
                id: sender.id.0,
                username: sender.username.to_string(),
                full_name: sender.full_name.to_string(),
            },
            created_at: *created_at,
            room_id: details.shows_origin.then_some(room.0),
            message_id: details.shows_origin.then_some(message.0),
        })
    }
}

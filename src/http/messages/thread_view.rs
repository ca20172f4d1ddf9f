//! What a message says of its thread in bodies of REST.

use actors::domain::thread::ThreadView;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A thread. A reply names its root and has no sums.
#[derive(Serialize, ToSchema)]
#[schema(as = Thread)]
pub struct ApiThread {
    /// The root's id: the message's own, or that of the message under which it stands.
    pub root_id: Uuid,
    /// How many replies there are.
    pub replies: i64,
    /// When the newest was sent.
    pub last_reply_at: Option<DateTime<Utc>>,
    /// How many the caller hasn't read; null for who doesn't take part, and on replies.
    pub unread: Option<i64>,
}

impl ApiThread {
    /// Adds to what a frame says of a thread what the caller hasn't read.
    #[must_use]
    pub fn new(view: ThreadView, unread: Option<i64>) -> Self {
        let ThreadView { root_id, replies, last_reply_at } = view;
        Self { root_id: root_id.0, replies, last_reply_at, unread }
    }
}

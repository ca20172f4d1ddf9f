//! What the clients observed and the final log: everything that the checker knows.

use std::time::Duration;

use serde_json::Value;

/// Identifies a client over all of its connections.
pub type ClientNumber = usize;

/// What a client did or saw, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// It sent a message, for the first time or again, on the connection with this number.
    Sent { send: String, text: String, connection: usize, at: Duration },
    /// The message was acknowledged.
    Acked { send: String, seq: i64, message: String, connection: usize, at: Duration },
    /// The message was refused, or its outcome is unknown.
    Refused { send: String, code: String, at: Duration },
    /// Its connection ended.
    Cut { at: Duration },
    /// It received an event.
    Delivered { seq: i64, what: Row },
    /// It was removed from the room by the event at this position.
    Removed { seq: i64 },
}

/// An event in the log of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Type of the frame.
    pub kind: String,
    /// Id of the message, if the event has one.
    pub message: String,
    /// The `client_id` of the send.
    pub send: String,
    /// Text of the message.
    pub text: String,
}

impl Row {
    /// Parses a frame.
    pub fn of(frame: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let message = &frame["message"];
        Self {
            kind: text(&frame["type"]),
            message: text(&message["id"]),
            send: text(&message["client_id"]),
            text: text(&message["content"]),
        }
    }
}

/// A room: its final log, and the clients that were in it from `since` on.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The position after which the clients received everything.
    pub since: i64,
    /// The log with the positions that the server reports.
    pub log: Vec<(i64, Row)>,
    /// The observations of each client.
    pub clients: Vec<Vec<Observation>>,
}

impl History {
    /// All observations with their client.
    pub fn observations(&self) -> impl Iterator<Item = (ClientNumber, &Observation)> {
        self.clients.iter().enumerate().flat_map(|(client, observations)| {
            observations.iter().map(move |observation| (client, observation))
        })
    }

    /// Number of matching observations.
    pub fn count(&self, is_meant: impl Fn(&Observation) -> bool) -> usize {
        self.observations().filter(|(_, observation)| is_meant(observation)).count()
    }
}

//! What clients saw and the log that is left in the end: all that the checker knows.

use std::time::Duration;

use serde_json::Value;

/// One client, for its whole life.
pub type ClientNumber = usize;

/// What one client did or saw, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// It asked for a message to be sent, for the first time or again, on its how-manieth connection.
    Sent { send: String, text: String, connection: usize, at: Duration },
    /// It was told that the message is stored.
    Acked { send: String, seq: i64, message: String, connection: usize, at: Duration },
    /// It was told that the message is not stored, or that nobody knows.
    Refused { send: String, code: String, at: Duration },
    /// Its connection ended.
    Cut { at: Duration },
    /// It was given an event.
    Told { seq: i64, what: Row },
    /// It was removed from the room by the event of this position.
    Removed { seq: i64 },
}

/// An event of a room's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The type of its frame.
    pub kind: String,
    /// The message, where it is one.
    pub message: String,
    /// What its sender called the send.
    pub send: String,
    /// Its text.
    pub text: String,
}

impl Row {
    /// Reads a frame.
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

/// One room: its log in the end and the clients in it, who all were there from `since` on.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The position after which the clients heard all.
    pub since: i64,
    /// The log, with the positions as the server tells them.
    pub log: Vec<(i64, Row)>,
    /// What each client did and saw.
    pub clients: Vec<Vec<Note>>,
}

impl History {
    /// All notes with the client that made them.
    pub fn notes(&self) -> impl Iterator<Item = (ClientNumber, &Note)> {
        self.clients
            .iter()
            .enumerate()
            .flat_map(|(client, notes)| notes.iter().map(move |note| (client, note)))
    }

    /// How many notes of a kind there are.
    pub fn count(&self, is_meant: impl Fn(&Note) -> bool) -> usize {
        self.notes().filter(|(_, note)| is_meant(note)).count()
    }
}

//! What a client knows of a room by the frames that it was sent, folded the simplest way.

use std::collections::BTreeMap;

use serde_json::Value;

/// A room as a client knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// The position of the last event that was heard.
    pub position: i64,
    /// The messages by their position.
    pub messages: BTreeMap<i64, Message>,
    /// The people, those who left too.
    pub people: BTreeMap<i64, Place>,
    /// How far each of those who are in has read.
    pub marks: BTreeMap<i64, i64>,
    /// Its name.
    pub name: String,
    /// Whether it takes new messages.
    pub is_active: bool,
}

/// A message as a client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: String,
    pub sender: i64,
    pub content: String,
    pub is_deleted: bool,
    pub rev: i64,
}

/// Someone's place in the room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub is_in: bool,
    pub is_admin: bool,
    pub joined: i64,
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("not a number: {value}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

impl Folded {
    /// Takes in one frame.
    pub fn hears(&mut self, frame: &Value) {
        let seq = frame["seq"].as_i64();
        match frame["type"].as_str().unwrap_or_default() {
            "chat_message" | "message_updated" => self.message(&frame["message"]),
            "message_deleted" => {
                let id = frame["message_id"].as_str();
                if let Some(message) = self.messages.values_mut().find(|message| Some(&*message.id) == id) {
                    message.content = "[Message deleted]".into();
                    message.is_deleted = true;
                    message.rev = seq.expect("an event");
                }
            }
            kind @ ("participant_joined" | "participant_left" | "participant_updated") => {
                let user = number(&frame["participant"]["user"]["id"]);
                let place = self.people.entry(user).or_default();
                place.is_in = frame["participant"]["left_at"].is_null();
                place.is_admin = frame["participant"]["is_admin"] == true;
                if kind == "participant_joined" {
                    place.joined = seq.expect("an event");
                }
            }
            "room_updated" => {
                self.name = text(&frame["room"]["name"]);
                self.is_active = frame["room"]["is_active"] == true;
            }
            "read_receipt" => {
                let mark = self.marks.entry(number(&frame["user_id"])).or_default();
                *mark = number(&frame["up_to"]).max(*mark);
                return;
            }
            "read_state" => {
                let marks = frame["marks"].as_array().expect("marks").iter();
                self.marks = marks.map(|mark| (number(&mark["user_id"]), number(&mark["seq"]))).collect();
                return;
            }
            _ => return,
        }
        let seq = seq.expect("every event has a position");
        assert!(seq == self.position + 1, "{seq} after {}", self.position);
        self.position = seq;
    }

    fn message(&mut self, message: &Value) {
        let new = Message {
            id: text(&message["id"]),
            sender: number(&message["sender"]["id"]),
            content: text(&message["content"]),
            is_deleted: message["is_deleted"] == true,
            rev: number(&message["rev"]),
        };
        let known = self.messages.entry(number(&message["seq"])).or_insert_with(|| new.clone());
        if new.rev >= known.rev {
            *known = new;
        }
    }

    /// The same without what only those who are in have.
    pub fn settled(mut self) -> Self {
        let people = &self.people;
        self.marks.retain(|user, _| people.get(user).is_some_and(|place| place.is_in));
        self
    }

    /// What is unread for a person, counted one by one.
    pub fn unread(&self, user: i64) -> usize {
        let joined = self.people.get(&user).map_or(0, |place| place.joined);
        let after = self.marks.get(&user).copied().unwrap_or_default().max(joined);
        self.messages
            .range(after + 1..)
            .filter(|(_, message)| message.sender != user && !message.is_deleted)
            .count()
    }
}

//! What a client knows of a room, by the simplest fold of the frames that it received.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A room as a client knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// The position of the last event.
    pub position: i64,
    /// The messages by their position.
    pub messages: BTreeMap<i64, Message>,
    /// The participants, former ones too.
    pub people: BTreeMap<i64, Membership>,
    /// How far each current participant has read.
    pub marks: BTreeMap<i64, i64>,
    pub name: String,
    /// Whether it accepts new messages.
    pub is_active: bool,
    /// Who may send messages, how slowly, and what the room is for.
    pub settings: [Value; 3],
}

/// A message as a client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: String,
    pub sender: i64,
    pub content: String,
    pub is_deleted: bool,
    pub rev: i64,
    /// Who reacted with what, in the order in which each emoji first appeared.
    pub reactions: Vec<(String, i64, Vec<i64>)>,
    /// Its card, or null.
    pub card: Value,
    /// The root of its thread, where it is a reply.
    pub root: Option<String>,
    pub is_in_timeline: bool,
    /// The number of replies to it, and when the newest was sent.
    pub replies: (i64, Value),
    /// Who is mentioned, and whether everyone is.
    pub mentions: (Vec<i64>, bool),
    /// Since when it is pinned, and by whom.
    pub pinned: Option<(String, i64)>,
    /// Who wrote it first, and when, if it was forwarded.
    pub forwarded: Option<(i64, String)>,
    /// That it is urgent and who has acknowledged it, or null.
    pub urgent: Value,
}

/// The mentions of a message on the wire.
pub fn mentions(message: &Value) -> (Vec<i64>, bool) {
    let users = message["mentions"]["users"].as_array().expect("users").iter().map(number).collect();
    (users, message["mentions"]["room"].as_bool().expect("a flag"))
}

/// Since when a message on the wire is pinned, and by whom.
pub fn pinned(message: &Value) -> Option<(String, i64)> {
    Some((message["pinned_at"].as_str()?.to_owned(), number(&message["pinned_by"])))
}

/// Who wrote a message on the wire first, and when, if it was forwarded.
pub fn forwarded(message: &Value) -> Option<(i64, String)> {
    let origin = message["forwarded"].as_object()?;
    Some((number(&origin["sender"]["id"]), text(&origin["created_at"])))
}

/// The reactions of a message on the wire.
pub fn reactions(message: &Value) -> Vec<(String, i64, Vec<i64>)> {
    let all = message["reactions"].as_array().expect("reactions").iter();
    let users = |reaction: &Value| reaction["users"].as_array().expect("users").iter().map(number).collect();
    all.map(|reaction| (text(&reaction["emoji"]), number(&reaction["count"]), users(reaction))).collect()
}

/// A participant as a client knows one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
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
    /// Applies one frame.
    pub fn receives(&mut self, frame: &Value) {
        let seq = frame["seq"].as_i64();
        match frame["type"].as_str().unwrap_or_default() {
            "chat_message" | "message_updated" => self.message(&frame["message"]),
            "message_deleted" => {
                let id = frame["message_id"].as_str();
                if let Some(message) = self.messages.values_mut().find(|message| Some(&*message.id) == id) {
                    message.content = "[Message deleted]".into();
                    message.is_deleted = true;
                    message.reactions.clear();
                    message.card = Value::Null;
                    message.mentions = (Vec::new(), false);
                    message.pinned = None;
                    message.forwarded = None;
                    message.urgent = Value::Null;
                    message.rev = seq.expect("an event");
                }
                let thread = &frame["thread"];
                if let Some(root) = self.next_step(&thread["root_id"], seq) {
                    root.replies = (number(&thread["replies"]), thread["last_reply_at"].clone());
                }
            }
            "reaction" => self.reaction(frame),
            "card_changed" => {
                if let Some(message) = self.next_step(&frame["message_id"], seq) {
                    message.card = frame["card"].clone();
                }
            }
            "message_pinned" => self.pin(frame),
            "message_acknowledged" => {
                if let Some(message) = self.next_step(&frame["message_id"], seq) {
                    let ack = json!({"user_id": frame["user_id"], "at": frame["at"]});
                    message.urgent["ack_count"] = (number(&message.urgent["ack_count"]) + 1).into();
                    message.urgent["acks"].as_array_mut().expect("a list").push(ack);
                }
            }
            "card_action" => _ = self.next_step(&frame["message_id"], seq),
            kind @ ("participant_joined" | "participant_left" | "participant_updated") => {
                let user = number(&frame["participant"]["user"]["id"]);
                let membership = self.people.entry(user).or_default();
                membership.is_in = frame["participant"]["left_at"].is_null();
                membership.is_admin = frame["participant"]["is_admin"] == true;
                if kind == "participant_joined" {
                    membership.joined = seq.expect("an event");
                }
            }
            "room_updated" => {
                self.name = text(&frame["room"]["name"]);
                self.is_active = frame["room"]["is_active"] == true;
                let setting = |name| frame["room"][name].clone();
                self.settings = ["posting", "slow_mode_seconds", "description"].map(setting);
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
        let thread = &message["thread"];
        let is_reply = thread.is_object() && thread["root_id"] != message["id"];
        let new = Message {
            id: text(&message["id"]),
            sender: number(&message["sender"]["id"]),
            content: text(&message["content"]),
            is_deleted: message["is_deleted"] == true,
            rev: number(&message["rev"]),
            reactions: reactions(message),
            card: message["card"].clone(),
            root: is_reply.then(|| text(&thread["root_id"])),
            is_in_timeline: message["in_timeline"] != false,
            replies: (thread["replies"].as_i64().unwrap_or_default(), thread["last_reply_at"].clone()),
            mentions: mentions(message),
            pinned: pinned(message),
            forwarded: forwarded(message),
            urgent: message["urgent"].clone(),
        };
        let seq = number(&message["seq"]);
        let is_new = !self.messages.contains_key(&seq);
        let known = self.messages.entry(seq).or_insert_with(|| new.clone());
        if new.rev >= known.rev {
            *known = new;
        }
        // A reply that comes again is counted already: its root has changed since.
        if is_reply
            && is_new
            && let Some(root) = self.next_step(&thread["root_id"], Some(seq))
        {
            root.replies = (root.replies.0 + 1, message["created_at"].clone());
        }
    }

    /// The message that an event is a step of, unless the message told it already: it tells all up to its `rev`.
    fn next_step(&mut self, id: &Value, seq: Option<i64>) -> Option<&mut Message> {
        let (id, seq) = (id.as_str()?, seq.expect("an event"));
        let message = self.messages.values_mut().find(|message| message.id == id)?;
        if seq <= message.rev {
            return None;
        }
        message.rev = seq;
        Some(message)
    }

    fn pin(&mut self, frame: &Value) {
        let Some(message) = self.next_step(&frame["message_id"], frame["seq"].as_i64()) else { return };
        message.pinned = pinned(frame);
        assert_eq!(message.pinned.is_some(), frame["pinned"] == true, "{frame}");
    }

    fn reaction(&mut self, frame: &Value) {
        let Some(message) = self.next_step(&frame["message_id"], frame["seq"].as_i64()) else { return };
        let (emoji, user) = (text(&frame["emoji"]), number(&frame["user_id"]));
        let known = message.reactions.iter_mut().find(|(known, ..)| *known == emoji);
        match (known, frame["added"] == true) {
            (Some((_, count, users)), true) => {
                *count += 1;
                if users.len() < 20 {
                    users.push(user);
                }
            }
            (None, true) => message.reactions.push((emoji, 1, vec![user])),
            (Some((_, count, users)), false) => {
                *count -= 1;
                users.retain(|known| *known != user);
            }
            (None, false) => panic!("nothing to take back: {frame}"),
        }
        message.reactions.retain(|(_, count, _)| *count > 0);
    }

    /// The same without what only current participants have.
    pub fn settled(mut self) -> Self {
        let people = &self.people;
        self.marks.retain(|user, _| people.get(user).is_some_and(|membership| membership.is_in));
        self
    }

    /// A user's unread messages, counted one by one.
    pub fn unread(&self, user: i64) -> usize {
        self.unread_messages(user).count()
    }

    /// Those of them that mention the user.
    pub fn unread_mentions(&self, user: i64) -> usize {
        self.unread_messages(user)
            .filter(|message| message.mentions.1 || message.mentions.0.contains(&user))
            .count()
    }

    fn unread_messages(&self, user: i64) -> impl Iterator<Item = &Message> {
        let joined = self.people.get(&user).map_or(0, |membership| membership.joined);
        let after = self.marks.get(&user).copied().unwrap_or_default().max(joined);
        let messages = self.messages.range(after + 1..).map(|(_, message)| message);
        messages
            .filter(move |message| message.sender != user && !message.is_deleted && message.is_in_timeline)
    }
}

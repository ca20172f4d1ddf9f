//! What users do, and whether all views of the room agree.

use std::time::Duration;

use proptest::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fold::{Folded, Message, forwarded, mentions, pinned, reactions};
use crate::node::Node;
use crate::socket::Socket;
use crate::users::TestUser;

/// The number of users; the first one created the room, stays in it and loads it afresh.
const PEOPLE: usize = 4;
/// How long a client may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(10);

/// One step; the numbers select among what there is.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Says { who: usize },
    SaysByRest { who: usize },
    Mentions { who: usize, whom: usize },
    MentionsInEdit { who: usize, message: usize, whom: usize },
    Edits { who: usize, message: usize },
    Deletes { who: usize, message: usize },
    Reacts { who: usize, message: usize, emoji: &'static str, on: bool },
    SendsCard { who: usize, is_poll: bool, multiple: bool },
    UsesCard { who: usize, message: usize, entry: &'static str, on: bool },
    Closes { who: usize, message: usize },
    Replies { who: usize, message: usize, in_timeline: bool },
    Pins { who: usize, message: usize, pinned: bool },
    SaysUrgently { who: usize },
    Acknowledges { who: usize, message: usize },
    Forwards { who: usize, message: usize, count: usize },
    Reads { who: usize, message: usize },
    ReadsAll { who: usize },
    Mutes { who: usize, muted: bool },
    Joins { who: usize },
    Leaves { who: usize },
    IsRemoved { who: usize },
    Promotes { who: usize, is_admin: bool },
    Renames,
    Sets { who: usize, is_closed: bool, slow_mode_seconds: i64 },
    Drops { who: usize },
    Resumes { who: usize },
}

/// Scenarios of some length.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0..PEOPLE;
    let message = 0..50_usize;
    let step = prop_oneof![
        6 => who.clone().prop_map(|who| Step::Says { who }),
        2 => who.clone().prop_map(|who| Step::SaysByRest { who }),
        // One more than there are stands for everyone.
        4 => (who.clone(), 0..=PEOPLE).prop_map(|(who, whom)| Step::Mentions { who, whom }),
        3 => (who.clone(), message.clone(), 0..=PEOPLE)
            .prop_map(|(who, message, whom)| Step::MentionsInEdit { who, message, whom }),
        2 => (who.clone(), message.clone()).prop_map(|(who, message)| Step::Edits { who, message }),
        2 => (who.clone(), message.clone()).prop_map(|(who, message)| Step::Deletes { who, message }),
        4 => (who.clone(), message.clone(), prop_oneof![Just("👍"), Just("🎉")], prop::bool::weighted(0.7))
            .prop_map(|(who, message, emoji, on)| Step::Reacts { who, message, emoji, on }),
        2 => (who.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(who, is_poll, multiple)| Step::SendsCard { who, is_poll, multiple }),
        6 => (who.clone(), message.clone(), prop_oneof![Just("a"), Just("b")], prop::bool::weighted(0.7))
            .prop_map(|(who, message, entry, on)| Step::UsesCard { who, message, entry, on }),
        1 => (who.clone(), message.clone()).prop_map(|(who, message)| Step::Closes { who, message }),
        4 => (who.clone(), message.clone(), prop::bool::weighted(0.3))
            .prop_map(|(who, message, in_timeline)| Step::Replies { who, message, in_timeline }),
        4 => (who.clone(), message.clone(), prop::bool::weighted(0.7))
            .prop_map(|(who, message, pinned)| Step::Pins { who, message, pinned }),
        2 => who.clone().prop_map(|who| Step::SaysUrgently { who }),
        4 => (who.clone(), message.clone()).prop_map(|(who, message)| Step::Acknowledges { who, message }),
        2 => (who.clone(), message.clone(), 1..4_usize)
            .prop_map(|(who, message, count)| Step::Forwards { who, message, count }),
        2 => (who.clone(), message).prop_map(|(who, message)| Step::Reads { who, message }),
        2 => who.clone().prop_map(|who| Step::ReadsAll { who }),
        1 => (who.clone(), any::<bool>()).prop_map(|(who, muted)| Step::Mutes { who, muted }),
        3 => (1..PEOPLE).prop_map(|who| Step::Joins { who }),
        1 => (1..PEOPLE).prop_map(|who| Step::Leaves { who }),
        1 => (1..PEOPLE).prop_map(|who| Step::IsRemoved { who }),
        1 => (1..PEOPLE, any::<bool>()).prop_map(|(who, is_admin)| Step::Promotes { who, is_admin }),
        1 => Just(Step::Renames),
        2 => (0..2_usize, any::<bool>(), 0..2_i64).prop_map(|(who, is_closed, slow_mode_seconds)| Step::Sets {
            who,
            is_closed,
            slow_mode_seconds,
        }),
        2 => who.clone().prop_map(|who| Step::Drops { who }),
        3 => who.prop_map(|who| Step::Resumes { who }),
    ];
    proptest::collection::vec(step, 5..25)
}

/// The number of replies to a message on the wire.
fn replies(message: &Value) -> i64 {
    message["thread"]["replies"].as_i64().unwrap_or_default()
}

/// A message's card by REST, as frames have it.
fn card(message: &Value) -> Value {
    let mut card = message["card"].clone();
    for choice in card.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
        choice.as_object_mut().expect("a choice").remove("mine");
    }
    card
}

/// One user's client.
struct Client {
    person: TestUser,
    socket: Option<Socket>,
    folded: Folded,
    list: Socket,
    /// What the badges show: unread messages, and those of them that mention the user.
    totals: [i64; 2],
    is_muted: bool,
}

/// A room, its users, and their clients.
pub struct Scenario {
    room: String,
    clients: Vec<Client>,
    said: usize,
}

impl Scenario {
    /// Creates users, and a room with the first two of them.
    pub async fn start(server: &Node) -> Self {
        let mut clients = Vec::new();
        for _ in 0..PEOPLE {
            let person = server.user("p").await;
            let (list, _) = person.opens_user_socket().await;
            let folded = Folded::default();
            clients.push(Client { person, socket: None, folded, list, totals: [0, 0], is_muted: false });
        }
        let room = clients[0].person.makes_group(&[&clients[1].person]).await;
        let mut scenario = Self { room, clients, said: 0 };
        scenario.resumes(0).await;
        scenario.resumes(1).await;
        scenario
    }

    /// Does one step. What isn't allowed is refused, and must have no effect.
    pub async fn apply(&mut self, step: Step) {
        self.said += 1;
        let text = format!("text {}", self.said);
        let room = self.room.clone();
        match step {
            Step::Says { who } => {
                let Some(socket) = &mut self.clients[who].socket else { return };
                let client_id = socket.says_with_client_id(&text).await;
                loop {
                    let Ok(frame) = self.clients[who].next().await else { return };
                    if frame["client_id"] == client_id.as_str() {
                        return;
                    }
                }
            }
            Step::SaysByRest { who } => {
                self.requests(who, Method::POST, "messages/", json!({"room": room, "content": text})).await;
            }
            Step::Mentions { who, whom } => {
                let mut body = self.mention(whom);
                body["room"] = json!(room);
                body["content"] = json!(text);
                self.requests(who, Method::POST, "messages/", body).await;
            }
            Step::MentionsInEdit { who, message, whom } => {
                let Some(id) = self.message(message) else { return };
                let body = self.mention(whom);
                self.requests(who, Method::PATCH, &format!("messages/{id}/"), body).await;
            }
            Step::Edits { who, message } => {
                let Some(id) = self.message(message) else { return };
                self.requests(who, Method::PATCH, &format!("messages/{id}/"), json!({"content": text})).await;
            }
            Step::Deletes { who, message } => {
                let Some(id) = self.message(message) else { return };
                self.requests(who, Method::DELETE, &format!("messages/{id}/"), json!({})).await;
            }
            Step::Reacts { who, message, emoji, on } => {
                let Some(id) = self.message(message) else { return };
                let method = if on { Method::PUT } else { Method::DELETE };
                self.requests(who, method, &format!("messages/{id}/reactions/{emoji}/"), json!({})).await;
            }
            Step::SendsCard { who, is_poll, multiple } => {
                let entries = json!([{"id": "a", "text": "one"}, {"id": "b", "text": "two"}]);
                let card = if is_poll {
                    json!({"v": 1, "kind": "poll", "title": text, "choices": entries, "multiple": multiple})
                } else {
                    json!({"v": 1, "kind": "checklist", "title": text, "items": entries})
                };
                self.requests(who, Method::POST, "messages/", json!({"room": room, "card": card})).await;
            }
            Step::UsesCard { who, message, entry, on } => {
                let Some((id, card)) = self.card(message) else { return };
                let field = if card["kind"] == "poll" { "choice" } else { "item" };
                let path = format!("messages/{id}/card/");
                self.requests(who, Method::POST, &path, json!({field: entry, "on": on})).await;
            }
            Step::Closes { who, message } => {
                let Some((id, _)) = self.card(message) else { return };
                self.requests(who, Method::POST, &format!("messages/{id}/card/"), json!({"close": true}))
                    .await;
            }
            Step::Replies { who, message, in_timeline } => {
                let Some(id) = self.message(message) else { return };
                let body =
                    json!({"room": room, "content": text, "thread_root": id, "in_timeline": in_timeline});
                self.requests(who, Method::POST, "messages/", body).await;
            }
            Step::Pins { who, message, pinned } => {
                let Some(id) = self.message(message) else { return };
                let method = if pinned { Method::PUT } else { Method::DELETE };
                self.requests(who, method, &format!("messages/{id}/pin/"), json!({})).await;
            }
            Step::SaysUrgently { who } => {
                let body = json!({"room": room, "content": text, "urgent": {}});
                self.requests(who, Method::POST, "messages/", body).await;
            }
            Step::Acknowledges { who, message } => {
                let Some(id) = self.message(message) else { return };
                self.requests(who, Method::POST, &format!("messages/{id}/ack/"), json!({})).await;
            }
            Step::Forwards { who, message, count } => {
                let Some(first) = self.message(message) else { return };
                let more = (1..count).filter_map(|next| self.message(message + next));
                let ids: Vec<String> = std::iter::once(first).chain(more).collect();
                let body = json!({"message_ids": ids, "rooms": [room], "content": text, "client_id": Uuid::new_v4()});
                self.requests(who, Method::POST, "messages/forward/", body).await;
            }
            Step::Reads { who, message } => {
                let Some(id) = self.message(message) else { return };
                self.requests(who, Method::POST, &format!("messages/{id}/mark_read/"), json!({})).await;
            }
            Step::ReadsAll { who } => {
                self.requests(who, Method::POST, &format!("rooms/{room}/mark_read/"), json!({})).await;
            }
            Step::Mutes { who, muted } => {
                let Some(place) = self.place(who).await else { return };
                let path = format!("participants/{place}/mute/");
                if self.requests(who, Method::POST, &path, json!({"muted": muted})).await {
                    self.clients[who].is_muted = muted;
                }
            }
            Step::Joins { who } => {
                let user = self.clients[who].person.id;
                self.requests(0, Method::POST, "participants/", json!({"room": room, "user": user})).await;
            }
            Step::Leaves { who } => {
                self.requests(who, Method::POST, &format!("rooms/{room}/leave/"), json!({})).await;
            }
            Step::IsRemoved { who } => {
                let Some(place) = self.place(who).await else { return };
                self.requests(0, Method::DELETE, &format!("participants/{place}/"), json!({})).await;
            }
            Step::Promotes { who, is_admin } => {
                let Some(place) = self.place(who).await else { return };
                let path = format!("participants/{place}/");
                self.requests(0, Method::PATCH, &path, json!({"is_admin": is_admin})).await;
            }
            Step::Renames => {
                self.requests(0, Method::PATCH, &format!("rooms/{room}/"), json!({"name": text})).await;
            }
            Step::Sets { who, is_closed, slow_mode_seconds } => {
                let posting = if is_closed { "admins" } else { "everyone" };
                let settings = json!({"posting": posting, "slow_mode_seconds": slow_mode_seconds,
                    "description": text});
                self.requests(who, Method::PATCH, &format!("rooms/{room}/"), settings).await;
            }
            Step::Drops { who } => {
                if let Some(socket) = self.clients[who].socket.take() {
                    socket.closes().await;
                }
            }
            Step::Resumes { who } => self.resumes(who).await,
        }
    }

    /// The fields that mention one user, or everyone.
    fn mention(&self, whom: usize) -> Value {
        let users: Vec<i64> = self.clients.get(whom).map(|client| client.person.id).into_iter().collect();
        json!({"mention_room": users.is_empty(), "mentions": users})
    }

    /// Whether all views of the room agree.
    pub async fn is_consistent(&mut self) -> Result<(), String> {
        let fresh = self.fresh().await;
        for who in 0..PEOPLE {
            let (client, room) = (&mut self.clients[who], &self.room);
            client.catches_up(&fresh).await.map_err(|why| format!("person {who}: {why}"))?;
            let is_in = fresh.people.get(&client.person.id).is_some_and(|place| place.is_in);
            let recount = if is_in { fresh.unread(client.person.id) } else { 0 };
            let unread = client.person.gets("unread/").await;
            if is_in
                && unread["rooms"][room].as_i64().unwrap_or_default() != i64::try_from(recount).expect("few")
            {
                return Err(format!("person {who}: {unread}, counted {recount}"));
            }
            let total = if client.is_muted { 0 } else { recount };
            if unread["unread_count"] != total {
                return Err(format!("person {who}: {unread}, total {total}"));
            }
            let mentions = if is_in { fresh.unread_mentions(client.person.id) } else { 0 };
            if unread["mention_count"] != mentions {
                return Err(format!("person {who}: {unread}, counted {mentions} mentions"));
            }
            client
                .badge_shows([total, mentions].map(|count| i64::try_from(count).expect("few")))
                .await
                .map_err(|why| format!("person {who}: {why}"))?;
        }
        self.rest_agrees(&fresh).await
    }

    /// The room as a new client loads it.
    async fn fresh(&self) -> Folded {
        let (socket, frames) = self.clients[0].person.resumes(&self.room, 0).await;
        let mut fresh = Folded::default();
        for frame in &frames {
            fresh.receives(frame);
        }
        socket.closes().await;
        let page =
            self.clients[0].person.gets(&format!("participants/?room={}&page_size=100", self.room)).await;
        let mut marked = self.clients[0].person.room_socket(&self.room).opens().await.expect("a socket");
        marked.next_is("connection_established").await;
        fresh.receives(&marked.next_is("read_state").await);
        marked.closes().await;
        let there = fresh.people.values().filter(|place| place.is_in).count();
        assert_eq!(page["count"], there, "{page}");
        fresh.settled()
    }

    async fn rest_agrees(&self, fresh: &Folded) -> Result<(), String> {
        let path = format!("messages/?room={}&limit=100", self.room);
        let page = self.clients[0].person.gets(&path).await;
        let told: Vec<_> = page["results"]
            .as_array()
            .expect("results")
            .iter()
            .map(|message| {
                let seq = message["seq"].as_i64().expect("a position");
                let (content, replies) = (message["content"].as_str().expect("a text"), replies(message));
                let urgent = message["urgent"].to_string();
                let extras =
                    (pinned(message), forwarded(message), replies, card(message).to_string(), urgent);
                (seq, content, reactions(message), mentions(message), extras)
            })
            .collect();
        let mut known: Vec<_> = fresh
            .messages
            .iter()
            .filter(|(_, message)| !message.is_deleted && message.is_in_timeline)
            .map(|(seq, message)| {
                let Message {
                    content, reactions, mentions, card, replies, pinned, forwarded, urgent, ..
                } = message;
                let urgent = urgent.to_string();
                let extras = (pinned.clone(), forwarded.clone(), replies.0, card.to_string(), urgent);
                (*seq, content.as_str(), reactions.clone(), mentions.clone(), extras)
            })
            .collect();
        let mut told_sorted = told.clone();
        told_sorted.sort_unstable();
        known.sort_unstable();
        if told_sorted != known {
            return Err(format!("the list of messages has {told:?}, the log {known:?}"));
        }
        self.pins_agree(fresh).await?;
        self.threads_agree(fresh).await
    }

    async fn pins_agree(&self, fresh: &Folded) -> Result<(), String> {
        let pins = self.clients[0].person.gets(&format!("rooms/{}/pins/", self.room)).await;
        let pins = pins["results"].as_array().expect("results").iter();
        let mut pins: Vec<&str> = pins.map(|message| message["id"].as_str().expect("an id")).collect();
        let mut known: Vec<&str> = fresh
            .messages
            .values()
            .filter(|message| message.pinned.is_some())
            .map(|message| message.id.as_str())
            .collect();
        pins.sort_unstable();
        known.sort_unstable();
        if pins != known {
            return Err(format!("the list of pinned messages has {pins:?}, the log {known:?}"));
        }
        Ok(())
    }

    async fn threads_agree(&self, fresh: &Folded) -> Result<(), String> {
        for (root, message) in fresh.messages.iter().filter(|(_, message)| message.replies.0 > 0) {
            let page =
                self.clients[0].person.gets(&format!("messages/?thread={}&limit=100", message.id)).await;
            let told: Vec<i64> = page["results"]
                .as_array()
                .expect("results")
                .iter()
                .map(|message| message["seq"].as_i64().expect("a position"))
                .collect();
            let is_of_it = |reply: &Message| reply.root.as_ref() == Some(&message.id);
            let known: Vec<i64> = fresh
                .messages
                .iter()
                .filter(|(seq, message)| !message.is_deleted && (*seq == root || is_of_it(message)))
                .map(|(seq, _)| *seq)
                .collect();
            let replies = known.iter().filter(|seq| *seq != root).count();
            if told != known || usize::try_from(message.replies.0) != Ok(replies) {
                return Err(format!("the thread of {message:?} is {told:?} by REST, {known:?} by the log"));
            }
        }
        Ok(())
    }

    /// The id and the card of a message that has one.
    fn card(&self, number: usize) -> Option<(String, Value)> {
        let messages = &self.clients[0].folded.messages;
        let cards: Vec<&Message> = messages.values().filter(|message| !message.card.is_null()).collect();
        let message = cards.get(number.checked_rem(cards.len())?)?;
        Some((message.id.clone(), message.card.clone()))
    }

    fn message(&self, number: usize) -> Option<String> {
        let messages = &self.clients[0].folded.messages;
        let at = number.checked_rem(messages.len())?;
        messages.values().nth(at).map(|message| message.id.clone())
    }

    async fn place(&self, who: usize) -> Option<i64> {
        let path = format!("participants/?room={}&user={}", self.room, self.clients[who].person.id);
        self.clients[0].person.gets(&path).await["results"][0]["id"].as_i64()
    }

    /// Calls REST; true if it succeeded.
    async fn requests(&self, who: usize, method: Method, path: &str, body: Value) -> bool {
        let (status, text) = self.clients[who].person.requests(method, path, Some(body)).await;
        assert!(!status.is_server_error(), "{path}: {status} {text}");
        status.is_success()
    }

    async fn resumes(&mut self, who: usize) {
        let client = &mut self.clients[who];
        if client.socket.is_some() {
            return;
        }
        let entry = client.person.room_socket(&self.room).since(client.folded.position);
        match entry.opens().await {
            Ok(socket) => client.socket = Some(socket),
            Err(status) => assert_eq!(status, 403),
        }
    }
}

impl Client {
    /// The next frame, applied; the end of the connection ends the socket too.
    async fn next(&mut self) -> Result<Value, u16> {
        let Some(socket) = &mut self.socket else { return Err(1006) };
        match socket.next_or_close_code().await {
            Ok(frame) => {
                self.folded.receives(&frame);
                Ok(frame)
            }
            Err(code) => {
                self.socket = None;
                Err(code)
            }
        }
    }

    async fn catches_up(&mut self, fresh: &Folded) -> Result<(), String> {
        if self.socket.is_none() {
            return Ok(());
        }
        let caught_up = async {
            let is_in = fresh.people[&self.person.id].is_in;
            // Users who are no longer in the room are cut off, and nobody else.
            while !is_in || self.folded.clone().settled() != *fresh {
                match self.next().await {
                    Ok(_) => {}
                    Err(4403) if !is_in => return Ok(()),
                    Err(code) => return Err(format!("cut off with {code}")),
                }
            }
            Ok(())
        };
        match tokio::time::timeout(CATCH_UP, caught_up).await {
            Ok(done) => done,
            Err(_) => Err(format!("knows {:?} instead of {fresh:?}", self.folded)),
        }
    }

    async fn badge_shows(&mut self, totals: [i64; 2]) -> Result<(), String> {
        let shown = async {
            while self.totals != totals {
                let frame = self.list.next().await;
                for (total, name) in self.totals.iter_mut().zip(["total_unread", "total_mentions"]) {
                    *total = frame[name].as_i64().unwrap_or(*total);
                }
            }
        };
        match tokio::time::timeout(CATCH_UP, shown).await {
            Ok(()) => Ok(()),
            Err(_) => Err(format!("the badges show {:?} instead of {totals:?}", self.totals)),
        }
    }
}

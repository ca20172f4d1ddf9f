//! What people do, and whether all that they see agrees.

use std::time::Duration;

use proptest::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};

use crate::fold::Folded;
use crate::node::Node;
use crate::people::Person;
use crate::socket::Socket;

/// How many people there are; the first made the room, stays in it and looks at it afresh.
const PEOPLE: usize = 4;
/// How long a client may take until it has heard all.
const CATCH_UP: Duration = Duration::from_secs(10);

/// One thing that someone does; numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Says { who: usize },
    SaysByRest { who: usize },
    Edits { who: usize, message: usize },
    Deletes { who: usize, message: usize },
    Reads { who: usize, message: usize },
    ReadsAll { who: usize },
    Mutes { who: usize, muted: bool },
    Joins { who: usize },
    Leaves { who: usize },
    IsRemoved { who: usize },
    Promotes { who: usize, is_admin: bool },
    Renames,
    Drops { who: usize },
    Resumes { who: usize },
}

/// Stories of some length.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0..PEOPLE;
    let message = 0..50_usize;
    let step = prop_oneof![
        6 => who.clone().prop_map(|who| Step::Says { who }),
        2 => who.clone().prop_map(|who| Step::SaysByRest { who }),
        2 => (who.clone(), message.clone()).prop_map(|(who, message)| Step::Edits { who, message }),
        2 => (who.clone(), message.clone()).prop_map(|(who, message)| Step::Deletes { who, message }),
        2 => (who.clone(), message).prop_map(|(who, message)| Step::Reads { who, message }),
        2 => who.clone().prop_map(|who| Step::ReadsAll { who }),
        1 => (who.clone(), any::<bool>()).prop_map(|(who, muted)| Step::Mutes { who, muted }),
        3 => (1..PEOPLE).prop_map(|who| Step::Joins { who }),
        1 => (1..PEOPLE).prop_map(|who| Step::Leaves { who }),
        1 => (1..PEOPLE).prop_map(|who| Step::IsRemoved { who }),
        1 => (1..PEOPLE, any::<bool>()).prop_map(|(who, is_admin)| Step::Promotes { who, is_admin }),
        1 => Just(Step::Renames),
        2 => who.clone().prop_map(|who| Step::Drops { who }),
        3 => who.prop_map(|who| Step::Resumes { who }),
    ];
    proptest::collection::vec(step, 5..25)
}

/// One person's client.
struct Client {
    person: Person,
    socket: Option<Socket>,
    folded: Folded,
    list: Socket,
    /// What the badge shows.
    total: i64,
    is_muted: bool,
}

/// A room, its people, and their clients.
pub struct Story {
    room: String,
    clients: Vec<Client>,
    said: usize,
}

impl Story {
    /// Makes people and a room with the first two of them.
    pub async fn begins(server: &Node) -> Self {
        let mut clients = Vec::new();
        for _ in 0..PEOPLE {
            let person = server.person("p").await;
            let (list, _) = person.signs_in().await;
            let folded = Folded::default();
            clients.push(Client { person, socket: None, folded, list, total: 0, is_muted: false });
        }
        let room = clients[0].person.makes_group(&[&clients[1].person]).await;
        let mut story = Self { room, clients, said: 0 };
        story.resumes(0).await;
        story.resumes(1).await;
        story
    }

    /// Does one thing. What isn't allowed is refused, and nothing must come of it.
    pub async fn goes_on(&mut self, step: Step) {
        self.said += 1;
        let text = format!("text {}", self.said);
        let room = self.room.clone();
        match step {
            Step::Says { who } => {
                let Some(socket) = &mut self.clients[who].socket else { return };
                let client_id = socket.says_surely(&text).await;
                loop {
                    let Ok(frame) = self.clients[who].next().await else { return };
                    if frame["client_id"] == client_id.as_str() {
                        return;
                    }
                }
            }
            Step::SaysByRest { who } => {
                self.asks(who, Method::POST, "messages/", json!({"room": room, "content": text})).await;
            }
            Step::Edits { who, message } => {
                let Some(id) = self.message(message) else { return };
                self.asks(who, Method::PATCH, &format!("messages/{id}/"), json!({"content": text})).await;
            }
            Step::Deletes { who, message } => {
                let Some(id) = self.message(message) else { return };
                self.asks(who, Method::DELETE, &format!("messages/{id}/"), json!({})).await;
            }
            Step::Reads { who, message } => {
                let Some(id) = self.message(message) else { return };
                self.asks(who, Method::POST, &format!("messages/{id}/mark_read/"), json!({})).await;
            }
            Step::ReadsAll { who } => {
                self.asks(who, Method::POST, &format!("rooms/{room}/mark_read/"), json!({})).await;
            }
            Step::Mutes { who, muted } => {
                let Some(place) = self.place(who).await else { return };
                let path = format!("participants/{place}/mute/");
                if self.asks(who, Method::POST, &path, json!({"muted": muted})).await {
                    self.clients[who].is_muted = muted;
                }
            }
            Step::Joins { who } => {
                let user = self.clients[who].person.id;
                self.asks(0, Method::POST, "participants/", json!({"room": room, "user": user})).await;
            }
            Step::Leaves { who } => {
                self.asks(who, Method::POST, &format!("rooms/{room}/leave/"), json!({})).await;
            }
            Step::IsRemoved { who } => {
                let Some(place) = self.place(who).await else { return };
                self.asks(0, Method::DELETE, &format!("participants/{place}/"), json!({})).await;
            }
            Step::Promotes { who, is_admin } => {
                let Some(place) = self.place(who).await else { return };
                let path = format!("participants/{place}/");
                self.asks(0, Method::PATCH, &path, json!({"is_admin": is_admin})).await;
            }
            Step::Renames => {
                self.asks(0, Method::PATCH, &format!("rooms/{room}/"), json!({"name": text})).await;
            }
            Step::Drops { who } => {
                if let Some(socket) = self.clients[who].socket.take() {
                    socket.closes().await;
                }
            }
            Step::Resumes { who } => self.resumes(who).await,
        }
    }

    /// Whether all that can be seen of the room agrees.
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
            client
                .badge_shows(i64::try_from(total).expect("few"))
                .await
                .map_err(|why| format!("person {who}: {why}"))?;
        }
        self.rest_agrees(&fresh).await
    }

    /// What one learns who has never been here.
    async fn fresh(&self) -> Folded {
        let (socket, frames) = self.clients[0].person.returns(&self.room, 0).await;
        let mut fresh = Folded::default();
        for frame in &frames {
            fresh.hears(frame);
        }
        socket.closes().await;
        let page =
            self.clients[0].person.gets(&format!("participants/?room={}&page_size=100", self.room)).await;
        let mut marked = self.clients[0].person.way_into(&self.room).opens().await.expect("a socket");
        marked.next_is("connection_established").await;
        fresh.hears(&marked.next_is("read_state").await);
        marked.closes().await;
        let there = fresh.people.values().filter(|place| place.is_in).count();
        assert_eq!(page["count"], there, "{page}");
        fresh.settled()
    }

    async fn rest_agrees(&self, fresh: &Folded) -> Result<(), String> {
        let path = format!("messages/?room={}&limit=100", self.room);
        let page = self.clients[0].person.gets(&path).await;
        let told: Vec<(i64, &str)> = page["results"]
            .as_array()
            .expect("results")
            .iter()
            .map(|message| {
                (message["seq"].as_i64().expect("a position"), message["content"].as_str().expect("a text"))
            })
            .collect();
        let mut known: Vec<(i64, &str)> = fresh
            .messages
            .iter()
            .filter(|(_, message)| !message.is_deleted)
            .map(|(seq, message)| (*seq, message.content.as_str()))
            .collect();
        let mut told_sorted = told.clone();
        told_sorted.sort_unstable();
        known.sort_unstable();
        if told_sorted != known {
            return Err(format!("the list of messages has {told:?}, the log {known:?}"));
        }
        Ok(())
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

    /// Asks over REST; true: it was done.
    async fn asks(&self, who: usize, method: Method, path: &str, body: Value) -> bool {
        let (status, text) = self.clients[who].person.asks(method, path, Some(body)).await;
        assert!(!status.is_server_error(), "{path}: {status} {text}");
        status.is_success()
    }

    async fn resumes(&mut self, who: usize) {
        let client = &mut self.clients[who];
        if client.socket.is_some() {
            return;
        }
        let entry = client.person.way_into(&self.room).since(client.folded.position);
        match entry.opens().await {
            Ok(socket) => client.socket = Some(socket),
            Err(status) => assert_eq!(status, 403),
        }
    }
}

impl Client {
    /// The next frame, taken in; the end of the connection ends the socket too.
    async fn next(&mut self) -> Result<Value, u16> {
        let Some(socket) = &mut self.socket else { return Err(1006) };
        match socket.next_or_end().await {
            Ok(frame) => {
                self.folded.hears(&frame);
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
            // Who is not in the room any more is cut off; and nobody else.
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

    async fn badge_shows(&mut self, total: i64) -> Result<(), String> {
        let shown = async {
            while self.total != total {
                let frame = self.list.next().await;
                if let Some(total) = frame["total_unread"].as_i64() {
                    self.total = total;
                } else if frame["type"] == "room_removed" {
                    // It was the only one.
                    self.total = 0;
                }
            }
        };
        match tokio::time::timeout(CATCH_UP, shown).await {
            Ok(()) => Ok(()),
            Err(_) => Err(format!("the badge shows {} instead of {total}", self.total)),
        }
    }
}

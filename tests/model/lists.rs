//! Lists of rooms on many devices: users act concurrently, devices connect at any moment, on one node or two, and
//! in the end each device shows what REST returns.
//!
//! `LISTS_SEEDS` sets how many seeds are tried, `LISTS_SEED` names a single one. A seed decides who does what and
//! when; the interleaving is up to the server and the machine.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::node::Node;
use crate::rabbitmq::RabbitMq;
use crate::users::TestUser;

/// Seeds of a run, by default.
const SEEDS: u64 = 3;
/// Bursts of one seed, each followed by a comparison.
const BURSTS: usize = 12;
/// Rooms at the start, beside direct ones.
const GROUPS: usize = 3;
/// The most devices of all users together.
const DEVICES_MAX: usize = 24;
/// How long a device may take until it shows what REST returns.
const CATCH_UP: Duration = Duration::from_secs(15);
/// All of a user's rooms on one page.
const LIST: &str = "rooms/?include_archived=true&page_size=100";
/// The parts of a row that frames have too.
const SHOWN: [&str; 11] = [
    "unread_count",
    "mention_count",
    "last_message_preview",
    "last_message_time",
    "last_message_sender",
    "display_name",
    "is_active",
    "is_muted",
    "level",
    "favourite",
    "partner",
];

/// Random numbers of a seed.
struct Rng(u64);

impl Rng {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) % count as u64).expect("below a count")
    }

    fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())].clone()
    }
}

/// A list as a device shows it, by the simplest fold.
#[derive(Clone, Debug, Default, PartialEq)]
struct Shown {
    rows: BTreeMap<String, BTreeMap<&'static str, Value>>,
    /// Of unread messages, and of those of them that mention the user.
    totals: [Value; 2],
}

fn row(of: &Value) -> BTreeMap<&'static str, Value> {
    SHOWN.iter().map(|name| (*name, of[*name].clone())).collect()
}

impl Shown {
    fn of(page: &Value, greeting: &Value) -> Self {
        let rows = page["results"].as_array().expect("results").iter();
        Self {
            rows: rows.map(|one| (one["id"].as_str().expect("an id").to_owned(), row(one))).collect(),
            totals: ["unread_count", "mention_count"].map(|name| greeting[name].clone()),
        }
    }

    fn receives(&mut self, frame: &Value) {
        let room = frame["room_id"].as_str().unwrap_or_default();
        match frame["type"].as_str().unwrap_or_default() {
            "inbox" => _ = self.rows.insert(room.to_owned(), row(frame)),
            "room_removed" => _ = self.rows.remove(room),
            // The row follows in another frame.
            "room_added" => {
                self.rows.entry(room.to_owned()).or_default();
                return;
            }
            _ => return,
        }
        self.totals = ["total_unread", "total_mentions"].map(|name| frame[name].clone());
    }

    /// Where two lists differ.
    fn differs(&self, told: &Self) -> Option<String> {
        if self.totals != told.totals {
            return Some(format!("the badges show {:?} instead of {:?}", self.totals, told.totals));
        }
        let rooms = self.rows.keys().chain(told.rows.keys());
        rooms.into_iter().find_map(|room| {
            let (shown, told) = (self.rows.get(room), told.rows.get(room));
            (shown != told).then(|| format!("{room} shows\n  {shown:?} instead of\n  {told:?}"))
        })
    }
}

/// One device with a socket.
struct Device {
    who: usize,
    shown: Arc<Mutex<Shown>>,
    changed: Arc<Notify>,
    heard: Arc<Mutex<Vec<Value>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Device {
    /// Connects, loads the list, and updates it by the frames from then on.
    async fn opens(who: usize, person: TestUser) -> Option<Self> {
        let mut socket = person.user_socket().opens().await.ok()?;
        let greeting = socket.next_or_close_code().await.ok()?;
        let (status, page) = person.requests(Method::GET, LIST, None).await;
        if !status.is_success() {
            return None;
        }
        let page = serde_json::from_str(&page).expect("JSON");
        let shown = Arc::new(Mutex::new(Shown::of(&page, &greeting)));
        let (changed, heard) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Vec::new())));
        let (fold, tell, all) = (shown.clone(), changed.clone(), heard.clone());
        let task = tokio::spawn(async move {
            loop {
                match socket.frame().await {
                    Ok(frame) => {
                        locked(&fold).receives(&frame);
                        locked(&all).push(frame);
                    }
                    Err(code) => break locked(&all).push(json!({"closed with": code})),
                }
                tell.notify_one();
            }
        });
        Some(Self { who, shown, changed, heard, task })
    }

    async fn comes_to(&self, told: &Shown) -> Result<(), String> {
        let come = async {
            while locked(&self.shown).differs(told).is_some() {
                self.changed.notified().await;
            }
        };
        if tokio::time::timeout(within(), come).await.is_ok() {
            return Ok(());
        }
        let differs = locked(&self.shown).differs(told).unwrap_or_else(|| "late".into());
        let heard = locked(&self.heard);
        let last: Vec<String> = heard.iter().rev().take(6).map(Value::to_string).collect();
        Err(format!("{differs}\nheard last, the newest first:\n  {}", last.join("\n  ")))
    }
}

fn within() -> Duration {
    let asked = std::env::var("LISTS_WITHIN_MS").ok().and_then(|ms| ms.parse().ok());
    asked.map_or(CATCH_UP, Duration::from_millis)
}

/// What a user does.
#[derive(Clone, Debug)]
enum Deed {
    Says,
    Replies { in_timeline: bool },
    ReadsAll,
    Mutes(bool),
    MarksUnread,
    Favours(bool),
    Leaves,
    LeavesAll,
    Adds(usize),
    Removes(usize),
    NamesRoom,
    Mentions(usize),
    EditsLast,
    MentionsInLast(usize),
    DeletesLast,
    Archives(bool),
    DeletesRoom,
    Makes(usize),
    OpensDirect(usize),
    IsRenamed,
    IsErased,
    OpensDevice,
}

/// The users, their devices and rooms, and the nodes.
struct World<'a> {
    nodes: &'a [Node],
    people: Vec<TestUser>,
    devices: Vec<Device>,
    rooms: Vec<String>,
    rng: Rng,
    said: usize,
}

impl World<'_> {
    async fn begin(nodes: &[Node], seed: u64) -> World<'_> {
        let mut rng = Rng(seed);
        let mut people = Vec::new();
        for _ in 0..3 + rng.below(6) {
            people.push(nodes[0].user("p").await);
        }
        let mut rooms = Vec::new();
        for _ in 0..GROUPS {
            let others: Vec<&TestUser> = people[1..].iter().filter(|_| rng.below(3) > 0).collect();
            rooms.push(people[0].makes_group(&others).await);
        }
        rooms.push(people[0].opens_direct(&people[1]).await);
        World { nodes, people, devices: Vec::new(), rooms, rng, said: 0 }
    }

    /// The same user, through some node.
    fn at_some_node(&mut self, who: usize) -> TestUser {
        let mut person = self.people[who].clone();
        person.address = self.nodes[self.rng.below(self.nodes.len())].address;
        person
    }

    fn deed(&mut self) -> Deed {
        let other = self.rng.below(self.people.len());
        let so = self.rng.below(2) == 0;
        match self.rng.below(100) {
            0..9 => Deed::Says,
            9..13 => Deed::Mentions(other),
            13..16 => Deed::Replies { in_timeline: so },
            16..25 => Deed::ReadsAll,
            25..28 => Deed::Mutes(so),
            28..31 => Deed::MarksUnread,
            31..33 => Deed::Favours(so),
            33..38 => Deed::Leaves,
            38..42 => Deed::LeavesAll,
            42..53 => Deed::Adds(other),
            53..57 => Deed::Removes(other),
            57..60 => Deed::NamesRoom,
            60..61 => Deed::EditsLast,
            61..63 => Deed::MentionsInLast(other),
            63..66 => Deed::DeletesLast,
            66..69 => Deed::Archives(so),
            69..70 => Deed::DeletesRoom,
            70..74 => Deed::Makes(other),
            74..77 => Deed::OpensDirect(other),
            77..81 => Deed::IsRenamed,
            81..82 => Deed::IsErased,
            _ => Deed::OpensDevice,
        }
    }

    /// Several users do several things concurrently.
    async fn burst(&mut self) {
        while !self.devices.is_empty() && self.rng.below(3) == 0 {
            let gone = self.rng.below(self.devices.len());
            drop(self.devices.swap_remove(gone));
        }
        let mut deeds = Vec::new();
        // Half of all bursts are about one user, on all devices.
        let (one, is_about_one) = (self.rng.below(self.people.len()), self.rng.below(2) == 0);
        for _ in 0..=self.rng.below(9) {
            let who = if is_about_one { one } else { self.rng.below(self.people.len()) };
            let deed = match self.deed() {
                Deed::Adds(_) if is_about_one => Deed::Adds(one),
                deed => deed,
            };
            // Some do the same to the same room, or several things to it.
            let room = self.rng.below(self.rooms.len());
            let room = self.rooms[if self.rng.below(2) == 0 { room } else { room % 2 }].clone();
            self.said += 1;
            let pause = Duration::from_millis([0, 0, 3, 20, 45, 60][self.rng.below(6)]);
            if matches!(deed, Deed::OpensDevice) && self.devices.len() >= DEVICES_MAX {
                continue;
            }
            // A user is added by another one.
            let does = if matches!(deed, Deed::Adds(other) if other == who) { 0 } else { who };
            let (person, host) = (self.at_some_node(does), self.nodes[0].host());
            let other = match deed {
                Deed::Adds(other)
                | Deed::Removes(other)
                | Deed::Makes(other)
                | Deed::OpensDirect(other)
                | Deed::Mentions(other)
                | Deed::MentionsInLast(other) => other,
                _ => who,
            };
            let (other, text) = (self.people[other].clone(), format!("text {}", self.said));
            deeds.push(async move {
                tokio::time::sleep(pause).await;
                (who, deed.clone(), done(deed, who, person, other, host, room, text).await)
            });
        }
        let mut erased = BTreeSet::new();
        for (who, deed, done) in join_all(deeds).await {
            match done {
                Done::Room(room) => self.rooms.push(room),
                Done::Device(device) => self.devices.push(device),
                Done::Nothing => {}
            }
            erased.extend(matches!(deed, Deed::IsErased).then_some(who));
        }
        // A device that connected before its user was erased may come to be known after.
        self.devices.retain(|device| !erased.contains(&device.who));
        for who in erased {
            self.people[who] = self.nodes[0].user("n").await;
        }
    }

    /// Whether each device comes to show what REST returns.
    async fn agrees(&mut self) -> Result<(), String> {
        let mut told = BTreeMap::new();
        for device in &self.devices {
            let Entry::Vacant(place) = told.entry(device.who) else { continue };
            let person = &self.people[device.who];
            let unread = person.gets("unread/").await;
            let page = person.gets(LIST).await;
            let rows = page["results"].as_array().expect("results").iter();
            let counts = rows.filter(|row| row["is_muted"] == false && row["is_active"] == true);
            let sum: i64 = counts.map(|row| row["unread_count"].as_i64().expect("a count")).sum();
            if unread["unread_count"] != sum {
                return Err(format!("{} are unread, the list has {sum}", unread["unread_count"]));
            }
            let rows = page["results"].as_array().expect("results").iter();
            let active = rows.filter(|row| row["is_active"] == true);
            let sum: i64 = active.map(|row| row["mention_count"].as_i64().expect("a count")).sum();
            if unread["mention_count"] != sum {
                return Err(format!("{} mentions are unread, the list has {sum}", unread["mention_count"]));
            }
            place.insert(Shown::of(&page, &unread));
        }
        let come = self.devices.iter().map(|device| device.comes_to(&told[&device.who]));
        for (device, come) in self.devices.iter().zip(join_all(come).await) {
            come.map_err(|why| format!("a device of {}: {why}", self.people[device.who].id))?;
        }
        Ok(())
    }
}

enum Done {
    Nothing,
    Room(String),
    Device(Device),
}

/// The fields that mention one user, or everyone where that would be oneself.
fn mention(by: &TestUser, whom: &TestUser) -> Value {
    if by.id == whom.id { json!({"mention_room": true}) } else { json!({"mentions": [whom.id]}) }
}

/// Does it; what isn't allowed is refused, and must have no effect.
async fn done(
    deed: Deed,
    who: usize,
    person: TestUser,
    other: TestUser,
    host: TestUser,
    room: String,
    text: String,
) -> Done {
    let asks = async |method, path: String, body: Value| {
        let (status, said) = person.requests(method, &path, Some(body)).await;
        assert!(!status.is_server_error(), "{path}: {status} {said}");
        serde_json::from_str::<Value>(&said).unwrap_or_default()
    };
    let place = async |of: &TestUser| {
        let path = format!("participants/?room={room}&user={}", of.id);
        let (_, page) = person.requests(Method::GET, &path, None).await;
        serde_json::from_str::<Value>(&page).unwrap_or_default()["results"][0]["id"].as_i64()
    };
    let last = async || {
        let (_, page) = person
            .requests(Method::GET, &format!("messages/?room={room}&sender={}&limit=1", person.id), None)
            .await;
        let page: Value = serde_json::from_str(&page).unwrap_or_default();
        page["results"][0]["id"].as_str().map(str::to_owned)
    };
    match deed {
        Deed::Says => {
            _ = asks(Method::POST, "messages/".into(), json!({"room": room, "content": text})).await;
        }
        Deed::Replies { in_timeline } => {
            if let Some(root) = last().await {
                let body = json!({
                    "room": room, "content": text, "thread_root": root, "in_timeline": in_timeline,
                });
                asks(Method::POST, "messages/".into(), body).await;
            }
        }
        Deed::Mentions(_) => {
            let mut body = mention(&person, &other);
            body["room"] = json!(room);
            body["content"] = json!(text);
            asks(Method::POST, "messages/".into(), body).await;
        }
        Deed::MentionsInLast(_) => {
            if let Some(id) = last().await {
                asks(Method::PATCH, format!("messages/{id}/"), mention(&person, &other)).await;
            }
        }
        Deed::ReadsAll => _ = asks(Method::POST, format!("rooms/{room}/mark_read/"), json!({})).await,
        Deed::Mutes(muted) => {
            if let Some(place) = place(&person).await {
                asks(Method::POST, format!("participants/{place}/mute/"), json!({"muted": muted})).await;
            }
        }
        Deed::MarksUnread => {
            let (_, page) =
                person.requests(Method::GET, &format!("messages/?room={room}&limit=9"), None).await;
            let page: Value = serde_json::from_str(&page).unwrap_or_default();
            let oldest = page["results"].as_array().and_then(|messages| messages.last()).cloned();
            if let Some(message) = oldest {
                let body = json!({"message_id": message["id"]});
                asks(Method::POST, format!("rooms/{room}/mark_unread/"), body).await;
            }
        }
        Deed::Favours(favourite) => {
            if let Some(place) = place(&person).await {
                let level = if favourite { "mentions" } else { "all" };
                let body = json!({"favourite": favourite, "level": level});
                asks(Method::PATCH, format!("participants/{place}/"), body).await;
            }
        }
        Deed::Leaves => _ = asks(Method::POST, format!("rooms/{room}/leave/"), json!({})).await,
        Deed::LeavesAll => {
            let (_, page) = person.requests(Method::GET, LIST, None).await;
            let page: Value = serde_json::from_str(&page).unwrap_or_default();
            let rooms =
                page["results"].as_array().into_iter().flatten().filter_map(|room| room["id"].as_str());
            join_all(rooms.map(|room| asks(Method::POST, format!("rooms/{room}/leave/"), json!({})))).await;
        }
        Deed::Adds(_) => {
            asks(
                Method::POST,
                "participants/".into(),
                json!({"room": room, "user": other.id, "is_admin": true}),
            )
            .await;
        }
        Deed::Removes(_) => {
            if let Some(place) = place(&other).await {
                asks(Method::DELETE, format!("participants/{place}/"), json!({})).await;
            }
        }
        Deed::NamesRoom => _ = asks(Method::PATCH, format!("rooms/{room}/"), json!({"name": text})).await,
        Deed::EditsLast => {
            if let Some(id) = last().await {
                asks(Method::PATCH, format!("messages/{id}/"), json!({"content": text})).await;
            }
        }
        Deed::DeletesLast => {
            if let Some(id) = last().await {
                asks(Method::DELETE, format!("messages/{id}/"), json!({})).await;
            }
        }
        Deed::Archives(on) => {
            let what = if on { "archive" } else { "unarchive" };
            asks(Method::POST, format!("rooms/{room}/{what}/"), json!({})).await;
        }
        Deed::DeletesRoom => _ = asks(Method::DELETE, format!("rooms/{room}/"), json!({})).await,
        Deed::Makes(_) => {
            let body = json!({"room_type": "group", "name": text, "participant_ids": [other.id]});
            let made = asks(Method::POST, "rooms/".into(), body).await;
            return made["id"].as_str().map_or(Done::Nothing, |id| Done::Room(id.to_owned()));
        }
        Deed::OpensDirect(_) => {
            let made = asks(Method::POST, "rooms/".into(), json!({"participant_ids": [other.id]})).await;
            return made["id"].as_str().map_or(Done::Nothing, |id| Done::Room(id.to_owned()));
        }
        Deed::IsRenamed => host.upserts(&person, json!({"full_name": format!("Named {text}")})).await,
        Deed::IsErased => host.deletes(&format!("users/{}/?texts=true", person.id)).await,
        Deed::OpensDevice => {
            return Device::opens(who, person).await.map_or(Done::Nothing, Done::Device);
        }
    }
    Done::Nothing
}

/// The seeds to try.
fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    match number("LISTS_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("LISTS_SEEDS").unwrap_or(SEEDS)).collect(),
    }
}

async fn holds(nodes: &[Node]) {
    let mut broken = Vec::new();
    for seed in seeds() {
        let mut world = World::begin(nodes, seed).await;
        for burst in 0..BURSTS {
            world.burst().await;
            if let Err(why) = world.agrees().await {
                broken.push(format!("seed {seed}, after burst {burst}: {why}"));
                break;
            }
        }
    }
    assert!(broken.is_empty(), "{} of {} seeds broke:\n{}", broken.len(), seeds().len(), broken.join("\n"));
}

#[tokio::test]
async fn lists_on_many_devices_come_to_what_rest_tells() {
    holds(&[Node::start(&[("RATE_LIMITS", "off"), ("MAX_SOCKETS_PER_USER", "100")]).await]).await;
}

#[tokio::test]
async fn lists_on_two_nodes_come_to_what_rest_tells() {
    let broker = RabbitMq::start();
    let url = broker.url();
    let settings = [("RATE_LIMITS", "off"), ("MAX_SOCKETS_PER_USER", "100"), ("AMQP_URL", &url)];
    let first = Node::start(&settings).await;
    let second = first.start_peer(&settings);
    holds(&[first, second]).await;
}

//! Lists of rooms on many devices: people do anything at once, devices come at any moment, on one node or
//! two, and when all is done each device shows what REST tells.
//!
//! `LISTS_SEEDS` sets how many seeds are tried, `LISTS_SEED` names a single one. What a seed decides is who
//! wants what and when; how it interleaves is up to the server and the machine.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::broker::Broker;
use crate::node::Node;
use crate::people::Person;

/// Seeds of a run where none are asked for.
const SEEDS: u64 = 3;
/// Bursts of one seed, after each of which it is compared.
const BURSTS: usize = 12;
/// Rooms that there are at the start, beside direct ones.
const GROUPS: usize = 3;
/// The most devices of all people together.
const DEVICES_MAX: usize = 24;
/// How long a device may take until it shows what REST tells.
const CATCH_UP: Duration = Duration::from_secs(15);
/// All of a person's rooms on one page.
const LIST: &str = "rooms/?include_archived=true&page_size=100";
/// What a line of a list shows that frames tell too.
const SHOWN: [&str; 8] = [
    "unread_count",
    "last_message_preview",
    "last_message_time",
    "last_message_sender",
    "display_name",
    "is_active",
    "is_muted",
    "partner",
];

/// Numbers that a seed decides.
struct Chance(u64);

impl Chance {
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

/// A list as a device shows it, folded the simplest way.
#[derive(Clone, Debug, Default, PartialEq)]
struct Shown {
    rows: BTreeMap<String, BTreeMap<&'static str, Value>>,
    total: Value,
}

fn row(of: &Value) -> BTreeMap<&'static str, Value> {
    SHOWN.iter().map(|name| (*name, of[*name].clone())).collect()
}

impl Shown {
    fn of(page: &Value, total: Value) -> Self {
        let rows = page["results"].as_array().expect("results").iter();
        Self {
            rows: rows.map(|one| (one["id"].as_str().expect("an id").to_owned(), row(one))).collect(),
            total,
        }
    }

    fn hears(&mut self, frame: &Value) {
        let room = frame["room_id"].as_str().unwrap_or_default();
        match frame["type"].as_str().unwrap_or_default() {
            "inbox" => _ = self.rows.insert(room.to_owned(), row(frame)),
            "room_removed" => _ = self.rows.remove(room),
            // A line follows.
            "room_added" => _ = self.rows.entry(room.to_owned()).or_default(),
            _ => return,
        }
        if frame["total_unread"].is_number() {
            self.total = frame["total_unread"].clone();
        }
    }

    /// Where the two differ.
    fn differs(&self, told: &Self) -> Option<String> {
        if self.total != told.total {
            return Some(format!("the badge shows {} instead of {}", self.total, told.total));
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
    /// Connects, loads the list, and keeps it by what is told from then on.
    async fn opens(who: usize, person: Person) -> Option<Self> {
        let mut socket = person.way_to_all().opens().await.ok()?;
        let greeting = socket.next_or_end().await.ok()?;
        let (status, page) = person.asks(Method::GET, LIST, None).await;
        if !status.is_success() {
            return None;
        }
        let page = serde_json::from_str(&page).expect("JSON");
        let shown = Arc::new(Mutex::new(Shown::of(&page, greeting["unread_count"].clone())));
        let (changed, heard) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Vec::new())));
        let (fold, tell, all) = (shown.clone(), changed.clone(), heard.clone());
        let task = tokio::spawn(async move {
            while let Ok(frame) = socket.frame().await {
                locked(&fold).hears(&frame);
                locked(&all).push(frame);
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

/// What someone does.
#[derive(Clone, Debug)]
enum Deed {
    Says,
    ReadsAll,
    Mutes(bool),
    Leaves,
    LeavesAll,
    Adds(usize),
    Removes(usize),
    NamesRoom,
    EditsLast,
    DeletesLast,
    Archives(bool),
    DeletesRoom,
    Makes(usize),
    OpensDirect(usize),
    IsRenamed,
    IsErased,
    OpensDevice,
}

/// The people, what they have, and where.
struct World<'a> {
    nodes: &'a [Node],
    people: Vec<Person>,
    devices: Vec<Device>,
    rooms: Vec<String>,
    chance: Chance,
    said: usize,
}

impl World<'_> {
    async fn begin(nodes: &[Node], seed: u64) -> World<'_> {
        let mut chance = Chance(seed);
        let mut people = Vec::new();
        for _ in 0..3 + chance.below(6) {
            people.push(nodes[0].person("p").await);
        }
        let mut rooms = Vec::new();
        for _ in 0..GROUPS {
            let others: Vec<&Person> = people[1..].iter().filter(|_| chance.below(3) > 0).collect();
            rooms.push(people[0].makes_group(&others).await);
        }
        rooms.push(people[0].opens_direct(&people[1]).await);
        World { nodes, people, devices: Vec::new(), rooms, chance, said: 0 }
    }

    /// The same person, asking some node.
    fn at_some_node(&mut self, who: usize) -> Person {
        let mut person = self.people[who].clone();
        person.address = self.nodes[self.chance.below(self.nodes.len())].address;
        person
    }

    fn deed(&mut self) -> Deed {
        let other = self.chance.below(self.people.len());
        let so = self.chance.below(2) == 0;
        match self.chance.below(100) {
            0..16 => Deed::Says,
            16..25 => Deed::ReadsAll,
            25..33 => Deed::Mutes(so),
            33..38 => Deed::Leaves,
            38..42 => Deed::LeavesAll,
            42..53 => Deed::Adds(other),
            53..57 => Deed::Removes(other),
            57..60 => Deed::NamesRoom,
            60..63 => Deed::EditsLast,
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

    /// Several people do several things at once.
    async fn burst(&mut self) {
        while !self.devices.is_empty() && self.chance.below(3) == 0 {
            let gone = self.chance.below(self.devices.len());
            drop(self.devices.swap_remove(gone));
        }
        let mut deeds = Vec::new();
        // Half of all bursts are about one person, on all devices.
        let (one, is_about_one) = (self.chance.below(self.people.len()), self.chance.below(2) == 0);
        for _ in 0..=self.chance.below(9) {
            let who = if is_about_one { one } else { self.chance.below(self.people.len()) };
            let deed = match self.deed() {
                Deed::Adds(_) if is_about_one => Deed::Adds(one),
                deed => deed,
            };
            // Some do the same to the same room, or several things to it.
            let room = self.chance.below(self.rooms.len());
            let room = self.rooms[if self.chance.below(2) == 0 { room } else { room % 2 }].clone();
            self.said += 1;
            let pause = Duration::from_millis([0, 0, 3, 20, 45, 60][self.chance.below(6)]);
            if matches!(deed, Deed::OpensDevice) && self.devices.len() >= DEVICES_MAX {
                continue;
            }
            // Who puts someone in is another one.
            let does = if matches!(deed, Deed::Adds(other) if other == who) { 0 } else { who };
            let (person, host) = (self.at_some_node(does), self.nodes[0].host());
            let other = match deed {
                Deed::Adds(other) | Deed::Removes(other) | Deed::Makes(other) | Deed::OpensDirect(other) => {
                    other
                }
                _ => who,
            };
            let (other, text) = (self.people[other].clone(), format!("text {}", self.said));
            deeds.push(async move {
                tokio::time::sleep(pause).await;
                (who, deed.clone(), done(deed, who, person, other, host, room, text).await)
            });
        }
        for (who, deed, done) in join_all(deeds).await {
            match done {
                Done::Room(room) => self.rooms.push(room),
                Done::Device(device) => self.devices.push(device),
                Done::Nothing => {}
            }
            if matches!(deed, Deed::IsErased) {
                self.devices.retain(|device| device.who != who);
                self.people[who] = self.nodes[0].person("n").await;
            }
        }
    }

    /// Whether each device comes to show what REST tells.
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
            place.insert(Shown::of(&page, unread["unread_count"].clone()));
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

/// Does it; what isn't allowed is refused, and nothing must come of it.
async fn done(
    deed: Deed,
    who: usize,
    person: Person,
    other: Person,
    host: Person,
    room: String,
    text: String,
) -> Done {
    let asks = async |method, path: String, body: Value| {
        let (status, said) = person.asks(method, &path, Some(body)).await;
        assert!(!status.is_server_error(), "{path}: {status} {said}");
        serde_json::from_str::<Value>(&said).unwrap_or_default()
    };
    let place = async |of: &Person| {
        let path = format!("participants/?room={room}&user={}", of.id);
        let (_, page) = person.asks(Method::GET, &path, None).await;
        serde_json::from_str::<Value>(&page).unwrap_or_default()["results"][0]["id"].as_i64()
    };
    let last = async || {
        let (_, page) = person
            .asks(Method::GET, &format!("messages/?room={room}&sender={}&limit=1", person.id), None)
            .await;
        let page: Value = serde_json::from_str(&page).unwrap_or_default();
        page["results"][0]["id"].as_str().map(str::to_owned)
    };
    match deed {
        Deed::Says => {
            _ = asks(Method::POST, "messages/".into(), json!({"room": room, "content": text})).await;
        }
        Deed::ReadsAll => _ = asks(Method::POST, format!("rooms/{room}/mark_read/"), json!({})).await,
        Deed::Mutes(muted) => {
            if let Some(place) = place(&person).await {
                asks(Method::POST, format!("participants/{place}/mute/"), json!({"muted": muted})).await;
            }
        }
        Deed::Leaves => _ = asks(Method::POST, format!("rooms/{room}/leave/"), json!({})).await,
        Deed::LeavesAll => {
            let (_, page) = person.asks(Method::GET, LIST, None).await;
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
        Deed::IsRenamed => host.tells(&person, json!({"full_name": format!("Named {text}")})).await,
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
    let broker = Broker::start();
    let url = broker.url();
    let settings = [("RATE_LIMITS", "off"), ("MAX_SOCKETS_PER_USER", "100"), ("AMQP_URL", &url)];
    let first = Node::start(&settings).await;
    let second = first.beside(&settings);
    holds(&[first, second]).await;
}

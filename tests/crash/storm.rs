//! Rooms full of clients that send, are cut off at random, come back and resume.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::checker::check;
use crate::history::{History, Note, Row};
use crate::node::{Holds, Node};
use crate::people::Person;
use crate::socket::Socket;

/// How long it may take until all have heard all, after the last fault.
const HEAL_MAX: Duration = Duration::from_secs(30);
/// How long it may take until nothing is left of clients that have gone.
const REST_MAX: Duration = Duration::from_secs(10);
/// Connections to the database that a server may keep, more than at its start.
const CONNECTIONS_KEPT: usize = 16;
/// Threads for what blocks.
const THREADS_KEPT: usize = 4;
/// Memory in KiB that is kept of what a storm took: plans, pages of logs, rooms that don't sleep yet.
const MEMORY_KEPT: u64 = 24 * 1024;
/// How long a client waits before it tries to connect again.
const RETRY: Duration = Duration::from_millis(100);

/// How large a storm is.
#[derive(Clone, Copy)]
pub struct Size {
    pub rooms: usize,
    pub people_a_room: usize,
    /// Messages a second of all clients together.
    pub rate: f64,
    /// Mean time after which a client cuts its connection itself; none: never.
    pub drops_every: Option<Duration>,
}

/// A storm that is under way.
pub struct Storm {
    rooms: Vec<(String, i64, Vec<Person>)>,
    clients: Vec<tokio::task::JoinHandle<Vec<Note>>>,
    phase: Arc<Phase>,
    /// What the server held before anyone came.
    before: Holds,
}

/// What the clients are to do now.
struct Phase {
    calm: AtomicBool,
    over: AtomicBool,
    /// Sends of all clients that are not known to be stored: while there are some, more may be told.
    open: AtomicUsize,
    since: Instant,
}

/// A small generator of numbers that look random, so that a seed repeats a client's choices.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number between 0 and 1.
    pub fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        f64::from(u32::try_from(self.0 >> 40).expect("24 bits")) / f64::from(1 << 24)
    }

    /// A time around `mean`: between a tenth of it and twice as long.
    pub fn around(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(0.1 + 1.9 * self.roll())
    }
}

impl Storm {
    /// Makes rooms and people and lets the clients loose.
    pub async fn begins(server: &Node, size: Size, seed: u64) -> Self {
        let phase =
            Arc::new(Phase { calm: false.into(), over: false.into(), open: 0.into(), since: Instant::now() });
        let mut storm = Self { rooms: Vec::new(), clients: Vec::new(), phase, before: server.holds().await };
        let clients = size.rooms * size.people_a_room;
        let gap = Duration::from_secs_f64(f64::from(u32::try_from(clients).expect("few")) / size.rate);
        for _ in 0..size.rooms {
            let mut people = Vec::new();
            for _ in 0..size.people_a_room {
                people.push(server.person("p").await);
            }
            let room = people[0].makes_group(&people[1..].iter().collect::<Vec<_>>()).await;
            let since = i64::try_from(size.people_a_room + 1).expect("few");
            for person in &people {
                let number = storm.clients.len() as u64;
                let client = Client {
                    person: person.clone(),
                    room: room.clone(),
                    position: since,
                    notes: Vec::new(),
                    open: BTreeMap::new(),
                    dice: Dice::new(seed + number),
                    connection: 0,
                    sent: 0,
                };
                let phase = storm.phase.clone();
                storm.clients.push(tokio::spawn(client.lives(phase, gap, size.drops_every)));
            }
            storm.rooms.push((room, since, people));
        }
        storm
    }

    /// Lets the storm calm down, waits until all have heard all, and checks each room's history, and that
    /// the server keeps nothing of who was there.
    pub async fn ends(self, server: &Node, name: &str) {
        self.phase.calm.store(true, Ordering::Relaxed);
        let calm_since = Instant::now();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let finished = async {
            let mut histories = Vec::new();
            let mut clients = self.clients.into_iter();
            for (room, since, people) in &self.rooms {
                let mut history = History { since: *since, ..History::default() };
                for client in clients.by_ref().take(people.len()) {
                    history.clients.push(client.await.expect("a client that lives"));
                }
                history.log = log_of(&people[0], room).await;
                histories.push(history);
            }
            histories
        };
        let histories = tokio::time::timeout(HEAL_MAX + Duration::from_secs(5), finished).await;
        self.phase.over.store(true, Ordering::Relaxed);
        let histories = histories.expect("all clients to hear all in time");
        let total = |is_meant: fn(&Note) -> bool| -> usize {
            histories.iter().map(|history| history.count(is_meant)).sum()
        };
        println!(
            "{name}: {} rooms, {} sends, {} acks, {} refusals, {} cuts, {} deliveries, log rows {}, healed in {:?}",
            histories.len(),
            total(|note| matches!(note, Note::Sent { .. })),
            total(|note| matches!(note, Note::Acked { .. })),
            total(|note| matches!(note, Note::Refused { .. })),
            total(|note| matches!(note, Note::Cut { .. })),
            total(|note| matches!(note, Note::Told { .. })),
            histories.iter().map(|history| history.log.len()).sum::<usize>(),
            calm_since.elapsed(),
        );
        for history in &histories {
            assert_eq!(check(history), []);
        }
        assert!(total(|note| matches!(note, Note::Acked { .. })) > 0, "something was sent at all");
        assert!(server.figure("chat_sessions").await.is_some(), "sessions are counted at all");
        let rest_by = Instant::now() + REST_MAX;
        loop {
            let (before, now) = (self.before, server.holds().await);
            if is_back(&before, &now) {
                println!("{name}: {before:?} before, {now:?} after");
                return;
            }
            assert!(Instant::now() < rest_by, "{before:?} before, {now:?} after {name}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Whether the server keeps nothing of who was there, but for what it may.
fn is_back(before: &Holds, now: &Holds) -> bool {
    now.sessions == 0
        && now.descriptors <= before.descriptors + CONNECTIONS_KEPT
        && now.threads <= before.threads + THREADS_KEPT
        && now.connections <= before.connections + CONNECTIONS_KEPT as i64
        && now.resident_kib <= before.resident_kib + MEMORY_KEPT
}

/// The whole log of a room, by REST.
async fn log_of(person: &Person, room: &str) -> Vec<(i64, Row)> {
    let mut log: Vec<(i64, Row)> = Vec::new();
    loop {
        let page = person.events(room, log.last().map_or(0, |(seq, _)| *seq)).await.1;
        let events = page["events"].as_array().expect("events");
        log.extend(events.iter().map(|frame| (frame["seq"].as_i64().expect("a position"), Row::of(frame))));
        if page["has_more"] == false {
            return log;
        }
    }
}

/// One client and what it knows.
struct Client {
    person: Person,
    room: String,
    position: i64,
    notes: Vec<Note>,
    /// Sends that are not known to be stored, and since when an answer is awaited.
    open: BTreeMap<String, String>,
    dice: Dice,
    connection: usize,
    sent: usize,
}

impl Client {
    async fn lives(mut self, phase: Arc<Phase>, gap: Duration, drops_every: Option<Duration>) -> Vec<Note> {
        let heal_by = |phase: &Phase| phase.over.load(Ordering::Relaxed);
        let mut next_send = Instant::now() + self.dice.around(gap);
        while !heal_by(&phase) {
            let entry = self.person.way_into(&self.room).since(self.position);
            let Ok(mut socket) = entry.tries().await else {
                tokio::time::sleep(RETRY).await;
                continue;
            };
            self.connection += 1;
            let stays = drops_every.map_or(Duration::from_secs(3_600), |mean| self.dice.around(mean));
            let cut_at = Instant::now() + stays;
            if self.stays(&mut socket, &phase, gap, cut_at, &mut next_send).await {
                return self.notes;
            }
            self.notes.push(Note::Cut { at: phase.since.elapsed() });
            drop(socket);
        }
        self.notes
    }

    /// Stays until the connection ends or is cut; true: it has heard all and has no more to say.
    async fn stays(
        &mut self,
        socket: &mut Socket,
        phase: &Phase,
        gap: Duration,
        cut_at: Instant,
        next_send: &mut Instant,
    ) -> bool {
        for (send, text) in self.open.clone() {
            self.sends(socket, phase, send, text).await;
        }
        let mut look_at = Instant::now() + Duration::from_millis(200);
        loop {
            let calm = phase.calm.load(Ordering::Relaxed);
            tokio::select! {
                frame = socket.frame() => match frame {
                    Ok(frame) => self.hears(&frame, phase),
                    Err(_) => return false,
                },
                () = sleep_until(*next_send), if !calm => {
                    // It may have become calm while this one waited, and others gone home.
                    if phase.calm.load(Ordering::Relaxed) {
                        continue;
                    }
                    *next_send = Instant::now() + self.dice.around(gap);
                    self.sent += 1;
                    let (send, text) = (Uuid::new_v4().to_string(), format!("{} says {}", self.person.name, self.sent));
                    self.open.insert(send.clone(), text.clone());
                    phase.open.fetch_add(1, Ordering::Relaxed);
                    self.sends(socket, phase, send, text).await;
                }
                () = sleep_until(cut_at), if !calm => return false,
                () = sleep_until(look_at), if calm => {
                    look_at = Instant::now() + Duration::from_millis(200);
                    if phase.over.load(Ordering::Relaxed) || (phase.open.load(Ordering::Relaxed) == 0 && self.is_complete().await) {
                        return true;
                    }
                    // What was refused for a fault that is over may be tried once more.
                    let refused: Vec<(String, String)> = self.open.clone().into_iter().collect();
                    for (send, text) in refused {
                        self.sends(socket, phase, send, text).await;
                    }
                }
            }
        }
    }

    async fn is_complete(&self) -> bool {
        // A while without anything new, and the log ends where this client is.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let (status, body) = self
            .person
            .asks(
                reqwest::Method::GET,
                &format!("rooms/{}/events/?since={}&limit=1", self.room, self.position),
                None,
            )
            .await;
        let page: Value = serde_json::from_str(&body).unwrap_or_default();
        status.is_success() && page["seq"] == self.position
    }

    async fn sends(&mut self, socket: &mut Socket, phase: &Phase, send: String, text: String) {
        let frame = json!({"type": "chat_message", "message": text, "client_id": send});
        self.notes.push(Note::Sent { send, text, connection: self.connection, at: phase.since.elapsed() });
        socket.sends(frame).await;
    }

    fn hears(&mut self, frame: &Value, phase: &Phase) {
        let at = phase.since.elapsed();
        let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
        match frame["type"].as_str() {
            Some("ack") => {
                let (send, message) = (text("client_id"), text("message_id"));
                if self.open.remove(&send).is_some() {
                    phase.open.fetch_sub(1, Ordering::Relaxed);
                }
                let seq = frame["seq"].as_i64().expect("a position");
                self.notes.push(Note::Acked { send, seq, message, connection: self.connection, at });
            }
            Some("error") => {
                self.notes.push(Note::Refused { send: text("client_id"), code: text("code"), at });
            }
            Some("reset") => panic!("told to reload: {frame}"),
            Some("connection_established" | "synced") => {}
            _ => {
                if let Some(seq) = frame["seq"].as_i64() {
                    self.position = seq;
                    self.notes.push(Note::Told { seq, what: Row::of(frame) });
                }
            }
        }
    }
}

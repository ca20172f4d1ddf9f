//! Rooms with clients that send, are disconnected at random, reconnect and resume.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::checker::check;
use crate::history::{History, Observation, Row};
use crate::node::{Node, ResourceUsage};
use crate::socket::Socket;
use crate::users::TestUser;

/// The longest that it may take after the last fault until everyone has received everything.
const HEAL_MAX: Duration = Duration::from_secs(30);
/// The longest that it may take until nothing is left of clients that are gone.
const REST_MAX: Duration = Duration::from_secs(10);
/// Additional database connections that a server may keep.
const CONNECTIONS_KEPT: usize = 16;
/// Additional threads for blocking work that a server may keep.
const THREADS_KEPT: usize = 4;
/// Additional memory in KiB that a server may keep: query plans, pages of logs, rooms that are not idle yet.
const MEMORY_KEPT: u64 = 24 * 1024;
/// Pause before a client reconnects.
const RETRY: Duration = Duration::from_millis(100);

/// The size of a storm.
#[derive(Clone, Copy)]
pub struct Size {
    pub rooms: usize,
    pub users_per_room: usize,
    /// Messages per second over all clients.
    pub rate: f64,
    /// Mean time after which a client disconnects by itself; `None`: never.
    pub drops_every: Option<Duration>,
}

/// A running storm.
pub struct Storm {
    rooms: Vec<(String, i64, Vec<TestUser>)>,
    clients: Vec<tokio::task::JoinHandle<Vec<Observation>>>,
    phase: Arc<Phase>,
    /// The server's resources before any client connected.
    before: ResourceUsage,
}

/// What the clients are to do.
struct Phase {
    calm: AtomicBool,
    over: AtomicBool,
    /// Sends of all clients that are not acknowledged. While there are any, more events may arrive.
    open: AtomicUsize,
    since: Instant,
}

/// A small pseudorandom generator, so that a seed repeats a client's choices.
pub struct Random(u64);

impl Random {
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

    /// A duration between a tenth of `mean` and twice as long.
    pub fn around(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(0.1 + 1.9 * self.roll())
    }
}

impl Storm {
    /// Creates rooms and users and starts the clients.
    pub async fn start(server: &Node, size: Size, seed: u64) -> Self {
        let phase =
            Arc::new(Phase { calm: false.into(), over: false.into(), open: 0.into(), since: Instant::now() });
        let mut storm =
            Self { rooms: Vec::new(), clients: Vec::new(), phase, before: server.resource_usage().await };
        let clients = size.rooms * size.users_per_room;
        let gap = Duration::from_secs_f64(f64::from(u32::try_from(clients).expect("few")) / size.rate);
        for _ in 0..size.rooms {
            let mut users = Vec::new();
            for _ in 0..size.users_per_room {
                users.push(server.user("p").await);
            }
            let room = users[0].makes_group(&users[1..].iter().collect::<Vec<_>>()).await;
            let since = i64::try_from(size.users_per_room + 1).expect("few");
            for user in &users {
                let number = storm.clients.len() as u64;
                let client = Client {
                    user: user.clone(),
                    room: room.clone(),
                    position: since,
                    observations: Vec::new(),
                    open: BTreeMap::new(),
                    random: Random::new(seed + number),
                    connection: 0,
                    sent: 0,
                };
                let phase = storm.phase.clone();
                storm.clients.push(tokio::spawn(client.run(phase, gap, size.drops_every)));
            }
            storm.rooms.push((room, since, users));
        }
        storm
    }

    /// Ends the storm, waits until everyone has received everything, and checks each room's history and that
    /// the server has released its resources.
    pub async fn finish(self, server: &Node, name: &str) {
        self.phase.calm.store(true, Ordering::Relaxed);
        let calm_since = Instant::now();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let finished = async {
            let mut histories = Vec::new();
            let mut clients = self.clients.into_iter();
            for (room, since, users) in &self.rooms {
                let mut history = History { since: *since, ..History::default() };
                for client in clients.by_ref().take(users.len()) {
                    history.clients.push(client.await.expect("a client that lives"));
                }
                history.log = log_of(&users[0], room).await;
                histories.push(history);
            }
            histories
        };
        let histories = tokio::time::timeout(HEAL_MAX + Duration::from_secs(5), finished).await;
        self.phase.over.store(true, Ordering::Relaxed);
        let histories = histories.expect("all clients to hear all in time");
        let total = |is_meant: fn(&Observation) -> bool| -> usize {
            histories.iter().map(|history| history.count(is_meant)).sum()
        };
        println!(
            "{name}: {} rooms, {} sends, {} acks, {} refusals, {} cuts, {} deliveries, log rows {}, healed in {:?}",
            histories.len(),
            total(|observation| matches!(observation, Observation::Sent { .. })),
            total(|observation| matches!(observation, Observation::Acked { .. })),
            total(|observation| matches!(observation, Observation::Refused { .. })),
            total(|observation| matches!(observation, Observation::Cut { .. })),
            total(|observation| matches!(observation, Observation::Delivered { .. })),
            histories.iter().map(|history| history.log.len()).sum::<usize>(),
            calm_since.elapsed(),
        );
        for history in &histories {
            assert_eq!(check(history), []);
        }
        assert!(
            total(|observation| matches!(observation, Observation::Acked { .. })) > 0,
            "something was sent at all"
        );
        assert!(server.metric("chat_sessions").await.is_some(), "sessions are counted at all");
        let rest_by = Instant::now() + REST_MAX;
        loop {
            let (before, now) = (self.before, server.resource_usage().await);
            if is_back(&before, &now) {
                println!("{name}: {before:?} before, {now:?} after");
                return;
            }
            assert!(Instant::now() < rest_by, "{before:?} before, {now:?} after {name}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Whether the server has released what it took, within the permitted limits.
fn is_back(before: &ResourceUsage, now: &ResourceUsage) -> bool {
    now.sessions == 0
        && now.descriptors <= before.descriptors + CONNECTIONS_KEPT
        && now.threads <= before.threads + THREADS_KEPT
        && now.connections <= before.connections + CONNECTIONS_KEPT as i64
        && now.resident_kib <= before.resident_kib + MEMORY_KEPT
}

/// The whole log of a room, by REST.
async fn log_of(user: &TestUser, room: &str) -> Vec<(i64, Row)> {
    let mut log: Vec<(i64, Row)> = Vec::new();
    loop {
        let page = user.events(room, log.last().map_or(0, |(seq, _)| *seq)).await.1;
        let events = page["events"].as_array().expect("events");
        log.extend(events.iter().map(|frame| (frame["seq"].as_i64().expect("a position"), Row::of(frame))));
        if page["has_more"] == false {
            return log;
        }
    }
}

/// The state of one client.
struct Client {
    user: TestUser,
    room: String,
    position: i64,
    observations: Vec<Observation>,
    /// Unacknowledged sends and their texts.
    open: BTreeMap<String, String>,
    random: Random,
    connection: usize,
    sent: usize,
}

impl Client {
    async fn run(
        mut self,
        phase: Arc<Phase>,
        gap: Duration,
        drops_every: Option<Duration>,
    ) -> Vec<Observation> {
        let heal_by = |phase: &Phase| phase.over.load(Ordering::Relaxed);
        let mut next_send = Instant::now() + self.random.around(gap);
        while !heal_by(&phase) {
            let entry = self.user.room_socket(&self.room).since(self.position);
            let Ok(mut socket) = entry.try_open().await else {
                tokio::time::sleep(RETRY).await;
                continue;
            };
            self.connection += 1;
            let session = drops_every.map_or(Duration::from_secs(3_600), |mean| self.random.around(mean));
            let cut_at = Instant::now() + session;
            if self.stay_connected(&mut socket, &phase, gap, cut_at, &mut next_send).await {
                return self.observations;
            }
            self.observations.push(Observation::Cut { at: phase.since.elapsed() });
            drop(socket);
        }
        self.observations
    }

    /// Runs until the connection ends. Returns true if everything has been received and there is nothing more
    /// to send.
    async fn stay_connected(
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
                    Ok(frame) => self.receives(&frame, phase),
                    Err(_) => return false,
                },
                () = sleep_until(*next_send), if !calm => {
                    // The storm may have ended while this client waited.
                    if phase.calm.load(Ordering::Relaxed) {
                        continue;
                    }
                    *next_send = Instant::now() + self.random.around(gap);
                    self.sent += 1;
                    let (send, text) = (Uuid::new_v4().to_string(), format!("{} says {}", self.user.name, self.sent));
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
                    // What was refused because of a fault may be retried.
                    let refused: Vec<(String, String)> = self.open.clone().into_iter().collect();
                    for (send, text) in refused {
                        self.sends(socket, phase, send, text).await;
                    }
                }
            }
        }
    }

    async fn is_complete(&self) -> bool {
        // Nothing new has arrived for a while, and the log ends where this client is.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let (status, body) = self
            .user
            .requests(
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
        self.observations.push(Observation::Sent {
            send,
            text,
            connection: self.connection,
            at: phase.since.elapsed(),
        });
        socket.sends(frame).await;
    }

    fn receives(&mut self, frame: &Value, phase: &Phase) {
        let at = phase.since.elapsed();
        let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
        match frame["type"].as_str() {
            Some("ack") => {
                let (send, message) = (text("client_id"), text("message_id"));
                if self.open.remove(&send).is_some() {
                    phase.open.fetch_sub(1, Ordering::Relaxed);
                }
                let seq = frame["seq"].as_i64().expect("a position");
                self.observations.push(Observation::Acked {
                    send,
                    seq,
                    message,
                    connection: self.connection,
                    at,
                });
            }
            Some("error") => {
                self.observations.push(Observation::Refused {
                    send: text("client_id"),
                    code: text("code"),
                    at,
                });
            }
            Some("reset") => panic!("reset: {frame}"),
            Some("connection_established" | "synced") => {}
            _ => {
                if let Some(seq) = frame["seq"].as_i64() {
                    self.position = seq;
                    self.observations.push(Observation::Delivered { seq, what: Row::of(frame) });
                }
            }
        }
    }
}

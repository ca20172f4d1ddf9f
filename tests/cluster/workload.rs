//! Users who keep sending: each repeats a send with the same `client_id` until it is answered, moves to
//! another node when one fails, and resumes where it was.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    checker::{Acked, Deliveries, History, Row},
    client::{Socket, SocketEvent},
    cluster::{Cluster, User},
};

/// Unanswered sends of a user.
const WINDOW: usize = 8;
/// The promise is 10 s; a busy machine and the network take a little.
const ANSWER_PATIENCE: Duration = Duration::from_secs(12);
/// Events per page.
const PAGE: usize = 1_000;

/// Members of rooms, distributed over the nodes.
pub(crate) struct Workload {
    members: Vec<JoinHandle<Deliveries>>,
    transient_members: Vec<JoinHandle<()>>,
    phase: watch::Sender<Phase>,
    shared: Arc<Shared>,
    pub(crate) rooms: Vec<String>,
    reader: User,
}

/// The head of each room's log.
type Heads = BTreeMap<String, i64>;

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Talk,
    /// Nothing new is sent; everything sent is to be answered.
    Quiet,
    /// Everyone is to reach the head of their room.
    Reach(Heads),
}

struct Shared {
    ports: Vec<u16>,
    /// The position of each member, with the room.
    reached: Mutex<Vec<(String, Arc<AtomicI64>)>>,
    history: Mutex<History>,
    stats: Mutex<RunStats>,
}

/// Statistics of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunStats {
    pub(crate) acks: Vec<Duration>,
    pub(crate) connects: usize,
    pub(crate) resets: usize,
    pub(crate) retries: usize,
    pub(crate) going_away: usize,
    pub(crate) removals: usize,
}

impl Shared {
    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a new member of the room.
    fn joins(&self, room: &str) -> Arc<AtomicI64> {
        let reached = Arc::new(AtomicI64::default());
        let mut members = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        members.push((room.to_owned(), reached.clone()));
        reached
    }

    fn have_all_reached(&self, heads: &Heads) -> bool {
        let members = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        members.iter().all(|(room, reached)| reached.load(Ordering::Relaxed) >= heads[room])
    }

    fn stats(&self) -> std::sync::MutexGuard<'_, RunStats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Workload {
    /// Puts `sockets` users into `rooms` rooms, who together send `rate` messages per second. In each room
    /// another user is added and removed again and again.
    pub(crate) async fn start(cluster: &Cluster, sockets: usize, rooms: usize, rate: f64) -> Self {
        let shared = Arc::new(Shared {
            ports: cluster.nodes.iter().map(|node| node.port).collect(),
            reached: Mutex::default(),
            history: Mutex::default(),
            stats: Mutex::default(),
        });
        let phase = watch::Sender::new(Phase::Talk);
        let reader = cluster.user().await;
        let pause = Duration::from_secs_f64(sockets as f64 / rate);
        let mut workload = Self {
            members: Vec::new(),
            transient_members: Vec::new(),
            phase,
            shared: shared.clone(),
            rooms: Vec::new(),
            reader: reader.clone(),
        };
        for n in 0..rooms {
            let mut users = Vec::new();
            for _ in (n..sockets).step_by(rooms) {
                users.push(cluster.user().await);
            }
            let all: Vec<&User> = [&reader].into_iter().chain(&users).collect();
            let room = cluster.room(&all).await;
            for user in users {
                let node = workload.members.len();
                let talk =
                    member(shared.clone(), workload.phase.subscribe(), user, room.clone(), node, pause);
                workload.members.push(tokio::spawn(talk));
            }
            let user = cluster.user().await;
            let visits = transient_member(
                shared.clone(),
                workload.phase.subscribe(),
                reader.clone(),
                user,
                room.clone(),
                n,
            );
            workload.transient_members.push(tokio::spawn(visits));
            workload.rooms.push(room);
        }
        workload
    }

    /// The time from now, with the workload running, until the database answers and everyone has what is
    /// stored by then; at most `patience`.
    pub(crate) async fn converges(&self, cluster: &Cluster, patience: Duration) -> Duration {
        let begin = Instant::now();
        let heads = self.heads(cluster).await;
        while begin.elapsed() < patience && !self.shared.have_all_reached(&heads) {
            sleep(Duration::from_millis(5)).await;
        }
        begin.elapsed()
    }

    /// The heads of the rooms, as soon as the first node can report them.
    async fn heads(&self, cluster: &Cluster) -> Heads {
        let mut heads = Heads::new();
        for room in &self.rooms {
            let path = format!("/api/chat/rooms/{room}/events/?since=0&limit=1");
            let head = async {
                loop {
                    let (status, page) = cluster.call(0, Method::GET, &path, &self.reader.token, None).await;
                    match page["seq"].as_i64() {
                        Some(head) if status.is_success() => return head,
                        _ => sleep(Duration::from_millis(20)).await,
                    }
                }
            };
            heads.insert(room.clone(), timeout(ANSWER_PATIENCE, head).await.expect("the room's head"));
        }
        heads
    }

    /// Ends the workload and returns what was observed and what is stored. Everyone has `patience` to reach
    /// the end of the log.
    pub(crate) async fn finish(
        mut self,
        cluster: &Cluster,
        patience: Duration,
    ) -> (History, RunStats, Duration) {
        self.phase.send_replace(Phase::Quiet);
        for transient_member in std::mem::take(&mut self.transient_members) {
            transient_member.await.unwrap();
        }
        // The last sends are answered or given up.
        sleep(Duration::from_secs(1)).await;
        let begin = Instant::now();
        let heads = self.heads(cluster).await;
        self.phase.send_replace(Phase::Reach(heads));
        let mut deliveries = Vec::new();
        for member in self.members {
            match timeout(patience.saturating_sub(begin.elapsed()).max(Duration::from_secs(1)), member).await
            {
                Ok(done) => deliveries.push(done.unwrap()),
                Err(_) => {
                    deliveries.push(Deliveries { who: "one who is late".into(), ..Deliveries::default() });
                }
            }
        }
        let converged = begin.elapsed();
        let mut history = self.shared.history().clone();
        history.deliveries = deliveries;
        for room in self.rooms {
            let mut logs = Vec::new();
            for node in 0..cluster.nodes.len() {
                logs.push(log_of(cluster, node, &self.reader, &room).await);
            }
            history.logs.insert(room, logs);
        }
        let stats = self.shared.stats().clone();
        (history, stats, converged)
    }
}

/// The whole log of a room, as a node reports it by REST.
async fn log_of(cluster: &Cluster, node: usize, reader: &User, room: &str) -> Vec<Row> {
    let mut log: Vec<Row> = Vec::new();
    loop {
        let since = log.last().map_or(0, |row| row.seq);
        let path = format!("/api/chat/rooms/{room}/events/?since={since}&limit={PAGE}");
        let (status, page) = cluster.call(node, Method::GET, &path, &reader.token, None).await;
        assert!(status.is_success(), "{status} {page}");
        log.extend(page["events"].as_array().unwrap().iter().filter_map(row));
        if page["has_more"] != true {
            return log;
        }
    }
}

/// The position of a frame in the log of its room, if it is an event.
fn row(frame: &Value) -> Option<Row> {
    let kind = frame["type"].as_str()?;
    if ["connection_established", "subscribed", "synced", "reset", "ack", "error"].contains(&kind) {
        return None;
    }
    let client_id = (kind == "chat_message").then(|| frame["message"]["client_id"].as_str()).flatten();
    Some(Row { seq: frame["seq"].as_i64()?, client_id: client_id.map(str::to_owned) })
}

struct Send {
    client_id: String,
    since: Instant,
    /// When it was sent on the current connection, if it was.
    sent_at: Option<Instant>,
}

async fn member(
    shared: Arc<Shared>,
    mut phase: watch::Receiver<Phase>,
    user: User,
    room: String,
    mut node: usize,
    pause: Duration,
) -> Deliveries {
    let mut got = Deliveries { who: format!("user {}", user.id), room: room.clone(), rows: Vec::new() };
    let reached = shared.joins(&room);
    let mut pending: VecDeque<Send> = VecDeque::new();
    let mut beats = interval(pause);
    beats.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let since = got.rows.last().map_or(0, |row| row.seq);
        let path = format!("/ws/chat/{room}/?token={}&since={since}", user.token);
        let Ok(mut socket) = Socket::open(shared.ports[node % shared.ports.len()], &path).await else {
            node += 1;
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        shared.stats().connects += 1;
        pending.iter_mut().for_each(|send| send.sent_at = None);
        loop {
            if is_done(&phase.borrow(), &room, &got, &pending) {
                return got;
            }
            for send in pending.iter_mut().filter(|send| send.sent_at.is_none()) {
                let frame = json!({"type": "chat_message", "message": "a leak in the roof",
                    "client_id": send.client_id});
                send.sent_at = Some(Instant::now());
                if !socket.send(&frame).await {
                    break;
                }
            }
            let event = tokio::select! {
                event = socket.next() => event,
                _ = beats.tick() => {
                    if *phase.borrow() == Phase::Talk && pending.len() < WINDOW {
                        let client_id = uuid::Uuid::new_v4().to_string();
                        pending.push_back(Send { client_id, since: Instant::now(), sent_at: None });
                    }
                    let late = pending.iter().find(|send| {
                        send.sent_at.is_some_and(|at| at.elapsed() > ANSWER_PATIENCE)
                    });
                    if let Some(late) = late {
                        shared.history().unanswered.push(late.client_id.clone());
                        break;
                    }
                    continue;
                }
                Ok(()) = phase.changed() => continue,
            };
            let SocketEvent::Frame(frame) = event else { break };
            if let Some(row) = row(&frame) {
                reached.store(row.seq, Ordering::Relaxed);
                got.rows.push(row);
                continue;
            }
            match frame["type"].as_str().unwrap_or_default() {
                "ack" => {
                    let client_id = frame["client_id"].as_str().unwrap_or_default().to_owned();
                    if let Some(at) = pending.iter().position(|send| send.client_id == client_id) {
                        let send = pending.remove(at).expect("found above");
                        shared.stats().acks.push(send.since.elapsed());
                    }
                    let seq = frame["seq"].as_i64().unwrap_or_default();
                    shared.history().acked.push(Acked { room: room.clone(), client_id, seq });
                }
                "error" => {
                    let client_id = frame["client_id"].as_str().unwrap_or_default();
                    let code = frame["code"].as_str().unwrap_or_default();
                    let again = ["overloaded", "unavailable", "unknown_outcome"].contains(&code);
                    if again {
                        shared.stats().retries += 1;
                        sleep(Duration::from_millis(50)).await;
                        for send in pending.iter_mut().filter(|send| send.client_id == client_id) {
                            send.sent_at = None;
                        }
                    } else {
                        shared.history().refused.insert(client_id.to_owned());
                        pending.retain(|send| send.client_id != client_id);
                    }
                }
                "reset" => shared.stats().resets += 1,
                "going_away" => shared.stats().going_away += 1,
                _ => {}
            }
        }
        node += 1;
        sleep(Duration::from_millis(50)).await;
    }
}

fn is_done(phase: &Phase, room: &str, got: &Deliveries, pending: &VecDeque<Send>) -> bool {
    let reached = got.rows.last().map_or(0, |row| row.seq);
    matches!(phase, Phase::Reach(heads) if reached >= heads[room]) && pending.is_empty()
}

/// A user who is added, listens, and is removed.
async fn transient_member(
    shared: Arc<Shared>,
    phase: watch::Receiver<Phase>,
    admin: User,
    user: User,
    room: String,
    mut node: usize,
) {
    let http = reqwest::Client::new();
    // The participant id stays the same each time that the user is added.
    let mut known = None;
    while *phase.borrow() == Phase::Talk {
        node += 1;
        let port = shared.ports[node % shared.ports.len()];
        let put = http
            .post(format!("http://127.0.0.1:{port}/api/chat/participants/"))
            .bearer_auth(&admin.token)
            .json(&json!({"room": room, "user": user.id}))
            .timeout(Duration::from_secs(10))
            .send()
            .await;
        known = place_of(put).await.or(known);
        let Some(place) = known else {
            sleep(Duration::from_millis(200)).await;
            continue;
        };
        // On another node than the one that removes the user.
        let elsewhere = shared.ports[(node + 1) % shared.ports.len()];
        let path = format!("/ws/chat/{room}/?token={}", user.token);
        let Ok(mut socket) = Socket::open(elsewhere, &path).await else {
            sleep(Duration::from_millis(200)).await;
            continue;
        };
        sleep(Duration::from_millis(300)).await;
        let taken_out = http
            .delete(format!("http://127.0.0.1:{port}/api/chat/participants/{place}/"))
            .bearer_auth(&admin.token)
            .timeout(Duration::from_secs(10))
            .send();
        let out = tokio::spawn(taken_out);
        let mut left_at = None;
        let listening = async {
            while let SocketEvent::Frame(frame) = socket.next().await {
                let Some(row) = row(&frame) else { continue };
                if left_at.is_some() {
                    shared.history().after_removal.push((format!("user {}", user.id), row.seq));
                }
                if frame["type"] == "participant_left" && frame["participant"]["user"]["id"] == user.id {
                    left_at = Some(row.seq);
                }
            }
        };
        let ended = timeout(Duration::from_secs(15), listening).await.is_ok();
        let is_out = out.await.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status().is_success()));
        if is_out && !ended {
            shared.history().after_removal.push((format!("user {}, who stays", user.id), 0));
        }
        shared.stats().removals += usize::from(is_out);
    }
}

async fn place_of(answer: reqwest::Result<reqwest::Response>) -> Option<i64> {
    let place: Value = answer.ok()?.json().await.ok()?;
    place["id"].as_i64()
}

/// A quantile of these durations; 0.5 is the median.
pub(crate) fn quantile(durations: &mut [Duration], share: f64) -> Duration {
    durations.sort_unstable();
    let at = ((durations.len() as f64) * share) as usize;
    durations.get(at.min(durations.len().saturating_sub(1))).copied().unwrap_or_default()
}

//! A client: it connects to any node, subscribes to rooms, resumes where it was, and retries each send until
//! its outcome is known.

mod answers;
mod final_state;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use actors::domain::ids::{ClientId, MessageId, RoomId, Seq, UserId};
use actors::domain::mentions::Mentions;
use actors::domain::thread::ThreadPlace;
use actors::domain::urgency::UrgentDraft;
use actors::ports::store::Store;
use futures_util::FutureExt;
use serde_json::{Value, json};

use crate::fold::FoldedRooms;
use crate::frames::{self, Frame};
use crate::history::{End, Fact, Op, Request};
use crate::rng::Rng;
use crate::socket::Socket;
use crate::world::{Phase, World, pass};

/// How long a client waits for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);

/// One client of a user.
pub(crate) struct Device {
    pub(crate) world: Rc<World>,
    pub(crate) user: UserId,
    /// The room of its socket; none for a socket for all of the user's rooms.
    pub(crate) room: Option<RoomId>,
    pub(crate) rng: Rng,
    /// The second in which its token was issued.
    issued_at: i64,
    /// Its position in each room.
    positions: BTreeMap<RoomId, Seq>,
    /// What it has made of the frames up to there.
    folded: FoldedRooms,
    /// Sends with an unknown outcome that are not under way.
    unknown_outcomes: VecDeque<Send>,
    /// The state of the current connection.
    now: ConnectionState,
}

/// A message to be sent.
#[derive(Clone)]
pub(crate) struct Send {
    pub(crate) client_id: ClientId,
    pub(crate) room: RoomId,
    pub(crate) text: String,
    pub(crate) reply_to: Option<MessageId>,
    pub(crate) card: Option<Value>,
    pub(crate) thread: Option<ThreadPlace>,
    pub(crate) mentions: Mentions,
    pub(crate) urgent: Option<UrgentDraft>,
}

/// A subscription that has not been answered.
struct PendingSubscription {
    since: Option<Seq>,
    /// Whether the client has unsubscribed meanwhile.
    is_cancelled: bool,
}

/// What a client knows of one connection.
#[derive(Default)]
struct ConnectionState {
    is_in: bool,
    pending: BTreeMap<ClientId, (Op, Send, Duration)>,
    /// Rooms that it is subscribed to, or has asked for.
    subscribed: BTreeSet<RoomId>,
    /// The unanswered subscriptions of each room, in order.
    joining: BTreeMap<RoomId, VecDeque<PendingSubscription>>,
    online: BTreeMap<RoomId, BTreeSet<UserId>>,
    unread: BTreeMap<RoomId, i64>,
    total: Option<i64>,
    total_mentions: Option<i64>,
    /// The list of rooms, once it was loaded as by REST; frames change it from then on.
    listed_rows: Option<BTreeMap<RoomId, String>>,
    code: Option<u16>,
    tells_presence: BTreeSet<RoomId>,
}

impl Device {
    pub(crate) fn new(world: &Rc<World>, user: UserId, room: Option<RoomId>) -> Self {
        Self {
            world: world.clone(),
            user,
            room,
            rng: world.rng(),
            issued_at: world.second(),
            positions: BTreeMap::new(),
            folded: FoldedRooms::default(),
            unknown_outcomes: VecDeque::new(),
            now: ConnectionState::default(),
        }
    }

    /// Runs until the run is over.
    pub(crate) async fn live(mut self) {
        while self.world.phase() < Phase::Over {
            pass(self.rng.millis(5..400)).await;
            let nodes = self.world.nodes();
            if nodes.is_empty() {
                continue;
            }
            let node = self.rng.pick(&nodes);
            let since = self.since(self.room);
            let target = self.room.map(|room| (room, since));
            let mut socket = Socket::open(&self.world, node, self.user, self.issued_at, target);
            self.now = ConnectionState::default();
            if let Some(room) = self.room {
                self.now
                    .joining
                    .entry(room)
                    .or_default()
                    .push_back(PendingSubscription { since, is_cancelled: false });
            }
            if self.world.phase() < Phase::Quiet && self.rng.percent(30) {
                self.act_before_greeting(&socket);
            }
            self.stay(&mut socket).await;
            self.world.recorder.note(Fact::Closed { conn: socket.conn, code: self.now.code });
            for (_, (op, send, _)) in std::mem::take(&mut self.now.pending) {
                self.world.recorder.note(Fact::Answered { op, end: End::Unknown });
                self.unknown_outcomes.push_back(send);
            }
            if self.now.code == Some(4401) && (self.world.phase() > Phase::Stormy || self.rng.percent(50)) {
                self.issued_at = self.world.second();
            }
            if matches!(self.now.code, Some(4401 | 4403)) {
                pass(self.rng.millis(500..2_000)).await;
            }
        }
    }

    /// Acts without waiting for the greeting.
    fn act_before_greeting(&mut self, socket: &Socket) {
        for _ in 0..=self.rng.below(3) {
            match self.rng.below(4) {
                0 => self.send_typing(socket),
                1 => socket.send(json!({"type": "ping", "n": 1}).to_string()),
                _ => self.post(socket),
            }
        }
    }

    /// The position to resume a room at; now and then a client has forgotten it.
    fn since(&mut self, room: Option<RoomId>) -> Option<Seq> {
        let position = room.and_then(|room| self.positions.get(&room).copied());
        position.filter(|_| self.world.phase() > Phase::Healed || !self.rng.percent(10))
    }

    /// Reads and acts until the connection ends.
    async fn stay(&mut self, socket: &mut Socket) {
        let (world, mut phase) = (self.world.clone(), self.world.phase());
        let mut next = tokio::time::Instant::now() + self.rng.millis(20..300);
        loop {
            tokio::select! {
                biased;
                next_phase = world.phase_after(phase) => match next_phase {
                    Phase::Settled => {
                        phase = next_phase;
                        self.show_positions(socket.conn);
                    }
                    Phase::Seen => {
                        phase = next_phase;
                        self.show_online(socket.conn);
                    }
                    Phase::Over => {
                        socket.say_bye();
                        return self.read_to_the_end(socket).await;
                    }
                    Phase::Stormy | Phase::Healed | Phase::Quiet => phase = next_phase,
                },
                read = socket.frames(4_096) => match read {
                    Some(frames) => {
                        self.receive(socket, frames);
                        if self.now.code.is_some() {
                            // Nothing follows a close frame; the client closes the connection too.
                            return socket.break_connection();
                        }
                    }
                    None => return,
                },
                () = tokio::time::sleep_until(next) => {
                    if !self.act(socket).await {
                        return;
                    }
                    next = tokio::time::Instant::now() + self.rng.millis(20..700);
                }
            }
        }
    }

    async fn read_to_the_end(&mut self, socket: &mut Socket) {
        while self.now.code.is_none()
            && let Some(frames) = socket.frames(4_096).await
        {
            self.receive(socket, frames);
        }
        socket.break_connection();
    }

    /// Does something; false if it dropped the connection.
    async fn act(&mut self, socket: &mut Socket) -> bool {
        let now = self.world.clock.now();
        if self.now.pending.values().any(|(_, _, asked_at)| now - *asked_at > ANSWER_TIMEOUT) {
            socket.break_connection();
            return false;
        }
        if !self.now.is_in {
            return true;
        }
        self.subscribe_to_more(socket);
        self.read_list();
        if self.world.phase() >= Phase::Quiet {
            self.retry(socket);
            return true;
        }
        match self.rng.below(100) {
            0..52 => self.post(socket),
            52..60 => self.retry(socket),
            60..66 => self.read(socket),
            66..72 => self.send_typing(socket),
            72..88 => self.request_by_rest(),
            88..91 => {
                socket.send(json!({"type": "ping", "n": 1}).to_string());
            }
            91..93 => self.unsubscribe(socket),
            93..96 => return self.stop_reading(socket).await,
            96..98 => {
                socket.say_bye();
                self.read_to_the_end(socket).await;
                return false;
            }
            _ => {
                socket.break_connection();
                return false;
            }
        }
        true
    }

    /// Stops reading for a while, or for good.
    async fn stop_reading(&mut self, socket: &Socket) -> bool {
        if self.now.pending.is_empty() && self.world.phase() == Phase::Stormy {
            let is_dead = self.rng.percent(15);
            let time = self.rng.millis(if is_dead { 60_000..80_000 } else { 300..8_000 });
            tokio::select! {
                biased;
                _ = self.world.phase_after(Phase::Stormy) => {}
                () = pass(time) => {}
            }
            if is_dead {
                socket.break_connection();
                return false;
            }
        }
        true
    }

    fn subscribe_to_more(&mut self, socket: &Socket) {
        if self.room.is_some() || !(self.world.phase() >= Phase::Quiet || self.rng.percent(30)) {
            return;
        }
        for room in self.world.rooms.clone() {
            if self.now.subscribed.contains(&room)
                || self.now.joining.get(&room).is_some_and(|all| !all.is_empty())
            {
                continue;
            }
            self.subscribe(socket, room);
        }
    }

    /// Loads the list of rooms, at any moment after connecting.
    fn read_list(&mut self) {
        let is_due = self.world.phase() >= Phase::Quiet || self.rng.percent(40);
        if self.room.is_some() || self.now.listed_rows.is_some() || !is_due {
            return;
        }
        let read = self.world.shared_store.store.inbox(self.user, None).now_or_never();
        let rooms = read.and_then(Result::ok).expect("this way to the store has no faults");
        self.now.listed_rows = Some(rooms.iter().map(|row| (row.room.id, frames::stored_row(row))).collect());
    }

    fn subscribe(&mut self, socket: &Socket, room: RoomId) {
        let since = self.since(Some(room));
        self.world.recorder.note(Fact::Joining { conn: socket.conn, room, since });
        self.now
            .joining
            .entry(room)
            .or_default()
            .push_back(PendingSubscription { since, is_cancelled: false });
        let mut frame = json!({"type": "subscribe", "room_id": room});
        if let Some(since) = since {
            frame["since"] = json!(since);
        }
        socket.send(frame.to_string());
    }

    fn unsubscribe(&mut self, socket: &Socket) {
        let Some(room) = self.now.subscribed.first().copied().filter(|_| self.room.is_none()) else { return };
        if self.rng.percent(50) {
            // The client subscribes again without unsubscribing first.
            return self.subscribe(socket, room);
        }
        self.now.subscribed.remove(&room);
        // An earlier request is answered all the same.
        for pending in self.now.joining.get_mut(&room).into_iter().flatten() {
            pending.is_cancelled = true;
        }
        self.world.recorder.note(Fact::Parted { conn: socket.conn, room });
        socket.send(json!({"type": "unsubscribe", "room_id": room}).to_string());
    }

    fn post(&mut self, socket: &Socket) {
        let room = self.room.unwrap_or_else(|| self.rng.pick(&self.world.rooms.clone()));
        let send = self.new_send(room);
        self.send(socket, send);
    }

    fn send(&mut self, socket: &Socket, send: Send) {
        let request =
            Request::Post { client_id: send.client_id, text: send.text.clone(), conn: Some(socket.conn) };
        let op = self.world.record_request(self.user, send.room, request);
        let mut frame = json!({
            "type": "chat_message", "room_id": send.room, "message": send.text, "client_id": send.client_id,
        });
        if let Some(reply_to) = send.reply_to {
            frame["reply_to"] = json!(reply_to);
        }
        if let Some(card) = &send.card {
            frame["card"] = card.clone();
        }
        if let Some(ThreadPlace { root, in_timeline }) = send.thread {
            frame["thread_root"] = json!(root);
            frame["in_timeline"] = json!(in_timeline);
        }
        if !send.mentions.is_empty() {
            frame["mentions"] = json!(send.mentions.users);
            frame["mention_room"] = json!(send.mentions.room);
        }
        frame["urgent"] = json!(send.urgent);
        socket.send(frame.to_string());
        self.now.pending.insert(send.client_id, (op, send, self.world.clock.now()));
    }

    /// Retries the sends with an unknown outcome, mostly here, sometimes by REST through some node.
    fn retry(&mut self, socket: &Socket) {
        let Some(send) = self.unknown_outcomes.pop_front() else { return };
        self.send(socket, send);
    }

    fn read(&mut self, socket: &Socket) {
        let Some(room) = self.room else { return self.read_by_rest() };
        let own =
            self.world.written.borrow().iter().find(|((_, at), _)| *at == room).map(|(_, all)| all.clone());
        match own.filter(|_| self.rng.percent(60)) {
            Some(messages) => {
                let message = self.rng.pick(&messages);
                socket.send(json!({"type": "read_receipt", "message_id": message}).to_string());
            }
            None => socket.send(json!({"type": "mark_room_read"}).to_string()),
        }
    }

    fn send_typing(&mut self, socket: &Socket) {
        if self.room.is_some() {
            let is_typing = self.rng.percent(70);
            socket.send(json!({"type": "typing", "is_typing": is_typing}).to_string());
        }
    }

    fn receive(&mut self, socket: &Socket, frames: Vec<Frame>) {
        for frame in frames {
            match frame {
                Frame::Text(value) => self.text(socket, &value),
                Frame::Close(code) => self.now.code = Some(code),
                Frame::Ping | Frame::Pong => {}
            }
        }
    }

    fn text(&mut self, socket: &Socket, frame: &Value) {
        let (conn, note) = (socket.conn, |fact| self.world.recorder.note(fact));
        let kind = frame["type"].as_str().unwrap_or_default().to_owned();
        if !self.now.is_in && kind != "connection_established" {
            note(Fact::ReceivedEarly { conn, kind: kind.clone() });
        }
        let Some(room) = frames::room(frame) else {
            if kind == "connection_established" {
                self.now.is_in = true;
                self.world.recorder.note(Fact::LetIn { conn: socket.conn });
                self.now.total = frame["unread_count"].as_i64();
                self.now.total_mentions = frame["mention_count"].as_i64();
            }
            return;
        };
        match kind.as_str() {
            "connection_established" | "subscribed" => {
                let head = frames::seq(&frame["seq"]).expect("it tells the head");
                if !self.now.is_in {
                    self.now.is_in = true;
                    note(Fact::LetIn { conn });
                }
                note(Fact::Joined { conn, room, head });
                let pending = self.now.joining.entry(room).or_default().pop_front();
                let since = pending.as_ref().and_then(|pending| pending.since);
                self.positions.insert(room, since.unwrap_or(head));
                if since.is_none() {
                    self.folded.forget(room);
                }
                if !pending.is_some_and(|pending| pending.is_cancelled) {
                    self.now.subscribed.insert(room);
                }
            }
            "reset" => {
                let seq = frames::seq(&frame["seq"]).expect("it tells the head");
                note(Fact::Reset { conn, room, seq });
                self.positions.insert(room, seq);
                self.folded.forget(room);
            }
            "synced" => {
                let seq = frames::seq(&frame["seq"]).expect("it tells the head");
                note(Fact::Synced { conn, room, seq });
            }
            "ack" => self.acked(room, frame),
            "error" => self.refused(conn, room, frame),
            "read_state" => {
                for mark in frame["marks"].as_array().into_iter().flatten() {
                    let (user, up_to) = (frames::user(&mark["user_id"]), frames::seq(&mark["seq"]));
                    if let (Some(user), Some(up_to)) = (user, up_to) {
                        note(Fact::Marked { conn, room, user, up_to });
                    }
                }
            }
            "read_receipt" => {
                let (user, up_to) = (frames::user(&frame["user_id"]), frames::seq(&frame["up_to"]));
                if let (Some(user), Some(up_to)) = (user, up_to) {
                    note(Fact::Marked { conn, room, user, up_to });
                }
            }
            "presence_state" => {
                let online = frame["online"].as_array().into_iter().flatten().filter_map(frames::user);
                self.now.online.insert(room, online.collect());
                self.now.tells_presence.insert(room);
            }
            "presence" => {
                let Some(user) = frames::user(&frame["user_id"]) else { return };
                let online = self.now.online.entry(room).or_default();
                if frame["status"] == "online" {
                    online.insert(user)
                } else {
                    online.remove(&user)
                };
            }
            "inbox" => {
                self.now.unread.insert(room, frame["unread_count"].as_i64().unwrap_or(-1));
                self.now.total = frame["total_unread"].as_i64();
                self.now.total_mentions = frame["total_mentions"].as_i64();
                if let Some(listed_rows) = &mut self.now.listed_rows {
                    listed_rows.insert(room, frames::listed_row(frame));
                }
            }
            "room_removed" => {
                self.now.unread.remove(&room);
                self.now.subscribed.remove(&room);
                self.now.total = frame["total_unread"].as_i64();
                self.now.total_mentions = frame["total_mentions"].as_i64();
                if let Some(listed_rows) = &mut self.now.listed_rows {
                    listed_rows.remove(&room);
                }
            }
            kind => {
                let Some(row) = frames::row(kind, frame) else { return };
                self.folded.receives(room, kind, frame);
                self.positions.insert(room, row.seq);
                let is_own_leaving = kind == "participant_left" && row.user == Some(self.user);
                if kind == "participant_joined" && row.user == Some(self.user) {
                    // A replay shows that the user left and joined again.
                    self.now.subscribed.insert(room);
                    // From now on, nothing may be told of messages from before.
                    self.folded.forget(room);
                }
                note(Fact::Received { conn, row });
                if is_own_leaving {
                    self.now.subscribed.remove(&room);
                    if let Some(online) = self.now.online.get_mut(&room) {
                        online.clear();
                    }
                }
            }
        }
    }
}

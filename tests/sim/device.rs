//! A client: it connects to any node, hears rooms, comes back where it was, and retries each send until
//! it knows the end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use actors::domain::ids::{ClientId, MessageId, RoomId, Seq, UserId};
use actors::ports::store::Store;
use futures_util::FutureExt;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::frames::{self, Frame};
use crate::history::{End, Fact, Op, Wish};
use crate::socket::Socket;
use crate::wishes::{is_final, may_come};
use crate::world::{Phase, World, pass};

/// When a client no longer believes that an answer comes.
const PATIENCE: Duration = Duration::from_secs(12);

/// One client of a person.
pub(crate) struct Device {
    pub(crate) world: Rc<World>,
    pub(crate) user: UserId,
    /// The room that it is for; all of the person's, when unset.
    pub(crate) room: Option<RoomId>,
    pub(crate) chance: Chance,
    /// The second in which its token was issued.
    issued_at: i64,
    /// How far it has come in each room.
    positions: BTreeMap<RoomId, Seq>,
    /// Sends without a known end, not under way.
    unsettled: VecDeque<Send>,
    /// What is known on this connection alone.
    now: Connected,
}

/// A message on its way.
#[derive(Clone)]
pub(crate) struct Send {
    pub(crate) client_id: ClientId,
    pub(crate) room: RoomId,
    pub(crate) text: String,
    pub(crate) reply_to: Option<MessageId>,
}

/// What a client has asked to hear, and not been answered.
struct Asking {
    since: Option<Seq>,
    /// Whether it has let go of the room meanwhile.
    is_let_go: bool,
}

/// What a client knows of one connection.
#[derive(Default)]
struct Connected {
    is_in: bool,
    pending: BTreeMap<ClientId, (Op, Send, Duration)>,
    /// Rooms that it hears, or has asked to.
    hears: BTreeSet<RoomId>,
    /// In each room, in order.
    joining: BTreeMap<RoomId, VecDeque<Asking>>,
    online: BTreeMap<RoomId, BTreeSet<UserId>>,
    unread: BTreeMap<RoomId, i64>,
    total: Option<i64>,
    /// The list of rooms, once it has been read as by REST; what is told from then on changes it.
    lines: Option<BTreeMap<RoomId, String>>,
    code: Option<u16>,
    tells_presence: BTreeSet<RoomId>,
}

impl Device {
    pub(crate) fn new(world: &Rc<World>, user: UserId, room: Option<RoomId>) -> Self {
        Self {
            world: world.clone(),
            user,
            room,
            chance: world.chance(),
            issued_at: world.second(),
            positions: BTreeMap::new(),
            unsettled: VecDeque::new(),
            now: Connected::default(),
        }
    }

    /// Lives until the run is over.
    pub(crate) async fn live(mut self) {
        while self.world.phase() < Phase::Over {
            pass(self.chance.millis(5..400)).await;
            let nodes = self.world.nodes();
            if nodes.is_empty() {
                continue;
            }
            let node = self.chance.pick(&nodes);
            let since = self.since(self.room);
            let target = self.room.map(|room| (room, since));
            let mut socket = Socket::open(&self.world, node, self.user, self.issued_at, target);
            self.now = Connected::default();
            if let Some(room) = self.room {
                self.now.joining.entry(room).or_default().push_back(Asking { since, is_let_go: false });
            }
            if self.world.phase() < Phase::Quiet && self.chance.percent(30) {
                self.speak_early(&socket);
            }
            self.stay(&mut socket).await;
            self.world.recorder.note(Fact::Closed { conn: socket.conn, code: self.now.code });
            for (_, (op, send, _)) in std::mem::take(&mut self.now.pending) {
                self.world.recorder.note(Fact::Answered { op, end: End::Unknown });
                self.unsettled.push_back(send);
            }
            if self.now.code == Some(4401) && (self.world.phase() > Phase::Stormy || self.chance.percent(50))
            {
                self.issued_at = self.world.second();
            }
            if matches!(self.now.code, Some(4401 | 4403)) {
                pass(self.chance.millis(500..2_000)).await;
            }
        }
    }

    /// Doesn't wait until it is let in.
    fn speak_early(&mut self, socket: &Socket) {
        for _ in 0..=self.chance.below(3) {
            match self.chance.below(4) {
                0 => self.type_something(socket),
                1 => socket.send(json!({"type": "ping", "n": 1}).to_string()),
                _ => self.post(socket),
            }
        }
    }

    /// Where to go on in a room; now and then a client has forgotten.
    fn since(&mut self, room: Option<RoomId>) -> Option<Seq> {
        let position = room.and_then(|room| self.positions.get(&room).copied());
        position.filter(|_| self.world.phase() > Phase::Healed || !self.chance.percent(10))
    }

    /// Reads and acts until the connection ends.
    async fn stay(&mut self, socket: &mut Socket) {
        let (world, mut phase) = (self.world.clone(), self.world.phase());
        let mut next = tokio::time::Instant::now() + self.chance.millis(20..300);
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
                        self.take_in(socket, frames);
                        if self.now.code.is_some() {
                            // Nothing follows a close frame; the client ends the connection too.
                            return socket.drop_line();
                        }
                    }
                    None => return,
                },
                () = tokio::time::sleep_until(next) => {
                    if !self.act(socket).await {
                        return;
                    }
                    next = tokio::time::Instant::now() + self.chance.millis(20..700);
                }
            }
        }
    }

    async fn read_to_the_end(&mut self, socket: &mut Socket) {
        while self.now.code.is_none()
            && let Some(frames) = socket.frames(4_096).await
        {
            self.take_in(socket, frames);
        }
        socket.drop_line();
    }

    /// Does something; false when it has dropped the connection.
    async fn act(&mut self, socket: &mut Socket) -> bool {
        let now = self.world.clock.now();
        if self.now.pending.values().any(|(_, _, asked_at)| now - *asked_at > PATIENCE) {
            socket.drop_line();
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
        match self.chance.below(100) {
            0..52 => self.post(socket),
            52..60 => self.retry(socket),
            60..66 => self.read(socket),
            66..72 => self.type_something(socket),
            72..88 => self.wish_by_rest(),
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
                socket.drop_line();
                return false;
            }
        }
        true
    }

    /// Reads nothing for a while, or never again.
    async fn stop_reading(&mut self, socket: &Socket) -> bool {
        if self.now.pending.is_empty() && self.world.phase() == Phase::Stormy {
            let is_dead = self.chance.percent(15);
            let time = self.chance.millis(if is_dead { 60_000..80_000 } else { 300..8_000 });
            tokio::select! {
                biased;
                _ = self.world.phase_after(Phase::Stormy) => {}
                () = pass(time) => {}
            }
            if is_dead {
                socket.drop_line();
                return false;
            }
        }
        true
    }

    fn subscribe_to_more(&mut self, socket: &Socket) {
        if self.room.is_some() || !(self.world.phase() >= Phase::Quiet || self.chance.percent(30)) {
            return;
        }
        for room in self.world.rooms.clone() {
            if self.now.hears.contains(&room)
                || self.now.joining.get(&room).is_some_and(|all| !all.is_empty())
            {
                continue;
            }
            self.subscribe(socket, room);
        }
    }

    /// Reads the list of rooms, at any moment after connecting.
    fn read_list(&mut self) {
        let is_due = self.world.phase() >= Phase::Quiet || self.chance.percent(40);
        if self.room.is_some() || self.now.lines.is_some() || !is_due {
            return;
        }
        let read = self.world.truth.store.inbox(self.user, None).now_or_never();
        let rooms = read.and_then(Result::ok).expect("this way to the store has no faults");
        self.now.lines = Some(rooms.iter().map(|told| (told.room.id, frames::line_of(told))).collect());
    }

    fn subscribe(&mut self, socket: &Socket, room: RoomId) {
        let since = self.since(Some(room));
        self.world.recorder.note(Fact::Joining { conn: socket.conn, room, since });
        self.now.joining.entry(room).or_default().push_back(Asking { since, is_let_go: false });
        let mut frame = json!({"type": "subscribe", "room_id": room});
        if let Some(since) = since {
            frame["since"] = json!(since);
        }
        socket.send(frame.to_string());
    }

    fn unsubscribe(&mut self, socket: &Socket) {
        let Some(room) = self.now.hears.first().copied().filter(|_| self.room.is_none()) else { return };
        if self.chance.percent(50) {
            // The client subscribes once more without letting go first.
            return self.subscribe(socket, room);
        }
        self.now.hears.remove(&room);
        // What it has asked for before is answered all the same.
        for asking in self.now.joining.get_mut(&room).into_iter().flatten() {
            asking.is_let_go = true;
        }
        self.world.recorder.note(Fact::Parted { conn: socket.conn, room });
        socket.send(json!({"type": "unsubscribe", "room_id": room}).to_string());
    }

    fn post(&mut self, socket: &Socket) {
        let room = self.room.unwrap_or_else(|| self.chance.pick(&self.world.rooms.clone()));
        let send = self.new_send(room);
        self.send(socket, send);
    }

    fn send(&mut self, socket: &Socket, send: Send) {
        let wish = Wish::Post { client_id: send.client_id, text: send.text.clone(), conn: Some(socket.conn) };
        let op = self.world.ask(self.user, send.room, wish);
        let mut frame = json!({
            "type": "chat_message", "room_id": send.room, "message": send.text, "client_id": send.client_id,
        });
        if let Some(reply_to) = send.reply_to {
            frame["reply_to"] = json!(reply_to);
        }
        socket.send(frame.to_string());
        self.now.pending.insert(send.client_id, (op, send, self.world.clock.now()));
    }

    /// Sends again what has no known end, mostly here, sometimes by REST through some node.
    fn retry(&mut self, socket: &Socket) {
        let Some(send) = self.unsettled.pop_front() else { return };
        self.send(socket, send);
    }

    fn read(&mut self, socket: &Socket) {
        let Some(room) = self.room else { return self.read_by_rest() };
        let own =
            self.world.written.borrow().iter().find(|((_, at), _)| *at == room).map(|(_, all)| all.clone());
        match own.filter(|_| self.chance.percent(60)) {
            Some(messages) => {
                let message = self.chance.pick(&messages);
                socket.send(json!({"type": "read_receipt", "message_id": message}).to_string());
            }
            None => socket.send(json!({"type": "mark_room_read"}).to_string()),
        }
    }

    fn type_something(&mut self, socket: &Socket) {
        if self.room.is_some() {
            let is_typing = self.chance.percent(70);
            socket.send(json!({"type": "typing", "is_typing": is_typing}).to_string());
        }
    }

    fn take_in(&mut self, socket: &Socket, frames: Vec<Frame>) {
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
            note(Fact::ToldEarly { conn, kind: kind.clone() });
        }
        let Some(room) = frames::room(frame) else {
            if kind == "connection_established" {
                self.now.is_in = true;
                self.world.recorder.note(Fact::LetIn { conn: socket.conn });
                self.now.total = frame["unread_count"].as_i64();
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
                let asking = self.now.joining.entry(room).or_default().pop_front();
                let since = asking.as_ref().and_then(|asking| asking.since);
                self.positions.insert(room, since.unwrap_or(head));
                if !asking.is_some_and(|asking| asking.is_let_go) {
                    self.now.hears.insert(room);
                }
            }
            "reset" => {
                let seq = frames::seq(&frame["seq"]).expect("it tells the head");
                note(Fact::Reset { conn, room, seq });
                self.positions.insert(room, seq);
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
                if let Some(lines) = &mut self.now.lines {
                    lines.insert(room, frames::line(frame));
                }
            }
            "room_removed" => {
                self.now.unread.remove(&room);
                self.now.hears.remove(&room);
                self.now.total = frame["total_unread"].as_i64();
                if let Some(lines) = &mut self.now.lines {
                    lines.remove(&room);
                }
            }
            kind => {
                let Some(row) = frames::row(kind, frame) else { return };
                self.positions.insert(room, row.seq);
                let is_own_leaving = kind == "participant_left" && row.user == Some(self.user);
                if kind == "participant_joined" && row.user == Some(self.user) {
                    // A replay tells of one's leaving and of one's coming back.
                    self.now.hears.insert(room);
                }
                note(Fact::Told { conn, row });
                if is_own_leaving {
                    self.now.hears.remove(&room);
                    if let Some(online) = self.now.online.get_mut(&room) {
                        online.clear();
                    }
                }
            }
        }
    }

    fn acked(&mut self, room: RoomId, frame: &Value) {
        let pending = frames::client_id(frame).and_then(|id| self.now.pending.remove(&id));
        let Some((op, _, _)) = pending else { return };
        let message = MessageId(frames::uuid(&frame["message_id"]).expect("it tells the message"));
        let seq = frames::seq(&frame["seq"]).expect("it tells the position");
        let duplicate = frame["duplicate"].as_bool().unwrap_or_default();
        self.world.recorder.note(Fact::Answered { op, end: End::Acked { message, seq, duplicate } });
        self.world.written.borrow_mut().entry((self.user, room)).or_default().push(message);
    }

    fn refused(&mut self, conn: u64, room: RoomId, frame: &Value) {
        let code = frame["code"].as_str().unwrap_or_default().to_owned();
        let Some(client_id) = frames::client_id(frame) else {
            if self.room.is_none() {
                // All that a socket of this kind asks for without a client_id is to hear a room.
                if let Some(joining) = self.now.joining.get_mut(&room) {
                    joining.pop_front();
                }
                self.now.hears.remove(&room);
                self.world.recorder.note(Fact::Denied { conn, room, code });
            }
            return;
        };
        let Some((op, send, _)) = self.now.pending.remove(&client_id) else { return };
        let end = if code == "unknown_outcome" { End::Unknown } else { End::Refused(code.clone()) };
        self.world.recorder.note(Fact::Answered { op, end });
        if !is_final(&code) && may_come(&send) {
            self.unsettled.push_back(send);
        }
    }
}

/// What a client sees, for the claims about how things stand.
impl Device {
    pub(crate) fn show_positions(&self, conn: u64) {
        for room in &self.now.hears {
            if let Some(seq) = self.positions.get(room) {
                let (user, room, seq) = (self.user, *room, *seq);
                self.world.recorder.note(Fact::Reached { conn, user, room, seq });
            }
        }
        if self.room.is_none() {
            let (user, rooms, total) = (self.user, self.now.unread.clone(), self.now.total);
            self.world.recorder.note(Fact::Unread { conn, user, rooms, total });
            if let (Some(lines), Some(total)) = (self.now.lines.clone(), total) {
                self.world.recorder.note(Fact::Listed { conn, user, lines, total });
            }
        }
    }

    pub(crate) fn show_online(&self, conn: u64) {
        for room in self.now.tells_presence.intersection(&self.now.hears) {
            let users = self.now.online[room].clone();
            self.world.recorder.note(Fact::SeesOnline { conn, room: *room, users });
        }
    }
}

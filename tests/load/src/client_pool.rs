//! All sockets of a run on one thread: they connect, send, and count what arrives.

mod receive;

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use memchr::memmem;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::SockRef;

use crate::client::{Client, ClientSpec, ClientState};
use crate::counters::Counters;
use crate::frames;
use crate::test_data;

/// Size of a read, larger than the server's send buffer.
const READ_BYTES: usize = 256 * 1024;
/// The longest wait for events, so that the end of a run is noticed in time.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Messages sent before incoming data is read.
const AT_ONCE: usize = 64;
/// Receive buffer in the kernel of a client that stops reading.
const STALLED_BYTES: usize = 16 * 1024;

/// The rate of messages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// A number of messages in flight in each room; a message is done when every member has it.
    Window(u64),
    /// Messages per second over all rooms, regardless of what arrives.
    Rate(f64),
}

/// A room and its progress.
struct Room {
    id: String,
    /// The socket of its first member.
    speaker: Option<usize>,
    sent: u64,
    delivered: u64,
    listeners: u64,
    /// The highest position that any client has seen.
    head: i64,
}

/// The sockets of a run.
pub(crate) struct ClientPool {
    poll: Poll,
    /// The nodes; each user always connects to the same one.
    addresses: Vec<SocketAddr>,
    secret: String,
    began: Instant,
    buffer: Vec<u8>,
    clients: Slab<Client>,
    /// Sockets to be dropped at the end of this poll.
    leaving: Vec<usize>,
    rooms: Vec<Room>,
    numbers: HashMap<Vec<u8>, usize>,
    tokens: HashMap<i64, String>,
    connecting: usize,
    window: u64,
    ready: Vec<usize>,
    next_id: u128,
    /// Length of a text in bytes.
    pub(crate) text_bytes: usize,
    /// Whether sends have a `client_id`, so that they are acknowledged.
    pub(crate) with_client_ids: bool,
    /// Whether a socket is closed as soon as it has joined.
    pub(crate) leaves_at_once: bool,
    /// Whether `overloaded` is expected and not a failure.
    pub(crate) expects_overload: bool,
    /// Number of clients that have joined.
    pub(crate) joined: usize,
    /// What was sent and received.
    pub(crate) counters: Counters,
    first_failure: Option<String>,
}

impl ClientPool {
    /// A pool without clients.
    pub(crate) fn new(addresses: Vec<SocketAddr>, secret: &str, rooms: Vec<String>) -> anyhow::Result<Self> {
        let numbers = rooms.iter().enumerate().map(|(at, id)| (id.as_bytes().to_vec(), at)).collect();
        let room = |id| Room { id, speaker: None, sent: 0, delivered: 0, listeners: 0, head: 0 };
        Ok(Self {
            poll: Poll::new()?,
            addresses,
            secret: secret.to_owned(),
            began: Instant::now(),
            buffer: vec![0; READ_BYTES],
            clients: Slab::new(),
            leaving: Vec::new(),
            rooms: rooms.into_iter().map(room).collect(),
            numbers,
            tokens: HashMap::new(),
            connecting: 0,
            window: 0,
            ready: Vec::new(),
            next_id: uuid::Uuid::new_v4().as_u128() & !0xFFFF_FFFF,
            text_bytes: 64,
            with_client_ids: true,
            leaves_at_once: false,
            expects_overload: false,
            joined: 0,
            counters: Counters::default(),
            first_failure: None,
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Signs the tokens of these users in advance, so that it isn't measured.
    pub(crate) fn sign(&mut self, users: impl IntoIterator<Item = i64>) {
        for user in users {
            self.tokens.entry(user).or_insert_with(|| test_data::token(&self.secret, user));
        }
    }

    /// Connects the clients, `at_once` at a time, and waits until all have joined.
    pub(crate) fn connect_all(&mut self, specs: Vec<ClientSpec>, at_once: usize) -> anyhow::Result<()> {
        let wanted = self.joined + specs.len();
        self.sign(specs.iter().map(|spec| spec.user));
        let mut specs = specs.into_iter();
        let by = Instant::now() + Duration::from_secs(120);
        while self.joined < wanted {
            while self.connecting < at_once
                && let Some(spec) = specs.next()
            {
                self.connect(spec)?;
            }
            self.poll_once(POLL_INTERVAL)?;
            if let Some(failure) = &self.first_failure {
                bail!("a socket was not let in: {failure}");
            }
            if Instant::now() > by {
                bail!("only {} of {wanted} sockets have joined", self.joined);
            }
        }
        Ok(())
    }

    /// Connects clients one after another, each of which leaves once it has joined. Returns the number that
    /// joined.
    pub(crate) fn connect_and_leave(
        &mut self,
        spec: impl Fn(usize) -> ClientSpec,
        at_once: usize,
        time: Duration,
    ) -> anyhow::Result<usize> {
        let (before, until, mut next) = (self.joined, Instant::now() + time, 0);
        while Instant::now() < until {
            while self.connecting < at_once {
                self.connect(spec(next))?;
                next += 1;
            }
            self.poll_once(POLL_INTERVAL)?;
            if let Some(failure) = &self.first_failure {
                bail!("a socket was not let in: {failure}");
            }
        }
        Ok(self.joined - before)
    }

    fn connect(&mut self, spec: ClientSpec) -> anyhow::Result<()> {
        let entry = self.clients.vacant_entry();
        let node = usize::try_from(spec.user)? % self.addresses.len();
        let mut client = Client::connect(self.addresses[node], spec)?;
        if client.spec.stalls {
            SockRef::from(&client.stream).set_recv_buffer_size(STALLED_BYTES)?;
        }
        self.poll.registry().register(
            &mut client.stream,
            Token(entry.key()),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        entry.insert(client);
        self.connecting += 1;
        Ok(())
    }

    /// Sends at this pace for `time`.
    pub(crate) fn talk(&mut self, pace: Pace, time: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + time;
        match pace {
            Pace::Window(window) => {
                self.window = window;
                self.ready = (0..self.rooms.len()).collect();
                while Instant::now() < until {
                    while let Some(room) = self.ready.pop() {
                        while self.is_due(room) {
                            self.say(room, self.now())?;
                        }
                    }
                    self.poll_once(POLL_INTERVAL)?;
                }
                self.window = 0;
            }
            Pace::Rate(rate) => {
                let step = Duration::from_secs_f64(1.0 / rate);
                let (mut due, mut room) = (Instant::now(), 0);
                while Instant::now() < until {
                    // A limited number at once, so that a loader that is late still reads what arrives.
                    for _ in 0..AT_ONCE {
                        if due > Instant::now() {
                            break;
                        }
                        // The time when it was due, so that a stall on either side is measured.
                        let late = u64::try_from(due.elapsed().as_nanos())?;
                        self.say(room, self.now().saturating_sub(late))?;
                        room = (room + 1) % self.rooms.len();
                        due += step;
                    }
                    let wait = due.saturating_duration_since(Instant::now());
                    // The poll's timeout is too coarse for the rest.
                    self.poll_once(if wait > Duration::from_micros(1_500) {
                        wait - Duration::from_millis(1)
                    } else {
                        Duration::ZERO
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Waits a few seconds until everything sent has arrived, and counts what has not.
    pub(crate) fn settle(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until
            && self.rooms.iter().any(|room| room.delivered < room.sent * room.listeners)
        {
            self.poll_once(POLL_INTERVAL)?;
        }
        for (_, client) in self.clients.iter().filter(|(_, client)| client.counts()) {
            for cursor in &client.cursors {
                let missing = self.rooms[cursor.room].head - cursor.last;
                self.counters.lost += u64::try_from(missing).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Receives for `time`.
    pub(crate) fn listen(&mut self, time: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.poll_once(POLL_INTERVAL)?;
        }
        Ok(())
    }

    /// Lets stalled clients read until each has reached the end of what waited for it, for at most
    /// `patience`.
    pub(crate) fn resume_stalled(&mut self, patience: Duration) -> anyhow::Result<()> {
        let stalled: Vec<usize> = self
            .clients
            .iter()
            .filter(|(_, client)| client.state == ClientState::Stalled)
            .map(|(at, _)| at)
            .collect();
        for at in stalled {
            self.clients[at].state = ClientState::Woken;
            if let Err(error) = self.on_event(at, true, false) {
                self.on_closed(at, None, &error.to_string());
            }
        }
        let until = Instant::now() + patience;
        while Instant::now() < until
            && self.clients.iter().any(|(_, client)| client.state == ClientState::Woken)
        {
            self.poll_once(POLL_INTERVAL)?;
        }
        Ok(())
    }

    /// Number of open sockets.
    pub(crate) fn open(&self) -> usize {
        self.clients.iter().filter(|(_, client)| client.state == ClientState::Joined).count()
    }

    fn is_due(&self, room: usize) -> bool {
        let Room { sent, delivered, listeners, speaker, .. } = self.rooms[room];
        self.window > 0 && speaker.is_some() && sent * listeners < delivered + self.window * listeners
    }

    fn say(&mut self, room: usize, now_ns: u64) -> anyhow::Result<()> {
        let Some(speaker) = self.rooms[room].speaker else { bail!("nobody speaks in room {room}") };
        self.next_id += 1;
        let (client, id) = (&mut self.clients[speaker], self.with_client_ids.then_some(self.next_id));
        let named = client.spec.is_user_socket.then(|| self.rooms[room].id.clone());
        frames::message(client.out(), named.as_deref(), id, now_ns, self.text_bytes);
        client.flush().context("a speaker's socket")?;
        self.rooms[room].sent += 1;
        self.counters.sent += 1;
        Ok(())
    }

    /// Waits for events and handles them.
    fn poll_once(&mut self, wait: Duration) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(1_024);
        match self.poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &events {
            let at = event.token().0;
            if let Err(error) = self.on_event(at, event.is_readable(), event.is_writable()) {
                self.on_closed(at, None, &error.to_string());
            }
        }
        for at in self.leaving.drain(..) {
            self.clients.remove(at);
        }
        Ok(())
    }

    fn on_event(&mut self, at: usize, readable: bool, writable: bool) -> io::Result<()> {
        let client = &mut self.clients[at];
        if matches!(client.state, ClientState::Ended | ClientState::Stalled) {
            return Ok(());
        }
        if writable {
            if client.state == ClientState::Connecting {
                if let Some(error) = client.stream.take_error()? {
                    return Err(error);
                }
                let path = self.path(at);
                return self.clients[at].ask(&path);
            }
            client.flush()?;
        }
        if readable {
            self.read(at)?;
        }
        Ok(())
    }

    fn path(&self, at: usize) -> String {
        let spec = &self.clients[at].spec;
        let token = &self.tokens[&spec.user];
        match (spec.is_user_socket, spec.since) {
            (true, _) => format!("/ws/chat/?token={token}"),
            (false, None) => format!("/ws/chat/{}/?token={token}", self.rooms[spec.rooms[0]].id),
            (false, Some(since)) => {
                format!("/ws/chat/{}/?token={token}&since={since}", self.rooms[spec.rooms[0]].id)
            }
        }
    }

    fn read(&mut self, at: usize) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(read) = self.clients[at].read(&mut buffer)? {
            if read == 0 {
                self.on_closed(at, None, "closed");
                break;
            }
            let mut rest = std::mem::take(&mut self.clients[at].rest);
            if rest.is_empty() {
                let used = self.process_bytes(at, &buffer[..read]);
                rest.extend_from_slice(&buffer[used..read]);
            } else {
                rest.extend_from_slice(&buffer[..read]);
                let used = self.process_bytes(at, &rest);
                rest.drain(..used);
            }
            if !rest.is_empty() {
                self.clients[at].rest = rest;
            }
            // A short read has emptied the socket.
            if read < buffer.len() {
                break;
            }
        }
        self.buffer = buffer;
        Ok(())
    }

    /// Handles complete frames and returns their length in bytes.
    fn process_bytes(&mut self, at: usize, bytes: &[u8]) -> usize {
        let mut used = 0;
        if self.clients[at].state == ClientState::Upgrading {
            let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return 0 };
            if !bytes.starts_with(b"HTTP/1.1 101") {
                self.on_closed(at, None, &String::from_utf8_lossy(&bytes[..end]));
                return bytes.len();
            }
            self.clients[at].state = ClientState::Joining(usize::MAX);
            used = end + 4;
        }
        while let Some((opcode, payload, length)) = frames::first(&bytes[used..]) {
            used += length;
            match opcode {
                1 => self.receive_frame(at, payload),
                8 => {
                    let code = payload.get(..2).map_or(0, |code| u16::from_be_bytes([code[0], code[1]]));
                    self.on_closed(at, Some(code), &format!("closed with {code}"));
                }
                9 => {
                    let payload = payload.to_vec();
                    frames::frame(self.clients[at].out(), 10, &payload);
                    let _seen_at_the_next_read = self.clients[at].flush();
                }
                _ => {}
            }
            if self.clients[at].state == ClientState::Ended {
                return bytes.len();
            }
        }
        used
    }

    fn on_closed(&mut self, at: usize, code: Option<u16>, why: &str) {
        let client = &mut self.clients[at];
        match client.state {
            ClientState::Ended => return,
            ClientState::Joined => {
                self.first_failure.get_or_insert_with(|| why.to_owned());
                for cursor in &client.cursors {
                    let room = &mut self.rooms[cursor.room];
                    room.listeners = room.listeners.saturating_sub(1);
                    room.speaker.take_if(|speaker| *speaker == at);
                }
            }
            ClientState::Stalled | ClientState::Woken => self.counters.closed.extend(code),
            _ => {
                self.connecting -= 1;
                self.first_failure.get_or_insert_with(|| why.to_owned());
            }
        }
        client.state = ClientState::Ended;
        let _gone = client.stream.shutdown(Shutdown::Both);
    }

    /// The first failure, if any.
    pub(crate) fn first_failure(&self) -> Option<&str> {
        self.first_failure.as_deref()
    }
}

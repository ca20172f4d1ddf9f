//! All sockets of a run, on one thread: they connect, talk and count what comes.

mod told;

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use memchr::memmem;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::SockRef;

use crate::client::{Client, Stage, Wish};
use crate::frames;
use crate::people;
use crate::tally::Tally;

/// Bytes of one read: more than the kernel holds for a socket of the server's.
const READ_BYTES: usize = 256 * 1024;
/// How long a stretch of waiting is, so that a run's end is seen in time.
const STRETCH: Duration = Duration::from_millis(20);
/// Messages sent between two looks at what came.
const AT_ONCE: usize = 64;
/// What a socket that stops reading lets the kernel hold for it.
const STALLED_BYTES: usize = 16 * 1024;

/// How a room is talked in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many messages are under way in each room; one is done when every member has it.
    Window(u64),
    /// So many messages a second over all rooms, whatever comes back.
    Rate(f64),
}

/// A room, and how far its messages are.
struct Room {
    id: String,
    /// Its first member's socket.
    speaker: Option<usize>,
    sent: u64,
    delivered: u64,
    listeners: u64,
    /// The newest position that anyone has seen.
    head: i64,
}

/// The sockets.
pub(crate) struct Crowd {
    poll: Poll,
    /// The nodes; each person keeps to one.
    addresses: Vec<SocketAddr>,
    secret: String,
    began: Instant,
    buffer: Vec<u8>,
    clients: Slab<Client>,
    /// Sockets that are given up at the end of this turn.
    leaving: Vec<usize>,
    rooms: Vec<Room>,
    numbers: HashMap<Vec<u8>, usize>,
    tokens: HashMap<i64, String>,
    connecting: usize,
    window: u64,
    ready: Vec<usize>,
    next_id: u128,
    /// Length of a text, in bytes.
    pub(crate) text_bytes: usize,
    /// Whether a message names itself, so that it is acknowledged and may be sent again.
    pub(crate) names_sends: bool,
    /// Whether a socket ends as soon as it has joined.
    pub(crate) leaves_at_once: bool,
    /// Whether more is sent than there is room for, so that `overloaded` is no failure.
    pub(crate) overdoes: bool,
    /// How many have joined in all.
    pub(crate) joined: usize,
    /// What came.
    pub(crate) tally: Tally,
    first_failure: Option<String>,
}

impl Crowd {
    /// Nobody yet.
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
            names_sends: true,
            leaves_at_once: false,
            overdoes: false,
            joined: 0,
            tally: Tally::default(),
            first_failure: None,
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Signs the tokens of these people, so that no measurement pays for it.
    pub(crate) fn sign(&mut self, users: impl IntoIterator<Item = i64>) {
        for user in users {
            self.tokens.entry(user).or_insert_with(|| people::token(&self.secret, user));
        }
    }

    /// Connects these, so many at a time, and waits until all have joined.
    pub(crate) fn gather(&mut self, wishes: Vec<Wish>, at_once: usize) -> anyhow::Result<()> {
        let wanted = self.joined + wishes.len();
        self.sign(wishes.iter().map(|wish| wish.user));
        let mut wishes = wishes.into_iter();
        let by = Instant::now() + Duration::from_secs(120);
        while self.joined < wanted {
            while self.connecting < at_once
                && let Some(wish) = wishes.next()
            {
                self.connect(wish)?;
            }
            self.turn(STRETCH)?;
            if let Some(failure) = &self.first_failure {
                bail!("a socket was not let in: {failure}");
            }
            if Instant::now() > by {
                bail!("only {} of {wanted} sockets have joined", self.joined);
            }
        }
        Ok(())
    }

    /// Connects one after another for so long, each leaving when it has joined; gives how many joined.
    pub(crate) fn come_and_go(
        &mut self,
        wish: impl Fn(usize) -> Wish,
        at_once: usize,
        time: Duration,
    ) -> anyhow::Result<usize> {
        let (before, until, mut next) = (self.joined, Instant::now() + time, 0);
        while Instant::now() < until {
            while self.connecting < at_once {
                self.connect(wish(next))?;
                next += 1;
            }
            self.turn(STRETCH)?;
            if let Some(failure) = &self.first_failure {
                bail!("a socket was not let in: {failure}");
            }
        }
        Ok(self.joined - before)
    }

    fn connect(&mut self, wish: Wish) -> anyhow::Result<()> {
        let entry = self.clients.vacant_entry();
        let node = usize::try_from(wish.user)? % self.addresses.len();
        let mut client = Client::connect(self.addresses[node], wish)?;
        if client.wish.stalls {
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

    /// Lets every room talk at this pace for so long; then nothing new is sent.
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
                    self.turn(STRETCH)?;
                }
                self.window = 0;
            }
            Pace::Rate(rate) => {
                let step = Duration::from_secs_f64(1.0 / rate);
                let (mut due, mut room) = (Instant::now(), 0);
                while Instant::now() < until {
                    // So many at once, and then what came is read: a loader that is behind is no deaf one.
                    for _ in 0..AT_ONCE {
                        if due > Instant::now() {
                            break;
                        }
                        // Of the time when it was due, so that a stall of either side counts.
                        let late = u64::try_from(due.elapsed().as_nanos())?;
                        self.say(room, self.now().saturating_sub(late))?;
                        room = (room + 1) % self.rooms.len();
                        due += step;
                    }
                    let wait = due.saturating_duration_since(Instant::now());
                    // The poll's own clock is too coarse for the rest.
                    self.turn(if wait > Duration::from_micros(1_500) {
                        wait - Duration::from_millis(1)
                    } else {
                        Duration::ZERO
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Waits until everything that was sent has come, a few seconds at most, and counts what has not.
    pub(crate) fn settle(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until
            && self.rooms.iter().any(|room| room.delivered < room.sent * room.listeners)
        {
            self.turn(STRETCH)?;
        }
        for (_, client) in self.clients.iter().filter(|(_, client)| client.counts()) {
            for heard in &client.heard {
                let missing = self.rooms[heard.room].head - heard.last;
                self.tally.lost += u64::try_from(missing).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Takes what comes for so long.
    pub(crate) fn listen(&mut self, time: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn(STRETCH)?;
        }
        Ok(())
    }

    /// Lets those read on who had stopped, until each has come to the end of what waited; at most so long.
    pub(crate) fn wake(&mut self, patience: Duration) -> anyhow::Result<()> {
        let stalled: Vec<usize> = self
            .clients
            .iter()
            .filter(|(_, client)| client.stage == Stage::Stalled)
            .map(|(at, _)| at)
            .collect();
        for at in stalled {
            self.clients[at].stage = Stage::Woken;
            if let Err(error) = self.happened(at, true, false) {
                self.ended(at, None, &error.to_string());
            }
        }
        let until = Instant::now() + patience;
        while Instant::now() < until && self.clients.iter().any(|(_, client)| client.stage == Stage::Woken) {
            self.turn(STRETCH)?;
        }
        Ok(())
    }

    /// How many sockets are open.
    pub(crate) fn open(&self) -> usize {
        self.clients.iter().filter(|(_, client)| client.stage == Stage::Joined).count()
    }

    fn is_due(&self, room: usize) -> bool {
        let Room { sent, delivered, listeners, speaker, .. } = self.rooms[room];
        self.window > 0 && speaker.is_some() && sent * listeners < delivered + self.window * listeners
    }

    fn say(&mut self, room: usize, now_ns: u64) -> anyhow::Result<()> {
        let Some(speaker) = self.rooms[room].speaker else { bail!("nobody speaks in room {room}") };
        self.next_id += 1;
        let (client, id) = (&mut self.clients[speaker], self.names_sends.then_some(self.next_id));
        let named = client.wish.is_user_socket.then(|| self.rooms[room].id.clone());
        frames::message(client.out(), named.as_deref(), id, now_ns, self.text_bytes);
        client.flush().context("a speaker's socket")?;
        self.rooms[room].sent += 1;
        self.tally.sent += 1;
        Ok(())
    }

    /// Waits for something to happen, and takes it in.
    fn turn(&mut self, wait: Duration) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(1_024);
        match self.poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &events {
            let at = event.token().0;
            if let Err(error) = self.happened(at, event.is_readable(), event.is_writable()) {
                self.ended(at, None, &error.to_string());
            }
        }
        for at in self.leaving.drain(..) {
            self.clients.remove(at);
        }
        Ok(())
    }

    fn happened(&mut self, at: usize, readable: bool, writable: bool) -> io::Result<()> {
        let client = &mut self.clients[at];
        if matches!(client.stage, Stage::Ended | Stage::Stalled) {
            return Ok(());
        }
        if writable {
            if client.stage == Stage::Connecting {
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
        let wish = &self.clients[at].wish;
        let token = &self.tokens[&wish.user];
        match (wish.is_user_socket, wish.since) {
            (true, _) => format!("/ws/chat/?token={token}"),
            (false, None) => format!("/ws/chat/{}/?token={token}", self.rooms[wish.rooms[0]].id),
            (false, Some(since)) => {
                format!("/ws/chat/{}/?token={token}&since={since}", self.rooms[wish.rooms[0]].id)
            }
        }
    }

    fn read(&mut self, at: usize) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(read) = self.clients[at].read(&mut buffer)? {
            if read == 0 {
                self.ended(at, None, "closed");
                break;
            }
            let mut rest = std::mem::take(&mut self.clients[at].rest);
            if rest.is_empty() {
                let used = self.take_in(at, &buffer[..read]);
                rest.extend_from_slice(&buffer[used..read]);
            } else {
                rest.extend_from_slice(&buffer[..read]);
                let used = self.take_in(at, &rest);
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

    /// Reads what is whole, and gives how many bytes that is.
    fn take_in(&mut self, at: usize, bytes: &[u8]) -> usize {
        let mut used = 0;
        if self.clients[at].stage == Stage::Upgrading {
            let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return 0 };
            if !bytes.starts_with(b"HTTP/1.1 101") {
                self.ended(at, None, &String::from_utf8_lossy(&bytes[..end]));
                return bytes.len();
            }
            self.clients[at].stage = Stage::Joining(usize::MAX);
            used = end + 4;
        }
        while let Some((opcode, payload, length)) = frames::first(&bytes[used..]) {
            used += length;
            match opcode {
                1 => self.told(at, payload),
                8 => {
                    let code = payload.get(..2).map_or(0, |code| u16::from_be_bytes([code[0], code[1]]));
                    self.ended(at, Some(code), &format!("closed with {code}"));
                }
                9 => {
                    let payload = payload.to_vec();
                    frames::frame(self.clients[at].out(), 10, &payload);
                    let _seen_at_the_next_read = self.clients[at].flush();
                }
                _ => {}
            }
            if self.clients[at].stage == Stage::Ended {
                return bytes.len();
            }
        }
        used
    }

    fn ended(&mut self, at: usize, code: Option<u16>, why: &str) {
        let client = &mut self.clients[at];
        match client.stage {
            Stage::Ended => return,
            Stage::Joined => {
                self.first_failure.get_or_insert_with(|| why.to_owned());
                for heard in &client.heard {
                    let room = &mut self.rooms[heard.room];
                    room.listeners = room.listeners.saturating_sub(1);
                    room.speaker.take_if(|speaker| *speaker == at);
                }
            }
            Stage::Stalled | Stage::Woken => self.tally.closed.extend(code),
            _ => {
                self.connecting -= 1;
                self.first_failure.get_or_insert_with(|| why.to_owned());
            }
        }
        client.stage = Stage::Ended;
        let _gone = client.stream.shutdown(Shutdown::Both);
    }

    /// What went wrong first, where something did.
    pub(crate) fn first_failure(&self) -> Option<&str> {
        self.first_failure.as_deref()
    }
}

//! What the sockets of a run are told.

use std::time::Duration;

use socket2::SockRef;

use super::Crowd;
use crate::client::Stage;
use crate::frames::{self, Told};

impl Crowd {
    /// Takes in one frame.
    pub(super) fn told(&mut self, at: usize, payload: &[u8]) {
        match frames::read(payload) {
            Told::Message { room, seq, sent_ns } => self.delivered(at, room, seq, sent_ns),
            Told::Established { seq } => {
                let client = &mut self.clients[at];
                if client.wish.is_user_socket {
                    client.stage = Stage::Joining(client.wish.rooms.len());
                    for room in client.wish.rooms.clone() {
                        frames::subscribe(self.clients[at].out(), &self.rooms[room].id);
                    }
                    let _seen_at_the_next_read = self.clients[at].flush();
                    if self.clients[at].wish.rooms.is_empty() {
                        self.has_joined(at);
                    }
                } else if let (None, Some(seq)) = (client.wish.since, seq) {
                    client.heard[0].last = seq;
                    self.has_joined(at);
                }
            }
            Told::Subscribed { room, seq } => {
                let number = self.numbers.get(room).copied();
                let client = &mut self.clients[at];
                if let Some(heard) = client.heard.iter_mut().find(|heard| Some(heard.room) == number) {
                    heard.last = seq;
                }
                if let Stage::Joining(left) = client.stage {
                    client.stage = Stage::Joining(left - 1);
                    if left == 1 {
                        self.has_joined(at);
                    }
                }
            }
            Told::Synced => self.has_joined(at),
            Told::Reset => self.ended(at, None, "reset"),
            Told::Ack => self.tally.acked += 1,
            Told::Overloaded if self.overdoes => {
                self.tally.shed += 1;
                // A room's socket sends to its room alone.
                self.rooms[self.clients[at].heard[0].room].sent -= 1;
            }
            Told::Refused | Told::Overloaded => {
                self.tally.refused += 1;
                let text = String::from_utf8_lossy(payload).into_owned();
                self.first_failure.get_or_insert(text);
            }
            Told::Other => {}
        }
    }

    fn has_joined(&mut self, at: usize) {
        self.joined += 1;
        self.connecting -= 1;
        let client = &mut self.clients[at];
        client.stage = Stage::Joined;
        if self.leaves_at_once {
            client.stage = Stage::Ended;
            let socket = SockRef::from(&client.stream);
            // A reset leaves no port behind in TIME_WAIT.
            let _gone = socket.set_linger(Some(Duration::ZERO));
            self.leaving.push(at);
            return;
        }
        if client.wish.stalls {
            client.stage = Stage::Stalled;
            return;
        }
        for heard in &client.heard {
            let room = &mut self.rooms[heard.room];
            room.listeners += 1;
            room.speaker.get_or_insert(at);
            room.head = room.head.max(heard.last);
        }
    }

    fn delivered(&mut self, at: usize, room: &[u8], seq: i64, sent_ns: Option<u64>) {
        let now = self.now();
        let Some(number) = self.number(at, room) else { return };
        let client = &mut self.clients[at];
        let Some(heard) = client.heard.iter_mut().find(|heard| heard.room == number) else { return };
        if seq <= heard.last {
            self.tally.doubled += 1;
            return;
        }
        self.tally.lost += u64::try_from(seq - heard.last - 1).unwrap_or_default();
        heard.last = seq;
        if !client.counts() {
            self.tally.early += 1;
            return;
        }
        self.tally.delivered += 1;
        let room = &mut self.rooms[number];
        room.delivered += 1;
        room.head = room.head.max(seq);
        if let (true, Some(sent_ns)) = (self.tally.is_measuring, sent_ns) {
            let late = now.saturating_sub(sent_ns);
            self.tally.delays.note(late);
            if room.speaker == Some(at) {
                self.tally.echoes.note(late);
            }
        }
        if self.is_due(number) && self.ready.last() != Some(&number) {
            self.ready.push(number);
        }
    }

    /// The number of a room that a client hears.
    fn number(&self, at: usize, room: &[u8]) -> Option<usize> {
        match &self.clients[at].heard[..] {
            [only] => Some(only.room),
            _ => self.numbers.get(room).copied(),
        }
    }
}

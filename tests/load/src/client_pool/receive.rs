//! Handles the frames that the clients receive.

use std::time::Duration;

use socket2::SockRef;

use super::ClientPool;
use crate::client::ClientState;
use crate::frames::{self, ServerFrame};

impl ClientPool {
    /// Handles a frame.
    pub(super) fn receive_frame(&mut self, at: usize, payload: &[u8]) {
        match frames::read(payload) {
            ServerFrame::Message { room, seq, sent_ns } => self.delivered(at, room, seq, sent_ns),
            ServerFrame::Established { seq } => {
                let client = &mut self.clients[at];
                if client.spec.is_user_socket {
                    client.state = ClientState::Joining(client.spec.rooms.len());
                    for room in client.spec.rooms.clone() {
                        frames::subscribe(self.clients[at].out(), &self.rooms[room].id);
                    }
                    let _seen_at_the_next_read = self.clients[at].flush();
                    if self.clients[at].spec.rooms.is_empty() {
                        self.has_joined(at);
                    }
                } else if let (None, Some(seq)) = (client.spec.since, seq) {
                    client.cursors[0].last = seq;
                    self.has_joined(at);
                }
            }
            ServerFrame::Subscribed { room, seq } => {
                let number = self.numbers.get(room).copied();
                let client = &mut self.clients[at];
                if let Some(cursor) = client.cursors.iter_mut().find(|cursor| Some(cursor.room) == number) {
                    cursor.last = seq;
                }
                if let ClientState::Joining(left) = client.state {
                    client.state = ClientState::Joining(left - 1);
                    if left == 1 {
                        self.has_joined(at);
                    }
                }
            }
            ServerFrame::Synced => self.has_joined(at),
            ServerFrame::Reset => self.on_closed(at, None, "reset"),
            ServerFrame::Ack => self.counters.acked += 1,
            ServerFrame::Overloaded if self.expects_overload => {
                self.counters.shed += 1;
                // A room socket sends only to its room.
                self.rooms[self.clients[at].cursors[0].room].sent -= 1;
            }
            ServerFrame::Refused | ServerFrame::Overloaded => {
                self.counters.refused += 1;
                let text = String::from_utf8_lossy(payload).into_owned();
                self.first_failure.get_or_insert(text);
            }
            ServerFrame::Other => {}
        }
    }

    fn has_joined(&mut self, at: usize) {
        self.joined += 1;
        self.connecting -= 1;
        let client = &mut self.clients[at];
        client.state = ClientState::Joined;
        if self.leaves_at_once {
            client.state = ClientState::Ended;
            let socket = SockRef::from(&client.stream);
            // A reset leaves no port in TIME_WAIT.
            let _gone = socket.set_linger(Some(Duration::ZERO));
            self.leaving.push(at);
            return;
        }
        if client.spec.stalls {
            client.state = ClientState::Stalled;
            return;
        }
        for cursor in &client.cursors {
            let room = &mut self.rooms[cursor.room];
            room.listeners += 1;
            room.speaker.get_or_insert(at);
            room.head = room.head.max(cursor.last);
        }
    }

    fn delivered(&mut self, at: usize, room: &[u8], seq: i64, sent_ns: Option<u64>) {
        let now = self.now();
        let Some(number) = self.number(at, room) else { return };
        let client = &mut self.clients[at];
        let Some(cursor) = client.cursors.iter_mut().find(|cursor| cursor.room == number) else { return };
        if seq <= cursor.last {
            self.counters.doubled += 1;
            return;
        }
        self.counters.lost += u64::try_from(seq - cursor.last - 1).unwrap_or_default();
        cursor.last = seq;
        if !client.counts() {
            self.counters.early += 1;
            return;
        }
        self.counters.delivered += 1;
        let room = &mut self.rooms[number];
        room.delivered += 1;
        room.head = room.head.max(seq);
        if let (true, Some(sent_ns)) = (self.counters.is_measuring, sent_ns) {
            let late = now.saturating_sub(sent_ns);
            self.counters.latencies.note(late);
            if room.speaker == Some(at) {
                self.counters.echo_latencies.note(late);
            }
        }
        if self.is_due(number) && self.ready.last() != Some(&number) {
            self.ready.push(number);
        }
    }

    /// The index of a room that a client receives.
    fn number(&self, at: usize, room: &[u8]) -> Option<usize> {
        match &self.clients[at].cursors[..] {
            [only] => Some(only.room),
            _ => self.numbers.get(room).copied(),
        }
    }
}

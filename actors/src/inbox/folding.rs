//! What events and names change in lines, where they alone say how; other lines are read anew.

use std::collections::hash_map;
use std::sync::Arc;

use super::onlooker::{Face, Line};
use super::{Followed, InboxActor};
use crate::domain::event::{Event, EventBody};
use crate::domain::ids::{RoomId, Seq, UserId};
use crate::relay;

impl InboxActor {
    /// Changes the lines of those who follow the room.
    pub(super) fn event(&mut self, room: RoomId, event: &Event) {
        match &event.body {
            EventBody::ParticipantJoined(participant) => {
                let user = participant.user.id;
                // Who is told late of having come in is in already.
                if self.line(user, room).is_none_or(|line| line.head < event.seq) {
                    self.make_stale(user, room, true);
                }
            }
            EventBody::ParticipantLeft(participant) => self.left(participant.user.id, room, event.seq),
            EventBody::RoomDeleted => {
                let mut asking = Vec::new();
                for (user, reading) in &mut self.reads {
                    reading.left(room, event.seq);
                    asking.extend(reading.asks_for(room).then_some(*user));
                }
                // Who came in a moment ago may have read it by REST.
                for user in asking {
                    self.make_stale(user, room, true);
                }
            }
            _ => {}
        }
        self.note_news(room, event.seq);
        // Most show the room alike, and go on to show it alike.
        let mut faces: Option<(Arc<Face>, Arc<Face>)> = None;
        for user in self.followers(room).collect::<Vec<_>>() {
            if matches!(event.body, EventBody::RoomDeleted) {
                self.take_off(user, room);
                continue;
            }
            let Some(line) = self.people.get_mut(&user).and_then(|onlooker| onlooker.line_mut(room)) else {
                continue;
            };
            if event.seq <= line.head {
                continue;
            }
            if event.seq != line.head.next() {
                self.make_stale(user, room, true);
                continue;
            }
            line.head = event.seq;
            match &event.body {
                EventBody::MessagePosted(message) => {
                    let (before, face) = faces
                        .take_if(|(before, _)| Arc::ptr_eq(before, &line.face))
                        .unwrap_or_else(|| (line.face.clone(), Arc::new(line.face.after(message))));
                    line.posted(user, message, face.clone());
                    faces = Some((before, face));
                    self.changed.insert((user, room));
                }
                // Neither shown nor counted otherwise than before.
                EventBody::MessageEdited(message) if line.face.is_newer_than(message) => {}
                EventBody::MessageEdited(_)
                | EventBody::MessageDeleted { .. }
                | EventBody::RoomUpdated(_)
                | EventBody::RoomCreated(_) => self.make_stale(user, room, true),
                _ => {}
            }
        }
        if let (Some((_, face)), Some(followed)) = (faces, self.followed.get_mut(&room)) {
            followed.face = face;
        }
    }

    /// Someone left a room at this position of its log.
    fn left(&mut self, user: UserId, room: RoomId, at: Seq) {
        if let Some(reading) = self.reads.get_mut(&user) {
            reading.left(room, at);
        }
        match self.line(user, room) {
            // One who came back is told of his leaving by a late hint: the line knows better.
            Some(line) if line.head >= at => {}
            Some(_) => self.take_off(user, room),
            // Who came in a moment ago may have read it by REST.
            None => self.make_stale(user, room, true),
        }
    }

    /// Has the lines read anew that show people who are called otherwise now.
    pub(super) fn read_names(&mut self) {
        let named = std::mem::take(&mut self.named);
        if named.is_empty() {
            return;
        }
        let mut shown = Vec::new();
        for (user, onlooker) in &self.people {
            for line in onlooker.lines() {
                let told = line.face.people().filter_map(|person| named.get(&person)).max();
                shown.extend(told.map(|is_told| (*user, line.room, *is_told)));
            }
        }
        for (user, room, is_told) in shown {
            self.make_stale(user, room, is_told);
        }
    }

    pub(super) fn note_news(&mut self, room: RoomId, head: Seq) {
        if !self.reads.is_empty() {
            let heard = self.news.entry(room).or_insert(head);
            *heard = head.max(*heard);
        }
    }

    /// Puts a line as the store has it into a person's list.
    pub(super) fn take_in(&mut self, user: UserId, line: Line) {
        let Some(onlooker) = self.people.get_mut(&user) else { return };
        let (room, face) = (line.room, line.face.clone());
        onlooker.put(line);
        match self.followed.entry(room) {
            hash_map::Entry::Occupied(followed) => {
                let followed = followed.into_mut();
                if let Err(at) = followed.by.binary_search(&user) {
                    followed.by.insert(at, user);
                }
                followed.face = face;
            }
            hash_map::Entry::Vacant(place) => {
                place.insert(Followed { by: vec![user], face });
                self.tell_relay(room, true);
            }
        }
    }

    pub(super) fn forget_follower(&mut self, user: UserId, room: RoomId) {
        if let Some(followed) = self.followed.get_mut(&room) {
            if let Ok(at) = followed.by.binary_search(&user) {
                followed.by.remove(at);
            }
            if followed.by.is_empty() {
                self.followed.remove(&room);
                self.tell_relay(room, false);
            }
        }
    }

    pub(super) fn tell_relay(&self, room: RoomId, on: bool) {
        if let Some(core) = &self.core {
            core.relay.do_send(relay::Follow { room, on });
        }
    }
}

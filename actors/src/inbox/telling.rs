//! What sockets are told of their person's list: how it stands, what changes, all of it anew.

use actix::{Context, Handler, Message};

use super::InboxActor;
use crate::domain::ids::{RoomId, UserId};
use crate::limits;
use crate::outbox::{SignalKey, SignalKind};
use crate::protocol::codec;
use crate::protocol::server::{PROTOCOL, ServerFrame};
use crate::session::SessionId;
use crate::switchboard::{AskWhenOut, ForgetSignal, PushSignal};

/// A socket was behind for so long that lines were dropped: it is told all of them, as they are by now,
/// piece by piece as it reads.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Retell {
    /// Whose.
    pub user: UserId,
    /// Which session.
    pub session: SessionId,
    /// Whether lines were dropped; else the piece before has gone out.
    pub from_start: bool,
}

impl Handler<Retell> for InboxActor {
    type Result = ();

    fn handle(&mut self, Retell { user, session, from_start }: Retell, _: &mut Context<Self>) {
        let after = self.retelling.remove(&session).filter(|_| !from_start);
        if after.is_none() && !from_start {
            return;
        }
        let Some(onlooker) = self.people.get(&user) else { return };
        let Some(outbox) = onlooker.greeted_socket(session) else { return };
        let total = onlooker.total_unread();
        let mut last = None;
        for line in onlooker.lines_after(after).take(limits::INBOX_RETOLD_AT_ONCE) {
            let (key, bytes) = (line_key(user, line.room), codec::encode(&line.frame(total)));
            outbox.switchboard.do_send(PushSignal { outbox: outbox.id, key, bytes });
            last = Some(line.room);
        }
        if let Some(last) = last {
            outbox.switchboard.do_send(AskWhenOut { outbox: outbox.id });
            self.retelling.insert(session, last);
        }
    }
}

impl InboxActor {
    /// Tells a socket how things stand; from now on it is told what changes.
    pub(super) fn greet(&mut self, user: UserId, session: SessionId, username: &str) -> bool {
        let Some(onlooker) = self.people.get_mut(&user) else { return false };
        let unread_count = onlooker.total_unread();
        let Some(follower) = onlooker.sockets.iter_mut().find(|follower| follower.session == session) else {
            return false;
        };
        follower.greeted = true;
        follower.outbox.send(&ServerFrame::ConnectionEstablished {
            room_id: None,
            unread_count,
            user_id: user,
            username,
            seq: None,
            epoch: None,
            protocol: PROTOCOL,
        });
        true
    }

    /// Takes a person's room off the list.
    pub(super) fn take_off(&mut self, user: UserId, room: RoomId) {
        let Some(line) = self.people.get_mut(&user).and_then(|onlooker| onlooker.take(room)) else { return };
        self.lapses_at(user, room, None);
        if let Some(is_told) = self.stale.get_mut(&user).and_then(|rooms| rooms.get_mut(&room)) {
            // Being taken off is told here.
            *is_told = false;
        }
        if line.unread > 0 && line.counts() {
            self.totals.insert(user);
        }
        self.tell_removed(user, room);
        self.forget_follower(user, room);
    }

    /// Tells a person's sockets that a room isn't in the list.
    pub(super) fn tell_removed(&self, user: UserId, room: RoomId) {
        let Some(onlooker) = self.people.get(&user) else { return };
        for outbox in onlooker.greeted() {
            // Or it would show the room again, on a socket that is behind.
            outbox.switchboard.do_send(ForgetSignal { outbox: outbox.id, key: line_key(user, room) });
        }
        onlooker.send(&ServerFrame::RoomRemoved { room_id: room, total_unread: onlooker.total_unread() });
    }

    pub(super) fn tell_changed(&mut self) {
        self.tell_totals();
        for (user, room) in std::mem::take(&mut self.changed) {
            let Some(onlooker) = self.people.get(&user) else { continue };
            let Some(line) = onlooker.line(room) else { continue };
            let bytes = codec::encode(&line.frame(onlooker.total_unread()));
            for outbox in onlooker.greeted() {
                let (key, bytes) = (line_key(user, room), bytes.clone());
                outbox.switchboard.do_send(PushSignal { outbox: outbox.id, key, bytes });
            }
        }
    }

    /// Has a line told where the total changed by one that is gone: any line tells the total, and what is
    /// kept back of others for a socket that is behind tells an older one.
    fn tell_totals(&mut self) {
        for user in std::mem::take(&mut self.totals) {
            let Some(onlooker) = self.people.get(&user) else { continue };
            let is_told = |room: &RoomId| self.changed.contains(&(user, *room));
            let any = onlooker.rooms().find(is_told).or_else(|| onlooker.rooms().next());
            self.changed.extend(any.map(|room| (user, room)));
        }
    }
}

/// What the frame of a line is kept back under.
fn line_key(user: UserId, room: RoomId) -> SignalKey {
    SignalKey { kind: SignalKind::Inbox, room, user }
}

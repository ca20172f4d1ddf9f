//! What sockets are sent of their user's inbox: a snapshot, rows that change, and all rows again.

use actix::{Context, Handler};

use super::InboxActor;
use super::viewer::InboxTotals;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::personal::PersonalBounds;
use crate::limits;
use crate::messages::inbox::{PersonalResume, ResendInbox};
use crate::messages::session::SessionId;
use crate::messages::switchboard::{RefreshWhenDrained, SignalKey, SignalKind, StateRefresh};
use crate::protocol::codec;
use crate::protocol::server::{PROTOCOL, ServerFrame};

impl Handler<ResendInbox> for InboxActor {
    type Result = ();

    fn handle(&mut self, ResendInbox { user, session, from_start }: ResendInbox, _: &mut Context<Self>) {
        let after = self.resending.remove(&session).filter(|_| !from_start);
        if after.is_none() && !from_start {
            return;
        }
        let Some(viewer) = self.viewers.get(&user) else { return };
        let Some(outbox) = viewer.ready_socket(session) else { return };
        let totals = viewer.totals();
        let mut last = None;
        for row in viewer.rows_after(after).take(limits::INBOX_RESEND_ROWS_MAX) {
            let (key, bytes) = (row_key(user, row.room), codec::encode(&row.frame(totals)));
            outbox.push_signal(key, bytes);
            last = Some(row.room);
        }
        if let Some(last) = last {
            let refresh = StateRefresh::RestOfInbox;
            outbox.switchboard.tell(RefreshWhenDrained { outbox: outbox.id, refresh });
            self.resending.insert(session, last);
        }
    }
}

impl InboxActor {
    /// Sends a socket the frame that its connection begins with. From now on the socket is sent what changes.
    /// Returns false if it is gone.
    pub(super) fn send_snapshot(
        &mut self,
        user: UserId,
        session: SessionId,
        username: &str,
        resume: Option<PersonalResume>,
        personal: PersonalBounds,
    ) -> bool {
        let (epoch, missed_max) = (self.epoch, self.deps.limits.replay_events_max);
        let Some(viewer) = self.viewers.get_mut(&user) else { return false };
        let totals = viewer.totals();
        let Some(socket) = viewer.sockets.iter_mut().find(|socket| socket.session == session) else {
            return false;
        };
        socket.is_ready = true;
        socket.outbox.send(&ServerFrame::ConnectionEstablished {
            room_id: None,
            unread_count: totals.unread,
            mention_count: Some(totals.mentions),
            user_id: user,
            username,
            seq: None,
            epoch: resume.map(|_| epoch),
            personal_position: resume.map(|_| personal.head),
            protocol: PROTOCOL,
            capabilities: None,
            next_post_at: None,
        });
        socket.begin_personal_log(resume, personal, epoch, missed_max);
        true
    }

    /// Removes the row of a room from a user's inbox.
    pub(super) fn remove_row(&mut self, user: UserId, room: RoomId) {
        let Some(row) = self.viewers.get_mut(&user).and_then(|viewer| viewer.take(room)) else { return };
        self.mute_expiries.set(user, room, None);
        if let Some(always_send) = self.stale_rows.get_mut(&user).and_then(|rooms| rooms.get_mut(&room)) {
            // The removal is sent here.
            *always_send = false;
        }
        if row.totals() != InboxTotals::default() {
            self.changed_totals.insert(user);
        }
        self.send_removed(user, room);
        self.stop_viewing(user, room);
    }

    /// Tells a user's sockets that the inbox has no row of a room.
    pub(super) fn send_removed(&self, user: UserId, room: RoomId) {
        let Some(viewer) = self.viewers.get(&user) else { return };
        for outbox in viewer.ready_sockets() {
            // A socket that is behind would be sent the row after this.
            outbox.drop_signal(row_key(user, room));
        }
        let InboxTotals { unread: total_unread, mentions: total_mentions } = viewer.totals();
        viewer.send(&ServerFrame::RoomRemoved { room_id: room, total_unread, total_mentions });
    }

    /// Sends the rows that have changed.
    pub(super) fn flush_changed(&mut self) {
        self.send_totals();
        for (user, room) in std::mem::take(&mut self.changed_rows) {
            let Some(viewer) = self.viewers.get(&user) else { continue };
            let Some(row) = viewer.row(room) else { continue };
            let bytes = codec::encode(&row.frame(viewer.totals()));
            for outbox in viewer.ready_sockets() {
                let (key, bytes) = (row_key(user, room), bytes.clone());
                outbox.push_signal(key, bytes);
            }
        }
    }

    /// Has one row sent for each user whose totals have changed because a row is gone. Every row carries them, and
    /// the rows that still wait for a socket that is behind carry older ones.
    fn send_totals(&mut self) {
        for user in std::mem::take(&mut self.changed_totals) {
            let Some(viewer) = self.viewers.get(&user) else { continue };
            let is_changed = |room: &RoomId| self.changed_rows.contains(&(user, *room));
            let any = viewer.rooms().find(is_changed).or_else(|| viewer.rooms().next());
            self.changed_rows.extend(any.map(|room| (user, room)));
        }
    }
}

/// The key under which only the newest frame of a row waits.
fn row_key(user: UserId, room: RoomId) -> SignalKey {
    SignalKey { kind: SignalKind::Inbox, room, user }
}

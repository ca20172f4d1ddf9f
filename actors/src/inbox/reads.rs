//! Reading inboxes from the store: whole ones for new sockets, and stale rows that events alone could not
//! bring up to date. There is one read of an inbox at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context};
use tokio::sync::oneshot;

use super::InboxActor;
use super::viewer::InboxRow;
use crate::domain::ids::{Epoch, RoomId, Seq, UserId};
use crate::domain::personal::PersonalBounds;
use crate::limits;
use crate::messages::inbox::PersonalResume;
use crate::messages::session::SessionId;
use crate::ports::store::{InboxRoom, OpenedInbox, StoreError};
use crate::protocol::server::ServerFrame;

/// A socket that waits for a snapshot.
pub(super) struct PendingSocket {
    pub(super) session: SessionId,
    pub(super) username: Arc<str>,
    /// Where the personal log is resumed.
    pub(super) resume: Option<PersonalResume>,
    /// Is sent whether the socket is accepted.
    pub(super) answer: oneshot::Sender<bool>,
}

/// A read of a user's inbox that is under way.
pub(super) struct InboxRead {
    /// The sockets that are sent a snapshot after it. If there are any, the whole inbox is read.
    pending_sockets: Vec<PendingSocket>,
    /// The rows that were stale, as in [`InboxActor::stale_rows`].
    stale: BTreeMap<RoomId, bool>,
    /// Rooms that the user left since the read began, and the positions of the events.
    left: BTreeMap<RoomId, Seq>,
    /// Whether the personal log has grown since the read began.
    personal_log_grew: bool,
}

impl InboxRead {
    fn new(pending_sockets: Vec<PendingSocket>, stale: BTreeMap<RoomId, bool>) -> Self {
        Self { pending_sockets, stale, left: BTreeMap::new(), personal_log_grew: false }
    }

    /// Notes that the personal log has grown, which the sockets that wait for this read may miss.
    pub(super) fn note_personal_log(&mut self) {
        self.personal_log_grew |= self.is_whole();
    }

    /// Notes that the user is no longer in a room.
    pub(super) fn note_left(&mut self, room: RoomId, at: Seq) {
        let known = self.left.entry(room).or_insert(at);
        *known = at.max(*known);
    }

    /// Whether the row of a room is read to be sent even if it is the same.
    pub(super) fn always_sends(&self, room: RoomId) -> bool {
        self.stale.get(&room) == Some(&true)
    }

    fn is_whole(&self) -> bool {
        !self.pending_sockets.is_empty()
    }
}

/// The result of a read, and the history in which it began.
struct InboxReadResult {
    rooms: Result<Vec<InboxRoom>, StoreError>,
    /// How far the personal log reaches, if the whole inbox was read.
    personal: PersonalBounds,
    epoch: Epoch,
}

impl InboxActor {
    /// Reads a user's whole inbox if sockets wait for it and no other read of it is under way.
    pub(super) fn read_inbox(&mut self, user: UserId, ctx: &mut Context<Self>) {
        if self.reads.contains_key(&user) {
            return;
        }
        let Some(pending_sockets) = self.pending_sockets.remove(&user) else { return };
        let stale = self.stale_rows.remove(&user).unwrap_or_default();
        self.read(user, InboxRead::new(pending_sockets, stale), ctx, move |this, read, ctx| {
            this.finish_read(user, read, ctx);
            this.schedule_flush(ctx);
        });
    }

    /// Reads stale rows, of one user after another in turn.
    pub(super) fn refresh_stale(&mut self, ctx: &mut Context<Self>) {
        if self.is_refreshing {
            return;
        }
        let after = self.stale_rows.range((self.last_refreshed.map_or(Unbounded, Excluded), Unbounded));
        let mut in_turn = after.chain(&self.stale_rows).map(|(user, _)| *user);
        // An inbox that is being read has its turn after that.
        let Some(user) = in_turn.find(|user| !self.reads.contains_key(user)) else { return };
        let Some(stale) = self.stale_rows.remove(&user) else { return };
        self.is_refreshing = true;
        self.last_refreshed = Some(user);
        self.read(user, InboxRead::new(Vec::new(), stale), ctx, move |this, read, ctx| {
            if let Err(error) = &read.rooms {
                tracing::warn!(%error, "could not refresh an inbox");
                this.retry_delay =
                    (this.retry_delay * 2).clamp(limits::INBOX_RETRY_DELAY, limits::INBOX_RETRY_DELAY_MAX);
                this.finish_read(user, read, ctx);
                ctx.run_later(this.retry_delay, |this, ctx| {
                    this.is_refreshing = false;
                    this.refresh_stale(ctx);
                });
                return;
            }
            this.retry_delay = Duration::ZERO;
            this.is_refreshing = false;
            this.finish_read(user, read, ctx);
            this.refresh_stale(ctx);
        });
    }

    fn read(
        &mut self,
        user: UserId,
        inbox_read: InboxRead,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, InboxReadResult, &mut Context<Self>) + 'static,
    ) {
        let store = self.deps.store.clone();
        let rooms = (!inbox_read.is_whole()).then(|| inbox_read.stale.keys().copied().collect::<Vec<_>>());
        self.reads.insert(user, inbox_read);
        let epoch = self.epoch;
        let read = async move {
            let opened = match rooms {
                Some(rooms) => {
                    let rooms = store.inbox(user, Some(&rooms)).await;
                    rooms.map(|rooms| OpenedInbox { rooms, personal: PersonalBounds::default() })
                }
                None => store.open_inbox(user).await,
            };
            let personal = opened.as_ref().map(|opened| opened.personal).unwrap_or_default();
            InboxReadResult { rooms: opened.map(|opened| opened.rooms), personal, epoch }
        };
        ctx.spawn(actix::fut::wrap_future::<_, Self>(read).map(move |read, this, ctx| then(this, read, ctx)));
    }

    /// Applies the result of a read, sends snapshots to the sockets that waited for it, and sends the rows that
    /// have changed.
    fn finish_read(
        &mut self,
        user: UserId,
        InboxReadResult { rooms, personal, epoch }: InboxReadResult,
        ctx: &mut Context<Self>,
    ) {
        if !self.has_current_epoch() || self.epoch != epoch {
            return;
        }
        let Some(inbox_read) = self.reads.remove(&user) else { return };
        let is_read = rooms.is_ok();
        match rooms {
            Ok(rooms) => self.refresh(user, &inbox_read, rooms),
            Err(_) => {
                for (room, always_send) in inbox_read.stale {
                    self.make_stale(user, room, always_send);
                }
            }
        }
        let mut resumes = inbox_read.personal_log_grew;
        for PendingSocket { session, username, resume, answer } in inbox_read.pending_sockets {
            let is_accepted = is_read && self.send_snapshot(user, session, &username, resume, personal);
            if !is_accepted {
                self.unsubscribe(user, session);
            }
            resumes |= is_accepted && resume.is_some();
            let _session_has_ended = answer.send(is_accepted);
        }
        if resumes {
            self.read_personal_log(user, ctx);
        }
        if self.reads.is_empty() {
            self.heads_seen.clear();
            self.renamed_during_read.clear();
        }
        self.flush_changed();
        self.read_inbox(user, ctx);
    }

    fn refresh(&mut self, user: UserId, inbox_read: &InboxRead, mut rooms: Vec<InboxRoom>) {
        let Some(viewer) = self.viewers.get(&user) else { return };
        let has_ready_socket = viewer.ready_sockets().next().is_some();
        // The order in which rows are kept, so that each new one is appended.
        rooms.sort_unstable_by_key(|stored| stored.room.id);
        let found: BTreeSet<RoomId> = rooms.iter().map(|stored| stored.room.id).collect();
        let listed: Vec<RoomId> = viewer.rooms().filter(|_| inbox_read.is_whole()).collect();
        for room in listed.into_iter().chain(inbox_read.stale.keys().copied()) {
            if found.contains(&room) {
                continue;
            }
            if self.row(user, room).is_some() {
                self.remove_row(user, room);
            } else if inbox_read.stale.get(&room) == Some(&true) && !inbox_read.left.contains_key(&room) {
                // The user was in the room for a moment, and may have read that by REST.
                self.send_removed(user, room);
            }
        }
        for stored in rooms {
            self.refresh_row(user, inbox_read, &stored, has_ready_socket);
        }
        if let Some(viewer) = self.viewers.get_mut(&user).filter(|_| inbox_read.is_whole()) {
            viewer.fit();
        }
    }

    fn refresh_row(
        &mut self,
        user: UserId,
        inbox_read: &InboxRead,
        stored: &InboxRoom,
        has_ready_socket: bool,
    ) {
        let (room, head) = (stored.room.id, stored.room.head);
        if inbox_read.left.get(&room).is_some_and(|left| *left > head) {
            return;
        }
        let always_send = inbox_read.stale.get(&room) == Some(&true);
        let known = self.row(user, room);
        if known.is_some_and(|known| known.head > head) {
            // Events have come since the read began.
            return self.make_stale(user, room, always_send);
        }
        let is_new = known.is_none();
        self.mute_expiries.set(user, room, stored.muted_until);
        let row = InboxRow::of(stored, self.viewed_rooms.preview(room));
        let is_sent = has_ready_socket && (always_send || self.row(user, room) != Some(&row));
        #[cfg(feature = "injected-bugs")]
        let is_sent = is_sent && !crate::injected_bugs::InjectedBug::LostInboxRow.is_injected();
        let shows_old_name = row.preview.users().any(|shown| self.renamed_during_read.contains(&shown));
        self.put_row(user, row);
        if let (true, true, Some(viewer)) = (is_new, has_ready_socket, self.viewers.get(&user)) {
            viewer.send(&ServerFrame::RoomAdded { room_id: room, room: (&stored.room).into() });
        }
        if is_sent {
            self.changed_rows.insert((user, room));
        }
        if shows_old_name || (is_new && self.heads_seen.get(&room).is_some_and(|seen| *seen > head)) {
            self.make_stale(user, room, false);
        }
    }
}

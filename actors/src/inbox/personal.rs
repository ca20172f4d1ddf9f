//! The personal logs of users who look at their inboxes.
//!
//! Every socket is at a position of its user's log, and what it is sent is read from the store behind that: for a
//! client that resumes just as for what is new. Who says that a log has grown says no more than that. There is
//! one read of a log at a time, from the position of the socket that is furthest behind.

use actix::{ActorFutureExt, AsyncContext, Context, Handler};
use bytes::Bytes;

use super::InboxActor;
use super::personal_cursor::PersonalCursor;
use super::viewer::ViewerSocket;
use crate::domain::ids::{Epoch, PersonalSeq, UserId};
use crate::domain::personal::{PersonalBounds, PersonalEntry, PersonalPage};
use crate::limits;
use crate::messages::inbox::{ContinuePersonalLog, PersonalLogGrown, PersonalResume};
use crate::messages::switchboard::{RefreshWhenDrained, StateRefresh};
use crate::ports::store::StoreError;
use crate::protocol::codec;
use crate::protocol::personal::PersonalFrame;

/// An entry as a frame.
struct EncodedEntry {
    position: PersonalSeq,
    is_in_inbox: bool,
    frame: Bytes,
}

impl From<&PersonalEntry> for EncodedEntry {
    fn from(entry: &PersonalEntry) -> Self {
        let (position, is_in_inbox) = (entry.position, entry.state.is_in_inbox());
        Self { position, is_in_inbox, frame: codec::encode(&PersonalFrame::from(entry)) }
    }
}

impl ViewerSocket {
    /// Begins behind the position that the client knows, or with what is new.
    pub(super) fn begin_personal_log(
        &mut self,
        resume: Option<PersonalResume>,
        bounds: PersonalBounds,
        epoch: Epoch,
        missed_max: usize,
    ) {
        let (position, is_followed) = (bounds.head, resume.is_some());
        self.personal = PersonalCursor { position, is_followed, is_synced: true, is_waiting: false };
        let Some(PersonalResume { since, epoch: known }) = resume else { return };
        if known.is_none_or(|known| known == epoch) && bounds.can_resume(since, missed_max) {
            self.personal.position = since;
            self.personal.is_synced = false;
        } else {
            self.reset_personal_log(bounds.head, epoch);
        }
    }

    /// Tells the client to load everything by REST, and goes on behind `head`.
    fn reset_personal_log(&mut self, head: PersonalSeq, epoch: Epoch) {
        self.personal.position = head;
        self.personal.is_synced = true;
        self.outbox.push(codec::encode(&PersonalFrame::PersonalReset { position: head, epoch }));
    }

    /// Whether it can take entries now.
    fn takes_personal_log(&self) -> bool {
        self.is_ready && !self.personal.is_waiting
    }

    /// Queues what follows the socket's position, up to a number of bytes.
    fn push_personal_log(
        &mut self,
        entries: &[EncodedEntry],
        through: PersonalSeq,
        bounds: PersonalBounds,
        epoch: Epoch,
    ) {
        if self.personal.position < bounds.pruned {
            return self.reset_personal_log(bounds.head, epoch);
        }
        let (mut bytes, mut reached) = (0, through.max(self.personal.position));
        for entry in entries.iter().filter(|entry| entry.position > self.personal.position) {
            if bytes >= limits::PERSONAL_PAGE_BYTES {
                reached = PersonalSeq(entry.position.0 - 1);
                break;
            }
            if self.personal.is_followed || !entry.is_in_inbox {
                bytes += entry.frame.len();
                self.outbox.push(entry.frame.clone());
            }
        }
        self.personal.position = reached;
        let has_caught_up = reached >= bounds.head;
        if has_caught_up && !self.personal.is_synced {
            self.personal.is_synced = true;
            self.outbox.push(codec::encode(&PersonalFrame::PersonalSynced { position: reached }));
        } else if !has_caught_up {
            self.personal.is_waiting = true;
            let refresh = StateRefresh::PersonalLog;
            self.outbox.switchboard.tell(RefreshWhenDrained { outbox: self.outbox.id, refresh });
        }
    }
}

impl Handler<PersonalLogGrown> for InboxActor {
    type Result = ();

    fn handle(&mut self, PersonalLogGrown { user, head }: PersonalLogGrown, ctx: &mut Self::Context) {
        let knows = |socket: &ViewerSocket| socket.is_ready && socket.personal.position >= head;
        if self.viewers.get(&user).is_some_and(|viewer| !viewer.sockets.iter().all(knows)) {
            self.read_personal_log(user, ctx);
        }
    }
}

impl Handler<ContinuePersonalLog> for InboxActor {
    type Result = ();

    fn handle(
        &mut self,
        ContinuePersonalLog { user, session }: ContinuePersonalLog,
        ctx: &mut Self::Context,
    ) {
        let Some(viewer) = self.viewers.get_mut(&user) else { return };
        if let Some(socket) = viewer.sockets.iter_mut().find(|socket| socket.session == session) {
            socket.personal.is_waiting = false;
            self.read_personal_log(user, ctx);
        }
    }
}

impl InboxActor {
    /// Reads what follows the position of the socket that is furthest behind, now or after the read under way.
    pub(super) fn read_personal_log(&mut self, user: UserId, ctx: &mut Context<Self>) {
        if let Some(read) = self.reads.get_mut(&user) {
            read.note_personal_log();
        }
        if let Some(has_grown) = self.personal_reads.get_mut(&user) {
            *has_grown = true;
            return;
        }
        let Some(viewer) = self.viewers.get(&user) else { return };
        let taking = viewer.sockets.iter().filter(|socket| socket.takes_personal_log());
        let Some(after) = taking.map(|socket| socket.personal.position).min() else { return };
        self.personal_reads.insert(user, false);
        let (store, epoch) = (self.deps.store.clone(), self.epoch);
        let read = async move { store.personal_log(user, after, limits::PERSONAL_PAGE_ENTRIES).await };
        ctx.spawn(actix::fut::wrap_future::<_, Self>(read).map(move |page, this, ctx| {
            this.finish_personal_read(user, page, epoch, ctx);
        }));
    }

    fn finish_personal_read(
        &mut self,
        user: UserId,
        page: Result<PersonalPage, StoreError>,
        epoch: Epoch,
        ctx: &mut Context<Self>,
    ) {
        if !self.has_current_epoch() || self.epoch != epoch {
            return;
        }
        let PersonalPage { bounds, entries, through } = match page {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "could not read a personal log");
                ctx.run_later(limits::INBOX_RETRY_DELAY_MAX, move |this, ctx| {
                    if this.epoch == epoch && this.personal_reads.remove(&user).is_some() {
                        this.read_personal_log(user, ctx);
                    }
                });
                return;
            }
        };
        let has_grown = self.personal_reads.remove(&user).unwrap_or(false);
        let Some(viewer) = self.viewers.get_mut(&user) else { return };
        let entries: Vec<EncodedEntry> = entries.iter().map(EncodedEntry::from).collect();
        for socket in viewer.sockets.iter_mut().filter(|socket| socket.takes_personal_log()) {
            socket.push_personal_log(&entries, through, bounds, epoch);
        }
        if has_grown {
            self.read_personal_log(user, ctx);
        }
    }
}

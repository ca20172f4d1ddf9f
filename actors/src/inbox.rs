//! The inboxes of users who look at them: one row for each room, with its unread count and a preview, and what
//! is new in their personal logs.
//!
//! Rows follow from committed events where those suffice, and are read again from the store where they
//! don't. There is one read of an inbox at a time, however many sockets show it. A row about which something
//! is heard during a read is read once more. Since every row has the position in the room's log that it is
//! as of, an older row never replaces a newer one, and the last row that is sent agrees with the store.

mod changes;
mod epoch;
mod mutes;
mod personal;
mod personal_cursor;
mod reads;
mod sending;
#[cfg(all(test, feature = "memory"))]
mod tests;
mod user_frames;
mod viewed_rooms;
mod viewer;

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, MessageResult, ResponseFuture};
use tokio::sync::oneshot;

use self::mutes::MuteExpiries;
use self::personal_cursor::PersonalCursor;
use self::reads::{InboxRead, PendingSocket};
use self::viewed_rooms::ViewedRooms;
use self::viewer::{InboxRow, InboxViewer, ViewerSocket};
use crate::domain::ids::{Epoch, RoomId, Seq, UserId};
use crate::limits::{self, Limits, MailboxBound};
use crate::mailbox::Bounded;
use crate::messages::diagnostics::{CountResources, ResourceCounts};
use crate::messages::inbox::{InboxRelay, SubscribeInbox, UnsubscribeInbox};
use crate::messages::session::SessionId;
use crate::ports::clock::Clock;
use crate::ports::store::Store;

/// What the actor works with.
pub(crate) struct InboxDependencies {
    pub(crate) clock: Clock,
    pub(crate) limits: Arc<Limits>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) relay: Arc<dyn InboxRelay>,
}

/// See the [module](self).
pub(crate) struct InboxActor {
    deps: InboxDependencies,
    /// The history that all rows belong to.
    epoch: Epoch,
    viewers: BTreeMap<UserId, InboxViewer>,
    viewed_rooms: ViewedRooms,
    /// Rows that are to be sent.
    changed_rows: BTreeSet<(UserId, RoomId)>,
    /// Users whose totals have changed because a row is gone.
    changed_totals: BTreeSet<UserId>,
    /// Rows that are to be read again, and whether each is sent even if it turns out to be the same: a
    /// client may have read by REST what was true for a moment.
    stale_rows: BTreeMap<UserId, BTreeMap<RoomId, bool>>,
    /// Sockets that are sent a snapshot after the next read of the inbox.
    pending_sockets: BTreeMap<UserId, Vec<PendingSocket>>,
    /// Inboxes that are being read.
    reads: BTreeMap<UserId, InboxRead>,
    /// Users whose personal logs are being read, and whether each has grown since the read began.
    personal_reads: BTreeMap<UserId, bool>,
    /// Whether stale rows are being read, or wait for the store to work again.
    is_refreshing: bool,
    /// Whose stale rows were read last. The next users have their turns first.
    last_refreshed: Option<UserId>,
    /// How long the refresh waits after a failure.
    retry_delay: Duration,
    /// The heads of rooms that were heard of during a read, which may not include them.
    heads_seen: BTreeMap<RoomId, Seq>,
    /// Users with new names, and whether the rows that show them are sent even if they are the same.
    renamed: BTreeMap<UserId, bool>,
    /// Users who were renamed during a read, which may not include that.
    renamed_during_read: BTreeSet<UserId>,
    mute_expiries: MuteExpiries,
    flush_is_due: bool,
    /// Sockets that are sent all rows again, and the last row that each was sent.
    resending: BTreeMap<SessionId, RoomId>,
}

impl InboxActor {
    /// An actor without viewers.
    pub(crate) fn new(deps: InboxDependencies) -> Self {
        Self {
            epoch: deps.store.epoch(),
            deps,
            viewers: BTreeMap::new(),
            viewed_rooms: ViewedRooms::default(),
            changed_rows: BTreeSet::new(),
            changed_totals: BTreeSet::new(),
            stale_rows: BTreeMap::new(),
            pending_sockets: BTreeMap::new(),
            reads: BTreeMap::new(),
            personal_reads: BTreeMap::new(),
            is_refreshing: false,
            last_refreshed: None,
            retry_delay: Duration::ZERO,
            heads_seen: BTreeMap::new(),
            renamed: BTreeMap::new(),
            renamed_during_read: BTreeSet::new(),
            mute_expiries: MuteExpiries::default(),
            flush_is_due: false,
            resending: BTreeMap::new(),
        }
    }
}

impl Actor for InboxActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(limits::MUTE_EXPIRY_INTERVAL, Self::expire_mutes);
    }
}

impl Bounded for InboxActor {
    const MAILBOX: MailboxBound = limits::INBOX_MAILBOX;
}

impl Handler<SubscribeInbox> for InboxActor {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, subscribe: SubscribeInbox, ctx: &mut Self::Context) -> Self::Result {
        self.has_current_epoch();
        let SubscribeInbox { user, username, session, outbox, resume } = subscribe;
        let sockets = &mut self.viewers.entry(user).or_default().sockets;
        // Most users have one socket; a vector would reserve space for four.
        sockets.reserve_exact(usize::from(sockets.is_empty()));
        sockets.push(ViewerSocket { session, outbox, is_ready: false, personal: PersonalCursor::default() });
        let (answer, answered) = oneshot::channel();
        let pending = PendingSocket { session, username, resume, answer };
        self.pending_sockets.entry(user).or_default().push(pending);
        self.read_inbox(user, ctx);
        Box::pin(async move { answered.await.unwrap_or(false) })
    }
}

impl Handler<UnsubscribeInbox> for InboxActor {
    type Result = ();

    fn handle(&mut self, UnsubscribeInbox { user, session }: UnsubscribeInbox, _: &mut Self::Context) {
        self.unsubscribe(user, session);
    }
}

impl InboxActor {
    fn unsubscribe(&mut self, user: UserId, session: SessionId) {
        self.resending.remove(&session);
        if let btree_map::Entry::Occupied(mut pending) = self.pending_sockets.entry(user) {
            pending.get_mut().retain(|socket| socket.session != session);
            if pending.get().is_empty() {
                pending.remove();
            }
        }
        let Some(viewer) = self.viewers.get_mut(&user) else { return };
        viewer.sockets.retain(|socket| socket.session != session);
        if !viewer.sockets.is_empty() {
            return;
        }
        let viewer = self.viewers.remove(&user).unwrap_or_default();
        for room in viewer.rooms() {
            self.stop_viewing(user, room);
        }
        self.stale_rows.remove(&user);
        self.mute_expiries.remove_user(user);
    }

    fn row(&self, user: UserId, room: RoomId) -> Option<&InboxRow> {
        self.viewers.get(&user)?.row(room)
    }

    /// Has a row read again. With `always_send` it is sent even if it turns out to be the same.
    fn make_stale(&mut self, user: UserId, room: RoomId, always_send: bool) {
        if self.viewers.contains_key(&user) {
            *self.stale_rows.entry(user).or_default().entry(room).or_default() |= always_send;
        }
    }

    /// Waits a moment for further changes, then sends the changed rows and reads the stale ones.
    fn schedule_flush(&mut self, ctx: &mut Context<Self>) {
        let has_changes = !(self.changed_rows.is_empty()
            && self.changed_totals.is_empty()
            && self.stale_rows.is_empty()
            && self.renamed.is_empty());
        if self.flush_is_due || !has_changes {
            return;
        }
        self.flush_is_due = true;
        ctx.run_later(limits::INBOX_COALESCE_DELAY, |this, ctx| {
            this.flush_is_due = false;
            this.refresh_renamed();
            this.flush_changed();
            this.refresh_stale(ctx);
        });
    }
}

impl Handler<CountResources> for InboxActor {
    type Result = MessageResult<CountResources>;

    fn handle(&mut self, _: CountResources, _: &mut Self::Context) -> Self::Result {
        let counts: ResourceCounts = vec![
            ("inbox viewers", self.viewers.len()),
            ("viewed rooms", self.viewed_rooms.len()),
            ("stale inboxes", self.stale_rows.len()),
            ("changed rows", self.changed_rows.len()),
            ("inboxes being read", self.reads.len()),
            ("inboxes being resent", self.resending.len()),
            ("personal logs being read", self.personal_reads.len()),
        ];
        MessageResult(counts)
    }
}

//! Polling the feed of commits, which tells what committed at any node since the last poll.

use actix::{ActorFutureExt, AsyncContext, Context, SpawnHandle};

use super::RelayActor;
use crate::domain::ids::Epoch;
use crate::domain::signal::Signal;
use crate::limits;
use crate::messages::inbox::{CheckHeads, PersonalLogGrown, RecheckRow, UserRenamed};
use crate::messages::registry::RouteHeads;
use crate::messages::relay::EpochChanged;
use crate::messages::users::{FeedReady, UserChanged};
use crate::ports::store::{Changes, Cursor, StoreError};

/// How far the feed was read.
#[derive(Default)]
pub(super) struct Feed {
    /// The position after the last poll, and the history that it belongs to.
    cursor: Option<(Epoch, Cursor)>,
    /// The history that rooms and inboxes know.
    epoch: Option<Epoch>,
    is_polling: bool,
    /// Whether something may have been missed since the poll under way began.
    poll_again: bool,
    next_poll: SpawnHandle,
}

impl RelayActor {
    pub(super) fn poll_feed(&mut self, ctx: &mut Context<Self>) {
        if self.is_stopped {
            return;
        }
        let store = self.deps.store.clone();
        (self.feed.is_polling, self.feed.poll_again) = (true, false);
        // With the cursor of another history, commits since the change of history would be missed.
        let epoch = store.epoch();
        self.feed.cursor.take_if(|(known, _)| *known != epoch);
        let cursor = self.feed.cursor.as_ref().map(|(_, cursor)| cursor.clone());
        let read = async move { store.changes(cursor).await };
        ctx.spawn(actix::fut::wrap_future::<_, Self>(read).map(|changes, this, ctx| {
            this.finish_poll(changes);
            this.feed.is_polling = false;
            let is_alone = !this.broker_is_up && this.deps.broker.is_some();
            let interval = match (this.feed.poll_again, is_alone) {
                (true, _) => limits::FEED_POLL_MIN_INTERVAL,
                (_, true) => limits::FEED_POLL_INTERVAL_WITHOUT_BROKER,
                (_, false) => limits::FEED_POLL_INTERVAL,
            };
            this.feed.next_poll = ctx.run_later(interval, Self::poll_feed);
        }));
    }

    /// Polls earlier than planned, because envelopes may have been missed.
    pub(super) fn poll_feed_soon(&mut self, ctx: &mut Context<Self>) {
        self.feed.poll_again = true;
        if !self.feed.is_polling {
            ctx.cancel_future(self.feed.next_poll);
            self.feed.next_poll = ctx.run_later(limits::FEED_POLL_MIN_INTERVAL, Self::poll_feed);
        }
    }

    fn finish_poll(&mut self, changes: Result<Changes, StoreError>) {
        if self.is_stopped {
            return;
        }
        let changes = match changes {
            Ok(changes) => changes,
            Err(error) => {
                metrics::counter!("chat_feed_failures_total").increment(1);
                return tracing::warn!(%error, "could not read the feed of commits");
            }
        };
        let is_same = |known: &Epoch| *known == changes.epoch;
        if !is_same(&self.deps.store.epoch())
            || self.feed.cursor.as_ref().is_some_and(|(epoch, _)| !is_same(epoch))
        {
            // The history has changed during the poll.
            (self.feed.cursor, self.feed.poll_again) = (None, true);
            return;
        }
        self.adopt_epoch(changes.epoch);
        self.feed.cursor = Some((changes.epoch, changes.next.clone()));
        #[cfg(feature = "injected-bugs")]
        if crate::injected_bugs::InjectedBug::LostFeedHeads.is_injected() {
            return;
        }
        self.distribute(changes);
    }

    /// Lets sessions in once the feed is being followed, and has rooms and inboxes start over when the
    /// store holds another history than before.
    fn adopt_epoch(&mut self, epoch: Epoch) {
        match self.feed.epoch.replace(epoch) {
            None => self.deps.users.tell(FeedReady),
            Some(known) if known != epoch => {
                tracing::warn!("the store holds another history; all rooms and inboxes are loaded again");
                metrics::counter!("chat_history_changes_total").increment(1);
                self.deps.registry.tell(EpochChanged);
                self.deps.inbox.tell(EpochChanged);
            }
            Some(_) => {}
        }
    }

    fn distribute(&self, changes: Changes) {
        self.deps.inbox.tell(CheckHeads(changes.rooms.clone()));
        self.deps.registry.tell(RouteHeads(changes.rooms));
        for (room, user) in changes.joined {
            self.deps.inbox.tell(RecheckRow { room, user, is_new: true });
        }
        for (room, user) in changes.own_states {
            self.deps.inbox.tell(RecheckRow { room, user, is_new: false });
        }
        for (room, mark) in changes.marks {
            self.forward_signal(room, Signal::Read(mark));
        }
        for (user, head) in changes.personal {
            self.deps.inbox.tell(PersonalLogGrown { user, head });
        }
        for access in changes.people {
            self.deps.users.tell(UserChanged(access));
            self.deps.inbox.tell(UserRenamed { user: access.user, is_news: false });
        }
    }
}

//! Which users are online, here and at other nodes, and which sessions they have on this node.
//!
//! A session registers before it joins anything: from then on it counts against its user's limit, and a
//! revocation reaches it. It makes its user online only when it is activated. A user whose last session
//! ends stays online for [`limits::OFFLINE_DELAY`], so that reloading a page changes nothing for others.
//! Rooms watch the presence of their participants, and the relay tells other nodes.

mod departures;
mod remote;
mod sessions;
#[cfg(all(test, feature = "memory"))]
mod tests;
mod watchers;

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, MessageResult, ResponseActFuture};
use tokio::sync::Notify;

use self::departures::Departures;
use self::remote::RemoteNodes;
use self::sessions::LocalSessions;
use self::watchers::PresenceWatchers;
use crate::domain::ids::{NodeId, UserId};
use crate::limits::{self, Limits, MailboxBound};
use crate::mailbox::{Bounded, Tell};
use crate::messages::diagnostics::{CountResources, ResourceCounts};
use crate::messages::registry::InvalidateUser;
use crate::messages::relay::{PresenceRelay, PublishOnline, PublishPresence};
use crate::messages::session::{ConnectError, SessionId};
use crate::messages::users::{
    ActivateRoomSessions, ActivateSession, AnnounceOnlineSoon, FeedReady, ListOffline, PresenceChanged,
    PresenceUpdate, RegisterSession, RemotePresence, SessionsAdmitted, StopAccepting, TokenRenewed,
    UnregisterSession, UnwatchPresence, UserChanged, WatchPresence,
};
use crate::ports::clock::Clock;

/// What the actor works with.
pub(crate) struct UsersDependencies {
    pub(crate) clock: Clock,
    pub(crate) limits: Arc<Limits>,
    pub(crate) registry: Arc<dyn Tell<InvalidateUser>>,
    pub(crate) relay: Arc<dyn PresenceRelay>,
}

/// See the [module](self).
pub(crate) struct UsersActor {
    deps: UsersDependencies,
    sessions: LocalSessions,
    departures: Departures,
    departure_timer_is_set: bool,
    remote_nodes: RemoteNodes,
    watchers: PresenceWatchers,
    announcement_is_due: bool,
    /// Whether the node stops and takes no session in any more.
    is_closed: bool,
    /// Whether the feed of commits is being followed. No session is taken in before that, since its
    /// revocation could be missed.
    feed_is_followed: bool,
    feed_followed: Arc<Notify>,
}

impl UsersActor {
    /// An actor without sessions.
    pub(crate) fn new(deps: UsersDependencies) -> Self {
        Self {
            deps,
            sessions: LocalSessions::default(),
            departures: Departures::default(),
            departure_timer_is_set: false,
            remote_nodes: RemoteNodes::default(),
            watchers: PresenceWatchers::default(),
            announcement_is_due: false,
            is_closed: false,
            feed_is_followed: false,
            feed_followed: Arc::default(),
        }
    }

    fn is_online_here(&self, user: UserId) -> bool {
        self.sessions.has_active(user) || self.departures.contains(user)
    }

    fn is_online(&self, user: UserId) -> bool {
        self.is_online_here(user) || self.remote_nodes.is_online(user)
    }
}

impl Actor for UsersActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(limits::HEARTBEAT_INTERVAL, |this, _| {
            this.announce();
            this.remove_silent_nodes();
        });
    }
}

impl Bounded for UsersActor {
    const MAILBOX: MailboxBound = limits::USERS_MAILBOX;
}

impl Handler<FeedReady> for UsersActor {
    type Result = ();

    fn handle(&mut self, _: FeedReady, _: &mut Self::Context) {
        self.feed_is_followed = true;
        self.feed_followed.notify_waiters();
    }
}

impl Handler<RegisterSession> for UsersActor {
    type Result = ResponseActFuture<Self, Result<(), ConnectError>>;

    fn handle(&mut self, register: RegisterSession, _: &mut Self::Context) -> Self::Result {
        if self.feed_is_followed {
            return Box::pin(actix::fut::ready(self.register(register)));
        }
        // Created here and not when it is first polled, or it would miss a notification in between.
        let followed = self.feed_followed.clone().notified_owned();
        let followed = async move { tokio::time::timeout(limits::FEED_START_TIMEOUT, followed).await };
        Box::pin(actix::fut::wrap_future::<_, Self>(followed).map(move |_late, this, _| {
            if this.feed_is_followed { this.register(register) } else { Err(ConnectError::Unavailable) }
        }))
    }
}

impl Handler<ActivateSession> for UsersActor {
    type Result = bool;

    fn handle(&mut self, ActivateSession { user, session }: ActivateSession, _: &mut Self::Context) -> bool {
        self.activate(user, session)
    }
}

impl Handler<ActivateRoomSessions> for UsersActor {
    type Result = ();

    fn handle(
        &mut self,
        ActivateRoomSessions { room, sessions }: ActivateRoomSessions,
        _: &mut Self::Context,
    ) {
        let gone = sessions.into_iter().filter(|(user, session)| !self.activate(*user, *session));
        let gone = gone.map(|(_, session)| session).collect();
        room.tell(SessionsAdmitted { gone });
    }
}

impl Handler<TokenRenewed> for UsersActor {
    type Result = ();

    fn handle(&mut self, TokenRenewed { user, session, issued_at }: TokenRenewed, _: &mut Self::Context) {
        self.sessions.renew(user, session, issued_at);
    }
}

impl Handler<UnregisterSession> for UsersActor {
    type Result = ();

    fn handle(
        &mut self,
        UnregisterSession { user, session, is_lost }: UnregisterSession,
        ctx: &mut Self::Context,
    ) {
        let was_active = self.sessions.remove(user, session);
        if !was_active || self.is_online_here(user) {
            return;
        }
        if is_lost {
            self.go_offline(user);
        } else {
            self.departures.start(user, self.deps.clock.now() + limits::OFFLINE_DELAY);
            self.set_departure_timer(ctx);
        }
    }
}

impl Handler<UserChanged> for UsersActor {
    type Result = ();

    fn handle(&mut self, UserChanged(access): UserChanged, _: &mut Self::Context) {
        // The user may have been renamed, or erased.
        self.deps.registry.tell(InvalidateUser { user: access.user });
        self.sessions.revoke(access);
    }
}

impl Handler<WatchPresence> for UsersActor {
    type Result = ();

    fn handle(
        &mut self,
        WatchPresence { instance, room, users, anew }: WatchPresence,
        _: &mut Self::Context,
    ) {
        let (came, went) = users.iter().partition(|user| self.is_online(**user));
        self.watchers.watch(instance, room.clone(), users);
        room.tell(PresenceChanged { came, went, anew });
    }
}

impl Handler<ListOffline> for UsersActor {
    type Result = MessageResult<ListOffline>;

    fn handle(&mut self, ListOffline { users }: ListOffline, _: &mut Self::Context) -> Self::Result {
        let offline: BTreeSet<UserId> = users.into_iter().filter(|user| !self.is_online(*user)).collect();
        MessageResult(offline)
    }
}

impl Handler<UnwatchPresence> for UsersActor {
    type Result = ();

    fn handle(&mut self, UnwatchPresence { instance }: UnwatchPresence, _: &mut Self::Context) {
        self.watchers.unwatch(instance);
    }
}

impl Handler<RemotePresence> for UsersActor {
    type Result = ();

    fn handle(&mut self, RemotePresence { node, news }: RemotePresence, ctx: &mut Self::Context) {
        let now = self.deps.clock.now();
        if let PresenceUpdate::Leaving = news {
            // Its users may reconnect to another node, within the time that any user has for that.
            ctx.run_later(limits::OFFLINE_DELAY, move |this, _| {
                if this.remote_nodes.has_not_announced_since(node, now) {
                    this.remove_node(node);
                }
            });
            return;
        }
        if !self.remote_nodes.contains(node) {
            // A node that has just started, or that was cut off, may not know who is online here.
            self.announce_soon(ctx);
        }
        for (user, online) in self.remote_nodes.update(node, news, now) {
            if !self.is_online_here(user) {
                self.watchers.tell(user, online);
            }
        }
    }
}

impl Handler<AnnounceOnlineSoon> for UsersActor {
    type Result = ();

    fn handle(&mut self, _: AnnounceOnlineSoon, ctx: &mut Self::Context) {
        self.announce_soon(ctx);
    }
}

impl Handler<StopAccepting> for UsersActor {
    type Result = ();

    fn handle(&mut self, _: StopAccepting, _: &mut Self::Context) {
        self.is_closed = true;
    }
}

impl UsersActor {
    fn register(&mut self, register: RegisterSession) -> Result<(), ConnectError> {
        let RegisterSession { user, session, mailbox, issued_at } = register;
        // A session that has ended while it waited has unregistered already.
        if self.is_closed || !mailbox.is_alive() {
            return Err(ConnectError::Restarting);
        }
        if self.sessions.count(user) >= self.deps.limits.sockets_per_user {
            return Err(ConnectError::TooManySockets);
        }
        self.sessions.add(user, session, mailbox, issued_at);
        Ok(())
    }

    /// Counts a session as online. Returns false if it has ended meanwhile or was revoked.
    fn activate(&mut self, user: UserId, session: SessionId) -> bool {
        let (was_online, was_online_here) = (self.is_online(user), self.is_online_here(user));
        if !self.sessions.activate(user, session) {
            return false;
        }
        self.departures.cancel(user);
        if !was_online_here {
            self.deps.relay.tell(PublishPresence { user, online: true });
        }
        if !was_online {
            self.watchers.tell(user, true);
        }
        true
    }

    /// Waits for the next departure that is due.
    fn set_departure_timer(&mut self, ctx: &mut Context<Self>) {
        let Some(due) = self.departures.next_due() else { return };
        if std::mem::replace(&mut self.departure_timer_is_set, true) {
            return;
        }
        ctx.run_later(due.saturating_sub(self.deps.clock.now()), |this, ctx| {
            this.departure_timer_is_set = false;
            for user in this.departures.take_due(this.deps.clock.now()) {
                this.go_offline(user);
            }
            this.set_departure_timer(ctx);
        });
    }

    fn go_offline(&mut self, user: UserId) {
        self.deps.relay.tell(PublishPresence { user, online: false });
        if !self.is_online(user) {
            self.watchers.tell(user, false);
        }
    }

    /// Tells other nodes who is online here.
    fn announce(&self) {
        let users = self.sessions.active_users().chain(self.departures.users()).collect();
        self.deps.relay.tell(PublishOnline { users });
    }

    fn announce_soon(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.announcement_is_due, true) {
            ctx.run_later(limits::HEARTBEAT_MIN_DELAY, |this, _| {
                this.announcement_is_due = false;
                this.announce();
            });
        }
    }

    fn remove_silent_nodes(&mut self) {
        for node in self.remote_nodes.silent(self.deps.clock.now()) {
            self.remove_node(node);
        }
    }

    /// Takes a node for gone, and its users with it.
    fn remove_node(&mut self, node: NodeId) {
        for user in self.remote_nodes.remove(node) {
            if !self.is_online(user) {
                self.watchers.tell(user, false);
            }
        }
    }
}

impl Handler<CountResources> for UsersActor {
    type Result = MessageResult<CountResources>;

    fn handle(&mut self, _: CountResources, _: &mut Self::Context) -> Self::Result {
        let counts: ResourceCounts = vec![
            ("users", self.sessions.user_count()),
            ("users going offline", self.departures.len()),
            ("rooms watching presence", self.watchers.room_count()),
            ("watched users", self.watchers.user_count()),
        ];
        MessageResult(counts)
    }
}

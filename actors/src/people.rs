//! Who is signed in: the sessions of each person on this node, who is online here or elsewhere, and
//! which rooms want to know.

mod remote;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseActFuture, WeakAddr,
};
use tokio::sync::Notify;

use self::remote::RemoteNode;
pub use self::remote::{AnnounceSoon, Heard, News};
use crate::census::Counts;
use crate::core::Core;
use crate::domain::ids::{NodeId, RoomId, UserId};
use crate::limits;
use crate::ports::store::PersonChange;
use crate::registry::Forget;
use crate::relay::TellPresence;
use crate::room::{AreIn, OnlineNow, RoomActor};
use crate::session::{ConnectError, Revoked, SessionActor, SessionId};

/// The actor.
#[derive(Default)]
pub struct PeopleActor {
    core: Option<Arc<Core>>,
    here: BTreeMap<UserId, Vec<Signed>>,
    /// People whose last socket has closed a moment ago, by how often that has happened.
    leaving: BTreeMap<UserId, u64>,
    departures: u64,
    /// When they count as gone, in that order. One timer serves all: a context looks at each of its
    /// futures whenever it is woken, so that one for each of thousands who go would hold up everything.
    gone_at: VecDeque<(Duration, UserId, u64)>,
    parting_is_due: bool,
    elsewhere: BTreeMap<NodeId, RemoteNode>,
    watchers: HashMap<RoomId, (Addr<RoomActor>, Vec<UserId>)>,
    watched: HashMap<UserId, Vec<RoomId>>,
    announce_is_due: bool,
    is_closed: bool,
    /// Whether the feed of commits is being followed: before that nobody is let in.
    is_open: bool,
    opening: Arc<Notify>,
}

/// One session of a person.
struct Signed {
    session: SessionId,
    addr: WeakAddr<SessionActor>,
    issued_at: i64,
    /// Whether it has been let in. Before that it takes a place and hears of a revocation, and nobody
    /// hears of it.
    is_in: bool,
}

fn any_is_in(sessions: &[Signed]) -> bool {
    sessions.iter().any(|signed| signed.is_in)
}

impl PeopleActor {
    /// How much is held.
    pub(crate) fn counts(&self) -> Counts {
        vec![
            ("people", self.here.len()),
            ("people who leave", self.leaving.len()),
            ("watching rooms", self.watchers.len()),
            ("watched people", self.watched.len()),
        ]
    }

    fn is_online(&self, user: UserId) -> bool {
        self.is_here(user) || self.elsewhere.values().any(|node| node.online.contains(&user))
    }

    fn is_here(&self, user: UserId) -> bool {
        self.here.get(&user).is_some_and(|sessions| any_is_in(sessions)) || self.leaving.contains_key(&user)
    }

    /// Tells the rooms that `user` is in of a change.
    fn tell_rooms(&self, user: UserId, online: bool) {
        for room in self.watched.get(&user).into_iter().flatten() {
            let Some((addr, _)) = self.watchers.get(room) else { continue };
            let (came, went) = if online { (vec![user], Vec::new()) } else { (Vec::new(), vec![user]) };
            addr.do_send(OnlineNow { came, went, anew: false });
        }
    }

    /// Waits for the first of those who have left to count as gone.
    fn part_later(&mut self, ctx: &mut Context<Self>) {
        let (Some(core), Some((at, ..))) = (&self.core, self.gone_at.front()) else { return };
        if self.parting_is_due {
            return;
        }
        self.parting_is_due = true;
        ctx.run_later(at.saturating_sub(core.clock.now()), |this, ctx| {
            this.parting_is_due = false;
            let now = this.core.as_ref().map_or(Duration::ZERO, |core| core.clock.now());
            while let Some((_, user, departure)) = this.gone_at.pop_front_if(|(at, ..)| *at <= now) {
                this.left(user, departure);
            }
            this.part_later(ctx);
        });
    }

    fn left(&mut self, user: UserId, departure: u64) {
        if self.leaving.get(&user) != Some(&departure) {
            return;
        }
        self.leaving.remove(&user);
        if let Some(core) = &self.core {
            core.relay.do_send(TellPresence { user, online: false });
        }
        if !self.is_online(user) {
            self.tell_rooms(user, false);
        }
    }
}

impl Actor for PeopleActor {
    type Context = Context<Self>;
}

/// Tells the actor of the others.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Begin(pub Arc<Core>);

impl Handler<Begin> for PeopleActor {
    type Result = ();

    fn handle(&mut self, Begin(core): Begin, ctx: &mut Self::Context) {
        self.core = Some(core);
        ctx.run_interval(limits::ANNOUNCE_EVERY, Self::look_after_nodes);
    }
}

/// A session wants a place among its person's.
#[derive(Message)]
#[rtype(result = "Result<(), ConnectError>")]
pub struct SignIn {
    /// Whose.
    pub user: UserId,
    /// Which one.
    pub session: SessionId,
    /// Its actor.
    pub addr: WeakAddr<SessionActor>,
    /// When its token was issued; Unix time in seconds.
    pub issued_at: i64,
}

impl Handler<SignIn> for PeopleActor {
    type Result = ResponseActFuture<Self, Result<(), ConnectError>>;

    fn handle(&mut self, sign_in: SignIn, _: &mut Self::Context) -> Self::Result {
        if self.is_open {
            return Box::pin(actix::fut::ready(self.sign_in(sign_in)));
        }
        // Made here: one that is made when it is first waited for misses an opening that comes before.
        let opened = self.opening.clone().notified_owned();
        let opened = async move { tokio::time::timeout(limits::OPEN_PATIENCE, opened).await };
        Box::pin(actix::fut::wrap_future::<_, Self>(opened).map(move |_late, this, _| {
            if this.is_open { this.sign_in(sign_in) } else { Err(ConnectError::Unavailable) }
        }))
    }
}

/// The feed of commits is being followed, so that nobody misses what happens from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Open;

impl Handler<Open> for PeopleActor {
    type Result = ();

    fn handle(&mut self, _: Open, _: &mut Self::Context) {
        self.is_open = true;
        self.opening.notify_waiters();
    }
}

impl PeopleActor {
    fn sign_in(&mut self, SignIn { user, session, addr, issued_at }: SignIn) -> Result<(), ConnectError> {
        let Some(core) = self.core.as_ref().filter(|_| !self.is_closed) else {
            return Err(ConnectError::Restarting);
        };
        if addr.upgrade().is_none() {
            // It has ended while it waited, and its signing out is behind it.
            return Err(ConnectError::Restarting);
        }
        let most = core.limits.sockets_per_user;
        if self.here.get(&user).map_or(0, Vec::len) >= most {
            return Err(ConnectError::TooManySockets);
        }
        let sessions = self.here.entry(user).or_default();
        if sessions.is_empty() {
            // Most have one; a vector would make space for four.
            sessions.reserve_exact(1);
        }
        sessions.push(Signed { session, addr, issued_at, is_in: false });
        Ok(())
    }

    /// Counts a session as let in; false when it has gone meanwhile, or may not be here any more.
    fn let_in(&mut self, user: UserId, session: SessionId) -> bool {
        let (was_online, was_here) = (self.is_online(user), self.is_here(user));
        let sessions = self.here.get_mut(&user).into_iter().flatten();
        let Some(signed) = sessions.into_iter().find(|signed| signed.session == session) else {
            return false;
        };
        signed.is_in = true;
        self.leaving.remove(&user);
        if let Some(core) = self.core.as_ref().filter(|_| !was_here) {
            core.relay.do_send(TellPresence { user, online: true });
        }
        if !was_online {
            self.tell_rooms(user, true);
        }
        true
    }

    /// Takes a session's place away.
    fn remove(&mut self, user: UserId, session: SessionId) -> Option<Signed> {
        let sessions = self.here.get_mut(&user)?;
        let at = sessions.iter().position(|signed| signed.session == session)?;
        let signed = sessions.swap_remove(at);
        if sessions.is_empty() {
            self.here.remove(&user);
        }
        Some(signed)
    }
}

/// A session of all of a person's rooms is let in. False when it has gone meanwhile, or may not be here any
/// more.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct LetIn {
    /// Whose.
    pub user: UserId,
    /// Which one.
    pub session: SessionId,
}

impl Handler<LetIn> for PeopleActor {
    type Result = bool;

    fn handle(&mut self, LetIn { user, session }: LetIn, _: &mut Self::Context) -> bool {
        self.let_in(user, session)
    }
}

/// A room lets these sessions in. It is told who of their people has come online by that, and then
/// [`AreIn`].
#[derive(Message)]
#[rtype(result = "()")]
pub struct LetInto {
    /// The room's actor.
    pub addr: Addr<RoomActor>,
    /// The sessions, and whose they are.
    pub sessions: Vec<(UserId, SessionId)>,
}

impl Handler<LetInto> for PeopleActor {
    type Result = ();

    fn handle(&mut self, LetInto { addr, sessions }: LetInto, _: &mut Self::Context) {
        let gone = sessions.into_iter().filter(|(user, session)| !self.let_in(*user, *session));
        let gone = gone.map(|(_, session)| session).collect();
        addr.do_send(AreIn { gone });
    }
}

/// A session has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SignOut {
    /// Whose.
    pub user: UserId,
    /// Which one.
    pub session: SessionId,
    /// Whether its line was dead for long: nobody reloads a page there.
    pub is_lost: bool,
}

impl Handler<SignOut> for PeopleActor {
    type Result = ();

    fn handle(&mut self, SignOut { user, session, is_lost }: SignOut, ctx: &mut Self::Context) {
        let was_in = self.remove(user, session).is_some_and(|signed| signed.is_in);
        if was_in && !self.is_here(user) {
            self.departures += 1;
            let departure = self.departures;
            self.leaving.insert(user, departure);
            if is_lost {
                self.left(user, departure);
            } else if let Some(core) = &self.core {
                self.gone_at.push_back((core.clock.now() + limits::OFFLINE_AFTER, user, departure));
            }
            self.part_later(ctx);
        }
    }
}

/// A session has taken a newer token.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Renewed {
    /// Whose.
    pub user: UserId,
    /// Which one.
    pub session: SessionId,
    /// When the token was issued; Unix time in seconds.
    pub issued_at: i64,
}

impl Handler<Renewed> for PeopleActor {
    type Result = ();

    fn handle(&mut self, Renewed { user, session, issued_at }: Renewed, _: &mut Self::Context) {
        let sessions = self.here.get_mut(&user).into_iter().flatten();
        for signed in sessions.filter(|signed| signed.session == session) {
            signed.issued_at = issued_at;
        }
    }
}

/// Someone's right to be here has changed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Changed(pub PersonChange);

impl Handler<Changed> for PeopleActor {
    type Result = ();

    fn handle(&mut self, Changed(change): Changed, _: &mut Self::Context) {
        if let Some(core) = &self.core {
            // It may have been renamed, or erased with its name.
            core.registry.do_send(Forget { user: change.user });
        }
        let Some(sessions) = self.here.get_mut(&change.user) else { return };
        // One that waits to be let in isn't let in any more; one that is in counts until it has gone.
        for signed in sessions.extract_if(.., |signed| !signed.is_in && !change.honours(signed.issued_at)) {
            revoke(&signed);
        }
        for signed in sessions.iter().filter(|signed| !change.honours(signed.issued_at)) {
            revoke(signed);
        }
        if sessions.is_empty() {
            self.here.remove(&change.user);
        }
    }
}

fn revoke(signed: &Signed) {
    if let Some(session) = signed.addr.upgrade() {
        session.do_send(Revoked);
    }
}

/// A room wants to know who of these is online, now and from now on. Answered with [`OnlineNow`].
#[derive(Message)]
#[rtype(result = "()")]
pub struct Watch {
    /// The room.
    pub room: RoomId,
    /// Its actor.
    pub addr: Addr<RoomActor>,
    /// The people.
    pub users: Vec<UserId>,
    /// Whether the answer is to be told even where it is no news.
    pub anew: bool,
}

impl Handler<Watch> for PeopleActor {
    type Result = ();

    fn handle(&mut self, Watch { room, addr, users, anew }: Watch, _: &mut Self::Context) {
        let (came, went) = users.iter().partition(|user| self.is_online(**user));
        let watcher =
            self.watchers.entry(room).or_insert_with(|| (addr.clone(), Vec::with_capacity(users.len())));
        watcher.0 = addr.clone();
        for user in users {
            let rooms = self.watched.entry(user).or_default();
            if !rooms.contains(&room) {
                // Most are in few rooms; a vector would make space for four.
                rooms.reserve_exact(usize::from(rooms.is_empty()));
                rooms.push(room);
                watcher.1.push(user);
            }
        }
        addr.do_send(OnlineNow { came, went, anew });
    }
}

/// A room no longer wants to know.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Unwatch {
    /// The room.
    pub room: RoomId,
    /// Its actor; another one may have taken its place.
    pub addr: Addr<RoomActor>,
}

impl Handler<Unwatch> for PeopleActor {
    type Result = ();

    fn handle(&mut self, Unwatch { room, addr }: Unwatch, _: &mut Self::Context) {
        if self.watchers.get(&room).is_none_or(|(watcher, _)| *watcher != addr) {
            return;
        }
        let users = self.watchers.remove(&room).map(|(_, users)| users).unwrap_or_default();
        for user in users {
            if let Some(rooms) = self.watched.get_mut(&user) {
                rooms.retain(|other| *other != room);
                if rooms.is_empty() {
                    self.watched.remove(&user);
                }
            }
        }
    }
}

/// Takes no one in any more; the server goes.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CloseDoors;

impl Handler<CloseDoors> for PeopleActor {
    type Result = ();

    fn handle(&mut self, _: CloseDoors, _: &mut Self::Context) {
        self.is_closed = true;
    }
}

//! The only user of the link between nodes: it tells others what was committed here, passes on what
//! they tell, and reads the feed of commits now and then, for the link may lose anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, SpawnHandle};
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::census::Counts;
use crate::core::Core;
use crate::domain::event::{Event, EventBody};
use crate::domain::ids::{Epoch, RoomId, UserId};
use crate::domain::signal::Signal;
use crate::failpoint::{self, Point};
use crate::inbox::{self, Happened, Named, Recheck};
use crate::limits;
use crate::people::{AnnounceSoon, Changed, Heard, News, Open};
use crate::ports::link::{Incoming, Link, Topic};
use crate::ports::store::{Changes, Cursor, PersonChange, StoreError};
use crate::protocol::envelope::{Envelope, LinkKey, Notice};
use crate::registry::{Heads, Route, RouteSignal};
use crate::room::HistoryChanged;

/// What may wait between the link and this actor.
const INCOMING_MAX: usize = 1_024;

/// The actor.
pub struct RelayActor {
    core: Option<Arc<Core>>,
    link: Option<Arc<dyn Link>>,
    key: LinkKey,
    /// How many here want to hear of each topic.
    wanted: BTreeMap<Topic, usize>,
    listen_is_due: bool,
    outgoing: Vec<Notice>,
    topics: BTreeSet<Topic>,
    flush_is_due: bool,
    /// How far the feed of commits has been read, and in which history.
    cursor: Option<(Epoch, Cursor)>,
    /// The history that rooms and lists have been told of.
    epoch: Option<Epoch>,
    sweeping: bool,
    /// Whether something may have been missed since the sweep under way began.
    sweep_again: bool,
    next_sweep: SpawnHandle,
    link_is_down: bool,
}

impl RelayActor {
    /// A relay over `link`, or of the only node there is.
    #[must_use]
    pub fn new(link: Option<Arc<dyn Link>>, key: LinkKey) -> Self {
        Self {
            core: None,
            link,
            key,
            wanted: BTreeMap::from([(Topic::Nodes, 1)]),
            listen_is_due: false,
            outgoing: Vec::new(),
            topics: BTreeSet::new(),
            flush_is_due: false,
            cursor: None,
            epoch: None,
            sweeping: false,
            sweep_again: false,
            next_sweep: SpawnHandle::default(),
            link_is_down: true,
        }
    }

    /// How much is held. That every node is listened to is not for anyone's sake.
    pub(crate) fn counts(&self) -> Counts {
        let wanted = self.wanted.keys().filter(|topic| **topic != Topic::Nodes);
        vec![("wanted topics", wanted.count()), ("outgoing notices", self.outgoing.len())]
    }

    /// Puts a notice into the envelope of this turn.
    fn tell(&mut self, topics: impl IntoIterator<Item = Topic>, notice: Notice, ctx: &mut Context<Self>) {
        if self.link.is_none() {
            return;
        }
        self.topics.extend(topics);
        self.outgoing.push(notice);
        if !self.flush_is_due {
            self.flush_is_due = true;
            ctx.notify(Flush);
        }
    }

    fn want(&mut self, topic: Topic, on: bool, ctx: &mut Context<Self>) {
        let count = self.wanted.entry(topic).or_default();
        *count = if on { *count + 1 } else { count.saturating_sub(1) };
        let is_new = on && *count == 1;
        if *count == 0 {
            self.wanted.remove(&topic);
        }
        if (is_new || !on) && self.link.is_some() && !self.listen_is_due {
            self.listen_is_due = true;
            ctx.notify(Listen);
        }
    }

    /// Takes in an envelope of another node; anything else is dropped.
    fn take_in(&self, bytes: &Bytes) {
        let Some(core) = &self.core else { return };
        let Some(envelope) = Envelope::open(bytes, &self.key) else {
            metrics::counter!("chat_envelopes_refused_total").increment(1);
            return;
        };
        if envelope.node == core.node || envelope.epoch != core.store.epoch() {
            return;
        }
        for notice in envelope.notices {
            match notice {
                Notice::Events(room, events) => {
                    let events = Arc::new(events);
                    core.inbox.do_send(Happened { room, events: events.clone(), signals: Vec::new() });
                    core.registry.do_send(Route { room, events });
                }
                Notice::Signal(room, signal) => pass_on(core, room, signal),
                Notice::Online(users) => {
                    core.people.do_send(Heard { node: envelope.node, news: News::All(users) });
                }
                Notice::Presence(user, online) => {
                    core.people.do_send(Heard { node: envelope.node, news: News::One(user, online) });
                }
                Notice::Person(change) => {
                    core.people.do_send(Changed(change));
                    core.inbox.do_send(Named { user: change.user, is_news: true });
                }
                Notice::Leaving => core.people.do_send(Heard { node: envelope.node, news: News::Leaving }),
            }
        }
    }

    /// Reads what committed since the last time, from whatever node.
    fn sweep(&mut self, ctx: &mut Context<Self>) {
        let Some(core) = self.core.clone() else { return };
        (self.sweeping, self.sweep_again) = (true, false);
        // A cursor of another history would hide what committed since the store went over to this one.
        let epoch = core.store.epoch();
        self.cursor.take_if(|(known, _)| *known != epoch);
        let cursor = self.cursor.as_ref().map(|(_, cursor)| cursor.clone());
        let read = async move { core.store.changes(cursor).await };
        ctx.spawn(actix::fut::wrap_future::<_, Self>(read).map(|changes, this, ctx| {
            this.swept(changes);
            this.sweeping = false;
            let pause = match (this.sweep_again, this.link_is_down && this.link.is_some()) {
                (true, _) => limits::SWEEP_SOON,
                (_, true) => limits::SWEEP_EVERY_ALONE,
                (_, false) => limits::SWEEP_EVERY,
            };
            this.next_sweep = ctx.run_later(pause, Self::sweep);
        }));
    }

    /// Reads it before its time: something may have been missed.
    fn sweep_soon(&mut self, ctx: &mut Context<Self>) {
        self.sweep_again = true;
        if !self.sweeping {
            ctx.cancel_future(self.next_sweep);
            self.next_sweep = ctx.run_later(limits::SWEEP_SOON, Self::sweep);
        }
    }

    fn swept(&mut self, changes: Result<Changes, StoreError>) {
        let Some(core) = &self.core else { return };
        let changes = match changes {
            Ok(changes) => changes,
            Err(error) => {
                metrics::counter!("chat_feed_failures_total").increment(1);
                return tracing::warn!(%error, "could not read the feed of commits");
            }
        };
        if changes.epoch != core.store.epoch()
            || self.cursor.as_ref().is_some_and(|(epoch, _)| *epoch != changes.epoch)
        {
            // It was read while the store went over to another history.
            (self.cursor, self.sweep_again) = (None, true);
            return;
        }
        self.cursor = Some((changes.epoch, changes.next));
        match self.epoch.replace(changes.epoch) {
            None => core.people.do_send(Open),
            Some(known) if known != changes.epoch => {
                tracing::warn!("the store holds another history: all rooms and lists are loaded anew");
                metrics::counter!("chat_history_changes_total").increment(1);
                core.registry.do_send(HistoryChanged);
                core.inbox.do_send(HistoryChanged);
            }
            Some(_) => {}
        }
        #[cfg(feature = "planted-bugs")]
        if crate::planted::Bug::LostSweep.is_planted() {
            return;
        }
        core.inbox.do_send(inbox::Heads(changes.rooms.clone()));
        core.registry.do_send(Heads(changes.rooms));
        for (room, user) in changes.joined {
            core.inbox.do_send(Recheck { room, user, is_new: true });
        }
        for (room, user) in changes.mutes {
            core.inbox.do_send(Recheck { room, user, is_new: false });
        }
        for (room, mark) in changes.marks {
            pass_on(core, room, Signal::Read(mark));
        }
        for change in changes.people {
            core.people.do_send(Changed(change));
            core.inbox.do_send(Named { user: change.user, is_news: false });
        }
    }
}

/// Hands a signal of a room to whom it concerns here.
fn pass_on(core: &Core, room: RoomId, signal: Signal) {
    if matches!(signal, Signal::Read(_) | Signal::Muted { .. }) {
        core.inbox.do_send(Happened { room, events: Arc::default(), signals: vec![signal.clone()] });
    }
    core.registry.do_send(RouteSignal { room, signal });
}

/// The topics of those who must hear of events in a room: who follows it, and who may not know yet
/// that he is to follow it.
fn topics_of(room: RoomId, events: &[Event], signals: &[Signal]) -> BTreeSet<Topic> {
    let joined = events.iter().filter_map(|event| match &event.body {
        EventBody::ParticipantJoined(participant) => Some(Topic::of_user(participant.user.id)),
        _ => None,
    });
    let own = signals.iter().filter_map(|signal| match signal {
        Signal::Muted { user } => Some(Topic::of_user(*user)),
        _ => None,
    });
    joined.chain(own).chain([Topic::of_room(room)]).collect()
}

impl Actor for RelayActor {
    type Context = Context<Self>;
}

/// Tells the actor of the others, and starts its work.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Begin(pub Arc<Core>);

impl Handler<Begin> for RelayActor {
    type Result = ();

    fn handle(&mut self, Begin(core): Begin, ctx: &mut Self::Context) {
        self.core = Some(core);
        self.sweep(ctx);
        let Some(link) = self.link.clone() else { return };
        // Before the link works, so that it works for all of this from the beginning.
        link.listen(self.wanted.keys().copied().collect());
        let (sender, mut incoming) = mpsc::channel(INCOMING_MAX);
        let addr = ctx.address();
        let work = async move {
            link.start(sender).await;
            while let Some(incoming) = incoming.recv().await {
                if addr.send(Came(incoming)).await.is_err() {
                    break;
                }
            }
        };
        ctx.spawn(actix::fut::wrap_future(work));
    }
}

/// Something came from the link.
#[derive(Message)]
#[rtype(result = "()")]
struct Came(Incoming);

impl Handler<Came> for RelayActor {
    type Result = ();

    fn handle(&mut self, Came(incoming): Came, ctx: &mut Self::Context) {
        match incoming {
            Incoming::Envelope(bytes) => self.take_in(&bytes),
            Incoming::Up => {
                // What was told while this node did not listen is in the store, or is asked for anew.
                self.sweep_soon(ctx);
                if std::mem::replace(&mut self.link_is_down, false) {
                    tracing::info!("the link works");
                    if let Some(core) = &self.core {
                        core.people.do_send(AnnounceSoon);
                    }
                }
            }
            Incoming::Down => {
                if !std::mem::replace(&mut self.link_is_down, true) {
                    tracing::warn!("the link doesn't work; other nodes are heard by the store alone");
                    self.sweep_soon(ctx);
                }
            }
        }
    }
}

/// Sends the envelope of this turn.
#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

impl Handler<Flush> for RelayActor {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Self::Context) {
        self.flush_is_due = false;
        let (topics, notices) = (std::mem::take(&mut self.topics), std::mem::take(&mut self.outgoing));
        if let (Some(core), Some(link)) = (&self.core, &self.link) {
            failpoint::pass(Point::Publishing);
            let envelope = Envelope::new(core.node, core.store.epoch(), notices);
            link.publish(&topics, envelope.seal(&self.key));
        }
    }
}

/// Tells the link what is wanted.
#[derive(Message)]
#[rtype(result = "()")]
struct Listen;

impl Handler<Listen> for RelayActor {
    type Result = ();

    fn handle(&mut self, _: Listen, _: &mut Self::Context) {
        self.listen_is_due = false;
        if let Some(link) = &self.link {
            link.listen(self.wanted.keys().copied().collect());
        }
    }
}

/// Something was committed here.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Publish {
    /// The room.
    pub room: RoomId,
    /// What its log gained.
    pub events: Arc<Vec<Event>>,
    /// What is true now besides.
    pub signals: Vec<Signal>,
}

impl Handler<Publish> for RelayActor {
    type Result = ();

    fn handle(&mut self, Publish { room, events, signals }: Publish, ctx: &mut Self::Context) {
        if self.link.is_none() {
            return;
        }
        let topics = topics_of(room, &events, &signals);
        if !events.is_empty() {
            self.tell(topics.clone(), Notice::Events(room, Arc::unwrap_or_clone(events)), ctx);
        }
        for signal in signals {
            self.tell(topics.clone(), Notice::Signal(room, signal), ctx);
        }
    }
}

/// A signal of a room arose here.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Tell {
    /// The room.
    pub room: RoomId,
    /// The signal.
    pub signal: Signal,
}

impl Handler<Tell> for RelayActor {
    type Result = ();

    fn handle(&mut self, Tell { room, signal }: Tell, ctx: &mut Self::Context) {
        self.tell([Topic::of_room(room)], Notice::Signal(room, signal), ctx);
    }
}

/// Someone came to this node, or went.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TellPresence {
    /// Who.
    pub user: UserId,
    /// Whether here.
    pub online: bool,
}

impl Handler<TellPresence> for RelayActor {
    type Result = ();

    fn handle(&mut self, TellPresence { user, online }: TellPresence, ctx: &mut Self::Context) {
        self.want(Topic::of_user(user), online, ctx);
        self.tell([Topic::Nodes], Notice::Presence(user, online), ctx);
    }
}

/// All who are here.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Announce {
    /// They.
    pub users: Vec<UserId>,
}

impl Handler<Announce> for RelayActor {
    type Result = ();

    fn handle(&mut self, Announce { users }: Announce, ctx: &mut Self::Context) {
        self.tell([Topic::Nodes], Notice::Online(users), ctx);
    }
}

/// Someone's names or right to be here were changed by a call to this node: any node may show that person.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TellPerson(pub PersonChange);

impl Handler<TellPerson> for RelayActor {
    type Result = ();

    fn handle(&mut self, TellPerson(change): TellPerson, ctx: &mut Self::Context) {
        self.tell([Topic::Nodes], Notice::Person(change), ctx);
    }
}

/// A room begins or ceases to matter here.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Follow {
    /// The room.
    pub room: RoomId,
    /// Whether it matters.
    pub on: bool,
}

impl Handler<Follow> for RelayActor {
    type Result = ();

    fn handle(&mut self, Follow { room, on }: Follow, ctx: &mut Self::Context) {
        self.want(Topic::of_room(room), on, ctx);
    }
}

/// Ends the link after what is queued has gone out.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop {
    /// How long that may take.
    pub patience: Duration,
}

impl Handler<Stop> for RelayActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Stop { patience }: Stop, ctx: &mut Self::Context) -> Self::Result {
        self.tell([Topic::Nodes], Notice::Leaving, ctx);
        Handler::<Flush>::handle(self, Flush, ctx);
        let link = self.link.take();
        // The store goes too; its feed is no longer read.
        self.core = None;
        Box::pin(async move {
            if let Some(link) = link {
                let _late = tokio::time::timeout(patience, link.stop()).await;
            }
        })
    }
}

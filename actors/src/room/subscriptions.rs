//! The sessions that are subscribed to a room on this node, and how each catches up with the others.
//!
//! Joining, coming back and being slow are the same: a session is at some position and wants what
//! follows. While it catches up, a subscription is only a position, and nothing is queued for it in memory.
//! It is sent one page after another, from the ring or the store, as fast as its client reads, and subscribes
//! at the switchboard in the handler call in which it has reached what the room has delivered.

mod catching_up;
mod joining;
mod state_frames;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix::Handler;

pub(super) use self::joining::AcceptedBatch;
pub(super) use self::state_frames::StateFrames;
use super::RoomActor;
use crate::domain::ids::{RoomId, Seq, UserId};
use crate::messages::room::{
    JoinAnswer, JoinKind, LeaveRoom, ResumePosition, Subscriber, SubscriptionEnded, SubscriptionKind,
};
use crate::messages::session::{ConnectError, SessionId};
use crate::messages::switchboard::{ReplaySlotGranted, SwitchboardHandle};
use crate::protocol::close::CloseCode;

/// A subscriber, and how far it has come.
pub(super) struct Subscription {
    pub(super) subscriber: Arc<Subscriber>,
    join_kind: JoinKind,
    /// The number of its commands that the store has not answered.
    pub(super) unanswered: u32,
    phase: Phase,
}

// There is one for each room of each session.
const _: () = assert!(size_of::<Subscription>() <= 32);

/// How far a subscriber has come. The first two phases pass and are boxed, because each of thousands that are
/// live would keep the space.
enum Phase {
    /// It waits to be accepted.
    Joining(Box<Joining>),
    /// It is being sent what it has missed.
    CatchingUp(Box<CatchUp>),
    /// Its switchboard delivers the room's frames to it.
    Live,
}

/// What a session that joins has asked for.
struct Joining {
    position: ResumePosition,
    /// When the session's token was issued; Unix time in seconds.
    issued_at: i64,
    number: u64,
}

/// One attempt of a session to join. A session that was rejected may try again while what was read for its
/// first attempt is still on its way.
#[derive(Clone, Copy)]
pub(super) struct JoinAttempt {
    session: SessionId,
    number: u64,
}

/// How far a subscriber has caught up.
pub(super) struct CatchUp {
    /// The position up to which it has been sent everything.
    position: Seq,
    /// The position at which, or after which, it goes live.
    pub(super) target: Seq,
    /// The position from which on its user may read.
    visible_from: Seq,
    resumes: bool,
    slot: SlotState,
}

/// Whether a subscriber that catches up may be sent its next page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlotState {
    Idle,
    /// It waits until its outbox has space.
    Requested,
    /// It may be sent one.
    Granted,
}

impl Subscription {
    /// Whether the session was admitted by a snapshot that has the event at `seq`. One that is live was admitted
    /// before whatever the room has yet to deliver.
    fn is_admitted_after(&self, seq: Seq) -> bool {
        matches!(&self.phase, Phase::CatchingUp(catch_up) if catch_up.target >= seq)
    }

    /// Ends the subscription to `room`. A session that is still joining is rejected.
    fn evict(&self, room: RoomId, code: CloseCode) {
        let Subscriber { session, outbox, .. } = &*self.subscriber;
        if let Phase::Joining(_) = self.phase {
            return session.tell(JoinAnswer { room, result: Err(ConnectError::NotInRoom) });
        }
        match self.join_kind {
            JoinKind::RoomSocket | JoinKind::Rejoin(SubscriptionKind::RoomSocket) => {
                outbox.close(code);
            }
            JoinKind::Multiplexed | JoinKind::Rejoin(SubscriptionKind::Multiplexed) => {
                outbox.unsubscribe(room);
                session.tell(SubscriptionEnded { room });
            }
        }
    }
}

/// All subscriptions of a room, the worker threads they are on, and those that are catching up.
#[derive(Default)]
pub(super) struct RoomSubscriptions {
    by_session: BTreeMap<SessionId, Subscription>,
    /// The sessions by user. Thousands may leave at once, and none of them may search all others.
    by_user: BTreeSet<(UserId, SessionId)>,
    switchboards: BTreeMap<usize, (SwitchboardHandle, usize)>,
    catching_up: BTreeSet<SessionId>,
}

impl RoomSubscriptions {
    fn insert(&mut self, subscription: Subscription) {
        let outbox = &subscription.subscriber.outbox;
        self.switchboards.entry(outbox.worker).or_insert_with(|| (outbox.switchboard.clone(), 0)).1 += 1;
        self.by_user.insert((subscription.subscriber.user, subscription.subscriber.id));
        if let Some(old) = self.by_session.insert(subscription.subscriber.id, subscription) {
            self.forget(&old.subscriber);
        }
    }

    pub(super) fn remove(&mut self, session: SessionId) -> Option<Subscription> {
        let subscription = self.by_session.remove(&session)?;
        self.by_user.remove(&(subscription.subscriber.user, session));
        self.forget(&subscription.subscriber);
        Some(subscription)
    }

    fn forget(&mut self, subscriber: &Subscriber) {
        self.catching_up.remove(&subscriber.id);
        if let Some(switchboard) = self.switchboards.get_mut(&subscriber.outbox.worker) {
            switchboard.1 -= 1;
            if switchboard.1 == 0 {
                self.switchboards.remove(&subscriber.outbox.worker);
            }
        }
    }

    pub(super) fn get(&self, session: SessionId) -> Option<&Subscription> {
        self.by_session.get(&session)
    }

    pub(super) fn get_mut(&mut self, session: SessionId) -> Option<&mut Subscription> {
        self.by_session.get_mut(&session)
    }

    /// Returns the session that still waits for the answer to this attempt, and what it has asked for.
    fn joining(&self, attempt: JoinAttempt) -> Option<(&Subscription, &Joining)> {
        let subscription = self.by_session.get(&attempt.session)?;
        match &subscription.phase {
            Phase::Joining(joining) if joining.number == attempt.number => Some((subscription, joining)),
            _ => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_session.is_empty()
    }

    /// The worker threads that have subscribers, each with its switchboard.
    pub(super) fn switchboards(&self) -> impl Iterator<Item = (usize, &SwitchboardHandle)> {
        self.switchboards.iter().map(|(worker, (switchboard, _))| (*worker, switchboard))
    }

    /// The subscriptions of one user.
    pub(super) fn of(&self, user: UserId) -> impl Iterator<Item = &Subscription> {
        self.by_user
            .range((user, SessionId::FIRST)..=(user, SessionId::LAST))
            .filter_map(|(_, session)| self.by_session.get(session))
    }

    /// Ends the subscriptions of one user, or all, because of the event at `seq`. A user who was admitted after it
    /// is in the room again.
    pub(super) fn evict(&mut self, who: Option<UserId>, seq: Seq, room: RoomId, code: CloseCode) {
        let going: Vec<SessionId> = match who {
            Some(user) => self
                .of(user)
                .filter(|subscription| !subscription.is_admitted_after(seq))
                .map(|subscription| subscription.subscriber.id)
                .collect(),
            None => self.by_session.keys().copied().collect(),
        };
        for session in going {
            if let Some(subscription) = self.remove(session) {
                subscription.evict(room, code);
            }
        }
    }

    /// Takes all subscribers out.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Arc<Subscriber>> + use<> {
        self.switchboards.clear();
        self.by_user.clear();
        self.catching_up.clear();
        std::mem::take(&mut self.by_session).into_values().map(|subscription| subscription.subscriber)
    }
}

impl Handler<LeaveRoom> for RoomActor {
    type Result = ();

    fn handle(&mut self, LeaveRoom { session }: LeaveRoom, ctx: &mut Self::Context) {
        if let Some(subscription) = self.subscriptions.remove(session) {
            // Behind a subscription at the switchboard that may have been on its way when the session left.
            subscription.subscriber.outbox.unsubscribe(self.room);
            if self.subscriptions.of(subscription.subscriber.user).next().is_none() {
                self.stopped_typing(subscription.subscriber.user, ctx);
            }
            self.retire_when_idle(ctx);
            self.retire_if_unconfirmed();
        }
    }
}

impl Handler<ReplaySlotGranted> for RoomActor {
    type Result = ();

    fn handle(&mut self, ReplaySlotGranted { session }: ReplaySlotGranted, ctx: &mut Self::Context) {
        if let Some(Subscription { phase: Phase::CatchingUp(catch_up), .. }) =
            self.subscriptions.get_mut(session)
        {
            catch_up.slot = SlotState::Granted;
            self.advance(session, ctx);
        }
    }
}

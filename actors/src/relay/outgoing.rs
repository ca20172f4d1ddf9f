//! What this node publishes to the others: one envelope for all notices of a turn.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::{AsyncContext, Context, Handler, Message};

use super::RelayActor;
use crate::domain::event::Event;
use crate::domain::ids::RoomId;
use crate::domain::signal::Signal;
use crate::failpoint::{self, Failpoint};
use crate::messages::relay::{
    PublishCallTaken, PublishCommit, PublishOnline, PublishPersonalLog, PublishPresence, PublishSignal,
    PublishUserChange, PublishUserFrame,
};
use crate::ports::broker::Topic;
use crate::protocol::envelope::{Envelope, Notice};

/// The next envelope.
#[derive(Default)]
pub(super) struct Outgoing {
    notices: Vec<Notice>,
    topics: BTreeSet<Topic>,
    publish_is_due: bool,
}

impl Outgoing {
    /// The number of notices that wait.
    pub(super) fn len(&self) -> usize {
        self.notices.len()
    }
}

impl RelayActor {
    /// Adds a notice to the envelope of this turn.
    pub(super) fn enqueue(
        &mut self,
        topics: impl IntoIterator<Item = Topic>,
        notice: Notice,
        ctx: &mut Context<Self>,
    ) {
        if self.deps.broker.is_none() {
            return;
        }
        self.outgoing.topics.extend(topics);
        self.outgoing.notices.push(notice);
        if !self.outgoing.publish_is_due {
            self.outgoing.publish_is_due = true;
            ctx.notify(PublishEnvelope);
        }
    }

    pub(super) fn publish_envelope(&mut self) {
        let Outgoing { notices, topics, .. } = std::mem::take(&mut self.outgoing);
        if let Some(broker) = &self.deps.broker {
            failpoint::pass(Failpoint::Publishing);
            let envelope = Envelope::new(self.deps.node, self.deps.store.epoch(), notices);
            broker.publish(&topics, envelope.seal(&self.deps.envelope_key));
        }
    }
}

/// Publishes the envelope of this turn.
#[derive(Message)]
#[rtype(result = "()")]
struct PublishEnvelope;

impl Handler<PublishEnvelope> for RelayActor {
    type Result = ();

    fn handle(&mut self, _: PublishEnvelope, _: &mut Self::Context) {
        self.publish_envelope();
    }
}

impl Handler<PublishCommit> for RelayActor {
    type Result = ();

    fn handle(&mut self, PublishCommit { room, events, signals }: PublishCommit, ctx: &mut Self::Context) {
        if self.deps.broker.is_none() {
            return;
        }
        let topics = topics_of(room, &events, &signals);
        if !events.is_empty() {
            self.enqueue(topics.clone(), Notice::Events(room, Arc::unwrap_or_clone(events)), ctx);
        }
        for signal in signals {
            self.enqueue(topics.clone(), Notice::Signal(room, signal), ctx);
        }
    }
}

impl Handler<PublishSignal> for RelayActor {
    type Result = ();

    fn handle(&mut self, PublishSignal { room, signal }: PublishSignal, ctx: &mut Self::Context) {
        self.enqueue([Topic::of_room(room)], Notice::Signal(room, signal), ctx);
    }
}

impl Handler<PublishPresence> for RelayActor {
    type Result = ();

    fn handle(&mut self, PublishPresence { user, online }: PublishPresence, ctx: &mut Self::Context) {
        self.follow(Topic::of_user(user), online, ctx);
        self.enqueue([Topic::Nodes], Notice::Presence(user, online), ctx);
    }
}

impl Handler<PublishOnline> for RelayActor {
    type Result = ();

    fn handle(&mut self, PublishOnline { users }: PublishOnline, ctx: &mut Self::Context) {
        self.enqueue([Topic::Nodes], Notice::Online(users), ctx);
    }
}

impl Handler<PublishUserChange> for RelayActor {
    type Result = ();

    fn handle(&mut self, PublishUserChange(access): PublishUserChange, ctx: &mut Self::Context) {
        self.enqueue([Topic::Nodes], Notice::UserAccess(access), ctx);
    }
}

impl Handler<PublishPersonalLog> for RelayActor {
    type Result = ();

    fn handle(&mut self, PublishPersonalLog { user, head }: PublishPersonalLog, ctx: &mut Self::Context) {
        self.enqueue([Topic::of_user(user)], Notice::PersonalLog(user, head), ctx);
    }
}

impl Handler<PublishUserFrame> for RelayActor {
    type Result = ();

    fn handle(&mut self, PublishUserFrame(frame): PublishUserFrame, ctx: &mut Self::Context) {
        self.enqueue([Topic::of_user(frame.user)], Notice::UserFrame(frame), ctx);
    }
}

impl Handler<PublishCallTaken> for RelayActor {
    type Result = ();

    fn handle(&mut self, PublishCallTaken { node, call }: PublishCallTaken, ctx: &mut Self::Context) {
        self.enqueue([Topic::Nodes], Notice::CallTaken(node, call), ctx);
    }
}

/// The topics of the nodes that must hear of a commit: those with sockets in the room, and those with
/// sockets of users who join the room or have changed their own state of it, because these may not follow the
/// room.
fn topics_of(room: RoomId, events: &[Event], signals: &[Signal]) -> BTreeSet<Topic> {
    let joined = events.iter().filter_map(|event| Some(Topic::of_user(event.body.facts().joined()?.user.id)));
    let own_state = signals.iter().filter_map(|signal| match signal {
        Signal::OwnState { user } => Some(Topic::of_user(*user)),
        _ => None,
    });
    joined.chain(own_state).chain([Topic::of_room(room)]).collect()
}

//! The topics that this node subscribes to at the broker.

use std::collections::{BTreeMap, BTreeSet};

use actix::{AsyncContext, Context, Handler, Message};

use super::RelayActor;
use crate::messages::relay::FollowRoom;
use crate::ports::broker::Topic;

/// How many rooms and users here need each topic. The topic of all nodes is always subscribed to.
#[derive(Default)]
pub(super) struct Subscriptions {
    needs: BTreeMap<Topic, usize>,
    update_is_due: bool,
}

impl Subscriptions {
    /// All topics.
    pub(super) fn topics(&self) -> BTreeSet<Topic> {
        self.needs.keys().copied().chain([Topic::Nodes]).collect()
    }

    /// The number of topics that rooms and users need.
    pub(super) fn len(&self) -> usize {
        self.needs.len()
    }

    /// Counts one more, or one less, that needs a topic. Returns whether the broker must be told.
    fn count(&mut self, topic: Topic, on: bool) -> bool {
        let count = self.needs.entry(topic).or_default();
        *count = if on { *count + 1 } else { count.saturating_sub(1) };
        let is_new = on && *count == 1;
        if *count == 0 {
            self.needs.remove(&topic);
        }
        is_new || !on
    }
}

impl RelayActor {
    /// Notes that one more, or one less, needs a topic.
    pub(super) fn follow(&mut self, topic: Topic, on: bool, ctx: &mut Context<Self>) {
        let is_changed = self.subscriptions.count(topic, on);
        if is_changed && self.deps.broker.is_some() && !self.subscriptions.update_is_due {
            self.subscriptions.update_is_due = true;
            ctx.notify(UpdateSubscriptions);
        }
    }
}

/// Hands the broker all topics, once for all changes of a turn.
#[derive(Message)]
#[rtype(result = "()")]
struct UpdateSubscriptions;

impl Handler<UpdateSubscriptions> for RelayActor {
    type Result = ();

    fn handle(&mut self, _: UpdateSubscriptions, _: &mut Self::Context) {
        self.subscriptions.update_is_due = false;
        if let Some(broker) = &self.deps.broker {
            broker.listen(self.subscriptions.topics());
        }
    }
}

impl Handler<FollowRoom> for RelayActor {
    type Result = ();

    fn handle(&mut self, FollowRoom { room, on }: FollowRoom, ctx: &mut Self::Context) {
        self.follow(Topic::of_room(room), on, ctx);
    }
}

//! Keeps this node in step with the others: the only user of the broker and of the feed of commits.
//!
//! What is committed here is published as a hint, and the hints of other nodes go to rooms, inboxes and
//! users. The broker may lose, repeat and reorder them. Therefore the relay also polls the feed of commits,
//! which misses nothing, and tells rooms and inboxes how far the logs reach.

mod feed;
mod incoming;
mod outgoing;
mod subscriptions;
#[cfg(all(test, feature = "memory"))]
mod tests;

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Handler, MessageResult, ResponseFuture};
use tokio::sync::mpsc;

use self::feed::Feed;
use self::incoming::BrokerEventReceived;
use self::outgoing::Outgoing;
use self::subscriptions::Subscriptions;
use crate::domain::ids::NodeId;
use crate::limits::{self, MailboxBound};
use crate::mailbox::{Bounded, Tell};
use crate::messages::bots::CallTaken;
use crate::messages::diagnostics::{CountResources, ResourceCounts};
use crate::messages::inbox::InboxNews;
use crate::messages::registry::RoomNews;
use crate::messages::relay::StopRelay;
use crate::messages::users::UserNews;
use crate::ports::broker::{Broker, Topic};
use crate::ports::store::Store;
use crate::protocol::envelope::{EnvelopeKey, Notice};

/// What the actor works with.
pub(crate) struct RelayDependencies {
    pub(crate) node: NodeId,
    pub(crate) store: Arc<dyn Store>,
    /// The way to other nodes; none if this is the only one.
    pub(crate) broker: Option<Arc<dyn Broker>>,
    pub(crate) envelope_key: EnvelopeKey,
    pub(crate) registry: Arc<dyn RoomNews>,
    pub(crate) users: Arc<dyn UserNews>,
    pub(crate) inbox: Arc<dyn InboxNews>,
    pub(crate) bots: Arc<dyn Tell<CallTaken>>,
}

/// See the [module](self).
pub(crate) struct RelayActor {
    deps: RelayDependencies,
    subscriptions: Subscriptions,
    outgoing: Outgoing,
    feed: Feed,
    broker_is_up: bool,
    /// Whether the node stops. The store may be gone then, and is not read any more.
    is_stopped: bool,
}

impl RelayActor {
    /// A relay that follows nothing yet.
    pub(crate) fn new(deps: RelayDependencies) -> Self {
        Self {
            deps,
            subscriptions: Subscriptions::default(),
            outgoing: Outgoing::default(),
            feed: Feed::default(),
            broker_is_up: false,
            is_stopped: false,
        }
    }
}

impl Actor for RelayActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.poll_feed(ctx);
        let Some(broker) = self.deps.broker.clone() else { return };
        // Before the broker starts, so that it is up only once it delivers all of these.
        broker.listen(self.subscriptions.topics());
        let (sender, mut events) = mpsc::channel(limits::BROKER_EVENTS_MAX);
        let addr = ctx.address();
        let work = async move {
            broker.start(sender).await;
            while let Some(event) = events.recv().await {
                if addr.send(BrokerEventReceived(event)).await.is_err() {
                    break;
                }
            }
        };
        ctx.spawn(actix::fut::wrap_future(work));
    }
}

impl Bounded for RelayActor {
    const MAILBOX: MailboxBound = limits::RELAY_MAILBOX;
}

impl Handler<StopRelay> for RelayActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, StopRelay { patience }: StopRelay, ctx: &mut Self::Context) -> Self::Result {
        self.enqueue([Topic::Nodes], Notice::Leaving, ctx);
        self.publish_envelope();
        self.is_stopped = true;
        let broker = self.deps.broker.take();
        Box::pin(async move {
            if let Some(broker) = broker {
                let _late = tokio::time::timeout(patience, broker.stop()).await;
            }
        })
    }
}

impl Handler<CountResources> for RelayActor {
    type Result = MessageResult<CountResources>;

    fn handle(&mut self, _: CountResources, _: &mut Self::Context) -> Self::Result {
        let counts: ResourceCounts =
            vec![("subscribed topics", self.subscriptions.len()), ("pending notices", self.outgoing.len())];
        MessageResult(counts)
    }
}

//! What the broker delivers: envelopes of other nodes, and whether it is up.

use std::sync::Arc;

use actix::{Handler, Message};

use super::RelayActor;
use crate::domain::ids::{NodeId, RoomId};
use crate::domain::signal::Signal;
use crate::messages::bots::CallTaken;
use crate::messages::inbox::{EventsCommitted, PersonalLogGrown, PushRemoteFrame, UserRenamed};
use crate::messages::registry::{RouteEvents, RouteSignal};
use crate::messages::users::{AnnounceOnlineSoon, PresenceUpdate, RemotePresence, UserChanged};
use crate::ports::broker::BrokerEvent;
use crate::protocol::envelope::{Envelope, Notice};

/// The broker has delivered something.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct BrokerEventReceived(pub(super) BrokerEvent);

impl Handler<BrokerEventReceived> for RelayActor {
    type Result = ();

    fn handle(&mut self, BrokerEventReceived(event): BrokerEventReceived, ctx: &mut Self::Context) {
        match event {
            BrokerEvent::Envelope(bytes) => self.handle_envelope(&bytes),
            BrokerEvent::Up => {
                // What was published before is found in the feed, and presence is announced again.
                self.poll_feed_soon(ctx);
                if !std::mem::replace(&mut self.broker_is_up, true) {
                    tracing::info!("the broker is up");
                    self.deps.users.tell(AnnounceOnlineSoon);
                }
            }
            BrokerEvent::Down => {
                if std::mem::replace(&mut self.broker_is_up, false) {
                    tracing::warn!("the broker is down; other nodes are followed by the store's feed alone");
                    self.poll_feed_soon(ctx);
                }
            }
        }
    }
}

impl RelayActor {
    /// Handles an envelope of another node. Anything else is dropped: this node's own envelopes, those of
    /// another history, and what no node has sealed.
    fn handle_envelope(&self, bytes: &[u8]) {
        if self.is_stopped {
            return;
        }
        let Some(envelope) = Envelope::open(bytes, &self.deps.envelope_key) else {
            metrics::counter!("chat_envelopes_refused_total").increment(1);
            return;
        };
        if envelope.node == self.deps.node || envelope.epoch != self.deps.store.epoch() {
            return;
        }
        for notice in envelope.notices {
            self.handle_notice(envelope.node, notice);
        }
    }

    fn handle_notice(&self, node: NodeId, notice: Notice) {
        let presence = |news| self.deps.users.tell(RemotePresence { node, news });
        match notice {
            Notice::Events(room, events) => {
                let events = Arc::new(events);
                self.deps.inbox.tell(EventsCommitted { room, events: events.clone(), signals: Vec::new() });
                self.deps.registry.tell(RouteEvents { room, events });
            }
            Notice::Signal(room, signal) => self.forward_signal(room, signal),
            Notice::Online(users) => presence(PresenceUpdate::All(users)),
            Notice::Presence(user, online) => presence(PresenceUpdate::One(user, online)),
            Notice::Leaving => presence(PresenceUpdate::Leaving),
            Notice::PersonalLog(user, head) => self.deps.inbox.tell(PersonalLogGrown { user, head }),
            Notice::UserFrame(frame) => self.deps.inbox.tell(PushRemoteFrame { node, frame }),
            Notice::CallTaken(caller, call) if caller == self.deps.node => {
                self.deps.bots.tell(CallTaken { call });
            }
            Notice::CallTaken(..) => {}
            Notice::UserAccess(access) => {
                self.deps.users.tell(UserChanged(access));
                self.deps.inbox.tell(UserRenamed { user: access.user, is_news: true });
            }
        }
    }

    /// Hands a signal to the room, and to the inbox if it changes a row.
    pub(super) fn forward_signal(&self, room: RoomId, signal: Signal) {
        if matches!(signal, Signal::Read(_) | Signal::OwnState { .. }) {
            let signals = vec![signal.clone()];
            self.deps.inbox.tell(EventsCommitted { room, events: Arc::default(), signals });
        }
        self.deps.registry.tell(RouteSignal { room, signal });
    }
}

//! Frames for a user's sockets for all rooms that are about no row: commands of bots, their answers, and events that
//! someone is told of without being subscribed to the room.

use actix::Handler;
use bytes::Bytes;

use super::InboxActor;
use crate::domain::event::Event;
use crate::domain::ids::UserId;
use crate::messages::inbox::{PushRemoteFrame, PushUserFrame};
use crate::messages::relay::PublishCallTaken;
use crate::protocol::codec;

impl Handler<PushUserFrame> for InboxActor {
    type Result = usize;

    fn handle(&mut self, PushUserFrame { user, json }: PushUserFrame, _: &mut Self::Context) -> usize {
        self.push_frame(user, &codec::text(json.as_bytes()))
    }
}

impl Handler<PushRemoteFrame> for InboxActor {
    type Result = ();

    fn handle(&mut self, PushRemoteFrame { node, frame }: PushRemoteFrame, _: &mut Self::Context) {
        let sockets = self.push_frame(frame.user, &codec::text(frame.json.as_bytes()));
        if let Some(call) = frame.call.filter(|_| sockets > 0) {
            self.deps.relay.tell(PublishCallTaken { node, call });
        }
    }
}

impl InboxActor {
    /// Tells whoever an event is for, subscribed to its room or not.
    pub(super) fn tell_addressee(&self, event: &Event) {
        let addressee = event.body.facts().tells.filter(|user| self.viewers.contains_key(user));
        if let Some(user) = addressee
            && let Some(frame) = event.frame()
        {
            self.push_frame(user, &codec::encode(&frame));
        }
    }

    /// Sends a frame to a user's sockets. Returns to how many.
    fn push_frame(&self, user: UserId, frame: &Bytes) -> usize {
        let Some(viewer) = self.viewers.get(&user) else { return 0 };
        let mut sockets = 0;
        for outbox in viewer.ready_sockets() {
            outbox.push(frame.clone());
            sockets += 1;
        }
        sockets
    }
}

//! State that has no position in the log, for those who join: read marks, and who is online.

use actix::Handler;
use bytes::Bytes;

use super::Phase;
use crate::domain::ids::UserId;
use crate::domain::signal::ReadMark;
use crate::limits;
use crate::messages::room::{JoinKind, ResendState};
use crate::messages::session::SessionId;
use crate::protocol::codec;
use crate::protocol::server::{ReadMarkView, ServerFrame};
use crate::room::{RoomActor, View};

/// Frames for everyone who joins, encoded once. Dropped when what they show changes.
#[derive(Default)]
pub(in crate::room) struct StateFrames {
    /// The read marks.
    marks: Option<Bytes>,
    /// Who is online.
    presence: Option<Bytes>,
}

impl Handler<ResendState> for RoomActor {
    type Result = ();

    fn handle(&mut self, ResendState { session }: ResendState, _: &mut Self::Context) {
        // A subscriber that isn't live yet is sent it when it is.
        if self
            .subscriptions
            .get(session)
            .is_some_and(|subscription| matches!(subscription.phase, Phase::Live))
        {
            self.send_state(session);
        }
    }
}

impl RoomActor {
    /// Sends a subscriber that has joined the state that has no position in the log.
    pub(super) fn send_initial_state(&mut self, id: SessionId) {
        // A session that rejoins has it already.
        let returns = self
            .subscriptions
            .get(id)
            .is_some_and(|subscription| matches!(subscription.join_kind, JoinKind::Rejoin(_)));
        if !returns {
            self.send_state(id);
        }
    }

    /// Sends a subscriber the read marks, and who is online.
    fn send_state(&mut self, id: SessionId) {
        let (Some(view), Some(subscription)) = (&self.view, self.subscriptions.get(id)) else { return };
        let (room_id, outbox) = (self.room, &subscription.subscriber.outbox);
        // A mark before the first message covers none, and nobody who was here was told of it either.
        let covers_any = |mark: &&ReadMark| mark.message.is_some();
        if view.participants.len() <= limits::READ_STATE_PARTICIPANTS_MAX {
            let marks = self.state_frames.marks.get_or_insert_with(|| {
                let present = self
                    .marks
                    .values()
                    .filter(|mark| view.participants.contains(&mark.user))
                    .filter(covers_any);
                let marks = present.map(ReadMarkView::from).collect();
                codec::encode(&ServerFrame::ReadState { room_id, marks })
            });
            outbox.push(marks.clone());
        } else {
            let own = self.marks.get(&subscription.subscriber.user).filter(covers_any);
            let own = own.map(ReadMarkView::from).into_iter().collect();
            outbox.send(&ServerFrame::ReadState { room_id, marks: own });
        }
        if view.shows_presence() {
            let presence = self.state_frames.presence.get_or_insert_with(|| {
                let online: Vec<UserId> = view.online.iter().copied().collect();
                codec::encode(&ServerFrame::PresenceState { room_id, online: &online })
            });
            outbox.push(presence.clone());
        }
    }
}

impl View {
    /// Returns whether the room is small enough to show who is online.
    pub(in crate::room) fn shows_presence(&self) -> bool {
        self.participants.len() <= limits::PRESENCE_PARTICIPANTS_MAX
    }
}

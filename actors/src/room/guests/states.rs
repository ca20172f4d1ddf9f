//! What those who come are told of what has no position in the log: how far each has read, who is online.

use actix::{Handler, Message};
use bytes::Bytes;

use crate::domain::ids::UserId;
use crate::domain::signal::ReadMark;
use crate::limits;
use crate::protocol::codec;
use crate::protocol::server::{MarkView, ServerFrame};
use crate::room::guest::Purpose;
use crate::room::guests::Phase;
use crate::room::{RoomActor, View};
use crate::session::SessionId;

/// Frames that everyone who comes is told, encoded once for all of them. Dropped when what they tell
/// changes.
#[derive(Default)]
pub(in crate::room) struct States {
    /// How far each has read.
    marks: Option<Bytes>,
    /// Who is online.
    presence: Option<Bytes>,
}

/// A guest has missed signals and is to be told how things stand.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TellStates {
    /// Which one.
    pub session: SessionId,
}

impl Handler<TellStates> for RoomActor {
    type Result = ();

    fn handle(&mut self, TellStates { session }: TellStates, _: &mut Self::Context) {
        // Who isn't live yet is told when that comes.
        if self.guests.get(session).is_some_and(|seat| matches!(seat.phase, Phase::Live)) {
            self.send_states(session);
        }
    }
}

impl RoomActor {
    /// Tells a guest who has come what has no position in the log.
    pub(super) fn tell_states(&mut self, id: SessionId) {
        // Who comes back finds his mark where it was.
        let returns = self.guests.get(id).is_some_and(|seat| matches!(seat.purpose, Purpose::Return(_)));
        if !returns {
            self.send_states(id);
        }
    }

    /// Tells a guest how far each has read, and who is online.
    fn send_states(&mut self, id: SessionId) {
        let (Some(view), Some(seat)) = (&self.view, self.guests.get(id)) else { return };
        let (room_id, outbox) = (self.room, &seat.guest.outbox);
        // A mark before the first message covers none, and whoever was here was not told of it either.
        let covers_any = |mark: &&ReadMark| mark.message.is_some();
        if view.people.len() <= limits::READ_STATE_PEOPLE_MAX {
            let marks = self.states.marks.get_or_insert_with(|| {
                let present =
                    self.marks.values().filter(|mark| view.people.contains(&mark.user)).filter(covers_any);
                let marks = present.map(MarkView::from).collect();
                codec::encode(&ServerFrame::ReadState { room_id, marks })
            });
            outbox.push(marks.clone());
        } else {
            let own = self.marks.get(&seat.guest.user).filter(covers_any);
            let own = own.map(MarkView::from).into_iter().collect();
            outbox.send(&ServerFrame::ReadState { room_id, marks: own });
        }
        if view.shows_presence() {
            let presence = self.states.presence.get_or_insert_with(|| {
                let online: Vec<UserId> = view.online.iter().copied().collect();
                codec::encode(&ServerFrame::PresenceState { room_id, online: &online })
            });
            outbox.push(presence.clone());
        }
    }
}

impl View {
    /// Whether the room is small enough to tell who is online.
    pub(in crate::room) fn shows_presence(&self) -> bool {
        self.people.len() <= limits::PRESENCE_PEOPLE_MAX
    }
}

//! Answers to what a client sent.

use actors::domain::ids::{MessageId, RoomId};
use serde_json::Value;

use super::Device;
use crate::frames;
use crate::history::{End, Fact};
use crate::requests::may_come;

impl Device {
    pub(super) fn acked(&mut self, room: RoomId, frame: &Value) {
        let pending = frames::client_id(frame).and_then(|id| self.now.pending.remove(&id));
        let Some((op, _, _)) = pending else { return };
        let message = MessageId(frames::uuid(&frame["message_id"]).expect("it tells the message"));
        let seq = frames::seq(&frame["seq"]).expect("it tells the position");
        let duplicate = frame["duplicate"].as_bool().unwrap_or_default();
        self.world.recorder.note(Fact::Answered { op, end: End::Acked { message, seq, duplicate } });
        self.world.written.borrow_mut().entry((self.user, room)).or_default().push(message);
    }

    pub(super) fn refused(&mut self, conn: u64, room: RoomId, frame: &Value) {
        let code = frame["code"].as_str().unwrap_or_default().to_owned();
        let Some(client_id) = frames::client_id(frame) else {
            if self.room.is_none() {
                // On a socket of this kind, only subscriptions have no client_id.
                if let Some(joining) = self.now.joining.get_mut(&room) {
                    joining.pop_front();
                }
                self.now.subscribed.remove(&room);
                self.world.recorder.note(Fact::Denied { conn, room, code });
            }
            return;
        };
        let Some((op, send, _)) = self.now.pending.remove(&client_id) else { return };
        let end = if code == "unknown_outcome" { End::Unknown } else { End::Refused(code.clone()) };
        self.world.recorder.note(Fact::Answered { op, end });
        if self.world.is_retried(&code) && may_come(&send) {
            self.unknown_outcomes.push_back(send);
        }
    }
}

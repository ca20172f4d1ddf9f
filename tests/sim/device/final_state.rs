//! What a client sees, for the claims about the final state.

use super::Device;
use crate::history::Fact;

impl Device {
    pub(crate) fn show_positions(&self, conn: u64) {
        for room in &self.now.subscribed {
            if let Some(seq) = self.positions.get(room) {
                let (user, room, seq) = (self.user, *room, *seq);
                self.world.recorder.note(Fact::Reached { conn, user, room, seq });
                self.world.recorder.note(Fact::Folded { conn, room, messages: self.folded.shown(room) });
            }
        }
        if self.room.is_none() {
            let (user, rooms, total) = (self.user, self.now.unread.clone(), self.now.total);
            self.world.recorder.note(Fact::Unread { conn, user, rooms, total });
            if let (Some(listed_rows), Some(total), Some(total_mentions)) =
                (self.now.listed_rows.clone(), total, self.now.total_mentions)
            {
                self.world.recorder.note(Fact::Listed { conn, user, listed_rows, total, total_mentions });
            }
        }
    }

    pub(crate) fn show_online(&self, conn: u64) {
        for room in self.now.tells_presence.intersection(&self.now.subscribed) {
            let users = self.now.online[room].clone();
            self.world.recorder.note(Fact::SeesOnline { conn, room: *room, users });
        }
    }
}

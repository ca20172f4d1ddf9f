//! What happens to the inboxes when the store goes over to another history.

use actix::Handler;

use super::InboxActor;
use crate::messages::relay::EpochChanged;
use crate::protocol::close::CloseCode;

impl InboxActor {
    /// Whether the inboxes belong to the history that the store holds. If they don't, all sockets are closed
    /// before they are sent anything of the new history. Clients reconnect and are sent a new snapshot.
    pub(super) fn has_current_epoch(&mut self) -> bool {
        let epoch = self.deps.store.epoch();
        if self.epoch == epoch {
            return true;
        }
        for viewer in self.viewers.values() {
            for socket in &viewer.sockets {
                socket.outbox.close(CloseCode::Restarting);
            }
        }
        for room in self.viewed_rooms.take_all() {
            self.follow_room(room, false);
        }
        self.viewers.clear();
        self.changed_rows.clear();
        self.changed_totals.clear();
        self.stale_rows.clear();
        self.mute_expiries.clear();
        self.resending.clear();
        // Dropping these answers the sessions that wait, and the results of reads under way are ignored.
        self.pending_sockets.clear();
        self.reads.clear();
        self.personal_reads.clear();
        self.heads_seen.clear();
        self.renamed_during_read.clear();
        self.epoch = epoch;
        false
    }
}

impl Handler<EpochChanged> for InboxActor {
    type Result = ();

    fn handle(&mut self, _: EpochChanged, _: &mut Self::Context) {
        self.has_current_epoch();
    }
}

//! What becomes of the lists when the store goes over to another history.

use actix::Handler;

use super::InboxActor;
use crate::protocol::close::CloseCode;
use crate::room::HistoryChanged;

impl InboxActor {
    /// Whether the lists are of the history that the store holds. Otherwise their sockets end, before
    /// anything of another one is shown there; those who come back are told how things stand now.
    pub(super) fn is_of_this_history(&mut self) -> bool {
        let Some(core) = self.core.clone() else { return false };
        let epoch = core.store.epoch();
        let known = *self.epoch.get_or_insert(epoch);
        if known == epoch {
            return true;
        }
        for onlooker in self.people.values() {
            for follower in &onlooker.sockets {
                follower.outbox.close(CloseCode::Restarting);
            }
        }
        for room in std::mem::take(&mut self.followed).into_keys() {
            self.tell_relay(room, false);
        }
        self.people.clear();
        self.changed.clear();
        self.totals.clear();
        self.stale.clear();
        self.lapses.clear();
        self.retelling.clear();
        // Who waits for these is told to come back, and what is read for them is not taken.
        self.arrivals.clear();
        self.reads.clear();
        self.news.clear();
        self.named_meanwhile.clear();
        self.epoch = Some(epoch);
        false
    }
}

impl Handler<HistoryChanged> for InboxActor {
    type Result = ();

    fn handle(&mut self, _: HistoryChanged, _: &mut Self::Context) {
        self.is_of_this_history();
    }
}

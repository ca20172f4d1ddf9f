//! Which sockets are subscribed to which room, and what a room sends them.

use actix::Handler;

use super::{RoomSubscriber, SwitchboardActor};
use crate::domain::ids::{RoomId, Seq};
use crate::messages::switchboard::{BroadcastSignal, DeliverBatch, SubscribeSocket, UnsubscribeSocket};
use crate::protocol::close::CloseCode;

impl Handler<SubscribeSocket> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, subscribe: SubscribeSocket, _: &mut Self::Context) {
        let SubscribeSocket { room, outbox, position, visible_from } = subscribe;
        let place = self.rooms.get(&room).map_or(0, Vec::len);
        let place = u32::try_from(place).expect("fewer sockets than 2^32");
        if let Some(entry) = self.entry(outbox) {
            if entry.subscriptions.is_empty() {
                // Most are subscribed to one room; a vector would make space for four.
                entry.subscriptions.reserve_exact(1);
            }
            entry.subscriptions.push((room, place));
            self.rooms.entry(room).or_default().push(RoomSubscriber { outbox, position, visible_from });
        }
    }
}

impl Handler<UnsubscribeSocket> for SwitchboardActor {
    type Result = Option<Seq>;

    fn handle(
        &mut self,
        UnsubscribeSocket { room, outbox }: UnsubscribeSocket,
        _: &mut Self::Context,
    ) -> Self::Result {
        let limits = self.limits.clone();
        let entry = self.entry(outbox)?;
        entry.outbox.release_replay_slot(room, &limits);
        entry.outbox.drop_room_signals(room);
        let at = entry.subscriptions.iter().position(|(subscribed, _)| *subscribed == room)?;
        let (_, place) = entry.subscriptions.swap_remove(at);
        self.remove_subscriber(room, place)
    }
}

impl SwitchboardActor {
    /// Removes a subscriber, whose place the last one takes. Returns the last position that it was sent.
    pub(super) fn remove_subscriber(&mut self, room: RoomId, place: u32) -> Option<Seq> {
        let subscribers = self.rooms.get_mut(&room)?;
        let position = subscribers.swap_remove(place as usize).position;
        let moved = subscribers.get(place as usize).map(|moved| (moved.outbox, subscribers.len()));
        if subscribers.is_empty() {
            self.rooms.remove(&room);
        }
        if let Some((moved, from)) = moved
            && let Some(entry) = self.entry(moved)
        {
            let subscriptions = entry.subscriptions.iter_mut();
            let is_moved =
                |(subscribed, at): &&mut (RoomId, u32)| *subscribed == room && *at as usize == from;
            subscriptions.filter(is_moved).for_each(|(_, at)| *at = place);
        }
        Some(position)
    }
}

impl Handler<DeliverBatch> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, DeliverBatch { room, batch }: DeliverBatch, ctx: &mut Self::Context) {
        let Some(mut subscribers) = self.rooms.remove(&room) else { return };
        let (last, limits) = (batch.last(), self.limits.clone());
        for subscriber in &mut subscribers {
            // A detached socket has left all its rooms.
            let Some(entry) = self.entry(subscriber.outbox) else { continue };
            if subscriber.position < batch.after && !entry.outbox.closing {
                // What comes before was delivered while the room's actor was replaced; the client resumes.
                self.begin_close(subscriber.outbox.slot, CloseCode::Internal, ctx);
                continue;
            }
            if subscriber.position < last && !entry.outbox.closing {
                let (bytes, frames) = batch.seen_from(subscriber.visible_from, subscriber.position, room);
                let fits = entry.outbox.push(bytes, frames, &limits);
                self.mark_dirty(subscriber.outbox.slot, fits, ctx);
            }
            subscriber.position = subscriber.position.max(last);
        }
        self.rooms.insert(room, subscribers);
    }
}

impl Handler<BroadcastSignal> for SwitchboardActor {
    type Result = ();

    fn handle(&mut self, signal: BroadcastSignal, ctx: &mut Self::Context) {
        let Some(subscribers) = self.rooms.remove(&signal.key.room) else { return };
        let limits = self.limits.clone();
        for subscriber in &subscribers {
            let Some(entry) = self.entry(subscriber.outbox) else { continue };
            if entry.outbox.closing || signal.excepted.contains(&subscriber.outbox) {
                continue;
            }
            let fits = entry.outbox.signal(signal.key, signal.bytes.clone(), &limits);
            self.mark_dirty(subscriber.outbox.slot, fits, ctx);
        }
        self.rooms.insert(signal.key.room, subscribers);
    }
}

#[cfg(all(test, feature = "memory"))]
mod tests {
    use std::sync::Arc;

    use actix::{Actor, Addr};
    use bytes::Bytes;
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::limits::Limits;
    use crate::mailbox::Tell;
    use crate::memory::connection::{Peer, connection};
    use crate::memory::mailbox::NullMailbox;
    use crate::messages::switchboard::{AttachSocket, DetachSocket, FrameBatch, OpenSocket, OutboxId};
    use crate::ports::clock::Clock;

    /// Attaches a socket and subscribes it to the room from this position on.
    async fn subscribe(
        switchboard: &Addr<SwitchboardActor>,
        clock: Clock,
        room: RoomId,
        position: i64,
    ) -> (OutboxId, Peer) {
        let (writer, peer) = connection(1 << 16, clock);
        let attach = AttachSocket { writer: Box::new(writer), session: Arc::new(NullMailbox) };
        let outbox = switchboard.send(attach).await.expect("it lives");
        switchboard.tell(OpenSocket { outbox, first: Bytes::from_static(b">") });
        let visible_from = Seq::START;
        switchboard.tell(SubscribeSocket { room, outbox, position: Seq(position), visible_from });
        (outbox, peer)
    }

    #[test]
    fn whoever_goes_takes_nobody_elses_place() {
        actix::System::new().block_on(async {
            let clock = Clock::start(DateTime::UNIX_EPOCH);
            let board = SwitchboardActor::new(Arc::new(Limits::default()), clock).start();
            let (room, other) = (RoomId(Uuid::from_u128(1)), RoomId(Uuid::from_u128(2)));
            let mut sockets = Vec::new();
            for position in 0..6 {
                sockets.push(subscribe(&board, clock, room, position).await);
                let (outbox, _) = sockets[sockets.len() - 1];
                let position = Seq(10 + position);
                board.tell(SubscribeSocket { room: other, outbox, position, visible_from: Seq::START });
            }
            let exit = async |room, at: usize| {
                let outbox = sockets[at].0;
                board.send(UnsubscribeSocket { room, outbox }).await.expect("it lives")
            };
            // In the middle, the last, the first, and once more.
            assert_eq!([exit(room, 2).await, exit(room, 5).await], [Some(Seq(2)), Some(Seq(5))]);
            assert_eq!([exit(room, 0).await, exit(room, 0).await], [Some(Seq(0)), None]);
            board.tell(DetachSocket { outbox: sockets[3].0 });
            assert_eq!([exit(other, 4).await, exit(other, 2).await], [Some(Seq(14)), Some(Seq(12))]);
            let frames = Bytes::from_static(b"abcdefghij");
            let batch = FrameBatch { after: Seq(0), bytes: frames, ends: (1..=10).collect(), older: None };
            board.tell(DeliverBatch { room, batch });
            assert_eq!([exit(room, 1).await, exit(room, 4).await], [Some(Seq(10)), Some(Seq(10))]);
            assert_eq!([exit(other, 1).await, exit(other, 3).await], [Some(Seq(11)), None]);
            assert_eq!(sockets[1].1.read(64).await, Some(b">bcdefghij".to_vec()));
            assert_eq!(sockets[4].1.read(64).await, Some(b">efghij".to_vec()));
        });
    }

    #[test]
    fn nothing_from_before_a_users_entry_is_delivered_and_each_position_is() {
        let room = RoomId(Uuid::from_u128(1));
        let older = Some([(Seq(4), Seq(2)), (Seq(5), Seq(3))].into());
        let batch =
            FrameBatch { after: Seq(2), bytes: Bytes::from_static(b"abc"), ends: (1..=3).collect(), older };
        let seen = |visible_from, position| {
            let (bytes, frames) = batch.seen_from(Seq(visible_from), Seq(position), room);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let hidden: Vec<i64> = (3..=5).filter(|seq| text.contains(&format!("\"seq\":{seq}}}"))).collect();
            (frames, hidden, bytes)
        };
        assert_eq!(seen(0, 2), (3, vec![], Bytes::from_static(b"abc")));
        assert_eq!(seen(2, 3), (2, vec![], Bytes::from_static(b"bc")));
        let (frames, hidden, bytes) = seen(3, 2);
        assert_eq!((frames, hidden), (3, vec![4]));
        assert!(bytes.starts_with(b"a\x81") && bytes.ends_with(b"}c"), "{bytes:?}");
        assert_eq!(seen(5, 2).1, [3, 4, 5]);
        assert_eq!((seen(5, 4).0, seen(5, 4).1), (1, vec![5]));
    }
}

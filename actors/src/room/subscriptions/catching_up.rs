//! How a subscriber gets from its position to what was delivered: page by page, from the ring or the store.

use std::collections::{BTreeMap, BTreeSet};

use actix::Context;
use bytes::Bytes;

use super::{CatchUp, Phase, RoomActor, RoomSubscriptions, SlotState, Subscription};
use crate::domain::event::Event;
use crate::domain::ids::{RoomId, Seq};
use crate::limits;
use crate::messages::session::SessionId;
use crate::messages::switchboard::{AcquireReplaySlot, FrameBatch, PushReplayPage, ReplaySlotRequest};
use crate::ports::store::StoreError;
use crate::protocol::close::CloseCode;
use crate::protocol::server::ServerFrame;
use crate::room::delivery::event_frame;
use crate::room::ring::BatchBuilder;

impl RoomActor {
    /// Moves every subscriber on that is catching up.
    pub(in crate::room) fn advance_all(&mut self, ctx: &mut Context<Self>) {
        for id in self.subscriptions.catching_up.iter().copied().collect::<Vec<_>>() {
            self.advance(id, ctx);
        }
    }

    /// Sends a subscriber what follows its position, as far as its outbox has space, and makes it live when
    /// it has reached what the room has delivered.
    pub(super) fn advance(&mut self, id: SessionId, ctx: &mut Context<Self>) {
        let (frames_max, bytes_max) = self.page_max();
        let Some(view) = &mut self.view else { return };
        loop {
            let Some(subscription) = self.subscriptions.get_mut(id) else { return };
            let Phase::CatchingUp(catch_up) = &mut subscription.phase else { return };
            if view.delivered < catch_up.target {
                // Also because of what was deleted meanwhile: its text may still be in the ring.
                return self.fill_gap(ctx);
            }
            if catch_up.position >= view.delivered {
                return self.go_live(id);
            }
            match catch_up.slot {
                SlotState::Requested => return,
                SlotState::Idle => {
                    catch_up.slot = SlotState::Requested;
                    let outbox = &subscription.subscriber.outbox;
                    let request =
                        ReplaySlotRequest { room: self.room, reader: self.address.clone(), session: id };
                    return outbox.switchboard.tell(AcquireReplaySlot { outbox: outbox.id, request });
                }
                SlotState::Granted => {}
            }
            let Some(page) = view.ring.page(catch_up.position, frames_max, bytes_max) else {
                return self.read_replay_page(ctx);
            };
            send_page(subscription, self.room, &page);
        }
    }

    /// The frames and the bytes of one page: a quarter of what may wait for a socket.
    fn page_max(&self) -> (usize, usize) {
        let limits = &self.deps.limits;
        ((limits.outbox_frames_max / 4).max(1), limits.outbox_bytes_max / 4)
    }

    /// Reads the next page for subscribers whose position the ring doesn't reach. One read at a time, from
    /// the earliest position on, serves all whom it helps.
    fn read_replay_page(&mut self, ctx: &mut Context<Self>) {
        if self.reading_replay {
            return;
        }
        // Whoever joins later is given what is read now only if nothing changes meanwhile.
        let readers: BTreeMap<SessionId, Seq> = self
            .subscriptions
            .catching_up
            .iter()
            .filter_map(|id| Some((*id, self.subscriptions.by_session.get(id)?.with_slot()?.position)))
            .collect();
        let Some(after) = readers.values().min().copied() else { return };
        let Some(changes) = self.view.as_ref().map(|view| view.ring.changes()) else { return };
        self.reading_replay = true;
        metrics::counter!("chat_replay_reads_total").increment(1);
        let (store, room) = (self.deps.store.clone(), self.room);
        let read = async move { store.events(room, after, limits::REPLAY_PAGE_EVENTS).await };
        Self::after(ctx, read, move |room, events: Result<Vec<Event>, StoreError>, ctx| {
            room.reading_replay = false;
            match events {
                // The log goes on, but with events that this version doesn't know. Another node may.
                Ok(events) if events.is_empty() => {
                    room.subscriptions.close_stuck(|_, catch_up| {
                        catch_up.slot == SlotState::Granted && catch_up.position == after
                    });
                }
                Ok(events) => room.send_replay(after, &events, &readers, changes),
                Err(error) => {
                    tracing::warn!(room = %room.room, %error, "could not read a replay");
                    room.subscriptions.close_stuck(|_, catch_up| catch_up.slot == SlotState::Granted);
                }
            }
            room.expect_missing(ctx);
            room.advance_all(ctx);
        });
    }

    /// Sends each reader its part of a page of the log, which begins after `after` and was read when the ring
    /// had seen this number of `changes`.
    fn send_replay(
        &mut self,
        after: Seq,
        events: &[Event],
        readers: &BTreeMap<SessionId, Seq>,
        changes: u64,
    ) {
        let Some(delivered) = self.view.as_ref().map(|view| view.delivered) else { return };
        let (frames_max, bytes_max) = self.page_max();
        let delivered_events: Vec<&Event> =
            events.iter().take_while(|event| event.seq <= delivered).collect();
        for event in &delivered_events {
            // It may have been committed before this actor knew the room, with its answer still on its way.
            if let Some(message) = event.body.facts().new_message() {
                self.answer_from_log(message);
            }
        }
        let frames: Vec<Bytes> = delivered_events.iter().copied().map(event_frame).collect();
        let replayed = || frames.iter().zip(&delivered_events);
        if let Some(view) = self.view.as_mut().filter(|view| view.ring.changes() == changes) {
            view.ring.push_before(&frames, &delivered_events);
        }
        // Subscribers at the same position share the bytes.
        let mut pages: BTreeMap<Seq, Option<FrameBatch>> = BTreeMap::new();
        for (id, start) in readers {
            let Some(subscription) = self.subscriptions.get_mut(*id) else { continue };
            let Some(position) = subscription.with_slot().map(|catch_up| catch_up.position) else { continue };
            if position != *start {
                continue;
            }
            let page = pages.entry(position).or_insert_with(|| {
                let skipped = usize::try_from(position.0 - after.0).unwrap_or(usize::MAX);
                let mut builder = BatchBuilder::after(position);
                for (frame, event) in replayed().skip(skipped).take(frames_max) {
                    builder.push(frame, event.shows_since());
                    if builder.len() >= bytes_max {
                        break;
                    }
                }
                builder.finish()
            });
            if let Some(page) = page {
                send_page(subscription, self.room, page);
            }
        }
    }

    fn go_live(&mut self, id: SessionId) {
        let Some(subscription) = self.subscriptions.get(id) else { return };
        let Phase::CatchingUp(catch_up) = &subscription.phase else { return };
        let CatchUp { position, visible_from, resumes, .. } = **catch_up;
        let room = self.room;
        if resumes {
            subscription.subscriber.outbox.send(&ServerFrame::Synced { room_id: room, seq: position });
        }
        self.send_initial_state(id);
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            subscription.subscriber.outbox.subscribe(room, position, visible_from);
            subscription.phase = Phase::Live;
        }
        self.subscriptions.catching_up.remove(&id);
    }
}

impl Subscription {
    /// How far it has caught up, if it may be sent a page now.
    fn with_slot(&self) -> Option<&CatchUp> {
        match &self.phase {
            Phase::CatchingUp(catch_up) if catch_up.slot == SlotState::Granted => Some(catch_up),
            _ => None,
        }
    }
}

impl RoomSubscriptions {
    fn catch_ups(&self) -> impl Iterator<Item = (SessionId, &CatchUp)> {
        self.catching_up.iter().filter_map(|id| match &self.by_session.get(id)?.phase {
            Phase::CatchingUp(catch_up) => Some((*id, &**catch_up)),
            _ => None,
        })
    }

    /// The sessions that go live only when something after `position` has been delivered.
    pub(in crate::room) fn awaiting_beyond(&self, position: Seq) -> BTreeSet<SessionId> {
        self.catch_ups().filter(|(_, catch_up)| catch_up.target > position).map(|(id, _)| id).collect()
    }

    /// Closes the sockets of sessions that can't be sent what they miss. Their clients come back and resume.
    pub(in crate::room) fn close_stuck(&mut self, is_stuck: impl Fn(SessionId, &CatchUp) -> bool) {
        let stuck: Vec<SessionId> =
            self.catch_ups().filter(|(id, catch_up)| is_stuck(*id, catch_up)).map(|(id, _)| id).collect();
        for id in stuck {
            if let Some(subscription) = self.remove(id) {
                subscription.subscriber.outbox.close(CloseCode::Internal);
            }
        }
    }
}

/// Sends a subscriber its page, which releases its replay slot.
fn send_page(subscription: &mut Subscription, room: RoomId, page: &FrameBatch) {
    let Phase::CatchingUp(catch_up) = &mut subscription.phase else { return };
    (catch_up.position, catch_up.slot) = (page.last(), SlotState::Idle);
    let (bytes, frames) = page.seen_from(catch_up.visible_from, page.after, room);
    let outbox = &subscription.subscriber.outbox;
    outbox.switchboard.tell(PushReplayPage { outbox: outbox.id, bytes, frames, room });
}

//! Delivery of what was committed: in `seq` order, each event once, gaps filled from the store.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler};

use super::RoomActor;
use super::ring::BatchBuilder;
use super::subscriptions::{RoomSubscriptions, StateFrames};
use crate::domain::event::{AudienceChange, Event};
use crate::domain::ids::{RoomId, Seq, UserId};
use crate::domain::signal::ReadMark;
use crate::limits;
use crate::messages::registry::InvalidateUser;
use crate::messages::room::{RoomEvents, RoomHead};
use crate::messages::switchboard::{
    BroadcastSignal, DeliverBatch, FrameBatch, OutboxId, SignalKey, SignalKind,
};
use crate::messages::users::WatchPresence;
use crate::ports::store::StoreError;
use crate::protocol::close::CloseCode;
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;

impl Handler<RoomEvents> for RoomActor {
    type Result = ();

    fn handle(&mut self, RoomEvents(events): RoomEvents, ctx: &mut Self::Context) {
        self.deliver(&events, ctx);
    }
}

impl Handler<RoomHead> for RoomActor {
    type Result = ();

    fn handle(&mut self, RoomHead(head): RoomHead, ctx: &mut Self::Context) {
        if !self.is_current_epoch(ctx) {
            return;
        }
        self.head_hint = self.head_hint.max(head);
        let Some(view) = &mut self.view else { return };
        view.head = view.head.max(head);
        if view.head > view.delivered {
            self.fill_gap(ctx);
        }
    }
}

impl Handler<InvalidateUser> for RoomActor {
    type Result = ();

    fn handle(&mut self, InvalidateUser { user }: InvalidateUser, _: &mut Self::Context) {
        if let Some(view) = &mut self.view {
            view.ring.invalidate_user(user);
        }
    }
}

/// Whose subscriptions a delivered event ends.
enum Removal {
    User(UserId),
    Everyone,
}

impl RoomActor {
    /// Delivers the events that follow what was delivered, and keeps those that came too early.
    pub(super) fn deliver(&mut self, events: &[Event], ctx: &mut Context<Self>) {
        if !self.is_current_epoch(ctx) {
            return;
        }
        self.head_hint = events.iter().map(|event| event.seq).fold(self.head_hint, Seq::max);
        let Some(view) = &mut self.view else { return };
        let mut early = Vec::new();
        let mut next: Vec<&Event> = Vec::with_capacity(events.len());
        let mut reached = view.delivered;
        for event in events {
            view.head = view.head.max(event.seq);
            if event.seq == reached.next() {
                reached = event.seq;
                next.push(event);
            } else if event.seq > reached {
                early.push(event.clone());
            }
        }
        self.deliver_in_order(&next, ctx);
        let Some(view) = &mut self.view else { return };
        for event in early {
            if view.ahead.len() < limits::REPLAY_PAGE_EVENTS {
                view.ahead.insert(event.seq, event);
            }
        }
        let mut found = Vec::new();
        let mut reached = view.delivered;
        while let Some(first) = view.ahead.first_entry() {
            if *first.key() > reached.next() {
                break;
            }
            let event = first.remove();
            if event.seq == reached.next() {
                reached = event.seq;
                found.push(event);
            }
        }
        if !found.is_empty() {
            self.deliver_in_order(&found.iter().collect::<Vec<_>>(), ctx);
        }
        self.expect_missing(ctx);
    }

    /// Delivers events that follow `delivered` without a gap.
    fn deliver_in_order(&mut self, events: &[&Event], ctx: &mut Context<Self>) {
        if events.is_empty() || self.view.is_none() {
            return;
        }
        for event in events {
            if let Some(message) = event.body.facts().new_message() {
                self.answer_from_log(message);
            }
        }
        let Some(view) = &mut self.view else { return };
        let showed_presence = view.shows_presence();
        let mut builder = BatchBuilder::after(view.delivered);
        let mut removals = Vec::new();
        let mut joined = Vec::new();
        let mut rejoined = Vec::new();
        for event in events {
            let frame = event_frame(event);
            builder.push(&frame, event.shows_since());
            view.ring.push(frame, event);
            view.delivered = event.seq;
            let facts = event.body.facts();
            if let Some(room) = facts.room() {
                view.is_archived = room.archived_at.is_some();
            }
            if let Some(participant) = facts.joined() {
                let user = participant.user.id;
                view.participants.insert(user);
                self.state_frames = StateFrames::default();
                if participant.read_seq > Seq::START {
                    let mark = ReadMark { user, up_to: participant.read_seq, message: None, at: event.at };
                    self.marks.entry(user).or_insert(mark);
                    rejoined.push(user);
                }
                joined.push(user);
            }
            if let Some(participant) = facts.left() {
                let user = participant.user.id;
                view.participants.remove(&user);
                self.state_frames = StateFrames::default();
                view.online.remove(&user);
                removals.push(Removal::User(user));
            }
            if facts.audience == AudienceChange::Closed {
                removals.push(Removal::Everyone);
            }
            if !removals.is_empty() {
                // Whoever is removed gets this event and nothing after it.
                let batch = std::mem::replace(&mut builder, BatchBuilder::after(view.delivered)).finish();
                send_batch(&self.subscriptions, self.room, batch);
                #[cfg(feature = "injected-bugs")]
                if crate::injected_bugs::InjectedBug::KeepRemovedSubscriber.is_injected() {
                    removals.clear();
                }
                for removal in removals.drain(..) {
                    let (who, code) = match removal {
                        Removal::User(user) => (Some(user), CloseCode::NotInRoom),
                        Removal::Everyone => (None, CloseCode::RoomDeleted),
                    };
                    self.subscriptions.evict(who, event.seq, self.room, code);
                }
            }
        }
        send_batch(&self.subscriptions, self.room, builder.finish());
        for user in rejoined {
            self.send_rejoined_mark(user, ctx);
        }
        for event in events {
            if let Some(user) = event.body.facts().stops_typing {
                self.stopped_typing(user, ctx);
            }
        }
        if let Some(view) = self.view.as_ref().filter(|view| view.shows_presence()) {
            // A room that was too large for that begins anew: nobody was told what changed meanwhile.
            let users = if showed_presence { joined } else { view.participants.iter().copied().collect() };
            if !users.is_empty() {
                let (instance, room, anew) = (self.instance, self.address.clone(), !showed_presence);
                self.deps.users.tell(WatchPresence { instance, room, users, anew });
            }
        }
        self.advance_all(ctx);
        self.retire_when_idle(ctx);
    }

    /// Waits for events that were heard of and have not come.
    pub(super) fn expect_missing(&mut self, ctx: &mut Context<Self>) {
        if self.view.as_ref().is_some_and(|view| view.head > view.delivered) {
            self.schedule_gap_fill(limits::GAP_READ_DELAY, ctx);
        }
    }

    /// Waits a while for the broker or the store, then reads what is missing.
    fn schedule_gap_fill(&mut self, patience: Duration, ctx: &mut Context<Self>) {
        let Some(view) = &mut self.view else { return };
        if view.gap_is_due {
            return;
        }
        view.gap_is_due = true;
        ctx.run_later(patience, |room, ctx| {
            if let Some(view) = &mut room.view {
                view.gap_is_due = false;
                if view.head > view.delivered {
                    room.fill_gap(ctx);
                }
            }
        });
    }

    /// Reads what follows `delivered` from the store.
    pub(super) fn fill_gap(&mut self, ctx: &mut Context<Self>) {
        let Some(view) = &self.view else { return };
        if self.reading_gap || view.gap_is_due {
            return;
        }
        self.reading_gap = true;
        metrics::counter!("chat_gap_reads_total").increment(1);
        let (store, room, after, head) = (self.deps.store.clone(), self.room, view.delivered, view.head);
        let waiting = self.subscriptions.awaiting_beyond(after);
        let read = async move { store.events(room, after, limits::REPLAY_PAGE_EVENTS).await };
        Self::after(ctx, read, move |room, events: Result<Vec<Event>, StoreError>, ctx| {
            room.reading_gap = false;
            match events {
                Ok(events) => {
                    // What was heard of meanwhile may have been committed after the read.
                    if let (Some(view), true) = (&mut room.view, events.is_empty())
                        && view.head == head
                    {
                        // What was heard of isn't in the log, or is of a kind that this version doesn't know:
                        // a forged or broken hint, or a newer node.
                        view.head = view.delivered;
                        view.ahead.clear();
                        let reached = view.delivered;
                        room.subscriptions
                            .close_stuck(|id, catch_up| catch_up.target > reached && waiting.contains(&id));
                    }
                    room.deliver(&events, ctx);
                }
                Err(error) => {
                    tracing::warn!(room = %room.room, %error, "could not read what follows");
                    room.schedule_gap_fill(limits::GAP_RETRY_DELAY, ctx);
                }
            }
            room.advance_all(ctx);
        });
    }

    /// Sends a signal to all live subscribers, except those of one user.
    pub(super) fn broadcast(
        &self,
        kind: SignalKind,
        user: UserId,
        frame: &ServerFrame<'_>,
        except: Option<UserId>,
    ) {
        let bytes = codec::encode(frame);
        let key = SignalKey { kind, room: self.room, user };
        for (worker, switchboard) in self.subscriptions.switchboards() {
            // Outboxes of different threads may have the same id.
            let excepted: Vec<OutboxId> = except
                .into_iter()
                .flat_map(|user| self.subscriptions.of(user))
                .filter(|subscription| subscription.subscriber.outbox.worker == worker)
                .map(|subscription| subscription.subscriber.outbox.id)
                .collect();
            switchboard.tell(BroadcastSignal { key, bytes: bytes.clone(), excepted });
        }
    }
}

/// Encodes the frame of an event. The deletion of a room has an empty one, because every position has exactly
/// one frame.
pub(super) fn event_frame(event: &Event) -> bytes::Bytes {
    event.frame().map(|frame| codec::encode(&frame)).unwrap_or_default()
}

fn send_batch(subscriptions: &RoomSubscriptions, room: RoomId, batch: Option<FrameBatch>) {
    let Some(batch) = batch else { return };
    for (_, switchboard) in subscriptions.switchboards() {
        switchboard.tell(DeliverBatch { room, batch: batch.clone() });
    }
}

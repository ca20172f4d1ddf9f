//! Telling what was committed: in `seq` order, each event once, holes filled from the store.

use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext, Context, Handler, Message};

use super::RoomActor;
use super::guests::{Guests, States};
use super::ring::BatchBuilder;
use crate::domain::event::{Event, EventBody};
use crate::domain::ids::{RoomId, Seq, UserId};
use crate::domain::signal::ReadMark;
use crate::limits;
use crate::outbox::{SignalKey, SignalKind};
use crate::people::Watch;
use crate::ports::store::StoreError;
use crate::protocol::close::CloseCode;
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;
use crate::registry::Forget;
use crate::switchboard::{Batch, Broadcast, Deliver, OutboxId};

/// Events of this room, committed somewhere, in order.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct Events(pub Arc<Vec<Event>>);

impl Handler<Events> for RoomActor {
    type Result = ();

    fn handle(&mut self, Events(events): Events, ctx: &mut Self::Context) {
        self.deliver(&events, ctx);
    }
}

/// The log reaches at least this far.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct HeadIs(pub Seq);

impl Handler<HeadIs> for RoomActor {
    type Result = ();

    fn handle(&mut self, HeadIs(head): HeadIs, ctx: &mut Self::Context) {
        if !self.is_of_this_history(ctx) {
            return;
        }
        self.heard = self.heard.max(head);
        let Some(view) = &mut self.view else { return };
        view.head = view.head.max(head);
        if view.head > view.delivered {
            self.fill_gap(ctx);
        }
    }
}

impl Handler<Forget> for RoomActor {
    type Result = ();

    fn handle(&mut self, Forget { user }: Forget, _: &mut Self::Context) {
        if let Some(view) = &mut self.view {
            view.ring.forget_person(user);
        }
    }
}

/// What a delivered event means for some of the guests.
enum Departure {
    Of(UserId),
    OfAll,
}

impl RoomActor {
    /// Tells guests the events that follow what they have been told; keeps what came too early.
    pub(super) fn deliver(&mut self, events: &[Event], ctx: &mut Context<Self>) {
        if !self.is_of_this_history(ctx) {
            return;
        }
        self.heard = events.iter().map(|event| event.seq).fold(self.heard, Seq::max);
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
            if view.ahead.len() < limits::REPLAY_PAGE {
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
        self.expect_what_is_missing(ctx);
    }

    /// Tells guests these events, which follow `delivered` without a hole.
    fn deliver_in_order(&mut self, events: &[&Event], ctx: &mut Context<Self>) {
        if events.is_empty() || self.view.is_none() {
            return;
        }
        for event in events {
            if let EventBody::MessagePosted(message) = &event.body {
                self.found_in_log(message);
            }
        }
        let Some(view) = &mut self.view else { return };
        let showed_presence = view.shows_presence();
        let mut builder = BatchBuilder::after(view.delivered);
        let mut departures = Vec::new();
        let mut comers = Vec::new();
        let mut returning = Vec::new();
        for event in events {
            let frame = event_frame(event);
            builder.push(&frame);
            view.ring.push(frame, event);
            view.delivered = event.seq;
            match &event.body {
                EventBody::RoomCreated(room) | EventBody::RoomUpdated(room) => {
                    view.is_archived = room.archived_at.is_some();
                }
                EventBody::ParticipantJoined(participant) => {
                    let user = participant.user.id;
                    view.people.insert(user);
                    self.states = States::default();
                    if participant.read_seq > Seq::START {
                        let mark =
                            ReadMark { user, up_to: participant.read_seq, message: None, at: event.at };
                        self.marks.entry(user).or_insert(mark);
                        returning.push(user);
                    }
                    comers.push(user);
                }
                EventBody::ParticipantLeft(participant) => {
                    let user = participant.user.id;
                    view.people.remove(&user);
                    self.states = States::default();
                    view.online.remove(&user);
                    departures.push(Departure::Of(user));
                }
                EventBody::RoomDeleted => departures.push(Departure::OfAll),
                _ => {}
            }
            if !departures.is_empty() {
                // Who goes hears this event and nothing after it.
                let batch = std::mem::replace(&mut builder, BatchBuilder::after(view.delivered)).finish();
                send_batch(&self.guests, self.room, batch);
                #[cfg(feature = "planted-bugs")]
                if crate::planted::Bug::NoCutOff.is_planted() {
                    departures.clear();
                }
                for departure in departures.drain(..) {
                    let (who, code) = match departure {
                        Departure::Of(user) => (Some(user), CloseCode::NotInRoom),
                        Departure::OfAll => (None, CloseCode::RoomDeleted),
                    };
                    self.guests.dismiss(who, self.room, &ctx.address(), code);
                }
            }
        }
        send_batch(&self.guests, self.room, builder.finish());
        for user in returning {
            self.tell_returned(user, ctx);
        }
        for event in events {
            match &event.body {
                EventBody::MessagePosted(message) => self.stopped_typing(message.sender.id, ctx),
                EventBody::ParticipantLeft(participant) => self.stopped_typing(participant.user.id, ctx),
                _ => {}
            }
        }
        if let Some(view) = self.view.as_ref().filter(|view| view.shows_presence()) {
            // A room that was too large for that begins anew, for what changed meanwhile was told to nobody.
            let users = if showed_presence { comers } else { view.people.iter().copied().collect() };
            if !users.is_empty() {
                let (room, addr, anew) = (self.room, ctx.address(), !showed_presence);
                self.core.people.do_send(Watch { room, addr, users, anew });
            }
        }
        self.advance_all(ctx);
        self.sleep_when_idle(ctx);
    }

    /// Waits for what was heard of and has not come.
    pub(super) fn expect_what_is_missing(&mut self, ctx: &mut Context<Self>) {
        if self.view.as_ref().is_some_and(|view| view.head > view.delivered) {
            self.expect_gap(limits::GAP_PATIENCE, ctx);
        }
    }

    /// Waits a while for the link or the store, then reads what is missing.
    fn expect_gap(&mut self, patience: Duration, ctx: &mut Context<Self>) {
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
        let (store, room, after, head) = (self.core.store.clone(), self.room, view.delivered, view.head);
        let waiting = self.guests.waiting_for_more_than(after);
        let read = async move { store.events(room, after, limits::REPLAY_PAGE).await };
        Self::after(ctx, read, move |room, events: Result<Vec<Event>, StoreError>, ctx| {
            room.reading_gap = false;
            match events {
                Ok(events) => {
                    // What was heard of meanwhile may have been committed after the read.
                    if let (Some(view), true) = (&mut room.view, events.is_empty())
                        && view.head == head
                    {
                        // What was heard of isn't in the log, or of a kind that this version doesn't know: a
                        // forged or broken hint, or a newer node.
                        view.head = view.delivered;
                        view.ahead.clear();
                        let reached = view.delivered;
                        room.guests.break_off(|id, behind| behind.target > reached && waiting.contains(&id));
                    }
                    room.deliver(&events, ctx);
                }
                Err(error) => {
                    tracing::warn!(room = %room.room, %error, "could not read what follows");
                    room.expect_gap(limits::GAP_RETRY, ctx);
                }
            }
            room.advance_all(ctx);
        });
    }

    /// Tells all live guests a signal.
    pub(super) fn broadcast(
        &self,
        kind: SignalKind,
        user: UserId,
        frame: &ServerFrame<'_>,
        except: Option<UserId>,
    ) {
        let bytes = codec::encode(frame);
        let key = SignalKey { kind, room: self.room, user };
        for (worker, switchboard) in self.guests.boards() {
            // Outboxes of different threads may have the same id.
            let excepted: Vec<OutboxId> = except
                .into_iter()
                .flat_map(|user| self.guests.of(user))
                .filter(|seat| seat.guest.outbox.worker == worker)
                .map(|seat| seat.guest.outbox.id)
                .collect();
            switchboard.do_send(Broadcast { key, bytes: bytes.clone(), excepted });
        }
    }
}

/// The frame of an event. A deletion of the room has none; its place is held by an empty one, for
/// every position has exactly one.
pub(super) fn event_frame(event: &Event) -> bytes::Bytes {
    ServerFrame::of_event(event).map(|frame| codec::encode(&frame)).unwrap_or_default()
}

fn send_batch(guests: &Guests, room: RoomId, batch: Option<Batch>) {
    let Some(batch) = batch else { return };
    for (_, switchboard) in guests.boards() {
        switchboard.do_send(Deliver { room, batch: batch.clone() });
    }
}

//! How a guest gets from its position to where the others are: page by page, from the ring or the store.

use std::collections::{BTreeMap, BTreeSet};

use actix::{AsyncContext, Context};
use bytes::Bytes;

use super::{Behind, Guests, Pace, Phase, RoomActor, Seat};
use crate::domain::event::{Event, EventBody};
use crate::domain::ids::{RoomId, Seq};
use crate::limits;
use crate::ports::store::StoreError;
use crate::protocol::close::CloseCode;
use crate::protocol::server::ServerFrame;
use crate::room::delivery::event_frame;
use crate::room::ring::BatchBuilder;
use crate::session::SessionId;
use crate::switchboard::{AskTurn, Batch, Enter, Replay};

impl RoomActor {
    /// Moves every guest on that is not live yet.
    pub(in crate::room) fn advance_all(&mut self, ctx: &mut Context<Self>) {
        for id in self.guests.catching_up.iter().copied().collect::<Vec<_>>() {
            self.advance(id, ctx);
        }
    }

    /// Sends a guest what follows its position, as far as its outbox has room, and lets it go live
    /// when it has reached what the room has delivered.
    pub(super) fn advance(&mut self, id: SessionId, ctx: &mut Context<Self>) {
        let (frames_max, bytes_max) = self.page_max();
        let Some(view) = &mut self.view else { return };
        loop {
            let Some(seat) = self.guests.get_mut(id) else { return };
            let Phase::CatchingUp(behind) = &mut seat.phase else { return };
            if view.delivered < behind.target {
                // Also for the sake of what was deleted meanwhile: its text may still be in the ring.
                return self.fill_gap(ctx);
            }
            if behind.position >= view.delivered {
                return self.go_live(id);
            }
            match behind.pace {
                Pace::Asked => return,
                Pace::Idle => {
                    behind.pace = Pace::Asked;
                    let (room, addr, outbox) = (self.room, ctx.address(), &seat.guest.outbox);
                    return outbox.switchboard.do_send(AskTurn {
                        outbox: outbox.id,
                        session: id,
                        room,
                        addr,
                    });
                }
                Pace::Turn => {}
            }
            let Some(page) = view.ring.page(behind.position, frames_max, bytes_max) else {
                return self.read_log(ctx);
            };
            send_page(seat, self.room, page);
        }
    }

    /// The frames and the bytes of one page: a quarter of what may wait for a socket.
    fn page_max(&self) -> (usize, usize) {
        let limits = &self.core.limits;
        ((limits.outbox_frames_max / 4).max(1), limits.outbox_bytes_max / 4)
    }

    /// Reads the next page for those whose position the ring doesn't reach; one read at a time, from
    /// the earliest of them on, serves all whom it helps.
    fn read_log(&mut self, ctx: &mut Context<Self>) {
        if self.reading_replay {
            return;
        }
        // Who comes later is given what is read now only if nothing is changed meanwhile.
        let readers: BTreeMap<SessionId, Seq> = self
            .guests
            .catching_up
            .iter()
            .filter_map(|id| Some((*id, self.guests.seats.get(id)?.in_turn()?.position)))
            .collect();
        let Some(after) = readers.values().min().copied() else { return };
        let Some(changes) = self.view.as_ref().map(|view| view.ring.changes()) else { return };
        self.reading_replay = true;
        metrics::counter!("chat_replay_reads_total").increment(1);
        let (store, room) = (self.core.store.clone(), self.room);
        let read = async move { store.events(room, after, limits::REPLAY_PAGE).await };
        Self::after(ctx, read, move |room, events: Result<Vec<Event>, StoreError>, ctx| {
            room.reading_replay = false;
            match events {
                // The log goes on, but in words that this version doesn't know: another node may.
                Ok(events) if events.is_empty() => {
                    room.guests.break_off(|_, behind| behind.pace == Pace::Turn && behind.position == after);
                }
                Ok(events) => room.feed(after, &events, &readers, changes),
                Err(error) => {
                    tracing::warn!(room = %room.room, %error, "could not read a replay");
                    room.guests.break_off(|_, behind| behind.pace == Pace::Turn);
                }
            }
            room.expect_what_is_missing(ctx);
            room.advance_all(ctx);
        });
    }

    /// Gives each reader that it helps its part of a page of the log that begins after `after`, read when
    /// the ring had seen so many `changes`.
    fn feed(&mut self, after: Seq, events: &[Event], readers: &BTreeMap<SessionId, Seq>, changes: u64) {
        let Some(delivered) = self.view.as_ref().map(|view| view.delivered) else { return };
        let (frames_max, bytes_max) = self.page_max();
        let told: Vec<&Event> = events.iter().take_while(|event| event.seq <= delivered).collect();
        for event in &told {
            // It may have committed before this actor knew the room, and its answer be on its way.
            if let EventBody::MessagePosted(message) = &event.body {
                self.found_in_log(message);
            }
        }
        let frames: Vec<Bytes> = told.iter().copied().map(event_frame).collect();
        if let Some(view) = self.view.as_mut().filter(|view| view.ring.changes() == changes) {
            view.ring.push_before(&frames, &told);
        }
        // Those who are at the same position share the bytes.
        let mut pages: BTreeMap<Seq, Option<Batch>> = BTreeMap::new();
        for (id, start) in readers {
            let Some(seat) = self.guests.get_mut(*id) else { continue };
            let Some(position) = seat.in_turn().map(|behind| behind.position) else { continue };
            if position != *start {
                continue;
            }
            let page = pages.entry(position).or_insert_with(|| {
                let skipped = usize::try_from(position.0 - after.0).unwrap_or(usize::MAX);
                let mut builder = BatchBuilder::after(position);
                for frame in frames.iter().skip(skipped).take(frames_max) {
                    builder.push(frame);
                    if builder.len() >= bytes_max {
                        break;
                    }
                }
                builder.finish()
            });
            if let Some(page) = page {
                send_page(seat, self.room, page.clone());
            }
        }
    }

    fn go_live(&mut self, id: SessionId) {
        let Some(seat) = self.guests.get(id) else { return };
        let Phase::CatchingUp(behind) = &seat.phase else { return };
        let Behind { position, resumes, .. } = **behind;
        let room = self.room;
        if resumes {
            seat.guest.outbox.send(&ServerFrame::Synced { room_id: room, seq: position });
        }
        self.tell_states(id);
        if let Some(seat) = self.guests.get_mut(id) {
            let outbox = &seat.guest.outbox;
            outbox.switchboard.do_send(Enter { room, outbox: outbox.id, position });
            seat.phase = Phase::Live;
        }
        self.guests.catching_up.remove(&id);
    }
}

impl Seat {
    /// How far it is, where it may be sent a page now.
    fn in_turn(&self) -> Option<&Behind> {
        match &self.phase {
            Phase::CatchingUp(behind) if behind.pace == Pace::Turn => Some(behind),
            _ => None,
        }
    }
}

impl Guests {
    fn behind(&self) -> impl Iterator<Item = (SessionId, &Behind)> {
        self.catching_up.iter().filter_map(|id| match &self.seats.get(id)?.phase {
            Phase::CatchingUp(behind) => Some((*id, &**behind)),
            _ => None,
        })
    }

    /// Those who go live only when more than what is up to `position` has been delivered.
    pub(in crate::room) fn waiting_for_more_than(&self, position: Seq) -> BTreeSet<SessionId> {
        self.behind().filter(|(_, behind)| behind.target > position).map(|(id, _)| id).collect()
    }

    /// Ends the sockets of those who can't be given what they miss; they come back and resume.
    pub(in crate::room) fn break_off(&mut self, is_stuck: impl Fn(SessionId, &Behind) -> bool) {
        let stuck: Vec<SessionId> =
            self.behind().filter(|(id, behind)| is_stuck(*id, behind)).map(|(id, _)| id).collect();
        for id in stuck {
            if let Some(seat) = self.remove(id) {
                seat.guest.outbox.close(CloseCode::Internal);
            }
        }
    }
}

/// Sends a guest its page; its turn ends with that.
fn send_page(seat: &mut Seat, room: RoomId, page: Batch) {
    let Phase::CatchingUp(behind) = &mut seat.phase else { return };
    (behind.position, behind.pace) = (page.last(), Pace::Idle);
    let frames = u32::try_from(page.ends.len()).unwrap_or(u32::MAX);
    let outbox = &seat.guest.outbox;
    outbox.switchboard.do_send(Replay { outbox: outbox.id, bytes: page.bytes, frames, room });
}

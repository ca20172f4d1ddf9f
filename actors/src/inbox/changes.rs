//! Changes that the inboxes hear of: events and signals of rooms, heads from the feed, and new names.

use std::sync::Arc;

use actix::Handler;

use super::InboxActor;
use super::viewer::RoomPreview;
use crate::domain::event::{AudienceChange, Event, EventFacts, EventSubject, InboxChange};
use crate::domain::ids::{RoomId, Seq, UserId};
use crate::domain::signal::Signal;
use crate::messages::inbox::{CheckHeads, EventsCommitted, RecheckRow, UserRenamed};

impl Handler<EventsCommitted> for InboxActor {
    type Result = ();

    fn handle(
        &mut self,
        EventsCommitted { room, events, signals }: EventsCommitted,
        ctx: &mut Self::Context,
    ) {
        if !self.has_current_epoch() {
            return;
        }
        for event in events.iter() {
            self.apply_event(room, event);
            self.tell_addressee(event);
        }
        for signal in &signals {
            self.apply_signal(room, signal);
            if let Signal::OwnState { user } = signal {
                self.read_personal_log(*user, ctx);
            }
        }
        self.schedule_flush(ctx);
    }
}

impl Handler<CheckHeads> for InboxActor {
    type Result = ();

    fn handle(&mut self, CheckHeads(heads): CheckHeads, ctx: &mut Self::Context) {
        if !self.has_current_epoch() {
            return;
        }
        for (room, head) in heads {
            self.note_head(room, head);
            for user in self.viewed_rooms.viewers(room) {
                if self.row(user, room).is_some_and(|row| row.head < head) {
                    self.make_stale(user, room, false);
                }
            }
        }
        self.schedule_flush(ctx);
    }
}

impl Handler<RecheckRow> for InboxActor {
    type Result = ();

    fn handle(&mut self, RecheckRow { room, user, is_new }: RecheckRow, ctx: &mut Self::Context) {
        let is_known = self.row(user, room).is_some();
        if !(is_new && is_known) {
            self.make_stale(user, room, is_new);
        }
        self.schedule_flush(ctx);
    }
}

impl Handler<UserRenamed> for InboxActor {
    type Result = ();

    fn handle(&mut self, UserRenamed { user, is_news }: UserRenamed, ctx: &mut Self::Context) {
        if self.viewed_rooms.is_empty() && self.reads.is_empty() {
            return;
        }
        *self.renamed.entry(user).or_default() |= is_news;
        if !self.reads.is_empty() {
            self.renamed_during_read.insert(user);
        }
        self.schedule_flush(ctx);
    }
}

impl InboxActor {
    fn apply_event(&mut self, room: RoomId, event: &Event) {
        let facts = event.body.facts();
        if let Some(participant) = facts.joined() {
            let user = participant.user.id;
            // A row that is newer than the event includes it.
            if self.row(user, room).is_none_or(|row| row.head < event.seq) {
                self.make_stale(user, room, true);
            }
        }
        if let Some(participant) = facts.left() {
            self.participant_left(participant.user.id, room, event.seq);
        }
        if facts.audience == AudienceChange::Closed {
            return self.room_closed(room, event.seq);
        }
        self.note_head(room, event.seq);
        self.update_rows(room, event.seq, &facts);
    }

    fn participant_left(&mut self, user: UserId, room: RoomId, at: Seq) {
        if let Some(read) = self.reads.get_mut(&user) {
            read.note_left(room, at);
        }
        match self.row(user, room) {
            // The user has come back, and the event is late.
            Some(row) if row.head >= at => {}
            Some(_) => self.remove_row(user, room),
            // The user was in the room for a moment, and may have read that by REST.
            None => self.make_stale(user, room, true),
        }
    }

    fn room_closed(&mut self, room: RoomId, at: Seq) {
        let mut joining = Vec::new();
        for (user, read) in &mut self.reads {
            read.note_left(room, at);
            joining.extend(read.always_sends(room).then_some(*user));
        }
        // Users who have just joined may have read that by REST.
        for user in joining {
            self.make_stale(user, room, true);
        }
        self.note_head(room, at);
        for user in self.viewed_rooms.viewers(room) {
            self.remove_row(user, room);
        }
    }

    /// Applies an event to the rows of a room, if it is the next event for them.
    fn update_rows(&mut self, room: RoomId, seq: Seq, facts: &EventFacts<'_>) {
        // Most viewers share a preview, and share the new one too.
        let mut shared: Option<(Arc<RoomPreview>, Arc<RoomPreview>)> = None;
        for user in self.viewed_rooms.viewers(room) {
            let Some(row) = self.viewers.get_mut(&user).and_then(|viewer| viewer.row_mut(room)) else {
                continue;
            };
            if seq <= row.head {
                continue;
            }
            if seq != row.head.next() {
                self.make_stale(user, room, true);
                continue;
            }
            row.head = seq;
            match (facts.inbox, facts.subject) {
                (InboxChange::NewMessage, EventSubject::NewMessage(message)) => {
                    let (before, after) = shared
                        .take_if(|(before, _)| Arc::ptr_eq(before, &row.preview))
                        .unwrap_or_else(|| (row.preview.clone(), Arc::new(row.preview.after(message))));
                    row.add_message(user, message, after.clone());
                    shared = Some((before, after));
                    self.changed_rows.insert((user, room));
                }
                // A change of an older message than the one that is shown changes at most what is counted.
                (InboxChange::ChangedMessage, EventSubject::Message(message))
                    if row.preview.is_newer_than(message) && !row.may_count_mention(user, message) => {}
                (InboxChange::Same, _) => {}
                _ => self.make_stale(user, room, true),
            }
        }
        if let Some((_, preview)) = shared {
            self.viewed_rooms.set_preview(room, preview);
        }
    }

    fn apply_signal(&mut self, room: RoomId, signal: &Signal) {
        match signal {
            Signal::Read(mark) => {
                let row = self.row(mark.user, room);
                let is_known = row.is_some();
                // A read mark only moves forward: a row that includes it need not be read again.
                if row.is_none_or(|row| !row.has_read(mark.up_to)) {
                    self.make_stale(mark.user, room, is_known);
                }
            }
            Signal::OwnState { user } => {
                self.make_stale(*user, room, self.row(*user, room).is_some());
            }
            Signal::Typing { .. } | Signal::Presence { .. } => {}
        }
    }

    /// Has the rows read again that show renamed users.
    pub(super) fn refresh_renamed(&mut self) {
        let renamed = std::mem::take(&mut self.renamed);
        if renamed.is_empty() {
            return;
        }
        let mut stale = Vec::new();
        for (user, viewer) in &self.viewers {
            for row in viewer.rows() {
                let always_send = row.preview.users().filter_map(|shown| renamed.get(&shown)).max();
                stale.extend(always_send.map(|always_send| (*user, row.room, *always_send)));
            }
        }
        for (user, room, always_send) in stale {
            self.make_stale(user, room, always_send);
        }
    }

    fn note_head(&mut self, room: RoomId, head: Seq) {
        if !self.reads.is_empty() {
            let seen = self.heads_seen.entry(room).or_insert(head);
            *seen = head.max(*seen);
        }
    }
}

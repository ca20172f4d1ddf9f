//! The room's own state: its name, title, settings, archiving and end.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::aggregate::RoomAggregate;
use super::command::{
    CommandOutcome, CommandReply, CommandRules, Principal, Refusal, RequiredState, RoomPatch,
};
use super::event::{
    AudienceChange, Event, EventBody, EventFacts, EventRules, EventSubject, InboxChange, LogRow,
};
use crate::domain::ids::{RoomId, Seq};
use crate::domain::permission::Action;
use crate::domain::room::{Room, RoomView};
use crate::domain::room_settings::{RecordedChanges, RoomSettings};

/// The event of a room that was created.
pub enum RoomCreatedEvent {}

/// The event of a room whose state changed.
pub enum RoomUpdatedEvent {}

/// The event of a room that was deleted.
pub(super) enum RoomDeletedEvent {}

/// A change of the room's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomUpdate {
    /// The room after it.
    #[serde(flatten)]
    pub room: Room,
    /// What changed.
    #[serde(default, skip_serializing_if = "RecordedChanges::is_empty")]
    pub changed: RecordedChanges,
}

/// A frame that carries the room.
#[derive(Serialize)]
pub struct RoomFrame<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    room_id: RoomId,
    seq: Seq,
    room: RoomView<'a>,
}

impl<'a> RoomFrame<'a> {
    fn of(event: &Event, room: &'a Room) -> Self {
        Self { kind: RoomUpdatedEvent::FRAME_TYPE, room_id: event.room, seq: event.seq, room: room.into() }
    }
}

impl EventRules for RoomCreatedEvent {
    type Payload = Room;
    type Frame<'a> = RoomFrame<'a>;

    const STORE_NAME: &'static str = "room_created";
    const FRAME_TYPE: &'static str = "room_updated";

    fn facts(room: &Room) -> EventFacts<'_> {
        EventFacts { inbox: InboxChange::Changed, ..EventFacts::about(EventSubject::NewRoom(room)) }
    }

    fn frame<'a>(event: &'a Event, room: &'a Room) -> RoomFrame<'a> {
        RoomFrame::of(event, room)
    }

    fn restore(row: &impl LogRow) -> Room {
        row.room()
    }
}

impl EventRules for RoomUpdatedEvent {
    type Payload = RoomUpdate;
    type Frame<'a> = RoomFrame<'a>;

    const STORE_NAME: &'static str = "room_updated";

    fn facts(update: &RoomUpdate) -> EventFacts<'_> {
        EventFacts { inbox: InboxChange::Changed, ..EventFacts::about(EventSubject::Room(&update.room)) }
    }

    fn frame<'a>(event: &'a Event, update: &'a RoomUpdate) -> RoomFrame<'a> {
        RoomFrame::of(event, &update.room)
    }

    fn data(update: &RoomUpdate) -> Option<serde_json::Value> {
        (!update.changed.is_empty()).then(|| json!({ "changed": update.changed }))
    }

    fn restore(row: &impl LogRow) -> RoomUpdate {
        let changed = row.data().and_then(|data| RecordedChanges::deserialize(&data["changed"]).ok());
        RoomUpdate { room: row.room(), changed: changed.unwrap_or_default() }
    }
}

impl EventRules for RoomDeletedEvent {
    type Payload = ();
    type Frame<'a> = ();

    const STORE_NAME: &'static str = "room_deleted";
    const FRAME_TYPE: &'static str = "room_removed";

    fn facts((): &()) -> EventFacts<'_> {
        EventFacts { audience: AudienceChange::Closed, ..EventFacts::about(EventSubject::DeletedRoom) }
    }

    fn frame<'a>(_: &'a Event, (): &'a ()) {}

    fn restore(_: &impl LogRow) {}
}

pub(super) fn rules() -> CommandRules {
    CommandRules::of(Action::ManageRoom)
}

pub(super) fn update_rules(patch: &RoomPatch) -> CommandRules {
    let slow_mode = patch.settings.slow_mode_seconds;
    let starts_slow_mode = slow_mode.is_some_and(|seconds| seconds.interval().is_some());
    CommandRules {
        required: RequiredState { starts_slow_mode, ..RequiredState::default() },
        ..CommandRules::of(RoomSettings::CHANGED_BY)
    }
}

/// What the log records of a change of the room.
fn recorded_changes(before: &Room, after: &Room) -> RecordedChanges {
    let mut changed = before.settings.changes(&after.settings);
    let texts = [("name", before.name != after.name), ("title", before.title != after.title)];
    changed
        .extend(texts.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| (name.to_owned(), None)));
    let archived = [before, after].map(|room| room.archived_at.is_some());
    if archived[0] != archived[1] {
        changed.insert("archived".to_owned(), Some(archived.map(Into::into)));
    }
    changed
}

impl RoomAggregate {
    pub(super) fn update(&mut self, by: Principal, patch: &RoomPatch) -> CommandOutcome {
        self.update_room(by, |room, _| {
            if let Some(name) = &patch.name {
                name.clone_into(&mut room.name);
            }
            patch.settings.apply_to(&mut room.settings);
        })
    }

    pub(super) fn archive(&mut self, by: Principal) -> CommandOutcome {
        self.update_room(by, |room, now| {
            room.archived_at.get_or_insert(now);
        })
    }

    pub(super) fn unarchive(&mut self, by: Principal) -> CommandOutcome {
        self.update_room(by, |room, _| room.archived_at = None)
    }

    pub(super) fn delete_room(&mut self, by: Principal) -> Result<CommandOutcome, Refusal> {
        if self.room.is_held {
            return Err(Refusal::OnHold);
        }
        self.room.is_deleted = true;
        let event = self.event(by, EventBody::RoomDeleted);
        Ok(CommandOutcome::of(vec![event], CommandReply::Done))
    }

    /// Changes the room; a change that leaves it as it was makes no event.
    pub(super) fn update_room(
        &mut self,
        by: Principal,
        change: impl FnOnce(&mut Room, DateTime<Utc>),
    ) -> CommandOutcome {
        let before = self.room.clone();
        change(&mut self.room, self.now);
        if self.room == before {
            return CommandOutcome::of(Vec::new(), CommandReply::Room(Box::new(before)));
        }
        let mut room = self.room.clone();
        room.head = room.head.next();
        room.modified_at = self.now;
        let update = RoomUpdate { changed: recorded_changes(&before, &room), room: room.clone() };
        let event = self.event(by, EventBody::RoomUpdated(Box::new(update)));
        CommandOutcome::of(vec![event], CommandReply::Room(Box::new(room)))
    }
}

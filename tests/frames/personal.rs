//! Frames of a personal log.

use actors::domain::ids::{PersonalSeq, Seq};
use actors::domain::notifications::Notification;
use actors::domain::notifications::rules::TellingRule;
use actors::domain::participant::NotificationLevel;
use actors::domain::personal::{PersonalEntry, PersonalState, ScheduledMessage, ScheduledState};
use actors::protocol::personal::PersonalFrame;
use uuid::Uuid;

use crate::server::{ANSWERED, BuiltFrames, EPOCH, MESSAGE, ROOM, SEND, at};

const REMINDER: Uuid = Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0007);
const NOTIFICATION: Uuid = Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0009);
const SCHEDULED: Uuid = Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0008);

/// The number of types.
pub(crate) const KINDS: usize = 11;

/// The name of a frame's variant. The compiler requires an arm for a new variant, and the test of all frames its
/// file.
fn kind(frame: &PersonalFrame<'_>) -> &'static str {
    match frame {
        PersonalFrame::PersonalSynced { .. } => "personal_synced",
        PersonalFrame::PersonalReset { .. } => "personal_reset",
        PersonalFrame::RoomSettings { .. } => "room_settings",
        PersonalFrame::Draft { .. } => "draft",
        PersonalFrame::Saved { .. } => "saved",
        PersonalFrame::Reminder { .. } => "reminder",
        PersonalFrame::ReminderRemoved { .. } => "reminder_removed",
        PersonalFrame::Scheduled { .. } => "scheduled",
        PersonalFrame::ScheduledRemoved { .. } => "scheduled_removed",
        PersonalFrame::Notification { .. } => "notification",
        PersonalFrame::NotificationGone { .. } => "notification_gone",
    }
}

/// Adds a frame of each type.
pub(crate) fn add(built: &mut BuiltFrames) {
    let (position, epoch, room_id) = (PersonalSeq(17), EPOCH, ROOM);
    let mut add = |variation, frame: PersonalFrame<'_>| built.add_kind(kind(&frame), variation, &frame);
    add("", PersonalFrame::PersonalSynced { position });
    add("", PersonalFrame::PersonalReset { position, epoch });
    let (level, favourite, muted_until) = (NotificationLevel::Mentions, true, Some(at(90)));
    add("", PersonalFrame::RoomSettings { room_id, is_muted: true, muted_until, level, favourite, position });
    let draft = |content, reply_to_id| PersonalFrame::Draft {
        room_id,
        content,
        reply_to_id,
        updated_at: at(2),
        position,
    };
    add("", draft("The boiler is ", Some(MESSAGE)));
    add("ended", draft("", None));
    let message_id = MESSAGE;
    add("", PersonalFrame::Saved { message_id, room_id: Some(ROOM), saved_at: Some(at(3)), position });
    add("ended", PersonalFrame::Saved { message_id, room_id: None, saved_at: None, position });
    let reminder = |fired_at| PersonalFrame::Reminder {
        id: REMINDER,
        room_id,
        message_id,
        at: at(60),
        fired_at,
        position,
    };
    add("", reminder(None));
    add("fired", reminder(Some(at(60))));
    add("", PersonalFrame::ReminderRemoved { id: REMINDER, position });
    let scheduled = |content, state, error, message| {
        let entry = PersonalEntry {
            position,
            state: PersonalState::Scheduled(ScheduledMessage {
                id: SCHEDULED,
                room: ROOM,
                client_id: SEND,
                content,
                reply_to: Some(MESSAGE),
                at: at(120),
                created_at: at(4),
                state,
                error,
                message,
            }),
        };
        serde_json::to_value(PersonalFrame::from(&entry)).expect("JSON")
    };
    let text = || "The plumber comes at nine.".to_owned();
    let waiting = scheduled(text(), ScheduledState::Pending, None, None);
    let failed = scheduled(text(), ScheduledState::Failed, Some("archived".to_owned()), None);
    let sent = scheduled(String::new(), ScheduledState::Sent, None, Some(ANSWERED));
    add("", PersonalFrame::ScheduledRemoved { id: SCHEDULED, position });
    let notification = PersonalEntry {
        position,
        state: PersonalState::Notification(Notification {
            id: NOTIFICATION,
            rule: TellingRule::Mention,
            room: ROOM,
            seq: Seq(4),
            message: MESSAGE,
            title: "Boiler".to_owned(),
            body: "Ann Smith: @bob can you come?".to_owned(),
        }),
    };
    add("", PersonalFrame::from(&notification));
    let gone = PersonalEntry { position, state: PersonalState::NotificationGone(NOTIFICATION) };
    add("", PersonalFrame::from(&gone));
    for (variation, frame) in [("", waiting), ("failed", failed), ("sent", sent)] {
        built.add_kind("scheduled", variation, &frame);
    }
}

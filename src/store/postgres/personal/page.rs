//! Reading personal logs, each entry with what it is about as it is now.

use actors::domain::ids::{MessageId, PersonalSeq, RoomId, UserId};
use actors::domain::personal::{
    Draft, OwnRoomSettings, PersonalBounds, PersonalEntry, PersonalKind, PersonalPage, PersonalState,
    SavedMessage,
};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::reminders::{REMINDER_WIDTH, reminder_columns, reminder_of};
use super::scheduled::{scheduled_columns, scheduled_of};
use crate::store::postgres::notifications;
use crate::store::postgres::rows::level;
use crate::store::postgres::rules::is_muted;

const BOUNDS: &str = "SELECT head, pruned FROM personal_heads WHERE user_id = $1";

/// One statement, so that entries and bounds agree. Of several entries about one thing only the last is read.
const PAGE: &str = concat!(
    "SELECT h.head, h.pruned, l.position, l.kind, l.id, ",
    is_muted!("p"),
    ", p.muted_until, l.at, d.content, d.reply_to, d.updated_at, s.room_id, s.saved_at, ",
    reminder_columns!(),
    ", p.level, p.is_favourite, ",
    scheduled_columns!(),
    "
     FROM personal_heads h LEFT JOIN LATERAL (
         SELECT l.position, l.kind, l.id, l.at FROM personal_log l
         WHERE l.user_id = h.user_id AND l.position > $2 AND NOT EXISTS (
             SELECT FROM personal_log newer WHERE newer.user_id = l.user_id AND newer.kind = l.kind
                 AND newer.id = l.id AND newer.position > l.position)
         ORDER BY l.position LIMIT $3) l ON true
     LEFT JOIN participants p ON l.kind = 'room_settings' AND p.room_id = l.id AND p.user_id = h.user_id
     LEFT JOIN drafts d ON l.kind = 'draft' AND d.user_id = h.user_id AND d.room_id = l.id
     LEFT JOIN saved_messages s ON l.kind = 'saved' AND s.user_id = h.user_id AND s.message_id = l.id
     LEFT JOIN reminders r ON l.kind = 'reminder' AND r.id = l.id AND r.user_id = h.user_id
     LEFT JOIN scheduled_messages q ON l.kind = 'scheduled' AND q.id = l.id AND q.user_id = h.user_id
     WHERE h.user_id = $1 ORDER BY l.position"
);

/// How many columns precede the state that an entry is about.
const STATE: usize = 5;
const REMINDER: usize = STATE + 8;
const LEVEL: usize = REMINDER + REMINDER_WIDTH;
const SCHEDULED: usize = LEVEL + 2;

/// Reads how far a user's log reaches.
pub(crate) async fn bounds(client: &ClientWrapper, user: UserId) -> Result<PersonalBounds, Error> {
    let statement = client.prepare_cached(BOUNDS).await?;
    let row = client.query_opt(&statement, &[&user.0]).await?;
    Ok(row.as_ref().map(bounds_of).unwrap_or_default())
}

/// See [`actors::ports::store::Store::personal_log`].
pub(crate) async fn read(
    client: &ClientWrapper,
    user: UserId,
    after: PersonalSeq,
    limit: usize,
) -> Result<PersonalPage, Error> {
    let statement = client.prepare_cached(PAGE).await?;
    let rows_max = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = client.query(&statement, &[&user.0, &after.0, &rows_max]).await?;
    let bounds = rows.first().map(bounds_of).unwrap_or_default();
    let position = |row: &Row| row.get::<_, Option<i64>>(2).map(PersonalSeq);
    // A full page may be followed by others.
    let last = rows.last().filter(|_| rows.len() == limit).and_then(position);
    let entries =
        rows.iter().filter_map(|row| Some(PersonalEntry { position: position(row)?, state: state(row)? }));
    let mut entries: Vec<PersonalEntry> = entries.collect();
    show_notifications(client, user, &mut entries).await?;
    Ok(PersonalPage { bounds, entries, through: last.unwrap_or(bounds.head) })
}

/// Puts the notifications that are still there in place of those that are gone. They are read after the page: what
/// changes in between has an entry behind it.
async fn show_notifications(
    client: &ClientWrapper,
    user: UserId,
    entries: &mut [PersonalEntry],
) -> Result<(), Error> {
    let ids: Vec<Uuid> = entries
        .iter()
        .filter_map(|entry| match entry.state {
            PersonalState::NotificationGone(id) => Some(id),
            _ => None,
        })
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut shown = notifications::shown(client, user, &ids).await?;
    for entry in entries {
        if let PersonalState::NotificationGone(id) = entry.state
            && let Some(notification) = shown.remove(&id)
        {
            entry.state = PersonalState::Notification(notification);
        }
    }
    Ok(())
}

fn bounds_of(row: &Row) -> PersonalBounds {
    PersonalBounds { head: PersonalSeq(row.get(0)), pruned: PersonalSeq(row.get(1)) }
}

/// What an entry is about, as it is now; `None` for a kind that only newer nodes know.
fn state(row: &Row) -> Option<PersonalState> {
    let id: Uuid = row.get(4);
    Some(match PersonalKind::parse(row.get(3))? {
        PersonalKind::RoomSettings => {
            let is_muted = row.get::<_, Option<bool>>(STATE)?;
            let muted_until = row.get::<_, Option<_>>(STATE + 1).filter(|_| is_muted);
            PersonalState::RoomSettings(OwnRoomSettings {
                room: RoomId(id),
                is_muted,
                muted_until,
                level: level(row, LEVEL),
                is_favourite: row.get(LEVEL + 1),
            })
        }
        // A draft that was ended has no row.
        PersonalKind::Draft => PersonalState::Draft(Draft {
            room: RoomId(id),
            content: row.get::<_, Option<_>>(STATE + 3).unwrap_or_default(),
            reply_to: row.get::<_, Option<_>>(STATE + 4).map(MessageId),
            updated_at: row.get::<_, Option<_>>(STATE + 5).unwrap_or_else(|| row.get(STATE + 2)),
        }),
        PersonalKind::Saved => {
            let room = row.get::<_, Option<_>>(STATE + 6).map(RoomId);
            PersonalState::Saved(SavedMessage { message: MessageId(id), saved: room.zip(row.get(STATE + 7)) })
        }
        PersonalKind::Reminder => {
            reminder_of(row, REMINDER).map_or(PersonalState::ReminderRemoved(id), PersonalState::Reminder)
        }
        PersonalKind::Scheduled => {
            scheduled_of(row, SCHEDULED).map_or(PersonalState::ScheduledRemoved(id), PersonalState::Scheduled)
        }
        PersonalKind::Notification => PersonalState::NotificationGone(id),
    })
}

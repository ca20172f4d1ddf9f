//! Locks the rooms of a batch and reads what its commands need, into one aggregate per room.
//!
//! A statement's snapshot is older than its wait for a lock. So the locking statement reads only the room's
//! own row, which it returns in its newest version, and everything else is read by statements that begin
//! afterwards. It may read the clock, because a room's times never precede those in its row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actors::domain::aggregate::RoomAggregate;
use actors::domain::command::Command;
use actors::domain::ids::{ClientId, FileId, MessageId, ParticipantId, RoomId, Seq, UploadId, UserId};
use actors::domain::room::RoomType;
use actors::domain::row_change::{RowSelection, Table};
use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use futures_util::future::{join_all, try_join_all};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::feature_tables;
use crate::store::postgres::pool::pipeline::{prepare_if, query_if};
use crate::store::postgres::rows::{
    self, ROOM_WIDTH, message_columns, message_tables, participant_columns, participant_state_columns,
    room_columns, user_columns,
};
use crate::store::postgres::rules::last_post;

/// The time and the id of the transaction.
macro_rules! clock_columns {
    () => {
        "clock_timestamp(), pg_current_xact_id()::text"
    };
}

macro_rules! lock_rooms {
    ($wait:literal) => {
        concat!(
            "SELECT ",
            room_columns!(),
            ", ",
            clock_columns!(),
            " FROM rooms r WHERE r.id = ANY($1) ORDER BY r.id FOR NO KEY UPDATE ",
            $wait
        )
    };
}

/// Locks rooms in the one order in which rooms are locked. The clock follows the columns of the room.
pub(super) const LOCK_ROOMS: &str = lock_rooms!("");
const LOCK_UNLOCKED_ROOMS: &str = lock_rooms!("SKIP LOCKED");

/// The clock alone, for a room that doesn't exist yet.
pub(super) const CLOCK: &str = concat!("SELECT ", clock_columns!());

// A plan outlives the table sizes that it was made for. Rows of many keys are looked up one key at a time
// (`LIMIT 1`), so that no plan made for an empty table scans it once it has grown.

const PARTICIPANTS: &str = concat!(
    "SELECT ",
    participant_columns!(),
    ", ",
    participant_state_columns!(),
    " FROM unnest($1::uuid[], $2::bigint[]) k (room_id, user_id) \
     CROSS JOIN LATERAL (SELECT * FROM participants \
     WHERE room_id = k.room_id AND user_id = k.user_id LIMIT 1) p \
     CROSS JOIN LATERAL (SELECT * FROM people WHERE id = p.user_id LIMIT 1) u"
);

/// How many are in each of the given rooms.
const PARTICIPANT_COUNTS: &str = "SELECT k.room_id, \
     (SELECT count(*) FROM participants WHERE room_id = k.room_id AND left_at IS NULL) \
     FROM unnest($1::uuid[]) k (room_id)";

/// Everyone who is or was in the given rooms.
pub(super) const ROSTERS: &str = concat!(
    "SELECT ",
    participant_columns!(),
    ", ",
    participant_state_columns!(),
    " FROM participants p JOIN people u ON u.id = p.user_id WHERE p.room_id = ANY($1)"
);

/// Users of the directory.
pub(super) const USERS: &str = concat!("SELECT ", user_columns!(), " FROM people u WHERE u.id = ANY($1)");

pub(super) const UNUSED_PARTICIPANT_IDS: &str =
    "SELECT nextval(pg_get_serial_sequence('participants', 'id')) FROM generate_series(1, $1::bigint)";

/// Messages, each with the root of its thread.
const MESSAGES: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM unnest($1::uuid[], $2::uuid[]) k (room_id, id) \
     CROSS JOIN LATERAL (SELECT * FROM messages WHERE room_id = k.room_id AND id = k.id LIMIT 1) named \
     CROSS JOIN LATERAL (SELECT named.* UNION ALL \
     (SELECT * FROM messages WHERE room_id = named.room_id AND id = named.thread_root LIMIT 1)) m",
    message_tables!()
);

/// The newest `$3` undeleted replies in the threads of messages that are replies.
const NEWEST_REPLIES: &str = "SELECT k.room_id, named.thread_root, r.seq, r.created_at \
     FROM unnest($1::uuid[], $2::uuid[]) k (room_id, id) \
     CROSS JOIN LATERAL (SELECT thread_root FROM messages WHERE room_id = k.room_id AND id = k.id LIMIT 1) named \
     CROSS JOIN LATERAL (SELECT seq, created_at FROM messages \
     WHERE room_id = k.room_id AND thread_root = named.thread_root AND deleted_at IS NULL \
     ORDER BY seq DESC LIMIT $3) r";

/// The client ids that were used before. There are hardly any, so their messages are read separately.
const USED_CLIENT_IDS: &str = "SELECT k.room_id, k.sender_id, k.client_id \
     FROM unnest($1::uuid[], $2::bigint[], $3::uuid[]) k (room_id, sender_id, client_id) \
     CROSS JOIN LATERAL (SELECT FROM messages \
     WHERE room_id = k.room_id AND sender_id = k.sender_id AND client_id = k.client_id LIMIT 1) m";

const SENT_BY_CLIENT_ID: &str = concat!(
    "SELECT ",
    message_columns!(),
    ", m.client_digest \
     FROM unnest($1::uuid[], $2::bigint[], $3::uuid[]) k (room_id, sender_id, client_id) \
     CROSS JOIN LATERAL (SELECT * FROM messages \
     WHERE room_id = k.room_id AND sender_id = k.sender_id AND client_id = k.client_id LIMIT 1) m",
    message_tables!()
);

/// Those of the given files that are still there. They can't be deleted until the transaction has ended.
const FILES: &str = "SELECT f.id FROM unnest($1::uuid[]) k (id) CROSS JOIN LATERAL \
     (SELECT id FROM files WHERE id = k.id LIMIT 1 FOR KEY SHARE) f";

/// Uploads that no message carries, each with its file. No other transaction attaches them until this one has ended.
const UPLOADS: &str = "SELECT u.id, u.user_id, u.refusal, f.id, f.name, f.size, f.content_type, f.width, f.height, \
     f.has_previews FROM unnest($1::uuid[]) k (id) \
     CROSS JOIN LATERAL (SELECT * FROM uploads WHERE id = k.id AND expires_at > now() LIMIT 1 FOR UPDATE) u \
     LEFT JOIN LATERAL (SELECT * FROM files WHERE id = u.file_id AND message_id IS NULL LIMIT 1 FOR UPDATE) f ON true";

const NEWEST: &str = "SELECT k.room_id, m.seq, m.id FROM unnest($1::uuid[]) k (room_id) CROSS JOIN LATERAL \
     (SELECT seq, id FROM messages WHERE room_id = k.room_id AND in_timeline ORDER BY seq DESC LIMIT 1) m";

/// When users sent their last messages, for slow mode.
const LAST_POSTS: &str = concat!(
    "SELECT k.room_id, k.user_id, ",
    last_post!("k.room_id", "k.user_id"),
    " FROM unnest($1::uuid[], $2::bigint[]) k (room_id, user_id)"
);

/// Those of the given rooms that exist.
const EXISTING: &str = "SELECT id FROM rooms WHERE id = ANY($1)";

/// The statements that a batch may begin with, which a connection of the engine prepares when it is opened.
pub(super) const PREPARED: [&str; 16] = [
    LOCK_ROOMS,
    LOCK_UNLOCKED_ROOMS,
    PARTICIPANTS,
    PARTICIPANT_COUNTS,
    ROSTERS,
    USERS,
    UNUSED_PARTICIPANT_IDS,
    MESSAGES,
    NEWEST_REPLIES,
    USED_CLIENT_IDS,
    SENT_BY_CLIENT_ID,
    FILES,
    UPLOADS,
    NEWEST,
    LAST_POSTS,
    EXISTING,
];

/// The rows that the commands of a batch need.
#[derive(Default)]
pub(super) struct BatchNeeds {
    rooms: BTreeSet<Uuid>,
    participants: BTreeSet<(Uuid, i64)>,
    participant_counts: BTreeSet<Uuid>,
    rosters: BTreeSet<Uuid>,
    users: BTreeSet<i64>,
    /// The number of commands in a room that may each add a user who was never in it.
    joins: BTreeMap<Uuid, i64>,
    messages: BTreeSet<(Uuid, Uuid)>,
    /// Messages of whose threads the newest replies are needed.
    replies: BTreeSet<(Uuid, Uuid)>,
    sent: BTreeSet<(Uuid, i64, Uuid)>,
    /// In the order in which files are locked.
    files: BTreeSet<Uuid>,
    /// In the order in which uploads are locked.
    uploads: BTreeSet<Uuid>,
    newest: BTreeSet<Uuid>,
    rows: BTreeSet<RowSelection>,
    /// Rooms of which both participants are needed where they are direct ones.
    partners: BTreeSet<Uuid>,
    /// Users whose last messages are needed where slow mode is on.
    last_posts: BTreeSet<(Uuid, i64)>,
    /// Rooms in which a command of the batch may start slow mode.
    slow_mode_starts: BTreeSet<Uuid>,
}

impl BatchNeeds {
    pub(super) fn by(batch: &[Arc<Command>]) -> Self {
        let mut needs = Self::default();
        for command in batch {
            let (room, required) = (command.room.0, command.required_state());
            needs.rooms.insert(room);
            let participants = required.participant.iter().chain(&required.participants);
            needs.participants.extend(participants.map(|user| (room, user.0)));
            if required.participant_count {
                needs.participant_counts.insert(room);
            }
            let messages = [required.message, required.thread].into_iter().flatten();
            needs.messages.extend(messages.map(|message| (room, message.0)));
            needs.replies.extend(required.replies.map(|message| (room, message.0)));
            needs.sent.extend(required.sent.iter().map(|(user, id)| (room, user.0, id.0)));
            needs.files.extend(required.files.iter().map(|file| file.0));
            needs.uploads.extend(required.uploads.iter().map(|upload| upload.0));
            if required.roster {
                needs.rosters.insert(room);
            }
            if required.newest {
                needs.newest.insert(room);
            }
            if let Some(user) = required.added_user {
                needs.users.insert(user.0);
                *needs.joins.entry(room).or_default() += 1;
            }
            needs.users.extend(required.staff.iter().chain(&required.author).map(|user| user.0));
            if required.partner {
                needs.partners.insert(room);
            }
            needs.rows.extend(required.rows);
            needs.last_posts.extend(required.last_post.map(|user| (room, user.0)));
            if required.starts_slow_mode {
                needs.slow_mode_starts.insert(room);
            }
        }
        needs
    }
}

/// The locked rooms of a batch with what was read of them.
pub(super) struct LockedRooms {
    pub(super) aggregates: BTreeMap<RoomId, RoomAggregate>,
    /// Rooms of the batch that exist but are locked by another transaction.
    pub(super) busy: BTreeSet<RoomId>,
    /// The id of the transaction; empty if no room was locked and so nothing can be written.
    pub(super) xid: String,
}

/// Begins a transaction, locks the rooms of `needs` and reads the rest, in one round trip. It takes a second
/// one if a message is posted to a direct room or to one with slow mode, a client id was used before or a room
/// wasn't locked.
pub(super) async fn load_locked(
    client: &ClientWrapper,
    needs: &BatchNeeds,
    wait: bool,
) -> Result<LockedRooms, Error> {
    let rooms: Vec<Uuid> = needs.rooms.iter().copied().collect();
    let (participant_rooms, participants): (Vec<_>, Vec<_>) = needs.participants.iter().copied().unzip();
    let (message_rooms, messages): (Vec<_>, Vec<_>) = needs.messages.iter().copied().unzip();
    let (deleted_rooms, deleted): (Vec<_>, Vec<_>) = needs.replies.iter().copied().unzip();
    // Even if the commands delete the newest ones, one is left.
    let replies = i64::try_from(deleted.len()).unwrap_or(i64::MAX).saturating_add(1);
    let (mut sent_rooms, mut senders, mut client_ids) = (Vec::new(), Vec::new(), Vec::new());
    for (room, sender, client_id) in &needs.sent {
        sent_rooms.push(*room);
        senders.push(*sender);
        client_ids.push(*client_id);
    }
    let counted_rooms: Vec<Uuid> = needs.participant_counts.iter().copied().collect();
    let rosters: Vec<Uuid> = needs.rosters.iter().copied().collect();
    let users: Vec<i64> = needs.users.iter().copied().collect();
    let files: Vec<Uuid> = needs.files.iter().copied().collect();
    let uploads: Vec<Uuid> = needs.uploads.iter().copied().collect();
    let newest: Vec<Uuid> = needs.newest.iter().copied().collect();
    let unused_ids: i64 = needs.joins.values().sum();

    let lock = client.prepare_cached(if wait { LOCK_ROOMS } else { LOCK_UNLOCKED_ROOMS }).await?;
    let statements = [
        prepare_if(client, PARTICIPANTS, !participants.is_empty()).await?,
        prepare_if(client, ROSTERS, !rosters.is_empty()).await?,
        prepare_if(client, USERS, !users.is_empty()).await?,
        prepare_if(client, UNUSED_PARTICIPANT_IDS, unused_ids > 0).await?,
        prepare_if(client, MESSAGES, !messages.is_empty()).await?,
        prepare_if(client, USED_CLIENT_IDS, !sent_rooms.is_empty()).await?,
        prepare_if(client, FILES, !files.is_empty()).await?,
        prepare_if(client, NEWEST, !newest.is_empty()).await?,
        prepare_if(client, NEWEST_REPLIES, !deleted.is_empty()).await?,
        prepare_if(client, PARTICIPANT_COUNTS, !counted_rooms.is_empty()).await?,
        prepare_if(client, UPLOADS, !uploads.is_empty()).await?,
    ];
    let feature_reads = feature_tables::read(&needs.rows);
    let feature_statements =
        try_join_all(feature_reads.iter().map(|(_, read)| client.prepare_cached(read.sql))).await?;
    // These are sent at once and in this order; each begins when the previous one has ended.
    let (
        begun,
        locked,
        participants,
        rosters,
        users,
        unused_ids,
        messages,
        used_client_ids,
        files,
        newest,
        replies,
        participant_counts,
        uploads,
        feature_rows,
    ) = futures_util::join!(
        client.batch_execute("BEGIN"),
        query_if(client, Some(&lock), [&rooms]),
        query_if(client, statements[0].as_ref(), [&participant_rooms, &participants]),
        query_if(client, statements[1].as_ref(), [&rosters]),
        query_if(client, statements[2].as_ref(), [&users]),
        query_if(client, statements[3].as_ref(), [&unused_ids]),
        query_if(client, statements[4].as_ref(), [&message_rooms, &messages]),
        query_if(client, statements[5].as_ref(), [&sent_rooms, &senders, &client_ids]),
        query_if(client, statements[6].as_ref(), [&files]),
        query_if(client, statements[7].as_ref(), [&newest]),
        query_if(client, statements[8].as_ref(), [&deleted_rooms, &deleted, &replies]),
        query_if(client, statements[9].as_ref(), [&counted_rooms]),
        query_if(client, statements[10].as_ref(), [&uploads]),
        join_all(
            feature_reads
                .iter()
                .zip(&feature_statements)
                .map(|((_, read), statement)| read.rows(client, statement))
        ),
    );
    begun?;
    let mut locked = LockedRooms::of(&locked?);
    locked.add_participants(&participants?);
    locked.add_participants(&rosters?);
    locked.add_users(&users?);
    locked.assign_participant_ids(&unused_ids?, needs);
    locked.add_messages(&messages?, &newest?);
    locked.add_replies(&replies?);
    locked.add_participant_counts(&participant_counts?);
    locked.add_files(&files?);
    locked.add_uploads(&uploads?);
    for ((table, _), rows) in feature_reads.iter().zip(feature_rows) {
        locked.add_feature_rows(table, &rows?);
    }
    locked.load_remaining(client, needs, &rooms, &used_client_ids?).await?;
    Ok(locked)
}

impl LockedRooms {
    /// Makes aggregates of the rows of [`LOCK_ROOMS`].
    pub(super) fn of(rows: &[Row]) -> Self {
        let mut locked = Self { aggregates: BTreeMap::new(), busy: BTreeSet::new(), xid: String::new() };
        for row in rows {
            let room = rows::room(row, 0);
            // A room's times never go backwards, whatever the clock does.
            let now = row.get::<_, DateTime<Utc>>(ROOM_WIDTH).max(room.modified_at);
            locked.aggregates.insert(room.id, RoomAggregate::new(room, now));
        }
        locked.xid = rows.first().map(|row| row.get(ROOM_WIDTH + 1)).unwrap_or_default();
        locked
    }

    fn add_participants(&mut self, rows: &[Row]) {
        for row in rows {
            let state = rows::participant_state(row);
            if let Some(aggregate) = self.aggregates.get_mut(&state.participant.room) {
                aggregate.participants.insert(state.participant.user.id, state);
            }
        }
    }

    fn add_participant_counts(&mut self, rows: &[Row]) {
        for row in rows {
            if let Some(aggregate) = self.aggregates.get_mut(&RoomId(row.get(0))) {
                aggregate.participant_count = Some(row.get(1));
            }
        }
    }

    fn add_users(&mut self, rows: &[Row]) {
        for row in rows {
            let user = rows::user(row);
            for aggregate in self.aggregates.values_mut() {
                aggregate.users.insert(user.summary.id, user.clone());
            }
        }
    }

    fn assign_participant_ids(&mut self, rows: &[Row], needs: &BatchNeeds) {
        let mut unused_ids = rows.iter().map(|row| ParticipantId(row.get(0)));
        for (room, joins) in &needs.joins {
            let ids: Vec<_> = unused_ids.by_ref().take(usize::try_from(*joins).unwrap_or_default()).collect();
            if let Some(aggregate) = self.aggregates.get_mut(&RoomId(*room)) {
                aggregate.fresh_ids = ids;
            }
        }
    }

    fn add_messages(&mut self, messages: &[Row], newest: &[Row]) {
        for row in messages {
            let message = rows::message(row, 0);
            if let Some(aggregate) = self.aggregates.get_mut(&message.room) {
                aggregate.messages.insert(message.id, message);
            }
        }
        for row in newest {
            if let Some(aggregate) = self.aggregates.get_mut(&RoomId(row.get(0))) {
                aggregate.newest = Some((Seq(row.get(1)), MessageId(row.get(2))));
            }
        }
    }

    fn add_replies(&mut self, rows: &[Row]) {
        for row in rows {
            if let Some(aggregate) = self.aggregates.get_mut(&RoomId(row.get(0))) {
                let replies = aggregate.replies.entry(MessageId(row.get(1))).or_default();
                replies.insert(Seq(row.get(2)), row.get(3));
            }
        }
    }

    fn add_files(&mut self, rows: &[Row]) {
        for row in rows {
            let file = FileId(row.get(0));
            for aggregate in self.aggregates.values_mut() {
                aggregate.files.insert(file);
            }
        }
    }

    fn add_uploads(&mut self, rows: &[Row]) {
        for row in rows {
            let (id, upload) = rows::upload(row);
            for aggregate in self.aggregates.values_mut() {
                aggregate.uploads.insert(id, upload.clone());
            }
        }
    }

    /// Lets no command of another room attach uploads that one has attached.
    pub(super) fn forget_uploads(&mut self, uploads: &[UploadId]) {
        for aggregate in self.aggregates.values_mut() {
            aggregate.uploads.retain(|id, _| !uploads.contains(id));
        }
    }

    /// Every key of a feature's table that commands need begins with the room.
    fn add_feature_rows(&mut self, table: &'static Table, rows: &[Row]) {
        for row in rows {
            if let Some(aggregate) = self.aggregates.get_mut(&RoomId(row.get(0))) {
                aggregate.rows.load(table, feature_tables::cells(table, row));
            }
        }
    }

    fn add_sent(&mut self, rows: &[Row]) {
        for row in rows {
            let sent = rows::sent_message(row);
            let client_id: Option<ClientId> = sent.message.client_id;
            if let (Some(aggregate), Some(client_id)) =
                (self.aggregates.get_mut(&sent.message.room), client_id)
            {
                aggregate.sent.insert((sent.message.sender.id, client_id), sent);
            }
        }
    }

    fn add_last_posts(&mut self, rows: &[Row]) {
        for row in rows {
            if let Some(aggregate) = self.aggregates.get_mut(&RoomId(row.get(0))) {
                let at: Option<DateTime<Utc>> = row.get(2);
                aggregate.last_posts.extend(at.map(|at| (UserId(row.get(1)), at)));
            }
        }
    }

    /// Whether slow mode is on in a room that was locked, or may be before the batch is through.
    fn has_slow_mode(&self, room: Uuid, needs: &BatchNeeds) -> bool {
        let aggregate = self.aggregates.get(&RoomId(room));
        aggregate.is_some_and(|aggregate| {
            aggregate.room.settings.slow_mode_seconds.interval().is_some()
                || needs.slow_mode_starts.contains(&room)
        })
    }

    /// Reads what turned out to be needed only after the rooms were locked: both participants of a direct room
    /// that a message is posted to, the last messages of those who post where slow mode is on, messages whose
    /// client ids are used again, and whether the rooms that were not locked exist.
    async fn load_remaining(
        &mut self,
        client: &ClientWrapper,
        needs: &BatchNeeds,
        rooms: &[Uuid],
        used_client_ids: &[Row],
    ) -> Result<(), Error> {
        let direct: Vec<Uuid> = self
            .aggregates
            .values()
            .filter(|aggregate| aggregate.room.room_type == RoomType::Direct)
            .map(|aggregate| aggregate.room.id.0)
            .filter(|room| needs.partners.contains(room) && !needs.rosters.contains(room))
            .collect();
        let not_locked: Vec<Uuid> =
            rooms.iter().copied().filter(|room| !self.aggregates.contains_key(&RoomId(*room))).collect();
        let (slow_rooms, posters): (Vec<_>, Vec<_>) =
            needs.last_posts.iter().copied().filter(|(room, _)| self.has_slow_mode(*room, needs)).unzip();
        if direct.is_empty() && not_locked.is_empty() && used_client_ids.is_empty() && posters.is_empty() {
            return Ok(());
        }
        let sent_rooms: Vec<Uuid> = used_client_ids.iter().map(|row| row.get(0)).collect();
        let senders: Vec<i64> = used_client_ids.iter().map(|row| row.get(1)).collect();
        let client_ids: Vec<Uuid> = used_client_ids.iter().map(|row| row.get(2)).collect();
        let direct_participants = prepare_if(client, ROSTERS, !direct.is_empty()).await?;
        let sent = prepare_if(client, SENT_BY_CLIENT_ID, !used_client_ids.is_empty()).await?;
        let last_posts = prepare_if(client, LAST_POSTS, !posters.is_empty()).await?;
        let existing = prepare_if(client, EXISTING, !not_locked.is_empty()).await?;
        let (direct_participants, sent, last_posts, existing) = futures_util::try_join!(
            query_if(client, direct_participants.as_ref(), [&direct]),
            query_if(client, sent.as_ref(), [&sent_rooms, &senders, &client_ids]),
            query_if(client, last_posts.as_ref(), [&slow_rooms, &posters]),
            query_if(client, existing.as_ref(), [&not_locked]),
        )?;
        self.add_participants(&direct_participants);
        self.add_sent(&sent);
        self.add_last_posts(&last_posts);
        self.busy.extend(existing.iter().map(|row| RoomId(row.get(0))));
        Ok(())
    }
}

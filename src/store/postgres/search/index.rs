//! Writes the search index: a consumer of the log puts each message into a block of its room.
//!
//! The last few messages of a room are in `search_rooms.recent`, so that a new one rewrites little. When they are many,
//! they join those in `search_rooms.filling`, and from there they leave as full blocks for `search_blocks`, which has
//! an index of their keys.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::ids::{RoomId, Seq};
use actors::ports::store::StoreError;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::block::Block;
use super::block_builder::{BlockBuilder, BuiltBlock, IndexedMessage};
use super::keys::keys_of;
use super::source::{INDEXED_WIDTH, indexed_columns, indexed_message};
use crate::store::postgres::{LogEvent, WriteTransaction};

/// The name of the consumer.
pub const CONSUMER: &str = "search";

/// Messages read and indexed at once. Even the longest ones take no more than some 40 MiB.
const AT_ONCE: usize = 500;
/// Messages, and words of them, that are kept apart as a room's recent ones.
const RECENT_MESSAGES: usize = 16;
const RECENT_TOKENS: usize = 400;
/// Blocks of a deleted room that one statement deletes.
const DELETED_AT_ONCE: i64 = 1_000;

/// The rooms of `$1` with their newest messages. A room that isn't there is as good as deleted.
const ROOMS: &str = "SELECT g.id, r.id IS NULL OR r.deleted_at IS NOT NULL, coalesce(s.indexed_seq, 0), s.recent,
        s.filling_from
    FROM unnest($1::uuid[]) g (id) LEFT JOIN rooms r ON r.id = g.id LEFT JOIN search_rooms s ON s.room_id = g.id";

const FILLING: &str = "SELECT s.room_id, s.filling FROM unnest($1::uuid[]) g (id)
    JOIN search_rooms s ON s.room_id = g.id";

/// The messages of `$1` in the rooms of `$2`. Changes after the events that are being consumed are indexed again later.
const MESSAGES: &str = concat!(
    "SELECT m.room_id, ",
    indexed_columns!(),
    ", m.content FROM unnest($1::uuid[], $2::uuid[]) g (room_id, id) CROSS JOIN LATERAL (
          SELECT * FROM messages WHERE room_id = g.room_id AND id = g.id LIMIT 1) m"
);

/// The block in which each of these positions belongs: the last one that begins at or before it, or else the first.
const BLOCKS: &str = "SELECT DISTINCT ON (b.room_id, b.first_seq) b.room_id, b.first_seq, b.body
    FROM unnest($1::uuid[], $2::bigint[]) g (room_id, seq) CROSS JOIN LATERAL (
        (SELECT * FROM search_blocks WHERE room_id = g.room_id AND first_seq <= g.seq ORDER BY first_seq DESC LIMIT 1)
        UNION ALL
        (SELECT * FROM search_blocks WHERE room_id = g.room_id ORDER BY first_seq LIMIT 1)
        LIMIT 1) b
    ORDER BY b.room_id, b.first_seq";

/// Each row is looked up by key, whatever the planner thinks of the table's size.
const DELETE_BLOCKS: &str = "DELETE FROM search_blocks WHERE ctid = ANY (ARRAY(
    SELECT b.ctid FROM unnest($1::uuid[], $2::bigint[]) g (room_id, first_seq) CROSS JOIN LATERAL (
        SELECT ctid FROM search_blocks WHERE room_id = g.room_id AND first_seq = g.first_seq LIMIT 1) b))";

const INSERT_BLOCK: &str = "INSERT INTO search_blocks (room_id, first_seq, first_at, last_at, body, keys)
    VALUES ($1, $2, $3, $4, $5, $6)";

const UPSERT_RECENT: &str = "INSERT INTO search_rooms AS s (room_id, indexed_seq, recent)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[])
    ON CONFLICT (room_id) DO UPDATE
    SET indexed_seq = greatest(s.indexed_seq, excluded.indexed_seq), recent = excluded.recent";

const UPSERT_ALL: &str = "INSERT INTO search_rooms AS s (room_id, indexed_seq, recent, filling, filling_from)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bigint[])
    ON CONFLICT (room_id) DO UPDATE
    SET indexed_seq = greatest(s.indexed_seq, excluded.indexed_seq), recent = excluded.recent,
        filling = excluded.filling, filling_from = excluded.filling_from";

const DELETE_ROOM_BLOCKS: &str = "DELETE FROM search_blocks WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM search_blocks WHERE room_id = $1 LIMIT $2)) RETURNING first_seq";
const DELETE_ROOM: &str = "DELETE FROM search_rooms WHERE room_id = $1";

/// A room whose messages are being indexed.
struct RoomWriter {
    room: Uuid,
    /// The events up to here were in the index before.
    indexed_seq: i64,
    /// The last event that is being consumed.
    last_seq: i64,
    recent: BlockBuilder,
    filling_from: Option<i64>,
    /// `None` while it isn't read because it stays as it is.
    filling: Option<BlockBuilder>,
    /// Changed messages that aren't among the recent ones.
    earlier: Vec<Change>,
    /// Blocks that became full.
    full: Vec<BuiltBlock>,
}

/// A message as it is now; `None` if it is deleted.
struct Change {
    seq: i64,
    message: Option<IndexedMessage>,
}

impl Change {
    fn apply(&self, to: &mut BlockBuilder) {
        match &self.message {
            Some(message) => to.put(message),
            None => to.remove(self.seq),
        }
    }
}

impl RoomWriter {
    /// Applies a change to the recent messages, or keeps it for those before them.
    fn change(&mut self, change: Change) {
        let is_new = change.seq > self.indexed_seq;
        if is_new || self.recent.first_seq().is_some_and(|first| change.seq >= first) {
            change.apply(&mut self.recent);
        } else {
            self.earlier.push(change);
        }
    }

    fn has_many_recent(&self) -> bool {
        self.recent.len() >= RECENT_MESSAGES || self.recent.token_count() >= RECENT_TOKENS
    }

    fn is_in_filling(&self, seq: i64) -> bool {
        self.filling_from.is_some_and(|from| seq >= from)
    }

    /// Whether the messages in `search_rooms.filling` change.
    fn changes_filling(&self) -> bool {
        self.has_many_recent() || self.earlier.iter().any(|change| self.is_in_filling(change.seq))
    }

    /// Applies the earlier changes that are in no block, and moves the recent messages on if they are many.
    fn settle(&mut self) {
        let has_many_recent = self.has_many_recent();
        let earlier = self.filling.as_mut().unwrap_or(&mut self.recent);
        self.earlier.drain(..).for_each(|change| change.apply(earlier));
        let Some(filling) = &mut self.filling else { return };
        if has_many_recent && let Some(recent) = self.recent.build() {
            filling.append(&recent.bytes).expect("it was just built");
            self.recent = BlockBuilder::default();
        }
        self.full = filling.take_full();
    }
}

/// Indexes the messages that `events` are about. Returns how many there are.
///
/// # Errors
/// [`StoreError`]; a retry is safe.
pub async fn index_messages(
    transaction: &WriteTransaction<'_>,
    events: &[LogEvent],
) -> Result<u64, StoreError> {
    let mut count = 0;
    for events in events.chunks(AT_ONCE) {
        count += index_batch(transaction, events).await?;
    }
    Ok(count)
}

async fn index_batch(transaction: &WriteTransaction<'_>, events: &[LogEvent]) -> Result<u64, StoreError> {
    let mut last_seqs: BTreeMap<Uuid, i64> = BTreeMap::new();
    let mut changed: BTreeSet<(Uuid, Uuid)> = BTreeSet::new();
    for LogEvent { room: RoomId(room), seq: Seq(seq), message } in events {
        last_seqs.insert(*room, *seq);
        changed.extend(message.as_ref().map(|message| (*room, message.0)));
    }
    let mut rooms = read_rooms(transaction, &last_seqs).await?;
    changed.retain(|(room, _)| rooms.contains_key(room));
    let (room_ids, message_ids): (Vec<Uuid>, Vec<Uuid>) = changed.iter().copied().unzip();
    let mut changes: Vec<(Uuid, Change)> = Vec::new();
    if !changed.is_empty() {
        for row in transaction.rows(MESSAGES, &[&room_ids, &message_ids]).await? {
            let message = indexed_message(&row, 1, row.get(1 + INDEXED_WIDTH));
            changes.push((row.get(0), Change { seq: row.get(1), message }));
        }
    }
    changes.sort_by_key(|(room, change)| (*room, change.seq));
    for (room, change) in changes {
        rooms.get_mut(&room).expect("only messages of these rooms were read").change(change);
    }
    let mut rooms: Vec<RoomWriter> = rooms.into_values().collect();
    read_filling(transaction, &mut rooms).await?;
    change_blocks(transaction, &mut rooms).await?;
    rooms.iter_mut().for_each(RoomWriter::settle);
    for room in &rooms {
        for block in &room.full {
            insert_block(transaction, room.room, block).await?;
        }
    }
    write_rooms(transaction, &rooms).await?;
    Ok(u64::try_from(message_ids.len()).unwrap_or(u64::MAX))
}

/// Reads the rooms with their recent messages, and deletes from the index what has been deleted.
async fn read_rooms(
    transaction: &WriteTransaction<'_>,
    last_seqs: &BTreeMap<Uuid, i64>,
) -> Result<BTreeMap<Uuid, RoomWriter>, StoreError> {
    let ids: Vec<Uuid> = last_seqs.keys().copied().collect();
    let mut rooms = BTreeMap::new();
    for row in transaction.rows(ROOMS, &[&ids]).await? {
        let room: Uuid = row.get(0);
        if row.get(1) {
            delete_room(transaction, room).await?;
            continue;
        }
        let recent = row.get::<_, Option<&[u8]>>(3).map(|bytes| read_block(room, bytes));
        let writer = RoomWriter {
            room,
            indexed_seq: row.get(2),
            last_seq: last_seqs[&room],
            recent: recent.unwrap_or_default(),
            filling_from: row.get(4),
            filling: None,
            earlier: Vec::new(),
            full: Vec::new(),
        };
        rooms.insert(room, writer);
    }
    Ok(rooms)
}

/// Reads the rest of the messages that are in no block, where it changes.
async fn read_filling(
    transaction: &WriteTransaction<'_>,
    rooms: &mut [RoomWriter],
) -> Result<(), StoreError> {
    let mut wanted = Vec::new();
    for room in rooms.iter_mut().filter(|room| room.changes_filling()) {
        room.filling = Some(BlockBuilder::default());
        wanted.extend(room.filling_from.map(|_| room.room));
    }
    if wanted.is_empty() {
        return Ok(());
    }
    for row in transaction.rows(FILLING, &[&wanted]).await? {
        let id: Uuid = row.get(0);
        if let Some(room) = rooms.iter_mut().find(|room| room.room == id) {
            room.filling = row.get::<_, Option<&[u8]>>(1).map(|bytes| read_block(id, bytes));
        }
    }
    Ok(())
}

/// Changes messages that are in blocks.
async fn change_blocks(
    transaction: &WriteTransaction<'_>,
    rooms: &mut [RoomWriter],
) -> Result<(), StoreError> {
    let (mut ids, mut seqs) = (Vec::new(), Vec::new());
    for room in rooms.iter() {
        for change in room.earlier.iter().filter(|change| !room.is_in_filling(change.seq)) {
            ids.push(room.room);
            seqs.push(change.seq);
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    let rows = transaction.rows(BLOCKS, &[&ids, &seqs]).await?;
    let mut blocks: BTreeMap<(Uuid, i64), (BlockBuilder, &[u8])> = BTreeMap::new();
    for row in &rows {
        let (room, bytes): (Uuid, &[u8]) = (row.get(0), row.get(2));
        blocks.insert((room, row.get(1)), (read_block(room, bytes), bytes));
    }
    for room in rooms.iter_mut() {
        let filling_from = room.filling_from;
        room.earlier.retain(|change| {
            if filling_from.is_some_and(|from| change.seq >= from) {
                return true;
            }
            let of_room = || (room.room, i64::MIN)..=(room.room, i64::MAX);
            let before = blocks.range((room.room, i64::MIN)..=(room.room, change.seq)).next_back();
            let place = before.or_else(|| blocks.range(of_room()).next()).map(|(place, _)| *place);
            // A message that belongs before all others and isn't in a block stays with those that are in none.
            let Some(block) = place.and_then(|place| blocks.get_mut(&place)) else { return true };
            change.apply(&mut block.0);
            false
        });
    }
    rewrite_blocks(transaction, &blocks).await
}

/// Replaces the blocks that have changed.
async fn rewrite_blocks(
    transaction: &WriteTransaction<'_>,
    blocks: &BTreeMap<(Uuid, i64), (BlockBuilder, &[u8])>,
) -> Result<(), StoreError> {
    let (mut ids, mut seqs, mut replacements) = (Vec::new(), Vec::new(), Vec::new());
    for ((room, first_seq), (builder, before)) in blocks {
        let built = builder.build_divided();
        if let [unchanged] = built.as_slice()
            && unchanged.bytes == *before
        {
            continue;
        }
        ids.push(*room);
        seqs.push(*first_seq);
        replacements.extend(built.into_iter().map(|block| (*room, block)));
    }
    if !ids.is_empty() {
        transaction.rows(DELETE_BLOCKS, &[&ids, &seqs]).await?;
    }
    for (room, block) in &replacements {
        insert_block(transaction, *room, block).await?;
    }
    Ok(())
}

async fn insert_block(
    transaction: &WriteTransaction<'_>,
    room: Uuid,
    block: &BuiltBlock,
) -> Result<(), StoreError> {
    let keys = keys_of(Block::parse(&block.bytes).expect("it was just built"), room);
    let (first_at, last_at) = block.at;
    let params: [&(dyn ToSql + Sync); 6] =
        [&room, &block.first_seq, &first_at, &last_at, &block.bytes, &keys];
    transaction.rows(INSERT_BLOCK, &params).await?;
    Ok(())
}

/// Writes what is in no block.
async fn write_rooms(transaction: &WriteTransaction<'_>, rooms: &[RoomWriter]) -> Result<(), StoreError> {
    let (changing, keeping): (Vec<&RoomWriter>, Vec<&RoomWriter>) =
        rooms.iter().partition(|room| room.filling.is_some());
    let bytes = |builder: &BlockBuilder| builder.build().map(|block| block.bytes);
    let ids = |rooms: &[&RoomWriter]| rooms.iter().map(|room| room.room).collect::<Vec<Uuid>>();
    let seqs = |rooms: &[&RoomWriter]| rooms.iter().map(|room| room.last_seq).collect::<Vec<i64>>();
    let recent = |rooms: &[&RoomWriter]| rooms.iter().map(|room| bytes(&room.recent)).collect::<Vec<_>>();
    if !keeping.is_empty() {
        transaction.rows(UPSERT_RECENT, &[&ids(&keeping), &seqs(&keeping), &recent(&keeping)]).await?;
    }
    if !changing.is_empty() {
        let filling: Vec<&BlockBuilder> = changing.iter().filter_map(|room| room.filling.as_ref()).collect();
        let from: Vec<Option<i64>> = filling.iter().map(|filling| filling.first_seq()).collect();
        let filling: Vec<Option<Vec<u8>>> = filling.iter().map(|filling| bytes(filling)).collect();
        let (ids, seqs, recent) = (ids(&changing), seqs(&changing), recent(&changing));
        transaction.rows(UPSERT_ALL, &[&ids, &seqs, &recent, &filling, &from]).await?;
    }
    Ok(())
}

async fn delete_room(transaction: &WriteTransaction<'_>, room: Uuid) -> Result<(), StoreError> {
    while !transaction.rows(DELETE_ROOM_BLOCKS, &[&room, &DELETED_AT_ONCE]).await?.is_empty() {}
    transaction.rows(DELETE_ROOM, &[&room]).await?;
    Ok(())
}

/// Reads encoded messages in order to change them. Of damaged ones nothing is left; when the index is rebuilt, they are
/// put in again.
fn read_block(room: Uuid, bytes: &[u8]) -> BlockBuilder {
    BlockBuilder::of(bytes).unwrap_or_else(|| {
        tracing::error!(%room, "a part of the search index is damaged; rebuild the index");
        BlockBuilder::default()
    })
}

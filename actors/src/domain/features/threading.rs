//! Threads: where a new message stands, and what its root sums up.

use chrono::{DateTime, Utc};

use super::aggregate::RoomAggregate;
use super::command::{Principal, Refusal};
use crate::domain::ids::{MessageId, Seq};
use crate::domain::message::Message;
use crate::domain::row_change::{ColumnType, RowChange, Table};
use crate::domain::thread::{ThreadPlace, ThreadView};

/// Who takes part in a thread: the author of its root, and everyone who has replied. A user's list of threads and
/// counts in them go by it.
pub(super) static THREAD_USERS: Table = Table {
    name: "thread_users",
    columns: &[
        ("room_id", ColumnType::Uuid),
        ("message_id", ColumnType::Uuid),
        ("user_id", ColumnType::BigInt),
    ],
    key_columns: 3,
    removals: &[2],
    selections: &[],
    goes_with_message: true,
};

impl RoomAggregate {
    /// Where a message of `by` stands that is sent to a thread. A reply to a reply belongs to the same root.
    pub(super) fn thread_place(
        &self,
        by: Principal,
        sent: Option<ThreadPlace>,
    ) -> Result<Option<ThreadPlace>, Refusal> {
        let Some(sent) = sent else { return Ok(None) };
        let named = self.visible_message(by, sent.root);
        let root = named.and_then(|named| match named.thread {
            Some(place) => self.visible_message(by, place.root),
            None => Ok(named),
        });
        let root = root.map_err(|_| Refusal::ThreadRootNotFound)?.id;
        Ok(Some(ThreadPlace { root, ..sent }))
    }

    /// Adds a reply that was just sent to the sums of its root.
    pub(super) fn count_reply(&mut self, reply: &Message, root: MessageId) {
        let Some(mut root) = self.messages.get(&root).cloned() else { return };
        let mut users = vec![reply.sender.id];
        if root.extras.thread.is_none() {
            users.push(root.sender.id);
        }
        for user in users {
            let row = [root.room.0.into(), root.id.0.into(), user.0.into()];
            self.change_row(RowChange::insert(&THREAD_USERS, row));
        }
        root.extras.thread.get_or_insert_default().add(reply.seq, reply.created_at);
        self.replies.entry(root.id).or_default().insert(reply.seq, reply.created_at);
        self.cache_message(&root);
    }

    /// Takes a reply that is deleted at `seq` out of the sums of its root.
    pub(super) fn uncount_reply(&mut self, reply: &Message, seq: Seq) -> Option<ThreadView> {
        let mut root = self.messages.get(&reply.thread?.root)?.clone();
        let others = self.replies.entry(root.id).or_default();
        others.remove(&reply.seq);
        let last_reply_at: Option<DateTime<Utc>> = others.last_key_value().map(|(_, at)| *at);
        root.extras.thread.get_or_insert_default().remove(seq, last_reply_at);
        let view = root.extras.thread.map(|sums| sums.view(root.id));
        self.cache_message(&root);
        view
    }
}

//! Threads as REST shows them: one thread, and the threads that a user takes part in.

use actors::domain::ids::{MessageId, RoomId, Seq, UserId};
use actors::domain::message::MessageType;
use actors::ports::store::StoreError;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::messages::{
    MessageAnchor, MessageFilter, MessagePage, MessageSlice, page_columns, read_page, viewer_rooms,
};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::rows::message_tables;
use crate::store::postgres::rules::is_visible;

/// The common table expression `thread`: the thread in which the message `$2` stands or of which it is the root, as
/// the viewer `$1` sees it, if the message is in the room `$3` or that is null.
macro_rules! thread {
    () => {
        concat!(
            "thread AS MATERIALIZED (
                 SELECT m.room_id, coalesce(m.thread_root, m.id) AS root, me.visible_from_seq, r.head
                 FROM messages m JOIN rooms r ON r.id = m.room_id AND r.deleted_at IS NULL
                 JOIN participants me ON me.room_id = m.room_id AND me.user_id = $1 AND me.left_at IS NULL
                 WHERE m.id = $2 AND ($3::uuid IS NULL OR m.room_id = $3) AND ",
            is_visible!("m", "me"),
            ") "
        )
    };
}

/// Whether the message `m` of the thread's room isn't deleted, is visible to the viewer and selected by the filter.
macro_rules! matches_filter {
    () => {
        concat!(
            "m.room_id = thread.room_id AND m.deleted_at IS NULL AND ",
            is_visible!("m", "thread"),
            " AND ($4::text IS NULL OR m.message_type = $4) AND ($5::bigint IS NULL OR m.sender_id = $5)"
        )
    };
}

impl PostgresStore {
    /// Reads a page of a thread by any of its messages: the root, and then the replies in the order in which they were
    /// sent.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn thread_page(
        &self,
        viewer: UserId,
        message: MessageId,
        filter: &MessageFilter,
        limit: i64,
        offset: i64,
    ) -> Result<MessagePage, StoreError> {
        const FIND: &str = concat!(
            "WITH ",
            thread!(),
            ", found AS MATERIALIZED (
                 SELECT m.room_id, m.id, m.seq FROM thread JOIN messages m ON m.id = thread.root AND ",
            matches_filter!(),
            " UNION ALL
                 SELECT m.room_id, m.id, m.seq FROM thread JOIN messages m ON m.thread_root = thread.root AND ",
            matches_filter!(),
            ")
             SELECT (SELECT count(*) FROM found), (SELECT max(head) FROM thread), ",
            page_columns!(),
            " FROM (SELECT 1) one
             LEFT JOIN (SELECT * FROM found ORDER BY seq LIMIT $6 OFFSET $7) f ON true
             LEFT JOIN messages m ON m.room_id = f.room_id AND m.id = f.id ",
            message_tables!(),
            "ORDER BY m.seq"
        );
        let (room, message_type, sender) = params(filter);
        let client = self.long_read_client().await?;
        let params: [&(dyn ToSql + Sync); 7] =
            [&viewer.0, &message.0, &room, &message_type, &sender, &limit, &offset];
        let rows = client.rows(FIND, &params).await?;
        read_page(&client, viewer, &rows).await
    }

    /// Reads at most `limit` messages next to `anchor` in a thread, which is named by any of its messages. Without an
    /// anchor it begins with the root.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn thread_slice(
        &self,
        viewer: UserId,
        message: MessageId,
        filter: &MessageFilter,
        anchor: MessageAnchor,
        limit: usize,
    ) -> Result<MessageSlice, StoreError> {
        macro_rules! run {
            ($comparison:literal, $direction:literal) => {
                concat!(
                    "WITH ",
                    thread!(),
                    "SELECT 0::bigint, thread.head, ",
                    page_columns!(),
                    " FROM thread LEFT JOIN LATERAL (
                         (SELECT m.* FROM messages m WHERE m.id = thread.root AND m.seq ",
                    $comparison,
                    " $6 AND ",
                    matches_filter!(),
                    ") UNION ALL
                         (SELECT m.* FROM messages m WHERE m.thread_root = thread.root AND m.seq ",
                    $comparison,
                    " $6 AND ",
                    matches_filter!(),
                    " ORDER BY m.seq ",
                    $direction,
                    " LIMIT $7) ORDER BY seq ",
                    $direction,
                    " LIMIT $7) m ON true",
                    message_tables!(),
                    "ORDER BY m.seq ",
                    $direction
                )
            };
        }
        let (sql, from) = match anchor {
            MessageAnchor::Before(seq) => (run!("<", "DESC"), seq.0),
            MessageAnchor::After(seq) => (run!(">", "ASC"), seq.0),
            MessageAnchor::Newest => (run!(">", "ASC"), Seq::START.0),
        };
        let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let (room, message_type, sender) = params(filter);
        let client = self.read_client().await?;
        let params: [&(dyn ToSql + Sync); 7] =
            [&viewer.0, &message.0, &room, &message_type, &sender, &from, &one_more];
        let mut rows = client.rows(sql, &params).await?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let page = read_page(&client, viewer, &rows).await?;
        Ok(MessageSlice { head: page.head, messages: page.messages, has_more })
    }

    /// Reads a page of the roots of the threads that a user takes part in, in all rooms or one, latest reply first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn threads_of(
        &self,
        viewer: UserId,
        room: Option<RoomId>,
        limit: i64,
        offset: i64,
    ) -> Result<MessagePage, StoreError> {
        const FIND: &str = concat!(
            "WITH ",
            viewer_rooms!(),
            ", found AS MATERIALIZED (
                 SELECT m.room_id, m.id, (m.extras #>> '{thread,last_reply_at}')::timestamptz AS replied_at
                 FROM (SELECT room_id, message_id FROM thread_users WHERE user_id = $1 OFFSET 0) own
                 JOIN mine ON mine.room_id = own.room_id
                 CROSS JOIN LATERAL (
                     SELECT * FROM messages WHERE room_id = own.room_id AND id = own.message_id LIMIT 1) m
                 WHERE m.deleted_at IS NULL AND m.extras #>> '{thread,last_reply_at}' IS NOT NULL AND ",
            is_visible!("m", "mine"),
            ")
             SELECT (SELECT count(*) FROM found), (SELECT max(head) FROM mine WHERE $2::uuid IS NOT NULL), ",
            page_columns!(),
            " FROM (SELECT 1) one
             LEFT JOIN (SELECT * FROM found ORDER BY replied_at DESC, id LIMIT $3 OFFSET $4) f ON true
             LEFT JOIN messages m ON m.room_id = f.room_id AND m.id = f.id ",
            message_tables!(),
            "ORDER BY f.replied_at DESC, f.id"
        );
        let client = self.long_read_client().await?;
        let rows = client.rows(FIND, &[&viewer.0, &room.map(|room| room.0), &limit, &offset]).await?;
        read_page(&client, viewer, &rows).await
    }
}

fn params(filter: &MessageFilter) -> (Option<Uuid>, Option<&'static str>, Option<i64>) {
    let message_type = filter.message_type.map(MessageType::as_str);
    (filter.room.map(|room| room.0), message_type, filter.sender.map(|sender| sender.0))
}

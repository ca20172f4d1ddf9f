//! The audit log: entries that are only ever added, each sealed by the hash of the one before.
//!
//! Whoever adds entries holds the lock on the row of the last one until the commit, so there is one writer at a time.
//! It is the last lock that a transaction takes, and no transaction takes it that holds a room.

use actors::domain::ids::{RoomId, Seq, UserId};
use actors::ports::store::StoreError;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_postgres::Row;

use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::WriteTransaction;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)+) => {
        /// What was done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum AuditKind {
            $($(#[$doc])* $kind,)+
        }

        impl AuditKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// The name on the wire and in the database.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }
    };
}

kinds! {
    /// A room's name, title or settings changed, or it was archived or opened again.
    RoomUpdated = "room_updated",
    /// A room was deleted.
    RoomDeleted = "room_deleted",
    /// A message was deleted by someone else than its author.
    MessageDeleted = "message_deleted",
    /// A user was added to a room by someone else.
    ParticipantAdded = "participant_added",
    /// A user was removed from a room by someone else.
    ParticipantRemoved = "participant_removed",
    /// A participant's role, or the end of a membership, changed.
    ParticipantChanged = "participant_changed",
    /// A user's account changed.
    UserChanged = "user_changed",
    /// A user was erased.
    UserErased = "user_erased",
    /// A moderator dealt with a report.
    ReportHandled = "report_handled",
    /// A webhook was set up.
    WebhookAdded = "webhook_added",
    /// A webhook was changed.
    WebhookChanged = "webhook_changed",
    /// A webhook was deleted.
    WebhookDeleted = "webhook_deleted",
    /// An address for posting was set up.
    IncomingAdded = "incoming_added",
    /// An address for posting was deleted.
    IncomingDeleted = "incoming_deleted",
    /// A legal hold was placed.
    HoldPlaced = "hold_placed",
    /// A legal hold was released.
    HoldReleased = "hold_released",
    /// What was deleted under a legal hold was read.
    HeldMessagesRead = "held_messages_read",
    /// For how long messages are kept was changed.
    RetentionChanged = "retention_changed",
    /// An export was asked for.
    ExportRequested = "export_requested",
    /// The archive of an export was read.
    ExportRead = "export_read",
    /// An invitation was made.
    InvitationAdded = "invitation_added",
    /// An invitation was taken back.
    InvitationWithdrawn = "invitation_withdrawn",
}

impl AuditKind {
    /// The kind of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

/// An entry to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAuditEntry {
    /// When it was done; none for now.
    pub at: Option<DateTime<Utc>>,
    /// What was done.
    pub kind: AuditKind,
    /// Who did it; none for the host application, and for what a node did by itself.
    pub actor: Option<UserId>,
    /// Whom it is about.
    pub user: Option<UserId>,
    /// In which room.
    pub room: Option<RoomId>,
    /// By which event of the room's log.
    pub seq: Option<Seq>,
    /// More about it: ids, flags and reasons, never a text or a name.
    pub data: Value,
}

impl NewAuditEntry {
    /// An entry of what `actor` does now.
    #[must_use]
    pub fn of(kind: AuditKind, actor: Option<UserId>, data: Value) -> Self {
        Self { at: None, kind, actor, user: None, room: None, seq: None, data }
    }
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number: 1, 2, 3 …
    pub id: i64,
    /// When it was done.
    pub at: DateTime<Utc>,
    /// What was done: the name of an [`AuditKind`], perhaps of a newer version.
    pub kind: String,
    /// As in [`NewAuditEntry::actor`].
    pub actor: Option<i64>,
    /// Whom it is about.
    pub user: Option<i64>,
    /// In which room.
    pub room: Option<uuid::Uuid>,
    /// By which event of the room's log.
    pub seq: Option<i64>,
    /// More about it, as JSON.
    pub data: String,
    /// The hash of the entry before.
    pub previous: Vec<u8>,
    /// The hash of this one.
    pub hash: Vec<u8>,
}

/// The columns of an entry `a`, for [`audit_entry_of`].
macro_rules! audit_columns {
    () => {
        "a.id, a.at, a.kind, a.actor_id, a.user_id, a.room_id, a.seq, a.data, a.previous, a.hash"
    };
}

pub(super) use audit_columns;

pub(super) fn audit_entry_of(row: &Row) -> AuditEntry {
    AuditEntry {
        id: row.get(0),
        at: row.get(1),
        kind: row.get(2),
        actor: row.get(3),
        user: row.get(4),
        room: row.get(5),
        seq: row.get(6),
        data: row.get(7),
        previous: row.get(8),
        hash: row.get(9),
    }
}

impl AuditEntry {
    /// The hash that the entry must have: SHA-256 of the one before and of the entry as a JSON array without blanks.
    #[must_use]
    pub fn expected_hash(&self) -> Vec<u8> {
        let Self { id, at, kind, actor, user, room, seq, data, previous, .. } = self;
        let row = json!([id, at.timestamp_micros(), kind, actor, user, room, seq, data]).to_string();
        Sha256::new().chain_update(previous).chain_update(row).finalize().to_vec()
    }
}

/// The end of the log, locked until its transaction ends.
pub(super) struct LockedHead {
    id: i64,
    hash: Vec<u8>,
    now: DateTime<Utc>,
}

impl LockedHead {
    /// Waits for other writers.
    pub(super) async fn lock(transaction: &WriteTransaction<'_>) -> Result<Self, StoreError> {
        const LOCK: &str = "SELECT id, hash FROM audit_head FOR UPDATE";
        const NOW: &str = "SELECT clock_timestamp()";
        let row = transaction.row(LOCK, &[]).await?;
        let row = row.ok_or_else(|| StoreError::Unavailable("the audit log has no head".into()))?;
        let now = transaction.row(NOW, &[]).await?.map_or_else(Utc::now, |row| row.get(0));
        Ok(Self { id: row.get(0), hash: row.get(1), now })
    }

    /// Adds entries behind the last one.
    pub(super) async fn append(
        self,
        transaction: &WriteTransaction<'_>,
        new: Vec<NewAuditEntry>,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO audit_log
                (id, at, kind, actor_id, user_id, room_id, seq, data, previous, hash)
            SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::bigint[], $5::bigint[], $6::uuid[],
                $7::bigint[], $8::text[], $9::bytea[], $10::bytea[])";
        const MOVE: &str = "UPDATE audit_head SET id = $1, hash = $2";
        let Self { mut id, mut hash, now } = self;
        let mut entries = Vec::with_capacity(new.len());
        for NewAuditEntry { at, kind, actor, user, room, seq, data } in new {
            id += 1;
            let mut entry = AuditEntry {
                id,
                at: at.unwrap_or(now),
                kind: kind.as_str().to_owned(),
                actor: actor.map(|actor| actor.0),
                user: user.map(|user| user.0),
                room: room.map(|room| room.0),
                seq: seq.map(|seq| seq.0),
                data: data.to_string(),
                previous: hash,
                hash: Vec::new(),
            };
            entry.hash = entry.expected_hash();
            hash = entry.hash.clone();
            entries.push(entry);
        }
        macro_rules! column {
            ($field:ident) => {
                entries.iter().map(|entry| &entry.$field).collect::<Vec<_>>()
            };
        }
        transaction
            .rows(
                INSERT,
                &[
                    &column!(id),
                    &column!(at),
                    &column!(kind),
                    &column!(actor),
                    &column!(user),
                    &column!(room),
                    &column!(seq),
                    &column!(data),
                    &column!(previous),
                    &column!(hash),
                ],
            )
            .await?;
        transaction.rows(MOVE, &[&id, &hash]).await.map(drop)
    }
}

/// Adds entries in a transaction that commits right after it.
pub(crate) async fn add(
    transaction: &WriteTransaction<'_>,
    new: Vec<NewAuditEntry>,
) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    LockedHead::lock(transaction).await?.append(transaction, new).await
}

impl PostgresStore {
    /// Adds an entry for what was committed elsewhere.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::OutcomeUnknown`] it may be there.
    pub async fn add_audit_entry(&self, new: NewAuditEntry) -> Result<(), StoreError> {
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        add(&transaction, vec![new]).await?;
        transaction.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a program in another language computes it from the form that OPERATIONS describes.
    #[test]
    fn the_hash_of_an_entry_is_that_of_its_described_form() {
        let entry = AuditEntry {
            id: 7,
            at: DateTime::from_timestamp_micros(1_796_000_000_123_456).expect("a time"),
            kind: "message_deleted".into(),
            actor: Some(3),
            user: None,
            room: Some(uuid::Uuid::from_u128(9)),
            seq: Some(41),
            data: r#"{"reason":"ä \"quoted\""}"#.into(),
            previous: vec![0; 32],
            hash: Vec::new(),
        };
        let row = r#"[7,1796000000123456,"message_deleted",3,null,"00000000-0000-0000-0000-000000000009",41,"{\"reason\":\"ä \\\"quoted\\\"\"}"]"#;
        let expected = Sha256::digest([&[0; 32][..], row.as_bytes()].concat());
        assert_eq!(entry.expected_hash(), expected.to_vec());
        let changed = AuditEntry { actor: Some(4), ..entry.clone() };
        assert_ne!(changed.expected_hash(), entry.expected_hash());
    }

    #[test]
    fn kinds_have_names_of_their_own() {
        for kind in AuditKind::ALL {
            assert_eq!(AuditKind::parse(kind.as_str()), Some(*kind));
        }
        assert_eq!(AuditKind::parse("dance"), None);
    }
}

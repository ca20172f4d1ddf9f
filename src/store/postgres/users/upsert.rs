//! What the host application changes in the directory.
//!
//! A transaction that changes a user's access (`is_active`, `tokens_valid_from`) or names stamps
//! `changed_xid`, by which other nodes find the change in the feed.

use actors::domain::ids::UserId;
use actors::ports::store::StoreError;
use serde_json::{Map, Value, json};

use super::record::{USER_RECORD_WIDTH, UserRecord, user_record_columns, user_record_of};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::pool::client::WriteTransaction;
use crate::store::postgres::record::audit::{self, AuditKind, NewAuditEntry};
use crate::store::postgres::record::holds::hold_on_user;
use crate::store::postgres::{blocks, personal, reports};

/// A change to a user by the host application; fields that are `None` stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserUpsert {
    /// The user.
    pub id: UserId,
    /// The sign-in name.
    pub username: Option<String>,
    /// The name to show.
    pub full_name: Option<String>,
    /// The email address.
    pub email: Option<String>,
    /// Whether the account is active.
    pub is_active: Option<bool>,
    /// Whether the user sees everyone's email address.
    pub is_staff: Option<bool>,
    /// Revokes tokens issued before this second (Unix time); `Some(None)` lifts that.
    pub tokens_valid_from: Option<Option<i64>>,
    /// Whether it is a guest account; `Some(None)` leaves that to the user's memberships.
    pub is_guest: Option<Option<bool>>,
}

/// The result of a [`UserUpsert`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpsertedUser {
    /// The user after it.
    pub record: UserRecord,
    /// Whether the user is new.
    pub created: bool,
    /// Whether the user's access changed.
    pub access_changed: bool,
    /// Whether the account was erased before and stays so; then nothing was changed.
    pub is_erased: bool,
    /// Whether a name changed.
    pub renamed: bool,
}

/// What came of erasing a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EraseOutcome {
    /// The user is erased, perhaps since earlier.
    Erased(UserRecord),
    /// There is no such user.
    Unknown,
    /// The legal hold of this name is on the user.
    OnHold(String),
}

impl PostgresStore {
    /// Applies all of these changes or none. Their ids must differ.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn upsert_users(&self, upserts: &[UserUpsert]) -> Result<Vec<UpsertedUser>, StoreError> {
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let mut ordered: Vec<&UserUpsert> = upserts.iter().collect();
        // Users are locked in the order of their ids, as everywhere.
        ordered.sort_by_key(|upsert| upsert.id);
        let mut upserted = Vec::with_capacity(ordered.len());
        let mut entries = Vec::new();
        for upsert in ordered {
            let (user, entry) = upsert_user(&transaction, upsert).await?;
            upserted.push(user);
            entries.extend(entry);
        }
        audit::add(&transaction, entries).await?;
        transaction.commit().await?;
        Ok(upserted)
    }

    /// Erases a user: deactivates the account, removes names and address, and deletes a built-in account and what
    /// only this user saw.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn erase_user(&self, user: UserId) -> Result<EraseOutcome, StoreError> {
        const LOCK: &str = "SELECT FROM people WHERE id = $1 FOR NO KEY UPDATE";
        const ERASE: &str = concat!(
            "UPDATE people u SET is_active = false, is_staff = false, username = 'deleted',
                 full_name = 'Deleted user', email = '', told_by_host = true, last_seen_at = NULL,
                 erased_at = coalesce(u.erased_at, now()), changed_xid = pg_current_xact_id()
             WHERE u.id = $1 RETURNING ",
            user_record_columns!()
        );
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(LOCK, &[&user.0]).await?;
        if let Some(name) = hold_on_user(&transaction, user).await? {
            return Ok(EraseOutcome::OnHold(name));
        }
        let erased = transaction.row(ERASE, &[&user.0]).await?;
        transaction.rows("DELETE FROM accounts WHERE user_id = $1", &[&user.0]).await?;
        if erased.is_some() {
            personal::erasure::erase(&transaction, user).await?;
            reports::erase(&transaction, user).await?;
            blocks::erase(&transaction, user).await?;
            let entry = NewAuditEntry::of(AuditKind::UserErased, None, json!({}));
            audit::add(&transaction, vec![NewAuditEntry { user: Some(user), ..entry }]).await?;
        }
        transaction.commit().await?;
        Ok(erased.as_ref().map_or(EraseOutcome::Unknown, |row| EraseOutcome::Erased(user_record_of(row))))
    }
}

/// What the audit log records of a change of an account: values of rights, and that names or the address changed.
fn changes(before: Option<&UserRecord>, after: &UserRecord) -> Map<String, Value> {
    let values = [
        ("is_active", json!(before.is_none_or(|user| user.is_active)), json!(after.is_active)),
        ("is_staff", json!(before.is_some_and(|user| user.is_staff)), json!(after.is_staff)),
        ("is_guest", json!(before.is_some_and(|user| user.is_guest)), json!(after.is_guest)),
        (
            "tokens_valid_from",
            json!(before.and_then(|user| user.tokens_valid_from)),
            json!(after.tokens_valid_from),
        ),
    ];
    let changed = values.into_iter().filter(|(_, before, after)| before != after);
    let mut changes: Map<_, _> =
        changed.map(|(name, before, after)| (name.to_owned(), json!([before, after]))).collect();
    if before.is_some_and(|before| before.profile != after.profile) {
        changes.insert("profile".to_owned(), Value::Null);
    }
    changes
}

async fn upsert_user(
    transaction: &WriteTransaction<'_>,
    upsert: &UserUpsert,
) -> Result<(UpsertedUser, Option<NewAuditEntry>), StoreError> {
    // Not `FOR UPDATE`: a batch that adds the user to a room takes a key lock.
    const LOCK_BEFORE: &str = concat!(
        "SELECT ",
        user_record_columns!(),
        ", u.erased_at IS NOT NULL FROM people u WHERE u.id = $1 FOR NO KEY UPDATE"
    );
    const INSERT_UNKNOWN: &str = "INSERT INTO people (id, username) VALUES ($1, 'user' || $1::bigint)
         ON CONFLICT (id) DO NOTHING RETURNING id";
    const UPSERT: &str = concat!(
        "UPDATE people u SET
             username = coalesce($2, CASE WHEN u.erased_at IS NULL THEN u.username ELSE 'user' || $1::bigint END),
             full_name = coalesce($3, CASE WHEN u.erased_at IS NULL THEN u.full_name ELSE '' END),
             email = coalesce($4, u.email),
             is_active = coalesce($5, u.is_active),
             is_staff = coalesce($6, u.is_staff),
             tokens_valid_from = CASE WHEN $7 THEN $8 ELSE u.tokens_valid_from END,
             is_guest = CASE WHEN $10 THEN $11 ELSE u.is_guest END,
             told_by_host = true,
             erased_at = NULL,
             changed_xid = CASE WHEN $9 OR u.erased_at IS NOT NULL OR (u.username, u.full_name)
                     IS DISTINCT FROM (coalesce($2, u.username), coalesce($3, u.full_name))
                 THEN pg_current_xact_id() ELSE u.changed_xid END
         WHERE u.id = $1 RETURNING ",
        user_record_columns!()
    );
    let lost = || StoreError::Unavailable("a user was updated and not stored".into());
    let mut before = transaction.row(LOCK_BEFORE, &[&upsert.id.0]).await?;
    let created = before.is_none() && transaction.row(INSERT_UNKNOWN, &[&upsert.id.0]).await?.is_some();
    if before.is_none() && !created {
        // A concurrent call has inserted the user and committed.
        before = Some(transaction.row(LOCK_BEFORE, &[&upsert.id.0]).await?.ok_or_else(lost)?);
    }
    let was = before.as_ref().map(user_record_of);
    // A list that the host application keeps sending doesn't revive an erased user; only `is_active` does.
    let is_erased = before.is_some_and(|row| row.get(USER_RECORD_WIDTH)) && upsert.is_active != Some(true);
    if let Some(record) = was.clone().filter(|_| is_erased) {
        let user = UpsertedUser { record, created, access_changed: false, renamed: false, is_erased };
        return Ok((user, None));
    }
    let (is_told, valid_from) = (upsert.tokens_valid_from.is_some(), upsert.tokens_valid_from.flatten());
    let (says_guest, is_guest) = (upsert.is_guest.is_some(), upsert.is_guest.flatten());
    let named_before = was.as_ref().map(|was| was.profile.summary.clone());
    let access_changed = was.as_ref().is_some_and(|was| {
        upsert.is_active.is_some_and(|is_active| is_active != was.is_active)
            || (is_told && valid_from != was.tokens_valid_from)
    });
    let row = transaction
        .row(
            UPSERT,
            &[
                &upsert.id.0,
                &upsert.username,
                &upsert.full_name,
                &upsert.email,
                &upsert.is_active,
                &upsert.is_staff,
                &is_told,
                &valid_from,
                &access_changed,
                &says_guest,
                &is_guest,
            ],
        )
        .await?
        .ok_or_else(lost)?;
    let record = user_record_of(&row);
    let renamed = !created && named_before.is_some_and(|before| before != record.profile.summary);
    let changes = changes(was.as_ref(), &record);
    let entry = (!changes.is_empty()).then(|| NewAuditEntry {
        user: Some(upsert.id),
        ..NewAuditEntry::of(AuditKind::UserChanged, None, json!({ "changed": changes }))
    });
    Ok((UpsertedUser { record, created, access_changed, renamed, is_erased: false }, entry))
}

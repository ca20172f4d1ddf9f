//! The directory of people, and the accounts that sign in here.
//!
//! Whoever changes the right to be here (`is_active`, `tokens_valid_from`) or the names stamps
//! `changed_xid`, by which other nodes find the change in the feed.

use actors::domain::ids::UserId;
use actors::domain::person::Author;
use actors::ports::store::{PersonChange, StoreError};
use tokio_postgres::Row;

use super::PostgresStore;
use super::reader::Writer;
use super::rows::{author, author_columns};

/// A person as shown to others, with what only some may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Id and names.
    pub author: Author,
    /// The address; empty for none.
    pub email: String,
}

/// A person of the directory with all that is known of the right to be here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonRecord {
    /// The person.
    pub profile: Profile,
    /// Whether the account may do anything.
    pub is_active: bool,
    /// Whether this person sees everyone's address.
    pub is_staff: bool,
    /// Tokens issued before this second are void; Unix time.
    pub tokens_valid_from: Option<i64>,
}

impl PersonRecord {
    /// The right to be here, for those who keep sockets.
    #[must_use]
    pub fn as_change(&self) -> PersonChange {
        PersonChange {
            user: self.profile.author.id,
            is_active: self.is_active,
            tokens_valid_from: self.tokens_valid_from,
        }
    }
}

/// What a token says of its holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimedNames {
    /// The sign-in name.
    pub username: Option<String>,
    /// The name to show.
    pub full_name: Option<String>,
    /// The address.
    pub email: Option<String>,
}

/// What the host application tells of a person; what it leaves out stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldPerson {
    /// Who.
    pub id: UserId,
    /// The sign-in name.
    pub username: Option<String>,
    /// The name to show.
    pub full_name: Option<String>,
    /// The address.
    pub email: Option<String>,
    /// Whether the account may do anything.
    pub is_active: Option<bool>,
    /// Whether this person sees everyone's address.
    pub is_staff: Option<bool>,
    /// Tokens issued before this second are void, where told; `Some(None)` lifts that.
    pub tokens_valid_from: Option<Option<i64>>,
}

/// A person after the host application told of him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonTold {
    /// The person as known now.
    pub record: PersonRecord,
    /// Whether unknown before.
    pub created: bool,
    /// Whether the right to be here is another one now.
    pub right_changed: bool,
    /// Whether the account had been ended for good and stays so; then nothing was taken over.
    pub is_erased: bool,
    /// Whether called otherwise now.
    pub renamed: bool,
}

/// A built-in account as signing in needs it.
#[derive(Clone)]
pub struct Account {
    /// Whose it is.
    pub user: UserId,
    /// The argon2 hash of its password.
    pub password_hash: String,
    /// Whether the person may do anything.
    pub is_active: bool,
}

/// Which people someone may find, or name by their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeopleScope {
    /// Everyone of the directory.
    Everyone,
    /// Those who are in a room of this person, and that person.
    SharedRooms(UserId),
}

/// The people who are in a room that the person of this parameter is in. Each room has its index.
macro_rules! known_people {
    ($viewer:literal) => {
        concat!(
            "SELECT DISTINCT p.user_id FROM (
                 SELECT me.room_id FROM participants me JOIN rooms r ON r.id = me.room_id
                 WHERE me.user_id = ",
            $viewer,
            " AND me.left_at IS NULL AND r.deleted_at IS NULL OFFSET 0) mine
             CROSS JOIN LATERAL (SELECT user_id FROM participants
                 WHERE room_id = mine.room_id AND left_at IS NULL OFFSET 0) p"
        )
    };
}

/// The columns of a person `u`, for [`record`].
macro_rules! record_columns {
    () => {
        concat!("u.id, ", author_columns!(), ", u.email, u.is_active, u.is_staff, u.tokens_valid_from")
    };
}

pub(super) use record_columns;

/// How many columns [`record_columns`] names.
pub(super) const RECORD_WIDTH: usize = 8;

/// Reads a person whose columns stand at the beginning.
pub(super) fn record(row: &Row) -> PersonRecord {
    PersonRecord {
        profile: Profile { author: author(row, UserId(row.get(0)), 1), email: row.get(4) },
        is_active: row.get(5),
        is_staff: row.get(6),
        tokens_valid_from: row.get(7),
    }
}

impl PostgresStore {
    /// Finds the holder of a good token, and learns of one who was unknown or is named differently by
    /// the token than before. What the host application told wins over tokens.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn token_holder(
        &self,
        user: UserId,
        claimed: &ClaimedNames,
    ) -> Result<PersonRecord, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            record_columns!(),
            ", NOT u.told_by_host AND u.erased_at IS NULL
                 AND (u.username, u.full_name, u.email)
                     IS DISTINCT FROM (coalesce($2, u.username), coalesce($3, u.full_name), coalesce($4, u.email))
               FROM people u WHERE u.id = $1"
        );
        const LEARN: &str = concat!(
            "INSERT INTO people AS u (id, username, full_name, email)
             VALUES ($1, coalesce($2, 'user' || $1::bigint), coalesce($3, ''), coalesce($4, ''))
             ON CONFLICT (id) DO UPDATE SET username = coalesce($2, u.username),
                 full_name = coalesce($3, u.full_name), email = coalesce($4, u.email),
                 changed_xid = CASE WHEN (u.username, u.full_name)
                         IS DISTINCT FROM (coalesce($2, u.username), coalesce($3, u.full_name))
                     THEN pg_current_xact_id() ELSE u.changed_xid END
             WHERE NOT u.told_by_host AND u.erased_at IS NULL
             RETURNING ",
            record_columns!()
        );
        let ClaimedNames { username, full_name, email } = claimed;
        let found = self.reader().await?.row(FIND, &[&user.0, username, full_name, email]).await?;
        if let Some(row) = found.as_ref().filter(|row| !row.get::<_, bool>(RECORD_WIDTH)) {
            return Ok(record(row));
        }
        let mut client = self.writer().await?;
        let writer = client.begin().await?;
        let learned = writer.row(LEARN, &[&user.0, username, full_name, email]).await?;
        writer.commit().await?;
        match learned.or(found) {
            Some(row) => Ok(record(&row)),
            // The host application told of the person between the two statements.
            None => {
                let row = self.reader().await?.row(FIND, &[&user.0, username, full_name, email]).await?;
                row.as_ref().map(record).ok_or_else(|| StoreError::Unavailable("a person vanished".into()))
            }
        }
    }

    /// Reads a person of the directory.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn person(&self, user: UserId) -> Result<Option<PersonRecord>, StoreError> {
        const FIND: &str = concat!("SELECT ", record_columns!(), " FROM people u WHERE u.id = $1");
        Ok(self.reader().await?.row(FIND, &[&user.0]).await?.as_ref().map(record))
    }

    /// Reads those of `users` that are known, and of `whom`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn people(&self, whom: PeopleScope, users: &[UserId]) -> Result<Vec<PersonRecord>, StoreError> {
        const FIND: &str = concat!("SELECT ", record_columns!(), " FROM people u WHERE u.id = ANY($1)");
        const KNOWN: &str = concat!(
            "SELECT ",
            record_columns!(),
            " FROM (",
            known_people!("$2"),
            ") known JOIN people u ON u.id = known.user_id WHERE u.id = ANY($1)"
        );
        let ids: Vec<i64> = users.iter().map(|user| user.0).collect();
        let rows = match whom {
            PeopleScope::Everyone => self.reader().await?.rows(FIND, &[&ids]).await?,
            PeopleScope::SharedRooms(viewer) => {
                self.long_reader().await?.rows(KNOWN, &[&ids, &viewer.0]).await?
            }
        };
        Ok(rows.iter().map(record).collect())
    }

    /// Reads a page of active people of `whom` whose names hold `part`, in the order of their names, and
    /// counts them all.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn people_named(
        &self,
        whom: PeopleScope,
        part: &str,
        limit: i64,
        offset: i64,
    ) -> Result<(i64, Vec<Author>), StoreError> {
        macro_rules! find {
            ($among:expr, $which:expr) => {
                concat!(
                    "WITH found AS MATERIALIZED (
                         SELECT u.id, u.username, u.full_name, u.erased_at FROM ",
                    $among,
                    " WHERE u.is_active ",
                    $which,
                    ")
                     SELECT (SELECT count(*) FROM found), u.id, ",
                    author_columns!(),
                    " FROM (SELECT 1) one LEFT JOIN LATERAL (
                          SELECT * FROM found ORDER BY lower(username), id LIMIT $1 OFFSET $2) u ON true
                      ORDER BY lower(u.username), u.id"
                )
            };
        }
        macro_rules! named {
            () => {
                "AND folded_name(u.username || ' ' || u.full_name) LIKE name_pattern($3)
                 AND folded_name(u.username || ' ' || u.full_name)
                     LIKE ALL (ARRAY(SELECT name_pattern(term) FROM unnest($4::text[]) term))"
            };
        }
        macro_rules! known {
            ($viewer:literal) => {
                concat!("(", known_people!($viewer), ") known JOIN people u ON u.id = known.user_id")
            };
        }
        // By the longest an index finds the fewest; the others may stand in any order.
        let mut terms: Vec<&str> = part.split_whitespace().collect();
        terms.sort_by_key(|term| std::cmp::Reverse(term.chars().count()));
        let reader = self.long_reader().await?;
        let rows = match (whom, terms.split_first()) {
            (PeopleScope::Everyone, None) => reader.rows(find!("people u", ""), &[&limit, &offset]).await?,
            (PeopleScope::Everyone, Some((first, others))) => {
                reader.rows(find!("people u", named!()), &[&limit, &offset, first, &others]).await?
            }
            (PeopleScope::SharedRooms(viewer), None) => {
                reader.rows(find!(known!("$3"), ""), &[&limit, &offset, &viewer.0]).await?
            }
            (PeopleScope::SharedRooms(viewer), Some((first, others))) => {
                let sql = find!(known!("$5"), named!());
                reader.rows(sql, &[&limit, &offset, first, &others, &viewer.0]).await?
            }
        };
        let count = rows.first().map_or(0, |row| row.get(0));
        let people = rows
            .iter()
            .filter_map(|row| Some(author(row, UserId(row.get::<_, Option<i64>>(1)?), 2)))
            .collect();
        Ok((count, people))
    }

    /// Takes over what the host application tells of these people, all or none. Ids must differ.
    ///
    /// # Errors
    /// [`StoreError`]; telling it again is safe.
    pub async fn told(&self, people: &[ToldPerson]) -> Result<Vec<PersonTold>, StoreError> {
        let mut client = self.writer().await?;
        let writer = client.begin().await?;
        let mut told: Vec<&ToldPerson> = people.iter().collect();
        // People are locked in the order of their ids, as everywhere.
        told.sort_by_key(|person| person.id);
        let mut after = Vec::with_capacity(told.len());
        for person in told {
            after.push(tell(&writer, person).await?);
        }
        writer.commit().await?;
        Ok(after)
    }

    /// Ends a person's account for good: inactive, without names and address, without an account here.
    /// `None`: unknown.
    ///
    /// # Errors
    /// [`StoreError`]; doing it again is safe.
    pub async fn erase_person(&self, user: UserId) -> Result<Option<PersonRecord>, StoreError> {
        const ERASE: &str = concat!(
            "UPDATE people u SET is_active = false, is_staff = false, username = 'deleted',
                 full_name = 'Deleted user', email = '', told_by_host = true, last_seen_at = NULL,
                 erased_at = coalesce(u.erased_at, now()), changed_xid = pg_current_xact_id()
             WHERE u.id = $1 RETURNING ",
            record_columns!()
        );
        let mut client = self.writer().await?;
        let writer = client.begin().await?;
        let erased = writer.row(ERASE, &[&user.0]).await?;
        writer.rows("DELETE FROM accounts WHERE user_id = $1", &[&user.0]).await?;
        writer.commit().await?;
        Ok(erased.as_ref().map(record))
    }

    /// Finds a built-in account by its sign-in name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn account(&self, username: &str) -> Result<Option<Account>, StoreError> {
        const FIND: &str = "SELECT a.user_id, a.password_hash, u.is_active FROM accounts a
                            JOIN people u ON u.id = a.user_id WHERE a.username = $1";
        let row = self.reader().await?.row(FIND, &[&username]).await?;
        Ok(row.map(|row| Account {
            user: UserId(row.get(0)),
            password_hash: row.get(1),
            is_active: row.get(2),
        }))
    }

    /// Makes a built-in account and its person, or sets names and password of the one there is.
    ///
    /// # Errors
    /// [`StoreError`]; doing it again is safe.
    pub async fn keep_account(
        &self,
        username: &str,
        full_name: &str,
        email: &str,
        is_staff: bool,
        password_hash: &str,
    ) -> Result<UserId, StoreError> {
        const RENEW: &str = "UPDATE accounts SET password_hash = $2 WHERE username = $1 RETURNING user_id";
        // Ids of people aren't given out here elsewhere, so the table's lock keeps two from being one.
        const LOCK: &str = "LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE";
        const PERSON: &str = "INSERT INTO people (id, username, full_name, email, is_staff)
            SELECT coalesce(max(id), 0) + 1, $1, $2, $3, $4 FROM people RETURNING id";
        const RENAME: &str = "UPDATE people SET full_name = $2, email = $3, is_staff = $4,
            changed_xid = CASE WHEN full_name = $2 THEN changed_xid ELSE pg_current_xact_id() END WHERE id = $1";
        const ACCOUNT: &str = "INSERT INTO accounts (username, user_id, password_hash) VALUES ($1, $2, $3)";
        let mut client = self.writer().await?;
        let writer = client.begin().await?;
        writer.rows(LOCK, &[]).await?;
        let id: i64 = match writer.row(RENEW, &[&username, &password_hash]).await? {
            Some(row) => {
                let id: i64 = row.get(0);
                writer.rows(RENAME, &[&id, &full_name, &email, &is_staff]).await?;
                id
            }
            None => {
                let row = writer.row(PERSON, &[&username, &full_name, &email, &is_staff]).await?;
                let id = row.map_or(1, |row| row.get(0));
                writer.rows(ACCOUNT, &[&username, &id, &password_hash]).await?;
                id
            }
        };
        writer.commit().await?;
        Ok(UserId(id))
    }
}

async fn tell(writer: &Writer<'_>, person: &ToldPerson) -> Result<PersonTold, StoreError> {
    // Not `FOR UPDATE`: who is put into a room meanwhile is looked up under a key's lock, by a batch.
    const BEFORE: &str = concat!(
        "SELECT ",
        record_columns!(),
        ", u.erased_at IS NOT NULL FROM people u WHERE u.id = $1 FOR NO KEY UPDATE"
    );
    const MAKE: &str = "INSERT INTO people (id, username) VALUES ($1, 'user' || $1::bigint)
         ON CONFLICT (id) DO NOTHING RETURNING id";
    const TELL: &str = concat!(
        "UPDATE people u SET
             username = coalesce($2, CASE WHEN u.erased_at IS NULL THEN u.username ELSE 'user' || $1::bigint END),
             full_name = coalesce($3, CASE WHEN u.erased_at IS NULL THEN u.full_name ELSE '' END),
             email = coalesce($4, u.email),
             is_active = coalesce($5, u.is_active),
             is_staff = coalesce($6, u.is_staff),
             tokens_valid_from = CASE WHEN $7 THEN $8 ELSE u.tokens_valid_from END,
             told_by_host = true,
             erased_at = NULL,
             changed_xid = CASE WHEN $9 OR u.erased_at IS NOT NULL OR (u.username, u.full_name)
                     IS DISTINCT FROM (coalesce($2, u.username), coalesce($3, u.full_name))
                 THEN pg_current_xact_id() ELSE u.changed_xid END
         WHERE u.id = $1 RETURNING ",
        record_columns!()
    );
    let lost = || StoreError::Unavailable("a person was told and not kept".into());
    let mut before = writer.row(BEFORE, &[&person.id.0]).await?;
    let created = before.is_none() && writer.row(MAKE, &[&person.id.0]).await?.is_some();
    if before.is_none() && !created {
        // Someone else has told of the person since, and that is committed now.
        before = Some(writer.row(BEFORE, &[&person.id.0]).await?.ok_or_else(lost)?);
    }
    let was = before.as_ref().map(record);
    // A list that the host goes on sending doesn't bring back whom it has ended: only its own word does.
    let is_erased = before.is_some_and(|row| row.get(RECORD_WIDTH)) && person.is_active != Some(true);
    if let Some(record) = was.clone().filter(|_| is_erased) {
        return Ok(PersonTold { record, created, right_changed: false, renamed: false, is_erased });
    }
    let (is_told, valid_from) = (person.tokens_valid_from.is_some(), person.tokens_valid_from.flatten());
    let named_before = was.as_ref().map(|was| was.profile.author.clone());
    let right_changed = was.is_some_and(|was| {
        person.is_active.is_some_and(|is_active| is_active != was.is_active)
            || (is_told && valid_from != was.tokens_valid_from)
    });
    let row = writer
        .row(
            TELL,
            &[
                &person.id.0,
                &person.username,
                &person.full_name,
                &person.email,
                &person.is_active,
                &person.is_staff,
                &is_told,
                &valid_from,
                &right_changed,
            ],
        )
        .await?
        .ok_or_else(lost)?;
    let record = record(&row);
    let renamed = !created && named_before.is_some_and(|before| before != record.profile.author);
    Ok(PersonTold { record, created, right_changed, renamed, is_erased: false })
}

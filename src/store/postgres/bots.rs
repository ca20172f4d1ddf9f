//! Bots: their accounts, their tokens and their commands.

use actors::domain::ids::{RoomId, UserId};
use actors::domain::user::UserSummary;
use actors::ports::store::{StoreError, UserAccess};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::{Error, Row};

use super::PostgresStore;
use super::rows::{user_summary, user_summary_columns};
use crate::auth::{BotToken, BotTokens};

/// The most bots, ended ones included.
const BOTS_MAX: i64 = 10_000;

/// A bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bot {
    /// Its id and names.
    pub summary: UserSummary,
    /// Whether it hasn't ended.
    pub is_active: bool,
    /// Who made it; `None`: the host application.
    pub owner: Option<UserId>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A command of a bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotCommand {
    /// The name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// What stands behind the name.
    pub hint: String,
}

/// The columns of a bot `b` with its account `u`, for [`bot_of`].
macro_rules! bot_columns {
    () => {
        concat!(
            "b.user_id, ",
            $crate::store::postgres::rows::user_summary_columns!(),
            ", u.is_active, b.owner, b.created_at"
        )
    };
}

fn bot_of(row: &Row) -> Bot {
    Bot {
        summary: user_summary(row, UserId(row.get(0)), 1),
        is_active: row.get(4),
        owner: row.get::<_, Option<i64>>(5).map(UserId),
        created_at: row.get(6),
    }
}

/// Ids of bots are a range of the index that rooms' participants have.
const BOT_OF_COMMAND: &str = "SELECT p.user_id FROM participants p
    CROSS JOIN LATERAL (SELECT FROM bot_commands WHERE bot_id = p.user_id AND name = $2 LIMIT 1) c
    CROSS JOIN LATERAL (SELECT FROM people WHERE id = p.user_id AND is_active LIMIT 1) u
    WHERE p.room_id = $1 AND p.user_id <= $3 AND p.left_at IS NULL AND (p.until IS NULL OR p.until > now())
    ORDER BY p.joined_seq LIMIT 1";

/// Finds the bot in a room that has a command; of several, the one that joined first.
pub(super) async fn of_command(
    client: &ClientWrapper,
    room: RoomId,
    name: &str,
) -> Result<Option<UserId>, Error> {
    let statement = client.prepare_cached(BOT_OF_COMMAND).await?;
    let row = client.query_opt(&statement, &[&room.0, &name, &UserId::FIRST_BOT.0]).await?;
    Ok(row.map(|row| UserId(row.get(0))))
}

#[async_trait]
impl BotTokens for PostgresStore {
    async fn bot_token(&self, hash: &[u8]) -> Result<Option<BotToken>, StoreError> {
        const FIND: &str = "SELECT user_id, token_issued_at FROM bots WHERE token_hash = $1";
        let row = self.read_client().await?.row(FIND, &[&hash]).await?;
        Ok(row.map(|row| BotToken { bot: UserId(row.get(0)), issued_at: row.get(1) }))
    }
}

impl PostgresStore {
    /// Makes a bot with an account of its own; `None`: there are too many.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::OutcomeUnknown`] it may be made.
    pub async fn add_bot(
        &self,
        username: &str,
        full_name: &str,
        token_hash: &[u8],
        owner: Option<UserId>,
    ) -> Result<Option<Bot>, StoreError> {
        // Two at once see each other's.
        const LOCK: &str = "LOCK TABLE bots IN SHARE ROW EXCLUSIVE MODE";
        const COUNT: &str = "SELECT count(*) FROM bots";
        const ACCOUNT: &str = "INSERT INTO people (id, username, full_name, told_by_host)
            VALUES (nextval('bot_ids'), $1, $2, true) RETURNING id";
        const INSERT: &str = concat!(
            "WITH b AS (
                 INSERT INTO bots (user_id, token_hash, token_issued_at, owner)
                 VALUES ($1, $2, extract(epoch FROM now())::bigint, $3) RETURNING *)
             SELECT ",
            bot_columns!(),
            " FROM b JOIN people u ON u.id = b.user_id"
        );
        let lost = || StoreError::Unavailable("a bot was not stored".into());
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        transaction.rows(LOCK, &[]).await?;
        let count: i64 = transaction.row(COUNT, &[]).await?.map_or(0, |row| row.get(0));
        if count >= BOTS_MAX {
            return Ok(None);
        }
        let id: i64 = transaction.row(ACCOUNT, &[&username, &full_name]).await?.ok_or_else(lost)?.get(0);
        let owner = owner.map(|owner| owner.0);
        let row = transaction.row(INSERT, &[&id, &token_hash, &owner]).await?;
        let bot = row.as_ref().map(bot_of).ok_or_else(lost)?;
        transaction.commit().await?;
        Ok(Some(bot))
    }

    /// Lists bots, the newest first, with the number of all.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn bots(&self, limit: i64, offset: i64) -> Result<(i64, Vec<Bot>), StoreError> {
        const LIST: &str = concat!(
            "SELECT ",
            bot_columns!(),
            ", count(*) OVER () FROM bots b JOIN people u ON u.id = b.user_id
             ORDER BY b.user_id LIMIT $1 OFFSET $2"
        );
        let rows = self.long_read_client().await?.rows(LIST, &[&limit, &offset]).await?;
        let count = rows.first().map_or(0, |row| row.get(7));
        Ok((count, rows.iter().map(bot_of).collect()))
    }

    /// Replaces the token of a bot that hasn't ended: what the one before has opened ends. `None`: there is no such
    /// bot.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::OutcomeUnknown`] either token may be valid.
    pub async fn replace_bot_token(
        &self,
        bot: UserId,
        token_hash: &[u8],
    ) -> Result<Option<UserAccess>, StoreError> {
        const REPLACE: &str = "UPDATE bots SET token_hash = $2,
                token_issued_at = greatest(extract(epoch FROM now())::bigint, token_issued_at + 1)
            WHERE user_id = $1 AND token_hash IS NOT NULL RETURNING token_issued_at";
        const REVOKE: &str =
            "UPDATE people SET tokens_valid_from = $2, changed_xid = pg_current_xact_id() WHERE id = $1";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let Some(row) = transaction.row(REPLACE, &[&bot.0, &token_hash]).await? else { return Ok(None) };
        let tokens_valid_from: i64 = row.get(0);
        transaction.rows(REVOKE, &[&bot.0, &tokens_valid_from]).await?;
        transaction.commit().await?;
        Ok(Some(UserAccess { user: bot, is_active: true, tokens_valid_from: Some(tokens_valid_from) }))
    }

    /// Ends a bot: its token, its commands and its account. What it wrote stays. `None`: there is no such bot.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn end_bot(&self, bot: UserId) -> Result<Option<UserAccess>, StoreError> {
        const END: &str = "UPDATE bots SET token_hash = NULL WHERE user_id = $1 RETURNING user_id";
        const DELETE_COMMANDS: &str = "DELETE FROM bot_commands WHERE bot_id = $1";
        const DEACTIVATE: &str = "UPDATE people SET is_active = false, changed_xid = pg_current_xact_id()
            WHERE id = $1 RETURNING tokens_valid_from";
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        if transaction.row(END, &[&bot.0]).await?.is_none() {
            return Ok(None);
        }
        transaction.rows(DELETE_COMMANDS, &[&bot.0]).await?;
        let row = transaction.row(DEACTIVATE, &[&bot.0]).await?;
        transaction.commit().await?;
        Ok(row.map(|row| UserAccess { user: bot, is_active: false, tokens_valid_from: row.get(0) }))
    }

    /// Replaces the commands of a bot, whose names differ.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn set_bot_commands(&self, bot: UserId, commands: &[BotCommand]) -> Result<(), StoreError> {
        // One list after the other, and none of a bot that has ended.
        const LOCK: &str = "SELECT FROM bots WHERE user_id = $1 AND token_hash IS NOT NULL FOR UPDATE";
        const DELETE: &str = "DELETE FROM bot_commands WHERE bot_id = $1";
        const INSERT: &str = "INSERT INTO bot_commands (bot_id, name, description, hint)
            SELECT $1::bigint, * FROM unnest($2::text[], $3::text[], $4::text[])";
        let column = |of: fn(&BotCommand) -> &str| commands.iter().map(of).collect::<Vec<&str>>();
        let names = column(|command| &command.name);
        let descriptions = column(|command| &command.description);
        let hints = column(|command| &command.hint);
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        if transaction.row(LOCK, &[&bot.0]).await?.is_none() {
            return Ok(());
        }
        transaction.rows(DELETE, &[&bot.0]).await?;
        transaction.rows(INSERT, &[&bot.0, &names, &descriptions, &hints]).await?;
        transaction.commit().await
    }

    /// Lists the commands of the bots in a room that `viewer` is in, by their names, with the number of all.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn bot_commands(
        &self,
        viewer: UserId,
        room: RoomId,
        limit: i64,
        offset: i64,
    ) -> Result<(i64, Vec<(UserSummary, BotCommand)>), StoreError> {
        const LIST: &str = concat!(
            "SELECT c.bot_id, ",
            user_summary_columns!(),
            ", c.name, c.description, c.hint, count(*) OVER ()
             FROM participants me JOIN rooms r ON r.id = me.room_id AND r.deleted_at IS NULL
             JOIN participants p ON p.room_id = me.room_id AND p.user_id <= $3 AND p.left_at IS NULL
                 AND (p.until IS NULL OR p.until > now())
             CROSS JOIN LATERAL (SELECT * FROM people WHERE id = p.user_id AND is_active LIMIT 1) u
             CROSS JOIN LATERAL (SELECT * FROM bot_commands WHERE bot_id = p.user_id OFFSET 0) c
             WHERE me.room_id = $1 AND me.user_id = $2 AND me.left_at IS NULL
             ORDER BY c.name, p.joined_seq LIMIT $4 OFFSET $5"
        );
        let client = self.read_client().await?;
        let rows = client.rows(LIST, &[&room.0, &viewer.0, &UserId::FIRST_BOT.0, &limit, &offset]).await?;
        let count = rows.first().map_or(0, |row| row.get(7));
        let command = |row: &Row| {
            let command = BotCommand { name: row.get(4), description: row.get(5), hint: row.get(6) };
            (user_summary(row, UserId(row.get(0)), 1), command)
        };
        Ok((count, rows.iter().map(command).collect()))
    }
}

//! Users, rooms and messages, inserted by SQL into the server's database, and the users' tokens.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;
use tokio_postgres::{Client, NoTls};

/// Lifetime of the tokens.
const TOKEN_SECONDS: u64 = 6 * 3600;

const USERS: &str = "
    INSERT INTO people (id, username, full_name, told_by_host)
    SELECT n, 'user' || n, 'Load User ' || n, true FROM generate_series(1, $1::bigint) n
    ON CONFLICT DO NOTHING";

const ROOMS: &str = "
    INSERT INTO rooms (id, room_type, name, created_at, modified_at, head)
    SELECT md5($1 || n)::uuid, 'group', 'load ' || n, now(), now(), $3
    FROM generate_series(1, $2::bigint) n RETURNING id";

const MEMBERS: &str = "
    INSERT INTO participants (room_id, user_id, role, joined_at, joined_seq)
    SELECT r, u, 'member', now(), 0 FROM unnest($1::uuid[], $2::bigint[]) k (r, u)";

/// Events of past transactions, which no running node polls, with 1,000 events in each.
const EVENTS: &str = "
    INSERT INTO events (room_id, seq, kind, actor, message_id, at, xid)
    SELECT r, s, 'message_posted', 1, md5(r::text || s)::uuid, now(),
           ($3 + ((s - 1) * cardinality($1::uuid[]) + n) / 1000)::text::xid8
    FROM unnest($1::uuid[]) WITH ORDINALITY k (r, n), generate_series(1, $2::bigint) s";
const EVENTS_A_TRANSACTION: i64 = 1_000;
const LAST_TRANSACTION: &str = "SELECT pg_current_xact_id()::text::bigint";

/// Texts of ten words out of a few thousand.
const MESSAGES: &str = "
    INSERT INTO messages (room_id, id, seq, rev, sender_id, message_type, content, created_at, modified_at)
    SELECT r, md5(r::text || s)::uuid, s, s, 1, 'text',
           (SELECT string_agg('w' || (hashint8(s * 10 + k + hashtext(r::text)) & 4095) || 'rd', ' ')
            FROM generate_series(1, 10) k), now(), now()
    FROM unnest($1::uuid[]) r, generate_series(1, $2::bigint) s";

const LAST_MESSAGES: &str = "
    UPDATE rooms SET last_message_id = md5(id::text || head)::uuid, last_message_seq = head,
           last_message_at = now()
    WHERE id = ANY($1) AND head > 0";

/// A connection to the database.
pub(crate) struct TestData {
    client: Client,
    made: usize,
}

impl TestData {
    /// Connects through the folder of the database's socket.
    pub(crate) async fn open(sockets: &str) -> anyhow::Result<Self> {
        let config = format!("host={sockets} user=chat dbname=chat");
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await.context("the database")?;
        tokio::spawn(connection);
        Ok(Self { client, made: 0 })
    }

    /// Inserts the users 1 to `count`.
    pub(crate) async fn users(&self, count: i64) -> anyhow::Result<()> {
        self.client.execute(USERS, &[&count]).await?;
        Ok(())
    }

    /// Inserts a room with messages for each list of users.
    pub(crate) async fn rooms(&mut self, members: &[Vec<i64>], messages: i64) -> anyhow::Result<Vec<String>> {
        self.made += 1;
        let count = i64::try_from(members.len())?;
        let rows = self.client.query(ROOMS, &[&format!("room {} ", self.made), &count, &messages]).await?;
        let rooms: Vec<uuid::Uuid> = rows.iter().map(|row| row.get(0)).collect();
        let (mut of, mut who) = (Vec::new(), Vec::<i64>::new());
        for (room, members) in rooms.iter().zip(members) {
            of.extend(members.iter().map(|_| *room));
            who.extend(members);
        }
        self.client.execute(MEMBERS, &[&of, &who]).await.context("members")?;
        if messages > 0 {
            let past = self.client.query_one(LAST_TRANSACTION, &[]).await?.get::<_, i64>(0) + 1;
            let count = count * messages / EVENTS_A_TRANSACTION + 1;
            let skip = format!(
                "DO $$ BEGIN FOR n IN 1..{count} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
            );
            self.client.batch_execute(&skip).await.context("transactions")?;
            self.client.execute(EVENTS, &[&rooms, &messages, &past]).await.context("events")?;
            self.client.execute(MESSAGES, &[&rooms, &messages]).await.context("messages")?;
            self.client.execute(LAST_MESSAGES, &[&rooms]).await?;
        }
        Ok(rooms.iter().map(ToString::to_string).collect())
    }

    /// Updates the planner's statistics and writes a checkpoint, so that no run pays for the inserts.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        self.client.batch_execute("VACUUM ANALYZE").await?;
        self.client.batch_execute("CHECKPOINT").await?;
        Ok(())
    }
}

/// A token of a user.
pub(crate) fn token(secret: &str, user: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let claims = json!({
        "token_type": "access", "iat": now, "exp": now + TOKEN_SECONDS, "jti": format!("load-{user}"),
        "user_id": user.to_string(),
    });
    encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes()))
        .expect("an HMAC of plain values can't fail")
}

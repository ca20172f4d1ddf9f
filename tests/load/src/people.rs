//! People, rooms and messages, made by SQL in the server's database, and people's tokens.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;
use tokio_postgres::{Client, NoTls};

/// How long a run's tokens are good for.
const TOKEN_SECONDS: u64 = 6 * 3600;

const PEOPLE: &str = "
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

const EVENTS: &str = "
    INSERT INTO events (room_id, seq, kind, actor, message_id, at, xid)
    SELECT r, s, 'message_posted', 1, md5(r::text || s)::uuid, now(), '3'
    FROM unnest($1::uuid[]) r, generate_series(1, $2::bigint) s";

/// Texts of some ten words out of a few thousand, as people write them.
const MESSAGES: &str = "
    INSERT INTO messages (room_id, id, seq, rev, sender_id, message_type, content, created_at, modified_at)
    SELECT r, md5(r::text || s)::uuid, s, s, 1, 'text',
           (SELECT string_agg('w' || (hashint8(s * 10 + k + hashtext(r::text)) & 4095) || 'rd', ' ')
            FROM generate_series(1, 10) k), now(), now()
    FROM unnest($1::uuid[]) r, generate_series(1, $2::bigint) s";

/// As the server's own reader of the feed would take them in.
const TEXTS: &str = "
    INSERT INTO texts (room_id, message_id, rev, folded)
    SELECT room_id, id, rev, ' ' || content || ' ' FROM messages WHERE room_id = ANY($1)";

const LAST_MESSAGES: &str = "
    UPDATE rooms SET last_message_id = md5(id::text || head)::uuid, last_message_seq = head,
           last_message_at = now()
    WHERE id = ANY($1) AND head > 0";

/// Messages above which the indexes of the search are made behind them.
const LARGE: i64 = 50_000;
const SEARCH_INDEXES: &str = "
    SELECT 'DROP INDEX ' || indexname, indexdef FROM pg_indexes
    WHERE tablename = 'texts' AND indexdef LIKE '%USING gin%'";

/// A way into the database.
pub(crate) struct Directory {
    client: Client,
    made: usize,
}

impl Directory {
    /// Connects through the folder that holds the database's socket.
    pub(crate) async fn open(sockets: &str) -> anyhow::Result<Self> {
        let config = format!("host={sockets} user=chat dbname=chat");
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await.context("the database")?;
        tokio::spawn(connection);
        Ok(Self { client, made: 0 })
    }

    /// Makes the people 1 to `count`.
    pub(crate) async fn people(&self, count: i64) -> anyhow::Result<()> {
        self.client.execute(PEOPLE, &[&count]).await?;
        Ok(())
    }

    /// Makes a room for each list of people, each with so many messages.
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
            let mut again = String::from("SET maintenance_work_mem = '1GB';");
            if count * messages > LARGE {
                // An index is made faster than it grows.
                for row in self.client.query(SEARCH_INDEXES, &[]).await? {
                    self.client.batch_execute(row.get(0)).await?;
                    again += &format!("{};", row.get::<_, &str>(1));
                }
            }
            self.client.execute(EVENTS, &[&rooms, &messages]).await.context("events")?;
            self.client.execute(MESSAGES, &[&rooms, &messages]).await.context("messages")?;
            self.client.execute(TEXTS, &[&rooms]).await.context("texts")?;
            self.client.execute(LAST_MESSAGES, &[&rooms]).await?;
            self.client.batch_execute(&again).await.context("indexes")?;
        }
        Ok(rooms.iter().map(ToString::to_string).collect())
    }

    /// Brings the planner's statistics up to date and writes out what waits, so that no run pays for
    /// the making.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        self.client.batch_execute("VACUUM ANALYZE").await?;
        self.client.batch_execute("CHECKPOINT").await?;
        Ok(())
    }
}

/// A token that says who someone is.
pub(crate) fn token(secret: &str, user: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let claims = json!({
        "token_type": "access", "iat": now, "exp": now + TOKEN_SECONDS, "jti": format!("load-{user}"),
        "user_id": user.to_string(),
    });
    encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes()))
        .expect("an HMAC of plain values can't fail")
}

//! Attacks by unauthenticated clients and by one user. They target only the test's own server, for a limited
//! time.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::node::Node;
use crate::users::TestUser;

/// Source address of the unauthenticated attackers, different from that of everyone else.
const FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
/// Source address of the attacker with an account.
const FROM_HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 67);
/// The longest that an attacker waits for anything.
const TIMEOUT: Duration = Duration::from_secs(12);
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(200);
/// Stands for a connection that ended without a response.
const ENDED: u16 = 0;

/// An attacker with an account and a room full of long messages.
#[derive(Clone)]
pub struct Mallory {
    user: TestUser,
    room: String,
}

/// Creates the account and the room.
pub async fn prepare(server: &Node) -> Mallory {
    let user = server.user("mallory").await;
    let room = user.makes_group(&[]).await;
    let mut socket = user.joins(&room).await;
    let text = "\u{10348}".repeat(4_000);
    for _ in 0..200 {
        loop {
            let client_id = socket.says_with_client_id(&text).await;
            let answer = socket.answer_to(&client_id).await;
            if answer["type"] == "ack" {
                break;
            }
            let wait = answer["retry_after"].as_f64().expect("when to try again");
            // One second more, because clients that are refused too often are closed.
            tokio::time::sleep(Duration::from_secs_f64(wait + 1.0)).await;
        }
    }
    Mallory { user, room }
}

/// A kind of attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// Opens connections and sends nothing.
    HoldsConnections,
    /// Sends request heads byte by byte.
    DripsHeads,
    /// Sends unauthenticated bodies slowly.
    DripsBodies,
    /// Sends authenticated bodies slowly.
    DripsOwnBodies,
    /// Requests long responses and never reads them.
    NeverReads,
    /// Opens sockets with invalid tokens.
    FloodsHandshakes,
    /// Opens and closes sockets with a valid token.
    ComesAndGoes,
    /// Requests new tokens with invalid ones.
    FloodsTokens,
    /// Sends heads without an end, or with bare line feeds.
    SendsBadHeads,
}

/// How often each status was received.
#[derive(Default)]
pub struct StatusCounts(BTreeMap<u16, usize>);

impl fmt::Display for StatusCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl StatusCounts {
    /// Whether the attack ran into one of the limits against it.
    pub fn had_effect(&self, attack: Attack) -> bool {
        let bounds: &[u16] = match attack {
            Attack::HoldsConnections => &[429, ENDED],
            Attack::DripsHeads | Attack::DripsBodies | Attack::DripsOwnBodies => &[408, 413, 429, ENDED],
            Attack::NeverReads => &[429, 503],
            Attack::FloodsHandshakes | Attack::ComesAndGoes | Attack::FloodsTokens => &[429],
            Attack::SendsBadHeads => &[400, 431, 429, ENDED],
        };
        bounds.iter().any(|status| self.0.contains_key(status))
    }
}

impl Attack {
    /// All attacks.
    pub const ALL: [Self; 9] = [
        Self::HoldsConnections,
        Self::DripsHeads,
        Self::DripsBodies,
        Self::DripsOwnBodies,
        Self::NeverReads,
        Self::FloodsHandshakes,
        Self::ComesAndGoes,
        Self::FloodsTokens,
        Self::SendsBadHeads,
    ];

    /// The number of concurrent attackers.
    fn client_count(self) -> usize {
        match self {
            Self::HoldsConnections => 200,
            Self::NeverReads => 150,
            Self::DripsHeads | Self::DripsBodies => 80,
            Self::DripsOwnBodies => 40,
            Self::FloodsHandshakes | Self::ComesAndGoes | Self::FloodsTokens => 10,
            Self::SendsBadHeads => 5,
        }
    }

    /// Whether the attack needs an account.
    fn has_account(self) -> bool {
        matches!(self, Self::DripsOwnBodies | Self::NeverReads | Self::ComesAndGoes)
    }

    /// Repeats the attack until the given time.
    pub async fn run_until(self, mallory: Mallory, until: Instant) -> StatusCounts {
        let each = (0..self.client_count()).map(|_| async {
            let mut statuses = Vec::new();
            while Instant::now() < until {
                let left = until.saturating_duration_since(Instant::now()) + Duration::from_secs(1);
                let tried = tokio::time::timeout(left, self.attempt(&mallory)).await;
                statuses.push(tried.ok().and_then(Result::ok).unwrap_or(ENDED));
                tokio::time::sleep(PAUSE).await;
            }
            statuses
        });
        let mut counts = StatusCounts::default();
        for status in join_all(each).await.concat() {
            *counts.0.entry(status).or_default() += 1;
        }
        counts
    }

    /// Attacks once and returns the status of the response.
    async fn attempt(self, Mallory { user, room }: &Mallory) -> io::Result<u16> {
        let (address, token) = (user.address, &user.token);
        let from = if self.has_account() { FROM_HOME } else { FROM };
        let connect = || connect(from, address);
        let own = format!("Authorization: Bearer {token}\r\n");
        match self {
            Self::HoldsConnections => status(&mut connect().await?).await,
            Self::DripsHeads => {
                drips(connect().await?, "GET /health/live HTTP/1.1\r\nHost: x\r\nX-Drip: ", b"a", 100_000)
                    .await
            }
            Self::DripsBodies => {
                let head = post("/api/token/verify/", "", 1_000_000);
                drips(connect().await?, &head, &[b' '; 1_100], 900_000).await
            }
            Self::DripsOwnBodies => {
                let head = post("/api/chat/messages/", &own, 1_000_000);
                drips(connect().await?, &head, &[b' '; 1_100], 900_000).await
            }
            Self::NeverReads => {
                let mut line = connect().await?;
                let path = format!("/api/chat/rooms/{room}/events/?limit=1000");
                line.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{own}\r\n").as_bytes()).await?;
                tokio::time::sleep(TIMEOUT).await;
                status(&mut line).await
            }
            Self::FloodsHandshakes => socket(connect().await?, room, "none").await,
            Self::ComesAndGoes => socket(connect().await?, room, token).await,
            Self::FloodsTokens => {
                let mut line = connect().await?;
                let head = post("/api/token/refresh/", "", 15);
                line.write_all(format!("{head}{{\"refresh\":\"x\"}}").as_bytes()).await?;
                status(&mut line).await
            }
            Self::SendsBadHeads => {
                let mut line = connect().await?;
                let endless = format!("GET /{} HTTP/1.1\r\n", "a".repeat(200_000));
                let _cut_off = line.write_all(endless.as_bytes()).await;
                let _cut_off = status(&mut line).await;
                let mut line = connect().await?;
                line.write_all(b"GET / HTTP/1.1\nHost: x\n\n").await?;
                status(&mut line).await
            }
        }
    }
}

fn post(path: &str, who: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\n{who}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

async fn connect(from: Ipv4Addr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4_096)?;
    socket.bind(SocketAddr::from((from, 0)))?;
    socket.connect(address).await
}

/// Reads the status of a response.
async fn status(line: &mut TcpStream) -> io::Result<u16> {
    let mut start = [0; 12];
    let read = tokio::time::timeout(TIMEOUT, line.read_exact(&mut start));
    read.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(String::from_utf8_lossy(&start[9..]).parse().unwrap_or_default())
}

/// Sends a head and then small pieces until there is a response.
async fn drips(line: TcpStream, head: &str, drop: &[u8], at_once: usize) -> io::Result<u16> {
    let (mut reads, mut writes) = line.into_split();
    writes.write_all(head.as_bytes()).await?;
    let pours = async {
        if drop.len() > 1 {
            let _cut_off = writes.write_all(&vec![b' '; at_once]).await;
        }
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            if writes.write_all(drop).await.is_err() {
                // The response that is being read says why.
                tokio::time::sleep(TIMEOUT).await;
            }
        }
    };
    let mut start = [0; 12];
    tokio::select! {
        never = pours => never,
        read = reads.read_exact(&mut start) => {
            read?;
            Ok(String::from_utf8_lossy(&start[9..]).parse().unwrap_or_default())
        }
    }
}

/// Requests a socket and closes the connection.
async fn socket(mut line: TcpStream, room: &str, token: &str) -> io::Result<u16> {
    let head = format!(
        "GET /ws/chat/{room}/?token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    line.write_all(head.as_bytes()).await?;
    status(&mut line).await
}

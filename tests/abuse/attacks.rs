//! What strangers and one user do who mean harm. All of it goes to the test's own server, and ends.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::node::Node;
use crate::people::Person;

/// Where strangers come from: not from where everyone else does.
const FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
/// Where the one with the account comes from.
const FROM_HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 67);
/// How long one of them waits for anything at most.
const PATIENCE: Duration = Duration::from_secs(12);
/// How long each pauses between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// What stands for a connection that ended without an answer.
const ENDED: u16 = 0;

/// One who has an account, a room full of long texts, and no patience.
#[derive(Clone)]
pub struct Mallory {
    person: Person,
    room: String,
}

/// Makes the account and the room.
pub async fn prepare(server: &Node) -> Mallory {
    let person = server.person("mallory").await;
    let room = person.makes_group(&[]).await;
    let mut socket = person.enters(&room).await;
    let text = "\u{10348}".repeat(4_000);
    for _ in 0..200 {
        loop {
            let client_id = socket.says_surely(&text).await;
            let answer = socket.answer_to(&client_id).await;
            if answer["type"] == "ack" {
                break;
            }
            let wait = answer["retry_after"].as_f64().expect("when to try again");
            // A second more, for a client that is refused too often is closed.
            tokio::time::sleep(Duration::from_secs_f64(wait + 1.0)).await;
        }
    }
    Mallory { person, room }
}

/// One way to do harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// Opens connections and says nothing.
    Holds,
    /// Sends heads byte by byte.
    DripsHeads,
    /// Sends bodies of nobody slowly.
    DripsBodies,
    /// Sends bodies of a person slowly.
    DripsOwnBodies,
    /// Asks for long answers and never reads.
    NeverReads,
    /// Opens sockets with tokens that are none.
    FloodsHandshakes,
    /// Opens and leaves sockets with a good token.
    ComesAndGoes,
    /// Asks for new tokens with some that are none.
    FloodsTokens,
    /// Sends heads that have no end, or bare line feeds.
    SendsBadHeads,
}

/// How often which status was the answer.
#[derive(Default)]
pub struct Told(BTreeMap<u16, usize>);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Told {
    /// Whether the attack has met what is to stop it.
    pub fn had_effect(&self, attack: Attack) -> bool {
        let bounds: &[u16] = match attack {
            Attack::Holds => &[429, ENDED],
            Attack::DripsHeads | Attack::DripsBodies | Attack::DripsOwnBodies => &[408, 413, 429, ENDED],
            Attack::NeverReads => &[429, 503],
            Attack::FloodsHandshakes | Attack::ComesAndGoes | Attack::FloodsTokens => &[429],
            Attack::SendsBadHeads => &[400, 431, 429, ENDED],
        };
        bounds.iter().any(|status| self.0.contains_key(status))
    }
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Holds,
        Self::DripsHeads,
        Self::DripsBodies,
        Self::DripsOwnBodies,
        Self::NeverReads,
        Self::FloodsHandshakes,
        Self::ComesAndGoes,
        Self::FloodsTokens,
        Self::SendsBadHeads,
    ];

    /// How many do it at once.
    fn crowd(self) -> usize {
        match self {
            Self::Holds => 200,
            Self::NeverReads => 150,
            Self::DripsHeads | Self::DripsBodies => 80,
            Self::DripsOwnBodies => 40,
            Self::FloodsHandshakes | Self::ComesAndGoes | Self::FloodsTokens => 10,
            Self::SendsBadHeads => 5,
        }
    }

    /// Whether it is done by one who has an account.
    fn has_account(self) -> bool {
        matches!(self, Self::DripsOwnBodies | Self::NeverReads | Self::ComesAndGoes)
    }

    /// Does it until then.
    pub async fn runs(self, mallory: Mallory, until: Instant) -> Told {
        let each = (0..self.crowd()).map(|_| async {
            let mut statuses = Vec::new();
            while Instant::now() < until {
                let left = until.saturating_duration_since(Instant::now()) + Duration::from_secs(1);
                let tried = tokio::time::timeout(left, self.tries(&mallory)).await;
                statuses.push(tried.ok().and_then(Result::ok).unwrap_or(ENDED));
                tokio::time::sleep(PAUSE).await;
            }
            statuses
        });
        let mut told = Told::default();
        for status in join_all(each).await.concat() {
            *told.0.entry(status).or_default() += 1;
        }
        told
    }

    /// Does it once; gives the status of the answer.
    async fn tries(self, Mallory { person, room }: &Mallory) -> io::Result<u16> {
        let (address, token) = (person.address, &person.token);
        let from = if self.has_account() { FROM_HOME } else { FROM };
        let connect = || connect(from, address);
        let own = format!("Authorization: Bearer {token}\r\n");
        match self {
            Self::Holds => status(&mut connect().await?).await,
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
                tokio::time::sleep(PATIENCE).await;
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

/// The status of an answer that comes in time.
async fn status(line: &mut TcpStream) -> io::Result<u16> {
    let mut start = [0; 12];
    let read = tokio::time::timeout(PATIENCE, line.read_exact(&mut start));
    read.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(String::from_utf8_lossy(&start[9..]).parse().unwrap_or_default())
}

/// Sends the beginning and then drop after drop, until there is an answer.
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
                // What there is to read says why.
                tokio::time::sleep(PATIENCE).await;
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

/// Asks for a socket and is gone.
async fn socket(mut line: TcpStream, room: &str, token: &str) -> io::Result<u16> {
    let head = format!(
        "GET /ws/chat/{room}/?token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    line.write_all(head.as_bytes()).await?;
    status(&mut line).await
}

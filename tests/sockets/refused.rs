//! Rejected clients that don't wait for the response, and what happens to what they send: nothing is stored,
//! nobody is notified, and they receive only the rejection.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::node::Node;
use crate::shared;
use crate::socket::{Socket, TIMEOUT};
use crate::users::{TestUser, now, token};

/// The id of a room that doesn't exist.
const NOWHERE: &str = "b0a7b7a0-0000-4000-8000-000000000001";

/// How a client sends its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenTransport {
    Query,
    ChatV1,
}

/// When a client sends its frames, relative to its request.
const TIMINGS: [Timing; 5] =
    [Timing::InOneWrite, Timing::ByHalves, Timing::After(0), Timing::After(30), Timing::After(1_200)];

#[derive(Clone, Copy, Debug)]
enum Timing {
    /// Request and frames arrive before the server reads.
    InOneWrite,
    /// The first frame is completed later.
    ByHalves,
    /// The frames follow after this many milliseconds.
    After(u64),
}

/// What a client received.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// An HTTP status, and nothing after the body.
    Status(u16),
    /// The upgrade and a close code, with nothing in between.
    Closed(u16),
    /// Anything else.
    Other(String),
}

/// The upgrade request for a room, or for all rooms.
fn request(user: &TestUser, room: Option<&str>, transport: TokenTransport, query: &str) -> String {
    let path = room.map_or("/ws/chat/".into(), |room| format!("/ws/chat/{room}/"));
    let (query, offer) = match transport {
        TokenTransport::Query => (format!("token={}&{query}", user.token), String::new()),
        TokenTransport::ChatV1 => {
            (query.to_owned(), format!("Sec-WebSocket-Protocol: chat.v1, bearer.{}\r\n", user.token))
        }
    };
    format!(
        "GET {path}?{query} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{offer}\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// A frame masked with zeros.
fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("no long frame");
    let [high, low] = length.to_be_bytes();
    let mut frame = vec![0x80 | opcode];
    if length < 126 {
        frame.push(0x80 | low);
    } else {
        frame.extend([0x80 | 126, high, low]);
    }
    [&frame[..], &[0; 4], payload].concat()
}

fn text(frame: &Value) -> Vec<u8> {
    masked(1, frame.to_string().as_bytes())
}

/// Everything that a client could do in a room.
fn actions(room: &str) -> Vec<u8> {
    let actions = [
        json!({"type": "typing", "room_id": room, "is_typing": true}),
        json!({"type": "chat_message", "room_id": room, "message": "unasked for"}),
        json!({"type": "mark_room_read", "room_id": room}),
        json!({"type": "subscribe", "room_id": room, "since": 0}),
        json!({"type": "ping", "n": 1}),
    ];
    [actions.iter().flat_map(text).collect(), masked(9, b"?")].concat()
}

/// Sends the request and the frames with this timing. Returns what arrives until the server ends the
/// connection.
async fn connect(user: &TestUser, request: &str, actions: &[u8], timing: Timing) -> Answer {
    let mut stream = TcpStream::connect(user.address).await.expect("a connection");
    stream.set_nodelay(true).expect("a TCP socket");
    let (early, late, pause) = match timing {
        Timing::InOneWrite => ([request.as_bytes(), actions].concat(), &actions[..0], 0),
        Timing::ByHalves => ([request.as_bytes(), &actions[..9]].concat(), &actions[9..], 100),
        Timing::After(millis) => (request.as_bytes().to_vec(), actions, millis),
    };
    stream.write_all(&early).await.expect("a request");
    let (mut reads, mut writes) = stream.split();
    let mut heard = Vec::new();
    let listens = async { _ = reads.read_to_end(&mut heard).await };
    let speaks = async {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        // A rejected connection may no longer accept anything.
        let _gone = writes.write_all(late).await;
    };
    let both = async { tokio::join!(listens, speaks) };
    tokio::time::timeout(TIMEOUT, both).await.expect("the connection ends");
    Answer::of(&heard)
}

impl Answer {
    fn of(heard: &[u8]) -> Self {
        let other = || Self::Other(String::from_utf8_lossy(heard).into_owned());
        let Some(at) = heard.windows(4).position(|end| end == b"\r\n\r\n") else { return other() };
        let (head, body) = (String::from_utf8_lossy(&heard[..at]), &heard[at + 4..]);
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        let length = head
            .to_lowercase()
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next().and_then(|length| length.parse::<usize>().ok()));
        match (status, body) {
            (Some(101), [0x88, length, high, low, reason @ ..])
                if usize::from(*length) == reason.len() + 2 =>
            {
                Self::Closed(u16::from_be_bytes([*high, *low]))
            }
            (Some(status), body) if status != 101 && length == Some(body.len()) => Self::Status(status),
            _ => other(),
        }
    }
}

/// Why a client is rejected, with the expected status and close code.
struct Case<'a> {
    name: &'static str,
    who: TestUser,
    /// The room of the socket; `None` for a user socket.
    room: Option<&'a str>,
    status: u16,
    code: u16,
}

#[tokio::test]
async fn a_rejected_socket_has_no_effect_and_receives_nothing_else() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let (revoked, closed, full) =
        (server.user("rev").await, server.user("clo").await, server.user("full").await);
    let outsider = server.user("out").await;
    let room = ana.makes_group(&[&revoked, &closed, &full]).await;
    let revoked = revoked.with_token(token(json!({"user_id": revoked.id, "iat": now() - 100})));
    let from = chrono::DateTime::from_timestamp(now() - 50, 0).expect("a time").to_rfc3339();
    server.host().upserts(&revoked, json!({"tokens_valid_from": from})).await;
    server.host().upserts(&closed, json!({"is_active": false})).await;
    let held: Vec<Socket> = join_all((0..20).map(|_| full.joins(&room))).await;
    let case = |name, who: &TestUser, room, status, code| Case { name, who: who.clone(), room, status, code };
    let own = Some(&room[..]);
    let cases = [
        case("a revoked token", &revoked, own, 401, 4401),
        case("a revoked token", &revoked, None, 401, 4401),
        case("a revoked token, a room that is nowhere", &revoked, Some(NOWHERE), 401, 4401),
        case("a closed account", &closed, own, 401, 4401),
        case("a closed account", &closed, None, 401, 4401),
        case("not in the room", &outsider, own, 403, 4403),
        case("no such room", &outsider, Some(NOWHERE), 403, 4403),
        case("too many sockets", &full, own, 429, 4409),
        case("too many sockets", &full, None, 429, 4409),
    ];
    let mut listens = ana.joins(&room).await;
    let actions = actions(&room);
    let mut tries = Vec::new();
    for case in &cases {
        for (transport, answer) in [
            (TokenTransport::Query, Answer::Status(case.status)),
            (TokenTransport::ChatV1, Answer::Closed(case.code)),
        ] {
            for timing in TIMINGS {
                let (actions, answer) = (&actions, answer.clone());
                tries.push(async move {
                    let request = request(&case.who, case.room, transport, "since=0");
                    let got = connect(&case.who, &request, actions, timing).await;
                    let socket = if case.room.is_some() { "a room's" } else { "the user's" };
                    let is = format!("{}, {socket} socket, {transport:?}, {timing:?}", case.name);
                    (is, got, answer)
                });
            }
        }
    }
    // Fewer at once than a user may have sockets.
    let mut tried = stream::iter(tries).buffer_unordered(15);
    while let Some((is, got, answer)) = tried.next().await {
        assert_eq!(got, answer, "{is}");
    }
    // Everything sent in between is there, and all of it from participants.
    ana.posts_message(&room, "the last").await;
    let mut heard = listens.received_so_far().await;
    heard.retain(|frame| frame["type"] != "presence" || frame["user_id"] != full.id);
    let kinds: Vec<&Value> = heard.iter().map(|frame| &frame["type"]).collect();
    assert_eq!(kinds, ["chat_message"], "{heard:?}");
    let said = ana.gets(&format!("messages/?room={room}")).await;
    assert_eq!(said["count"], 1, "{said}");
    drop(held);
}

#[tokio::test]
async fn a_revoked_token_reads_nothing_from_a_rooms_ring() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let old = ben.with_token(token(json!({"user_id": ben.id, "iat": now() - 100})));
    let mut a = ana.joins(&room).await;
    let from = chrono::DateTime::from_timestamp(now() - 50, 0).expect("a time").to_rfc3339();
    server.host().upserts(&ben, json!({"tokens_valid_from": from})).await;
    for n in 0..30 {
        a.says(&format!("not for him {n}")).await;
        a.receives("chat_message").await;
    }
    let request = request(&old, Some(&room), TokenTransport::ChatV1, "since=3");
    let tries = (0..100).map(|_| connect(&old, &request, b"", Timing::InOneWrite));
    let mut tried = stream::iter(tries).buffer_unordered(15);
    while let Some(got) = tried.next().await {
        assert_eq!(got, Answer::Closed(4401));
    }
    // With a new token he may.
    let (_, missed) = ben.resumes(&room, 3).await;
    assert_eq!(missed.len(), 31, "{missed:?}");
}

#[tokio::test]
async fn a_revoked_socket_receives_nothing_after_the_commit() {
    let server = Node::start(&[("RATE_LIMITS", "off")]).await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let old = ben.with_token(token(json!({"user_id": ben.id, "iat": now() - 100})));
    for _ in 0..5 {
        let (mut list, _) = old.opens_user_socket().await;
        // Without a notification: the feed of commits finds it later.
        server.revokes_tokens_in_database(ben.id, now() - 50).await;
        list.sends(json!({"type": "subscribe", "room_id": room, "since": 0})).await;
        let (heard, code) = list.receives_until_closed().await;
        assert_eq!(code, 4401);
        assert!(heard.iter().all(|frame| frame["type"] != "subscribed"), "{heard:?}");
        server.revokes_tokens_in_database(ben.id, 0).await;
    }
}

#[tokio::test]
async fn a_rejected_socket_does_not_count() {
    let server = Node::start(&[("MAX_SOCKETS_PER_USER", "2")]).await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let (room, other) = (ana.makes_group(&[]).await, ben.makes_group(&[]).await);
    let mut refused = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(ana.address).await.expect("a connection");
        let request = request(&ana, Some(&other), TokenTransport::Query, "");
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert!(answer.ends_with(b"403"), "{}", String::from_utf8_lossy(&answer));
        // The client doesn't close its side.
        refused.push(stream);
    }
    let (_one, _two) = (ana.joins(&room).await, ana.joins(&room).await);
    assert_eq!(ana.room_socket(&room).opens().await.err(), Some(429));
}

#[tokio::test]
async fn nothing_remains_of_rooms_requested_in_vain() {
    let server = Node::start(&[("RATE_LIMITS", "off")]).await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let theirs = ben.makes_group(&[]).await;
    let (mut list, _) = ana.opens_user_socket().await;
    for n in 0..200_u32 {
        let room = match n % 40 {
            0 | 1 => theirs.clone(),
            _ => uuid::Uuid::new_v4().to_string(),
        };
        if n % 2 == 0 {
            list.sends(json!({"type": "subscribe", "room_id": room})).await;
        } else {
            list.sends(json!({"type": "mark_room_read", "room_id": room})).await;
        }
    }
    for _ in 0..200 {
        let code = list.receives("error").await["code"].clone();
        assert!(code == "forbidden" || code == "not_found", "{code}");
    }
    for room in [NOWHERE, &theirs] {
        assert_eq!(ana.room_socket(room).opens().await.err(), Some(403));
    }
    // They are gone at once, long before the idle timeout of a room.
    let until = tokio::time::Instant::now() + Duration::from_secs(10);
    while server.metric("chat_rooms").await != Some(0) {
        assert!(tokio::time::Instant::now() < until, "{:?} rooms", server.metric("chat_rooms").await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn too_many_requests_for_unknown_rooms_are_refused() {
    let server = Node::start(&[("RATE_LOOKUPS", "1:5")]).await;
    let ana = server.user("ana").await;
    let (mut list, _) = ana.opens_user_socket().await;
    // Requests for rooms that the user is in are refunded.
    for _ in 0..8 {
        let room = ana.makes_group(&[]).await;
        list.sends(json!({"type": "subscribe", "room_id": room})).await;
        list.receives("subscribed").await;
    }
    let mut refused = 0;
    for _ in 0..8 {
        list.sends(json!({"type": "subscribe", "room_id": uuid::Uuid::new_v4()})).await;
        let error = list.receives("error").await;
        if error["code"] == "rate_limited" {
            assert!(error["retry_after"].as_f64().is_some_and(|seconds| seconds > 0.0), "{error}");
            refused += 1;
        } else {
            assert_eq!(error["code"], "forbidden", "{error}");
        }
    }
    assert!((1..=3).contains(&refused), "{refused}");
    assert_eq!(ana.room_socket(NOWHERE).opens().await.err(), Some(429));
    assert_eq!(ana.room_socket(NOWHERE).is_closed_with().await, 4429);
}

#[tokio::test]
async fn an_early_protocol_violation_is_reported_after_the_upgrade() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut stream = TcpStream::connect(ana.address).await.expect("a connection");
    // A frame without a mask.
    let early = [request(&ana, Some(&room), TokenTransport::Query, "").as_bytes(), b"\x81\x02{}"].concat();
    stream.write_all(&early).await.expect("a request");
    let mut heard = Vec::new();
    let ended = tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut heard)).await;
    ended.expect("an end in time").expect("an end in order");
    let told = String::from_utf8_lossy(&heard);
    assert!(told.starts_with("HTTP/1.1 101 ") && told.contains("connection_established"), "{told}");
    assert!(heard.ends_with(b"\x88\x10\x03\xeaprotocol error"), "{told}");
}

#[tokio::test]
async fn read_marks_have_their_own_rate_limit() {
    let server = crate::limited().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    a.says("one").await;
    let message = a.sees("one").await["message"]["id"].clone();
    for _ in 0..140 {
        a.sends(json!({"type": "read_receipt", "message_id": message})).await;
    }
    assert!(a.receives_error("rate_limited").await["retry_after"].as_f64().is_some_and(|after| after > 0.0));
    a.says("two").await;
    a.sees("two").await;
}

#[tokio::test]
async fn frames_after_an_invalid_token_have_no_effect() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.joins(&room).await;
    for of_room in [Some(room.as_str()), None] {
        for bad in [ben.token.as_str(), "no token"] {
            let auth = text(&json!({"type": "auth", "token": bad}));
            let early =
                [request(&ana, of_room, TokenTransport::ChatV1, "").as_bytes(), &auth, &actions(&room)]
                    .concat();
            let mut stream = TcpStream::connect(ana.address).await.expect("a connection");
            stream.write_all(&early).await.expect("a request");
            let mut heard = Vec::new();
            let ended = tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut heard)).await;
            ended.expect("an end in time").expect("an end in order");
            let told = String::from_utf8_lossy(&heard);
            assert!(told.contains("connection_established"), "{told}");
            assert!(!told.contains("pong") && !told.contains("unasked for"), "{told}");
        }
    }
    a.says("asked for").await;
    assert_eq!(a.receives("chat_message").await["message"]["content"], "asked for");
}

//! Who is refused: clients that don't wait for the answer, and what becomes of what they send. Nothing is
//! stored, nobody is told, and they get the refusal alone.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::node::Node;
use crate::people::{Person, now, token};
use crate::shared;
use crate::socket::{PATIENCE, Socket};

/// A room that is nowhere.
const NOWHERE: &str = "b0a7b7a0-0000-4000-8000-000000000001";

/// How a client shows its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Query,
    ChatV1,
}

/// When a client sends its frames, beside its request.
const TIMINGS: [Timing; 5] =
    [Timing::InOneWrite, Timing::ByHalves, Timing::After(0), Timing::After(30), Timing::After(1_200)];

#[derive(Clone, Copy, Debug)]
enum Timing {
    /// Request and frames are there before the server looks.
    InOneWrite,
    /// The first frame is whole only later.
    ByHalves,
    /// So many milliseconds later.
    After(u64),
}

/// What a client got.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// A status, and nothing behind the body.
    Status(u16),
    /// It was accepted and closed, with nothing between.
    Closed(u16),
    /// Anything else.
    Other(String),
}

/// The request for a socket; of all rooms, where none is named.
fn request(person: &Person, room: Option<&str>, way: Way, query: &str) -> String {
    let path = room.map_or("/ws/chat/".into(), |room| format!("/ws/chat/{room}/"));
    let (query, offer) = match way {
        Way::Query => (format!("token={}&{query}", person.token), String::new()),
        Way::ChatV1 => {
            (query.to_owned(), format!("Sec-WebSocket-Protocol: chat.v1, bearer.{}\r\n", person.token))
        }
    };
    format!(
        "GET {path}?{query} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{offer}\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// A frame, masked with zeros.
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

/// All that a client would do in a room.
fn deeds(room: &str) -> Vec<u8> {
    let deeds = [
        json!({"type": "typing", "room_id": room, "is_typing": true}),
        json!({"type": "chat_message", "room_id": room, "message": "unasked for"}),
        json!({"type": "mark_room_read", "room_id": room}),
        json!({"type": "subscribe", "room_id": room, "since": 0}),
        json!({"type": "ping", "n": 1}),
    ];
    [deeds.iter().flat_map(text).collect(), masked(9, b"?")].concat()
}

/// Asks for a socket and sends all that at this time; gives what comes until the server ends the connection.
async fn comes(person: &Person, request: &str, deeds: &[u8], timing: Timing) -> Answer {
    let mut stream = TcpStream::connect(person.address).await.expect("a connection");
    stream.set_nodelay(true).expect("a TCP socket");
    let (early, late, pause) = match timing {
        Timing::InOneWrite => ([request.as_bytes(), deeds].concat(), &deeds[..0], 0),
        Timing::ByHalves => ([request.as_bytes(), &deeds[..9]].concat(), &deeds[9..], 100),
        Timing::After(millis) => (request.as_bytes().to_vec(), deeds, millis),
    };
    stream.write_all(&early).await.expect("a request");
    let (mut reads, mut writes) = stream.split();
    let mut heard = Vec::new();
    let listens = async { _ = reads.read_to_end(&mut heard).await };
    let speaks = async {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        // Who has been refused may be deaf by now.
        let _gone = writes.write_all(late).await;
    };
    let both = async { tokio::join!(listens, speaks) };
    tokio::time::timeout(PATIENCE, both).await.expect("the connection ends");
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

/// Why someone is refused, with the status and the close code for that.
struct Case<'a> {
    name: &'static str,
    who: Person,
    /// The room that the socket is for; none for that of all rooms.
    room: Option<&'a str>,
    status: u16,
    code: u16,
}

#[tokio::test]
async fn a_refused_socket_has_no_effect_and_is_told_nothing_else() {
    let server = shared().await;
    let ana = server.person("ana").await;
    let (revoked, closed, full) =
        (server.person("rev").await, server.person("clo").await, server.person("full").await);
    let outsider = server.person("out").await;
    let room = ana.makes_group(&[&revoked, &closed, &full]).await;
    let revoked = revoked.with_token(token(json!({"user_id": revoked.id, "iat": now() - 100})));
    let from = chrono::DateTime::from_timestamp(now() - 50, 0).expect("a time").to_rfc3339();
    server.host().tells(&revoked, json!({"tokens_valid_from": from})).await;
    server.host().tells(&closed, json!({"is_active": false})).await;
    let held: Vec<Socket> = join_all((0..20).map(|_| full.enters(&room))).await;
    let case = |name, who: &Person, room, status, code| Case { name, who: who.clone(), room, status, code };
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
    let mut listens = ana.enters(&room).await;
    let deeds = deeds(&room);
    let mut tries = Vec::new();
    for case in &cases {
        for (way, answer) in
            [(Way::Query, Answer::Status(case.status)), (Way::ChatV1, Answer::Closed(case.code))]
        {
            for timing in TIMINGS {
                let (deeds, answer) = (&deeds, answer.clone());
                tries.push(async move {
                    let request = request(&case.who, case.room, way, "since=0");
                    let got = comes(&case.who, &request, deeds, timing).await;
                    let socket = if case.room.is_some() { "a room's" } else { "the user's" };
                    let is = format!("{}, {socket} socket, {way:?}, {timing:?}", case.name);
                    (is, got, answer)
                });
            }
        }
    }
    // Fewer at once than one person may have sockets.
    let mut tried = stream::iter(tries).buffer_unordered(15);
    while let Some((is, got, answer)) = tried.next().await {
        assert_eq!(got, answer, "{is}");
    }
    // All that was said in between is there, and all of it came from those who may.
    ana.posts_message(&room, "the last").await;
    let mut heard = listens.has_heard().await;
    heard.retain(|frame| frame["type"] != "presence" || frame["user_id"] != full.id);
    let kinds: Vec<&Value> = heard.iter().map(|frame| &frame["type"]).collect();
    assert_eq!(kinds, ["chat_message"], "{heard:?}");
    let said = ana.gets(&format!("messages/?room={room}")).await;
    assert_eq!(said["count"], 1, "{said}");
    drop(held);
}

#[tokio::test]
async fn a_revoked_token_reads_nothing_of_what_a_room_keeps_for_those_who_return() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let old = ben.with_token(token(json!({"user_id": ben.id, "iat": now() - 100})));
    let mut a = ana.enters(&room).await;
    let from = chrono::DateTime::from_timestamp(now() - 50, 0).expect("a time").to_rfc3339();
    server.host().tells(&ben, json!({"tokens_valid_from": from})).await;
    for n in 0..30 {
        a.says(&format!("not for him {n}")).await;
        a.hears("chat_message").await;
    }
    let request = request(&old, Some(&room), Way::ChatV1, "since=3");
    let tries = (0..100).map(|_| comes(&old, &request, b"", Timing::InOneWrite));
    let mut tried = stream::iter(tries).buffer_unordered(15);
    while let Some(got) = tried.next().await {
        assert_eq!(got, Answer::Closed(4401));
    }
    // With a token from now he may.
    let (_, missed) = ben.returns(&room, 3).await;
    assert_eq!(missed.len(), 31, "{missed:?}");
}

#[tokio::test]
async fn an_open_socket_hears_no_room_more_from_the_commit_on_that_revokes_it() {
    let server = Node::start(&[("RATE_LIMITS", "off")]).await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let old = ben.with_token(token(json!({"user_id": ben.id, "iat": now() - 100})));
    for _ in 0..5 {
        let (mut list, _) = old.signs_in().await;
        // Told to nobody: the feed of commits finds it later.
        server.revokes_in_silence(ben.id, now() - 50).await;
        list.sends(json!({"type": "subscribe", "room_id": room, "since": 0})).await;
        let (heard, code) = list.hears_until_closed().await;
        assert_eq!(code, 4401);
        assert!(heard.iter().all(|frame| frame["type"] != "subscribed"), "{heard:?}");
        server.revokes_in_silence(ben.id, 0).await;
    }
}

#[tokio::test]
async fn a_refused_socket_takes_no_place() {
    let server = Node::start(&[("MAX_SOCKETS_PER_USER", "2")]).await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let (room, other) = (ana.makes_group(&[]).await, ben.makes_group(&[]).await);
    let mut refused = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(ana.address).await.expect("a connection");
        let request = request(&ana, Some(&other), Way::Query, "");
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert!(answer.ends_with(b"403"), "{}", String::from_utf8_lossy(&answer));
        // The client doesn't end its side.
        refused.push(stream);
    }
    let (_one, _two) = (ana.enters(&room).await, ana.enters(&room).await);
    assert_eq!(ana.way_into(&room).opens().await.err(), Some(429));
}

#[tokio::test]
async fn nothing_stays_of_rooms_that_are_asked_for_in_vain() {
    let server = Node::start(&[("RATE_LIMITS", "off")]).await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let theirs = ben.makes_group(&[]).await;
    let (mut list, _) = ana.signs_in().await;
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
        let code = list.hears("error").await["code"].clone();
        assert!(code == "forbidden" || code == "not_found", "{code}");
    }
    for room in [NOWHERE, &theirs] {
        assert_eq!(ana.way_into(room).opens().await.err(), Some(403));
    }
    // They are gone at once, long before an idle room's time.
    let until = tokio::time::Instant::now() + Duration::from_secs(10);
    while server.figure("chat_rooms").await != Some(0) {
        assert!(tokio::time::Instant::now() < until, "{:?} rooms", server.figure("chat_rooms").await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn who_asks_for_too_many_rooms_in_vain_is_told_so() {
    let server = Node::start(&[("RATE_LOOKUPS", "1:5")]).await;
    let ana = server.person("ana").await;
    let (mut list, _) = ana.signs_in().await;
    // Those that one is in are given back.
    for _ in 0..8 {
        let room = ana.makes_group(&[]).await;
        list.sends(json!({"type": "subscribe", "room_id": room})).await;
        list.hears("subscribed").await;
    }
    let mut refused = 0;
    for _ in 0..8 {
        list.sends(json!({"type": "subscribe", "room_id": uuid::Uuid::new_v4()})).await;
        let error = list.hears("error").await;
        if error["code"] == "rate_limited" {
            assert!(error["retry_after"].as_f64().is_some_and(|seconds| seconds > 0.0), "{error}");
            refused += 1;
        } else {
            assert_eq!(error["code"], "forbidden", "{error}");
        }
    }
    assert!((1..=3).contains(&refused), "{refused}");
    assert_eq!(ana.way_into(NOWHERE).opens().await.err(), Some(429));
    assert_eq!(ana.way_into(NOWHERE).is_closed_with().await, 4429);
}

#[tokio::test]
async fn what_breaks_the_protocol_before_the_answer_is_told_after_it() {
    let server = shared().await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut stream = TcpStream::connect(ana.address).await.expect("a connection");
    // A frame without a mask.
    let early = [request(&ana, Some(&room), Way::Query, "").as_bytes(), b"\x81\x02{}"].concat();
    stream.write_all(&early).await.expect("a request");
    let mut heard = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut heard)).await;
    ended.expect("an end in time").expect("an end in order");
    let told = String::from_utf8_lossy(&heard);
    assert!(told.starts_with("HTTP/1.1 101 ") && told.contains("connection_established"), "{told}");
    assert!(heard.ends_with(b"\x88\x10\x03\xeaprotocol error"), "{told}");
}

#[tokio::test]
async fn read_marks_have_a_budget_of_their_own() {
    let server = crate::limited().await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.enters(&room).await;
    a.says("one").await;
    let message = a.sees("one").await["message"]["id"].clone();
    for _ in 0..140 {
        a.sends(json!({"type": "read_receipt", "message_id": message})).await;
    }
    assert!(a.is_told("rate_limited").await["retry_after"].as_f64().is_some_and(|after| after > 0.0));
    a.says("two").await;
    a.sees("two").await;
}

#[tokio::test]
async fn frames_behind_a_token_that_is_not_good_have_no_effect() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.enters(&room).await;
    for of_room in [Some(room.as_str()), None] {
        for bad in [ben.token.as_str(), "no token"] {
            let auth = text(&json!({"type": "auth", "token": bad}));
            let early = [request(&ana, of_room, Way::ChatV1, "").as_bytes(), &auth, &deeds(&room)].concat();
            let mut stream = TcpStream::connect(ana.address).await.expect("a connection");
            stream.write_all(&early).await.expect("a request");
            let mut heard = Vec::new();
            let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut heard)).await;
            ended.expect("an end in time").expect("an end in order");
            let told = String::from_utf8_lossy(&heard);
            assert!(told.contains("connection_established"), "{told}");
            assert!(!told.contains("pong") && !told.contains("unasked for"), "{told}");
        }
    }
    a.says("asked for").await;
    assert_eq!(a.hears("chat_message").await["message"]["content"], "asked for");
}

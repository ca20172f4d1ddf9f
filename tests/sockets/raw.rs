//! Clients that break the protocol, flood, or don't read.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use crate::node::Node;
use crate::socket::TIMEOUT;
use crate::users::TestUser;
use crate::{limited, shared};

/// The upgrade request for a room.
fn request(user: &TestUser, room: &str) -> String {
    format!(
        "GET /ws/chat/{room}/?token={}&since=0 HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n",
        user.token
    )
}

/// Opens a socket on a plain connection with a receive buffer of this size.
async fn opened_by_hand(user: &TestUser, room: &str, receive_bytes: u32) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(receive_bytes).expect("a buffer");
    let mut stream = socket.connect(user.address).await.expect("a connection");
    stream.write_all(request(user, room).as_bytes()).await.expect("a request");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("an answer"));
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    stream
}

/// Reads to the end. Returns the number of frames and the close code.
async fn read_to_the_end(mut stream: TcpStream) -> (usize, Option<u16>) {
    let (mut frames, mut code) = (0, None);
    let read = async {
        loop {
            let first = stream.read_u8().await?;
            let length = match stream.read_u8().await? & 127 {
                126 => usize::from(stream.read_u16().await?),
                127 => usize::try_from(stream.read_u64().await?).expect("a small frame"),
                short => usize::from(short),
            };
            let mut payload = vec![0; length];
            stream.read_exact(&mut payload).await?;
            frames += 1;
            if first & 15 == 8 {
                code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
            }
        }
    };
    let ended: Result<std::io::Result<()>, _> = tokio::time::timeout(TIMEOUT, read).await;
    assert!(ended.is_ok(), "the connection ends");
    (frames, code)
}

#[tokio::test]
async fn each_protocol_violation_is_closed_with_its_code_at_once() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let huge = |length: u64| [&b"\x81\xff"[..], &length.to_be_bytes(), b"abcd"].concat();
    let fragments = [&b"\x01\x80abcd"[..], &b"\x00\x80abcd".repeat(64)].concat();
    let cases: [(&str, Vec<u8>, u16); 13] = [
        ("a frame of 1 GiB", huge(1 << 30), 1009),
        ("a frame of 2^63", huge(1 << 63), 1009),
        ("a frame of 64 KiB and a byte", huge(65_537), 1009),
        ("65 fragments", fragments, 1009),
        ("no mask", b"\x81\x02{}".to_vec(), 1002),
        ("a reserved bit", b"\xc1\x80abcd".to_vec(), 1002),
        ("a reserved opcode", b"\x83\x80abcd".to_vec(), 1002),
        ("a long ping", b"\x89\xfe\x00\x7eabcd".to_vec(), 1002),
        ("a ping in fragments", b"\x09\x80abcd".to_vec(), 1002),
        ("a continuation of nothing", b"\x80\x80abcd".to_vec(), 1002),
        ("bad UTF-8", b"\x81\x82\0\0\0\0\xff\xfe".to_vec(), 1007),
        ("bad UTF-8 across fragments", b"\x01\x81\0\0\0\0\xc3\x80\x81\0\0\0\0\x28".to_vec(), 1007),
        ("a binary frame", b"\x82\x80abcd".to_vec(), 1003),
    ];
    for (name, bytes, code) in cases {
        let mut stream = opened_by_hand(&ana, &room, 65_536).await;
        let since = Instant::now();
        stream.write_all(&bytes).await.expect("to be heard");
        assert_eq!(read_to_the_end(stream).await.1, Some(code), "{name}");
        assert!(since.elapsed() < Duration::from_secs(1), "{name}: {:?}", since.elapsed());
    }
}

#[tokio::test]
async fn announced_huge_frames_take_no_memory() {
    let server = limited().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut claims = Vec::new();
    let claim = [&b"\x81\xff"[..], &(1_u64 << 30).to_be_bytes(), b"abcd", &[7; 60_000]].concat();
    let mut stream = opened_by_hand(&ana, &room, 65_536).await;
    stream.write_all(&claim).await.expect("to be heard");
    read_to_the_end(stream).await;
    let before = server.resident_kib();
    for _ in 0..15 {
        let mut stream = opened_by_hand(&ana, &room, 65_536).await;
        let _closed = stream.write_all(&claim).await;
        claims.push(stream);
    }
    for stream in claims {
        assert_eq!(read_to_the_end(stream).await.1, Some(1009));
    }
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 1_024, "{grown} KiB more for 15 GiB claimed");
}

#[tokio::test]
async fn a_closing_client_is_answered_and_disconnected() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut stream = opened_by_hand(&ana, &room, 65_536).await;
    let since = Instant::now();
    stream.write_all(b"\x88\x82\0\0\0\0\x03\xe8").await.expect("to be heard");
    assert_eq!(read_to_the_end(stream).await.1, Some(1000));
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_client_that_disconnects_during_the_handshake_leaves_nothing() {
    const TIMES: usize = 100;
    let server = Node::start(&[("RATE_LIMITS", "off")]).await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let before = server.resource_usage().await;
    let comes_and_goes = async || {
        // The request and the end of the connection are there before the server reads.
        let mut stream = TcpStream::connect(ana.address).await.expect("a connection");
        stream.write_all(request(&ana, &room).as_bytes()).await.expect("a request");
        stream.shutdown().await.expect("an end");
        let mut answer = Vec::new();
        let _reset = tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut answer)).await.expect("an end");
    };
    join_all((0..TIMES).map(|_| comes_and_goes())).await;
    let until = Instant::now() + TIMEOUT;
    loop {
        let now = server.resource_usage().await;
        if now.sessions == 0 && now.descriptors < before.descriptors + TIMES / 4 {
            return;
        }
        assert!(Instant::now() < until, "{before:?} before, {now:?} after");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_tenth_bad_frame_in_a_minute_ends_the_socket() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    let bad = [
        "{",
        "[]",
        "null",
        "7",
        "\"x\"",
        "{}",
        "{\"type\":7}",
        "{\"type\":\"typing\",\"is_typing\":\"yes\"}",
        "{\"type\":\"chat_message\",\"message\":[\"\\ud800\"]}",
    ];
    for frame in bad {
        a.sends_raw(Message::text(frame)).await;
        assert_eq!(a.receives_error("bad_frame").await["room_id"], room, "{frame}");
    }
    a.says("still here").await;
    a.sees("still here").await;
    a.sends_raw(Message::text("[".repeat(60_000))).await;
    a.receives_error("bad_frame").await;
    assert_eq!(a.is_closed().await, 4400);
}

#[tokio::test]
async fn a_frame_for_another_room_is_a_bad_frame() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let (room, other) = (ana.makes_group(&[]).await, ana.makes_group(&[]).await);
    let mut a = ana.joins(&room).await;
    a.sends(json!({"type": "chat_message", "room_id": other, "message": "astray"})).await;
    a.receives_error("bad_frame").await;
    for kind in ["subscribe", "unsubscribe"] {
        a.sends(json!({"type": kind, "room_id": room})).await;
        a.receives_error("bad_frame").await;
    }
    a.sends(json!({"type": "chat_message", "room_id": room, "message": "well sent"})).await;
    a.sees("well sent").await;
}

#[tokio::test]
async fn floods_are_refused_and_then_closed() {
    let server = limited().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    for n in 0..210 {
        a.sends(json!({"type": "ping", "n": n})).await;
    }
    let error = a.receives_error("rate_limited").await;
    assert!(error["retry_after"].as_f64().is_some_and(|after| after > 0.0), "{error}");
    for n in 0..200 {
        a.sends(json!({"type": "ping", "n": n})).await;
    }
    assert_eq!(a.is_closed().await, 4429);

    let mut stream = opened_by_hand(&ana, &room, 65_536).await;
    let _closed = stream.write_all(&b"\x89\x80abcd".repeat(400)).await;
    assert_eq!(read_to_the_end(stream).await.1, Some(4429), "a flood of the protocol's pings");
}

#[tokio::test]
async fn a_stopped_reader_is_closed_and_learns_why_when_it_reads() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let stuck = opened_by_hand(&ben, &room, 4_096).await;
    let mut a = ana.joins(&room).await;
    let mut b = ben.joins(&room).await;
    let text = "x".repeat(4_000);
    for n in 0..400 {
        a.says(&format!("{n}{}", &text[8..])).await;
        a.receives("chat_message").await;
        b.receives("chat_message").await;
    }
    a.says("the last").await;
    b.sees("the last").await;
    // Some seconds after the server has given up the connection.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (frames, code) = read_to_the_end(stuck).await;
    assert_eq!(code, Some(4431));
    assert!(frames < 400, "{frames}");
    let (_, missed) = ben.resumes(&room, 3 + i64::try_from(frames).expect("few") - 5).await;
    assert_eq!(missed.last().expect("an end")["type"], "synced");
}

#[tokio::test]
async fn a_replay_waits_for_a_slow_reader_without_closing_it() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    for n in 0..900 {
        a.says(&format!("{n}{}", "y".repeat(3_900))).await;
        a.receives("chat_message").await;
    }
    let mut stream = opened_by_hand(&ana, &room, 4_096).await;
    let (mut bytes, mut buffer) = (0, vec![0; 200_000]);
    let since = Instant::now();
    while bytes < 900 * 3_900 {
        let read = tokio::time::timeout(TIMEOUT, stream.read(&mut buffer)).await.expect("more to come");
        let read = read.expect("an open connection");
        assert!(read > 0, "closed after {bytes} bytes");
        bytes += read;
        if since.elapsed() < Duration::from_secs(3) {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

#[tokio::test]
async fn a_request_that_is_no_upgrade_is_rejected() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let ask = async |head: String| {
        let mut stream = TcpStream::connect(server.address).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("a request");
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        String::from_utf8_lossy(&answer[9..]).into_owned()
    };
    let head = |method: &str, key: &str, version: &str| {
        format!(
            "{method} /ws/chat/{room}/?token={} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: {version}\r\n\r\n",
            ana.token
        )
    };
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    assert_eq!(ask(head("GET", key, "13")).await, "101");
    assert_eq!(ask(head("GET", "short", "13")).await, "400");
    assert_eq!(ask(head("GET", key, "12")).await, "426");
    assert_eq!(ask(head("POST", key, "13")).await, "405");
    let plain = |method: &str| format!("{method} /ws/chat/{room}/ HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(ask(plain("GET")).await, "426");
    assert_eq!(ask(plain("PUT")).await, "405");
}

#[tokio::test]
async fn frames_sent_with_the_handshake_are_answered_after_the_greeting() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut stream = TcpStream::connect(ana.address).await.expect("a connection");
    let frame = br#"{"type":"ping","n":1.5}"#;
    // Masked with zeros.
    let masked = [&[0x81, 0x80 | u8::try_from(frame.len()).expect("a short frame"), 0, 0, 0, 0], &frame[..]];
    let early = [request(&ana, &room).as_bytes(), &masked.concat()].concat();
    stream.write_all(&early).await.expect("a request and a frame");
    let mut heard = Vec::new();
    let answered = async {
        while !heard.ends_with(br#"{"type":"pong","n":1.5}"#) {
            heard.push(stream.read_u8().await.expect("an answer"));
        }
    };
    tokio::time::timeout(TIMEOUT, answered).await.expect("an answer in time");
    let heard = String::from_utf8_lossy(&heard);
    let at = |what: &str| heard.find(what).unwrap_or_else(|| panic!("{what} in {heard}"));
    assert!(at("connection_established") < at("pong"), "{heard}");
}

#[tokio::test]
async fn a_silent_client_is_pinged_closed_and_goes_offline() {
    let server = Node::start(&[("SILENT_SECONDS", "3"), ("PING_SECONDS", "1")]).await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut listens = ana.joins(&room).await;
    let silent = opened_by_hand(&ben, &room, 65_536).await;
    // A client that reads answers pings, and stays.
    let goes = async {
        while listens.receives("presence").await["status"] != "offline" {}
        listens.received_so_far().await
    };
    let ((frames, code), _) = tokio::join!(read_to_the_end(silent), goes);
    assert_eq!(code, Some(4408));
    assert!(frames > 4, "a ping beside the greeting: {frames}");
}

#[tokio::test]
async fn handshakes_beyond_the_rate_get_a_retry_time() {
    let server = Node::start(&[("RATE_HANDSHAKES", "1:2")]).await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut refused = 0;
    for _ in 0..4 {
        match ana.room_socket(&room).opens().await {
            Ok(mut socket) => drop(socket.reads_greeting().await),
            Err(status) => {
                assert_eq!(status, 503);
                refused += 1;
            }
        }
    }
    assert!(refused >= 1);
}

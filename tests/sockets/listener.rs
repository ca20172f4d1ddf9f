//! Unauthenticated connections: how many there may be, how long they may take, and what their requests may
//! look like.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use uuid::Uuid;

use crate::node::Node;
use crate::shared;
use crate::socket::TIMEOUT;
use crate::users::TestUser;

/// A plain TCP connection.
struct RawConnection(TcpStream);

impl RawConnection {
    async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("a connection"))
    }

    async fn says(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.expect("to be heard");
    }

    /// Reads a response with a content length. Returns its status and body.
    async fn receives(&mut self) -> (u16, String) {
        let mut head = Vec::new();
        let read = async {
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.0.read_u8().await.expect("an answer"));
            }
            let head = String::from_utf8(head).expect("text").to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.expect("a length").parse().expect("a number")];
            self.0.read_exact(&mut body).await.expect("a body");
            (head[9..12].parse().expect("a status"), String::from_utf8(body).expect("text"))
        };
        tokio::time::timeout(TIMEOUT, read).await.expect("an answer in time")
    }

    /// Reads to the end.
    async fn hears_out(&mut self) -> String {
        let mut all = Vec::new();
        let read = tokio::time::timeout(TIMEOUT, self.0.read_to_end(&mut all)).await;
        read.expect("an end in time").expect("an end in order");
        String::from_utf8(all).expect("text")
    }

    /// Whether the connection was reset over bytes that were not read.
    async fn is_reset(&mut self) -> bool {
        let mut all = Vec::new();
        let read = tokio::time::timeout(TIMEOUT, self.0.read_to_end(&mut all)).await;
        read.expect("an end in time").is_err()
    }
}

const LIVE: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn a_bare_line_feed_in_any_head_is_rejected() {
    let server = shared().await;
    for bad in [
        "GET /health/live HTTP/1.1\nHost: x\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nHost: x\r\n\n",
        "GET /health/live HTTP/1.1\r\nHost: x\nContent-Length: 5\r\n\r\n",
    ] {
        let mut connection = RawConnection::to(server.address).await;
        connection.says(bad).await;
        let answer = connection.hears_out().await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("bad_frame"), "{bad:?}: {answer}");

        // After a valid request, one with a body, and one with a chunked body.
        let mut connection = RawConnection::to(server.address).await;
        connection.says(LIVE).await;
        assert_eq!(connection.receives().await.0, 200);
        let head = "POST /api/token/verify/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
        let body = "{\n\"token\":\n\"x\"}";
        connection.says(&format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await;
        assert_ne!(connection.receives().await.0, 400);
        let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        connection.says(&format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}")).await;
        assert_ne!(connection.receives().await.0, 400);
        connection.says(&format!("{LIVE}{bad}")).await;
        assert_eq!(connection.receives().await.0, 200, "the answer to what came before");
        let answer = connection.hears_out().await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{bad:?}: {answer}");
    }
}

#[tokio::test]
async fn a_silent_connection_gets_no_response_and_a_partial_head_a_408() {
    let server = Node::start(&[("HEADER_SECONDS", "1")]).await;
    let mut silent = RawConnection::to(server.address).await;
    assert_eq!(silent.hears_out().await, "");

    let mut slow = RawConnection::to(server.address).await;
    slow.says("GET /health/live HTTP/1.1\r\nHo").await;
    let answer = slow.hears_out().await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"timeout\""), "{answer}");

    // The same for a later head; an idle connection is not late.
    let mut later = RawConnection::to(server.address).await;
    later.says(LIVE).await;
    assert_eq!(later.receives().await.0, 200);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    later.says(LIVE).await;
    assert_eq!(later.receives().await.0, 200);
    later.says("GET /health").await;
    let answer = later.hears_out().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_head_without_an_end_is_refused() {
    let server = shared().await;
    let mut connection = RawConnection::to(server.address).await;
    connection.says(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(40_000))).await;
    let answer = connection.hears_out().await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn an_address_is_limited_to_its_unauthenticated_connections() {
    let server = Node::start(&[("MAX_CONNECTIONS_PER_ADDRESS", "8")]).await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut sockets = Vec::new();
    // More than an address may have, but authenticated.
    for _ in 0..10 {
        sockets.push(ana.joins(&room).await);
    }
    let mut known = Vec::new();
    for _ in 0..10 {
        let mut connection = RawConnection::to(server.address).await;
        connection
            .says(&format!(
                "GET /api/chat/users/me/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
                ana.token
            ))
            .await;
        assert_eq!(connection.receives().await.0, 200);
        known.push(connection);
    }
    // Unauthenticated ones; the response to the last proves that it was accepted.
    let mut strangers = Vec::new();
    for _ in 0..8 {
        let mut connection = RawConnection::to(server.address).await;
        connection.says(LIVE).await;
        assert_eq!(connection.receives().await.0, 200);
        strangers.push(connection);
    }
    let mut refused = RawConnection::to(server.address).await;
    let answer = refused.hears_out().await;
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("Retry-After: 5"), "{answer}");
    // Authenticated connections continue.
    let mut message = sockets.pop().expect("a socket");
    message.says("still here").await;
    message.sees("still here").await;
    // A released place is available again.
    drop(strangers.pop());
    loop {
        let mut connection = RawConnection::to(server.address).await;
        let mut first = [0; 12];
        connection.says(LIVE).await;
        let read = tokio::time::timeout(TIMEOUT, connection.0.read_exact(&mut first)).await.expect("in time");
        if read.is_ok() && first.ends_with(b"200") {
            break;
        }
    }
}

#[tokio::test]
async fn connections_of_a_trusted_proxy_are_not_limited() {
    let settings = [("MAX_CONNECTIONS_PER_ADDRESS", "2"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let server = Node::start(&settings).await;
    let mut lines = Vec::new();
    for _ in 0..12 {
        let mut connection = RawConnection::to(server.address).await;
        connection.says(LIVE).await;
        assert_eq!(connection.receives().await.0, 200);
        lines.push(connection);
    }
}

/// Requests all events of a room and reads nothing of the response.
async fn asks_and_never_reads(user: &TestUser, room: &str) -> RawConnection {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a buffer");
    let mut connection = RawConnection(socket.connect(user.address).await.expect("a connection"));
    connection.says(&format!(
        "GET /api/chat/rooms/{room}/events/?limit=1000 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        user.token
    ))
    .await;
    connection
}

#[tokio::test]
async fn a_client_that_never_reads_is_limited_and_then_disconnected() {
    let settings = [("RATE_LIMITS", "off"), ("MAX_REQUESTS_PER_USER", "4"), ("ANSWER_STALL_SECONDS", "10")];
    let server = Node::start(&settings).await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.joins(&room).await;
    let text = "\u{10348}".repeat(4_000);
    for _ in 0..130 {
        a.says(&text).await;
        a.receives("chat_message").await;
    }
    let mut unread = Vec::new();
    for _ in 0..4 {
        unread.push(asks_and_never_reads(&ana, &room).await);
    }
    // All four are answered and none is read, a fifth is rejected, and nobody else is affected.
    reaches(&server, "chat_held_bytes", 4 * 2_000_000).await;
    let path = format!("rooms/{room}/events/?limit=1");
    assert_eq!(ana.requests(Method::GET, &path, None).await.0, StatusCode::TOO_MANY_REQUESTS);
    ben.gets(&path).await;
    reaches(&server, "chat_connections_ended_total{reason=\"unread\"}", 4).await;
    for connection in &mut unread {
        assert!(
            connection.is_reset().await,
            "it was not all taken, and the connection is ended all the same"
        );
    }
    // What the kernel reports of an ended connection may come before the server has dropped the response.
    holds_nothing(&server).await;
    ana.gets(&path).await;
    holds_nothing(&server).await;
}

async fn holds_nothing(server: &Node) {
    let released = async {
        while server.metric("chat_held_bytes").await != Some(0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(4 * TIMEOUT, released).await.expect("nothing is held");
}

/// Waits until a metric has at least this value.
async fn reaches(server: &Node, figure: &str, least: u64) {
    let reached = async {
        while server.metric(figure).await.is_none_or(|value| value < least) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(4 * TIMEOUT, reached).await.unwrap_or_else(|_| panic!("{figure} is never {least}"));
}

#[tokio::test]
async fn long_pages_are_cut_and_announce_more() {
    let server = Node::start(&[("RATE_LIMITS", "off"), ("MAX_PAGE_BYTES", "65536")]).await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    for n in 0..40 {
        a.says(&format!("{n:04}{}", "\u{10348}".repeat(3_990))).await;
        a.receives("chat_message").await;
    }
    let number = |content: &serde_json::Value| content.as_str().expect("a text")[..4].to_owned();
    let all: Vec<String> = (0..40).map(|n| format!("{n:04}")).collect();

    let (mut seen, mut since) = (Vec::new(), 0);
    loop {
        let (text, page) = ana.events(&room, since).await;
        assert!(text.len() < 80_000, "{} bytes", text.len());
        let events = page["events"].as_array().expect("events");
        seen.extend(events.iter().filter_map(|event| Some(number(event["message"].get("content")?))));
        since = events.last().expect("one at least")["seq"].as_i64().expect("a number");
        if page["has_more"] == false {
            assert_eq!(page["seq"], since);
            break;
        }
    }
    assert_eq!(seen, all);

    for (direction, start) in [("after", 0), ("before", i64::from(u32::MAX))] {
        let (mut seen, mut at) = (Vec::new(), start);
        loop {
            let page = ana.gets(&format!("messages/?room={room}&{direction}={at}&limit=100")).await;
            let results = page["results"].as_array().expect("results");
            assert!(page.to_string().len() < 80_000);
            seen.extend(results.iter().map(|message| number(&message["content"])));
            at = results.last().expect("one at least")["seq"].as_i64().expect("a number");
            if page["has_more"] == false {
                break;
            }
        }
        if direction == "before" {
            seen.reverse();
        }
        assert_eq!(seen, all, "{direction}");
    }
    // In the other direction it is the same part, reversed.
    let turned = ana.gets(&format!("messages/?room={room}&after=0&limit=100&ordering=-created_at")).await;
    let results = turned["results"].as_array().expect("results");
    assert_eq!(number(&results.last().expect("one at least")["content"]), "0000");
    assert_eq!(turned["has_more"], true);
}

#[tokio::test]
async fn a_dripping_body_is_given_up() {
    let server = Node::start(&[("BODY_SECONDS", "2"), ("BODY_BYTES_PER_SECOND", "1")]).await;
    let ana = server.user("ana").await;
    let head = format!(
        "POST /api/chat/messages/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 900000\r\n\r\n",
        ana.token
    );
    let (reads, mut writes) = RawConnection::to(server.address).await.0.into_split();
    writes.write_all(head.as_bytes()).await.expect("to be heard");
    let drips = async {
        // More than the required progress, for longer than a body may take.
        for _ in 0..TIMEOUT.as_millis() / 100 {
            if writes.write_all(&[b' '; 2_048]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let mut reads = tokio::io::BufReader::new(reads);
    let mut status = [0; 12];
    tokio::select! {
        () = drips => panic!("it may drip for ever"),
        read = reads.read_exact(&mut status) => assert!(read.is_ok()),
    }
    assert_eq!(&status[9..], b"408");
}

#[tokio::test]
async fn invalid_handshakes_keep_nobody_out() {
    let settings = [("RATE_HANDSHAKES", "1:3"), ("RATE_BAD_HANDSHAKES", "1:5")];
    let server = Node::start(&settings).await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let nobody = ana.with_token("x".into());
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(nobody.room_socket(&room).opens().await.err().expect("a refusal"));
    }
    assert!(statuses[..5].iter().all(|status| *status == 401), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
    ana.joins(&room).await;
}

#[tokio::test]
async fn one_user_cannot_take_all_handshakes() {
    let settings = [("RATE_HANDSHAKES", "1:10"), ("RATE_USER_HANDSHAKES", "1:3")];
    let server = Node::start(&settings).await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(ana.room_socket(&room).opens().await.err().unwrap_or_default());
    }
    assert!(statuses.contains(&429) && !statuses.contains(&503), "{statuses:?}");
    ben.joins(&room).await;
}

#[tokio::test]
async fn metrics_require_the_token() {
    let server = shared().await;
    let http = reqwest::Client::new();
    let url = format!("http://{}/metrics", server.address);
    assert_eq!(http.get(&url).send().await.expect("an answer").status(), 401);
    let wrong = http.get(&url).bearer_auth(Uuid::new_v4());
    assert_eq!(wrong.send().await.expect("an answer").status(), 401);
    let ana = server.user("ana").await;
    assert_eq!(http.get(&url).bearer_auth(&ana.token).send().await.expect("an answer").status(), 401);
    assert!(server.metrics().await.contains("chat_http_seconds"));
}

#[tokio::test]
async fn metrics_have_their_own_address() {
    let bind = SocketAddr::from(([127, 0, 0, 1], 0));
    let own = std::net::TcpListener::bind(bind).expect("a port").local_addr().expect("an address");
    let server = Node::start(&[("METRICS_BIND", &own.to_string()), ("METRICS_TOKEN", "")]).await;
    let page = reqwest::get(format!("http://{own}/metrics")).await.expect("an answer");
    assert!(page.text().await.expect("a page").contains("chat_"));
    for path in ["/health/live", "/api/chat/rooms/", "/chat/"] {
        assert_eq!(reqwest::get(format!("http://{own}{path}")).await.expect("an answer").status(), 404);
    }
    let there = reqwest::get(format!("http://{}/metrics", server.address)).await.expect("an answer");
    assert_eq!(there.status(), 404);
    assert_eq!(
        server.user("ana").await.posts("rooms/", json!({"room_type": "group"})).await["unread_count"],
        0
    );
}

#[tokio::test]
async fn an_unread_body_holds_no_connection() {
    let server = Node::start(&[("BODY_STALL_SECONDS", "1")]).await;
    let mut connection = RawConnection::to(server.address).await;
    // It is answered at once, and the rest of the request never arrives.
    connection
        .says("GET /health/live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe")
        .await;
    assert!(connection.hears_out().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn empty_lines_hold_no_connection() {
    let server = Node::start(&[("HEADER_SECONDS", "1")]).await;
    let mut connection = RawConnection::to(server.address).await;
    connection.says("\r\n").await;
    assert!(connection.hears_out().await.starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn pipelined_requests_are_read_as_their_responses_are_taken() {
    const COUNT: usize = 3_000;
    const ASKED: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    let server = Node::start(&[]).await;
    let before = server.resident_kib();
    let mut lines = Vec::new();
    for _ in 0..60 {
        let mut connection = RawConnection::to(server.address).await;
        // As much as is accepted; the rest would wait until the responses are read.
        let _more =
            tokio::time::timeout(Duration::from_millis(100), connection.says(&ASKED.repeat(COUNT))).await;
        lines.push(connection);
    }
    assert_eq!(reqwest::get(format!("http://{}/health/live", server.address)).await.unwrap().status(), 200);
    let more = server.resident_kib().saturating_sub(before);
    assert!(more < 60 * 1024, "{more} KiB for 60 connections");
    // A client that reads gets all responses in order.
    let mut connection = RawConnection::to(server.address).await;
    for _ in 0..3 {
        connection.says(&ASKED.repeat(40)).await;
        for _ in 0..40 {
            assert_eq!(connection.receives().await.0, 200);
        }
    }
}

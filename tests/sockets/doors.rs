//! Connections that nobody knows: how many there may be, how long they may take, what their requests look like.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use uuid::Uuid;

use crate::node::Node;
use crate::people::Person;
use crate::shared;
use crate::socket::PATIENCE;

/// A connection by hand.
struct Line(TcpStream);

impl Line {
    async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("a connection"))
    }

    /// Sends these bytes.
    async fn says(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.expect("to be heard");
    }

    /// Reads one answer that says how long it is; gives its status and its body.
    async fn hears(&mut self) -> (u16, String) {
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
        tokio::time::timeout(PATIENCE, read).await.expect("an answer in time")
    }

    /// Reads to the end; gives all of it.
    async fn hears_out(&mut self) -> String {
        let mut all = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut all)).await;
        read.expect("an end in time").expect("an end in order");
        String::from_utf8(all).expect("text")
    }

    /// Whether the connection was ended over bytes that were not taken.
    async fn is_cut_off(&mut self) -> bool {
        let mut all = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut all)).await;
        read.expect("an end in time").is_err()
    }
}

const LIVE: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn a_bare_line_feed_in_any_head_of_a_connection_is_refused() {
    let server = shared().await;
    for bad in [
        "GET /health/live HTTP/1.1\nHost: x\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nHost: x\r\n\n",
        "GET /health/live HTTP/1.1\r\nHost: x\nContent-Length: 5\r\n\r\n",
    ] {
        let mut line = Line::to(server.address).await;
        line.says(bad).await;
        let answer = line.hears_out().await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("bad_frame"), "{bad:?}: {answer}");

        // Behind a request that is good, one with a body, and one whose body has no length.
        let mut line = Line::to(server.address).await;
        line.says(LIVE).await;
        assert_eq!(line.hears().await.0, 200);
        let head = "POST /api/token/verify/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
        let body = "{\n\"token\":\n\"x\"}";
        line.says(&format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await;
        assert_ne!(line.hears().await.0, 400);
        let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        line.says(&format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}")).await;
        assert_ne!(line.hears().await.0, 400);
        line.says(&format!("{LIVE}{bad}")).await;
        assert_eq!(line.hears().await.0, 200, "the answer to what came before");
        let answer = line.hears_out().await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{bad:?}: {answer}");
    }
}

#[tokio::test]
async fn who_says_nothing_is_told_nothing_and_who_says_half_is_told_so() {
    let server = Node::start(&[("HEADER_SECONDS", "1")]).await;
    let mut silent = Line::to(server.address).await;
    assert_eq!(silent.hears_out().await, "");

    let mut slow = Line::to(server.address).await;
    slow.says("GET /health/live HTTP/1.1\r\nHo").await;
    let answer = slow.hears_out().await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"timeout\""), "{answer}");

    // The same for a later head, and an idle connection isn't late.
    let mut later = Line::to(server.address).await;
    later.says(LIVE).await;
    assert_eq!(later.hears().await.0, 200);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    later.says(LIVE).await;
    assert_eq!(later.hears().await.0, 200);
    later.says("GET /health").await;
    let answer = later.hears_out().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_head_without_an_end_is_refused() {
    let server = shared().await;
    let mut line = Line::to(server.address).await;
    line.says(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(40_000))).await;
    let answer = line.hears_out().await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn an_address_has_so_many_connections_until_they_show_who_they_are() {
    let server = Node::start(&[("MAX_CONNECTIONS_PER_ADDRESS", "8")]).await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut sockets = Vec::new();
    // More than an address may have, but known.
    for _ in 0..10 {
        sockets.push(ana.enters(&room).await);
    }
    let mut known = Vec::new();
    for _ in 0..10 {
        let mut line = Line::to(server.address).await;
        line.says(&format!(
            "GET /api/chat/users/me/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
            ana.token
        ))
        .await;
        assert_eq!(line.hears().await.0, 200);
        known.push(line);
    }
    // Those of nobody, the last of them by an answer, so that it is known to be there.
    let mut strangers = Vec::new();
    for _ in 0..8 {
        let mut line = Line::to(server.address).await;
        line.says(LIVE).await;
        assert_eq!(line.hears().await.0, 200);
        strangers.push(line);
    }
    let mut refused = Line::to(server.address).await;
    let answer = refused.hears_out().await;
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("Retry-After: 5"), "{answer}");
    // Those who are known go on.
    let mut message = sockets.pop().expect("a socket");
    message.says("still here").await;
    message.sees("still here").await;
    // And a place that is given back is had by the next one.
    drop(strangers.pop());
    loop {
        let mut line = Line::to(server.address).await;
        let mut first = [0; 12];
        line.says(LIVE).await;
        let read = tokio::time::timeout(PATIENCE, line.0.read_exact(&mut first)).await.expect("in time");
        if read.is_ok() && first.ends_with(b"200") {
            break;
        }
    }
}

#[tokio::test]
async fn the_connections_of_a_proxy_are_everybodys() {
    let settings = [("MAX_CONNECTIONS_PER_ADDRESS", "2"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let server = Node::start(&settings).await;
    let mut lines = Vec::new();
    for _ in 0..12 {
        let mut line = Line::to(server.address).await;
        line.says(LIVE).await;
        assert_eq!(line.hears().await.0, 200);
        lines.push(line);
    }
}

/// Asks for all events of a room and reads nothing of the answer.
async fn asks_and_never_reads(person: &Person, room: &str) -> Line {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a buffer");
    let mut line = Line(socket.connect(person.address).await.expect("a connection"));
    line.says(&format!(
        "GET /api/chat/rooms/{room}/events/?limit=1000 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        person.token
    ))
    .await;
    line
}

#[tokio::test]
async fn one_who_asks_and_never_reads_is_told_to_wait_and_then_let_go() {
    let settings = [("RATE_LIMITS", "off"), ("MAX_REQUESTS_PER_USER", "4"), ("ANSWER_STALL_SECONDS", "6")];
    let server = Node::start(&settings).await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.enters(&room).await;
    let text = "\u{10348}".repeat(4_000);
    for _ in 0..130 {
        a.says(&text).await;
        a.hears("chat_message").await;
    }
    let mut unread = Vec::new();
    for _ in 0..4 {
        unread.push(asks_and_never_reads(&ana, &room).await);
    }
    // All four are answered, none of them is read, and a fifth isn't let in; nobody else is kept from anything.
    reaches(&server, "chat_held_bytes", 4 * 2_000_000).await;
    let path = format!("rooms/{room}/events/?limit=1");
    assert_eq!(ana.asks(Method::GET, &path, None).await.0, StatusCode::TOO_MANY_REQUESTS);
    ben.gets(&path).await;
    reaches(&server, "chat_connections_ended_total{reason=\"unread\"}", 4).await;
    for line in &mut unread {
        assert!(line.is_cut_off().await, "it was not all taken, and the connection is ended all the same");
    }
    ana.gets(&path).await;
    assert_eq!(server.figure("chat_held_bytes").await, Some(0));
}

/// Waits until a figure of the server's own is at least this.
async fn reaches(server: &Node, figure: &str, least: u64) {
    let reached = async {
        while server.figure(figure).await.is_none_or(|value| value < least) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{figure} is never {least}"));
}

#[tokio::test]
async fn long_pages_are_cut_and_say_that_there_is_more() {
    let server = Node::start(&[("RATE_LIMITS", "off"), ("MAX_PAGE_BYTES", "65536")]).await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.enters(&room).await;
    for n in 0..40 {
        a.says(&format!("{n:04}{}", "\u{10348}".repeat(3_990))).await;
        a.hears("chat_message").await;
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
    // The other way round it is the same part, turned.
    let turned = ana.gets(&format!("messages/?room={room}&after=0&limit=100&ordering=-created_at")).await;
    let results = turned["results"].as_array().expect("results");
    assert_eq!(number(&results.last().expect("one at least")["content"]), "0000");
    assert_eq!(turned["has_more"], true);
}

#[tokio::test]
async fn a_body_that_drips_is_given_up_however_steadily() {
    let server = Node::start(&[("BODY_SECONDS", "2"), ("BODY_BYTES_PER_SECOND", "1")]).await;
    let ana = server.person("ana").await;
    let head = format!(
        "POST /api/chat/messages/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 900000\r\n\r\n",
        ana.token
    );
    let (reads, mut writes) = Line::to(server.address).await.0.into_split();
    writes.write_all(head.as_bytes()).await.expect("to be heard");
    let drips = async {
        // More than the progress that is asked for, for longer than a body may take.
        for _ in 0..PATIENCE.as_millis() / 100 {
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
async fn handshakes_of_nobody_keep_nobody_out() {
    let settings = [("RATE_HANDSHAKES", "1:3"), ("RATE_BAD_HANDSHAKES", "1:5")];
    let server = Node::start(&settings).await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    let nobody = ana.with_token("x".into());
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(nobody.way_into(&room).opens().await.err().expect("a refusal"));
    }
    assert!(statuses[..5].iter().all(|status| *status == 401), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
    ana.enters(&room).await;
}

#[tokio::test]
async fn one_person_does_not_take_all_handshakes() {
    let settings = [("RATE_HANDSHAKES", "1:10"), ("RATE_USER_HANDSHAKES", "1:3")];
    let server = Node::start(&settings).await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(ana.way_into(&room).opens().await.err().unwrap_or_default());
    }
    assert!(statuses.contains(&429) && !statuses.contains(&503), "{statuses:?}");
    ben.enters(&room).await;
}

#[tokio::test]
async fn the_figures_are_for_who_shows_the_token() {
    let server = shared().await;
    let http = reqwest::Client::new();
    let url = format!("http://{}/metrics", server.address);
    assert_eq!(http.get(&url).send().await.expect("an answer").status(), 401);
    let wrong = http.get(&url).bearer_auth(Uuid::new_v4());
    assert_eq!(wrong.send().await.expect("an answer").status(), 401);
    let ana = server.person("ana").await;
    assert_eq!(http.get(&url).bearer_auth(&ana.token).send().await.expect("an answer").status(), 401);
    assert!(server.figures().await.contains("chat_http_seconds"));
}

#[tokio::test]
async fn the_figures_have_an_address_of_their_own() {
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
        server.person("ana").await.posts("rooms/", json!({"room_type": "group"})).await["unread_count"],
        0
    );
}

#[tokio::test]
async fn a_body_that_nobody_reads_holds_no_connection() {
    let server = Node::start(&[("BODY_STALL_SECONDS", "1")]).await;
    let mut line = Line::to(server.address).await;
    // It is answered at once, and the rest of the request never comes.
    line.says("GET /health/live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe").await;
    assert!(line.hears_out().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn empty_lines_alone_hold_no_connection() {
    let server = Node::start(&[("HEADER_SECONDS", "1")]).await;
    let mut line = Line::to(server.address).await;
    line.says("\r\n").await;
    assert!(line.hears_out().await.starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn requests_ahead_of_their_answers_are_taken_in_as_these_are_read() {
    const COUNT: usize = 3_000;
    const ASKED: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    let server = Node::start(&[]).await;
    let before = server.resident_kib();
    let mut lines = Vec::new();
    for _ in 0..60 {
        let mut line = Line::to(server.address).await;
        // As much as is taken; the rest would wait for the answers to be read.
        let _more = tokio::time::timeout(Duration::from_millis(100), line.says(&ASKED.repeat(COUNT))).await;
        lines.push(line);
    }
    assert_eq!(reqwest::get(format!("http://{}/health/live", server.address)).await.unwrap().status(), 200);
    let more = server.resident_kib().saturating_sub(before);
    assert!(more < 60 * 1024, "{more} KiB for 60 connections");
    // Whoever reads is told all, in order.
    let mut line = Line::to(server.address).await;
    for _ in 0..3 {
        line.says(&ASKED.repeat(40)).await;
        for _ in 0..40 {
            assert_eq!(line.hears().await.0, 200);
        }
    }
}

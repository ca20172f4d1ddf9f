//! What clients of the replaced chat server do, and how this server reacts.

use std::net::SocketAddr;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use uuid::Uuid;

use crate::node::Node;
use crate::shared;
use crate::socket::TIMEOUT;

#[tokio::test]
async fn an_unknown_frame_of_a_legacy_client_is_ignored() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    for mut a in [ana.joins(&room).await, ana.opens_user_socket().await.0] {
        for _ in 0..12 {
            a.sends(json!({"type": "heartbeat"})).await;
        }
        a.receives_nothing().await;
        let client_id = Uuid::new_v4().to_string();
        a.sends(json!({"type": "heartbeat", "client_id": client_id, "room_id": room})).await;
        assert_eq!(a.receives_error("bad_frame").await["client_id"], client_id, "this one is waited for");
        a.sends_raw(Message::text("{")).await;
        a.receives_error("bad_frame").await;
    }
    let mut speaks_v1 = ana.room_socket(&room).with_chat_v1().opens().await.expect("a socket");
    speaks_v1.reads_greeting().await;
    speaks_v1.sends(json!({"type": "heartbeat"})).await;
    speaks_v1.receives_error("bad_frame").await;
}

#[tokio::test]
async fn a_long_text_is_stored_where_the_client_ignores_errors() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    let (long, longest, too_long) = ("a".repeat(4_001), "ä".repeat(20_000), "b".repeat(20_001));
    for kept in [&long, &longest] {
        a.says(kept).await;
        a.sees(kept).await;
    }
    a.says(&too_long).await;
    a.receives_error("invalid").await;
    let client_id = a.says_with_client_id(&long).await;
    let refused = a.answer_to(&client_id).await;
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("invalid")));
    let (status, _) =
        ana.requests(reqwest::Method::POST, "messages/", Some(json!({"room": room, "content": long}))).await;
    assert_eq!(status, 400, "by REST it is told");
    let page = ana.gets(&format!("messages/?room={room}")).await;
    assert_eq!(page["results"][0]["content"], longest);
    assert_eq!(page["count"], 2);
}

#[tokio::test]
async fn half_an_emoji_becomes_a_replacement_character() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    a.sends_raw(Message::text(r#"{"type":"chat_message","message":"cut \ud83d"}"#)).await;
    a.sees("cut \u{FFFD}").await;
}

#[tokio::test]
async fn the_close_code_is_echoed() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    for code in [1000_u16, 1001, 3000, 4_321] {
        let mut a = ana.joins(&room).await;
        a.sends_raw(Message::Close(Some(CloseFrame { code: code.into(), reason: "bye".into() }))).await;
        assert_eq!(a.is_closed().await, code);
        a.connection_ends().await;
    }
    let mut a = ana.joins(&room).await;
    a.sends_raw(Message::Close(None)).await;
    assert_eq!(a.is_closed().await, 1000);
}

/// Sends requests on one connection, of which the last one ends it, and returns the responses.
async fn answers(address: SocketAddr, requests: &[String]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let mut answers = Vec::new();
    let asks = async {
        stream.write_all(requests.concat().as_bytes()).await?;
        stream.read_to_end(&mut answers).await
    };
    tokio::time::timeout(TIMEOUT, asks).await.expect("an end in time").expect("answers");
    String::from_utf8_lossy(&answers).into_owned()
}

#[tokio::test]
async fn a_request_target_may_contain_non_ascii_characters() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    ana.posts_message(&room, "Die Küche: 水管漏水").await;
    let head = format!("HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n", ana.token);
    let search = |q: &str| format!("GET /api/chat/messages/search/?q={q}&room={room} {head}\r\n");
    let body = json!({"room": room, "content": "GET /ü HTTP/1.1\r\nüü"}).to_string();
    let length = body.len();
    let send = format!(
        "POST /api/chat/messages/ {head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    // Between requests with bodies, which stay unchanged.
    let last = "GET /ü HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned();
    let asked = [search("Küche"), send.clone(), search("水管漏水"), send, search("nước+nóng"), last];
    let answers = answers(ana.address, &asked).await;
    let statuses: Vec<&str> =
        answers.split("HTTP/1.1 ").map(|answer| &answer[..answer.len().min(3)]).collect();
    assert_eq!(statuses[1..], ["200", "201", "200", "201", "200", "404"], "{answers}");
    assert_eq!(answers.matches("{\"count\":1,").count(), 2, "{answers}");
    let page = ana.gets(&format!("messages/?room={room}")).await;
    assert_eq!(page["results"][0]["content"], "GET /ü HTTP/1.1\r\nüü");
    // The same in the target of a WebSocket, and in what directly follows it.
    let upgrade = format!(
        "GET /ws/chat/{room}/?x={}&token={} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        "水".repeat(3_000),
        ana.token
    );
    let mut stream = TcpStream::connect(ana.address).await.expect("a connection");
    let close = [&upgrade.into_bytes()[..], &[0x88, 0x82, 0, 0, 0, 0, 0x0f, 0xa1]].concat();
    stream.write_all(&close).await.expect("sent");
    let mut heard = Vec::new();
    tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut heard))
        .await
        .expect("an end in time")
        .expect("frames");
    assert!(heard.starts_with(b"HTTP/1.1 101 ") && heard.ends_with(&[0x88, 2, 0x0f, 0xa1]));
}

#[tokio::test]
async fn the_page_answers_head_and_preflights_have_no_content() {
    let server = Node::start(&[("ALLOWED_ORIGINS", "https://app.example")]).await;
    let ana = server.user("ana").await;
    let ask = async |line: &str, more: &str| {
        answers(ana.address, &[format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n")])
            .await
    };
    for path in ["/chat-room.js", "/chat/"] {
        let (head, whole) = (ask(&format!("HEAD {path}"), "").await, ask(&format!("GET {path}"), "").await);
        assert_eq!(head.lines().next(), whole.lines().next(), "{path}");
        assert!(head.ends_with("\r\n\r\n") && whole.len() > head.len(), "{head}");
        assert!(ask(&format!("OPTIONS {path}"), "").await.contains("\r\nallow: GET, HEAD, OPTIONS\r\n"));
    }
    let asks = "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: authorization, content-type\r\n";
    let answer = ask("OPTIONS /api/chat/messages/", asks).await;
    assert!(answer.starts_with("HTTP/1.1 204 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(answer.contains("\r\naccess-control-allow-origin: https://app.example\r\n"), "{answer}");
}

/// Opens a socket with these subprotocols, and prints the selected one and how the socket was closed.
const OPENS: &str = "
    const [url, ...offer] = process.argv.slice(1)
    const Socket = process.env.CLIENT === 'ws' ? require('ws').WebSocket : globalThis.WebSocket
    const socket = new Socket(url, offer)
    socket.onmessage = (event) => {
        console.log(socket.protocol, JSON.parse(event.data).type)
        socket.onmessage = null
        socket.close(4001)
    }
    socket.onclose = (event) => { console.log('closed', event.code); process.exit() }
    socket.onerror = (event) => console.log('error', event.message)";

#[tokio::test]
async fn unknown_subprotocols_do_not_make_the_client_library_close() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let url = format!("ws://{}/ws/chat/{room}/?token={}", ana.address, ana.token);
    // The second one follows the browser standard.
    for client in ["ws", "native"] {
        for (offer, chosen) in
            [(&["mqtt", "chat.v2"][..], "mqtt"), (&["mqtt", "chat.v1"], "chat.v1"), (&[], "")]
        {
            let mut node = Command::new("node");
            node.current_dir("web").env("CLIENT", client).kill_on_drop(true);
            node.args(["--experimental-websocket", "-e", OPENS, &url]).args(offer);
            let ran = tokio::time::timeout(TIMEOUT, node.output()).await.expect("an end in time");
            let ran = ran.expect("Node: see README.md for what the tests need");
            let said = String::from_utf8_lossy(&ran.stdout).into_owned();
            let expected = format!("{chosen} connection_established\nclosed 4001\n");
            assert_eq!(said, expected, "{client} {offer:?}: {}", String::from_utf8_lossy(&ran.stderr));
        }
    }
}

//! Tests of [`super`]: requests and their outcomes.

use actix_http::header::HeaderValue;
use proptest::prelude::*;

use super::*;

const ROOM: &str = "0190b3a2-7c1e-7d3f-8a55-0123456789ab";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A valid upgrade request, of which single fields can be changed.
#[derive(Clone)]
struct Asks {
    method: Method,
    version: Version,
    path: String,
    query: String,
    headers: Vec<(&'static str, String)>,
}

fn asks() -> Asks {
    let headers = [
        ("host", "chat.example"),
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
    ];
    Asks {
        method: Method::GET,
        version: Version::HTTP_11,
        path: format!("/ws/chat/{ROOM}/"),
        query: "token=a.b.c".into(),
        headers: headers.map(|(name, value)| (name, value.to_owned())).into(),
    }
}

impl Asks {
    fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    fn query(mut self, query: &str) -> Self {
        query.clone_into(&mut self.query);
        self
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self
    }

    fn instead(self, name: &'static str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    fn checked(&self) -> Result<Handshake, UpgradeRejection> {
        let origins =
            Origins::parse(["https://app.example", "http://localhost:5173"]).expect("these are origins");
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header value");
            headers.append(HeaderName::from_static(name), value);
        }
        let request = UpgradeRequest {
            method: &self.method,
            version: self.version,
            headers: &headers,
            path: &self.path,
            query: &self.query,
        };
        check(&request, &origins)
    }

    fn status(&self) -> u16 {
        self.checked().map_or_else(|rejection| rejection.status, |_| 101)
    }

    fn token(&self) -> Option<String> {
        self.checked().expect("let through").token
    }
}

#[test]
fn a_room_socket_is_accepted() {
    let handshake =
        asks().query(&format!("token=a.b.c&since=41&epoch={ROOM}&other=1")).checked().expect("accepted");
    let room = Uuid::parse_str(ROOM).expect("an id");
    assert_eq!(handshake.target, SocketTarget::Room(room));
    assert_eq!(handshake.token.as_deref(), Some("a.b.c"));
    assert_eq!((handshake.since, handshake.epoch), (Some(41), Some(room)));
    assert_eq!(handshake.personal_since, None);
    assert_eq!(
        accept_response(&handshake)[..],
        *b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
           Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
}

#[test]
fn paths_must_match_exactly() {
    let user = asks().path("/ws/chat/").checked().expect("accepted");
    assert_eq!(user.target, SocketTarget::User);
    let simple = ROOM.replace('-', "");
    for path in [
        "/",
        "/ws/chat",
        "/ws/",
        "/WS/chat/",
        "/ws/chat//",
        "/ws/chat/abc/",
        "/ws/chat/%00/",
        "/ws/chat/../x/",
        "/api/chat/rooms/",
        &format!("/ws/chat/{ROOM}"),
        &format!("/ws/chat/{ROOM}/x/"),
        &format!("/ws/chat/{simple}/"),
        &format!("/ws/chat/{{{ROOM}}}/"),
        &format!("/ws/chat/{}/", "a".repeat(10_240)),
    ] {
        assert_eq!(asks().path(path).status(), 404, "{path:.60}");
    }
}

#[test]
fn requests_without_a_websocket_handshake_are_rejected() {
    let post = Asks { method: Method::POST, ..asks() };
    let old = Asks { version: Version::HTTP_10, ..asks() };
    let table = [
        ("POST", post, 405),
        ("HTTP/1.0", old, 400),
        ("no upgrade", asks().without("upgrade"), 400),
        ("h2c", asks().instead("upgrade", "h2c"), 426),
        ("h2c or websocket", asks().instead("upgrade", "h2c, websocket"), 101),
        ("connection close", asks().instead("connection", "close"), 400),
        ("no version", asks().without("sec-websocket-version"), 426),
        ("version 8", asks().instead("sec-websocket-version", "8"), 426),
        ("two versions", asks().with("sec-websocket-version", "8"), 426),
        ("no key", asks().without("sec-websocket-key"), 400),
        ("two keys", asks().with("sec-websocket-key", KEY), 400),
        ("short key", asks().instead("sec-websocket-key", "dGhlIHNhbXBsZQ=="), 400),
        ("long key", asks().instead("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZSBub25jZQ=="), 400),
        ("key that is no base64", asks().instead("sec-websocket-key", "dGhlIHNhbXBsZSBub25j!Q=="), 400),
        ("key of 17 bytes", asks().instead("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZTE="), 400),
    ];
    for (name, asked, status) in table {
        assert_eq!(asked.status(), status, "{name}");
    }
}

#[test]
fn rejections_name_what_is_expected() {
    let rejection = Asks { method: Method::PUT, ..asks() }.checked().expect_err("refused");
    let answer = String::from_utf8_lossy(&rejection.to_bytes()).into_owned();
    assert!(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{answer}");
    assert!(answer.contains("\r\nAllow: GET\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n{\"code\":\"method_not_allowed\",\"detail\":\"Method not allowed.\"}"));

    let rejection = asks().instead("sec-websocket-version", "8").checked().expect_err("refused");
    let answer = String::from_utf8_lossy(&rejection.to_bytes()).into_owned();
    assert!(answer.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{answer}");
    assert!(answer.contains("\r\nConnection: close, Upgrade\r\n"), "{answer}");
}

#[test]
fn origins_are_compared_completely() {
    let table = [
        ("https://app.example", 101),
        ("HTTPS://APP.example:443", 101),
        ("http://localhost:5173", 101),
        ("https://chat.example", 101),
        ("http://chat.example:80", 101),
        ("http://app.example", 403),
        ("https://app.example:8443", 403),
        ("http://localhost", 403),
        ("https://app.example.evil.test", 403),
        ("https://evilapp.example", 403),
        ("https://app.example@evil.test", 403),
        ("https://app.example/", 403),
        ("https://app.example:", 403),
        ("https://app.example:99999", 403),
        ("https://chat.example:8443", 403),
        ("https://", 403),
        ("null", 403),
        ("", 403),
        ("*", 403),
        ("file://", 403),
        ("https://аpp.example", 403),
    ];
    for (origin, status) in table {
        assert_eq!(asks().with("origin", origin).status(), status, "{origin}");
    }
    let twice = asks().with("origin", "https://app.example").with("origin", "https://app.example");
    assert_eq!(twice.status(), 403, "two origins");
    let with_port = asks().instead("host", "127.0.0.1:8000");
    assert_eq!(with_port.clone().with("origin", "http://127.0.0.1:8000").status(), 101);
    assert_eq!(with_port.with("origin", "http://127.0.0.1").status(), 403);
    let v6 = asks().instead("host", "[::1]:8000");
    assert_eq!(v6.clone().with("origin", "http://[::1]:8000").status(), 101);
    assert_eq!(v6.with("origin", "http://[::1]x:8000").status(), 403);
}

#[test]
fn an_invalid_origin_in_the_list_is_rejected() {
    for entry in ["app.example", "https://app.example/", "*", "null", "https://a b"] {
        assert_eq!(Origins::parse([entry]), Err(BadOrigin(entry.to_owned())));
    }
}

#[test]
fn since_must_not_be_negative() {
    let since = |value: &str| {
        asks()
            .query(&format!("since={value}"))
            .checked()
            .map(|handshake| handshake.since)
            .map_err(|rejection| rejection.status)
    };
    assert_eq!(since("0"), Ok(Some(0)));
    assert_eq!(since("007"), Ok(Some(7)));
    assert_eq!(since("99999999999999999999999"), Ok(Some(i64::MAX as u64)));
    for value in ["", "-1", "%2B1", "+1", "1.0", "abc", "1e3", "0x1", "%D9%A1", "null"] {
        assert_eq!(since(value), Err(400), "{value}");
    }
    for twice in ["since=1&since=2", "personal_since=1&personal_since=2"] {
        assert_eq!(asks().query(twice).status(), 400, "{twice}");
    }
    let personal = asks().query("personal_since=7&since=8").checked().expect("accepted");
    assert_eq!((personal.personal_since, personal.since), (Some(7), Some(8)));
    assert_eq!(asks().query("personal_since=-1").status(), 400);
    assert_eq!(asks().query("epoch=1").status(), 400);
}

#[test]
fn tokens_from_several_places_must_agree() {
    let bare = asks().query("");
    let header = bare.clone().with("authorization", "bearer  a.b.c ");
    let protocols = bare
        .clone()
        .with("sec-websocket-protocol", "other, bearer.a.b.c")
        .with("sec-websocket-protocol", "chat.v1");
    assert_eq!(bare.token(), None);
    assert_eq!(asks().token().as_deref(), Some("a.b.c"));
    assert_eq!(asks().query("token=a%2Eb.c").token().as_deref(), Some("a.b.c"));
    assert_eq!(asks().query("token=").token(), None);
    assert_eq!(header.token().as_deref(), Some("a.b.c"));
    assert_eq!(protocols.token().as_deref(), Some("a.b.c"));
    assert_eq!(header.clone().query("token=a.b.c").token().as_deref(), Some("a.b.c"));
    assert_eq!(header.query("token=x.y.z").token(), None, "two people");
    assert_eq!(protocols.query("token=x.y.z").token(), None, "two people");
    let basic = asks().with("authorization", "Basic YTpi");
    assert_eq!(basic.token().as_deref(), Some("a.b.c"), "the proxy's own sign-in");
    let doubled = bare.with("authorization", "Bearer a").with("authorization", "Bearer a");
    assert_eq!(doubled.token(), None);
}

#[test]
fn chat_v1_or_the_first_unknown_subprotocol_is_selected() {
    let answer = |offer: &str| {
        let handshake = asks().with("sec-websocket-protocol", offer).checked().expect("accepted");
        String::from_utf8_lossy(&accept_response(&handshake)).into_owned()
    };
    assert!(answer("chat.v1, bearer.a.b.c").contains("\r\nSec-WebSocket-Protocol: chat.v1\r\n"));
    assert!(answer("mqtt, chat.v1").contains("\r\nSec-WebSocket-Protocol: chat.v1\r\n"));
    assert!(answer("bearer.a.b.c, mqtt, chat.v2").contains("\r\nSec-WebSocket-Protocol: mqtt\r\n"));
    assert!(!answer("bearer.a.b.c").contains("Protocol:"), "a token goes into no answer");
}

#[test]
fn debug_output_holds_no_token() {
    let asked = asks()
        .query("token=s3cret")
        .with("authorization", "Bearer s3cret")
        .with("sec-websocket-protocol", "chat.v1, bearer.s3cret");
    let handshake = asked.checked().expect("accepted");
    assert_eq!(handshake.token.as_deref(), Some("s3cret"));
    assert!(!format!("{handshake:?}").contains("s3cret"));
    let mut head = RequestHead::default();
    head.uri = "/ws/chat/?token=s3cret".parse().expect("a path");
    assert!(!format!("{:?}", UpgradeRequest::from(&head)).contains("s3cret"));
}

proptest! {
    #[test]
    fn no_request_makes_the_handshake_panic(
        path in "/ws/chat/\\PC{0,60}",
        query in "(token|since|personal_since|epoch|[a-z&=%+]{0,9})=\\PC{0,60}",
        protocol in "[ -~]{0,80}",
        authorization in "[ -~]{0,80}",
        origin in "[ -~]{0,80}",
    ) {
        let _ = asks().path(&path).checked();
        let _ = asks().query(&query).checked();
        let _ = asks().with("origin", &origin).checked();
        let _ = asks()
            .with("sec-websocket-protocol", &protocol)
            .with("authorization", &authorization)
            .checked();
    }
}

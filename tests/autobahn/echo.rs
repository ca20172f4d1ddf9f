//! An echo server on the chat's own handshake and framing.

use std::{net::SocketAddr, thread, time::Duration};

use actix_http::{
    Method, Version,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use aristay_chat::socket::{
    Decoder, Incoming, Origins, Rules, UpgradeRequest, Violation, framing, handshake,
};
use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime, time,
};

/// What the cases send at most: 16 MiB, in fragments of 64 bytes.
static ECHO_RULES: Rules = Rules {
    frame_bytes_max: 16 << 20,
    message_bytes_max: 16 << 20,
    fragments_max: (16 << 20) / 64,
    binary: true,
};

/// How long the peer has to close after it was told to.
const LINGER: Duration = Duration::from_secs(1);

/// A running server; it ends with the test's process.
pub(crate) struct Server {
    address: SocketAddr,
}

impl Server {
    /// Starts one on a thread of its own.
    pub(crate) fn start() -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = runtime.block_on(bind());
        let address = listener.local_addr().expect("a bound address");
        thread::spawn(move || {
            let tasks = tokio::task::LocalSet::new();
            tasks.block_on(&runtime, async {
                loop {
                    if let Ok((stream, _)) = listener.accept().await {
                        tokio::task::spawn_local(serve(stream));
                    }
                }
            });
        });
        Self { address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Binds below the ephemeral range: a client that connects again and again can take a port from there.
async fn bind() -> TcpListener {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap_or_default();
    for port in first..first + 100 {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return listener;
        }
    }
    panic!("no free port from {first} on");
}

async fn serve(mut stream: TcpStream) {
    let mut buf = BytesMut::new();
    if stream.set_nodelay(true).is_err() || !open(&mut stream, &mut buf).await {
        return;
    }
    let mut decoder = Decoder::new(&ECHO_RULES);
    loop {
        let last = match decoder.decode(&mut buf) {
            Ok(Some(incoming)) => {
                let (answer, last) = answer(incoming);
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
                last
            }
            Ok(None) => {
                buf.reserve(decoder.missing_bytes(&buf).max(4096));
                match stream.read_buf(&mut buf).await {
                    Ok(read) if read > 0 => continue,
                    _ => return,
                }
            }
            Err(Violation { code, reason }) => {
                let _ = stream.write_all(&framing::encode_close(code, reason)).await;
                true
            }
        };
        if last {
            // Closing with bytes unread would reset the line, and with it take the close frame back.
            let _ = stream.shutdown().await;
            let rest = async {
                while matches!(stream.read_buf(&mut buf).await, Ok(1..)) {
                    buf.clear();
                }
            };
            let _ = time::timeout(LINGER, rest).await;
            return;
        }
    }
}

/// What the server says to `incoming`, and whether it says anything after that.
fn answer(incoming: Incoming) -> (Bytes, bool) {
    match incoming {
        Incoming::Text(text) => (framing::encode_text(&text), false),
        Incoming::Binary(payload) => {
            let (mut header, header_bytes) = framing::text_header(payload.len());
            header[0] = 0x82;
            ([&header[..header_bytes], &payload[..]].concat().into(), false)
        }
        Incoming::Ping(payload) => (framing::encode_pong(&payload), false),
        Incoming::Pong => (Bytes::new(), false),
        Incoming::Close(frame) => (framing::encode_close(frame.map_or(1000, |frame| frame.code), ""), true),
    }
}

/// Reads the request and upgrades; says whether it did.
async fn open(stream: &mut TcpStream, buf: &mut BytesMut) -> bool {
    let end = loop {
        if let Some(at) = buf.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if !matches!(stream.read_buf(buf).await, Ok(1..)) {
            return false;
        }
    };
    let head = buf.split_to(end);
    let mut headers = HeaderMap::new();
    for line in String::from_utf8_lossy(&head).lines().skip(1) {
        if let Some((name, value)) = line.split_once(':')
            && let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value.trim()))
        {
            headers.append(name, value);
        }
    }
    let request = UpgradeRequest {
        method: &Method::GET,
        version: Version::HTTP_11,
        headers: &headers,
        path: "/ws/chat/",
        query: "",
    };
    let (answer, opened) = match handshake::check(&request, &Origins::default()) {
        Ok(accepted) => (handshake::accept_response(&accepted), true),
        Err(refusal) => (refusal.to_bytes(), false),
    };
    stream.write_all(&answer).await.is_ok() && opened
}

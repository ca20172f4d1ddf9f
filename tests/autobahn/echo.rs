//! An echo server with the chat's handshake, decoder and encoder.

use std::{net::SocketAddr, thread, time::Duration};

use actix_http::{
    Method, Version,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use actors::protocol::close::CloseCode;
use actors::protocol::codec;
use aristay_chat::socket::{
    FrameDecoder, FrameLimits, Origins, UpgradeRequest, Violation, WsMessage, handshake,
};
use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime, time,
};

/// What the cases send at most: 16 MiB, in fragments of 64 bytes.
static ECHO_LIMITS: FrameLimits = FrameLimits {
    frame_bytes_max: 16 << 20,
    message_bytes_max: 16 << 20,
    fragments_max: (16 << 20) / 64,
    binary: true,
};

/// How long the client gets to close after a close frame.
const LINGER: Duration = Duration::from_secs(1);

/// A running server, which ends with the test process.
pub(crate) struct Server {
    address: SocketAddr,
}

impl Server {
    /// Starts a server on its own thread.
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

/// Binds below the ephemeral range, from which a client that reconnects all the time could take the port.
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
    let mut decoder = FrameDecoder::new(&ECHO_LIMITS);
    loop {
        let last = match decoder.decode(&mut buf) {
            Ok(Some(message)) => {
                let (answer, last) = answer(message);
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
            Err(Violation { code, .. }) => {
                let _ = stream.write_all(&codec::close(CloseCode::Framing(code))).await;
                true
            }
        };
        if last {
            // Closing over unread bytes would reset the connection and discard the close frame.
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

/// The response to `message`, and whether it is the last one.
fn answer(message: WsMessage) -> (Bytes, bool) {
    match message {
        WsMessage::Text(text) => (codec::text(text.as_bytes()), false),
        // The chat sends no binary frames; their headers differ only in the opcode.
        WsMessage::Binary(payload) => {
            let mut frame = codec::text(&payload).to_vec();
            frame[0] = 0x82;
            (frame.into(), false)
        }
        WsMessage::Ping(payload) => (codec::pong(&payload), false),
        WsMessage::Pong => (Bytes::new(), false),
        WsMessage::Close(frame) => {
            let code = frame.map_or(1000, |frame| frame.code);
            (codec::close(CloseCode::Echoed(code)), true)
        }
    }
}

/// Reads and answers the upgrade request; returns whether it was accepted.
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
        Err(rejection) => (rejection.to_bytes(), false),
    };
    stream.write_all(&answer).await.is_ok() && opened
}

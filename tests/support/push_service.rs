//! A push service, and the browsers that wait at it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{aead, agreement, hkdf};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// The longest that an expected push may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A push as it arrived.
#[derive(Debug)]
pub struct ReceivedPush {
    pub path: String,
    head: String,
    pub body: Vec<u8>,
}

impl ReceivedPush {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// What the service answers.
#[derive(Clone, Copy, Debug)]
pub enum PushAnswer {
    /// A status, and the seconds of `Retry-After`.
    Status(u16, Option<u32>),
    /// A status and a body.
    Body(u16, &'static str),
    /// Nothing at all.
    Silence,
}

/// A push service on this machine, over plain HTTP.
pub struct PushService {
    address: SocketAddr,
    answers: Arc<Mutex<VecDeque<PushAnswer>>>,
    received: mpsc::Receiver<ReceivedPush>,
}

impl PushService {
    /// Starts a service that gives these answers, and then 201.
    pub async fn start(answers: &[PushAnswer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect::<VecDeque<_>>()));
        let (tell, received) = mpsc::channel(1_000);
        let script = answers.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), tell.clone()));
            }
        });
        Self { address, answers, received }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for the next push.
    pub async fn next(&mut self) -> ReceivedPush {
        self.next_within(TIMEOUT).await
    }

    /// Waits for the next push for as long as `patience`.
    pub async fn next_within(&mut self, patience: Duration) -> ReceivedPush {
        let received = tokio::time::timeout(patience, self.received.recv()).await;
        received.expect("a push in time").expect("a service that runs")
    }

    /// Whether a push has arrived that nobody has looked at.
    pub fn has_received(&self) -> bool {
        !self.received.is_empty()
    }

    /// Changes what is answered from now on.
    pub fn answers(&self, answers: &[PushAnswer]) {
        *self.answers.lock().expect("nobody has panicked") = answers.iter().copied().collect();
    }
}

/// Reads requests one after the other, and answers them.
async fn serve(
    mut stream: TcpStream,
    script: Arc<Mutex<VecDeque<PushAnswer>>>,
    tell: mpsc::Sender<ReceivedPush>,
) {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let mut bytes = [0; 4_096];
            match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(count) => read.extend_from_slice(&bytes[..count]),
            }
        };
        let head = String::from_utf8(read[..end].to_vec()).expect("a head of text");
        let path = head.split(' ').nth(1).expect("a path").to_owned();
        let mut push = ReceivedPush { path, head, body: Vec::new() };
        let length: usize = push.header("content-length").expect("a length").parse().expect("a number");
        while read.len() < end + length {
            let mut bytes = [0; 4_096];
            match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(count) => read.extend_from_slice(&bytes[..count]),
            }
        }
        push.body = read[end..end + length].to_vec();
        read.drain(..end + length);
        let answer = script.lock().expect("nobody has panicked").pop_front();
        if tell.send(push).await.is_err() {
            return;
        }
        let (status, retry_after, body) = match answer.unwrap_or(PushAnswer::Status(201, None)) {
            PushAnswer::Status(status, retry_after) => (status, retry_after, ""),
            PushAnswer::Body(status, body) => (status, None, body),
            PushAnswer::Silence => return std::future::pending().await,
        };
        let retry_after =
            retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} x\r\n{retry_after}Content-Length: {length}\r\n\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A browser with its keys.
pub struct Browser {
    key: agreement::PrivateKey,
    public_key: Vec<u8>,
    auth: [u8; 16],
}

struct KeyBytes(usize);

impl hkdf::KeyType for KeyBytes {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive<const BYTES: usize>(salt: &[u8], ikm: &[u8], info: &[&[u8]]) -> [u8; BYTES] {
    let mut derived = [0; BYTES];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(ikm);
    prk.expand(info, KeyBytes(BYTES)).expect("a length").fill(&mut derived).expect("a length");
    derived
}

impl Browser {
    /// A browser with keys of its own.
    pub fn new() -> Self {
        let key = agreement::PrivateKey::generate(&agreement::ECDH_P256).expect("a key");
        let public_key = key.compute_public_key().expect("a point").as_ref().to_vec();
        let mut auth = [0; 16];
        aws_lc_rs::rand::fill(&mut auth).expect("random bytes");
        Self { key, public_key, auth }
    }

    /// What `PushSubscription.toJSON()` gives, at a path of the service.
    pub fn subscription(&self, service: &PushService, path: &str) -> Value {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        json!({"endpoint": format!("http://{}{path}", service.address), "expirationTime": null,
            "keys": {"p256dh": encode(&self.public_key), "auth": encode(&self.auth)}})
    }

    /// Decrypts a push (RFC 8291).
    pub fn opens(&self, push: &ReceivedPush) -> Value {
        let (salt, rest) = push.body.split_at(16);
        assert_eq!(rest[..5], [0, 0, 16, 0, 65]);
        let (server, sealed) = rest[5..].split_at(65);
        let theirs = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, server);
        let ikm: [u8; 32] = agreement::agree(&self.key, theirs, Unspecified, |secret| {
            Ok(derive(&self.auth, secret, &[b"WebPush: info\0", &self.public_key, server]))
        })
        .expect("a secret");
        let key: [u8; 16] = derive(salt, &ikm, &[b"Content-Encoding: aes128gcm\0"]);
        let nonce: [u8; 12] = derive(salt, &ikm, &[b"Content-Encoding: nonce\0"]);
        let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_128_GCM, &key).expect("a key"));
        let mut sealed = sealed.to_vec();
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let text =
            key.open_in_place(nonce, aead::Aad::empty(), &mut sealed).expect("sealed for this browser");
        let (delimiter, text) = text.split_last().expect("a delimiter");
        assert_eq!(*delimiter, 2);
        serde_json::from_slice(text).expect("JSON")
    }
}

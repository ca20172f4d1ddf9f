//! A target of webhooks that records what it is sent and answers as it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// How a request is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// With this status, more headers, and this body.
    Status(u16, &'static str, Vec<u8>),
    /// As a good target does, after this time.
    Late(Duration),
    /// Not at all, and the connection stays.
    Never,
    /// The connection ends.
    Break,
}

impl Answer {
    pub fn good() -> Self {
        Self::Status(200, "", b"taken".to_vec())
    }

    pub fn status(status: u16) -> Self {
        Self::Status(status, "", Vec::new())
    }
}

type Decide = Box<dyn FnMut(&Received) -> Answer + Send>;

/// A target of webhooks.
pub struct Receiver {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    decide: Arc<Mutex<Decide>>,
    serving: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Receiver {
    /// A target that takes everything.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let decide: Arc<Mutex<Decide>> = Arc::new(Mutex::new(Box::new(|_| Answer::good())));
        let (records, decides) = (received.clone(), decide.clone());
        let serving = tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(connection, records.clone(), decides.clone()));
            }
        });
        Self { address, received, decide, serving }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers from now on as `decide` says.
    pub fn answers(&self, decide: impl FnMut(&Received) -> Answer + Send + 'static) {
        *self.decide.lock().unwrap() = Box::new(decide);
    }

    /// Everything that came so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until `is_enough` of what came.
    pub async fn wait_until(&self, what: &str, is_enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let waiting = async {
            loop {
                let received = self.received();
                if is_enough(&received) {
                    return received;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
        waited.unwrap_or_else(|_| panic!("{what} in time; there came {:#?}", self.received()))
    }
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub fn id(&self) -> String {
        self.headers["webhook-id"].clone()
    }

    pub fn room(&self) -> String {
        self.json()["room_id"].as_str().expect("a room").to_owned()
    }

    pub fn seq(&self) -> i64 {
        self.json()["seq"].as_i64().expect("a position")
    }

    /// The text of the message that it is about.
    pub fn text(&self) -> String {
        self.json()["data"]["message"]["content"].as_str().unwrap_or_default().to_owned()
    }
}

async fn serve(connection: TcpStream, received: Arc<Mutex<Vec<Received>>>, decide: Arc<Mutex<Decide>>) {
    let mut connection = BufReader::new(connection);
    while let Some(request) = read(&mut connection).await {
        let answer = {
            let mut decide = decide.lock().unwrap();
            (*decide)(&request)
        };
        received.lock().unwrap().push(request);
        let (status, headers, body) = match answer {
            Answer::Status(status, headers, body) => (status, headers, body),
            Answer::Late(after) => {
                tokio::time::sleep(after).await;
                (200, "", Vec::new())
            }
            Answer::Never => std::future::pending().await,
            Answer::Break => return,
        };
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        let sent = connection.get_mut().write_all(head.as_bytes()).await;
        if sent.is_err() || connection.get_mut().write_all(&body).await.is_err() {
            return;
        }
    }
}

/// Reads the next request of a connection; `None` at its end.
async fn read(connection: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok().filter(|len| *len > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    connection.read_exact(&mut body).await.ok()?;
    Some(Received { path, headers, body })
}

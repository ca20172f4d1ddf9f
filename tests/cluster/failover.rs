//! A standby takes over that had not received all of the log: a real primary, a real standby, a promotion.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, NoTls};

use crate::broker::free_port;
use crate::client::{Came, SOON, Socket};
use crate::cluster::{Cluster, Person, broker};
use crate::proxy::{Mode, Proxy};

/// One PostgreSQL server, which ends with this process.
struct Server {
    port: u16,
    folder: PathBuf,
    child: Option<Child>,
}

impl Server {
    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    fn start(&mut self) {
        let port = self.port.to_string();
        let mut server = postgres_program("postgres");
        server.args(["-D", &self.folder.to_string_lossy(), "-p", &port]);
        server.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        server.args(["-c", "log_min_messages=fatal"]);
        self.child = Some(server.spawn().expect("postgres starts"));
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    async fn client(&self) -> Client {
        let begin = Instant::now();
        loop {
            let url = format!("postgres://aristay@127.0.0.1:{}/postgres", self.port);
            match tokio_postgres::connect(&url, NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return client;
                }
                Err(error) => assert!(begin.elapsed() < SOON, "no PostgreSQL on {}: {error}", self.port),
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One of PostgreSQL's programs, as an account that it accepts.
fn postgres_program(name: &str) -> Command {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let program = versions.map(|version| version.unwrap().path().join("bin").join(name)).max().unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    }
    command.arg(program).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn run(command: &mut Command) {
    assert!(command.status().expect("a program that starts").success(), "{command:?}");
}

/// A primary with a standby that follows it without holding up its commits.
async fn pair(folder: &Path) -> (Server, Server) {
    let server = |name: &str| Server { port: free_port(), folder: folder.join(name), child: None };
    let (mut primary, mut standby) = (server("primary"), server("standby"));
    if is_root() {
        run(Command::new("chown").args(["postgres", &folder.to_string_lossy()]));
    }
    let data = primary.folder.to_string_lossy().into_owned();
    run(postgres_program("initdb").args(["-D", &data, "-U", "aristay", "-A", "trust", "--no-sync"]));
    primary.start();
    primary.client().await;
    let (port, data) = (primary.port.to_string(), standby.folder.to_string_lossy().into_owned());
    run(postgres_program("pg_basebackup").args([
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-U",
        "aristay",
        "-D",
        &data,
        "-R",
        "-c",
        "fast",
    ]));
    standby.start();
    (primary, standby)
}

/// Waits until a question has this answer.
async fn until(client: &Client, question: &str) {
    let begin = Instant::now();
    while !client.query_one(question, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(begin.elapsed() < SOON, "never: {question}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn post(
    cluster: &Cluster,
    node: usize,
    person: &Person,
    room: &str,
    text: &str,
) -> (StatusCode, Value) {
    let body = json!({"room": room, "content": text});
    cluster.call(node, Method::POST, "/api/chat/messages/", &person.token, Some(body)).await
}

/// What a socket is told until it is reset: the frames before that, and the reset.
async fn until_reset(socket: &mut Socket) -> (Vec<Value>, Value) {
    let mut before = Vec::new();
    let reset = async {
        loop {
            match socket.next().await {
                Came::Frame(frame) if frame["type"] == "reset" => return frame,
                Came::Frame(frame) => before.push(frame),
                end => panic!("no reset but {end:?}"),
            }
        }
    };
    let reset = timeout(SOON, reset).await.expect("a reset");
    (before, reset)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_lacks_the_end_of_the_log_begins_a_new_history_for_everyone() {
    let broker = broker().await;
    let folder = tempfile::Builder::new().prefix("failover").tempdir_in("/tmp").unwrap();
    let (mut primary, standby) = pair(folder.path()).await;
    let proxy = Proxy::start(vec![primary.address()]).await;
    let url = format!("postgres://aristay@127.0.0.1:{}/postgres", proxy.port());
    let mut cluster = Cluster::start(2, &url, &broker.url()).await;
    let (ann, bob) = (cluster.person().await, cluster.person().await);
    let room = cluster.room(&[&ann, &bob]).await;
    for text in ["one", "two"] {
        assert_eq!(post(&cluster, 0, &ann, &room, text).await.0, StatusCode::CREATED);
    }
    let (at_primary, at_standby) = (primary.client().await, standby.client().await);
    until(
        &at_primary,
        "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn())",
    )
    .await;
    // From here on the standby receives nothing.
    at_standby.batch_execute("ALTER SYSTEM SET primary_conninfo = ''").await.unwrap();
    at_standby.query_one("SELECT pg_reload_conf()", &[]).await.unwrap();
    until(&at_standby, "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)").await;

    let mut in_room = cluster.room_socket(1, &bob, &room).await;
    let mut subscribed = cluster.user_socket(1, &ann).await;
    assert!(subscribed.send(&json!({"type": "subscribe", "room_id": room})).await);
    let epoch = subscribed.sees("subscribed").await["epoch"].clone();
    let mut lost = 0;
    for text in ["three", "four", "five", "six"] {
        let (status, message) = post(&cluster, 0, &ann, &room, text).await;
        assert_eq!(status, StatusCode::CREATED);
        lost = message["seq"].as_i64().unwrap();
        in_room.hears(text).await;
        subscribed.hears(text).await;
    }

    primary.kill();
    at_standby.query_one("SELECT pg_promote()", &[]).await.unwrap();
    proxy.lead_to(vec![standby.address()]);
    proxy.set(Mode::Cut);
    proxy.set(Mode::Pass);

    // Node 0 writes into the new history before anyone has told node 1 of it.
    let begin = Instant::now();
    let after = loop {
        let (status, message) = post(&cluster, 0, &ann, &room, "after").await;
        if status == StatusCode::CREATED {
            break message;
        }
        assert!(status == StatusCode::SERVICE_UNAVAILABLE && begin.elapsed() < SOON, "{status} {message}");
        sleep(Duration::from_millis(100)).await;
    };
    assert!(after["seq"].as_i64().unwrap() < lost, "the new history ends before the old one: {after}");

    let (before, reset) = until_reset(&mut in_room).await;
    assert!(before.iter().all(|frame| frame["type"] != "chat_message"), "{before:?}");
    assert_ne!(reset["epoch"], epoch);
    // What a list shows can't be reset; its socket ends, and comes back.
    assert_eq!(subscribed.ends().await, 1012);
    let (_, message) = post(&cluster, 1, &ann, &room, "and live again").await;
    let heard = in_room.hears("and live again").await;
    assert_eq!(heard["seq"], message["seq"]);

    let path = format!("/api/chat/rooms/{room}/events/?since=0");
    for node in [0, 1] {
        let (_, log) = cluster.call(node, Method::GET, &path, &bob.token, None).await;
        assert_eq!(log["epoch"], reset["epoch"], "node {node}");
        let seqs: Vec<i64> =
            log["events"].as_array().unwrap().iter().map(|event| event["seq"].as_i64().unwrap()).collect();
        assert_eq!(seqs, (1..=message["seq"].as_i64().unwrap()).collect::<Vec<_>>());
    }
    let path = format!("/ws/chat/{room}/?token={}&since={lost}&epoch={}", bob.token, epoch.as_str().unwrap());
    let mut back = Socket::open(cluster.nodes[0].port, &path).await.expect("let in");
    assert_eq!(until_reset(&mut back).await.1["epoch"], reset["epoch"]);
    for node in &mut cluster.nodes {
        assert!(node.is_ready().await, "{}", node.log_end());
    }
}

//! A database that crashes, freezes, or whose answers are lost.

use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use actors::domain::ids::{RoomId, Seq};
use actors::ports::store::{Store, StoreError};
use aristay_chat::store::postgres::private::PrivatePostgres;
use aristay_chat::store::postgres::{NodeNameError, PostgresStore, StoreOpenError, StoreOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::world::{ANN, BOB, Database, Postgres, World, open_room_command, say, small_pool};

const PASS: u8 = 0;
/// The next COMMIT doesn't reach the database.
const CUT_COMMIT: u8 = 1;
/// The next answer to a COMMIT doesn't reach the client.
const CUT_ANSWER: u8 = 2;
/// The same, and then all connections are refused.
const CUT_ANSWER_AND_CLOSE: u8 = 3;
const CLOSED: u8 = 4;
/// Connections that were open before stall; new ones are forwarded.
const HOLD_OLD: u8 = 5;

/// A proxy before the database, which can cut connections.
struct Proxy {
    mode: Arc<AtomicU8>,
    config: Config,
}

impl Proxy {
    async fn before(config: &Config) -> Self {
        let [Host::Unix(folder)] = config.get_hosts() else { panic!("the database listens on a socket") };
        let path = folder.join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut through = Config::new();
        through.host("127.0.0.1").port(listener.local_addr().unwrap().port());
        through.user(config.get_user().unwrap()).dbname(config.get_dbname().unwrap());
        let mode = Arc::new(AtomicU8::new(PASS));
        let state = mode.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if state.load(Ordering::SeqCst) == CLOSED {
                    continue;
                }
                let (client, server) = (client.into_split(), UnixStream::connect(&path).await.unwrap());
                let server = server.into_split();
                let (up, down) = (state.clone(), state.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = pump(client.0, server.1, &up, b"COMMIT\0", &[CUT_COMMIT]) => {}
                        () = pump(server.0, client.1, &down, b"COMMIT\0", &[CUT_ANSWER, CUT_ANSWER_AND_CLOSE]) => {}
                    }
                });
            }
        });
        Self { mode, config: through }
    }

    fn set(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
    }
}

/// Forwards bytes until they contain `marker` while one of the modes in `cuts` is set.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mode: &AtomicU8,
    marker: &[u8],
    cuts: &[u8],
) {
    let is_new = mode.load(Ordering::SeqCst) == HOLD_OLD;
    let held = async || {
        while !is_new && mode.load(Ordering::SeqCst) == HOLD_OLD {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let mut bytes = vec![0; 1 << 16];
    loop {
        let read = from.read(&mut bytes).await;
        held().await;
        let Ok(count @ 1..) = read else { return };
        let now = mode.load(Ordering::SeqCst);
        if cuts.contains(&now) && bytes[..count].windows(marker.len()).any(|window| window == marker) {
            mode.store(if now == CUT_ANSWER_AND_CLOSE { CLOSED } else { PASS }, Ordering::SeqCst);
            return;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// Creates a world, and a store that reaches its database through a proxy.
async fn behind_proxy() -> (World, Proxy, PostgresStore, RoomId) {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    let proxy = Proxy::before(&world.database().database.config).await;
    let store = PostgresStore::connect(proxy.config.clone(), small_pool()).await.unwrap();
    (world, proxy, store, room)
}

pub(super) async fn send(store: &PostgresStore, room: RoomId, text: &str) -> Result<Seq, StoreError> {
    let mut answers = store.append(&[Arc::new(say(ANN, room, text))], true).await?;
    Ok(answers.remove(0).unwrap().unwrap().events[0].seq)
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_found_to_be_done() {
    let (world, proxy, store, room) = behind_proxy().await;
    for seq in 4..9 {
        proxy.set(CUT_ANSWER);
        assert_eq!(send(&store, room, "hi").await, Ok(Seq(seq)));
        assert_eq!(proxy.mode.load(Ordering::SeqCst), PASS, "an answer was cut");
    }
    assert_eq!(world.log(room).await.len(), 8);
}

#[tokio::test]
async fn a_commit_that_never_arrived_is_found_to_be_undone() {
    let (world, proxy, store, room) = behind_proxy().await;
    proxy.set(CUT_COMMIT);
    assert!(matches!(send(&store, room, "hi").await, Err(StoreError::Unavailable(_))));
    assert_eq!(send(&store, room, "ho").await, Ok(Seq(4)));
    assert_eq!(world.log(room).await.len(), 4);
}

#[tokio::test]
async fn a_commit_that_cannot_be_looked_up_is_unknown() {
    let (world, proxy, store, room) = behind_proxy().await;
    proxy.set(CUT_ANSWER_AND_CLOSE);
    let began = Instant::now();
    assert_eq!(send(&store, room, "hi").await, Err(StoreError::OutcomeUnknown));
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    assert!(matches!(send(&store, room, "ho").await, Err(StoreError::Unavailable(_))));
    proxy.set(PASS);
    assert_eq!(send(&store, room, "ho").await, Ok(Seq(5)));
    assert_eq!(world.log(room).await.len(), 5);
}

#[tokio::test]
async fn a_room_creation_whose_answer_is_lost_happens_once() {
    let (world, proxy, store, _) = behind_proxy().await;
    let open = actors::domain::command::OpenRoom {
        users: vec![BOB],
        ..open_room_command(ANN, actors::domain::room::RoomType::Direct)
    };
    proxy.set(CUT_ANSWER);
    let opened = store.open_room(&open).await.unwrap().unwrap();
    assert!(opened.created);
    assert_eq!(world.log(opened.room).await.len(), 3);
}

#[tokio::test]
async fn an_abandoned_transaction_is_rolled_back() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let (room, other) = (world.group(&[ANN, BOB]).await, world.database().database.client().await);
    other.batch_execute("BEGIN").await.unwrap();
    other.execute("SELECT FROM rooms WHERE id = $1 FOR UPDATE", &[&room.0]).await.unwrap();
    for _ in 0..6 {
        let batch = [Arc::new(say(ANN, room, "hi"))];
        let given_up = tokio::time::timeout(Duration::from_millis(50), store.append(&batch, true)).await;
        assert!(given_up.is_err());
    }
    other.batch_execute("ROLLBACK").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(send(store, room, "now").await, Ok(Seq(4)));
}

/// Starts a cluster for a test that damages it.
async fn own_cluster() -> (PrivatePostgres, Postgres, RoomId) {
    let cluster = PrivatePostgres::temporary().await.unwrap();
    let (postgres, room) = store_in(&cluster).await;
    (cluster, postgres, room)
}

/// Creates a store in a cluster, with two users in one room.
pub(super) async fn store_in(cluster: &PrivatePostgres) -> (Postgres, RoomId) {
    let database = Database { config: cluster.config() };
    let store = PostgresStore::connect(database.config.clone(), small_pool()).await.unwrap();
    let postgres = Postgres { store, database };
    for (user, name) in [(ANN, "ann"), (BOB, "bob")] {
        postgres.put_user(user, name, true).await;
    }
    let open = actors::domain::command::OpenRoom {
        users: vec![BOB],
        ..open_room_command(ANN, actors::domain::room::RoomType::Group)
    };
    let room = postgres.store.open_room(&open).await.unwrap().unwrap().room;
    (postgres, room)
}

/// Sends until a send succeeds; returns how long that took.
pub(super) async fn retry_until_ok(store: &PostgresStore, room: RoomId) -> Duration {
    let began = Instant::now();
    while send(store, room, "again").await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "it never works again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    began.elapsed()
}

#[tokio::test]
async fn a_read_only_database_is_unavailable() {
    let (_cluster, postgres, room) = own_cluster().await;
    let set = |value| format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
    let client = postgres.database.client().await;
    client.batch_execute(&set("on")).await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let refused = send(&postgres.store, room, "hi").await;
    assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.starts_with("25006")), "{refused:?}");
    assert_eq!(postgres.store.events(room, Seq::START, 10).await.unwrap().len(), 3);
    client.batch_execute("SET default_transaction_read_only = off").await.unwrap();
    client.batch_execute(&set("off")).await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    assert!(retry_until_ok(&postgres.store, room).await < Duration::from_secs(5));
}

#[tokio::test]
async fn a_killed_database_comes_back_by_itself() {
    let (cluster, postgres, room) = own_cluster().await;
    assert_eq!(send(&postgres.store, room, "hi").await, Ok(Seq(4)));
    cluster.keep_down();
    // The backends outlive the postmaster for a moment.
    while send(&postgres.store, room, "hi").await.is_ok() {}
    let began = Instant::now();
    assert!(matches!(send(&postgres.store, room, "hi").await, Err(StoreError::Unavailable(_))));
    assert!(postgres.store.events(room, Seq::START, 10).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    cluster.bring_up();
    cluster.ready().await.unwrap();
    assert!(retry_until_ok(&postgres.store, room).await < Duration::from_secs(5));
    let log = postgres.store.events(room, Seq::START, 100).await.unwrap();
    assert_eq!(log.last().unwrap().seq.0, log.len() as i64);
}

#[tokio::test]
async fn exhausted_connections_recover_once_some_are_free() {
    let (_cluster, postgres, room) = own_cluster().await;
    assert_eq!(send(&postgres.store, room, "hi").await, Ok(Seq(4)));
    let config = &postgres.database.config;
    let mut taken = Vec::new();
    while let Ok((client, connection)) = config.connect(tokio_postgres::NoTls).await {
        tokio::spawn(connection);
        taken.push(client);
        assert!(taken.len() < 1_000, "they never end");
    }
    // A node continues with its open connections; only new connections fail.
    assert_eq!(send(&postgres.store, room, "still").await, Ok(Seq(5)));
    assert!(PostgresStore::connect(config.clone(), small_pool()).await.is_err());
    drop(taken);
    let began = Instant::now();
    let other = loop {
        match PostgresStore::connect(config.clone(), small_pool()).await {
            Ok(store) => break store,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(5), "{error}"),
        }
    };
    assert_eq!(send(&other, room, "again").await, Ok(Seq(6)));
}

/// Signals the postmaster and all of its children.
fn signal(postmaster: u32, signal: &str) {
    let children = Process::new("ps").args(["-o", "pid=", "--ppid", &postmaster.to_string()]).output();
    let children = String::from_utf8(children.unwrap().stdout).unwrap();
    let pids = children.split_whitespace().map(str::to_owned).chain([postmaster.to_string()]);
    // A child may have ended meanwhile; the postmaster hasn't.
    Process::new("kill").arg(signal).args(pids).status().unwrap();
}

#[tokio::test]
async fn a_frozen_database_keeps_nobody_waiting_for_long() {
    let (cluster, postgres, room) = own_cluster().await;
    assert_eq!(send(&postgres.store, room, "hi").await, Ok(Seq(4)));
    let postmaster = cluster.postmaster_pid().unwrap();
    signal(postmaster, "-STOP");
    let began = Instant::now();
    let (sent, read) =
        tokio::join!(send(&postgres.store, room, "hi"), postgres.store.events(room, Seq::START, 10));
    let took = began.elapsed();
    signal(postmaster, "-CONT");
    assert!(matches!(sent, Err(StoreError::Unavailable(_))), "{sent:?}");
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(retry_until_ok(&postgres.store, room).await < Duration::from_secs(5));
    let log = postgres.store.events(room, Seq::START, 100).await.unwrap();
    assert_eq!(log.len(), 5, "what was given up is not there");
}

#[tokio::test]
async fn a_database_without_durable_commits_is_refused() {
    let database = Database::new().await;
    let name = database.config.get_dbname().unwrap().to_owned();
    database.run(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).await;
    let refused = PostgresStore::connect(database.config.clone(), small_pool()).await.err().unwrap();
    assert!(
        matches!(refused, StoreOpenError::UnsafeDurability { setting: "synchronous_commit", .. }),
        "{refused}"
    );
    let options = StoreOptions { allow_unsafe_durability: true, ..small_pool() };
    PostgresStore::connect(database.config.clone(), options).await.unwrap();
}

const COPIED: &str = "
    INSERT INTO people (id, username, changed_xid) VALUES (77, 'zoe', '999999999');
    INSERT INTO events (room_id, seq, kind, at, xid) VALUES (gen_random_uuid(), 1, 'room_created', now(), '999999999');
    INSERT INTO personal_log (user_id, position, kind, id, xid) VALUES (77, 1, 'draft', gen_random_uuid(), '999999999');
    UPDATE log_consumers SET position = '999999999';";

#[tokio::test]
async fn a_restored_database_is_another_history() {
    let database = Database::new().await;
    let open = async || PostgresStore::connect(database.config.clone(), small_pool()).await.unwrap();
    let first = open().await;
    // Rows of another cluster, whose transaction ids this cluster hasn't reached.
    database.run(COPIED).await;
    let (epoch, key) = (first.epoch(), first.link_key());
    assert_eq!((open().await.epoch(), key.len()), (epoch, 32));
    database.run("UPDATE installation SET timeline = timeline + 1").await;
    let restored = open().await;
    assert_ne!(restored.epoch(), epoch);
    let cursor = restored.changes(None).await.unwrap().next;
    let changes = restored.changes(Some(cursor)).await.unwrap();
    assert!(
        changes.rooms.is_empty() && changes.people.is_empty() && changes.personal.is_empty(),
        "{changes:?}"
    );
    assert_eq!((open().await.epoch(), restored.link_key()), (restored.epoch(), key));
    let renewed = restored.renew_epoch().await.unwrap();
    assert_ne!(renewed, epoch);
    assert_eq!((restored.epoch(), open().await.epoch()), (renewed, renewed));
}

#[tokio::test]
async fn nodes_that_start_at_once_migrate_once() {
    let database = Database::new().await;
    let starts = (0..4).map(|_| PostgresStore::connect(database.config.clone(), small_pool()));
    let started = futures_util::future::join_all(starts).await;
    let epochs: Vec<_> = started.into_iter().map(|store| store.unwrap().epoch()).collect();
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]));
}

#[tokio::test]
async fn two_nodes_cannot_have_one_name() {
    let postgres = Postgres::new().await;
    let other = postgres.second_node().await;
    let held = postgres.store.acquire_node_id("a").await.unwrap();
    assert!(matches!(other.acquire_node_id("a").await, Err(NodeNameError::Taken(name)) if name == "a"));
    other.acquire_node_id("b").await.unwrap();
    // When the connection dies, the node acquires its name again and doesn't lose it.
    let client = postgres.database.client().await;
    let kill = "SELECT pg_terminate_backend(l.pid) FROM pg_locks l
        JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
        WHERE l.locktype = 'advisory' AND l.granted";
    client.batch_execute(kill).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(matches!(other.acquire_node_id("a").await, Err(NodeNameError::Taken(_))));
    drop(held);
    other.acquire_node_id("a").await.unwrap();
}

/// The sessions that hold a node's name.
const HOLDERS: &str = "FROM pg_locks l JOIN pg_database d ON d.oid = l.database
     AND d.datname = current_database() WHERE l.locktype = 'advisory' AND l.granted";

#[tokio::test]
async fn a_node_name_is_reacquired_when_its_connection_dies_silently() {
    let (world, proxy, store, _) = behind_proxy().await;
    let mut held = store.acquire_node_id("a").await.unwrap();
    let client = world.database().database.client().await;
    let holders = format!("SELECT l.pid {HOLDERS}");
    let before: i32 = client.query_one(&holders, &[]).await.unwrap().get(0);
    proxy.set(HOLD_OLD);
    let anew = async {
        loop {
            let now = client.query(&holders, &[]).await.unwrap();
            if now.first().is_some_and(|row| row.get::<_, i32>(0) != before) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), anew).await.expect("the name is held anew");
    let lost = tokio::time::timeout(Duration::from_secs(4), held.lost()).await;
    assert!(lost.is_err(), "it was held by its own old session");
}

#[tokio::test]
async fn a_node_name_taken_behind_a_dead_connection_is_lost() {
    let (world, proxy, store, _) = behind_proxy().await;
    let mut held = store.acquire_node_id("a").await.unwrap();
    proxy.set(HOLD_OLD);
    let client = world.database().database.client().await;
    client.batch_execute(&format!("SELECT pg_terminate_backend(l.pid) {HOLDERS}")).await.unwrap();
    let _other = world.database().store.acquire_node_id("a").await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), held.lost()).await.expect("it is noticed");
}

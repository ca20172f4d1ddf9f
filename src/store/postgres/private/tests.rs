use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio_postgres::NoTls;

use super::{PrivateError, PrivatePostgres, binaries::Binaries, postmaster::signal};

/// A folder that the `postgres` account can reach, unlike what `tempfile` makes.
struct DataDir(PathBuf);

impl DataDir {
    fn new() -> Self {
        let path = PathBuf::from(format!("/tmp/chat-data-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let _removed = fs::remove_dir_all(&self.0);
    }
}

async fn ask(postgres: &PrivatePostgres, statement: &str) -> Option<String> {
    let (client, connection) = postgres.config().connect(NoTls).await.expect("a connection");
    tokio::spawn(connection);
    let rows = client.simple_query(statement).await.expect("an answer");
    rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_cluster_is_made_once_keeps_its_rows_and_stops() {
    let data = DataDir::new();
    let postgres = PrivatePostgres::start(&data.0).await.expect("a first start");
    let pointer = fs::read_to_string(data.0.join("postgres")).expect("a note");
    assert_eq!(data.0.join(pointer.trim()), postgres.place());
    ask(&postgres, "CREATE TABLE kept AS SELECT 7 AS n").await;
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert_eq!(ask(&postgres, &format!("SHOW {setting}")).await.as_deref(), Some("on"), "{setting}");
    }
    assert_eq!(ask(&postgres, "SHOW server_encoding").await.as_deref(), Some("UTF8"));
    assert_eq!(ask(&postgres, "SHOW listen_addresses").await.as_deref(), Some(""));
    let url: tokio_postgres::Config = postgres.url().parse().expect("a URL");
    assert!(url.connect(NoTls).await.is_ok());
    let pid = postgres.postmaster_pid().expect("a postmaster");
    postgres.stop().await;
    assert!(!lives(pid));

    let postgres = PrivatePostgres::start(&data.0).await.expect("a second start");
    assert_eq!(ask(&postgres, "SELECT n FROM kept").await.as_deref(), Some("7"));
    postgres.stop().await;
}

/// Set for the process that plays the server: the folder of its data.
const VICTIM: &str = "PRIVATE_POSTGRES_VICTIM";

/// What the victim does: starts its cluster and a temporary one, tells where, and waits to be killed.
async fn be_killed(data_dir: &Path) {
    let postgres = PrivatePostgres::start(data_dir).await.expect("a start");
    let temporary = PrivatePostgres::temporary().await.expect("a temporary one");
    let pid = postgres.postmaster_pid().expect("a postmaster");
    let told = format!("{pid}\n{}", temporary.place().display());
    fs::write(data_dir.join("told.new"), told).expect("written");
    fs::rename(data_dir.join("told.new"), data_dir.join("told")).expect("renamed");
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[tokio::test]
async fn what_a_killed_server_leaves_is_adopted_and_what_a_killed_test_leaves_is_removed() {
    if let Some(data_dir) = std::env::var_os(VICTIM) {
        return be_killed(Path::new(&data_dir)).await;
    }
    let data = DataDir::new();
    let name = "store::postgres::private::tests::what_a_killed_server_leaves_is_adopted_and_what_a_killed_test_leaves_is_removed";
    let mut victim = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", name])
        .env(VICTIM, &data.0)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("a victim");
    until("the victim has started", || data.0.join("told").exists()).await;
    let told = fs::read_to_string(data.0.join("told")).expect("what it told");
    let (pid, temporary) = told.split_once('\n').expect("two lines");
    let pid: u32 = pid.parse().expect("a pid");
    victim.kill().expect("killed with SIGKILL");
    victim.wait().expect("its end");

    assert!(lives(pid));
    let adopted = PrivatePostgres::start(&data.0).await.expect("an adoption");
    assert_eq!(adopted.postmaster_pid(), Some(pid));
    adopted.stop().await;
    assert!(!lives(pid));
    until("the temporary cluster is gone", || !Path::new(temporary).exists()).await;
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_a_guest_until_the_first_is_gone() {
    let data = DataDir::new();
    let owner = PrivatePostgres::start(&data.0).await.expect("an owner");
    let pid = owner.postmaster_pid().expect("a postmaster");
    let guest = PrivatePostgres::start(&data.0).await.expect("a guest");
    assert_eq!(guest.postmaster_pid(), Some(pid));
    guest.stop().await;
    assert!(lives(pid), "a guest stops nothing");
    let heir = PrivatePostgres::start(&data.0).await.expect("an heir");
    drop(owner);
    signal(pid, "KILL");
    until("the heir starts another", || heir.postmaster_pid().is_some_and(|new| new != pid)).await;
    heir.ready().await.expect("it answers");
    heir.stop().await;
}

#[tokio::test]
async fn a_killed_postmaster_comes_back_with_all_that_was_committed() {
    let postgres = PrivatePostgres::temporary().await.expect("a cluster");
    ask(&postgres, "CREATE TABLE counted (n int)").await;
    for round in 1..=3 {
        ask(&postgres, &format!("INSERT INTO counted VALUES ({round})")).await;
        let pid = postgres.postmaster_pid().expect("a postmaster");
        signal(pid, "KILL");
        until("another runs", || postgres.postmaster_pid().is_some_and(|new| new != pid)).await;
        postgres.ready().await.expect("it answers");
        assert_eq!(ask(&postgres, "SELECT count(*) FROM counted").await, Some(round.to_string()));
    }
}

#[tokio::test]
async fn a_start_right_after_the_postmaster_was_killed_waits_for_its_children() {
    let data = DataDir::new();
    let killed = PrivatePostgres::start(&data.0).await.expect("a start");
    let pid = killed.postmaster_pid().expect("a postmaster");
    drop(killed);
    signal(pid, "KILL");
    let postgres = PrivatePostgres::start(&data.0).await.expect("a start after the kill");
    assert_ne!(postgres.postmaster_pid(), Some(pid));
    postgres.stop().await;
}

#[tokio::test]
async fn an_outage_lasts_as_long_as_a_test_wants() {
    let postgres = PrivatePostgres::temporary().await.expect("a cluster");
    postgres.keep_down();
    until("it is down", || postgres.postmaster_pid().is_none()).await;
    assert!(postgres.config().connect(NoTls).await.is_err());
    postgres.bring_up();
    postgres.ready().await.expect("it is back");
}

#[tokio::test]
async fn a_temporary_cluster_is_gone_when_it_is_dropped() {
    let postgres = PrivatePostgres::temporary().await.expect("a cluster");
    let (place, pid) = (postgres.place().to_owned(), postgres.postmaster_pid().expect("a postmaster"));
    drop(postgres);
    assert!(!place.exists() && !lives(pid));
}

#[tokio::test]
async fn databases_of_one_cluster_do_not_see_each_other() {
    let postgres = PrivatePostgres::shared().await.expect("a cluster");
    let template = postgres.create_database("template_with_a_table", "template0").await.expect("a template");
    let (client, connection) = template.connect(NoTls).await.expect("a connection");
    let connection = tokio::spawn(connection);
    client.batch_execute("CREATE TABLE IF NOT EXISTS t (n int)").await.expect("a table");
    drop(client);
    connection.await.expect("the end of the connection").expect("a clean end");
    for _ in 0..2 {
        let config = postgres.fresh_database(Some("template_with_a_table")).await.expect("a database");
        let (client, connection) = config.connect(NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client.execute("INSERT INTO t VALUES (1)", &[]).await.expect("a row");
        let count: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.expect("a count").get(0);
        assert_eq!(count, 1);
    }
}

#[tokio::test]
async fn data_that_the_account_can_not_reach_is_kept_elsewhere() {
    let alone = fs::Permissions::from_mode(0o700);
    let hidden =
        tempfile::Builder::new().permissions(alone).tempdir().expect("a folder for this account alone");
    let postgres = PrivatePostgres::start(&hidden.path().join("data")).await.expect("a start");
    let place = postgres.place().to_owned();
    let is_root = postgres.cluster.binaries.account.is_some();
    assert_eq!(place.starts_with("/var/lib/aristay-chat"), is_root, "{place:?}");
    postgres.stop().await;
    if is_root {
        fs::remove_dir_all(&place).expect("removed");
        let lost = PrivatePostgres::start(&hidden.path().join("data")).await.expect_err("the data is gone");
        assert!(matches!(lost, PrivateError::Lost { .. }), "{lost}");
    }
}

#[tokio::test]
async fn a_long_path_does_not_break_the_socket() {
    let data = DataDir::new();
    let long = data.0.join("a-folder-with-a-long-name".repeat(4));
    let postgres = PrivatePostgres::start(&long).await.expect("a start");
    let sockets = postgres.cluster.sockets.clone();
    assert!(sockets.as_os_str().len() < 60);
    postgres.stop().await;
    fs::remove_dir_all(sockets).expect("removed");
}

#[test]
fn missing_programs_are_told_with_the_package_that_holds_them() {
    let error = Binaries::find_in(Path::new("/nowhere"), &[], None).expect_err("there are none");
    assert!(
        error.to_string().contains("`postgresql`") && error.to_string().contains("DATABASE_URL"),
        "{error}"
    );
    let error = Binaries::find(Some("7")).expect_err("that one is too old");
    assert!(error.to_string().contains("`postgresql-7`"), "{error}");
}

#[tokio::test]
async fn a_stop_is_over_in_time_though_a_backend_does_not_go() {
    let data = DataDir::new();
    let postgres = PrivatePostgres::start(&data.0).await.expect("a start");
    let (client, connection) = postgres.config().connect(NoTls).await.expect("a connection");
    tokio::spawn(connection);
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await.expect("a row");
    let backend = u32::try_from(row.get::<_, i32>(0)).expect("a pid");
    signal(backend, "STOP");
    let postmaster = postgres.postmaster_pid().expect("a postmaster");
    let began = Instant::now();
    postgres.stop().await;
    let took = began.elapsed();
    signal(backend, "KILL");
    assert!(!lives(postmaster));
    assert!(took < PrivatePostgres::STOP_WITHIN + Duration::from_secs(3), "{took:?}");
}

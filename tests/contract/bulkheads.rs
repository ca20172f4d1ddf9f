//! Who waits for whom: nothing that is slow keeps a connection from what the engine commits, and nobody is
//! handed a connection that is in the middle of another's statement.

use std::time::{Duration, Instant};

use actors::domain::ids::FileId;
use actors::ports::store::StoreError;
use aristay_chat::store::postgres::files::UnsentFile;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::world::{ANN, BOB, Postgres, World, say_once, small};

/// Makes each new row of `files` take longer than anyone waits.
const SLOW: &str = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
    CREATE TRIGGER slow BEFORE INSERT ON files FOR EACH ROW EXECUTE FUNCTION slow()";

/// Statements that are being slow.
const SLEEPING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";

async fn keep_a_file(postgres: &Postgres) -> Result<(), StoreError> {
    let file = UnsentFile {
        id: FileId(Uuid::new_v4()),
        uploaded_by: ANN,
        name: "a.pdf",
        size: 1,
        content_type: "application/pdf",
        is_image: false,
    };
    postgres.store.keep_unsent_file(file).await
}

async fn wait_for_sleepers(postgres: &Postgres, count: i64) {
    let client = postgres.database.client().await;
    let begin = Instant::now();
    while client.query_one(SLEEPING, &[]).await.unwrap().get::<_, i64>(0) != count {
        assert!(begin.elapsed() < Duration::from_secs(20), "never {count} slow statements");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn slow_uploads_keep_no_connection_from_what_the_engine_commits() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    let postgres = world.database();
    postgres.database.run(SLOW).await;
    let slow = async {
        // More than there are connections for them.
        let uploads = (0..10).map(|_| keep_a_file(postgres));
        futures_util::future::join_all(uploads).await
    };
    let commits = async {
        let most = i64::try_from(small().connections.write).unwrap();
        wait_for_sleepers(postgres, most).await;
        for text in ["one", "two", "three"] {
            let answers = world.append(vec![say_once(ANN, room, text, Uuid::new_v4())], false).await.unwrap();
            assert!(answers.iter().flatten().all(Result::is_ok), "{answers:?}");
        }
        // They were still slow meanwhile.
        wait_for_sleepers(postgres, most).await;
    };
    tokio::select! {
        biased;
        () = commits => {}
        answers = slow => panic!("the uploads ended first: {answers:?}"),
    }
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_ends_in_the_database_too() {
    let world = World::postgres().await;
    let postgres = world.database();
    postgres.database.run(SLOW).await;

    let given_up = timeout(Duration::from_millis(300), keep_a_file(postgres)).await;
    assert!(given_up.is_err());
    let begin = Instant::now();
    wait_for_sleepers(postgres, 0).await;
    // The database itself would have ended it after 5 s.
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());

    // And nobody is given the connection that was in the middle of it.
    postgres.database.run("DROP TRIGGER slow ON files").await;
    for _ in 0..2 * small().connections.write {
        keep_a_file(postgres).await.unwrap();
    }
}

#[tokio::test]
async fn a_read_that_is_given_up_leaves_no_statement_to_the_next_reader() {
    let world = World::postgres().await;
    let postgres = world.database();
    // What a function of a view does is done by whoever reads it.
    let slow_people = "ALTER TABLE people RENAME TO slow_people;
        CREATE VIEW people AS SELECT p.* FROM slow_people p, LATERAL (SELECT pg_sleep(60) OFFSET 0) s";
    postgres.database.run(slow_people).await;
    for _ in 0..small().connections.read {
        let given_up = timeout(Duration::from_millis(300), postgres.store.person(ANN)).await;
        assert!(given_up.is_err());
    }
    let back = "DROP VIEW people; ALTER TABLE slow_people RENAME TO people";
    wait_for_sleepers(postgres, 0).await;
    postgres.database.run(back).await;
    assert!(postgres.store.person(ANN).await.unwrap().is_some());
}

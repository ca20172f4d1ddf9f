//! Isolation of connections: slow statements keep no connection from the engine's commits, and nobody is given a
//! connection that still executes another's statement.

use std::time::{Duration, Instant};

use actors::domain::ids::FileId;
use actors::ports::store::StoreError;
use aristay_chat::store::postgres::files::UnattachedFile;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::world::{ANN, BOB, Postgres, World, say_with_client_id, small_pool};

/// Makes each insert into `files` take longer than any timeout.
const SLOW: &str = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
    CREATE TRIGGER slow BEFORE INSERT ON files FOR EACH ROW EXECUTE FUNCTION slow()";

/// Counts the statements that are slow at the moment.
const SLEEPING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";

async fn store_unsent_file(postgres: &Postgres) -> Result<(), StoreError> {
    let file = UnattachedFile {
        id: FileId(Uuid::new_v4()),
        uploaded_by: ANN,
        name: "a.pdf",
        size: 1,
        content_type: "application/pdf",
        is_image: false,
        pixels: None,
        has_previews: false,
    };
    postgres.store.insert_unattached_file(file).await
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
        // More uploads than connections for them.
        let uploads = (0..10).map(|_| store_unsent_file(postgres));
        futures_util::future::join_all(uploads).await
    };
    let commits = async {
        let most = i64::try_from(small_pool().connections.write).unwrap();
        wait_for_sleepers(postgres, most).await;
        for text in ["one", "two", "three"] {
            let answers =
                world.append(vec![say_with_client_id(ANN, room, text, Uuid::new_v4())], false).await.unwrap();
            assert!(answers.iter().flatten().all(Result::is_ok), "{answers:?}");
        }
        // The uploads were slow all the time.
        wait_for_sleepers(postgres, most).await;
    };
    tokio::select! {
        biased;
        () = commits => {}
        answers = slow => panic!("the uploads ended first: {answers:?}"),
    }
}

#[tokio::test]
async fn an_abandoned_statement_is_cancelled_in_the_database() {
    let world = World::postgres().await;
    let postgres = world.database();
    postgres.database.run(SLOW).await;

    let given_up = timeout(Duration::from_millis(300), store_unsent_file(postgres)).await;
    assert!(given_up.is_err());
    let begin = Instant::now();
    wait_for_sleepers(postgres, 0).await;
    // The database's own timeout is 5 s.
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());

    // The connection that executed it isn't given to anyone.
    postgres.database.run("DROP TRIGGER slow ON files").await;
    for _ in 0..2 * small_pool().connections.write {
        store_unsent_file(postgres).await.unwrap();
    }
}

#[tokio::test]
async fn a_cancelled_read_leaves_no_statement_to_the_next_reader() {
    let world = World::postgres().await;
    let postgres = world.database();
    // A view with a slow function makes every read of users slow.
    let slow_people = "ALTER TABLE people RENAME TO slow_people;
        CREATE VIEW people AS SELECT p.* FROM slow_people p, LATERAL (SELECT pg_sleep(60) OFFSET 0) s";
    postgres.database.run(slow_people).await;
    for _ in 0..small_pool().connections.read {
        let given_up = timeout(Duration::from_millis(300), postgres.store.user_record(ANN)).await;
        assert!(given_up.is_err());
    }
    let back = "DROP VIEW people; ALTER TABLE slow_people RENAME TO people";
    wait_for_sleepers(postgres, 0).await;
    postgres.database.run(back).await;
    assert!(postgres.store.user_record(ANN).await.unwrap().is_some());
}

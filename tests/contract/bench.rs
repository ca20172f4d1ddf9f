//! Measures how fast batches are appended. `BENCH_SQL` runs first, for example to measure an index. Ignored by
//! default:
//! `cargo test --release --test contract bench -- --ignored --nocapture`

use std::sync::Arc;
use std::time::{Duration, Instant};

use actors::domain::command::{Command, OpenRoom};
use actors::domain::ids::{RoomId, UserId};
use actors::domain::room::RoomType;
use actors::ports::store::Store;
use uuid::Uuid;

use aristay_chat::store::postgres::private::PrivatePostgres;

use crate::world::{ANN, BOB, Postgres, open_room_command, say_with_client_id};

const BATCH: usize = 500;

/// Returns a text of typical length: ten words from a vocabulary of three thousand.
fn text(n: usize) -> String {
    let mut state = n as u64 * 2_654_435_761 + 1;
    let words = (0..10).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("w{:x}rd", (state >> 40) % 3_000)
    });
    words.collect::<Vec<_>>().join(" ")
}

async fn rooms(postgres: &Postgres, count: usize) -> Vec<RoomId> {
    let mut rooms = Vec::new();
    for _ in 0..count {
        let open = OpenRoom { users: vec![BOB], ..open_room_command(ANN, RoomType::Group) };
        rooms.push(postgres.store.open_room(&open).await.unwrap().unwrap().room);
    }
    rooms
}

fn batch(rooms: &[RoomId], round: usize) -> Vec<Arc<Command>> {
    let by = |n: usize| if n.is_multiple_of(2) { ANN } else { BOB };
    let post =
        |n| say_with_client_id(by(n), rooms[n % rooms.len()], &text(round * BATCH + n), Uuid::new_v4());
    (0..BATCH).map(post).map(Arc::new).collect()
}

/// Returns the processor time of the cluster's processes in microseconds, which a busy machine doesn't distort.
async fn database_time() -> f64 {
    let postmaster = PrivatePostgres::shared().await.unwrap().postmaster_pid().unwrap();
    let stats = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|process| {
        let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
        let ticks: f64 = fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?;
        (fields[1] == postmaster.to_string()).then_some(ticks * 10_000.0)
    });
    stats.sum()
}

async fn measure(name: &str, postgres: &Postgres, rooms: &[RoomId]) {
    let prepared: Vec<_> = (0..80).map(|round| batch(rooms, round)).collect();
    let (mut times, mut before) = (Vec::new(), 0.0);
    for (round, batch) in prepared.iter().enumerate() {
        let began = Instant::now();
        let answers = postgres.store.append(batch, false).await.unwrap();
        assert!(answers.iter().all(|answer| matches!(answer, Some(Ok(_)))));
        if round == 19 {
            before = database_time().await;
        }
        if round >= 20 {
            times.push(began.elapsed());
        }
    }
    let spent = database_time().await - before;
    times.sort_unstable();
    let total: Duration = times.iter().sum();
    println!(
        "{name}: {:.1} µs of the database's processor a row; {:.0} rows/s, batch p50 {:?} p99 {:?}",
        spent / (BATCH * times.len()) as f64,
        (BATCH * times.len()) as f64 / total.as_secs_f64(),
        times[times.len() / 2],
        times[times.len() * 99 / 100],
    );
}

#[tokio::test]
#[ignore = "measures, and judges nothing"]
async fn append() {
    let postgres = Postgres::new().await;
    for (user, name) in [(ANN, "ann"), (BOB, "bob"), (UserId(3), "cat")] {
        postgres.put_user(user, name, true).await;
    }
    if let Ok(sql) = std::env::var("BENCH_SQL") {
        postgres.database.run(&sql).await;
    }
    let many = rooms(&postgres, BATCH).await;
    for _ in 0..2 {
        measure("500 rooms", &postgres, &many).await;
        measure("1 room", &postgres, &many[..1]).await;
    }
    let lone = rooms(&postgres, 1).await;
    let mut times = Vec::new();
    for n in 0..2_000 {
        let batch = [Arc::new(say_with_client_id(ANN, lone[0], &text(n), Uuid::new_v4()))];
        let began = Instant::now();
        postgres.store.append(&batch, false).await.unwrap();
        times.push(began.elapsed());
    }
    times.sort_unstable();
    println!("one message: p50 {:?} p99 {:?}", times[1_000], times[1_980]);
}

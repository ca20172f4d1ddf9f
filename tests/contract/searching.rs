//! A search finds what is there now, whether or not the table that it searches has come to it.

use std::time::{Duration, Instant};

use actors::domain::command::Change;
use actors::domain::ids::RoomId;
use aristay_chat::store::postgres::messages::MessageFilter;

use crate::locks::someone_waits;
use crate::world::{ANN, BOB, World, edit, say};

/// The contents that Bob finds.
async fn found(world: &World, text: &str) -> Vec<String> {
    let store = &world.database().store;
    let page = store.search_messages(BOB, text, &MessageFilter::default(), 100, 0).await.unwrap();
    assert_eq!(page.count, i64::try_from(page.messages.len()).unwrap());
    page.messages.into_iter().map(|found| found.message.content).collect()
}

/// Takes in what there is; transactions of other tests, which the cluster shares, may hold that up.
async fn take_in(world: &World) {
    let until = Instant::now() + Duration::from_secs(30);
    let client = world.database().database.client().await;
    let left = "SELECT EXISTS (SELECT FROM events WHERE xid >= (SELECT position FROM texts_progress))";
    while client.query_one(left, &[]).await.unwrap().get(0) {
        world.database().store.take_in_texts(100).await.unwrap();
        assert!(Instant::now() < until, "it is held up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn change(world: &World, room: RoomId, change: Change) {
    world.does(ANN, room, change).await.unwrap();
}

#[tokio::test]
async fn a_search_finds_what_is_there_before_and_after_it_was_taken_in() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    let others = world.group(&[ANN]).await;
    world.says(ANN, others, "the boiler of another house").await;
    let boiler = world.says(ANN, room, "The boiler is déjà fixed").await;
    for is_taken_in in [false, true] {
        if is_taken_in {
            take_in(&world).await;
        }
        for text in [
            "boiler",
            "BOILER deja",
            "oile",
            "déjà fix",
            "de\u{301}ja\u{300}",
            "fixe oile",
            "\"the boiler\" eja",
            "(boiler)",
            "fi",
        ] {
            assert_eq!(found(&world, text).await, ["The boiler is déjà fixed"], "{text}, {is_taken_in}");
        }
        for text in ["roof", "boiler roof", "\"boiler fixed\"", "ix", "déjà%", "%"] {
            assert!(found(&world, text).await.is_empty(), "{text}, {is_taken_in}");
        }
    }

    change(&world, room, edit(&boiler, "The roof is fixed")).await;
    for _ in 0..2 {
        assert_eq!(found(&world, "roof").await, ["The roof is fixed"]);
        assert!(found(&world, "boiler").await.is_empty());
        take_in(&world).await;
    }
    change(&world, room, Change::Delete { message: boiler.id, reason: None }).await;
    for _ in 0..2 {
        assert!(found(&world, "roof").await.is_empty());
        take_in(&world).await;
    }
    let left = world.database().database.client().await;
    let left = left.query_one("SELECT count(*) FROM texts WHERE folded LIKE '%fixed%'", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 0, "of a deleted text nothing stays");
}

#[tokio::test]
async fn scripts_without_spaces_are_found_by_any_part() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    let (leak, room_101, thai) = ("厨房水管漏水了", "钥匙在A栋101室", "ก๊อกน้ำในห้องครัวรั่วมาก");
    for text in [leak, room_101, thai, "👍 100%"] {
        world.says(ANN, room, text).await;
    }
    for is_taken_in in [false, true] {
        if is_taken_in {
            take_in(&world).await;
        }
        for (text, expected) in [
            ("水", vec![leak]),
            ("了", vec![leak]),
            ("水管漏", vec![leak]),
            ("漏水 厨房", vec![leak]),
            ("管水", vec![]),
            ("A栋", vec![room_101]),
            ("栋101", vec![room_101]),
            ("รั่ว ครัว", vec![thai]),
            ("👍", vec!["👍 100%"]),
            ("100%", vec!["👍 100%"]),
            ("👎", vec![]),
        ] {
            assert_eq!(found(&world, text).await, expected, "{text}, {is_taken_in}");
        }
    }
}

#[tokio::test]
async fn what_an_earlier_version_took_in_is_found_and_folded_in_pieces() {
    const EARLIER: &str = "
        INSERT INTO texts_before (room_id, message_id, rev, content)
            SELECT room_id, id, rev, content FROM messages;
        DELETE FROM texts";
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    let mut said = Vec::new();
    for n in 0..25 {
        said.push(world.says(ANN, room, &format!("déjà {n} boiler")).await);
    }
    take_in(&world).await;
    let client = world.database().database.client().await;
    client.batch_execute(EARLIER).await.unwrap();
    let before = async || -> i64 {
        let count = client.query_one("SELECT count(*) FROM texts_before", &[]).await.unwrap();
        count.get(0)
    };

    assert_eq!(found(&world, "oile").await.len(), 25);
    change(&world, room, edit(&said[0], "The roof")).await;
    change(&world, room, Change::Delete { message: said[1].id, reason: None }).await;
    for is_taken_in in [false, true] {
        if is_taken_in {
            take_in(&world).await;
        }
        assert_eq!((found(&world, "boiler").await.len(), found(&world, "roof").await.len()), (23, 1));
    }
    assert_eq!(before().await, 23, "what has changed since is no earlier text");

    let store = &world.database().store;
    let mut place = (uuid::Uuid::nil(), uuid::Uuid::nil());
    let mut left = vec![before().await];
    while let Some(reached) = store.fold_earlier_texts(place, 10).await.unwrap() {
        place = reached;
        left.push(before().await);
        assert_eq!(found(&world, "déjà boiler").await.len(), 23, "{left:?}");
    }
    assert_eq!(left, [23, 13, 3, 0]);
    assert_eq!(found(&world, "ler eja").await.len(), 23, "parts of several words, now that it is folded");
    assert_eq!(kept(&world).await, 24);
}

/// How many texts are kept to be searched.
async fn kept(world: &World) -> i64 {
    let client = world.database().database.client().await;
    client.query_one("SELECT count(*) FROM texts", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn of_an_erased_text_of_a_deleted_room_nothing_stays() {
    for is_taken_in in [true, false] {
        let world = World::postgres().await;
        let room = world.group(&[ANN, BOB]).await;
        let text = world.says(ANN, room, "The boiler").await;
        change(&world, room, edit(&text, "The roof")).await;
        world.says(BOB, room, "Fine").await;
        if is_taken_in {
            take_in(&world).await;
        }
        change(&world, room, Change::DeleteRoom).await;
        world.database().store.erase_texts_of_deleted_rooms(ANN).await.unwrap();
        take_in(&world).await;
        assert_eq!(kept(&world).await, 1, "of Bob, {is_taken_in}");
        let client = world.database().database.client().await;
        let left = "SELECT (SELECT count(*) FROM messages WHERE sender_id = $1 AND deleted_at IS NULL)
                         + (SELECT count(*) FROM messages WHERE content LIKE 'The%')
                         + (SELECT count(*) FROM message_versions)";
        assert_eq!(client.query_one(left, &[&ANN.0]).await.unwrap().get::<_, i64>(0), 0);
    }
}

#[tokio::test]
async fn a_text_that_is_being_taken_in_is_erased_too() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    world.says(ANN, room, "The boiler").await;
    change(&world, room, Change::DeleteRoom).await;
    let round = world.database().database.client().await;
    round.batch_execute("BEGIN; SELECT FROM texts_progress FOR UPDATE").await.unwrap();
    round
        .batch_execute(
            "INSERT INTO texts (room_id, message_id, rev, folded) SELECT room_id, id, rev, content FROM messages",
        )
        .await
        .unwrap();
    let store = world.database().store.clone();
    let erasing = tokio::spawn(async move { store.erase_texts_of_deleted_rooms(ANN).await });
    someone_waits(&world.database().database.client().await).await;
    round.batch_execute("COMMIT").await.unwrap();
    erasing.await.unwrap().unwrap();
    assert_eq!(kept(&world).await, 0);
}

#[tokio::test]
async fn a_round_is_bounded_and_the_next_goes_on() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    take_in(&world).await;
    for n in 0..30 {
        world.append(vec![say(ANN, room, &format!("tile {n}"))], true).await.unwrap();
    }
    let until = Instant::now() + Duration::from_secs(30);
    let mut rounds: Vec<i64> = Vec::new();
    while rounds.iter().sum::<i64>() < 30 {
        rounds.push(world.database().store.take_in_texts(9).await.unwrap());
        assert_eq!(found(&world, "tile").await.len(), 30);
        assert!(Instant::now() < until, "{rounds:?}");
    }
    assert!(rounds.iter().all(|taken| *taken <= 10) && rounds.len() >= 3, "{rounds:?}");
    assert_eq!(rounds.iter().sum::<i64>(), 30);
}

#[tokio::test]
async fn two_nodes_take_each_text_in_once() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    for n in 0..40 {
        world.append(vec![say(ANN, room, &format!("tile {n}"))], true).await.unwrap();
    }
    let (one, other) = (&world.database().store, world.database().second_node().await);
    let rounds = async |store: &aristay_chat::store::postgres::PostgresStore| {
        for _ in 0..20 {
            store.take_in_texts(5).await.unwrap();
        }
    };
    futures_util::join!(rounds(one), rounds(&other));
    take_in(&world).await;
    let texts = world.database().database.client().await;
    let texts = texts.query_one("SELECT count(*) FROM texts", &[]).await.unwrap();
    assert_eq!(texts.get::<_, i64>(0), 40);
}

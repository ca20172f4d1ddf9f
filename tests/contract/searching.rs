//! Search finds current messages, whether they have been indexed yet or not.

use std::time::{Duration, Instant};

use actors::domain::attachment::Media;
use actors::domain::command::{Command, MessageDraft, Principal, RoomChange, RoomPatch};
use actors::domain::ids::{FileId, RoomId, UserId};
use actors::domain::mentions::Mentions;
use actors::domain::message::{Attachment, Message, MessageType};
use aristay_chat::consumers::SearchIndexer;
use aristay_chat::store::postgres::search::{Has, SearchOrder, SearchPage, SearchRequest, parse_time};
use aristay_chat::store::postgres::{ConsumerRound, PostgresStore};
use uuid::Uuid;

use crate::world::{ANN, BOB, CAT, World, add, delete, draft, edit, posted, say};

fn request(text: &str) -> SearchRequest {
    SearchRequest { query: text.to_owned(), order: SearchOrder::Newest, ..SearchRequest::default() }
}

async fn search(world: &World, viewer: UserId, request: &SearchRequest) -> SearchPage {
    let page = world.database().store.search_messages(viewer, request, 100, 0).await.unwrap();
    assert_eq!(page.page.count, i64::try_from(page.page.messages.len()).unwrap());
    assert_eq!(page.highlights.len(), page.page.messages.len());
    page
}

fn contents(page: SearchPage) -> Vec<String> {
    page.page.messages.into_iter().map(|found| found.message.content).collect()
}

/// Returns the contents that Bob's search finds, the newest first.
async fn found(world: &World, text: &str) -> Vec<String> {
    let page = search(world, BOB, &request(text)).await;
    assert!(!page.is_incomplete, "{text}");
    contents(page)
}

/// Indexes about `events_max` events. Returns how many.
async fn index(store: &PostgresStore, owner: Uuid, events_max: usize) -> usize {
    match store.consume(&SearchIndexer, owner, events_max).await.unwrap() {
        ConsumerRound::Consumed { events, .. } => events,
        ConsumerRound::NotOwner => 0,
        ConsumerRound::Stopped(reason) => panic!("{reason}"),
    }
}

/// Indexes everything; transactions of other tests, which the cluster shares, may hold that up.
async fn index_pending(world: &World) {
    let until = Instant::now() + Duration::from_secs(30);
    let client = world.database().database.client().await;
    let left = "SELECT EXISTS (SELECT FROM events WHERE xid >= (SELECT position FROM log_consumers WHERE name = 'search'))";
    while client.query_one(left, &[]).await.unwrap().get(0) {
        index(&world.database().store, Uuid::nil(), 100).await;
        assert!(Instant::now() < until, "it is held up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn change(world: &World, room: RoomId, change: RoomChange) {
    world.does(ANN, room, change).await.unwrap();
}

#[tokio::test]
async fn a_search_finds_messages_before_and_after_indexing() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    let others = world.group(&[ANN]).await;
    world.says(ANN, others, "the boiler of another house").await;
    let boiler = world.says(ANN, room, "The boiler is déjà fixed").await;
    for is_indexed in [false, true] {
        if is_indexed {
            index_pending(&world).await;
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
            assert_eq!(found(&world, text).await, ["The boiler is déjà fixed"], "{text}, {is_indexed}");
        }
        for text in ["roof", "boiler roof", "\"boiler fixed\"", "ix", "déjà%", "%"] {
            assert!(found(&world, text).await.is_empty(), "{text}, {is_indexed}");
        }
    }

    change(&world, room, edit(&boiler, "The roof is fixed")).await;
    for _ in 0..2 {
        assert_eq!(found(&world, "roof").await, ["The roof is fixed"]);
        assert!(found(&world, "boiler").await.is_empty());
        index_pending(&world).await;
    }
    change(&world, room, RoomChange::Delete { message: boiler.id, reason: None }).await;
    for _ in 0..2 {
        assert!(found(&world, "roof").await.is_empty());
        index_pending(&world).await;
    }
    assert!(!index_holds(&world, "fixed").await, "of a deleted text nothing stays");
}

#[tokio::test]
async fn scripts_without_spaces_are_found_by_any_part() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    let (leak, room_101, thai) = ("厨房水管漏水了", "钥匙在A栋101室", "ก๊อกน้ำในห้องครัวรั่วมาก");
    for text in [leak, room_101, thai, "👍 100%"] {
        world.says(ANN, room, text).await;
    }
    for is_indexed in [false, true] {
        if is_indexed {
            index_pending(&world).await;
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
            assert_eq!(found(&world, text).await, expected, "{text}, {is_indexed}");
        }
    }
}

/// Whether a word is anywhere in the index.
async fn index_holds(world: &World, word: &str) -> bool {
    const HOLDS: &str = "SELECT EXISTS (SELECT FROM (SELECT body FROM search_blocks
            UNION ALL SELECT filling FROM search_rooms UNION ALL SELECT recent FROM search_rooms) b
        WHERE position(convert_to($1, 'UTF8') IN body) > 0)";
    let client = world.database().database.client().await;
    client.query_one(HOLDS, &[&format!(" {word} ")]).await.unwrap().get(0)
}

/// Counts full blocks.
async fn block_count(world: &World) -> i64 {
    let client = world.database().database.client().await;
    client.query_one("SELECT count(*) FROM search_blocks", &[]).await.unwrap().get(0)
}

/// Sends texts that many transactions commit.
async fn says_all(world: &World, room: RoomId, texts: impl Iterator<Item = String>) -> Vec<Message> {
    let mut sent = Vec::new();
    let texts: Vec<String> = texts.collect();
    for texts in texts.chunks(100) {
        let batch = texts.iter().map(|text| say(ANN, room, text)).collect();
        let answers = world.append(batch, true).await.unwrap();
        sent.extend(answers.into_iter().map(|answer| posted(answer.unwrap().unwrap())));
    }
    sent
}

#[tokio::test]
async fn messages_in_full_blocks_are_found_changed_and_deleted() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    let sent = says_all(
        &world,
        room,
        (0..300).map(|n| format!("tile{n} {}", if n % 100 == 7 { "水管" } else { "x" })),
    )
    .await;
    index_pending(&world).await;
    assert_eq!(block_count(&world).await, 2);
    for (text, expected) in
        [("tile7", 11), ("tile7 水", 1), ("\"tile 107\"", 1), ("水管", 3), ("il", 0), ("tile", 300)]
    {
        let request = SearchRequest { room: Some(room), ..request(text) };
        let page = world.database().store.search_messages(BOB, &request, 100, 0).await.unwrap();
        assert_eq!(page.page.count, expected, "{text}");
    }
    change(&world, room, edit(&sent[7], "roof")).await;
    change(&world, room, delete(&sent[107])).await;
    change(&world, room, edit(&sent[207], "水管 roof")).await;
    for _ in 0..2 {
        assert_eq!(found(&world, "水管").await, ["水管 roof"]);
        assert_eq!(found(&world, "roof").await, ["水管 roof", "roof"]);
        index_pending(&world).await;
    }
    assert_eq!(block_count(&world).await, 2);
    assert!(index_holds(&world, "roof").await && !index_holds(&world, "107").await);
}

#[tokio::test]
async fn a_rebuilt_index_has_everything_all_the_time() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    says_all(&world, room, (0..300).map(|n| format!("tile{n}"))).await;
    index_pending(&world).await;
    let client = world.database().database.client().await;
    // A block is lost, and another one damaged.
    let damage = "DELETE FROM search_blocks WHERE first_seq = (SELECT min(first_seq) FROM search_blocks);
        UPDATE search_blocks SET body = '\\x00'";
    client.batch_execute(damage).await.unwrap();
    let page = search(&world, BOB, &request("tile")).await;
    assert!(page.is_incomplete && page.page.count < 100, "{}", page.page.count);
    assert!(world.database().store.rebuild_consumer("search").await.unwrap());
    index_pending(&world).await;
    assert_eq!(found(&world, "tile7").await.len(), 11);
    assert!(world.database().store.rebuild_consumer("search").await.unwrap());
    while index(&world.database().store, Uuid::nil(), 20).await > 0 {
        assert_eq!(found(&world, "tile7").await.len(), 11);
    }
}

#[tokio::test]
async fn while_the_index_is_far_behind_the_newest_messages_are_found() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    index_pending(&world).await;
    world.says(ANN, room, "old tile").await;
    // Events without messages count as well.
    let client = world.database().database.client().await;
    let far = "UPDATE rooms SET head = head + 6000 WHERE id = $1";
    client.execute(far, &[&room.0]).await.unwrap();
    let newest = world.says(ANN, room, "new tile").await;
    let page = search(&world, BOB, &request("tile")).await;
    assert!(page.is_incomplete);
    assert_eq!(page.page.messages[0].message.id, newest.id);
}

#[tokio::test]
async fn nothing_remains_of_a_deleted_room() {
    for is_indexed in [true, false] {
        let world = World::postgres().await;
        let room = world.group(&[ANN, BOB]).await;
        let text = world.says(ANN, room, "The boiler").await;
        change(&world, room, edit(&text, "The roof")).await;
        world.says(BOB, room, "Fine").await;
        if is_indexed {
            says_all(&world, room, (0..200).map(|n| format!("tile{n}"))).await;
            index_pending(&world).await;
            assert!(index_holds(&world, "roof").await);
        }
        change(&world, room, RoomChange::DeleteRoom).await;
        assert!(found(&world, "roof").await.is_empty());
        world.database().store.erase_messages_in_deleted_rooms(ANN).await.unwrap();
        index_pending(&world).await;
        assert!(!index_holds(&world, "roof").await && !index_holds(&world, "fine").await);
        assert_eq!(block_count(&world).await, 0);
        let client = world.database().database.client().await;
        let left = "SELECT (SELECT count(*) FROM messages WHERE sender_id = $1 AND deleted_at IS NULL)
                         + (SELECT count(*) FROM messages WHERE content LIKE 'The%')
                         + (SELECT count(*) FROM message_versions)";
        assert_eq!(client.query_one(left, &[&ANN.0]).await.unwrap().get::<_, i64>(0), 0);
    }
}

#[tokio::test]
async fn only_what_the_viewer_may_see_now_is_found() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    world.says(ANN, room, "tile before").await;
    change(&world, room, add(CAT)).await;
    world.says(ANN, room, "tile after").await;
    let client = world.database().database.client().await;
    let hide = "UPDATE participants SET visible_from_seq = joined_seq WHERE user_id = $1";
    client.execute(hide, &[&CAT.0]).await.unwrap();
    for is_indexed in [false, true] {
        if is_indexed {
            index_pending(&world).await;
        }
        assert_eq!(contents(search(&world, CAT, &request("tile")).await), ["tile after"], "{is_indexed}");
        assert_eq!(found(&world, "tile").await, ["tile after", "tile before"], "{is_indexed}");
        assert!(contents(search(&world, UserId(4), &request("tile")).await).is_empty());
    }
    change(&world, room, RoomChange::Remove { user: CAT }).await;
    assert!(contents(search(&world, CAT, &request("tile")).await).is_empty());
}

async fn sends_file(
    world: &World,
    room: RoomId,
    text: &str,
    message_type: MessageType,
    name: &str,
) -> Message {
    let file = FileId(Uuid::new_v4());
    let insert = "INSERT INTO files (id, uploaded_by, name, size, content_type, is_image)
        VALUES ($1, 1, $2, 3, 'application/octet-stream', false)";
    let client = world.database().database.client().await;
    client.execute(insert, &[&file.0, &name]).await.unwrap();
    let attachment =
        Some(Attachment { file, name: name.into(), size: 3, media: Media::of_type("application/pdf") });
    let change = RoomChange::Post(MessageDraft { message_type, attachment, ..draft(text) });
    posted(world.run(Command { room, by: Principal::User(ANN), change }).await.unwrap())
}

#[tokio::test]
async fn filters_select_by_sender_room_file_link_and_time() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    change(&world, room, RoomPatch::named("Building A").into()).await;
    let other = world.group(&[BOB, ANN]).await;
    world.says(ANN, room, "tile by ann").await;
    world.says(BOB, room, "tile by bob").await;
    world.says(BOB, other, "tile https://x.org elsewhere").await;
    sends_file(&world, room, "", MessageType::Image, "Tile_2041.jpg").await;
    sends_file(&world, room, "tile plan", MessageType::File, "a.pdf").await;
    let mention = draft("look here").mentioning(Mentions::new(vec![BOB], false));
    change(&world, room, RoomChange::Post(mention)).await;
    for is_indexed in [false, true] {
        if is_indexed {
            index_pending(&world).await;
        }
        for (text, expected) in [
            ("tile from:ann", &["tile plan", "", "tile by ann"][..]),
            ("tile from:me", &["tile https://x.org elsewhere", "tile by bob"]),
            ("from:bob tile", &["tile https://x.org elsewhere", "tile by bob"]),
            ("from:bob elsewhere", &["tile https://x.org elsewhere"]),
            ("from:ann from:bob by", &["tile by bob", "tile by ann"]),
            ("from:1 by", &["tile by ann"]),
            ("from:zoe tile", &[]),
            ("tile in:building a by", &["tile by bob", "tile by ann"]),
            ("tile in:\"Building A\" from:bob", &["tile by bob"]),
            ("tile in:cellar", &[]),
            ("has:image", &[""]),
            ("has:file tile", &["tile plan", ""]),
            ("2041", &[""]),
            ("tile_2041", &[""]),
            ("has:link", &["tile https://x.org elsewhere"]),
            ("has:link has:file", &[]),
            ("by before:2020-01-01", &[]),
            ("by after:2020-01-01", &["tile by bob", "tile by ann"]),
            ("by after:2999", &[]),
            ("mentions:me", &["look here"]),
        ] {
            assert_eq!(found(&world, text).await, expected, "{text}, {is_indexed}");
        }
        let by = |from: &str| SearchRequest { from: Some(from.to_owned()), ..request("by") };
        assert_eq!(contents(search(&world, BOB, &by("Ann")).await), ["tile by ann"]);
        assert_eq!(contents(search(&world, BOB, &by("me")).await), ["tile by bob"]);
        let images = SearchRequest { has: vec![Has::Image], ..request("") };
        assert_eq!(contents(search(&world, BOB, &images).await), [""]);
        let old = SearchRequest { before: parse_time("2020-01-01"), ..request("tile") };
        assert!(contents(search(&world, BOB, &old).await).is_empty());
        let plain = SearchRequest { is_plain: true, ..request("from:ann") };
        assert!(contents(search(&world, BOB, &plain).await).is_empty());
    }
}

#[tokio::test]
async fn codes_numbers_names_and_forms_of_words_are_found_however_written() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    let (unit, code, phone) = ("Keys of A-101", "see a102 now", "call +49 (170) 123 45 67");
    let (name, language, leak) = ("O’Rourke was here", "C# is fine, c is not", "It leaks in the kitchens");
    let cleaning = "la limpieza y las reparaciones";
    for text in [unit, code, phone, name, language, leak, cleaning] {
        world.says(ANN, room, text).await;
    }
    for is_indexed in [false, true] {
        if is_indexed {
            index_pending(&world).await;
        }
        for (text, expected) in [
            ("A-101", &[unit][..]),
            ("a101", &[unit]),
            ("A 101", &[unit]),
            ("a-10", &[code, unit]),
            ("A 102", &[code]),
            ("0170 1234567", &[phone]),
            ("+491701234567", &[phone]),
            ("0170-123-4567", &[phone]),
            ("1234567", &[phone]),
            ("O'R", &[name]),
            ("O'Rourke", &[name]),
            ("C#", &[language]),
            ("leaking kitchen", &[leak]),
            ("leaked", &[leak]),
            ("REPARACIÓN", &[cleaning]),
            ("d#", &[]),
            ("a 103", &[]),
        ] {
            assert_eq!(found(&world, text).await, expected, "{text}, {is_indexed}");
        }
    }
}

#[tokio::test]
async fn relevance_prefers_whole_words_side_by_side_and_newer_ones() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    for text in [
        "hot water",
        "the hotter the better, watering",
        "hot water again",
        "water for those who are hot or cold today",
    ] {
        world.says(ANN, room, text).await;
    }
    for is_indexed in [false, true] {
        if is_indexed {
            index_pending(&world).await;
        }
        let page =
            search(&world, BOB, &SearchRequest { order: SearchOrder::Relevance, ..request("hot water") })
                .await;
        let shown: Vec<Vec<(u32, u32)>> =
            page.highlights.iter().map(|ranges| ranges.iter().map(|r| (r.start, r.end)).collect()).collect();
        assert_eq!(
            contents(page),
            [
                "hot water",
                "hot water again",
                "water for those who are hot or cold today",
                "the hotter the better, watering"
            ]
        );
        let expected: [&[(u32, u32)]; 4] =
            [&[(0, 3), (4, 9)], &[(0, 3), (4, 9)], &[(0, 5), (24, 27)], &[(4, 7), (23, 28)]];
        assert_eq!(shown, expected.map(<[_]>::to_vec));
        let oldest = SearchRequest { order: SearchOrder::Oldest, ..request("water hot") };
        assert_eq!(contents(search(&world, BOB, &oldest).await)[0], "hot water");
    }
}

#[tokio::test]
async fn a_round_is_bounded_and_the_next_goes_on() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    index_pending(&world).await;
    for n in 0..30 {
        world.append(vec![say(ANN, room, &format!("tile {n}"))], true).await.unwrap();
    }
    let until = Instant::now() + Duration::from_secs(30);
    let mut rounds: Vec<usize> = Vec::new();
    while rounds.iter().sum::<usize>() < 30 {
        rounds.push(index(&world.database().store, Uuid::nil(), 9).await);
        assert_eq!(found(&world, "tile").await.len(), 30);
        assert!(Instant::now() < until, "{rounds:?}");
    }
    assert!(rounds.iter().all(|taken| *taken <= 10) && rounds.len() >= 3, "{rounds:?}");
    assert_eq!(rounds.iter().sum::<usize>(), 30);
}

#[tokio::test]
async fn two_nodes_index_each_text_once() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    for n in 0..40 {
        world.append(vec![say(ANN, room, &format!("tile {n}"))], true).await.unwrap();
    }
    let (one, other) = (&world.database().store, world.database().second_node().await);
    let rounds = async |store: &PostgresStore| {
        let owner = Uuid::new_v4();
        for _ in 0..20 {
            index(store, owner, 5).await;
        }
    };
    futures_util::join!(rounds(one), rounds(&other));
    index_pending(&world).await;
    assert_eq!(found(&world, "tile").await.len(), 40);
    assert!(index_holds(&world, "tile").await);
}

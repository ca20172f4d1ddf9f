//! Who has read a message: small rooms list the readers, and large rooms only count them.

use std::time::Duration;

use actors::domain::command::RoomChange;
use actors::domain::ids::{RoomId, UserId};
use aristay_chat::store::postgres::queries::MessageFilter;
use uuid::Uuid;

use crate::world::{ANN, BOB, CAT, DAN, Postgres, World, read_to};

#[tokio::test]
async fn readers_of_messages_are_counted_alike_in_small_and_in_large_rooms() {
    let world = World::postgres().await;
    let many_users: Vec<UserId> = (100..160).map(UserId).collect();
    for user in &many_users {
        world.put_user(*user, &format!("user{}", user.0), true).await;
    }
    let small = world.group(&[ANN, BOB, CAT, DAN]).await;
    let large = world.group(&[&[ANN, BOB, CAT, DAN], many_users.as_slice()].concat()).await;
    let mut expected = Vec::new();
    for (room, readers) in
        [(small, [CAT, BOB].to_vec()), (large, [&[CAT, BOB], many_users.as_slice()].concat())]
    {
        let mut sent = Vec::new();
        for n in 0..12 {
            sent.push(world.says([ANN, BOB, CAT][n % 3], room, "hi").await);
        }
        let mut marks = Vec::new();
        for (n, user) in readers.iter().enumerate() {
            let mark = (n * 5 + 6) % 12;
            world.does(*user, room, read_to(&sent[mark])).await.unwrap();
            marks.push((*user, sent[mark].seq));
        }
        world.does(DAN, room, read_to(&sent[11])).await.unwrap();
        world.does(DAN, room, RoomChange::Leave).await.unwrap();
        for message in sent {
            let others =
                marks.iter().filter(|(user, mark)| *user != message.sender.id && *mark >= message.seq);
            let others: Vec<UserId> = others.map(|(user, _)| *user).collect();
            let is_read = message.sender.id == BOB || others.contains(&BOB);
            let told = if room == small { others.len() } else { 0 };
            expected.push((message.id, is_read, others.len() as i64, told));
        }
    }
    let filter = MessageFilter { oldest_first: true, ..MessageFilter::default() };
    let page = world.database().store.message_page(BOB, &filter, 100, 0).await.unwrap();
    let found: Vec<_> = page
        .messages
        .iter()
        .map(|read| {
            let readers = &read.receipts;
            (read.message.id, readers.is_read, readers.count, readers.first_read_at.len())
        })
        .collect();
    assert_eq!(found, expected);
}

/// Thirty read moves of every participant in rooms of 5, 100 and 101; the last ten are recent.
const MOVES: &str = "
    INSERT INTO people (id, username) SELECT n, 'user' || n FROM generate_series(1, 101) n;
    INSERT INTO rooms (id, room_type, created_at, modified_at, head)
        SELECT md5('room' || n)::uuid, 'group', now(), now(), 30 FROM unnest(ARRAY[5, 100, 101]) n;
    INSERT INTO participants (room_id, user_id, role, joined_at, joined_seq, read_seq)
        SELECT md5('room' || n)::uuid, u, 'member', now(), 1, 30
        FROM unnest(ARRAY[5, 100, 101]) n, generate_series(1, n) u;
    INSERT INTO read_moves (room_id, user_id, seq, at)
        SELECT room_id, user_id, seq, now() - CASE WHEN seq > 20 THEN '1 hour' ELSE '2 days' END::interval
        FROM participants, generate_series(1, 30) seq WHERE user_id <> 7 OR seq <= 20";

#[tokio::test]
async fn old_read_moves_of_large_rooms_are_pruned_except_each_users_newest() {
    let postgres = Postgres::new().await;
    postgres.database.run(MOVES).await;
    let day = Duration::from_secs(24 * 60 * 60);
    let (mut after, mut rounds) = (RoomId(Uuid::nil()), 0);
    while let Some(last) = postgres.store.delete_old_read_moves(after, day).await.unwrap() {
        (after, rounds) = (last, rounds + 1);
    }
    assert_eq!(rounds, 1);
    let left = "SELECT count(*) FROM read_moves WHERE room_id = md5('room' || $1::bigint)::uuid";
    let client = postgres.database.client().await;
    for (people, expected) in [(5_i64, 5 * 30), (100, 99 * 30 + 20), (101, 100 * 10 + 1)] {
        let left: i64 = client.query_one(left, &[&people]).await.unwrap().get(0);
        assert_eq!(left, expected, "in the room of {people}");
    }
    let newest = "SELECT max(seq) FROM read_moves WHERE user_id = 7 AND room_id = md5('room101')::uuid";
    assert_eq!(client.query_one(newest, &[]).await.unwrap().get::<_, i64>(0), 20);
}

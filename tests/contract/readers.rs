//! Who has read a message, in rooms whose people are told one by one and in those where they are counted.

use actors::domain::command::Change;
use actors::domain::ids::UserId;
use aristay_chat::store::postgres::messages::MessageFilter;

use crate::world::{ANN, BOB, CAT, DAN, World, read_to};

#[tokio::test]
async fn readers_of_messages_are_counted_alike_in_small_and_in_large_rooms() {
    let world = World::postgres().await;
    let crowd: Vec<UserId> = (100..160).map(UserId).collect();
    for user in &crowd {
        world.put_person(*user, &format!("user{}", user.0), true).await;
    }
    let small = world.group(&[ANN, BOB, CAT, DAN]).await;
    let large = world.group(&[&[ANN, BOB, CAT, DAN], crowd.as_slice()].concat()).await;
    let mut expected = Vec::new();
    for (room, readers) in [(small, [CAT, BOB].to_vec()), (large, [&[CAT, BOB], crowd.as_slice()].concat())] {
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
        world.does(DAN, room, Change::Leave).await.unwrap();
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
            let readers = &read.readers;
            (read.message.id, readers.is_read, readers.count, readers.first.len())
        })
        .collect();
    assert_eq!(found, expected);
}

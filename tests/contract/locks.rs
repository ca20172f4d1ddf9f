//! Concurrent transactions on one room: the effects of PostgreSQL's locks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actors::domain::command::{Command, CommandReply, Principal, Refusal, RoomChange};
use actors::domain::ids::{RoomId, Seq, UserId};
use actors::domain::participant::Role;
use actors::ports::store::{Store, StoreError};
use aristay_chat::store::postgres::queries::MessageFilter;
use aristay_chat::store::postgres::users::UserUpsert;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::world::{ANN, BOB, CAT, World, add, say, say_with_client_id};

/// Locks a room in a transaction that stays open.
async fn lock_room(client: &Client, room: RoomId) {
    client.batch_execute("BEGIN").await.unwrap();
    client.execute("SELECT FROM rooms WHERE id = $1 FOR UPDATE", &[&room.0]).await.unwrap();
}

/// Waits until a statement waits for a lock.
pub(super) async fn wait_for_lock_waiter(client: &Client) {
    for _ in 0..1_000 {
        let waiting = "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        if client.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("nobody waits for the lock");
}

#[tokio::test]
async fn a_held_room_keeps_nobody_else_waiting() {
    let world = World::postgres().await;
    let (held, free) = (world.group(&[ANN, BOB]).await, world.group(&[ANN, BOB]).await);
    let other = world.database().database.client().await;
    lock_room(&other, held).await;
    let batch = vec![say(ANN, held, "late"), say(ANN, free, "hi"), say(ANN, RoomId::new(), "lost")];
    let answers = world.append(batch, false).await.unwrap();
    assert_eq!(answers[0], None);
    assert!(matches!(answers[1], Some(Ok(_))));
    assert_eq!(answers[2], Some(Err(Refusal::RoomNotFound)));
    let began = Instant::now();
    assert_eq!(world.append(vec![say(ANN, held, "late")], true).await, Err(StoreError::Locked));
    assert!((1_400..2_500).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    other.batch_execute("ROLLBACK").await.unwrap();
    world.says(ANN, held, "now").await;
    assert_eq!(world.head(held).await, Seq(4));
}

#[tokio::test]
async fn a_sender_removed_while_their_message_waits_is_refused() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    let (other, watcher) =
        (world.database().database.client().await, world.database().database.client().await);
    lock_room(&other, room).await;
    let store = Arc::clone(&world.store);
    let sending = tokio::spawn(async move { store.append(&[Arc::new(say(BOB, room, "hi"))], true).await });
    wait_for_lock_waiter(&watcher).await;
    let remove = "UPDATE participants SET left_at = now() WHERE room_id = $1 AND user_id = $2";
    other.execute(remove, &[&room.0, &BOB.0]).await.unwrap();
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(sending.await.unwrap().unwrap(), [Some(Err(Refusal::NotParticipant))]);
    assert_eq!(world.head(room).await, Seq(3));
}

#[tokio::test]
async fn a_message_that_waits_takes_the_number_after_the_other() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    let (other, watcher) =
        (world.database().database.client().await, world.database().database.client().await);
    lock_room(&other, room).await;
    let store = Arc::clone(&world.store);
    let sending = tokio::spawn(async move { store.append(&[Arc::new(say(BOB, room, "hi"))], true).await });
    wait_for_lock_waiter(&watcher).await;
    other
        .execute("UPDATE rooms SET head = 4, modified_at = '2100-01-01' WHERE id = $1", &[&room.0])
        .await
        .unwrap();
    other
        .execute(
            "INSERT INTO events (room_id, seq, kind, at) VALUES ($1, 4, 'room_updated', now())",
            &[&room.0],
        )
        .await
        .unwrap();
    other.batch_execute("COMMIT").await.unwrap();
    let answer = sending.await.unwrap().unwrap().remove(0).unwrap().unwrap();
    assert_eq!(answer.events[0].seq, Seq(5));
    assert!(answer.events[0].at.to_rfc3339().starts_with("2100"), "times of a room never go backwards");
}

#[tokio::test]
async fn people_who_are_being_told_of_are_put_into_rooms_meanwhile() {
    let world = World::postgres().await;
    let room = world.group(&[BOB]).await;
    let (other, watcher) =
        (world.database().database.client().await, world.database().database.client().await);
    other.batch_execute("BEGIN").await.unwrap();
    other.execute("SELECT FROM people WHERE id = $1 FOR UPDATE", &[&CAT.0]).await.unwrap();
    let store = world.database().store.clone();
    let telling = tokio::spawn(async move { store.upsert_users(&[told(CAT), told(ANN)]).await });
    wait_for_lock_waiter(&watcher).await;
    world.does(BOB, room, add(ANN)).await.unwrap();
    assert!(!telling.is_finished(), "Ann was told of, and Cat is waited for");
    other.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(telling.await.unwrap().unwrap().len(), 2);
}

fn told(id: UserId) -> UserUpsert {
    let (username, full_name, email) = (None, Some("Told".to_owned()), None);
    UserUpsert {
        id,
        username,
        full_name,
        email,
        is_active: None,
        is_staff: None,
        tokens_valid_from: None,
        is_guest: None,
    }
}

#[tokio::test]
async fn one_of_two_last_admins_stays_in_a_race() {
    let world = World::postgres().await;
    let nodes = [world.store.clone(), Arc::new(world.database().second_node().await)];
    for _ in 0..30 {
        let room = world.group(&[ANN, BOB, CAT]).await;
        world.does(ANN, room, RoomChange::SetRole { user: BOB, role: Role::Admin }).await.unwrap();
        let leave = |user, node: &Arc<dyn Store>| {
            let (node, by) = (Arc::clone(node), Principal::User(user));
            let command = Arc::new(Command { room, by, change: RoomChange::Leave });
            tokio::spawn(async move { node.append(&[command], true).await.unwrap().remove(0).unwrap() })
        };
        let (ann, bob) = (leave(ANN, &nodes[0]), leave(BOB, &nodes[1]));
        let left = [ann.await.unwrap(), bob.await.unwrap()];
        assert_eq!(left.iter().filter(|left| **left == Err(Refusal::LastAdmin)).count(), 1, "{left:?}");
    }
}

#[tokio::test]
async fn a_client_id_sent_at_once_from_two_nodes_is_one_message() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    let nodes: [Arc<dyn Store>; 2] = [world.store.clone(), Arc::new(world.database().second_node().await)];
    let id = Uuid::new_v4();
    let sends = (0..40).map(|n| {
        let node = Arc::clone(&nodes[n % 2]);
        tokio::spawn(async move {
            loop {
                // More senders than connections wait for one lock. Those that fail or time out send again, as
                // clients do, and nothing was stored for them.
                match node.append(&[Arc::new(say_with_client_id(ANN, room, "hi", id))], true).await {
                    Ok(mut answers) => return answers.remove(0).unwrap().unwrap().reply,
                    Err(StoreError::RowRefused) => panic!("refused"),
                    Err(StoreError::Unavailable(_) | StoreError::Locked | StoreError::OutcomeUnknown) => {}
                }
            }
        })
    });
    let (mut ids, mut first) = (Vec::new(), 0);
    for send in sends.collect::<Vec<_>>() {
        let CommandReply::Posted { message, duplicate } = send.await.unwrap() else { panic!("not posted") };
        ids.push(message.id);
        first += u32::from(!duplicate);
    }
    ids.dedup();
    assert_eq!((ids.len(), first, world.head(room).await), (1, 1, Seq(4)));
}

#[tokio::test]
async fn two_nodes_number_densely_in_the_same_rooms() {
    let world = World::postgres().await;
    let mut rooms = Vec::new();
    for _ in 0..3 {
        rooms.push(world.group(&[ANN, BOB]).await);
    }
    let nodes: [Arc<dyn Store>; 2] = [world.store.clone(), Arc::new(world.database().second_node().await)];
    let rounds = nodes.map(|node| {
        let rooms = rooms.clone();
        tokio::spawn(async move {
            for n in 0..40_usize {
                let batch: Vec<_> =
                    (0..9).map(|k| Arc::new(say(ANN, rooms[(n + k) % 3], &format!("{n} {k}")))).collect();
                for answer in node.append(&batch, n % 2 == 0).await.unwrap() {
                    assert!(answer.is_none_or(|answer| answer.is_ok()));
                }
            }
        })
    });
    for round in rounds {
        round.await.unwrap();
    }
    for room in rooms {
        let log = world.log(room).await;
        let seqs: Vec<i64> = log.iter().map(|event| event.seq.0).collect();
        assert_eq!(seqs, (1..=log.len() as i64).collect::<Vec<_>>());
        assert!(log.is_sorted_by_key(|event| event.at));
        assert_eq!(world.head(room).await, log.last().unwrap().seq);
    }
}

#[tokio::test]
async fn the_change_feed_reports_what_began_early_and_committed_late() {
    let world = World::postgres().await;
    let (slow, fast) = (world.group(&[ANN, BOB]).await, world.group(&[ANN, BOB]).await);
    let other = world.database().database.client().await;
    let start = world.store.changes(None).await.unwrap();
    lock_room(&other, slow).await;
    let insert = "INSERT INTO events (room_id, seq, kind, at) VALUES ($1, 4, 'room_updated', now())";
    other.execute(insert, &[&slow.0]).await.unwrap();
    world.says(ANN, fast, "one").await;
    let first = world.store.changes(Some(start.next)).await.unwrap();
    assert_eq!(first.rooms, [(fast, Seq(4))]);
    let second = world.store.changes(Some(first.next)).await.unwrap();
    assert!(second.rooms.is_empty(), "an open transaction makes nothing be told twice");
    world.says(ANN, fast, "two").await;
    other.batch_execute("COMMIT").await.unwrap();
    let third = world.store.changes(Some(second.next)).await.unwrap();
    let mut expected = vec![(slow, Seq(4)), (fast, Seq(5))];
    expected.sort_unstable();
    assert_eq!(third.rooms, expected);
}

#[tokio::test]
async fn a_row_that_the_database_refuses_stores_nothing_of_its_batch() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    world
        .database()
        .database
        .run(
            "ALTER TABLE messages ADD CHECK (content <> 'checked'); \
             CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF NEW.content = 'raised' THEN RAISE EXCEPTION 'no'; END IF; \
             IF NEW.content = 'divided' THEN PERFORM 1 / (length(NEW.content) - 7); END IF; \
             IF NEW.content = 'unknown' THEN PERFORM no_such_function(); END IF; \
             RETURN NEW; END $$; \
             CREATE TRIGGER veto BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION veto()",
        )
        .await;
    for culprit in ["checked", "raised", "divided", "unknown"] {
        let batch = vec![say(ANN, room, "fine"), say(ANN, room, culprit)];
        assert_eq!(world.append(batch, false).await, Err(StoreError::RowRefused), "{culprit}");
    }
    assert_eq!(world.says(ANN, room, "fine").await.seq, Seq(4));
}

#[tokio::test]
async fn slow_lists_leave_connections_to_others() {
    let world = World::postgres().await;
    world.group(&[ANN, BOB]).await;
    let other = world.database().database.client().await;
    other.batch_execute("BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let lists: Vec<_> = (0..4)
        .map(|_| {
            let store = world.database().store.clone();
            tokio::spawn(async move { store.message_page(ANN, &MessageFilter::default(), 20, 0).await })
        })
        .collect();
    wait_for_lock_waiter(&world.database().database.client().await).await;
    // The remaining lists run meanwhile.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(world.store.user(ANN).await.unwrap().is_some());
    let mut refused = 0;
    for list in lists {
        refused += usize::from(matches!(list.await.unwrap(), Err(StoreError::Unavailable(_))));
    }
    assert_eq!(refused, 4, "each in its time");
    other.batch_execute("ROLLBACK").await.unwrap();
    assert!(world.database().store.message_page(ANN, &MessageFilter::default(), 20, 0).await.is_ok());
}

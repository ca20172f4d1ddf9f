//! Webhooks that are changed to follow other rooms or kinds of events: what they no longer follow isn't sent, and what
//! they follow anew begins with what happens next.

use std::time::Duration;

use actors::domain::command::RoomChange;
use actors::domain::ids::{RoomId, UserId};
use actors::domain::participant::Role;
use aristay_chat::store::postgres::PostgresStore;
use aristay_chat::store::postgres::integrations::{
    Lane, NewWebhook, NextEvent, Webhook, WebhookChange, WebhookState,
};
use uuid::Uuid;

use crate::webhooks::{ALL, HOST, PATIENCE, SEED, adds, claims, plans, sends_all};
use crate::world::{ANN, BOB, CAT, World, edit};

async fn changes(store: &PostgresStore, webhook: &Webhook, change: WebhookChange<'_>) {
    store.change_webhook(HOST, webhook.id, change).await.unwrap().unwrap();
}

async fn follows(store: &PostgresStore, webhook: &Webhook, rooms: &[RoomId]) {
    let rooms: Vec<Uuid> = rooms.iter().map(|room| room.0).collect();
    changes(store, webhook, WebhookChange { rooms: Some(&rooms), ..WebhookChange::default() }).await;
}

#[tokio::test]
async fn a_room_that_is_left_out_is_sent_no_more_and_one_that_is_back_begins_anew() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let rooms = [world.group(&[ANN, BOB]).await, world.group(&[ANN, CAT]).await];
    let webhook = adds(store, NewWebhook { rooms: &rooms.map(|room| room.0), ..ALL }).await;
    let kept = world.says(ANN, rooms[0], "kept").await;
    world.says(ANN, rooms[1], "not sent any more").await;
    plans(&world, &rooms).await;
    let claim = Uuid::new_v4();
    let lanes = claims(store, claim, &webhook, 10).await;
    follows(store, &webhook, &rooms[..1]).await;
    let left_out = lanes.iter().find(|lane| lane.room == rooms[1]).unwrap();
    assert_eq!(store.next_event(claim, *left_out, PATIENCE).await.unwrap(), NextEvent::Lost);
    for lane in &lanes {
        store.release_lane(claim, *lane, Duration::ZERO).await.unwrap();
    }
    assert_eq!(sends_all(store, &webhook).await, [(rooms[0], kept.seq.0)]);

    world.says(ANN, rooms[1], "in between").await;
    plans(&world, &rooms).await;
    follows(store, &webhook, &rooms).await;
    let next = world.says(ANN, rooms[1], "next").await;
    plans(&world, &rooms).await;
    assert_eq!(sends_all(store, &webhook).await, [(rooms[1], next.seq.0)]);

    // Nothing is sent of a lane that the planner added just when its room was left out.
    follows(store, &webhook, &rooms[..1]).await;
    let late = format!(
        "INSERT INTO webhook_lanes (webhook_id, room_id, sent, head, due_at) VALUES ('{}', '{}', 0, {}, now())",
        webhook.id, rooms[1], next.seq
    );
    world.database().database.run(&late).await;
    let lane = Lane { webhook: webhook.id, room: rooms[1] };
    assert_eq!(claims(store, claim, &webhook, 10).await, [lane]);
    let nothing = NextEvent::NothingUntil(next.seq);
    assert_eq!(store.next_event(claim, lane, PATIENCE).await.unwrap(), nothing);
}

#[tokio::test]
async fn a_room_that_may_not_be_read_any_more_is_left_out_and_the_webhook_goes_on() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let rooms = [world.group(&[CAT, BOB]).await, world.group(&[ANN, CAT]).await];
    let role = |user: UserId, role| RoomChange::SetRole { user, role };
    world.does(ANN, rooms[1], role(CAT, Role::Admin)).await.unwrap();
    let rooms_of = rooms.map(|room| room.0);
    let webhook = adds(store, NewWebhook { rooms: &rooms_of, owner: Some(CAT), ..ALL }).await;
    let sent = world.says(CAT, rooms[0], "hello").await;
    world.does(ANN, rooms[1], role(CAT, Role::Member)).await.unwrap();
    plans(&world, &rooms).await;
    let claim = Uuid::new_v4();
    for lane in claims(store, claim, &webhook, 10).await {
        if lane.room == rooms[1] {
            assert_eq!(store.next_event(claim, lane, PATIENCE).await.unwrap(), NextEvent::Forbidden);
            store.pause_webhook(claim, lane, "may not read").await.unwrap();
        } else {
            store.release_lane(claim, lane, Duration::ZERO).await.unwrap();
        }
    }
    let change =
        WebhookChange { rooms: Some(&rooms_of[..1]), is_active: Some(true), ..WebhookChange::default() };
    changes(store, &webhook, change).await;
    assert_eq!(sends_all(store, &webhook).await, [(rooms[0], sent.seq.0)]);
    let state = store.webhook(HOST, webhook.id).await.unwrap().unwrap().state;
    assert_eq!(state, WebhookState::Active);
}

#[tokio::test]
async fn other_kinds_of_events_are_sent_from_now_on_and_none_that_were_asked_for_is_left_out() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let rooms = [world.group(&[ANN, BOB]).await, world.group(&[ANN, CAT]).await];
    let webhook = adds(store, NewWebhook { kinds: &["message_posted"], ..ALL }).await;
    let mut sent = Vec::new();
    for room in rooms {
        sent.push(world.says(ANN, room, "one").await);
    }
    plans(&world, &rooms).await;
    assert_eq!(sends_all(store, &webhook).await.len(), 2);
    for message in &sent {
        world.does(ANN, message.room, edit(message, "not asked for")).await.unwrap();
    }
    plans(&world, &rooms).await;
    // The planner hasn't seen this one yet.
    let unplanned = world.says(ANN, rooms[0], "asked for all along").await;
    changes(store, &webhook, WebhookChange { kinds: Some(&[]), ..WebhookChange::default() }).await;
    for message in &sent {
        world.does(ANN, message.room, edit(message, "asked for")).await.unwrap();
    }
    plans(&world, &rooms).await;
    let mut found = sends_all(store, &webhook).await;
    found.sort_unstable();
    let edited = [world.head(rooms[0]).await.0, world.head(rooms[1]).await.0];
    let mut expected = [(rooms[0], unplanned.seq.0), (rooms[0], edited[0]), (rooms[1], edited[1])];
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_round_with_many_events_is_planned_in_pieces() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let rooms = [world.group(&[ANN, BOB]).await, world.group(&[ANN, CAT]).await];
    let webhook = adds(store, NewWebhook { kinds: &["message_posted"], ..ALL }).await;
    let mut expected = Vec::new();
    for n in 0..300 {
        let room = rooms[n % 2];
        expected.push((room, world.says(ANN, room, "x").await.seq.0));
    }
    plans(&world, &rooms).await;
    let mut found = sends_all(store, &webhook).await;
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_change_reads_no_large_table_in_sequence() {
    let world = World::postgres().await;
    let postgres = world.database();
    let store = postgres.second_node().await;
    let webhook = adds(&store, ALL).await;
    postgres.database.run(SEED).await;
    let room = world.group(&[ANN, BOB]).await;
    let client = postgres.database.client().await;
    client.batch_execute("SELECT pg_stat_reset()").await.unwrap();
    // Often enough that the planner switches to generic plans.
    for n in 0..8 {
        world.says(ANN, room, &n.to_string()).await;
        let kinds: &[&str] = if n % 2 == 0 { &["message_posted"] } else { &[] };
        changes(&store, &webhook, WebhookChange { kinds: Some(kinds), ..WebhookChange::default() }).await;
        store.consumer_behind_at("webhooks").await.unwrap();
    }
    store.close();
    drop(store);
    postgres.store.close();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    const SEQUENTIAL: &str = "SELECT relname::text, seq_tup_read FROM pg_stat_user_tables
        WHERE relname IN ('webhook_lanes', 'events', 'rooms') AND seq_tup_read > 1000";
    let read = client.query(SEQUENTIAL, &[]).await.unwrap();
    let read: Vec<(String, i64)> = read.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(read, []);
}

//! What webhooks are to be sent: planned once, claimed by one node, in each room's order; what is refused for long,
//! given up or paused; and nothing that whoever set one up may not read.

use std::time::Duration;

use actors::domain::command::RoomChange;
use actors::domain::ids::{RoomId, Seq, UserId};
use aristay_chat::consumers::{WebhookPlanner, catch_up};
use aristay_chat::store::postgres::PostgresStore;
use aristay_chat::store::postgres::integrations::{
    Attempt, IntegrationManager, Lane, NewWebhook, NextEvent, PendingEvent, ReplayStart, Settlement, Webhook,
    WebhookChange, WebhookOutcome, WebhookState,
};
use uuid::Uuid;

use crate::world::{ANN, BOB, CAT, Postgres, World, delete, set};

pub(crate) const LEASE: Duration = Duration::from_secs(60);
pub(crate) const PATIENCE: Duration = Duration::from_secs(5 * 24 * 60 * 60);
pub(crate) const HOST: IntegrationManager = IntegrationManager::Host;

pub(crate) const ALL: NewWebhook<'_> = NewWebhook {
    url: "https://example.com/hook",
    kinds: &[],
    rooms: &[],
    room_types: &[],
    secret: &[7; 32],
    owner: None,
    since: None,
};

pub(crate) async fn adds(store: &PostgresStore, new: NewWebhook<'_>) -> Webhook {
    match store.add_webhook(new).await.unwrap() {
        WebhookOutcome::Added(webhook) => *webhook,
        WebhookOutcome::TooMany => panic!("too many"),
    }
}

/// Plans everything that is in the logs. Transactions of other tests, which share the cluster, may hold it up.
pub(crate) async fn plans(world: &World, rooms: &[RoomId]) {
    let postgres = world.database();
    let client = postgres.database.client().await;
    for _ in 0..600 {
        catch_up(&postgres.store, &WebhookPlanner).await.unwrap();
        let left = "SELECT count(*) FROM events e JOIN log_consumers c ON c.name = 'webhooks'
            WHERE e.xid >= c.position AND e.room_id = ANY($1)";
        let rooms: Vec<Uuid> = rooms.iter().map(|room| room.0).collect();
        if client.query_one(left, &[&rooms]).await.unwrap().get::<_, i64>(0) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not everything is planned in time");
}

pub(crate) async fn claims(store: &PostgresStore, claim: Uuid, webhook: &Webhook, count: i64) -> Vec<Lane> {
    let mut lanes = store.claim_lanes(claim, LEASE, &[(webhook.id, count)]).await.unwrap();
    lanes.sort_by_key(|lane| lane.room);
    lanes
}

async fn pending(store: &PostgresStore, claim: Uuid, lane: Lane) -> PendingEvent {
    match store.next_event(claim, lane, PATIENCE).await.unwrap() {
        NextEvent::Pending(pending) => *pending,
        other => panic!("nothing is pending: {other:?}"),
    }
}

fn attempt(pending: &PendingEvent) -> Attempt<'_> {
    Attempt {
        seq: pending.seq,
        kind: &pending.kind,
        message: pending.message,
        url: &pending.url,
        took: Duration::from_millis(3),
        status: Some(500),
        answer: "an answer",
        error: "",
    }
}

async fn settles(
    store: &PostgresStore,
    claim: Uuid,
    lane: Lane,
    pending: &PendingEvent,
    settlement: Settlement,
) -> bool {
    store.settle_delivery(claim, LEASE, lane, &attempt(pending), &settlement).await.unwrap()
}

const DELIVERED: Settlement = Settlement::Delivered { is_back: false };

/// Sends everything that is due; returns the positions in each lane's order.
pub(crate) async fn sends_all(store: &PostgresStore, webhook: &Webhook) -> Vec<(RoomId, i64)> {
    let (claim, mut sent) = (Uuid::new_v4(), Vec::new());
    loop {
        let lanes = claims(store, claim, webhook, 10).await;
        if lanes.is_empty() {
            return sent;
        }
        for lane in lanes {
            let mut goes_on = true;
            while goes_on {
                goes_on = match store.next_event(claim, lane, PATIENCE).await.unwrap() {
                    NextEvent::Pending(pending) => {
                        sent.push((lane.room, pending.seq.0));
                        settles(store, claim, lane, &pending, DELIVERED).await
                    }
                    NextEvent::NothingUntil(seq) => store.skip_events(claim, LEASE, lane, seq).await.unwrap(),
                    other => panic!("{other:?}"),
                };
            }
        }
    }
}

async fn time_passes(postgres: &Postgres, interval: &str) {
    let past = format!(
        "UPDATE webhook_lanes SET due_at = due_at - interval '{interval}',
             failing_since = failing_since - interval '{interval}';
         UPDATE webhooks SET failing_since = failing_since - interval '{interval}',
             succeeded_at = succeeded_at - interval '{interval}', previous_until = previous_until - interval '{interval}';
         UPDATE webhook_deliveries SET last_at = last_at - interval '{interval}'"
    );
    postgres.database.run(&past).await;
}

#[tokio::test]
async fn what_happens_after_it_was_set_up_is_sent_once_and_in_order() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let rooms = [world.group(&[ANN, BOB]).await, world.group(&[ANN, CAT]).await];
    world.says(ANN, rooms[0], "before").await;
    let webhook = adds(store, ALL).await;
    let mut expected = Vec::new();
    for n in 0..4 {
        let room = rooms[n % 2];
        expected.push((room, world.says(ANN, room, &n.to_string()).await.seq.0));
    }
    plans(&world, &rooms).await;
    assert_eq!(store.due_webhooks().await.unwrap().len(), 1);
    let mut sent = sends_all(store, &webhook).await;
    let of =
        |all: &[(RoomId, i64)], room| all.iter().copied().filter(|one| one.0 == room).collect::<Vec<_>>();
    for room in rooms {
        assert_eq!(of(&sent, room), of(&expected, room));
    }
    sent.sort_unstable();
    // Planning the log again plans nothing.
    store.rebuild_consumer("webhooks").await.unwrap();
    plans(&world, &rooms).await;
    assert_eq!(sends_all(store, &webhook).await, []);
    assert_eq!(store.due_webhooks().await.unwrap(), []);
    let (count, deliveries) = store.webhook_deliveries(webhook.id, 10, 0).await.unwrap();
    assert_eq!((count, deliveries.len()), (4, 4));
    assert!(deliveries.iter().all(|delivery| delivery.state == "delivered" && delivery.attempts == 1));
}

#[tokio::test]
async fn only_what_a_webhook_asked_for_is_sent() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let (group, direct) = (world.group(&[ANN, BOB]).await, world.direct(ANN, BOB).await.unwrap().room);
    let task = world.open(&crate::world::task_room_command(ANN, 9)).await.unwrap().room;
    let rooms = [group, direct, task];
    world.make_staff(CAT).await;
    let one = [group.0];
    let webhooks = [
        adds(store, ALL).await,
        adds(store, NewWebhook { rooms: &one, ..ALL }).await,
        adds(store, NewWebhook { room_types: &["task", "direct"], ..ALL }).await,
        adds(store, NewWebhook { kinds: &["message_posted"], ..ALL }).await,
        adds(store, NewWebhook { owner: Some(CAT), ..ALL }).await,
    ];
    for room in rooms {
        let sent = world.says(ANN, room, "x").await;
        world.does(ANN, room, crate::world::edit(&sent, "y")).await.unwrap();
    }
    plans(&world, &rooms).await;
    let mut counts = Vec::new();
    for webhook in &webhooks {
        counts.push(sends_all(store, webhook).await.len());
    }
    assert_eq!(counts, [6, 2, 4, 3, 4], "the staff don't hear what two people say to each other");
}

#[tokio::test]
async fn a_lane_is_claimed_by_one_node_until_its_lease_ends() {
    let world = World::postgres().await;
    let postgres = world.database();
    let (store, other) = (&postgres.store, postgres.second_node().await);
    let webhook = adds(store, ALL).await;
    let mut rooms = Vec::new();
    for _ in 0..6 {
        rooms.push(world.group(&[ANN, BOB]).await);
    }
    plans(&world, &rooms).await;
    let (mine, others) = (Uuid::new_v4(), Uuid::new_v4());
    let (first, second) =
        futures_util::join!(claims(store, mine, &webhook, 2), claims(&other, others, &webhook, 2));
    assert_eq!((first.len(), second.len()), (2, 2));
    assert!(first.iter().all(|lane| !second.contains(lane)));
    assert_eq!(claims(store, mine, &webhook, 10).await.len(), 2, "the rest");
    assert_eq!(claims(&other, others, &webhook, 10).await, []);

    // The claim lapses, as it does when a node dies; what the first node says then counts no more.
    let lane = first[0];
    let before = pending(store, mine, lane).await;
    time_passes(postgres, "1 hour").await;
    assert!(claims(&other, others, &webhook, 10).await.contains(&lane));
    assert_eq!(store.next_event(mine, lane, PATIENCE).await.unwrap(), NextEvent::Lost);
    assert!(!settles(store, mine, lane, &before, DELIVERED).await);
    assert_eq!(pending(&other, others, lane).await, before, "from the same event on");
    other.release_lane(others, lane, Duration::ZERO).await.unwrap();
    assert_eq!(claims(store, mine, &webhook, 10).await, [lane]);
}

#[tokio::test]
async fn what_is_refused_holds_its_room_back_and_no_other() {
    let world = World::postgres().await;
    let postgres = world.database();
    let store = &postgres.store;
    let webhook = adds(store, ALL).await;
    let mut rooms = [world.group(&[ANN, BOB]).await, world.group(&[ANN, CAT]).await];
    rooms.sort_unstable();
    plans(&world, &rooms).await;
    let claim = Uuid::new_v4();
    let lanes = claims(store, claim, &webhook, 10).await;
    let refused = pending(store, claim, lanes[0]).await;
    assert!(!settles(store, claim, lanes[0], &refused, Settlement::Retry(LEASE)).await);
    let sent = pending(store, claim, lanes[1]).await;
    assert!(settles(store, claim, lanes[1], &sent, DELIVERED).await, "there is more");
    let (_, deliveries) = store.webhook_deliveries(webhook.id, 10, 0).await.unwrap();
    let retrying = deliveries.iter().find(|one| one.room == rooms[0]).unwrap();
    assert_eq!((retrying.state.as_str(), retrying.status), ("retrying", Some(500)));
    assert!(retrying.next_at > Some(retrying.last_at));
    store.release_lane(claim, lanes[1], Duration::ZERO).await.unwrap();
    assert_eq!(claims(store, claim, &webhook, 10).await, [lanes[1]]);

    time_passes(postgres, "1 hour").await;
    assert!(claims(store, claim, &webhook, 10).await.contains(&lanes[0]));
    let again = pending(store, claim, lanes[0]).await;
    assert_eq!((again.seq, again.attempts, again.is_exhausted), (refused.seq, 1, false));
    assert!(settles(store, claim, lanes[0], &again, DELIVERED).await);
    let next = pending(store, claim, lanes[0]).await;
    assert_eq!((next.seq, next.attempts), (Seq(refused.seq.0 + 1), 0));
    let (_, deliveries) = store.webhook_deliveries(webhook.id, 10, 0).await.unwrap();
    let delivered = deliveries.iter().find(|one| one.room == rooms[0]).unwrap();
    assert_eq!((delivered.state.as_str(), delivered.attempts, delivered.next_at), ("delivered", 2, None));
}

#[tokio::test]
async fn after_days_an_event_is_given_up_or_the_webhook_pauses() {
    let world = World::postgres().await;
    let postgres = world.database();
    let store = &postgres.store;
    let webhook = adds(store, ALL).await;
    let mut rooms = [world.group(&[ANN, BOB]).await, world.group(&[ANN, CAT]).await];
    rooms.sort_unstable();
    plans(&world, &rooms).await;
    let claim = Uuid::new_v4();
    let lanes = claims(store, claim, &webhook, 10).await;
    let refused = pending(store, claim, lanes[0]).await;
    settles(store, claim, lanes[0], &refused, Settlement::Retry(LEASE)).await;
    time_passes(postgres, "6 days").await;
    claims(store, claim, &webhook, 10).await;
    let exhausted = pending(store, claim, lanes[0]).await;
    assert!(exhausted.is_exhausted && !exhausted.is_target_alive && exhausted.is_outage);
    // The target takes something else.
    let other = pending(store, claim, lanes[1]).await;
    settles(store, claim, lanes[1], &other, Settlement::Delivered { is_back: true }).await;
    let exhausted = pending(store, claim, lanes[0]).await;
    assert!(exhausted.is_exhausted && exhausted.is_target_alive && !exhausted.is_outage);
    assert!(settles(store, claim, lanes[0], &exhausted, Settlement::GivenUp).await, "the next one is sent");
    let (_, deliveries) = store.webhook_deliveries(webhook.id, 10, 0).await.unwrap();
    assert!(deliveries.iter().any(|one| one.state == "given_up" && one.seq == exhausted.seq));
    let next = pending(store, claim, lanes[0]).await;
    assert_eq!(next.seq, Seq(exhausted.seq.0 + 1));

    let reason = "nothing was taken";
    settles(store, claim, lanes[0], &next, Settlement::Pause(reason.into())).await;
    let paused = store.webhook(HOST, webhook.id).await.unwrap().unwrap();
    assert_eq!((paused.state, paused.reason.as_str()), (WebhookState::Paused, reason));
    assert_eq!(store.next_event(claim, lanes[1], PATIENCE).await.unwrap(), NextEvent::Lost);
    assert_eq!(store.due_webhooks().await.unwrap(), []);
    world.says(ANN, rooms[0], "meanwhile").await;
    plans(&world, &rooms).await;

    // It goes on where it was.
    let change = WebhookChange { is_active: Some(true), ..WebhookChange::default() };
    let active = store.change_webhook(HOST, webhook.id, change).await.unwrap().unwrap();
    assert_eq!((active.state, active.reason.as_str()), (WebhookState::Active, ""));
    time_passes(postgres, "1 hour").await;
    let sent = sends_all(store, &webhook).await;
    let head = world.head(rooms[0]).await.0;
    let of_first: Vec<i64> = sent.iter().filter(|one| one.0 == rooms[0]).map(|one| one.1).collect();
    assert_eq!(of_first, (next.seq.0..=head).collect::<Vec<i64>>());
}

#[tokio::test]
async fn a_target_that_is_gone_is_sent_nothing_more() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let webhook = adds(store, ALL).await;
    let room = world.group(&[ANN, BOB]).await;
    plans(&world, &[room]).await;
    let claim = Uuid::new_v4();
    let lane = claims(store, claim, &webhook, 1).await[0];
    let gone = pending(store, claim, lane).await;
    assert!(!settles(store, claim, lane, &gone, Settlement::End).await);
    let ended = store.webhook(HOST, webhook.id).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.reason.as_str()), (WebhookState::Ended, "The target answered 410 Gone."));
    assert_eq!(store.due_webhooks().await.unwrap(), []);
}

#[tokio::test]
async fn a_replay_sends_again_from_a_position_or_a_time_on() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let rooms = [world.group(&[ANN, BOB]).await, world.group(&[ANN, CAT]).await];
    let first = world.says(ANN, rooms[0], "one").await;
    world.says(ANN, rooms[1], "two").await;
    let webhook = adds(store, NewWebhook { since: Some(ReplayStart::After(Seq(0))), ..ALL }).await;
    let heads = [world.head(rooms[0]).await.0, world.head(rooms[1]).await.0];
    let all = usize::try_from(heads[0] + heads[1]).unwrap();
    assert_eq!(sends_all(store, &webhook).await.len(), all, "with everything before it");

    let after = ReplayStart::After(Seq(heads[0] - 1));
    assert_eq!(store.replay_webhook(webhook.id, Some(rooms[0]), after).await.unwrap(), 1);
    assert_eq!(sends_all(store, &webhook).await, [(rooms[0], heads[0])]);
    assert_eq!(
        store.replay_webhook(webhook.id, Some(rooms[0]), ReplayStart::After(Seq(heads[0]))).await.unwrap(),
        0
    );
    assert_eq!(store.replay_webhook(webhook.id, None, ReplayStart::Time(first.created_at)).await.unwrap(), 2);
    let sent = sends_all(store, &webhook).await;
    assert!(
        sent.contains(&(rooms[0], first.seq.0)) && !sent.contains(&(rooms[0], first.seq.0 - 1)),
        "{sent:?}"
    );
    assert_eq!(store.replay_webhook(Uuid::nil(), None, ReplayStart::After(Seq(0))).await.unwrap(), 0);

    // Whoever is sending right now begins anew.
    store.replay_webhook(webhook.id, Some(rooms[0]), ReplayStart::After(Seq(0))).await.unwrap();
    let claim = Uuid::new_v4();
    let lane = claims(store, claim, &webhook, 1).await[0];
    let second = pending(store, claim, lane).await;
    settles(store, claim, lane, &second, DELIVERED).await;
    let under_way = pending(store, claim, lane).await;
    store.replay_webhook(webhook.id, Some(rooms[0]), ReplayStart::After(Seq(0))).await.unwrap();
    assert!(!settles(store, claim, lane, &under_way, DELIVERED).await);
    let again: Vec<i64> = sends_all(store, &webhook).await.iter().map(|one| one.1).collect();
    assert_eq!(again, (1..=heads[0]).collect::<Vec<i64>>());
}

#[tokio::test]
async fn an_admin_hears_of_a_room_as_long_as_they_are_its_admin() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let room = world.group(&[ANN, BOB]).await;
    world.does(ANN, room, set(serde_json::json!({"history": "joined"}))).await.unwrap();
    let role = RoomChange::SetRole { user: BOB, role: actors::domain::participant::Role::Admin };
    world
        .does(
            ANN,
            room,
            RoomChange::Add { user: CAT, terms: actors::domain::participant::Role::Admin.into() },
        )
        .await
        .unwrap();
    world.does(ANN, room, role).await.unwrap();
    let one = [room.0];
    let webhook = adds(store, NewWebhook { rooms: &one, owner: Some(CAT), ..ALL }).await;
    let admin = |user: UserId| IntegrationManager::Admin(user);
    assert_eq!(store.webhooks(admin(BOB)).await.unwrap().len(), 1, "every admin of its rooms manages it");
    store.replay_webhook(webhook.id, None, ReplayStart::After(Seq(0))).await.unwrap();
    let claim = Uuid::new_v4();
    let lane = claims(store, claim, &webhook, 1).await[0];
    let first = pending(store, claim, lane).await;
    assert!(first.visible_from > Seq(1), "from joining on");
    world.does(CAT, room, RoomChange::Leave).await.unwrap();
    assert_eq!(store.next_event(claim, lane, PATIENCE).await.unwrap(), NextEvent::Forbidden);
    store.pause_webhook(claim, lane, "may not read").await.unwrap();
    let paused = store.webhook(admin(BOB), webhook.id).await.unwrap().unwrap();
    assert_eq!((paused.state, paused.reason.as_str()), (WebhookState::Paused, "may not read"));
    assert_eq!(store.webhook(admin(CAT), webhook.id).await.unwrap(), None);

    // Another admin answers for it from now on.
    let change = WebhookChange { is_active: Some(true), ..WebhookChange::default() };
    assert!(store.change_webhook(admin(CAT), webhook.id, change).await.unwrap().is_none());
    assert!(store.change_webhook(admin(BOB), webhook.id, change).await.unwrap().is_some());
    let lane = claims(store, claim, &webhook, 1).await[0];
    assert!(pending(store, claim, lane).await.visible_from <= Seq(1));

    // What the host application set up is the host application's alone.
    let hosts = adds(store, ALL).await;
    for manager in [admin(ANN), IntegrationManager::Staff(BOB)] {
        assert_eq!(store.webhook(manager, hosts.id).await.unwrap(), None);
        assert!(!store.delete_webhook(manager, hosts.id).await.unwrap());
    }
    assert!(store.delete_webhook(HOST, hosts.id).await.unwrap());
    assert_eq!(store.webhooks(HOST).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_secret_that_was_replaced_signs_for_another_day() {
    let world = World::postgres().await;
    let postgres = world.database();
    let store = &postgres.store;
    let webhook = adds(store, ALL).await;
    let room = world.group(&[ANN, BOB]).await;
    plans(&world, &[room]).await;
    let change = WebhookChange { secret: Some(&[9; 24]), ..WebhookChange::default() };
    store.change_webhook(HOST, webhook.id, change).await.unwrap().unwrap();
    let claim = Uuid::new_v4();
    let lane = claims(store, claim, &webhook, 1).await[0];
    assert_eq!(pending(store, claim, lane).await.secrets, [vec![9; 24], vec![7; 32]]);
    time_passes(postgres, "25 hours").await;
    assert_eq!(pending(store, claim, lane).await.secrets, [vec![9; 24]]);
}

#[tokio::test]
async fn what_an_answer_repeats_goes_with_its_message() {
    let world = World::postgres().await;
    let postgres = world.database();
    let store = &postgres.store;
    let room = world.group(&[ANN, BOB]).await;
    let webhook = adds(store, NewWebhook { kinds: &["message_posted"], ..ALL }).await;
    let (kept, gone, late) = (
        world.says(ANN, room, "a").await,
        world.says(ANN, room, "b").await,
        world.says(ANN, room, "c").await,
    );
    plans(&world, &[room]).await;
    let claim = Uuid::new_v4();
    let lane = claims(store, claim, &webhook, 1).await[0];
    for _ in 0..2 {
        let next = pending(store, claim, lane).await;
        assert!(settles(store, claim, lane, &next, DELIVERED).await);
    }
    let under_way = pending(store, claim, lane).await;
    for message in [&gone, &late] {
        world.does(ANN, room, delete(message)).await.unwrap();
    }
    plans(&world, &[room]).await;
    // One that answers after the message is gone.
    settles(store, claim, lane, &under_way, DELIVERED).await;
    let (_, deliveries) = store.webhook_deliveries(webhook.id, 10, 0).await.unwrap();
    let answer = |seq: Seq| deliveries.iter().find(|one| one.seq == seq).unwrap().answer.clone();
    assert_eq!([kept.seq, gone.seq, late.seq].map(answer), ["an answer", "", ""]);

    store.forget_deliveries(Duration::from_secs(60)).await.unwrap();
    assert_eq!(store.webhook_deliveries(webhook.id, 10, 0).await.unwrap().0, 3);
    time_passes(postgres, "1 hour").await;
    store.forget_deliveries(Duration::from_secs(60)).await.unwrap();
    assert_eq!(store.webhook_deliveries(webhook.id, 10, 0).await.unwrap().0, 0);
}

/// 40,000 lanes and deliveries of 42 webhooks.
pub(crate) const SEED: &str = "
    INSERT INTO webhook_lanes (webhook_id, room_id, sent, head, due_at)
        SELECT w.id, md5('room' || n)::uuid, 1, 1, CASE WHEN n % 2 = 0 THEN now() + interval '1 day' END
        FROM (SELECT id FROM webhooks UNION SELECT md5('w' || n)::uuid FROM generate_series(1, 40) n) w,
            generate_series(1, 1000) n;
    INSERT INTO webhook_deliveries (webhook_id, room_id, seq, kind, message_id, url, state, duration_ms, answer, error)
        SELECT w.id, md5('room' || n)::uuid, 1, 'message_posted', md5('m' || n)::uuid, '', 'delivered', 1, 'ok', ''
        FROM (SELECT id FROM webhooks UNION SELECT md5('w' || n)::uuid FROM generate_series(1, 40) n) w,
            generate_series(1, 1000) n;
    ANALYZE;";

#[tokio::test]
async fn planning_and_sending_read_no_large_table_in_sequence() {
    let world = World::postgres().await;
    let postgres = world.database();
    let store = postgres.second_node().await;
    let webhook = adds(&store, ALL).await;
    adds(&store, ALL).await;
    postgres.database.run(SEED).await;
    let room = world.group(&[ANN, BOB]).await;
    let client = postgres.database.client().await;
    client.batch_execute("SELECT pg_stat_reset()").await.unwrap();
    // Often enough that the planner switches to generic plans.
    for n in 0..8 {
        let sent = world.says(ANN, room, &n.to_string()).await;
        world.does(ANN, room, delete(&sent)).await.unwrap();
        plans(&world, &[room]).await;
        store.due_webhooks().await.unwrap();
        assert!(!sends_all(&store, &webhook).await.is_empty());
        assert_eq!(store.webhook_deliveries(webhook.id, 20, 20).await.unwrap().1.len(), 20);
        store.forget_deliveries(Duration::from_secs(60)).await.unwrap();
    }
    store.close();
    drop(store);
    postgres.store.close();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    const SEQUENTIAL: &str = "SELECT relname::text, seq_tup_read FROM pg_stat_user_tables
        WHERE relname IN ('webhook_lanes', 'webhook_deliveries', 'messages') AND seq_tup_read > 10000";
    let read = client.query(SEQUENTIAL, &[]).await.unwrap();
    let read: Vec<(String, i64)> = read.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(read, []);
}

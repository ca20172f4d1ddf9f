//! Pushes, on PostgreSQL: put down with what is told, claimed by one node, and taken back.

use std::time::Duration;

use actors::domain::ids::{RoomId, UserId};
use aristay_chat::store::postgres::PostgresStore;
use aristay_chat::store::postgres::notifications::{
    ClaimedPush, NewPushSubscription, PushOutcome, SUBSCRIPTIONS_MAX,
};
use uuid::Uuid;

use crate::notifying::{at_once, tells, told};
use crate::world::{ANN, BOB, World, read_to};

const LEASE: Duration = Duration::from_secs(30);

async fn subscribes(store: &PostgresStore, user: UserId, endpoint: &str, family: Option<Uuid>) -> Uuid {
    let origin = "https://push.example";
    let new = NewPushSubscription { endpoint, origin, p256dh: &[4; 65], auth: &[7; 16], family };
    store.add_push_subscription(user, new).await.unwrap()
}

async fn claims(store: &PostgresStore, claim: Uuid) -> Vec<ClaimedPush> {
    store.claim_pushes(claim, LEASE, 100, &[]).await.unwrap()
}

/// A room in which Bob is told at once, on PostgreSQL, and in a browser.
async fn setting() -> (World, RoomId, Uuid) {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    let store = &world.database().store;
    at_once(store, BOB).await;
    let subscription = subscribes(store, BOB, "https://push.example/bob", None).await;
    (world, room, subscription)
}

#[tokio::test]
async fn a_push_is_claimed_by_one_node_until_its_lease_ends() {
    let (world, room, subscription) = setting().await;
    let postgres = world.database();
    let (store, other) = (&postgres.store, postgres.second_node().await);
    let (mine, others) = (Uuid::new_v4(), Uuid::new_v4());
    world.says(ANN, room, "one").await;
    tells(store).await;
    let (first, second) = futures_util::join!(claims(store, mine), claims(&other, others));
    assert_eq!(first.len() + second.len(), 1);
    let (claim, push) = match first.first() {
        Some(push) => (mine, push.clone()),
        None => (others, second[0].clone()),
    };
    assert_eq!((push.subscription, push.user, push.attempts), (subscription, BOB, 1));
    assert!(push.is_authorized && !push.is_withdrawal);
    assert_eq!(claims(&other, others).await, []);
    postgres.database.run("UPDATE push_deliveries SET due_at = due_at - interval '1 hour'").await;
    let third = Uuid::new_v4();
    assert_eq!(claims(store, third).await[0].attempts, 2, "the lease has ended");
    // What the first node says then counts no more.
    store.settle_push(claim, &push, PushOutcome::Sent).await.unwrap();
    postgres.database.run("UPDATE push_deliveries SET due_at = due_at - interval '1 hour'").await;
    let again = claims(store, claim).await.remove(0);
    store.settle_push(claim, &again, PushOutcome::Sent).await.unwrap();
    postgres.database.run("UPDATE push_deliveries SET due_at = due_at - interval '1 hour'").await;
    assert_eq!(claims(store, third).await, []);
    let (shown, badge) = store.push_content(BOB, push.notification).await.unwrap();
    assert_eq!((shown.map(|shown| shown.body), badge), (Some("Ann: one".to_owned()), 1));
}

#[tokio::test]
async fn what_was_not_sent_is_not_taken_back_and_what_was_sent_is() {
    let (world, room, _) = setting().await;
    let (store, claim) = (&world.database().store, Uuid::new_v4());
    let one = world.says(ANN, room, "one").await;
    tells(store).await;
    world.does(BOB, room, read_to(&one)).await.unwrap();
    tells(store).await;
    assert_eq!(claims(store, claim).await, [], "it was read before it was sent");

    let two = world.says(ANN, room, "two").await;
    tells(store).await;
    let sent = claims(store, claim).await.remove(0);
    store.settle_push(claim, &sent, PushOutcome::Sent).await.unwrap();
    world.does(BOB, room, read_to(&two)).await.unwrap();
    tells(store).await;
    let withdrawal = claims(store, claim).await.remove(0);
    assert!(withdrawal.is_withdrawal && withdrawal.notification == sent.notification);
    assert_eq!(store.push_content(BOB, sent.notification).await.unwrap(), (None, 0));
    store.settle_push(claim, &withdrawal, PushOutcome::Sent).await.unwrap();

    // It is being sent while it is read: nobody knows whether the browser shows it.
    let three = world.says(ANN, room, "three").await;
    tells(store).await;
    let sending = claims(store, claim).await.remove(0);
    let id = told(store, BOB).await[0].notification.id;
    assert_eq!(sending.notification, id);
    world.does(BOB, room, read_to(&three)).await.unwrap();
    tells(store).await;
    store.settle_push(claim, &sending, PushOutcome::Sent).await.unwrap();
    let withdrawal = claims(store, claim).await.remove(0);
    assert!(withdrawal.is_withdrawal && withdrawal.notification == id);
}

#[tokio::test]
async fn the_newest_of_a_room_takes_the_place_of_what_waits() {
    let (world, room, subscription) = setting().await;
    let (postgres, claim) = (world.database(), Uuid::new_v4());
    let store = &postgres.store;
    let other = world.group(&[ANN, BOB]).await;
    for room in [room, other, room] {
        world.says(ANN, room, "x").await;
        tells(store).await;
    }
    let mut claimed = claims(store, claim).await;
    assert_eq!(claimed.len(), 2, "one for each room");
    let pause = PushOutcome::Postponed(Duration::from_secs(600));
    let first = claimed.remove(0);
    store.settle_push(claim, &first, pause).await.unwrap();
    store.settle_push(claim, &claimed[0], PushOutcome::Failed).await.unwrap();
    world.says(ANN, first.room, "y").await;
    tells(store).await;
    assert_eq!(claims(store, claim).await, [], "the service has asked to wait");
    postgres.database.run("UPDATE push_deliveries SET due_at = now() WHERE state = 'pending'").await;
    let again = claims(store, claim).await.remove(0);
    assert_eq!((again.room, again.attempts), (first.room, 2));
    let busy = ["https://push.example".to_owned()];
    postgres.database.run("UPDATE push_deliveries SET due_at = now() - interval '1 s'").await;
    assert_eq!(store.claim_pushes(claim, LEASE, 100, &busy).await.unwrap(), []);
    assert!(store.delete_push_subscription(BOB, subscription).await.unwrap());
    assert_eq!(claims(store, claim).await, []);
}

#[tokio::test]
async fn a_subscription_ends_with_what_it_was_made_by() {
    let (world, room, subscription) = setting().await;
    let postgres = world.database();
    let (store, claim, family) = (&postgres.store, Uuid::new_v4(), Uuid::new_v4());
    postgres
        .database
        .run(&format!(
            "INSERT INTO accounts (username, user_id, password_hash) VALUES ('bob', 2, '');
             INSERT INTO token_families (id, user_id, current, used_at, expires_at)
                 VALUES ('{family}', 2, gen_random_uuid(), now(), now() + interval '1 day')"
        ))
        .await;
    let signed_in = subscribes(store, BOB, "https://push.example/signed-in", Some(family)).await;
    let authorized = async |text: &str| {
        world.says(ANN, room, text).await;
        tells(store).await;
        postgres
            .database
            .run("UPDATE push_deliveries SET due_at = now() - interval '1 s', state = 'pending'")
            .await;
        let claimed = claims(store, claim).await;
        let authorized = claimed.into_iter().filter(|push| push.is_authorized).map(|push| push.subscription);
        authorized.collect::<Vec<_>>()
    };
    let mut all = authorized("one").await;
    all.sort_unstable();
    assert_eq!(all, [subscription, signed_in]);
    store.revoke_token_family(family).await.unwrap();
    assert_eq!(authorized("two").await, [subscription]);
    postgres
        .database
        .run("UPDATE people SET tokens_valid_from = extract(epoch FROM now())::bigint + 60 WHERE id = 2")
        .await;
    assert_eq!(authorized("three").await, Vec::<Uuid>::new());
    postgres.database.run("UPDATE people SET tokens_valid_from = NULL, is_active = false WHERE id = 2").await;
    postgres
        .database
        .run("UPDATE push_deliveries SET due_at = now() - interval '1 s', state = 'pending'")
        .await;
    assert!(claims(store, claim).await.iter().all(|push| !push.is_authorized));
    store.end_push_subscription(subscription).await.unwrap();
    assert!(!store.delete_push_subscription(BOB, subscription).await.unwrap());
}

#[tokio::test]
async fn an_installation_has_one_key_and_a_user_a_limited_number_of_browsers() {
    let world = World::postgres().await;
    let postgres = world.database();
    let (store, other) = (&postgres.store, postgres.second_node().await);
    let (one, two) = futures_util::join!(store.vapid_key(&[1]), other.vapid_key(&[2]));
    assert_eq!(one.unwrap(), two.unwrap());
    for n in 0..=SUBSCRIPTIONS_MAX {
        subscribes(store, BOB, &format!("https://push.example/{n}"), None).await;
    }
    let client = postgres.database.client().await;
    let count = "SELECT count(*) FROM push_subscriptions WHERE user_id = 2";
    assert_eq!(client.query_one(count, &[]).await.unwrap().get::<_, i64>(0), SUBSCRIPTIONS_MAX);
}

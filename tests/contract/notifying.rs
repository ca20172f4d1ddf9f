//! Telling users, on PostgreSQL: once, whatever nodes do at the same time, and not after reading.

use std::collections::BTreeSet;
use std::time::Duration;

use actors::domain::command::{MessageDraft, RoomChange};
use actors::domain::ids::{MessageId, RoomId, UserId};
use actors::domain::mentions::Mentions;
use actors::domain::notifications::rules::TellingRule;
use actors::domain::notifications::settings::NotificationSettings;
use actors::domain::personal::PersonalState;
use actors::ports::store::Store as _;
use aristay_chat::consumers::{self, NotificationScheduler};
use aristay_chat::store::postgres::PostgresStore;
use aristay_chat::store::postgres::notifications::NotificationDetails;
use futures_util::future::join_all;

use crate::world::{ANN, BOB, CAT, DAN, Postgres, World, delete, draft, posted, read_to};

/// Lets time pass: everything was sent and is due that much earlier.
pub(crate) async fn time_passes(postgres: &Postgres, seconds: u32) {
    let past = format!(
        "UPDATE messages SET created_at = created_at - interval '{seconds} s';
         UPDATE notification_windows SET due_at = due_at - interval '{seconds} s'"
    );
    postgres.database.run(&past).await;
}

/// Makes the rooms due in which something has happened. What commits while transactions of other tests are open is
/// consumed when these have ended.
pub(crate) async fn makes_due(store: &PostgresStore) {
    let consumed = async {
        loop {
            consumers::catch_up(store, &NotificationScheduler).await.unwrap();
            let all = store.consumers().await.unwrap();
            if all.iter().any(|consumer| consumer.name == "notifications" && consumer.behind == 0) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), consumed).await.expect("the log is consumed");
}

/// Makes rooms due, and tells whom that concerns now. Returns whose logs grew.
pub(crate) async fn tells(store: &PostgresStore) -> Vec<UserId> {
    makes_due(store).await;
    notifies(store, &BTreeSet::new()).await
}

async fn notifies(store: &PostgresStore, offline: &BTreeSet<UserId>) -> Vec<UserId> {
    if store.notifier_work().await.unwrap().is_none() {
        return Vec::new();
    }
    let round = store.notify(offline).await.unwrap();
    round.heads.into_iter().map(|(user, _)| user).collect()
}

/// What a user was told and hasn't read.
pub(crate) async fn told(store: &PostgresStore, user: UserId) -> Vec<NotificationDetails> {
    store.notifications(user, Some(true), 100, 0).await.unwrap().items
}

/// Has a user told without a delay.
pub(crate) async fn at_once(store: &PostgresStore, user: UserId) {
    after(store, user, 0).await;
}

/// Has a user told after so many seconds: many, where the test must not take that long.
async fn after(store: &PostgresStore, user: UserId, delay_seconds: u32) {
    let settings = NotificationSettings { delay_seconds, ..NotificationSettings::default() };
    store.put_notification_settings(user, &settings).await.unwrap();
}

async fn mentions(world: &World, room: RoomId, users: Vec<UserId>) -> MessageId {
    let draft = MessageDraft { mentions: Mentions::new(users, false), ..draft("look") };
    posted(world.does(ANN, room, RoomChange::Post(draft)).await.unwrap()).id
}

async fn count(postgres: &Postgres, sql: &str) -> i64 {
    postgres.database.client().await.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_hundred_messages_are_one_decision_for_each_user() {
    let world = World::postgres().await;
    let postgres = world.database();
    let room = world.group(&[ANN, BOB, CAT]).await;
    for user in [BOB, CAT] {
        after(&postgres.store, user, 600).await;
    }
    for n in 0..100 {
        world.says(ANN, room, &n.to_string()).await;
    }
    assert_eq!(tells(&postgres.store).await, [], "nobody has had the time to read");
    assert_eq!(count(postgres, "SELECT count(*) FROM notification_windows").await, 1);
    time_passes(postgres, 601).await;
    assert_eq!(tells(&postgres.store).await, [BOB, CAT]);
    assert_eq!(count(postgres, "SELECT count(*) FROM notifications").await, 2);
    assert_eq!(count(postgres, "SELECT count(*) FROM personal_log").await, 2);
    assert_eq!(count(postgres, "SELECT count(*) FROM notification_windows").await, 0);
    let shown = told(&postgres.store, BOB).await.remove(0).notification;
    assert_eq!((shown.body.as_str(), shown.rule), ("Ann: 99", TellingRule::Message));
    assert_eq!(tells(&postgres.store).await, [], "once");
}

#[tokio::test]
async fn of_many_rounds_at_the_same_time_one_tells() {
    let world = World::postgres().await;
    let postgres = world.database();
    let other = postgres.second_node().await;
    for user in [BOB, CAT, DAN] {
        at_once(&postgres.store, user).await;
    }
    let room = world.group(&[ANN, BOB, CAT, DAN]).await;
    for n in 0..10 {
        world.says(ANN, room, &n.to_string()).await;
        makes_due(&postgres.store).await;
        let nobody = BTreeSet::new();
        let rounds =
            (0..8).map(|n| if n % 2 == 0 { postgres.store.notify(&nobody) } else { other.notify(&nobody) });
        let heads: usize = join_all(rounds).await.into_iter().map(|round| round.unwrap().heads.len()).sum();
        // A round that found the row locked leaves it to the next.
        let heads = heads + notifies(&other, &nobody).await.len();
        assert_eq!(heads, 3, "message {n}");
    }
    assert_eq!(count(postgres, "SELECT count(*) FROM notifications").await, 3);
    assert_eq!(count(postgres, "SELECT count(*) FROM personal_log WHERE kind = 'notification'").await, 30);
}

#[tokio::test]
async fn what_is_read_is_not_told_and_what_was_told_ends_with_reading() {
    let world = World::postgres().await;
    let postgres = world.database();
    let room = world.group(&[ANN, BOB, CAT]).await;
    for user in [BOB, CAT] {
        at_once(&postgres.store, user).await;
    }
    let message = world.says(ANN, room, "one").await;
    makes_due(&postgres.store).await;
    world.does(BOB, room, read_to(&message)).await.unwrap();
    assert_eq!(tells(&postgres.store).await, [CAT]);
    let before = told(&postgres.store, CAT).await.remove(0);
    world.does(CAT, room, read_to(&message)).await.unwrap();
    assert_eq!(tells(&postgres.store).await, [CAT]);
    assert_eq!(told(&postgres.store, CAT).await, []);
    let list = postgres.store.notifications(CAT, None, 10, 0).await.unwrap();
    assert!(list.items[0].read_at.is_some());
    let page = postgres.store.personal_log(CAT, actors::domain::ids::PersonalSeq(0), 10).await.unwrap();
    let states: Vec<_> = page.entries.iter().map(|entry| &entry.state).collect();
    assert_eq!(states, [&PersonalState::NotificationGone(before.notification.id)]);
    // What comes then is another notification.
    world.says(ANN, room, "two").await;
    assert_eq!(tells(&postgres.store).await, [BOB, CAT]);
    assert_ne!(told(&postgres.store, CAT).await[0].notification.id, before.notification.id);
}

#[tokio::test]
async fn each_user_has_a_delay_of_their_own() {
    let world = World::postgres().await;
    let postgres = world.database();
    let room = world.group(&[ANN, BOB, CAT, DAN]).await;
    at_once(&postgres.store, BOB).await;
    after(&postgres.store, CAT, 600).await;
    after(&postgres.store, DAN, 3_600).await;
    let first = world.says(ANN, room, "one").await;
    assert_eq!(tells(&postgres.store).await, [BOB]);
    time_passes(postgres, 601).await;
    assert_eq!(tells(&postgres.store).await, [CAT]);
    // A later message doesn't hurry the first, and the first takes it along.
    let second = world.says(ANN, room, "two").await;
    assert_eq!(tells(&postgres.store).await, [BOB]);
    time_passes(postgres, 3_000).await;
    assert_eq!(tells(&postgres.store).await, [CAT, DAN]);
    let shown = told(&postgres.store, DAN).await.remove(0).notification;
    assert_eq!((shown.message, shown.seq), (second.id, second.seq));
    assert!(first.seq < shown.seq);
}

#[tokio::test]
async fn who_is_in_a_direct_room_without_a_device_is_told_at_once() {
    let world = World::postgres().await;
    let postgres = world.database();
    let room = world.direct(ANN, BOB).await.unwrap().room;
    after(&postgres.store, BOB, 3_600).await;
    world.says(ANN, room, "one").await;
    makes_due(&postgres.store).await;
    let mut asked = postgres.store.notifier_work().await.unwrap().unwrap();
    asked.sort_unstable();
    assert_eq!(asked, [ANN, BOB]);
    assert_eq!(notifies(&postgres.store, &BTreeSet::from([CAT])).await, []);
    world.says(ANN, room, "two").await;
    makes_due(&postgres.store).await;
    assert_eq!(notifies(&postgres.store, &BTreeSet::from([BOB])).await, [BOB]);
    let shown = told(&postgres.store, BOB).await.remove(0).notification;
    assert_eq!((shown.title.as_str(), shown.body.as_str()), ("Ann", "two"));
}

#[tokio::test]
async fn nobody_is_told_by_who_is_blocked() {
    let world = World::postgres().await;
    let postgres = world.database();
    let room = world.group(&[ANN, BOB, CAT]).await;
    for user in [BOB, CAT] {
        at_once(&postgres.store, user).await;
    }
    postgres.database.run("INSERT INTO blocks (user_id, blocked_id) VALUES (2, 1)").await;
    let message = mentions(&world, room, vec![BOB, CAT]).await;
    assert_eq!(tells(&postgres.store).await, [CAT]);
    let reasons = postgres.store.message_reasons(BOB, message).await.unwrap().unwrap();
    assert_eq!(reasons.reader.blocked, BTreeSet::from([ANN]));
    world.says(CAT, room, "who is not").await;
    assert_eq!(tells(&postgres.store).await, [BOB]);
}

#[tokio::test]
async fn a_mention_is_kept_as_the_reason_and_shown_while_it_is_there() {
    let world = World::postgres().await;
    let postgres = world.database();
    let room = world.group(&[ANN, BOB]).await;
    at_once(&postgres.store, BOB).await;
    let mention = mentions(&world, room, vec![BOB]).await;
    assert_eq!(tells(&postgres.store).await, [BOB]);
    let last = world.says(ANN, room, "after it").await;
    assert_eq!(tells(&postgres.store).await, [BOB]);
    let shown = told(&postgres.store, BOB).await.remove(0).notification;
    assert_eq!((shown.rule, shown.message), (TellingRule::Mention, last.id));
    world.does(ANN, room, delete(&last)).await.unwrap();
    assert_eq!(tells(&postgres.store).await, [BOB]);
    assert_eq!(told(&postgres.store, BOB).await[0].notification.message, mention);
    let gone = RoomChange::Delete { message: mention, reason: None };
    world.does(ANN, room, gone).await.unwrap();
    assert_eq!(tells(&postgres.store).await, [BOB]);
    assert_eq!(told(&postgres.store, BOB).await, []);
    assert_eq!(postgres.store.notifications(BOB, None, 10, 0).await.unwrap().count, 0);
}

#[tokio::test]
async fn nobody_is_told_of_what_is_old_even_if_the_log_is_read_from_its_start() {
    let world = World::postgres().await;
    let postgres = world.database();
    let room = world.group(&[ANN, BOB]).await;
    at_once(&postgres.store, BOB).await;
    world.says(ANN, room, "one").await;
    assert_eq!(tells(&postgres.store).await, [BOB]);
    assert!(postgres.store.rebuild_consumer("notifications").await.unwrap());
    assert_eq!(tells(&postgres.store).await, [], "what was told isn't told again");
    postgres.database.run("DELETE FROM notifications; UPDATE events SET at = at - interval '25 hours'").await;
    assert!(postgres.store.rebuild_consumer("notifications").await.unwrap());
    assert_eq!(tells(&postgres.store).await, []);
    assert_eq!(count(postgres, "SELECT count(*) FROM notification_windows").await, 0);
}

#[tokio::test]
async fn nothing_of_an_erased_user_and_nothing_old_is_kept() {
    let world = World::postgres().await;
    let postgres = world.database();
    let room = world.group(&[ANN, BOB, CAT]).await;
    for user in [BOB, CAT] {
        at_once(&postgres.store, user).await;
    }
    world.says(ANN, room, "one").await;
    tells(&postgres.store).await;
    postgres.store.erase_user(BOB).await.unwrap();
    for table in ["notifications", "notification_settings", "push_subscriptions"] {
        let left = format!("SELECT count(*) FROM {table} WHERE user_id = {BOB}");
        assert_eq!(count(postgres, &left).await, 0, "{table}");
    }
    let hour = Duration::from_secs(3_600);
    postgres.store.delete_old_notifications(hour).await.unwrap();
    assert_eq!(told(&postgres.store, CAT).await.len(), 1);
    postgres.database.run("UPDATE notifications SET told_at = told_at - interval '2 hours'").await;
    postgres.store.delete_old_notifications(hour).await.unwrap();
    assert_eq!(told(&postgres.store, CAT).await, []);
}

//! Telling of urgent messages, and again until they are acknowledged, on PostgreSQL.

use std::collections::BTreeSet;

use actors::domain::command::RoomChange;
use actors::domain::features::SettingsChange;
use actors::domain::ids::{RoomId, UserId};
use actors::domain::notifications::rules::TellingRule;
use actors::domain::notifications::settings::NotificationSettings;
use actors::domain::participant::NotificationLevel;
use aristay_chat::store::postgres::PostgresStore;
use chrono::{TimeDelta, Utc};

use crate::acknowledging::{acknowledge, says_urgently, urgent};
use crate::notifying::{makes_due, tells, time_passes, told};
use crate::world::{ANN, BOB, CAT, DAN, Postgres, World, add, delete, posted, read_to};

/// Lets so many minutes pass.
async fn minutes_pass(postgres: &Postgres, minutes: u32) {
    time_passes(postgres, minutes * 60).await;
    let past = format!(
        "UPDATE notification_repeats SET due_at = due_at - interval '{minutes} min',
             until = until - interval '{minutes} min'"
    );
    postgres.database.run(&past).await;
}

async fn repeats(postgres: &Postgres) -> i64 {
    let count = "SELECT count(*) FROM notification_repeats";
    postgres.database.client().await.query_one(count, &[]).await.unwrap().get(0)
}

/// A group in which Bob and Cat would be told only in an hour.
async fn setting() -> (World, RoomId) {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB, CAT]).await;
    for user in [BOB, CAT] {
        waits(&world.database().store, user).await;
    }
    (world, room)
}

async fn waits(store: &PostgresStore, user: UserId) {
    let settings = NotificationSettings { delay_seconds: 3_600, ..NotificationSettings::default() };
    store.put_notification_settings(user, &settings).await.unwrap();
}

#[tokio::test]
async fn an_urgent_message_is_told_at_once_to_everyone_but_who_has_blocked_its_sender() {
    let (world, room) = setting().await;
    let postgres = world.database();
    world.does(ANN, room, add(DAN)).await.unwrap();
    let nothing = SettingsChange { level: Some(NotificationLevel::Nothing), ..SettingsChange::default() };
    world.does(BOB, room, RoomChange::Settings(nothing)).await.unwrap();
    world.does(CAT, room, RoomChange::Mute { muted: true, until: None }).await.unwrap();
    postgres.database.run("INSERT INTO blocks (user_id, blocked_id) VALUES (4, 1)").await;
    world.says(ANN, room, "lunch").await;
    let message = says_urgently(&world, ANN, room, "fire").await;
    world.says(ANN, room, "after it").await;
    assert_eq!(tells(&postgres.store).await, [BOB, CAT]);
    for user in [BOB, CAT] {
        let shown = told(&postgres.store, user).await.remove(0).notification;
        assert_eq!(
            (shown.rule, shown.message, shown.body.as_str()),
            (TellingRule::Urgent, message.id, "Ann: fire")
        );
        assert!(shown.is_urgent());
    }
    let reasons = postgres.store.message_reasons(BOB, message.id).await.unwrap().unwrap();
    assert_eq!(
        (reasons.message.is_urgent, reasons.told.map(|told| told.rule)),
        (true, Some(TellingRule::Urgent))
    );
    // What is deleted is told no more, and nobody is told again.
    world.does(ANN, room, delete(&message)).await.unwrap();
    assert_eq!(tells(&postgres.store).await, [BOB, CAT]);
    assert_eq!(told(&postgres.store, BOB).await, []);
    minutes_pass(postgres, 6).await;
    assert_eq!(tells(&postgres.store).await, []);
    assert_eq!(repeats(postgres).await, 0);
}

#[tokio::test]
async fn who_has_not_acknowledged_is_told_again_until_the_hour_is_over() {
    let (world, room) = setting().await;
    let postgres = world.database();
    let message = says_urgently(&world, ANN, room, "fire").await;
    assert_eq!(tells(&postgres.store).await, [BOB, CAT]);
    assert_eq!(tells(&postgres.store).await, [], "once");
    // Reading withdraws what was told, and is no acknowledgement.
    world.does(BOB, room, read_to(&message)).await.unwrap();
    assert_eq!(tells(&postgres.store).await, [BOB]);
    minutes_pass(postgres, 5).await;
    assert_eq!(tells(&postgres.store).await, [BOB, CAT]);
    assert_eq!(tells(&postgres.store).await, [], "once each time");
    assert_eq!(told(&postgres.store, BOB).await.len(), 1);
    assert_eq!(told(&postgres.store, CAT).await.len(), 1);
    // What is acknowledged is told no more, on all devices.
    world.does(CAT, room, acknowledge(message.id)).await.unwrap();
    assert_eq!(tells(&postgres.store).await, [CAT]);
    assert_eq!(told(&postgres.store, CAT).await, []);
    minutes_pass(postgres, 5).await;
    assert_eq!(tells(&postgres.store).await, [BOB]);
    // At its end what was read already is withdrawn.
    minutes_pass(postgres, 50).await;
    assert_eq!(tells(&postgres.store).await, [BOB]);
    assert_eq!(told(&postgres.store, BOB).await, []);
    assert_eq!((tells(&postgres.store).await, repeats(postgres).await), (vec![], 0));
}

#[tokio::test]
async fn nobody_is_told_again_after_the_time_to_acknowledge_or_once_all_have() {
    let (world, room) = setting().await;
    let postgres = world.database();
    let by = Utc::now() + TimeDelta::minutes(7);
    let message = posted(world.does(ANN, room, urgent("fire", Some(by))).await.unwrap());
    assert_eq!(tells(&postgres.store).await, [BOB, CAT]);
    minutes_pass(postgres, 5).await;
    assert_eq!(tells(&postgres.store).await, [BOB, CAT]);
    minutes_pass(postgres, 3).await;
    assert_eq!((tells(&postgres.store).await, repeats(postgres).await), (vec![], 0));
    assert_eq!(told(&postgres.store, CAT).await.len(), 1, "it isn't read");
    world.does(CAT, room, acknowledge(message.id)).await.unwrap();
    assert_eq!(tells(&postgres.store).await, [CAT]);

    let message = says_urgently(&world, ANN, room, "flood").await;
    world.does(CAT, room, acknowledge(message.id)).await.unwrap();
    assert_eq!(tells(&postgres.store).await, [BOB], "who is faster than the notifier isn't told");
    world.does(BOB, room, acknowledge(message.id)).await.unwrap();
    assert_eq!(tells(&postgres.store).await, [BOB]);
    minutes_pass(postgres, 5).await;
    assert_eq!((tells(&postgres.store).await, repeats(postgres).await), (vec![], 0));
}

#[tokio::test]
async fn two_urgent_messages_and_what_is_written_after_them_are_one_notification() {
    let (world, room) = setting().await;
    let postgres = world.database();
    let first = says_urgently(&world, ANN, room, "fire").await;
    let second = says_urgently(&world, ANN, room, "flood").await;
    tells(&postgres.store).await;
    world.says(ANN, room, "hello?").await;
    makes_due(&postgres.store).await;
    minutes_pass(postgres, 61).await;
    // The hour is over, and so is Bob's delay for the last one.
    assert_eq!(tells(&postgres.store).await, [BOB, CAT]);
    let shown = told(&postgres.store, BOB).await;
    assert_eq!((shown.len(), shown[0].notification.message), (1, second.id));
    world.does(BOB, room, acknowledge(second.id)).await.unwrap();
    assert_eq!(tells(&postgres.store).await, [BOB]);
    let third = says_urgently(&world, CAT, room, "ice").await;
    assert_eq!(tells(&postgres.store).await, [ANN, BOB]);
    minutes_pass(postgres, 5).await;
    assert_eq!(tells(&postgres.store).await, [ANN, BOB], "who sent it isn't told");
    assert_eq!(told(&postgres.store, BOB).await[0].notification.message, third.id);
    assert!(first.seq < third.seq);
}

#[tokio::test]
async fn of_many_rounds_at_the_same_time_one_tells_again() {
    let (world, room) = setting().await;
    let postgres = world.database();
    let other = postgres.second_node().await;
    says_urgently(&world, ANN, room, "fire").await;
    tells(&postgres.store).await;
    for _ in 0..3 {
        minutes_pass(postgres, 5).await;
        let nobody = BTreeSet::new();
        let rounds =
            (0..8).map(|n| if n % 2 == 0 { postgres.store.notify(&nobody) } else { other.notify(&nobody) });
        let rounds = futures_util::future::join_all(rounds).await;
        let heads: usize = rounds.into_iter().map(|round| round.unwrap().heads.len()).sum();
        // A round that found the row locked leaves it to the next.
        let heads = heads + other.notify(&nobody).await.unwrap().heads.len();
        assert_eq!(heads, 2);
    }
    // A server that was away tells once of what it has missed.
    minutes_pass(postgres, 17).await;
    makes_due(&other).await;
    assert_eq!(other.notify(&BTreeSet::new()).await.unwrap().heads.len(), 2);
    assert_eq!(other.notify(&BTreeSet::new()).await.unwrap().heads.len(), 0);
}

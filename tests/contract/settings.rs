//! The settings of a room, which every store keeps and by which every store judges.

use std::time::Duration;

use actors::domain::command::{
    Command, CommandReply, OpenRoom, Principal, ReadTarget, Refusal, RoomChange, RoomPatch,
};
use actors::domain::event::EventBody;
use actors::domain::ids::{RoomId, UserId};
use actors::domain::participant::Role;
use actors::domain::room::Room;
use actors::domain::room_settings::{RoomSettings, SlowModeSeconds};
use aristay_chat::store::postgres::queries::VersionsLookup;
use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::world::{
    ANN, BOB, CAT, Postgres, World, add, delete, edit, on_both, posted, say, say_with_client_id, set,
    task_room_command,
};

on_both!(
    several_changes_are_one_event_and_none_is_no_event,
    a_change_of_settings_is_recorded_without_texts,
    admins_and_the_host_change_settings,
    in_an_announcement_room_admins_alone_write,
    slow_mode_lets_a_member_write_once_in_its_time,
    slow_mode_counts_what_came_before_it,
    a_deleted_message_counts_for_slow_mode,
    a_repeated_send_is_answered_whatever_the_settings_are,
    those_who_join_hear_when_they_may_write,
);

async fn room_of(world: &World, room: RoomId) -> Room {
    world.store.snapshot(room, &[], false).await.unwrap().unwrap().room
}

async fn several_changes_are_one_event_and_none_is_no_event(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    assert_eq!(room_of(world, room).await.settings, RoomSettings::default());
    let change = || {
        let RoomChange::Update(mut patch) = set(json!({
            "posting": "admins", "slow_mode_seconds": 21_600, "pinning": "admins", "history": "joined",
            "edit_history": false, "description": "Keys\nand codes", "urgent": "nobody",
        })) else {
            unreachable!("it sets settings")
        };
        patch.name = Some("Roof".to_owned());
        RoomChange::Update(patch)
    };
    let outcome = world.does(ANN, room, change()).await.unwrap();
    assert_eq!(outcome.events.len(), 1);
    let again = world.does(ANN, room, change()).await.unwrap();
    assert!(again.events.is_empty() && again.signal.is_none());
    let stored = room_of(world, room).await;
    assert_eq!(stored.name, "Roof");
    let wire = serde_json::to_value(&stored.settings).unwrap();
    assert_eq!(
        (&wire["description"], &wire["slow_mode_seconds"]),
        (&json!("Keys\nand codes"), &json!(21_600))
    );
    let EventBody::RoomUpdated(live) = &outcome.events[0].body else { panic!("{outcome:?}") };
    assert_eq!((&live.room, outcome.reply), (&stored, CommandReply::Room(Box::new(stored.clone()))));
    let EventBody::RoomUpdated(replayed) = &world.log(room).await[3].body else { panic!("another event") };
    assert_eq!(live, replayed);
    // One setting alone leaves the others.
    world.does(ANN, room, set(json!({"posting": "everyone"}))).await.unwrap();
    let wire = serde_json::to_value(room_of(world, room).await.settings).unwrap();
    assert_eq!((&wire["posting"], &wire["urgent"]), (&json!("everyone"), &json!("nobody")));
}

async fn a_change_of_settings_is_recorded_without_texts(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let settings = json!({"slow_mode_seconds": 5, "description": "a secret", "history": "joined"});
    world.does(ANN, room, set(settings)).await.unwrap();
    world.does(ANN, room, RoomPatch::named("a secret name").into()).await.unwrap();
    world.does(ANN, room, RoomChange::Archive).await.unwrap();
    let log = world.log(room).await;
    let changed = |at: usize| match &log[at].body {
        EventBody::RoomUpdated(update) => serde_json::to_value(&update.changed).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        changed(3),
        json!({"slow_mode_seconds": [0, 5], "description": null, "history": ["all", "joined"]})
    );
    assert_eq!(changed(4), json!({"name": null}));
    assert_eq!(changed(5), json!({"archived": [false, true]}));
    assert!(log.iter().all(|event| !format!("{:?}", event.body.data()).contains("secret")));
}

async fn admins_and_the_host_change_settings(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let change = || set(json!({"slow_mode_seconds": 5}));
    assert_eq!(world.does(BOB, room, change()).await, Err(Refusal::Forbidden));
    assert_eq!(world.does(CAT, room, change()).await, Err(Refusal::NotParticipant));
    let by_host = |room| Command { room, by: Principal::Service, change: change() };
    assert_eq!(world.run(by_host(room)).await, Err(Refusal::Forbidden));
    let task = OpenRoom { users: vec![BOB], ..task_room_command(ANN, 7) };
    let task = world.open(&task).await.unwrap().room;
    assert_eq!(world.run(by_host(task)).await.unwrap().events.len(), 1);
    // A room of two has no admins' rights.
    let direct = world.direct(ANN, BOB).await.unwrap().room;
    assert_eq!(world.does(ANN, direct, change()).await, Err(Refusal::Forbidden));
    assert_eq!(room_of(world, direct).await.settings, RoomSettings::default());
    // An admin's work goes on in an archived room.
    world.does(ANN, room, RoomChange::Archive).await.unwrap();
    world.does(ANN, room, change()).await.unwrap();
    world.does(ANN, room, RoomChange::DeleteRoom).await.unwrap();
    assert_eq!(world.does(ANN, room, change()).await, Err(Refusal::RoomNotFound));
}

async fn in_an_announcement_room_admins_alone_write(world: &World) {
    let room = world.group(&[ANN, BOB, CAT]).await;
    let before = world.says(BOB, room, "before").await;
    world.does(ANN, room, set(json!({"posting": "admins"}))).await.unwrap();
    assert_eq!(world.run(say(BOB, room, "hi")).await, Err(Refusal::Forbidden));
    world.says(ANN, room, "Water is off on Monday").await;
    // Reading, and what one wrote before, stay as they are.
    world.does(BOB, room, RoomChange::Read(ReadTarget::Head)).await.unwrap();
    world.does(BOB, room, edit(&before, "changed")).await.unwrap();
    world.does(BOB, room, delete(&before)).await.unwrap();
    // Judged by the role at the commit, within a batch too and whatever token is used.
    world.does(ANN, room, RoomChange::SetRole { user: BOB, role: Role::Admin }).await.unwrap();
    let demote = RoomChange::SetRole { user: BOB, role: Role::Member };
    let by_token = Principal::TokenHolder { user: BOB, issued_at: 1 };
    let batch = vec![
        say(BOB, room, "as an admin"),
        Command { room, by: Principal::User(ANN), change: demote },
        Command { by: by_token, ..say(BOB, room, "as a member") },
    ];
    let answers: Vec<_> =
        world.append(batch, true).await.unwrap().into_iter().map(|answer| answer.unwrap()).collect();
    assert!(answers[0].is_ok() && answers[1].is_ok());
    assert_eq!(answers[2], Err(Refusal::Forbidden));
    // And so is the setting.
    let open = Command { room, by: Principal::User(ANN), change: set(json!({"posting": "everyone"})) };
    let answers =
        world.append(vec![say(CAT, room, "early"), open, say(CAT, room, "late")], true).await.unwrap();
    assert_eq!(answers[0], Some(Err(Refusal::Forbidden)));
    assert!(matches!(answers[2], Some(Ok(_))));
}

/// How long slow mode makes a user wait, by the refusal of a message.
async fn waits(world: &World, user: UserId, room: RoomId) -> Duration {
    match world.run(say(user, room, "too soon")).await {
        Err(Refusal::TooSoon { retry_after }) => retry_after,
        other => panic!("not too soon: {other:?}"),
    }
}

async fn slow_mode_lets_a_member_write_once_in_its_time(world: &World) {
    let (room, other) = (world.group(&[ANN, BOB, CAT]).await, world.group(&[ANN, BOB]).await);
    for room in [room, other] {
        world.does(ANN, room, set(json!({"slow_mode_seconds": 2}))).await.unwrap();
    }
    let message = world.says(BOB, room, "one").await;
    let wait = waits(world, BOB, room).await;
    assert!(wait > Duration::from_millis(500) && wait <= Duration::from_secs(2), "{wait:?}");
    // Each user waits for their own, in each room; admins don't wait.
    world.says(CAT, room, "one").await;
    world.says(BOB, other, "one").await;
    for text in ["one", "two", "three"] {
        world.says(ANN, room, text).await;
    }
    // Two at once in one transaction are one.
    let third = world.group(&[ANN, BOB]).await;
    world.does(ANN, third, set(json!({"slow_mode_seconds": 2}))).await.unwrap();
    let twice = world.append(vec![say(BOB, third, "one"), say(BOB, third, "two")], true).await.unwrap();
    assert!(matches!(twice[0], Some(Ok(_))));
    assert!(matches!(&twice[1], Some(Err(Refusal::TooSoon { retry_after })) if retry_after.as_secs() == 2));
    // As soon as it says, and not before.
    tokio::time::sleep(waits(world, BOB, room).await).await;
    let next = world.says(BOB, room, "two").await;
    assert!(next.created_at - message.created_at >= chrono::TimeDelta::seconds(2));
    world.does(ANN, room, set(json!({"slow_mode_seconds": 0}))).await.unwrap();
    world.says(BOB, room, "three").await;
}

async fn slow_mode_counts_what_came_before_it(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    world.says(BOB, room, "before").await;
    let start = || Command { room, by: Principal::User(ANN), change: set(json!({"slow_mode_seconds": 600})) };
    let answers = world.append(vec![start(), say(BOB, room, "at once")], true).await.unwrap();
    assert!(matches!(answers[0], Some(Ok(_))));
    assert!(matches!(answers[1], Some(Err(Refusal::TooSoon { .. }))), "{answers:?}");
    assert!(waits(world, BOB, room).await > Duration::from_secs(590));
    // A role that is lost doesn't shorten the time.
    world.does(ANN, room, RoomChange::SetRole { user: BOB, role: Role::Admin }).await.unwrap();
    world.says(BOB, room, "as an admin").await;
    world.does(ANN, room, RoomChange::SetRole { user: BOB, role: Role::Member }).await.unwrap();
    assert!(waits(world, BOB, room).await > Duration::from_secs(590));
}

async fn a_deleted_message_counts_for_slow_mode(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    world.does(ANN, room, set(json!({"slow_mode_seconds": 600}))).await.unwrap();
    let message = world.says(BOB, room, "gone").await;
    world.does(BOB, room, delete(&message)).await.unwrap();
    assert!(waits(world, BOB, room).await > Duration::from_secs(590));
    // Nor does leaving and coming back.
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    world.does(ANN, room, add(BOB)).await.unwrap();
    assert!(waits(world, BOB, room).await > Duration::from_secs(590));
}

async fn a_repeated_send_is_answered_whatever_the_settings_are(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let id = Uuid::new_v4();
    world.does(ANN, room, set(json!({"slow_mode_seconds": 600}))).await.unwrap();
    let first = posted(world.run(say_with_client_id(BOB, room, "hi", id)).await.unwrap());
    for change in [json!({"slow_mode_seconds": 21_600}), json!({"posting": "admins"})] {
        world.does(ANN, room, set(change)).await.unwrap();
        let again = world.run(say_with_client_id(BOB, room, "hi", id)).await.unwrap();
        let earlier = CommandReply::Posted { message: Box::new(first.clone()), duplicate: true };
        assert_eq!((again.events.len(), again.reply), (0, earlier));
    }
    let twice = vec![
        say_with_client_id(ANN, room, "ho", Uuid::from_u128(1)),
        say_with_client_id(ANN, room, "ho", Uuid::from_u128(1)),
    ];
    assert!(world.append(twice, true).await.unwrap().iter().all(|answer| matches!(answer, Some(Ok(_)))));
    assert_eq!(world.run(say_with_client_id(BOB, room, "ho", id)).await, Err(Refusal::ClientIdConflict));
}

async fn those_who_join_hear_when_they_may_write(world: &World) {
    let room = world.group(&[ANN, BOB, CAT]).await;
    let next_post_at = async |user: UserId| -> Option<DateTime<Utc>> {
        let snapshot = world.store.snapshot(room, &[user], false).await.unwrap().unwrap();
        snapshot.admitted_users[0].next_post_at
    };
    let (ann, bob) = (world.says(ANN, room, "one").await, world.says(BOB, room, "one").await);
    assert_eq!((next_post_at(ANN).await, next_post_at(BOB).await), (None, None));
    world.does(ANN, room, set(json!({"slow_mode_seconds": 600}))).await.unwrap();
    let interval = chrono::TimeDelta::seconds(600);
    assert_eq!(next_post_at(BOB).await, Some(bob.created_at + interval));
    assert_eq!((next_post_at(ANN).await, next_post_at(CAT).await), (None, None));
    world.does(ANN, room, RoomChange::SetRole { user: BOB, role: Role::Admin }).await.unwrap();
    world.does(BOB, room, RoomChange::SetRole { user: ANN, role: Role::Member }).await.unwrap();
    assert_eq!(next_post_at(ANN).await, Some(ann.created_at + interval));
    let snapshot = world.store.snapshot(room, &[ANN, BOB], false).await.unwrap().unwrap();
    let roles: Vec<Role> = snapshot.admitted_users.iter().map(|user| user.role).collect();
    assert_eq!(roles, [Role::Member, Role::Admin]);
}

#[tokio::test]
async fn of_many_texts_the_newest_are_shown() {
    let world = World::postgres().await;
    let room = world.group(&[ANN, BOB]).await;
    let message = world.says(ANN, room, "0").await;
    let mut times = vec![message.created_at];
    for n in 1..=12 {
        let outcome = world.does(ANN, room, edit(&message, &n.to_string())).await.unwrap();
        times.push(outcome.events[0].at);
    }
    let store = &world.database().store;
    let VersionsLookup::Found(versions) = store.message_versions(BOB, message.id, 5).await.unwrap() else {
        panic!("it is shown")
    };
    let shown: Vec<_> = versions.into_iter().map(|version| (version.content, version.written_at)).collect();
    let newest: Vec<_> = (8..=12).map(|n| (n.to_string(), times[n])).collect();
    assert_eq!(shown, newest);
}

#[tokio::test]
async fn the_table_has_a_column_for_each_setting_with_its_default() {
    let postgres = Postgres::new().await;
    let client = postgres.database.client().await;
    let columns = "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'rooms'";
    let columns: Vec<String> =
        client.query(columns, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    for setting in RoomSettings::ALL {
        assert!(columns.iter().any(|column| column == setting.name), "{}", setting.name);
    }
    assert_eq!(SlowModeSeconds::new(SlowModeSeconds::MAX + 1), None);
    // What the engine refuses, the table refuses too.
    for wrong in [
        "posting = 'nobody'",
        "slow_mode_seconds = 21601",
        "slow_mode_seconds = -1",
        "pinning = ''",
        "history = 'none'",
        "urgent = 'x'",
        "description = NULL",
    ] {
        let insert = "INSERT INTO rooms (id, room_type, created_at, modified_at, head)
            VALUES (gen_random_uuid(), 'group', now(), now(), 0)";
        client.batch_execute(insert).await.unwrap();
        assert!(client.batch_execute(&format!("UPDATE rooms SET {wrong}")).await.is_err(), "{wrong}");
    }
}

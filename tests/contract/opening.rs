//! Creating rooms, and finding existing ones.

use std::sync::Arc;

use actors::domain::command::{Command, OpenRoom, Principal, Refusal, RoomChange};
use actors::domain::ids::UserId;
use actors::domain::participant::Role;
use actors::domain::room::RoomType;
use chrono::{DateTime, TimeDelta, Utc};

use crate::world::{ANN, BOB, CAT, DAN, World, on_both, open_room_command, say, task_room_command};

on_both!(
    the_first_user_is_admin_except_in_a_direct_room,
    a_pair_has_one_room_and_comes_back_to_it,
    unknown_users_make_no_room,
    a_subject_has_one_room,
    a_grant_lets_its_holder_in_and_nobody_else,
    a_removed_user_needs_a_newer_grant,
    only_grants_make_rooms_when_subjects_are_closed,
    the_host_makes_a_room_for_others,
    a_second_try_of_one_call_finds_the_room,
    concurrent_calls_make_one_room,
);

/// A time after every event of these tests.
const LATER: DateTime<Utc> = DateTime::<Utc>::MAX_UTC;

async fn roles(world: &World, room: actors::domain::ids::RoomId) -> Vec<(UserId, Role)> {
    let snapshot = world.store.snapshot(room, &[], true).await.unwrap().unwrap();
    snapshot.roster.into_iter().map(|who| (who.user.id, who.role)).collect()
}

async fn the_first_user_is_admin_except_in_a_direct_room(world: &World) {
    let group = world.group(&[BOB, ANN, BOB, CAT, ANN]).await;
    assert_eq!(roles(world, group).await, [(BOB, Role::Admin), (ANN, Role::Member), (CAT, Role::Member)]);
    let direct = world.direct(BOB, ANN).await.unwrap().room;
    assert_eq!(roles(world, direct).await, [(BOB, Role::Member), (ANN, Role::Member)]);
}

async fn a_pair_has_one_room_and_comes_back_to_it(world: &World) {
    let first = world.direct(ANN, BOB).await.unwrap();
    assert!(first.created && first.events.len() == 3);
    let second = world.direct(BOB, ANN).await.unwrap();
    assert_eq!((second.room, second.created, second.events.len()), (first.room, false, 0));
    world.does(ANN, first.room, RoomChange::Leave).await.unwrap();
    let third = world.direct(ANN, BOB).await.unwrap();
    assert_eq!((third.room, third.events.len()), (first.room, 1));
    world.run(say(ANN, first.room, "back")).await.unwrap();
    world.put_user(BOB, "bob", false).await;
    assert_eq!(world.direct(ANN, BOB).await, Err(Refusal::Forbidden));
}

async fn unknown_users_make_no_room(world: &World) {
    let stranger = UserId(99);
    let open = OpenRoom { users: vec![BOB, stranger], ..open_room_command(ANN, RoomType::Group) };
    assert_eq!(world.open(&open).await, Err(Refusal::UsersNotFound(vec![stranger])));
    assert_eq!(world.direct(ANN, stranger).await, Err(Refusal::UsersNotFound(vec![stranger])));
    world.put_user(CAT, "cat", false).await;
    assert_eq!(world.direct(ANN, CAT).await, Err(Refusal::Forbidden));
    let open = OpenRoom { users: vec![CAT], ..open_room_command(ANN, RoomType::Group) };
    assert_eq!(world.open(&open).await, Err(Refusal::UsersNotFound(vec![CAT])));
    assert!(world.store.inbox(ANN, None).await.unwrap().is_empty());
}

async fn a_subject_has_one_room(world: &World) {
    let created = world.open(&OpenRoom { users: vec![BOB], ..task_room_command(ANN, 42) }).await.unwrap();
    assert!(created.created);
    let found = world.open(&task_room_command(BOB, 42)).await.unwrap();
    assert_eq!((found.room, found.created), (created.room, false));
    assert_eq!(world.open(&task_room_command(CAT, 42)).await, Err(Refusal::Forbidden));
    assert_ne!(world.open(&task_room_command(CAT, 43)).await.unwrap().room, created.room);
    world.does(ANN, created.room, RoomChange::DeleteRoom).await.unwrap();
    assert!(world.open(&task_room_command(CAT, 42)).await.unwrap().created);
}

/// The command of a grant's holder who also names another user and a title, which have no effect.
fn granted(by: UserId, signed: DateTime<Utc>, id: i64) -> OpenRoom {
    let (users, title) = (vec![BOB], Some("Boiler".into()));
    OpenRoom { granted: Some(signed), open_subjects: false, users, title, ..task_room_command(by, id) }
}

async fn a_grant_lets_its_holder_in_and_nobody_else(world: &World) {
    let room = world.open(&task_room_command(ANN, 42)).await.unwrap().room;
    let open = granted(CAT, LATER, 42);
    let opened = world.open(&open).await.unwrap();
    assert_eq!((opened.room, opened.created, opened.events.len()), (room, false, 1));
    assert_eq!(roles(world, room).await, [(ANN, Role::Admin), (CAT, Role::Member)]);
    let untitled = format!("Chat #{}", &room.to_string()[..8]);
    assert_eq!(world.store.inbox(CAT, None).await.unwrap()[0].display_name, untitled);
    assert_eq!(world.open(&open).await.unwrap().events.len(), 0);
    let created = world.open(&granted(CAT, LATER, 43)).await.unwrap();
    assert_eq!(roles(world, created.room).await, [(CAT, Role::Admin)]);
    assert!(
        world.store.inbox(CAT, None).await.unwrap().iter().all(|row| row.display_name.starts_with("Chat"))
    );
    world.does(ANN, room, RoomChange::Archive).await.unwrap();
    assert_eq!(world.open(&granted(DAN, LATER, 42)).await, Err(Refusal::Archived));
}

async fn a_removed_user_needs_a_newer_grant(world: &World) {
    let room = world.open(&OpenRoom { users: vec![BOB], ..task_room_command(ANN, 42) }).await.unwrap().room;
    let removed = world.does(ANN, room, RoomChange::Remove { user: BOB }).await.unwrap().events[0].at;
    let before = removed - TimeDelta::microseconds(1);
    assert_eq!(world.open(&granted(BOB, before, 42)).await, Err(Refusal::Forbidden));
    assert_eq!(world.open(&granted(BOB, removed, 42)).await.unwrap().events.len(), 1);
    // A user who left voluntarily may return with the old grant.
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    assert_eq!(world.open(&granted(BOB, before, 42)).await.unwrap().events.len(), 1);
    let expel = Command { room, by: Principal::Service, change: RoomChange::Expel { user: BOB } };
    let removed = world.run(expel).await.unwrap().events[0].at;
    assert_eq!(world.open(&granted(BOB, before, 42)).await, Err(Refusal::Forbidden));
    // Being added by the host application isn't a grant.
    let open = OpenRoom { by: Principal::Service, users: vec![BOB], ..task_room_command(ANN, 42) };
    assert_eq!(world.open(&open).await.unwrap().events.len(), 1);
    world.does(ANN, room, RoomChange::Remove { user: BOB }).await.unwrap();
    assert_eq!(world.open(&granted(BOB, removed, 42)).await, Err(Refusal::Forbidden));
}

async fn only_grants_make_rooms_when_subjects_are_closed(world: &World) {
    let closed = |by, granted| OpenRoom { open_subjects: false, granted, ..task_room_command(by, 42) };
    assert_eq!(world.open(&closed(ANN, None)).await, Err(Refusal::Forbidden));
    assert!(world.open(&closed(ANN, Some(LATER))).await.unwrap().created);
    assert!(!world.open(&closed(ANN, None)).await.unwrap().created);
}

async fn the_host_makes_a_room_for_others(world: &World) {
    let open = OpenRoom {
        by: Principal::Service,
        users: vec![BOB, CAT],
        open_subjects: false,
        ..task_room_command(ANN, 7)
    };
    let created = world.open(&open).await.unwrap();
    assert_eq!(roles(world, created.room).await, [(BOB, Role::Admin), (CAT, Role::Member)]);
    assert!(created.events.iter().all(|event| event.by.is_none()));
    let open = OpenRoom {
        by: Principal::Service,
        users: vec![DAN],
        title: Some("Roof".into()),
        ..task_room_command(ANN, 7)
    };
    assert_eq!(world.open(&open).await.unwrap().events.len(), 2);
    assert_eq!(world.store.inbox(DAN, None).await.unwrap()[0].display_name, "Task: Roof");
}

async fn a_second_try_of_one_call_finds_the_room(world: &World) {
    let open = OpenRoom { users: vec![BOB], ..open_room_command(ANN, RoomType::Group) };
    let first = world.open(&open).await.unwrap();
    let second = world.open(&open).await.unwrap();
    assert_eq!((second.room, second.created), (first.room, true));
    assert_eq!(world.log(first.room).await.len(), 3);
}

async fn concurrent_calls_make_one_room(world: &World) {
    for round in 0..5 {
        let calls = (0..8).map(|n| {
            let store = Arc::clone(&world.store);
            let (by, other) = if n % 2 == 0 { (CAT, DAN) } else { (DAN, CAT) };
            let open = match round {
                0 => OpenRoom { users: vec![other], ..open_room_command(by, RoomType::Direct) },
                _ => OpenRoom { granted: Some(LATER), ..task_room_command(by, round) },
            };
            tokio::spawn(async move { store.open_room(&open).await.unwrap().unwrap() })
        });
        let mut opened = Vec::new();
        for call in calls.collect::<Vec<_>>() {
            opened.push(call.await.unwrap());
        }
        assert!(opened.iter().all(|one| one.room == opened[0].room));
        assert_eq!(opened.iter().filter(|one| one.created).count(), 1);
        assert_eq!(roles(world, opened[0].room).await.len(), 2);
    }
}

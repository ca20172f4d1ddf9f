//! Making rooms, and finding the one there is.

use std::sync::Arc;

use actors::domain::command::{Actor, Change, Command, OpenRoom, Refusal};
use actors::domain::ids::UserId;
use actors::domain::participant::Role;
use actors::domain::room::RoomType;
use chrono::{DateTime, TimeDelta, Utc};

use crate::world::{ANN, BOB, CAT, DAN, World, on_both, opening, say, task};

on_both!(
    the_first_person_is_admin_but_not_in_a_direct_room,
    a_pair_has_one_room_and_comes_back_to_it,
    unknown_people_make_nothing,
    a_subject_has_one_room,
    a_grant_lets_its_holder_in_and_nobody_else,
    who_was_taken_out_needs_a_newer_grant,
    only_grants_make_rooms_when_subjects_are_closed,
    the_host_makes_a_room_for_others,
    a_second_try_of_one_call_finds_the_room,
    many_at_once_make_one,
);

/// After all that any clock of these tests shows.
const LATER: DateTime<Utc> = DateTime::<Utc>::MAX_UTC;

async fn roles(world: &World, room: actors::domain::ids::RoomId) -> Vec<(UserId, Role)> {
    let snapshot = world.store.snapshot(room, &[], true).await.unwrap().unwrap();
    snapshot.roster.into_iter().map(|who| (who.user.id, who.role)).collect()
}

async fn the_first_person_is_admin_but_not_in_a_direct_room(world: &World) {
    let group = world.group(&[BOB, ANN, BOB, CAT, ANN]).await;
    assert_eq!(roles(world, group).await, [(BOB, Role::Admin), (ANN, Role::Member), (CAT, Role::Member)]);
    let direct = world.direct(BOB, ANN).await.unwrap().room;
    assert_eq!(roles(world, direct).await, [(BOB, Role::Member), (ANN, Role::Member)]);
}

async fn a_pair_has_one_room_and_comes_back_to_it(world: &World) {
    let first = world.direct(ANN, BOB).await.unwrap();
    assert!(first.made && first.events.len() == 3);
    let second = world.direct(BOB, ANN).await.unwrap();
    assert_eq!((second.room, second.made, second.events.len()), (first.room, false, 0));
    world.does(ANN, first.room, Change::Leave).await.unwrap();
    let third = world.direct(ANN, BOB).await.unwrap();
    assert_eq!((third.room, third.events.len()), (first.room, 1));
    world.run(say(ANN, first.room, "back")).await.unwrap();
    world.put_person(BOB, "bob", false).await;
    assert_eq!(world.direct(ANN, BOB).await, Err(Refusal::Forbidden));
}

async fn unknown_people_make_nothing(world: &World) {
    let stranger = UserId(99);
    let open = OpenRoom { people: vec![BOB, stranger], ..opening(ANN, RoomType::Group) };
    assert_eq!(world.open(&open).await, Err(Refusal::PeopleNotFound(vec![stranger])));
    assert_eq!(world.direct(ANN, stranger).await, Err(Refusal::PeopleNotFound(vec![stranger])));
    world.put_person(CAT, "cat", false).await;
    assert_eq!(world.direct(ANN, CAT).await, Err(Refusal::Forbidden));
    let open = OpenRoom { people: vec![CAT], ..opening(ANN, RoomType::Group) };
    assert_eq!(world.open(&open).await, Err(Refusal::PeopleNotFound(vec![CAT])));
    assert!(world.store.inbox(ANN, None).await.unwrap().is_empty());
}

async fn a_subject_has_one_room(world: &World) {
    let made = world.open(&OpenRoom { people: vec![BOB], ..task(ANN, 42) }).await.unwrap();
    assert!(made.made);
    let found = world.open(&task(BOB, 42)).await.unwrap();
    assert_eq!((found.room, found.made), (made.room, false));
    assert_eq!(world.open(&task(CAT, 42)).await, Err(Refusal::Forbidden));
    assert_ne!(world.open(&task(CAT, 43)).await.unwrap().room, made.room);
    world.does(ANN, made.room, Change::DeleteRoom).await.unwrap();
    assert!(world.open(&task(CAT, 42)).await.unwrap().made);
}

/// What the holder of a grant that was signed then asks for, who would name others and a title too.
fn granted(by: UserId, signed: DateTime<Utc>, id: i64) -> OpenRoom {
    let (people, title) = (vec![BOB], Some("Boiler".into()));
    OpenRoom { granted: Some(signed), open_subjects: false, people, title, ..task(by, id) }
}

async fn a_grant_lets_its_holder_in_and_nobody_else(world: &World) {
    let room = world.open(&task(ANN, 42)).await.unwrap().room;
    let open = granted(CAT, LATER, 42);
    let opened = world.open(&open).await.unwrap();
    assert_eq!((opened.room, opened.made, opened.events.len()), (room, false, 1));
    assert_eq!(roles(world, room).await, [(ANN, Role::Admin), (CAT, Role::Member)]);
    let untitled = format!("Chat #{}", &room.to_string()[..8]);
    assert_eq!(world.store.inbox(CAT, None).await.unwrap()[0].display_name, untitled);
    assert_eq!(world.open(&open).await.unwrap().events.len(), 0);
    let made = world.open(&granted(CAT, LATER, 43)).await.unwrap();
    assert_eq!(roles(world, made.room).await, [(CAT, Role::Admin)]);
    assert!(
        world.store.inbox(CAT, None).await.unwrap().iter().all(|row| row.display_name.starts_with("Chat"))
    );
    world.does(ANN, room, Change::Archive).await.unwrap();
    assert_eq!(world.open(&granted(DAN, LATER, 42)).await, Err(Refusal::Archived));
}

async fn who_was_taken_out_needs_a_newer_grant(world: &World) {
    let room = world.open(&OpenRoom { people: vec![BOB], ..task(ANN, 42) }).await.unwrap().room;
    let removed = world.does(ANN, room, Change::Remove { user: BOB }).await.unwrap().events[0].at;
    let before = removed - TimeDelta::microseconds(1);
    assert_eq!(world.open(&granted(BOB, before, 42)).await, Err(Refusal::Forbidden));
    assert_eq!(world.open(&granted(BOB, removed, 42)).await.unwrap().events.len(), 1);
    // Who goes by choice may come back by what let that one in.
    world.does(BOB, room, Change::Leave).await.unwrap();
    assert_eq!(world.open(&granted(BOB, before, 42)).await.unwrap().events.len(), 1);
    let expel = Command { room, by: Actor::Service, change: Change::Expel { user: BOB } };
    let removed = world.run(expel).await.unwrap().events[0].at;
    assert_eq!(world.open(&granted(BOB, before, 42)).await, Err(Refusal::Forbidden));
    // The host's own word is no grant.
    let open = OpenRoom { by: Actor::Service, people: vec![BOB], ..task(ANN, 42) };
    assert_eq!(world.open(&open).await.unwrap().events.len(), 1);
    world.does(ANN, room, Change::Remove { user: BOB }).await.unwrap();
    assert_eq!(world.open(&granted(BOB, removed, 42)).await, Err(Refusal::Forbidden));
}

async fn only_grants_make_rooms_when_subjects_are_closed(world: &World) {
    let closed = |by, granted| OpenRoom { open_subjects: false, granted, ..task(by, 42) };
    assert_eq!(world.open(&closed(ANN, None)).await, Err(Refusal::Forbidden));
    assert!(world.open(&closed(ANN, Some(LATER))).await.unwrap().made);
    assert!(!world.open(&closed(ANN, None)).await.unwrap().made);
}

async fn the_host_makes_a_room_for_others(world: &World) {
    let open = OpenRoom { by: Actor::Service, people: vec![BOB, CAT], open_subjects: false, ..task(ANN, 7) };
    let made = world.open(&open).await.unwrap();
    assert_eq!(roles(world, made.room).await, [(BOB, Role::Admin), (CAT, Role::Member)]);
    assert!(made.events.iter().all(|event| event.by.is_none()));
    let open = OpenRoom { by: Actor::Service, people: vec![DAN], title: Some("Roof".into()), ..task(ANN, 7) };
    assert_eq!(world.open(&open).await.unwrap().events.len(), 2);
    assert_eq!(world.store.inbox(DAN, None).await.unwrap()[0].display_name, "Task: Roof");
}

async fn a_second_try_of_one_call_finds_the_room(world: &World) {
    let open = OpenRoom { people: vec![BOB], ..opening(ANN, RoomType::Group) };
    let first = world.open(&open).await.unwrap();
    let second = world.open(&open).await.unwrap();
    assert_eq!((second.room, second.made), (first.room, true));
    assert_eq!(world.log(first.room).await.len(), 3);
}

async fn many_at_once_make_one(world: &World) {
    for round in 0..5 {
        let calls = (0..8).map(|n| {
            let store = Arc::clone(&world.store);
            let (by, other) = if n % 2 == 0 { (CAT, DAN) } else { (DAN, CAT) };
            let open = match round {
                0 => OpenRoom { people: vec![other], ..opening(by, RoomType::Direct) },
                _ => OpenRoom { granted: Some(LATER), ..task(by, round) },
            };
            tokio::spawn(async move { store.open_room(&open).await.unwrap().unwrap() })
        });
        let mut opened = Vec::new();
        for call in calls.collect::<Vec<_>>() {
            opened.push(call.await.unwrap());
        }
        assert!(opened.iter().all(|one| one.room == opened[0].room));
        assert_eq!(opened.iter().filter(|one| one.made).count(), 1);
        assert_eq!(roles(world, opened[0].room).await.len(), 2);
    }
}

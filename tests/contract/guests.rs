//! Guests, whom the host application says to be in a room, and memberships that end by themselves.

use std::time::Duration;

use actors::domain::command::{Command, CommandReply, OpenRoom, Principal, Refusal, RoomChange};
use actors::domain::entry::{EntryTerms, HistoryStart, HostRoster};
use actors::domain::event::{Event, EventBody, EventKind};
use actors::domain::ids::{RoomId, Seq, UserId};
use actors::domain::participant::{Participant, Role};
use actors::domain::room::RoomType;
use chrono::{DateTime, TimeDelta, Utc};

use crate::world::{ANN, BOB, CAT, DAN, World, add, on_both, open_room_command, say, task_room_command};

on_both!(
    a_guest_sees_from_the_entry_on_unless_told_otherwise,
    a_guest_account_is_a_guest_wherever_nobody_says_otherwise,
    a_guest_account_makes_no_room,
    the_hosts_roster_is_the_full_set_where_it_says_so,
    unknown_users_of_a_roster_are_named_and_the_rest_is_done,
    a_roster_that_changes_nothing_tells_nothing,
    a_title_once_told_is_kept,
    whoever_a_roster_leaves_out_needs_a_newer_grant,
    a_grant_brings_its_terms,
    a_membership_ends_at_its_time_and_once,
    an_ended_membership_allows_nothing_before_its_end_is_told,
    the_last_admins_role_outlives_the_membership,
    a_removal_and_an_older_grant_at_once_leave_the_user_outside,
);

/// A time after every event of these tests.
const LATER: DateTime<Utc> = DateTime::<Utc>::MAX_UTC;

fn as_role(role: Role) -> EntryTerms {
    role.into()
}

/// What the host application says of a task's room.
fn told(task: i64, named: &[(UserId, EntryTerms)], is_complete: bool) -> OpenRoom {
    OpenRoom {
        by: Principal::Service,
        roster: HostRoster { named: named.to_vec(), is_complete },
        open_subjects: false,
        ..task_room_command(ANN, task)
    }
}

/// The command of a grant's holder.
fn granted(by: UserId, task: i64, signed: DateTime<Utc>, terms: EntryTerms) -> OpenRoom {
    OpenRoom {
        granted: Some(signed),
        granted_terms: terms,
        open_subjects: false,
        ..task_room_command(by, task)
    }
}

async fn roster(world: &World, room: RoomId) -> Vec<Participant> {
    let snapshot = world.store.snapshot(room, &[], true).await.unwrap().unwrap();
    let greatest = snapshot.roster.iter().map(|participant| participant.visible_from).max();
    assert_eq!(snapshot.room.visible_to_all_from, greatest.unwrap_or_default());
    snapshot.roster
}

async fn roles(world: &World, room: RoomId) -> Vec<(UserId, Role)> {
    let mut roles: Vec<_> =
        roster(world, room).await.into_iter().map(|one| (one.user.id, one.role)).collect();
    roles.sort_by_key(|(user, _)| *user);
    roles
}

async fn place(world: &World, room: RoomId, user: UserId) -> Participant {
    roster(world, room)
        .await
        .into_iter()
        .find(|participant| participant.user.id == user)
        .expect("in the room")
}

fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(|event| event.body.kind()).collect()
}

/// A time of the store, a little ahead.
async fn soon(world: &World, room: RoomId) -> DateTime<Utc> {
    let said = world.run(say(ANN, room, "what time is it?")).await.unwrap();
    said.events[0].at + TimeDelta::milliseconds(150)
}

fn end(room: RoomId, user: UserId) -> Command {
    Command { room, by: Principal::Service, change: RoomChange::EndMembership { user } }
}

/// Ends a membership as soon as its time has come; returns the events of that.
async fn ended(world: &World, room: RoomId, user: UserId) -> Vec<Event> {
    for _ in 0..500 {
        let outcome = world.run(end(room, user)).await.unwrap();
        if !outcome.events.is_empty() {
            return outcome.events;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the membership of {user} doesn't end");
}

async fn a_guest_sees_from_the_entry_on_unless_told_otherwise(world: &World) {
    let room = world.group(&[ANN]).await;
    world.says(ANN, room, "internal").await;
    let guest = |terms| RoomChange::Add { user: BOB, terms };
    let added = world.does(ANN, room, guest(as_role(Role::Guest))).await.unwrap();
    let bob = place(world, room, BOB).await;
    assert_eq!((bob.role, bob.visible_from), (Role::Guest, added.events[0].seq));
    assert_eq!(world.unread(BOB, room).await, Some(0));
    let pin = |message| RoomChange::Pin { message, pinned: true };
    let said = world.says(BOB, room, "hello").await;
    assert!(said.extras.external, "whoever reads it is told that a guest wrote it");
    assert_eq!(world.does(BOB, room, pin(said.id)).await, Err(Refusal::Forbidden));
    assert_eq!(world.does(BOB, room, add(CAT)).await, Err(Refusal::Forbidden));
    // What the guest saw stays as it is when the guest becomes a member, or when the host says "from the start".
    world.does(ANN, room, RoomChange::SetRole { user: BOB, role: Role::Member }).await.unwrap();
    assert_eq!(place(world, room, BOB).await.visible_from, added.events[0].seq);
    assert!(!world.says(BOB, room, "hello again").await.extras.external);
    let from_start = EntryTerms { from: Some(HistoryStart::Start), ..as_role(Role::Guest) };
    let from_now = EntryTerms { from: Some(HistoryStart::Now), ..as_role(Role::Member) };
    let named = [(ANN, as_role(Role::Admin)), (BOB, from_start), (CAT, from_now)];
    let task = world.open(&told(7, &named, false)).await.unwrap();
    let visible = roster(world, task.room).await.into_iter().map(|one| (one.user.id, one.visible_from));
    let mut visible: Vec<_> = visible.collect();
    visible.sort_by_key(|(user, _)| *user);
    assert_eq!(visible, [(ANN, Seq(0)), (BOB, Seq(0)), (CAT, Seq(4))]);
    // Later the host lets Cat see everything; it takes nothing away from anyone.
    let named = [
        (BOB, EntryTerms { from: Some(HistoryStart::Now), ..as_role(Role::Guest) }),
        (CAT, EntryTerms { from: Some(HistoryStart::Start), ..as_role(Role::Member) }),
    ];
    let again = world.open(&told(7, &named, false)).await.unwrap();
    assert_eq!(kinds(&again.events), [EventKind::ParticipantUpdated]);
    assert_eq!(place(world, task.room, CAT).await.visible_from, Seq(0));
    assert_eq!(place(world, task.room, BOB).await.visible_from, Seq(0));
}

async fn a_guest_account_is_a_guest_wherever_nobody_says_otherwise(world: &World) {
    let room = world.open(&told(7, &[(ANN, as_role(Role::Admin)), (BOB, as_role(Role::Guest))], false)).await;
    let room = room.unwrap().room;
    let group = OpenRoom { users: vec![BOB, DAN], ..open_room_command(CAT, RoomType::Group) };
    let group = world.open(&group).await.unwrap().room;
    assert_eq!(roles(world, group).await, [(BOB, Role::Guest), (CAT, Role::Admin), (DAN, Role::Member)]);
    let opened = world.open(&granted(BOB, 8, LATER, EntryTerms::default())).await;
    assert_eq!(opened, Err(Refusal::Forbidden), "nor with a grant");
    let other = world.open(&told(8, &[(ANN, as_role(Role::Admin))], false)).await.unwrap().room;
    world.open(&granted(BOB, 8, LATER, EntryTerms::default())).await.unwrap();
    assert_eq!(roles(world, other).await, [(ANN, Role::Admin), (BOB, Role::Guest)]);
    // An account stays a guest account when the last membership ends.
    for room in [room, group, other] {
        let expel = RoomChange::Expel { user: BOB };
        world.run(Command { room, by: Principal::Service, change: expel }).await.unwrap();
    }
    let bare = || RoomChange::Add { user: BOB, terms: EntryTerms::default() };
    world.does(ANN, room, bare()).await.unwrap();
    assert_eq!(place(world, room, BOB).await.role, Role::Guest);
    // Whoever manages a room may make a member of a guest, and so one who may do what everyone does.
    world.does(ANN, room, RoomChange::SetRole { user: BOB, role: Role::Member }).await.unwrap();
    let third = world.group(&[DAN]).await;
    world.does(DAN, third, bare()).await.unwrap();
    assert_eq!(place(world, third, BOB).await.role, Role::Member);
    // Where someone was a guest, that one comes back as a guest.
    world.does(CAT, group, bare()).await.unwrap();
    assert_eq!(place(world, group, BOB).await.role, Role::Guest);
}

async fn a_guest_account_makes_no_room(world: &World) {
    world.open(&told(7, &[(ANN, as_role(Role::Admin)), (BOB, as_role(Role::Guest))], false)).await.unwrap();
    let group = OpenRoom { users: vec![ANN], ..open_room_command(BOB, RoomType::Group) };
    assert_eq!(world.open(&group).await, Err(Refusal::Forbidden));
    assert_eq!(world.direct(BOB, ANN).await, Err(Refusal::Forbidden));
    assert_eq!(world.direct(ANN, BOB).await, Err(Refusal::Forbidden), "nobody could end it");
    assert_eq!(world.open(&task_room_command(BOB, 8)).await, Err(Refusal::Forbidden), "in the open, too");
    // A guest of one room who is a member of another one is no guest account.
    let group = world.group(&[CAT, DAN]).await;
    world.open(&told(7, &[(DAN, as_role(Role::Guest))], false)).await.unwrap();
    world.direct(DAN, ANN).await.unwrap();
    world.does(DAN, group, RoomChange::Leave).await.unwrap();
    assert_eq!(world.direct(DAN, CAT).await, Err(Refusal::Forbidden));
}

async fn the_hosts_roster_is_the_full_set_where_it_says_so(world: &World) {
    let named = [(ANN, as_role(Role::Admin)), (BOB, as_role(Role::Member)), (CAT, as_role(Role::Guest))];
    let created = world.open(&told(7, &named, true)).await.unwrap();
    assert!(created.created);
    assert_eq!(
        roles(world, created.room).await,
        [(ANN, Role::Admin), (BOB, Role::Member), (CAT, Role::Guest)]
    );
    let added = world.open(&told(7, &[(DAN, as_role(Role::Member))], false)).await.unwrap();
    assert_eq!(kinds(&added.events), [EventKind::ParticipantJoined]);
    let named = [(CAT, as_role(Role::Admin)), (DAN, EntryTerms::default())];
    let replaced = world.open(&told(7, &named, true)).await.unwrap();
    let (left, updated) = (EventKind::ParticipantLeft, EventKind::ParticipantUpdated);
    assert_eq!(kinds(&replaced.events), [left, left, updated]);
    assert_eq!(roles(world, created.room).await, [(CAT, Role::Admin), (DAN, Role::Member)]);
    // The old form names members and leaves roles alone.
    let old = OpenRoom {
        users: vec![CAT, BOB],
        roster: HostRoster { named: Vec::new(), is_complete: true },
        ..told(7, &[], true)
    };
    world.open(&old).await.unwrap();
    assert_eq!(roles(world, created.room).await, [(BOB, Role::Member), (CAT, Role::Admin)]);
    assert_eq!(world.open(&told(7, &[], true)).await.unwrap().events.len(), 2);
    assert!(roles(world, created.room).await.is_empty());
    // Nobody but the host has a roster.
    let by_ann = OpenRoom {
        by: Principal::User(ANN),
        granted: Some(LATER),
        ..told(7, &[(BOB, as_role(Role::Admin))], true)
    };
    world.open(&by_ann).await.unwrap();
    assert_eq!(roles(world, created.room).await, [(ANN, Role::Member)]);
}

async fn unknown_users_of_a_roster_are_named_and_the_rest_is_done(world: &World) {
    world.put_user(DAN, "dan", false).await;
    let stranger = UserId(99);
    let named =
        [(stranger, as_role(Role::Member)), (ANN, as_role(Role::Admin)), (DAN, as_role(Role::Member))];
    let created = world.open(&told(7, &named, true)).await.unwrap();
    assert_eq!((created.created, &created.unknown[..]), (true, &[stranger, DAN][..]));
    assert_eq!(roles(world, created.room).await, [(ANN, Role::Admin)]);
    let again = world.open(&told(7, &named, true)).await.unwrap();
    assert_eq!((again.events.len(), &again.unknown[..]), (0, &[stranger, DAN][..]));
    world.put_user(DAN, "dan", true).await;
    let again = world.open(&told(7, &named, true)).await.unwrap();
    assert_eq!((again.events.len(), &again.unknown[..]), (1, &[stranger][..]));
}

async fn a_roster_that_changes_nothing_tells_nothing(world: &World) {
    let until = DateTime::from_timestamp(4_000_000_000, 0);
    let named = [(ANN, as_role(Role::Admin)), (BOB, EntryTerms { until, ..as_role(Role::Guest) })];
    let created = world.open(&told(7, &named, true)).await.unwrap();
    assert_eq!(place(world, created.room, BOB).await.until, until);
    for _ in 0..2 {
        assert_eq!(world.open(&told(7, &named, true)).await.unwrap().events, []);
    }
    let unlimited = [(ANN, as_role(Role::Admin)), (BOB, as_role(Role::Guest))];
    let changed = world.open(&told(7, &unlimited, true)).await.unwrap();
    assert_eq!(kinds(&changed.events), [EventKind::ParticipantUpdated]);
    assert_eq!(place(world, created.room, BOB).await.until, None);
    // Whose time is over is out, be it the full set or not.
    let over = EntryTerms { until: Some(changed.events[0].at), ..as_role(Role::Guest) };
    let gone = world.open(&told(7, &[(BOB, over), (CAT, over)], false)).await.unwrap();
    assert_eq!(kinds(&gone.events), [EventKind::ParticipantLeft]);
    assert_eq!(roles(world, created.room).await, [(ANN, Role::Admin)]);
}

async fn a_title_once_told_is_kept(world: &World) {
    let titled = OpenRoom { title: Some("Boiler".into()), ..told(7, &[(ANN, as_role(Role::Admin))], false) };
    world.open(&titled).await.unwrap();
    world.open(&told(7, &[(BOB, as_role(Role::Member))], true)).await.unwrap();
    assert_eq!(world.store.inbox(BOB, None).await.unwrap()[0].display_name, "Task: Boiler");
}

async fn whoever_a_roster_leaves_out_needs_a_newer_grant(world: &World) {
    let room = world.open(&told(7, &[(ANN, as_role(Role::Admin))], false)).await.unwrap().room;
    let entered = world.open(&granted(BOB, 7, LATER, EntryTerms::default())).await.unwrap();
    let before = entered.events[0].at;
    let removed = world.open(&told(7, &[(ANN, as_role(Role::Admin))], true)).await.unwrap().events[0].at;
    assert_eq!(world.open(&granted(BOB, 7, before, EntryTerms::default())).await, Err(Refusal::Forbidden));
    assert_eq!(roles(world, room).await, [(ANN, Role::Admin)]);
    world.open(&granted(BOB, 7, removed, EntryTerms::default())).await.unwrap();
    assert_eq!(roles(world, room).await, [(ANN, Role::Admin), (BOB, Role::Member)]);
}

async fn a_grant_brings_its_terms(world: &World) {
    let room = world.open(&told(7, &[(ANN, as_role(Role::Admin))], false)).await.unwrap().room;
    let hour = soon(world, room).await + TimeDelta::hours(1);
    let terms = EntryTerms { role: None, until: Some(hour), from: Some(HistoryStart::Now) };
    let entered = world.open(&granted(BOB, 7, LATER, terms)).await.unwrap();
    let bob = place(world, room, BOB).await;
    assert_eq!((bob.role, bob.until, bob.visible_from), (Role::Member, Some(hour), entered.events[0].seq));
    // For who is in already they change nothing: the host's list does, and no older grant takes that back.
    let longer = EntryTerms { until: Some(hour + TimeDelta::hours(1)), ..terms };
    for (user, until) in [(BOB, Some(hour)), (ANN, None)] {
        assert_eq!(world.open(&granted(user, 7, LATER, longer)).await.unwrap().events.len(), 0);
        assert_eq!(place(world, room, user).await.until, until);
    }
}

async fn a_membership_ends_at_its_time_and_once(world: &World) {
    let room = world.open(&told(7, &[(ANN, as_role(Role::Admin))], false)).await.unwrap().room;
    let until = soon(world, room).await;
    let guest = EntryTerms { until: Some(until), ..as_role(Role::Guest) };
    world.does(ANN, room, RoomChange::Add { user: BOB, terms: guest }).await.unwrap();
    assert_eq!(world.run(end(room, CAT)).await.unwrap().events, [], "who isn't in it has nothing to end");
    assert_eq!(world.run(end(room, ANN)).await.unwrap().events, [], "nor has one without an end");
    let past = RoomChange::SetUntil { user: BOB, until: Some(until - TimeDelta::hours(1)) };
    assert_eq!(world.does(ANN, room, past).await, Err(Refusal::EndInPast));
    let by_ann = RoomChange::EndMembership { user: BOB };
    assert_eq!(world.does(ANN, room, by_ann).await, Err(Refusal::Forbidden));
    let events = ended(world, room, BOB).await;
    assert!(events.iter().all(|event| event.at >= until && event.by.is_none()), "{events:?}");
    assert_eq!(kinds(&events), [EventKind::ParticipantLeft]);
    // Several nodes at once end another one once.
    let until = soon(world, room).await;
    let guest = EntryTerms { until: Some(until), ..as_role(Role::Guest) };
    world.does(ANN, room, RoomChange::Add { user: CAT, terms: guest }).await.unwrap();
    while world.run(say(ANN, room, "and now?")).await.unwrap().events[0].at < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let calls = (0..4).map(|_| world.run(end(room, CAT)));
    let outcomes = futures_util::future::join_all(calls).await;
    let events: usize = outcomes.into_iter().map(|outcome| outcome.unwrap().events.len()).sum();
    assert_eq!(events, 1);
    // What has ended needs a newer grant, and may begin anew.
    let ended_at = world.log(room).await.last().unwrap().at;
    let older = granted(CAT, 7, ended_at - TimeDelta::seconds(1), EntryTerms::default());
    assert_eq!(world.open(&older).await, Err(Refusal::Forbidden));
    world.does(ANN, room, add(CAT)).await.unwrap();
    assert_eq!(place(world, room, CAT).await.until, None);
}

async fn an_ended_membership_allows_nothing_before_its_end_is_told(world: &World) {
    let room = world.group(&[ANN]).await;
    let until = soon(world, room).await;
    let guest = EntryTerms { until: Some(until), ..as_role(Role::Guest) };
    world.does(ANN, room, RoomChange::Add { user: BOB, terms: guest }).await.unwrap();
    world.says(BOB, room, "still here").await;
    for _ in 0..500 {
        match world.run(say(BOB, room, "and here")).await {
            Ok(said) => assert!(said.events[0].at < until),
            Err(refusal) => {
                assert_eq!(refusal, Refusal::NotParticipant);
                let log = world.log(room).await;
                assert!(log.iter().all(|event| event.body.kind() != EventKind::ParticipantLeft));
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("nothing ends");
}

async fn the_last_admins_role_outlives_the_membership(world: &World) {
    let room = world.group(&[ANN, CAT]).await;
    world.does(ANN, room, RoomChange::Add { user: BOB, terms: as_role(Role::Guest) }).await.unwrap();
    let until = Some(soon(world, room).await);
    let limited = world.does(ANN, room, RoomChange::SetUntil { user: ANN, until }).await.unwrap();
    assert!(matches!(&limited.reply, CommandReply::Participant(ann) if ann.until == until));
    let events = ended(world, room, ANN).await;
    assert_eq!(kinds(&events), [EventKind::ParticipantUpdated, EventKind::ParticipantLeft]);
    assert!(matches!(&events[0].body, EventBody::ParticipantUpdated(cat) if cat.user.id == CAT));
    assert_eq!(roles(world, room).await, [(BOB, Role::Guest), (CAT, Role::Admin)], "a guest never gets it");
}

async fn a_removal_and_an_older_grant_at_once_leave_the_user_outside(world: &World) {
    let named = [(ANN, as_role(Role::Admin)), (BOB, as_role(Role::Guest))];
    for task in 10..20 {
        let room = world.open(&told(task, &named, true)).await.unwrap().room;
        let signed = world.log(room).await[0].at;
        let (only_ann, grant) =
            (told(task, &named[..1], true), granted(BOB, task, signed, EntryTerms::default()));
        let (removed, entered) = tokio::join!(world.open(&only_ann), world.open(&grant));
        removed.unwrap();
        assert!(
            matches!(&entered, Ok(opened) if opened.events.is_empty()) || entered == Err(Refusal::Forbidden)
        );
        assert_eq!(roles(world, room).await, [(ANN, Role::Admin)]);
        assert_eq!(world.open(&grant).await, Err(Refusal::Forbidden));
    }
}

#[tokio::test]
async fn the_end_of_a_membership_of_a_deleted_room_is_forgotten() {
    let world = World::postgres().await;
    let store = &world.database().store;
    let (room, other) = (world.group(&[ANN]).await, world.group(&[ANN]).await);
    let until = soon(&world, room).await;
    for room in [room, other] {
        let guest = EntryTerms { until: Some(until), ..as_role(Role::Guest) };
        world.does(ANN, room, RoomChange::Add { user: BOB, terms: guest }).await.unwrap();
    }
    world.does(ANN, room, RoomChange::DeleteRoom).await.unwrap();
    let mut ended = Vec::new();
    for _ in 0..500 {
        ended = store.ended_memberships(10).await.unwrap();
        if ended.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(ended.len(), 2, "{ended:?}");
    for (room, user) in ended {
        store.forget_end_of_membership(room, user).await.unwrap();
    }
    assert_eq!(store.ended_memberships(10).await.unwrap(), [(other, BOB)], "the other room's stays");
    assert!(store.ended_memberships(0).await.unwrap().is_empty());
}

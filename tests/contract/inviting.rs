//! Invitations: what every store makes of them, under the room's lock.

use std::sync::Arc;

use actors::domain::command::{Command, CommandReply, Principal, Refusal, RoomChange};
use actors::domain::ids::{RoomId, UserId};
use actors::domain::invitation::{InvitationDraft, InvitationError, InvitationId, OPEN_MAX};
use actors::domain::participant::Role;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::world::{ANN, BOB, CAT, DAN, World, on_both, say, task_room_command};

on_both!(
    whoever_has_an_invitation_comes_in_on_its_terms,
    only_those_who_manage_a_room_invite,
    an_invitation_lets_in_as_many_as_it_says,
    a_withdrawn_invitation_lets_nobody_in,
    an_invitation_ends_with_its_time,
    whoever_was_removed_needs_a_newer_invitation,
    an_older_invitation_undoes_nothing_that_was_decided_later,
    of_two_who_come_at_once_one_gets_the_last_place,
    a_room_has_only_so_many_open_invitations,
);

fn draft(role: Role, until: Option<DateTime<Utc>>, uses: u32) -> InvitationDraft {
    let id = Uuid::now_v7();
    InvitationDraft { id: InvitationId(id), token_hash: format!("hash of {id}"), role, until, uses }
}

async fn invites(world: &World, room: RoomId, draft: InvitationDraft) -> InvitationId {
    let outcome = world.does(ANN, room, RoomChange::Invite(draft.clone())).await.unwrap();
    assert!(outcome.events.is_empty(), "the log has nothing of it");
    match outcome.reply {
        CommandReply::Invitation(invitation) => {
            assert_eq!((invitation.id, invitation.used, invitation.created_by), (draft.id, 0, Some(ANN)));
            invitation.id
        }
        other => panic!("no invitation: {other:?}"),
    }
}

async fn accepts(world: &World, user: UserId, room: RoomId, id: InvitationId) -> Result<usize, Refusal> {
    Ok(world.does(user, room, RoomChange::Accept(id)).await?.events.len())
}

async fn now(world: &World, room: RoomId) -> DateTime<Utc> {
    world.run(say(ANN, room, "what time is it?")).await.unwrap().events[0].at
}

async fn whoever_has_an_invitation_comes_in_on_its_terms(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let until = now(world, room).await + TimeDelta::hours(1);
    let id = invites(world, room, draft(Role::Guest, Some(until), 2)).await;
    let outcome = world.does(CAT, room, RoomChange::Accept(id)).await.unwrap();
    let CommandReply::Participant(cat) = outcome.reply else { panic!("no participant") };
    assert_eq!((cat.user.id, cat.role, cat.until), (CAT, Role::Guest, Some(until)));
    assert_eq!((cat.visible_from, outcome.events[0].by), (outcome.events[0].seq, Some(CAT)));
    // Who is in already, by whatever way, uses nothing up.
    for user in [CAT, BOB, ANN] {
        assert_eq!(accepts(world, user, room, id).await, Ok(0));
    }
    assert_eq!(accepts(world, DAN, room, id).await, Ok(1));
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    let admin = invites(world, room, draft(Role::Admin, None, 1)).await;
    assert_eq!(accepts(world, BOB, room, admin).await, Ok(1));
    let snapshot = world.store.snapshot(room, &[BOB], false).await.unwrap().unwrap();
    assert_eq!(snapshot.admitted_users[0].role, Role::Admin);
}

async fn only_those_who_manage_a_room_invite(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let invite = || RoomChange::Invite(draft(Role::Guest, None, 1));
    assert_eq!(world.does(BOB, room, invite()).await, Err(Refusal::Forbidden));
    assert_eq!(world.does(CAT, room, invite()).await, Err(Refusal::NotParticipant));
    let id = invites(world, room, draft(Role::Guest, None, 1)).await;
    assert_eq!(world.does(BOB, room, RoomChange::Withdraw(id)).await, Err(Refusal::Forbidden));
    let by_host = |room| Command { room, by: Principal::Service, change: invite() };
    assert_eq!(world.run(by_host(room)).await, Err(Refusal::Forbidden));
    let task = world.open(&task_room_command(ANN, 7)).await.unwrap().room;
    world.run(by_host(task)).await.unwrap();
    let direct = world.direct(ANN, BOB).await.unwrap().room;
    assert_eq!(world.does(ANN, direct, invite()).await, Err(Refusal::Forbidden));
    let accept = Command { room, by: Principal::Service, change: RoomChange::Accept(id) };
    assert_eq!(world.run(accept).await, Err(Refusal::Forbidden));
    // An account that may do nothing comes in nowhere.
    world.put_user(CAT, "cat", false).await;
    assert_eq!(accepts(world, CAT, room, id).await, Err(Refusal::Forbidden));
    world.does(ANN, room, RoomChange::Archive).await.unwrap();
    assert_eq!(world.does(ANN, room, invite()).await, Err(Refusal::Archived));
    assert_eq!(accepts(world, DAN, room, id).await, Err(Refusal::Archived));
}

async fn an_invitation_lets_in_as_many_as_it_says(world: &World) {
    let room = world.group(&[ANN]).await;
    let id = invites(world, room, draft(Role::Member, None, 2)).await;
    assert_eq!((accepts(world, BOB, room, id).await, accepts(world, CAT, room, id).await), (Ok(1), Ok(1)));
    let used_up = Err(InvitationError::UsedUp.into());
    assert_eq!(accepts(world, DAN, room, id).await, used_up);
    world.does(CAT, room, RoomChange::Leave).await.unwrap();
    assert_eq!(accepts(world, CAT, room, id).await, used_up);
    let unknown = InvitationId(Uuid::now_v7());
    assert_eq!(accepts(world, CAT, room, unknown).await, Err(InvitationError::Unknown.into()));
    let elsewhere = world.group(&[ANN]).await;
    assert_eq!(accepts(world, DAN, elsewhere, id).await, Err(InvitationError::Unknown.into()));
}

async fn a_withdrawn_invitation_lets_nobody_in(world: &World) {
    let room = world.group(&[ANN]).await;
    let id = invites(world, room, draft(Role::Member, None, 9)).await;
    assert_eq!(accepts(world, BOB, room, id).await, Ok(1));
    for _ in 0..2 {
        world.does(ANN, room, RoomChange::Withdraw(id)).await.unwrap();
    }
    assert_eq!(accepts(world, CAT, room, id).await, Err(InvitationError::Withdrawn.into()));
    world.says(BOB, room, "who came in by it stays").await;
}

async fn an_invitation_ends_with_its_time(world: &World) {
    let room = world.group(&[ANN]).await;
    let until = now(world, room).await + TimeDelta::milliseconds(100);
    let past = RoomChange::Invite(draft(Role::Guest, Some(until - TimeDelta::hours(1)), 1));
    assert_eq!(world.does(ANN, room, past).await, Err(Refusal::EndInPast));
    let id = invites(world, room, draft(Role::Guest, Some(until), 1)).await;
    while now(world, room).await < until {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(accepts(world, BOB, room, id).await, Err(InvitationError::Expired.into()));
}

async fn whoever_was_removed_needs_a_newer_invitation(world: &World) {
    let room = world.group(&[ANN]).await;
    let id = invites(world, room, draft(Role::Guest, None, 9)).await;
    assert_eq!(accepts(world, BOB, room, id).await, Ok(1));
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    assert_eq!(accepts(world, BOB, room, id).await, Ok(1), "who left may come back");
    world.does(ANN, room, RoomChange::Remove { user: BOB }).await.unwrap();
    assert_eq!(accepts(world, BOB, room, id).await, Err(Refusal::Forbidden));
    let newer = invites(world, room, draft(Role::Guest, None, 1)).await;
    assert_eq!(accepts(world, BOB, room, newer).await, Ok(1));
}

async fn an_older_invitation_undoes_nothing_that_was_decided_later(world: &World) {
    let comes = async |room, id| {
        let outcome = world.does(BOB, room, RoomChange::Accept(id)).await.unwrap();
        let CommandReply::Participant(bob) = outcome.reply else { panic!("no participant") };
        (bob.role, bob.until)
    };
    let room = world.group(&[ANN]).await;
    let admin = invites(world, room, draft(Role::Admin, None, 9)).await;
    assert_eq!(comes(room, admin).await, (Role::Admin, None));
    let until = now(world, room).await + TimeDelta::hours(1);
    world.does(ANN, room, RoomChange::SetRole { user: BOB, role: Role::Guest }).await.unwrap();
    world.does(ANN, room, RoomChange::SetUntil { user: BOB, until: Some(until) }).await.unwrap();
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    assert_eq!(comes(room, admin).await, (Role::Guest, Some(until)));
    world.does(BOB, room, RoomChange::Leave).await.unwrap();
    let newer = invites(world, room, draft(Role::Member, None, 1)).await;
    assert_eq!(comes(room, newer).await, (Role::Member, None));
}

async fn of_two_who_come_at_once_one_gets_the_last_place(world: &World) {
    let room = world.group(&[ANN]).await;
    for _ in 0..5 {
        let id = invites(world, room, draft(Role::Guest, None, 1)).await;
        let calls = [BOB, CAT, DAN].map(|user| {
            let store = Arc::clone(&world.store);
            let accept = Command { room, by: Principal::User(user), change: RoomChange::Accept(id) };
            tokio::spawn(
                async move { (user, store.append(&[Arc::new(accept)], true).await.unwrap().remove(0)) },
            )
        });
        let mut let_in = Vec::new();
        for call in calls {
            match call.await.unwrap() {
                (user, Some(Ok(_))) => let_in.push(user),
                (_, Some(Err(refusal))) => assert_eq!(refusal, InvitationError::UsedUp.into()),
                (_, None) => panic!("the lock was waited for"),
            }
        }
        assert_eq!(let_in.len(), 1, "{let_in:?}");
        world.does(let_in[0], room, RoomChange::Leave).await.unwrap();
    }
}

async fn a_room_has_only_so_many_open_invitations(world: &World) {
    let room = world.group(&[ANN]).await;
    let first = invites(world, room, draft(Role::Guest, None, 1)).await;
    for _ in 1..OPEN_MAX {
        invites(world, room, draft(Role::Guest, None, 1)).await;
    }
    let one_more = || RoomChange::Invite(draft(Role::Guest, None, 1));
    assert_eq!(world.does(ANN, room, one_more()).await, Err(Refusal::TooManyInvitations));
    world.does(ANN, room, RoomChange::Withdraw(first)).await.unwrap();
    world.does(ANN, room, one_more()).await.unwrap();
}

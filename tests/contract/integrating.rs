//! Messages of those who are in no room: the host application, and integrations.

use actors::domain::command::{Command, CommandReply, MessageDraft, Principal, Refusal, RoomChange};
use actors::domain::ids::{ClientId, RoomId, UserId};
use actors::domain::message::Message;
use serde_json::json;
use uuid::Uuid;

use crate::world::{ANN, BOB, World, delete, draft, edit, on_both, posted, set, task_room_command};

/// The account of an integration.
const BOT: UserId = UserId(-7);

on_both!(
    the_host_writes_in_rooms_of_tasks_and_in_no_others,
    an_integration_writes_where_people_talk_until_its_account_ends,
    what_is_sent_twice_is_stored_once,
    rules_for_members_do_not_hold_for_integrations,
    messages_of_integrations_are_unread_and_nobody_else_changes_them,
);

async fn has_accounts(world: &World) {
    world.put_user(UserId::HOST, "aristay", false).await;
    world.put_user(BOT, "alarm", true).await;
}

async fn posts(world: &World, by: Principal, room: RoomId, draft: MessageDraft) -> Result<Message, Refusal> {
    world.run(Command { room, by, change: RoomChange::Post(draft) }).await.map(posted)
}

async fn task_room(world: &World) -> RoomId {
    world.open(&task_room_command(ANN, 7)).await.unwrap().room
}

async fn the_host_writes_in_rooms_of_tasks_and_in_no_others(world: &World) {
    has_accounts(world).await;
    let task = task_room(world).await;
    let sent = posts(world, Principal::Service, task, draft("The status is: done")).await.unwrap();
    assert_eq!((sent.sender.id, &*sent.sender.username), (UserId::HOST, "aristay"));
    let event = world.log(task).await.pop().unwrap();
    assert_eq!((event.seq, event.by), (sent.seq, Some(UserId::HOST)));
    let group = world.group(&[ANN, BOB]).await;
    let direct = world.direct(ANN, BOB).await.unwrap().room;
    for room in [group, direct] {
        let refused = posts(world, Principal::Service, room, draft("x")).await;
        assert_eq!(refused.err(), Some(Refusal::Forbidden));
    }
    let refused =
        world.run(Command { room: task, by: Principal::Service, change: edit(&sent, "changed") }).await;
    assert_eq!(refused.err(), Some(Refusal::Forbidden));
}

async fn an_integration_writes_where_people_talk_until_its_account_ends(world: &World) {
    has_accounts(world).await;
    let by = Principal::Integration(BOT);
    let group = world.group(&[ANN, BOB]).await;
    let sent = posts(world, by, group, draft("Smoke in unit 4")).await.unwrap();
    assert_eq!((sent.sender.id, &*sent.sender.full_name), (BOT, "Alarm"));
    assert_eq!(world.log(group).await.pop().unwrap().by, Some(BOT));
    let direct = world.direct(ANN, BOB).await.unwrap().room;
    assert_eq!(posts(world, by, direct, draft("x")).await.err(), Some(Refusal::Forbidden));
    for change in [delete(&sent), RoomChange::Leave, edit(&sent, "changed")] {
        let refused = world.run(Command { room: group, by, change }).await;
        assert!(refused.is_err(), "it is in no room");
    }
    world.put_user(BOT, "alarm", false).await;
    assert_eq!(posts(world, by, group, draft("x")).await.err(), Some(Refusal::NotParticipant));
}

async fn what_is_sent_twice_is_stored_once(world: &World) {
    has_accounts(world).await;
    let task = task_room(world).await;
    let client_id = Some(ClientId(Uuid::new_v4()));
    for by in [Principal::Service, Principal::Integration(BOT)] {
        let send = |text: &str| {
            let change = RoomChange::Post(MessageDraft { client_id, ..draft(text) });
            world.run(Command { room: task, by, change })
        };
        let first = posted(send("once").await.unwrap());
        let again = send("once").await.unwrap();
        let CommandReply::Posted { message, duplicate: true } = again.reply else { panic!("{again:?}") };
        assert_eq!((message.id, again.events.len()), (first.id, 0));
        assert_eq!(send("another").await.err(), Some(Refusal::ClientIdConflict));
    }
}

async fn rules_for_members_do_not_hold_for_integrations(world: &World) {
    has_accounts(world).await;
    let task = task_room(world).await;
    let closed = set(json!({"posting": "admins", "slow_mode_seconds": 60}));
    world.does(ANN, task, closed).await.unwrap();
    for by in [Principal::Service, Principal::Integration(BOT)] {
        for text in ["one", "two"] {
            posts(world, by, task, draft(text)).await.unwrap();
        }
    }
    world.does(ANN, task, RoomChange::Archive).await.unwrap();
    for by in [Principal::Service, Principal::Integration(BOT)] {
        assert_eq!(posts(world, by, task, draft("x")).await.err(), Some(Refusal::Archived));
    }
}

async fn messages_of_integrations_are_unread_and_nobody_else_changes_them(world: &World) {
    has_accounts(world).await;
    let group = world.group(&[ANN, BOB]).await;
    let before = world.unread(BOB, group).await.unwrap();
    let sent = posts(world, Principal::Integration(BOT), group, draft("Smoke")).await.unwrap();
    assert_eq!(world.unread(BOB, group).await, Some(before + 1));
    assert_eq!(world.does(BOB, group, edit(&sent, "x")).await.err(), Some(Refusal::Forbidden));
    assert_eq!(world.does(BOB, group, delete(&sent)).await.err(), Some(Refusal::Forbidden));
    let snapshot = world.store.snapshot(group, &[BOT], true).await.unwrap().unwrap();
    assert_eq!((snapshot.admitted_users.len(), snapshot.roster.len()), (0, 2), "it is no participant");
    world.does(ANN, group, delete(&sent)).await.unwrap();
    assert_eq!(world.unread(BOB, group).await, Some(before));
}

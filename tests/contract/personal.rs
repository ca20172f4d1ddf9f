//! Personal logs: dense positions, each thing once and as it is now, and honest about what is gone.

use std::time::Duration;

use actors::domain::command::RoomChange;
use actors::domain::error_code::ErrorCode;
use actors::domain::ids::{ClientId, MessageId, PersonalSeq, RoomId, UserId};
use actors::domain::personal::{
    DueTimeError, ENTRIES_KEPT, PersonalBounds, PersonalPage, PersonalState, ScheduledMessage, ScheduledState,
};
use actors::ports::store::Store;
use aristay_chat::store::postgres::PostgresStore;
use aristay_chat::store::postgres::personal::{
    ClaimedMessage, DRAFTS_MAX, DraftOutcome, NewDraft, NewReminder, NewScheduledMessage, REMINDERS_MAX,
    ReminderOutcome, SAVED_MAX, SCHEDULED_MAX, SaveOutcome, ScheduleOutcome, ScheduledChange, Sending,
    UnscheduleOutcome,
};
use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;

use crate::world::{ANN, BOB, CAT, Postgres, World, on_both};

on_both!(
    a_log_tells_of_each_thing_once_and_as_it_is_now,
    a_log_is_read_in_pages_that_leave_nothing_out,
    one_batch_numbers_the_changes_of_each_user,
    the_feed_tells_whose_log_grew,
    only_the_newest_entries_are_kept,
);

const MUTE: RoomChange = RoomChange::Mute { muted: true, until: None };

/// The texts of drafts in a page, each with its position.
fn drafts(page: &PersonalPage) -> Vec<(i64, &str)> {
    let entries = page.entries.iter().filter_map(|entry| match &entry.state {
        PersonalState::Draft(draft) => Some((entry.position.0, draft.content.as_str())),
        _ => None,
    });
    entries.collect()
}

async fn log(store: &dyn Store, user: UserId, after: i64) -> PersonalPage {
    store.personal_log(user, PersonalSeq(after), 100).await.unwrap()
}

async fn a_log_tells_of_each_thing_once_and_as_it_is_now(world: &World) {
    let (room, other) = (world.group(&[ANN, BOB]).await, world.group(&[ANN, BOB]).await);
    let empty = log(&*world.store, ANN, 0).await;
    assert_eq!((empty.bounds, empty.entries.len(), empty.through), Default::default());
    assert_eq!(world.types(ANN, room, "a").await, PersonalSeq(1));
    world.types(ANN, other, "b").await;
    world.does(ANN, room, MUTE).await.unwrap();
    assert_eq!(world.types(ANN, room, "ab").await, PersonalSeq(4));
    let page = log(&*world.store, ANN, 0).await;
    assert_eq!(drafts(&page), [(2, "b"), (4, "ab")]);
    assert!(
        matches!(&page.entries[1].state, PersonalState::RoomSettings(of) if of.room == room && of.is_muted)
    );
    assert_eq!(
        (page.bounds.head, page.bounds.pruned, page.through),
        (PersonalSeq(4), PersonalSeq(0), PersonalSeq(4))
    );
    world.types(ANN, room, "").await;
    assert_eq!(drafts(&log(&*world.store, ANN, 2).await), [(5, "")]);
    assert_eq!(log(&*world.store, BOB, 0).await.entries, []);
    let opened = world.store.open_inbox(ANN).await.unwrap();
    assert_eq!((opened.rooms.len(), opened.personal.head), (2, PersonalSeq(5)));
}

async fn a_log_is_read_in_pages_that_leave_nothing_out(world: &World) {
    let mut rooms = Vec::new();
    for n in 0..7 {
        rooms.push(world.group(&[ANN]).await);
        world.types(ANN, rooms[n], &n.to_string()).await;
    }
    // Makes the first two superfluous.
    for room in [0, 1] {
        world.types(ANN, rooms[room], "again").await;
    }
    let (mut position, mut read) = (PersonalSeq(0), Vec::new());
    for through in [5, 8, 9] {
        let page = world.store.personal_log(ANN, position, 3).await.unwrap();
        assert_eq!(page.through, PersonalSeq(through));
        read.extend(drafts(&page).into_iter().map(|(position, _)| position));
        position = page.through;
    }
    assert_eq!(read, [3, 4, 5, 6, 7, 8, 9]);
}

async fn one_batch_numbers_the_changes_of_each_user(world: &World) {
    let rooms = [world.group(&[ANN, BOB]).await, world.group(&[ANN, BOB]).await];
    let mute = |user, room| actors::domain::command::Command {
        room,
        by: actors::domain::command::Principal::User(user),
        change: MUTE,
    };
    let batch = vec![mute(ANN, rooms[0]), mute(BOB, rooms[1]), mute(ANN, rooms[1]), mute(CAT, rooms[0])];
    let answers = world.append(batch, true).await.unwrap();
    assert!(answers[3].as_ref().unwrap().is_err(), "an outsider has no settings");
    let positions = async |user| {
        let page = log(&*world.store, user, 0).await;
        page.entries.iter().map(|entry| entry.position.0).collect::<Vec<_>>()
    };
    assert_eq!(
        (positions(ANN).await, positions(BOB).await, positions(CAT).await),
        (vec![1, 2], vec![1], vec![])
    );
}

async fn the_feed_tells_whose_log_grew(world: &World) {
    let room = world.group(&[ANN, BOB]).await;
    let start = world.store.changes(None).await.unwrap();
    world.types(ANN, room, "a").await;
    world.types(ANN, room, "ab").await;
    world.does(BOB, room, MUTE).await.unwrap();
    let changes = world.store.changes(Some(start.next)).await.unwrap();
    assert_eq!(changes.personal, [(ANN, PersonalSeq(2)), (BOB, PersonalSeq(1))]);
    assert_eq!(world.store.changes(Some(changes.next)).await.unwrap().personal, []);
}

async fn only_the_newest_entries_are_kept(world: &World) {
    let room = world.group(&[ANN]).await;
    world.types(ANN, room, "first").await;
    let mute = || actors::domain::command::Command {
        room,
        by: actors::domain::command::Principal::User(ANN),
        change: MUTE,
    };
    for _ in 0..3 {
        world.append((0..400).map(|_| mute()).collect(), true).await.unwrap();
    }
    let page = log(&*world.store, ANN, 0).await;
    let (head, pruned) = (PersonalSeq(1_201), PersonalSeq(1_201 - ENTRIES_KEPT));
    assert_eq!(page.bounds, PersonalBounds { head, pruned });
    assert_eq!(drafts(&page), [], "it is older");
    assert!(!page.bounds.can_resume(PersonalSeq(200), 10_000) && page.bounds.can_resume(pruned, 10_000));
}

#[tokio::test]
async fn two_nodes_number_the_changes_of_one_user_densely() {
    let postgres = Postgres::new().await;
    let other = postgres.second_node().await;
    let put = async |store: &PostgresStore, n: u128| {
        let draft = NewDraft { room: RoomId(uuid::Uuid::from_u128(n)), content: "x", reply_to: None };
        store.put_draft(ANN, draft).await.unwrap()
    };
    let both = (0..80).map(|n| put(if n % 2 == 0 { &postgres.store } else { &other }, n));
    let mut heads: Vec<i64> = join_all(both)
        .await
        .into_iter()
        .map(|outcome| match outcome {
            DraftOutcome::Stored { head: Some(head), .. } => head.0,
            other => panic!("not stored: {other:?}"),
        })
        .collect();
    heads.sort_unstable();
    assert_eq!(heads, (1..=80).collect::<Vec<_>>());
    assert_eq!(log(&other, ANN, 0).await.entries.len(), 80);
}

#[tokio::test]
async fn the_same_draft_again_changes_nothing() {
    let postgres = Postgres::new().await;
    let room = RoomId::new();
    let put = async |content| {
        let draft = NewDraft { room, content, reply_to: None };
        match postgres.store.put_draft(ANN, draft).await.unwrap() {
            DraftOutcome::Stored { draft, head } => (draft, head.map(|head| head.0)),
            DraftOutcome::TooMany => panic!("it is the only one"),
        }
    };
    let (first, head) = put("a").await;
    assert_eq!(head, Some(1));
    assert_eq!(put("a").await, (first, None));
    assert_eq!(put("b").await.1, Some(2));
    assert_eq!((put("").await.1, put("").await.1), (Some(3), None));
}

#[tokio::test]
async fn a_user_has_a_limited_number_of_drafts_in_rooms() {
    let world = World::postgres().await;
    let (postgres, room) = (world.database(), world.group(&[ANN]).await);
    // As many in rooms that Ann isn't in.
    let fill = |rooms: &str| {
        format!(
            "INSERT INTO drafts SELECT 1, {rooms}, 'x', NULL, now() FROM generate_series(1, {DRAFTS_MAX}) n"
        )
    };
    postgres.database.run(&fill("md5('left' || n)::uuid")).await;
    world.types(ANN, room, "they go first").await;
    let (count, drafts) = {
        let list = postgres.store.drafts(ANN, 10, 0).await.unwrap();
        (list.count, list.items)
    };
    assert_eq!((count, drafts[0].content.as_str()), (1, "they go first"));
    let rooms = format!(
        "INSERT INTO rooms (id, room_type, created_at, modified_at, head)
             SELECT md5('in' || n)::uuid, 'group', now(), now(), 0 FROM generate_series(1, {DRAFTS_MAX}) n;
         INSERT INTO participants (room_id, user_id, role, joined_at, joined_seq)
             SELECT md5('in' || n)::uuid, 1, 'member', now(), 1 FROM generate_series(1, {DRAFTS_MAX}) n;
         DELETE FROM drafts;"
    );
    postgres.database.run(&rooms).await;
    postgres.database.run(&fill("md5('in' || n)::uuid")).await;
    let draft = NewDraft { room, content: "one more", reply_to: None };
    assert_eq!(postgres.store.put_draft(ANN, draft).await.unwrap(), DraftOutcome::TooMany);
    assert_eq!(postgres.store.drafts(ANN, 10, 0).await.unwrap().count, DRAFTS_MAX);
    assert_eq!(postgres.store.drafts(ANN, 10, 195).await.unwrap().items.len(), 5);
}

#[tokio::test]
async fn a_user_saves_a_limited_number_of_messages() {
    let world = World::postgres().await;
    let (postgres, room) = (world.database(), world.group(&[ANN]).await);
    let message = world.says(ANN, room, "one more").await.id;
    // As many that nobody can read.
    let fill = format!(
        "INSERT INTO saved_messages SELECT 1, md5('m' || n)::uuid, '{room}', now() FROM generate_series(1, {SAVED_MAX}) n"
    );
    postgres.database.run(&fill).await;
    let outcome = postgres.store.save_message(ANN, room, message).await.unwrap();
    assert!(matches!(outcome, SaveOutcome::Saved { head: Some(PersonalSeq(1)), .. }), "{outcome:?}");
    assert_eq!(postgres.store.saved_messages(ANN, 10, 0).await.unwrap().count, 1);
    let more = format!(
        "INSERT INTO messages (room_id, id, seq, rev, sender_id, message_type, content, created_at, modified_at)
             SELECT '{room}', md5('m' || n)::uuid, 100 + n, 100 + n, 1, 'text', 'x', now(), now()
             FROM generate_series(1, {SAVED_MAX}) n; {fill}; DELETE FROM saved_messages WHERE message_id = '{message}'"
    );
    postgres.database.run(&more).await;
    assert_eq!(postgres.store.save_message(ANN, room, message).await.unwrap(), SaveOutcome::TooMany);
    let page = postgres.store.saved_messages(ANN, 10, 995).await.unwrap();
    assert_eq!((page.count, page.items.len()), (SAVED_MAX, 5));
}

#[tokio::test]
async fn a_reminder_fires_once_whoever_looks() {
    let world = World::postgres().await;
    let (postgres, room) = (world.database(), world.group(&[ANN, BOB]).await);
    let other = postgres.second_node().await;
    let message = world.says(ANN, room, "x").await.id;
    let mut kept = Vec::new();
    for (user, minutes) in [(ANN, 1), (ANN, 2), (BOB, 1), (BOB, 60)] {
        let at = Utc::now() + TimeDelta::minutes(minutes);
        match postgres.store.add_reminder(user, NewReminder { room, message, at }).await.unwrap() {
            ReminderOutcome::Kept { reminder, head: Some(_) } => kept.push((user, reminder)),
            other => panic!("not kept: {other:?}"),
        }
    }
    assert_eq!(postgres.store.fire_reminders().await.unwrap(), []);
    postgres.database.run("UPDATE reminders SET at = at - interval '5 minutes'").await;
    let looks =
        (0..8).map(|n| if n % 2 == 0 { postgres.store.fire_reminders() } else { other.fire_reminders() });
    let fired: Vec<_> = join_all(looks).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(fired.iter().filter(|(user, _)| *user == ANN).count(), 1, "{fired:?}");
    assert!(fired.contains(&(ANN, PersonalSeq(4))) && fired.contains(&(BOB, PersonalSeq(3))), "{fired:?}");
    let page = log(&other, ANN, 2).await;
    let states: Vec<_> = page.entries.iter().map(|entry| &entry.state).collect();
    assert!(
        states.iter().all(|state| matches!(state, PersonalState::Reminder(one) if one.fired_at.is_some()))
    );
    assert_eq!(states.len(), 2);
    let waiting = postgres.store.reminder(BOB, kept[3].1.id).await.unwrap().unwrap();
    assert_eq!(waiting.fired_at, None);
    let head = postgres.store.delete_reminder(ANN, kept[0].1.id).await.unwrap();
    assert_eq!(head, Some(PersonalSeq(5)));
    let removed = log(&other, ANN, 4).await.entries.remove(0);
    assert_eq!(removed.state, PersonalState::ReminderRemoved(kept[0].1.id));
}

#[tokio::test]
async fn fired_reminders_give_way_to_new_ones() {
    let world = World::postgres().await;
    let (postgres, room) = (world.database(), world.group(&[ANN]).await);
    let message = world.says(ANN, room, "x").await.id;
    let fill = format!(
        "INSERT INTO reminders SELECT md5('r' || n)::uuid, 1, '{room}', '{message}', now() + n * interval '1 minute',
             now(), CASE WHEN n <= 1 THEN now() END FROM generate_series(1, {REMINDERS_MAX}) n"
    );
    postgres.database.run(&fill).await;
    let add = async |hours| {
        let at = Utc::now() + TimeDelta::hours(hours);
        postgres.store.add_reminder(ANN, NewReminder { room, message, at }).await.unwrap()
    };
    assert!(matches!(add(1).await, ReminderOutcome::Kept { head: Some(PersonalSeq(2)), .. }));
    assert_eq!(add(2).await, ReminderOutcome::TooMany);
    let page = postgres.store.reminders(ANN, 10, 195).await.unwrap();
    assert_eq!((page.count, page.items.len()), (REMINDERS_MAX, 5));
}

#[tokio::test]
async fn old_entries_go_and_the_log_says_so() {
    let world = World::postgres().await;
    let postgres = world.database();
    let rooms = [world.group(&[ANN]).await, world.group(&[ANN]).await, world.group(&[ANN]).await];
    for room in rooms {
        world.types(ANN, room, "x").await;
    }
    postgres.database.run("UPDATE personal_log SET at = now() - interval '2 days' WHERE position <= 2").await;
    postgres.store.delete_old_personal_entries(Duration::from_secs(24 * 60 * 60)).await.unwrap();
    let page = log(&postgres.store, ANN, 0).await;
    assert_eq!(page.bounds, PersonalBounds { head: PersonalSeq(3), pruned: PersonalSeq(2) });
    assert_eq!(page.entries.len(), 1);
    postgres.store.delete_old_personal_entries(Duration::from_secs(24 * 60 * 60)).await.unwrap();
    assert_eq!(world.types(ANN, rooms[0], "y").await, PersonalSeq(4));
}

#[tokio::test]
async fn an_erased_user_leaves_nothing_of_their_own() {
    let world = World::postgres().await;
    let postgres = world.database();
    let room = world.group(&[ANN, BOB]).await;
    let message = world.says(BOB, room, "hi").await.id;
    world.types(ANN, room, "a secret").await;
    world.types(BOB, room, "stays").await;
    postgres.store.save_message(ANN, room, message).await.unwrap();
    let at = Utc::now() + TimeDelta::hours(1);
    postgres.store.add_reminder(ANN, NewReminder { room, message, at }).await.unwrap();
    schedule(&postgres.store, room, "a secret", 60).await;
    postgres.store.erase_user(ANN).await.unwrap();
    let client = postgres.database.client().await;
    for table in ["drafts", "saved_messages", "reminders", "scheduled_messages", "personal_log"] {
        let left = format!("SELECT count(*) FROM {table} WHERE user_id = 1");
        assert_eq!(client.query_one(&left, &[]).await.unwrap().get::<_, i64>(0), 0, "{table}");
    }
    let page = log(&postgres.store, ANN, 0).await;
    assert_eq!(page.bounds, PersonalBounds { head: PersonalSeq(4), pruned: PersonalSeq(4) });
    assert_eq!(drafts(&log(&postgres.store, BOB, 0).await), [(1, "stays")]);
}

const LEASE: Duration = Duration::from_secs(60);

/// Keeps a message of Ann's to be sent in some minutes.
async fn schedule(store: &PostgresStore, room: RoomId, content: &str, minutes: i64) -> ScheduledMessage {
    let at = Utc::now() + TimeDelta::minutes(minutes);
    let client_id = ClientId(uuid::Uuid::new_v4());
    let new = NewScheduledMessage { room, client_id, content, reply_to: None, at, digest: [0; 16] };
    match store.schedule_message(ANN, new).await.unwrap() {
        ScheduleOutcome::Kept { scheduled, head: Some(_) } => scheduled,
        other => panic!("not kept: {other:?}"),
    }
}

/// Makes everything due, or lets all claims lapse.
async fn time_passes(postgres: &Postgres) {
    let past = "UPDATE scheduled_messages SET at = at - interval '1 day', due_at = due_at - interval '1 day'";
    postgres.database.run(past).await;
}

#[tokio::test]
async fn a_message_is_claimed_by_one_node_until_its_lease_ends() {
    let postgres = Postgres::new().await;
    let other = postgres.second_node().await;
    let (mine, others) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    let room = RoomId::new();
    for n in 0..30 {
        schedule(&postgres.store, room, &n.to_string(), 1).await;
    }
    assert_eq!(postgres.store.claim_scheduled(mine, LEASE, 100).await.unwrap(), []);
    time_passes(&postgres).await;
    let (first, second) = futures_util::join!(
        postgres.store.claim_scheduled(mine, LEASE, 20),
        other.claim_scheduled(others, LEASE, 20)
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    let rest = postgres.store.claim_scheduled(mine, LEASE, 100).await.unwrap();
    let ids = |claimed: &[ClaimedMessage]| claimed.iter().map(|one| one.scheduled.id).collect::<Vec<_>>();
    let mut all = [ids(&first), ids(&second), ids(&rest)].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!((all.len(), first.len() + second.len() + rest.len()), (30, 30));
    assert_eq!(other.claim_scheduled(others, LEASE, 100).await.unwrap(), []);

    // Its user can't change or delete it meanwhile.
    let id = all[0];
    let change = ScheduledChange { content: Some("y"), ..ScheduledChange::default() };
    assert_eq!(postgres.store.change_scheduled(ANN, id, change).await.unwrap(), ScheduleOutcome::TooLate);
    assert_eq!(postgres.store.unschedule_message(ANN, id).await.unwrap(), UnscheduleOutcome::TooLate);

    // The claim lapses, as it does when a node dies; what the first node says then counts no more.
    time_passes(&postgres).await;
    let taken = other.claim_scheduled(others, LEASE, 100).await.unwrap();
    assert_eq!(taken.len(), 30);
    let message = taken.iter().find(|one| first.iter().any(|mine| mine.scheduled.id == one.scheduled.id));
    let (message, sent) = (message.unwrap(), Sending::Sent(MessageId::new()));
    assert_eq!(postgres.store.settle_scheduled(mine, message, sent).await.unwrap(), None);
    let head = other.settle_scheduled(others, message, sent).await.unwrap();
    assert_eq!(head, Some(PersonalSeq(31)));
    assert_eq!(other.settle_scheduled(others, message, sent).await.unwrap(), None, "once");
}

#[tokio::test]
async fn what_became_of_a_message_is_kept_and_told() {
    let postgres = Postgres::new().await;
    let (store, claim, room) = (&postgres.store, uuid::Uuid::new_v4(), RoomId::new());
    for text in ["sent", "failed", "later"] {
        schedule(store, room, text, 1).await;
    }
    time_passes(&postgres).await;
    let claimed = store.claim_scheduled(claim, LEASE, 100).await.unwrap();
    let named = |text: &str| claimed.iter().find(|one| one.scheduled.content == text).unwrap();
    let message = MessageId::new();
    store.settle_scheduled(claim, named("sent"), Sending::Sent(message)).await.unwrap();
    store.settle_scheduled(claim, named("failed"), Sending::Failed(ErrorCode::Archived)).await.unwrap();
    let pause = Sending::Postponed(Duration::from_secs(0));
    assert_eq!(store.settle_scheduled(claim, named("later"), pause).await.unwrap(), None);

    let of =
        async |text: &str| store.scheduled_message(ANN, named(text).scheduled.id).await.unwrap().unwrap();
    let sent = of("sent").await;
    assert_eq!((sent.state, sent.message, sent.content.as_str()), (ScheduledState::Sent, Some(message), ""));
    let failed = of("failed").await;
    assert_eq!((failed.state, failed.error.as_deref()), (ScheduledState::Failed, Some("archived")));
    assert_eq!(of("later").await.state, ScheduledState::Pending);
    assert_eq!(store.claim_scheduled(claim, LEASE, 100).await.unwrap().len(), 1, "it is tried again");
    let page = log(store, ANN, 3).await;
    let told: Vec<_> = page.entries.iter().map(|entry| &entry.state).collect();
    assert_eq!(told, [&PersonalState::Scheduled(sent.clone()), &PersonalState::Scheduled(failed.clone())]);

    // One that failed waits again with another time, and not without.
    let again = ScheduledChange { content: Some("again"), ..ScheduledChange::default() };
    let outcome = store.change_scheduled(ANN, failed.id, again).await.unwrap();
    assert_eq!(outcome, ScheduleOutcome::BadTime(DueTimeError::Past));
    let again = ScheduledChange { at: Some(Utc::now() + TimeDelta::hours(1)), ..again };
    let ScheduleOutcome::Kept { scheduled, .. } =
        store.change_scheduled(ANN, failed.id, again).await.unwrap()
    else {
        panic!("it may wait again");
    };
    assert_eq!(
        (scheduled.state, scheduled.error, scheduled.content.as_str()),
        (ScheduledState::Pending, None, "again")
    );
    assert_eq!(store.unschedule_message(ANN, sent.id).await.unwrap(), UnscheduleOutcome::TooLate);
    assert_eq!(store.unschedule_message(BOB, failed.id).await.unwrap(), UnscheduleOutcome::NotFound);
    let list = store.scheduled_messages(ANN, 10, 0).await.unwrap();
    assert_eq!((list.count, list.items.len()), (2, 2), "without what was sent");
    store.forget_sent_messages(Duration::from_secs(60)).await.unwrap();
    assert!(store.scheduled_message(ANN, sent.id).await.unwrap().is_some());
    store.forget_sent_messages(Duration::ZERO).await.unwrap();
    assert_eq!(store.scheduled_message(ANN, sent.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_user_has_a_limited_number_of_messages_to_be_sent_later() {
    let postgres = Postgres::new().await;
    let room = RoomId::new();
    let fill = format!(
        "INSERT INTO scheduled_messages (id, user_id, room_id, client_id, digest, content, at, created_at, state, due_at)
         SELECT md5('s' || n)::uuid, 1, '{room}', md5('c' || n)::uuid, '', 'x', now() + interval '1 day', now(),
             CASE WHEN n = 1 THEN 'sent' WHEN n = 2 THEN 'failed' ELSE 'pending' END, now() + interval '1 day'
         FROM generate_series(1, {SCHEDULED_MAX}) n"
    );
    postgres.database.run(&fill).await;
    schedule(&postgres.store, room, "the last one", 5).await;
    let at = Utc::now() + TimeDelta::minutes(5);
    let client_id = ClientId(uuid::Uuid::new_v4());
    let new = NewScheduledMessage { room, client_id, content: "x", reply_to: None, at, digest: [0; 16] };
    assert_eq!(postgres.store.schedule_message(ANN, new).await.unwrap(), ScheduleOutcome::TooMany);
}

//! The query plans of frequent statements: they use indexes, however large the tables are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actors::domain::card::CardChange;
use actors::domain::command::{Command, DraftExtras, MessageDraft, Principal, RoomChange};
use actors::domain::ids::{FileId, MessageId, PersonalSeq, RoomId, Seq, UserId};
use actors::domain::room::Subject;
use actors::domain::thread::ThreadPlace;
use actors::ports::store::Store;
use aristay_chat::store::postgres::PostgresStore;
use aristay_chat::store::postgres::notifications::PushOutcome;
use aristay_chat::store::postgres::personal::{DraftOutcome, NewDraft};
use aristay_chat::store::postgres::queries::{
    MessageAnchor, MessageFilter, ParticipantFilter, RoomFilter, RoomOrder, VersionsLookup,
};
use aristay_chat::store::postgres::record::audit::AuditKind;
use aristay_chat::store::postgres::record::audit_page::{AuditAnchor, AuditFilter};
use aristay_chat::store::postgres::record::room_at::PastRequest;
use aristay_chat::store::postgres::search::SearchRequest;
use aristay_chat::store::postgres::users::UserScope;
use chrono::Utc;
use uuid::Uuid;

use crate::acknowledging::{acknowledge, urgent};
use crate::forwarding::{attaches, copy, forwards};
use crate::notifying::makes_due;
use crate::world::{ANN, BOB, Postgres, World, delete, draft, posted, say_with_client_id};

/// 100,000 messages in 1,000 rooms, half of them in one room, and 20,000 rooms of other users.
const SEED: &str = "
    INSERT INTO people (id, username) SELECT n, 'user' || n FROM generate_series(1, 1000) n;
    INSERT INTO rooms (id, room_type, created_at, modified_at, head, last_message_id, last_message_seq, last_message_at)
        SELECT md5('room' || n)::uuid, 'group', now(), now(), CASE WHEN n = 1 THEN 50003 ELSE 53 END,
               md5(n || ' ' || CASE WHEN n = 1 THEN 50003 ELSE 53 END)::uuid, 53, now()
        FROM generate_series(1, 1000) n;
    INSERT INTO participants (room_id, user_id, role, joined_at, joined_seq, read_seq)
        SELECT md5('room' || n)::uuid, u, 'member', now(), 3, CASE WHEN n = 1 THEN 50000 ELSE 50 END
        FROM generate_series(1, 1000) n,
             LATERAL (SELECT 1 AS u UNION SELECT 2 UNION SELECT 3 + (n * 7 + k) % 997 FROM generate_series(1, 10) k) p;
    INSERT INTO files (id, uploaded_by, name, size, content_type, is_image, room_id, message_id)
        SELECT md5('file' || n)::uuid, 1, 'plan.pdf', 3, 'application/pdf', false, md5('room' || n)::uuid,
               md5(n || ' 10')::uuid FROM generate_series(1, 1000) n;
    INSERT INTO messages (room_id, id, seq, rev, sender_id, client_id, message_type, content, file_id, created_at,
            modified_at)
        SELECT md5('room' || n)::uuid, md5(n || ' ' || s)::uuid, s, s, 1 + s % 2, md5(s || ' ' || n)::uuid, 'text',
               'message ' || s, CASE s WHEN 10 THEN md5('file' || n)::uuid WHEN 11 THEN md5('file2')::uuid END,
               now(), now()
        FROM generate_series(1, 1000) n, generate_series(4, CASE WHEN n = 1 THEN 50003 ELSE 53 END) s;
    INSERT INTO mentions (room_id, message_id, user_id, seq, sender_id)
        SELECT room_id, id, CASE WHEN seq % 4 = 0 THEN 0 ELSE 2 END, seq, sender_id FROM messages WHERE seq % 2 = 0;
    INSERT INTO forwarded_files (room_id, message_id, file_id)
        SELECT room_id, id, file_id FROM messages WHERE seq = 11;
    INSERT INTO pins (room_id, message_id, seq) SELECT room_id, id, seq FROM messages WHERE seq BETWEEN 20 AND 29;
    INSERT INTO events (room_id, seq, kind, actor, message_id, at, xid)
        SELECT room_id, seq, 'message_posted', sender_id, id, created_at, '3' FROM messages;
    UPDATE messages SET thread_root = md5('1 4')::uuid, in_timeline = false
        WHERE room_id = md5('room1')::uuid AND seq BETWEEN 5 AND 104;
    UPDATE messages SET extras = '{\"thread\": {\"replies\": 100, \"last_reply_at\": \"2026-11-30T08:00:00Z\", \"rev\": 104}}'
        WHERE seq = 4;
    INSERT INTO thread_users (room_id, message_id, user_id)
        SELECT room_id, id, 100000 + seq % 1000 FROM messages
        UNION ALL SELECT room_id, id, 500 FROM messages WHERE seq = 4;
    UPDATE messages SET extras = '{\"card\": {\"kind\": \"poll\", \"multiple\": false, \"closed\": false,
        \"choices\": [{\"id\": \"a\", \"text\": \"x\", \"votes\": 30, \"users\": []}]}}' WHERE id = md5('1 50003')::uuid;
    INSERT INTO card_votes (room_id, message_id, user_id, choice, at)
        SELECT room_id, id, sender_id, 'a', now() FROM messages;
    INSERT INTO acknowledgements (room_id, message_id, user_id, at) SELECT room_id, id, 100000 + seq, now() FROM messages;
    INSERT INTO notification_repeats (room_id, message_id, seq, due_at, until)
        SELECT md5('other' || n)::uuid, md5('urgent' || n)::uuid, 4, now() + interval '1 day', now() + interval '2 days'
        FROM generate_series(1, 20000) n;
    INSERT INTO read_moves (room_id, user_id, seq, at, xid)
        SELECT room_id, sender_id, seq, created_at, '3' FROM messages;
    INSERT INTO search_rooms (room_id, indexed_seq)
        SELECT md5('room' || n)::uuid, CASE WHEN n = 1 THEN 48003 ELSE 0 END FROM generate_series(1, 1000) n;
    INSERT INTO search_blocks (room_id, first_seq, first_at, last_at, body, keys)
        SELECT md5('other' || n)::uuid, s, s, s, '', ARRAY[n, s]
        FROM generate_series(1, 20000) n, generate_series(1, 2) s;
    INSERT INTO drafts (user_id, room_id, content, updated_at)
        SELECT u, md5('room' || n)::uuid, 'x', now() FROM generate_series(1, 1000) u, generate_series(1, 20) n;
    INSERT INTO saved_messages (user_id, message_id, room_id, saved_at)
        SELECT u, md5(n || ' ' || 10 + u % 40)::uuid, md5('room' || n)::uuid, now()
        FROM generate_series(1, 1000) u, generate_series(1, 20) n;
    INSERT INTO reminders (id, user_id, room_id, message_id, at, created_at, fired_at)
        SELECT md5('r' || u || ' ' || n)::uuid, u, md5('room' || n)::uuid, md5(n || ' 10')::uuid,
               now() + n * interval '1 day', now(), CASE WHEN n % 2 = 0 THEN now() END
        FROM generate_series(1, 1000) u, generate_series(1, 20) n;
    INSERT INTO scheduled_messages (id, user_id, room_id, client_id, digest, content, at, created_at, state, due_at, finished_at)
        SELECT md5('s' || u || ' ' || n)::uuid, u, md5('room' || n)::uuid, md5('s' || n)::uuid, '', 'x',
               now() + n * interval '1 day', now(), CASE WHEN n % 2 = 0 THEN 'pending' ELSE 'sent' END,
               now() + n * interval '1 day', CASE WHEN n % 2 = 1 THEN now() END
        FROM generate_series(1, 1000) u, generate_series(1, 20) n;
    INSERT INTO personal_heads (user_id, head) SELECT u, 1000 FROM generate_series(1, 100) u;
    INSERT INTO personal_log (user_id, position, kind, id, xid)
        SELECT u, p, 'draft', md5('room' || 1 + p % 500)::uuid, '3'
        FROM generate_series(1, 100) u, generate_series(1, 1000) p;
    INSERT INTO invitations (room_id, id, token_hash, role, until, uses, used, created_by, created_at, expires_at,
            withdrawn)
        SELECT md5('room' || n)::uuid, md5('i' || n || ' ' || k)::uuid, 'hash ' || n || ' ' || k, 'guest',
               now() + interval '1 day', 1, 0, 1, now(), now() + interval '1 day', 0
        FROM generate_series(1, 1000) n, generate_series(1, 20) k;
    INSERT INTO notifications (id, user_id, room_id, first_seq, last_seq, message_id, rule, state, created_at, told_at, ended_at)
        SELECT md5('n' || u || ' ' || n)::uuid, u, md5('room' || n)::uuid, 4, 10, md5(n || ' 10')::uuid, 'message',
               CASE WHEN n = 2 THEN 'told' ELSE 'read' END, now(), now() + n * interval '1 s', now()
        FROM generate_series(1, 1000) u, generate_series(1, 20) n;
    INSERT INTO notification_settings (user_id, delay_seconds, keywords, hide_text)
        SELECT u, CASE WHEN u = 2 THEN 0 ELSE 10 END, '{}', false FROM generate_series(1, 20000) u;
    INSERT INTO push_subscriptions (id, user_id, endpoint, origin, p256dh, auth)
        SELECT md5('p' || u)::uuid, u, 'https://push.example/' || u, 'https://push.example', '', ''
        FROM generate_series(1, 20000) u;
    INSERT INTO push_deliveries (subscription_id, room_id, notification_id, state, due_at, created_at)
        SELECT md5('p' || u)::uuid, md5('room' || n)::uuid, md5('n' || u || ' ' || n)::uuid, 'sent', now(), now()
        FROM generate_series(1, 1000) u, generate_series(1, 20) n;
    INSERT INTO people (id, username) SELECT n, 'user' || n FROM generate_series(1001, 21000) n;
    INSERT INTO rooms (id, room_type, created_at, modified_at, head)
        SELECT md5('other' || n)::uuid, 'group', now(), now(), 0 FROM generate_series(1, 20000) n;
    INSERT INTO participants (room_id, user_id, role, joined_at, joined_seq)
        SELECT md5('other' || n)::uuid, 1000 + n, 'member', now(), 1 FROM generate_series(1, 20000) n;
    ANALYZE;";

/// 20,000 more rows in every table, without new statistics for the planner.
const GROWTH: &str = "
    INSERT INTO people (id, username) SELECT n, 'user' || n FROM generate_series(1001, 21000) n;
    INSERT INTO rooms (id, room_type, created_at, modified_at, head)
        SELECT md5('more' || n)::uuid, 'group', now(), now(), 0 FROM generate_series(1, 20000) n;
    INSERT INTO participants (room_id, user_id, role, joined_at, joined_seq)
        SELECT md5('more' || n)::uuid, 1000 + n, 'member', now(), 1 FROM generate_series(1, 20000) n;
    INSERT INTO files (id, uploaded_by, name, size, content_type, is_image, room_id, message_id)
        SELECT md5('file' || n)::uuid, 1, 'plan.pdf', 3, 'application/pdf', false, md5('more' || n)::uuid,
               md5(n || 'more')::uuid FROM generate_series(1, 20000) n;
    INSERT INTO messages (room_id, id, seq, rev, sender_id, client_id, message_type, content, created_at, modified_at)
        SELECT md5('more' || n)::uuid, md5(n || 'more')::uuid, 1, 1, 1000 + n, md5('once' || n)::uuid, 'text', 'hi',
               now(), now()
        FROM generate_series(1, 20000) n;
    INSERT INTO mentions (room_id, message_id, user_id, seq, sender_id)
        SELECT room_id, id, n % 2, seq, sender_id FROM messages CROSS JOIN generate_series(0, 1) n WHERE seq = 1;";

/// The indexes from which more than `$1` rows were read since the statistics were reset.
const BY_INDEX: &str =
    "SELECT indexrelname::text, idx_tup_read FROM pg_stat_user_indexes WHERE idx_tup_read > $1";

/// The rows read sequentially from these tables since the statistics were reset.
const SEQUENTIAL: &str = "SELECT relname::text, seq_tup_read FROM pg_stat_user_tables \
     WHERE relname::text = ANY($1) AND seq_tup_read > 0";

/// Tables that no frequent statement may scan.
const LARGEST: [&str; 20] = [
    "messages",
    "mentions",
    "search_rooms",
    "search_blocks",
    "events",
    "participants",
    "read_moves",
    "personal_log",
    "drafts",
    "saved_messages",
    "reminders",
    "scheduled_messages",
    "thread_users",
    "card_votes",
    "acknowledgements",
    "notifications",
    "notification_repeats",
    "notification_settings",
    "push_subscriptions",
    "push_deliveries",
];
/// Tables that no list may scan: the list of a few rooms doesn't read all rooms.
const LISTED: [&str; 26] = [
    "invitations",
    "messages",
    "mentions",
    "search_rooms",
    "search_blocks",
    "events",
    "participants",
    "read_moves",
    "rooms",
    "people",
    "files",
    "forwarded_files",
    "pins",
    "personal_log",
    "drafts",
    "saved_messages",
    "reminders",
    "scheduled_messages",
    "thread_users",
    "card_votes",
    "acknowledgements",
    "notifications",
    "notification_repeats",
    "notification_settings",
    "push_subscriptions",
    "push_deliveries",
];

#[tokio::test]
async fn what_is_asked_often_reads_no_large_table_in_sequence() {
    let (postgres, store, large) = seeded().await;
    let cursor = store.changes(None).await.unwrap().next;
    let large_message =
        async |seq: i64| MessageId(Uuid::from_bytes(md5(&postgres, &format!("1 {seq}")).await));
    let thread_root = large_message(4).await;
    reset(&postgres).await;

    // Often enough that the planner switches to generic plans.
    for n in 0..8 {
        let batch: Vec<_> = (0..50)
            .map(|k| say_with_client_id(ANN, large, &format!("{n} {k}"), Uuid::new_v4()))
            .map(Arc::new)
            .collect();
        assert!(store.append(&batch, false).await.unwrap().iter().flatten().all(Result::is_ok));
        let commands = [
            (ANN, reply(thread_root, "a reply")),
            (BOB, reply(thread_root, "another one")),
            (
                UserId(1 + (5 + n) % 2),
                RoomChange::Delete { message: large_message(5 + n).await, reason: None },
            ),
            (ANN, RoomChange::ChangeCard { message: large_message(50_003).await, change: vote(n % 2 == 0) }),
        ];
        let batch = commands
            .map(|(user, change)| Arc::new(Command { room: large, by: Principal::User(user), change }));
        assert!(store.append(&batch, false).await.unwrap().iter().flatten().all(Result::is_ok));
        let snapshot = store.snapshot(large, &[ANN, BOB], true).await.unwrap().unwrap();
        assert_eq!(snapshot.admitted_users.len(), 2);
        assert_eq!(store.events(large, Seq(40_000), 200).await.unwrap().len(), 200);
        assert!(!store.inbox(BOB, Some(&[large])).await.unwrap().is_empty());
        assert!(!store.changes(Some(cursor.clone())).await.unwrap().rooms.is_empty());
        assert!((5..30).contains(&store.inbox(UserId(500), None).await.unwrap().len()));
        assert_eq!(store.open_inbox(UserId(50)).await.unwrap().personal.head, PersonalSeq(1_000));
        for after in [0, 500, 990] {
            let page = store.personal_log(UserId(50), PersonalSeq(after), 25).await.unwrap();
            assert_eq!(page.entries.len(), if after == 990 { 10 } else { 25 });
        }
        let draft = NewDraft { room: large, content: &n.to_string(), reply_to: None };
        assert!(matches!(store.put_draft(BOB, draft).await.unwrap(), DraftOutcome::Stored { .. }));
        store.delete_old_personal_entries(Duration::from_secs(60)).await.unwrap();
        assert_eq!(store.fire_reminders().await.unwrap(), []);
        let lease = Duration::from_secs(60);
        assert_eq!(store.claim_scheduled(Uuid::new_v4(), lease, 100).await.unwrap(), []);
        store.forget_sent_messages(lease).await.unwrap();
        assert_eq!(store.ended_memberships(100).await.unwrap(), []);
        // One who hasn't acknowledged the last urgent message is told of it again.
        let repeats = "UPDATE notification_repeats SET due_at = now() WHERE room_id = md5('room1')::uuid";
        postgres.database.run(repeats).await;
        let urgent = Command { room: large, by: Principal::User(ANN), change: urgent("fire", None) };
        let urgent =
            posted(store.append(&[Arc::new(urgent)], false).await.unwrap().remove(0).unwrap().unwrap());
        let got_it = Command { room: large, by: Principal::User(UserId(12)), change: acknowledge(urgent.id) };
        assert!(store.append(&[Arc::new(got_it)], false).await.unwrap().iter().flatten().all(Result::is_ok));
        // Bob has read nothing of it, and is told at once, also in his browser.
        makes_due(&store).await;
        assert!(store.notifier_work().await.unwrap().is_some());
        let told = store.notify(&BTreeSet::new()).await.unwrap().heads;
        assert!(told.iter().any(|(user, _)| *user == BOB));
        let claimed = store.claim_pushes(Uuid::new_v4(), lease, 100, &[]).await.unwrap();
        let push = claimed.iter().find(|push| push.user == BOB && !push.is_withdrawal).unwrap();
        assert!(store.push_content(BOB, push.notification).await.unwrap().0.is_some());
        store.settle_push(Uuid::new_v4(), push, PushOutcome::Sent).await.unwrap();
        assert!(store.read_notifications(BOB, push.notification).await.unwrap().is_some());
        store.put_notification_settings(BOB, &store.notification_settings(BOB).await.unwrap()).await.unwrap();
        store.delete_old_notifications(lease).await.unwrap();
    }

    assert_eq!(read_in_sequence(&postgres, store, &LARGEST).await, []);
}

#[tokio::test]
async fn slow_mode_reads_few_rows_however_large_the_room_is() {
    let (postgres, store, large) = seeded().await;
    // Ann wrote once, before 50,000 messages of others.
    postgres
        .database
        .run(
            "UPDATE rooms SET slow_mode_seconds = 21600;
             UPDATE messages SET sender_id = 2 WHERE sender_id = 1 AND seq > 4 AND room_id = md5('room1')::uuid;
             UPDATE messages SET created_at = now() - interval '1 day'",
        )
        .await;
    // Or the rows as they were would be read once more.
    postgres.database.run("VACUUM ANALYZE messages").await;
    for delete in
        ["", "UPDATE messages SET deleted_at = now() WHERE seq = 4 AND room_id = md5('room1')::uuid"]
    {
        postgres.database.run(delete).await;
        reset(&postgres).await;
        for n in 0..8 {
            let send = say_with_client_id(ANN, large, &n.to_string(), Uuid::new_v4());
            let answers = store.append(&[Arc::new(send)], false).await.unwrap();
            // Once in its time: after that there is one to find.
            assert_eq!(matches!(answers[0], Some(Ok(_))), delete.is_empty() && n == 0, "{answers:?}");
            assert!(store.snapshot(large, &[ANN, BOB], false).await.unwrap().is_some());
        }
        let client = postgres.database.client().await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let read = client.query(BY_INDEX, &[&5_000_i64]).await.unwrap();
        let read: Vec<(String, i64)> = read.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(read, []);
        let sequential = client.query(SEQUENTIAL, &[&&LARGEST[..]]).await.unwrap();
        assert!(sequential.is_empty(), "{sequential:?}");
    }
}

#[tokio::test]
async fn pages_and_searches_read_no_large_table_in_sequence() {
    let (postgres, store, large) = seeded().await;
    let someone = UserId(500);
    let small = RoomId(Uuid::from_bytes(md5(&postgres, "room2").await));
    let thread_root = MessageId(Uuid::from_bytes(md5(&postgres, "1 4").await));
    let often_forwarded = FileId(Uuid::from_bytes(md5(&postgres, "file2").await));
    let in_large = MessageFilter { room: Some(large), ..MessageFilter::default() };
    let anywhere = MessageFilter::default();
    reset(&postgres).await;

    // Often enough that the planner switches to generic plans.
    for n in 0..8 {
        for place in [
            MessageAnchor::Newest,
            MessageAnchor::Before(Seq(20_000 + n)),
            MessageAnchor::After(Seq(20_000 + n)),
        ] {
            assert_eq!(store.message_slice(BOB, &in_large, place, 50).await.unwrap().messages.len(), 50);
        }
        assert_eq!(store.message_page(someone, &anywhere, 20, 0).await.unwrap().messages.len(), 20);
        // In one room and in all, with and without the index of keys.
        for (who, query, room) in [
            (BOB, format!("{}", 49_000 + n), Some(large)),
            (BOB, format!("message {}", 50_003 - n), None),
            (someone, "message 40".into(), None),
            (someone, "from:user1 in:chat message".into(), None),
        ] {
            let request = SearchRequest { query, room, ..SearchRequest::default() };
            assert!(store.search_messages(who, &request, 20, 0).await.unwrap().page.count > 0);
        }
        // Each list without filters and with one filter.
        for (room, user) in [(None, None), (Some(large), None), (None, Some(ANN))] {
            let filter = ParticipantFilter { room, user, ..ParticipantFilter::default() };
            let (count, people) = store.participant_page(Some(someone), false, &filter, 20, 0).await.unwrap();
            // The viewer isn't in the large room.
            assert_eq!(count == 0, room.is_some(), "{count}");
            assert!(people.len() <= 20);
        }
        for (who, filter) in [
            (BOB, MessageFilter { mentions_viewer: true, ..in_large.clone() }),
            (someone, MessageFilter { mentions_viewer: true, unread: n % 2 == 0, ..anywhere.clone() }),
            (someone, MessageFilter { unread: true, ..anywhere.clone() }),
        ] {
            assert!(store.message_page(who, &filter, 20, 0).await.unwrap().count > 0);
        }
        for oldest_first in [false, true] {
            let anywhere = MessageFilter { oldest_first, ..MessageFilter::default() };
            assert_eq!(store.message_page(someone, &anywhere, 20, 20).await.unwrap().messages.len(), 20);
        }
        for place in [MessageAnchor::Newest, MessageAnchor::Before(Seq(90)), MessageAnchor::After(Seq(90))] {
            let (root, all) = (thread_root, &MessageFilter::default());
            assert!(!store.thread_slice(BOB, root, all, place, 20).await.unwrap().messages.is_empty());
        }
        assert_eq!(store.thread_page(BOB, thread_root, &anywhere, 20, 0).await.unwrap().count, 101);
        assert_eq!(store.threads_of(someone, None, 20, 0).await.unwrap().messages[0].thread_unread, Some(0));
        for order in
            [RoomOrder::LatestActivity, RoomOrder::EarliestActivity, RoomOrder::Newest, RoomOrder::Oldest]
        {
            let filter = RoomFilter { order, ..RoomFilter::default() };
            let page = store.room_page(someone, &filter, 2, 0).await.unwrap();
            assert!((5..30).contains(&page.count));
            let next = page.next.unwrap();
            assert_eq!(store.room_page_after(someone, &filter, 2, &next).await.unwrap().rooms.len(), 2);
        }
        assert_eq!(store.room_stats(Some(BOB), small).await.unwrap().message_count, 50);
        assert!(store.room_of_subject(Subject::Task(n)).await.unwrap().is_none());
        let newest =
            &store.message_slice(BOB, &in_large, MessageAnchor::Newest, 1).await.unwrap().messages[0].message;
        assert!(store.message(BOB, newest.id).await.unwrap().is_some());
        let versions = store.message_versions(BOB, newest.id, 100).await.unwrap();
        assert!(matches!(versions, VersionsLookup::Found(versions) if versions.len() == 1));
        assert!(store.message_for_host(newest.id).await.unwrap().is_some());
        assert_eq!(store.messages_by_id(BOB, &[newest.id]).await.unwrap().len(), 1);
        assert_eq!(store.pinned_messages(BOB, large, false, 5, 0).await.unwrap().count, 10);
        // It came with a message of one room, and a thousand rooms have a copy.
        assert!(store.visible_file(someone, often_forwarded, None).await.unwrap().is_some());
        assert!(store.visible_file(UserId(20_000), often_forwarded, None).await.unwrap().is_none());
        assert_eq!(store.room_of_message(newest.id).await.unwrap(), Some(large));
        let known = UserScope::SharedRooms(someone);
        assert!(store.search_users(known, "user", 20, 0).await.unwrap().0 > 20);
        assert_eq!(store.user_records(known, &[ANN, UserId(9_999)]).await.unwrap().len(), 1);
        assert!(!store.unread_rooms(someone).await.unwrap().is_empty());
        assert_eq!(store.invitation_page(small, 10, 0).await.unwrap().0, 20);
        let (room, invitation) =
            store.invitation_of_token(&format!("hash 2 {}", n + 1)).await.unwrap().unwrap();
        assert_eq!((room, store.room_of_invitation(invitation).await.unwrap()), (small, Some(small)));
        assert!(store.user_record(someone).await.unwrap().is_some_and(|user| !user.is_guest));
        assert!((5..30).contains(&store.room_ids_of(someone).await.unwrap().len()));
        let after = (large, Seq(20_000 + n));
        assert_eq!(store.messages_of_sender(ANN, after, 100).await.unwrap().len(), 100);
        store.erase_messages_in_deleted_rooms(someone).await.unwrap();
        assert!(store.room_head(large).await.unwrap().is_some());
        assert!(store.drafts(BOB, 10, 0).await.unwrap().count > 0);
        assert!(store.saved_messages(BOB, 10, 0).await.unwrap().count > 0);
        let unread = (n % 2 == 0).then_some(true);
        assert!(store.notifications(UserId(5), unread, 10, 0).await.unwrap().count < 20);
        assert!(store.message_reasons(BOB, newest.id).await.unwrap().is_some());
        assert!(!store.unread_reasons(someone).await.unwrap().is_empty());
        assert_eq!(store.reminders(UserId(500), 10, 0).await.unwrap().count, 20);
        assert_eq!(store.scheduled_messages(UserId(500), 10, 0).await.unwrap().count, 10);
    }

    assert_eq!(read_in_sequence(&postgres, store, &LISTED).await, []);
}

/// A count of unread mentions, and the search for the next one, read the range of what is unread.
#[tokio::test]
async fn unread_mentions_are_counted_without_reading_earlier_ones() {
    let (postgres, store, large) = seeded().await;
    let filter = MessageFilter { room: Some(large), mentions_viewer: true, ..MessageFilter::default() };
    let unread = MessageFilter { unread: true, ..filter.clone() };
    reset(&postgres).await;
    for n in 0..8 {
        let row = store.inbox(BOB, Some(&[large])).await.unwrap().remove(0);
        assert_eq!((row.unread, row.mentions), (1, 1), "of 25,000 mentions");
        let next = store.message_slice(BOB, &unread, MessageAnchor::After(Seq(0)), 1).await.unwrap();
        assert_eq!(next.messages.len(), 1);
        let place = MessageAnchor::After(Seq(49_900 + n));
        assert_eq!(store.message_slice(BOB, &filter, place, 1).await.unwrap().messages.len(), 1);
        assert_eq!(store.message_page(BOB, &unread, 20, 0).await.unwrap().count, 1);
    }
    let client = postgres.database.client().await;
    store.close();
    drop(store);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let read = client.query(BY_INDEX, &[&2_000_i64]).await.unwrap();
    let read = read.iter().map(|row| row.get::<_, String>(0));
    let of_messages = read.filter(|index| index.starts_with("mentions") || index.starts_with("messages"));
    assert_eq!(of_messages.collect::<Vec<_>>(), [] as [String; 0]);
    let read = client.query(SEQUENTIAL, &[&&LARGEST[..]]).await.unwrap();
    assert!(read.is_empty(), "{read:?}");
}

#[tokio::test]
async fn the_audit_log_and_the_past_are_read_by_their_indexes() {
    const ENTRIES: &str = "INSERT INTO audit_log (id, at, kind, actor_id, user_id, data, previous, hash)
        SELECT n, now() - interval '1 day', 'room_updated', n % 1000, n % 977, '{}', '', ''
        FROM generate_series(1, 50000) n; ANALYZE audit_log";
    let (postgres, store, large) = seeded().await;
    postgres.database.run(ENTRIES).await;
    reset(&postgres).await;
    let (now, nothing) = (Utc::now(), AuditFilter::default());
    for filter in [
        nothing,
        AuditFilter { since: Some(now), ..nothing },
        AuditFilter { kind: Some(AuditKind::UserErased), ..nothing },
        AuditFilter { user: Some(UserId(5)), ..nothing },
    ] {
        for anchor in [AuditAnchor::Newest, AuditAnchor::Before(40_000), AuditAnchor::After(100)] {
            store.audit_page(filter, anchor, 50).await.unwrap();
        }
    }
    let past = PastRequest { room: large, visible_from: Seq(0), time: now, before: Seq(i64::MAX), limit: 50 };
    assert_eq!(store.room_at(past).await.unwrap().map(|past| past.messages.len()), Some(50));
    let large = ["audit_log", "events", "messages", "read_moves", "participants", "rooms"];
    assert_eq!(read_in_sequence(&postgres, store, &large).await, []);
}

/// Connections keep their plans while the tables grow.
#[tokio::test]
async fn a_plan_made_for_empty_tables_reads_none_of_them_from_end_to_end() {
    let world = World::postgres().await;
    let postgres = world.database();
    postgres.database.run("ANALYZE").await;
    let room = world.group(&[ANN, BOB]).await;
    let cursor = world.store.changes(None).await.unwrap().next;
    let work = async || {
        // Often enough that every connection keeps a generic plan.
        for _ in 0..16 {
            let batch = (0..3).map(|k| say_with_client_id(ANN, room, &k.to_string(), Uuid::new_v4()));
            let answers = world.append(batch.collect(), false).await.unwrap();
            assert!(answers.iter().flatten().all(Result::is_ok));
            let file = attaches(&world, ANN, room).await;
            forwards(&world, ANN, room, vec![copy(Uuid::new_v4(), room, &file)]).await.unwrap();
            world.does(ANN, room, RoomChange::Pin { message: file.id, pinned: true }).await.unwrap();
            world.does(ANN, room, delete(&file)).await.unwrap();
            assert!(world.store.snapshot(room, &[ANN, BOB], true).await.unwrap().is_some());
            assert!(!world.store.events(room, Seq(3), 50).await.unwrap().is_empty());
            assert_eq!(world.store.inbox(BOB, Some(&[room])).await.unwrap().len(), 1);
            assert_eq!(world.store.inbox(BOB, None).await.unwrap().len(), 1);
            assert!(!world.store.changes(Some(cursor.clone())).await.unwrap().rooms.is_empty());
        }
    };
    work().await;
    postgres.database.run(GROWTH).await;
    reset(postgres).await;

    work().await;

    let read = postgres.database.client().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let read = read.query(BY_INDEX, &[&20_000_i64]).await.unwrap();
    let read: Vec<(String, i64)> = read.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(read, []);
}

fn reply(root: MessageId, text: &str) -> RoomChange {
    let thread = Some(ThreadPlace { root, in_timeline: false });
    let extras = DraftExtras { thread, ..DraftExtras::default() };
    RoomChange::Post(MessageDraft { extras, ..draft(text) })
}

fn vote(on: bool) -> CardChange {
    CardChange::Choice { id: "a".into(), on }
}

/// Creates a store with fresh plans on the seeded tables, as a new process would; returns the large room too.
async fn seeded() -> (Postgres, PostgresStore, RoomId) {
    let postgres = Postgres::new().await;
    postgres.database.run(SEED).await;
    let store = postgres.second_node().await;
    let large = RoomId(Uuid::from_bytes(md5(&postgres, "room1").await));
    (postgres, store, large)
}

pub(crate) async fn reset(postgres: &Postgres) {
    let client = postgres.database.client().await;
    client.batch_execute("SELECT pg_stat_reset()").await.unwrap();
}

/// Returns those of `tables` that were scanned since [`reset`], with the number of rows.
pub(crate) async fn read_in_sequence(
    postgres: &Postgres,
    store: PostgresStore,
    tables: &[&str],
) -> Vec<(String, i64)> {
    let client = postgres.database.client().await;
    // Connections report statistics when they have been idle for a moment, or end.
    store.close();
    drop(store);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let read = client.query(SEQUENTIAL, &[&tables]).await.unwrap();
    read.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn md5(postgres: &Postgres, text: &str) -> [u8; 16] {
    let row = postgres.database.client().await;
    let row = row.query_one("SELECT md5($1)::uuid", &[&text]).await.unwrap();
    *row.get::<_, Uuid>(0).as_bytes()
}

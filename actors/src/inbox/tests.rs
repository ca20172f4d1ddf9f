//! The rows of an inbox: updated by events where those suffice, and read from the store where not.

mod personal;

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::command::{Command, CommandReply, ReadTarget, RoomChange};
use crate::domain::ids::{Epoch, RoomId, UserId};
use crate::domain::mentions::{Mentions, MentionsEdit};
use crate::domain::participant::Role;
use crate::domain::user::UserSummary;
use crate::engine::ConnectTarget;
use crate::limits::FEED_POLL_INTERVAL;
use crate::memory::engine::{Client, MemoryEngine, ReceivedFrame};
use crate::memory::store::{Fault, StoreCall};
use crate::ports::store::UserAccess;
use crate::setup::{
    ANN, BOB, CAROL, FOREVER, SOON, Setup, all_at_once, answers_after, begins_after, change, connects_with,
    does, fails, hears_within, held, opens_inbox, pass, paused, post,
};

/// A node with a room of two, and a socket that shows the inbox of one of them.
async fn viewed() -> (Setup, MemoryEngine, RoomId, Client) {
    let setup = Setup::new();
    let room = setup.room(&[ANN, BOB]).await;
    let node = setup.node();
    let bob = opens_inbox(&node, BOB).await;
    (setup, node, room, bob)
}

/// The next row: unread messages of the room, unread messages of all rooms, and the preview.
async fn row(client: &mut Client) -> (i64, i64, String) {
    let frame = hears_within(client, "inbox", FOREVER).await.expect("an open socket");
    let number = |name: &str| frame[name].as_i64().expect("a number");
    let preview = frame["last_message_preview"].as_str().expect("a text").to_owned();
    (number("unread_count"), number("total_unread"), preview)
}

/// The total that a new socket is greeted with: what the store says.
async fn stored_total(node: &MemoryEngine, user: UserId) -> Value {
    let mut client = node.connect(user, 0, ConnectTarget::User);
    client.hears("connection_established").await.expect("to be accepted")["unread_count"].clone()
}

fn inbox_reads_meet(setup: &Setup, fault: impl Fn() -> Fault + Send + 'static) {
    setup.probe.set(move |call| if matches!(call, StoreCall::Inbox(_)) { fault() } else { Fault::default() });
}

#[test]
fn messages_are_folded_into_a_row_without_reading_it_again() {
    paused(async {
        let (setup, node, room, mut bob) = viewed().await;
        let reads = setup.probe.inbox_reads(BOB).len();
        for (n, by, unread) in [(1, ANN, 1), (2, ANN, 2), (3, BOB, 2), (4, ANN, 3)] {
            does(&node, post(room, by, &n.to_string())).await;
            assert_eq!(row(&mut bob).await, (unread, unread, n.to_string()));
        }
        assert_eq!(setup.probe.inbox_reads(BOB).len(), reads);
        assert_eq!(stored_total(&node, BOB).await, 3);
    });
}

/// A command to post a message that mentions Bob.
fn mention_bob(room: RoomId, by: UserId) -> Command {
    let command = post(room, by, "@bob");
    let RoomChange::Post(draft) = command.change else { panic!("a post") };
    change(room, by, RoomChange::Post(draft.mentioning(Mentions::new(vec![BOB], false))))
}

/// The next row: unread messages that mention the user in the room, and in all rooms.
async fn mentions(client: &mut Client) -> (i64, i64) {
    let frame = hears_within(client, "inbox", FOREVER).await.expect("an open socket");
    let number = |name: &str| frame[name].as_i64().expect("a number");
    (number("mention_count"), number("total_mentions"))
}

#[test]
fn mentions_are_counted_without_reading_the_row_again() {
    paused(async {
        let (setup, node, room, mut bob) = viewed().await;
        let reads = setup.probe.inbox_reads(BOB).len();
        for (command, expected) in [
            (mention_bob(room, ANN), 1),
            (post(room, ANN, "no mention"), 1),
            (mention_bob(room, BOB), 1),
            (mention_bob(room, ANN), 2),
        ] {
            does(&node, command).await;
            assert_eq!(mentions(&mut bob).await, (expected, expected));
        }
        assert_eq!(setup.probe.inbox_reads(BOB).len(), reads);
        does(&node, change(room, BOB, RoomChange::Mute { muted: true, until: None })).await;
        assert_eq!(mentions(&mut bob).await, (2, 2));
        does(&node, change(room, ANN, RoomChange::Archive)).await;
        assert_eq!(mentions(&mut bob).await, (2, 0));
        does(&node, change(room, ANN, RoomChange::Unarchive)).await;
        assert_eq!(mentions(&mut bob).await, (2, 2));
        does(&node, change(room, BOB, RoomChange::Read(ReadTarget::Head))).await;
        assert_eq!(mentions(&mut bob).await, (0, 0));
    });
}

#[test]
fn an_edit_of_an_older_message_has_the_row_read_again_where_it_may_change_mentions() {
    paused(async {
        let (setup, node, room, mut bob) = viewed().await;
        let CommandReply::Posted { message, .. } = does(&node, post(room, ANN, "older")).await else {
            panic!("a message")
        };
        pass(SOON).await;
        does(&node, post(room, ANN, "newer")).await;
        while row(&mut bob).await.2 != "newer" {}
        let reads = || setup.probe.inbox_reads(BOB).len();
        let edits = |users: &[UserId]| {
            let mentions = MentionsEdit { users: Some(users.to_vec()), room: None };
            change(
                room,
                ANN,
                RoomChange::Edit { message: message.id, content: Some("edited".into()), mentions },
            )
        };
        let before = reads();
        does(&node, edits(&[])).await;
        does(&node, edits(&[ANN])).await;
        assert_eq!(hears_within(&mut bob, "inbox", FEED_POLL_INTERVAL * 2).await, None);
        assert_eq!(reads(), before);
        does(&node, edits(&[BOB])).await;
        assert_eq!(mentions(&mut bob).await, (1, 1));
        does(&node, edits(&[])).await;
        assert_eq!(mentions(&mut bob).await, (0, 0));
        assert_eq!(reads(), before + 2);
    });
}

#[test]
fn a_burst_of_messages_is_sent_as_one_row() {
    paused(async {
        let (_setup, node, room, mut bob) = viewed().await;
        all_at_once(&node, (0..20).map(|n| post(room, ANN, &n.to_string()))).await;
        assert_eq!(row(&mut bob).await, (20, 20, "19".to_owned()));
        assert_eq!(hears_within(&mut bob, "inbox", Duration::from_secs(1)).await, None);
    });
}

#[test]
fn what_is_read_is_no_longer_unread() {
    paused(async {
        let (setup, node, room, mut bob) = viewed().await;
        let other = setup.room(&[ANN, BOB]).await;
        for room in [room, other] {
            does(&node, post(room, ANN, "hello")).await;
        }
        while row(&mut bob).await.1 < 2 {}
        does(&node, change(room, BOB, RoomChange::Read(ReadTarget::Head))).await;
        assert_eq!(row(&mut bob).await, (0, 1, "hello".to_owned()));
        assert_eq!(stored_total(&node, BOB).await, 1);
    });
}

#[test]
fn a_room_marked_unread_counts_until_something_is_read() {
    paused(async {
        let (_setup, node, room, mut bob) = viewed().await;
        let mut said = Vec::new();
        for n in 1..=3 {
            let CommandReply::Posted { message, .. } = does(&node, post(room, ANN, &n.to_string())).await
            else {
                panic!("not posted");
            };
            said.push(message.id);
        }
        does(&node, change(room, BOB, RoomChange::Read(ReadTarget::Head))).await;
        while row(&mut bob).await.0 > 0 {}
        let mark = |message| change(room, BOB, RoomChange::MarkUnread { message });
        does(&node, mark(said[1])).await;
        assert_eq!(row(&mut bob).await, (2, 2, "3".to_owned()));
        does(&node, post(room, ANN, "4")).await;
        assert_eq!(row(&mut bob).await, (3, 3, "4".to_owned()));
        // A mark behind the one there is.
        does(&node, change(room, BOB, RoomChange::Read(ReadTarget::Message(said[0])))).await;
        assert_eq!(row(&mut bob).await, (1, 1, "4".to_owned()));
        // From the last of several unread ones on, and then the mark moves to before that.
        let mut posted = Vec::new();
        for n in 5..=7 {
            let CommandReply::Posted { message, .. } = does(&node, post(room, ANN, &n.to_string())).await
            else {
                panic!("not posted");
            };
            posted.push(message.id);
        }
        while row(&mut bob).await.2 != "7" {}
        does(&node, mark(posted[2])).await;
        assert_eq!(row(&mut bob).await, (1, 1, "7".to_owned()));
        does(&node, change(room, BOB, RoomChange::Read(ReadTarget::Message(posted[0])))).await;
        assert_eq!(row(&mut bob).await, (2, 2, "7".to_owned()));
        assert_eq!(stored_total(&node, BOB).await, 2);
    });
}

#[test]
fn a_muted_room_counts_again_when_its_mute_expires() {
    paused(async {
        let (_setup, node, room, mut bob) = viewed().await;
        does(&node, post(room, ANN, "1")).await;
        assert_eq!(row(&mut bob).await, (1, 1, "1".to_owned()));
        let mute = Duration::from_secs(5);
        let (since, until) = (node.clock.now(), Some(node.clock.date() + mute));
        does(&node, change(room, BOB, RoomChange::Mute { muted: true, until })).await;
        assert_eq!(row(&mut bob).await, (1, 0, "1".to_owned()));
        does(&node, post(room, ANN, "2")).await;
        assert_eq!(row(&mut bob).await, (2, 0, "2".to_owned()));
        assert_eq!(row(&mut bob).await, (2, 2, "2".to_owned()));
        let waited = node.clock.now() - since;
        assert!((mute..mute + Duration::from_secs(1)).contains(&waited), "{waited:?}");
    });
}

#[test]
fn a_room_that_a_user_left_is_removed_and_never_sent_again() {
    paused(async {
        let (setup, node, room, mut bob) = viewed().await;
        let other = setup.room(&[ANN, BOB]).await;
        for room in [room, other] {
            does(&node, post(room, ANN, "hello")).await;
        }
        while row(&mut bob).await.1 < 2 {}
        does(&node, change(room, BOB, RoomChange::Leave)).await;
        let removed = hears_within(&mut bob, "room_removed", SOON).await.expect("it is sent");
        assert_eq!((&removed["room_id"], &removed["total_unread"]), (&json!(room), &json!(1)));
        does(&node, post(room, ANN, "unheard")).await;
        // A feed poll later too.
        let until = tokio::time::Instant::now() + FEED_POLL_INTERVAL * 2;
        while let Ok(frame) = tokio::time::timeout_at(until, bob.next()).await {
            let Some(ReceivedFrame::Text(frame)) = frame else { panic!("an open socket") };
            assert_eq!(frame["room_id"], json!(other), "{frame}");
        }
        assert_eq!(held(&node, "viewed rooms").await, 1);
    });
}

#[test]
fn a_new_room_is_sent_with_its_row() {
    paused(async {
        let (_setup, node, room, _bob) = viewed().await;
        let mut carol = opens_inbox(&node, CAROL).await;
        does(&node, post(room, ANN, "hello")).await;
        does(&node, change(room, ANN, RoomChange::Add { user: CAROL, terms: Role::Member.into() })).await;
        let added = hears_within(&mut carol, "room_added", SOON).await.expect("it is sent");
        assert_eq!(added["room_id"], json!(room));
        let (_, total, preview) = row(&mut carol).await;
        assert_eq!((json!(total), preview.as_str()), (stored_total(&node, CAROL).await, "hello"));
    });
}

#[test]
fn a_missed_event_has_the_row_read_again() {
    paused(async {
        let (setup, node, room, mut bob) = viewed().await;
        let reads = setup.probe.inbox_reads(BOB).len();
        setup.stores(room, ANN, "missed").await;
        does(&node, post(room, ANN, "heard")).await;
        let since = node.clock.now();
        assert_eq!(row(&mut bob).await, (2, 2, "heard".to_owned()));
        assert!(node.clock.now() - since < SOON, "it waits for no poll of the feed");
        assert_eq!(setup.probe.inbox_reads(BOB).len(), reads + 1);
    });
}

#[test]
fn the_feed_finds_what_was_never_published() {
    paused(async {
        let (setup, node, room, mut bob) = viewed().await;
        setup.stores(room, ANN, "unheard").await;
        let since = node.clock.now();
        assert_eq!(row(&mut bob).await, (1, 1, "unheard".to_owned()));
        assert!(node.clock.now() - since <= FEED_POLL_INTERVAL + SOON);
    });
}

#[test]
fn many_sockets_of_a_user_share_one_read_at_a_time() {
    paused(async {
        let setup = Setup::new();
        let _room = setup.room(&[ANN, BOB]).await;
        let node = setup.node();
        let takes = Duration::from_secs(1);
        inbox_reads_meet(&setup, move || begins_after(takes));
        let mut sockets: Vec<Client> = (0..5).map(|_| node.connect(BOB, 0, ConnectTarget::User)).collect();
        for socket in &mut sockets {
            socket.hears("connection_established").await.expect("to be accepted");
        }
        let reads = setup.probe.inbox_reads(BOB);
        assert_eq!(reads.len(), 2, "those who come during a read share the next one");
        assert!(reads[1] - reads[0] >= takes);
    });
}

#[test]
fn a_message_during_a_read_is_not_lost() {
    paused(async {
        let setup = Setup::new();
        let room = setup.room(&[ANN, BOB]).await;
        let node = setup.node();
        inbox_reads_meet(&setup, || answers_after(Duration::from_secs(1)));
        let mut bob = node.connect(BOB, 0, ConnectTarget::User);
        pass(SOON).await;
        does(&node, post(room, ANN, "meanwhile")).await;
        let state = bob.hears("connection_established").await.expect("to be accepted");
        assert_eq!(state["unread_count"], 0, "the read began before");
        assert_eq!(row(&mut bob).await, (1, 1, "meanwhile".to_owned()));
        // As is one that leaves during a read, which still shows the room.
        does(&node, change(room, BOB, RoomChange::Mute { muted: true, until: None })).await;
        pass(SOON).await;
        does(&node, change(room, BOB, RoomChange::Leave)).await;
        bob.hears("room_removed").await.expect("an open socket");
        assert_eq!(hears_within(&mut bob, "inbox", Duration::from_secs(5)).await, None);
    });
}

#[test]
fn a_list_that_cannot_be_read_refuses_newcomers_and_is_tried_again_for_others() {
    paused(async {
        let (setup, node, room, mut bob) = viewed().await;
        let reads = setup.probe.inbox_reads(BOB).len();
        inbox_reads_meet(&setup, fails);
        let mut carol = node.connect(CAROL, 0, ConnectTarget::User);
        assert_eq!(carol.hears_all().await, [ReceivedFrame::Accepted, ReceivedFrame::Closed(1012)]);
        does(&node, change(room, BOB, RoomChange::Mute { muted: true, until: None })).await;
        pass(Duration::from_secs(3)).await;
        let tries = setup.probe.inbox_reads(BOB).len() - reads;
        assert!((3..=5).contains(&tries), "it waits longer each time: {tries}");
        setup.probe.clear();
        let frame = hears_within(&mut bob, "inbox", Duration::from_secs(3)).await.expect("it is sent");
        assert_eq!(frame["is_muted"], true);
    });
}

#[test]
fn a_new_name_is_shown_in_the_rows_that_show_the_user() {
    paused(async {
        let setup = Setup::new();
        let direct = setup.direct_room(ANN, BOB).await;
        let _without_ann = setup.room(&[BOB, CAROL]).await;
        let node = setup.node();
        let mut bob = opens_inbox(&node, BOB).await;
        setup.store.put_user(UserSummary::new(ANN, "ann", "Ann of the Hill"), true);
        node.handle.user_changed(UserAccess { user: ANN, is_active: true, tokens_valid_from: None });
        let frame = hears_within(&mut bob, "inbox", SOON).await.expect("it is sent");
        assert_eq!((&frame["room_id"], &frame["display_name"]), (&json!(direct), &json!("Ann of the Hill")));
        assert_eq!(hears_within(&mut bob, "inbox", FEED_POLL_INTERVAL * 2).await, None);
    });
}

#[test]
fn another_history_ends_the_sockets_that_show_this_one() {
    paused(async {
        let (setup, node, room, mut bob) = viewed().await;
        setup.store.set_epoch(Epoch(Uuid::from_u128(2)));
        does(&node, post(room, ANN, "of the new history")).await;
        let heard = bob.hears_all().await;
        assert_eq!(heard, [ReceivedFrame::Closed(1012)]);
        drop(bob);
        pass(SOON).await;
        let mut bob = node.connect(BOB, 0, ConnectTarget::User);
        let state = bob.hears("connection_established").await.expect("to be accepted");
        assert_eq!(state["unread_count"], 1);
    });
}

#[test]
fn nothing_stays_of_a_list_that_nobody_looks_at() {
    paused(async {
        let (_setup, node, room, bob) = viewed().await;
        does(&node, post(room, ANN, "hello")).await;
        assert_eq!((held(&node, "inbox viewers").await, held(&node, "viewed rooms").await), (1, 1));
        drop(bob);
        pass(SOON).await;
        for what in ["inbox viewers", "viewed rooms", "stale inboxes", "changed rows", "inboxes being read"] {
            assert_eq!(held(&node, what).await, 0, "{what}");
        }
    });
}

#[test]
fn a_socket_that_was_behind_is_sent_the_newest_of_every_row() {
    paused(async {
        // More rows than signals are kept for one socket.
        const ROOMS: usize = 300;
        let setup = Setup::new();
        let mut rooms = Vec::new();
        for _ in 0..ROOMS {
            rooms.push(setup.room(&[ANN, BOB]).await);
        }
        let node = setup.node();
        let bob = connects_with(&node, BOB, ConnectTarget::User, 1_000, FOREVER);
        for round in ["first", "second"] {
            let posts = rooms.iter().enumerate().map(|(n, room)| post(*room, ANN, &format!("{round}-{n}.")));
            assert!(all_at_once(&node, posts).await.iter().all(Result::is_ok));
            pass(SOON).await;
        }
        let mut heard = String::new();
        while let Ok(Some(more)) = tokio::time::timeout(Duration::from_secs(1), bob.peer.read(1_000)).await {
            heard.push_str(&String::from_utf8_lossy(&more));
        }
        let missing: Vec<usize> =
            (0..ROOMS).filter(|n| !heard.contains(&format!("\"second-{n}.\""))).collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert_eq!(held(&node, "inboxes being resent").await, 0);
    });
}

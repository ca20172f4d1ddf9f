//! Sockets that are refused, however things are timed.

mod frames;

use std::time::Duration;

use actix::System;
use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::command::{OpenRoom, Principal};
use crate::domain::entry::{EntryTerms, HostRoster};
use crate::domain::ids::{RoomId, Seq, UserId};
use crate::domain::rate::Rate;
use crate::domain::room::RoomType;
use crate::domain::user::UserSummary;
use crate::engine::{ConnectError, ConnectTarget};
use crate::limits::{self, Limits};
use crate::memory::engine::{Client, MemoryEngine, ReceivedFrame};
use crate::memory::store::{Fault, Faults, MemoryStore, NoFaults, StoreCall};
use crate::ports::store::{Store, UserAccess};
use crate::protocol::codec;

const ANN: UserId = UserId(1);
const BOB: UserId = UserId(2);
/// Longer than any test takes in its own time.
const FOR_EVER: Duration = Duration::from_secs(86_400);

/// Reads of rooms that take for ever.
struct SlowSnapshots;

impl Faults for SlowSnapshots {
    fn fault_for(&self, call: StoreCall<'_>) -> Fault {
        let before = if matches!(call, StoreCall::Snapshot(_)) { FOR_EVER } else { Duration::ZERO };
        Fault { before, ..Fault::default() }
    }
}

/// Runs a test on paused time.
fn staged(faults: impl Faults, limits: Limits, test: impl AsyncFnOnce(MemoryEngine)) {
    let system = System::with_tokio_rt(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().expect("it needs nothing")
    });
    system.block_on(async {
        let store = MemoryStore::new(faults);
        for (user, name) in [(ANN, "ann"), (BOB, "bob")] {
            store.put_user(UserSummary::new(user, name, name), true);
        }
        test(MemoryEngine::start(store, limits)).await;
    });
}

async fn room_of(engine: &MemoryEngine, people: &[UserId]) -> RoomId {
    let open = OpenRoom {
        id: RoomId(Uuid::new_v4()),
        by: Principal::User(people[0]),
        room_type: RoomType::Group,
        name: String::new(),
        subject: None,
        title: None,
        users: people[1..].to_vec(),
        granted: None,
        granted_terms: EntryTerms::default(),
        roster: HostRoster::default(),
        open_subjects: true,
    };
    engine.store.open_room(&open).await.expect("it works").expect("it may be").room
}

fn into(room: RoomId) -> ConnectTarget {
    ConnectTarget::Room { room, since: Some(Seq(0)), epoch: None }
}

async fn held(engine: &MemoryEngine, what: &str) -> usize {
    let counts = engine.handle.diagnostics().await;
    counts.iter().filter(|(name, _)| *name == what).map(|(_, count)| count).sum()
}

/// Waits for so many refusals, and gives their codes.
async fn refusals(client: &mut Client, count: usize) -> Vec<Value> {
    let mut codes = Vec::new();
    while codes.len() < count {
        codes.push(client.hears("error").await.expect("an open socket")["code"].clone());
    }
    codes
}

#[test]
fn who_comes_while_the_server_goes_is_refused_and_told_nothing_else() {
    staged(NoFaults, Limits::default(), async |engine| {
        let room = room_of(&engine, &[ANN, BOB]).await;
        let _left = engine.handle.drain(Duration::ZERO, Duration::ZERO).await;
        for target in [into(room), ConnectTarget::User] {
            let mut client = engine.connect(ANN, 0, target);
            client.sends(&json!({"type": "chat_message", "room_id": room, "message": "x"}));
            assert_eq!(client.hears_all().await, [ReceivedFrame::Accepted, ReceivedFrame::Closed(1012)]);
        }
        let log = engine.store.events(room, Seq(0), 100).await.expect("it works");
        assert_eq!(log.len(), 3);
    });
}

#[test]
fn who_waits_to_be_let_in_is_refused_when_the_server_goes() {
    staged(SlowSnapshots, Limits::default(), async |engine| {
        let room = room_of(&engine, &[ANN]).await;
        let mut client = engine.connect(ANN, 0, into(room));
        client.sends(&json!({"type": "chat_message", "message": "x"}));
        tokio::time::sleep(Duration::from_millis(100)).await;
        let (_, heard) =
            tokio::join!(engine.handle.drain(Duration::from_secs(1), Duration::ZERO), client.hears_all());
        assert_eq!(heard, [ReceivedFrame::Accepted, ReceivedFrame::Closed(1012)]);
    });
}

#[test]
fn who_waits_to_be_let_in_waits_no_longer_than_an_answer_may_take() {
    staged(SlowSnapshots, Limits::default(), async |engine| {
        let room = room_of(&engine, &[ANN]).await;
        let mut client = engine.connect(ANN, 0, into(room));
        client.sends(&json!({"type": "ping"}));
        let since = engine.clock.now();
        assert_eq!(client.hears_all().await, [ReceivedFrame::Accepted, ReceivedFrame::Closed(1012)]);
        let waited = engine.clock.now() - since;
        assert!((limits::COMMAND_TIMEOUT..Duration::from_secs(11)).contains(&waited), "{waited:?}");
    });
}

#[test]
fn who_is_revoked_while_waiting_is_refused() {
    staged(SlowSnapshots, Limits::default(), async |engine| {
        let room = room_of(&engine, &[ANN, BOB]).await;
        let mut client = engine.connect(ANN, 5, into(room));
        let refuse: fn(ConnectError) -> Bytes = |error| codec::close(error.close_code());
        let mut other = engine.open(ANN, 5, into(room), Some(refuse));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(held(&engine, "users").await, 1);
        let change = UserAccess { user: ANN, is_active: true, tokens_valid_from: Some(6) };
        engine.handle.user_changed(change);
        assert_eq!(client.hears_all().await, [ReceivedFrame::Accepted, ReceivedFrame::Closed(4401)]);
        assert_eq!(other.hears_all().await, [ReceivedFrame::Closed(4401)]);
        assert_eq!((held(&engine, "users").await, held(&engine, "users going offline").await), (0, 0));
    });
}

#[test]
fn nothing_stays_of_rooms_that_nobody_who_asked_is_in() {
    staged(NoFaults, Limits::default(), async |engine| {
        let theirs = room_of(&engine, &[BOB]).await;
        let mut client = engine.connect(ANN, 0, ConnectTarget::User);
        client.hears("connection_established").await.expect("to be let in");
        let since = engine.clock.now();
        for n in 0..60 {
            let room = if n % 3 == 0 { theirs } else { RoomId(Uuid::from_u128(n)) };
            let kind = if n % 2 == 0 { "subscribe" } else { "mark_room_read" };
            client.sends(&json!({"type": kind, "room_id": room}));
        }
        refusals(&mut client, 60).await;
        assert_eq!((held(&engine, "rooms").await, held(&engine, "unconfirmed rooms").await), (0, 0));
        assert!(engine.clock.now() - since < Duration::from_secs(1));
        // One that someone is in stays.
        let own = room_of(&engine, &[ANN]).await;
        client.sends(&json!({"type": "subscribe", "room_id": own}));
        client.hears("subscribed").await.expect("an open socket");
        assert_eq!((held(&engine, "rooms").await, held(&engine, "unconfirmed rooms").await), (1, 0));
    });
}

#[test]
fn rooms_asked_for_in_vain_have_a_budget() {
    let limits = Limits { lookups: Rate::new(1.0, 5), ..Limits::default() };
    staged(NoFaults, limits, async |engine| {
        let mut client = engine.connect(ANN, 0, ConnectTarget::User);
        client.hears("connection_established").await.expect("to be let in");
        for _ in 0..8 {
            let own = room_of(&engine, &[ANN]).await;
            client.sends(&json!({"type": "subscribe", "room_id": own}));
            client.hears("subscribed").await.expect("an open socket");
        }
        for room in 0..7 {
            client.sends(&json!({"type": "subscribe", "room_id": RoomId(Uuid::from_u128(room))}));
        }
        let codes = refusals(&mut client, 7).await;
        let refused = codes.iter().filter(|code| **code == "rate_limited").count();
        assert_eq!((refused, codes.len() - refused), (2, 5), "{codes:?}");
        let mut socket = engine.connect(ANN, 0, into(RoomId(Uuid::from_u128(9))));
        assert_eq!(socket.hears_all().await, [ReceivedFrame::Accepted, ReceivedFrame::Closed(4429)]);
        let mut others = engine.connect(BOB, 0, into(RoomId(Uuid::from_u128(9))));
        assert_eq!(others.hears_all().await, [ReceivedFrame::Accepted, ReceivedFrame::Closed(4403)]);
    });
}

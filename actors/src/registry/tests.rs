//! Which actor a room has, for how long, and what replaces one that ended.

use std::time::Duration;

use actix::Arbiter;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::domain::ids::Epoch;
use crate::domain::rate::Rate;
use crate::engine::ConnectTarget;
use crate::limits::{FEED_POLL_INTERVAL, Limits, ROOM_IDLE_TIMEOUT};
use crate::messages::room::{ListTyping, RoomHandle};
use crate::setup::{ANN, BOB, SOON, Setup, does, hears_within, held, opens_room, pass, paused, post};

fn room(number: u128) -> RoomId {
    RoomId(Uuid::from_u128(number))
}

fn run(limits: Limits, test: impl AsyncFnOnce(&Addr<RegistryActor>)) {
    paused(async {
        let node = Setup::with_limits(limits).node();
        test(node.handle.registry()).await;
    });
}

async fn resolve(registry: &Addr<RegistryActor>, room: RoomId) -> Result<ResolvedRoom, EngineError> {
    let resolve = ResolveRoom { room, arbiter: Arbiter::current(), by: Some(ANN) };
    registry.send(resolve).await.expect("the registry runs")
}

async fn actor(registry: &Addr<RegistryActor>, room: RoomId) -> RoomHandle {
    resolve(registry, room).await.expect("the budget suffices").handle
}

#[test]
fn everyone_is_given_the_same_actor_of_a_room() {
    run(Limits::default(), async |registry| {
        let first = actor(registry, room(1)).await;
        assert!(Arc::ptr_eq(&first, &actor(registry, room(1)).await));
        assert!(!Arc::ptr_eq(&first, &actor(registry, room(2)).await));
    });
}

#[test]
fn a_retired_actor_takes_nothing_from_the_next_one() {
    run(Limits::default(), async |registry| {
        let first = actor(registry, room(1)).await;
        let instance = RoomInstance { room: room(1), number: 1 };
        registry.tell(RetireRoom(instance));
        let second = actor(registry, room(1)).await;
        assert!(!Arc::ptr_eq(&first, &second));
        // What the first one still says has no effect.
        registry.tell(RetireRoom(instance));
        registry.tell(ConfirmRoom(instance));
        let resolved = resolve(registry, room(1)).await.expect("the budget suffices");
        assert!(Arc::ptr_eq(&second, &resolved.handle) && !resolved.is_confirmed);
    });
}

#[test]
fn a_room_that_someone_is_in_costs_no_lookup() {
    let limits = Limits { lookups: Rate::new(0.001, 2), ..Limits::default() };
    run(limits, async |registry| {
        for number in 0..4 {
            let handle = actor(registry, room(number)).await;
            // Only a participant is let through to ask this, so it confirms the room.
            handle.ask(ListTyping).await.expect("the room runs");
        }
        for number in 4..6 {
            resolve(registry, room(number)).await.expect("two lookups are left");
        }
        let refused = resolve(registry, room(6)).await.err();
        assert!(matches!(refused, Some(EngineError::RateLimited { .. })), "{refused:?}");
        resolve(registry, room(5)).await.expect("a running actor costs none");
    });
}

#[test]
fn sockets_and_commands_of_a_room_share_one_actor() {
    paused(async {
        let setup = Setup::new();
        let node = setup.node();
        let (room, other) = (setup.room(&[ANN, BOB]).await, setup.room(&[ANN, BOB]).await);
        let (mut ann, mut bob) = (opens_room(&node, ANN, room).await, opens_room(&node, BOB, room).await);
        does(&node, post(room, ANN, "hello")).await;
        for client in [&mut ann, &mut bob] {
            assert!(hears_within(client, "chat_message", SOON).await.is_some());
        }
        assert_eq!(held(&node, "rooms").await, 1);
        does(&node, post(other, ANN, "elsewhere")).await;
        assert_eq!(held(&node, "rooms").await, 2);
        assert_eq!(hears_within(&mut bob, "chat_message", SOON).await, None);
    });
}

#[test]
fn a_room_without_sockets_ends_and_one_with_sockets_stays() {
    paused(async {
        let setup = Setup::new();
        let node = setup.node();
        let (room, other) = (setup.room(&[ANN, BOB]).await, setup.room(&[ANN, BOB]).await);
        let bob = opens_room(&node, BOB, room).await;
        let ann = opens_room(&node, ANN, other).await;
        drop(ann);
        pass(ROOM_IDLE_TIMEOUT - SOON).await;
        assert_eq!(held(&node, "rooms").await, 2);
        bob.peer.heard();
        pass(SOON * 2).await;
        assert_eq!(held(&node, "rooms").await, 1);
        bob.peer.heard();
        pass(ROOM_IDLE_TIMEOUT).await;
        assert_eq!(held(&node, "rooms").await, 1);
        let mut ann = opens_room(&node, ANN, other).await;
        does(&node, post(other, BOB, "again")).await;
        assert!(hears_within(&mut ann, "chat_message", SOON).await.is_some());
    });
}

#[test]
fn commands_come_through_while_their_room_goes_to_sleep() {
    paused(async {
        let setup = Setup::new();
        let node = setup.node();
        let room = setup.room(&[ANN, BOB]).await;
        let mut posted = Vec::new();
        for n in 0..20 {
            does(&node, post(room, ANN, &n.to_string())).await;
            posted.push(n.to_string());
            pass(ROOM_IDLE_TIMEOUT - Duration::from_millis(10) + Duration::from_millis(1) * n).await;
        }
        assert_eq!(setup.texts(room).await, posted);
    });
}

#[test]
fn a_room_of_another_history_is_replaced_and_its_sockets_are_reset() {
    paused(async {
        let setup = Setup::new();
        let node = setup.node();
        let room = setup.room(&[ANN, BOB]).await;
        let mut bob = opens_room(&node, BOB, room).await;
        let epoch = Epoch(Uuid::from_u128(2));
        setup.store.set_epoch(epoch);
        let reset = hears_within(&mut bob, "reset", FEED_POLL_INTERVAL + SOON).await.expect("it is sent");
        assert_eq!((&reset["epoch"], &reset["seq"]), (&json!(epoch), &json!(3)));
        assert_eq!(held(&node, "rooms").await, 1);
        does(&node, post(room, ANN, "of the new history")).await;
        assert!(hears_within(&mut bob, "chat_message", SOON).await.is_some());
    });
}

#[test]
fn nothing_stays_of_a_room_that_is_not_there() {
    paused(async {
        let setup = Setup::new();
        let node = setup.node();
        let room = room(404);
        assert!(node.handle.command(post(room, ANN, "hello")).await.is_err());
        let mut ann = node.connect(ANN, 0, ConnectTarget::Room { room, since: None, epoch: None });
        assert!(ann.hears("connection_established").await.is_none());
        assert_eq!((held(&node, "rooms").await, held(&node, "unconfirmed rooms").await), (0, 0));
    });
}

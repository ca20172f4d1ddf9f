//! How commands share transactions, and what becomes of those that the store does not carry out.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::command::{CommandReply, ForwardDraft, Refusal, RoomChange};
use crate::domain::ids::{ClientId, RoomId};
use crate::domain::rate::Rate;
use crate::error::EngineError;
use crate::limits::{
    BATCH_COMMANDS_MAX, BATCHES_IN_FLIGHT_MAX, Limits, QUEUED_COMMANDS_MAX, ROOM_PENDING_MAX,
};
use crate::memory::store::{CallFate, Fault, StoreCall};
use crate::setup::{
    ANN, AppendCall, BOB, FOREVER, SOON, Setup, all_at_once, answers_after, begins_after, change, does,
    fails, held, pass, paused, post, post_as, starts,
};

/// How long a commit takes in these tests.
const COMMIT: Duration = Duration::from_millis(100);

/// Has each append take its time.
fn slow_commits(call: StoreCall<'_>) -> Fault {
    if matches!(call, StoreCall::Append { .. }) { answers_after(COMMIT) } else { Fault::default() }
}

/// A setup without limits of rate, and so many rooms.
async fn rooms(count: usize) -> (Setup, Vec<RoomId>) {
    let limits = Limits { messages: Rate::UNLIMITED, ..Limits::default() };
    let setup = Setup::with_limits(limits);
    let mut rooms = Vec::new();
    for _ in 0..count {
        rooms.push(setup.room(&[ANN, BOB]).await);
    }
    (setup, rooms)
}

fn sizes(appends: &[AppendCall]) -> Vec<usize> {
    appends.iter().map(|append| append.rooms.len()).collect()
}

#[test]
fn batches_grow_while_a_commit_is_under_way() {
    paused(async {
        let (setup, rooms) = rooms(10).await;
        let node = setup.node();
        setup.probe.set(slow_commits);
        let since = node.clock.now();
        let answers = all_at_once(&node, (0..100).map(|n| post(rooms[n % 10], ANN, &n.to_string()))).await;
        assert!(answers.iter().all(Result::is_ok));
        let sizes = sizes(&setup.probe.appends());
        assert_eq!(sizes.iter().sum::<usize>(), 100);
        assert_eq!(sizes[0], 1, "nothing waits for company: {sizes:?}");
        assert!(sizes.iter().any(|size| *size >= 50) && sizes.len() <= 6, "{sizes:?}");
        assert!(node.clock.now() - since <= COMMIT * 4);
        for (n, room) in rooms.iter().enumerate() {
            let expected: Vec<String> = (0..10).map(|round| (round * 10 + n).to_string()).collect();
            assert_eq!(setup.texts(*room).await, expected);
        }
        for what in ["queued commands", "rooms committing", "rooms ready to commit", "locked rooms"] {
            assert_eq!(held(&node, what).await, 0, "{what}");
        }
    });
}

#[test]
fn a_command_that_sends_many_messages_takes_the_place_of_as_many() {
    paused(async {
        let (setup, rooms) = rooms(60).await;
        let node = setup.node();
        setup.probe.set(slow_commits);
        let forward = |room| {
            let messages = (0..20).map(|n| {
                let RoomChange::Post(draft) = post(room, ANN, &n.to_string()).change else {
                    panic!("a post")
                };
                ForwardDraft { draft, origin: None }
            });
            change(room, ANN, RoomChange::Forward(messages.collect()))
        };
        // Two that keep both transactions busy, so that the others come together.
        let busy = all_at_once(&node, [post(rooms[0], ANN, "0"), post(rooms[1], ANN, "0")]);
        let others = async {
            pass(COMMIT / 2).await;
            let answers = all_at_once(&node, rooms[2..].iter().map(|room| forward(*room)));
            let queued = async {
                pass(COMMIT / 4).await;
                held(&node, "queued commands").await
            };
            tokio::join!(answers, queued)
        };
        let (busy, (others, queued)) = tokio::join!(busy, others);
        assert!(busy.iter().chain(&others).all(Result::is_ok));
        assert_eq!(queued, 58 * 20);
        assert_eq!(
            sizes(&setup.probe.appends()),
            [1, 1, BATCH_COMMANDS_MAX / 20, BATCH_COMMANDS_MAX / 20, 8]
        );
        assert_eq!(setup.texts(rooms[40]).await.len(), 20);
        assert_eq!(held(&node, "queued commands").await, 0);
    });
}

#[test]
fn transactions_under_way_are_few_and_share_no_room() {
    paused(async {
        let (setup, rooms) = rooms(5).await;
        let node = setup.node();
        setup.probe.set(slow_commits);
        for wave in 0..20 {
            for n in 0..7 {
                drop(starts(&node, post(rooms[(wave * 3 + n) % 5], ANN, "x")));
            }
            pass(COMMIT / 3).await;
        }
        pass(COMMIT * 10).await;
        let appends = setup.probe.appends();
        assert_eq!(sizes(&appends).iter().sum::<usize>(), 140);
        for (n, append) in appends.iter().enumerate() {
            let under_way: Vec<&AppendCall> =
                appends[..n].iter().filter(|earlier| earlier.at + COMMIT > append.at).collect();
            assert!(under_way.len() < BATCHES_IN_FLIGHT_MAX);
            let rooms: BTreeSet<RoomId> = append.rooms.iter().copied().collect();
            assert!(under_way.iter().all(|earlier| earlier.rooms.iter().all(|room| !rooms.contains(room))));
        }
    });
}

#[test]
fn a_row_that_the_store_refuses_is_isolated() {
    paused(async {
        let (setup, rooms) = rooms(16).await;
        let node = setup.node();
        setup.probe.set(slow_commits);
        setup.store.refuse(|command| match &command.change {
            RoomChange::Post(draft) => draft.content == "bad",
            _ => false,
        });
        // Two that keep both transactions busy, so that the others come together.
        let busy = all_at_once(&node, [post(rooms[14], ANN, "0"), post(rooms[15], ANN, "0")]);
        let texts = ["before", "bad", "after"];
        let others = async {
            pass(COMMIT / 2).await;
            let same_room = texts.map(|text| post(rooms[5], ANN, text));
            let other_rooms = (0..14).filter(|n| *n != 5).map(|n| post(rooms[n], ANN, "good"));
            all_at_once(&node, same_room.into_iter().chain(other_rooms)).await
        };
        let (busy, others) = tokio::join!(busy, others);
        assert!(busy.iter().all(Result::is_ok));
        let refused: Vec<usize> = (0..others.len()).filter(|n| others[*n].is_err()).collect();
        assert_eq!(refused, [1]);
        assert_eq!(others[1], Err(EngineError::Refused(Refusal::Rejected)));
        assert_eq!(setup.texts(rooms[5]).await, ["before", "after"]);
        assert_eq!(setup.texts(rooms[6]).await, ["good"]);
        let appends = setup.probe.appends();
        assert!(appends.iter().any(|append| append.rooms.len() == 16), "{:?}", sizes(&appends));
        assert!(appends.iter().any(|append| append.rooms == [rooms[5]]), "{:?}", sizes(&appends));
        // Halving sixteen comes to one of them in four steps, and each leaves one half to be stored.
        assert!(appends.len() <= 2 + 1 + 2 * 4, "{:?}", sizes(&appends));
    });
}

#[test]
fn a_commit_of_unknown_outcome_is_not_repeated_and_the_clients_retry_finds_it() {
    paused(async {
        for is_stored in [true, false] {
            let (setup, rooms) = rooms(1).await;
            let node = setup.node();
            setup.probe.set(move |call| match call {
                StoreCall::Append { .. } if is_stored => {
                    Fault { fate: CallFate::AnswerLost, ..Fault::default() }
                }
                StoreCall::Append { .. } => {
                    let fate = CallFate::Fails(crate::ports::store::StoreError::OutcomeUnknown);
                    Fault { fate, ..Fault::default() }
                }
                _ => Fault::default(),
            });
            let client_id = Some(ClientId(Uuid::from_u128(7)));
            let send = || post_as(rooms[0], ANN, "hello", client_id);
            assert_eq!(node.handle.command(send()).await, Err(EngineError::OutcomeUnknown));
            assert_eq!(setup.probe.appends().len(), 1, "only the client may send it again");
            setup.probe.clear();
            let CommandReply::Posted { duplicate, .. } = does(&node, send()).await else {
                panic!("a message")
            };
            assert_eq!(duplicate, is_stored);
            assert_eq!(setup.texts(rooms[0]).await, ["hello"]);
        }
    });
}

#[test]
fn what_waits_for_a_store_that_is_stuck_has_a_bound_and_an_end() {
    paused(async {
        let room_count = QUEUED_COMMANDS_MAX / ROOM_PENDING_MAX + 2;
        let (setup, rooms) = rooms(room_count).await;
        let node = setup.node();
        setup.probe.set(|call| match call {
            StoreCall::Append { .. } => begins_after(FOREVER),
            _ => Fault::default(),
        });
        let since = Instant::now();
        let commands = (0..room_count * ROOM_PENDING_MAX).map(|n| post(rooms[n % room_count], ANN, "x"));
        let answers: Vec<_> = commands
            .map(|command| {
                let answer = starts(&node, command);
                actix::spawn(async move { (answer.await.expect("no panic"), since.elapsed()) })
            })
            .collect();
        pass(SOON).await;
        assert_eq!(held(&node, "queued commands").await, QUEUED_COMMANDS_MAX);
        let in_flight: usize = sizes(&setup.probe.appends()).iter().sum();
        assert_eq!(setup.probe.appends().len(), BATCHES_IN_FLIGHT_MAX);
        let (mut overloaded, mut expired, mut unknown) = (0, 0, 0);
        for answer in answers {
            let (answer, waited) = answer.await.expect("no panic");
            match answer {
                Err(EngineError::Overloaded) => {
                    assert!(waited < SOON);
                    overloaded += 1;
                }
                Err(EngineError::Unavailable) => {
                    let store_timeout = setup.limits.store_timeout;
                    assert!((store_timeout..store_timeout + Duration::from_secs(1)).contains(&waited));
                    expired += 1;
                }
                Err(EngineError::OutcomeUnknown) => unknown += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((expired, unknown), (QUEUED_COMMANDS_MAX, in_flight));
        assert_eq!(overloaded, room_count * ROOM_PENDING_MAX - QUEUED_COMMANDS_MAX - in_flight);
        assert_eq!(held(&node, "queued commands").await, 0);
    });
}

#[test]
fn a_transaction_takes_so_many_commands_and_no_more() {
    paused(async {
        let (setup, rooms) = rooms(3).await;
        let node = setup.node();
        setup.probe.set(slow_commits);
        let answers = all_at_once(&node, (0..2_400).map(|n| post(rooms[n % 3], ANN, "x"))).await;
        assert!(answers.iter().all(Result::is_ok));
        let sizes = sizes(&setup.probe.appends());
        assert_eq!(sizes.iter().max(), Some(&BATCH_COMMANDS_MAX), "{sizes:?}");
    });
}

#[test]
fn a_locked_room_keeps_nobody_else_waiting() {
    paused(async {
        let (setup, rooms) = rooms(2).await;
        let node = setup.node();
        setup.store.hold(rooms[0], true);
        let first = starts(&node, post(rooms[0], ANN, "first"));
        pass(SOON).await;
        let second = starts(&node, post(rooms[0], ANN, "second"));
        let since = node.clock.now();
        does(&node, post(rooms[1], ANN, "other")).await;
        assert!(node.clock.now() - since < SOON);
        pass(Duration::from_secs(1)).await;
        assert!(!first.is_finished() && held(&node, "locked rooms").await == 1);
        setup.store.hold(rooms[0], false);
        for answer in [first, second] {
            assert!(answer.await.expect("no panic").is_ok());
        }
        assert!(node.clock.now() - since < Duration::from_millis(1_500));
        assert_eq!(setup.texts(rooms[0]).await, ["first", "second"]);
        let waits: Vec<bool> = setup.probe.appends().iter().map(|append| append.waits).collect();
        assert_eq!(waits.iter().filter(|waits| **waits).count(), 1, "{waits:?}");
    });
}

#[test]
fn a_room_that_stays_locked_is_given_up_in_time() {
    paused(async {
        let (setup, rooms) = rooms(1).await;
        let node = setup.node();
        setup.store.hold(rooms[0], true);
        let since = node.clock.now();
        let answer = node.handle.command(post(rooms[0], ANN, "too late")).await;
        assert_eq!(answer, Err(EngineError::Unavailable));
        let (waited, store_timeout) = (node.clock.now() - since, setup.limits.store_timeout);
        assert!((store_timeout..store_timeout + Duration::from_secs(2)).contains(&waited), "{waited:?}");
        setup.store.hold(rooms[0], false);
        pass(Duration::from_secs(3)).await;
        does(&node, post(rooms[0], ANN, "in time")).await;
        assert_eq!(setup.texts(rooms[0]).await, ["in time"]);
        assert_eq!(held(&node, "locked rooms").await, 0);
    });
}

#[test]
fn commands_wait_in_order_for_a_store_that_is_away() {
    paused(async {
        let (setup, rooms) = rooms(2).await;
        let node = setup.node();
        setup
            .probe
            .set(|call| if matches!(call, StoreCall::Append { .. }) { fails() } else { Fault::default() });
        let mut answers = Vec::new();
        for n in 0..6 {
            answers.push(starts(&node, post(rooms[n % 2], ANN, &n.to_string())));
            pass(Duration::from_millis(30)).await;
        }
        pass(Duration::from_secs(1)).await;
        let tries = setup.probe.appends().len();
        assert!((5..=40).contains(&tries), "it is tried again, with pauses: {tries}");
        assert!(answers.iter().all(|answer| !answer.is_finished()));
        setup.probe.clear();
        for answer in answers {
            assert!(answer.await.expect("no panic").is_ok());
        }
        assert_eq!(setup.texts(rooms[0]).await, ["0", "2", "4"]);
        assert_eq!(setup.texts(rooms[1]).await, ["1", "3", "5"]);
    });
}

#[test]
fn a_command_is_given_up_when_the_store_stays_away() {
    paused(async {
        let (setup, rooms) = rooms(1).await;
        let node = setup.node();
        setup
            .probe
            .set(|call| if matches!(call, StoreCall::Append { .. }) { fails() } else { Fault::default() });
        let since = node.clock.now();
        let answer = node.handle.command(post(rooms[0], ANN, "too late")).await;
        assert_eq!(answer, Err(EngineError::Unavailable));
        let (waited, store_timeout) = (node.clock.now() - since, setup.limits.store_timeout);
        assert!((store_timeout..store_timeout + Duration::from_secs(1)).contains(&waited), "{waited:?}");
        setup.probe.clear();
        pass(Duration::from_secs(1)).await;
        assert!(setup.texts(rooms[0]).await.is_empty());
    });
}

#[test]
fn what_is_under_way_when_the_server_stops_is_finished_and_nothing_new_begun() {
    paused(async {
        let (setup, rooms) = rooms(1).await;
        let node = setup.node();
        setup.probe.set(slow_commits);
        let under_way = starts(&node, post(rooms[0], ANN, "under way"));
        pass(COMMIT / 10).await;
        let drained = node.handle.drain(Duration::ZERO, COMMIT * 5);
        let late = async {
            pass(COMMIT / 2).await;
            node.handle.command(post(rooms[0], ANN, "too late")).await
        };
        let (report, late) = tokio::join!(drained, late);
        assert_eq!((report.commands, late), (0, Err(EngineError::Unavailable)));
        assert!(under_way.await.expect("no panic").is_ok());
        assert_eq!(setup.texts(rooms[0]).await, ["under way"]);
    });
}

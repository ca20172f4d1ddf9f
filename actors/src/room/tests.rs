//! How guests come to where the others are, beside faults that the simulation doesn't make often.

mod signals;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{Arbiter, System};
use bytes::Bytes;
use serde_json::json;
use uuid::Uuid;

use super::RoomActor;
use crate::domain::command::{
    Command, DraftExtras, MessageDraft, MissingReplyTarget, OpenRoom, Principal, RoomChange,
};
use crate::domain::entry::{EntryTerms, HostRoster};
use crate::domain::ids::{MessageId, RoomId, Seq, UserId};
use crate::domain::mentions::Mentions;
use crate::domain::message::MessageType;
use crate::domain::room::RoomType;
use crate::domain::user::UserSummary;
use crate::engine::ConnectTarget;
use crate::limits::Limits;
use crate::mailbox::Tell;
use crate::memory::connection::connection;
use crate::memory::engine::{MemoryEngine, ReceivedFrame};
use crate::memory::mailbox::NullMailbox;
use crate::memory::store::{Fault, Faults, MemoryStore, NoFaults, StoreCall};
use crate::messages::instance::RoomInstance;
use crate::messages::registry::RouteHeads;
use crate::messages::room::{JoinKind, JoinRoom, ResumePosition, Subscriber, SubscriptionKind};
use crate::messages::session::SessionId;
use crate::messages::switchboard::{AttachSocket, OpenSocket, OutboxHandle};
use crate::ports::store::Store;

const ANN: UserId = UserId(1);
const BOB: UserId = UserId(2);

/// The first read of a log takes for ever.
#[derive(Default)]
struct SlowReplay(AtomicBool);

impl Faults for SlowReplay {
    fn fault_for(&self, call: StoreCall<'_>) -> Fault {
        let is_first = matches!(call, StoreCall::Events(_)) && !self.0.swap(true, Ordering::Relaxed);
        let before = if is_first { Duration::from_secs(86_400) } else { Duration::ZERO };
        Fault { before, ..Fault::default() }
    }
}

/// Runs a test on paused time, with a room of two.
fn staged(faults: impl Faults, limits: Limits, test: impl AsyncFnOnce(MemoryEngine, RoomId)) {
    let system = System::with_tokio_rt(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().expect("it needs nothing")
    });
    system.block_on(async {
        let store = MemoryStore::new(faults);
        for (user, name) in [(ANN, "ann"), (BOB, "bob")] {
            store.put_user(UserSummary::new(user, name, name), true);
        }
        let open = OpenRoom {
            id: RoomId(Uuid::from_u128(1)),
            by: Principal::User(ANN),
            room_type: RoomType::Group,
            name: String::new(),
            subject: None,
            title: None,
            users: vec![BOB],
            granted: None,
            granted_terms: EntryTerms::default(),
            roster: HostRoster::default(),
            open_subjects: true,
        };
        let room = store.open_room(&open).await.expect("it works").expect("it may be").room;
        test(MemoryEngine::start(store, limits), room).await;
    });
}

/// Stores a message behind the engine's back.
async fn stores(engine: &MemoryEngine, room: RoomId, text: &str) {
    let draft = MessageDraft {
        id: MessageId(Uuid::new_v4()),
        client_id: None,
        digest: MessageDraft::digest_of(text, None, None),
        content: text.to_owned(),
        message_type: MessageType::Text,
        attachment: None,
        reply_to: None,
        missing_reply_target: MissingReplyTarget::Ignore,
        extras: DraftExtras::default(),
        mentions: Mentions::default(),
    };
    let command = Arc::new(Command { room, by: Principal::User(ANN), change: RoomChange::Post(draft) });
    let stored = engine.store.append(&[command], true).await.expect("it works");
    assert!(matches!(stored[0], Some(Ok(_))));
}

#[test]
fn those_who_are_live_wait_for_nobodys_replay() {
    staged(SlowReplay::default(), Limits::default(), async |engine, room| {
        let mut live = engine.connect(ANN, 0, ConnectTarget::Room { room, since: None, epoch: None });
        live.hears("presence_state").await.expect("to be let in");
        let mut returns =
            engine.connect(BOB, 0, ConnectTarget::Room { room, since: Some(Seq(1)), epoch: None });
        returns.hears("connection_established").await.expect("to be let in");
        tokio::time::sleep(Duration::from_secs(1)).await;
        stores(&engine, room, "missed").await;
        engine.handle.registry().tell(RouteHeads(vec![(room, Seq(4))]));
        let told = tokio::time::timeout(Duration::from_secs(5), live.hears("chat_message")).await;
        let told = told.expect("it waits for nothing").expect("an open socket");
        assert_eq!(told["message"]["content"], "missed");
    });
}

#[test]
fn who_returns_to_a_new_actor_misses_nothing_however_much_that_is() {
    let limits = Limits { replay_events_max: 5, ..Limits::default() };
    staged(NoFaults, limits, async |engine, room| {
        for n in 0..20 {
            stores(&engine, room, &n.to_string()).await;
        }
        let returns = async |number, since| {
            let (writer, peer) = connection(1 << 20, engine.clock);
            let switchboard = engine.worker.switchboard.clone();
            let attach = AttachSocket { writer: Box::new(writer), session: Arc::new(NullMailbox) };
            let id = switchboard.ask(attach).await.expect("it lives");
            switchboard.tell(OpenSocket { outbox: id, first: Bytes::from_static(b">>") });
            let outbox = OutboxHandle { switchboard, worker: 0, id };
            let (id, session) = (SessionId::new(9, number), Arc::new(NullMailbox));
            let subscriber = Arc::new(Subscriber { id, user: ANN, outbox, session });
            let instance = RoomInstance { room, number: u64::MAX };
            let actor = RoomActor::start_on(&Arbiter::current(), engine.handle.rooms(), instance);
            let position = ResumePosition { since, epoch: None };
            let join = JoinRoom {
                subscriber,
                join_kind: JoinKind::Rejoin(SubscriptionKind::RoomSocket),
                position,
                issued_at: 0,
            };
            assert!(actor.send(join).await.expect("it lives"));
            (peer, actor)
        };
        let (peer, _actor) = returns(1, Some(Seq(3))).await;
        let mut heard = String::new();
        while heard.matches("chat_message").count() < 20 {
            let more = peer.read(4_096).await.expect("an open socket");
            heard.push_str(&String::from_utf8_lossy(&more));
        }
        assert!(!heard.contains("reset") && !heard.contains("connection_established"), "{heard}");
        // One that is where this log has never been is told to come back.
        for since in [Some(Seq(99)), None] {
            let (peer, _actor) = returns(2, since).await;
            let mut heard = Vec::new();
            while let Some(more) = peer.read(64).await {
                heard.extend(more);
            }
            assert!(heard.starts_with(b">>\x88") && heard[4..6] == 1011_u16.to_be_bytes(), "{heard:?}");
        }
    });
}

#[test]
fn a_client_that_is_too_far_behind_is_reset() {
    let limits = Limits { replay_events_max: 5, ..Limits::default() };
    staged(NoFaults, limits, async |engine, room| {
        for n in 0..20 {
            stores(&engine, room, &n.to_string()).await;
        }
        let mut client =
            engine.connect(ANN, 0, ConnectTarget::Room { room, since: Some(Seq(3)), epoch: None });
        client.hears("connection_established").await.expect("to be let in");
        let Some(ReceivedFrame::Text(next)) = client.next().await else { panic!("a frame") };
        assert_eq!((&next["type"], &next["seq"]), (&json!("reset"), &json!(23)));
    });
}

//! Single scenarios, without a storm: what is too rare or too large for the seeds.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use actors::domain::command::{
    DraftExtras, MessageDraft, MissingReplyTarget, OpenRoom, Principal, RoomChange,
};
use actors::domain::entry::{EntryTerms, HostRoster};
use actors::domain::ids::{MessageId, RoomId, UserId};
use actors::domain::mentions::Mentions;
use actors::domain::message::MessageType;
use actors::domain::room::RoomType;
use actors::ports::store::Store;
use serde_json::Value;

use crate::frames::{self, Frame};
use crate::history::Request;
use crate::rng::Rng;
use crate::run::on_paused_time;
use crate::socket::Socket;
use crate::world::{World, pass};

const ANN: UserId = UserId(1);
const BOB: UserId = UserId(2);
/// More rooms than signals are coalesced for a socket, and than are sent before it counts as behind.
const ROOMS: usize = 600;
/// How long a socket may be silent before it has received everything.
const SILENCE: Duration = Duration::from_secs(2);

impl Socket {
    /// The next text frames; none once nothing more comes.
    async fn next_texts(&mut self) -> Option<Vec<Value>> {
        let frames = tokio::time::timeout(SILENCE, self.frames(4_096)).await.ok()??;
        let text = |frame| match frame {
            Frame::Text(value) => Some(value),
            Frame::Close(code) => panic!("closed with {code}"),
            Frame::Ping | Frame::Pong => None,
        };
        Some(frames.into_iter().filter_map(text).collect())
    }
}

fn scenario(scenario: impl Future<Output = ()>) {
    on_paused_time(scenario);
}

#[test]
fn a_reader_that_was_behind_for_more_rooms_than_are_kept_back_is_told_all_of_them() {
    scenario(async {
        let world = World::new(Rng::new(7)).await;
        let node = world.nodes().remove(0);
        let mut rng = world.rng();
        let mut rooms: Vec<RoomId> = Vec::new();
        for _ in 0..ROOMS {
            let open = OpenRoom {
                id: RoomId(rng.uuid()),
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
            let opened =
                world.shared_store.store.open_room(&open).await.expect("no faults").expect("it may be");
            rooms.push(opened.room);
        }
        let mut socket = Socket::open(&world, node.clone(), BOB, world.second(), None);
        let greeting = loop {
            let texts = socket.next_texts().await.expect("a greeting");
            if let Some(first) = texts.into_iter().next() {
                break first;
            }
        };
        assert_eq!(greeting["type"], "connection_established");
        for room in &rooms {
            let draft = MessageDraft {
                id: MessageId(rng.uuid()),
                client_id: None,
                digest: MessageDraft::digest_of("hi", None, None),
                content: "hi".to_owned(),
                message_type: MessageType::Text,
                attachment: None,
                reply_to: None,
                missing_reply_target: MissingReplyTarget::Ignore,
                extras: DraftExtras::default(),
                mentions: Mentions::default(),
            };
            world.command(&node, ANN, *room, RoomChange::Post(draft), Request::Other("post")).await;
        }
        // Nothing was read until now.
        pass(Duration::from_millis(500)).await;
        let (mut listed_rows, mut total) = (BTreeMap::new(), Value::Null);
        while let Some(texts) = socket.next_texts().await {
            for frame in texts.iter().filter(|frame| frame["type"] == "inbox") {
                listed_rows.insert(frames::room(frame).expect("a room"), frames::listed_row(frame));
                total = frame["total_unread"].clone();
            }
        }
        let stored = world.shared_store.store.inbox(BOB, None).await.expect("no faults");
        assert_eq!(total, stored.iter().map(|row| row.unread).sum::<i64>());
        for row in stored.iter().filter(|row| rooms.contains(&row.room.id)) {
            assert_eq!(listed_rows.get(&row.room.id), Some(&frames::stored_row(row)));
        }
    });
}

//! Single scenes, without a storm: what is too rare or too large for the seeds.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use actors::domain::command::{Actor, Change, Draft, OpenRoom, StrayReply};
use actors::domain::ids::{MessageId, RoomId, UserId};
use actors::domain::message::MessageType;
use actors::domain::room::RoomType;
use actors::ports::store::Store;
use serde_json::Value;

use crate::chance::Chance;
use crate::frames::{self, Frame};
use crate::history::Wish;
use crate::run::on_paused_time;
use crate::socket::Socket;
use crate::world::{World, pass};

const ANN: UserId = UserId(1);
const BOB: UserId = UserId(2);
/// More rooms than signals are kept back for a socket, and than go out before it counts as behind.
const ROOMS: usize = 600;
/// How long a socket may be silent before all that was to come has come.
const SILENCE: Duration = Duration::from_secs(2);

impl Socket {
    /// The next frame that is text; none once nothing comes any more.
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

fn scene(scene: impl Future<Output = ()>) {
    on_paused_time(scene);
}

#[test]
fn a_reader_that_was_behind_for_more_rooms_than_are_kept_back_is_told_all_of_them() {
    scene(async {
        let world = World::new(Chance::new(7)).await;
        let node = world.nodes().remove(0);
        let mut chance = world.chance();
        let mut rooms: Vec<RoomId> = Vec::new();
        for _ in 0..ROOMS {
            let open = OpenRoom {
                id: RoomId(chance.uuid()),
                by: Actor::Person(ANN),
                room_type: RoomType::Group,
                name: String::new(),
                subject: None,
                title: None,
                people: vec![BOB],
                granted: None,
                open_subjects: true,
            };
            let opened = world.truth.store.open_room(&open).await.expect("no faults").expect("it may be");
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
            let draft = Draft {
                id: MessageId(chance.uuid()),
                client_id: None,
                digest: Draft::digest_of("hi", None, None),
                content: "hi".to_owned(),
                message_type: MessageType::Text,
                attachment: None,
                reply_to: None,
                stray_reply: StrayReply::Drop,
            };
            world.command(&node, ANN, *room, Change::Post(draft), Wish::Other("post")).await;
        }
        // Until now nothing was read.
        pass(Duration::from_millis(500)).await;
        let (mut lines, mut total) = (BTreeMap::new(), Value::Null);
        while let Some(texts) = socket.next_texts().await {
            for frame in texts.iter().filter(|frame| frame["type"] == "inbox") {
                lines.insert(frames::room(frame).expect("a room"), frames::line(frame));
                total = frame["total_unread"].clone();
            }
        }
        let stored = world.truth.store.inbox(BOB, None).await.expect("no faults");
        assert_eq!(total, stored.iter().map(|line| line.unread).sum::<i64>());
        for line in stored.iter().filter(|line| rooms.contains(&line.room.id)) {
            assert_eq!(lines.get(&line.room.id), Some(&frames::line_of(line)));
        }
    });
}

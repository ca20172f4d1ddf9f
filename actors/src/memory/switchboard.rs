//! A switchboard whose sockets take everything at once, for benchmarks of fan-out.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix::{Actor, Addr};
use bytes::Bytes;

use super::mailbox::NullMailbox;
use crate::domain::ids::{RoomId, Seq};
use crate::limits::Limits;
use crate::mailbox::Tell;
use crate::messages::switchboard::{
    AttachSocket, CountUnsent, DeliverBatch, FrameBatch, OpenSocket, SubscribeSocket,
};
use crate::ports::clock::Clock;
use crate::ports::connection::ConnectionWriter;
use crate::switchboard::SwitchboardActor;

/// A switchboard with sockets in one room.
pub struct MemorySwitchboard {
    switchboard: Addr<SwitchboardActor>,
    room: RoomId,
}

impl MemorySwitchboard {
    /// Starts one on this thread, with `sockets` sockets that have been sent nothing yet.
    pub async fn start(room: RoomId, sockets: usize, clock: Clock) -> Self {
        let switchboard = SwitchboardActor::new(Arc::new(Limits::default()), clock).start();
        for _ in 0..sockets {
            let attach = AttachSocket { writer: Box::new(Abyss), session: Arc::new(NullMailbox) };
            let outbox = switchboard.send(attach).await.expect("nothing stops the switchboard");
            switchboard.tell(OpenSocket { outbox, first: Bytes::new() });
            let visible_from = Seq::START;
            switchboard.tell(SubscribeSocket { room, outbox, position: Seq(0), visible_from });
        }
        Self { switchboard, room }
    }

    /// Delivers the frames that follow `after` as one batch, and waits until every socket has them. `ends`
    /// tells where in `bytes` each frame ends.
    pub async fn deliver(&self, after: Seq, bytes: Bytes, ends: Arc<[u32]>) {
        let batch = FrameBatch { after, bytes, ends, older: None };
        self.switchboard.tell(DeliverBatch { room: self.room, batch });
        while self.switchboard.send(CountUnsent).await.expect("nothing stops the switchboard") > 0 {}
    }
}

/// A connection that takes everything at once.
struct Abyss;

impl ConnectionWriter for Abyss {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn poll_writable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn silence(&self) -> Duration {
        Duration::ZERO
    }

    fn finish(&mut self) {}

    fn close(&mut self) {}
}

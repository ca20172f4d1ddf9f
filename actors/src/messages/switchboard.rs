//! Messages of the switchboards: the sockets of one worker thread, and which rooms they are subscribed to.

use std::sync::Arc;
use std::time::Duration;

use actix::Message;
use bytes::Bytes;

use super::diagnostics::CountResources;
use super::session::SessionId;
use crate::domain::ids::{RoomId, Seq, UserId};
use crate::mailbox::{Answer, Ask, Liveness, Tell, mailbox};
use crate::ports::connection::ConnectionWriter;
use crate::protocol::close::CloseCode;
use crate::protocol::codec;
use crate::protocol::server::ServerFrame;

/// Names one outbox of one switchboard, for as long as its socket lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OutboxId {
    pub(crate) slot: u32,
    /// Tells apart the sockets that have one slot after another.
    pub(crate) generation: u32,
}

/// Frames of one room, in `seq` order, as one piece of bytes.
#[derive(Clone, Debug)]
pub(crate) struct FrameBatch {
    /// The position before the first frame.
    pub(crate) after: Seq,
    /// The frames, one behind the other.
    pub(crate) bytes: Bytes,
    /// Where each frame ends: that of position `after + 1 + i` at `ends[i]`.
    pub(crate) ends: Arc<[u32]>,
    /// The positions whose frames show something older, in order, and the position of that. There are few.
    pub(crate) older: Option<Arc<[(Seq, Seq)]>>,
}

impl FrameBatch {
    /// The position of the last frame.
    pub(crate) fn last(&self) -> Seq {
        Seq(self.after.0 + i64::try_from(self.ends.len()).unwrap_or(i64::MAX))
    }

    /// The frames after `position`, and their number.
    pub(crate) fn after(&self, position: Seq) -> (Bytes, u32) {
        let skip = usize::try_from(position.0 - self.after.0).unwrap_or(0).min(self.ends.len());
        let start = if skip == 0 { 0 } else { self.ends[skip - 1] as usize };
        (self.bytes.slice(start..), u32::try_from(self.ends.len() - skip).unwrap_or(u32::MAX))
    }
}

impl FrameBatch {
    /// The frames after `position` as a user is sent them who may see the room from `visible_from` on, and their
    /// number. In place of a frame that shows something older stands one that takes its position alone.
    pub(crate) fn seen_from(&self, visible_from: Seq, position: Seq, room_id: RoomId) -> (Bytes, u32) {
        #[cfg(feature = "injected-bugs")]
        let visible_from = match crate::injected_bugs::InjectedBug::ShowHistory.is_injected() {
            true => Seq::START,
            false => visible_from,
        };
        let older = self.older.as_deref().unwrap_or_default();
        let oldest = older.iter().map(|(_, since)| *since).fold(self.after.next(), Seq::min);
        if visible_from <= oldest {
            return self.after(position);
        }
        let shows_since =
            |seq: Seq| older.binary_search_by_key(&seq, |(at, _)| *at).map_or(seq, |index| older[index].1);
        let (mut bytes, mut frames, mut start) = (Vec::with_capacity(self.bytes.len()), 0, 0);
        for (end, seq) in self.ends.iter().zip(1..).map(|(end, nth)| (*end as usize, Seq(self.after.0 + nth)))
        {
            if seq > position {
                frames += 1;
                if shows_since(seq) < visible_from {
                    bytes.extend_from_slice(&codec::encode(&ServerFrame::EventHidden { room_id, seq }));
                } else {
                    bytes.extend_from_slice(&self.bytes[start..end]);
                }
            }
            start = end;
        }
        (bytes.into(), frames)
    }
}

/// The kind of a signal: of one kind, room and user only the newest is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SignalKind {
    /// Typing, which is dropped while the socket is behind.
    Typing,
    /// A read mark.
    Read,
    /// Presence.
    Presence,
    /// A row of the inbox.
    Inbox,
}

/// What a signal is about: a newer signal with the same key replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SignalKey {
    pub(crate) kind: SignalKind,
    pub(crate) room: RoomId,
    pub(crate) user: UserId,
}

/// State that a socket is sent again once everything that waits for it has gone out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StateRefresh {
    /// The inbox from its first row: rows of it were dropped.
    Inbox,
    /// The next rows of the inbox.
    RestOfInbox,
    /// How far each user has read in a room, and who is online there.
    RoomState(RoomId),
    /// The next entries of the personal log.
    PersonalLog,
}

/// A switchboard, as rooms, sessions and the inbox use it.
pub(crate) type SwitchboardHandle = Arc<dyn SwitchboardMailbox>;

mailbox! {
    /// See [`SwitchboardHandle`] and [`OutboxHandle`].
    SwitchboardMailbox:
        Ask<AttachSocket>, Tell<OpenSocket>, Tell<RejectSocket>, Tell<SetSocketExpiry>, Tell<CloseSocket>,
        Tell<DetachSocket>, Tell<PushFrame>, Tell<PushSignal>, Tell<DropSignal>, Tell<RefreshWhenDrained>,
        Tell<SubscribeSocket>, Tell<UnsubscribeSocket>, Ask<UnsubscribeSocket>, Tell<AcquireReplaySlot>,
        Tell<PushReplayPage>, Tell<DeliverBatch>, Tell<BroadcastSignal>,
}

mailbox! {
    /// A switchboard, as the engine uses it when it ends and when it counts.
    SwitchboardControl:
        Ask<AnnounceShutdown>, Ask<CloseAllSockets>, Ask<CountUnsent>, Ask<CountResources>, Liveness,
}

mailbox! {
    /// The session of a socket, as its switchboard knows it.
    SocketOwner: Tell<SocketClosing>, Tell<RefreshState>, Liveness,
}

/// One socket's outbox, and the switchboard that owns it.
#[derive(Clone)]
pub(crate) struct OutboxHandle {
    pub(crate) switchboard: SwitchboardHandle,
    /// The worker thread of that switchboard.
    pub(crate) worker: usize,
    pub(crate) id: OutboxId,
}

impl OutboxHandle {
    /// Queues one frame.
    pub(crate) fn push(&self, bytes: Bytes) {
        self.switchboard.tell(PushFrame { outbox: self.id, bytes });
    }

    /// Encodes and queues one frame.
    pub(crate) fn send(&self, frame: &ServerFrame<'_>) {
        self.push(codec::encode(frame));
    }

    /// Queues a signal.
    pub(crate) fn push_signal(&self, key: SignalKey, bytes: Bytes) {
        self.switchboard.tell(PushSignal { outbox: self.id, key, bytes });
    }

    /// Drops a signal that still waits.
    pub(crate) fn drop_signal(&self, key: SignalKey) {
        self.switchboard.tell(DropSignal { outbox: self.id, key });
    }

    /// Closes the connection behind what is queued.
    pub(crate) fn close(&self, code: CloseCode) {
        self.switchboard.tell(CloseSocket { outbox: self.id, code });
    }

    /// Delivers a room's frames behind `position` to the socket from now on, as its user may see them who may
    /// read from `visible_from` on.
    pub(crate) fn subscribe(&self, room: RoomId, position: Seq, visible_from: Seq) {
        self.switchboard.tell(SubscribeSocket { room, outbox: self.id, position, visible_from });
    }

    /// Ends the socket's subscription to a room.
    pub(crate) fn unsubscribe(&self, room: RoomId) {
        self.switchboard.tell(UnsubscribeSocket { room, outbox: self.id });
    }

    /// Ends the socket's subscription to a room and answers with the last position that it was sent.
    pub(crate) fn take_position(&self, room: RoomId) -> Answer<Option<Seq>> {
        self.switchboard.ask(UnsubscribeSocket { room, outbox: self.id })
    }
}

/// Takes a socket in; its frames are held back until [`OpenSocket`].
#[derive(Message)]
#[rtype(result = "OutboxId")]
pub(crate) struct AttachSocket {
    pub(crate) writer: Box<dyn ConnectionWriter>,
    pub(crate) session: Arc<dyn SocketOwner>,
}

/// Lets the frames of a socket go out.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct OpenSocket {
    pub(crate) outbox: OutboxId,
    /// What goes out first: the answer to the handshake.
    pub(crate) first: Bytes,
}

/// Closes a socket that was not opened; of all that waits for it nothing goes out.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RejectSocket {
    pub(crate) outbox: OutboxId,
    /// What goes out: the answer to the handshake.
    pub(crate) last: Bytes,
}

/// Sets when the right to a socket ends.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SetSocketExpiry {
    pub(crate) outbox: OutboxId,
    /// On the engine's clock; never, if unset.
    pub(crate) at: Option<Duration>,
}

/// Closes a connection behind what is queued.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CloseSocket {
    pub(crate) outbox: OutboxId,
    pub(crate) code: CloseCode,
}

/// Forgets a socket whose connection has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct DetachSocket {
    pub(crate) outbox: OutboxId,
}

/// Queues one frame for one socket.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PushFrame {
    pub(crate) outbox: OutboxId,
    pub(crate) bytes: Bytes,
}

/// Queues a signal for one socket.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PushSignal {
    pub(crate) outbox: OutboxId,
    pub(crate) key: SignalKey,
    pub(crate) bytes: Bytes,
}

/// Drops a signal that waits for one socket, because what it tells of is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct DropSignal {
    pub(crate) outbox: OutboxId,
    pub(crate) key: SignalKey,
}

/// Asks for a [`RefreshState`] once everything that waits for a socket has gone out.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RefreshWhenDrained {
    pub(crate) outbox: OutboxId,
    pub(crate) refresh: StateRefresh,
}

/// Subscribes a socket to a room, from `position` on.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SubscribeSocket {
    pub(crate) room: RoomId,
    pub(crate) outbox: OutboxId,
    /// The last position that the socket was sent.
    pub(crate) position: Seq,
    /// The position from which on its user may see the room.
    pub(crate) visible_from: Seq,
}

/// Ends a socket's subscription to a room. Answers with the last position that the socket was sent.
#[derive(Message)]
#[rtype(result = "Option<Seq>")]
pub(crate) struct UnsubscribeSocket {
    pub(crate) room: RoomId,
    pub(crate) outbox: OutboxId,
}

/// Frames for all sockets that are subscribed to a room.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct DeliverBatch {
    pub(crate) room: RoomId,
    pub(crate) batch: FrameBatch,
}

/// A signal for the sockets that are subscribed to the room of its key.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct BroadcastSignal {
    pub(crate) key: SignalKey,
    pub(crate) bytes: Bytes,
    /// Sockets that don't get it.
    pub(crate) excepted: Vec<OutboxId>,
}

/// Asks for the right to send a socket one page of a replay. Answered with [`ReplaySlotGranted`].
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AcquireReplaySlot {
    pub(crate) outbox: OutboxId,
    pub(crate) request: ReplaySlotRequest,
}

/// A room that waits to send a page of a replay.
pub(crate) struct ReplaySlotRequest {
    pub(crate) room: RoomId,
    /// The room's actor.
    pub(crate) reader: Arc<dyn Tell<ReplaySlotGranted>>,
    /// The session that the page is for.
    pub(crate) session: SessionId,
}

/// Queues a page of a replay and releases the slot.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PushReplayPage {
    pub(crate) outbox: OutboxId,
    pub(crate) bytes: Bytes,
    /// The number of frames in `bytes`.
    pub(crate) frames: u32,
    pub(crate) room: RoomId,
}

/// Sends every socket `going_away`.
#[derive(Message)]
#[rtype(result = "usize")]
pub(crate) struct AnnounceShutdown {
    /// The longest time after which a client shall come back; each is told its own share.
    pub(crate) spread: Duration,
}

/// Closes every socket.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CloseAllSockets {
    pub(crate) code: CloseCode,
}

/// Asks how many open sockets have not taken all that waits for them.
#[derive(Message)]
#[rtype(result = "usize")]
pub(crate) struct CountUnsent;

/// Tells a session that its connection is being closed: it sends and takes nothing any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SocketClosing {
    pub(crate) code: CloseCode,
}

/// Tells a session that its socket has taken everything, and what it is to be sent now: what was dropped while
/// it was behind, or the rest of what is sent piece by piece.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RefreshState {
    pub(crate) refresh: StateRefresh,
}

/// Tells a room that an outbox has space for a page of its replay.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ReplaySlotGranted {
    pub(crate) session: SessionId,
}

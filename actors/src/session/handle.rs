//! What the server holds of a session.

use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, Addr};

use super::frames::ReceiveInputs;
use super::{ClientInput, ConnectRequest, ConnectionEnded, ProtocolViolation, SessionActor};
use crate::mailbox::Tell;
use crate::worker::Worker;

/// How often inputs are offered again to a session that takes nothing yet, because it is not accepted or its
/// token is being verified.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// The reading half of a connection hands what it reads to its session through this. The session ends when
/// the last copy is dropped.
#[derive(Clone)]
pub struct SessionHandle(Addr<SessionActor>);

impl SessionHandle {
    /// Gives the session what one read of the socket brought, in order, once it has been accepted. Awaiting
    /// this keeps the reader from running ahead of the session. Returns how long to wait before the next
    /// read; none if the session has ended.
    pub async fn receive(&self, mut inputs: Vec<ClientInput>) -> Option<Duration> {
        loop {
            match self.0.send(ReceiveInputs(inputs)).await.ok()? {
                Ok(pause) => return Some(pause),
                Err(early) => inputs = early,
            }
            // Boxed, because it is rare and there is a reader for each of thousands of sockets.
            Box::pin(tokio::time::sleep(RETRY_INTERVAL)).await;
        }
    }

    /// Reports that the client broke the WebSocket protocol; the socket is closed with `code`.
    pub fn report_violation(&self, code: u16) {
        self.0.tell(ProtocolViolation { code });
    }

    /// Reports that the connection has ended.
    pub fn connection_ended(&self) {
        self.0.tell(ConnectionEnded);
    }
}

impl Worker {
    /// Begins a session on this thread. The client itself is told whether it is accepted.
    #[must_use]
    pub fn connect(self: &Rc<Self>, request: ConnectRequest) -> SessionHandle {
        SessionHandle(SessionActor::begin(self, request).start())
    }
}

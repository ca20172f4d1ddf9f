//! When silent sockets are pinged and closed.

mod closing;

use actix::Addr;
use chrono::DateTime;
use tokio::task::LocalSet;

use super::*;
use crate::mailbox::Tell;
use crate::memory::connection::connection;
use crate::memory::mailbox::NullMailbox;

/// Everything that a silent client is sent, each with the second in which it comes.
async fn told(switchboard: Addr<SwitchboardActor>, clock: Clock) -> Vec<(u64, Vec<u8>)> {
    let (writer, peer) = connection(1_000, clock);
    let attach = AttachSocket { writer: Box::new(writer), session: Arc::new(NullMailbox) };
    let outbox = switchboard.send(attach).await.expect("a switchboard");
    switchboard.tell(OpenSocket { outbox, first: Bytes::from_static(b"hello") });
    let begun = clock.now();
    let mut told = Vec::new();
    while let Some(bytes) = peer.read(1_000).await {
        told.push(((clock.now() - begun).as_secs(), bytes));
    }
    told
}

#[tokio::test(start_paused = true)]
async fn each_silent_socket_is_pinged_and_closed_when_it_is_said() {
    let clock = Clock::start(DateTime::UNIX_EPOCH);
    let local = LocalSet::new();
    let all = local.run_until(async {
        let switchboard = SwitchboardActor::new(Arc::new(Limits::default()), clock).start();
        // They are checked in turn, and begin between two ticks.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let sockets = (0..7).map(|_| tokio::task::spawn_local(told(switchboard.clone(), clock)));
        let mut all = Vec::new();
        for socket in sockets.collect::<Vec<_>>() {
            all.push(socket.await.expect("no panic"));
        }
        all
    });
    let ping = codec::ping().to_vec();
    let close = codec::close(CloseCode::Silent).to_vec();
    for told in all.await {
        assert_eq!(
            told,
            [(0, b"hello".to_vec()), (25, ping.clone()), (50, ping.clone()), (60, close.clone())]
        );
    }
}

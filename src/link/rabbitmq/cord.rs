//! The connection to the broker, and the cord that cuts it.
//!
//! The client's own thread waits on the socket for as long as the kernel lets it: at a frozen broker for
//! ever, and one more thread with each try to connect again. So the socket is known here by a second
//! descriptor, and letting go of that one ends it both ways, whatever the client waits for.

use std::{
    io,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    sync::{Arc, OnceLock},
    time::Duration,
};

use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties,
    tcp::{AMQPUriTcpExt, TLSConfig},
    uri::AMQPUri,
};
use tokio::time::timeout;

/// How long the broker's address may take to answer.
const TCP_PATIENCE: Duration = Duration::from_secs(3);
/// How long the broker may take to greet and to let this node in.
const GREETING_PATIENCE: Duration = Duration::from_secs(4);

/// The end of a socket, when dropped.
#[derive(Debug, Default)]
pub(super) struct Cord(OnceLock<TcpStream>);

impl Drop for Cord {
    fn drop(&mut self) {
        if let Some(stream) = self.0.get() {
            let _ended_already = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Opens a connection that ends with the cord.
pub(super) async fn connect(
    uri: AMQPUri,
    properties: ConnectionProperties,
    cord: &Arc<Cord>,
) -> lapin::Result<Connection> {
    let held = Arc::downgrade(cord);
    let runtime = lapin::runtime::default_runtime()?;
    let connecting = Connection::connector(
        uri,
        runtime,
        async move |uri, runtime| {
            let connecting = uri.connect_with_config_async(TLSConfig::default(), &runtime);
            let stream = timeout(TCP_PATIENCE, connecting)
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            let AsyncTcpStream::Plain(plain) = &stream else {
                return Err(io::Error::from(io::ErrorKind::Unsupported).into());
            };
            // With nobody left to pull the cord there is to be no connection.
            let cord = held.upgrade().ok_or(io::Error::from(io::ErrorKind::ConnectionAborted))?;
            let _tied_before = cord.0.set(plain.get_ref().as_fd().try_clone_to_owned()?.into());
            Ok(stream)
        },
        properties,
    );
    timeout(GREETING_PATIENCE, connecting)
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

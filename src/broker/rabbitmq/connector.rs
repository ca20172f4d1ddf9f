//! Opens connections to RabbitMQ that can be shut down from outside.
//!
//! The client library's own thread blocks on the socket for as long as the kernel lets it: without end if the
//! broker is frozen, and with one more thread for each attempt to reconnect. A second descriptor of the
//! socket shuts it down when it is dropped, whatever the library waits for.

use std::{
    io,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    sync::{Arc, OnceLock},
    time::Duration,
};

use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties,
    tcp::{AMQPUriTcpExt, RustlsConnectorConfig, TLSConfig},
    uri::{AMQPScheme, AMQPUri},
};
use tokio::time::timeout;

/// How long the TCP connection may take.
const TCP_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long all of it may take, the handshakes of TLS and AMQP included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// Shuts a socket down when dropped.
#[derive(Debug, Default)]
pub(super) struct ShutdownOnDrop(OnceLock<TcpStream>);

impl Drop for ShutdownOnDrop {
    fn drop(&mut self) {
        if let Some(stream) = self.0.get() {
            let _ended_already = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Opens a connection that ends when `shutdown` is dropped.
pub(super) async fn connect(
    uri: AMQPUri,
    properties: ConnectionProperties,
    shutdown: &Arc<ShutdownOnDrop>,
) -> lapin::Result<Connection> {
    let held = Arc::downgrade(shutdown);
    let runtime = lapin::runtime::default_runtime()?;
    let connecting = Connection::connector(
        uri,
        runtime,
        async move |uri, runtime| {
            let is_encrypted = uri.scheme == AMQPScheme::AMQPS;
            let host = uri.authority.host.clone();
            let plain = AMQPUri { scheme: AMQPScheme::AMQP, ..uri };
            let connecting = plain.connect_with_config_async(TLSConfig::default(), &runtime);
            let stream = timeout(TCP_CONNECT_TIMEOUT, connecting)
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            let AsyncTcpStream::Plain(plain) = &stream else {
                return Err(io::Error::from(io::ErrorKind::Unsupported).into());
            };
            // The caller has given up, so the connection must not be opened.
            let shutdown = held.upgrade().ok_or(io::Error::from(io::ErrorKind::ConnectionAborted))?;
            let _tied_before = shutdown.0.set(plain.get_ref().as_fd().try_clone_to_owned()?.into());
            if !is_encrypted {
                return Ok(stream);
            }
            let tls = RustlsConnectorConfig::new_with_native_certs()?.connector_with_no_client_auth()?;
            Ok(stream.into_rustls(&tls, &host).await?)
        },
        properties,
    );
    timeout(CONNECT_TIMEOUT, connecting)
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

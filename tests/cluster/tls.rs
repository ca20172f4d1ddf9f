//! Encrypted connections to PostgreSQL, with `sslmode` and `sslrootcert`, and to RabbitMQ.

use std::path::Path;
use std::process::Command;

use aristay_chat::store::postgres::private::PrivatePostgres;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::cluster::{self, Cluster};
use crate::postgres::{Server, is_root, run};
use crate::rabbitmq::RabbitMq;

const BIN: &str = env!("CARGO_BIN_EXE_aristay-chat");
const SECRET: &str = "a-key-that-is-only-for-the-tests-of-this-crate";

/// An authority, and its certificate in a file.
fn authority(file: &Path) -> Issuer<'static, KeyPair> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(file, params.self_signed(&key).unwrap().pem()).unwrap();
    Issuer::new(params, key)
}

/// A certificate for `localhost` and its key; puts `ca.pem`, its authority's, and `other.pem` into a folder.
fn certified(folder: &Path) -> (String, String) {
    let issuer = authority(&folder.join("ca.pem"));
    authority(&folder.join("other.pem"));
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (certificate.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
}

/// A server with a certificate for `localhost`, and the folder with `ca.pem`, its authority's, and `other.pem`.
fn server() -> (Server, TempDir) {
    let folder = tempfile::Builder::new().prefix("tls").tempdir_in("/tmp").unwrap();
    let mut server = Server::created(folder.path(), "server");
    let (certificate, key) = certified(folder.path());
    std::fs::write(server.folder.join("server.crt"), certificate).unwrap();
    std::fs::write(server.folder.join("server.key"), key).unwrap();
    std::fs::write(server.folder.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n").unwrap();
    run(Command::new("chmod").arg("600").arg(server.folder.join("server.key")));
    if is_root() {
        run(Command::new("chown").args(["-R", "postgres"]).arg(&server.folder));
    }
    server.settings = vec!["ssl=on".to_owned()];
    server.start();
    (server, folder)
}

/// Whether the chat server can use the database at an address, and what it says.
fn connects(address: &str) -> (bool, String) {
    let output =
        Command::new(BIN).args(["migrate", "--database-url", address, "--jwt-secret", SECRET]).output();
    let output = output.unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_server_is_verified_as_the_address_says() {
    let (server, folder) = server();
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let address =
        |host: &str, options: &str| format!("postgres://aristay@{host}:{}/postgres?{options}", server.port);
    let deadline = std::time::Instant::now() + crate::client::SOON;
    while !connects(&address("127.0.0.1", "sslmode=require")).0 {
        assert!(
            std::time::Instant::now() < deadline,
            "{:?}",
            connects(&address("127.0.0.1", "sslmode=require"))
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let (ca, other) = (file("ca.pem"), file("other.pem"));
    for (host, options, is_accepted) in [
        ("localhost", String::new(), false),
        ("localhost", "sslmode=disable".to_owned(), false),
        ("127.0.0.1", "sslmode=prefer".to_owned(), true),
        ("localhost", format!("sslmode=verify-full&sslrootcert={ca}"), true),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={ca}"), false),
        ("localhost", format!("sslmode=verify-full&sslrootcert={other}"), false),
        ("localhost", "sslmode=verify-full".to_owned(), false),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={ca}"), true),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={other}"), false),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={ca}"), true),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={other}"), false),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={}", file("none.pem")), false),
    ] {
        let (connects, said) = connects(&address(host, &options));
        assert_eq!(connects, is_accepted, "{host} {options}: {said}");
    }
}

#[tokio::test]
async fn the_broker_is_verified_by_the_authorities_of_the_system() {
    let folder = tempfile::Builder::new().prefix("tls").tempdir_in("/tmp").unwrap();
    let (certificate, key) = certified(folder.path());
    std::fs::write(folder.path().join("server.pem"), certificate).unwrap();
    std::fs::write(folder.path().join("server.key"), key).unwrap();
    let mut broker = RabbitMq::start_encrypted(folder.path());
    let postgres = PrivatePostgres::shared().await.unwrap();
    let mut cluster = Cluster::prepare(3, &cluster::database(postgres).await, &broker.encrypted_url());
    let mut stranger = cluster.nodes.pop().unwrap();
    stranger.set("SSL_CERT_FILE", folder.path().join("other.pem").to_str().unwrap());
    for node in &mut cluster.nodes {
        node.set("SSL_CERT_FILE", folder.path().join("ca.pem").to_str().unwrap());
        node.start();
    }
    stranger.start();
    cluster.linked().await;
    let (ann, bob) = (cluster.user().await, cluster.user().await);
    let room = cluster.room(&[&ann, &bob]).await;
    let mut says = cluster.room_socket(0, &ann, &room).await;
    let mut hears = cluster.room_socket(1, &bob, &room).await;
    says.says("through TLS").await;
    hears.hears("through TLS").await;
    broker.kill();
    broker.restart();
    cluster.linked().await;
    stranger.ready().await;
    assert!(stranger.metric("chat_broker_up").await < 1.0, "a server of another authority");
    let log = stranger.log_end();
    assert!(log.contains("certificate"), "{log}");
    stranger.kill();
}

//! `sslmode` and `sslrootcert`, with a PostgreSQL that accepts encrypted connections alone.

use std::path::Path;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::postgres::{Server, is_root, run};

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

/// A server with a certificate for `localhost`, and the folder with `ca.pem`, its authority's, and `other.pem`.
fn server() -> (Server, TempDir) {
    let folder = tempfile::Builder::new().prefix("tls").tempdir_in("/tmp").unwrap();
    let mut server = Server::created(folder.path(), "server");
    let issuer = authority(&folder.path().join("ca.pem"));
    authority(&folder.path().join("other.pem"));
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &issuer).unwrap();
    std::fs::write(server.folder.join("server.crt"), certificate.pem()).unwrap();
    std::fs::write(server.folder.join("server.key"), key.serialize_pem()).unwrap();
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

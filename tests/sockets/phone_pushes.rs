//! Pushes to phones, as Firebase Cloud Messaging sees them: a service on this machine checks what it is sent by
//! `jsonwebtoken`.

use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::node::Node;
use crate::notifications::sets;
use crate::push_service::{PushAnswer, PushService, ReceivedPush};
use crate::users::TestUser;

const TOKEN: &str = r#"{"access_token":"of-google","expires_in":3600,"token_type":"Bearer"}"#;
const TAKEN: PushAnswer = PushAnswer::Body(200, r#"{"name":"projects/aristay/messages/1"}"#);

/// A server with an account, and a room of two, one of whom is told at once, on a phone.
struct Setting {
    _folder: TempDir,
    _server: Node,
    key: KeyPair,
    google: PushService,
    ana: TestUser,
    ben: TestUser,
    room: String,
    subscription: String,
}

async fn setting(answers: &[PushAnswer]) -> Setting {
    let google = PushService::start(answers).await;
    let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: Pkcs8V1Der<'_> = key.as_der().expect("PKCS #8");
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        BASE64_STANDARD.encode(der.as_ref())
    );
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("account.json");
    let account = json!({"type": "service_account", "project_id": "aristay", "private_key": pem,
        "client_email": "chat@aristay.example", "token_uri": format!("{}/token", google.url())});
    std::fs::write(&file, account.to_string()).expect("a file");
    let settings = [
        ("RATE_LIMITS", "off"),
        ("OUTBOUND_ALLOW", "127.0.0.1"),
        ("FCM_SERVICE_ACCOUNT", file.to_str().expect("a path")),
        ("FCM_URL", &google.url()),
    ];
    let server = Node::start(&settings).await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    sets(&ben, json!({"delay_seconds": 0})).await;
    let subscribed = ben.posts("push/subscriptions/", json!({"fcm_token": "of-the-phone:1"})).await;
    let subscription = subscribed["id"].as_str().expect("an id").to_owned();
    Setting { _folder: folder, _server: server, key, google, ana, ben, room, subscription }
}

fn message(push: &ReceivedPush) -> Value {
    assert_eq!(push.path, "/v1/projects/aristay/messages:send");
    assert_eq!(push.header("authorization"), Some("Bearer of-google"));
    let body: Value = serde_json::from_slice(&push.body).expect("JSON");
    body["message"].clone()
}

#[tokio::test]
async fn a_phone_is_told_by_one_sign_in_and_told_when_that_is_read() {
    let answers = [PushAnswer::Body(200, TOKEN), TAKEN, TAKEN];
    let Setting { _folder, _server, key, mut google, ana, ben, room, .. } = setting(&answers).await;
    let posted = ana.posts_message(&room, "the boiler").await;

    let asked = google.next().await;
    assert_eq!(asked.path, "/token");
    let form = String::from_utf8(asked.body.clone()).expect("text");
    let assertion = form.split("assertion=").nth(1).expect("an assertion");
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[format!("{}/token", google.url())]);
    let public_key = DecodingKey::from_rsa_der(key.public_key().as_ref());
    let claims =
        jsonwebtoken::decode::<Value>(assertion, &public_key, &validation).expect("a signature").claims;
    assert_eq!(claims["iss"], "chat@aristay.example");
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/firebase.messaging");

    let told = message(&google.next().await);
    assert_eq!(told["token"], "of-the-phone:1");
    assert_eq!(
        told["notification"],
        json!({"title": "Team", "body": format!("Full {}: the boiler", ana.name)})
    );
    assert_eq!((&told["data"]["message_id"], &told["data"]["badge"]), (&posted["id"], &json!("1")));
    let why = ben.gets(&format!("messages/{}/why/", posted["id"].as_str().expect("an id"))).await;
    assert_eq!(why["ways"][1]["way"], "fcm");

    ben.posts(&format!("rooms/{room}/mark_read/"), json!({})).await;
    let gone = message(&google.next().await);
    assert_eq!((gone.get("notification"), &gone["data"]["type"]), (None, &json!("notification_gone")));
    assert_eq!(gone["apns"]["payload"]["aps"]["badge"], 0);
    assert!(!google.has_received());
}

#[tokio::test]
async fn a_phone_without_the_application_is_forgotten() {
    let gone = PushAnswer::Body(404, r#"{"error":{"details":[{"errorCode":"UNREGISTERED"}]}}"#);
    let Setting { _folder, _server, mut google, ana, ben, room, subscription, .. } =
        setting(&[PushAnswer::Body(200, TOKEN), gone]).await;
    ana.posts_message(&room, "one").await;
    google.next().await;
    message(&google.next().await);
    let path = format!("push/subscriptions/{subscription}/");
    let ended = async {
        // Deleting what is there would hide a failure, so somebody else asks.
        while rows(&_server, &subscription).await > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it is forgotten");
    assert_eq!(ben.requests(Method::DELETE, &path, None).await.0, StatusCode::NOT_FOUND);
}

/// How many subscriptions with this id the server keeps.
async fn rows(server: &Node, id: &str) -> i64 {
    let connected = tokio_postgres::connect(&server.database, tokio_postgres::NoTls).await;
    let (client, connection) = connected.expect("a database");
    let connection = tokio::spawn(connection);
    let count = format!("SELECT count(*) FROM push_subscriptions WHERE id = '{id}'");
    let count = client.query_one(&count, &[]).await.expect("a count").get(0);
    connection.abort();
    count
}

#[tokio::test]
async fn a_refused_sign_in_is_tried_again() {
    let answers = [PushAnswer::Status(500, None), PushAnswer::Body(200, TOKEN), TAKEN];
    let Setting { _folder, _server, mut google, ana, room, .. } = setting(&answers).await;
    let posted = ana.posts_message(&room, "one").await;
    assert_eq!(google.next().await.path, "/token");
    assert_eq!(google.next().await.path, "/token");
    assert_eq!(message(&google.next().await)["data"]["message_id"], posted["id"]);
}

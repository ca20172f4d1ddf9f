//! An upload goes on at another node when its own is killed.

use std::time::Duration;

use aristay_chat::store::postgres::private::PrivatePostgres;
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::cluster::{Cluster, User, broker, database};

const UPLOADS: &str = "/api/chat/uploads/";
const LENGTH: usize = 4 * 1024 * 1024;

async fn tus(
    cluster: &Cluster,
    node: usize,
    method: Method,
    path: &str,
    user: &User,
    headers: &[(&str, String)],
    body: Vec<u8>,
) -> Response {
    let url = format!("http://127.0.0.1:{}{path}", cluster.nodes[node].port);
    let request = reqwest::Client::new().request(method, url).bearer_auth(&user.token);
    let request = request.header("tus-resumable", "1.0.0").timeout(Duration::from_secs(20)).body(body);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    request.send().await.unwrap()
}

async fn offset(cluster: &Cluster, node: usize, path: &str, user: &User) -> usize {
    let told = tus(cluster, node, Method::HEAD, path, user, &[], Vec::new()).await;
    assert_eq!(told.status(), StatusCode::OK);
    told.headers()["upload-offset"].to_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_goes_on_at_another_node_when_its_own_is_killed() {
    let broker = broker().await;
    let postgres = PrivatePostgres::shared().await.unwrap();
    let mut cluster = Cluster::start(2, &database(postgres).await, &broker.url()).await;
    let ann = cluster.user().await;
    let room = cluster.room(&[&ann]).await;
    let mut bytes = b"%PDF-1.4\n".to_vec();
    bytes.extend((0..LENGTH - bytes.len()).map(|at| (at % 251) as u8));
    let length = [("upload-length", LENGTH.to_string())];
    let begun = tus(&cluster, 0, Method::POST, UPLOADS, &ann, &length, Vec::new()).await;
    assert_eq!(begun.status(), StatusCode::CREATED);
    let location = begun.headers()["location"].to_str().unwrap();
    let path = location[location.find(UPLOADS).unwrap()..].to_owned();

    // The node dies while it receives.
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nHost: chat\r\nAuthorization: Bearer {}\r\nTus-Resumable: 1.0.0\r\n\
         Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: {LENGTH}\r\n\r\n",
        ann.token,
    );
    let mut stream = TcpStream::connect(cluster.nodes[0].address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&bytes[..LENGTH / 2 + 1_000]).await.unwrap();
    let mut stored = 0;
    for _ in 0..1_000 {
        stored = offset(&cluster, 1, &path, &ann).await;
        if stored >= LENGTH / 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(stored >= LENGTH / 4, "{stored}");
    cluster.nodes[0].kill();

    let stored = offset(&cluster, 1, &path, &ann).await;
    assert!(stored < LENGTH, "{stored}");
    let headers = [
        ("upload-offset", stored.to_string()),
        ("content-type", "application/offset+octet-stream".to_owned()),
    ];
    let went_on = tus(&cluster, 1, Method::PATCH, &path, &ann, &headers, bytes[stored..].to_vec()).await;
    assert_eq!(went_on.status(), StatusCode::NO_CONTENT, "{:?}", went_on.text().await);
    let id = path.trim_end_matches('/').rsplit('/').next().unwrap();
    let body = json!({"room": room, "attachments": [id]});
    let (status, sent) = cluster.call(1, Method::POST, "/api/chat/messages/", &ann.token, Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    // A node that comes back serves what another one has stored.
    cluster.nodes[0].start();
    cluster.nodes[0].ready().await;
    let file = format!("/api/chat/files/{}/", sent["attachments"][0]["id"].as_str().unwrap());
    let given = tus(&cluster, 0, Method::GET, &file, &ann, &[], Vec::new()).await;
    assert!(given.bytes().await.unwrap() == bytes, "the bytes that were sent");
}

//! Who may upload a file with a message: membership is checked before the file is read.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::client::{ApiClient, new_user, new_user_at, text_of};
use crate::server::start;

const POST: &str = "/api/chat/messages/";
const PDF: &[u8] = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n";
const FILE: [(&str, &str, &[u8]); 1] = [("attachment", "a.pdf", PDF)];

/// Sends a form's room and the beginning of its file, and returns the response to that.
async fn response_to_a_beginning(user: &ApiClient, address: std::net::SocketAddr, room: &str) -> String {
    let body = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"room\"\r\n\r\n{room}\r\n--edge\r\n\
         Content-Disposition: form-data; name=\"attachment\"; filename=\"a.pdf\"\r\n\r\n{}",
        String::from_utf8_lossy(PDF)
    );
    let head = format!(
        "POST {POST} HTTP/1.1\r\nHost: chat\r\nAuthorization: Bearer {}\r\n\
         Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: 1000000\r\n\r\n",
        user.token(),
    );
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(format!("{head}{body}").as_bytes()).await.expect("a write");
    let mut response = Vec::new();
    let mut chunk = [0; 4_096];
    while !response.ends_with(b"}") {
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut chunk));
        let count = read.await.expect("a response before the end of the file").expect("a read");
        assert!(count > 0, "{}", String::from_utf8_lossy(&response));
        response.extend_from_slice(&chunk[..count]);
    }
    String::from_utf8(response).expect("text")
}

#[tokio::test]
async fn the_file_of_a_user_outside_the_room_is_not_read() {
    let server = start(&[]).await;
    let (alice, eve) = (new_user_at(&server, "alice").await, new_user_at(&server, "eve").await);
    let room = alice.creates_group(&[]).await;
    for room in [room, Uuid::new_v4().to_string()] {
        let response = response_to_a_beginning(&eve, server.address, &room).await;
        assert!(response.starts_with("HTTP/1.1 400"), "{response}");
        let body = response.rsplit("\r\n\r\n").next().expect("a body");
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert!(body["room"][0].is_string() && body.as_object().expect("an object").len() == 1, "{body}");
    }
}

#[tokio::test]
async fn a_room_that_comes_after_its_file_is_checked_too() {
    let (alice, eve) = (new_user("alice").await, new_user("eve").await);
    let room = alice.creates_group(&[]).await;
    let body = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"attachment\"; filename=\"a.pdf\"\r\n\r\n{}\r\n\
         --edge\r\nContent-Disposition: form-data; name=\"room\"\r\n\r\n{room}\r\n--edge--\r\n",
        String::from_utf8_lossy(PDF)
    );
    let posts = async |user: &ApiClient| {
        let request = user.request(reqwest::Method::POST, POST);
        let request = request.header("content-type", "multipart/form-data; boundary=edge");
        ApiClient::send(request.body(body.clone())).await
    };
    posts(&eve).await.expect_field_errors(&["room"]);
    assert_eq!(posts(&alice).await.expect_status(201)["attachment_name"], "a.pdf");
}

#[tokio::test]
async fn a_removed_user_repeats_a_send_with_a_file_and_sends_no_other() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let id = Uuid::new_v4().to_string();
    let texts = [("room", room.as_str()), ("client_id", &id)];
    let sent = bob.post_form(POST, &texts, &FILE).await.expect_status(201);
    alice.removes(&bob, &room).await;
    let repeated = bob.post_form(POST, &texts, &FILE).await.expect_status(200);
    let known = json!({"id": sent["id"], "seq": sent["seq"], "created_at": sent["created_at"]});
    assert_eq!(repeated, known);
    bob.post_form(POST, &texts[..1], &FILE).await.expect_field_errors(&["room"]);
    let log = alice.get(&format!("/api/chat/messages/?room={room}")).await.expect_status(200);
    assert_eq!((&log["count"], text_of(&log["results"][0]["id"])), (&json!(1), text_of(&sent["id"])));
}

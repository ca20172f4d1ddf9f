//! Messages with several files on sockets.

use serde_json::json;
use uuid::Uuid;

use crate::shared;
use crate::users::TestUser;

const PDF: &[u8] = b"%PDF-1.4\n%%EOF\n";

/// Uploads a file and returns the upload's id.
async fn uploads(user: &TestUser, name: &str) -> String {
    use base64::Engine as _;
    let name = base64::engine::general_purpose::STANDARD.encode(name);
    let begun = reqwest::Client::new()
        .post(format!("http://{}/api/chat/uploads/", user.address))
        .bearer_auth(&user.token)
        .header("tus-resumable", "1.0.0")
        .header("upload-length", PDF.len())
        .header("upload-metadata", format!("filename {name}"))
        .header("content-type", "application/offset+octet-stream")
        .body(PDF)
        .send()
        .await
        .expect("an answer");
    assert_eq!(begun.status(), 201);
    let place = begun.headers()["location"].to_str().expect("text").trim_end_matches('/').to_owned();
    place.rsplit('/').next().expect("an id").to_owned()
}

#[tokio::test]
async fn a_frame_names_the_uploads_that_its_message_carries() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let (mut a, mut b) = (ana.joins(&room).await, ben.joins(&room).await);
    let ids = [uploads(&ana, "a.pdf").await, uploads(&ana, "b.pdf").await];
    let client_id = Uuid::new_v4().to_string();
    let send = |ids: &[String], client_id: &str| json!({"type": "chat_message", "attachments": ids, "client_id": client_id});
    a.sends(send(&ids, &client_id)).await;
    let ack = a.receives("ack").await;
    let told = b.receives("chat_message").await["message"].clone();
    assert_eq!((&told["message_type"], &told["attachment_name"]), (&json!("file"), &json!("a.pdf")));
    let file = &told["attachments"][1];
    assert_eq!(
        (&file["name"], &file["size"], &file["kind"]),
        (&json!("b.pdf"), &json!(PDF.len()), &json!("file"))
    );
    assert_eq!(file["url"], format!("/api/chat/files/{}/", file["id"].as_str().expect("an id")));
    assert_eq!(a.receives("chat_message").await["message"], told);
    // The same again is the same message, others are another one.
    a.sends(send(&ids, &client_id)).await;
    assert_eq!(a.receives("ack").await["duplicate"], true);
    a.sends(send(&ids[..1], &client_id)).await;
    a.receives_error("client_id_conflict").await;
    a.sends(send(&ids, &Uuid::new_v4().to_string())).await;
    let refused = a.receives_error("invalid").await;
    assert!(refused["message"].as_str().expect("a reason").contains("was sent already"), "{refused}");
    let many: Vec<String> = (0..11).map(|_| Uuid::new_v4().to_string()).collect();
    a.sends(send(&many, &Uuid::new_v4().to_string())).await;
    a.receives_error("invalid").await;
    let (_, frames) = ben.resumes(&room, ack["seq"].as_i64().expect("a position") - 1).await;
    let replayed = frames.iter().find(|frame| frame["type"] == "chat_message").expect("the message");
    assert_eq!(replayed["message"], told);
}

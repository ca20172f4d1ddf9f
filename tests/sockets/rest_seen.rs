//! Changes by REST are visible live on every socket.

use serde_json::json;

use crate::shared;

#[tokio::test]
async fn sending_editing_and_deleting_over_rest_is_visible() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut b = ben.joins(&room).await;

    let message = ana.posts_message(&room, "sent").await;
    let path = format!("messages/{}/", message["id"].as_str().expect("an id"));
    let frame = b.next_is("chat_message").await;
    assert_eq!((&frame["message"]["id"], &frame["seq"]), (&message["id"], &message["seq"]));
    ana.patches(&path, json!({"content": "changed"})).await;
    let frame = b.next_is("message_updated").await;
    assert_eq!(frame["message"]["content"], "changed");
    assert_eq!((&frame["message"]["is_edited"], &frame["message"]["rev"]), (&json!(true), &frame["seq"]));
    assert_eq!(frame["message"]["seq"], message["seq"]);
    ana.deletes(&path).await;
    let frame = b.next_is("message_deleted").await;
    assert_eq!(
        frame,
        json!({"type": "message_deleted", "room_id": room, "message_id": message["id"],
        "seq": message["seq"].as_i64().expect("a position") + 2, "removed_by": "author"})
    );
    let message = ben.posts_message(&room, "out of place").await;
    b.sees("out of place").await;
    ana.deletes(&format!("messages/{}/", message["id"].as_str().expect("an id"))).await;
    let frame = b.next_is("message_deleted").await;
    assert_eq!((&frame["message_id"], &frame["removed_by"]), (&message["id"], &json!("moderator")));
}

#[tokio::test]
async fn adding_promoting_and_removing_over_rest_is_visible() {
    let server = shared().await;
    let (ana, ben, cem) = (server.user("ana").await, server.user("ben").await, server.user("cem").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut b = ben.joins(&room).await;

    ana.adds(&cem, &room).await;
    let joined = b.next_is("participant_joined").await["participant"].clone();
    assert_eq!(
        joined["user"],
        json!({"id": cem.id, "username": cem.name,
        "full_name": format!("Full {}", cem.name)})
    );
    assert_eq!(
        (&joined["room"], &joined["is_admin"], &joined["left_at"]),
        (&json!(room), &json!(false), &json!(null))
    );
    let place = ana.participant_id(&cem, &room).await;
    ana.patches(&format!("participants/{place}/"), json!({"is_admin": true})).await;
    assert_eq!(b.next_is("participant_updated").await["participant"]["is_admin"], true);
    ana.removes(&cem, &room).await;
    let left = b.next_is("participant_left").await["participant"].clone();
    assert_eq!(left["id"], place);
    assert!(left["left_at"].is_string(), "{left}");
    ana.adds(&cem, &room).await;
    assert_eq!(b.next_is("participant_joined").await["participant"]["id"], place);
    cem.leaves(&room).await;
    assert_eq!(b.next_is("participant_left").await["participant"]["user"]["id"], cem.id);
}

#[tokio::test]
async fn renaming_archiving_and_deleting_over_rest_is_visible() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut b = ben.joins(&room).await;
    let (mut list, _) = ben.opens_user_socket().await;

    ana.patches(&format!("rooms/{room}/"), json!({"name": "Renamed"})).await;
    assert_eq!(b.next_is("room_updated").await["room"]["name"], "Renamed");
    assert_eq!(list.next_is("inbox").await["display_name"], "Renamed");
    // A request that changes nothing creates no event.
    ana.patches(&format!("rooms/{room}/"), json!({"name": "Renamed"})).await;
    ana.posts(&format!("rooms/{room}/unarchive/"), json!({})).await;
    b.receives_nothing().await;
    ana.posts(&format!("rooms/{room}/archive/"), json!({})).await;
    assert_eq!(list.next_is("inbox").await["is_active"], false);
    let archived = b.next_is("room_updated").await["room"].clone();
    assert!(archived["is_active"] == false && archived["archived_at"].is_string(), "{archived}");
    ana.posts(&format!("rooms/{room}/unarchive/"), json!({})).await;
    let back = b.next_is("room_updated").await["room"].clone();
    assert!(back["is_active"] == true && back["archived_at"].is_null(), "{back}");
    assert_eq!(list.next_is("inbox").await["is_active"], true);
    ana.deletes(&format!("rooms/{room}/")).await;
    assert_eq!(b.is_closed().await, 4404);
    assert_eq!(ben.room_socket(&room).opens().await.err(), Some(403));
}

#[tokio::test]
async fn a_file_is_announced_with_an_unsigned_path() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let mut a = ana.joins(&room).await;
    let form = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"room\"\r\n\r\n{room}\r\n--edge\r\n\
         Content-Disposition: form-data; name=\"attachment\"; filename=\"plan.pdf\"\r\n\
         Content-Type: application/pdf\r\n\r\n%PDF-1.4\n%%EOF\n\r\n--edge--\r\n"
    );
    let answer = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client")
        .post(format!("http://{}/api/chat/messages/", server.address))
        .bearer_auth(&ana.token)
        .header("content-type", "multipart/form-data; boundary=edge")
        .body(form)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 201);
    let message = a.next_is("chat_message").await["message"].clone();
    assert_eq!(message["message_type"], "file");
    assert_eq!(message["attachment_name"], "plan.pdf");
    let path = message["attachment"].as_str().expect("a path");
    assert!(path.starts_with("/api/chat/files/") && path.ends_with('/') && !path.contains('?'), "{path}");
}

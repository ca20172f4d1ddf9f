//! Forwarding by REST.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{ApiClient, ApiResponse, host, new_user, text_of};
use crate::files::PNG;

const FORWARD: &str = "/api/chat/messages/forward/";

async fn forwards(user: &ApiClient, messages: &[&Value], rooms: &[&str], client_id: Uuid) -> ApiResponse {
    let ids: Vec<&Value> = messages.iter().map(|message| &message["id"]).collect();
    user.post(FORWARD, json!({"message_ids": ids, "rooms": rooms, "client_id": client_id})).await
}

fn ids(answer: &Value) -> Vec<String> {
    answer["messages"].as_array().expect("messages").iter().map(|message| text_of(&message["id"])).collect()
}

fn contents(answer: &Value) -> Vec<String> {
    let messages = answer["messages"].as_array().expect("messages").iter();
    messages.map(|message| text_of(&message["content"])).collect()
}

/// The newest messages of a room, newest first.
async fn newest(user: &ApiClient, room: &str) -> Vec<Value> {
    let page = user.get(&format!("/api/chat/messages/?room={room}")).await.expect_status(200);
    page["results"].as_array().expect("results").clone()
}

#[tokio::test]
async fn messages_are_forwarded_with_a_comment_to_several_rooms() {
    let [alice, bob, cat] = [new_user("alice").await, new_user("bob").await, new_user("cat").await];
    let from = alice.creates_group(&[&bob]).await;
    let (group, direct) = (bob.creates_group(&[&cat]).await, bob.opens_direct(&cat).await);
    let (one, two) = (alice.says(&from, "one").await, bob.says(&from, "two").await);
    assert_eq!(one["forwarded"], json!(null));
    let body = json!({"message_ids": [two["id"], one["id"], two["id"]], "rooms": [group, direct, group],
        "content": "  look ", "client_id": Uuid::new_v4()});
    let answer = bob.post(FORWARD, body).await.expect_status(201);
    assert_eq!(answer["errors"], json!({}));
    assert_eq!(contents(&answer), ["look", "two", "one", "look", "two", "one"]);
    let messages = answer["messages"].as_array().expect("messages");
    assert_eq!(messages[0]["forwarded"], json!(null));
    let origin = json!({"sender": {"id": alice.id, "username": one["sender"]["username"],
        "full_name": one["sender"]["full_name"]}, "created_at": one["created_at"],
        "room_id": from, "message_id": one["id"]});
    assert_eq!(messages[2]["forwarded"], origin);
    assert_eq!((&messages[2]["room"], &messages[5]["room"]), (&json!(group), &json!(direct)));
    for message in messages {
        assert_eq!((&message["sender"]["id"], &message["is_read"]), (&json!(bob.id), &json!(true)));
        let path = format!("/api/chat/messages/{}/", text_of(&message["id"]));
        assert_eq!(bob.get(&path).await.expect_status(200), *message);
    }
    // Who isn't in the room of the original sees who wrote it, and not where.
    let seen = newest(&cat, &group).await;
    assert_eq!(seen[0]["forwarded"], json!({"sender": origin["sender"], "created_at": origin["created_at"]}));
    assert_eq!(cat.unread(&group).await, 3);

    // A copy of a copy names the first author; the place is shown to those who may see it there.
    let on = cat.creates_group(&[&alice, &bob]).await;
    let again = forwards(&cat, &[&seen[0]], &[&on], Uuid::new_v4()).await.expect_status(201);
    assert_eq!(again["messages"][0]["forwarded"].get("room_id"), None);
    for user in [&alice, &bob] {
        assert_eq!(newest(user, &on).await[0]["forwarded"], origin);
    }
    alice.removes(&bob, &from).await;
    assert_eq!(newest(&bob, &on).await[0]["forwarded"].get("room_id"), None);
    alice.delete(&format!("/api/chat/messages/{}/", text_of(&one["id"]))).await.expect_status(204);
    let left = newest(&alice, &on).await.remove(0);
    assert_eq!((&left["content"], left["forwarded"].get("message_id")), (&json!("one"), None));
}

#[tokio::test]
async fn a_retry_gets_the_same_messages_and_sends_nothing() {
    let [alice, bob] = [new_user("alice").await, new_user("bob").await];
    let (from, to, other) =
        (alice.creates_group(&[]).await, bob.creates_group(&[&alice]).await, alice.creates_group(&[]).await);
    let message = alice.says(&from, "one").await;
    let client_id = Uuid::new_v4();
    let first = forwards(&alice, &[&message], &[&to, &other], client_id).await.expect_status(201);
    let same = forwards(&alice, &[&message], &[&to, &other], client_id).await.expect_status(200);
    assert_eq!(ids(&first), ids(&same));
    // Also when the original has gone.
    alice.delete(&format!("/api/chat/messages/{}/", text_of(&message["id"]))).await.expect_status(204);
    let same = forwards(&alice, &[&message], &[&to, &other], client_id).await.expect_status(200);
    assert_eq!(ids(&first), ids(&same));
    assert_eq!(contents(&same), ["one", "one"]);
    let new = alice.creates_group(&[]).await;
    let partly = forwards(&alice, &[&message], &[&to, &new], client_id).await.expect_status(200);
    assert_eq!((ids(&partly), &partly["errors"]), (vec![ids(&first)[0].clone()], &json!({new: "not_found"})));
    forwards(&alice, &[&message], &[&to], Uuid::new_v4()).await.expect_field_errors(&["message_ids"]);
    // Who has left the room is told no more than it was sent.
    alice.post(&format!("/api/chat/rooms/{to}/leave/"), json!({})).await.expect_status(200);
    let known = forwards(&alice, &[&message], &[&to], client_id).await.expect_status(200);
    let sent = &first["messages"][0];
    assert_eq!(
        known["messages"],
        json!([{"id": sent["id"], "room": to, "seq": sent["seq"], "created_at": sent["created_at"]}])
    );
    // Each of the messages sent at the same moment is there once.
    let message = alice.says(&from, "two").await;
    let (client_id, rooms) = (Uuid::new_v4(), [from.as_str(), other.as_str()]);
    let again = async || forwards(&alice, &[&message], &rooms, client_id).await;
    let all = futures_util::future::join_all((0..8).map(|_| again())).await;
    let all: Vec<Vec<String>> = all.iter().map(|answer| ids(&answer.json())).collect();
    assert!(all.iter().all(|ids| *ids == all[0]), "{all:?}");
    assert_eq!(newest(&alice, &other).await.len(), 2);
}

#[tokio::test]
async fn rooms_that_refuse_are_named_and_get_nothing() {
    let [alice, bob] = [new_user("alice").await, new_user("bob").await];
    let from = alice.creates_group(&[]).await;
    let (open, archived, foreign) =
        (alice.creates_group(&[]).await, alice.creates_group(&[]).await, bob.creates_group(&[]).await);
    alice.post(&format!("/api/chat/rooms/{archived}/archive/"), json!({})).await.expect_status(200);
    let nowhere = Uuid::new_v4().to_string();
    let (one, two) = (alice.says(&from, "one").await, alice.says(&from, "two").await);
    let rooms = [foreign.as_str(), &archived, &open, &nowhere];
    let client_id = Uuid::new_v4();
    let answer = forwards(&alice, &[&one, &two], &rooms, client_id).await.expect_status(201);
    let errors =
        json!({foreign.clone(): "forbidden", archived.clone(): "archived", nowhere.clone(): "forbidden"});
    assert_eq!((contents(&answer), &answer["errors"]), (vec!["one".into(), "two".into()], &errors));
    assert!(newest(&alice, &archived).await.is_empty() && newest(&bob, &foreign).await.is_empty());
    let answer = forwards(&alice, &[&one], &[&archived], client_id).await.expect_status(201);
    assert_eq!(answer, json!({"messages": [], "errors": {archived.clone(): "archived"}}));
    // Another comment under the same id.
    let said = |text: &str| json!({"message_ids": [one["id"]], "rooms": [open], "content": text, "client_id": client_id});
    assert_eq!(contents(&alice.post(FORWARD, said("look")).await.expect_status(201)), ["look", "one"]);
    let answer = alice.post(FORWARD, said("listen")).await.expect_status(201);
    assert_eq!(answer, json!({"messages": [], "errors": {open.clone(): "client_id_conflict"}}));
}

#[tokio::test]
async fn what_one_may_not_read_or_is_malformed_is_refused() {
    let [alice, bob] = [new_user("alice").await, new_user("bob").await];
    let (from, other, foreign) =
        (alice.creates_group(&[]).await, alice.creates_group(&[]).await, bob.creates_group(&[]).await);
    let (own, elsewhere) = (alice.says(&from, "own").await, alice.says(&other, "elsewhere").await);
    let (secret, gone) = (bob.says(&foreign, "secret").await, alice.says(&from, "gone").await);
    alice.delete(&format!("/api/chat/messages/{}/", text_of(&gone["id"]))).await.expect_status(204);
    for messages in [vec![&secret], vec![&own, &secret], vec![&own, &elsewhere], vec![&gone]] {
        forwards(&alice, &messages, &[&other], Uuid::new_v4()).await.expect_field_errors(&["message_ids"]);
    }
    assert_eq!(newest(&alice, &other).await.len(), 1);
    let valid = json!({"message_ids": [own["id"]], "rooms": [other], "client_id": Uuid::new_v4()});
    let many = |count: usize| json!((0..count).map(|_| Uuid::new_v4()).collect::<Vec<_>>());
    for (field, value) in [
        ("message_ids", json!([])),
        ("message_ids", json!("x")),
        ("message_ids", json!([5])),
        ("message_ids", many(21)),
        ("rooms", json!(null)),
        ("rooms", json!([])),
        ("rooms", json!(["x"])),
        ("rooms", many(11)),
        ("content", json!("x".repeat(4_001))),
        ("content", json!(5)),
        ("client_id", json!(null)),
        ("client_id", json!("x")),
    ] {
        let mut body = valid.clone();
        body[field] = value;
        alice.post(FORWARD, body).await.expect_field_errors(&[field]);
    }
    alice.post(FORWARD, json!({})).await.expect_field_errors(&["client_id", "message_ids", "rooms"]);
    host().await.post(FORWARD, valid.clone()).await.expect_status(403);
    alice.get(FORWARD).await.expect_status(405);
    // A blank comment is none.
    let mut blank = valid;
    blank["content"] = json!(" \u{200b} ");
    assert_eq!(contents(&alice.post(FORWARD, blank).await.expect_status(201)), ["own"]);
}

#[tokio::test]
async fn a_file_goes_along_and_stays_until_its_last_message_is_gone() {
    let [alice, bob, cat] = [new_user("alice").await, new_user("bob").await, new_user("cat").await];
    let (from, to) = (alice.creates_group(&[&bob]).await, bob.creates_group(&[&cat]).await);
    let sent = alice
        .post_form(
            "/api/chat/messages/",
            &[("room", &from), ("content", "plan")],
            &[("attachment", "a.png", PNG)],
        )
        .await
        .expect_status(201);
    let file = text_of(&sent["attachment"]).split('?').next().expect("a path").to_owned();
    cat.get(&file).await.expect_status(404);
    let copy =
        forwards(&bob, &[&sent], &[&to], Uuid::new_v4()).await.expect_status(201)["messages"][0].clone();
    for field in ["content", "message_type", "attachment_name", "attachment_size"] {
        assert_eq!(copy[field], sent[field], "{field}");
    }
    let shown = newest(&cat, &to).await.remove(0);
    assert_eq!(
        cat.without_token().get(&text_of(&shown["attachment"])).await.bytes,
        cat.get(&file).await.bytes
    );
    alice.delete(&format!("/api/chat/messages/{}/", text_of(&sent["id"]))).await.expect_status(204);
    alice.get(&file).await.expect_status(404);
    assert_eq!(cat.get(&file).await.status, 200);
    bob.delete(&format!("/api/chat/messages/{}/", text_of(&copy["id"]))).await.expect_status(204);
    for user in [&bob, &cat] {
        user.get(&file).await.expect_status(404);
    }
}

#[tokio::test]
async fn an_erased_author_is_shown_as_one_and_their_words_are_anothers_message_now() {
    let [alice, bob] = [new_user("alice").await, new_user("bob").await];
    let (from, to) = (bob.creates_group(&[&alice]).await, bob.creates_group(&[]).await);
    let message = alice.says(&from, "one").await;
    let copy = forwards(&bob, &[&message], &[&to], Uuid::new_v4()).await.expect_status(201);
    host().await.delete(&format!("/api/chat/users/{}/?texts=true", alice.id)).await.expect_status(204);
    let shown = newest(&bob, &to).await.remove(0);
    let nobody = json!({"id": alice.id, "username": "deleted", "full_name": "Deleted user"});
    assert_eq!((&shown["content"], &shown["forwarded"]["sender"]), (&json!("one"), &nobody));
    let events = bob.get(&format!("/api/chat/rooms/{to}/events/?since=0")).await.expect_status(200);
    let told = events["events"].as_array().expect("events").last().expect("the copy");
    assert_eq!(told["message"]["forwarded"]["sender"], nobody);
    // The words can be deleted, and not changed.
    let path = format!("/api/chat/messages/{}/", text_of(&copy["messages"][0]["id"]));
    bob.patch(&path, json!({"content": "two"})).await.expect_status(403);
    bob.delete(&path).await.expect_status(204);
}

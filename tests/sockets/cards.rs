//! Checklists and polls on sockets.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::shared;

#[tokio::test]
async fn a_card_is_sent_ticked_told_to_everyone_and_replayed() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let (mut a, mut b) = (ana.joins(&room).await, ben.joins(&room).await);
    let client_id = Uuid::new_v4().to_string();
    let card =
        json!({"v": 1, "kind": "checklist", "title": "Unit 4", "items": [{"id": "beds", "text": "Beds"}]});
    a.sends(json!({"type": "chat_message", "card": card, "client_id": client_id})).await;
    let sent = a.answer_to(&client_id).await;
    assert_eq!((&sent["type"], &sent["duplicate"]), (&json!("ack"), &json!(false)));
    let frame = b.sees("Unit 4\n- Beds").await;
    let item = json!({"id": "beds", "text": "Beds", "done_by": null, "done_at": null});
    assert_eq!(frame["message"]["card"]["items"], json!([item]));

    let tick = |on: bool| json!({"type": "card", "message_id": sent["message_id"], "item": "beds", "on": on, "client_id": client_id});
    b.sends(tick(true)).await;
    let ack = b.receives("ack").await;
    let seq = sent["seq"].as_i64().expect("a position") + 1;
    assert_eq!(
        (&ack["seq"], &ack["message_id"], &ack["duplicate"]),
        (&json!(seq), &sent["message_id"], &json!(false))
    );
    let changed = a.receives("card_changed").await;
    assert_eq!(
        (&changed["room_id"], &changed["message_id"], &changed["seq"], &changed["rev"]),
        (&json!(room), &sent["message_id"], &json!(seq), &json!(seq))
    );
    assert_eq!(changed["card"]["items"][0]["done_by"], ben.id);
    assert_eq!(b.receives("card_changed").await, changed);
    // Again: nothing new.
    b.sends(tick(true)).await;
    let ack = b.receives("ack").await;
    assert_eq!((&ack["seq"], &ack["duplicate"]), (&json!(seq), &json!(true)));
    b.sends(tick(false)).await;
    let changed = a.receives("card_changed").await;
    assert_eq!((&changed["card"]["items"], &changed["seq"]), (&json!([item]), &json!(seq + 1)));

    // A replay has the card as it is now in each frame, and each with its own position.
    for since in [seq - 2, seq - 1, seq] {
        let (_, frames) = ana.resumes(&room, since).await;
        let changes: Vec<&Value> = frames.iter().filter(|frame| frame["type"] == "card_changed").collect();
        let seqs: Vec<i64> = changes.iter().filter_map(|frame| frame["rev"].as_i64()).collect();
        assert_eq!(seqs, ((since + 1).max(seq)..=seq + 1).collect::<Vec<_>>());
        assert!(changes.iter().all(|frame| frame["rev"] == frame["seq"]));
        assert_eq!(changes.last().expect("a change")["card"]["items"], json!([item]));
    }
}

#[tokio::test]
async fn no_replay_tells_the_card_of_a_deleted_message() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let _keeps_the_room = ben.joins(&room).await;
    let card = json!({"v": 1, "kind": "poll", "title": "secret", "choices": [{"id": "a", "text": "secret"}]});
    let sent = ana.posts("messages/", json!({"room": room, "card": card})).await;
    let id = sent["id"].as_str().expect("an id");
    ben.posts(&format!("messages/{id}/card/"), json!({"choice": "a"})).await;
    let since = sent["seq"].as_i64().expect("a position") - 1;
    // Once from the log, and once from what the room keeps.
    for _ in 0..2 {
        let (socket, frames) = ana.resumes(&room, since).await;
        assert!(frames.iter().any(|frame| frame.to_string().contains("secret")));
        socket.closes().await;
    }
    ana.deletes(&format!("messages/{id}/")).await;
    for _ in 0..2 {
        let (socket, frames) = ana.resumes(&room, since).await;
        let told = json!(frames).to_string();
        assert!(!told.contains("secret"), "{told}");
        let changed = frames.iter().find(|frame| frame["type"] == "card_changed").expect("the vote");
        assert_eq!(changed["card"], json!(null));
        socket.closes().await;
    }
}

#[tokio::test]
async fn who_may_not_see_a_message_is_not_told_of_its_card_or_thread() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[]).await;
    ana.patches(&format!("rooms/{room}/"), json!({"history": "joined"})).await;
    let card = json!({"v": 1, "kind": "checklist", "items": [{"id": "a", "text": "secret"}]});
    let before = ana.posts("messages/", json!({"room": room, "card": card})).await;
    let id = before["id"].as_str().expect("an id");
    ana.adds(&ben, &room).await;
    let mut b = ben.joins(&room).await;
    let ticked = ana.posts(&format!("messages/{id}/card/"), json!({"item": "a"})).await;
    let hidden = b.receives("event_hidden").await;
    assert_eq!(hidden["seq"], ticked["rev"]);
    let (_, frames) = ben.resumes(&room, 0).await;
    assert!(!json!(frames).to_string().contains("secret"));
    // Neither may it be used.
    for frame in [
        json!({"type": "card", "message_id": id, "item": "a", "on": false}),
        json!({"type": "chat_message", "message": "hi", "thread_root": id}),
    ] {
        let client_id = Uuid::new_v4().to_string();
        let mut sent = frame;
        sent["client_id"] = json!(client_id);
        b.sends(sent.clone()).await;
        let code = if sent["type"] == "card" { "not_found" } else { "invalid" };
        assert_eq!(b.answer_to(&client_id).await["code"], code);
    }
    assert_eq!(ben.gets(&format!("messages/?thread={id}")).await["count"], 0);
    // A reply in a thread whose root is hidden is told all the same.
    let reply = json!({"room": room, "content": "for all", "thread_root": id});
    ana.posts("messages/", reply).await;
    assert_eq!(b.sees("for all").await["message"]["thread"]["root_id"], id);
}

#[tokio::test]
async fn a_wrong_card_gets_an_error() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let (room, elsewhere) = (ana.makes_group(&[]).await, ben.makes_group(&[]).await);
    let card = json!({"v": 1, "kind": "poll", "choices": [{"id": "a", "text": "x"}]});
    let foreign = ben.posts("messages/", json!({"room": elsewhere, "card": card})).await;
    let own = ana.posts("messages/", json!({"room": room, "card": card})).await;
    let text = ana.posts_message(&room, "no card").await;
    let mut a = ana.joins(&room).await;
    for (frame, code) in [
        (
            json!({"type": "chat_message", "message": "x", "card": {"v": 9, "kind": "card", "title": "x"}}),
            "invalid",
        ),
        (json!({"type": "chat_message", "card": "x"}), "invalid"),
        (json!({"type": "chat_message", "card": null}), "bad_frame"),
        (json!({"type": "card", "message_id": foreign["id"], "choice": "a", "on": true}), "not_found"),
        (json!({"type": "card", "message_id": own["id"], "choice": "b", "on": true}), "invalid"),
        (json!({"type": "card", "message_id": own["id"], "item": "a", "on": true}), "invalid"),
        (json!({"type": "card", "message_id": text["id"], "item": "a", "on": true}), "invalid"),
        (json!({"type": "card", "message_id": own["id"], "choice": "a"}), "bad_frame"),
        (json!({"type": "card", "message_id": own["id"], "on": true}), "bad_frame"),
        (json!({"type": "card", "message_id": "x", "choice": "a", "on": true}), "bad_frame"),
    ] {
        let client_id = Uuid::new_v4().to_string();
        let mut frame = frame;
        frame["client_id"] = json!(client_id);
        a.sends(frame.clone()).await;
        let error = a.answer_to(&client_id).await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{frame}");
    }
}

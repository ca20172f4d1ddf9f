//! Bots by REST: who makes them, what they may do, what commands they offer, and the buttons on their cards.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{ApiClient, host, new_user, text_of, texts};

const BOTS: &str = "/api/chat/bots/";
const COMMANDS: &str = "/api/chat/commands/";

/// Makes a bot.
async fn new_bot(name: &str) -> ApiClient {
    let host = host().await;
    let body = json!({"username": name, "full_name": format!("The {name}")});
    let bot = host.post(BOTS, body).await.expect_status(201);
    let mut client = host.with_token(&text_of(&bot["token"]));
    client.id = bot["id"].as_i64().expect("an id");
    client
}

async fn staff(name: &str) -> ApiClient {
    let user = new_user(name).await;
    let path = format!("/api/chat/users/{}/", user.id);
    host().await.put(&path, json!({"is_staff": true})).await.expect_status(200);
    user
}

async fn sends_buttons(bot: &ApiClient, room: &str) -> Value {
    let buttons = json!([{"id": "yes", "text": "Yes", "style": "primary"}, {"text": "No"}]);
    let card = json!({"v": 1, "kind": "card", "title": "Is unit 4 ready?", "buttons": buttons});
    bot.post("/api/chat/messages/", json!({"room": room, "card": card})).await.expect_status(201)
}

fn card_path(message: &Value) -> String {
    format!("/api/chat/messages/{}/card/", text_of(&message["id"]))
}

#[tokio::test]
async fn a_bot_is_made_shown_and_takes_part_like_a_person() {
    let staff = staff("staff").await;
    let made =
        staff.post(BOTS, json!({"username": "helper", "full_name": "Helper"})).await.expect_status(201);
    let id = made["id"].as_i64().expect("an id");
    assert!(id <= -1_000_000_000, "{made}");
    assert_eq!((&made["is_active"], &made["created_by"]), (&json!(true), &json!(staff.id)));
    let mut bot = staff.with_token(&text_of(&made["token"]));
    bot.id = id;
    let me = bot.get("/api/chat/users/me/").await.expect_status(200);
    assert_eq!((&me["id"], &me["kind"], &me["full_name"]), (&json!(id), &json!("bot"), &json!("Helper")));
    let listed = host().await.get(&format!("{BOTS}?page_size=100")).await.expect_status(200);
    assert!(listed["results"].as_array().expect("bots").iter().all(|bot| bot.get("token").is_none()));

    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    bot.post("/api/chat/messages/", json!({"room": room, "content": "x"})).await.expect_status(400);
    let added = json!({"room": room, "user": id});
    let added = alice.post("/api/chat/participants/", added).await.expect_status(201);
    assert_eq!((&added["user"]["id"], &added["user"]["kind"]), (&json!(id), &json!("bot")));
    let sent = bot.says(&room, "Good morning").await;
    assert_eq!((&sent["sender"]["id"], &sent["sender"]["kind"]), (&json!(id), &json!("bot")));
    let shown = bob.get(&format!("/api/chat/messages/{}/", text_of(&sent["id"]))).await.expect_status(200);
    assert_eq!(shown["sender"]["kind"], "bot");
    assert_eq!(alice.says(&room, "hi").await["sender"].get("kind"), None, "people are shown as before");
    let found = alice.get(&format!("/api/chat/users/{id}/")).await.expect_status(200);
    assert_eq!(found["kind"], "bot");
    let mention = json!({"room": room, "content": "@helper", "mentions": [id]});
    alice.post("/api/chat/messages/", mention).await.expect_status(201);
    // It is nobody's staff, and manages no bots.
    bot.get(BOTS).await.expect_status(403);
    bot.get(&format!("/api/chat/messages/?sender={id}&room={room}")).await.expect_status(200);
    let direct = alice.post("/api/chat/rooms/", json!({"participant_ids": [id]})).await.expect_status(201);
    bot.says(&text_of(&direct["id"]), "Just the two of us").await;
    let other = new_bot("other").await;
    bot.post("/api/chat/rooms/", json!({"participant_ids": [other.id]})).await.expect_status(403);
}

#[tokio::test]
async fn a_token_is_replaced_and_ends_with_its_bot() {
    let (host, bot) = (host().await, new_bot("helper").await);
    bot.get("/api/chat/rooms/").await.expect_status(200);
    let path = format!("{BOTS}{}/", bot.id);
    let mut current = bot.clone();
    for _ in 0..2 {
        let next = host.post(&format!("{path}token/"), json!({})).await.expect_status(200);
        assert_eq!(next["id"], bot.id);
        current.get("/api/chat/rooms/").await.expect_status(401);
        current = bot.with_token(&text_of(&next["token"]));
        current.get("/api/chat/rooms/").await.expect_status(200);
    }
    let forged = format!("{}x", &current.token()[..current.token().len() - 1]);
    bot.with_token(&forged).get("/api/chat/rooms/").await.expect_status(401);
    host.delete(&path).await.expect_status(204);
    current.get("/api/chat/rooms/").await.expect_status(401);
    host.post(&format!("{path}token/"), json!({})).await.expect_status(404);
    for id in ["7", "-7", "x", "-1000000000000"] {
        host.delete(&format!("{BOTS}{id}/")).await.expect_status(404);
    }
    for body in [json!({}), json!({"username": "", "full_name": "x"}), json!({"username": "x"})] {
        assert_eq!(host.post(BOTS, body).await.status, 400);
    }
}

#[tokio::test]
async fn commands_are_listed_where_their_bot_is() {
    let (alice, bot) = (new_user("alice").await, new_bot("helper").await);
    let (room, elsewhere) = (alice.creates_group(&[&bot]).await, alice.creates_group(&[]).await);
    let remind = json!({"name": "remind", "description": "Reminds you", "hint": "when what"});
    bot.put(COMMANDS, json!([remind, {"name": "report"}])).await.expect_status(204);
    let list = async |room: &str| alice.get(&format!("{COMMANDS}?room={room}")).await.expect_status(200);
    let listed = list(&room).await;
    let command = &listed["results"][0];
    assert_eq!(
        (&listed["count"], &command["name"], &command["description"], &command["hint"]),
        (&json!(2), &json!("remind"), &json!("Reminds you"), &json!("when what"))
    );
    assert_eq!((&command["bot"]["id"], &command["bot"]["kind"]), (&json!(bot.id), &json!("bot")));
    assert_eq!(list(&elsewhere).await["count"], 0);
    let outsider = new_user("outsider").await;
    assert_eq!(outsider.get(&format!("{COMMANDS}?room={room}")).await.expect_status(200)["count"], 0);
    alice.get(COMMANDS).await.expect_field_errors(&["room"]);
    alice.put(COMMANDS, json!([])).await.expect_status(403);

    let many: Vec<Value> = (0..101).map(|n| json!({"name": format!("c{n}")})).collect();
    for wrong in [
        json!([{"name": "Remind"}]),
        json!([{"name": ""}]),
        json!([{}]),
        json!([{"name": "a"}, {"name": "a"}]),
        json!([{"name": "a", "hint": "x".repeat(101)}]),
        json!([{"name": "a", "description": 7}]),
        json!(many),
        json!({"name": "a"}),
    ] {
        assert_eq!(bot.put(COMMANDS, wrong.clone()).await.status, 400, "{wrong}");
    }
    assert_eq!(list(&room).await["count"], 2, "nothing of that was kept");
    bot.put(COMMANDS, json!([{"name": "ask"}])).await.expect_status(204);
    assert_eq!(list(&room).await["results"][0]["name"], "ask");

    // Nobody is at the other end.
    let path = format!("/api/chat/rooms/{room}/commands/");
    let away = alice.post(&path, json!({"name": "ask", "text": "x"})).await.expect_status(503);
    assert_eq!(
        (&away["code"], &away["detail"]),
        (&json!("unavailable"), &json!("The bot of this command isn't connected"))
    );
    alice.post(&path, json!({"name": "remind"})).await.expect_status(404);
    alice.post(&path, json!({"name": "re mind"})).await.expect_field_errors(&["name"]);
    alice.post(&path, json!({"name": "ask", "text": "x".repeat(4_001)})).await.expect_field_errors(&["text"]);
    outsider.post(&path, json!({"name": "ask"})).await.expect_status(403);
    bot.post(&path, json!({"name": "ask"})).await.expect_status(403);
    let answer = json!({"token": "00", "content": "x"});
    bot.post(&format!("{COMMANDS}answer/"), answer.clone()).await.expect_field_errors(&["token"]);
    alice.post(&format!("{COMMANDS}answer/"), answer).await.expect_status(403);
    assert!(alice.sees(&room).await.is_empty(), "nothing was posted");
    host().await.delete(&format!("{BOTS}{}/", bot.id)).await.expect_status(204);
    assert_eq!(list(&room).await["count"], 0);
}

#[tokio::test]
async fn buttons_are_pressed_once_under_a_client_id() {
    let (alice, bob, bot) = (new_user("alice").await, new_user("bob").await, new_bot("helper").await);
    let room = alice.creates_group(&[&bob, &bot]).await;
    let message = sends_buttons(&bot, &room).await;
    assert_eq!(
        message["card"]["buttons"],
        json!([{"id": "yes", "text": "Yes", "style": "primary"}, {"id": "1", "text": "No"}])
    );
    let path = card_path(&message);
    let press = json!({"button": "yes", "client_id": Uuid::new_v4()});
    let pressed = bob.post(&path, press.clone()).await.expect_status(200);
    assert_eq!(pressed["card"], message["card"], "a press changes no card");
    let again = bob.post(&path, press).await.expect_status(200);
    assert_eq!(again["rev"], pressed["rev"]);
    let third = alice.post(&path, json!({"button": "1"})).await.expect_status(200);
    assert_eq!(third["rev"].as_i64(), pressed["rev"].as_i64().map(|rev| rev + 1));
    alice.post(&path, json!({"button": "never"})).await.expect_field_errors(&["button"]);
    alice.post(&path, json!({"button": "yes", "on": false})).await.expect_field_errors(&["on"]);
    alice.post(&path, json!({"button": "yes", "item": "1"})).await.expect_field_errors(&["item"]);
    bot.post(&path, json!({"button": "yes"})).await.expect_status(403);
    let events = bob.get(&format!("/api/chat/rooms/{room}/events/")).await.expect_status(200);
    let actions: Vec<&Value> = events["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter(|event| event["type"] == "card_action")
        .collect();
    assert_eq!(actions.len(), 2);
    assert_eq!(
        (&actions[0]["action"], &actions[0]["user_id"], &actions[0]["message_id"]),
        (&json!("yes"), &json!(bob.id), &message["id"])
    );
    // A forwarded card is a text, and people send no buttons.
    let forward = json!({"message_ids": [message["id"]], "rooms": [room], "client_id": Uuid::new_v4()});
    let forwarded = bob.post("/api/chat/messages/forward/", forward).await.expect_status(201);
    assert_eq!(forwarded["messages"][0]["card"], Value::Null);
    let card = json!({"v": 1, "kind": "card", "title": "x", "buttons": [{"text": "x"}]});
    let refused = bob.post("/api/chat/messages/", json!({"room": room, "card": card})).await;
    refused.expect_field_errors(&["card"]);
}

#[tokio::test]
async fn integrations_and_the_host_send_buttons_too() {
    let (alice, host) = (new_user("alice").await, host().await);
    let path = format!("/api/chat/tasks/{}/room/", crate::client::fresh_id());
    let room = host.put(&path, json!({"participant_ids": [alice.id]})).await.expect_status(201);
    let room = text_of(&room["id"]);
    sends_buttons(&host, &room).await;
    let incoming = json!({"rooms": [room], "name": "Alarm"});
    let url = text_of(&host.post("/api/chat/incoming/", incoming).await.expect_status(201)["url"]);
    let card = json!({"v": 1, "kind": "card", "title": "Smoke", "buttons": [{"id": "ok", "text": "I look"}]});
    let hook = &url[url.find("/api/").expect("a path")..];
    let posted = alice.without_token().post(hook, json!({"card": card})).await.expect_status(201);
    let pressed = alice.post(&card_path(&posted["messages"][0]), json!({"button": "ok"})).await;
    pressed.expect_status(200);
    let page = alice.get(&format!("/api/chat/messages/?room={room}")).await.expect_status(200);
    assert_eq!(texts(&page), ["Smoke", "Is unit 4 ready?"]);
}

//! Bots on sockets: commands and their answers, buttons, and a token that ends.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::node::Node;
use crate::shared;
use crate::users::TestUser;

/// Makes a bot with the command `remind`.
pub(crate) async fn bot(server: &Node) -> TestUser {
    let body = json!({"username": "helper", "full_name": "Helper"});
    let made = server.host().posts("bots/", body).await;
    let token = made["token"].as_str().expect("a token").to_owned();
    let id = made["id"].as_i64().expect("an id");
    let bot = server.unknown_user(id, "helper").with_token(token);
    let (status, body) = bot.requests(Method::PUT, "commands/", Some(json!([{"name": "remind"}]))).await;
    assert_eq!(status, 204, "{body}");
    bot
}

async fn gives(user: &TestUser, room: &str, text: &str) -> (u16, String) {
    let body = json!({"name": "remind", "text": text});
    let (status, body) = user.requests(Method::POST, &format!("rooms/{room}/commands/"), Some(body)).await;
    (status.as_u16(), body)
}

async fn answers(bot: &TestUser, command: &Value, fields: Value) -> (u16, Value) {
    let mut body = json!({"token": command["token"], "content": "I will remind you"});
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    let (status, body) = bot.requests(Method::POST, "commands/answer/", Some(body)).await;
    (status.as_u16(), serde_json::from_str(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_command_is_given_answered_to_all_or_to_its_caller_alone() {
    let server = shared().await;
    let (ana, ben, bot) = (server.user("ana").await, server.user("ben").await, bot(server).await);
    let room = ana.makes_group(&[&ben, &bot]).await;
    let began = Instant::now();
    assert_eq!(gives(&ana, &room, "x").await.0, 503);
    assert!(began.elapsed() < Duration::from_secs(3));

    let (mut listens, _) = bot.opens_user_socket().await;
    let (mut a, mut b) = (ana.opens_user_socket().await.0, ben.joins(&room).await);
    assert_eq!(gives(&ana, &room, " me at nine ").await, (202, String::new()));
    let command = listens.receives("command").await;
    assert_eq!(
        (&command["room_id"], &command["name"], &command["text"], &command["user_id"]),
        (&json!(room), &json!("remind"), &json!("me at nine"), &json!(ana.id))
    );
    let client_id = json!({"client_id": Uuid::new_v4()});
    let (status, sent) = answers(&bot, &command, client_id.clone()).await;
    assert_eq!((status, &sent["sender"]["id"]), (201, &json!(bot.id)));
    assert_eq!(answers(&bot, &command, client_id).await.0, 200, "the same again");
    let frame = b.sees("I will remind you").await;
    assert_eq!((&frame["message"]["id"], &frame["message"]["sender"]["kind"]), (&sent["id"], &json!("bot")));

    let (status, _) = answers(&bot, &command, json!({"only_to_caller": true})).await;
    assert_eq!(status, 204);
    let answer = a.receives("command_answer").await;
    assert_eq!(
        answer,
        json!({"type": "command_answer", "room_id": room, "name": "remind", "user_id": bot.id,
            "content": "I will remind you"})
    );
    b.receives_nothing().await;
    // The token is this bot's alone.
    assert_eq!(answers(&ana, &command, json!({})).await.0, 403);
    let other = crate::bots::bot(server).await;
    assert_eq!(answers(&other, &command, json!({})).await.0, 400);
    ana.removes(&bot, &room).await;
    assert_eq!(answers(&bot, &command, json!({})).await.0, 403);
    assert_eq!(answers(&bot, &command, json!({"only_to_caller": true})).await.0, 403);
    assert_eq!(gives(&ana, &room, "x").await.0, 404);
}

#[tokio::test]
async fn a_pressed_button_is_told_to_its_bot_and_in_the_room() {
    let server = shared().await;
    let (ana, ben, bot) = (server.user("ana").await, server.user("ben").await, bot(server).await);
    let room = ana.makes_group(&[&ben, &bot]).await;
    let (mut listens, _) = bot.opens_user_socket().await;
    let mut a = ana.joins(&room).await;
    let card = json!({"v": 1, "kind": "card", "title": "Ready?", "buttons": [{"id": "yes", "text": "Yes"}]});
    let message = bot.posts("messages/", json!({"room": room, "card": card})).await;
    let client_id = Uuid::new_v4().to_string();
    let press = json!({"type": "card", "message_id": message["id"], "button": "yes", "client_id": client_id});
    a.sends(press.clone()).await;
    let ack = a.answer_to(&client_id).await;
    assert_eq!((&ack["type"], &ack["duplicate"]), (&json!("ack"), &json!(false)));
    let told = listens.receives("card_action").await;
    assert_eq!(
        told,
        json!({"type": "card_action", "room_id": room, "seq": ack["seq"], "message_id": message["id"],
            "action": "yes", "user_id": ana.id})
    );
    assert_eq!(a.receives("card_action").await, told);
    a.sends(press).await;
    assert_eq!(a.answer_to(&client_id).await["duplicate"], true);
    let (_, missed) = bot.resumes(&room, message["seq"].as_i64().expect("a position")).await;
    assert_eq!(missed[0], told, "a bot that was away finds it in the log");
}

#[tokio::test]
async fn sockets_of_a_bot_end_with_its_token() {
    let server = shared().await;
    let (host, bot) = (server.host(), bot(server).await);
    let (mut first, _) = bot.opens_user_socket().await;
    let next = host.posts(&format!("bots/{}/token/", bot.id), json!({})).await;
    assert_eq!(first.is_closed().await, 4401);
    assert_eq!(bot.user_socket().opens().await.err(), Some(401));
    let bot = bot.with_token(next["token"].as_str().expect("a token").to_owned());
    let (mut second, _) = bot.opens_user_socket().await;
    host.deletes(&format!("bots/{}/", bot.id)).await;
    assert_eq!(second.is_closed().await, 4401);
    assert_eq!(bot.user_socket().opens().await.err(), Some(401));
}

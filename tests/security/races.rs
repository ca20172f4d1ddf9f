//! Two users who simultaneously do what only one of them may. Whatever the order was, only one succeeds.

use futures_util::future::{join, join_all};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::node::Node;
use crate::users::{TestUser, text};

const ROUNDS: usize = 200;

/// Ana and Ben, on a server that all races share.
async fn rivals() -> (TestUser, TestUser) {
    static SHARED: OnceCell<Node> = OnceCell::const_new();
    let server = SHARED.get_or_init(|| Node::start(&[("RATE_LIMITS", "off")])).await;
    (server.user("ana").await, server.user("ben").await)
}

/// All events of the room.
async fn log(of: &TestUser, room: &str) -> Vec<Value> {
    of.events(room, 0).await.1["events"].as_array().expect("events").clone()
}

fn position(event: &Value) -> i64 {
    event["seq"].as_i64().expect("a position")
}

#[tokio::test]
async fn a_direct_room_opened_by_both_users_at_once_is_one() {
    let (ana, _) = rivals().await;
    for round in 0..ROUNDS {
        let (_, ben) = rivals().await;
        let openings = (0..8).map(|n| {
            let (one, other) = if n % 2 == 0 { (&ana, &ben) } else { (&ben, &ana) };
            one.opens_direct(other)
        });
        let mut rooms = join_all(openings).await;
        rooms.dedup();
        assert_eq!(rooms.len(), 1, "round {round}: {rooms:?}");
    }
}

#[tokio::test]
async fn of_two_last_admins_one_remains() {
    let (ana, ben) = rivals().await;
    let (witness, _) = rivals().await;
    for round in 0..ROUNDS {
        let room = ana.makes_group(&[&ben, &witness]).await;
        let his = ana.participant_id(&ben, &room).await;
        ana.patches(&format!("participants/{his}/"), json!({"is_admin": true})).await;
        let (leave, demote) = (format!("rooms/{room}/leave/"), format!("participants/{his}/"));
        // In half of the rounds both leave; in the others one loses the permission that he is about to use.
        let (one, other) = if round % 2 == 0 {
            join(ana.requests(Method::POST, &leave, None), ben.requests(Method::POST, &leave, None)).await
        } else {
            let says = Some(json!({"is_admin": false}));
            join(ana.requests(Method::POST, &leave, None), ana.requests(Method::PATCH, &demote, says)).await
        };
        let done = [&one, &other].into_iter().filter(|(status, _)| status.is_success()).count();
        assert_eq!(done, 1, "round {round}: {one:?} {other:?}");
        let page = witness.gets(&format!("participants/?room={room}&is_admin=true")).await;
        assert_eq!(page["count"], 1, "round {round}: {page}");
    }
}

#[tokio::test]
async fn nothing_is_sent_after_archiving() {
    let (ana, ben) = rivals().await;
    let mut said = 0;
    for round in 0..ROUNDS {
        let room = ana.makes_group(&[&ben]).await;
        let archive = format!("rooms/{room}/archive/");
        let message = json!({"room": room, "content": "just in time"});
        let (archived, sent) = join(
            ana.requests(Method::POST, &archive, None),
            ben.requests(Method::POST, "messages/", Some(message)),
        )
        .await;
        assert_eq!(archived.0, StatusCode::OK);
        let log = log(&ana, &room).await;
        let end = log.iter().rfind(|event| event["type"] == "room_updated").map(position);
        let end = end.expect("an archiving");
        let message = log.iter().find(|event| event["type"] == "chat_message").map(position);
        match sent.0 {
            StatusCode::CREATED => assert!(message.expect("a message") < end, "round {round}"),
            StatusCode::CONFLICT => assert_eq!(message, None, "round {round}"),
            status => panic!("round {round}: {status} {}", sent.1),
        }
        said += usize::from(sent.0 == StatusCode::CREATED);
    }
    println!("{said} of {ROUNDS} messages came before the archiving");
}

#[tokio::test]
async fn membership_matches_the_log_after_simultaneous_adding_and_leaving() {
    let (ana, ben) = rivals().await;
    for round in 0..ROUNDS {
        let room = ana.makes_group(&[&ben]).await;
        let add = json!({"room": room, "user": ben.id});
        let leave = format!("rooms/{room}/leave/");
        let (left, added) = join(
            ben.requests(Method::POST, &leave, None),
            ana.requests(Method::POST, "participants/", Some(add)),
        )
        .await;
        assert_eq!(left.0, StatusCode::OK, "round {round}: {left:?}");
        assert!([StatusCode::CREATED, StatusCode::BAD_REQUEST].contains(&added.0), "{round}: {added:?}");
        let log = log(&ana, &room).await;
        let last = log
            .iter()
            .rfind(|event| event["participant"]["user"]["id"] == ben.id)
            .expect("an event about Ben");
        let page = ana.gets(&format!("participants/?room={room}&user={}", ben.id)).await;
        let is_in = last["type"] == "participant_joined";
        assert_eq!(is_in, added.0 == StatusCode::CREATED, "round {round}: {last}");
        assert_eq!(page["count"], i64::from(is_in), "round {round}: {last} {page}");
        let (seen, _) = ben.requests(Method::GET, &format!("rooms/{room}/"), None).await;
        assert_eq!(seen.is_success(), is_in, "round {round}: {seen}");
    }
}

#[tokio::test]
async fn an_edit_never_restores_a_deleted_text() {
    let (ana, ben) = rivals().await;
    let room = ana.makes_group(&[&ben]).await;
    for round in 0..ROUNDS {
        let message = ana.posts_message(&room, "soon gone").await;
        let path = format!("messages/{}/", text(&message["id"]));
        let (deleted, edited) = join(
            ana.requests(Method::DELETE, &path, None),
            ana.requests(Method::PATCH, &path, Some(json!({"content": "secret after all"}))),
        )
        .await;
        assert_eq!(deleted.0, StatusCode::NO_CONTENT, "round {round}: {deleted:?}");
        assert!([StatusCode::OK, StatusCode::NOT_FOUND].contains(&edited.0), "round {round}: {edited:?}");
        let since = message["seq"].as_i64().expect("a position") - 1;
        let (replay, _) = ben.events(&room, since).await;
        assert!(!replay.contains("secret after all") && !replay.contains("soon gone"), "{round}: {replay}");
        assert_eq!(ben.requests(Method::GET, &path, None).await.0, StatusCode::NOT_FOUND);
    }
}

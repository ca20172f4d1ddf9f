//! Two who do at once what only one of them may: whatever the order was, it was one.

use futures_util::future::{join, join_all};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::node::Node;
use crate::people::{Person, text};

const ROUNDS: usize = 200;

/// Ana and Ben, at a server that all races share.
async fn rivals() -> (Person, Person) {
    static SHARED: OnceCell<Node> = OnceCell::const_new();
    let server = SHARED.get_or_init(|| Node::start(&[("RATE_LIMITS", "off")])).await;
    (server.person("ana").await, server.person("ben").await)
}

/// The room's events, all of them.
async fn log(of: &Person, room: &str) -> Vec<Value> {
    of.events(room, 0).await.1["events"].as_array().expect("events").clone()
}

fn position(event: &Value) -> i64 {
    event["seq"].as_i64().expect("a position")
}

#[tokio::test]
async fn a_direct_room_opened_from_both_sides_at_once_is_one() {
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
async fn of_two_last_admins_one_stays() {
    let (ana, ben) = rivals().await;
    let (witness, _) = rivals().await;
    for round in 0..ROUNDS {
        let room = ana.makes_group(&[&ben, &witness]).await;
        let his = ana.place_of(&ben, &room).await;
        ana.patches(&format!("participants/{his}/"), json!({"is_admin": true})).await;
        let (leave, demote) = (format!("rooms/{room}/leave/"), format!("participants/{his}/"));
        // Half of the rounds both leave, in the others one is taken the right that he is about to need.
        let (one, other) = if round % 2 == 0 {
            join(ana.asks(Method::POST, &leave, None), ben.asks(Method::POST, &leave, None)).await
        } else {
            let says = Some(json!({"is_admin": false}));
            join(ana.asks(Method::POST, &leave, None), ana.asks(Method::PATCH, &demote, says)).await
        };
        let done = [&one, &other].into_iter().filter(|(status, _)| status.is_success()).count();
        assert_eq!(done, 1, "round {round}: {one:?} {other:?}");
        let page = witness.gets(&format!("participants/?room={room}&is_admin=true")).await;
        assert_eq!(page["count"], 1, "round {round}: {page}");
    }
}

#[tokio::test]
async fn nothing_is_said_after_the_archiving() {
    let (ana, ben) = rivals().await;
    let mut said = 0;
    for round in 0..ROUNDS {
        let room = ana.makes_group(&[&ben]).await;
        let archive = format!("rooms/{room}/archive/");
        let message = json!({"room": room, "content": "just in time"});
        let (archived, sent) =
            join(ana.asks(Method::POST, &archive, None), ben.asks(Method::POST, "messages/", Some(message)))
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
async fn who_leaves_while_being_added_is_where_the_log_ends() {
    let (ana, ben) = rivals().await;
    for round in 0..ROUNDS {
        let room = ana.makes_group(&[&ben]).await;
        let add = json!({"room": room, "user": ben.id});
        let leave = format!("rooms/{room}/leave/");
        let (left, added) =
            join(ben.asks(Method::POST, &leave, None), ana.asks(Method::POST, "participants/", Some(add)))
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
        let (seen, _) = ben.asks(Method::GET, &format!("rooms/{room}/"), None).await;
        assert_eq!(seen.is_success(), is_in, "round {round}: {seen}");
    }
}

#[tokio::test]
async fn an_edit_never_brings_a_deleted_text_back() {
    let (ana, ben) = rivals().await;
    let room = ana.makes_group(&[&ben]).await;
    for round in 0..ROUNDS {
        let message = ana.posts_message(&room, "soon gone").await;
        let path = format!("messages/{}/", text(&message["id"]));
        let (deleted, edited) = join(
            ana.asks(Method::DELETE, &path, None),
            ana.asks(Method::PATCH, &path, Some(json!({"content": "secret after all"}))),
        )
        .await;
        assert_eq!(deleted.0, StatusCode::NO_CONTENT, "round {round}: {deleted:?}");
        assert!([StatusCode::OK, StatusCode::NOT_FOUND].contains(&edited.0), "round {round}: {edited:?}");
        let since = message["seq"].as_i64().expect("a position") - 1;
        let (replay, _) = ben.events(&room, since).await;
        assert!(!replay.contains("secret after all") && !replay.contains("soon gone"), "{round}: {replay}");
        assert_eq!(ben.asks(Method::GET, &path, None).await.0, StatusCode::NOT_FOUND);
    }
}

//! The right to be here: renewed, run out, taken away.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::people::{Person, now, token};
use crate::{limited, shared};

fn good_for(person: &Person, seconds: i64) -> Person {
    person.with_token(token(json!({"user_id": person.id, "exp": now() + seconds})))
}

#[tokio::test]
async fn a_socket_ends_with_its_token_and_one_that_renews_it_stays() {
    let server = shared().await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    let brief = good_for(&ana, 3);
    let mut modern = brief.way_into(&room).in_chat_v1().opens().await.expect("a socket");
    let mut inherited = brief.enters(&room).await;
    let (mut list, _) = brief.signs_in().await;
    let mut renewed = brief.way_into(&room).in_chat_v1().opens().await.expect("a socket");
    renewed.is_greeted().await;
    let longer = token(json!({"user_id": ana.id, "exp": now() + 600}));
    renewed.sends(json!({"type": "auth", "token": longer})).await;
    let answer = renewed.hears("auth_ok").await;
    let until = answer["expires_at"].as_str().expect("a time");
    let until = chrono::DateTime::parse_from_rfc3339(until).expect("RFC 3339").timestamp();
    assert!((until - now() - 600).abs() <= 2, "{answer}");

    assert_eq!(modern.is_closed().await, 4401);
    assert_eq!(inherited.is_closed().await, 4401, "LEGACY_SOCKET_SECONDS is 0 here");
    assert_eq!(list.is_closed().await, 4401);
    renewed.has_heard().await;
}

#[tokio::test]
async fn an_inherited_client_stays_longer_until_it_renews() {
    let server = limited().await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    let brief = good_for(&ana, 2);
    let mut inherited = brief.enters(&room).await;
    let mut renews = brief.enters(&room).await;
    let shortly = token(json!({"user_id": ana.id, "exp": now() + 3}));
    renews.sends(json!({"type": "auth", "token": shortly})).await;
    assert_eq!(renews.is_closed().await, 4401, "who ever renewed could have done so again");
    inherited.says("still here").await;
    inherited.sees("still here").await;
}

#[tokio::test]
async fn a_token_of_another_person_or_none_ends_the_socket() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let late = token(json!({"user_id": ana.id, "exp": now() - 120}));
    for bad in [ben.token.as_str(), "nonsense", &late] {
        let mut socket = ana.enters(&room).await;
        socket.sends(json!({"type": "auth", "token": bad})).await;
        assert_eq!(socket.is_closed().await, 4401, "{bad}");
    }
    let mut socket = ana.enters(&room).await;
    socket.sends(json!({"type": "auth"})).await;
    socket.is_told("bad_frame").await;
}

#[tokio::test]
async fn revoked_tokens_end_open_sockets_and_newer_ones_stay() {
    let server = shared().await;
    let ana = server.person("ana").await;
    let room = ana.makes_group(&[]).await;
    let old = ana.with_token(token(json!({"user_id": ana.id, "iat": now() - 100})));
    let mut in_room = old.enters(&room).await;
    let (mut list, _) = old.signs_in().await;
    let mut newer = ana.enters(&room).await;
    let from = chrono::DateTime::from_timestamp(now() - 50, 0).expect("a time").to_rfc3339();
    let since = Instant::now();
    server.host().tells(&ana, json!({"tokens_valid_from": from})).await;
    assert_eq!((in_room.is_closed().await, list.is_closed().await), (4401, 4401));
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    newer.has_heard().await;
    assert_eq!(old.way_into(&room).opens().await.err(), Some(401));
    assert_eq!(old.way_to_all().opens().await.err(), Some(401));
    assert_eq!(old.way_into(&room).is_closed_with().await, 4401);
    newer.sends(json!({"type": "auth", "token": old.token})).await;
    assert_eq!(newer.is_closed().await, 4401);
}

#[tokio::test]
async fn who_is_deactivated_is_cut_off_everywhere_and_not_let_in() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut in_room = ben.enters(&room).await;
    let (mut list, _) = ben.signs_in().await;
    let mut modern = ben.way_into(&room).in_chat_v1().opens().await.expect("a socket");
    modern.is_greeted().await;
    let since = Instant::now();
    server.host().tells(&ben, json!({"is_active": false})).await;
    ana.posts_message(&room, "unheard").await;
    for socket in [&mut in_room, &mut list, &mut modern] {
        let (heard, code) = socket.hears_until_closed().await;
        assert_eq!(code, 4401);
        assert!(!json!(heard).to_string().contains("unheard"), "{heard:?}");
    }
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    assert_eq!(ben.way_into(&room).opens().await.err(), Some(401));
    assert_eq!(ben.way_to_all().opens().await.err(), Some(401));
    assert_eq!(ben.way_into(&room).is_closed_with().await, 4401);
    assert_eq!(ben.way_to_all().is_closed_with().await, 4401);
    server.host().tells(&ben, json!({"is_active": true})).await;
    ben.enters(&room).await;
}

#[tokio::test]
async fn who_is_removed_hears_of_it_and_of_nothing_after() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut b = ben.enters(&room).await;
    let mut other = ben.enters(&room).await;
    ana.removes(&ben, &room).await;
    b.says("may I?").await;
    ana.posts_message(&room, "not for ben").await;
    for socket in [&mut b, &mut other] {
        let (heard, code) = socket.hears_until_closed().await;
        assert_eq!(code, 4403);
        let last = heard.iter().rfind(|frame| frame["type"] != "presence").expect("a frame");
        assert_eq!(last["type"], "participant_left", "{heard:?}");
    }
    assert_eq!(ben.way_into(&room).opens().await.err(), Some(403));
    let said = ana.gets(&format!("messages/?room={room}")).await.to_string();
    assert!(!said.contains("may I?"), "{said}");
}

#[tokio::test]
async fn who_leaves_is_cut_off_too() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut b = ben.enters(&room).await;
    ben.leaves(&room).await;
    assert_eq!(b.is_closed().await, 4403);
}

#[tokio::test]
async fn an_erased_person_is_cut_off_and_nameless_in_every_replay() {
    let server = shared().await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.enters(&room).await;
    let mut b = ben.enters(&room).await;
    b.says("I was here").await;
    let said = a.sees("I was here").await;
    server.host().deletes(&format!("users/{}/", ben.id)).await;
    assert_eq!(b.is_closed().await, 4401);
    a.hears("participant_left").await;
    let (_, missed) = ana.returns(&room, said["seq"].as_i64().expect("a position") - 1).await;
    assert!(!json!(missed).to_string().contains(&ben.name), "{missed:?}");
    assert_eq!(
        missed[0]["message"]["sender"],
        json!({"id": ben.id, "username": "deleted", "full_name": "Deleted user"})
    );
}

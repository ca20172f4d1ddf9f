//! Access to sockets: renewed, expired and revoked.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::users::{TestUser, now, token};
use crate::{limited, shared};

fn good_for(user: &TestUser, seconds: i64) -> TestUser {
    user.with_token(token(json!({"user_id": user.id, "exp": now() + seconds})))
}

#[tokio::test]
async fn a_socket_ends_with_its_token_unless_it_is_renewed() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let brief = good_for(&ana, 3);
    let mut modern = brief.room_socket(&room).with_chat_v1().opens().await.expect("a socket");
    let mut inherited = brief.joins(&room).await;
    let (mut list, _) = brief.opens_user_socket().await;
    let mut renewed = brief.room_socket(&room).with_chat_v1().opens().await.expect("a socket");
    renewed.reads_greeting().await;
    let longer = token(json!({"user_id": ana.id, "exp": now() + 600}));
    renewed.sends(json!({"type": "auth", "token": longer})).await;
    let answer = renewed.receives("auth_ok").await;
    let until = answer["expires_at"].as_str().expect("a time");
    let until = chrono::DateTime::parse_from_rfc3339(until).expect("RFC 3339").timestamp();
    assert!((until - now() - 600).abs() <= 2, "{answer}");

    assert_eq!(modern.is_closed().await, 4401);
    assert_eq!(inherited.is_closed().await, 4401, "LEGACY_SOCKET_SECONDS is 0 here");
    assert_eq!(list.is_closed().await, 4401);
    renewed.received_so_far().await;
}

#[tokio::test]
async fn a_legacy_client_stays_longer_until_it_renews() {
    let server = limited().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let brief = good_for(&ana, 2);
    let mut inherited = brief.joins(&room).await;
    let mut renews = brief.joins(&room).await;
    let shortly = token(json!({"user_id": ana.id, "exp": now() + 3}));
    renews.sends(json!({"type": "auth", "token": shortly})).await;
    assert_eq!(renews.is_closed().await, 4401, "who ever renewed could have done so again");
    inherited.says("still here").await;
    inherited.sees("still here").await;
}

#[tokio::test]
async fn a_token_of_another_user_or_none_ends_the_socket() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let late = token(json!({"user_id": ana.id, "exp": now() - 120}));
    for bad in [ben.token.as_str(), "nonsense", &late] {
        let mut socket = ana.joins(&room).await;
        socket.sends(json!({"type": "auth", "token": bad})).await;
        assert_eq!(socket.is_closed().await, 4401, "{bad}");
    }
    let mut socket = ana.joins(&room).await;
    socket.sends(json!({"type": "auth"})).await;
    socket.receives_error("bad_frame").await;
}

#[tokio::test]
async fn revoked_tokens_end_open_sockets_but_newer_ones_stay() {
    let server = shared().await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let old = ana.with_token(token(json!({"user_id": ana.id, "iat": now() - 100})));
    let mut in_room = old.joins(&room).await;
    let (mut list, _) = old.opens_user_socket().await;
    let mut newer = ana.joins(&room).await;
    let from = chrono::DateTime::from_timestamp(now() - 50, 0).expect("a time").to_rfc3339();
    let since = Instant::now();
    server.host().upserts(&ana, json!({"tokens_valid_from": from})).await;
    assert_eq!((in_room.is_closed().await, list.is_closed().await), (4401, 4401));
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    newer.received_so_far().await;
    assert_eq!(old.room_socket(&room).opens().await.err(), Some(401));
    assert_eq!(old.user_socket().opens().await.err(), Some(401));
    assert_eq!(old.room_socket(&room).is_closed_with().await, 4401);
    newer.sends(json!({"type": "auth", "token": old.token})).await;
    assert_eq!(newer.is_closed().await, 4401);
}

#[tokio::test]
async fn a_deactivated_user_is_disconnected_and_rejected() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut in_room = ben.joins(&room).await;
    let (mut list, _) = ben.opens_user_socket().await;
    let mut modern = ben.room_socket(&room).with_chat_v1().opens().await.expect("a socket");
    modern.reads_greeting().await;
    let since = Instant::now();
    server.host().upserts(&ben, json!({"is_active": false})).await;
    ana.posts_message(&room, "unheard").await;
    for socket in [&mut in_room, &mut list, &mut modern] {
        let (heard, code) = socket.receives_until_closed().await;
        assert_eq!(code, 4401);
        assert!(!json!(heard).to_string().contains("unheard"), "{heard:?}");
    }
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    assert_eq!(ben.room_socket(&room).opens().await.err(), Some(401));
    assert_eq!(ben.user_socket().opens().await.err(), Some(401));
    assert_eq!(ben.room_socket(&room).is_closed_with().await, 4401);
    assert_eq!(ben.user_socket().is_closed_with().await, 4401);
    server.host().upserts(&ben, json!({"is_active": true})).await;
    ben.joins(&room).await;
}

#[tokio::test]
async fn a_removed_user_receives_the_removal_and_nothing_after() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut b = ben.joins(&room).await;
    let mut other = ben.joins(&room).await;
    ana.removes(&ben, &room).await;
    b.says("may I?").await;
    ana.posts_message(&room, "not for ben").await;
    for socket in [&mut b, &mut other] {
        let (heard, code) = socket.receives_until_closed().await;
        assert_eq!(code, 4403);
        let last = heard.iter().rfind(|frame| frame["type"] != "presence").expect("a frame");
        assert_eq!(last["type"], "participant_left", "{heard:?}");
    }
    assert_eq!(ben.room_socket(&room).opens().await.err(), Some(403));
    let said = ana.gets(&format!("messages/?room={room}")).await.to_string();
    assert!(!said.contains("may I?"), "{said}");
}

#[tokio::test]
async fn a_user_who_leaves_is_disconnected() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut b = ben.joins(&room).await;
    ben.leaves(&room).await;
    assert_eq!(b.is_closed().await, 4403);
}

#[tokio::test]
async fn an_erased_user_is_disconnected_and_anonymous_in_replays() {
    let server = shared().await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    let mut a = ana.joins(&room).await;
    let mut b = ben.joins(&room).await;
    b.says("I was here").await;
    let said = a.sees("I was here").await;
    server.host().deletes(&format!("users/{}/", ben.id)).await;
    assert_eq!(b.is_closed().await, 4401);
    a.receives("participant_left").await;
    let (_, missed) = ana.resumes(&room, said["seq"].as_i64().expect("a position") - 1).await;
    assert!(!json!(missed).to_string().contains(&ben.name), "{missed:?}");
    assert_eq!(
        missed[0]["message"]["sender"],
        json!({"id": ben.id, "username": "deleted", "full_name": "Deleted user"})
    );
}

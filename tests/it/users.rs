//! Users and their access.

use aristay_chat::auth::token_issuer::AccessTokenClaims;
use serde_json::json;

use crate::client::{ApiClient, fresh_id, host, host_at, new_user, new_user_at, text_of};
use crate::server::{shared, start};

#[tokio::test]
async fn an_unknown_user_with_a_valid_token_is_accepted() {
    let id = fresh_id();
    let plain = ApiClient::with(
        shared().await,
        &AccessTokenClaims { user_id: Some(id), ..AccessTokenClaims::default() },
    );
    assert_eq!(
        plain.get("/api/chat/users/me/").await.expect_status(200),
        json!({"id": id, "username": format!("user{id}"), "full_name": format!("user{id}"), "email": "", "kind": "person"})
    );
    let says = AccessTokenClaims {
        user_id: Some(id),
        username: Some("ann".to_owned()),
        full_name: Some("Ann A.".to_owned()),
        email: Some("ann@example.org".to_owned()),
        ..AccessTokenClaims::default()
    };
    let named = ApiClient::with(shared().await, &says);
    let me = named.get("/api/chat/users/me/").await.expect_status(200);
    assert_eq!((&me["username"], &me["email"]), (&json!("ann"), &json!("ann@example.org")));
    host().await.put(&format!("/api/chat/users/{id}/"), json!({"username": "told"})).await.expect_status(200);
    assert_eq!(
        named.get("/api/chat/users/me/").await.expect_status(200)["username"],
        "told",
        "the host's word wins"
    );
}

#[tokio::test]
async fn the_host_upserts_users() {
    let (host, alice) = (host().await, new_user("alice").await);
    let path = format!("/api/chat/users/{}/", alice.id);
    alice.put(&path, json!({"is_staff": true})).await.expect_status(403);
    alice.post("/api/chat/users/sync/", json!([])).await.expect_status(403);
    alice.delete(&path).await.expect_status(403);
    let told = host.put(&path, json!({"is_staff": true, "tokens_valid_from": null})).await.expect_status(200);
    assert_eq!((&told["is_staff"], &told["is_active"]), (&json!(true), &json!(true)));
    host.put(&path, json!({"username": "", "is_active": "perhaps", "tokens_valid_from": "x"}))
        .await
        .expect_field_errors(&["is_active", "tokens_valid_from", "username"]);
    let new = fresh_id();
    let synced =
        host.post("/api/chat/users/sync/", json!([{"id": alice.id}, {"id": new, "username": "new"}])).await;
    assert_eq!(synced.expect_status(200), json!({"created": 1, "updated": 1}));
    host.post("/api/chat/users/sync/", json!([{"username": "x"}])).await.expect_field_errors(&["id"]);
    host.post("/api/chat/users/sync/", json!({})).await.expect_status(400);
    host.post("/api/chat/users/sync/", json!(vec![json!({"id": 1}); 1_001])).await.expect_status(400);
    host.put("/api/chat/users/abc/", json!({})).await.expect_status(404);
}

#[tokio::test]
async fn users_are_found_by_their_names() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let found = alice.get(&format!("/api/chat/users/?search=bob{}", bob.id)).await.expect_status(200);
    assert_eq!(found["count"], 1);
    assert_eq!((&found["results"][0]["id"], &found["results"][0]["email"]), (&json!(bob.id), &json!("")));
    assert_eq!(
        alice.get(&format!("/api/chat/users/?search=OF%20{}", bob.id)).await.expect_status(200)["count"],
        1
    );
    assert_eq!(alice.get("/api/chat/users/?search=%25%25").await.expect_status(200)["count"], 0);
    host()
        .await
        .put(&format!("/api/chat/users/{}/", bob.id), json!({"is_active": false}))
        .await
        .expect_status(200);
    assert_eq!(
        alice.get(&format!("/api/chat/users/?search=bob{}", bob.id)).await.expect_status(200)["count"],
        0
    );
}

#[tokio::test]
async fn names_are_found_without_their_accents_and_in_any_order() {
    let (host, alice) = (host().await, new_user("alice").await);
    let named = async |full_name: &str| {
        let id = fresh_id();
        let told = json!({"username": format!("n{id}"), "full_name": full_name});
        host.put(&format!("/api/chat/users/{id}/"), told).await.expect_status(200);
        id
    };
    let (bay, jurgen, obrien) =
        (named("Nguyễn Văn Bảy").await, named("Ju\u{308}rgen Groß-Łódź").await, named("Áine O’Brien").await);
    let percent = named("100% Ｗide_name").await;
    for (search, found) in [
        ("Nguyễn Văn", bay),
        ("nguyen", bay),
        ("nguyễn bảy", bay),
        ("bay ngu", bay),
        ("jürgen", jurgen),
        ("JURGEN gross", jurgen),
        ("lodz gross", jurgen),
        ("gross-lodz", jurgen),
        ("o'brien", obrien),
        ("OBrien aine", obrien),
        ("100%", percent),
        ("wide_", percent),
    ] {
        let query = reqwest::Url::parse_with_params("http://x/", [("search", search)]).expect("a URL");
        let page = alice
            .get(&format!("/api/chat/users/?{}", query.query().expect("a query")))
            .await
            .expect_status(200);
        let ids: Vec<&serde_json::Value> =
            page["results"].as_array().expect("results").iter().map(|person| &person["id"]).collect();
        assert_eq!(ids, [&json!(found)], "{search}");
    }
    for search in ["bay jurgen", "w_de", "％％", "\\"] {
        let query = reqwest::Url::parse_with_params("http://x/", [("search", search)]).expect("a URL");
        let page = alice
            .get(&format!("/api/chat/users/?{}", query.query().expect("a query")))
            .await
            .expect_status(200);
        assert_eq!(page["count"], 0, "{search}");
    }
}

#[tokio::test]
async fn a_deactivated_or_revoked_user_loses_access_at_once() {
    let (host, alice, bob) = (host().await, new_user("alice").await, new_user("bob").await);
    let path = format!("/api/chat/users/{}/", alice.id);
    host.put(&path, json!({"is_active": false})).await.expect_status(200);
    let refused = alice.get("/api/chat/rooms/").await;
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"api\""));
    assert_eq!(refused.expect_status(401)["code"], "token_not_valid");
    host.put(&path, json!({"is_active": true})).await.expect_status(200);
    alice.get("/api/chat/rooms/").await.expect_status(200);
    let path = format!("/api/chat/users/{}/", bob.id);
    let soon = chrono::Utc::now().timestamp() + 5;
    host.put(&path, json!({"tokens_valid_from": soon})).await.expect_status(200);
    bob.get("/api/chat/rooms/").await.expect_status(401);
    host.put(&path, json!({"tokens_valid_from": "2020-01-01T00:00:00Z"})).await.expect_status(200);
    bob.get("/api/chat/rooms/").await.expect_status(200);
}

#[tokio::test]
async fn an_erased_user_stays_as_a_nameless_sender() {
    let (host, alice, bob) = (host().await, new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let direct = bob.opens_direct(&alice).await;
    alice.says(&room, "by alice").await;
    let path = format!("/api/chat/users/{}/", alice.id);
    host.delete(&path).await.expect_status(204);
    host.delete(&path).await.expect_status(204);
    alice.get("/api/chat/rooms/").await.expect_status(401);
    let message =
        bob.get(&format!("/api/chat/messages/?room={room}")).await.expect_status(200)["results"][0].clone();
    let tombstone = json!({"id": alice.id, "username": "deleted", "full_name": "Deleted user", "email": ""});
    assert_eq!(message["sender"], tombstone);
    assert_eq!(message["content"], "by alice");
    let shown = bob.room(&room).await;
    assert_eq!(shown["participant_count"], 1);
    assert_eq!(shown["participants"][0]["is_admin"], true, "someone must be able to go on");
    assert_eq!(bob.room(&direct).await["display_name"], "Deleted user");
    host.delete(&format!("/api/chat/users/{}/", fresh_id())).await.expect_status(404);
}

#[tokio::test]
async fn an_erased_user_stays_erased_until_the_host_reactivates_them() {
    let (host, alice, bob) = (host().await, new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    alice.says(&room, "by alice").await;
    let path = format!("/api/chat/users/{}/", alice.id);
    host.delete(&path).await.expect_status(204);
    let sender = async || {
        bob.get(&format!("/api/chat/messages/?room={room}")).await.expect_status(200)["results"][0]["sender"]
            .clone()
    };
    let tombstone = sender().await;
    assert_eq!(tombstone["username"], "deleted");
    // As a list does that the host application compiled earlier.
    let told = json!({"username": "alice", "full_name": "Alice A.", "email": "a@example.org", "is_staff": true,
        "tokens_valid_from": null});
    for says in [told.clone(), json!({}), json!({"is_active": false, "username": "alice"})] {
        let mut listed = says.clone();
        listed["id"] = json!(alice.id);
        let synced = host.post("/api/chat/users/sync/", json!([listed, {"id": bob.id}])).await;
        assert_eq!(synced.expect_status(200), json!({"created": 0, "updated": 1}));
        let kept = host.put(&path, says).await.expect_status(200);
        assert_eq!(
            (&kept["username"], &kept["is_active"], &kept["is_staff"]),
            (&json!("deleted"), &json!(false), &json!(false))
        );
        assert_eq!((sender().await, kept["email"].as_str()), (tombstone.clone(), Some("")));
        alice.get("/api/chat/users/me/").await.expect_status(401);
    }
    let mut back = told;
    back["is_active"] = json!(true);
    assert_eq!(host.put(&path, back).await.expect_status(200)["full_name"], "Alice A.");
    assert_eq!(sender().await["username"], "alice");
    alice.get("/api/chat/users/me/").await.expect_status(200);
}

#[tokio::test]
async fn texts_are_erased_with_their_author_on_request() {
    let (host, alice, bob) = (host().await, new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    alice.says(&room, "by alice").await;
    bob.says(&room, "by bob").await;
    host.delete(&format!("/api/chat/users/{}/?texts=true", alice.id)).await.expect_status(204);
    assert_eq!(bob.sees(&room).await, ["by bob"]);
    let events = bob.get(&format!("/api/chat/rooms/{room}/events/")).await;
    assert!(!String::from_utf8_lossy(&events.bytes).contains("by alice"));
}

#[tokio::test]
async fn a_text_being_stored_is_erased_with_its_author_too() {
    let server = start(&[]).await;
    let (alice, bob) = (new_user_at(&server, "alice").await, new_user_at(&server, "bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let lock = server.holds_inserts("messages").await;
    let message = json!({"room": room, "content": "by alice"});
    let sender = alice.clone();
    let sending = tokio::spawn(async move { sender.post("/api/chat/messages/", message).await });
    server.wait_for_lock().await;
    let host = host_at(&server);
    let path = format!("/api/chat/users/{}/?texts=true", alice.id);
    let erasing = tokio::spawn(async move { host.delete(&path).await });
    while bob.get(&format!("/api/chat/users/?search=alice{}", alice.id)).await.expect_status(200)["count"]
        != 0
    {}
    // Alice's account was erased; a search for her texts finds none.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!erasing.is_finished());
    lock.batch_execute("ROLLBACK").await.unwrap();
    // It is refused if the commit waited too long and was retried.
    assert!([201, 403].contains(&sending.await.unwrap().status));
    erasing.await.unwrap().expect_status(204);
    assert!(bob.sees(&room).await.is_empty());
}

#[tokio::test]
async fn email_addresses_are_for_oneself_staff_and_the_host() {
    let (alice, bob, staff) = (new_user("alice").await, new_user("bob").await, new_user("staff").await);
    host()
        .await
        .put(&format!("/api/chat/users/{}/", staff.id), json!({"is_staff": true}))
        .await
        .expect_status(200);
    let room = alice.creates_group(&[&bob, &staff]).await;
    let mails = async |viewer: &ApiClient| {
        let room = viewer.room(&room).await;
        let shown = room["participants"].as_array().expect("participants").clone();
        shown.iter().filter(|one| !text_of(&one["user"]["email"]).is_empty()).count()
    };
    assert_eq!((mails(&alice).await, mails(&bob).await, mails(&staff).await), (1, 1, 3));
}

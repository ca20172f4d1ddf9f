//! Searching for messages over REST.

use serde_json::{Value, json};

use crate::client::{ApiClient, ApiResponse, new_user, text_of, texts};

/// Searches with these parameters.
async fn search(user: &ApiClient, params: &[(&str, &str)]) -> ApiResponse {
    let url = reqwest::Url::parse_with_params("http://x/", params).expect("a URL");
    user.get(&format!("/api/chat/messages/search/?{}", url.query().expect("a query"))).await
}

#[tokio::test]
async fn a_hit_is_a_message_with_the_places_that_match() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let sent = alice.says(&room, "👍 The café's boiler leaks; boilers do.").await;
    let page = search(&bob, &[("q", "leaking boiler"), ("room", &room)]).await;
    assert_eq!(page.header("x-room-seq"), Some("4"));
    let page = page.expect_status(200);
    assert_eq!((&page["count"], &page["is_incomplete"]), (&json!(1), &json!(false)));
    let mut hit = page["results"][0].clone();
    let highlights = hit.as_object_mut().expect("an object").remove("highlights");
    let places = json!([{"start": 13, "end": 19}, {"start": 20, "end": 25}, {"start": 27, "end": 33}]);
    assert_eq!(highlights, Some(places));
    let shown = bob.get(&format!("/api/chat/messages/{}/", text_of(&sent["id"]))).await.expect_status(200);
    assert_eq!(hit, shown);
    // The list of messages searches as before: without highlights, the newest first.
    alice.says(&room, "a boiler").await;
    let list = bob.get(&format!("/api/chat/messages/?room={room}&search=boiler")).await.expect_status(200);
    assert_eq!(texts(&list)[0], "a boiler");
    assert_eq!((&list["count"], list["results"][0].get("highlights")), (&json!(2), None));
}

#[tokio::test]
async fn hits_are_sorted_by_relevance_or_age_and_paged() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    for text in ["tap", "tapestry", "a tap", "Taps"] {
        alice.says(&room, text).await;
    }
    let found = async |params: &[(&str, &str)]| {
        let params = [&[("q", "tap"), ("room", &*room)], params].concat();
        texts(&search(&alice, &params).await.expect_status(200))
    };
    assert_eq!(found(&[]).await, ["tap", "a tap", "Taps", "tapestry"]);
    assert_eq!(found(&[("sort", "relevance")]).await, ["tap", "a tap", "Taps", "tapestry"]);
    assert_eq!(found(&[("sort", "newest")]).await, ["Taps", "a tap", "tapestry", "tap"]);
    assert_eq!(found(&[("ordering", "created_at")]).await, ["tap", "tapestry", "a tap", "Taps"]);
    let first = search(&alice, &[("q", "tap"), ("room", &room), ("page_size", "3")]).await.expect_status(200);
    assert_eq!((texts(&first).len(), &first["count"]), (3, &json!(4)));
    let second = alice.get(&text_of(&first["next"])).await.expect_status(200);
    assert_eq!(texts(&second), ["tapestry"]);
    search(&alice, &[("q", "tap"), ("room", &room), ("page", "9")]).await.expect_status(404);
}

#[tokio::test]
async fn filters_are_parameters_or_part_of_the_query() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let first = alice.says(&room, "tap by alice https://x.org").await;
    bob.says(&room, "tap by bob").await;
    let sent_at = text_of(&first["created_at"]);
    let name = format!("alice{}", alice.id);
    let (id, query) = (alice.id.to_string(), format!("tap from:{name}"));
    let (alices, bobs) = (vec!["tap by alice https://x.org"], vec!["tap by bob"]);
    let both = [bobs.clone(), alices.clone()].concat();
    for (params, expected) in [
        (vec![("q", "tap"), ("from", &*id)], &alices),
        (vec![("q", "tap"), ("from", &name)], &alices),
        (vec![("q", &query)], &alices),
        (vec![("from", "me")], &bobs),
        (vec![("q", "from:me tap")], &bobs),
        (vec![("has", "link")], &alices),
        (vec![("q", "has:link tap")], &alices),
        (vec![("has", "link,image")], &vec![]),
        (vec![("after", &sent_at)], &bobs),
        (vec![("before", &sent_at)], &vec![]),
        (vec![("after", "2020-01-01"), ("q", "tap")], &both),
        (vec![("q", "tap after:2020-01-01 before:2999-12-31")], &both),
        (vec![("before", "2020-01-01T00:00:00+02:00"), ("q", "tap")], &vec![]),
        (vec![("mentions", "me")], &vec![]),
        (vec![("q", "tap mentions:me")], &vec![]),
        (vec![("q", "tap"), ("from", "nobody of that name")], &vec![]),
    ] {
        let params = [&params[..], &[("room", &room), ("sort", "newest")]].concat();
        let page = search(&bob, &params).await.expect_status(200);
        assert_eq!(texts(&page), *expected, "{params:?}");
    }
}

#[tokio::test]
async fn invalid_searches_name_what_is_wrong() {
    let alice = new_user("alice").await;
    for (field, value) in [
        ("room", "x"),
        ("has", "wings"),
        ("has", "image,"),
        ("before", "lunch"),
        ("after", "2026-13-01"),
        ("mentions", "alice"),
        ("sort", "oldest"),
        ("message_type", "club"),
    ] {
        search(&alice, &[("q", "tap"), (field, value)]).await.expect_field_errors(&[field]);
    }
    for params in
        [vec![("q", "a")], vec![("q", "")], vec![("q", "a"), ("has", "link")], vec![("sort", "newest")]]
    {
        let error = search(&alice, &params).await.expect_status(400)["error"].clone();
        assert!(error.is_string(), "{params:?}");
    }
    // An invalid filter inside of a query is text.
    for q in ["has:wings", "before:lunch", "from:", "in:", "sort:x", "from:\"", "in:\"a b\" from:from:from:"]
    {
        assert_eq!(search(&alice, &[("q", q)]).await.expect_status(200)["count"], 0, "{q}");
    }
}

#[tokio::test]
async fn the_name_of_a_file_is_found() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let file = [("attachment", "Mietvertrag_2041.pdf", &b"%PDF-1.4\n%%EOF\n"[..])];
    alice.post_form("/api/chat/messages/", &[("room", &room)], &file).await.expect_status(201);
    for q in ["mietvertrag", "2041", "vertrag has:file", "mietvertrag_2041.pdf"] {
        let page = search(&alice, &[("q", q), ("room", &room)]).await.expect_status(200);
        assert_eq!((&page["count"], &page["results"][0]["highlights"]), (&json!(1), &json!([])), "{q}");
    }
    let images: Value = search(&alice, &[("q", "has:image"), ("room", &room)]).await.expect_status(200);
    assert_eq!(images["count"], 0);
}

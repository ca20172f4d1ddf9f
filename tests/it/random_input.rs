//! Random tokens, queries and forms: each gets a response in the contract's format, and never a server error.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reqwest::Method;

use crate::client::{ApiClient, ApiResponse, new_user};

const CASES: usize = 300;

/// Samples values, the same ones in each run.
fn sample<S: Strategy>(strategy: S) -> Vec<S::Value> {
    let mut runner = TestRunner::deterministic();
    (0..CASES).map(|_| strategy.new_tree(&mut runner).expect("a value").current()).collect()
}

fn assert_no_server_error(answer: &ApiResponse, given: &dyn std::fmt::Debug) {
    assert!(answer.status < 500, "{} for {given:?}", answer.status);
    assert!(answer.status < 400 || answer.json().is_object(), "{given:?}");
}

#[tokio::test]
async fn a_token_with_any_change_is_refused() {
    let alice = new_user("alice").await;
    let whole = alice.token();
    let changes = (0..whole.len(), "[A-Za-z0-9._-]{0,3}", 0..3_usize);
    for (at, put, taken) in sample(changes) {
        let end = (at + taken).min(whole.len());
        let changed = format!("{}{put}{}", &whole[..at], &whole[end..]);
        if changed == whole {
            continue;
        }
        let answer = alice.with_token(&changed).get("/api/chat/rooms/").await;
        assert_eq!(answer.expect_status(401)["code"], "token_not_valid", "{changed}");
    }
}

#[tokio::test]
async fn any_query_is_accepted_or_rejected() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    alice.says(&room, "hello").await;
    let names = prop::sample::select(vec!["before", "after", "limit", "page", "page_size", "ordering", "q"]);
    let values = prop_oneof!["-?[0-9]{0,25}", "\\PC{0,12}", "%[0-9A-Fa-f]{0,4}", "[a-z_]{0,10}"];
    let pairs = prop::collection::vec((names, values), 0..4);
    for pairs in sample(pairs) {
        let query: String = pairs.iter().map(|(name, value)| format!("&{name}={value}")).collect();
        for path in ["messages/", "messages/search/", "participants/", "typing/"] {
            let answer = alice.get(&format!("/api/chat/{path}?room={room}{query}")).await;
            assert_no_server_error(&answer, &query);
        }
    }
}

#[tokio::test]
async fn any_form_is_accepted_or_rejected_and_leaves_no_message() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let line = prop_oneof![
        Just("--cut".to_owned()),
        Just("--cut--".to_owned()),
        Just(String::new()),
        Just("Content-Disposition: form-data; name=\"attachment\"; filename=\"a.png\"".to_owned()),
        Just("Content-Disposition: form-data; name=\"room\"".to_owned()),
        Just("Content-Type: image/png".to_owned()),
        "Content-[A-Za-z]{1,12}: \\PC{0,20}",
        "\\PC{0,40}",
    ];
    for lines in sample(prop::collection::vec(line, 0..10)) {
        let body = lines.join("\r\n");
        let request = alice
            .request(Method::POST, "/api/chat/messages/")
            .header("content-type", "multipart/form-data; boundary=cut")
            .body(body.clone());
        let answer = ApiClient::send(request).await;
        assert!((400..500).contains(&answer.status), "{} for {body:?}", answer.status);
        assert!(answer.json().is_object(), "{body:?}");
    }
    assert!(alice.sees(&room).await.is_empty());
}

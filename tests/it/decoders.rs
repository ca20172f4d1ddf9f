//! What reads bytes from strangers, given bytes that a machine makes up: an answer in the contract's shape
//! each time, and never the server's fault.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reqwest::Method;

use crate::stage::{Answer, Someone, someone};

const CASES: usize = 300;

/// Draws values, the same ones in each run.
fn drawn<S: Strategy>(strategy: S) -> Vec<S::Value> {
    let mut runner = TestRunner::deterministic();
    (0..CASES).map(|_| strategy.new_tree(&mut runner).expect("a value").current()).collect()
}

fn is_no_fault_of_the_server(answer: &Answer, given: &dyn std::fmt::Debug) {
    assert!(answer.status < 500, "{} for {given:?}", answer.status);
    assert!(answer.status < 400 || answer.json().is_object(), "{given:?}");
}

#[tokio::test]
async fn a_token_with_any_change_is_refused() {
    let alice = someone("alice").await;
    let whole = alice.token();
    let changes = (0..whole.len(), "[A-Za-z0-9._-]{0,3}", 0..3_usize);
    for (at, put, taken) in drawn(changes) {
        let end = (at + taken).min(whole.len());
        let changed = format!("{}{put}{}", &whole[..at], &whole[end..]);
        if changed == whole {
            continue;
        }
        let answer = alice.with_token(&changed).get("/api/chat/rooms/").await;
        assert_eq!(answer.is(401)["code"], "token_not_valid", "{changed}");
    }
}

#[tokio::test]
async fn any_query_is_understood_or_refused() {
    let alice = someone("alice").await;
    let room = alice.makes_group(&[]).await;
    alice.says(&room, "hello").await;
    let names = prop::sample::select(vec!["before", "after", "limit", "page", "page_size", "ordering", "q"]);
    let values = prop_oneof!["-?[0-9]{0,25}", "\\PC{0,12}", "%[0-9A-Fa-f]{0,4}", "[a-z_]{0,10}"];
    let pairs = prop::collection::vec((names, values), 0..4);
    for pairs in drawn(pairs) {
        let query: String = pairs.iter().map(|(name, value)| format!("&{name}={value}")).collect();
        for path in ["messages/", "messages/search/", "participants/", "typing/"] {
            let answer = alice.get(&format!("/api/chat/{path}?room={room}{query}")).await;
            is_no_fault_of_the_server(&answer, &query);
        }
    }
}

#[tokio::test]
async fn any_form_is_understood_or_refused_and_leaves_no_message() {
    let alice = someone("alice").await;
    let room = alice.makes_group(&[]).await;
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
    for lines in drawn(prop::collection::vec(line, 0..10)) {
        let body = lines.join("\r\n");
        let request = alice
            .asks(Method::POST, "/api/chat/messages/")
            .header("content-type", "multipart/form-data; boundary=cut")
            .body(body.clone());
        let answer = Someone::hears(request).await;
        assert!((400..500).contains(&answer.status), "{} for {body:?}", answer.status);
        assert!(answer.json().is_object(), "{body:?}");
    }
    assert!(alice.sees(&room).await.is_empty());
}

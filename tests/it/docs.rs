//! The OpenAPI document: served, fresh, and complete.

use serde_json::Value;

use crate::client::{host, new_user};

#[tokio::test]
async fn the_document_and_its_page_are_served() {
    let alice = new_user("alice").await.without_token();
    let document = alice.get("/api/openapi.json").await.expect_status(200);
    assert!(document["openapi"].as_str().expect("a version").starts_with("3.1"));
    let page = alice.get("/api/docs/").await;
    assert_eq!(page.status, 200);
    assert!(String::from_utf8_lossy(&page.bytes).contains("swagger-ui"));
    for path in ["/api/docs/", "/api/docs/swagger-ui-bundle.js", "/api/docs/initializer.js"] {
        let part = alice.get(path).await;
        assert_eq!(part.status, 200, "{path}");
        let policy = part.header("content-security-policy").expect("a policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert_eq!(part.header("x-frame-options"), Some("DENY"));
    }
    let initializer = alice.get("/api/docs/initializer.js").await;
    assert!(String::from_utf8_lossy(&initializer.bytes).contains("/api/openapi.json"));
}

#[test]
fn the_committed_document_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == aristay_chat::http::openapi::document_json(),
        "docs/openapi.json is stale: write it anew with `aristay-chat openapi --out docs/openapi.json`"
    );
}

#[test]
fn each_reference_resolves() {
    let document = serde_json::to_value(aristay_chat::http::openapi::document()).expect("plain data");
    let mut waiting = vec![&document];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(reference)) = object.get("$ref") {
                    let pointer = reference.trim_start_matches('#');
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                waiting.extend(object.values());
            }
            Value::Array(list) => waiting.extend(list),
            _ => {}
        }
    }
}

#[tokio::test]
async fn health_needs_no_token() {
    let nobody = host().await.without_token();
    nobody.get("/health/live").await.expect_status(200);
    nobody.get("/health/ready").await.expect_status(200);
}

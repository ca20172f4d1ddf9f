//! The hosts of links in responses, whatever host a request names.

use reqwest::Method;
use serde_json::Value;

use crate::client::{ApiClient, new_user_at, text_of};
use crate::files::PNG;
use crate::server::{Server, start};

/// A user with two rooms and a picture in one of them.
async fn user_with_rooms(server: &Server) -> ApiClient {
    let alice = new_user_at(server, "alice").await;
    alice.creates_group(&[]).await;
    let room = alice.creates_group(&[]).await;
    let (texts, files) = ([("room", room.as_str())], [("attachment", "a.png", PNG)]);
    alice.post_form("/api/chat/messages/", &texts, &files).await.expect_status(201);
    alice
}

/// The page links and the picture's URL in responses to a request with these headers.
async fn links(alice: &ApiClient, headers: &[(&str, &str)]) -> [String; 3] {
    let ask = async |path: &str| {
        let request = alice.request(Method::GET, path);
        ApiClient::send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)))
            .await
            .expect_status(200)
    };
    let first = ask("/api/chat/rooms/?page_size=1").await;
    let second = ask("/api/chat/rooms/?page_size=1&page=2").await;
    let messages = ask("/api/chat/messages/").await;
    [&first["next"], &second["previous"], &messages["results"][0]["attachment"]].map(text_of)
}

fn all_begin_with(links: &[String; 3], base: &str) -> bool {
    links.iter().all(|link| link.starts_with(&format!("{base}/api/chat/")))
}

#[tokio::test]
async fn an_untrusted_host_header_is_in_no_link() {
    let server = start(&[]).await;
    let alice = user_with_rooms(&server).await;
    let own = format!("http://{}", server.address);
    assert!(all_begin_with(&links(&alice, &[]).await, &own));
    assert!(all_begin_with(&links(&alice, &[("host", "localhost:8000")]).await, "http://localhost:8000"));
    for host in ["evil.com", "evil.com:80", "6.6.6.6", "127.0.0.1.evil.com", "evil.com, 127.0.0.1"] {
        let given = links(&alice, &[("host", host)]).await;
        assert!(all_begin_with(&given, ""), "{host}: {given:?}");
    }
    // Forwarding headers of untrusted clients are ignored.
    let given = links(&alice, &[("x-forwarded-host", "evil.com"), ("x-forwarded-proto", "https")]).await;
    assert!(all_begin_with(&given, &own), "{given:?}");
    let relative = links(&alice, &[("host", "evil.com")]).await[0].clone();
    assert_eq!(relative, "/api/chat/rooms/?page_size=1&page=2");
    assert_ne!(alice.get(&relative).await.expect_status(200)["results"][0]["id"], Value::Null);
}

#[tokio::test]
async fn the_operator_configures_the_hosts_in_links() {
    let server = start(&["--allowed-hosts", "chat.example,.aristay.example"]).await;
    let alice = user_with_rooms(&server).await;
    for host in ["chat.example", "a.aristay.example:8443"] {
        assert!(all_begin_with(&links(&alice, &[("host", host)]).await, &format!("http://{host}")), "{host}");
    }
    assert!(all_begin_with(&links(&alice, &[("host", "evil.com")]).await, ""));
    let server = start(&["--public-url", "https://chat.example", "--allowed-hosts", "other.example"]).await;
    let alice = user_with_rooms(&server).await;
    for host in ["evil.com", "other.example"] {
        assert!(all_begin_with(&links(&alice, &[("host", host)]).await, "https://chat.example"), "{host}");
    }
    let server = start(&["--trusted-proxies", "127.0.0.0/8"]).await;
    let alice = user_with_rooms(&server).await;
    let given = links(&alice, &[("host", "chat.example"), ("x-forwarded-proto", "https")]).await;
    assert!(all_begin_with(&given, "https://chat.example"), "{given:?}");
}

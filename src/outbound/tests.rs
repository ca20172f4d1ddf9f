use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{OutboundClient, OutboundError, OutboundRequest};
use crate::config::OutboundAllow;

fn client(allow: &str) -> OutboundClient {
    let allow: Vec<String> = allow.split(',').map(str::to_owned).collect();
    OutboundClient::new(&OutboundAllow::parse(&allow).expect("a list")).expect("a client")
}

fn request(url: &str) -> OutboundRequest {
    OutboundRequest {
        method: Method::POST,
        url: Url::parse(url).expect("a URL"),
        headers: HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer x"))]),
        body: Bytes::from_static(b"{}"),
        deadline: Duration::from_secs(10),
        answer_max: 10,
        redirects_max: 3,
    }
}

/// A server that gives each connection the next answer, and returns what it was asked.
async fn server(answers: Vec<String>) -> (u16, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let serving = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            let mut head = vec![0; 4096];
            let len = connection.read(&mut head).await.expect("a request");
            asked.push(String::from_utf8_lossy(&head[..len]).into_owned());
            let _gone = connection.write_all(answer.replace("PORT", &port.to_string()).as_bytes()).await;
        }
        asked
    });
    (port, serving)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

fn is_forbidden<T>(result: &Result<T, OutboundError>) -> bool {
    matches!(result, Err(OutboundError::Forbidden(_)))
}

#[tokio::test]
async fn the_inside_is_not_called() {
    let client = client("");
    let inside = [
        "http://127.0.0.1/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0/",
        "https://localhost/",
        "http://localhost/",
        "ftp://1.1.1.1/",
        "file:///etc/passwd",
        "http://1.1.1.1/",
    ];
    for url in inside {
        let answered = client.send(request(url)).await;
        assert!(is_forbidden(&answered), "{url}: {answered:?}");
    }
}

#[tokio::test]
async fn what_is_listed_is_called_without_tls_too() {
    let (port, serving) =
        server(vec![answer("200 OK", "", "hello"), answer("200 OK", "", "hello world")]).await;
    let response = client("127.0.0.0/8").send(request(&format!("http://127.0.0.1:{port}/"))).await;
    let response = response.expect("an answer");
    assert_eq!((response.status.as_u16(), &response.body[..], response.is_cut), (200, &b"hello"[..], false));
    let response = client("localhost").send(request(&format!("http://localhost:{port}/"))).await;
    let response = response.expect("an answer");
    assert_eq!((&response.body[..], response.is_cut), (&b"hello worl"[..], true));
    assert!(serving.await.expect("requests")[0].contains("authorization: Bearer x"));
}

#[tokio::test]
async fn each_redirect_is_judged_and_carries_no_credentials_elsewhere() {
    let to = |url: &str| answer("302 Found", &format!("Location: {url}\r\n"), "");
    let (port, _) = server(vec![to("http://127.0.0.2:PORT/")]).await;
    let first = format!("http://127.0.0.1:{port}/");
    let answered = client("127.0.0.1").send(request(&first)).await;
    assert!(is_forbidden(&answered), "{answered:?}");

    let answers = vec![to("/a"), to("http://localhost:PORT/b"), answer("200 OK", "", "there")];
    let (port, serving) = server(answers).await;
    let first = format!("http://127.0.0.1:{port}/");
    let response = client("127.0.0.1,localhost").send(request(&first)).await.expect("an answer");
    assert_eq!((&response.body[..], response.url.path()), (&b"there"[..], "/b"));
    let asked = serving.await.expect("requests");
    assert!(
        asked[0].starts_with("POST / ") && asked[1].starts_with("GET /a ") && asked[2].starts_with("GET /b ")
    );
    assert!(asked[1].contains("authorization") && !asked[2].contains("authorization"), "{asked:?}");
}

#[tokio::test]
async fn redirects_end() {
    let to = || answer("302 Found", "Location: /again\r\n", "");
    let (port, _) = server((0..4).map(|_| to()).collect()).await;
    let response = client("127.0.0.1").send(request(&format!("http://127.0.0.1:{port}/"))).await;
    assert_eq!(response.expect("the last redirect").status.as_u16(), 302);
}

#[tokio::test]
async fn who_never_answers_is_given_up() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let asking = OutboundRequest { deadline: Duration::from_millis(200), ..request(&url) };
    assert_eq!(client("127.0.0.1").send(asking).await.err(), Some(OutboundError::TimedOut));
    drop(listener);
    let answered = client("127.0.0.1").send(request(&url)).await;
    assert!(matches!(answered, Err(OutboundError::Unreachable(_))), "{answered:?}");
}

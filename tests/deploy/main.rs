//! What is in `deploy/` works: nginx by running it in front of a node, the systemd unit by systemd's own
//! check. The Dockerfile and compose.yaml are checked by `deploy/check`.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

#[path = "../support/broker.rs"]
#[allow(dead_code, reason = "shared with other targets")]
mod broker;

use std::{
    fs,
    net::TcpStream as StdTcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{sleep, timeout},
};
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest};

const SECRET: &str = "a-key-that-is-only-for-the-tests-of-the-front";

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // nginx and a node end in order, with what they have started.
        let _gone = Command::new("/bin/kill").arg(self.0.id().to_string()).status();
        let _reaped = self.0.wait();
    }
}

async fn listens(port: u16) {
    for _ in 0..600 {
        if StdTcpStream::connect(("127.0.0.1", port)).is_ok() {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody listens on {port}");
}

fn token(user: i64) -> String {
    let now = chrono::Utc::now().timestamp();
    let claims =
        json!({"token_type": "access", "user_id": user, "iat": now, "exp": now + 600, "jti": "front"});
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

/// A host application that knows one session cookie, and counts how often it was asked.
async fn host(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut head = vec![0; 16 << 10];
            let count = stream.read(&mut head).await.unwrap_or_default();
            let head = String::from_utf8_lossy(&head[..count]).to_lowercase();
            assert!(head.starts_with("get /chat/token/ "), "{head}");
            let answer = if head.contains("cookie: session=anns") {
                format!("HTTP/1.1 200 OK\r\nX-Chat-Token: {}\r\n", token(1))
            } else {
                "HTTP/1.1 401 Unauthorized\r\n".to_owned()
            };
            let answer = format!("{answer}Content-Length: 0\r\nConnection: close\r\n\r\n");
            let _gone = stream.write_all(answer.as_bytes()).await;
        });
    }
}

/// A node, the host application and nginx with the files of `deploy/`, but for addresses.
async fn front(folder: &Path) -> (u16, u16, [Process; 2]) {
    let [node_port, host_port, port] = [(); 3].map(|()| broker::free_port());
    let node = Command::new(env!("CARGO_BIN_EXE_aristay-chat"))
        .arg("serve")
        .env("BIND", format!("127.0.0.1:{node_port}"))
        .env("DATA_DIR", folder.join("data"))
        .env("JWT_SECRET", SECRET)
        .env("ALLOWED_ORIGINS", "https://host.example")
        .env("TRUSTED_PROXIES", "127.0.0.1")
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null())
        .stderr(fs::File::create(folder.join("node.log")).unwrap())
        .spawn()
        .unwrap();
    tokio::spawn(host(host_port));
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let conf = fs::read_to_string(deploy.join("nginx.conf")).unwrap();
    let conf = conf
        .replace("listen 80;", &format!("listen 127.0.0.1:{port};"))
        .replace("/var/log/nginx/chat.log", &folder.join("chat.log").to_string_lossy());
    let upstreams = fs::read_to_string(deploy.join("nginx-upstreams.conf")).unwrap();
    let upstreams = upstreams
        .replace("127.0.0.1:8001", &format!("127.0.0.1:{node_port}"))
        .replace("127.0.0.1:8002", "127.0.0.1:1")
        .replace("127.0.0.1:8080", &format!("127.0.0.1:{host_port}"));
    let at = folder.to_string_lossy();
    let whole = format!(
        "daemon off; pid {at}/pid; error_log {at}/error.log; worker_processes 1;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n\
         client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
         uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n{conf}\n{upstreams}\n}}\n"
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, whole).unwrap();
    let nginx = || {
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-e").arg(folder.join("error.log")).arg("-c").arg(&path).stdin(Stdio::null());
        command
    };
    let checked = nginx().args(["-q", "-t"]).output().expect("nginx: apt-get install nginx-light");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let nginx = nginx().spawn().unwrap();
    listens(node_port).await;
    listens(port).await;
    (port, node_port, [Process(nginx), Process(node)])
}

async fn greeting(port: u16, path: &str, headers: &[(&'static str, &str)]) -> Result<Value, u16> {
    let mut request = format!("ws://127.0.0.1:{port}{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match tokio_tungstenite::connect_async(request).await {
        Ok((mut socket, _)) => {
            let frame = timeout(Duration::from_secs(10), socket.next()).await.unwrap().unwrap().unwrap();
            let _closed = socket.send(Message::Close(None)).await;
            Ok(serde_json::from_str(frame.to_text().unwrap()).unwrap())
        }
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn nginx_passes_sockets_and_gets_tokens_of_the_host_for_its_cookies() {
    let folder = tempfile::tempdir().unwrap();
    let (port, node_port, _processes) = front(folder.path()).await;
    let own = token(2);

    // With a token of one's own, as ever.
    let greeted = greeting(port, &format!("/ws/chat/?token={own}"), &[]).await.unwrap();
    assert_eq!(greeted["user_id"], 2);
    let bearer = format!("Bearer {own}");
    assert_eq!(greeting(port, "/ws/chat/", &[("authorization", &bearer)]).await.unwrap()["user_id"], 2);
    let protocols = format!("chat.v1, bearer.{own}");
    let told = greeting(port, "/ws/chat/", &[("sec-websocket-protocol", &protocols)]).await.unwrap();
    assert_eq!(told["user_id"], 2);

    // With nothing but the host's cookie.
    let cookie = ("cookie", "session=anns");
    assert_eq!(greeting(port, "/ws/chat/", &[cookie]).await.unwrap()["user_id"], 1);
    let me = format!("http://127.0.0.1:{port}/api/chat/users/me/");
    let http = reqwest::Client::new();
    let ann: Value =
        http.get(&me).header("cookie", "session=anns").send().await.unwrap().json().await.unwrap();
    assert_eq!(ann["id"], 1);

    // A page of another site can't use it, nor can a wrong cookie.
    let foreign = http.get(&me).header("cookie", "session=anns").header("sec-fetch-site", "cross-site");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    let origin = ("origin", "https://evil.example");
    assert_eq!(greeting(port, "/ws/chat/", &[cookie, origin]).await, Err(403));
    assert_eq!(greeting(port, "/ws/chat/", &[("cookie", "session=bobs")]).await, Err(401));
    assert_eq!(http.get(&me).send().await.unwrap().status(), 401);

    // A client's word about who has forwarded it goes no further.
    let people = http.get(format!("http://127.0.0.1:{port}/api/chat/users/?page_size=1")).bearer_auth(&own);
    let people = people.header("x-forwarded-host", "evil.example").send().await.unwrap();
    let people: Value = people.json().await.unwrap();
    let next = people["next"].as_str().unwrap_or_default();
    assert!(next.starts_with(&format!("http://127.0.0.1:{port}/")), "{people}");

    // What is for the inside stays there, and no token is in the log.
    let metrics = |port| format!("http://127.0.0.1:{port}/metrics");
    assert_eq!(http.get(metrics(port)).send().await.unwrap().status(), 404);
    assert_eq!(http.get(metrics(node_port)).send().await.unwrap().status(), 200);
    let log = fs::read_to_string(folder.path().join("chat.log")).unwrap();
    assert!(log.contains("/ws/chat/") && !log.contains(&own) && !log.contains("token="), "{log}");
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/aristay-chat.service");
    let unit = fs::read_to_string(unit).unwrap();
    let here = unit.replace("/usr/local/bin/aristay-chat", env!("CARGO_BIN_EXE_aristay-chat"));
    let path = folder.path().join("aristay-chat.service");
    fs::write(&path, here).unwrap();
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&path)
        .output()
        .expect("systemd-analyze: apt-get install systemd");
    let said = String::from_utf8_lossy(&verified.stderr);
    let about_it: Vec<&str> = said.lines().filter(|line| line.contains("aristay-chat")).collect();
    assert!(verified.status.success() && about_it.is_empty(), "{said}");
}

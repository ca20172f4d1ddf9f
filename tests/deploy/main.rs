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

#[path = "../support/rabbitmq.rs"]
#[allow(dead_code, reason = "shared with other targets")]
mod rabbitmq;

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

/// What shows the node's figures.
const METRICS_TOKEN: &str = "a-token-for-the-figures-of-the-front";

/// A host application that knows one session cookie, and says of every other path that it is its own.
async fn host(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut head = vec![0; 16 << 10];
            let count = stream.read(&mut head).await.unwrap_or_default();
            let head = String::from_utf8_lossy(&head[..count]).to_lowercase();
            let answer = if !head.starts_with("get /chat/token/ ") {
                "HTTP/1.1 200 OK\r\nX-Of: the-host\r\n".to_owned()
            } else if head.contains("cookie: session=anns") {
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
    front_with(folder, &[], &[]).await
}

/// The same with other settings of the node, and with texts of nginx's files in place of others.
async fn front_with(
    folder: &Path,
    settings: &[(&str, &str)],
    texts: &[(&str, &str)],
) -> (u16, u16, [Process; 2]) {
    let [node_port, host_port, port] = [(); 3].map(|()| rabbitmq::free_port());
    let node = Command::new(env!("CARGO_BIN_EXE_aristay-chat"))
        .arg("serve")
        .env("BIND", format!("127.0.0.1:{node_port}"))
        .env("DATA_DIR", folder.join("data"))
        .env("JWT_SECRET", SECRET)
        .env("ALLOWED_ORIGINS", "https://host.example")
        .env("TRUSTED_PROXIES", "127.0.0.1")
        .env("METRICS_TOKEN", METRICS_TOKEN)
        .envs(settings.iter().copied())
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
    let whole = texts.iter().fold(whole, |whole, (ours, theirs)| {
        assert!(whole.contains(ours), "{ours}");
        whole.replace(ours, theirs)
    });
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
    let shown = http.get(metrics(node_port)).bearer_auth(METRICS_TOKEN).send();
    assert_eq!(shown.await.unwrap().status(), 200);
    let log = fs::read_to_string(folder.path().join("chat.log")).unwrap();
    assert!(log.contains("/ws/chat/") && !log.contains(&own) && !log.contains("token="), "{log}");
}

#[tokio::test]
async fn the_node_says_whether_a_page_of_another_origin_may_call() {
    let folder = tempfile::tempdir().unwrap();
    let (port, _, _processes) = front(folder.path()).await;
    let http = reqwest::Client::new();
    // What a browser asks before a call of the tag: without a token, and without a cookie.
    let ask = async |path: &str, origin: &str| {
        let asked = http.request(reqwest::Method::OPTIONS, format!("http://127.0.0.1:{port}{path}"));
        let asked = asked
            .header("origin", origin)
            .header("sec-fetch-site", "cross-site")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type");
        let answer = asked.send().await.unwrap();
        let allowed = answer.headers().get("access-control-allow-origin").cloned();
        (answer.status().as_u16(), allowed.map(|origin| origin.to_str().unwrap().to_owned()))
    };
    for path in ["/api/chat/rooms/", "/api/chat/messages/", "/api/chat/unread/"] {
        let (status, allowed) = ask(path, "https://host.example").await;
        assert!([200, 204].contains(&status), "{path}: {status}");
        assert_eq!(allowed.as_deref(), Some("https://host.example"), "{path}");
        let (status, allowed) = ask(path, "https://evil.example").await;
        assert!(allowed.is_none() && ![401, 500].contains(&status), "{path}: {status}");
    }
}

#[tokio::test]
async fn on_the_hosts_own_name_the_chat_takes_its_own_paths_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (port, _, _processes) = front(folder.path()).await;
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let of_host = async |path: &str| {
        let answer = http.get(format!("http://127.0.0.1:{port}{path}")).send().await.unwrap();
        assert!(answer.status().as_u16() < 500, "{path}: {}", answer.status());
        answer.headers().contains_key("x-of")
    };
    for path in [
        "/",
        "/tasks/42/",
        "/admin/",
        "/static/app.js",
        "/api/token/",
        "/api/tasks/",
        "/api/chat/",
        "/chats/",
    ] {
        assert!(of_host(path).await, "{path}");
    }
    for path in
        ["/chat/", "/chat/rooms/1", "/chat-room.js", "/health/live", "/api/chat/rooms/", "/api/chat/unread/"]
    {
        assert!(!of_host(path).await, "{path}");
    }
}

#[tokio::test]
async fn a_call_on_a_connection_of_the_pool_is_answered_however_long_that_was_idle() {
    let upstreams = fs::read_to_string("deploy/nginx-upstreams.conf").unwrap();
    let pool = upstreams.lines().find_map(|line| line.trim().strip_prefix("keepalive_timeout ")).unwrap();
    let pool: u64 = pool.trim_end_matches("s;").parse().unwrap();
    let help = Command::new(env!("CARGO_BIN_EXE_aristay-chat")).args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let kept = help.split("KEEP_ALIVE_SECONDS=").nth(1).and_then(|rest| rest.split("[default: ").nth(1));
    let kept: u64 = kept.and_then(|rest| rest.split(']').next()).unwrap().parse().unwrap();
    assert!(pool + 10 <= kept, "nginx keeps a connection for {pool} s, a node for {kept} s");

    // The same relation in seconds that a test can wait for.
    let folder = tempfile::tempdir().unwrap();
    let (port, _, _processes) = front_with(
        folder.path(),
        &[("KEEP_ALIVE_SECONDS", "3"), ("RATE_LIMITS", "off")],
        &[("keepalive_timeout 60s;", "keepalive_timeout 2s;")],
    )
    .await;
    let own = token(3);
    let calls = (0..24_u64).map(|n| {
        let own = own.clone();
        async move {
            let http = reqwest::Client::new();
            let url = format!("http://127.0.0.1:{port}/api/chat/rooms/");
            // A write, which nginx doesn't try again elsewhere.
            let call = || http.post(&url).bearer_auth(&own).json(&json!({"room_type": "group"})).send();
            assert_eq!(call().await.unwrap().status(), 201);
            // About both ends of a connection's life.
            let idle = if n % 2 == 0 { 1_900 + n * 10 } else { 2_800 + n * 20 };
            sleep(Duration::from_millis(idle)).await;
            call().await.unwrap().status().as_u16()
        }
    });
    let statuses = futures_util::future::join_all(calls).await;
    assert!(statuses.iter().all(|status| *status == 201), "{statuses:?}");
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

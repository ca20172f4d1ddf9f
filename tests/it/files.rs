//! Attachments: uploaded, served, erased.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::client::{ApiClient, ApiResponse, host, new_user, new_user_at, text_of};
use crate::server::start;

/// The smallest picture: one pixel.
pub const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0,
    1, 8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 13, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0xf8,
    0xcf, 0xc0, 0xf0, 0x1f, 0, 5, 0, 1, 0xff, 0x89, 0x99, 0x3d, 0x1d, 0, 0, 0, 0, b'I', b'E', b'N', b'D',
    0xae, 0x42, 0x60, 0x82,
];
const PDF: &[u8] = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n";

async fn attaches(person: &ApiClient, room: &str, name: &str, bytes: &[u8]) -> ApiResponse {
    person.post_form("/api/chat/messages/", &[("room", room)], &[("attachment", name, bytes)]).await
}

#[tokio::test]
async fn a_file_is_uploaded_and_served_to_the_participants() {
    let (alice, bob, eve) = (new_user("alice").await, new_user("bob").await, new_user("eve").await);
    let room = alice.creates_group(&[&bob]).await;
    let texts = [
        ("room", room.as_str()),
        ("content", ""),
        ("message_type", "image"),
        ("attachment_name", "../plan\u{202e}.pdf"),
    ];
    let sent = alice
        .post_form("/api/chat/messages/", &texts, &[("attachment", "a.pdf", PDF)])
        .await
        .expect_status(201);
    assert_eq!((&sent["message_type"], &sent["attachment_name"]), (&json!("file"), &json!("plan.pdf")));
    assert_eq!(sent["attachment_size"], PDF.len());
    let address = text_of(&sent["attachment"]);
    assert!(address.starts_with("http://") && address.contains("&sig="), "{address}");
    let nobody = alice.without_token();
    let given = nobody.get(&address).await;
    assert_eq!((given.status, given.bytes.as_slice()), (200, PDF));
    assert_eq!(given.header("content-type"), Some("application/pdf"));
    assert_eq!(given.header("x-content-type-options"), Some("nosniff"));
    assert!(given.header("content-security-policy").expect("a policy").contains("sandbox"));
    assert!(given.header("content-disposition").expect("a disposition").starts_with("attachment"));
    let path = address.split('?').next().expect("a path").to_owned();
    nobody.get(&path).await.expect_status(404);
    nobody.get(&format!("{address}0")).await.expect_status(404);
    eve.get(&path).await.expect_status(404);
    assert_eq!(bob.get(&path).await.status, 200);
    let range =
        async |range: &str| ApiClient::send(bob.request(Method::GET, &path).header("range", range)).await;
    let part = range("bytes=0-3").await;
    assert_eq!((part.status, part.bytes.as_slice()), (206, &PDF[..4]));
    assert_eq!(part.header("content-range"), Some(format!("bytes 0-3/{}", PDF.len()).as_str()));
    assert_eq!(range("bytes=9999-").await.status, 416);
    let listed = alice.get("/api/chat/rooms/").await.expect_status(200);
    assert_eq!(listed["results"][0]["last_message_preview"], "[File Attachment]");
    let by_bob = text_of(
        &bob.get(&format!("/api/chat/messages/?room={room}")).await.expect_status(200)["results"][0]["attachment"],
    );
    assert_ne!(by_bob, address, "an address is made for one person");
    alice.removes(&bob, &room).await;
    nobody.get(&by_bob).await.expect_status(404);
    bob.get(&path).await.expect_status(404);
}

#[tokio::test]
async fn deleting_a_message_erases_its_file() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let sent = attaches(&alice, &room, "a.png", PNG).await.expect_status(201);
    assert_eq!(sent["message_type"], "image");
    let address = text_of(&sent["attachment"]);
    assert_eq!(alice.get(&address).await.header("content-type"), Some("image/png"));
    alice.delete(&format!("/api/chat/messages/{}/", text_of(&sent["id"]))).await.expect_status(204);
    alice.get(&address).await.expect_status(404);
}

#[tokio::test]
async fn forbidden_attachments_are_rejected() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    for (name, bytes) in [
        ("page.html", b"<html></html>".as_slice()),
        ("page.png", b"<html></html>"),
        ("a.svg", b"<svg/>"),
        ("a.pdf", PNG),
        ("a.png", b""),
        ("a.hta", PDF),
        ("a.xlsx", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ] {
        let refused = attaches(&alice, &room, name, bytes).await;
        refused.expect_field_errors(&["attachment"]);
        let why = text_of(&refused.json()["attachment"][0]);
        assert!(why.contains("jpg, jpeg, png, ") && why.ends_with(" up to 25 MiB."), "{name}: {why}");
    }
    let post = "/api/chat/messages/";
    alice
        .post_form(post, &[("room", &room), ("attachment", "text")], &[])
        .await
        .expect_field_errors(&["attachment"]);
    let two = [("attachment", "a.png", PNG), ("attachment", "b.png", PNG)];
    alice.post_form(post, &[("room", &room)], &two).await.expect_field_errors(&["attachment"]);
    alice.post_form(post, &[], &[two[0]]).await.expect_field_errors(&["room"]);
    alice.post_form(post, &[("room", &room)], &[]).await.expect_field_errors(&["content"]);
    // What a browser sends for a file field in which no file was chosen.
    let none = [("attachment", "", b"".as_slice())];
    let plain =
        alice.post_form(post, &[("room", &room), ("content", "no file")], &none).await.expect_status(201);
    assert_eq!((&plain["attachment"], &plain["message_type"]), (&json!(null), &json!("text")));
    // A name that isn't ASCII, encoded as older clients do.
    let old = "attachment\"; filename*=UTF-8''na%C3%AFve.pdf; old=\"";
    let told = [("room", room.as_str()), (old, std::str::from_utf8(PDF).expect("text"))];
    assert_eq!(alice.post_form(post, &told, &[]).await.expect_status(201)["attachment_name"], "naïve.pdf");
    let named = alice
        .post_form(post, &[("room", &room)], &[("attachment", "../../x.png", PNG)])
        .await
        .expect_status(201);
    assert_eq!(named["attachment_name"], "x.png");
    let elsewhere = new_user("eve").await;
    attaches(&elsewhere, &room, "a.png", PNG).await.expect_field_errors(&["room"]);
}

#[tokio::test]
async fn the_bytes_decide_a_files_type_and_extension() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let post = "/api/chat/messages/";
    // The name it comes with, the name to give it; the name it then has, and its media type.
    let table: &[(&[u8], &str, &str, &str, &str, &str)] = &[
        (PNG, "image_picker_1.jpg", "", "image_picker_1.png", "image/png", "image"),
        (PNG, "blob", "kitchen.png", "kitchen.png", "image/png", "image"),
        (PDF, "a.pdf", "invoice.hta", "invoice.hta.pdf", "application/pdf", "file"),
        (b"a;b\n", "a.csv", "", "a.csv", "text/csv", "file"),
        (b"OggS\0\x02", "note.opus", "", "note.ogg", "audio/ogg", "file"),
    ];
    for (bytes, own, wanted, called, content_type, message_type) in table {
        let texts = [("room", room.as_str()), ("attachment_name", wanted)];
        let sent = alice.post_form(post, &texts, &[("attachment", own, bytes)]).await.expect_status(201);
        assert_eq!(sent["attachment_name"], *called);
        assert_eq!(sent["message_type"], *message_type, "{called}");
        let given = alice.get(&text_of(&sent["attachment"])).await;
        assert_eq!(given.header("content-type"), Some(*content_type), "{called}");
        let disposition = given.header("content-disposition").expect("a disposition");
        assert!(disposition.ends_with(called), "{disposition}");
    }
    // Parts may come in any order.
    let body = form(&[
        (FILE_PART, PDF),
        ("name=\"attachment_name\"", b"plan.hta"),
        ("name=\"room\"", room.as_bytes()),
    ]);
    assert_eq!(
        posts(&alice, "boundary=edge", body).await.expect_status(201)["attachment_name"],
        "plan.hta.pdf"
    );
}

const FILE_PART: &str = "name=\"attachment\"; filename=\"a.pdf\"";

/// A multipart form of these parts, each given by what follows `form-data; `.
fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (says, bytes) in parts {
        body.extend_from_slice(
            format!("--edge\r\nContent-Disposition: form-data; {says}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--edge--\r\n");
    body
}

async fn posts(person: &ApiClient, boundary: &str, body: Vec<u8>) -> ApiResponse {
    let request = person.request(Method::POST, "/api/chat/messages/");
    let kind = format!("multipart/form-data; {boundary}");
    ApiClient::send(request.header("content-type", kind).body(body)).await
}

#[tokio::test]
async fn multipart_multipart_forms_are_read_as_clients_write_them() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let room_part = ("name=\"room\"", room.as_bytes());
    let named = async |bytes: &[u8]| {
        let before = b"Content-Disposition: form-data; name=\"attachment\"; filename=\"";
        let head = [&b"--edge\r\n"[..], before, bytes, b".pdf\"\r\n\r\n", PDF, b"\r\n"].concat();
        let sent =
            posts(&alice, "boundary=edge", [head, form(&[room_part])].concat()).await.expect_status(201);
        text_of(&sent["attachment_name"])
    };
    assert_eq!(named("Küche".as_bytes()).await, "Küche.pdf");
    assert_eq!(named(b"caf\xe9").await, "café.pdf");
    assert_eq!(named(b"3%22 valve").await, "3\" valve.pdf");
    assert_eq!(named(b"C:\\Users\\ann\\boiler").await, "boiler.pdf");

    let whole = || form(&[room_part, (FILE_PART, PDF)]);
    let with = |boundary: &str| {
        let text = String::from_utf8(whole()).expect("text");
        text.replace("--edge", &format!("--{boundary}")).into_bytes()
    };
    for (says, boundary) in [
        ("boundary====1700000000000===", "===1700000000000==="),
        ("charset=utf-8; Boundary=\"a'()+_,-./:=? b\"", "a'()+_,-./:=? b"),
    ] {
        posts(&alice, says, with(boundary)).await.expect_status(201);
    }
    assert_eq!(posts(&alice, "charset=utf-8", whole()).await.expect_status(400)["code"], "bad_frame");

    let thumbnail = ("name=\"thumbnail\"; filename=\"t.jpg\"", b"\xff\xd8\xff".as_slice());
    let unread = ("name=\"note\"", b"\xff\xfe".as_slice());
    let parts = [room_part, thumbnail, unread, unread, (FILE_PART, PDF)];
    posts(&alice, "boundary=edge", form(&parts)).await.expect_status(201);
    let content = ("name=\"content\"", b"hi".as_slice());
    let strayed = posts(&alice, "boundary=edge", form(&[room_part, content, thumbnail])).await;
    strayed.expect_field_errors(&["attachment"]);
    assert!(text_of(&strayed.json()["attachment"][0]).contains("\"thumbnail\""));
    let nothing_chosen = ("name=\"other\"; filename=\"\"", b"".as_slice());
    posts(&alice, "boundary=edge", form(&[room_part, content, nothing_chosen])).await.expect_status(201);
    let latin = ("name=\"content\"\r\nContent-Type: text/plain; charset=ISO-8859-1", b"caf\xe9".as_slice());
    assert_eq!(
        posts(&alice, "boundary=edge", form(&[room_part, latin])).await.expect_status(201)["content"],
        "café"
    );
    let broken = ("name=\"content\"", b"caf\xe9".as_slice());
    assert_eq!(
        posts(&alice, "boundary=edge", form(&[room_part, broken])).await.expect_status(400)["code"],
        "bad_frame"
    );
}

#[tokio::test]
async fn a_message_without_a_file_has_an_empty_attachment_name_that_may_be_sent_back() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    for name in [json!(null), json!("")] {
        let body = json!({"room": room, "content": "hi", "attachment": null, "attachment_name": name});
        let sent = alice.post("/api/chat/messages/", body).await.expect_status(201);
        assert_eq!((&sent["attachment"], &sent["attachment_name"]), (&json!(null), &json!("")));
    }
    let sent = attaches(&alice, &room, "a.pdf", PDF).await.expect_status(201);
    let path = format!("/api/chat/messages/{}/", text_of(&sent["id"]));
    alice.delete(&path).await.expect_status(204);
    let events = alice.get(&format!("/api/chat/rooms/{room}/events/?since=0")).await.expect_status(200);
    let names: Vec<&Value> = events["events"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|event| event["message"].get("attachment_name"))
        .collect();
    assert_eq!(names, [&json!(""), &json!(""), &json!("")]);
}

#[tokio::test]
async fn a_pictures_url_is_stable_and_its_bytes_are_cached() {
    let (host, alice, bob) = (host().await, new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let sent = attaches(&alice, &room, "a.png", PNG).await.expect_status(201);
    let path = format!("/api/chat/messages/{}/", text_of(&sent["id"]));
    let address = text_of(&alice.get(&path).await.expect_status(200)["attachment"]);
    let exp = address.split(['?', '&']).find_map(|pair| pair.strip_prefix("exp=")).expect("a time");
    assert_eq!(exp.parse::<i64>().expect("a number") % 86_400, 0, "the end of a day");
    let nobody = alice.without_token();
    let given = nobody.get(&address).await;
    let tag = given.header("etag").expect("a tag").to_owned();
    assert!(given.header("cache-control").expect("a word on it").starts_with("private, max-age="));
    let request = async |headers: &[(&str, &str)]| {
        let request = headers.iter().fold(nobody.request(Method::GET, &address), |request, (name, value)| {
            request.header(*name, *value)
        });
        ApiClient::send(request).await
    };
    for known in [tag.as_str(), "*", &format!("\"other\", W/{tag}")] {
        let answer = request(&[("if-none-match", known)]).await;
        assert_eq!((answer.status, answer.bytes.len()), (304, 0), "{known}");
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
    }
    assert_eq!(request(&[("if-none-match", "\"other\"")]).await.status, 200);
    assert_eq!(request(&[("range", "bytes=0-3"), ("if-range", tag.as_str())]).await.status, 206);
    assert_eq!(request(&[("range", "bytes=0-3"), ("if-range", "\"other\"")]).await.status, 200);
    let by_token = alice.get(&sent_path(&address)).await;
    assert_eq!(
        by_token.header("cache-control"),
        Some("private, no-cache"),
        "it may be another person's next"
    );

    // After a revocation the URL is invalid, and the next one differs.
    let person = format!("/api/chat/users/{}/", alice.id);
    let valid_from = chrono::Utc::now().timestamp() - 100;
    host.put(&person, json!({"tokens_valid_from": valid_from})).await.expect_status(200);
    nobody.get(&address).await.expect_status(404);
    let renewed = text_of(&alice.get(&path).await.expect_status(200)["attachment"]);
    assert_eq!(nobody.get(&renewed).await.status, 200);
    host.put(&person, json!({"tokens_valid_from": valid_from + 1})).await.expect_status(200);
    nobody.get(&renewed).await.expect_status(404);
    // An erased file is gone for clients that have it cached, too.
    let renewed = text_of(&alice.get(&path).await.expect_status(200)["attachment"]);
    alice.delete(&path).await.expect_status(204);
    let request = nobody.request(Method::GET, &renewed).header("if-none-match", &tag);
    ApiClient::send(request).await.expect_status(404);
}

/// A URL without its query.
fn sent_path(address: &str) -> String {
    address.split('?').next().expect("a path").to_owned()
}

#[tokio::test]
async fn a_file_over_the_limit_is_cut_off() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let mut large = PDF.to_vec();
    large.resize(26 * 1024 * 1024, b' ');
    let request = alice.request(Method::POST, "/api/chat/messages/");
    let head = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"room\"\r\n\r\n{room}\r\n--edge\r\n\
         Content-Disposition: form-data; name=\"attachment\"; filename=\"a.pdf\"\r\n\r\n"
    );
    let body = [head.as_bytes(), &large, b"\r\n--edge--\r\n"].concat();
    let request = request.header("content-type", "multipart/form-data; boundary=edge").body(body);
    // The server may close the connection after its error while the rest is still being sent.
    if let Ok(answer) = request.send().await {
        assert_eq!(answer.status().as_u16(), 413);
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body["code"], "too_large");
        assert!(text_of(&body["detail"]).ends_with(" up to 25 MiB."), "{body}");
    }
}

#[tokio::test]
async fn a_retry_with_a_file_creates_nothing() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let id = uuid::Uuid::new_v4().to_string();
    let texts = [("room", room.as_str()), ("client_id", &id)];
    let sends =
        async |bytes| alice.post_form("/api/chat/messages/", &texts, &[("attachment", "a.pdf", bytes)]).await;
    let first = sends(PDF).await.expect_status(201);
    let again = sends(PDF).await.expect_status(200);
    assert_eq!(again["id"], first["id"]);
    assert_eq!(alice.get(&text_of(&again["attachment"])).await.status, 200);
    assert_eq!(sends(b"%PDF-1.4 other").await.expect_status(409)["code"], "client_id_conflict");
}

fn files_under(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| if entry.path().is_dir() { files_under(&entry.path()) } else { 1 }).sum()
}

#[tokio::test]
async fn an_aborted_upload_leaves_no_orphaned_file() {
    let server = start(&[]).await;
    let alice = new_user_at(&server, "alice").await;
    let room = alice.creates_group(&[]).await;
    let lock = server.holds_inserts("files").await;
    let body = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"room\"\r\n\r\n{room}\r\n--edge\r\n\
         Content-Disposition: form-data; name=\"attachment\"; filename=\"a.pdf\"\r\n\r\n{}\r\n--edge--\r\n",
        String::from_utf8_lossy(PDF)
    );
    let head = format!(
        "POST /api/chat/messages/ HTTP/1.1\r\nHost: chat\r\nAuthorization: Bearer {}\r\n\
         Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: {}\r\n\r\n",
        alice.token(),
        body.len()
    );
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    server.wait_for_lock().await;
    // The connection is reset, which drops the request.
    client.set_zero_linger().unwrap();
    drop(client);
    for _ in 0..100 {
        if files_under(&server.folder) == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    lock.batch_execute("ROLLBACK").await.unwrap();
    let noted = lock.query_one("SELECT count(*) FROM files", &[]).await.unwrap();
    assert_eq!(noted.get::<_, i64>(0), 0);
    assert_eq!(files_under(&server.folder), 0);
}

//! Uploads that can be resumed, and messages with several files.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::client::{ApiClient, ApiResponse, host, new_user, new_user_at, text_of};
use crate::files::PNG;
use crate::server::start;

const UPLOADS: &str = "/api/chat/uploads/";
const MESSAGES: &str = "/api/chat/messages/";
const PDF: &[u8] = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n";
/// What a piece of an upload has; see `files::limits::PIECE_BYTES`.
const PIECE: usize = 512 * 1024;

async fn tus(
    user: &ApiClient,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> ApiResponse {
    let request = user.request(method, path).header("tus-resumable", "1.0.0");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    ApiClient::send(request.body(body.to_vec())).await
}

/// Begins an upload and returns its path.
async fn begins(user: &ApiClient, name: &str, length: usize) -> String {
    use base64::Engine as _;
    let name = base64::engine::general_purpose::STANDARD.encode(name);
    let headers =
        [("upload-length", &*length.to_string()), ("upload-metadata", &*format!("filename {name}"))];
    let begun = tus(user, Method::POST, UPLOADS, &headers, b"").await;
    begun.expect_status(201);
    assert_eq!(begun.header("upload-offset"), Some("0"));
    let location = begun.header("location").expect("a place").to_owned();
    location[location.find(UPLOADS).expect("a path")..].to_owned()
}

async fn goes_on(
    user: &ApiClient,
    path: &str,
    offset: usize,
    bytes: &[u8],
    more: &[(&str, &str)],
) -> ApiResponse {
    let offset = offset.to_string();
    let mut headers = vec![("content-type", "application/offset+octet-stream"), ("upload-offset", &*offset)];
    headers.extend_from_slice(more);
    tus(user, Method::PATCH, path, &headers, bytes).await
}

async fn offset(user: &ApiClient, path: &str) -> usize {
    let told = tus(user, Method::HEAD, path, &[], b"").await;
    told.expect_status(200);
    told.header("upload-offset").expect("an offset").parse().expect("a number")
}

/// Uploads a file and returns the upload's id.
async fn uploads(user: &ApiClient, name: &str, bytes: &[u8]) -> String {
    let path = begins(user, name, bytes.len()).await;
    goes_on(user, &path, 0, bytes, &[]).await.expect_status(204);
    id_of(&path)
}

fn id_of(path: &str) -> String {
    path.trim_end_matches('/').rsplit('/').next().expect("an id").to_owned()
}

fn large_pdf(length: usize) -> Vec<u8> {
    let mut bytes = PDF.to_vec();
    bytes.resize(length, b' ');
    bytes
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was() {
    let (alice, eve) = (new_user("alice").await, new_user("eve").await);
    let path = begins(&alice, "plan.pdf", PDF.len()).await;
    assert_eq!(offset(&alice, &path).await, 0);
    let stored = goes_on(&alice, &path, 0, &PDF[..10], &[]).await;
    stored.expect_status(204);
    assert_eq!((stored.header("upload-offset"), stored.header("tus-resumable")), (Some("10"), Some("1.0.0")));
    let told = tus(&alice, Method::HEAD, &path, &[], b"").await;
    assert_eq!((told.header("upload-offset"), told.header("cache-control")), (Some("10"), Some("no-store")));
    assert_eq!(told.header("upload-length"), Some(&*PDF.len().to_string()));
    assert_eq!(told.header("upload-metadata"), Some("filename cGxhbi5wZGY="));
    assert!(told.header("upload-expires").expect("a time").ends_with(" GMT"));
    for wrong in [0, 9, 11, 1_000] {
        assert_eq!(goes_on(&alice, &path, wrong, b"x", &[]).await.status, 409, "{wrong}");
    }
    // Nobody else knows of it.
    assert_eq!(tus(&eve, Method::HEAD, &path, &[], b"").await.status, 404);
    goes_on(&eve, &path, 10, b"x", &[]).await.expect_status(404);
    tus(&eve, Method::DELETE, &path, &[], b"").await.expect_status(404);
    host().await.delete(&path).await.expect_status(403);
    goes_on(&alice, &path, 10, &PDF[10..], &[]).await.expect_status(204);
    assert_eq!(offset(&alice, &path).await, PDF.len());
    goes_on(&alice, &path, PDF.len(), b"x", &[]).await.expect_status(413);
    assert_eq!(tus(&alice, Method::DELETE, &path, &[], b"").await.status, 204);
    assert_eq!(tus(&alice, Method::HEAD, &path, &[], b"").await.status, 404);
}

#[tokio::test]
async fn the_protocol_is_kept() {
    let alice = new_user("alice").await;
    let told = ApiClient::send(alice.without_token().request(Method::OPTIONS, UPLOADS)).await;
    assert_eq!((told.status, told.header("tus-version")), (204, Some("1.0.0")));
    assert_eq!(told.header("tus-max-size"), Some(&*(25 * 1024 * 1024).to_string()));
    assert!(told.header("tus-extension").expect("some").contains("creation,"));
    let other = alice.request(Method::POST, UPLOADS).header("tus-resumable", "0.2.2");
    let other = ApiClient::send(other.header("upload-length", "5")).await;
    assert_eq!((other.status, other.header("tus-version")), (412, Some("1.0.0")));
    for headers in [
        &[][..],
        &[("upload-length", "x")],
        &[("upload-length", "-1")],
        &[("upload-length", "0")],
        &[("upload-defer-length", "1")],
        &[("upload-length", "5"), ("upload-metadata", "filename ?")],
    ] {
        tus(&alice, Method::POST, UPLOADS, headers, b"").await.expect_status(400);
    }
    let too_long = (25 * 1024 * 1024 + 1).to_string();
    let refused = tus(&alice, Method::POST, UPLOADS, &[("upload-length", &too_long)], b"").await;
    assert_eq!(refused.expect_status(413)["code"], "too_large");
    let path = begins(&alice, "a.pdf", 11).await;
    let json = [("content-type", "application/json"), ("upload-offset", "0")];
    tus(&alice, Method::PATCH, &path, &json, b"{}").await.expect_status(415);
    let without_offset = [("content-type", "application/offset+octet-stream")];
    tus(&alice, Method::PATCH, &path, &without_offset, b"x").await.expect_status(400);
    goes_on(&alice, &path, 0, b"hello world!", &[]).await.expect_status(413);
    tus(&alice, Method::HEAD, &format!("{UPLOADS}{}/", Uuid::new_v4()), &[], b"").await.expect_status(404);
    tus(&alice, Method::HEAD, &format!("{UPLOADS}x/"), &[], b"").await.expect_status(404);

    // Bytes with another sum don't count.
    let sha1 = "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=";
    let wrong = goes_on(&alice, &path, 0, b"hello wOrld", &[("upload-checksum", sha1)]).await;
    assert_eq!(wrong.expect_status(460)["code"], "checksum_mismatch");
    assert_eq!(offset(&alice, &path).await, 0);
    goes_on(&alice, &path, 0, b"hello", &[("upload-checksum", "md5 AAAA")]).await.expect_status(400);
    let long = large_pdf(2 * PIECE + 7);
    let long_path = begins(&alice, "a.pdf", long.len()).await;
    let wrong = goes_on(&alice, &long_path, 0, &long, &[("upload-checksum", sha1)]).await;
    wrong.expect_status(460);
    assert_eq!(offset(&alice, &long_path).await, 0);
    let right = goes_on(&alice, &path, 0, b"hello world", &[("upload-checksum", sha1)]).await;
    // The sum is right, and the content may not be attached.
    right.expect_field_errors(&["attachments"]);
    assert_eq!(offset(&alice, &path).await, 11);
}

#[tokio::test]
async fn an_upload_may_begin_with_its_bytes() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let headers = [
        ("upload-length", &*PDF.len().to_string()),
        ("upload-metadata", "filename cGxhbi5wZGY="),
        ("content-type", "application/offset+octet-stream"),
    ];
    let begun = tus(&alice, Method::POST, UPLOADS, &headers, PDF).await;
    begun.expect_status(201);
    assert_eq!(begun.header("upload-offset"), Some(&*PDF.len().to_string()));
    let id = id_of(begun.header("location").expect("a place"));
    let sent = alice.post(MESSAGES, json!({"room": room, "attachments": [id]})).await.expect_status(201);
    assert_eq!(sent["attachments"][0]["name"], "plan.pdf");
}

#[tokio::test]
async fn a_message_carries_several_files() {
    let (alice, bob) = (new_user("alice").await, new_user("bob").await);
    let room = alice.creates_group(&[&bob]).await;
    let ids = [uploads(&alice, "door.png", PNG).await, uploads(&alice, "../plan.pdf", PDF).await];
    let client_id = Uuid::new_v4();
    let body = json!({"room": room, "attachments": ids, "client_id": client_id});
    let sent = alice.post(MESSAGES, body.clone()).await.expect_status(201);
    assert_eq!((&sent["message_type"], &sent["attachment_name"]), (&json!("image"), &json!("door.png")));
    assert_eq!((&sent["content"], &sent["attachment_size"]), (&json!(""), &json!(PNG.len())));
    let [picture, plan] = [0, 1].map(|at| &sent["attachments"][at]);
    assert_eq!(picture["url"], sent["attachment"]);
    assert_eq!((&picture["kind"], &picture["content_type"]), (&json!("image"), &json!("image/png")));
    assert_eq!(
        (&picture["width"], &picture["height"], &picture["state"]),
        (&json!(1), &json!(1), &json!("ready"))
    );
    assert_eq!(picture.get("preview"), None, "it is small");
    assert_eq!(
        (&plan["name"], &plan["kind"], &plan["size"]),
        (&json!("plan.pdf"), &json!("file"), &json!(PDF.len()))
    );
    assert_eq!(plan.get("width"), None);
    for (file, bytes) in [(picture, PNG), (plan, PDF)] {
        let given = alice.without_token().get(&text_of(&file["url"])).await;
        assert_eq!((given.status, given.bytes.as_slice()), (200, bytes));
        let path = text_of(&file["url"]).split('?').next().expect("a path").to_owned();
        assert_eq!(bob.get(&path).await.status, 200);
    }
    // Frames say the same, with addresses that are everyone's.
    let events = bob.get(&format!("/api/chat/rooms/{room}/events/?since=0")).await.expect_status(200);
    let frame = events["events"].as_array().expect("events").last().expect("one")["message"].clone();
    assert_eq!(frame["attachments"].as_array().map(Vec::len), Some(2));
    assert_eq!(frame["attachments"][1]["url"], format!("/api/chat/files/{}/", text_of(&plan["id"])));
    assert_eq!(frame["attachment"], frame["attachments"][0]["url"]);

    // Once more the same, and then others.
    let again = alice.post(MESSAGES, body).await.expect_status(200);
    assert_eq!(again["id"], sent["id"]);
    let other = uploads(&alice, "b.pdf", PDF).await;
    let body = json!({"room": room, "attachments": [other], "client_id": client_id});
    assert_eq!(alice.post(MESSAGES, body).await.expect_status(409)["code"], "client_id_conflict");
    let found = bob.get(&format!("{MESSAGES}search/?q=plan&room={room}&has=file")).await.expect_status(200);
    assert_eq!(found["results"][0]["id"], sent["id"]);
    let rooms = bob.get("/api/chat/rooms/").await.expect_status(200);
    assert_eq!(rooms["results"][0]["last_message_preview"], "[Image]");

    // A copy has all of them, and keeps them.
    let to = bob.creates_group(&[]).await;
    let forward = json!({"message_ids": [sent["id"]], "rooms": [to], "client_id": Uuid::new_v4()});
    let copied = bob.post("/api/chat/messages/forward/", forward).await.expect_status(201);
    let copy = &copied["messages"][0];
    assert_eq!(copy["attachments"][1]["id"], plan["id"]);
    alice.delete(&format!("{MESSAGES}{}/", text_of(&sent["id"]))).await.expect_status(204);
    alice.without_token().get(&text_of(&plan["url"])).await.expect_status(404);
    assert_eq!(bob.get(&text_of(&copy["attachments"][1]["url"])).await.status, 200);
    let events = bob.get(&format!("/api/chat/rooms/{room}/events/?since=0")).await.expect_status(200);
    let posted = |event: &&Value| event["type"] == "chat_message";
    let deleted = events["events"].as_array().expect("events").iter().find(posted).expect("the message");
    assert_eq!(deleted["message"]["attachments"], json!([]));
}

#[tokio::test]
async fn a_file_in_a_form_is_shown_among_the_attachments() {
    let alice = new_user("alice").await;
    let room = alice.creates_group(&[]).await;
    let files = [("attachment", "a.pdf", PDF)];
    let sent = alice.post_form(MESSAGES, &[("room", &room)], &files).await.expect_status(201);
    assert_eq!(sent["attachments"].as_array().map(Vec::len), Some(1));
    assert_eq!(sent["attachments"][0]["url"], sent["attachment"]);
    let read = alice.get(&format!("{MESSAGES}{}/", text_of(&sent["id"]))).await.expect_status(200);
    assert_eq!(read["attachments"], sent["attachments"]);
    assert_eq!(alice.says(&room, "no file").await["attachments"], json!([]));
}

#[tokio::test]
async fn what_cannot_be_attached_is_refused_with_the_reason() {
    let (alice, eve) = (new_user("alice").await, new_user("eve").await);
    let room = alice.creates_group(&[]).await;
    let refuses = async |attachments: Value, reason: &str| {
        let refused = alice.post(MESSAGES, json!({"room": room, "attachments": attachments})).await;
        refused.expect_field_errors(&["attachments"]);
        let why = text_of(&refused.json()["attachments"][0]);
        assert!(why.contains(reason), "{why}");
    };
    refuses(json!([Uuid::new_v4()]), "no such upload").await;
    refuses(json!([uploads(&eve, "a.pdf", PDF).await]), "someone else's").await;
    let path = begins(&alice, "a.pdf", 100).await;
    goes_on(&alice, &path, 0, &PDF[..10], &[]).await.expect_status(204);
    refuses(json!([id_of(&path)]), "not finished").await;
    let page = b"<html></html>";
    let path = begins(&alice, "page.html", page.len()).await;
    goes_on(&alice, &path, 0, page, &[]).await.expect_field_errors(&["attachments"]);
    refuses(json!([id_of(&path)]), "Files that end in .html may not be attached.").await;
    let id = uploads(&alice, "a.pdf", PDF).await;
    alice.post(MESSAGES, json!({"room": room, "attachments": [id]})).await.expect_status(201);
    refuses(json!([id]), "was sent already").await;
    refuses(json!((0..11).map(|_| Uuid::new_v4()).collect::<Vec<_>>()), "no more than 10").await;
    refuses(json!(["x"]), "UUID").await;
    refuses(json!("x"), "list").await;
    alice.post(MESSAGES, json!({"room": room, "attachments": []})).await.expect_field_errors(&["content"]);
    let elsewhere = json!({"room": room, "attachments": [uploads(&eve, "b.pdf", PDF).await]});
    eve.post(MESSAGES, elsewhere).await.expect_field_errors(&["room"]);
}

/// A picture of these sides.
fn picture(width: u32, height: u32) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    let pixels =
        image::RgbImage::from_fn(width, height, |x, y| image::Rgb([(x % 256) as u8, (y % 256) as u8, 7]));
    pixels.write_to(&mut out, image::ImageFormat::Jpeg).expect("encoded");
    out.into_inner()
}

#[tokio::test]
async fn a_picture_is_served_in_smaller_sizes() {
    let (alice, eve) = (new_user("alice").await, new_user("eve").await);
    let room = alice.creates_group(&[]).await;
    let bytes = picture(1_600, 800);
    let id = uploads(&alice, "door.jpg", &bytes).await;
    let sent = alice.post(MESSAGES, json!({"room": room, "attachments": [id]})).await.expect_status(201);
    let file = &sent["attachments"][0];
    assert_eq!((&file["width"], &file["height"]), (&json!(1_600), &json!(800)));
    let nobody = alice.without_token();
    let mut tags = Vec::new();
    for (size, width) in [("small", 320), ("large", 1_280)] {
        let address = text_of(&file["preview"][size]);
        let given = nobody.get(&address).await;
        assert_eq!((given.status, given.header("content-type")), (200, Some("image/jpeg")));
        assert!(given.header("cache-control").expect("a word on it").starts_with("private, max-age="));
        let shown = image::load_from_memory(&given.bytes).expect("a picture");
        assert_eq!((shown.width(), shown.height()), (width, width / 2));
        let tag = given.header("etag").expect("a tag").to_owned();
        let known = nobody.request(Method::GET, &address).header("if-none-match", &tag);
        assert_eq!(ApiClient::send(known).await.status, 304);
        let part = nobody.request(Method::GET, &address).header("range", "bytes=0-1");
        let part = ApiClient::send(part).await;
        assert_eq!((part.status, part.bytes.as_slice()), (206, &b"\xff\xd8"[..]));
        tags.push(tag);
    }
    let url = text_of(&file["url"]);
    let whole = nobody.get(&format!("{url}&size=original")).await;
    assert_eq!((whole.status, whole.bytes.as_slice()), (200, bytes.as_slice()));
    tags.push(whole.header("etag").expect("a tag").to_owned());
    tags.dedup();
    assert_eq!(tags.len(), 3);
    nobody.get(&format!("{url}&size=huge")).await.expect_field_errors(&["size"]);
    let path = url.split('?').next().expect("a path");
    eve.get(&format!("{path}?size=small")).await.expect_status(404);
    // What isn't larger is given as it is, and so is what is no picture.
    for (name, bytes) in [("a.png", PNG), ("a.pdf", PDF)] {
        let id = uploads(&alice, name, bytes).await;
        let sent = alice.post(MESSAGES, json!({"room": room, "attachments": [id]})).await.expect_status(201);
        let given = nobody.get(&format!("{}&size=small", text_of(&sent["attachment"]))).await;
        assert_eq!((given.status, given.bytes.as_slice()), (200, bytes));
    }
    alice.delete(&format!("{MESSAGES}{}/", text_of(&sent["id"]))).await.expect_status(204);
    nobody.get(&text_of(&file["preview"]["small"])).await.expect_status(404);
}

fn files_under(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| if entry.path().is_dir() { files_under(&entry.path()) } else { 1 }).sum()
}

#[tokio::test]
async fn a_body_that_breaks_off_is_continued_behind_its_last_piece() {
    let server = start(&[]).await;
    let alice = new_user_at(&server, "alice").await;
    let room = alice.creates_group(&[]).await;
    let bytes = large_pdf(4 * PIECE);
    let path = begins(&alice, "plan.pdf", bytes.len()).await;
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nHost: chat\r\nAuthorization: Bearer {}\r\nTus-Resumable: 1.0.0\r\n\
         Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: {}\r\n\r\n",
        alice.token(),
        bytes.len()
    );
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(&bytes[..2 * PIECE + 1_000]).await.unwrap();
    for _ in 0..500 {
        if offset(&alice, &path).await >= 2 * PIECE {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The connection is reset, which drops the request.
    client.set_zero_linger().unwrap();
    drop(client);
    let stored = offset(&alice, &path).await;
    assert!(stored >= 2 * PIECE, "{stored}");
    // Another request may have stored what the broken one had left, meanwhile.
    let went_on = goes_on(&alice, &path, stored, &bytes[stored..], &[]).await;
    if went_on.status == 409 {
        let stored = offset(&alice, &path).await;
        goes_on(&alice, &path, stored, &bytes[stored..], &[]).await.expect_status(204);
    }
    let body = json!({"room": room, "attachments": [id_of(&path)]});
    let sent = alice.post(MESSAGES, body).await.expect_status(201);
    let given = alice.get(&text_of(&sent["attachment"])).await;
    assert!(given.bytes == bytes, "the bytes that were sent");
    // Its pieces are gone.
    assert_eq!(files_under(&server.folder), 1);
}

#[tokio::test]
async fn what_nobody_sends_is_bounded_and_ends() {
    let server = start(&[]).await;
    let (alice, bob) = (new_user_at(&server, "alice").await, new_user_at(&server, "bob").await);
    let mut paths = Vec::new();
    for _ in 0..20 {
        paths.push(begins(&alice, "a.pdf", 5).await);
    }
    let one_more = tus(&alice, Method::POST, UPLOADS, &[("upload-length", "5")], b"").await;
    assert_eq!(one_more.expect_status(429)["code"], "rate_limited");
    begins(&bob, "a.pdf", 5).await;
    tus(&alice, Method::DELETE, &paths[0], &[], b"").await.expect_status(204);
    begins(&alice, "a.pdf", 5).await;
    // Twelve of the largest size is what one user may keep.
    for _ in 0..11 {
        begins(&bob, "a.pdf", 25 * 1024 * 1024).await;
    }
    let large = [("upload-length", &*(25 * 1024 * 1024).to_string())];
    tus(&bob, Method::POST, UPLOADS, &large, b"").await.expect_status(429);

    goes_on(&alice, &paths[1], 0, b"%PDF", &[]).await.expect_status(204);
    assert_eq!(files_under(&server.folder), 1);
    let client = server.client().await;
    client.batch_execute("UPDATE uploads SET expires_at = now() - interval '1 second'").await.unwrap();
    assert_eq!(tus(&alice, Method::HEAD, &paths[1], &[], b"").await.status, 410);
    goes_on(&alice, &paths[1], 4, b"-", &[]).await.expect_status(410);
    let room = alice.creates_group(&[]).await;
    let body = json!({"room": room, "attachments": [id_of(&paths[1])]});
    alice.post(MESSAGES, body).await.expect_field_errors(&["attachments"]);
    let pieces = server.store.end_expired_uploads(1_000).await.unwrap();
    assert_eq!(pieces.len(), 1);
    assert_eq!(tus(&alice, Method::HEAD, &paths[1], &[], b"").await.status, 404);
    let left = client.query_one("SELECT count(*) FROM uploads", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 0);
}

/// Another node has received all of it and died before it looked at the content.
#[tokio::test]
async fn what_nobody_has_looked_at_is_looked_at_when_it_is_asked_for() {
    let server = start(&[]).await;
    let alice = new_user_at(&server, "alice").await;
    let room = alice.creates_group(&[]).await;
    let client = server.client().await;
    for by_head in [true, false] {
        let path = begins(&alice, "a.pdf", PDF.len()).await;
        goes_on(&alice, &path, 0, &PDF[..40], &[]).await.expect_status(204);
        let lock = server.client().await;
        lock.batch_execute("BEGIN; LOCK TABLE files IN EXCLUSIVE MODE").await.unwrap();
        let last =
            tokio::time::timeout(Duration::from_millis(300), goes_on(&alice, &path, 40, &PDF[40..], &[]));
        assert!(last.await.is_err(), "it waits for the table");
        lock.batch_execute("ROLLBACK").await.unwrap();
        let received = "SELECT received FROM uploads ORDER BY created_at DESC LIMIT 1";
        assert_eq!(client.query_one(received, &[]).await.unwrap().get::<_, i64>(0), PDF.len() as i64);
        if by_head {
            assert_eq!(offset(&alice, &path).await, PDF.len());
        }
        let body = json!({"room": room, "attachments": [id_of(&path)]});
        let mut sent = alice.post(MESSAGES, body.clone()).await;
        for _ in 0..200 {
            if sent.status == 201 {
                break;
            }
            // The request that was dropped may be at it still.
            tokio::time::sleep(Duration::from_millis(10)).await;
            sent = alice.post(MESSAGES, body.clone()).await;
        }
        sent.expect_status(201);
    }
}

//! Exports: who may have what, what is in the archive, and that a changed byte is found without the server.

use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{ApiClient, host, host_at, new_user, new_user_at, text_of};
use crate::files::PNG;
use crate::server::{Server, start};

const EXPORTS: &str = "/api/chat/exports/";

async fn written(server: &Server, who: &ApiClient, body: Value) -> (Value, Vec<u8>) {
    let id = text_of(&who.post(EXPORTS, body).await.expect_status(202)["id"]);
    let path = format!("{EXPORTS}{id}/");
    who.get(&format!("{path}file/")).await.expect_status(404);
    assert!(server.writes_export().await);
    let shown = who.get(&path).await.expect_status(200);
    assert_eq!(shown["state"], "done", "{shown}");
    let file = who.get(&format!("{path}file/")).await;
    assert_eq!(
        (file.status, file.bytes.len()),
        (200, usize::try_from(shown["size"].as_u64().unwrap()).unwrap())
    );
    (shown, file.bytes)
}

/// The entries whose names contain `part`, as text.
fn entries(archive: &[u8], part: &str) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(archive);
    let found = archive.entries().expect("a tar file").map(|entry| {
        let mut entry = entry.expect("an entry");
        let (name, mut bytes) = (entry.path().expect("a name").display().to_string(), Vec::new());
        entry.read_to_end(&mut bytes).expect("its content");
        (name, String::from_utf8_lossy(&bytes).into_owned())
    });
    let found: Vec<_> = found.filter(|(name, _)| name.contains(part)).collect();
    found
}

fn verifies(folder: &Path, archive: &[u8], key: &str) -> Result<String, String> {
    let (file, pem) = (folder.join("export.tar"), folder.join("key.pem"));
    std::fs::write(&file, archive).expect("written");
    std::fs::write(&pem, key).expect("written");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/verify_export.py");
    let run = Command::new("python3").arg(script).arg(&file).arg(&pem).output().expect("python3");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if run.status.success() { Ok(text(run.stdout)) } else { Err(text(run.stderr)) }
}

#[tokio::test]
async fn an_archive_has_the_room_as_it_stood_and_no_byte_of_it_changes_unnoticed() {
    let server = start(&[]).await;
    let host = host_at(&server);
    let (ana, ben) = (new_user_at(&server, "ana").await, new_user_at(&server, "ben").await);
    let (room, other) = (ana.creates_group(&[&ben]).await, ana.creates_group(&[]).await);
    let edited = ana.says(&room, "at nine").await;
    let (fields, files) = ([("room", room.as_str()), ("content", "see")], [("attachment", "a.png", PNG)]);
    ben.post_form("/api/chat/messages/", &fields, &files).await.expect_status(201);
    let then = chrono::Utc::now();
    let message = format!("/api/chat/messages/{}/", text_of(&edited["id"]));
    ana.patch(&message, json!({"content": "at ten"})).await.expect_status(200);
    ana.says(&room, "later").await;
    ana.says(&other, "elsewhere").await;

    let (shown, archive) = written(&server, &host, json!({"room": room, "at": then})).await;
    let said = entries(&archive, "/messages-");
    assert_eq!(said.len(), 1);
    assert!(said[0].1.contains("at nine") && !said[0].1.contains("at ten"), "{said:?}");
    let all = entries(&archive, "");
    assert!(!all.iter().any(|(_, text)| text.contains("later") || text.contains("elsewhere")), "{all:?}");
    assert_eq!(entries(&archive, "/files/").len(), 1);
    assert_eq!(entries(&archive, "/participants-")[0].1.lines().count(), 2);

    let (folder, key) = (tempfile::tempdir().expect("a folder"), text_of(&shown["public_key"]));
    let verified = verifies(folder.path(), &archive, &key).expect("as it was written");
    assert!(verified.contains(&room), "{verified}");
    let place = |text: &[u8]| archive.windows(text.len()).position(|window| window == text).expect("there");
    for at in [place(b"at nine"), place(b"aristay-chat-export-1"), place(b"\"previous\""), place(b"IHDR")] {
        let mut changed = archive.clone();
        changed[at] ^= 1;
        let wrong = verifies(folder.path(), &changed, &key).expect_err("found");
        assert!(wrong.contains("not as it was written"), "{wrong}");
    }
    let another = start(&[]).await;
    let (other, _) = written(&another, &host_at(&another), json!({"all": true})).await;
    assert!(verifies(folder.path(), &archive, &text_of(&other["public_key"])).is_err());
}

#[tokio::test]
async fn users_export_what_they_wrote_and_nothing_else() {
    let server = start(&[]).await;
    let host = host_at(&server);
    let (ana, ben) = (new_user_at(&server, "ana").await, new_user_at(&server, "ben").await);
    let room = ana.creates_group(&[&ben]).await;
    ana.says(&room, "my words").await;
    ben.says(&room, "his words").await;
    let (shown, archive) = written(&server, &ana, json!({"user": ana.id})).await;
    let all = entries(&archive, "");
    let has = |text: &str| all.iter().any(|(_, content)| content.contains(text));
    assert!(has("my words") && has("ana") && !has("his words"), "{all:?}");
    let path = format!("{EXPORTS}{}/", text_of(&shown["id"]));
    for path in [path.clone(), format!("{path}file/")] {
        ben.get(&path).await.expect_status(404);
    }
    host.get(&path).await.expect_status(200);
    for body in [json!({"user": ben.id}), json!({"room": room}), json!({"all": true})] {
        ana.post(EXPORTS, body).await.expect_status(403);
    }
    let (_, archive) = written(&server, &host, json!({"all": true})).await;
    let all = entries(&archive, "");
    let has = |text: &str| all.iter().any(|(_, content)| content.contains(text));
    assert!(has("my words") && has("his words") && has("export_requested"));
    let audit = host.get("/api/chat/audit/?kind=export_read").await.expect_status(200);
    assert_eq!(audit["results"].as_array().expect("entries").len(), 2);
}

#[tokio::test]
async fn an_archive_expires_and_an_attempt_that_was_left_is_made_again() {
    let server = start(&[]).await;
    let host = host_at(&server);
    let id = text_of(&host.post(EXPORTS, json!({"all": true})).await.expect_status(202)["id"]);
    let client = server.client().await;
    // A node has begun and died.
    let dead = "UPDATE exports SET state = 'running', owner = gen_random_uuid(), attempts = 1,
        owned_until = clock_timestamp() - interval '1 second'";
    client.batch_execute(dead).await.expect("updated");
    assert!(server.writes_export().await);
    assert!(!server.writes_export().await, "there is no other");
    let path = format!("{EXPORTS}{id}/");
    assert_eq!(host.get(&path).await.expect_status(200)["state"], "done");
    client
        .batch_execute("UPDATE exports SET finished_at = now() - interval '8 days'")
        .await
        .expect("updated");
    server.expires_exports().await;
    assert_eq!(host.get(&path).await.expect_status(200)["state"], "expired");
    host.get(&format!("{path}file/")).await.expect_status(404);
    host.post(EXPORTS, json!({"all": true})).await.expect_status(202);
    client.batch_execute("UPDATE exports SET attempts = 3 WHERE state = 'waiting'").await.expect("updated");
    assert!(!server.writes_export().await, "three attempts are enough");
}

#[tokio::test]
async fn wrong_exports_are_refused() {
    let (host, ana) = (host().await, new_user("ana").await);
    for (body, field) in [
        (json!({}), "room"),
        (json!({"all": false}), "room"),
        (json!({"all": true, "user": ana.id}), "room"),
        (json!({"room": "x"}), "room"),
        (json!({"room": Uuid::new_v4()}), "room"),
        (json!({"user": 987_654_321_987_i64}), "user"),
        (json!({"all": true, "at": "then"}), "at"),
    ] {
        host.post(EXPORTS, body).await.expect_field_errors(&[field]);
    }
    for path in [format!("{EXPORTS}x/"), format!("{EXPORTS}{}/", Uuid::new_v4())] {
        host.get(&path).await.expect_status(404);
        host.get(&format!("{path}file/")).await.expect_status(404);
    }
}

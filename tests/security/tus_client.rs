//! Uploads by tuspy, the client of tus's own authors: what it begins, breaks off and goes on with arrives whole.
//!
//! It is installed from PyPI into a virtual environment under the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::node::Node;

const TUSPY: &str = "tuspy==1.1.0";

/// Uploads a file in chunks, of which the first ones come from another uploader, and prints the address.
const SCRIPT: &str = r#"
import sys
from tusclient.client import TusClient

url, token, path = sys.argv[1:]
client = TusClient(url, headers={"Authorization": f"Bearer {token}"})
first = client.uploader(path, chunk_size=100_000, metadata={"filename": "Übergabe.pdf"}, upload_checksum=True)
first.upload(stop_at=300_000)
assert first.offset == 300_000, first.offset
second = client.uploader(path, chunk_size=700_000, url=first.url, upload_checksum=True)
assert second.offset == 300_000, second.offset
second.upload()
third = client.uploader(path, url=first.url)
assert third.offset == third.get_file_size(), third.offset
print(first.url)
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tuspy_uploads_what_a_message_then_carries() {
    let server = Node::start(&[("RATE_LIMITS", "off")]).await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.pdf");
    let mut bytes = b"%PDF-1.4\n".to_vec();
    bytes.extend((0..1_500_000).map(|at| (at % 253) as u8));
    std::fs::write(&path, &bytes).unwrap();
    let python = installed(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let (url, token) = (format!("http://{}/api/chat/uploads/", server.address), ana.token.clone());
    let ran = tokio::task::spawn_blocking(move || {
        Command::new(python).args(["-c", SCRIPT, &url, &token]).arg(path).output().expect("python starts")
    });
    let output = ran.await.expect("a run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let id = printed.trim().trim_end_matches('/').rsplit('/').next().unwrap();
    let body = json!({"room": room, "attachments": [id]});
    let (status, text) = ana.requests(Method::POST, "messages/", Some(body)).await;
    let sent: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status.as_u16(), &sent["attachment_name"]), (201, &json!("Übergabe.pdf")), "{sent}");
    let given = reqwest::get(sent["attachment"].as_str().unwrap()).await.unwrap();
    assert!(given.bytes().await.unwrap() == bytes, "the bytes that were sent");
}

/// The path of Python with tuspy, which is installed on the first run.
fn installed(folder: &Path) -> PathBuf {
    let venv = folder.join("tuspy");
    let python = venv.join("bin/python");
    let is_there = Command::new(&python).args(["-c", "import tusclient"]).status();
    if !is_there.is_ok_and(|status| status.success()) {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).status();
        assert!(made.expect("python3").success(), "apt-get install python3-venv");
        let pip = Command::new(venv.join("bin/pip")).args(["install", "--quiet", TUSPY]).status();
        assert!(pip.expect("pip").success(), "a Python package index must be within reach");
    }
    python
}

//! Requests that a machine makes up from the OpenAPI document, good and bad, and its checks of the answers:
//! no server error, only the statuses, headers and shapes that the document names, bad data refused.
//!
//! Schemathesis comes from PyPI, into a virtual environment under the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Method;
use serde_json::json;

use crate::node::Node;
use crate::people::token;

const SCHEMATHESIS: &str = "schemathesis==4.32.5";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_that_a_machine_makes_up_is_answered_against_the_document() {
    let server = Node::start(&[("RATE_LIMITS", "off")]).await;
    let (ana, ben) = (server.person("ana").await, server.person("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    ana.posts_message(&room, "something to find").await;
    ben.asks(Method::PUT, "tasks/1/room/", Some(json!({"title": "Boiler"}))).await;
    let program = installed(Path::new(env!("CARGO_TARGET_TMPDIR")));
    for (who, token) in [("a person", ana.token.clone()), ("the host", token(json!({"scope": "service"})))] {
        let program = program.clone();
        let address = server.address;
        let ran = tokio::task::spawn_blocking(move || {
            Command::new(program)
                .arg("--config-file")
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/security/schemathesis.toml"))
                .args(["run", &format!("http://{address}/api/openapi.json"), "--checks", "all"])
                .args([
                    "--phases",
                    "examples,coverage,fuzzing,stateful",
                    "--max-examples",
                    "15",
                    "--no-color",
                ])
                .args(["--header", &format!("Authorization: Bearer {token}")])
                .current_dir(env!("CARGO_TARGET_TMPDIR"))
                .output()
                .expect("schemathesis starts")
        });
        let output = ran.await.expect("a run");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "as {who}: {told}{}", String::from_utf8_lossy(&output.stderr));
        println!("as {who}: {}", told.lines().rev().take(12).collect::<Vec<_>>().join("\n"));
    }
}

/// The program, installed on the first run.
fn installed(folder: &Path) -> PathBuf {
    let venv = folder.join("schemathesis");
    let program = venv.join("bin/schemathesis");
    if !program.exists() {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).status();
        assert!(made.expect("python3").success(), "apt-get install python3-venv");
        let pip = Command::new(venv.join("bin/pip")).args(["install", "--quiet", SCHEMATHESIS]).status();
        assert!(pip.expect("pip").success(), "a Python package index must be within reach");
    }
    program
}

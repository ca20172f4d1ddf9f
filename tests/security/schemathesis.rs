//! Requests generated from the OpenAPI document, valid and invalid, and checks of the responses: no server
//! errors, only documented statuses, headers and shapes, and invalid data is rejected.
//!
//! Schemathesis is installed from PyPI into a virtual environment under the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Method;
use serde_json::json;

use crate::node::Node;
use crate::users::token;

const SCHEMATHESIS: &str = "schemathesis==4.32.5";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_generated_request_is_answered_against_the_openapi_document() {
    let server = Node::start(&[("RATE_LIMITS", "off")]).await;
    let (ana, ben) = (server.user("ana").await, server.user("ben").await);
    let room = ana.makes_group(&[&ben]).await;
    ana.posts_message(&room, "something to find").await;
    ben.requests(Method::PUT, "tasks/1/room/", Some(json!({"title": "Boiler"}))).await;
    let program = installed(Path::new(env!("CARGO_TARGET_TMPDIR")));
    for (who, token) in [("a person", ana.token.clone()), ("the host", token(json!({"scope": "service"})))] {
        let program = program.clone();
        let address = server.address;
        let ran = tokio::task::spawn_blocking(move || {
            Command::new(program)
                .arg("--config-file")
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/security/schemathesis.toml"))
                .args(["run", &format!("http://{address}/api/openapi.json")])
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
        let report = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "as {who}: {report}{}", String::from_utf8_lossy(&output.stderr));
        println!("as {who}: {}", report.lines().rev().take(12).collect::<Vec<_>>().join("\n"));
    }
}

/// The path of Schemathesis, which is installed on the first run.
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

//! Golden frames: one file for every frame in both directions, which clients' tests may read too.
//!
//! `tests/fixtures/frames/server` holds what the server sends, `client` what it understands. After a
//! change that is meant, `WRITE_FRAMES=1 cargo test --test frames` writes the server's anew.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

mod client;
mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/frames").join(name)
}

/// The frames of a folder by their files' names without the ending.
fn golden(name: &str) -> BTreeMap<String, String> {
    let files = std::fs::read_dir(folder(name)).expect("a folder of frames");
    files
        .map(|file| {
            let path = file.expect("a file").path();
            let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (stem, std::fs::read_to_string(&path).expect("a text"))
        })
        .collect()
}

#[test]
fn every_file_is_an_object_with_the_type_that_its_name_begins_with() {
    for side in ["server", "client"] {
        for (name, text) in golden(side) {
            let frame: Value = serde_json::from_str(&text).expect("JSON");
            let kind = frame["type"].as_str().expect("a type");
            assert!(name == kind || name.starts_with(&format!("{kind}.")), "{side}/{name}: {kind}");
        }
    }
}

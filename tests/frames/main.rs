//! Golden frames: a file for every frame in both directions, which the tests of clients may read as well.
//!
//! `tests/fixtures/frames/server` contains what the server sends, `client` what it accepts. After an intended
//! change `WRITE_FRAMES=1 cargo test --test frames` rewrites those of the server.

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
mod personal;
mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/frames").join(name)
}

/// The frames in a folder by their file names without the extension.
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
fn every_golden_file_has_the_type_in_its_name() {
    for side in ["server", "client"] {
        for (name, text) in golden(side) {
            let frame: Value = serde_json::from_str(&text).expect("JSON");
            let kind = frame["type"].as_str().expect("a type");
            assert!(name == kind || name.starts_with(&format!("{kind}.")), "{side}/{name}: {kind}");
        }
    }
}

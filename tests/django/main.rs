//! The package for Django (`deploy/django/`) in a project with SimpleJWT, which embeds the chat by the samples of
//! `docs/EMBEDDING.md`: its own tests in Python, with a real server and with nginx in front.
//!
//! Django and what else is needed are installed from PyPI into a virtual environment under the target folder.

use std::path::Path;
use std::process::Command;

/// The longest that all tests with one version of Django may take, in seconds.
const TIMEOUT: &str = "170";

/// The tests that need no server.
const WITHOUT_ENGINE: &[&str] = &[
    "cases.test_checks",
    "cases.test_sender",
    "cases.test_tags",
    "cases.test_tokens",
    "cases.test_tracking",
    "cases.test_webhooks",
];

fn run(django: &str, cases: &[&str]) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/django");
    let installed = Command::new(tests.join("install"))
        .args([env!("CARGO_TARGET_TMPDIR"), django])
        .output()
        .expect("tests/django/install starts");
    let said = String::from_utf8_lossy(&installed.stderr);
    assert!(installed.status.success(), "a Python package index must be within reach: {said}");
    let folder = String::from_utf8(installed.stdout).expect("a path");
    let ran = Command::new("timeout")
        .args(["--kill-after=10", TIMEOUT])
        .arg(Path::new(folder.trim()).join("bin/python"))
        .args(["-W", "error::DeprecationWarning:aristay_chat", "manage.py", "test", "--noinput"])
        .args(cases)
        .current_dir(&tests)
        .env("CHAT_BIN", std::env::var("CHAT_BIN").unwrap_or(env!("CARGO_BIN_EXE_aristay-chat").into()))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("timeout, of Debian's coreutils");
    let report = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "Django {django}: {report}{}", String::from_utf8_lossy(&ran.stdout));
}

#[test]
fn the_package_keeps_the_chat_as_django_has_it() {
    run("5.2", &["cases"]);
}

#[test]
fn the_package_works_with_the_oldest_django() {
    run("4.2", WITHOUT_ENGINE);
}

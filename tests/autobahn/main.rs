//! WebSocket conformance: the Autobahn cases against the real handshake and framing code.
//!
//! The cases come from `kosoku` on PyPI, which runs them without Python 2; it is installed into a
//! virtual environment under the target folder. They want an echo of text and binary up to 16 MiB in
//! thousands of fragments, so the [`echo`] server sits on the same decoder with wider [`FrameLimits`].
//!
//! Groups 12 and 13 are left out: they test compression, which the server doesn't offer.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

mod echo;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde::Deserialize;

const KOSOKU: &str = "kosoku==0.1.0";
/// The whole run takes some 15 s with an unoptimised build.
const RUN_MAX: Duration = Duration::from_secs(300);

/// A case's outcome, as the suite's `index.json` has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    behavior: String,
    behavior_close: String,
}

#[test]
fn no_autobahn_case_fails() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("autobahn");
    let kosoku = installed_kosoku(&folder);
    let server = echo::Server::start();
    let reports = folder.join("reports");
    let _ = std::fs::remove_dir_all(&reports);
    let mut suite = Command::new(kosoku)
        .args(["-x", "12.*", "-x", "13.*", "-p", "4", "-o"])
        .arg(&reports)
        .arg(format!("ws://{}", server.address()))
        .stdout(Stdio::null())
        .spawn()
        .expect("kosoku starts");
    let started = Instant::now();
    while suite.try_wait().expect("kosoku can be waited for").is_none() {
        if started.elapsed() > RUN_MAX {
            let _ = suite.kill();
            panic!("the suite took over {RUN_MAX:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }

    let index = std::fs::read(reports.join("index.json")).expect("kosoku wrote its report");
    let agents: BTreeMap<String, BTreeMap<String, Outcome>> =
        serde_json::from_slice(&index).expect("the report has Autobahn's form");
    let outcomes: Vec<_> = agents.values().flatten().collect();
    let bad: Vec<_> = outcomes
        .iter()
        .filter(|(_, outcome)| !is_good(&outcome.behavior) || !is_good(&outcome.behavior_close))
        .collect();
    assert!(bad.is_empty(), "{} of {} cases failed: {bad:#?}", bad.len(), outcomes.len());
    assert!(outcomes.len() >= 300, "only {} cases ran", outcomes.len());
    let strict = outcomes.iter().filter(|(_, outcome)| outcome.behavior == "OK").count();
    println!("{} cases, {strict} strictly ok, 0 failed", outcomes.len());
}

/// `INFORMATIONAL` is where the standard leaves the behaviour open; `NON-STRICT` isn't let pass.
fn is_good(outcome: &str) -> bool {
    matches!(outcome, "OK" | "INFORMATIONAL")
}

/// The suite's program, installed on the first run.
fn installed_kosoku(folder: &Path) -> PathBuf {
    let venv = folder.join("venv");
    let kosoku = venv.join("bin/kosoku");
    if !kosoku.exists() {
        run(
            Command::new("python3").args(["-m", "venv"]).arg(&venv),
            "make a virtual environment; install python3 and python3-venv",
        );
        run(
            Command::new(venv.join("bin/pip")).args(["install", "--quiet", KOSOKU]),
            "install kosoku; a Python package index must be within reach",
        );
    }
    kosoku
}

fn run(command: &mut Command, what: &str) {
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("could not {what} ({status})"),
        Err(error) => panic!("could not {what} ({error})"),
    }
}

//! Random users in a room, on the real server: after every step each client's folded state equals a fresh load,
//! and the unread counts equal a recount.
//!
//! `PROPTEST_CASES` sets how many scenarios are tried; a failing one is reported in its shortest form.

#![allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::wrong_self_convention,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking, speak the domain and share their support"
)]

mod fold;
mod lists;
#[path = "../support/node.rs"]
mod node;
#[path = "../support/rabbitmq.rs"]
mod rabbitmq;
mod scenario;
#[path = "../support/socket.rs"]
mod socket;
#[path = "../support/users.rs"]
mod users;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use scenario::{Scenario, steps};

/// Scenarios of a run, by default; each has up to 25 steps.
const CASES: u32 = 8;

#[test]
fn folding_what_one_hears_equals_a_fresh_load() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let server = runtime.block_on(node::Node::start(&[("RATE_LIMITS", "off")]));
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = Config {
        cases: asked.unwrap_or(CASES),
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        let result = runtime.block_on(async {
            let mut scenario = Scenario::start(&server).await;
            for (number, step) in steps.iter().enumerate() {
                scenario.apply(*step).await;
                scenario
                    .is_consistent()
                    .await
                    .map_err(|why| format!("after step {number}, {step:?}: {why}"))?;
            }
            Ok::<(), String>(())
        });
        result.map_err(TestCaseError::fail)
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

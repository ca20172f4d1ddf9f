//! One line of JSON a run, and a table of a set.

use serde_json::{Map, Value};

use crate::scenarios::{self, Scenario};
use crate::values::Values;

/// What a row of the table shows, in this order, where the run has it.
const COLUMNS: [(&str, &str); 9] = [
    ("deliveries_per_server_cpu_s", "deliveries per server CPU-s"),
    ("connects_per_server_cpu_s", "connects per server CPU-s"),
    ("sends_per_s", "sends/s"),
    ("postgres_us_per_send", "PostgreSQL µs/send"),
    ("echo_p50_ms", "echo p50 ms"),
    ("echo_p99_ms", "echo p99 ms"),
    ("all_synced_s", "all synced s"),
    ("range_reads", "range reads"),
    ("bytes_per_socket", "bytes per socket"),
];
/// What must be zero in every run.
const ZEROS: [&str; 4] = ["lost", "doubled", "refused", "unanswered"];

type Figures = Map<String, Value>;

/// Runs one scenario and prints its line; whether nothing was lost, doubled or refused.
pub(crate) fn one(scenario: Scenario, values: &Values) -> anyhow::Result<bool> {
    let figures = scenarios::run(&scenario, values)?;
    println!("{}", Value::Object(figures.clone()));
    Ok(is_clean(&figures))
}

/// Runs a set, prints the lines and then a table.
pub(crate) fn set(set: &[(Scenario, Values)], values: &Values) -> anyhow::Result<bool> {
    let mut rows = Vec::new();
    for (scenario, own) in set {
        let figures = scenarios::run(scenario, &own.with(values))?;
        println!("{}", Value::Object(figures.clone()));
        rows.push(figures);
    }
    println!();
    for figures in &rows {
        println!("{}", row(figures));
    }
    Ok(rows.iter().all(is_clean))
}

fn is_clean(figures: &Figures) -> bool {
    let zero = |name: &&str| figures.get(*name).is_none_or(|value| value.as_u64() == Some(0));
    !figures.contains_key("failure") && ZEROS.iter().all(zero)
}

fn row(figures: &Figures) -> String {
    let name = |name: &str| figures.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut text = format!("{:<9}{:<5}", name("scenario"), name("kind"));
    if let Some(window) = figures.get("window") {
        text += &format!(" w{window}");
    }
    for (key, title) in COLUMNS {
        if let Some(value) = figures.get(key).and_then(Value::as_f64) {
            text += &if value >= 100.0 {
                format!("  {title} {value:.0}")
            } else {
                format!("  {title} {value:.2}")
            };
        }
    }
    text + if is_clean(figures) { "  nothing lost, doubled or refused" } else { "  FAILED: see its line" }
}

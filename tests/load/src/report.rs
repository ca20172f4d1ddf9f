//! Prints a line of JSON for each run, and a table for a set.

use serde_json::{Map, Value};

use crate::scenarios::{self, Scenario};
use crate::values::Values;

/// The columns of the table, for runs that have the value.
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

type Measurements = Map<String, Value>;

/// Runs a scenario and prints its line. Returns whether nothing was lost, duplicated or refused.
pub(crate) fn one(scenario: Scenario, values: &Values) -> anyhow::Result<bool> {
    let measurements = scenarios::run(&scenario, values)?;
    println!("{}", Value::Object(measurements.clone()));
    Ok(is_clean(&measurements))
}

/// Runs a set and prints the lines and a table.
pub(crate) fn set(set: &[(Scenario, Values)], values: &Values) -> anyhow::Result<bool> {
    let mut rows = Vec::new();
    for (scenario, own) in set {
        let measurements = scenarios::run(scenario, &own.with(values))?;
        println!("{}", Value::Object(measurements.clone()));
        rows.push(measurements);
    }
    println!();
    for measurements in &rows {
        println!("{}", row(measurements));
    }
    Ok(rows.iter().all(is_clean))
}

fn is_clean(measurements: &Measurements) -> bool {
    let zero = |name: &&str| measurements.get(*name).is_none_or(|value| value.as_u64() == Some(0));
    !measurements.contains_key("failure") && ZEROS.iter().all(zero)
}

fn row(measurements: &Measurements) -> String {
    let name = |name: &str| measurements.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut text = format!("{:<9}{:<5}", name("scenario"), name("kind"));
    if let Some(window) = measurements.get("window") {
        text += &format!(" w{window}");
    }
    for (key, title) in COLUMNS {
        if let Some(value) = measurements.get(key).and_then(Value::as_f64) {
            text += &if value >= 100.0 {
                format!("  {title} {value:.0}")
            } else {
                format!("  {title} {value:.2}")
            };
        }
    }
    text + if is_clean(measurements) {
        "  nothing lost, doubled or refused"
    } else {
        "  FAILED: see its line"
    }
}

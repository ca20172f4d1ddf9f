//! Tables of settings and limits for `docs/OPERATIONS.md`, generated from the flags and the constants.

use std::fmt::Write as _;

use actors::limits as engine;
use clap::{Arg, Args as _, Command};

use super::Config;
use crate::http::{body, params};
use crate::listener;

/// Headings in `--help` of the settings that are limits.
const LIMIT_HEADINGS: [&str; 2] = ["Rates (<per second>:<burst>)", "Limits"];

/// The settings that are not limits, as a table in Markdown.
#[must_use]
pub fn settings() -> String {
    table_of_settings(|arg| !is_limit(arg))
}

/// The settings that are limits, and the limits that can't be set, as two tables in Markdown.
#[must_use]
pub fn limits() -> String {
    let mut tables = table_of_settings(is_limit);
    tables.push_str("\n| fixed limit | value |\n|---|---|\n");
    for (what, value) in FIXED_LIMITS {
        // Writing to a `String` can't fail.
        let _written = writeln!(tables, "| {what} | {} |", readable(&value.to_string()));
    }
    tables
}

fn is_limit(arg: &Arg) -> bool {
    arg.get_help_heading().is_some_and(|heading| LIMIT_HEADINGS.contains(&heading))
}

fn table_of_settings(is_wanted: impl Fn(&Arg) -> bool) -> String {
    let command = Config::augment_args(Command::new("serve"));
    let rows = command.get_arguments().filter(|arg| arg.get_env().is_some() && is_wanted(arg)).map(row);
    let head = "| flag | variable | default | meaning |\n|---|---|---|---|\n";
    rows.fold(head.to_owned(), |table, row| table + &row + "\n")
}

fn row(arg: &Arg) -> String {
    let flag = arg.get_long().unwrap_or_default();
    let variable = arg.get_env().and_then(|name| name.to_str()).unwrap_or_default();
    let default: Vec<_> = arg.get_default_values().iter().filter_map(|value| value.to_str()).collect();
    let default = if default.is_empty() { "unset".to_owned() } else { readable(&default.join(",")) };
    let mut meaning = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('\n', " ");
    let values: Vec<_> =
        arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if !values.is_empty() {
        let _written = write!(meaning, " ({})", values.join(", "));
    }
    format!("| `--{flag}` | `{variable}` | {default} | {} |", meaning.replace('|', "\\|"))
}

const FIXED_LIMITS: [(&str, usize); 12] = [
    ("connections of a node; further ones wait to be accepted", listener::CONNECTIONS_MAX as usize),
    ("connections of one user; further ones count against their address", listener::USER_CONNECTIONS_MAX),
    ("bytes of a request head", listener::request_tracker::HEAD_BYTES_MAX),
    ("bytes by which a body must advance within `BODY_STALL_SECONDS`", body::PROGRESS_BYTES),
    ("bytes of a form besides its file", body::FORM_BYTES_MAX),
    ("events in one response", params::EVENTS_MAX),
    ("commands of a node that wait for the store", engine::QUEUED_COMMANDS_MAX),
    ("commands of one room that wait for the store", engine::ROOM_PENDING_MAX),
    ("unanswered commands of one socket", engine::SESSION_PENDING_MAX),
    ("commands in one transaction", engine::BATCH_COMMANDS_MAX),
    ("rooms that one user socket is subscribed to", engine::SUBSCRIPTIONS_MAX),
    ("bytes of recent events that a room keeps for reconnecting clients", engine::RING_BYTES_MAX),
];

/// Writes a number of bytes in its largest whole unit, and groups the digits of other numbers.
fn readable(value: &str) -> String {
    let Ok(number) = value.parse::<u64>() else { return value.to_owned() };
    for (unit, bytes) in [("MiB", 1_u64 << 20), ("KiB", 1 << 10)] {
        if number >= bytes && number.is_multiple_of(bytes) {
            return format!("{} {unit}", number / bytes);
        }
    }
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::{limits, readable, settings};

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md");

    /// Compares what the document has between the two marks of `name` with `tables`, or writes it there.
    fn check(name: &str, tables: &str) {
        let begin =
            format!("<!-- {name}: written by `WRITE_TABLES=1 cargo test --lib the_tables_of_settings` -->\n");
        let end = format!("<!-- end of {name} -->\n");
        let text = std::fs::read_to_string(FILE).expect("the document");
        let (before, rest) = text.split_once(&begin).expect("the beginning of the tables");
        let (written, after) = rest.split_once(&end).expect("the end of the tables");
        if std::env::var_os("WRITE_TABLES").is_some() {
            std::fs::write(FILE, format!("{before}{begin}{tables}{end}{after}"))
                .expect("a writable document");
        } else {
            assert!(written == tables, "the {name} in docs/OPERATIONS.md are stale: {begin}");
        }
    }

    #[test]
    fn the_tables_of_settings_are_fresh() {
        check("settings", &settings());
        check("limits", &limits());
    }

    #[test]
    fn every_setting_has_a_row_with_its_meaning() {
        let tables = settings() + &limits();
        let rows: Vec<&str> = tables.lines().filter(|line| line.starts_with("| `--")).collect();
        assert!(rows.len() > 50, "{} settings", rows.len());
        for row in rows {
            let cells: Vec<&str> = row.split(" | ").collect();
            assert_eq!(cells.len(), 4, "{row}");
            assert!(cells.iter().all(|cell| !cell.trim_matches(['|', ' ', '`']).is_empty()), "{row}");
        }
    }

    #[test]
    fn numbers_are_easy_to_read() {
        for (value, text) in
            [("1048576", "1 MiB"), ("8192", "8 KiB"), ("43200", "43,200"), ("10:100", "10:100")]
        {
            assert_eq!(readable(value), text);
        }
        assert_eq!((readable("75"), readable("1000")), ("75".to_owned(), "1,000".to_owned()));
    }
}

//! Every rate and bound with its default, for the documents: nothing is written there by hand.

use std::fmt::Write as _;

use actors::limits;
use clap::{Arg, Args as _, Command};

use super::Config;
use crate::doors;
use crate::http::{body, rooms};

/// The table in Markdown: settings first, then what is fixed.
#[must_use]
pub fn of_limits() -> String {
    let command = Config::augment_args(Command::new("serve"));
    let mut table = String::from("| setting | default | what it bounds |\n|---|---|---|\n");
    let headings = ["Rates (<per second>:<burst>)", "Limits"];
    let is_bound = |arg: &&Arg| arg.get_help_heading().is_some_and(|heading| headings.contains(&heading));
    for arg in command.get_arguments().filter(is_bound) {
        let name = arg.get_env().and_then(|name| name.to_str()).unwrap_or_default();
        let default: Vec<_> = arg.get_default_values().iter().filter_map(|value| value.to_str()).collect();
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let help = help.replace('\n', " ").replace('|', "\\|");
        // Writing to a text can't fail.
        let _written = writeln!(table, "| `{name}` | {} | {help} |", readable(&default.join(",")));
    }
    table.push_str("\n| fixed | value |\n|---|---|\n");
    for (what, value) in fixed() {
        let _written = writeln!(table, "| {what} | {} |", readable(&value.to_string()));
    }
    table
}

/// Bounds that nobody sets.
fn fixed() -> Vec<(&'static str, usize)> {
    vec![
        ("connections of a node; further ones wait to be accepted", doors::CONNECTIONS_MAX as usize),
        ("connections of one user; further ones count as their address's", doors::USER_CONNECTIONS_MAX),
        ("bytes of a request's head", doors::heads::HEAD_BYTES_MAX),
        ("bytes that a body must bring within `BODY_STALL_SECONDS`", body::PROGRESS_BYTES),
        ("bytes of a form besides its file", body::FORM_BYTES_MAX),
        ("events in one answer", rooms::EVENTS_MAX),
        ("commands that wait for the store on a node", limits::QUEUED_COMMANDS_MAX),
        ("commands of one room that wait for the store", limits::ROOM_PENDING_MAX),
        ("commands of one socket without an answer", limits::SESSION_PENDING_MAX),
        ("commands in one transaction", limits::BATCH_COMMANDS_MAX),
        ("rooms that one user socket is subscribed to", limits::SUBSCRIPTIONS_MAX),
        ("bytes that a room keeps for those who come back", limits::RING_BYTES_MAX),
    ]
}

/// A number of bytes in the unit that it was meant in, and other numbers with their thousands apart.
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
    use super::{of_limits, readable};

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md");
    const BEGIN: &str =
        "<!-- limits: written by `WRITE_TABLES=1 cargo test --lib the_table_of_limits_is_fresh` -->\n";
    const END: &str = "<!-- end of limits -->\n";

    #[test]
    fn the_table_of_limits_is_fresh() {
        let text = std::fs::read_to_string(FILE).expect("the document");
        let (before, rest) = text.split_once(BEGIN).expect("the table's beginning");
        let (written, after) = rest.split_once(END).expect("the table's end");
        let table = of_limits();
        if std::env::var_os("WRITE_TABLES").is_some() {
            std::fs::write(FILE, format!("{before}{BEGIN}{table}{END}{after}")).expect("a document to write");
        } else {
            assert!(written == table, "the table of limits in docs/OPERATIONS.md is stale: {BEGIN}");
        }
    }

    #[test]
    fn numbers_are_read_easily() {
        for (value, text) in
            [("1048576", "1 MiB"), ("8192", "8 KiB"), ("43200", "43,200"), ("10:100", "10:100")]
        {
            assert_eq!(readable(value), text);
        }
        assert_eq!((readable("75"), readable("1000")), ("75".to_owned(), "1,000".to_owned()));
    }
}

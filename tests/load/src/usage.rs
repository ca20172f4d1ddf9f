//! Processor time and memory of processes, from /proc.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Sub;

/// Clock ticks per second; the same on every Linux that Rust supports.
const TICKS: f64 = 100.0;

/// Processor time in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Of the server, user and system.
    pub(crate) server: f64,
    /// Of PostgreSQL.
    pub(crate) postgres: f64,
    /// Of this process.
    pub(crate) loader: f64,
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            server: self.server - before.server,
            postgres: self.postgres - before.postgres,
            loader: self.loader - before.loader,
        }
    }
}

/// Processor time of a process, optionally including its ended children.
pub(crate) fn cpu(pid: u32, with_children: bool) -> f64 {
    let Some(fields) = stat(pid) else { return 0.0 };
    let ticks = |range: std::ops::Range<usize>| -> f64 {
        fields[range].iter().filter_map(|field| field.parse::<f64>().ok()).sum()
    };
    ticks(11..if with_children { 15 } else { 13 }) / TICKS
}

/// Processor time of a process and all of its descendants.
pub(crate) fn cpu_of_tree(root: u32) -> f64 {
    tree(root).into_iter().map(|pid| cpu(pid, pid == root)).sum()
}

/// A process and all of its descendants.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(parent) = stat(pid).and_then(|fields| fields[1].parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut at = 0;
    while let Some(pid) = found.get(at) {
        found.extend(children.get(pid).into_iter().flatten());
        at += 1;
    }
    found
}

/// The fields behind the name, from the state on.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
}

/// Resident memory in bytes.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024
}

//! Keeps the postmaster of a private cluster running, from a thread of its own.
//!
//! A thread and not a task: it must outlive the runtime that asked for the cluster, and it waits for
//! processes. It starts the postmaster, adopts one that a killed server left behind, starts it again
//! when it dies, and stops it when told to. Another process on the same cluster is a guest: it only
//! looks on, and takes over when the owner is gone.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{PrivateError, cluster::Cluster};

/// How often the thread looks at a postmaster that runs.
const LOOK: Duration = Duration::from_millis(100);
/// How long it waits before it tries a start again: children of a killed postmaster must end first.
const RETRY: Duration = Duration::from_millis(100);
/// How long a stop that lets transactions end may take, and one that doesn't, in seconds: together they are
/// what a server keeps of its own time to stop. The latter loses nothing either, the next start replays the
/// log.
const FAST_SECONDS: u64 = 5;
const IMMEDIATE_SECONDS: u64 = 2;
/// How long [`stop`] may take.
pub(super) const STOPS_WITHIN: Duration = Duration::from_secs(FAST_SECONDS + IMMEDIATE_SECONDS);

/// Settings that a configuration file can't weaken: the command line goes before it. Errors are
/// logged without the statement and the row, for those hold people's texts.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "port=5432",
    "unix_socket_permissions=0700",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "max_connections=200",
    "timezone=UTC",
    "log_timezone=UTC",
    "logging_collector=off",
    "log_destination=stderr",
    "log_min_messages=warning",
    "log_min_error_statement=panic",
    "log_error_verbosity=terse",
    "log_checkpoints=off",
    "cluster_name=aristay-chat",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Up,
    Down,
    Stopped,
    LeftRunning,
}

#[derive(Debug)]
struct State {
    wanted: Wanted,
    pid: Option<u32>,
    failure: Option<String>,
}

/// The thread that looks after one postmaster.
#[derive(Debug)]
pub(super) struct Postmaster {
    shared: Arc<(Mutex<State>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Postmaster {
    pub(super) fn look_after(cluster: Cluster) -> Result<Self, PrivateError> {
        let state = State { wanted: Wanted::Up, pid: None, failure: None };
        let shared = Arc::new((Mutex::new(state), Condvar::new()));
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("private-postgres".into())
            .spawn(move || supervise(&cluster, &theirs))
            .map_err(PrivateError::io("start a thread for", "postgres"))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.state().pid
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    pub(super) fn keep_down(&self) {
        self.want(Wanted::Down);
    }

    pub(super) fn bring_up(&self) {
        self.want(Wanted::Up);
    }

    /// Stops the postmaster when it is this process', and waits for the end of the thread.
    pub(super) fn stop(mut self) {
        self.want(Wanted::Stopped);
        self.join();
    }

    fn want(&self, wanted: Wanted) {
        self.state().wanted = wanted;
        self.shared.1.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().expect("the thread doesn't panic while it holds the state")
    }

    fn join(&mut self) {
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that looked after postgres had panicked");
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.want(Wanted::LeftRunning);
            self.join();
        }
    }
}

fn supervise(cluster: &Cluster, shared: &(Mutex<State>, Condvar)) {
    let mut ownership = None;
    let mut child: Option<Child> = None;
    loop {
        if ownership.is_none() {
            ownership = cluster.try_own().unwrap_or_else(|error| {
                tracing::error!(%error, "private postgres");
                None
            });
        }
        let mut failure = None;
        if let Some(Ok(Some(status))) = child.as_mut().map(Child::try_wait) {
            child = None;
            failure = Some(format!("postgres ended with {status}: {}", last_lines(&cluster.log())));
        }
        let mut pid = child.as_ref().map(Child::id).or_else(|| running(&cluster.data()));
        let wanted = lock(shared).wanted;
        match (wanted, pid) {
            (Wanted::LeftRunning, _) => return,
            (Wanted::Stopped, Some(_)) if ownership.is_some() => {
                stop(cluster);
                if let Some(mut child) = child.take() {
                    let _reaped = child.wait();
                }
                return;
            }
            (Wanted::Stopped, _) => return,
            (Wanted::Down, Some(postmaster)) => signal(postmaster, "KILL"),
            (Wanted::Up, None) if ownership.is_some() => match spawn(cluster) {
                Ok(started) => {
                    tracing::info!(pid = started.id(), "private postgres started");
                    pid = Some(started.id());
                    child = Some(started);
                }
                Err(error) => failure = Some(error.to_string()),
            },
            _ => {}
        }
        let mut state = lock(shared);
        state.pid = pid;
        let pause = if failure.is_some() { RETRY } else { LOOK };
        if let Some(failure) = failure {
            tracing::warn!(%failure, "private postgres is away");
            state.failure = Some(failure);
        }
        if state.wanted == wanted {
            drop(shared.1.wait_timeout(state, pause));
        }
    }
}

fn lock(shared: &(Mutex<State>, Condvar)) -> MutexGuard<'_, State> {
    shared.0.lock().expect("no holder of the state panics")
}

fn spawn(cluster: &Cluster) -> Result<Child, PrivateError> {
    remove_stale_locks(cluster)?;
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(cluster.log())
        .map_err(PrivateError::io("open", cluster.log()))?;
    let mut command = cluster.binaries.command("postgres");
    command.arg("-D").arg(cluster.data()).arg("-k").arg(&cluster.sockets);
    for setting in SETTINGS {
        command.arg("-c").arg(setting);
    }
    command
        .stderr(Stdio::from(log))
        .spawn()
        .map_err(PrivateError::io("run", cluster.binaries.path("postgres")))
}

fn stop(cluster: &Cluster) {
    let stop = |mode: &str, seconds: u64| {
        cluster
            .binaries
            .command("pg_ctl")
            .args([
                "stop",
                "--wait",
                "--silent",
                "--timeout",
                &seconds.to_string(),
                "--mode",
                mode,
                "--pgdata",
            ])
            .arg(cluster.data())
            .status()
            .is_ok_and(|status| status.success())
    };
    if !stop("fast", FAST_SECONDS)
        && running(&cluster.data()).is_some()
        && !stop("immediate", IMMEDIATE_SECONDS)
        && let Some(pid) = running(&cluster.data())
    {
        tracing::error!(pid, "private postgres doesn't stop, and is killed");
        signal(pid, "KILL");
    }
}

/// Gives the postmaster that runs in `data`, whoever started it. The pid in its file may have gone
/// to another process since, so that process must also live in `data`, as a postmaster does.
fn running(data: &Path) -> Option<u32> {
    let pid = pid_in(&data.join("postmaster.pid"))?;
    lives_in(pid, data).then_some(pid)
}

fn pid_in(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.lines().next()?.trim().parse().ok()
}

fn lives_in(pid: u32, data: &Path) -> bool {
    let is_dead = fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')));
    !is_dead && fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data)
}

/// Removes the lock files of a dead postmaster whose pid is still taken, by a process elsewhere or by
/// its own unburied body: PostgreSQL would take that for a live one for ever. As long as any process
/// lives in the cluster nothing is touched, for it may be a child that still writes there.
fn remove_stale_locks(cluster: &Cluster) -> Result<(), PrivateError> {
    let data = cluster.data();
    if any_lives_in(&data) {
        return Ok(());
    }
    for file in [data.join("postmaster.pid"), cluster.sockets.join(".s.PGSQL.5432.lock")] {
        let is_taken = pid_in(&file).is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists());
        if is_taken {
            fs::remove_file(&file).map_err(PrivateError::io("remove", file))?;
        }
    }
    Ok(())
}

fn any_lives_in(data: &Path) -> bool {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .any(|pid| lives_in(pid, data))
}

pub(super) fn signal(pid: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", "kill -\"$1\" \"$2\"", "sh", name, &pid.to_string()]).output();
    if !sent.is_ok_and(|sent| sent.status.success()) {
        tracing::debug!(pid, name, "nobody to signal");
    }
}

/// The end of the log, for a person who has to find out why it won't start.
fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(2000)..]).into_owned();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

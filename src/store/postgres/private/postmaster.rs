//! Supervises the postmaster of a private cluster from a thread of its own.
//!
//! It is a thread rather than a task because it outlives the runtime that asked for the cluster and waits for
//! processes. It starts the postmaster, adopts one that a killed server left behind, restarts one that dies, and
//! stops it on request. A second process on the same cluster only observes, and takes over when the owner dies.

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

/// How often the thread checks a running postmaster.
const POLL_EVERY: Duration = Duration::from_millis(100);
/// The pause before another start: children of a killed postmaster must end first.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// How long a fast shutdown may take, in seconds, and then an immediate one, which loses nothing either because the
/// next start replays the log. A server reserves their sum when it stops.
const FAST_SECONDS: u64 = 5;
const IMMEDIATE_SECONDS: u64 = 2;
/// How long [`Postmaster::stop`] may take.
pub(super) const STOP_WITHIN: Duration = Duration::from_secs(FAST_SECONDS + IMMEDIATE_SECONDS);

/// Settings on the command line, which override a configuration file. Errors are logged without statement and row,
/// because those contain users' texts.
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
enum DesiredState {
    Up,
    Down,
    Stopped,
    LeftRunning,
}

#[derive(Debug)]
struct PostmasterState {
    desired: DesiredState,
    pid: Option<u32>,
    failure: Option<String>,
}

/// The thread that supervises one postmaster.
#[derive(Debug)]
pub(super) struct Postmaster {
    shared: Arc<(Mutex<PostmasterState>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Postmaster {
    pub(super) fn start(cluster: Cluster) -> Result<Self, PrivateError> {
        let state = PostmasterState { desired: DesiredState::Up, pid: None, failure: None };
        let shared = Arc::new((Mutex::new(state), Condvar::new()));
        let shared_with_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("private-postgres".into())
            .spawn(move || supervise(&cluster, &shared_with_thread))
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
        self.set_desired(DesiredState::Down);
    }

    pub(super) fn bring_up(&self) {
        self.set_desired(DesiredState::Up);
    }

    /// Stops the postmaster if this process owns it, and waits for the thread to end.
    pub(super) fn stop(mut self) {
        self.set_desired(DesiredState::Stopped);
        self.join();
    }

    fn set_desired(&self, desired: DesiredState) {
        self.state().desired = desired;
        self.shared.1.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, PostmasterState> {
        self.shared.0.lock().expect("the thread doesn't panic while it holds the lock")
    }

    fn join(&mut self) {
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that supervised postgres had panicked");
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.set_desired(DesiredState::LeftRunning);
            self.join();
        }
    }
}

fn supervise(cluster: &Cluster, shared: &(Mutex<PostmasterState>, Condvar)) {
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
        let desired = lock(shared).desired;
        match (desired, pid) {
            (DesiredState::LeftRunning, _) => return,
            (DesiredState::Stopped, Some(_)) if ownership.is_some() => {
                stop(cluster);
                if let Some(mut child) = child.take() {
                    let _reaped = child.wait();
                }
                return;
            }
            (DesiredState::Stopped, _) => return,
            (DesiredState::Down, Some(postmaster)) => signal(postmaster, "KILL"),
            (DesiredState::Up, None) if ownership.is_some() => match spawn(cluster) {
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
        let pause = if failure.is_some() { RETRY_AFTER } else { POLL_EVERY };
        if let Some(failure) = failure {
            tracing::warn!(%failure, "private postgres is down");
            state.failure = Some(failure);
        }
        if state.desired == desired {
            drop(shared.1.wait_timeout(state, pause));
        }
    }
}

fn lock(shared: &(Mutex<PostmasterState>, Condvar)) -> MutexGuard<'_, PostmasterState> {
    shared.0.lock().expect("no holder of the lock panics")
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
        tracing::error!(pid, "private postgres doesn't stop and is killed");
        signal(pid, "KILL");
    }
}

/// The postmaster running in `data`, whoever started it. The pid in its file may have been reused, so the process
/// must also have `data` as its working directory, as a postmaster does.
fn running(data: &Path) -> Option<u32> {
    let pid = pid_in(&data.join("postmaster.pid"))?;
    runs_in(pid, data).then_some(pid)
}

fn pid_in(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.lines().next()?.trim().parse().ok()
}

fn runs_in(pid: u32, data: &Path) -> bool {
    let is_dead = fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')));
    !is_dead && fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data)
}

/// Removes the lock files of a dead postmaster whose pid is in use, by another process or by its own zombie:
/// PostgreSQL would take that for a live postmaster for ever. Does nothing while any process runs in the cluster,
/// because it may be a child that still writes.
fn remove_stale_locks(cluster: &Cluster) -> Result<(), PrivateError> {
    let data = cluster.data();
    if any_runs_in(&data) {
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

fn any_runs_in(data: &Path) -> bool {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .any(|pid| runs_in(pid, data))
}

pub(super) fn signal(pid: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", "kill -\"$1\" \"$2\"", "sh", name, &pid.to_string()]).output();
    if !sent.is_ok_and(|sent| sent.status.success()) {
        tracing::debug!(pid, name, "nobody to signal");
    }
}

/// The end of the log, which tells an operator why it doesn't start.
fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(2000)..]).into_owned();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

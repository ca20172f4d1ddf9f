//! Finds PostgreSQL's programs and the account to run them as.

use std::{
    env, fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::PrivateError;

/// Where Debian installs the programs of each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The folder of `initdb`, `postgres` and `pg_ctl`, and the account to run them as.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    folder: PathBuf,
    /// The `postgres` account if this process is root, as which PostgreSQL refuses to run.
    pub(super) account: Option<OsAccount>,
}

/// A user and a group of the operating system.
#[derive(Debug, Clone, Copy)]
pub(super) struct OsAccount {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Binaries {
    /// Finds the newest version, or the version `major`.
    pub(super) fn find(major: Option<&str>) -> Result<Self, PrivateError> {
        let path = env::var_os("PATH").unwrap_or_default();
        Self::find_in(Path::new(DEBIAN), &env::split_paths(&path).collect::<Vec<_>>(), major)
    }

    pub(super) fn find_in(
        debian: &Path,
        path: &[PathBuf],
        major: Option<&str>,
    ) -> Result<Self, PrivateError> {
        let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(debian)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let version = entry.file_name().to_str()?.parse().ok()?;
                Some((version, entry.path().join("bin")))
            })
            .collect();
        versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        let folder = versions
            .into_iter()
            .map(|(_, folder)| folder)
            .chain(path.iter().cloned())
            .filter(|folder| ["initdb", "postgres", "pg_ctl"].iter().all(|name| folder.join(name).is_file()))
            .find(|folder| major.is_none_or(|major| version_of(folder).as_deref() == Some(major)))
            .ok_or_else(|| match major {
                None => PrivateError::NoBinaries { package: "postgresql".into() },
                Some(major) => PrivateError::NoBinaries { package: format!("postgresql-{major}") },
            })?;
        Ok(Self { folder, account: account()? })
    }

    /// A command that runs `program` as the account, in `/` and without this process's environment, so that a stray
    /// `PGDATA` or `PGOPTIONS` has no effect.
    pub(super) fn command(&self, program: &str) -> Command {
        as_account(&self.folder.join(program), self.account)
    }

    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }
}

/// A command that runs as `account`, detached from this process's terminal.
pub(super) fn as_account(program: &Path, account: Option<OsAccount>) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir("/")
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A Ctrl-C in the terminal must reach only the server, which stops its database last.
        .process_group(0);
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

fn version_of(folder: &Path) -> Option<String> {
    let output =
        as_account(&folder.join("postgres"), None).arg("--version").stdout(Stdio::piped()).output().ok()?;
    // "postgres (PostgreSQL) 15.19 (Debian ...)"
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.split_whitespace().nth(2)?;
    version.split('.').next().map(str::to_owned)
}

fn account() -> Result<Option<OsAccount>, PrivateError> {
    let own = fs::metadata("/proc/self").map_err(PrivateError::io("look at", "/proc/self"))?.uid();
    if own != 0 {
        return Ok(None);
    }
    let id = |flag| {
        let output = Command::new("id").args([flag, "postgres"]).stderr(Stdio::null()).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    match (id("-u"), id("-g")) {
        (Some(uid), Some(gid)) => Ok(Some(OsAccount { uid, gid })),
        _ => Err(PrivateError::NoAccount),
    }
}

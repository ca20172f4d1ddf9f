//! The server's own PostgreSQL cluster, for when no database is configured.
//!
//! `app` starts it before the store and stops it after everything else; tests use
//! [`PrivatePostgres::temporary`] and [`PrivatePostgres::shared`]. It listens on no port, only on a Unix socket
//! in a folder that only its account can enter. All settings that make commits durable are on.

mod binaries;
mod cluster;
mod postmaster;
mod temporary;

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio_postgres::{Config, NoTls, error::SqlState};

use self::{cluster::Cluster, postmaster::Postmaster, temporary::CleanupGuard};

/// How long a cluster may be without a postmaster before the start fails.
const DOWN_MAX: Duration = Duration::from_secs(15);
/// How long a postmaster may recover before the start fails.
const RECOVERY_MAX: Duration = Duration::from_secs(120);
/// How often a start checks whether the postmaster answers.
const POLL_EVERY: Duration = Duration::from_millis(10);
/// The server's database and the role that owns it.
const NAME: &str = "chat";

/// Why there is no private PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// PostgreSQL isn't installed.
    #[error(
        "no PostgreSQL on this machine: install the Debian package `{package}`, or set DATABASE_URL to one that runs"
    )]
    NoBinaries {
        /// The package that holds them.
        package: String,
    },
    /// This process runs as root, as which PostgreSQL refuses to run, and there is no other account.
    #[error(
        "there is no account `postgres` to run PostgreSQL as; the Debian package `postgresql-common` makes it"
    )]
    NoAccount,
    /// An operation on a file or folder failed.
    #[error("can't {what} {path:?}: {source}")]
    Io {
        /// The operation.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The folder belongs to another account.
    #[error("{folder:?} belongs to another account")]
    NotOwned {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder that held the data is gone.
    #[error(
        "{pointer:?} says that the data is in {place:?}, and there is none; bring it back, or remove the file to start anew"
    )]
    Lost {
        /// The file that names the folder.
        pointer: PathBuf,
        /// The missing folder.
        place: PathBuf,
    },
    /// `initdb` failed.
    #[error("initdb failed: {0}")]
    Initdb(String),
    /// PostgreSQL doesn't start.
    #[error("postgres doesn't start: {0}")]
    NotStarting(String),
    /// PostgreSQL is running and rejects a statement.
    #[error("private postgres: {0}")]
    Refused(#[from] tokio_postgres::Error),
}

impl PrivateError {
    fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

/// A running private PostgreSQL cluster. Dropping it leaves the postmaster running, to be adopted by the next start,
/// unless the cluster is temporary.
#[derive(Debug)]
pub struct PrivatePostgres {
    cluster: Cluster,
    postmaster: Postmaster,
    /// The last field, so that the thread has ended when a temporary cluster is removed.
    _cleanup: Option<CleanupGuard>,
}

impl PrivatePostgres {
    /// Starts the cluster of `data_dir`, or adopts the one running there, and waits until it answers.
    ///
    /// The first call creates the cluster. A postmaster that dies is started again.
    ///
    /// # Errors
    /// [`PrivateError`]; nothing is left running then.
    pub async fn start(data_dir: &Path) -> Result<Self, PrivateError> {
        let data_dir = data_dir.to_owned();
        let cluster = run_blocking(move || Cluster::open(&data_dir)).await??;
        Self::run(cluster, None).await
    }

    async fn run(cluster: Cluster, guard: Option<CleanupGuard>) -> Result<Self, PrivateError> {
        let postmaster = Postmaster::start(cluster.clone())?;
        let started = Self { cluster, postmaster, _cleanup: guard };
        if let Err(error) = started.make_ready().await {
            started.stop().await;
            return Err(error);
        }
        Ok(started)
    }

    /// The address of the server's database.
    #[must_use]
    pub fn config(&self) -> Config {
        self.config_of(NAME)
    }

    /// The same address as a URL, for other programs.
    #[must_use]
    pub fn url(&self) -> String {
        let folder = self.cluster.sockets.to_string_lossy();
        let escaped: String = folder
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect();
        format!("postgres://{NAME}@{escaped}/{NAME}")
    }

    /// The process id of the postmaster; `None` while it is down.
    #[must_use]
    pub fn postmaster_pid(&self) -> Option<u32> {
        self.postmaster.pid()
    }

    /// The folder of the cluster.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.cluster.root
    }

    /// Waits until the database answers, after an outage.
    ///
    /// # Errors
    /// [`PrivateError::NotStarting`] when it doesn't recover.
    pub async fn ready(&self) -> Result<(), PrivateError> {
        self.connect("postgres").await.map(drop)
    }

    /// How long [`Self::stop`] may take.
    pub const STOP_WITHIN: Duration = postmaster::STOP_WITHIN;

    /// Stops the postmaster: a fast shutdown, then after 5 s an immediate one, which loses nothing either. A cluster
    /// that another process owns is left alone.
    pub async fn stop(self) {
        let Self { postmaster, _cleanup, .. } = self;
        if run_blocking(move || postmaster.stop()).await.is_err() {
            tracing::error!("private postgres was not stopped");
        }
    }

    /// Kills the postmaster and keeps it down until [`Self::bring_up`], for tests of an outage.
    pub fn keep_down(&self) {
        self.postmaster.keep_down();
    }

    /// Ends what [`Self::keep_down`] began; [`Self::ready`] waits until the database answers.
    pub fn bring_up(&self) {
        self.postmaster.bring_up();
    }

    /// Creates a database with a random name, as a copy of `template` or empty, and returns its address.
    ///
    /// # Errors
    /// [`PrivateError::Refused`], for example while someone is connected to `template`.
    pub async fn fresh_database(&self, template: Option<&str>) -> Result<Config, PrivateError> {
        let name = format!("fresh_{}", uuid::Uuid::new_v4().simple());
        self.create_database(&name, template.unwrap_or("template0")).await?;
        Ok(self.config_of(&name))
    }

    /// Creates the database `name` as a copy of `template`, unless it exists.
    ///
    /// # Errors
    /// [`PrivateError::Refused`].
    pub async fn create_database(&self, name: &str, template: &str) -> Result<Config, PrivateError> {
        let client = self.connect("postgres").await?;
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let statement = format!("CREATE DATABASE {} TEMPLATE {}", quoted(name), quoted(template));
        match client.batch_execute(&statement).await {
            Err(error)
                if ![Some(&SqlState::DUPLICATE_DATABASE), Some(&SqlState::UNIQUE_VIOLATION)]
                    .contains(&error.code()) =>
            {
                Err(error.into())
            }
            _ => Ok(self.config_of(name)),
        }
    }

    async fn make_ready(&self) -> Result<(), PrivateError> {
        let client = self.connect("postgres").await?;
        let found = client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&NAME]).await?;
        if found.is_none() {
            self.create_database(NAME, "template0").await?;
        }
        Ok(())
    }

    fn config_of(&self, database: &str) -> Config {
        let mut config = Config::new();
        config.host_path(&self.cluster.sockets).user(NAME).dbname(database);
        config
    }

    /// Connects, waiting while a postmaster is running or has been down only for some seconds.
    async fn connect(&self, database: &str) -> Result<tokio_postgres::Client, PrivateError> {
        let config = self.config_of(database);
        let began = Instant::now();
        let mut last_alive = began;
        loop {
            match config.connect(NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return Ok(client);
                }
                // It answers, so waiting won't help, unless it is starting or stopping (CANNOT_CONNECT_NOW).
                Err(error) if error.code().is_some_and(|code| *code != SqlState::CANNOT_CONNECT_NOW) => {
                    return Err(error.into());
                }
                Err(_) => {}
            }
            if self.postmaster_pid().is_some() {
                last_alive = Instant::now();
            }
            if last_alive.elapsed() > DOWN_MAX || began.elapsed() > RECOVERY_MAX {
                let failure = self.postmaster.failure();
                return Err(PrivateError::NotStarting(failure.unwrap_or_else(|| "it doesn't answer".into())));
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, PrivateError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| PrivateError::io("wait for", "postgres")(io::Error::other(error)))
}

#[cfg(test)]
mod tests;

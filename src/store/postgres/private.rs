//! A PostgreSQL of the server's own, for when it is given none.
//!
//! `app` starts it before the store and stops it after everything else; tests take theirs from
//! [`PrivatePostgres::temporary`] and [`PrivatePostgres::shared`]. It listens on a Unix socket in a
//! folder that only its account can enter, and on no port. All settings that make a commit durable
//! are on.

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

use self::{cluster::Cluster, postmaster::Postmaster, temporary::Guard};

/// How long a cluster may have no living postmaster before the start is given up.
const AWAY_MAX: Duration = Duration::from_secs(15);
/// How long a living postmaster may recover before the start is given up.
const RECOVERY_MAX: Duration = Duration::from_secs(120);
/// How often a start looks whether the postmaster answers.
const LOOK: Duration = Duration::from_millis(10);
/// The database of the server, and the role that owns it.
const NAME: &str = "chat";

/// Why there is no private PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// The programs are not on this machine.
    #[error(
        "no PostgreSQL on this machine: install the Debian package `{package}`, or set DATABASE_URL to one that runs"
    )]
    NoBinaries {
        /// The package that holds them.
        package: String,
    },
    /// This process is root, and PostgreSQL refuses to be.
    #[error(
        "there is no account `postgres` to run PostgreSQL as; the Debian package `postgresql-common` makes it"
    )]
    NoAccount,
    /// A file or folder can't be used.
    #[error("can't {what} {path:?}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Someone else made the folder.
    #[error("{folder:?} belongs to another account")]
    NotOurs {
        /// The folder.
        folder: PathBuf,
    },
    /// The rooms were kept somewhere that is gone.
    #[error(
        "{note:?} says that the data is in {place:?}, and there is none; bring it back, or remove the file to start anew"
    )]
    Lost {
        /// The file that names the place.
        note: PathBuf,
        /// The place.
        place: PathBuf,
    },
    /// The cluster can't be made.
    #[error("initdb failed: {0}")]
    Initdb(String),
    /// It doesn't come up.
    #[error("postgres doesn't start: {0}")]
    NotStarting(String),
    /// It is up and refuses what is asked.
    #[error("private postgres: {0}")]
    Refused(#[from] tokio_postgres::Error),
}

impl PrivateError {
    fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

/// A running private PostgreSQL. Dropping it leaves the postmaster running for the next start to
/// adopt, unless it is a temporary one.
#[derive(Debug)]
pub struct PrivatePostgres {
    cluster: Cluster,
    postmaster: Postmaster,
    /// Last, so that the thread is gone when a temporary cluster is removed.
    _guard: Option<Guard>,
}

impl PrivatePostgres {
    /// Starts the cluster of `data_dir`, or adopts the one that runs there, and waits until it answers.
    ///
    /// Makes the cluster at the first call. While it lives, a postmaster that dies is started again.
    ///
    /// # Errors
    /// [`PrivateError`]; nothing of what was started is left running.
    pub async fn start(data_dir: &Path) -> Result<Self, PrivateError> {
        let data_dir = data_dir.to_owned();
        let cluster = blocking(move || Cluster::open(&data_dir)).await??;
        Self::run(cluster, None).await
    }

    async fn run(cluster: Cluster, guard: Option<Guard>) -> Result<Self, PrivateError> {
        let postmaster = Postmaster::look_after(cluster.clone())?;
        let started = Self { cluster, postmaster, _guard: guard };
        if let Err(error) = started.make_ready().await {
            started.stop().await;
            return Err(error);
        }
        Ok(started)
    }

    /// How to connect to the server's database.
    #[must_use]
    pub fn config(&self) -> Config {
        self.config_of(NAME)
    }

    /// The same as a URL, for other programs.
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

    /// The process id of the postmaster; `None` while it is away.
    #[must_use]
    pub fn postmaster_pid(&self) -> Option<u32> {
        self.postmaster.pid()
    }

    /// The folder that holds the cluster.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.cluster.root
    }

    /// Waits until the database answers, after an outage.
    ///
    /// # Errors
    /// [`PrivateError::NotStarting`] when it doesn't come back.
    pub async fn ready(&self) -> Result<(), PrivateError> {
        self.connect("postgres").await.map(drop)
    }

    /// How long [`Self::stop`] may take.
    pub const STOPS_WITHIN: Duration = postmaster::STOPS_WITHIN;

    /// Stops the postmaster, letting it finish what is under way and cutting off who is connected;
    /// after 5 s at once, which loses nothing either. One that another process owns is left alone.
    pub async fn stop(self) {
        let Self { postmaster, _guard, .. } = self;
        if blocking(move || postmaster.stop()).await.is_err() {
            tracing::error!("private postgres was not stopped");
        }
    }

    /// Kills the postmaster and keeps it away until [`Self::bring_up`], for tests of an outage.
    pub fn keep_down(&self) {
        self.postmaster.keep_down();
    }

    /// Ends what [`Self::keep_down`] began; [`Self::ready`] waits for the end of it.
    pub fn bring_up(&self) {
        self.postmaster.bring_up();
    }

    /// Makes a database of a random name, as a copy of `template` or empty, and tells how to connect.
    ///
    /// # Errors
    /// [`PrivateError::Refused`], for one when someone is connected to `template`.
    pub async fn fresh_database(&self, template: Option<&str>) -> Result<Config, PrivateError> {
        let name = format!("fresh_{}", uuid::Uuid::new_v4().simple());
        self.create_database(&name, template.unwrap_or("template0")).await?;
        Ok(self.config_of(&name))
    }

    /// Makes the database `name` as a copy of `template`; one that is there already is left as it is.
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

    /// Connects, waiting as long as a postmaster is there or has been away only for some seconds.
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
                // It answers, so waiting won't help; CANNOT_CONNECT_NOW is one that starts or stops.
                Err(error) if error.code().is_some_and(|code| *code != SqlState::CANNOT_CONNECT_NOW) => {
                    return Err(error.into());
                }
                Err(_) => {}
            }
            if self.postmaster_pid().is_some() {
                last_alive = Instant::now();
            }
            if last_alive.elapsed() > AWAY_MAX || began.elapsed() > RECOVERY_MAX {
                let failure = self.postmaster.failure();
                return Err(PrivateError::NotStarting(failure.unwrap_or_else(|| "it doesn't answer".into())));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, PrivateError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| PrivateError::io("wait for", "postgres")(io::Error::other(error)))
}

#[cfg(test)]
mod tests;

//! The folder of a private cluster: where it is, who owns it, and how it is created.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Stdio,
};

use sha2::{Digest, Sha256};

use super::{
    PrivateError,
    binaries::{Binaries, OsAccount, as_account},
};

/// The folder of clusters whose `DATA_DIR` the account can't access.
const FALLBACK_FOLDER: &str = "/var/lib/aristay-chat";
/// The longest path of a Unix socket that the kernel allows, including its terminating zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;
const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// A cluster, running or not.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    pub(super) binaries: Binaries,
    pub(super) root: PathBuf,
    pub(super) sockets: PathBuf,
}

impl Cluster {
    /// Opens the cluster of `data_dir`, creating it at the first call.
    pub(super) fn open(data_dir: &Path) -> Result<Self, PrivateError> {
        fs::create_dir_all(data_dir).map_err(PrivateError::io("make", data_dir))?;
        let data_dir = data_dir.canonicalize().map_err(PrivateError::io("find", data_dir))?;
        let pointer = data_dir.join("postgres");
        let (root, binaries) = match fs::read_to_string(&pointer) {
            Ok(place) => {
                let root = data_dir.join(place.trim());
                let Ok(major) = fs::read_to_string(root.join("data/PG_VERSION")) else {
                    return Err(PrivateError::Lost { pointer, place: root });
                };
                (root, Binaries::find(Some(major.trim()))?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let binaries = Binaries::find(None)?;
                (choose_root(&data_dir, binaries.account)?, binaries)
            }
            Err(error) => return Err(PrivateError::io("read", &pointer)(error)),
        };
        let cluster = Self::at(root, binaries)?;
        // A path within `data_dir` is stored relative to it, so that the whole folder can be moved.
        let place = cluster.root.strip_prefix(&data_dir).unwrap_or(&cluster.root);
        write_pointer(&pointer, place).map_err(PrivateError::io("write", &pointer))?;
        Ok(cluster)
    }

    /// Opens the cluster in the folder `root`, creating it if there is none.
    pub(super) fn at(root: PathBuf, binaries: Binaries) -> Result<Self, PrivateError> {
        own_folder(&root, binaries.account)?;
        let sockets = match root.join("run") {
            near if near.join(SOCKET_NAME).as_os_str().len() < SOCKET_PATH_BYTES_MAX => near,
            _ => PathBuf::from(format!("/tmp/aristay-chat-{}", fingerprint(&root))),
        };
        own_folder(&sockets, binaries.account)?;
        let cluster = Self { binaries, root, sockets };
        // Two servers starting at once must not both create the cluster.
        let making = cluster.open_lock("making")?;
        making.lock().map_err(PrivateError::io("lock", &cluster.root))?;
        if !cluster.data().join("PG_VERSION").exists() {
            cluster.make()?;
        }
        Ok(cluster)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    /// Takes ownership of the cluster, which allows to start and stop the postmaster. The kernel releases it when the
    /// owner dies for any reason.
    pub(super) fn try_own(&self) -> Result<Option<File>, PrivateError> {
        let file = self.open_lock("owner")?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(PrivateError::io("lock", &self.root)(error)),
        }
    }

    fn open_lock(&self, name: &str) -> Result<File, PrivateError> {
        let path = self.root.join(format!("{name}.lock"));
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(PrivateError::io("open", &path))
    }

    /// Creates the cluster under another name and renames it when complete, so that a partial one is never used.
    fn make(&self) -> Result<(), PrivateError> {
        let fresh = self.root.join("data.new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh).map_err(PrivateError::io("remove", &fresh))?;
        }
        let output = self
            .binaries
            .command("initdb")
            .arg("--pgdata")
            .arg(&fresh)
            .args(["--username=chat", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"])
            .args(["--auth-local=trust", "--auth-host=reject", "--no-instructions"])
            .stderr(Stdio::piped())
            .output()
            .map_err(PrivateError::io("run", self.binaries.path("initdb")))?;
        if !output.status.success() {
            return Err(PrivateError::Initdb(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        fs::rename(&fresh, self.data()).map_err(PrivateError::io("move", &fresh))?;
        File::open(&self.root).and_then(|root| root.sync_all()).map_err(PrivateError::io("sync", &self.root))
    }
}

/// Chooses `data_dir/cluster` or, if the account can't access that, a folder with a name derived from `data_dir`.
fn choose_root(data_dir: &Path, account: Option<OsAccount>) -> Result<PathBuf, PrivateError> {
    let near = data_dir.join("cluster");
    let existed = near.exists();
    own_folder(&near, account)?;
    if can_write(&near, account) {
        return Ok(near);
    }
    if !existed {
        fs::remove_dir(&near).map_err(PrivateError::io("remove", &near))?;
    }
    fs::create_dir_all(FALLBACK_FOLDER).map_err(PrivateError::io("make", FALLBACK_FOLDER))?;
    Ok(Path::new(FALLBACK_FOLDER).join(fingerprint(data_dir)))
}

/// Creates `folder` for the account alone. An existing one must belong to the account, because in a shared folder
/// such as `/tmp` anyone could have created it.
fn own_folder(folder: &Path, account: Option<OsAccount>) -> Result<(), PrivateError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {
            if let Some(account) = account {
                chown(folder, Some(account.uid), Some(account.gid))
                    .map_err(PrivateError::io("give away", folder))?;
            }
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(PrivateError::io("make", folder)(error)),
    }
    let found = fs::symlink_metadata(folder).map_err(PrivateError::io("look at", folder))?;
    let own = match account {
        Some(account) => account.uid,
        None => fs::metadata("/proc/self").map_err(PrivateError::io("look at", "/proc/self"))?.uid(),
    };
    if !found.is_dir() || found.uid() != own {
        return Err(PrivateError::NotOwned { folder: folder.to_owned() });
    }
    if found.mode() & 0o777 != 0o700 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
            .map_err(PrivateError::io("close", folder))?;
    }
    Ok(())
}

/// Whether the account can write to `folder`. It asks the kernel, because mode bits alone don't decide.
fn can_write(folder: &Path, account: Option<OsAccount>) -> bool {
    as_account(Path::new("test"), account).arg("-w").arg(folder).status().is_ok_and(|status| status.success())
}

fn write_pointer(pointer: &Path, place: &Path) -> io::Result<()> {
    if pointer.exists() {
        return Ok(());
    }
    let fresh = pointer.with_extension(format!("{}.new", std::process::id()));
    fs::write(&fresh, format!("{}\n", place.display()))?;
    fs::rename(fresh, pointer)
}

fn fingerprint(path: &Path) -> String {
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

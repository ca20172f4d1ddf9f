//! Clusters for tests, which end with the process that created them.

use std::{
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use tokio::sync::OnceCell;

use super::{
    PrivateError, PrivatePostgres,
    binaries::{Binaries, as_account},
    cluster::Cluster,
    run_blocking,
};

/// Waits for the end of its input, which ends with the process that holds it, and then stops and removes the cluster.
/// A stopped postmaster process is continued first.
const CLEAN_UP: &str = r#"
cat > /dev/null
pid=$(head -n 1 "$2/data/postmaster.pid" 2> /dev/null)
if [ -n "$pid" ]; then
    kill -CONT "$pid"
    "$1" stop --wait --silent --timeout 5 --mode immediate --pgdata "$2/data" || kill -KILL "$pid"
fi
rm -rf "$2"
"#;

/// A process that removes a temporary cluster when this process ends.
#[derive(Debug)]
pub(super) struct CleanupGuard(Child);

impl CleanupGuard {
    fn over(cluster: &Cluster) -> Result<Self, PrivateError> {
        as_account(Path::new("/bin/sh"), cluster.binaries.account)
            .args(["-c", CLEAN_UP, "sh"])
            .arg(cluster.binaries.path("pg_ctl"))
            .arg(&cluster.root)
            .stdin(Stdio::piped())
            .spawn()
            .map(Self)
            .map_err(PrivateError::io("run", "/bin/sh"))
    }
}

impl Drop for CleanupGuard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _reaped = self.0.wait();
    }
}

impl PrivatePostgres {
    /// Starts a new cluster under `/tmp`, for a test that damages it. It is removed on drop and when this process ends,
    /// even by `kill -9`.
    ///
    /// # Errors
    /// [`PrivateError`].
    pub async fn temporary() -> Result<Self, PrivateError> {
        let (cluster, guard) = run_blocking(|| {
            let root = PathBuf::from(format!("/tmp/aristay-chat-{}", uuid::Uuid::new_v4().simple()));
            let cluster = Cluster::at(root, Binaries::find(None)?)?;
            let guard = CleanupGuard::over(&cluster)?;
            Ok::<_, PrivateError>((cluster, guard))
        })
        .await??;
        Self::run(cluster, Some(guard)).await
    }

    /// The temporary cluster that all tests of this process share, started at the first call; use a
    /// [`PrivatePostgres::fresh_database`] of it.
    ///
    /// # Errors
    /// [`PrivateError`].
    pub async fn shared() -> Result<&'static Self, PrivateError> {
        static SHARED: OnceCell<PrivatePostgres> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::temporary).await
    }
}

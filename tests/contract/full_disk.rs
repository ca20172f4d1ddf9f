//! A full disk: nothing acknowledged is lost, writes are refused, and the store recovers by itself.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use actors::ports::store::{Store, StoreError};
use aristay_chat::store::postgres::private::PrivatePostgres;

use super::faults::{retry_until_ok, send, store_in};

/// A small file system in memory; mounting it requires root.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mounted(size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=755");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .status()
            .expect("mount");
        assert!(mounted.success(), "a tmpfs can't be mounted: these tests want root's rights");
        Self(folder)
    }

    /// Fills the file system.
    fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        while ballast.write_all(&[1; 4_096]).is_ok() {}
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.0.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

/// Kills the postmaster when the test ends in any way.
struct KillOnDrop(u32);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _gone = Command::new("kill")
            .args(["-KILL", &self.0.to_string()])
            .stderr(std::process::Stdio::null())
            .status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_loses_nothing_and_recovers_once_space_is_free() {
    let disk = SmallDisk::mounted("200m");
    let cluster = PrivatePostgres::start(disk.0.path()).await.unwrap();
    assert!(Path::new(cluster.place()).starts_with(disk.0.path()), "the cluster is on another disk");
    let _kill_on_drop = KillOnDrop(cluster.postmaster_pid().unwrap());
    let (postgres, room) = store_in(&cluster).await;
    let text = "x".repeat(4_000);
    disk.fill();
    let mut acked = 3;
    let refused = loop {
        match send(&postgres.store, room, &text).await {
            Ok(seq) => {
                acked += 1;
                assert_eq!(seq.0, acked);
                assert!(acked < 20_000, "the disk is never full");
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    std::fs::remove_file(disk.ballast()).unwrap();
    cluster.ready().await.unwrap();
    retry_until_ok(&postgres.store, room).await;
    let head = send(&postgres.store, room, "after").await.unwrap();
    let mut log = Vec::new();
    while log.len() < usize::try_from(head.0).unwrap() {
        let since = actors::domain::ids::Seq(i64::try_from(log.len()).unwrap());
        log.extend(postgres.store.events(room, since, 1_000).await.unwrap());
    }
    assert!(log.iter().enumerate().all(|(at, event)| event.seq.0 == at as i64 + 1));
    assert!(head.0 > acked, "an acked message is gone");
    cluster.stop().await;
}

//! Permissions of stored attachments: no other account of the machine may read them.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::node::Node;

const PDF: &[u8] = b"%PDF-1.4\n%%EOF\n";

/// The modes of all folders and of all files under `folder`, including the folder itself.
fn modes(folder: &Path) -> (BTreeSet<u32>, BTreeSet<u32>) {
    let mode = |path: &Path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    let (mut folders, mut files) = (BTreeSet::from([mode(folder)]), BTreeSet::new());
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            let (more_folders, more_files) = modes(&path);
            folders.extend(more_folders);
            files.extend(more_files);
        } else {
            files.insert(mode(&path));
        }
    }
    (folders, files)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attachments_are_accessible_to_the_servers_account_only() {
    let folder = tempfile::tempdir().unwrap();
    let server = Node::start(&[("DATA_DIR", folder.path().to_str().unwrap())]).await;
    let ana = server.user("ana").await;
    let room = ana.makes_group(&[]).await;
    let head = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"room\"\r\n\r\n{room}\r\n--edge\r\n\
         Content-Disposition: form-data; name=\"attachment\"; filename=\"a.pdf\"\r\n\r\n"
    );
    let sent = reqwest::Client::new()
        .post(format!("http://{}/api/chat/messages/", server.address))
        .bearer_auth(&ana.token)
        .header("content-type", "multipart/form-data; boundary=edge")
        .body([head.as_bytes(), PDF, b"\r\n--edge--\r\n"].concat())
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 201);
    assert_eq!(modes(&folder.path().join("files")), ([0o700].into(), [0o600].into()));
}

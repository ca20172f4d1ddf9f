//! An archive: a tar file whose entries are listed, with their hashes, in parts of a manifest, each of which begins with
//! the hash of the one before. `manifest.json` has the hash of the last part, and `manifest.sig` signs it.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{ExportError, ExportKey};
use crate::files::ExportFile;

/// Entries in a part of the manifest.
const ENTRIES_IN_PART: usize = 1_000;
/// The size of which everything in a tar file is a multiple.
const BLOCK: usize = 512;

/// An archive that is being written.
pub(super) struct Archive {
    file: ExportFile,
    digest: Sha256,
    size: u64,
    /// When it was begun, in seconds of Unix time.
    seconds: u64,
    /// The lines of the current part, and how many entries they list.
    part: String,
    listed: usize,
    /// How many parts there are, and the hash of the last one.
    parts: u32,
    last: String,
    entries: u64,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn storage_error(error: &impl ToString) -> ExportError {
    ExportError::Storage(error.to_string())
}

impl Archive {
    pub(super) fn new(file: ExportFile, seconds: u64) -> Self {
        Self {
            file,
            digest: Sha256::new(),
            size: 0,
            seconds,
            part: String::new(),
            listed: 0,
            parts: 0,
            last: hex(&[0; 32]),
            entries: 0,
        }
    }

    /// Adds an entry.
    pub(super) async fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.begin(name, size).await?;
        self.write(bytes).await?;
        self.end(name, size, &Sha256::digest(bytes)).await
    }

    /// Adds an entry of `size` bytes.
    pub(super) async fn add_stream<E: ToString>(
        &mut self,
        name: &str,
        size: u64,
        content: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<(), ExportError> {
        self.begin(name, size).await?;
        let (mut digest, mut written) = (Sha256::new(), 0);
        let mut content = std::pin::pin!(content);
        while let Some(bytes) = content.next().await {
            let bytes = bytes.map_err(|error| storage_error(&error))?;
            digest.update(&bytes);
            written += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.write(&bytes).await?;
        }
        if written != size {
            return Err(ExportError::Storage(format!("{name} has {written} bytes instead of {size}")));
        }
        self.end(name, size, &digest.finalize()).await
    }

    /// Adds the manifest and its signature, and stores the archive. Returns its size and its SHA-256.
    pub(super) async fn seal(
        mut self,
        key: &ExportKey,
        about: &Value,
    ) -> Result<(u64, Vec<u8>), ExportError> {
        self.end_part().await?;
        let manifest = json!({
            "format": "aristay-chat-export-1",
            "about": about,
            "entries": self.entries,
            "parts": self.parts,
            "last_part": self.last,
        });
        let manifest = manifest.to_string();
        self.add_unlisted("manifest.json", manifest.as_bytes()).await?;
        self.add_unlisted("manifest.sig", &key.sign(manifest.as_bytes())).await?;
        self.add_unlisted("public_key.pem", key.public_pem().as_bytes()).await?;
        // Two empty blocks end a tar file.
        self.write(&[0; 2 * BLOCK]).await?;
        self.file.store().await.map_err(|error| storage_error(&error))?;
        Ok((self.size, self.digest.finalize().to_vec()))
    }

    async fn begin(&mut self, name: &str, size: u64) -> Result<(), ExportError> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).map_err(|error| storage_error(&error))?;
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(self.seconds);
        header.set_cksum();
        self.write(header.as_bytes()).await
    }

    async fn end(&mut self, name: &str, size: u64, sha256: &[u8]) -> Result<(), ExportError> {
        self.pad(size).await?;
        self.part += &json!({"name": name, "size": size, "sha256": hex(sha256)}).to_string();
        self.part.push('\n');
        self.listed += 1;
        self.entries += 1;
        if self.listed == ENTRIES_IN_PART { self.end_part().await } else { Ok(()) }
    }

    async fn end_part(&mut self) -> Result<(), ExportError> {
        let part = format!("{}\n{}", json!({"previous": self.last}), self.part);
        self.parts += 1;
        self.add_unlisted(&format!("manifest/{:06}.jsonl", self.parts), part.as_bytes()).await?;
        self.last = hex(&Sha256::digest(part.as_bytes()));
        self.part.clear();
        self.listed = 0;
        Ok(())
    }

    async fn add_unlisted(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.begin(name, size).await?;
        self.write(bytes).await?;
        self.pad(size).await
    }

    async fn pad(&mut self, size: u64) -> Result<(), ExportError> {
        let rest = usize::try_from(size % BLOCK as u64).unwrap_or_default();
        self.write(&[0; BLOCK][..(BLOCK - rest) % BLOCK]).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.digest.update(bytes);
        self.size += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.file.write(bytes).await.map_err(|error| storage_error(&error))
    }
}

//! Archives of exports, which are stored as attachments are.

use uuid::Uuid;

use super::storage::UploadWriter;
use super::uploads::Uploads;

/// An archive that is being written. Dropping it removes it.
pub struct ExportFile(UploadWriter);

impl Uploads {
    /// Begins the archive of an export, which is invisible until it is stored. It takes the place of an earlier one.
    ///
    /// # Errors
    /// If the storage fails.
    pub async fn export(&self, id: Uuid) -> Result<ExportFile, object_store::Error> {
        self.storage().begin(id).await.map(ExportFile)
    }
}

impl ExportFile {
    /// Appends bytes.
    ///
    /// # Errors
    /// If the storage fails.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), object_store::Error> {
        self.0.write(bytes).await
    }

    /// Stores the archive.
    ///
    /// # Errors
    /// If the storage fails.
    pub async fn store(self) -> Result<(), object_store::Error> {
        self.0.finish().await?.commit().await
    }
}

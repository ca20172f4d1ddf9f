//! Recognizes documents in compound files ([MS-CFB]), the format of Office before 2007 and of encrypted
//! documents.
//!
//! Only the root directory is read, sector by sector: a document may embed others, whose streams have the
//! same names further down.

use super::{
    limits::{DIRECTORY_BYTES_MAX, OLE_READS_MAX},
    office::{DetectedContent, u16_at, u32_at},
    storage::StagedFile,
};
use crate::files::format::FileFormat;

const HEADER_BYTES: u64 = 512;
const ENTRY_BYTES: usize = 128;
/// Number of table sectors that the header names; the others form a chain.
const TABLE_SECTORS_IN_HEADER: usize = 109;
/// Numbers from here on are not sectors.
const NO_SECTOR: u32 = 0xffff_fffa;
const NO_ENTRY: u32 = 0xffff_ffff;

/// Determines the content of a compound file; `None` if it can't be read or may not be attached.
///
/// # Errors
/// If the storage fails.
pub(super) async fn content(
    file: &StagedFile,
    size: u64,
) -> Result<Option<DetectedContent>, object_store::Error> {
    let header = file.read(0..HEADER_BYTES.min(size)).await?;
    let Some(mut container) = Container::of(file, size, &header) else { return Ok(None) };
    let directory = container.directory().await?;
    let names = root_names(&directory);
    let has = |name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    Ok(if has("EncryptedPackage") && has("EncryptionInfo") {
        Some(DetectedContent::Encrypted)
    } else if has("WordDocument") {
        Some(DetectedContent::Is(FileFormat::Doc))
    } else if has("Workbook") || has("Book") {
        Some(DetectedContent::Is(FileFormat::Xls))
    } else {
        None
    })
}

struct Container<'a> {
    file: &'a StagedFile,
    size: u64,
    header: &'a [u8],
    sector_bytes: u64,
    reads_left: usize,
    /// The table sector that was read last, which mostly contains the next number as well.
    table: Option<(u32, Vec<u8>)>,
}

impl<'a> Container<'a> {
    fn of(file: &'a StagedFile, size: u64, header: &'a [u8]) -> Option<Self> {
        let shift = u16_at(header, 30)?;
        let is_whole = header.len() as u64 == HEADER_BYTES;
        (is_whole && (9..=12).contains(&shift)).then(|| Self {
            file,
            size,
            header,
            sector_bytes: 1 << shift,
            reads_left: OLE_READS_MAX,
            table: None,
        })
    }

    /// Reads a sector; the last one of a file may be shorter. `None` past the end, or after too many reads.
    async fn sector(&mut self, number: u32) -> Result<Option<Vec<u8>>, object_store::Error> {
        let start = (u64::from(number) + 1) * self.sector_bytes;
        if number >= NO_SECTOR || start >= self.size || self.reads_left == 0 {
            return Ok(None);
        }
        self.reads_left -= 1;
        let bytes = self.file.read(start..(start + self.sector_bytes).min(self.size)).await?;
        Ok(Some(bytes.to_vec()))
    }

    /// Reads the directory, as far as it is readable and within its limit.
    async fn directory(&mut self) -> Result<Vec<u8>, object_store::Error> {
        let mut directory = Vec::new();
        let mut next = u32_at(self.header, 48);
        while let Some(number) = next {
            let Some(sector) = self.sector(number).await? else { break };
            directory.extend_from_slice(&sector);
            if directory.len() as u64 >= DIRECTORY_BYTES_MAX {
                break;
            }
            next = self.after(number).await?;
        }
        Ok(directory)
    }

    /// The sector that follows `number` in its chain.
    async fn after(&mut self, number: u32) -> Result<Option<u32>, object_store::Error> {
        let numbers_each = (self.sector_bytes / 4) as usize;
        let (index, place) = (number as usize / numbers_each, number as usize % numbers_each);
        let Some(at) = self.table_sector(index, numbers_each).await? else { return Ok(None) };
        if self.table.as_ref().is_none_or(|(known, _)| *known != at) {
            let Some(sector) = self.sector(at).await? else { return Ok(None) };
            self.table = Some((at, sector));
        }
        Ok(self.table.as_ref().and_then(|(_, table)| u32_at(table, place * 4)))
    }

    /// The location of the table sector with this index.
    async fn table_sector(
        &mut self,
        index: usize,
        numbers_each: usize,
    ) -> Result<Option<u32>, object_store::Error> {
        let Some(mut further) = index.checked_sub(TABLE_SECTORS_IN_HEADER) else {
            return Ok(u32_at(self.header, 76 + index * 4));
        };
        let mut next = u32_at(self.header, 68);
        while let Some(number) = next {
            let Some(sector) = self.sector(number).await? else { break };
            if further < numbers_each - 1 {
                return Ok(u32_at(&sector, further * 4));
            }
            further -= numbers_each - 1;
            next = u32_at(&sector, (numbers_each - 1) * 4);
        }
        Ok(None)
    }
}

/// The names in the root storage, which is the directory's first entry.
fn root_names(directory: &[u8]) -> Vec<String> {
    let entry = |index: u32| {
        let start = usize::try_from(index).ok()?.checked_mul(ENTRY_BYTES)?;
        directory.get(start..start.checked_add(ENTRY_BYTES)?)
    };
    let mut names = Vec::new();
    let mut waiting = Vec::from_iter(entry(0).and_then(|root| u32_at(root, 76)));
    // A valid tree visits each entry once; the bound ends cycles in a broken one.
    for _ in 0..directory.len() / ENTRY_BYTES {
        let Some(found) = waiting.pop().and_then(entry) else {
            if waiting.is_empty() {
                break;
            }
            continue;
        };
        names.extend(name_of(found));
        let sides = [u32_at(found, 68), u32_at(found, 72)];
        waiting.extend(sides.into_iter().flatten().filter(|side| *side != NO_ENTRY));
    }
    names
}

fn name_of(entry: &[u8]) -> Option<String> {
    let bytes = usize::from(u16_at(entry, 64)?).checked_sub(2)?;
    let units: Vec<u16> =
        entry.get(..bytes.min(62))?.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
    Some(String::from_utf16_lossy(&units))
}

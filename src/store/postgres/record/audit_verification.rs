//! Verifies that nothing in the audit log was changed, removed or moved.

use actors::ports::store::StoreError;

use super::audit::{AuditEntry, audit_columns, audit_entry_of};
use crate::store::postgres::PostgresStore;

/// Entries read at a time.
const ENTRIES_AT_ONCE: usize = 1_000;

/// An entry by its number and its hash, as an operator has noted it elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedEntry {
    /// The number.
    pub id: i64,
    /// The hash.
    pub hash: Vec<u8>,
}

/// What is wrong with the audit log, at the first place where something is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// Entries are missing.
    #[error("entries {0} to {1} are missing")]
    Missing(i64, i64),
    /// The content of an entry isn't what was hashed.
    #[error("entry {0} was changed")]
    Changed(i64),
    /// An entry was hashed behind another one than the one before it.
    #[error("entry {0} does not follow the one before it")]
    Moved(i64),
    /// The last entry isn't the one that was written last.
    #[error("entry {0} is not the one that was written last")]
    NotLast(i64),
    /// An entry isn't the one that was noted.
    #[error("entry {0} is another one than the one noted")]
    NotNoted(i64),
}

/// Follows the chain from the first entry on.
#[derive(Debug)]
struct Chain {
    last: NotedEntry,
}

impl Chain {
    fn start() -> Self {
        Self { last: NotedEntry { id: 0, hash: vec![0; 32] } }
    }

    fn follow(&mut self, entry: &AuditEntry) -> Result<(), AuditFault> {
        let next = self.last.id + 1;
        if entry.id != next {
            return Err(AuditFault::Missing(next, entry.id - 1));
        }
        if entry.hash != entry.expected_hash() {
            return Err(AuditFault::Changed(entry.id));
        }
        if entry.previous != self.last.hash {
            return Err(AuditFault::Moved(entry.id));
        }
        self.last = NotedEntry { id: entry.id, hash: entry.hash.clone() };
        Ok(())
    }
}

impl NotedEntry {
    /// Reads `id:hash`, as [`NotedEntry`] displays it.
    ///
    /// # Errors
    /// A sentence about what is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || "expected NUMBER:HASH with 64 hexadecimal digits".to_owned();
        let (id, hash) = text.split_once(':').ok_or_else(expected)?;
        let id = id.parse().map_err(|_| expected())?;
        if hash.len() != 64 || !hash.is_ascii() {
            return Err(expected());
        }
        let bytes = (0..32).map(|n| u8::from_str_radix(&hash[2 * n..2 * n + 2], 16));
        Ok(Self { id, hash: bytes.collect::<Result<_, _>>().map_err(|_| expected())? })
    }
}

impl std::fmt::Display for NotedEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.id)?;
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl PostgresStore {
    /// Verifies the audit log from its first entry to the last one, and that it has the entry `noted`. Returns the
    /// last one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn verify_audit_log(
        &self,
        noted: Option<&NotedEntry>,
    ) -> Result<Result<NotedEntry, AuditFault>, StoreError> {
        const HEAD: &str = "SELECT id, hash FROM audit_head";
        const READ: &str = concat!(
            "SELECT ",
            audit_columns!(),
            " FROM audit_log a WHERE a.id > $1 AND a.id <= greatest($2::bigint, $3) ORDER BY a.id LIMIT $4"
        );
        // Entries that are added meanwhile are behind this one.
        let head = self.read_client().await?.row(HEAD, &[]).await?;
        let head = head.map(|row| NotedEntry { id: row.get(0), hash: row.get(1) });
        let head = head.unwrap_or_else(|| Chain::start().last);
        let mut chain = Chain::start();
        let noted_id = noted.map_or(0, |noted| noted.id);
        let limit = i64::try_from(ENTRIES_AT_ONCE).unwrap_or(i64::MAX);
        loop {
            let client = self.read_client().await?;
            let rows = client.rows(READ, &[&chain.last.id, &head.id, &noted_id, &limit]).await?;
            for entry in rows.iter().map(audit_entry_of) {
                if let Err(fault) = chain.follow(&entry) {
                    return Ok(Err(fault));
                }
                if noted.is_some_and(|noted| noted.id == entry.id && noted.hash != entry.hash) {
                    return Ok(Err(AuditFault::NotNoted(entry.id)));
                }
                if entry.id == head.id && entry.hash != head.hash {
                    return Ok(Err(AuditFault::NotLast(entry.id)));
                }
            }
            if rows.len() < ENTRIES_AT_ONCE {
                break;
            }
        }
        let expected = head.id.max(noted_id);
        if chain.last.id < expected {
            return Ok(Err(AuditFault::Missing(chain.last.id + 1, expected)));
        }
        Ok(Ok(chain.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noted_entry_is_read_as_it_is_printed() {
        let entry = NotedEntry { id: 812, hash: (0..32).collect() };
        assert_eq!(NotedEntry::parse(&entry.to_string()), Ok(entry));
        for wrong in
            ["", "812", "812:00", "x:00", &format!("1:{}", "g".repeat(64)), &format!("1:{}", "é".repeat(32))]
        {
            assert!(NotedEntry::parse(wrong).is_err(), "{wrong}");
        }
    }
}

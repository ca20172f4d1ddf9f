//! Tables that a feature keeps beside rooms, participants and messages, and what commands change in them.
//!
//! A feature declares its [`Table`] once and pushes [`RowChange`]s while a command is judged; a store writes
//! them in the command's transaction without knowing the feature.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A table of a feature.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Table {
    /// The name.
    pub name: &'static str,
    /// The columns, those of the key first.
    pub columns: &'static [(&'static str, ColumnType)],
    /// How many columns are the key.
    pub key_columns: usize,
    /// By how many of the key's first columns rows are removed; a number for each kind of removal.
    pub removals: &'static [usize],
    /// By how many of the key's first columns commands need rows; a number for each kind of
    /// [`RowSelection`].
    pub selections: &'static [usize],
    /// Whether rows are removed with their message; the key begins with its room and its id then, and
    /// [`Self::removals`] has these two columns.
    pub goes_with_message: bool,
}

/// The types of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnType {
    /// A UUID.
    Uuid,
    /// A 64-bit number.
    BigInt,
    /// A text.
    Text,
    /// A time with its date.
    Timestamp,
}

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// Of [`ColumnType::Uuid`].
    Uuid(Uuid),
    /// Of [`ColumnType::BigInt`].
    BigInt(i64),
    /// Of [`ColumnType::Text`].
    Text(String),
    /// Of [`ColumnType::Timestamp`].
    Timestamp(DateTime<Utc>),
}

/// A change of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChange {
    /// The table.
    pub table: &'static Table,
    /// What happens to its rows.
    pub kind: RowChangeKind,
    /// A whole row to insert, or the first columns of the key of those to remove.
    pub cells: Vec<Cell>,
}

/// What happens to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowChangeKind {
    /// One is inserted.
    Insert,
    /// All whose key begins so are removed.
    Remove,
}

/// Rows that the judgement of a command needs: those whose key begins with `prefix`, whose length is one of
/// [`Table::selections`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowSelection {
    /// The table.
    pub table: &'static Table,
    /// The first columns of the key.
    pub prefix: Vec<Cell>,
}

/// Rows of features' tables, by table and key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureRows(BTreeMap<&'static str, BTreeMap<Vec<Cell>, Vec<Cell>>>);

impl FeatureRows {
    /// Adds a row that the store has.
    pub fn load(&mut self, table: &'static Table, row: Vec<Cell>) {
        self.0.entry(table.name).or_default().insert(row[..table.key_columns].to_vec(), row);
    }

    /// Does what `change` says. Rows that no command ever needs aren't kept.
    pub fn apply(&mut self, change: &RowChange) {
        if change.table.selections.is_empty() {
            return;
        }
        match change.kind {
            RowChangeKind::Insert => self.load(change.table, change.cells.clone()),
            RowChangeKind::Remove => {
                if let Some(rows) = self.0.get_mut(change.table.name) {
                    rows.retain(|key, _| !key.starts_with(&change.cells));
                }
            }
        }
    }

    /// The rows of `table` whose key begins with `prefix`, in the order of their keys.
    pub fn select(&self, table: &Table, prefix: &[Cell]) -> impl Iterator<Item = &[Cell]> {
        let rows = self.0.get(table.name).map(|rows| rows.range(prefix.to_vec()..));
        rows.into_iter()
            .flatten()
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(_, row)| row.as_slice())
    }
}

impl RowChange {
    /// Inserts a row. It has a cell for each column. No row has its key yet, unless the key is all that the table
    /// has; then the row may be there already.
    #[must_use]
    pub fn insert<const N: usize>(table: &'static Table, row: [Cell; N]) -> Self {
        debug_assert_eq!(N, table.columns.len(), "{}", table.name);
        Self { table, kind: RowChangeKind::Insert, cells: row.into() }
    }

    /// Removes all rows whose key begins with `prefix`, whose length is one of [`Table::removals`].
    #[must_use]
    pub fn remove<const N: usize>(table: &'static Table, prefix: [Cell; N]) -> Self {
        debug_assert!(table.removals.contains(&N), "{}", table.name);
        Self { table, kind: RowChangeKind::Remove, cells: prefix.into() }
    }
}

impl Cell {
    /// The value of a [`ColumnType::Uuid`].
    #[must_use]
    pub fn as_uuid(&self) -> Option<Uuid> {
        if let Self::Uuid(value) = self { Some(*value) } else { None }
    }

    /// The value of a [`ColumnType::BigInt`].
    #[must_use]
    pub fn as_big_int(&self) -> Option<i64> {
        if let Self::BigInt(value) = self { Some(*value) } else { None }
    }

    /// The value of a [`ColumnType::Text`].
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(value) = self { Some(value) } else { None }
    }

    /// The value of a [`ColumnType::Timestamp`].
    #[must_use]
    pub fn as_timestamp(&self) -> Option<DateTime<Utc>> {
        if let Self::Timestamp(value) = self { Some(*value) } else { None }
    }
}

impl From<Uuid> for Cell {
    fn from(value: Uuid) -> Self {
        Self::Uuid(value)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::BigInt(value)
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<DateTime<Utc>> for Cell {
    fn from(value: DateTime<Utc>) -> Self {
        Self::Timestamp(value)
    }
}

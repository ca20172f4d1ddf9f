//! Reads and writes the tables that features declare, without knowing the features.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use actors::domain::features::TABLES;
use actors::domain::row_change::{Cell, ColumnType, RowChange, RowChangeKind, RowSelection, Table};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::statements::{BatchStatement, Column};

/// What a statement does with rows. Those that go by the beginning of a key have its number of columns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum StatementKind {
    Insert,
    Remove(usize),
    Select(usize),
}

/// The statements of every table.
static STATEMENTS: LazyLock<BTreeMap<(&str, StatementKind), String>> = LazyLock::new(|| {
    let mut statements = BTreeMap::new();
    for table in TABLES {
        statements.insert((table.name, StatementKind::Insert), insert(table));
        for columns in table.removals {
            statements.insert((table.name, StatementKind::Remove(*columns)), removal(table, *columns));
        }
        for columns in table.selections {
            statements.insert((table.name, StatementKind::Select(*columns)), selection(table, *columns));
        }
    }
    statements
});

/// All statements, for connections to prepare at once.
pub(super) fn prepared() -> Vec<&'static str> {
    STATEMENTS.values().map(String::as_str).collect()
}

/// The statements that remove the rows of messages, given their rooms and their ids, from the tables whose rows go
/// with messages.
pub(super) fn removals_with_messages() -> impl Iterator<Item = &'static str> {
    let tables = TABLES.iter().filter(|table| table.goes_with_message);
    tables.map(|table| STATEMENTS[&(table.name, StatementKind::Remove(2))].as_str())
}

/// What becomes of one table in a transaction. Its removals are written before its inserts.
#[derive(Default)]
struct TableChanges<'a> {
    /// The beginnings of keys, by their number of columns.
    removed: BTreeMap<usize, BTreeSet<&'a [Cell]>>,
    /// Rows by their keys.
    inserted: BTreeMap<&'a [Cell], &'a [Cell]>,
}

impl<'a> TableChanges<'a> {
    fn add(&mut self, RowChange { table, kind, cells }: &'a RowChange) {
        match kind {
            RowChangeKind::Insert => _ = self.inserted.insert(&cells[..table.key_columns], cells),
            RowChangeKind::Remove => {
                self.inserted.retain(|key, _| !key.starts_with(cells));
                self.removed.entry(cells.len()).or_default().insert(cells);
            }
        }
    }
}

/// The statements that write `changes`, which are in the order of their commands.
pub(super) fn write<'a>(changes: impl Iterator<Item = &'a RowChange>) -> Vec<BatchStatement<'a>> {
    let mut by_table: BTreeMap<&str, (&Table, TableChanges<'a>)> = BTreeMap::new();
    for change in changes {
        let (_, changes) =
            by_table.entry(change.table.name).or_insert_with(|| (change.table, TableChanges::default()));
        changes.add(change);
    }
    let mut statements = Vec::new();
    for (table, TableChanges { removed, inserted }) in by_table.into_values() {
        for (columns, prefixes) in removed {
            statements.push(statement(table, StatementKind::Remove(columns), prefixes));
        }
        if !inserted.is_empty() {
            statements.push(statement(table, StatementKind::Insert, inserted.into_values()));
        }
    }
    statements
}

/// The statements that read `selections`, each with its table.
pub(super) fn read(selections: &BTreeSet<RowSelection>) -> Vec<(&'static Table, BatchStatement<'_>)> {
    let mut prefixes: BTreeMap<(&'static Table, usize), Vec<&[Cell]>> = BTreeMap::new();
    for RowSelection { table, prefix } in selections {
        prefixes.entry((table, prefix.len())).or_default().push(prefix);
    }
    let statements = prefixes.into_iter().map(|((table, columns), prefixes)| {
        (table, statement(table, StatementKind::Select(columns), prefixes))
    });
    statements.collect()
}

/// Reads a row of a statement of [`read`].
pub(super) fn cells(table: &Table, row: &Row) -> Vec<Cell> {
    let cells = table.columns.iter().enumerate().map(|(at, (_, column_type))| match column_type {
        ColumnType::Uuid => Cell::Uuid(row.get(at)),
        ColumnType::BigInt => Cell::BigInt(row.get(at)),
        ColumnType::Text => Cell::Text(row.get(at)),
        ColumnType::Timestamp => Cell::Timestamp(row.get(at)),
    });
    cells.collect()
}

/// The statement of a table with these rows, or beginnings of keys.
fn statement<'a>(
    table: &Table,
    kind: StatementKind,
    rows: impl IntoIterator<Item = &'a [Cell]>,
) -> BatchStatement<'a> {
    let rows: Vec<&[Cell]> = rows.into_iter().collect();
    let width = match kind {
        StatementKind::Insert => table.columns.len(),
        StatementKind::Remove(columns) | StatementKind::Select(columns) => columns,
    };
    let types = table.columns.iter().take(width).enumerate();
    BatchStatement {
        sql: &STATEMENTS[&(table.name, kind)],
        columns: types.map(|(at, (_, column_type))| column(*column_type, at, &rows)).collect(),
    }
}

/// One column of `rows` as an array.
fn column<'a>(column_type: ColumnType, at: usize, rows: &[&'a [Cell]]) -> Column<'a> {
    fn array<'a, T: ToSql + Sync + Send + 'a>(
        rows: &[&'a [Cell]],
        at: usize,
        value: fn(&'a Cell) -> Option<T>,
    ) -> Column<'a> {
        let value = |row: &&'a [Cell]| value(&row[at]).expect("a feature's rows have its table's types");
        Box::new(rows.iter().map(value).collect::<Vec<T>>())
    }
    match column_type {
        ColumnType::Uuid => array(rows, at, Cell::as_uuid),
        ColumnType::BigInt => array(rows, at, Cell::as_big_int),
        ColumnType::Text => array(rows, at, Cell::as_text),
        ColumnType::Timestamp => array(rows, at, Cell::as_timestamp),
    }
}

fn sql_type(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Uuid => "uuid[]",
        ColumnType::BigInt => "bigint[]",
        ColumnType::Text => "text[]",
        ColumnType::Timestamp => "timestamptz[]",
    }
}

/// The names of the first `columns` columns, and an `unnest` of an array for each.
fn names_and_arrays(table: &Table, columns: usize) -> (String, String) {
    let columns = &table.columns[..columns];
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let arrays: Vec<String> = columns
        .iter()
        .zip(1..)
        .map(|((_, column_type), number)| format!("${number}::{}", sql_type(*column_type)))
        .collect();
    (names.join(", "), format!("unnest({})", arrays.join(", ")))
}

fn insert(table: &Table) -> String {
    let (names, arrays) = names_and_arrays(table, table.columns.len());
    // A row that is nothing but a key says nothing new the second time.
    let is_set = table.key_columns == table.columns.len();
    let again = if is_set { " ON CONFLICT DO NOTHING" } else { "" };
    format!("INSERT INTO {} ({names}) SELECT * FROM {arrays}{again}", table.name)
}

fn removal(table: &Table, columns: usize) -> String {
    let (names, arrays) = names_and_arrays(table, columns);
    let equal: Vec<String> =
        table.columns[..columns].iter().map(|(name, _)| format!("t.{name} = k.{name}")).collect();
    let (first, _) = table.columns[0];
    format!(
        "DELETE FROM {} t USING {arrays} k ({names}) WHERE {} AND t.{first} = ANY($1)",
        table.name,
        equal.join(" AND ")
    )
}

/// Rows of many keys are looked up one key at a time, by an index whatever the table's size was when the plan
/// was made.
fn selection(table: &Table, columns: usize) -> String {
    let (names, arrays) = names_and_arrays(table, columns);
    let (all, _) = names_and_arrays(table, table.columns.len());
    let (key, _) = names_and_arrays(table, table.key_columns);
    let equal: Vec<String> =
        table.columns[..columns].iter().map(|(name, _)| format!("{name} = k.{name}")).collect();
    format!(
        "SELECT t.* FROM {arrays} k ({names}) CROSS JOIN LATERAL \
         (SELECT {all} FROM {} WHERE {} ORDER BY {key} OFFSET 0) t",
        table.name,
        equal.join(" AND ")
    )
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    static NOTES: Table = Table {
        name: "notes",
        columns: &[
            ("room_id", ColumnType::Uuid),
            ("user_id", ColumnType::BigInt),
            ("text", ColumnType::Text),
            ("at", ColumnType::Timestamp),
        ],
        key_columns: 2,
        removals: &[1],
        selections: &[1],
        goes_with_message: false,
    };

    fn note(user: i64) -> RowChange {
        let at = DateTime::UNIX_EPOCH;
        RowChange::insert(&NOTES, [Uuid::nil().into(), user.into(), "text".to_owned().into(), at.into()])
    }

    #[test]
    fn statements_follow_from_the_declaration() {
        assert_eq!(
            insert(&NOTES),
            "INSERT INTO notes (room_id, user_id, text, at) \
             SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[])"
        );
        assert_eq!(
            removal(&NOTES, 1),
            "DELETE FROM notes t USING unnest($1::uuid[]) k (room_id) \
             WHERE t.room_id = k.room_id AND t.room_id = ANY($1)"
        );
        assert_eq!(
            selection(&NOTES, 1),
            "SELECT t.* FROM unnest($1::uuid[]) k (room_id) CROSS JOIN LATERAL \
             (SELECT room_id, user_id, text, at FROM notes WHERE room_id = k.room_id \
             ORDER BY room_id, user_id OFFSET 0) t"
        );
    }

    #[test]
    fn a_removal_takes_earlier_inserts_with_it_and_later_ones_stay() {
        let removal = RowChange::remove(&NOTES, [Uuid::nil().into()]);
        let (first, second) = (note(1), note(2));
        let mut changes = TableChanges::default();
        for change in [&first, &removal, &second] {
            changes.add(change);
        }
        assert_eq!(changes.inserted.into_values().collect::<Vec<_>>(), [&second.cells[..]]);
        assert_eq!(changes.removed[&1].len(), 1);
    }
}

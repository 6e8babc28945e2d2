//! The tables of a database, as far as the statements of spans need them, as SQL that a topology takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use indexmap::IndexMap;
use simhost_sql::{Call, Database, Done, Options, Outcome, Value as Cell};

use crate::error::INFALLIBLE;

use super::bounds::{MAX_COLUMNS, MAX_DATABASE_ROWS, MAX_INDEXES, MAX_ROWS, MAX_TABLES, MAX_TABLES_BYTES};
use super::sql::{Fill, Kind, Piece, Shape, TableUse};

/// What a column of texts and a value that is a time are tried with, and what a sketch writes.
pub const TIME: &str = "2026-01-01";

/// The tables of one database.
#[derive(Debug, Default)]
pub struct Schema {
    tables: IndexMap<String, Table>,
}

#[derive(Debug, Default)]
struct Table {
    columns: BTreeMap<String, Kind>,
    keys: BTreeSet<String>,
    unique: BTreeSet<BTreeSet<String>>,
    /// Columns that an INSERT gives; none without one.
    inserted: Option<BTreeSet<String>>,
}

/// What executing a statement once was to the database.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    pub steps: u64,
    pub rows: u64,
}

impl Schema {
    /// That of all these statements. Those that need more than there is room for are left out of it.
    pub fn of<'a>(shapes: impl Iterator<Item = &'a Shape>) -> Self {
        let mut schema = Self::default();
        for shape in shapes {
            if shape.tables.iter().all(|used| schema.has_room(used)) {
                shape.tables.iter().for_each(|used| schema.add(used));
            }
        }
        while schema.text().len() > MAX_TABLES_BYTES {
            schema.tables.pop();
        }
        schema
    }

    fn has_room(&self, used: &TableUse) -> bool {
        match self.tables.get(&used.name) {
            None => self.tables.len() < MAX_TABLES && used.columns.len() <= MAX_COLUMNS,
            Some(table) => {
                let new = used.columns.keys().filter(|name| !table.columns.contains_key(*name));
                table.columns.len() + new.count() <= MAX_COLUMNS
            }
        }
    }

    fn add(&mut self, used: &TableUse) {
        let table = self.tables.entry(used.name.clone()).or_default();
        for (name, kind) in &used.columns {
            let known = table.columns.entry(name.clone()).or_default();
            *known = (*known).max(*kind);
        }
        table.keys.extend(used.keys.iter().cloned());
        table.unique.extend(used.unique.clone().filter(|columns| !columns.is_empty()));
        if !used.inserted.is_empty() {
            table.inserted.get_or_insert_default().extend(used.inserted.iter().cloned());
        }
    }

    /// What a column holds.
    pub fn kind(&self, table: &str, column: &str) -> Kind {
        let found = self.tables.get(table).and_then(|table| table.columns.get(column));
        found.copied().unwrap_or_default()
    }

    /// Whether rows are told apart by a column.
    pub fn is_key(&self, table: &str, column: &str) -> bool {
        self.tables.get(table).is_some_and(|table| {
            table.keys.contains(column) || table.unique.iter().flatten().any(|unique| unique == column)
        })
    }

    /// The rows that each table begins with.
    pub fn rows(&self) -> usize {
        (MAX_DATABASE_ROWS / self.tables.len().max(1)).clamp(1, MAX_ROWS)
    }

    /// It as SQL.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut indexes = 0;
        for (name, table) in &self.tables {
            table.write(&mut text, name, self.rows(), &mut indexes);
        }
        if text.is_empty() {
            text.push_str("-- no statement names a table\n");
        }
        text
    }

    /// Tries each statement once on a database of this schema; none of one that it does not take.
    pub fn try_all(&self, shapes: &[&Shape]) -> Vec<Option<Tried>> {
        match Database::open(&self.text(), Options::default()) {
            Ok(mut database) => shapes.iter().map(|shape| self.try_one(&mut database, shape)).collect(),
            // A name that it does not take: the tables without it are tried alone.
            Err(_) if self.tables.len() > 1 => shapes
                .iter()
                .map(|shape| {
                    let alone = Self::of(std::iter::once(*shape));
                    let mut database = Database::open(&alone.text(), Options::default()).ok()?;
                    alone.try_one(&mut database, shape)
                })
                .collect(),
            Err(_) => vec![None; shapes.len()],
        }
    }

    fn try_one(&self, database: &mut Database, shape: &Shape) -> Option<Tried> {
        let (mut text, mut values) = (String::new(), Vec::new());
        for piece in &shape.pieces {
            match piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Value(value) => {
                    let column = value.column.as_ref();
                    let kind = column.map(|(table, column)| self.kind(&shape.tables[*table].name, column));
                    values.push(match (kind, value.fill) {
                        (Some(Kind::Time), _) => Cell::Text(TIME.to_owned()),
                        (_, Fill::Offset) => Cell::Int(0),
                        _ => Cell::Int(1),
                    });
                    write!(text, "${}", values.len()).expect(INFALLIBLE);
                }
            }
        }
        let transaction = database.begin(0).ok()?;
        let statement = database.prepare(&text).ok();
        let outcome =
            statement.map(|statement| database.execute(Some(transaction), &statement, &values, Call::at(0)));
        database.rollback(transaction).ok()?;
        match outcome? {
            Outcome::Done(Done { rows, work, .. }) => {
                Some(Tried { steps: work.steps, rows: rows.len() as u64 })
            }
            Outcome::Blocked(_) | Outcome::Failed(_) => None,
        }
    }
}

impl Table {
    fn write(&self, text: &mut String, name: &str, rows: usize, indexes: &mut usize) {
        let name = quoted(name);
        let is_given = |column: &str| self.inserted.as_ref().is_some_and(|given| given.contains(column));
        let kind = |(column, kind): (&String, &Kind)| match kind {
            Kind::Text => "TEXT",
            Kind::Time => "TIMESTAMPTZ DEFAULT now()",
            // It counts where no INSERT gives it.
            Kind::Number if self.keys.contains(column) && !is_given(column) => "BIGSERIAL",
            Kind::Number => "BIGINT",
        };
        let mut columns: Vec<_> =
            self.columns.iter().map(|column| format!("  {} {}", quoted(column.0), kind(column))).collect();
        if columns.is_empty() {
            columns.push("  \"id\" BIGINT".to_owned());
        }
        writeln!(text, "CREATE TABLE {name} (\n{}\n);", columns.join(",\n")).expect(INFALLIBLE);
        let value = |kind: &Kind| match kind {
            Kind::Text => "n::text",
            Kind::Time => "now()",
            Kind::Number => "n",
        };
        let (names, values): (Vec<_>, Vec<_>) =
            self.columns.iter().map(|(column, kind)| (quoted(column), value(kind))).unzip();
        let (names, values) = match names.is_empty() {
            true => ("\"id\"".to_owned(), "n".to_owned()),
            false => (names.join(", "), values.join(", ")),
        };
        writeln!(text, "INSERT INTO {name} ({names}) SELECT {values} FROM generate_series(1, {rows}) AS n;")
            .expect(INFALLIBLE);
        let of_keys = self.keys.iter().map(|key| (false, quoted(key)));
        let of_unique = self.unique.iter().map(|columns| {
            (true, columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", "))
        });
        for (is_unique, columns) in of_unique.chain(of_keys).take(MAX_INDEXES) {
            *indexes += 1;
            let unique = if is_unique { "UNIQUE " } else { "" };
            writeln!(text, "CREATE {unique}INDEX key_{indexes} ON {name} ({columns});").expect(INFALLIBLE);
        }
    }
}

/// A name in quotes, of which nothing gets out.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::super::sql::shape;
    use super::*;

    fn tried(statements: &[&str]) -> (String, Vec<bool>) {
        let shapes: Vec<_> = statements.iter().map(|text| shape(text).expect("SQL")).collect();
        let schema = Schema::of(shapes.iter());
        let tried = schema.try_all(&shapes.iter().collect::<Vec<_>>());
        (schema.text(), tried.iter().map(Option::is_some).collect())
    }

    #[test]
    fn a_schema_takes_the_statements_that_it_is_made_of() {
        let (text, taken) = tried(&[
            "SELECT id, name FROM items WHERE id = $1",
            "INSERT INTO items (name, price) VALUES ($1, $2) RETURNING id",
            "UPDATE items SET price = price + $1 WHERE id = $2",
            "SELECT i.name FROM items i JOIN lines l ON l.item = i.id WHERE l.made > now()",
            "INSERT INTO stock (sku, n) VALUES ($1, $2) ON CONFLICT (sku) DO UPDATE SET n = excluded.n",
            "SELECT \"odd \"\" name\" FROM \"Odd) DROP\" LIMIT 1",
            "SELECT sku FROM stock ORDER BY n DESC LIMIT $1 OFFSET $2",
            "DELETE FROM lines WHERE made < ?",
        ]);
        assert_eq!(taken, [true; 8], "{text}");
        let part = "CREATE TABLE \"items\" (\n  \"id\" BIGSERIAL,\n  \"name\" BIGINT,\n  \"price\" BIGINT\n);\n\
                    INSERT INTO \"items\" (\"id\", \"name\", \"price\") SELECT n, n, n FROM generate_series(1, 1000) AS n;\n\
                    CREATE INDEX key_1 ON \"items\" (\"id\");\n";
        assert!(text.starts_with(part), "{text}");
    }

    #[test]
    fn tables_and_columns_have_a_bound() {
        let tables: Vec<_> =
            (0..MAX_TABLES + 5).map(|at| format!("SELECT a FROM t{at} WHERE a = 1")).collect();
        let columns: Vec<_> = (0..MAX_COLUMNS + 5).map(|at| format!("SELECT c{at} FROM wide")).collect();
        let count = |statements: &[String], part: &str| {
            let (text, taken) = tried(&statements.iter().map(String::as_str).collect::<Vec<_>>());
            (text.matches(part).count(), taken.iter().filter(|taken| **taken).count())
        };
        assert_eq!(count(&tables, "CREATE TABLE"), (MAX_TABLES, MAX_TABLES));
        assert_eq!(count(&columns, " BIGINT"), (MAX_COLUMNS, MAX_COLUMNS));
    }
}

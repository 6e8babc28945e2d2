//! Rows as a transaction has written them, kept while SQLite serves another one.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Value as Stored;

use super::Database;
use crate::catalogue::Table;
use crate::error::{Failure, Result, sqlstate};
use crate::lock::{Row, Transaction};
use crate::translate::quoted;

#[derive(Clone, Debug, Default)]
pub(super) struct Images {
    /// The rows that SQLite has and that are not in `rows` yet, or with other values.
    dirty: BTreeSet<Row>,
    /// Rows by their places; none where one was deleted.
    rows: BTreeMap<Row, Option<Vec<Stored>>>,
}

impl Images {
    pub(super) fn is_empty(&self) -> bool {
        self.dirty.is_empty() && self.rows.is_empty()
    }

    /// Rows that were written.
    pub(super) fn len(&self) -> usize {
        self.rows.len() + self.dirty.iter().filter(|row| !self.rows.contains_key(*row)).count()
    }

    pub(super) fn wrote(&mut self, row: Row) {
        self.dirty.insert(row);
    }
}

impl Database {
    /// Gives SQLite the changes of `wanted` on top of what is committed, and of no other transaction.
    pub(super) fn enter(&mut self, wanted: Option<Transaction>) -> Result<()> {
        if self.resident == wanted {
            return Ok(());
        }
        if let Some(other) = self.resident {
            self.capture(other)?;
            self.resident = None;
            self.engine.rollback()?;
        }
        let Some(transaction) = wanted else { return Ok(()) };
        let Some(open) = self.open.get(&transaction) else { return Ok(()) };
        let references =
            !open.images.rows.is_empty() && self.catalogue.tables.values().any(|t| !t.foreign.is_empty());
        if references {
            self.engine.check_references(false)?;
        }
        self.engine.begin()?;
        self.moved += open.images.rows.len() as u64;
        let written = open.images.rows.iter().try_for_each(|(row, _)| self.remove(*row));
        let written = written.and_then(|()| {
            let present = open.images.rows.iter().filter_map(|(row, image)| Some((row, image.as_ref()?)));
            present.into_iter().try_for_each(|(row, image)| self.put(*row, image))
        });
        if references {
            self.engine.check_references(true)?;
        }
        if let Err(failure) = written {
            self.engine.rollback()?;
            return Err(Failure::new(
                sqlstate::INTERNAL,
                format!("a transaction could not go on: {failure}"),
            ));
        }
        self.resident = Some(transaction);
        Ok(())
    }

    /// Keeps the rows that SQLite has of a transaction.
    pub(super) fn capture(&mut self, transaction: Transaction) -> Result<()> {
        let Some(open) = self.open.get_mut(&transaction) else { return Ok(()) };
        let dirty = std::mem::take(&mut open.images.dirty);
        self.moved += dirty.len() as u64;
        let mut images = Vec::with_capacity(dirty.len());
        for row in dirty {
            images.push((row, self.image(row)?));
        }
        if let Some(open) = self.open.get_mut(&transaction) {
            open.images.rows.extend(images);
        }
        Ok(())
    }

    fn image(&self, row: Row) -> Result<Option<Vec<Stored>>> {
        let Some((name, table)) = self.catalogue.table_numbered(row.0 as usize) else { return Ok(None) };
        let columns = columns(table).join(", ");
        let sql = format!("SELECT {columns} FROM {} WHERE rowid = ?1", quoted(name));
        self.engine.row(&sql, &[Stored::Integer(row.1)])
    }

    fn remove(&self, row: Row) -> Result<()> {
        let Some((name, _)) = self.catalogue.table_numbered(row.0 as usize) else { return Ok(()) };
        self.engine
            .write(&format!("DELETE FROM {} WHERE rowid = ?1", quoted(name)), &[Stored::Integer(row.1)])
    }

    fn put(&self, row: Row, image: &[Stored]) -> Result<()> {
        let Some((name, table)) = self.catalogue.table_numbered(row.0 as usize) else { return Ok(()) };
        let mut columns = columns(table);
        let mut values = image.to_vec();
        if table.rowid.is_none() {
            columns.push("rowid".to_owned());
            values.push(Stored::Integer(row.1));
        }
        let places: Vec<String> = (1..=values.len()).map(|at| format!("?{at}")).collect();
        let sql =
            format!("INSERT INTO {} ({}) VALUES ({})", quoted(name), columns.join(", "), places.join(", "));
        self.engine.write(&sql, &values)
    }
}

/// The columns of which a row is made; others follow from these.
fn columns(table: &Table) -> Vec<String> {
    let stored = table.columns.iter().filter(|column| !column.generated);
    stored.map(|column| quoted(&column.name)).collect()
}

//! Whether others are in the way of a statement, and what it does then.

use rusqlite::types::Value as Stored;

use super::{Outcome, Touched, Undo};
use crate::database::{Database, Failed};
use crate::engine::Work;
use crate::error::{Failure, Result, sqlstate};
use crate::lock::{Row, Strength, TableMode, Transaction};
use crate::state::Written;
use crate::translate::{Run, quoted};

impl Database {
    /// Locks tables; or waits for them, if others hold them.
    pub(super) fn blocked_at_tables(
        &mut self,
        transaction: Option<Transaction>,
        tables: &[(u32, TableMode)],
    ) -> Option<Outcome> {
        let found = {
            let state = self.shared.lock();
            tables.iter().find_map(|(table, mode)| {
                let by = state.locks.table_holders(transaction, *table, *mode);
                (!by.is_empty()).then_some((*table, *mode, by))
            })
        };
        let Some((table, mode, by)) = found else {
            if let Some(own) = transaction {
                let mut state = self.shared.lock();
                tables.iter().for_each(|(table, mode)| state.locks.lock_table(own, *table, *mode));
            }
            return None;
        };
        let own = match self.waiting(transaction) {
            Ok(own) => own,
            Err(failure) => return Some(self.failed(transaction, failure, Work::default())),
        };
        self.shared.lock().locks.queue_for(own, table, mode);
        Some(self.blocked(Some(own), by, Work::default()))
    }

    /// What becomes of a statement whose rows or keys others hold.
    pub(super) fn in_the_way(
        &mut self,
        transaction: Option<Transaction>,
        run: &Run,
        touched: &Touched,
        work: Work,
        undo: Undo,
    ) -> Option<Outcome> {
        let (mut by, mut fails) = (Vec::new(), false);
        {
            let state = self.shared.lock();
            for (row, strength) in &touched.rows {
                let before = by.len();
                by.extend(state.locks.row_holders(transaction, *row, *strength));
                let is_unwaited = |part: &Run| part.unwaited.contains(&(row.0 as usize));
                fails |= by.len() > before && run.all().any(is_unwaited);
            }
            by.extend(touched.keys.iter().filter_map(|key| state.locks.key_holder(transaction, key)));
        }
        if by.is_empty() {
            return None;
        }
        by.sort_unstable();
        by.dedup();
        if let Err(failure) = self.undo(transaction, undo) {
            return Some(self.failed(transaction, failure, work));
        }
        if fails {
            let failure = Failure::new(sqlstate::LOCK_NOT_AVAILABLE, "could not obtain lock on row")
                .hint("try again, or leave NOWAIT out");
            return Some(self.failed(transaction, failure, work));
        }
        Some(self.blocked(transaction, by, work))
    }

    pub(super) fn undo(&mut self, transaction: Option<Transaction>, undo: Undo) -> Result<()> {
        if undo.scratch {
            return self.engine.rollback();
        }
        if undo.mark && self.engine.is_open() {
            return self.engine.undo();
        }
        if undo.mark && self.resident == transaction {
            // SQLite has ended the transaction; what it had written before is lost with it.
            self.resident = None;
            return Err(Failure::new(sqlstate::INTERNAL, "the transaction was ended by the engine"));
        }
        Ok(())
    }

    /// The entries that written rows have in unique indexes.
    pub(super) fn keys<'w>(
        &self,
        wrote: impl Iterator<Item = &'w Written>,
        keys: &mut Vec<Vec<u8>>,
    ) -> Result<()> {
        for written in wrote {
            let Some((name, _)) = self.catalogue.table_numbered(written.table as usize) else { continue };
            for (index_name, index) in self.catalogue.indexes_of(name) {
                if !index.unique || index.create.is_none() {
                    continue;
                }
                let condition =
                    index.predicate.as_ref().map(|text| format!(" AND {text}")).unwrap_or_default();
                let sql = format!(
                    "SELECT {} FROM {} WHERE rowid = ?1{condition}",
                    index.keys.join(", "),
                    quoted(name)
                );
                let Some(values) = self.engine.row(&sql, &[Stored::Integer(written.rowid)])? else {
                    continue;
                };
                // NULL is not equal to NULL.
                if !values.contains(&Stored::Null) {
                    keys.push(key(index_name, &values));
                }
            }
        }
        Ok(())
    }

    /// The rows that written ones refer to, which must not go away.
    pub(super) fn parents(&self, wrote: &[Written], locked: &mut Vec<(Row, Strength)>) -> Result<()> {
        for written in wrote {
            let Some((name, table)) = self.catalogue.table_numbered(written.table as usize) else { continue };
            for foreign in &table.foreign {
                let Some(parent) = self.number(&foreign.parent) else { continue };
                let pairs = foreign.columns.iter().zip(&foreign.parent_columns);
                let on: Vec<String> =
                    pairs.map(|(column, of)| format!("p.{} = c.{}", quoted(of), quoted(column))).collect();
                let sql = format!(
                    "SELECT p.rowid FROM {} AS c JOIN {} AS p ON {} WHERE c.rowid = ?1",
                    quoted(name),
                    quoted(&foreign.parent),
                    on.join(" AND ")
                );
                if let Some([Stored::Integer(rowid)]) =
                    self.engine.row(&sql, &[Stored::Integer(written.rowid)])?.as_deref()
                {
                    locked.push(((parent, *rowid), Strength::KeyShare));
                }
            }
        }
        Ok(())
    }

    /// LOCK TABLE.
    pub(in crate::database) fn lock_tables(
        &mut self,
        transaction: Option<Transaction>,
        tables: &[String],
        mode: TableMode,
        nowait: bool,
    ) -> Outcome {
        let Some(own) = transaction else {
            let failure =
                Failure::new(sqlstate::NO_TRANSACTION, "LOCK TABLE can only be used in transaction blocks")
                    .hint("begin a transaction");
            return Outcome::Failed(Failed { failure, work: Work::default() });
        };
        let mut numbers = Vec::new();
        for table in tables {
            match self.number(table) {
                Some(number) => numbers.push((number, mode)),
                None => {
                    let message = format!("relation \"{table}\" does not exist");
                    let failure =
                        Failure::new(sqlstate::UNDEFINED_TABLE, message).hint("prepare the statement again");
                    return self.failed(transaction, failure, Work::default());
                }
            }
        }
        let held = |(table, mode): &(u32, TableMode)| {
            !self.shared.lock().locks.table_holders(transaction, *table, *mode).is_empty()
        };
        if nowait && numbers.iter().any(held) {
            let message = "could not obtain lock on relation";
            let failure =
                Failure::new(sqlstate::LOCK_NOT_AVAILABLE, message).hint("try again, or leave NOWAIT out");
            return self.failed(transaction, failure, Work::default());
        }
        self.shared.lock().locks.wait_no_more(own);
        self.blocked_at_tables(transaction, &numbers).unwrap_or_else(|| super::nothing(Work::default()))
    }
}

/// An entry of an index as bytes, which are equal if its values are.
fn key(index: &str, values: &[Stored]) -> Vec<u8> {
    let mut bytes = index.as_bytes().to_vec();
    for value in values {
        bytes.push(0);
        match value {
            Stored::Null => bytes.push(0),
            Stored::Integer(number) => {
                bytes.push(1);
                bytes.extend(number.to_be_bytes());
            }
            Stored::Real(number) => {
                bytes.push(2);
                bytes.extend(number.to_bits().to_be_bytes());
            }
            Stored::Text(text) => {
                bytes.push(3);
                bytes.extend(text.len().to_be_bytes());
                bytes.extend(text.as_bytes());
            }
            Stored::Blob(blob) => {
                bytes.push(4);
                bytes.extend(blob.len().to_be_bytes());
                bytes.extend(blob);
            }
        }
    }
    bytes
}

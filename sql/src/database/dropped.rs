//! Indexes that are dropped for a time: gone, and created again later.

use std::collections::BTreeMap;

use super::Database;
use crate::bounds::{Bounds, MISSED};
use crate::catalogue::Index;
use crate::engine::{Engine, Work};
use crate::error::{Failure, Result, sqlstate};
use crate::state::Shared;
use crate::statement::Statement;
use crate::translate::{Plan, quoted};
use crate::value::Value;

/// An index that is gone for a time.
pub(super) struct Dropped {
    index: Index,
    /// How often it was dropped and not restored. None: it could not be made again.
    times: usize,
    /// The tables without their rows, with the index: a plan depends on these alone.
    before: Engine,
    /// Whether a statement would use the index, by its text as SQLite reads it.
    uses: BTreeMap<String, bool>,
}

impl Database {
    /// Drops an index for a time; [`restore_index`](Self::restore_index) creates it again. Open transactions
    /// go on. One that is dropped already comes back when it was restored as often as it was dropped.
    ///
    /// # Errors
    /// There is no such index, or it keeps values unique.
    pub fn drop_index(&mut self, name: &str) -> Result<()> {
        let Some(index) = self.catalogue.indexes.get(name).cloned() else {
            if let Some(dropped) = self.dropped.get_mut(name) {
                dropped.times += 1;
                return Ok(());
            }
            let message = format!("index \"{name}\" does not exist");
            let known: Vec<&str> = self.catalogue.indexes.keys().map(String::as_str).collect();
            let hint = format!("there are: {}", known.join(", "));
            return Err(Failure::new(sqlstate::UNDEFINED_OBJECT, message).hint(hint));
        };
        if index.unique {
            let message = format!("index \"{name}\" keeps values unique, and cannot be dropped for a time");
            return Err(
                Failure::new(sqlstate::WRONG_OBJECT, message).hint("name an index that is not UNIQUE")
            );
        }
        self.enter(None)?;
        let before = self.engine.without_rows(&self.bounds)?;
        self.engine.batch(&format!("DROP INDEX {}", quoted(name)))?;
        self.catalogue.indexes.remove(name);
        // A statement may have made it anew while it was dropped.
        let times = self.dropped.get(name).map_or(0, |dropped| dropped.times) + 1;
        self.dropped.insert(name.to_owned(), Dropped { index, times, before, uses: BTreeMap::new() });
        self.schema_changed();
        Ok(())
    }

    /// Whether a statement would use an index that is dropped for a time: its plan has it, as the tables were
    /// before.
    pub fn misses(&mut self, statement: &Statement, name: &str) -> bool {
        let Some(dropped) = self.dropped.get_mut(name) else { return false };
        let Plan::Run(run) = &statement.plan else { return false };
        if let Some(uses) = dropped.uses.get(&run.sql) {
            return *uses;
        }
        // A table that was made since is not there: no index of it was dropped.
        let plans = run.all().flat_map(|part| dropped.before.plan(&part.sql).unwrap_or_default());
        let plan: Vec<String> = plans.collect();
        let uses = plan.iter().any(|line| {
            let found = line.split_once(" INDEX ").map(|(_, index)| index);
            found.and_then(|index| index.strip_prefix(name)).is_some_and(|rest| !rest.starts_with(is_of_name))
        });
        if dropped.uses.len() == MISSED {
            dropped.uses.clear();
        }
        dropped.uses.insert(run.sql.clone(), uses);
        uses
    }

    /// Creates an index again, if its table is still there and nobody else has dropped it for a time; gives
    /// what that took.
    ///
    /// # Errors
    /// It was not dropped, or the database is full: then the index is tried again when it is dropped and
    /// restored once more.
    pub fn restore_index(&mut self, name: &str) -> Result<Work> {
        let Some(dropped) = self.dropped.get_mut(name) else {
            let message = format!("index \"{name}\" was not dropped for a time");
            return Err(Failure::new(sqlstate::UNDEFINED_OBJECT, message).hint("drop it for a time first"));
        };
        dropped.times = dropped.times.saturating_sub(1);
        if dropped.times > 0 {
            return Ok(Work::default());
        }
        let index = dropped.index.clone();
        let mut work = Work::default();
        if self.catalogue.tables.contains_key(&index.table) && !self.catalogue.has_relation(name) {
            self.enter(None)?;
            if let Some(sql) = &index.create {
                let mut prepared = self.engine.prepare(sql)?;
                let (took, result) =
                    self.engine.run(&mut prepared, &[], &self.bounds, self.bounds.value_bytes);
                result?;
                work = took;
            }
            self.catalogue.indexes.insert(name.to_owned(), index);
            self.schema_changed();
        }
        self.dropped.remove(name);
        Ok(work)
    }
}

/// What a name may go on with.
fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

impl Engine {
    /// Another one with the same tables, views and indexes, and no rows.
    fn without_rows(&self, bounds: &Bounds) -> Result<Self> {
        let shared = Shared::default();
        let empty = Self::open(&shared, bounds).map_err(crate::failure::of)?;
        let made =
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid";
        let mut statement = self.prepare(made)?;
        let (_, found) = self.run(&mut statement, &[], bounds, bounds.value_bytes);
        for row in found?.rows {
            if let [Value::Text(sql)] = &row[..] {
                empty.batch(sql)?;
            }
        }
        Ok(empty)
    }
}

//! One statement, from its parameters to its locks.

mod conflict;
mod length;
mod other;
mod repeat;
mod values;

use std::sync::Arc;

use super::{Blocked, Call, Database, Done, Failed, Of, Outcome, no_transaction};
use crate::bounds::STEPS_PER_MOVED_ROW;
use crate::engine::{Rows, Work};
use crate::error::{Failure, Result, sqlstate};
use crate::failure;
use crate::lock::{Row, Strength, TableMode, Transaction};
use crate::place;
use crate::state::Written;
use crate::statement::{Class, Statement};
use crate::translate::{Control, Plan, Run};
use crate::value::Value;
use repeat::Attempt;
use values::{converted, typed};

/// What a statement that ran has to lock, before others may see that it did.
struct Touched {
    rows: Vec<(Row, Strength)>,
    /// Entries of unique indexes that it made.
    keys: Vec<Vec<u8>>,
    wrote: Vec<Written>,
}

impl Database {
    /// Executes a statement, in a transaction or as one of its own.
    pub fn execute(
        &mut self,
        transaction: Option<Transaction>,
        statement: &Arc<Statement>,
        params: &[Value],
        call: Call,
    ) -> Outcome {
        let mut outcome = match self.ready(transaction, statement) {
            Ok(statement) => self.dispatch(transaction, &statement, params, call),
            Err(failure) => self.failed(transaction, failure, Work::default()),
        };
        if let Outcome::Failed(failed) = &mut outcome {
            place::locate(&mut failed.failure, statement.text());
        }
        let single = transaction.filter(|own| self.open.get(own).is_some_and(|open| open.of == Of::Waiting));
        let Some(single) = single else { return outcome };
        match outcome {
            Outcome::Blocked(_) => outcome,
            Outcome::Failed(_) => {
                self.end(single);
                outcome
            }
            Outcome::Done(done) => match self.commit(single) {
                Ok(_) => Outcome::Done(done),
                Err(failure) => Outcome::Failed(Failed { failure, work: done.work }),
            },
        }
    }

    /// The statement for the tables that there are now; fails if the transaction takes none.
    fn ready(
        &mut self,
        transaction: Option<Transaction>,
        statement: &Arc<Statement>,
    ) -> Result<Arc<Statement>> {
        if let Some(own) = transaction {
            let open = self.open.get(&own).ok_or_else(no_transaction)?;
            let may = matches!(statement.plan, Plan::RollbackTo(_) | Plan::Control(_));
            if open.failed && !may {
                let message =
                    "current transaction is aborted, commands ignored until end of transaction block";
                return Err(Failure::new(sqlstate::FAILED_TRANSACTION, message).hint("roll it back"));
            }
        }
        if statement.version == self.version { Ok(statement.clone()) } else { self.prepare(statement.text()) }
    }

    fn dispatch(
        &mut self,
        transaction: Option<Transaction>,
        statement: &Arc<Statement>,
        params: &[Value],
        call: Call,
    ) -> Outcome {
        let began = transaction.and_then(|own| self.open.get(&own)).map_or(call.now, |open| match open.of {
            Of::Waiting => call.now,
            Of::Block | Of::Alone => open.began,
        });
        {
            let mut state = self.shared.lock();
            (state.now, state.began, state.current) = (call.now, began, transaction);
            if let Some(own) = transaction {
                state.locks.wait_no_more(own);
            }
        }
        match &statement.plan {
            Plan::Run(run) => self.run(transaction, statement, run, params, call),
            Plan::Explain(_) => self.explain(transaction, statement),
            Plan::Ddl(ddl) => self.run_ddl(transaction, ddl, call),
            Plan::Truncate { tables, restart } => self.truncate(transaction, tables, *restart, call),
            Plan::Lock { tables, mode, nowait } => self.lock_tables(transaction, tables, *mode, *nowait),
            Plan::Savepoint(_) | Plan::Release(_) | Plan::RollbackTo(_) => {
                match self.savepoint(transaction, &statement.plan) {
                    Ok(()) => nothing(Work::default()),
                    Err(failure) => self.failed(transaction, failure, Work::default()),
                }
            }
            Plan::Nothing => nothing(Work::default()),
            Plan::Control(control) => {
                let (word, function) = match control {
                    Control::Begin => ("BEGIN", "begin"),
                    Control::Commit => ("COMMIT", "commit"),
                    Control::Rollback => ("ROLLBACK", "rollback"),
                };
                let failure = Failure::unsupported(
                    format!("{word} as a statement"),
                    format!("use the function `{function}`"),
                );
                Outcome::Failed(Failed { failure, work: Work::default() })
            }
        }
    }

    fn run(
        &mut self,
        transaction: Option<Transaction>,
        statement: &Statement,
        run: &Run,
        params: &[Value],
        call: Call,
    ) -> Outcome {
        let values = match converted(params, &run.params, &run.limits) {
            Ok(values) => values,
            Err(failure) => return self.failed(transaction, failure, Work::default()),
        };
        let tables: Vec<(u32, TableMode)> =
            run.tables.iter().filter_map(|(name, mode)| Some((self.number(name)?, *mode))).collect();
        if let Some(blocked) = self.blocked_at_tables(transaction, &tables) {
            return blocked;
        }
        let has_images =
            transaction.and_then(|own| self.open.get(&own)).is_some_and(|open| !open.images.is_empty());
        let others = self.shared.lock().locks.held_by_others(transaction);
        let wanted = transaction.filter(|_| has_images || run.writes);
        // A statement alone needs a transaction of SQLite only if others may be in its way, if it may fail
        // late, or if it has several parts, of which all are done or none.
        let strikes_once = run.all().any(|part| part.strikes_once);
        let has_parts = !run.parts.is_empty();
        let scratch = transaction.is_none() && run.writes && (others || strikes_once || has_parts);
        // Others may be in its way, or it has to run again; what the transaction wrote before stays.
        let mark = wanted.is_some() && run.writes && (others || has_images && !run.inserts_one);
        self.moved = 0;
        let watching = run.writes && (transaction.is_some() || others || strikes_once);
        let undo = Undo { scratch, mark };
        let attempt = Attempt { statement, run, values: &values, call, watching, wanted, has_images, undo };
        if let Err(failure) = self.stand_ready(&attempt) {
            return self.failed(transaction, failure, Work::default());
        }
        let (mut work, result) = self.run_by_lengths(&attempt);
        // The part that failed, if one did.
        let part = std::mem::take(&mut self.shared.lock().kept).len();
        work.effort = work.effort.saturating_add(self.moved.saturating_mul(STEPS_PER_MOVED_ROW));
        let result = result.and_then(|rows| self.touched(transaction, run, rows, others));
        match result {
            Err(failure) => {
                let changed = run.all().nth(part).and_then(Run::changed);
                self.after_failure(transaction, changed, failure, work, undo)
            }
            Ok((rows, touched)) => {
                if others && let Some(outcome) = self.in_the_way(transaction, run, &touched, work, undo) {
                    return outcome;
                }
                self.finish(transaction, statement, rows, touched, work, undo)
            }
        }
    }

    /// What of a result its reader gets, and what has to be locked for it.
    fn touched(
        &self,
        transaction: Option<Transaction>,
        run: &Run,
        mut rows: Rows,
        others: bool,
    ) -> Result<(Rows, Touched)> {
        let mut locked = hidden_rows(run, &mut rows.rows);
        let mut wrote = {
            let mut state = self.shared.lock();
            locked.append(&mut state.locked);
            std::mem::take(&mut state.wrote)
        };
        wrote.sort_unstable();
        let once = run.all().filter(|part| part.strikes_once);
        let once: Vec<u32> = once.filter_map(|part| self.number(part.changed()?)).collect();
        let is_twice = |pair: &[Written]| {
            let [a, b] = [pair[0], pair[1]];
            (a.table, a.rowid) == (b.table, b.rowid) && once.contains(&a.table)
        };
        if wrote.windows(2).any(is_twice) {
            let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
            let hint = "ensure that no rows of one INSERT have the same key";
            return Err(Failure::new(sqlstate::CARDINALITY, message).hint(hint));
        }
        wrote.dedup_by_key(|written| (written.table, written.rowid));
        let mut keys = Vec::new();
        if transaction.is_some() || others {
            let strength = |written: &Written| self.strength(run, written.table);
            locked.extend(wrote.iter().map(|row| ((row.table, row.rowid), strength(row))));
            let strong = wrote.iter().filter(|row| strength(row) == Strength::Update);
            self.keys(strong, &mut keys)?;
            self.parents(&wrote, &mut locked)?;
        }
        Ok((rows, Touched { rows: locked, keys, wrote }))
    }

    /// How strongly a statement locks the rows of a table that it has written.
    fn strength(&self, run: &Run, table: u32) -> Strength {
        if run.parts.is_empty() {
            return run.strength;
        }
        let of = |part: &&Run| part.changed().and_then(|name| self.number(name)) == Some(table);
        let own = run.all().filter(of).map(|part| part.strength).max();
        // Rows that an action of a reference has written.
        own.or_else(|| run.all().map(|part| part.strength).max()).unwrap_or(run.strength)
    }

    fn after_failure(
        &mut self,
        transaction: Option<Transaction>,
        changed: Option<&str>,
        failure: Failure,
        work: Work,
        undo: Undo,
    ) -> Outcome {
        let undone = self.undo(transaction, undo);
        let by = match failure::table_of(&failure, &self.catalogue).and_then(|table| self.number(&table)) {
            // The key may be free when the other transaction ends.
            Some(table) if failure.sqlstate == sqlstate::UNIQUE => {
                self.shared.lock().locks.freed_by_others(transaction, table)
            }
            _ => Vec::new(),
        };
        match undone {
            Ok(()) if !by.is_empty() => self.blocked(transaction, by, work),
            _ => {
                let failure = failure::named(failure, &self.catalogue, changed);
                self.failed(transaction, failure, work)
            }
        }
    }

    /// Takes the locks, and gives the result.
    fn finish(
        &mut self,
        transaction: Option<Transaction>,
        statement: &Statement,
        rows: Rows,
        touched: Touched,
        work: Work,
        undo: Undo,
    ) -> Outcome {
        if undo.scratch
            && let Err(failure) = self.engine.commit()
        {
            let _ = self.engine.rollback();
            return self.failed(transaction, failure, work);
        }
        if undo.mark
            && let Err(failure) = self.engine.unmark()
        {
            return self.failed(transaction, failure, work);
        }
        if let Some(own) = transaction {
            let mut state = self.shared.lock();
            let count = state.locks.count() + touched.rows.len() + touched.keys.len();
            if count > self.bounds.locks {
                drop(state);
                let message =
                    format!("the open transactions would lock more than {} rows and keys", self.bounds.locks);
                let failure =
                    Failure::new(sqlstate::LIMIT, message).hint("change fewer rows in one transaction");
                return self.failed(transaction, failure, work);
            }
            for (row, strength) in &touched.rows {
                state.locks.lock_row(own, *row, *strength);
            }
            for key in touched.keys {
                state.locks.lock_key(own, key);
            }
            let Some(open) = self.open.get_mut(&own) else { return nothing(work) };
            for written in &touched.wrote {
                open.images.wrote((written.table, written.rowid));
                if written.was_there {
                    state.locks.free_keys(own, written.table);
                }
            }
        }
        let columns = statement.columns.get().cloned().unwrap_or_else(|| Arc::from([]));
        let reads = !statement.writes() || statement.has_parts() && statement.class() == Class::Select;
        let affected = if reads { rows.rows.len() as u64 } else { rows.changed };
        let rows = typed(rows.rows, &columns);
        Outcome::Done(Done { columns, rows, affected, work })
    }

    pub(super) fn number(&self, table: &str) -> Option<u32> {
        self.catalogue.tables.get(table).map(|table| table.number as u32)
    }

    fn failed(&mut self, transaction: Option<Transaction>, failure: Failure, work: Work) -> Outcome {
        if let Some(own) = transaction {
            self.fail(own);
        }
        Outcome::Failed(Failed { failure, work })
    }

    fn blocked(&mut self, transaction: Option<Transaction>, by: Vec<Transaction>, work: Work) -> Outcome {
        match self.waiting(transaction) {
            Ok(own) => {
                self.shared.lock().locks.wait(own, by.clone());
                Outcome::Blocked(Blocked { by, transaction: own, work })
            }
            Err(failure) => self.failed(transaction, failure, work),
        }
    }

    /// The transaction that waits: a statement alone gets one of its own.
    fn waiting(&mut self, transaction: Option<Transaction>) -> Result<Transaction> {
        if let Some(own) = transaction {
            return Ok(own);
        }
        let now = self.shared.lock().now;
        self.begin_for(Of::Waiting, now)
    }
}

/// How the changes of a statement that must not stay are taken back.
#[derive(Clone, Copy)]
struct Undo {
    /// It has a transaction of SQLite of its own.
    scratch: bool,
    /// It stands behind a mark.
    mark: bool,
}

/// Takes the columns off the rows of a result that say which rows it locks.
fn hidden_rows(run: &Run, rows: &mut [Vec<Value>]) -> Vec<(Row, Strength)> {
    let Some(lock) = &run.row_lock else { return Vec::new() };
    let mut locked = Vec::new();
    for row in rows {
        let hidden = row.split_off(row.len() - lock.tables.len());
        for (table, rowid) in lock.tables.iter().zip(hidden) {
            if let Value::Int(rowid) = rowid {
                locked.push(((*table as u32, rowid), lock.strength));
            }
        }
    }
    locked
}

fn nothing(work: Work) -> Outcome {
    Outcome::Done(Done { columns: Arc::from([]), rows: Vec::new(), affected: 0, work })
}

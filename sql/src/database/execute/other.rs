//! Statements that are no queries and change no rows one by one.

use std::sync::Arc;

use super::{Outcome, nothing};
use crate::bounds::STEPS_PER_SCHEMA_BYTE;
use crate::database::{Call, Database, Done, Savepoint, no_transaction};
use crate::engine::Work;
use crate::error::{Failure, Result, sqlstate};
use crate::failure;
use crate::lock::{TableMode, Transaction};
use crate::state::Allowance;
use crate::statement::{Column, Statement};
use crate::translate::{Ddl, Plan, quoted};
use crate::types::Type;
use crate::value::Value;

impl Database {
    pub(super) fn explain(&mut self, transaction: Option<Transaction>, statement: &Statement) -> Outcome {
        match self.plan(statement) {
            Ok(lines) => {
                let columns: Arc<[Column]> =
                    Arc::from([Column { name: "QUERY PLAN".to_owned(), kind: Type::Text }]);
                let rows: Vec<Vec<Value>> = lines.into_iter().map(|line| vec![Value::Text(line)]).collect();
                Outcome::Done(Done { columns, affected: rows.len() as u64, rows, work: Work::default() })
            }
            Err(failure) => self.failed(transaction, failure, Work::default()),
        }
    }

    pub(super) fn run_ddl(&mut self, transaction: Option<Transaction>, ddl: &Ddl, call: Call) -> Outcome {
        if !self.is_alone(transaction) {
            let failure =
                Failure::unsupported("a change of the schema in a transaction", "run it outside of one");
            return self.failed(transaction, failure, Work::default());
        }
        let tables: Vec<(u32, TableMode)> =
            ddl.tables.iter().filter_map(|(name, mode)| Some((self.number(name)?, *mode))).collect();
        if let Some(blocked) = self.blocked_at_tables(transaction, &tables) {
            return blocked;
        }
        let mut work = Work::default();
        let changed = self.enter(None).and_then(|()| {
            self.engine.begin()?;
            ddl.statements.iter().try_for_each(|sql| self.counted(sql, call, &mut work))?;
            if ddl.statements.iter().any(|sql| sql.starts_with("ALTER ")) {
                work.effort += self.engine.schema_bytes()?.saturating_mul(STEPS_PER_SCHEMA_BYTE);
            }
            self.engine.commit()
        });
        match changed {
            Ok(()) => {
                ddl.changes.iter().cloned().for_each(|change| self.apply(change));
                self.schema_changed();
                nothing(work)
            }
            Err(failure) => {
                let _ = self.engine.rollback();
                self.failed(transaction, failure::named(failure, &self.catalogue, None), work)
            }
        }
    }

    /// Runs a statement without a result, and adds what it took.
    fn counted(&self, sql: &str, call: Call, work: &mut Work) -> Result<()> {
        let mut prepared = self.engine.prepare(sql)?;
        // It reads each row once: of what its steps may count, the bytes of the database are the bound.
        self.shared.limit(Allowance {
            steps: call.steps.unwrap_or(u64::MAX),
            effort: self.bounds.steps,
            weight: 1,
            interrupt: self.interrupt.clone(),
        });
        let (took, result) = self.engine.run(&mut prepared, &[], &self.bounds, self.bounds.value_bytes);
        let charged = self.shared.lift();
        work.steps += took.steps;
        work.effort += took.steps + charged;
        work.scanned += took.scanned;
        work.sorts += took.sorts;
        result.map(|_| ())
    }

    pub(super) fn truncate(
        &mut self,
        transaction: Option<Transaction>,
        tables: &[String],
        restart: bool,
        call: Call,
    ) -> Outcome {
        let numbers: Vec<(u32, TableMode)> =
            tables.iter().filter_map(|name| Some((self.number(name)?, TableMode::AccessExclusive))).collect();
        if let Some(blocked) = self.blocked_at_tables(transaction, &numbers) {
            return blocked;
        }
        let mut work = Work::default();
        // Outside of transactions nothing has to be undone later, however many rows there are.
        let within = transaction.filter(|_| !self.is_alone(transaction));
        let emptied = self.enter(within).and_then(|()| self.empty_tables(within, tables, call, &mut work));
        if let Err(failure) = emptied {
            if within.is_none() {
                let _ = self.engine.rollback();
            }
            return self.failed(transaction, failure, work);
        }
        if restart {
            let mut state = self.shared.lock();
            let of = tables.iter().filter_map(|name| self.catalogue.tables.get(name));
            for sequence in of.flat_map(|table| table.columns.iter().filter_map(|column| column.sequence)) {
                if let Some(sequence) = state.sequences.get_mut(sequence) {
                    (sequence.next, sequence.last) = (sequence.start, None);
                }
            }
        }
        nothing(work)
    }

    fn empty_tables(
        &mut self,
        transaction: Option<Transaction>,
        tables: &[String],
        call: Call,
        work: &mut Work,
    ) -> Result<()> {
        if transaction.is_none() {
            self.engine.begin()?;
        }
        {
            let mut state = self.shared.lock();
            state.watching = transaction.is_some();
            state.wrote.clear();
        }
        // All tables that refer to one of them are among them.
        self.engine.check_references(false)?;
        let emptied = tables.iter().try_for_each(|name| {
            self.counted(&format!("DELETE FROM {} WHERE TRUE", quoted(name)), call, work)
        });
        self.engine.check_references(true)?;
        let wrote = {
            let mut state = self.shared.lock();
            state.watching = false;
            std::mem::take(&mut state.wrote)
        };
        emptied?;
        match transaction.and_then(|own| self.open.get_mut(&own)) {
            None => self.engine.commit(),
            Some(open) => {
                if open.images.len() + wrote.len() > self.bounds.locks {
                    let message = format!("a transaction would change more than {} rows", self.bounds.locks);
                    return Err(
                        Failure::new(sqlstate::LIMIT, message).hint("run TRUNCATE outside of a transaction")
                    );
                }
                wrote.iter().for_each(|written| open.images.wrote((written.table, written.rowid)));
                Ok(())
            }
        }
    }

    pub(super) fn savepoint(&mut self, transaction: Option<Transaction>, plan: &Plan) -> Result<()> {
        let own = transaction.ok_or_else(|| no_transaction().hint("SAVEPOINT needs a transaction"))?;
        if let Plan::Savepoint(name) = plan {
            if self.resident == Some(own) {
                self.capture(own)?;
            }
            let most = self.bounds.savepoints;
            let held = self.shared.lock().locks.mark(own);
            let open = self.open.get_mut(&own).ok_or_else(no_transaction)?;
            if open.savepoints.len() >= most {
                let message = format!("a transaction has at most {most} savepoints");
                return Err(Failure::new(sqlstate::LIMIT, message).hint("release some"));
            }
            open.savepoints.push(Savepoint { name: name.clone(), images: open.images.clone(), held });
            return Ok(());
        }
        let (Plan::Release(name) | Plan::RollbackTo(name)) = plan else { return Ok(()) };
        let open = self.open.get_mut(&own).ok_or_else(no_transaction)?;
        let at = open.savepoints.iter().rposition(|savepoint| savepoint.name == *name).ok_or_else(|| {
            Failure::new(sqlstate::INVALID_SAVEPOINT, format!("savepoint \"{name}\" does not exist"))
                .hint("set it by SAVEPOINT in this transaction; RELEASE and ROLLBACK TO end those behind it")
        })?;
        if matches!(plan, Plan::Release(_)) {
            open.savepoints.truncate(at);
            return Ok(());
        }
        open.savepoints.truncate(at + 1);
        open.images = open.savepoints[at].images.clone();
        open.failed = false;
        self.shared.lock().locks.release_since(own, &open.savepoints[at].held);
        if self.resident == Some(own) {
            self.resident = None;
            self.engine.rollback()?;
        }
        Ok(())
    }
}

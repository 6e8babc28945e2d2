//! A statement at SQLite, which runs again when its steps have to count in another way.

use super::Undo;
use super::length::Length;
use super::values::described;
use crate::bounds::STEPS_PER_LOOK;
use crate::database::{Call, Database};
use crate::engine::{Rows, Work};
use crate::error::{Failure, Result, sqlstate};
use crate::failure;
use crate::lock::Transaction;
use crate::state::Allowance;
use crate::statement::Statement;
use crate::translate::{First, Run};
use crate::value::Value;

/// A statement with all that it needs to run.
pub(super) struct Attempt<'a> {
    pub statement: &'a Statement,
    pub run: &'a Run,
    pub values: &'a [Value],
    pub call: Call,
    /// Written rows are noted.
    pub watching: bool,
    /// The transaction whose changes SQLite has meanwhile.
    pub wanted: Option<Transaction>,
    pub undo: Undo,
}

/// What one run of it came to.
struct Once {
    work: Work,
    result: Result<Rows>,
    /// Bytes of the longest value that a function has made.
    longest: usize,
    /// It was ended because it could hold too much.
    is_full: bool,
}

impl Database {
    /// Runs a statement; again, as if it had not run, when it meets a value that is longer than those for
    /// which its steps are counted, and when it could hold too much if its rows are no shorter.
    pub(super) fn run_by_lengths(&mut self, attempt: &Attempt<'_>) -> (Work, Result<Rows>) {
        let drawn = self.shared.lock().drawn(attempt.run.writes);
        let mut length = Length::of(attempt.values, &self.bounds);
        // SQLite ends the transaction of a change that it has to stop: after earlier changes none is stopped
        // to run again. Of others the plan is looked at when it matters.
        let is_final = attempt.undo.mark;
        let is_known = is_final || attempt.statement.loops.get().is_some();
        let mut holds = !is_known || self.holds(attempt, length);
        let mut before = 0;
        loop {
            let Once { work, result, longest, is_full } = self.run_once(attempt, length, holds, before);
            let is_too_long = result.as_ref().is_err_and(failure::is_too_long);
            let next = if is_full {
                holds = self.holds(attempt, length);
                if holds { length.shorter().filter(|_| !is_final) } else { Some(length) }
            } else if is_too_long && length.is_short() {
                // With the rows that it has, it could hold too much.
                None
            } else if is_too_long && let Some(longer) = length.next(longest, &self.bounds) {
                Some(longer)
            } else {
                return (work, result);
            };
            let Some(next) = next else { return (work, Err(failure::out_of_memory())) };
            // What it took to find out that it holds nothing is not counted.
            before = if is_full && !holds { before } else { work.effort };
            length = next;
            if attempt.statement.loops.get().is_some() {
                holds = self.holds(attempt, length);
            }
            self.shared.lock().draw_again(&drawn);
            if let Err(failure) = self.rewind(attempt) {
                return (work, Err(failure));
            }
        }
    }

    /// Whether a statement holds more rows of this length with each of its steps.
    fn holds(&self, attempt: &Attempt<'_>, length: Length) -> bool {
        let Attempt { statement, run, values, .. } = *attempt;
        let number = |first: &First| match first {
            First::Number(number) => Some(*number),
            First::Parameter(at) => match values.get(*at) {
                Some(Value::Int(number)) => u64::try_from(*number).ok(),
                _ => None,
            },
        };
        let first = run.first.as_ref().and_then(|first| first.iter().map(number).sum::<Option<u64>>());
        let keeps_few = first.is_some_and(|rows| length.may_hold(rows, &self.bounds));
        self.plan(statement).map_or(true, |loops| holds_rows(&loops, keeps_few))
    }

    fn run_once(&mut self, attempt: &Attempt<'_>, length: Length, holds: bool, before: u64) -> Once {
        let Attempt { statement, run, values, call, .. } = *attempt;
        {
            let mut state = self.shared.lock();
            state.watching = attempt.watching;
            state.wrote.clear();
        }
        let weight = length.weight();
        let allowed = call.steps.unwrap_or(u64::MAX);
        let held = if holds { length.held_steps(&self.bounds) } else { u64::MAX };
        let effort = self.bounds.steps.saturating_sub(before);
        let interrupt = self.interrupt.clone();
        self.shared.limit(Allowance { steps: allowed.min(held), effort, weight, interrupt });
        let (mut work, result) = match self.engine.prepare(&run.sql) {
            Ok(mut prepared) => {
                let columns = || described(&prepared, run, &self.catalogue);
                statement.columns.get_or_init(columns);
                self.engine.run(&mut prepared, values, &self.bounds, length.bytes)
            }
            Err(failure) => (Work::default(), Err(failure)),
        };
        let longest = self.shared.longest();
        let spent = work.steps.saturating_mul(weight).saturating_add(self.shared.lift());
        work.effort = before.saturating_add(spent);
        self.shared.lock().watching = false;
        let is_canceled = |failure: &Failure| failure.sqlstate == sqlstate::QUERY_CANCELED;
        let is_full = held < allowed
            && work.steps.saturating_add(STEPS_PER_LOOK as u64) > held
            && spent < effort
            && !self.interrupt.as_ref().is_some_and(|interrupt| interrupt.is_set())
            && result.as_ref().is_err_and(is_canceled);
        Once { work, result, longest, is_full }
    }

    /// Takes back what a statement has done that runs again.
    fn rewind(&mut self, attempt: &Attempt<'_>) -> Result<()> {
        let Attempt { wanted, undo, .. } = *attempt;
        self.undo(wanted, undo)?;
        if undo.mark {
            return self.engine.mark();
        }
        if undo.scratch {
            return self.engine.begin();
        }
        // The transaction has changed nothing before. Outside of one SQLite has undone it.
        if attempt.run.writes && wanted.is_some() {
            self.resident = None;
            self.engine.rollback()?;
            self.enter(wanted)?;
        }
        Ok(())
    }
}

/// Whether a plan has temporary results, other than the numbers of `generate_series`, and the sorted result
/// if of that few rows are kept.
fn holds_rows(loops: &[String], keeps_few: bool) -> bool {
    let is_result = |line: &str| line.starts_with("USE TEMP B-TREE FOR") && line.ends_with("ORDER BY");
    let others = loops.iter().filter(|line| !(keeps_few && is_result(line)));
    others.map(|line| line.trim_start()).any(|line| {
        let apart = line.strip_prefix("CO-ROUTINE ").or_else(|| line.strip_prefix("MATERIALIZE "));
        apart.is_some_and(|name| name != "pg_series")
            || ["TEMP B-TREE", "LIST SUBQUERY", "AUTOMATIC"].iter().any(|part| line.contains(part))
    })
}

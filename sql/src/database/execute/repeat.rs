//! A statement at SQLite, which runs again when its steps have to count in another way.

use super::length::Length;
use super::values::described;
use super::{Undo, hidden_rows};
use crate::bounds::{STEPS_PER_HELD_ROW, STEPS_PER_LOOK};
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
    /// That of the statement has changed rows before.
    pub has_images: bool,
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
    /// Gives SQLite what a statement needs to run, and to be taken back.
    pub(super) fn stand_ready(&mut self, attempt: &Attempt<'_>) -> Result<()> {
        let Attempt { run, wanted, has_images, undo, .. } = *attempt;
        self.enter(wanted)?;
        // SQLite ends the transaction of a change that it has to stop: what was changed before is kept if the
        // change may have to run again then.
        if let Some(own) = wanted
            && run.writes
            && has_images
        {
            let length = Length::of(attempt.values, &self.bounds);
            if self.may_hold(attempt, length) {
                self.capture(own)?;
            }
        }
        if undo.mark {
            self.engine.mark()?;
        }
        if undo.scratch { self.engine.begin() } else { Ok(()) }
    }

    /// Runs a statement; again, as if it had not run, when it meets a value that is longer than those for
    /// which its steps are counted, and once when it could hold too much by what is known of any statement.
    pub(super) fn run_by_lengths(&mut self, attempt: &Attempt<'_>) -> (Work, Result<Rows>) {
        self.shared.lock().draws(attempt.run.writes);
        let mut length = Length::of(attempt.values, &self.bounds);
        // A plan and a program that are not known are looked at when it matters.
        let mut holds = attempt.statement.loops.get().is_none() || self.holds(attempt, length);
        let mut steps_per_row = STEPS_PER_HELD_ROW;
        let mut is_looked_at = false;
        let mut before = 0;
        loop {
            let held = if holds { length.held_steps(steps_per_row, &self.bounds) } else { u64::MAX };
            let Once { work, result, longest, is_full } = self.run_once(attempt, length, held, before);
            let is_too_long = result.as_ref().is_err_and(failure::is_too_long);
            let is_first_look = is_full && !is_looked_at;
            let next = if is_first_look {
                is_looked_at = true;
                let known = self.steps_per_row(attempt.statement, attempt.run);
                steps_per_row = known.unwrap_or(STEPS_PER_HELD_ROW);
                Some(if self.holds(attempt, length) { length.shortest() } else { length })
            } else if is_too_long && length.is_short() {
                Some(length.next_short())
            } else if is_too_long {
                length.next(longest, &self.bounds)
            } else {
                None
            };
            let Some(next) = next else {
                let too_much = || failure::holds_too_much(self.bounds.held_bytes);
                return (work, if is_full { Err(too_much()) } else { result });
            };
            // What it took to find out how many steps a row takes is not counted.
            before = if is_first_look { before } else { work.effort };
            length = next;
            if is_looked_at || attempt.statement.loops.get().is_some() {
                holds = self.holds(attempt, length);
            }
            self.shared.lock().draws_again(attempt.run.writes);
            if let Err(failure) = self.rewind(attempt) {
                return (work, Err(failure));
            }
        }
    }

    /// Whether a statement holds more rows of this length the longer it runs, by its plan and its program.
    fn holds(&self, attempt: &Attempt<'_>, length: Length) -> bool {
        attempt.statement.steps_per_row.get() != Some(&None) && self.may_hold(attempt, length)
    }

    /// The same by its plan alone.
    fn may_hold(&self, attempt: &Attempt<'_>, length: Length) -> bool {
        self.temporary(attempt.statement).map_or(true, |temporary| {
            temporary.others || temporary.sorted && !self.keeps_few(attempt, length)
        })
    }

    /// Whether of a sorted result no more rows are kept than a statement may hold.
    fn keeps_few(&self, attempt: &Attempt<'_>, length: Length) -> bool {
        let Attempt { run, values, .. } = *attempt;
        let number = |first: &First| match first {
            First::Number(number) => Some(*number),
            First::Parameter(at) => match values.get(*at) {
                Some(Value::Int(number)) => u64::try_from(*number).ok(),
                _ => None,
            },
        };
        let first = run.first.as_ref().and_then(|first| first.iter().map(number).sum::<Option<u64>>());
        first.is_some_and(|rows| length.may_hold(rows, &self.bounds))
    }

    fn run_once(&mut self, attempt: &Attempt<'_>, length: Length, held: u64, before: u64) -> Once {
        let Attempt { statement, run, values, call, .. } = *attempt;
        {
            let mut state = self.shared.lock();
            state.watching = attempt.watching;
            state.wrote.clear();
            state.kept.clear();
            state.locked.clear();
        }
        let weight = length.weight();
        let allowed = call.steps.unwrap_or(u64::MAX);
        let effort = self.bounds.steps.saturating_sub(before);
        let interrupt = self.interrupt.clone();
        self.shared.limit(Allowance { steps: allowed.min(held), effort, weight, interrupt });
        let (mut work, parts) = self.run_parts(attempt, length);
        let result = parts.and_then(|()| {
            let mut prepared = self.engine.prepare(&run.sql)?;
            let columns = || described(&prepared, run, &self.catalogue);
            statement.columns.get_or_init(columns);
            let (last, result) = self.engine.run(&mut prepared, values, &self.bounds, length.bytes);
            work = work.and(last);
            result
        });
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

    /// Runs what the WITH of a statement has to run before it, and keeps the rows that this gives.
    fn run_parts(&self, attempt: &Attempt<'_>, length: Length) -> (Work, Result<()>) {
        let (mut work, mut bytes, mut count) = (Work::default(), 0, 0);
        for part in &attempt.run.parts {
            let mut prepared = match self.engine.prepare(&part.sql) {
                Ok(prepared) => prepared,
                Err(failure) => return (work, Err(failure)),
            };
            let (own, result) = self.engine.run(&mut prepared, attempt.values, &self.bounds, length.bytes);
            work = work.and(own);
            let mut rows = match result {
                Ok(rows) => rows.rows,
                Err(failure) => return (work, Err(failure)),
            };
            let locked = hidden_rows(part, &mut rows);
            bytes += rows.iter().flatten().map(Value::weight).sum::<usize>();
            count += rows.len();
            let (most_bytes, most_rows) = (self.bounds.result_bytes, self.bounds.rows);
            if bytes > most_bytes || count > most_rows {
                let (most, what, hint) = if bytes > most_bytes {
                    (most_bytes, "bytes", "change fewer rows, or return fewer columns")
                } else {
                    (most_rows, "rows", "change fewer rows, or use several statements")
                };
                let message = format!("a WITH keeps more than {most} {what}");
                return (work, Err(Failure::new(sqlstate::LIMIT, message).hint(hint)));
            }
            let mut state = self.shared.lock();
            state.kept.push(rows);
            state.locked.extend(locked);
        }
        (work, Ok(()))
    }

    /// Takes back what a statement has done that runs again.
    fn rewind(&mut self, attempt: &Attempt<'_>) -> Result<()> {
        let Attempt { run, wanted, has_images, undo, .. } = *attempt;
        if undo.mark && self.engine.is_open() {
            self.engine.undo()?;
            return self.engine.mark();
        }
        // One row was too long to be inserted behind other changes.
        if run.inserts_one && has_images && self.engine.is_open() {
            return Ok(());
        }
        if undo.scratch {
            self.engine.rollback()?;
            return self.engine.begin();
        }
        // The transaction has changed nothing before, or that is kept. Outside of one SQLite has undone it.
        if run.writes && wanted.is_some() {
            self.resident = None;
            self.engine.rollback()?;
            self.enter(wanted)?;
            if undo.mark {
                self.engine.mark()?;
            }
        }
        Ok(())
    }
}

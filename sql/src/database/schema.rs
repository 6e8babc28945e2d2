//! The schema: run at the beginning, changed by statements, looked at by tools.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{Call, Database, Outcome};
use crate::error::{Failure, Place, Problem, Result, sqlstate};
use crate::place;
use crate::state::Sequence;
use crate::statement::{Class, Column, Statement};
use crate::text;
use crate::translate::{Change, Control, quoted};
use crate::value::Value;

/// Problems of a schema that are reported.
const PROBLEMS: usize = 20;

/// A table, as a tool shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    pub name: String,
    pub columns: Vec<Column>,
    /// Rows that are committed.
    pub rows: u64,
}

/// An index, as a tool shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexInfo {
    pub name: String,
    pub table: String,
    pub unique: bool,
    /// It belongs to PRIMARY KEY or UNIQUE.
    pub constraint: bool,
    /// Columns and expressions, as SQLite reads them.
    pub keys: Vec<String>,
}

impl Database {
    /// Runs the statements of a schema, and gives what is wrong with them.
    pub(super) fn run_schema(&mut self, schema: &str, now: i64) -> Vec<Problem> {
        let start = Place { line: 1, column: 1 };
        if schema.len() > self.bounds.schema_bytes {
            let message =
                format!("a schema of {} bytes is longer than {}", schema.len(), self.bounds.schema_bytes);
            let hint = "let `rows` of the topology make rows";
            return vec![Problem {
                place: start,
                failure: Failure::new(sqlstate::LIMIT, message).hint(hint),
            }];
        }
        let tokens = match text::tokens(schema) {
            Ok(tokens) => tokens,
            Err(failure) => return vec![Problem { place: failure.place.unwrap_or(start), failure }],
        };
        let mut problems: Vec<Problem> = Vec::new();
        // What follows from a statement that failed is not reported.
        let mut missing: Vec<String> = Vec::new();
        let mut steps = 0_u64;
        for part in tokens.split(|token| token.token == Token::SemiColon) {
            let Some(first) =
                part.iter().find(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF))
            else {
                continue;
            };
            let left = self.bounds.schema_steps.saturating_sub(steps);
            let (took, result) = self.run_part(part, now, left);
            steps = steps.saturating_add(took);
            let Err(mut failure) = result else { continue };
            let is_over = failure.sqlstate == sqlstate::QUERY_CANCELED && left <= self.bounds.steps;
            if is_over {
                failure = self.too_many_steps();
            }
            if failure.sqlstate.starts_with("42") {
                place::locate_in(&mut failure, part);
            }
            // Before its own name is added: a view that reads itself follows from nothing else.
            let follows = failure.sqlstate == sqlstate::UNDEFINED_TABLE
                && missing.iter().any(|name| failure.message.contains(&format!("\"{name}\"")));
            missing.extend(created(part));
            if follows {
                continue;
            }
            let begins =
                Place { line: first.span.start.line as usize, column: first.span.start.column as usize };
            problems.push(Problem { place: failure.place.unwrap_or(begins), failure });
            if is_over || problems.len() == PROBLEMS {
                break;
            }
        }
        problems
    }

    /// Runs a statement that may take this effort, and gives what it took.
    fn run_part(&mut self, part: &[TokenWithSpan], now: i64, left: u64) -> (u64, Result<()>) {
        let parsed = Statement::of_tokens(part.to_vec(), &self.catalogue, self.version, &self.bounds);
        let statement = match parsed {
            // All of a schema is one transaction already: nobody sees it before its end.
            Ok(statement)
                if matches!(statement.class(), Class::Control(Control::Begin | Control::Commit)) =>
            {
                return (0, Ok(()));
            }
            Ok(statement) => statement,
            Err(failure) => return (0, Err(failure)),
        };
        let most = self.bounds.steps;
        self.bounds.steps = most.min(left);
        let outcome = self.execute(None, &std::sync::Arc::new(statement), &[], Call::at(now));
        self.bounds.steps = most;
        let (work, result) = match outcome {
            Outcome::Done(done) => (done.work, Ok(())),
            Outcome::Failed(failed) => (failed.work, Err(failed.failure)),
            Outcome::Blocked(blocked) => {
                let message = "a statement of the schema waits for another";
                (blocked.work, Err(Failure::new(sqlstate::INTERNAL, message)))
            }
        };
        (work.effort, result)
    }

    fn too_many_steps(&self) -> Failure {
        let message = format!("the schema takes more than {} steps", self.bounds.schema_steps);
        Failure::new(sqlstate::LIMIT, message).hint("let `rows` of the topology make rows, or insert fewer")
    }

    /// Inserts rows, as `INSERT` would; gives how many.
    pub fn insert_rows(
        &mut self,
        table: &str,
        columns: &[&str],
        rows: impl Iterator<Item = Vec<Value>>,
        now: i64,
    ) -> Result<u64> {
        let names: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
        let places: Vec<String> = (1..=columns.len()).map(|at| format!("${at}")).collect();
        let sql =
            format!("INSERT INTO {} ({}) VALUES ({})", quoted(table), names.join(", "), places.join(", "));
        let statement = self.prepare(&sql)?;
        let mut count = 0;
        for row in rows {
            match self.execute(None, &statement, &row, Call::at(now)) {
                Outcome::Done(_) => count += 1,
                Outcome::Failed(failed) => return Err(failed.failure),
                Outcome::Blocked(blocked) => {
                    self.rollback(blocked.transaction)?;
                    let message = format!("the table {table} is locked");
                    return Err(Failure::new(sqlstate::LOCK_NOT_AVAILABLE, message)
                        .hint("insert before statements run"));
                }
            }
        }
        Ok(count)
    }

    /// All tables, by name.
    pub fn tables(&mut self) -> Result<Vec<TableInfo>> {
        self.enter(None)?;
        let info = |(name, table): (&String, &crate::catalogue::Table)| {
            let count = self.engine.row(&format!("SELECT count(*) FROM {}", quoted(name)), &[])?;
            let rows = match count.as_deref() {
                Some([rusqlite::types::Value::Integer(count)]) => u64::try_from(*count).unwrap_or(0),
                _ => 0,
            };
            let columns =
                table.columns.iter().map(|column| Column { name: column.name.clone(), kind: column.kind });
            Ok(TableInfo { name: name.clone(), columns: columns.collect(), rows })
        };
        self.catalogue.tables.iter().map(info).collect()
    }

    /// All indexes, by name; those that are dropped for a time are missing.
    pub fn indexes(&self) -> Vec<IndexInfo> {
        let info = |(name, index): (&String, &crate::catalogue::Index)| IndexInfo {
            name: name.clone(),
            table: index.table.clone(),
            unique: index.unique,
            constraint: index.constraint,
            keys: index.keys.iter().map(|key| key.trim_matches('"').to_owned()).collect(),
        };
        self.catalogue.indexes.iter().map(info).collect()
    }

    /// Statements have to be translated and prepared again.
    pub(super) fn schema_changed(&mut self) {
        self.version += 1;
        self.engine.forget();
    }

    /// Keeps what a statement has changed of the schema.
    pub(super) fn apply(&mut self, change: Change) {
        let mut state = self.shared.lock();
        let catalogue = &mut self.catalogue;
        match change {
            Change::Table(name, table) => {
                catalogue.numbers = table.number + 1;
                state.numbers.insert(name.clone(), table.number as u32);
                state.rowids.resize(table.number + 1, 0);
                catalogue.tables.insert(name, table);
            }
            Change::DropTable(name) => {
                let table = catalogue.tables.remove(&name);
                state.numbers.remove(&name);
                catalogue.indexes.retain(|_, index| index.table != name);
                let counting = table.map(|table| table.columns).unwrap_or_default();
                let numbers: Vec<usize> = counting.iter().filter_map(|column| column.sequence).collect();
                catalogue.sequences.retain(|_, number| !numbers.contains(number));
            }
            Change::RenameTable(old, new) => {
                if let Some(table) = catalogue.tables.remove(&old) {
                    state.numbers.remove(&old);
                    state.numbers.insert(new.clone(), table.number as u32);
                    catalogue.tables.insert(new.clone(), table);
                }
                catalogue.follow(&old, &new);
            }
            Change::AddColumn(table, column) => {
                if let Some(table) = catalogue.tables.get_mut(&table) {
                    table.columns.push(column);
                }
            }
            Change::DropColumn(table, column) => {
                if let Some(table) = catalogue.tables.get_mut(&table) {
                    table.columns.retain(|known| known.name != column);
                    table.rowid = table.columns.iter().position(|column| column.is_rowid);
                }
            }
            Change::RenameColumn(table, old, new) => catalogue.rename_column(&table, &old, &new),
            Change::Index(name, index) => {
                catalogue.indexes.insert(name, index);
            }
            Change::DropIndex(name) => {
                catalogue.indexes.remove(&name);
            }
            Change::View(name, view) => {
                catalogue.views.insert(name, view);
            }
            Change::DropView(name) => {
                catalogue.views.remove(&name);
            }
            Change::Sequence(name, start, step) => {
                catalogue.sequences.insert(name, catalogue.sequence_numbers);
                catalogue.sequence_numbers += 1;
                state.sequences.push(Sequence { next: start, start, step, last: None });
            }
            Change::DropSequence(name) => {
                catalogue.sequences.remove(&name);
            }
        }
        state.forget_last();
    }
}

/// The name of the table that a statement would have created.
fn created(part: &[TokenWithSpan]) -> Option<String> {
    let summary = text::summary(part);
    let mut words = summary.split(' ');
    match (words.next(), words.next()) {
        (Some(create), Some(_)) if create.eq_ignore_ascii_case("create") => {
            words.next().map(str::to_lowercase)
        }
        _ => None,
    }
}

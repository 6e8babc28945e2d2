//! Databases of a topology, opened: SQLite with PostgreSQL's words, from the crate `simhost-sql`.

use std::path::Path;
use std::sync::Arc;

use simhost_sql::{Bounds, Database, Failure, Options, Place as SqlPlace, Value};

use crate::error::{Problem, SourceText, quote};
use crate::files::{self, Unreadable};
use crate::model::{self, Cell, CellPart, Model, Nanos, TableRows};
use crate::rng::{Key, Purpose};

/// Rows of each table that are tried before a run. Two show whether a value has to differ.
const TRIED: u64 = 2;

/// Opens a database of a topology, with all of its rows. `now` is the time at which they are made.
///
/// # Errors
/// Everything that is wrong with the schema, or with rows that the topology adds.
pub fn open(model: &Model, database: &model::Database, now: Nanos) -> Result<Database, Vec<Problem>> {
    filled(model, database, now, u64::MAX)
}

/// What is wrong with the databases of a topology.
pub fn problems(model: &Model, now: Nanos) -> Vec<Problem> {
    let opened = model.databases.iter().map(|database| filled(model, database, now, TRIED));
    opened.filter_map(Result::err).flatten().collect()
}

fn filled(
    model: &Model,
    database: &model::Database,
    now: Nanos,
    rows_at_most: u64,
) -> Result<Database, Vec<Problem>> {
    let bounds = Bounds::default();
    let text = text(database, &bounds).map_err(|problem| vec![problem])?;
    let seed = Key::new(model.root(), Purpose::Database).with_name(&database.name).draw();
    let now = i64::try_from(now / 1_000).unwrap_or(i64::MAX);
    let options = Options { seed, now, bounds };
    let mut opened = Database::open(&text, options).map_err(|problems| {
        let source = Arc::new(SourceText { name: database.schema.display().to_string(), text: text.clone() });
        problems
            .into_iter()
            .map(|problem| in_schema(&problem.failure, problem.place, &source))
            .collect::<Vec<_>>()
    })?;
    let wrong: Vec<Problem> =
        database.rows.iter().filter_map(|rows| fill(&mut opened, rows, now, rows_at_most).err()).collect();
    if wrong.is_empty() { Ok(opened) } else { Err(wrong) }
}

/// The text of the schema.
fn text(database: &model::Database, bounds: &Bounds) -> Result<String, Problem> {
    let name = quote(&database.schema.display().to_string());
    let problem = |message: String, help: &str| {
        Problem::new(message).at(database.schema_place.clone(), "this file").help(help)
    };
    let bytes = match read(&database.schema, bounds) {
        Ok(bytes) => bytes,
        Err(Unreadable::TooLarge(most)) => {
            let help = "let `rows` make the rows";
            return Err(problem(format!("{name} is larger than {} MiB", most >> 20), help));
        }
        Err(reason) => {
            let help = "check the path; it begins at the topology's folder";
            return Err(problem(format!("cannot read {name}: {reason}"), help));
        }
    };
    String::from_utf8(bytes).map_err(|_| problem(format!("{name} is not UTF-8 text"), "save it as UTF-8"))
}

fn read(path: &Path, bounds: &Bounds) -> Result<Vec<u8>, Unreadable> {
    files::read(path, bounds.schema_bytes as u64)
}

/// A problem of a schema, at its place in the file.
fn in_schema(failure: &Failure, place: SqlPlace, source: &Arc<SourceText>) -> Problem {
    let line =
        source.text.split_inclusive('\n').take(place.line.saturating_sub(1)).map(str::len).sum::<usize>();
    let rest = source.text.get(line..).unwrap_or_default();
    let start = line + rest.char_indices().nth(place.column.saturating_sub(1)).map_or(0, |(at, _)| at);
    let behind = source.text.get(start..).unwrap_or_default();
    let word = behind.find(|c: char| c.is_whitespace() || ",;()".contains(c)).unwrap_or(behind.len());
    let mut problem = said(failure).at(start..start + word.max(1).min(behind.len()), "here");
    problem.source = Some(Arc::clone(source));
    problem
}

fn said(failure: &Failure) -> Problem {
    let problem = Problem::new(format!("{} (SQLSTATE {})", failure.message, failure.sqlstate));
    match &failure.hint {
        Some(hint) => problem.help(hint.clone()),
        None => problem,
    }
}

/// Inserts the rows that the topology adds.
fn fill(database: &mut Database, rows: &TableRows, now: i64, rows_at_most: u64) -> Result<(), Problem> {
    let columns: Vec<&str> = rows.values.iter().map(|(column, _)| column.as_str()).collect();
    let row = |number| rows.values.iter().map(|(_, cell)| value(cell, number)).collect();
    let numbers = 1..=rows.count.min(rows_at_most);
    database.insert_rows(&rows.table, &columns, numbers.map(row), now).map(drop).map_err(|failure| {
        let Problem { message, help, .. } = said(&failure);
        let problem = Problem::new(format!("rows of {}: {message}", quote(&rows.table)));
        Problem { help, ..problem.at(rows.place.clone(), "these rows") }
    })
}

/// What a column gets in the row with this number.
fn value(cell: &Cell, number: u64) -> Value {
    match cell {
        Cell::Bool(truth) => Value::Bool(*truth),
        Cell::Int(number) => Value::Int(*number),
        Cell::Float(number) => Value::Float(*number),
        Cell::Text(parts) => {
            let part = |part: &CellPart| match part {
                CellPart::Text(text) => text.clone(),
                CellPart::Number { digits } => format!("{number:0digits$}"),
            };
            Value::Text(parts.iter().map(part).collect())
        }
    }
}

//! `simhost sql`: looks into a database of a topology.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use simhost_sql::{Call, Database, Done, Failure, Outcome, Value};
use unicode_width::UnicodeWidthStr;

use crate::clock::VIRTUAL_START;
use crate::database;
use crate::engine::EMBEDDED;
use crate::error::{Problem, Refused, did_you_mean, printable, quote};
use crate::topology;

use super::{print, refuse, say, seed};

#[derive(Debug, Args)]
pub struct Sql {
    /// The topology file
    topology: PathBuf,

    /// The database: [databases.NAME]
    database: String,

    /// A statement of SQL [default: list the tables]
    statement: Option<String>,

    /// Use this seed, in place of the topology's
    #[arg(long, value_parser = seed)]
    seed: Option<u64>,
}

impl Sql {
    pub fn execute(self) -> ExitCode {
        match self.opened() {
            Ok(mut database) => match &self.statement {
                Some(statement) => run(&mut database, statement),
                None => tables(&mut database),
            },
            Err(refused) => refuse(&refused),
        }
    }

    fn opened(&self) -> Result<Database, Refused> {
        let mut topology = topology::load(&self.topology, &EMBEDDED.map(|(name, _)| name))?;
        topology.model.seed = self.seed.unwrap_or(topology.model.seed);
        let databases = &topology.model.databases;
        let Some(found) = databases.iter().find(|database| database.name == self.database) else {
            let names: Vec<&str> = databases.iter().map(|database| database.name.as_str()).collect();
            return Err(Refused::new(None, vec![unknown(&self.database, &names, &self.topology)]));
        };
        database::open(&topology.model, found, VIRTUAL_START).map_err(|problems| topology.refuse(problems, 0))
    }
}

fn unknown(name: &str, names: &[&str], file: &Path) -> Problem {
    let help = match names {
        [] => format!("{} has no [databases.NAME]", quote(&file.display().to_string())),
        names => did_you_mean(name, "databases", names.iter().copied()),
    };
    Problem::new(format!("no database {}", quote(name))).help(help)
}

/// Runs a statement, prints its rows, and says what it took.
fn run(database: &mut Database, text: &str) -> ExitCode {
    let now = i64::try_from(VIRTUAL_START / 1_000).unwrap_or(i64::MAX);
    let statement = match database.prepare(text) {
        Ok(statement) => statement,
        Err(failure) => return refuse(&wrong(&failure)),
    };
    match database.execute(None, &statement, &[], Call::at(now)) {
        Outcome::Done(done) => {
            let code = print(&printable(&drawn(&done)));
            let plan = database.plan(&statement).unwrap_or_default();
            say(&printable(&told(&done, &plan)));
            code
        }
        Outcome::Failed(failed) => refuse(&wrong(&failed.failure)),
        Outcome::Blocked(_) => ExitCode::FAILURE,
    }
}

fn wrong(failure: &Failure) -> Refused {
    let place = failure.place.map(|place| format!(" at line {}, column {}", place.line, place.column));
    let place = place.unwrap_or_default();
    let problem = Problem::new(format!("{} (SQLSTATE {}){place}", failure.message, failure.sqlstate));
    let problem = match &failure.hint {
        Some(hint) => problem.help(hint.clone()),
        None => problem,
    };
    Refused::new(None, vec![problem])
}

/// What a statement took, for standard error.
fn told(done: &Done, plan: &[String]) -> String {
    let work = done.work;
    let mut text = format!("rows: {}; steps: {}", done.affected, work.steps);
    if work.scanned > 0 {
        text.push_str(&format!("; rows scanned: {}", work.scanned));
    }
    if work.sorts > 0 {
        text.push_str(&format!("; sorts: {}", work.sorts));
    }
    text.push('\n');
    plan.iter().for_each(|line| text.push_str(&format!("plan: {line}\n")));
    text
}

/// The tables with their rows and columns, then the indexes.
fn tables(database: &mut Database) -> ExitCode {
    let tables = match database.tables() {
        Ok(tables) => tables,
        Err(failure) => return refuse(&wrong(&failure)),
    };
    let mut text = String::new();
    for table in tables {
        text.push_str(&format!("{}: {} rows\n", table.name, table.rows));
        for column in &table.columns {
            text.push_str(&format!("  {} {}\n", column.name, column.kind.name()));
        }
        for index in database.indexes().iter().filter(|index| index.table == table.name) {
            let unique = if index.unique { ", unique" } else { "" };
            text.push_str(&format!("  index {} ({}){unique}\n", index.name, index.keys.join(", ")));
        }
    }
    print(&printable(&text))
}

/// A result as a table: numbers to the right, as psql has them.
fn drawn(done: &Done) -> String {
    if done.columns.is_empty() {
        return String::new();
    }
    let cells: Vec<Vec<String>> = done.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let widths: Vec<usize> = (0..done.columns.len())
        .map(|at| {
            let column = cells.iter().map(|row| row[at].width()).max().unwrap_or(0);
            column.max(done.columns[at].name.width())
        })
        .collect();
    let is_number = |at: usize| {
        done.rows.iter().all(|row| matches!(row[at], Value::Int(_) | Value::Float(_) | Value::Null))
    };
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().enumerate().map(|(at, text)| {
            let blanks = " ".repeat(widths[at] - text.width());
            if is_number(at) { format!("{blanks}{text}") } else { format!("{text}{blanks}") }
        });
        padded.collect::<Vec<_>>().join(" | ").trim_end().to_owned() + "\n"
    };
    let mut text = line(done.columns.iter().map(|column| column.name.as_str()).collect());
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    text.push_str(&(rule.join("-+-") + "\n"));
    cells.iter().for_each(|row| text.push_str(&line(row.iter().map(String::as_str).collect())));
    text
}

/// A value in one line.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(text) => text.replace('\n', "\\n"),
        Value::Bytes(bytes) => {
            bytes.iter().fold("\\x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
        }
    }
}

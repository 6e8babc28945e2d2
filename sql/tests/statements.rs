//! Statements and what becomes of them: each `statements/NAME.sql` has its results beside it, in `NAME.out`.
//! `BLESS=1` writes them.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use simhost_sql::{Call, Database, Options, Outcome, Value};

/// 2026-01-31 12:30:15.25 UTC.
const NOW: i64 = 1_769_862_615_250_000;

#[test]
fn every_statement_does_what_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/statements");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("there is a folder of statements")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "sql"))
        .collect();
    files.sort();
    assert!(files.len() > 2, "{files:?}");
    let mut wrong = Vec::new();
    for file in files {
        let told = told(&fs::read_to_string(&file).expect("a file of statements"));
        let expected = file.with_extension("out");
        if env::var_os("BLESS").is_some() {
            fs::write(&expected, told).expect("the results can be written");
        } else if fs::read_to_string(&expected).unwrap_or_default() != told {
            wrong.push(format!("{}:\n{told}", expected.display()));
        }
    }
    assert!(wrong.is_empty(), "run with BLESS=1 and look at the differences:\n{}", wrong.join("\n"));
}

/// The statements of a file, each with its result below it.
fn told(file: &str) -> String {
    let mut database = Database::open("", Options::default()).expect("an empty schema");
    let mut text = String::new();
    for part in file.split(";\n") {
        let statement = part.trim();
        if statement.is_empty() {
            continue;
        }
        let sql: Vec<&str> = statement.lines().filter(|line| !line.starts_with("--")).collect();
        writeln!(text, "{statement};").expect("a string");
        writeln!(text, "{}\n", result(&mut database, &sql.join("\n"))).expect("a string");
    }
    text
}

fn result(database: &mut Database, sql: &str) -> String {
    let outcome = match database.prepare(sql) {
        Ok(statement) => database.execute(None, &statement, &[], Call::at(NOW)),
        Err(failure) => return failed(&failure),
    };
    match outcome {
        Outcome::Done(done) if done.columns.is_empty() => format!("> {}", done.affected),
        Outcome::Done(done) => {
            let names = done.columns.iter().map(|column| format!("{} {}", column.name, column.kind.name()));
            let mut lines = vec![format!("> {}", names.collect::<Vec<_>>().join(" | "))];
            lines.extend(done.rows.iter().map(|row| {
                let cells: Vec<String> = row.iter().map(shown).collect();
                format!("> {}", cells.join(" | "))
            }));
            lines.join("\n")
        }
        Outcome::Failed(failure) => failed(&failure.failure),
        Outcome::Blocked(blocked) => format!("> blocked by {:?}", blocked.by),
    }
}

fn failed(failure: &simhost_sql::Failure) -> String {
    let place = failure.place.map(|place| format!(" at {}:{}", place.line, place.column)).unwrap_or_default();
    let hint = failure.hint.as_ref().map(|hint| format!("\n> hint: {hint}")).unwrap_or_default();
    format!("> ERROR {}: {}{place}{hint}", failure.sqlstate, failure.message)
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(truth) => if *truth { "t" } else { "f" }.to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => format!("{bytes:02x?}"),
    }
}

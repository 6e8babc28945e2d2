//! `[databases.NAME]`: tables that services ask with SQL.

use std::path::Path;

use serde_json::json;
use toml::de::DeValue;

use super::address;
use super::key::{Key, Optional, Required};
use super::load::json;
use super::patterns;
use super::reader::{Table, Value};
use super::section::{Named, Section};
use super::shapes::{By, Whole, Written};
use super::types::TEXT;
use crate::error::{Problem, quote};
use crate::model::{Cell, CellPart, Database, TableRows};

/// Rows of a table: with some columns, as many as fit into a database.
const ROWS_AT_MOST: u64 = 5_000_000;

/// Digits of a number in a text.
const DIGITS_AT_MOST: usize = 18;

pub(super) static DATABASES: Key<Named, Optional> = Key {
    name: "databases",
    of: Named { of: &DATABASE, pattern: || format!("^{}$", patterns::SERVICE_NAME), least: 0 },
    absent: Optional("none"),
    says: "tables with rows, which SQL asks: see [databases](databases.md)",
};

static DATABASE: Section = Section {
    name: "database",
    says: "a database: the tables of a schema, and their rows",
    keys: &[&SCHEMA, &ROWS],
    rules: &[],
};

static SCHEMA: Key<By<String>, Required> = Key {
    name: "schema",
    of: TEXT,
    absent: Required("name the file with its tables: schema = \"shop.sql\""),
    says: "a file of SQL, which makes tables and rows. Its path begins at the topology's folder",
};

static ROWS: Key<Named, Optional> = Key {
    name: "rows",
    of: Named { of: &TABLE_ROWS, pattern: || ".+".to_owned(), least: 0 },
    absent: Optional("none"),
    says: "rows beside those of the schema, by table: `{ stock = { count = 95000, values = { sku = \"SKU-{n:06}\" } } }`",
};

static TABLE_ROWS: Section =
    Section { name: "rows", says: "rows of one table", keys: &[&COUNT, &VALUES], rules: &[] };

static COUNT: Key<Whole, Required> = Key {
    name: "count",
    of: Whole(1, ROWS_AT_MOST),
    absent: Required("say how many: count = 1000"),
    says: "how many rows",
};

static VALUES: Key<Written, Required> = Key {
    name: "values",
    of: Written {
        words: "a table of numbers, truth values and texts",
        schema: |_| {
            let of = json!({ "type": ["boolean", "number", "string"] });
            json!({ "type": "object", "additionalProperties": of, "minProperties": 1 })
        },
    },
    absent: Required("give columns their values: values = { sku = \"SKU-{n:06}\", available = 100 }"),
    says: "what each column gets. In a text `{n}` is the number of the row from 1, `{n:06}` the same with six digits",
};

/// `[databases]`, in the order of the file.
pub(super) fn databases(root: &Table<'_>, folder: &Path) -> Vec<Database> {
    let table = DATABASES.get(root).and_then(|value| value.table("[databases]"));
    let entries = table.as_ref().map(Table::entries).unwrap_or_default();
    entries.iter().filter_map(|entry| database(entry, folder)).collect()
}

fn database(entry: &Value<'_>, folder: &Path) -> Option<Database> {
    if let Err(problem) = address::check_service_name(entry.key) {
        entry.refuse_key::<()>(Problem {
            message: format!("{} is not the name of a database", quote(entry.key)),
            help: Some(
                "use 1 to 63 lower-case letters, digits, '-' and '_', with a letter or a digit at each end"
                    .to_owned(),
            ),
            ..problem
        });
    }
    let table = DATABASE.open(entry, format!("database {}", quote(entry.key)))?;
    let schema = SCHEMA.read(&table);
    let place = SCHEMA.get(&table).map(|value| value.place());
    let tables = ROWS.get(&table).and_then(|value| value.table("rows"));
    let entries = tables.as_ref().map(Table::entries).unwrap_or_default();
    let rows: Vec<_> = entries.iter().map(table_rows).collect();
    Some(Database {
        name: entry.key.to_owned(),
        schema: folder.join(schema?),
        schema_place: place?,
        rows: rows.into_iter().collect::<Option<_>>()?,
    })
}

fn table_rows(entry: &Value<'_>) -> Option<TableRows> {
    let table = TABLE_ROWS.open(entry, format!("the rows of {}", quote(entry.key)))?;
    let count = COUNT.read(&table);
    let columns = VALUES.need(&table).and_then(|value| value.table("the values"))?;
    if columns.entries().is_empty() {
        columns.note(Problem::new("rows without columns").label("empty").help(VALUES.absent.0));
        return None;
    }
    let values: Vec<_> =
        columns.entries().iter().map(|value| Some((value.key.to_owned(), cell(value)?))).collect();
    Some(TableRows {
        table: entry.key.to_owned(),
        count: count?,
        values: values.into_iter().collect::<Option<_>>()?,
        place: entry.key_place.clone(),
    })
}

fn cell(value: &Value<'_>) -> Option<Cell> {
    Some(match value.item() {
        DeValue::Boolean(flag) => Cell::Bool(*flag),
        DeValue::Float(_) => Cell::Float(value.number("a finite number", |_| true)?),
        // Read as JSON, which has the bounds of 64 bits.
        DeValue::Integer(_) => Cell::Int(json(value)?.parse().ok()?),
        DeValue::String(text) => Cell::Text(value.read(|_| parts(text))?),
        _ => return value.refuse_kind("a number, a truth value or a text", VALUES.absent.0),
    })
}

/// A text with `{n}` in it; `{{` and `}}` are braces.
fn parts(text: &str) -> Result<Vec<CellPart>, Problem> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(behind) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            plain.push_str(&rest[..1]);
            rest = behind;
            continue;
        }
        let (inside, behind) =
            rest.strip_prefix('{').and_then(|inside| inside.split_once('}')).ok_or_else(|| unknown(rest))?;
        let digits = digits(inside).ok_or_else(|| unknown(&rest[..inside.len() + 2]))?;
        if !plain.is_empty() {
            parts.push(CellPart::Text(std::mem::take(&mut plain)));
        }
        parts.push(CellPart::Number { digits });
        rest = behind;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(CellPart::Text(plain));
    }
    Ok(parts)
}

/// The digits of `n` or `n:06`.
fn digits(inside: &str) -> Option<usize> {
    let Some(width) = inside.strip_prefix("n:0") else { return (inside == "n").then_some(1) };
    width.parse().ok().filter(|digits| (1..=DIGITS_AT_MOST).contains(digits))
}

fn unknown(written: &str) -> Problem {
    Problem::new(format!("{} is no number of the row", quote(written)))
        .label("unknown")
        .help("write {n}, or {n:06} for six digits; {{ and }} are braces")
}

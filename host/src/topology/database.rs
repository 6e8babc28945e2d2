//! `[databases.NAME]`: tables that services ask with SQL.

use std::path::Path;

use serde_json::json;
use toml::de::DeValue;

use super::address;
use super::inline::inline;
use super::key::{Key, Optional, Required, Usual};
use super::load::json;
use super::patterns;
use super::reader::{Table, Value};
use super::section::{Named, Rule, Section, Sub};
use super::shapes::{By, Count, Whole, Written};
use super::types::{DISTRIBUTION, DURATION, TEXT, TIME};
use super::units::show_size;
use crate::error::{Problem, did_you_mean, quote};
use crate::model::{
    Cell, CellPart, ConnectionPool, Cost, Database, Distribution, Inline, Nanos, Schema, TableRows,
};

/// Bytes of SQL in the topology itself: its file has room for several.
const TABLES_AT_MOST: usize = 64 << 10;

/// Databases of a topology. An empty one takes some 100 KB of memory.
const DATABASES_AT_MOST: usize = 1_000;

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
    keys: &[
        &SCHEMA,
        &TABLES,
        &ROWS,
        &CORES,
        &CONNECTIONS,
        &LATENCY,
        &COST,
        &STATEMENT_TIMEOUT,
        &LOCK_TIMEOUT,
    ],
    rules: &[Rule::One(&["schema", "tables"])],
};

static SCHEMA: Key<By<String>, Optional> = Key {
    name: "schema",
    of: TEXT,
    absent: Optional("required without `tables`"),
    says: "a file of SQL, which makes tables and rows. Its path begins at the topology's folder",
};

static TABLES: Key<By<Inline>, Optional> = Key {
    name: "tables",
    of: By {
        words: "SQL, at most 64 KiB",
        schema: |_| json!({ "type": "string", "minLength": 1, "maxLength": TABLES_AT_MOST }),
        read: read_tables,
    },
    absent: Optional("required without `schema`"),
    says: "the same SQL here, in place of a file: `\"CREATE TABLE stock (id SERIAL PRIMARY KEY)\"`",
};

static ROWS: Key<Named, Optional> = Key {
    name: "rows",
    of: Named { of: &TABLE_ROWS, pattern: || ".+".to_owned(), least: 0 },
    absent: Optional("none"),
    says: "rows beside those of the schema, by table: `{ stock = { count = 95000, values = { sku = \"SKU-{n:06}\" } } }`",
};

static CORES: Key<Count, Usual> = Key {
    name: "cores",
    of: Count(1, 1_000),
    absent: Usual("4"),
    says: "statements that it executes at a time; others wait",
};

static CONNECTIONS: Key<Count, Usual> = Key {
    name: "connections",
    of: Count(1, 100_000),
    absent: Usual("100"),
    says: "connections of all clients together; one more fails with SQLSTATE 53300",
};

/// As within a data centre.
static LATENCY: Key<By<Distribution>, Usual> = Key {
    name: "latency",
    of: DISTRIBUTION,
    absent: Usual("{ lognormal = { median = \"200us\", sigma = 0.3 } }"),
    says: "one way between a client and the database",
};

static COST: Key<Sub, Optional> = Key {
    name: "cost",
    of: Sub(&COSTS),
    absent: Optional("the defaults"),
    says: "what executing takes in simulated time",
};

static COSTS: Section = Section {
    name: "cost",
    says: "what executing takes in simulated time",
    keys: &[&STATEMENT, &STEP, &ROW, &COMMIT],
    rules: &[],
};

static STATEMENT: Key<By<Nanos>, Usual> =
    Key { name: "statement", of: DURATION, absent: Usual("\"100us\""), says: "each statement" };

static STEP: Key<By<Nanos>, Usual> = Key {
    name: "step",
    of: DURATION,
    absent: Usual("\"100ns\""),
    says: "each step, of which a row that is read takes about four",
};

static ROW: Key<By<Nanos>, Usual> =
    Key { name: "row", of: DURATION, absent: Usual("\"1us\""), says: "each row of the result" };

/// As a log that is flushed to a network volume.
static COMMIT: Key<By<Distribution>, Usual> = Key {
    name: "commit",
    of: DISTRIBUTION,
    absent: Usual("{ lognormal = { median = \"1ms\", sigma = 0.3 } }"),
    says: "each commit that changes rows",
};

static STATEMENT_TIMEOUT: Key<By<Nanos>, Optional> = Key {
    name: "statement-timeout",
    of: TIME,
    absent: Optional("none"),
    says: "a statement that takes longer, waiting included, fails with SQLSTATE 57014",
};

static LOCK_TIMEOUT: Key<By<Nanos>, Optional> = Key {
    name: "lock-timeout",
    of: TIME,
    absent: Optional("none"),
    says: "a statement that waits longer for a lock fails with SQLSTATE 55P03",
};

/// `databases` of a service.
pub(super) static OF_SERVICE: Key<Named, Optional> = Key {
    name: "databases",
    of: Named { of: &CLIENT, pattern: || format!("^{}$", patterns::SERVICE_NAME), least: 0 },
    absent: Optional("none"),
    says: "the databases that its guest may ask: see [databases](databases.md#connections)",
};

static CLIENT: Section =
    Section { name: "client", says: "what a service has of a database", keys: &[&POOL], rules: &[] };

static POOL: Key<Sub, Optional> = Key {
    name: "pool",
    of: Sub(&POOLS),
    absent: Optional("the defaults"),
    says: "the connections of each replica",
};

static POOLS: Section =
    Section { name: "pool", says: "the connections of each replica", keys: &[&MAX, &WAIT], rules: &[] };

static MAX: Key<Count, Usual> =
    Key { name: "max", of: Count(1, 10_000), absent: Usual("10"), says: "connections at a time" };

static WAIT: Key<By<Nanos>, Usual> = Key {
    name: "wait",
    of: DURATION,
    absent: Usual("\"30s\""),
    says: "how long a request waits for one, and `timer-slack` of `[network]` on top; then its guest gets `pool-timeout`",
};

/// The names of all databases, of those with a mistake too.
pub(super) fn names(root: &Table<'_>) -> Vec<String> {
    let Some(value) = DATABASES.get(root) else { return Vec::new() };
    // Whether it is a table is said by who reads it.
    match value.item() {
        DeValue::Table(table) => {
            let mut names: Vec<_> = table.iter().map(|(key, _)| (key.span().start, key.get_ref())).collect();
            names.sort();
            names.into_iter().map(|(_, name)| name.clone().into_owned()).collect()
        }
        _ => Vec::new(),
    }
}

/// The databases of a service, by their indexes in `names`.
pub(super) fn of_service(table: &Table<'_>, names: &[String]) -> Vec<ConnectionPool> {
    let of = OF_SERVICE.get(table).and_then(|value| value.by_name("the databases", "{}"));
    let entries = of.as_ref().map(Table::entries).unwrap_or_default();
    entries.iter().filter_map(|entry| client(entry, names)).collect()
}

fn client(entry: &Value<'_>, names: &[String]) -> Option<ConnectionPool> {
    let table = CLIENT.open(entry, format!("the database {}", quote(entry.key)))?;
    let (max, wait) = match POOL.open(&table, "the pool") {
        Some(pool) => (MAX.read(&pool)?, WAIT.read(&pool)?),
        None => (MAX.usual(), WAIT.usual()),
    };
    let Some(database) = names.iter().position(|name| name == entry.key) else {
        let help = match names {
            [] => format!("define it: [databases.{}] with schema = \"…\"", entry.key),
            names => did_you_mean(entry.key, "databases", names.iter().map(String::as_str)),
        };
        let problem = Problem::new(format!("unknown database {}", quote(entry.key)));
        return entry.refuse_key(problem.label("not defined").help(help));
    };
    Some(ConnectionPool { database, max, wait })
}

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
    let table = DATABASES.get(root).and_then(|value| value.by_name("[databases]", "{ … }"));
    let entries = table.as_ref().map(Table::entries).unwrap_or_default();
    if let Some(first) = entries.get(DATABASES_AT_MOST) {
        let problem = Problem::new(format!("the topology has {} databases", entries.len()));
        let help =
            format!("a topology may have {DATABASES_AT_MOST}: let services share one, each with its tables");
        first.refuse_key::<()>(problem.label("one too many").help(help));
        return Vec::new();
    }
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
    let schema = schema(&table, folder);
    let rows = ROWS.get(&table).and_then(|value| value.by_name("rows", "{ count = …, values = { … } }"));
    let entries = rows.as_ref().map(Table::entries).unwrap_or_default();
    let rows: Vec<_> = entries.iter().map(table_rows).collect();
    let (cores, connections, latency) = (CORES.read(&table), CONNECTIONS.read(&table), LATENCY.read(&table));
    let cost = match COST.get(&table) {
        Some(_) => cost(&COST.open(&table, "the cost")?),
        None => Some(Cost {
            statement: STATEMENT.usual(),
            step: STEP.usual(),
            row: ROW.usual(),
            commit: COMMIT.usual(),
        }),
    };
    let (statement_timeout, lock_timeout) = (STATEMENT_TIMEOUT.read(&table), LOCK_TIMEOUT.read(&table));
    Some(Database {
        name: entry.key.to_owned(),
        schema: schema?,
        text: None,
        rows: rows.into_iter().collect::<Option<_>>()?,
        cores: cores?,
        connections: connections?,
        latency: latency?,
        cost: cost?,
        statement_timeout: statement_timeout?,
        lock_timeout: lock_timeout?,
        place: entry.key_place.clone(),
    })
}

/// What makes the tables: a file, or the text of the topology itself.
fn schema(table: &Table<'_>, folder: &Path) -> Option<Schema> {
    match (SCHEMA.get(table), TABLES.get(table)) {
        (Some(file), None) => {
            SCHEMA.written(table).map(|path| Schema::File { path: folder.join(path), place: file.place() })
        }
        (None, Some(_)) => TABLES.written(table).map(Schema::Inline),
        (Some(_), Some(tables)) => tables.refuse_key(
            Problem::new(format!("{} has both a schema and tables", table.what))
                .label("a schema is named as well")
                .help("keep schema to read a file, or tables to have its SQL here"),
        ),
        (None, None) => {
            table.note(
                Problem::new(format!("{} has neither a schema nor tables", table.what))
                    .label("what makes its tables?")
                    .help("name a file of SQL: schema = \"shop.sql\"; or write its SQL: tables = \"CREATE TABLE …\""),
            );
            None
        }
    }
}

fn read_tables(value: &Value<'_>) -> Option<Inline> {
    let text = value.filled()?;
    if text.len() > TABLES_AT_MOST {
        let most = show_size(TABLES_AT_MOST as u64);
        return value.refuse(
            Problem::new(format!("{} is longer than {most}", quote(value.key)))
                .label("too long")
                .help("put it into a file: schema = \"shop.sql\"; let rows make the rows"),
        );
    }
    Some(inline(value, text))
}

fn cost(table: &Table<'_>) -> Option<Cost> {
    let (statement, step) = (STATEMENT.read(table), STEP.read(table));
    let (row, commit) = (ROW.read(table), COMMIT.read(table));
    Some(Cost { statement: statement?, step: step?, row: row?, commit: commit? })
}

fn table_rows(entry: &Value<'_>) -> Option<TableRows> {
    let table = TABLE_ROWS.open(entry, format!("the table of rows for {}", quote(entry.key)))?;
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

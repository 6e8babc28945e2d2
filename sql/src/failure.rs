//! SQLite's errors as PostgreSQL's.

use rusqlite::ffi;

use crate::catalogue::{Catalogue, Foreign};
use crate::error::{Failure, sqlstate};
use crate::translate::JSON_CHECK;

/// An error of SQLite. Those of constraints get their names by [`named`].
pub(crate) fn of(error: rusqlite::Error) -> Failure {
    let (code, message) = match error {
        rusqlite::Error::SqliteFailure(error, message) => (error.extended_code, message.unwrap_or_default()),
        rusqlite::Error::SqlInputError { error, msg, .. } => (error.extended_code, msg),
        other => return Failure::new(sqlstate::INTERNAL, other.to_string()),
    };
    if let Some(failure) = Failure::from_carried(&message) {
        return failure;
    }
    match code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            Failure::new(sqlstate::UNIQUE, message)
        }
        ffi::SQLITE_CONSTRAINT_NOTNULL => Failure::new(sqlstate::NOT_NULL, message),
        ffi::SQLITE_CONSTRAINT_CHECK => Failure::new(sqlstate::CHECK, message),
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Failure::new(sqlstate::FOREIGN_KEY, message),
        ffi::SQLITE_CONSTRAINT_DATATYPE => Failure::new(sqlstate::TYPE_MISMATCH, message),
        _ => by_primary_code(code & 0xff, message),
    }
}

/// A statement has taken all steps that it may.
pub(crate) fn canceled() -> Failure {
    Failure::new(sqlstate::QUERY_CANCELED, "canceling statement due to statement timeout")
        .hint("it took more steps than a statement may: add a condition, an index or a LIMIT")
}

/// SQLite has no more memory for a statement.
fn out_of_memory() -> Failure {
    Failure::new(sqlstate::OUT_OF_MEMORY, "out of memory")
        .hint("all databases together take as much as they may: keep fewer rows, or ask for less at a time")
}

/// A statement could hold more than it may.
pub(crate) fn holds_too_much(bytes: u64) -> Failure {
    let hint = format!(
        "its temporary results could take more than {} MiB: add a condition or a LIMIT, or sort, group and \
         join fewer or shorter columns",
        bytes >> 20
    );
    Failure::new(sqlstate::OUT_OF_MEMORY, "out of memory").hint(hint)
}

/// Of a value or a row that is longer than those that a statement may meet.
const TOO_LONG: &str = "a value or a row is too long";

/// Whether a statement has met a value or a row that is longer than those that it may meet.
pub(crate) fn is_too_long(failure: &Failure) -> bool {
    failure.message == TOO_LONG
}

/// A text holds the character NUL.
pub(crate) fn nul() -> Failure {
    Failure::new(sqlstate::INVALID_CHARACTER, "invalid byte sequence for encoding \"UTF8\": 0x00")
        .hint("store such bytes as bytea")
}

fn by_primary_code(code: i32, message: String) -> Failure {
    match code {
        ffi::SQLITE_INTERRUPT => canceled(),
        ffi::SQLITE_FULL => Failure::new(sqlstate::DISK_FULL, "the database has no room for more rows")
            .hint("delete rows and drop indexes"),
        ffi::SQLITE_NOMEM => out_of_memory(),
        ffi::SQLITE_TOOBIG => Failure::new(sqlstate::LIMIT, TOO_LONG).hint("store it in parts"),
        ffi::SQLITE_MISMATCH => Failure::new(sqlstate::TYPE_MISMATCH, message),
        ffi::SQLITE_AUTH => Failure::new(sqlstate::NOT_SUPPORTED, message).hint("it is not allowed here"),
        _ => by_message(&message),
    }
}

fn by_message(message: &str) -> Failure {
    let behind = |prefix: &str| message.strip_prefix(prefix).map(|rest| rest.trim().to_owned());
    if let Some(name) = behind("no such column:") {
        let name = name.split(" - should this be").next().unwrap_or_default().replace('"', "");
        let message = format!("column \"{name}\" does not exist");
        return Failure::new(sqlstate::UNDEFINED_COLUMN, message).hint(OTHER_COLUMN);
    }
    if let Some(name) = behind("ambiguous column name:") {
        let message = format!("column reference \"{name}\" is ambiguous");
        return Failure::new(sqlstate::AMBIGUOUS_COLUMN, message).hint("write the table before it: t.column");
    }
    if let Some(name) = behind("no such table:") {
        return Failure::new(sqlstate::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
            .hint("name a table, a view or a WITH");
    }
    match REFUSALS.iter().find(|refusal| message.contains(refusal.0)) {
        Some(&(_, code, text, hint)) => Failure::new(code, text).hint(hint),
        None => Failure::new(sqlstate::NOT_SUPPORTED, format!("the engine refuses it: {message}"))
            .hint("write the statement in another way"),
    }
}

/// What to write in place of what is no JSON.
const JSON: &str = "JSON has its keys and texts in double quotes";

/// What to write in place of a column that is not there.
pub(crate) const OTHER_COLUMN: &str =
    "name a column of a table that stands in the statement; a text stands in single quotes";

/// A part of a message of SQLite, and the code, the message and the remedy that stand for it.
type Refusal = (&'static str, &'static str, &'static str, &'static str);

const REFUSALS: [Refusal; 26] = [
    (
        "non-deterministic functions prohibited in generated columns",
        sqlstate::INVALID_DEFINITION,
        "generation expression is not immutable",
        "use columns of the row, and functions that give the same for the same values",
    ),
    (
        "subqueries prohibited in generated columns",
        sqlstate::NOT_SUPPORTED,
        "cannot use subquery in column generation expression",
        "use columns of the row",
    ),
    ("malformed JSON", sqlstate::INVALID_TEXT, "invalid input syntax for type json", JSON),
    ("integer overflow", sqlstate::OUT_OF_RANGE, "bigint out of range", "calculate with smaller numbers"),
    (
        "ON CONFLICT clause does not match",
        sqlstate::INVALID_COLUMN_REFERENCE,
        "there is no unique or exclusion constraint matching the ON CONFLICT specification",
        "name the columns of a PRIMARY KEY, a UNIQUE or a unique index",
    ),
    (
        "misuse of aggregate",
        sqlstate::GROUPING,
        "aggregate functions are not allowed here",
        "use HAVING, or a subquery that aggregates",
    ),
    (
        "misuse of window function",
        sqlstate::WINDOWING,
        "window functions are not allowed here",
        "calculate it in a subquery, and use its column",
    ),
    (
        "do not have the same number of result columns",
        sqlstate::SYNTAX,
        "each UNION, INTERSECT or EXCEPT query must have the same number of columns",
        "select as many columns in each of them",
    ),
    (
        "all VALUES must have the same number of terms",
        sqlstate::SYNTAX,
        "VALUES lists must all be the same length",
        "give each row as many values",
    ),
    (
        "columns - expected",
        sqlstate::SYNTAX,
        "a subquery has a wrong number of columns",
        "select as many columns as it is compared with",
    ),
    (
        "row value misused",
        sqlstate::SYNTAX,
        "a row of several values cannot stand here",
        "compare rows with rows: (a, b) = (1, 2); elsewhere name one value",
    ),
    (
        "subqueries nested too deep",
        sqlstate::TOO_COMPLEX,
        "views and subqueries are nested too deep",
        "use fewer of them inside of one another",
    ),
    ("too many terms", sqlstate::TOO_COMPLEX, "too many SELECTs in one UNION", "use VALUES, or IN (…)"),
    (
        "Expression tree is too large",
        sqlstate::TOO_COMPLEX,
        "an expression is nested too deep",
        "use fewer operators and parentheses inside of one another",
    ),
    ("too many columns", sqlstate::TOO_MANY_COLUMNS, "too many columns", "name the columns that you need"),
    (
        "LIKE or GLOB pattern too complex",
        sqlstate::LIMIT,
        "the pattern of LIKE is too long",
        "look for a shorter text",
    ),
    (
        "non-constant default",
        sqlstate::NOT_SUPPORTED,
        "a default that is computed is not supported in ADD COLUMN",
        "add the column without it, and fill it by UPDATE; or write it in CREATE TABLE",
    ),
    (
        "NOT NULL column with default value NULL",
        sqlstate::NOT_NULL,
        "the new column contains null values",
        "give the column a DEFAULT",
    ),
    (
        "no such window",
        sqlstate::UNDEFINED_OBJECT,
        "the window does not exist",
        "define it in a WINDOW clause",
    ),
    (
        "cannot join using column",
        sqlstate::UNDEFINED_COLUMN,
        "a column of USING does not exist on both sides",
        "write ON a.x = b.y",
    ),
    (
        "circular reference",
        sqlstate::UNDEFINED_TABLE,
        "a WITH refers to itself: write WITH RECURSIVE",
        "or name a table",
    ),
    (
        "BY term out of range",
        sqlstate::INVALID_COLUMN_REFERENCE,
        "ORDER BY or GROUP BY position is not in select list",
        "columns are numbered from 1",
    ),
    (
        "to nth_value must be",
        sqlstate::NTH_VALUE,
        "argument of nth_value must be greater than zero",
        "rows are numbered from 1",
    ),
    (
        "argument of ntile must be",
        sqlstate::NTILE,
        "argument of ntile must be greater than zero",
        "give the number of groups, from 1",
    ),
    (
        "offset must be a non-negative",
        sqlstate::FRAME_OFFSET,
        "frame starting or ending offset must not be negative",
        "give a number from 0, and turn PRECEDING and FOLLOWING around",
    ),
    (
        "requires one ORDER BY expression",
        sqlstate::WINDOWING,
        "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
        "order the window by one number, or use ROWS",
    ),
];

/// The failure of a constraint with PostgreSQL's message and the name of the constraint.
///
/// `changed` is the table that the statement changes, if it changes one.
pub(crate) fn named(failure: Failure, catalogue: &Catalogue, changed: Option<&str>) -> Failure {
    let Failure { sqlstate: code, message, .. } = &failure;
    let behind = |prefix: &str| message.strip_prefix(prefix).unwrap_or(message).to_owned();
    match *code {
        sqlstate::UNIQUE => {
            let name = constraint_of(&behind("UNIQUE constraint failed: "), catalogue);
            let message = format!("duplicate key value violates unique constraint \"{name}\"");
            Failure::new(code, message).hint("use ON CONFLICT, or another key")
        }
        sqlstate::NOT_NULL if message.starts_with("NOT NULL constraint failed: ") => {
            let column = behind("NOT NULL constraint failed: ");
            let (table, column) = column.split_once('.').unwrap_or(("", &column));
            let message = format!(
                "null value in column \"{column}\" of relation \"{table}\" violates not-null constraint"
            );
            Failure::new(code, message).hint("give the column a value")
        }
        sqlstate::CHECK => {
            let name = behind("CHECK constraint failed: ");
            if name.starts_with(JSON_CHECK) {
                return Failure::new(sqlstate::INVALID_TEXT, "invalid input syntax for type json").hint(JSON);
            }
            let table = changed.unwrap_or_default();
            Failure::new(
                code,
                format!("new row for relation \"{table}\" violates check constraint \"{name}\""),
            )
            .hint("give a value that it allows")
        }
        sqlstate::FOREIGN_KEY => reference(catalogue, changed.unwrap_or_default()),
        sqlstate::NOT_NULL
            if message.starts_with("null value in column") && !message.contains("of relation") =>
        {
            let of = format!(" of relation \"{}\" violates", changed.unwrap_or_default());
            Failure::new(code, message.replacen(" violates", &of, 1)).hint("give the column a value")
        }
        sqlstate::TYPE_MISMATCH if message.starts_with("cannot store") => {
            let (value, column) = message.rsplit_once(' ').unwrap_or(("", message));
            let stored = value.trim_start_matches("cannot store ").split(' ').next().unwrap_or_default();
            Failure::new(
                code,
                format!("column {column} does not take a value of type {}", stored.to_lowercase()),
            )
            .hint("cast the value to the type of the column")
        }
        _ => failure,
    }
}

/// SQLite does not say which reference is broken: it is named if there is only one that can be.
fn reference(catalogue: &Catalogue, table: &str) -> Failure {
    let own =
        catalogue.tables.get(table).into_iter().flat_map(|own| &own.foreign).map(|foreign| (foreign, table));
    let others = catalogue.tables.iter().flat_map(|(name, other)| {
        other
            .foreign
            .iter()
            .filter(|foreign| foreign.parent == table)
            .map(move |foreign| (foreign, name.as_str()))
    });
    let candidates: Vec<(&Foreign, &str)> = own.chain(others).collect();
    let message = match candidates.as_slice() {
        [(foreign, of)] if *of == table => {
            format!(
                "insert or update on table \"{table}\" violates foreign key constraint \"{}\"",
                foreign.name
            )
        }
        [(foreign, of)] => format!(
            "update or delete on table \"{table}\" violates foreign key constraint \"{}\" on table \"{of}\"",
            foreign.name
        ),
        _ => format!("the change of table \"{table}\" violates a foreign key constraint"),
    };
    Failure::new(sqlstate::FOREIGN_KEY, message)
        .hint("insert the row that is referred to first, or delete the rows that refer to it")
}

/// The name of the unique constraint with these columns: `stock.sku`, or `index 'name'`.
fn constraint_of(columns: &str, catalogue: &Catalogue) -> String {
    if let Some(name) = columns.strip_prefix("index '") {
        return name.trim_end_matches('\'').to_owned();
    }
    let mut table = "";
    let mut names = Vec::new();
    for column in columns.split(", ") {
        let (of, name) = column.split_once('.').unwrap_or(("", column));
        table = of;
        names.push(name.to_owned());
    }
    let found =
        catalogue.indexes_of(table).find(|(_, index)| index.unique && index.columns.as_ref() == Some(&names));
    found.map_or_else(|| columns.to_owned(), |(name, _)| name.clone())
}

/// The table that the failure of a unique constraint names.
pub(crate) fn table_of(failure: &Failure, catalogue: &Catalogue) -> Option<String> {
    let rest = failure.message.strip_prefix("UNIQUE constraint failed: ")?;
    match rest.strip_prefix("index '") {
        Some(index) => catalogue.indexes.get(index.trim_end_matches('\'')).map(|index| index.table.clone()),
        None => rest.split_once('.').map(|(table, _)| table.to_owned()),
    }
}

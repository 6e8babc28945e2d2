//! What can be wrong with a statement, with PostgreSQL's codes.
//!
//! Codes and messages are those of PostgreSQL 17, Appendix A "PostgreSQL Error Codes".

use std::fmt;

/// A statement that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The five characters of SQLSTATE, such as `23505`.
    pub sqlstate: &'static str,
    /// What is wrong, with the value.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// Where in the statement, from 1.
    pub place: Option<Place>,
}

/// A line and a column of a text, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// Something that is wrong with a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the schema.
    pub place: Place,
    /// What is wrong there.
    pub failure: Failure,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// SQLSTATE codes that the engine gives.
pub mod sqlstate {
    pub const CARDINALITY: &str = "21000";
    pub const DATA_EXCEPTION: &str = "22000";
    pub const STRING_TOO_LONG: &str = "22001";
    pub const OUT_OF_RANGE: &str = "22003";
    pub const INVALID_DATETIME: &str = "22007";
    pub const DATETIME_OVERFLOW: &str = "22008";
    pub const SUBSTRING: &str = "22011";
    pub const INVALID_REGEX: &str = "2201B";
    pub const LOGARITHM: &str = "2201E";
    pub const POWER: &str = "2201F";
    pub const DIVISION_BY_ZERO: &str = "22012";
    pub const FRAME_OFFSET: &str = "22013";
    pub const NTILE: &str = "22014";
    pub const INTERVAL_OVERFLOW: &str = "22015";
    pub const NTH_VALUE: &str = "22016";
    pub const INVALID_CHARACTER: &str = "22021";
    pub const INVALID_PARAMETER: &str = "22023";
    pub const INVALID_ESCAPE: &str = "22025";
    pub const NEGATIVE_LIMIT: &str = "2201W";
    pub const NEGATIVE_OFFSET: &str = "2201X";
    pub const INVALID_TEXT: &str = "22P02";
    pub const NOT_NULL: &str = "23502";
    pub const FOREIGN_KEY: &str = "23503";
    pub const UNIQUE: &str = "23505";
    pub const CHECK: &str = "23514";
    pub const NO_TRANSACTION: &str = "25P01";
    pub const FAILED_TRANSACTION: &str = "25P02";
    pub const INVALID_SAVEPOINT: &str = "3B001";
    pub const INVALID_SCHEMA: &str = "3F000";
    pub const DEADLOCK: &str = "40P01";
    pub const SYNTAX: &str = "42601";
    pub const AMBIGUOUS_COLUMN: &str = "42702";
    pub const UNDEFINED_COLUMN: &str = "42703";
    pub const UNDEFINED_OBJECT: &str = "42704";
    pub const DUPLICATE_COLUMN: &str = "42701";
    pub const GROUPING: &str = "42803";
    pub const TYPE_MISMATCH: &str = "42804";
    pub const WRONG_OBJECT: &str = "42809";
    pub const GENERATED_ALWAYS: &str = "428C9";
    pub const INVALID_FOREIGN_KEY: &str = "42830";
    pub const UNDEFINED_FUNCTION: &str = "42883";
    pub const UNDEFINED_TABLE: &str = "42P01";
    pub const UNDEFINED_PARAMETER: &str = "42P02";
    pub const DUPLICATE_TABLE: &str = "42P07";
    pub const INVALID_COLUMN_REFERENCE: &str = "42P10";
    pub const INVALID_DEFINITION: &str = "42P17";
    pub const WINDOWING: &str = "42P20";
    pub const DISK_FULL: &str = "53100";
    pub const OUT_OF_MEMORY: &str = "53200";
    pub const LIMIT: &str = "54000";
    pub const TOO_COMPLEX: &str = "54001";
    pub const TOO_MANY_COLUMNS: &str = "54011";
    pub const LOCK_NOT_AVAILABLE: &str = "55P03";
    pub const QUERY_CANCELED: &str = "57014";
    pub const NOT_SUPPORTED: &str = "0A000";
    pub const INTERNAL: &str = "XX000";
}

/// Between the parts of a failure that travels through SQLite as text.
const SEPARATOR: char = '\u{1}';

impl Failure {
    pub(crate) fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into(), hint: None, place: None }
    }

    /// `what` does not work here; `instead` does.
    pub(crate) fn unsupported(what: impl fmt::Display, instead: impl Into<String>) -> Self {
        Self::new(sqlstate::NOT_SUPPORTED, format!("{what} is not supported")).hint(instead)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn at(mut self, line: u64, column: u64) -> Self {
        if self.place.is_none() && line > 0 {
            self.place = Some(Place { line: line as usize, column: column as usize });
        }
        self
    }

    /// The failure as the text of an error of SQLite; [`from_carried`](Self::from_carried) reads it.
    pub(crate) fn carried(&self) -> String {
        let hint = self.hint.as_deref().unwrap_or_default();
        format!("{SEPARATOR}{}{SEPARATOR}{}{SEPARATOR}{hint}", self.sqlstate, self.message)
    }

    pub(crate) fn from_carried(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(SEPARATOR)?.splitn(3, SEPARATOR);
        let sqlstate = known(parts.next()?)?;
        let message = parts.next()?.to_owned();
        let hint = parts.next().filter(|hint| !hint.is_empty()).map(str::to_owned);
        Some(Self { sqlstate, message, hint, place: None })
    }
}

/// The codes that functions give while a statement runs.
fn known(code: &str) -> Option<&'static str> {
    use sqlstate::*;
    let codes = [
        DATA_EXCEPTION,
        STRING_TOO_LONG,
        OUT_OF_RANGE,
        INVALID_DATETIME,
        DATETIME_OVERFLOW,
        SUBSTRING,
        INVALID_REGEX,
        LOGARITHM,
        POWER,
        DIVISION_BY_ZERO,
        INTERVAL_OVERFLOW,
        INVALID_CHARACTER,
        INVALID_PARAMETER,
        INVALID_ESCAPE,
        NEGATIVE_LIMIT,
        NEGATIVE_OFFSET,
        INVALID_TEXT,
        NOT_NULL,
        UNDEFINED_OBJECT,
        LIMIT,
        QUERY_CANCELED,
        NOT_SUPPORTED,
    ];
    codes.into_iter().find(|known| *known == code)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.sqlstate, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.place.line, self.place.column, self.failure)
    }
}

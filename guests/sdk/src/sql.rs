//! SQL for the databases that the topology gives this service.
//!
//! ```no_run
//! use simhost_sdk::prelude::*;
//! use simhost_sdk::sql;
//!
//! fn reserve(sku: &str, quantity: i64) -> Result<i64, Error> {
//!     sql::transaction("inventory", |stock| {
//!         let rows = stock.query("SELECT available FROM stock WHERE sku = $1 FOR UPDATE", &[sku.into()])?;
//!         let available: i64 = rows.first().ok_or_else(|| Error::not_found("no such item"))?.get("available")?;
//!         if available < quantity {
//!             return Err(Error::conflict("Insufficient stock"));
//!         }
//!         stock.query("UPDATE stock SET available = available - $2 WHERE sku = $1", &[sku.into(), quantity.into()])?;
//!         Ok(available - quantity)
//!     })
//! }
//! ```
//!
//! Each statement takes simulated time by the work that it is, and has a CLIENT span. `$1`, `$2` … stand for the
//! parameters.

use std::fmt;

use crate::bindings::simhost::service::sql as raw;
pub use crate::bindings::simhost::service::sql::{Refusal, Work};

/// A value of a parameter or of a result.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// `boolean`.
    Bool(bool),
    /// `smallint`, `integer` and `bigint`.
    Int(i64),
    /// `real`, `double precision` and `numeric`.
    Float(f64),
    /// `text`, and all types without numbers: dates, UUIDs, JSON.
    Text(String),
    /// `bytea`.
    Bytes(Vec<u8>),
}

macro_rules! from {
    ($($type:ty => $variant:ident),*) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from!(bool => Bool, i32 => Int, u32 => Int, i64 => Int, f64 => Float, &str => Text, String => Text, Vec<u8> => Bytes);

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A type that a column can be read as.
pub trait FromValue: Sized {
    /// The value, if it is one of this type.
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! from_value {
    ($($type:ty: $pattern:pat => $result:expr),*) => {
        $(impl FromValue for $type {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    $pattern => Some($result),
                    _ => None,
                }
            }
        })*
    };
}

from_value!(
    bool: Value::Bool(value) => *value,
    i64: Value::Int(value) => *value,
    String: Value::Text(value) => value.clone(),
    Vec<u8>: Value::Bytes(value) => value.clone()
);

impl FromValue for f64 {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Float(value) => Some(*value),
            Value::Int(value) => Some(*value as f64),
            _ => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            other => T::from_value(other).map(Some),
        }
    }
}

/// Why a statement has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The topology gives this service no such database.
    UnknownDatabase(String),
    /// No connection of the pool was free in time.
    PoolTimeout,
    /// The database refuses the connection or the statement.
    Refused {
        /// PostgreSQL's code: `23505`.
        sqlstate: String,
        /// What is wrong.
        message: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// The call itself is at fault.
    Invalid(String),
    /// A result has no such column, or one of another type.
    Column(String),
}

impl Error {
    /// PostgreSQL's code, if the database gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Refused { sqlstate, .. } => Some(sqlstate),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownDatabase(text) | Self::Invalid(text) | Self::Column(text) => f.write_str(text),
            Self::PoolTimeout => f.write_str("no connection of the pool was free in time"),
            Self::Refused { sqlstate, message, .. } => write!(f, "{message} (SQLSTATE {sqlstate})"),
        }
    }
}

impl std::error::Error for Error {}

impl From<raw::Error> for Error {
    fn from(error: raw::Error) -> Self {
        match error {
            raw::Error::UnknownDatabase(text) => Self::UnknownDatabase(text),
            raw::Error::PoolTimeout => Self::PoolTimeout,
            raw::Error::Refused(Refusal { sqlstate, message, hint }) => {
                Self::Refused { sqlstate, message, hint }
            }
            raw::Error::Invalid(text) => Self::Invalid(text),
        }
    }
}

/// The result of a statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// Values in the order of the columns.
    pub rows: Vec<Vec<Value>>,
    /// Rows that were inserted, updated or deleted; of a query, those of its result.
    pub affected: u64,
}

impl Rows {
    /// The first row.
    pub fn first(&self) -> Option<Row<'_>> {
        self.iter().next()
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|values| Row { columns: &self.columns, values })
    }
}

/// One row of a result.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    columns: &'a [String],
    values: &'a [Value],
}

impl Row<'_> {
    /// The value of a column.
    ///
    /// # Errors
    /// There is no such column, or it has another type; NULL is read as an `Option`.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T, Error> {
        let at = self.columns.iter().position(|name| name == column);
        let value = at.and_then(|at| self.values.get(at));
        let value = value.ok_or_else(|| Error::Column(format!("the result has no column {column:?}")))?;
        T::from_value(value).ok_or_else(|| {
            let kind = std::any::type_name::<T>();
            Error::Column(format!("the column {column:?} is no {kind}: {value:?}"))
        })
    }
}

/// Executes one statement, outside of transactions.
///
/// # Errors
/// See [`Error`].
pub fn query(database: &str, statement: &str, params: &[Value]) -> Result<Rows, Error> {
    raw::query(database, statement, &given(params)).map(taken).map_err(Error::from)
}

/// What the last statement of this request was to its database; none before the first.
pub fn last_work() -> Option<Work> {
    raw::last_work()
}

/// A transaction, which holds a connection. Dropping it rolls back.
#[derive(Debug)]
pub struct Transaction(raw::Transaction);

impl Transaction {
    /// Begins one.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn begin(database: &str) -> Result<Self, Error> {
        raw::Transaction::begin(database).map(Self).map_err(Error::from)
    }

    /// Executes a statement in it. If one fails, all further ones do.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn query(&self, statement: &str, params: &[Value]) -> Result<Rows, Error> {
        self.0.query(statement, &given(params)).map(taken).map_err(Error::from)
    }

    /// Makes its changes those of all.
    ///
    /// # Errors
    /// A statement of it has failed: it is rolled back.
    pub fn commit(self) -> Result<(), Error> {
        self.0.commit().map_err(Error::from)
    }

    /// Takes its changes back.
    pub fn rollback(self) {
        self.0.rollback();
    }
}

/// Does `work` in a transaction: commits it if `work` succeeds, and rolls it back if not.
///
/// # Errors
/// Those of `work`, of the beginning and of the commit.
pub fn transaction<T, E: From<Error>>(
    database: &str,
    work: impl FnOnce(&Transaction) -> Result<T, E>,
) -> Result<T, E> {
    let transaction = Transaction::begin(database)?;
    match work(&transaction) {
        Ok(done) => {
            transaction.commit()?;
            Ok(done)
        }
        Err(error) => {
            transaction.rollback();
            Err(error)
        }
    }
}

fn given(params: &[Value]) -> Vec<raw::Value> {
    let value = |value: &Value| match value {
        Value::Null => raw::Value::Null,
        Value::Bool(value) => raw::Value::Bool(*value),
        Value::Int(value) => raw::Value::Int(*value),
        Value::Float(value) => raw::Value::Float(*value),
        Value::Text(value) => raw::Value::Text(value.clone()),
        Value::Bytes(value) => raw::Value::Bytes(value.clone()),
    };
    params.iter().map(value).collect()
}

fn taken(rows: raw::Rows) -> Rows {
    let value = |value| match value {
        raw::Value::Null => Value::Null,
        raw::Value::Bool(value) => Value::Bool(value),
        raw::Value::Int(value) => Value::Int(value),
        raw::Value::Float(value) => Value::Float(value),
        raw::Value::Text(value) => Value::Text(value),
        raw::Value::Bytes(value) => Value::Bytes(value),
    };
    let raw::Rows { columns, rows, affected } = rows;
    let rows = rows.into_iter().map(|row| row.into_iter().map(value).collect()).collect();
    Rows { columns, rows, affected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_by_name_and_type() {
        let rows = Rows {
            columns: vec!["sku".to_owned(), "available".to_owned(), "price".to_owned()],
            rows: vec![vec!["book".into(), 3.into(), Value::Null]],
            affected: 1,
        };
        let row = rows.first().expect("a row");
        assert_eq!(row.get::<String>("sku"), Ok("book".to_owned()));
        assert_eq!((row.get::<i64>("available"), row.get::<f64>("available")), (Ok(3), Ok(3.0)));
        assert_eq!(row.get::<Option<f64>>("price"), Ok(None));
        let wrong = row.get::<bool>("sku").expect_err("it is a text").to_string();
        assert_eq!(wrong, "the column \"sku\" is no bool: Text(\"book\")");
        assert!(row.get::<f64>("price").is_err() && row.get::<i64>("colour").is_err());
    }
}

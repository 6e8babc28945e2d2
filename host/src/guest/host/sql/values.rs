//! Values between a guest and a database, and what it costs to take them.

use simhost_sql::{Failure, Value};

use crate::guest::bindings::simhost::service::sql;
use crate::wasi::bill::{self, CALL, FUNCTION};

pub(super) fn price(statement: &str, params: &[sql::Value]) -> u64 {
    let size = |value: &sql::Value| match value {
        sql::Value::Text(text) => text.len(),
        sql::Value::Bytes(bytes) => bytes.len(),
        sql::Value::Null | sql::Value::Bool(_) | sql::Value::Int(_) | sql::Value::Float(_) => 0,
    };
    let values: usize = params.iter().map(|value| size_of::<sql::Value>() + size(value)).sum();
    FUNCTION + CALL + bill::bytes(statement.len() + values)
}

pub(super) fn refusal(failure: Failure) -> sql::Refusal {
    let message = match failure.place {
        Some(place) => format!("{} at line {}, column {}", failure.message, place.line, place.column),
        None => failure.message,
    };
    sql::Refusal { sqlstate: failure.sqlstate.to_owned(), message, hint: failure.hint }
}

pub(super) fn taken(value: sql::Value) -> Value {
    match value {
        sql::Value::Null => Value::Null,
        sql::Value::Bool(truth) => Value::Bool(truth),
        sql::Value::Int(number) => Value::Int(number),
        sql::Value::Float(number) => Value::Float(number),
        sql::Value::Text(text) => Value::Text(text),
        sql::Value::Bytes(bytes) => Value::Bytes(bytes),
    }
}

pub(super) fn given(value: Value) -> sql::Value {
    match value {
        Value::Null => sql::Value::Null,
        Value::Bool(truth) => sql::Value::Bool(truth),
        Value::Int(number) => sql::Value::Int(number),
        Value::Float(number) => sql::Value::Float(number),
        Value::Text(text) => sql::Value::Text(text),
        Value::Bytes(bytes) => sql::Value::Bytes(bytes),
    }
}

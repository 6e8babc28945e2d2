//! PostgreSQL's functions that SQLite has not, or has with another meaning.

mod aggregates;
mod format;
mod like;
mod lists;
mod numbers;
mod system;
mod texts;
mod times;

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Connection, Error};

use crate::bounds::{JSON_BYTES_PER_STEP, STEPS_PER_JSON};
use crate::error::{Failure, Result, sqlstate};
use crate::state::Shared;
use crate::types::{Type, convert, text};
use crate::value::Value;
use lists::zipped;

/// A connection that gets functions.
struct Functions<'a> {
    connection: &'a Connection,
    shared: &'a Shared,
}

/// Makes all functions known to a connection.
pub(crate) fn define(connection: &Connection, shared: &Shared, value_bytes: usize) -> rusqlite::Result<()> {
    let connection = &Functions { connection, shared };
    numbers::define(connection)?;
    aggregates::define(connection, value_bytes)?;
    format::define(connection, value_bytes)?;
    lists::define(connection)?;
    texts::define(connection, value_bytes)?;
    like::define(connection)?;
    times::define(connection)?;
    system::define(connection)?;
    pure(connection, "pg_cast", 2, |args| cast(args, true))?;
    pure(connection, "pg_assign", 2, |args| cast(args, false))?;
    scalar(connection, "pg_required", 2, SAME, |args| match args {
        [Value::Null, Value::Text(column)] => {
            let message = format!("null value in column \"{column}\" violates not-null constraint");
            Err(Failure::new(sqlstate::NOT_NULL, message).hint("give the column a value"))
        }
        [value, _] => Ok(value.clone()),
        _ => Ok(Value::Null),
    })?;
    let charged = shared.clone();
    pure(connection, "pg_read", 1, move |args| {
        let bytes = args[0].weight() / JSON_BYTES_PER_STEP;
        charged.take(STEPS_PER_JSON + bytes as u64).map(|()| args[0].clone())
    })?;
    pure(connection, "pg_json_at", 1, |args| {
        Ok(Value::Text(match &args[0] {
            Value::Int(at) => format!("${}", json_step(&at.to_string())),
            key => format!("$.\"{}\"", text(key.clone())),
        }))
    })?;
    scalar(connection, "pg_zip", -1, SAME, move |args| zipped(args, value_bytes).map(Value::Text))?;
    scalar(connection, "pg_greatest", -1, SAME, |args| Ok(extreme(args, true)))?;
    scalar(connection, "pg_least", -1, SAME, |args| Ok(extreme(args, false)))
}

fn cast(args: &[Value], explicit: bool) -> Result<Value> {
    match args {
        [value, Value::Int(code)] => convert(value.clone(), Type::from_code(*code), explicit),
        _ => Ok(Value::Null),
    }
}

/// The order of two values of one type.
fn order(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Int(a), Value::Float(b)) => (*a as f64).total_cmp(b),
        (Value::Float(a), Value::Int(b)) => a.total_cmp(&(*b as f64)),
        (Value::Float(a), Value::Float(b)) => a.total_cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        _ => std::cmp::Ordering::Equal,
    }
}

/// The largest or the smallest of the values that are not NULL.
fn extreme(args: &[Value], largest: bool) -> Value {
    let wanted = if largest { std::cmp::Ordering::Greater } else { std::cmp::Ordering::Less };
    let mut found = &Value::Null;
    for value in args.iter().filter(|value| **value != Value::Null) {
        if *found == Value::Null || order(value, found) == wanted {
            found = value;
        }
    }
    found.clone()
}

/// A step of a path of JSON as SQLite reads it: a key, or a place in a list, from its end if it is negative.
pub(crate) fn json_step(step: &str) -> String {
    match step.parse::<i64>() {
        Ok(at) if at < 0 => format!("[#{at}]"),
        Ok(at) => format!("[{at}]"),
        Err(_) => format!(".\"{step}\""),
    }
}

/// Flags of a function whose value follows from its arguments.
const SAME: FunctionFlags = FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DETERMINISTIC);

/// Flags of a function that depends on more than its arguments.
const VARYING: FunctionFlags = FunctionFlags::SQLITE_UTF8;

/// A function whose value follows from its arguments, and is NULL if one of them is.
fn pure(
    connection: &Functions<'_>,
    name: &str,
    args: i32,
    function: impl Fn(&[Value]) -> Result<Value> + Send + 'static,
) -> rusqlite::Result<()> {
    scalar(connection, name, args, SAME, move |args| match args.contains(&Value::Null) {
        true => Ok(Value::Null),
        false => function(args),
    })
}

/// A function of values, which may be NULL.
fn scalar(
    connection: &Functions<'_>,
    name: &str,
    args: i32,
    flags: FunctionFlags,
    function: impl Fn(&[Value]) -> Result<Value> + Send + 'static,
) -> rusqlite::Result<()> {
    let shared = connection.shared.clone();
    connection
        .connection
        .create_scalar_function(name, args, flags, move |context| carried(context, &shared, &function))
}

fn carried(
    context: &Context<'_>,
    shared: &Shared,
    function: &impl Fn(&[Value]) -> Result<Value>,
) -> rusqlite::Result<Value> {
    let args: Vec<Value> = (0..context.len()).map(|at| Value::from_ref(context.get_raw(at))).collect();
    // What has left the range is an error where PostgreSQL has one, and must not become a NULL later.
    let finite = |value: &Value| !matches!(value, Value::Float(number) if !number.is_finite());
    let given = shared.charge(args.iter().map(Value::weight).sum());
    let given = given.and_then(|()| if args.iter().all(finite) { function(&args) } else { Err(overflow()) });
    let given = given.and_then(|value| if finite(&value) { Ok(value) } else { Err(overflow()) });
    let given = given.and_then(|value| shared.gives(value.weight()).map(|()| value));
    given.map_err(|failure| Error::UserFunctionError(failure.carried().into()))
}

/// A number has left the range of its type.
pub(crate) fn overflow() -> Failure {
    Failure::new(sqlstate::OUT_OF_RANGE, "value out of range: overflow")
        .hint("calculate with smaller numbers")
}

fn out_of_range(what: &str) -> Failure {
    Failure::new(sqlstate::OUT_OF_RANGE, format!("{what} out of range"))
}

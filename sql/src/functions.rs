//! PostgreSQL's functions that SQLite has not, or has with another meaning.

mod aggregates;
mod contains;
mod format;
mod like;
mod lists;
mod numbers;
mod system;
mod texts;
mod times;

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, Error};

use crate::error::{Failure, Result, sqlstate};
use crate::price::Price;
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
    contains::define(connection)?;
    texts::define(connection, value_bytes)?;
    like::define(connection)?;
    times::define(connection)?;
    system::define(connection)?;
    for (name, explicit) in [("pg_cast", true), ("pg_assign", false)] {
        let charged = shared.clone();
        pure(connection, name, 2, move |args| cast(args, explicit, &charged))?;
    }
    scalar(connection, "pg_required", 2, SAME, |args| match args {
        [Value::Null, Value::Text(column)] => {
            let message = format!("null value in column \"{column}\" violates not-null constraint");
            Err(Failure::new(sqlstate::NOT_NULL, message).hint("give the column a value"))
        }
        [value, _] => Ok(value.clone()),
        _ => Ok(Value::Null),
    })?;
    pure(connection, "pg_read", 1, |args| Ok(args[0].clone()))?;
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

fn cast(args: &[Value], explicit: bool, charged: &Shared) -> Result<Value> {
    let [value, Value::Int(code)] = args else { return Ok(Value::Null) };
    let to = Type::from_code(*code);
    if matches!(to, Type::Date | Type::Time | Type::Timestamp | Type::Timestamptz) {
        charged.take(Price::of_moment())?;
    }
    convert(value.clone(), to, explicit)
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
    let (shared, price) = (connection.shared.clone(), Price::of(name));
    connection.connection.create_scalar_function(name, args, flags, move |context| {
        const FEW: usize = 4;
        let arg = |at: usize| Value::from_ref(context.get_raw(at));
        let given = if context.len() > FEW {
            carried(&(0..context.len()).map(arg).collect::<Vec<Value>>(), price, &shared, &function)
        } else {
            let mut args = [const { Value::Null }; FEW];
            (0..context.len()).for_each(|at| args[at] = arg(at));
            carried(&args[..context.len()], price, &shared, &function)
        };
        given.map_err(|failure| Error::UserFunctionError(failure.carried().into()))
    })
}

/// Calls a function for its price.
fn carried(
    args: &[Value],
    price: Price,
    shared: &Shared,
    function: &impl Fn(&[Value]) -> Result<Value>,
) -> Result<Value> {
    shared.take(price.call(args.iter().map(Value::length).sum()))?;
    // What has left the range is an error where PostgreSQL has one, and must not become a NULL later.
    let finite = |value: &Value| !matches!(value, Value::Float(number) if !number.is_finite());
    if !args.iter().all(finite) {
        return Err(overflow());
    }
    let value = function(args)?;
    if !finite(&value) {
        return Err(overflow());
    }
    shared.gives(value.weight());
    match price.value(value.length()) {
        0 => Ok(value),
        steps => shared.take(steps).map(|()| value),
    }
}

/// A number has left the range of its type.
pub(crate) fn overflow() -> Failure {
    Failure::new(sqlstate::OUT_OF_RANGE, "value out of range: overflow")
        .hint("calculate with smaller numbers")
}

fn out_of_range(what: &str) -> Failure {
    Failure::new(sqlstate::OUT_OF_RANGE, format!("{what} out of range"))
        .hint("calculate with smaller numbers")
}

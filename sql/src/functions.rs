//! PostgreSQL's functions that SQLite has not, or has with another meaning.

mod aggregates;
mod contains;
mod format;
mod like;
mod lists;
mod numbers;
mod regexes;
mod system;
mod texts;
mod times;

use std::cmp::Ordering;

use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
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
    /// Bytes of one value at most.
    value_bytes: usize,
}

/// Makes all functions known to a connection.
pub(crate) fn define(connection: &Connection, shared: &Shared, value_bytes: usize) -> rusqlite::Result<()> {
    let connection = &Functions { connection, shared, value_bytes };
    numbers::define(connection)?;
    aggregates::define(connection, value_bytes)?;
    format::define(connection, value_bytes)?;
    lists::define(connection, value_bytes)?;
    contains::define(connection)?;
    texts::define(connection, value_bytes)?;
    like::define(connection)?;
    regexes::define(connection, value_bytes)?;
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
    // SQLite would call another one once for a value that is the same in each row.
    scalar(connection, "pg_gathered", 1, VARYING, |args| Ok(args[0].clone()))?;
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

/// The order of two values: numbers before texts before bytes.
fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Int(a), Value::Float(b)) => whole_and_float(*a, *b),
        (Value::Float(a), Value::Int(b)) => whole_and_float(*b, *a).reverse(),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b).unwrap_or_else(|| a.total_cmp(b)),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (a, b) => class(a).cmp(&class(b)),
    }
}

/// A float cannot hold each whole number beyond 2^53, so that none of them is rounded.
fn whole_and_float(a: i64, b: f64) -> Ordering {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if b >= BEYOND {
        return Ordering::Less;
    }
    if b < -BEYOND {
        return Ordering::Greater;
    }
    let below = libm::floor(b);
    a.cmp(&(below as i64)).then(if b > below { Ordering::Less } else { Ordering::Equal })
}

fn class(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::Float(_) => 2,
        Value::Text(_) => 3,
        Value::Bytes(_) => 4,
    }
}

/// The largest or the smallest of the values that are not NULL.
fn extreme(args: &[Value], largest: bool) -> Value {
    let wanted = if largest { Ordering::Greater } else { Ordering::Less };
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
    let most = connection.value_bytes.saturating_mul(FEW);
    connection.connection.create_scalar_function(name, args, flags, move |context| {
        let arg = |at: usize| Value::from_ref(context.get_raw(at));
        let given = if context.len() > FEW {
            let length = |at: usize| match context.get_raw(at) {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
                _ => 0,
            };
            few((0..context.len()).map(length).sum(), most).and_then(|()| {
                carried(&(0..context.len()).map(arg).collect::<Vec<Value>>(), price, &shared, &function)
            })
        } else {
            let mut args = [const { Value::Null }; FEW];
            (0..context.len()).for_each(|at| args[at] = arg(at));
            carried(&args[..context.len()], price, &shared, &function)
        };
        given.map_err(|failure| Error::UserFunctionError(failure.carried().into()))
    })
}

/// Arguments of a call that are held without an allocation. More of them have as many bytes in all as so many
/// of the longest values.
const FEW: usize = 4;

fn few(bytes: usize, most: usize) -> Result<()> {
    if bytes <= most {
        return Ok(());
    }
    let message = format!("the arguments of a function have {bytes} bytes, and at most {most} together");
    Err(Failure::new(sqlstate::LIMIT, message).hint("give it fewer arguments, or shorter texts"))
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

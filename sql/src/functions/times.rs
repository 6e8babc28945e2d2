//! Dates and timestamps, on the clock that the caller gives.

use super::{Functions, VARYING, pure, scalar};
use crate::error::{Failure, Result, sqlstate};
use crate::time::{
    DAY, Interval, SECOND, date_text, extract, extract_between, parse_timestamp, timestamp_text, truncate,
};
use crate::types::{Type, text};
use crate::value::Value;

pub(super) fn define(connection: &Functions<'_>) -> rusqlite::Result<()> {
    let clock = |name: &str, function: fn(i64, i64) -> String| {
        let shared = connection.shared.clone();
        scalar(connection, name, 0, VARYING, move |_| {
            let mut state = shared.lock();
            state.told_time = true;
            Ok(Value::Text(function(state.began, state.now)))
        })
    };
    clock("pg_now", |began, _| timestamp_text(began, true))?;
    clock("pg_clock", |_, now| timestamp_text(now, true))?;
    clock("pg_local", |began, _| timestamp_text(began, false))?;
    clock("pg_today", |began, _| date_text(began))?;
    pure(connection, "pg_date_trunc", 2, |args| {
        let field = part(args);
        let moment = text(args[1].clone());
        let truncated = truncate(&field, micros(&moment)?).ok_or_else(|| unknown_part(&field))?;
        // A date becomes a timestamptz.
        Ok(Value::Text(timestamp_text(truncated, moment.ends_with("+00") || moment.len() == 10)))
    })?;
    pure(connection, "pg_extract", 2, |args| {
        let field = part(args);
        let value = extract(&field, micros(&text(args[1].clone()))?);
        value.map(Value::Float).ok_or_else(|| unknown_part(&field))
    })?;
    pure(connection, "pg_to_timestamp", 1, |args| {
        let seconds = match &args[0] {
            Value::Int(seconds) => *seconds as f64,
            Value::Float(seconds) => *seconds,
            other => return Err(invalid(other)),
        };
        let micros = libm::round(seconds * SECOND as f64);
        if micros.is_nan() || micros.abs() > 2.5e17 {
            return Err(out_of_range());
        }
        Ok(Value::Text(timestamp_text(micros as i64, true)))
    })?;
    pure(connection, "pg_shift", 4, shift)?;
    pure(connection, "pg_between", 3, |args| {
        let field = part(args);
        let apart = micros(&text(args[1].clone()))? - micros(&text(args[2].clone()))?;
        extract_between(&field, apart).map(Value::Float).ok_or_else(|| unknown_part(&field))
    })?;
    pure(connection, "pg_day", 1, |args| Ok(Value::Int(micros(&text(args[0].clone()))?.div_euclid(DAY))))?;
    pure(connection, "pg_date_add", 2, |args| {
        let Value::Int(days) = args[1] else { return Err(invalid(&args[1])) };
        let interval = Interval { days, ..Interval::default() };
        let moved = interval.after(micros(&text(args[0].clone()))?).ok_or_else(out_of_range)?;
        Ok(Value::Text(date_text(moved)))
    })
}

/// A moment, an interval, how many times it is added, and the type of the sum.
fn shift(args: &[Value]) -> Result<Value> {
    let factor = match &args[2] {
        Value::Int(factor) => *factor as f64,
        Value::Float(factor) => *factor,
        other => return Err(invalid(other)),
    };
    let interval = Interval::parse(&text(args[1].clone()))?.times(factor);
    let moved = interval.after(micros(&text(args[0].clone()))?).ok_or_else(out_of_range)?;
    let zone = matches!(args[3], Value::Int(code) if Type::from_code(code) == Type::Timestamptz);
    Ok(Value::Text(timestamp_text(moved, zone)))
}

fn micros(moment: &str) -> Result<i64> {
    parse_timestamp(moment, "timestamp with time zone", true)
}

fn part(args: &[Value]) -> String {
    text(args[0].clone()).to_lowercase()
}

fn unknown_part(field: &str) -> Failure {
    let message = format!("unit \"{field}\" not recognized for type timestamp with time zone");
    Failure::new(sqlstate::INVALID_PARAMETER, message)
        .hint("use second, minute, hour, day, week, month, quarter or year")
}

fn invalid(value: &Value) -> Failure {
    let message = format!("invalid input syntax for type double precision: \"{}\"", text(value.clone()));
    Failure::new(sqlstate::INVALID_TEXT, message).hint("give it a number")
}

fn out_of_range() -> Failure {
    Failure::new(sqlstate::DATETIME_OVERFLOW, "timestamp out of range").hint("years go from 0001 to 9999")
}

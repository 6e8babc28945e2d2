//! Arithmetic: errors where SQLite gives NULL, and the same digits on every machine.

use super::{Functions, SAME, out_of_range, pure, scalar};
use crate::error::{Failure, Result, sqlstate};
use crate::translate::{Rows, counted};
use crate::types::round;
use crate::value::Value;

/// A calculation with whole numbers, which may leave 64 bits; and with others.
type Whole = fn(i64, i64) -> Option<i64>;
type Float = fn(f64, f64) -> f64;
type Float1 = fn(f64) -> f64;

pub(super) fn define(connection: &Functions<'_>) -> rusqlite::Result<()> {
    let sums: [(&str, Whole, Float); 3] = [
        ("pg_plus", i64::checked_add, |a, b| a + b),
        ("pg_minus", i64::checked_sub, |a, b| a - b),
        ("pg_times", i64::checked_mul, |a, b| a * b),
    ];
    for (name, whole, float) in sums {
        pure(connection, name, 2, move |args| match args {
            [Value::Int(a), Value::Int(b)] => {
                whole(*a, *b).map(Value::Int).ok_or_else(|| out_of_range("bigint"))
            }
            _ => finite(float(number(&args[0])?, number(&args[1])?)),
        })?;
    }
    for (name, what) in [("pg_limit", Rows::Limit), ("pg_offset", Rows::Offset)] {
        scalar(connection, name, 1, SAME, move |args| counted(&args[0], what))?;
    }
    pure(connection, "pg_div", 2, |args| {
        divided(args, |a, b| a.checked_div(b).ok_or_else(|| out_of_range("bigint")), |a, b| a / b)
    })?;
    pure(connection, "pg_quotient", 2, |args| {
        let whole = |a: i64, b: i64| a.checked_div(b).ok_or_else(|| out_of_range("bigint"));
        divided(args, whole, |a, b| libm::trunc(a / b))
    })?;
    pure(connection, "pg_mod", 2, |args| divided(args, |a, b| Ok(a.wrapping_rem(b)), libm::fmod))?;
    pure(connection, "pg_power", 2, |args| finite(libm::pow(number(&args[0])?, number(&args[1])?)))?;
    pure(connection, "pg_sqrt", 1, |args| {
        let number = number(&args[0])?;
        if number < 0.0 {
            return Err(Failure::new(sqlstate::POWER, "cannot take square root of a negative number")
                .hint("use abs, or greatest(x, 0)"));
        }
        Ok(Value::Float(libm::sqrt(number)))
    })?;
    pure(connection, "pg_exp", 1, |args| finite(libm::exp(number(&args[0])?)))?;
    pure(connection, "pg_ln", 1, |args| Ok(Value::Float(libm::log(positive(&args[0])?))))?;
    pure(connection, "pg_log", 1, |args| Ok(Value::Float(libm::log10(positive(&args[0])?))))?;
    pure(connection, "pg_ceil", 1, |args| of_float(&args[0], libm::ceil))?;
    pure(connection, "pg_floor", 1, |args| of_float(&args[0], libm::floor))?;
    let of_one: [(&str, Float1); 8] = [
        ("pg_cbrt", libm::cbrt),
        ("pg_sin", libm::sin),
        ("pg_cos", libm::cos),
        ("pg_tan", libm::tan),
        ("pg_asin", libm::asin),
        ("pg_acos", libm::acos),
        ("pg_atan", libm::atan),
        ("pg_degrees", f64::to_degrees),
    ];
    for (name, function) in of_one {
        pure(connection, name, 1, move |args| finite(function(number(&args[0])?)))?;
    }
    pure(connection, "pg_radians", 1, |args| finite(number(&args[0])?.to_radians()))?;
    pure(connection, "pg_atan2", 2, |args| finite(libm::atan2(number(&args[0])?, number(&args[1])?)))?;
    scalar(connection, "pg_pi", 0, SAME, |_| Ok(Value::Float(std::f64::consts::PI)))?;
    pure(connection, "pg_gcd", 2, |args| Ok(Value::Int(gcd(whole(&args[0])?, whole(&args[1])?))))?;
    pure(connection, "pg_lcm", 2, |args| {
        let (a, b) = (whole(&args[0])?, whole(&args[1])?);
        let product = if a == 0 || b == 0 { Some(0) } else { (a / gcd(a, b)).checked_mul(b) };
        let product = product.and_then(i64::checked_abs);
        product.map(Value::Int).ok_or_else(|| out_of_range("bigint"))
    })?;
    for count in [1, 2] {
        pure(connection, "pg_round", count, |args| {
            let digits = digits(args)?;
            of_float(&args[0], |number| round(number, digits))
        })?;
        pure(connection, "pg_trunc", count, |args| {
            let size = libm::pow(10.0, digits(args)? as f64);
            of_float(&args[0], |number| libm::trunc(number * size) / size)
        })?;
    }
    Ok(())
}

fn number(value: &Value) -> Result<f64> {
    match value {
        Value::Int(number) => Ok(*number as f64),
        Value::Float(number) => Ok(*number),
        other => Err(no_number(other)),
    }
}

fn no_number(value: &Value) -> Failure {
    let text = crate::types::text(value.clone());
    Failure::new(
        sqlstate::INVALID_TEXT,
        format!("invalid input syntax for type double precision: \"{text}\""),
    )
    .hint("give it a number")
}

fn positive(value: &Value) -> Result<f64> {
    let number = number(value)?;
    if number > 0.0 {
        return Ok(number);
    }
    let what = if number == 0.0 { "zero" } else { "a negative number" };
    Err(Failure::new(sqlstate::LOGARITHM, format!("cannot take logarithm of {what}"))
        .hint("use nullif(x, 0), or a condition"))
}

fn finite(number: f64) -> Result<Value> {
    if number.is_finite() { Ok(Value::Float(number)) } else { Err(out_of_range("double precision")) }
}

fn divided(
    args: &[Value],
    integers: impl Fn(i64, i64) -> Result<i64>,
    floats: impl Fn(f64, f64) -> f64,
) -> Result<Value> {
    let zero = || Failure::new(sqlstate::DIVISION_BY_ZERO, "division by zero").hint("divide by nullif(x, 0)");
    match (&args[0], &args[1]) {
        (Value::Int(_), Value::Int(0)) => Err(zero()),
        (Value::Int(a), Value::Int(b)) => integers(*a, *b).map(Value::Int),
        (a, b) => {
            let (a, b) = (number(a)?, number(b)?);
            if b == 0.0 { Err(zero()) } else { finite(floats(a, b)) }
        }
    }
}

/// Whole numbers stay as they are.
fn of_float(value: &Value, function: impl Fn(f64) -> f64) -> Result<Value> {
    match value {
        Value::Int(number) => Ok(Value::Int(*number)),
        other => number(other).map(|number| Value::Float(function(number))),
    }
}

fn digits(args: &[Value]) -> Result<i64> {
    match args.get(1) {
        None => Ok(0),
        Some(Value::Int(digits)) if (-300..=300).contains(digits) => Ok(*digits),
        Some(other) => Err(no_number(other)),
    }
}

fn whole(value: &Value) -> Result<i64> {
    match value {
        Value::Int(number) if *number != i64::MIN => Ok(*number),
        Value::Int(_) => Err(out_of_range("bigint")),
        other => Err(no_number(other)),
    }
}

/// The greatest common divisor, by Euclid.
fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

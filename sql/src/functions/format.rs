//! Values as texts by a pattern: `to_char`, `format`, and back by `to_timestamp`.

mod moments;
mod numbers;
mod words;

use super::texts::within;
use super::{Functions, SAME, pure, scalar};
use crate::bounds::PATTERN_BYTES;
use crate::error::{Failure, Result, sqlstate};
use crate::time::parse_timestamp;
use crate::types::text;
use crate::value::Value;

pub(super) fn define(connection: &Functions<'_>, most: usize) -> rusqlite::Result<()> {
    let shared = connection.shared.clone();
    pure(connection, "pg_to_char", 2, move |args| {
        let pattern = short(args)?;
        let written = match &args[0] {
            Value::Int(number) => numbers::written(*number as f64, &pattern, &shared)?,
            Value::Float(number) => numbers::written(*number, &pattern, &shared)?,
            moment => {
                let moment = text(moment.clone());
                let micros = parse_timestamp(&moment, "timestamp with time zone", true)?;
                moments::written(micros, &pattern, &shared)?
            }
        };
        within(written.len(), most)?;
        Ok(Value::Text(written))
    })?;
    let shared = connection.shared.clone();
    pure(connection, "pg_parse_moment", 2, move |args| {
        let micros = moments::parsed(&text(args[0].clone()), &short(args)?, &shared)?;
        Ok(Value::Text(crate::time::timestamp_text(micros, true)))
    })?;
    for count in [3, 6] {
        pure(connection, "pg_make_moment", count, made)?;
    }
    scalar(connection, "pg_format", -1, SAME, move |args| {
        let Some(Value::Text(pattern)) = args.first() else { return Ok(Value::Null) };
        let formatted = formatted(pattern, &args[1..], most)?;
        Ok(Value::Text(formatted))
    })?;
    pure(connection, "pg_quote_literal", 1, |args| Ok(Value::Text(literal(&text(args[0].clone())))))?;
    pure(connection, "pg_quote_ident", 1, |args| Ok(Value::Text(identifier(&text(args[0].clone())))))
}

/// The pattern among the arguments.
fn short(args: &[Value]) -> Result<String> {
    let pattern = text(args[1].clone());
    if pattern.len() <= PATTERN_BYTES as usize {
        return Ok(pattern);
    }
    let message = format!("the pattern has {} bytes, and at most {PATTERN_BYTES}", pattern.len());
    Err(Failure::new(sqlstate::LIMIT, message).hint("put texts before and behind it by ||"))
}

/// Year, month and day, and hours, minutes and seconds.
fn made(args: &[Value]) -> Result<Value> {
    let mut parts = [0.0; 6];
    for (part, value) in parts.iter_mut().zip(args) {
        *part = match value {
            Value::Int(number) => *number as f64,
            Value::Float(number) => *number,
            other => text(other.clone()).trim().parse().unwrap_or(f64::NAN),
        };
    }
    let [year, month, day, hour, minute, second] = parts;
    let written = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:09.6}");
    let micros = parse_timestamp(&written, "timestamp with time zone", true)?;
    Ok(Value::Text(crate::time::timestamp_text(micros, true)))
}

fn formatted(pattern: &str, values: &[Value], most: usize) -> Result<String> {
    let wrong = |message: String| {
        Failure::new(sqlstate::INVALID_PARAMETER, message).hint("write %s, %I, %L, %1$s, %-10s or %%")
    };
    let mut written = String::new();
    let mut rest = pattern;
    let mut next = 0;
    while let Some((before, behind)) = rest.split_once('%') {
        written.push_str(before);
        let (position, kind) = numbered(behind);
        let (left, kind) = kind.strip_prefix('-').map_or((false, kind), |kind| (true, kind));
        let end = kind.find(|c: char| !c.is_ascii_digit()).unwrap_or(kind.len());
        let (width, kind) = kind.split_at(end);
        let letter =
            kind.chars().next().ok_or_else(|| wrong("unterminated format() type specifier".to_owned()))?;
        rest = &kind[letter.len_utf8()..];
        if letter == '%' {
            written.push('%');
            continue;
        }
        let at = match position {
            Some(number) => number.parse::<usize>().unwrap_or(0).wrapping_sub(1),
            None => next,
        };
        next = at.wrapping_add(1);
        let value = values.get(at).ok_or_else(|| wrong("too few arguments for format()".to_owned()))?;
        let value = if *value == Value::Null { None } else { Some(text(value.clone())) };
        let part = match (letter, value) {
            ('s', value) => value.unwrap_or_default(),
            ('I', Some(value)) => identifier(&value),
            ('I', None) => {
                return Err(wrong("null values cannot be formatted as an SQL identifier".to_owned()));
            }
            ('L', value) => value.map_or("NULL".to_owned(), |value| literal(&value)),
            _ => return Err(wrong(format!("unrecognized format() type specifier \"{letter}\""))),
        };
        let width = if width.is_empty() { 0 } else { width.parse().unwrap_or(usize::MAX) };
        let blanks = width.saturating_sub(part.chars().count());
        within((written.len() + part.len()).saturating_add(blanks), most)?;
        let padding = " ".repeat(blanks);
        let (before, behind) = if left { ("", padding.as_str()) } else { (padding.as_str(), "") };
        written.extend([before, &part, behind]);
    }
    written.push_str(rest);
    Ok(written)
}

/// The number of an argument at the beginning, `1$`, and what stands behind it.
fn numbered(text: &str) -> (Option<&str>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    match rest.strip_prefix('$') {
        Some(rest) if !digits.is_empty() => (Some(digits), rest),
        _ => (None, text),
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn identifier(text: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let begins = !text.starts_with(|c: char| c.is_ascii_digit());
    if !text.is_empty() && text.chars().all(plain) && begins && !words::is_reserved(text) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('"', "\"\""))
}

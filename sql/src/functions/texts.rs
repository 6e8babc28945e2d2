//! Texts: characters of Unicode in place of ASCII, and bounds.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::{Functions, SAME, pure, scalar};
use crate::error::{Failure, Result, sqlstate};
use crate::price::Price;
use crate::types::text;
use crate::value::Value;

pub(super) fn define(connection: &Functions<'_>, most: usize) -> rusqlite::Result<()> {
    // SQLite's own counts as one step, however long the text is.
    pure(connection, "length", 1, |args| match &args[0] {
        Value::Bytes(bytes) => Ok(Value::Int(bytes.len() as i64)),
        Value::Text(text) => Ok(Value::Int(text.chars().count() as i64)),
        other => Ok(Value::Int(text(other.clone()).chars().count() as i64)),
    })?;
    type Cased = fn(&str) -> String;
    let cased: [(&str, Cased); 3] =
        [("pg_lower", |text| text.to_lowercase()), ("pg_upper", upper), ("pg_initcap", initcap)];
    for (name, function) in cased {
        let shared = connection.shared.clone();
        pure(connection, name, 1, move |args| {
            let text = of(args, 0);
            // Letters beyond ASCII are looked up in tables.
            if !text.is_ascii() {
                shared.take(Price::of(name).value(text.len()))?;
            }
            Ok(Value::Text(function(&text)))
        })?;
    }
    pure(connection, "pg_reverse", 1, |args| Ok(Value::Text(of(args, 0).chars().rev().collect())))?;
    pure(connection, "pg_left", 2, |args| {
        let (text, count) = (of(args, 0), whole(args, 1)?);
        Ok(Value::Text(characters(&text, 0, end(&text, count)).to_owned()))
    })?;
    pure(connection, "pg_right", 2, |args| {
        let (text, count) = (of(args, 0), whole(args, 1)?);
        let length = text.chars().count();
        let skipped = length - end(&text, count).min(length);
        Ok(Value::Text(characters(&text, skipped, length).to_owned()))
    })?;
    for count in [2, 3] {
        pure(connection, "pg_lpad", count, move |args| padded(args, most, true))?;
        pure(connection, "pg_rpad", count, move |args| padded(args, most, false))?;
        pure(connection, "pg_substr", count, substring)?;
    }
    pure(connection, "pg_repeat", 2, move |args| {
        let (text, count) = (of(args, 0), usize::try_from(whole(args, 1)?).unwrap_or(0));
        within(text.len().saturating_mul(count), most)?;
        Ok(Value::Text(text.repeat(count)))
    })?;
    pure(connection, "pg_split_part", 3, |args| split_part(&of(args, 0), &of(args, 1), whole(args, 2)?))?;
    pure(connection, "pg_starts_with", 2, |args| Ok(Value::Bool(of(args, 0).starts_with(&*of(args, 1)))))?;
    pure(connection, "pg_replace", 3, move |args| replaced(&of(args, 0), &of(args, 1), &of(args, 2), most))?;
    pure(connection, "pg_translate", 3, move |args| {
        let translated = translated(&of(args, 0), &of(args, 1), &of(args, 2));
        within(translated.len(), most)?;
        Ok(Value::Text(translated))
    })?;
    for count in [3, 4] {
        pure(connection, "pg_overlay", count, move |args| {
            let (text, other, from) = (of(args, 0), of(args, 1), whole(args, 2)?);
            let count = if args.len() > 3 { whole(args, 3)? } else { other.chars().count() as i64 };
            if from < 1 {
                return Err(Failure::new(sqlstate::SUBSTRING, "negative substring length not allowed")
                    .hint("characters are numbered from 1"));
            }
            within(text.len() + other.len(), most)?;
            let before = usize::try_from(from - 1).unwrap_or(usize::MAX);
            let behind = usize::try_from(from.saturating_add(count).saturating_sub(1)).unwrap_or(0);
            let mut made: String = text.chars().take(before).collect();
            made.push_str(&other);
            made.extend(text.chars().skip(behind));
            within(made.len(), most)?;
            Ok(Value::Text(made))
        })?;
    }
    pure(connection, "pg_strpos", 2, |args| {
        let (text, wanted) = (of(args, 0), of(args, 1));
        let at = text.find(&*wanted).map(|at| text[..at].chars().count() as i64 + 1);
        Ok(Value::Int(at.unwrap_or(0)))
    })?;
    for count in [1, 2] {
        pure(connection, "pg_btrim", count, |args| trimmed(args, true, true))?;
        pure(connection, "pg_ltrim", count, |args| trimmed(args, true, false))?;
        pure(connection, "pg_rtrim", count, |args| trimmed(args, false, true))?;
    }
    pure(connection, "pg_concat", 2, move |args| {
        let (left, right) = (of(args, 0), of(args, 1));
        within(left.len() + right.len(), most)?;
        let mut text = String::with_capacity(left.len() + right.len());
        text.push_str(&left);
        text.push_str(&right);
        Ok(Value::Text(text))
    })?;
    // SQLite's own make the whole text before they look at its length.
    scalar(connection, "concat", -1, SAME, move |args| linked("", args, most))?;
    scalar(connection, "concat_ws", -1, SAME, move |args| match args {
        [Value::Null, ..] | [] => Ok(Value::Null),
        [_, values @ ..] => linked(&of(args, 0), values, most),
    })?;
    pure(connection, "pg_chr", 1, |args| character(whole(args, 0)?))?;
    pure(connection, "pg_to_hex", 1, |args| Ok(Value::Text(format!("{:x}", whole(args, 0)?))))
}

/// An argument as a text.
pub(super) fn of(args: &[Value], at: usize) -> Cow<'_, str> {
    match &args[at] {
        Value::Text(text) => Cow::Borrowed(text),
        other => Cow::Owned(text(other.clone())),
    }
}

fn whole(args: &[Value], at: usize) -> Result<i64> {
    match &args[at] {
        Value::Int(number) => Ok(*number),
        other => {
            let message = format!("invalid input syntax for type integer: \"{}\"", text(other.clone()));
            Err(Failure::new(sqlstate::INVALID_TEXT, message).hint("give it a whole number"))
        }
    }
}

pub(super) fn within(bytes: usize, most: usize) -> Result<()> {
    if bytes <= most {
        return Ok(());
    }
    let message = format!("a value of {bytes} bytes is longer than {most} bytes");
    Err(Failure::new(sqlstate::LIMIT, message).hint("make a shorter text"))
}

/// How many characters `left` takes: all but the last ones, if `count` is negative.
fn end(text: &str, count: i64) -> usize {
    let length = text.chars().count();
    match usize::try_from(count) {
        Ok(count) => count,
        Err(_) => length.saturating_sub(usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX)),
    }
}

/// So many characters of a text, behind those that are skipped.
fn characters(text: &str, skipped: usize, count: usize) -> &str {
    if text.is_ascii() {
        let from = skipped.min(text.len());
        return &text[from..from.saturating_add(count).min(text.len())];
    }
    let at = |text: &str, count| text.char_indices().nth(count).map_or(text.len(), |(at, _)| at);
    let rest = &text[at(text, skipped)..];
    &rest[..at(rest, count)]
}

/// Character by character: PostgreSQL makes no two of one.
fn upper(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_uppercase();
    }
    let upper = |c: char| {
        let mut cased = c.to_uppercase();
        match (cased.next(), cased.next()) {
            (Some(upper), None) => upper,
            _ => c,
        }
    };
    text.chars().map(upper).collect()
}

fn initcap(text: &str) -> String {
    let mut cased = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        match (c.is_ascii(), inside) {
            (true, true) => cased.push(c.to_ascii_lowercase()),
            (true, false) => cased.push(c.to_ascii_uppercase()),
            (false, true) => cased.extend(c.to_lowercase()),
            (false, false) => cased.extend(c.to_uppercase()),
        }
        inside = c.is_alphanumeric();
    }
    cased
}

fn padded(args: &[Value], most: usize, left: bool) -> Result<Value> {
    let (text, count) = (of(args, 0), usize::try_from(whole(args, 1)?).unwrap_or(0));
    let fill = if args.len() > 2 { of(args, 2) } else { Cow::Borrowed(" ") };
    within(count.saturating_mul(fill.chars().map(char::len_utf8).max().unwrap_or(1)), most)?;
    let length = text.chars().count();
    if length >= count {
        return Ok(Value::Text(characters(&text, 0, count).to_owned()));
    }
    let padding: String =
        if fill.is_empty() { String::new() } else { fill.chars().cycle().take(count - length).collect() };
    Ok(Value::Text(if left { padding + &text } else { text.into_owned() + &padding }))
}

/// Characters from a place on, where places below 1 count too.
fn substring(args: &[Value]) -> Result<Value> {
    let (text, from) = (of(args, 0), whole(args, 1)?);
    let end = match args.get(2) {
        None => i64::MAX,
        Some(_) => {
            let count = whole(args, 2)?;
            if count < 0 {
                return Err(Failure::new(sqlstate::SUBSTRING, "negative substring length not allowed")
                    .hint("give a length from 0, such as greatest(n, 0)"));
            }
            from.saturating_add(count)
        }
    };
    let first = from.max(1);
    let count = usize::try_from(end.saturating_sub(first)).unwrap_or(0);
    let skipped = usize::try_from(first - 1).unwrap_or(usize::MAX);
    Ok(Value::Text(characters(&text, skipped, count).to_owned()))
}

/// In time that grows with the texts, and not with their product.
fn replaced(text: &str, from: &str, to: &str, most: usize) -> Result<Value> {
    if from.is_empty() {
        return Ok(Value::Text(text.to_owned()));
    }
    let count = text.matches(from).count();
    within(text.len() - count * from.len() + count.saturating_mul(to.len()), most)?;
    Ok(Value::Text(text.replace(from, to)))
}

/// Each character of `from` as that of `to` at its place; without it, if there is none.
fn translated(text: &str, from: &str, to: &str) -> String {
    let mut letters: BTreeMap<char, Option<char>> = BTreeMap::new();
    let mut to = to.chars();
    for letter in from.chars() {
        let other = to.next();
        letters.entry(letter).or_insert(other);
    }
    text.chars().filter_map(|letter| letters.get(&letter).copied().unwrap_or(Some(letter))).collect()
}

/// The text without these characters, else blanks, at its ends.
fn trimmed(args: &[Value], start: bool, end: bool) -> Result<Value> {
    let text = of(args, 0);
    let cut: BTreeSet<char> = if args.len() > 1 { of(args, 1).chars().collect() } else { [' '].into() };
    let mut rest = &*text;
    if start {
        rest = rest.trim_start_matches(|c| cut.contains(&c));
    }
    if end {
        rest = rest.trim_end_matches(|c| cut.contains(&c));
    }
    Ok(Value::Text(rest.to_owned()))
}

/// The values that are not NULL as one text.
fn linked(separator: &str, values: &[Value], most: usize) -> Result<Value> {
    let mut linked = String::new();
    let known = (0..values.len()).filter(|at| values[*at] != Value::Null);
    for (nth, at) in known.enumerate() {
        let (separator, value) = (if nth > 0 { separator } else { "" }, of(values, at));
        within(linked.len() + separator.len() + value.len(), most)?;
        linked.push_str(separator);
        linked.push_str(&value);
    }
    Ok(Value::Text(linked))
}

fn character(number: i64) -> Result<Value> {
    let refused = |message: String| {
        Err(Failure::new(sqlstate::LIMIT, message).hint("give a number of Unicode from 1 to 1114111"))
    };
    if number == 0 {
        return refused("null character not permitted".to_owned());
    }
    match u32::try_from(number).ok().and_then(char::from_u32) {
        Some(character) => Ok(Value::Text(character.to_string())),
        None => refused(format!("requested character not valid for encoding: {number}")),
    }
}

fn split_part(text: &str, delimiter: &str, at: i64) -> Result<Value> {
    if at == 0 {
        return Err(Failure::new(sqlstate::INVALID_PARAMETER, "field position must not be zero")
            .hint("fields are numbered from 1, and from -1 at the end"));
    }
    if delimiter.is_empty() {
        return Ok(Value::Text(if matches!(at, 1 | -1) { text.to_owned() } else { String::new() }));
    }
    let index = if at > 0 { at - 1 } else { text.split(delimiter).count() as i64 + at };
    let part = usize::try_from(index).ok().and_then(|index| text.split(delimiter).nth(index));
    Ok(Value::Text(part.unwrap_or_default().to_owned()))
}

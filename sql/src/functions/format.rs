//! Values as texts by a pattern: `to_char`, `format`, and back by `to_timestamp`.

use super::texts::within;
use super::{Functions, SAME, pure, scalar};
use crate::error::{Failure, Result, sqlstate};
use crate::time::{Civil, DAY, SECOND, days, days_of_month, extract, parse_timestamp};
use crate::types::{round, text};
use crate::value::Value;

pub(super) fn define(connection: &Functions<'_>, most: usize) -> rusqlite::Result<()> {
    pure(connection, "pg_to_char", 2, move |args| {
        let pattern = text(args[1].clone());
        // A part of a pattern becomes nine characters at most, such as the name of a month.
        within(pattern.len().saturating_mul(9), most)?;
        Ok(Value::Text(match &args[0] {
            Value::Int(number) => number_text(*number as f64, &pattern),
            Value::Float(number) => number_text(*number, &pattern),
            moment => {
                let moment = text(moment.clone());
                moment_text(parse_timestamp(&moment, "timestamp with time zone", true)?, &pattern)
            }
        }))
    })?;
    pure(connection, "pg_parse_moment", 2, |args| {
        let (written, pattern) = (text(args[0].clone()), text(args[1].clone()));
        let micros = parsed(&written, &pattern).ok_or_else(|| {
            let message = format!("invalid value \"{written}\" for the pattern \"{pattern}\"");
            Failure::new(sqlstate::INVALID_DATETIME, message)
                .hint("the pattern has YYYY, MM, DD, HH24, MI, SS, MS and US, and what stands between them")
        })??;
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

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Parts of a pattern of moments, the longer ones before those that they begin with.
const PARTS: [&str; 33] = [
    "YYYY", "IYYY", "YY", "Month", "MONTH", "month", "Mon", "MON", "mon", "MM", "MI", "MS", "Day", "DAY",
    "day", "Dy", "DY", "dy", "DDD", "DD", "D", "HH24", "HH12", "HH", "SS", "US", "AM", "PM", "am", "pm",
    "IW", "ID", "Q",
];

fn moment_text(micros: i64, pattern: &str) -> String {
    let mut written = String::new();
    let mut rest = pattern;
    let mut padded = true;
    while let Some(letter) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (inside, behind) = quoted.split_once('"').unwrap_or((quoted, ""));
            written.push_str(inside);
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix("FM") {
            (padded, rest) = (false, behind);
        } else if let Some(behind) = rest.strip_prefix("TZ") {
            written.push_str("UTC");
            rest = behind;
        } else if let Some(part) = PARTS.into_iter().find(|part| rest.starts_with(part)) {
            written.push_str(&part_text(micros, part, padded));
            (padded, rest) = (true, &rest[part.len()..]);
        } else {
            written.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    written
}

fn part_text(micros: i64, part: &str, padded: bool) -> String {
    let civil = Civil::of(micros);
    let seconds = civil.rest / SECOND;
    let hour = seconds / 3_600;
    let field = |name: &str| extract(name, micros).unwrap_or(0.0) as i64;
    let named = |name: &str, short: bool| {
        let name = if short { &name[..3] } else { name };
        let cased = match part.chars().nth(1) {
            Some(second) if second.is_uppercase() => name.to_uppercase(),
            _ if part.starts_with(char::is_lowercase) => name.to_lowercase(),
            _ => name.to_owned(),
        };
        if padded && !short { format!("{cased:<9}") } else { cased }
    };
    let month = MONTHS[(civil.month - 1) as usize];
    let weekday = WEEKDAYS[field("dow") as usize];
    let (number, digits) = match part {
        "Month" | "MONTH" | "month" => return named(month, false),
        "Mon" | "MON" | "mon" => return named(month, true),
        "Day" | "DAY" | "day" => return named(weekday, false),
        "Dy" | "DY" | "dy" => return named(weekday, true),
        "AM" | "PM" => return if hour < 12 { "AM" } else { "PM" }.to_owned(),
        "am" | "pm" => return if hour < 12 { "am" } else { "pm" }.to_owned(),
        "YYYY" => (civil.year, 4),
        "IYYY" => {
            let thursday = micros.div_euclid(DAY) * DAY + (4 - field("isodow")) * DAY;
            (Civil::of(thursday).year, 4)
        }
        "YY" => (civil.year % 100, 2),
        "MM" => (civil.month, 2),
        "DD" => (civil.day, 2),
        "DDD" => (field("doy"), 3),
        "D" => (field("dow") + 1, 1),
        "ID" => (field("isodow"), 1),
        "IW" => (field("week"), 2),
        "Q" => (field("quarter"), 1),
        "HH24" => (hour, 2),
        "HH12" | "HH" => ((hour + 11) % 12 + 1, 2),
        "MI" => (seconds / 60 % 60, 2),
        "SS" => (seconds % 60, 2),
        "MS" => (civil.rest % SECOND / 1_000, 3),
        _ => (civil.rest % SECOND, 6),
    };
    if padded { format!("{number:0digits$}") } else { number.to_string() }
}

/// The moment that a text says by a pattern.
fn parsed(written: &str, pattern: &str) -> Option<Result<i64>> {
    let (mut text, mut rest) = (written.trim(), pattern);
    let mut fields = [1_i64, 1, 1, 0, 0, 0, 0];
    let mut afternoon = None;
    while let Some(letter) = rest.chars().next() {
        let part = PARTS.into_iter().find(|part| rest.starts_with(part));
        let (at, digits) = match part {
            Some("YYYY") => (0, 4),
            Some("MM") => (1, 2),
            Some("DD") => (2, 2),
            Some("HH24" | "HH12" | "HH") => (3, 2),
            Some("MI") => (4, 2),
            Some("SS") => (5, 2),
            Some("MS") => (6, 3),
            Some("US") => (6, 6),
            Some(part @ ("Month" | "MONTH" | "month" | "Mon" | "MON" | "mon")) => {
                let found = MONTHS.iter().position(|name| {
                    text.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case(&name[..3]))
                })?;
                let length = if part.len() == 3 { 3 } else { MONTHS[found].len() };
                (fields[1], text) = (found as i64 + 1, text.get(length..)?);
                rest = &rest[part.len()..];
                continue;
            }
            Some(part @ ("AM" | "PM" | "am" | "pm")) => {
                afternoon = Some(text.get(..2)?.eq_ignore_ascii_case("pm"));
                (text, rest) = (&text[2..], &rest[part.len()..]);
                continue;
            }
            Some(_) => return None,
            None => {
                rest = &rest[letter.len_utf8()..];
                // What stands between two parts may be any one character that is no part.
                let other = text.chars().next()?;
                text =
                    if other.is_alphanumeric() && letter != other { text } else { &text[other.len_utf8()..] };
                continue;
            }
        };
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()).min(digits);
        let number = text[..end].parse::<i64>().ok()?;
        fields[at] = if at == 6 { number * 10_i64.pow(6 - end.min(6) as u32) } else { number };
        (text, rest) = (&text[end..], &rest[part.map_or(0, str::len)..]);
    }
    let [year, month, day, mut hour, minute, second, micros] = fields;
    if let Some(afternoon) = afternoon {
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    let valid = (1..=9_999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let moment = || days(year, month, day) * DAY + ((hour * 60 + minute) * 60 + second) * SECOND + micros;
    Some(if valid { Ok(moment()) } else { Err(crate::time::out_of_range(written)) })
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

/// A number by a pattern of `9`, `0`, `.`, `,`, `S` and `FM`.
fn number_text(number: f64, pattern: &str) -> String {
    let compact = pattern.contains("FM");
    let pattern = pattern.replace("FM", "").replace('D', ".").replace('G', ",");
    let signed = pattern.contains('S');
    let (whole, fraction) = pattern.split_once('.').unwrap_or((&pattern, ""));
    let places = fraction.chars().filter(|c| ['9', '0'].contains(c)).count();
    let rounded = round(number, places as i64);
    let digits = format!("{:.places$}", rounded.abs());
    let (mut integer, decimals) = digits.split_once('.').unwrap_or((&digits, ""));
    let slots = whole.chars().filter(|c| ['9', '0'].contains(c)).count();
    if integer == "0" && places > 0 {
        integer = "";
    }
    if integer.len() > slots {
        return pattern.replace(['9', '0'], "#");
    }
    let mut left: Vec<char> = integer.chars().collect();
    let mut written: Vec<char> = Vec::new();
    for (at, slot) in whole.char_indices().rev() {
        let zero = slot == '0' || whole[..at].contains('0');
        match slot {
            '9' | '0' => written.push(left.pop().unwrap_or(if zero { '0' } else { ' ' })),
            ',' => written.push(if left.is_empty() && !zero { ' ' } else { ',' }),
            'S' => {}
            other => written.push(other),
        }
    }
    let mut text: String = written.into_iter().rev().collect();
    let sign = match (rounded < 0.0, signed) {
        (true, _) => "-",
        (false, true) => "+",
        (false, false) if compact => "",
        (false, false) => " ",
    };
    let blanks = text.len() - text.trim_start().len();
    text = format!("{}{sign}{}", &text[..blanks], &text[blanks..]);
    if pattern.contains('.') {
        let fixed = fraction.trim_end_matches('9').len().min(decimals.len());
        let kept = if compact { decimals.trim_end_matches('0').len().max(fixed) } else { decimals.len() };
        text = format!("{text}.{}", &decimals[..kept]);
    }
    if compact { text.trim_start().to_owned() } else { text }
}

fn formatted(pattern: &str, values: &[Value], most: usize) -> Result<String> {
    let wrong = |message: String| {
        Failure::new(sqlstate::INVALID_PARAMETER, message).hint("write %s, %I, %L, %1$s or %%")
    };
    let mut written = String::new();
    let mut rest = pattern;
    let mut next = 0;
    while let Some((before, behind)) = rest.split_once('%') {
        written.push_str(before);
        let end = behind.find(|c: char| !c.is_ascii_digit() && c != '$').unwrap_or(behind.len());
        let (position, kind) = behind.split_at(end);
        let letter =
            kind.chars().next().ok_or_else(|| wrong("unterminated format() type specifier".to_owned()))?;
        rest = &kind[letter.len_utf8()..];
        if letter == '%' {
            written.push('%');
            continue;
        }
        let at = match position.strip_suffix('$') {
            Some(number) => number.parse::<usize>().unwrap_or(0).wrapping_sub(1),
            None => next,
        };
        next = at.wrapping_add(1);
        let value = values.get(at).ok_or_else(|| wrong("too few arguments for format()".to_owned()))?;
        let value = if *value == Value::Null { None } else { Some(text(value.clone())) };
        written.push_str(&match (letter, value) {
            ('s', value) => value.unwrap_or_default(),
            ('I', Some(value)) => identifier(&value),
            ('I', None) => {
                return Err(wrong("null values cannot be formatted as an SQL identifier".to_owned()));
            }
            ('L', value) => value.map_or("NULL".to_owned(), |value| literal(&value)),
            _ => return Err(wrong(format!("unrecognized format() type specifier \"{letter}\""))),
        });
        within(written.len(), most)?;
    }
    written.push_str(rest);
    Ok(written)
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn identifier(text: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with(|c: char| c.is_ascii_digit()) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('"', "\"\""))
}

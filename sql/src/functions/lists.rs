//! Arrays as texts, and as lists of JSON.

use std::borrow::Cow;

use super::texts::within;
use super::{Functions, SAME, pure, scalar};
use crate::error::{Failure, Result, sqlstate};
use crate::types::{Type, convert, text};
use crate::value::Value;

pub(super) fn define(connection: &Functions<'_>, most: usize) -> rusqlite::Result<()> {
    pure(connection, "pg_json_of", 2, |args| opens_with(&args[0], &args[1]))?;
    pure(connection, "pg_array", 2, |args| match args {
        [Value::Text(text), Value::Int(code)] => array(text, Type::from_code(*code)),
        _ => Err(Failure::new(sqlstate::INVALID_TEXT, "the value is no array")
            .hint("an array is a text, such as {1,2,3}")),
    })?;
    pure(connection, "pg_array_text", 1, |args| Ok(Value::Text(array_text(&text(args[0].clone()), 1))))?;
    for count in [2, 3] {
        scalar(connection, "pg_array_join", count, SAME, move |args| match args {
            [Value::Text(list), Value::Text(separator), rest @ ..] => {
                let null = rest.first().filter(|null| **null != Value::Null).map(|null| text(null.clone()));
                joined(list, separator, null.as_deref(), most).map(Value::Text)
            }
            _ => Ok(Value::Null),
        })?;
    }
    pure(connection, "pg_array_split", 2, move |args| {
        split(&text(args[0].clone()), &text(args[1].clone()), most).map(Value::Text)
    })
}

/// The parts of a text as an array.
fn split(whole: &str, separator: &str, most: usize) -> Result<String> {
    let mut array = String::from("{");
    let parts: &mut dyn Iterator<Item = &str> = match (whole.is_empty(), separator.is_empty()) {
        (true, _) => &mut std::iter::empty(),
        (_, true) => &mut std::iter::once(whole),
        _ => &mut whole.split(separator),
    };
    for (at, part) in parts.enumerate() {
        array.push_str(if at > 0 { "," } else { "" });
        array.push_str(&in_array(part));
        within(array.len() + 1, most)?;
    }
    array.push('}');
    Ok(array)
}

/// `{a,"b c",NULL}` or `["a", "b c", null]`, as JSON with elements of one type.
pub(super) fn array(text: &str, kind: Type) -> Result<Value> {
    let trimmed = text.trim();
    if trimmed.starts_with('[') {
        return Ok(Value::Text(text.to_owned()));
    }
    let wrong = || {
        let message = format!("malformed array literal: \"{text}\"");
        Failure::new(sqlstate::INVALID_TEXT, message).hint("write {1,2,3} or [1, 2, 3]")
    };
    let inner = trimmed.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(wrong)?;
    let mut elements = Vec::new();
    let mut chars = inner.chars().peekable();
    while chars.peek().is_some() {
        let (mut element, mut quoted) = (String::new(), false);
        while let Some(c) = chars.next() {
            match c {
                '"' if !quoted && element.trim().is_empty() => {
                    quoted = true;
                    element.clear();
                    loop {
                        match chars.next().ok_or_else(wrong)? {
                            '\\' => element.push(chars.next().ok_or_else(wrong)?),
                            '"' => break,
                            c => element.push(c),
                        }
                    }
                }
                ',' => break,
                '{' | '}' => return Err(wrong()),
                c if quoted && c.is_whitespace() => {}
                _ if quoted => return Err(wrong()),
                c => element.push(c),
            }
        }
        let element = if quoted { element } else { element.trim().to_owned() };
        let null = !quoted && element.eq_ignore_ascii_case("null");
        let value = if null { Value::Null } else { convert(Value::Text(element), kind, false)? };
        elements.push(json(&value));
    }
    Ok(Value::Text(format!("[{}]", elements.join(","))))
}

fn json(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => u8::from(*truth).to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Text(text) => {
            let mut quoted = String::from("\"");
            for c in text.chars() {
                match c {
                    '"' | '\\' => quoted.extend(['\\', c]),
                    c if c < ' ' => quoted.push_str(&format!("\\u{:04x}", c as u32)),
                    c => quoted.push(c),
                }
            }
            quoted + "\""
        }
        Value::Bytes(_) => "null".to_owned(),
    }
}

/// JSON, if it is a list or an object as wanted.
pub(super) fn opens_with(json: &Value, bracket: &Value) -> Result<Value> {
    let (Value::Text(text), Value::Text(bracket)) = (json, bracket) else { return Ok(json.clone()) };
    if text.trim_start().starts_with(bracket) {
        return Ok(json.clone());
    }
    let wanted = if bracket == "[" { "an array" } else { "an object" };
    Err(Failure::new(sqlstate::INVALID_PARAMETER, format!("the JSON is not {wanted}"))
        .hint("look at it first by jsonb_typeof(…), or choose a part of it by ->"))
}

/// Lists of JSON as one of lists, each of the elements at one place; the shorter ones end with null.
pub(super) fn zipped(lists: &[Value], most: usize) -> Result<String> {
    let texts = lists.iter().map(|list| if let Value::Text(text) = list { text } else { "[]" });
    let lists: Vec<Vec<&str>> = texts.map(elements).collect();
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    // Each row has brackets, and each cell a comma.
    let bytes =
        |list: &Vec<&str>| list.iter().map(|cell| cell.len()).sum::<usize>() + 4 * (longest - list.len());
    within(lists.iter().map(bytes).sum::<usize>() + longest * (lists.len() + 2), most)?;
    let row = |at: usize| {
        let cells: Vec<&str> = lists.iter().map(|list| list.get(at).copied().unwrap_or("null")).collect();
        format!("[{}]", cells.join(","))
    };
    Ok(format!("[{}]", (0..longest).map(row).collect::<Vec<_>>().join(",")))
}

/// The elements of a list of JSON, or the members of an object, as they are written.
pub(super) fn elements(list: &str) -> Vec<&str> {
    let inner = list.trim().strip_prefix(['[', '{']).and_then(|rest| rest.strip_suffix([']', '}']));
    let inner = inner.unwrap_or_default();
    let (mut depth, mut quoted, mut escaped, mut start) = (0_i64, false, false, 0);
    let mut found = Vec::new();
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b',' if depth == 0 => {
                found.push(inner[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner.trim().is_empty() {
        found.push(inner[start..].trim());
    }
    found
}

/// How deep arrays may be nested, as in PostgreSQL.
const DIMENSIONS: usize = 6;

/// A list of JSON as PostgreSQL writes an array: `{a,"b c",NULL}`.
pub(super) fn array_text(list: &str, depth: usize) -> String {
    let element = |raw: &&str| match *raw {
        "null" => "NULL".to_owned(),
        "true" => "t".to_owned(),
        "false" => "f".to_owned(),
        raw if raw.starts_with('"') => in_array(&unquoted(raw)),
        raw if raw.starts_with('[') && depth < DIMENSIONS => array_text(raw, depth + 1),
        raw if raw.starts_with(['[', '{']) => in_array(raw),
        number => number.strip_suffix(".0").unwrap_or(number).to_owned(),
    };
    format!("{{{}}}", elements(list).iter().map(element).collect::<Vec<_>>().join(","))
}

/// An element of an array, in quotes where it could be read as something else.
pub(super) fn in_array(element: &str) -> String {
    let odd = |c: char| c.is_whitespace() || ['{', '}', '"', '\\', ','].contains(&c);
    if !element.is_empty() && !element.contains(odd) && !element.eq_ignore_ascii_case("null") {
        return element.to_owned();
    }
    format!("\"{}\"", element.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The elements of a list of JSON as one text; those that are null as `null`, or left out.
fn joined(list: &str, separator: &str, null: Option<&str>, most: usize) -> Result<String> {
    let mut text = String::new();
    let parts = elements(list).into_iter().filter_map(|raw| match raw {
        "null" => null.map(Cow::Borrowed),
        raw if raw.starts_with('"') => Some(Cow::Owned(unquoted(raw))),
        other => Some(Cow::Borrowed(other)),
    });
    for (at, part) in parts.enumerate() {
        let separator = if at > 0 { separator } else { "" };
        within(text.len() + separator.len() + part.len(), most)?;
        text.push_str(separator);
        text.push_str(&part);
    }
    Ok(text)
}

/// A text of JSON without its quotes.
pub(super) fn unquoted(raw: &str) -> String {
    let inner = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(raw);
    let (mut units, mut text) = (Vec::new(), String::new());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        let letter = if letter == '\\' {
            letters.next().unwrap_or('\\')
        } else {
            flush(&mut units, &mut text);
            text.push(letter);
            continue;
        };
        if letter == 'u' {
            let digits: String = letters.by_ref().take(4).collect();
            units.push(u16::from_str_radix(&digits, 16).unwrap_or(0xfffd));
            continue;
        }
        flush(&mut units, &mut text);
        text.push(match letter {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            other => other,
        });
    }
    flush(&mut units, &mut text);
    text
}

fn flush(units: &mut Vec<u16>, text: &mut String) {
    text.push_str(&String::from_utf16_lossy(units));
    units.clear();
}

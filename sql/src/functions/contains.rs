//! `@>`: whether JSON contains other JSON.

use super::lists::{elements, unquoted};
use super::{Functions, pure};
use crate::error::{Failure, Result, sqlstate};
use crate::price::Price;
use crate::state::Shared;
use crate::types::text;
use crate::value::Value;

/// How deep JSON may be nested to be compared.
const DEPTH: usize = 100;

/// `pg_contains(whole, part)`, of JSON that was read already.
pub(super) fn define(connection: &Functions<'_>) -> rusqlite::Result<()> {
    let shared = connection.shared.clone();
    pure(connection, "pg_contains", 2, move |args| {
        let (whole, part) = (text(args[0].clone()), text(args[1].clone()));
        let (whole, part) = (whole.trim(), part.trim());
        // A list contains a value alone, too; within other JSON it does not.
        let alone = whole.starts_with('[') && !part.starts_with(['[', '{']);
        let found = match alone {
            true => any(&elements(whole), part, 0, &shared)?,
            false => contains(whole, part, 0, &shared)?,
        };
        Ok(Value::Bool(found))
    })
}

fn contains(whole: &str, part: &str, depth: usize, shared: &Shared) -> Result<bool> {
    shared.take(1 + Price::of_bytes(whole.len() + part.len()))?;
    if depth > DEPTH {
        let message = format!("JSON that is nested deeper than {DEPTH} cannot be compared");
        return Err(Failure::new(sqlstate::LIMIT, message).hint("compare a part of it, by -> or #>"));
    }
    match (whole.as_bytes().first(), part.as_bytes().first()) {
        (Some(b'['), Some(b'[')) => {
            let values = elements(whole);
            for wanted in elements(part) {
                if !any(&values, wanted, depth, shared)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Some(b'{'), Some(b'{')) => {
            let values: Vec<(String, &str)> = elements(whole).into_iter().filter_map(member).collect();
            for (key, wanted) in elements(part).into_iter().filter_map(member) {
                shared.take(values.len() as u64)?;
                let found = values.iter().find(|(known, _)| *known == key);
                let Some((_, value)) = found else { return Ok(false) };
                if !contains(value, wanted, depth + 1, shared)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Some(b'"'), Some(b'"')) => Ok(whole == part || unquoted(whole) == unquoted(part)),
        _ => Ok(whole == part || is_same_number(whole, part)),
    }
}

fn any(values: &[&str], wanted: &str, depth: usize, shared: &Shared) -> Result<bool> {
    for value in values {
        if contains(value, wanted, depth + 1, shared)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The key and the value of a member of an object.
fn member(raw: &str) -> Option<(String, &str)> {
    let mut escaped = false;
    let end = raw.bytes().enumerate().skip(1).find_map(|(at, byte)| match byte {
        _ if escaped => {
            escaped = false;
            None
        }
        b'\\' => {
            escaped = true;
            None
        }
        b'"' => Some(at + 1),
        _ => None,
    })?;
    let (key, rest) = raw.split_at_checked(end)?;
    Some((unquoted(key), rest.trim_start().strip_prefix(':')?.trim()))
}

fn is_same_number(a: &str, b: &str) -> bool {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

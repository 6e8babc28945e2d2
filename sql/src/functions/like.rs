//! LIKE, with a price: matching takes the product of text and pattern at worst.

use super::texts::of;
use super::{Functions, pure};
use crate::bounds::PATTERN_BYTES;
use crate::error::{Failure, Result, sqlstate};
use crate::price::COMPARISONS_PER_STEP;
use crate::state::Shared;
use crate::types::text;
use crate::value::Value;

/// Comparisons between two looks at whether the statement may go on.
const PER_LOOK: usize = 8_192;

/// `pg_like(text, pattern)`, where a backslash escapes, and `pg_like(text, pattern, escape)`;
/// `pg_escaped(pattern, escape)` is the pattern in which a backslash escapes.
pub(super) fn define(connection: &Functions<'_>) -> rusqlite::Result<()> {
    for count in [2, 3] {
        let shared = connection.shared.clone();
        pure(connection, "pg_like", count, move |args| {
            let (string, pattern) = (of(args, 0), of(args, 1));
            let escape = match args.get(2) {
                Some(escape) => escape_of(&text(escape.clone()))?,
                None => Some('\\'),
            };
            if pattern.len() > PATTERN_BYTES as usize {
                let message = format!("the pattern of LIKE is longer than {PATTERN_BYTES} bytes");
                return Err(Failure::new(sqlstate::LIMIT, message).hint("look for a shorter text"));
            }
            let mut matching = Matching { shared: &shared, compared: 0 };
            let is_like = matching.like(&string, &parsed(&pattern, escape))?;
            matching.pay().map(|()| Value::Bool(is_like))
        })?;
    }
    pure(connection, "pg_escaped", 2, |args| {
        let escape = escape_of(&text(args[1].clone()))?;
        Ok(Value::Text(escaped(&text(args[0].clone()), escape)))
    })
}

/// A part of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// `%`: characters, however many.
    Any,
    /// `_`
    One,
    Letter(char),
    /// The escape character, and nothing behind it.
    Unfinished,
}

/// At most one character; none if nothing escapes.
pub(super) fn escape_of(text: &str) -> Result<Option<char>> {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (first, None) => Ok(first),
        _ => Err(Failure::new(sqlstate::INVALID_ESCAPE, "invalid escape string")
            .hint("an escape string has one character, or none")),
    }
}

fn unfinished() -> Failure {
    let message = "LIKE pattern must not end with escape character";
    Failure::new(sqlstate::INVALID_ESCAPE, message).hint("write the escape character twice to look for it")
}

fn parsed(pattern: &str, escape: Option<char>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        parts.push(match letter {
            letter if Some(letter) == escape => letters.next().map_or(Part::Unfinished, Part::Letter),
            '%' => Part::Any,
            '_' => Part::One,
            letter => Part::Letter(letter),
        });
    }
    parts.dedup_by(|a, b| *a == Part::Any && *b == Part::Any);
    parts
}

fn escaped(pattern: &str, escape: Option<char>) -> String {
    let mut written = String::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if Some(letter) == escape {
            written.push('\\');
            written.extend(letters.next());
        } else if letter == '\\' {
            written.push_str("\\\\");
        } else {
            written.push(letter);
        }
    }
    written
}

/// One call of LIKE, with what it has compared and not paid.
struct Matching<'a> {
    shared: &'a Shared,
    compared: usize,
}

impl Matching<'_> {
    /// Takes the shortest text for each `%`, and a longer one for the last of them where the rest does not
    /// fit.
    fn like(&mut self, string: &str, parts: &[Part]) -> Result<bool> {
        let (mut rest, mut at) = (string.chars(), 0);
        // Behind the last `%`: where in the pattern, and where in the text it was tried.
        let mut last: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            self.compared += 1;
            if self.compared >= PER_LOOK {
                self.pay()?;
            }
            if parts.get(at) == Some(&Part::Any) {
                at += 1;
                if at == parts.len() {
                    return Ok(true);
                }
                last = Some((at, rest.clone()));
                continue;
            }
            let fits = match (rest.next(), parts.get(at)) {
                (None, None) => return Ok(true),
                (None, Some(_)) => return Ok(false),
                (Some(_), Some(Part::One)) => true,
                (Some(_), Some(Part::Unfinished)) => return Err(unfinished()),
                (Some(letter), Some(Part::Letter(wanted))) => letter == *wanted,
                (Some(_), _) => false,
            };
            if fits {
                at += 1;
                continue;
            }
            let Some((behind, tried)) = &mut last else { return Ok(false) };
            if tried.next().is_none() {
                return Ok(false);
            }
            (at, rest) = (*behind, tried.clone());
        }
    }

    /// Counts what was compared.
    fn pay(&mut self) -> Result<()> {
        let compared = std::mem::take(&mut self.compared);
        self.shared.take((compared / COMPARISONS_PER_STEP) as u64)
    }
}

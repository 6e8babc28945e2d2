//! Regular expressions: `~`, SIMILAR TO, and the functions `regexp_…`.

use std::sync::{Arc, Mutex, PoisonError};

use super::lists::in_array;
use super::texts::{of, within};
use super::{Functions, pure};
use crate::error::{Failure, Result, sqlstate};
use crate::price::VISITS_PER_STEP;
use crate::regex::{Options, Regex, Span, similar};
use crate::state::Shared;
use crate::value::Value;

/// Patterns that are remembered: most statements have the same ones for each row.
const REMEMBERED: usize = 8;

pub(super) fn define(connection: &Functions<'_>, most: usize) -> rusqlite::Result<()> {
    let patterns = Patterns { known: Arc::default(), shared: connection.shared.clone() };
    for count in [2, 3] {
        let known = patterns.clone();
        pure(connection, "pg_regexp_like", count, move |args| {
            let asked = known.asked(args, 2)?;
            asked.regex.is_match(&asked.text, &mut asked.pay()).map(Value::Bool)
        })?;
        let known = patterns.clone();
        pure(connection, "pg_similar", count, move |args| {
            let escape = args.get(2).map(|_| of(args, 2));
            let escape = match &escape {
                None => Some('\\'),
                Some(escape) => super::like::escape_of(escape)?,
            };
            let asked = known.with(&of(args, 0), &similar(&of(args, 1), escape)?, Options::default())?;
            asked.regex.is_match(&asked.text, &mut asked.pay()).map(Value::Bool)
        })?;
        let known = patterns.clone();
        pure(connection, "pg_regexp_match", count, move |args| {
            let Some(parts) = known.asked(args, 2)?.parts()? else { return Ok(Value::Null) };
            array(parts.iter().map(Option::as_deref), most).map(Value::Text)
        })?;
        let known = patterns.clone();
        pure(connection, "pg_regexp_split", count, move |args| {
            let asked = known.asked(args, 2)?;
            let (mut parts, mut begins) = (Vec::new(), 0);
            asked.each(0, true, |(from, to)| {
                // An empty match at an end, or behind the match before, divides nothing.
                if from < asked.text.len() && to > begins {
                    parts.push(Some(asked.part((begins, from))));
                    begins = to;
                }
                Ok(())
            })?;
            parts.push(Some(asked.part((begins, asked.text.len()))));
            array(parts.iter().map(Option::as_deref), most).map(Value::Text)
        })?;
    }
    // `(regexp_match(text, pattern, options))[number]`.
    let known = patterns.clone();
    pure(connection, "pg_regexp_part", 4, move |args| {
        let Some(mut parts) = known.asked(args, 2)?.parts()? else { return Ok(Value::Null) };
        let at = match &args[3] {
            Value::Int(number) => usize::try_from(*number).ok().and_then(|number| number.checked_sub(1)),
            _ => None,
        };
        let part = at.filter(|at| *at < parts.len()).and_then(|at| parts.swap_remove(at));
        Ok(part.map_or(Value::Null, Value::Text))
    })?;
    // What the first parentheses match, or all of the match.
    let known = patterns.clone();
    pure(connection, "pg_regexp_substring", 2, move |args| {
        let parts = known.asked(args, 2)?.parts()?;
        Ok(parts.and_then(|parts| parts.into_iter().next().flatten()).map_or(Value::Null, Value::Text))
    })?;
    let known = patterns.clone();
    pure(connection, "pg_regexp_substr", 2, move |args| {
        let asked = known.asked(args, 2)?;
        let found = asked.regex.search(&asked.text).find(0, &mut asked.pay())?;
        Ok(found.map_or(Value::Null, |span| Value::Text(asked.part(span))))
    })?;
    for count in [2, 3, 4] {
        let known = patterns.clone();
        pure(connection, "pg_regexp_count", count, move |args| {
            let from = match args.get(2) {
                None => 0,
                Some(Value::Int(number)) if *number > 0 => usize::try_from(number - 1).unwrap_or(usize::MAX),
                Some(_) => {
                    let message = "invalid value for parameter \"start\"";
                    return Err(Failure::new(sqlstate::INVALID_PARAMETER, message).hint("count from 1"));
                }
            };
            let (asked, mut count) = (known.asked(args, 3)?, 0);
            asked.each(from, true, |_| {
                count += 1;
                Ok(())
            })?;
            Ok(Value::Int(count))
        })?;
    }
    for count in [3, 4] {
        let known = patterns.clone();
        pure(connection, "pg_regexp_replace", count, move |args| {
            let asked = known.asked(args, 3)?;
            replaced(&asked, &of(args, 2), most).map(Value::Text)
        })?;
    }
    Ok(())
}

/// A pattern as it was written, and as it was read.
type Known = (String, Options, Arc<Regex>);

/// The patterns that were read last.
#[derive(Clone)]
struct Patterns {
    known: Arc<Mutex<Vec<Known>>>,
    shared: Shared,
}

/// A text, and what is looked for in it.
struct Asked<'a> {
    regex: Arc<Regex>,
    text: Vec<char>,
    options: Options,
    shared: &'a Shared,
}

impl Patterns {
    /// The text and the pattern that a function was called with, and its options, which are the argument with
    /// this number.
    fn asked(&self, args: &[Value], options: usize) -> Result<Asked<'_>> {
        let options =
            if args.len() > options { Options::of(&of(args, options))? } else { Options::default() };
        self.with(&of(args, 0), &of(args, 1), options)
    }

    /// Each call pays for the states, whether the pattern is remembered or not.
    fn with(&self, text: &str, pattern: &str, options: Options) -> Result<Asked<'_>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known.iter().position(|(known, with, _)| *with == options && known == pattern);
        let regex = match at {
            Some(at) => {
                known[..=at].rotate_right(1);
                known[0].2.clone()
            }
            None => {
                let regex = Arc::new(Regex::new(pattern, options)?);
                known.truncate(REMEMBERED - 1);
                known.insert(0, (pattern.to_owned(), options, regex.clone()));
                regex
            }
        };
        drop(known);
        self.shared.take(regex.states() as u64)?;
        Ok(Asked { regex, text: text.chars().collect(), options, shared: &self.shared })
    }
}

impl Asked<'_> {
    /// Pays visits, of which those that make no whole step are paid with the next ones.
    fn pay(&self) -> impl FnMut(usize) -> Result<()> {
        let mut open = 0;
        move |visits| {
            open += visits;
            let steps = (open / VISITS_PER_STEP) as u64;
            open %= VISITS_PER_STEP;
            self.shared.take(steps)
        }
    }

    fn part(&self, (from, to): Span) -> String {
        self.text[from..to].iter().collect()
    }

    /// What the parentheses have of the first match, or all of it if there are none.
    fn parts(&self) -> Result<Option<Vec<Option<String>>>> {
        if self.options.all {
            let message = "regexp_match() does not support the \"global\" option";
            return Err(Failure::new(sqlstate::INVALID_PARAMETER, message).hint("leave the option g out"));
        }
        let mut pay = self.pay();
        let Some(whole) = self.regex.search(&self.text).find(0, &mut pay)? else { return Ok(None) };
        if self.regex.groups() == 0 {
            return Ok(Some(vec![Some(self.part(whole))]));
        }
        let groups = self.regex.captures(&self.text, whole, &mut pay)?;
        Ok(Some(groups.into_iter().map(|group| group.map(|span| self.part(span))).collect()))
    }

    /// Does something with each match from the character `from` on, or with the first one.
    fn each(&self, mut from: usize, all: bool, mut with: impl FnMut(Span) -> Result<()>) -> Result<()> {
        let (mut pay, mut search) = (self.pay(), self.regex.search(&self.text));
        while from <= self.text.len() {
            let Some((begins, ends)) = search.find(from, &mut pay)? else { break };
            with((begins, ends))?;
            if !all {
                break;
            }
            from = if ends > begins { ends } else { ends + 1 };
        }
        Ok(())
    }
}

/// A part of what stands in place of a match.
enum Piece {
    Text(String),
    /// What a pair of parentheses has of the match; 0 is all of it.
    Group(usize),
}

/// A text with its matches replaced: the first one, or all.
fn replaced(asked: &Asked<'_>, by: &str, most: usize) -> Result<String> {
    let pieces = pieces(by);
    let names_groups = pieces.iter().any(|piece| matches!(piece, Piece::Group(number) if *number > 0));
    let (mut made, mut behind) = (String::new(), 0);
    let mut pay = asked.pay();
    asked.each(0, asked.options.all, |whole| {
        let groups = match names_groups {
            true => asked.regex.captures(&asked.text, whole, &mut pay)?,
            false => Vec::new(),
        };
        made.extend(&asked.text[behind..whole.0]);
        for piece in &pieces {
            match piece {
                Piece::Text(text) => made.push_str(text),
                Piece::Group(0) => made.extend(&asked.text[whole.0..whole.1]),
                Piece::Group(number) => {
                    let (from, to) = groups.get(number - 1).copied().flatten().unwrap_or((0, 0));
                    made.extend(&asked.text[from..to]);
                }
            }
            within(made.len(), most)?;
        }
        behind = whole.1;
        Ok(())
    })?;
    made.extend(&asked.text[behind..]);
    within(made.len(), most)?;
    Ok(made)
}

fn pieces(by: &str) -> Vec<Piece> {
    let (mut pieces, mut text) = (Vec::new(), String::new());
    let mut letters = by.chars().peekable();
    while let Some(c) = letters.next() {
        let next = if c == '\\' { letters.peek().copied() } else { None };
        let group = match next {
            Some('&') => Some(0),
            Some('1'..='9') => next.and_then(|digit| digit.to_digit(10)),
            _ => None,
        };
        if let Some(group) = group {
            letters.next();
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(Piece::Group(group as usize));
        } else {
            if next == Some('\\') {
                letters.next();
            }
            text.push(c);
        }
    }
    pieces.push(Piece::Text(text));
    pieces
}

/// Parts as the text of an array.
fn array<'p>(parts: impl Iterator<Item = Option<&'p str>>, most: usize) -> Result<String> {
    let mut array = String::from("{");
    for (at, part) in parts.enumerate() {
        array.push_str(if at > 0 { "," } else { "" });
        array.push_str(&part.map_or_else(|| "NULL".to_owned(), in_array));
        within(array.len() + 1, most)?;
    }
    array.push('}');
    Ok(array)
}

//! Reads a query: by recursive descent, with the place of what is not understood.

use regex::Regex;

use super::{Comparison, Condition, Field, KINDS, Operand, Operator, QueryError, STATUSES};
use crate::model::Nanos;

/// Parentheses within one another, at most.
const DEPTH: usize = 32;

pub(super) struct Parser<'a> {
    pub text: &'a str,
    /// In bytes.
    pub at: usize,
    pub time: fn(&str) -> Option<Nanos>,
}

/// What is to be said of a field of links that is not understood.
fn of_links(word: &str) -> Option<&'static str> {
    let part = word.strip_prefix("link.").or_else(|| word.strip_prefix("link:"))?;
    Some(match part.to_ascii_lowercase().as_str() {
        "traceid" => "this is link:traceID in TraceQL",
        "spanid" => "this is link:spanID in TraceQL",
        _ => "of a link there are link:traceID and link:spanID; its attributes are not looked at",
    })
}

impl<'a> Parser<'a> {
    pub fn any(&mut self, depth: usize) -> Result<Condition, QueryError> {
        let mut parts = vec![self.all(depth)?];
        while self.take("||") {
            self.blanks();
            let before = self.at;
            parts.push(self.all(depth)?);
            // One of them is found in a span, the other one when the whole trace is known.
            if !parts.iter().all(Condition::is_of_root) && !parts.iter().all(Condition::is_of_span) {
                let what = "what is asked of a root and of a span can be put together by && only";
                return Err(self.wrong_at(before, what));
            }
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) })
    }

    fn all(&mut self, depth: usize) -> Result<Condition, QueryError> {
        let mut parts = vec![self.one(depth)?];
        while self.take("&&") {
            parts.push(self.one(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::All(parts) })
    }

    fn one(&mut self, depth: usize) -> Result<Condition, QueryError> {
        if !self.take("(") {
            return self.comparison().map(Condition::Is);
        }
        if depth == DEPTH {
            return Err(self.wrong(format!("there are over {DEPTH} parentheses within one another")));
        }
        let condition = self.any(depth + 1)?;
        self.expect(")")?;
        Ok(condition)
    }

    fn comparison(&mut self) -> Result<Comparison, QueryError> {
        let field = self.field()?;
        let operator = self.operator()?;
        self.blanks();
        let before = self.at;
        let operand = self.operand(operator)?;
        let comparison = Comparison { field, operator, operand };
        match comparison.mismatch() {
            Some(what) => Err(self.wrong_at(before, what)),
            None => Ok(comparison),
        }
    }

    fn field(&mut self) -> Result<Field, QueryError> {
        self.blanks();
        let before = self.at;
        let is_part = |char: char| char.is_alphanumeric() || "._-/:".contains(char);
        let word = self.word(is_part);
        if let Some(key) = word.strip_prefix("span.").filter(|key| !key.is_empty()) {
            return Ok(Field::Span(key.to_owned()));
        }
        if let Some(key) = word.strip_prefix("resource.").filter(|key| !key.is_empty()) {
            return Ok(Field::Resource(key.to_owned()));
        }
        if let Some(key) = word.strip_prefix('.').filter(|key| !key.is_empty()) {
            return Ok(Field::Either(key.to_owned()));
        }
        match word {
            "duration" => Ok(Field::Duration),
            "name" => Ok(Field::Name),
            "kind" => Ok(Field::Kind),
            "status" => Ok(Field::Status),
            "rootServiceName" | "trace:rootService" => Ok(Field::RootService),
            "rootName" | "trace:rootName" => Ok(Field::RootName),
            "link:traceID" => Ok(Field::LinkTrace),
            "link:spanID" => Ok(Field::LinkSpan),
            _ => Err(self.wrong_at(
                before,
                of_links(word).unwrap_or(
                    "expected duration, name, kind, status, rootServiceName, rootName, link:traceID, link:spanID, \
                     span.KEY, resource.KEY or .KEY; a key has letters, digits and . _ - / :",
                ),
            )),
        }
    }

    fn operator(&mut self) -> Result<Operator, QueryError> {
        // Longer ones first: `=~` also begins with `=`.
        let all = [
            ("=~", Operator::Matches),
            ("!~", Operator::MatchesNot),
            ("!=", Operator::Unequal),
            ("<=", Operator::AtMost),
            (">=", Operator::AtLeast),
            ("=", Operator::Equal),
            ("<", Operator::Less),
            (">", Operator::More),
        ];
        let found = all.into_iter().find(|(sign, _)| self.take(sign));
        found
            .map(|(_, operator)| operator)
            .ok_or_else(|| self.wrong("expected =, !=, <, <=, >, >=, =~ or !~"))
    }

    fn operand(&mut self, operator: Operator) -> Result<Operand, QueryError> {
        self.blanks();
        let before = self.at;
        let is_pattern = matches!(operator, Operator::Matches | Operator::MatchesNot);
        if let Some(text) = self.quoted()? {
            if !is_pattern {
                return Ok(Operand::Text(text));
            }
            // As in TraceQL, the whole text has to meet it.
            let pattern = Regex::new(&format!("^(?:{text})$"));
            return pattern
                .map(Operand::Pattern)
                .map_err(|_| self.wrong_at(before, "this is no regular expression"));
        }
        if is_pattern {
            return Err(self.wrong("expected a regular expression in quotes"));
        }
        let word = self.word(|char| char.is_alphanumeric() || "._-+".contains(char));
        match word {
            "nil" if matches!(operator, Operator::Equal | Operator::Unequal) => return Ok(Operand::Nil),
            "true" => return Ok(Operand::Bool(true)),
            "false" => return Ok(Operand::Bool(false)),
            word if KINDS.contains(&word) || STATUSES.contains(&word) => {
                return Ok(Operand::Text(word.to_owned()));
            }
            _ => {}
        }
        if let Ok(number) = word.parse::<f64>() {
            return Ok(Operand::Number(number));
        }
        if let Some(nanos) = (self.time)(word) {
            return Ok(Operand::Time(nanos as f64));
        }
        Err(self.wrong_at(
            before,
            "expected a value: \"text\", a number, a time such as 100ms, true, false or nil",
        ))
    }

    /// Text in double quotes, in which a backslash takes the next character as it is, or in
    /// backquotes.
    fn quoted(&mut self) -> Result<Option<String>, QueryError> {
        let rest = &self.text[self.at..];
        let Some(mark) = rest.chars().next().filter(|char| matches!(char, '"' | '`')) else {
            return Ok(None);
        };
        let (mut said, mut is_escaped) = (String::new(), false);
        for (index, char) in rest.char_indices().skip(1) {
            match char {
                _ if is_escaped => {
                    if !matches!(char, '"' | '\\') {
                        said.push('\\');
                    }
                    said.push(char);
                    is_escaped = false;
                }
                '\\' if mark == '"' => is_escaped = true,
                char if char == mark => {
                    self.at += index + char.len_utf8();
                    return Ok(Some(said));
                }
                char => said.push(char),
            }
        }
        Err(self.wrong("this text has no end"))
    }

    fn word(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find(|char| !is_part(char)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    pub fn take(&mut self, sign: &str) -> bool {
        self.blanks();
        let is_next = self.text[self.at..].starts_with(sign);
        self.at += if is_next { sign.len() } else { 0 };
        is_next
    }

    pub fn expect(&mut self, sign: &str) -> Result<(), QueryError> {
        if self.take(sign) { Ok(()) } else { Err(self.wrong(format!("expected {sign}"))) }
    }

    pub fn end(&mut self) -> Result<(), QueryError> {
        self.blanks();
        if self.at == self.text.len() {
            return Ok(());
        }
        Err(self.wrong("expected the end: one { … } is understood, and nothing behind it"))
    }

    fn blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn wrong(&self, what: impl Into<String>) -> QueryError {
        self.wrong_at(self.at, what)
    }

    fn wrong_at(&self, at: usize, what: impl Into<String>) -> QueryError {
        QueryError { query: self.text.to_owned(), at: self.text[..at].chars().count(), what: what.into() }
    }
}

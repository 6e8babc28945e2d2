//! What a span must be, in the words of TraceQL: one spanset filter, `{ … }`.
//!
//! Fields: `duration`, `name`, `kind`, `status`, `span.KEY`, `resource.KEY`, and `.KEY` for either; of the
//! root of the trace `rootServiceName` and `rootName`; of any of the span's links `link:traceID` and
//! `link:spanID`.
//! Comparisons: `=`, `!=`, `<`, `<=`, `>`, `>=`, `=~` and `!~` with a regular expression that the
//! whole text meets, and `!= nil`. They are put together with `&&`, `||` and parentheses. What
//! relates several spansets is not understood, and refused.

mod parser;

use std::fmt;

use regex::Regex;

use crate::error::{printable, width};
use crate::model::Nanos;
use crate::telemetry::record::{Resource, SpanLink, SpanRecord, Status, Value};
use parser::Parser;

/// What `kind` and `status` can be.
const KINDS: [&str; 5] = ["internal", "server", "client", "producer", "consumer"];
const STATUSES: [&str; 3] = ["unset", "ok", "error"];

/// A filter of spans, and of the roots of their traces.
#[derive(Clone, Debug)]
pub struct Query {
    /// What one span has to meet.
    span: Option<Condition>,
    /// What the root has to meet.
    root: Option<Condition>,
}

#[derive(Clone, Debug)]
enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Is(Comparison),
}

#[derive(Clone, Debug)]
struct Comparison {
    field: Field,
    operator: Operator,
    operand: Operand,
}

#[derive(Clone, Debug, PartialEq)]
enum Field {
    Duration,
    Name,
    Kind,
    Status,
    Span(String),
    Resource(String),
    Either(String),
    RootService,
    RootName,
    LinkTrace,
    LinkSpan,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    Matches,
    MatchesNot,
}

#[derive(Clone, Debug)]
enum Operand {
    Text(String),
    Number(f64),
    /// Nanoseconds.
    Time(f64),
    Bool(bool),
    Pattern(Regex),
    Nil,
}

/// What has an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    Span,
    Resource,
    Either,
}

/// Why a query is not understood, with a caret at the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    query: String,
    /// In characters.
    at: usize,
    what: String,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of several lines, the one with the place. A tab is shown as a blank.
        let at = self.query.char_indices().nth(self.at).map_or(self.query.len(), |(at, _)| at);
        let start = self.query[..at].rfind('\n').map_or(0, |end| end + 1);
        let end = self.query[at..].find('\n').map_or(self.query.len(), |end| at + end);
        let line = printable(&self.query[start..end]).replace('\t', " ");
        write!(f, "{}\n  {line}\n  {:before$}^", self.what, "", before = width(&line[..at - start]))
    }
}

impl std::error::Error for QueryError {}

impl Query {
    /// Reads a query. `time` reads a time such as `100ms`, to nanoseconds.
    ///
    /// # Errors
    /// What is not understood, and where.
    pub fn parse(text: &str, time: fn(&str) -> Option<Nanos>) -> Result<Self, QueryError> {
        let mut parser = Parser { text, at: 0, time };
        parser.expect("{")?;
        if parser.take("}") {
            parser.end()?;
            return Ok(Self { span: None, root: None });
        }
        let condition = parser.any(0)?;
        parser.expect("}")?;
        parser.end()?;
        let (root, span) = condition.into_parts().into_iter().partition(Condition::is_of_root);
        let all = |parts: Vec<Condition>| (!parts.is_empty()).then_some(Condition::All(parts));
        Ok(Self { span: all(span), root: all(root) })
    }

    /// Whether a span of this resource meets it.
    pub fn meets(&self, span: &SpanRecord, resource: &Resource) -> bool {
        let meets = |comparison: &Comparison| comparison.meets(span, resource);
        self.span.as_ref().is_none_or(|condition| condition.holds(&meets))
    }

    /// Whether it asks anything of roots.
    pub const fn asks_of_root(&self) -> bool {
        self.root.is_some()
    }

    /// Whether a trace meets it whose root is of this service and has this name.
    pub fn meets_root(&self, service: &str, name: &str) -> bool {
        let meets = |comparison: &Comparison| comparison.meets_root(service, name);
        self.root.as_ref().is_none_or(|condition| condition.holds(&meets))
    }

    /// The attributes that it compares, each once; those that are not to be there are left out.
    pub fn attributes(&self) -> Vec<(Holder, &str)> {
        let mut found = Vec::new();
        if let Some(condition) = &self.span {
            condition.attributes(&mut found);
        }
        found
    }
}

impl Condition {
    fn holds(&self, is_met: &dyn Fn(&Comparison) -> bool) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(is_met)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(is_met)),
            Self::Is(comparison) => is_met(comparison),
        }
    }

    /// What has to hold all at once.
    fn into_parts(self) -> Vec<Self> {
        match self {
            Self::All(parts) => parts.into_iter().flat_map(Self::into_parts).collect(),
            other => vec![other],
        }
    }

    /// Whether all of it is about the root of a trace.
    fn is_of_root(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().all(Self::is_of_root),
            Self::Is(comparison) => comparison.field.is_of_root(),
        }
    }

    /// Whether all of it is about one span.
    fn is_of_span(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().all(Self::is_of_span),
            Self::Is(comparison) => !comparison.field.is_of_root(),
        }
    }

    fn attributes<'a>(&'a self, found: &mut Vec<(Holder, &'a str)>) {
        let Comparison { field, operator, operand } = match self {
            Self::All(parts) | Self::Any(parts) => {
                return parts.iter().for_each(|part| part.attributes(found));
            }
            Self::Is(comparison) => comparison,
        };
        let attribute = match field {
            Field::Duration
            | Field::Name
            | Field::Kind
            | Field::Status
            | Field::RootService
            | Field::RootName
            | Field::LinkTrace
            | Field::LinkSpan => {
                return;
            }
            Field::Span(key) => (Holder::Span, key.as_str()),
            Field::Resource(key) => (Holder::Resource, key.as_str()),
            Field::Either(key) => (Holder::Either, key.as_str()),
        };
        let is_to_be_absent = matches!(operand, Operand::Nil) && *operator == Operator::Equal;
        if !is_to_be_absent && !found.contains(&attribute) {
            found.push(attribute);
        }
    }
}

impl Field {
    const fn is_of_root(&self) -> bool {
        matches!(self, Self::RootService | Self::RootName)
    }
}

impl Comparison {
    /// Why no span could meet it, whatever it is; none where one could.
    fn mismatch(&self) -> Option<&'static str> {
        let is_equality = matches!(self.operator, Operator::Equal | Operator::Unequal);
        let is_one_of = |text: &str, known: &[&str]| is_equality && known.contains(&text);
        let (fits, what) = match (&self.field, &self.operand) {
            (_, Operand::Nil) => return None,
            (_, Operand::Bool(_)) if !is_equality => (false, "true and false are compared by = or !="),
            (Field::Duration, operand) => {
                (matches!(operand, Operand::Time(_)), "a duration is compared with a time such as 100ms")
            }
            (Field::Name | Field::RootService | Field::RootName, operand) => (
                matches!(operand, Operand::Text(_) | Operand::Pattern(_)),
                "a name is compared with a text such as \"GET /books\"",
            ),
            (Field::LinkTrace | Field::LinkSpan, operand) => (
                matches!(operand, Operand::Text(_) | Operand::Pattern(_)),
                "an id is compared with a text of hexadecimal digits, such as \"00f067aa0ba902b7\"",
            ),
            (Field::Kind | Field::Status, Operand::Pattern(_)) => return None,
            (Field::Kind, operand) => (
                matches!(operand, Operand::Text(kind) if is_one_of(kind, &KINDS)),
                "a kind is internal, server, client, producer or consumer, compared by = or !=",
            ),
            (Field::Status, operand) => (
                matches!(operand, Operand::Text(status) if is_one_of(status, &STATUSES)),
                "a status is unset, ok or error, compared by = or !=",
            ),
            (Field::Span(_) | Field::Resource(_) | Field::Either(_), _) => return None,
        };
        (!fits).then_some(what)
    }

    fn meets(&self, span: &SpanRecord, resource: &Resource) -> bool {
        let of_span = |key: &str| span.attributes.get(key);
        let of_resource = |key: &str| {
            let found = resource.attributes.iter().find(|attribute| *attribute.key == *key);
            found.map(|attribute| &attribute.value)
        };
        let status = match span.status {
            Status::Unset => "unset",
            Status::Ok => "ok",
            Status::Error(_) => "error",
        };
        let is_nil = matches!(self.operand, Operand::Nil);
        match &self.field {
            // Every span has these.
            Field::Duration | Field::Name | Field::Kind | Field::Status if is_nil => {
                self.operator == Operator::Unequal
            }
            Field::Duration => self.holds_of_number((span.end - span.start) as f64),
            Field::Name => self.holds_of_text(&span.name),
            // Asked of the trace.
            Field::RootService | Field::RootName => true,
            Field::Kind => self.holds_of_text(span.kind.name()),
            Field::Status => self.holds_of_text(status),
            Field::LinkTrace => self.holds_of_links(span, |link| link.trace_id.to_string()),
            Field::LinkSpan => self.holds_of_links(span, |link| link.span_id.to_string()),
            Field::Span(key) => self.holds(of_span(key)),
            Field::Resource(key) => self.holds(of_resource(key)),
            Field::Either(key) => self.holds(of_span(key).or_else(|| of_resource(key))),
        }
    }

    /// What is asked of spans holds of any root.
    fn meets_root(&self, service: &str, name: &str) -> bool {
        match self.field {
            // Every trace has a root.
            Field::RootService | Field::RootName if matches!(self.operand, Operand::Nil) => {
                self.operator == Operator::Unequal
            }
            Field::RootService => self.holds_of_text(service),
            Field::RootName => self.holds_of_text(name),
            _ => true,
        }
    }

    /// What is not there meets nothing but `= nil`.
    fn holds(&self, value: Option<&Value>) -> bool {
        match (value, &self.operand) {
            (value, Operand::Nil) => value.is_none() == (self.operator == Operator::Equal),
            (None, _) => false,
            (Some(Value::Int(value)), _) => self.holds_of_number(*value as f64),
            (Some(Value::Float(value)), _) => self.holds_of_number(*value),
            (Some(Value::Bool(value)), Operand::Bool(wanted)) => match self.operator {
                Operator::Equal => value == wanted,
                Operator::Unequal => value != wanted,
                _ => false,
            },
            (Some(value), _) => self.holds_of_text(&value.to_string()),
        }
    }

    /// Whether it holds of any link; what has none meets nothing but `= nil`.
    fn holds_of_links(&self, span: &SpanRecord, id: impl Fn(&SpanLink) -> String) -> bool {
        match self.operand {
            Operand::Nil => span.links.is_empty() == (self.operator == Operator::Equal),
            _ => span.links.iter().any(|link| self.holds_of_text(&id(link))),
        }
    }

    fn holds_of_number(&self, value: f64) -> bool {
        let (Operand::Number(wanted) | Operand::Time(wanted)) = self.operand else { return false };
        match self.operator {
            Operator::Equal => value == wanted,
            Operator::Unequal => value != wanted,
            Operator::Less => value < wanted,
            Operator::AtMost => value <= wanted,
            Operator::More => value > wanted,
            Operator::AtLeast => value >= wanted,
            Operator::Matches | Operator::MatchesNot => false,
        }
    }

    fn holds_of_text(&self, value: &str) -> bool {
        match (&self.operand, self.operator) {
            (Operand::Pattern(pattern), Operator::Matches) => pattern.is_match(value),
            (Operand::Pattern(pattern), _) => !pattern.is_match(value),
            (Operand::Text(wanted), Operator::Equal) => value == wanted,
            (Operand::Text(wanted), Operator::Unequal) => value != wanted,
            (Operand::Text(wanted), Operator::Less) => value < wanted.as_str(),
            (Operand::Text(wanted), Operator::AtMost) => value <= wanted.as_str(),
            (Operand::Text(wanted), Operator::More) => value > wanted.as_str(),
            (Operand::Text(wanted), Operator::AtLeast) => value >= wanted.as_str(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Query, QueryError> {
        Query::parse(text, |_| None)
    }

    #[test]
    fn what_is_not_understood_has_a_caret_at_its_place() {
        let cases = [
            ("duration > 1s", 0, "expected {"),
            ("{ duration > }", 13, "expected a value"),
            ("{ duration > 5 }", 13, "a duration is compared with a time"),
            ("{ status = bad }", 11, "expected a value"),
            ("{ status = server }", 11, "a status is"),
            ("{ kind = error }", 9, "a kind is"),
            ("{ kind = 5 }", 9, "a kind is"),
            ("{ status > ok }", 11, "a status is"),
            ("{ name = 5 }", 9, "a name is compared with a text"),
            ("{ name < nil }", 9, "expected a value"),
            ("{ .flag < true }", 10, "true and false are compared"),
            ("{ nam = \"x\" }", 2, "expected duration, name"),
            ("{ rootName = 5 }", 13, "a name is compared with a text"),
            ("{ name = \"x\" || rootName = \"y\" }", 16, "what is asked of a root and of a span"),
            ("{ rootName = \"y\" || (rootName = \"z\" && name = \"x\") }", 20, "what is asked of a root"),
            ("{ name ~ \"x\" }", 7, "expected =, !="),
            ("{ link.traceID != \"\" }", 2, "this is link:traceID in TraceQL"),
            ("{ link:spanid = \"ab\" }", 2, "this is link:spanID in TraceQL"),
            ("{ link.reason = \"retry\" }", 2, "of a link there are link:traceID and link:spanID"),
            ("{ link:traceID = 12 }", 17, "an id is compared with a text"),
            ("{ name =~ \"(\" }", 10, "this is no regular expression"),
            ("{ name = \"x }", 9, "this text has no end"),
            ("{ name = \"x\" } && { name = \"y\" }", 15, "expected the end"),
            ("{ (name = \"x\" }", 14, "expected )"),
        ];
        for (query, at, what) in cases {
            let error = parse(query).expect_err(query);
            assert_eq!(error.at, at, "{error}");
            assert!(error.what.starts_with(what), "{error}");
        }
        let deep = format!("{{ {}name = \"x\"{} }}", "(".repeat(100), ")".repeat(100));
        assert!(parse(&deep).is_err_and(|error| error.what.starts_with("there are over 32")));
    }

    #[test]
    fn an_error_is_drawn_below_the_query() {
        let error = parse("{ näme = 1 }").expect_err("no field");
        assert!(error.to_string().ends_with("\n  { näme = 1 }\n    ^"), "{error}");
    }
}

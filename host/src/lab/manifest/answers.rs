//! Checks of what a student has found out, in `answers.toml`. What is right is computed from the recording.

use serde_json::json;
use toml::de::DeValue;

use super::bound::{QUANTITY, Quantity};
use crate::error::{Problem, did_you_mean, quote};
use crate::lab::measure::{Metric, Unit};
use crate::topology::key::{Key, Optional, Required, Usual};
use crate::topology::reader::Table;
use crate::topology::schema::text;
use crate::topology::shapes::{By, List};
use crate::topology::types::TEXT;

/// A question, and where its answer comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Of `answers.toml`.
    pub key: String,
    pub truth: Truth,
    pub tolerance: Option<Quantity>,
    /// The words that an answer may be; any if there are none.
    pub choices: Vec<String>,
}

/// Where the right answer comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    /// What a fault of the recording is: this one, or the first that struck.
    Fault(Fact, Option<String>),
    /// A number of the recording's report.
    Report(Metric),
    /// Who calls whom in the recording.
    Edges,
    /// The slowest trace of the recording.
    Slowest(Of),
    /// The lab says it.
    Is(String),
    Number(f64),
}

/// What may be asked of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    Service,
    Kind,
    Name,
    At,
    Trace,
    Link,
    Replica,
}

const FACTS: [(&str, Fact); 7] = [
    ("service", Fact::Service),
    ("kind", Fact::Kind),
    ("name", Fact::Name),
    ("at", Fact::At),
    ("trace", Fact::Trace),
    ("link", Fact::Link),
    ("replica", Fact::Replica),
];

/// How far off the time of a fault may be: a minute.
const OF_A_TIME: Quantity = Quantity { value: 60e9, unit: Unit::Time };

/// What may be asked of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Id,
    Duration,
    Spans,
    /// The name of the span with the most own time, its service, and that time.
    Span,
    Service,
    OwnTime,
    /// The longest time between the start of a CLIENT span and that of its SERVER span.
    Gap,
}

const OF_TRACES: [(&str, Of); 7] = [
    ("id", Of::Id),
    ("duration", Of::Duration),
    ("spans", Of::Spans),
    ("span", Of::Span),
    ("service", Of::Service),
    ("own-time", Of::OwnTime),
    ("gap", Of::Gap),
];

impl Truth {
    /// Whether the lab says what is right, so that nothing need be recorded.
    pub const fn is_said(&self) -> bool {
        matches!(self, Self::Is(_) | Self::Number(_))
    }

    /// What an answer is, if it is a number.
    pub const fn unit(&self) -> Option<Unit> {
        match self {
            Self::Report(metric) => Some(metric.unit()),
            Self::Fault(Fact::At, _) | Self::Slowest(Of::Duration | Of::OwnTime | Of::Gap) => {
                Some(Unit::Time)
            }
            Self::Slowest(Of::Spans) | Self::Fault(Fact::Replica, _) | Self::Number(_) => Some(Unit::Plain),
            _ => None,
        }
    }
}

pub static KEY: Key<By<String>, Required> = Key {
    name: "key",
    of: By {
        words: "a key: lower-case letters, digits, `-`, `_`",
        schema: |_| text("[a-z0-9_-]+"),
        read: |value| {
            value.read(|text| {
                let is_part =
                    |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
                match !text.is_empty() && text.chars().all(is_part) {
                    true => Ok(text.to_owned()),
                    false => Err(Problem::new(format!("{} is no key", quote(text)))
                        .label("no key")
                        .help("write lower-case letters, digits, - and _")),
                }
            })
        },
    },
    absent: Required("name the key of answers.toml: key = \"service\""),
    says: "the key of `answers.toml` that is judged",
};

pub static FROM: Key<By<Truth>, Optional> = Key {
    name: "from",
    of: By {
        words: "what is [right](#answers)",
        schema: |_| text("(fault|report|slowest trace) .+|edges"),
        read: |value| value.read(truth),
    },
    absent: Optional("none"),
    says: "what is right, computed from the recording",
};

pub static IS: Key<By<Truth>, Optional> = Key {
    name: "is",
    of: By {
        words: "text or a number",
        schema: |_| json!({ "anyOf": [{ "type": "string", "minLength": 1 }, { "type": "number" }] }),
        read: |value| match value.item() {
            DeValue::Integer(_) | DeValue::Float(_) => value.number("a number", |_| true).map(Truth::Number),
            _ => value.filled().map(|text| Truth::Is(text.to_owned())),
        },
    },
    absent: Optional("none"),
    says: "in place of `from`: what is right",
};

pub static FAULT: Key<By<String>, Optional> = Key {
    name: "fault",
    of: TEXT,
    absent: Optional("the first that struck"),
    says: "with `from = \"fault …\"`: which fault",
};

pub static TOLERANCE: Key<By<Quantity>, Optional> = Key {
    name: "tolerance",
    of: QUANTITY,
    absent: Optional("`\"60s\"` for `fault at`, else none"),
    says: "how far off a number may be: a time, a number, or a share of what is right",
};

pub static CHOICES: Key<List<By<String>>, Usual> = Key {
    name: "choices",
    of: List { words: "a list of words", of: TEXT },
    absent: Usual("[]"),
    says: "the words that an answer may be; another one is not judged, and costs no guess",
};

pub fn question(table: &Table<'_>) -> Option<Question> {
    let (key, from, is, fault) = (KEY.read(table), FROM.read(table), IS.read(table), FAULT.read(table));
    let (tolerance, choices) = (TOLERANCE.read(table), CHOICES.read(table));
    let truth = match (from?, is?, fault?) {
        (Some(Truth::Fault(fact, _)), None, fault) => Truth::Fault(fact, fault),
        (Some(truth), None, None) => truth,
        (None, Some(is), None) => is,
        _ => {
            let problem = Problem::new(format!("{} has to say what is right", table.what));
            table.note(problem.help("write from, with fault where it is about a fault; or is"));
            return None;
        }
    };
    let usual = matches!(truth, Truth::Fault(Fact::At, _)).then_some(OF_A_TIME);
    let tolerance = tolerance?.or(usual);
    let question = Question { key: key?, truth, tolerance, choices: choices? };
    let is_number = question.truth.unit().is_some();
    if let (false, Some(value)) = (is_number, TOLERANCE.get(table)) {
        return value
            .refuse(Problem::new("only numbers and times have a tolerance").label("nothing to tolerate"));
    }
    Some(question)
}

fn truth(text: &str) -> Result<Truth, Problem> {
    let problem =
        |help: String| Problem::new(format!("{} is nothing to ask", quote(text))).label("unknown").help(help);
    let one_of = |word: &str, known: &mut dyn Iterator<Item = &'static str>| {
        problem(did_you_mean(word, "facts", known.collect::<Vec<_>>()))
    };
    if text == "edges" {
        return Ok(Truth::Edges);
    }
    if let Some(metric) = text.strip_prefix("report ") {
        return Metric::parse(metric)
            .map(Truth::Report)
            .map_err(|(what, help)| Problem::new(what).help(help));
    }
    if let Some(word) = text.strip_prefix("fault ") {
        let found = FACTS.iter().find(|(name, _)| *name == word);
        let found = found.map(|(_, fact)| Truth::Fault(*fact, None));
        return found.ok_or_else(|| one_of(word, &mut FACTS.iter().map(|(name, _)| *name)));
    }
    if let Some(word) = text.strip_prefix("slowest trace ") {
        let found = OF_TRACES.iter().find(|(name, _)| *name == word).map(|(_, of)| Truth::Slowest(*of));
        return found.ok_or_else(|| one_of(word, &mut OF_TRACES.iter().map(|(name, _)| *name)));
    }
    Err(problem("write \"fault service\", \"report METRIC\", \"slowest trace id\" or \"edges\"".to_owned()))
}

//! The kinds of checks: their names, their keys, and what reads them.

use std::borrow::Cow;

use serde_json::{Map, Value as Json, json};

use super::answers::{self, Question};
use super::bound::{AT_LEAST, AT_MOST, Bound, EQUALS};
use super::contract::{self, Contract};
use super::numbers::{self, Wanted};
use super::selector::Selector;
use super::spans::{self, Ask, CriticalPath, Sampled};
use crate::error::{Problem, did_you_mean, quote};
use crate::lab::measure::{Metric, Unit};
use crate::topology::key::Type;
use crate::topology::reader::{Table, Value};
use crate::topology::schema::Defs;
use crate::topology::section::{self, Keys};

/// What a check looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A number of the report.
    Report { metric: Metric, per: Option<Metric>, bound: Bound },
    /// A number of the report, divided by that of the starter with the same seed.
    Compare { metric: Metric, bound: Bound },
    /// Of what the starter's faults did to a number, the share that is undone.
    Undone { metric: Metric, bound: Bound },
    /// Which services call which.
    Edges(Wanted),
    /// Which spans there are, and how they lie to one another.
    Spans(Selector, Ask),
    /// What takes the time of a route.
    CriticalPath(CriticalPath),
    /// What a student has found out.
    Answer(Question),
    /// What one service answers.
    Guest(Contract),
    /// Which traces the sampling of the topology keeps.
    Sampled(Sampled),
}

impl Kind {
    /// As a manifest writes it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Report { .. } => "report",
            Self::Compare { .. } => "compare",
            Self::Undone { .. } => "undone",
            Self::Edges(_) => "edges",
            Self::Spans(..) => "spans",
            Self::CriticalPath(_) => "critical-path",
            Self::Answer(_) => "answer",
            Self::Guest(_) => "guest",
            Self::Sampled(_) => "sampled",
        }
    }

    /// The number of its bound alone, for a text of the lab's own.
    pub fn wanted(&self) -> Option<String> {
        match self {
            Self::Report { metric, per, bound } => {
                Some(bound.number(if per.is_some() { Unit::Plain } else { metric.unit() }))
            }
            Self::Compare { bound, .. } | Self::Undone { bound, .. } => Some(bound.number(Unit::Share)),
            Self::Spans(_, Ask::Count { bound, .. }) => Some(bound.number(Unit::Plain)),
            _ => None,
        }
    }

    /// Whether it compares an answer with what was recorded.
    pub const fn is_of_recording(&self) -> bool {
        matches!(self, Self::Answer(Question { truth, .. }) if !truth.is_said())
    }

    /// The words that an answer may be.
    pub fn choices(&self) -> &[String] {
        match self {
            Self::Answer(question) => &question.choices,
            _ => &[],
        }
    }

    /// The metrics that it looks at.
    pub fn metrics(&self) -> impl Iterator<Item = &Metric> {
        let metrics = match self {
            Self::Report { metric, per, .. } => [Some(metric), per.as_ref()],
            Self::Compare { metric, .. } | Self::Undone { metric, .. } => [Some(metric), None],
            Self::Spans(_, Ask::Count { per, .. }) => [per.as_ref(), None],
            _ => [None, None],
        };
        metrics.into_iter().flatten()
    }
}

/// A kind: its name, the keys that it has beside those of all, and what reads them.
pub struct Declaration {
    pub name: &'static str,
    /// Of its keys, in the reference.
    table: &'static str,
    says: &'static str,
    pub keys: Keys,
    pub read: fn(&Table<'_>) -> Option<Kind>,
}

static KINDS: [Declaration; 9] = [
    Declaration {
        name: "report",
        table: "check-report",
        says: "a number of the report",
        keys: &[&numbers::METRIC, &numbers::PER, &AT_MOST, &AT_LEAST, &EQUALS],
        read: |table| numbers::report(table).map(|(metric, per, bound)| Kind::Report { metric, per, bound }),
    },
    Declaration {
        name: "compare",
        table: "check-compare",
        says: "a number of the report, divided by that of the starter with the same seed",
        keys: &[&numbers::METRIC, &AT_MOST, &AT_LEAST, &EQUALS],
        read: |table| numbers::ratio(table).map(|(metric, bound)| Kind::Compare { metric, bound }),
    },
    Declaration {
        name: "undone",
        table: "check-undone",
        says: "the share of the damage that is undone: (starter − got) / (starter − starter without its faults)",
        keys: &[&numbers::METRIC, &AT_MOST, &AT_LEAST, &EQUALS],
        read: |table| numbers::ratio(table).map(|(metric, bound)| Kind::Undone { metric, bound }),
    },
    Declaration {
        name: "edges",
        table: "check-edges",
        says: "which services call which: exactly these",
        keys: &[&numbers::AS, &numbers::PAIRS],
        read: |table| numbers::edges(table).map(Kind::Edges),
    },
    Declaration {
        name: "spans",
        table: "check-spans",
        says: "which spans there are, and how they lie to one another",
        keys: &[
            &spans::SPANS,
            &spans::PER,
            &AT_MOST,
            &AT_LEAST,
            &EQUALS,
            &spans::ATTRIBUTE,
            &spans::CHILD_OF,
            &spans::LINKED_TO,
            &spans::SAME_TRACE,
            &spans::AFTER,
            &spans::WITHIN,
            &spans::NO_ORPHANS,
        ],
        read: |table| spans::spans(table).map(|(of, ask)| Kind::Spans(of, ask)),
    },
    Declaration {
        name: "critical-path",
        table: "check-critical-path",
        says: "what takes the time of a route",
        keys: &[
            &spans::ROUTE,
            &spans::HAS,
            &spans::HAS_NOT,
            &spans::PATH_SHARE,
            &spans::PATH_SERVICE,
            &AT_MOST,
            &AT_LEAST,
            &EQUALS,
        ],
        read: |table| spans::critical_path(table).map(Kind::CriticalPath),
    },
    Declaration {
        name: "answer",
        table: "check-answer",
        says: "what a student has found out, in `answers.toml`",
        keys: &[
            &answers::KEY,
            &answers::FROM,
            &answers::IS,
            &answers::FAULT,
            &answers::TOLERANCE,
            &answers::CHOICES,
        ],
        read: |table| answers::question(table).map(Kind::Answer),
    },
    Declaration {
        name: "guest",
        table: "check-guest",
        says: "what one service answers to requests from outside",
        keys: &[&contract::SERVICE, &contract::STEPS],
        read: |table| contract::contract(table).map(Kind::Guest),
    },
    Declaration {
        name: "sampled",
        table: "check-sampled",
        says: "which traces the sampling of the topology keeps",
        keys: &[&spans::OF, &spans::RECALL, &spans::KEPT],
        read: |table| spans::sampled(table).map(Kind::Sampled),
    },
];

/// The name of a kind.
#[derive(Debug)]
pub struct KindName;

impl Type for KindName {
    type Read = &'static Declaration;

    fn read(&self, value: &Value<'_>) -> Option<Self::Read> {
        let name = value.text()?;
        KINDS.iter().find(|kind| kind.name == name).or_else(|| {
            let help = did_you_mean(name, "kinds", KINDS.iter().map(|kind| kind.name));
            let problem = Problem::new(format!("unknown kind {} of check", quote(name)));
            value.refuse(problem.label("no such kind").help(help))
        })
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed("one of the [kinds](#checks)")
    }

    fn schema(&self, _: &mut Defs) -> Json {
        json!({ "enum": KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>() })
    }
}

/// Adds to the schema of a check the keys of all kinds, for editors, and which of them each kind has.
pub fn add_to_schema(schema: &mut Json, common: Keys, defs: &mut Defs) {
    let mut keys: Map<String, Json> = Map::new();
    let mut rules = Vec::new();
    for kind in &KINDS {
        defs.tables.push((kind.table, section::table(kind.keys)));
        let mut own = Map::new();
        for key in kind.keys {
            let (name, of) = (key.name().to_owned(), key.schema(defs));
            // Where two kinds say different things of a key, any value may stand there at first.
            let said = match keys.get(&name) {
                Some(known) if *known != of => json!({}),
                _ => of.clone(),
            };
            keys.insert(name.clone(), said);
            own.insert(name, of);
        }
        let names: Vec<_> = section::names(common).chain(section::names(kind.keys)).collect();
        let required: Vec<_> =
            kind.keys.iter().filter(|key| key.is_required()).map(|key| key.name()).collect();
        rules.push(json!({
            "if": { "required": ["kind"], "properties": { "kind": { "const": kind.name } } },
            "then": { "propertyNames": { "enum": names }, "required": required, "properties": own },
        }));
    }
    for (key, of) in keys {
        schema["properties"][key] = of;
    }
    schema["if"] = json!(true);
    schema["then"] = json!({ "allOf": rules });
}

/// The kinds, as a table of the reference.
pub fn table() -> String {
    let rows = KINDS.iter().map(|kind| format!("| [`{0}`](#{0}) | {1} |\n", kind.name, kind.says));
    ["| kind | looks at |\n|---|---|\n".to_owned()].into_iter().chain(rows).collect()
}

impl std::fmt::Debug for Declaration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

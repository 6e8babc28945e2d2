//! Checks of spans: which there are, how they lie to one another, and which are kept.

use super::bound::{self, Bound};
use super::numbers::METRICS;
use super::selector::{Select, Selector};
use crate::error::{Problem, quote};
use crate::lab::measure::{Metric, Unit};
use crate::topology::key::{Key, Optional, Required, Usual};
use crate::topology::reader::Table;
use crate::topology::schema::text;
use crate::topology::section::{Section, Sub};
use crate::topology::shapes::{By, Choice, List};
use crate::topology::types::{FLAG, POSITIVE_SHARE, SHARE, TEXT};

/// What is asked of spans.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// How many there are, or how many for each of something else.
    Count { per: Option<Metric>, bound: Bound },
    /// That each has an attribute, with this value if one is given.
    Attribute { name: String, value: Option<String> },
    /// That each is a child of such a span.
    ChildOf(Selector),
    /// That each has a link to such a span.
    LinkedTo(Selector),
    /// That the trace of each has such a span too.
    SameTrace(Selector),
    /// That each starts after the end of such a span with the same parent.
    After(Selector),
    /// That each starts and ends within its parent.
    WithinParent,
    /// That the parent of each is in the same run.
    NoOrphans,
}

pub static SPANS: Key<Select, Required> = Key {
    name: "spans",
    of: Select,
    absent: Required("say which spans: spans = { service = \"checkout\", name = \"POST*\" }"),
    says: "which spans are looked at",
};

pub static PER: Key<By<Metric>, Optional> =
    Key { name: "per", of: METRICS, absent: Optional("none"), says: "what their number is divided by" };

pub static ATTRIBUTE: Key<Sub, Optional> = Key {
    name: "attribute",
    of: Sub(&Section {
        name: "span-attribute",
        says: "an attribute that each span has",
        keys: &[&ATTRIBUTE_NAME, &EVERY],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "each has this attribute",
};

static ATTRIBUTE_NAME: Key<By<String>, Required> =
    Key { name: "name", of: TEXT, absent: Required("name the attribute: name = \"…\""), says: "its name" };

static EVERY: Key<By<String>, Optional> = Key {
    name: "every",
    of: TEXT,
    absent: Optional("any value"),
    says: "its value as text; `*` is any text",
};

const fn relation(name: &'static str, says: &'static str) -> Key<Select, Optional> {
    Key { name, of: Select, absent: Optional("none"), says }
}

pub static CHILD_OF: Key<Select, Optional> = relation("child-of", "each is a child of such a span");
pub static LINKED_TO: Key<Select, Optional> = relation("linked-to", "each has a link to such a span");
pub static SAME_TRACE: Key<Select, Optional> =
    relation("same-trace", "the trace of each has such a span too");
pub static AFTER: Key<Select, Optional> = relation(
    "starts-after-end-of",
    "each starts after the end of such a span that has the same parent, where there is one",
);

pub static WITHIN: Key<Choice<()>, Optional> = Key {
    name: "within",
    of: Choice { what: "span", words: &[("parent", ())] },
    absent: Optional("none"),
    says: "each starts and ends within its parent",
};

pub static NO_ORPHANS: Key<By<bool>, Optional> = Key {
    name: "no-orphans",
    of: FLAG,
    absent: Optional("none"),
    says: "the parent of each is recorded too",
};

/// What a check asks of which spans.
pub fn spans(table: &Table<'_>) -> Option<(Selector, Ask)> {
    let (spans, per) = (SPANS.read(table), PER.read(table));
    let relations = [
        (&CHILD_OF, Ask::ChildOf as fn(Selector) -> Ask),
        (&LINKED_TO, Ask::LinkedTo),
        (&SAME_TRACE, Ask::SameTrace),
        (&AFTER, Ask::After),
    ];
    let mut asked = Vec::new();
    for (key, ask) in relations {
        asked.extend(key.get(table).map(|_| key.written(table).map(ask)));
    }
    asked.extend(WITHIN.get(table).map(|_| WITHIN.written(table).map(|()| Ask::WithinParent)));
    asked.extend(NO_ORPHANS.get(table).map(|_| NO_ORPHANS.written(table).map(|_| Ask::NoOrphans)));
    asked.extend(ATTRIBUTE.open(table, "this attribute").map(|table| {
        let (name, value) = (ATTRIBUTE_NAME.read(&table), EVERY.read(&table));
        Some(Ask::Attribute { name: name?, value: value? })
    }));
    if bound::is_bounded(table) {
        let bound = bound::bound(table, Unit::Plain);
        asked.push(per.and_then(|per| Some(Ask::Count { per, bound: bound? })));
    }
    if asked.len() != 1 {
        let problem = Problem::new(format!("{} has to ask one thing of the spans", table.what));
        let problem = problem.label(format!("it asks {}", asked.len()));
        table.note(problem.help(
            "write a bound such as at-most, or one of attribute, child-of, linked-to, \
                                 same-trace, starts-after-end-of, within, no-orphans",
        ));
        return None;
    }
    Some((spans?, asked.pop()??))
}

/// What takes the time of a route.
#[derive(Clone, Debug, PartialEq)]
pub struct CriticalPath {
    pub service: String,
    pub route: String,
    pub has: Vec<String>,
    pub has_not: Vec<String>,
    /// From which share of the time on a service counts.
    pub share: f64,
    /// The share of one service.
    pub of: Option<(String, Bound)>,
}

pub static ROUTE: Key<By<(String, String)>, Required> = Key {
    name: "route",
    of: By {
        words: "`SERVICE METHOD /path`",
        schema: |_| text("[^ ]+ [A-Z]+ /[^ ]*"),
        read: |value| {
            value.read(|text| match text.split_once(' ') {
                Some((service, route)) if route.contains(' ') => Ok((service.to_owned(), route.to_owned())),
                _ => Err(Problem::new(format!("{} is no route", quote(text)))
                    .label("no route")
                    .help("write \"SERVICE METHOD /path\"")),
            })
        },
    },
    absent: Required("say whose time it is: route = \"storefront GET /pages\""),
    says: "the route at which the traces begin; those of about its median are looked at",
};

const NAMES: List<By<String>> = List { words: "a list of services or names of spans", of: TEXT };

pub static HAS: Key<List<By<String>>, Usual> =
    Key { name: "has", of: NAMES, absent: Usual("[]"), says: "these are on the critical path" };

pub static HAS_NOT: Key<List<By<String>>, Usual> =
    Key { name: "has-not", of: NAMES, absent: Usual("[]"), says: "these are not" };

pub static PATH_SHARE: Key<By<f64>, Usual> = Key {
    name: "share",
    of: POSITIVE_SHARE,
    absent: Usual("0.05"),
    says: "from which share of the time on a service or a span is on it",
};

pub static PATH_SERVICE: Key<By<String>, Optional> = Key {
    name: "service",
    of: TEXT,
    absent: Optional("none"),
    says: "with `at-most` or `at-least`: whose share of the time is bounded",
};

pub fn critical_path(table: &Table<'_>) -> Option<CriticalPath> {
    let (route, has, has_not) = (ROUTE.read(table), HAS.read(table), HAS_NOT.read(table));
    let (share, service) = (PATH_SHARE.read(table), PATH_SERVICE.read(table));
    let of = match service? {
        Some(service) => Some((service, bound::bound(table, Unit::Share)?)),
        None => None,
    };
    let ((service, route), has, has_not) = (route?, has?, has_not?);
    if has.is_empty() && has_not.is_empty() && of.is_none() {
        let problem = Problem::new(format!("{} asks nothing of the critical path", table.what));
        table.note(problem.help("write has, has-not, or service with at-most or at-least"));
        return None;
    }
    Some(CriticalPath { service, route, has, has_not, share: share?, of })
}

/// What the sampling of the topology has to keep.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    /// Traces with such a span matter.
    pub of: Selector,
    pub recall: f64,
    pub share: Option<f64>,
}

pub static OF: Key<Select, Required> = Key {
    name: "of",
    of: Select,
    absent: Required("say which traces matter: of = { status = \"error\" }"),
    says: "traces with such a span matter",
};

pub static RECALL: Key<By<f64>, Usual> = Key {
    name: "recall-at-least",
    of: SHARE,
    absent: Usual("1.0"),
    says: "the share of those that is kept, at least",
};

pub static KEPT: Key<By<f64>, Optional> = Key {
    name: "share-at-most",
    of: SHARE,
    absent: Optional("any"),
    says: "the share of all traces that is kept, at most",
};

pub fn sampled(table: &Table<'_>) -> Option<Sampled> {
    let (of, recall, share) = (OF.read(table), RECALL.read(table), KEPT.read(table));
    Some(Sampled { of: of?, recall: recall?, share: share? })
}

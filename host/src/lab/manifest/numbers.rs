//! Checks of numbers of the report, and of who calls whom.

use super::bound::{self, Bound};
use crate::error::Problem;
use crate::lab::measure::Metric;
use crate::topology::key::{Key, Optional, Required};
use crate::topology::reader::Table;
use crate::topology::schema::text;
use crate::topology::shapes::{By, Choice, List};
use crate::topology::types::TEXT;

/// Which edges there have to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    AsAtTheStart,
    These(Vec<(String, String)>),
}

pub static METRIC: Key<By<Metric>, Required> = Key {
    name: "metric",
    of: METRICS,
    absent: Required("say what is measured: metric = \"load shoppers p99\""),
    says: "what is measured",
};

pub static PER: Key<By<Metric>, Optional> =
    Key { name: "per", of: METRICS, absent: Optional("none"), says: "what it is divided by" };

pub const METRICS: By<Metric> = By {
    words: "a [metric](#metrics)",
    schema: |_| text("[a-z]+ .+"),
    read: |value| {
        value.read(|text| {
            Metric::parse(text).map_err(|(what, help)| Problem::new(what).label("no metric").help(help))
        })
    },
};

pub static AS: Key<Choice<()>, Optional> = Key {
    name: "as",
    of: Choice { what: "side", words: &[("start", ())] },
    absent: Optional("none"),
    says: "the same as in the starter",
};

pub static PAIRS: Key<List<List<By<String>>>, Optional> = Key {
    name: "equals",
    of: List {
        words: "a list of pairs: `[[\"a\", \"b\"]]`",
        of: List { words: "a caller and a callee", of: TEXT },
    },
    absent: Optional("none"),
    says: "these, each a caller and a callee",
};

/// A number of the report with its bound, and what it is divided by.
pub fn report(table: &Table<'_>) -> Option<(Metric, Option<Metric>, Bound)> {
    let (metric, per) = (METRIC.read(table), PER.read(table));
    let bound = bound::of_metric(table, metric.as_ref(), matches!(per, Some(Some(_))));
    Some((metric?, per?, bound?))
}

/// A number of the report with the bound of a ratio.
pub fn ratio(table: &Table<'_>) -> Option<(Metric, Bound)> {
    let metric = METRIC.read(table);
    let bound = bound::of_metric(table, metric.as_ref(), true);
    Some((metric?, bound?))
}

pub fn edges(table: &Table<'_>) -> Option<Wanted> {
    let (as_start, pairs) = (AS.read(table)?, PAIRS.read(table)?);
    match (as_start, pairs) {
        (Some(()), None) => Some(Wanted::AsAtTheStart),
        (None, Some(pairs)) => {
            let pair = |pair: Vec<String>| match <[String; 2]>::try_from(pair) {
                Ok([from, to]) => Some((from, to)),
                Err(_) => PAIRS.get(table)?.refuse(
                    Problem::new("an edge has two ends")
                        .label("not all are pairs")
                        .help("write [\"a\", \"b\"]"),
                ),
            };
            Some(Wanted::These(pairs.into_iter().map(pair).collect::<Option<_>>()?))
        }
        _ => {
            let problem = Problem::new(format!("{} has to say which edges there are", table.what));
            table.note(problem.help("write as = \"start\", or equals = [[\"caller\", \"callee\"], …]"));
            None
        }
    }
}

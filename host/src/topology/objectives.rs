//! `[objectives]`: what a run must achieve, for routes, services and loads.

use std::collections::BTreeSet;

use super::address;
use super::key::{Key, Optional};
use super::names::Names;
use super::patterns;
use super::rates::{parse_rate, refuse_bare_rate};
use super::reader::{Table, Value};
use super::schema::text;
use super::section::{Named, Section};
use super::shapes::By;
use super::types::{SHARE, TIME};
use super::units::positive_duration;
use crate::error::{Problem, did_you_mean, quote};
use crate::model::{Goal, Measure, Objective, RequestsOf};

const REMEDY: &str = r#"write what is allowed, such as { p99 = "400ms", errors = "1%" }"#;

pub(super) static OBJECTIVES: Key<Named, Optional> = Key {
    name: "objectives",
    of: Named { of: &GOALS, pattern: || ".+".to_owned(), least: 0 },
    absent: Optional("none"),
    says: "what a run has to achieve, by service, by route (`\"SERVICE METHOD /route\"`) or by load: see \
           [objectives](../guides/ci.md#state-objectives)",
};

static GOALS: Section = Section {
    name: "objective",
    says: "bounds of a service, a route or a load. A run that misses one fails",
    keys: &[&BOUNDS[0], &BOUNDS[1], &BOUNDS[2], &BOUNDS[3], &BOUNDS[4], &BOUNDS[5], &BOUNDS[6], &BOUNDS[7]],
    rules: &[],
};

/// In the order of [`Measure::ALL`].
static BOUNDS: [Key<By<f64>, Optional>; 8] = [
    bound(0, LATENCY, "the mean latency, at most"),
    bound(1, LATENCY, "the median latency, at most"),
    bound(2, LATENCY, "the latency that 90 % of the requests do not exceed, at most"),
    bound(3, LATENCY, "the latency that 95 % of the requests do not exceed, at most"),
    bound(4, LATENCY, "the latency that 99 % of the requests do not exceed, at most"),
    bound(5, LATENCY, "the longest latency, at most"),
    bound(6, SHARE, "the share of the requests that fail, at most"),
    bound(7, LEAST_RATE, "requests in simulated time, at least"),
];

const fn bound(index: usize, of: By<f64>, says: &'static str) -> Key<By<f64>, Optional> {
    Key { name: Measure::ALL[index].name(), of, absent: Optional("none"), says }
}

const LATENCY: By<f64> = By {
    words: TIME.words,
    schema: TIME.schema,
    read: |value| positive_duration(value).map(|nanos| nanos as f64),
};

const LEAST_RATE: By<f64> = By {
    words: "a rate: `\">= 40/s\"`, `\"40/s\"`",
    schema: |_| text(&format!("(>=)?\\s*{}\\s*", patterns::rate())),
    read: |value| rate(value),
};

/// `[objectives]`, in the order of the file.
pub(super) fn objectives(root: &Table<'_>, names: &Names, loads: &BTreeSet<String>) -> Vec<Objective> {
    let table = OBJECTIVES.get(root).and_then(|value| value.table("[objectives]"));
    let entries = table.as_ref().map(Table::entries).unwrap_or_default();
    entries.iter().filter_map(|entry| objective(entry, names, loads)).collect()
}

fn objective(entry: &Value<'_>, names: &Names, loads: &BTreeSet<String>) -> Option<Objective> {
    let of = requests_of(entry, names, loads);
    let what = format!("the objective {}", quote(entry.key));
    let goals = GOALS.open(entry, what).map(|table| goals(&table));
    let (of, goals) = (of?, goals?);
    Some(Objective { of, goals, place: entry.key_place.clone() })
}

/// `SERVICE`, `SERVICE METHOD /route` or `LOAD`.
fn requests_of(entry: &Value<'_>, names: &Names, loads: &BTreeSet<String>) -> Option<RequestsOf> {
    let (name, route) = match entry.key.split_once(' ') {
        Some((service, route)) => (service, Some(route)),
        None => (entry.key, None),
    };
    let is_load = route.is_none() && loads.contains(name);
    match (names.get(name), route) {
        (Some(_), None) if is_load => entry.refuse_key(
            Problem::new(format!("{} is a service and a load", quote(name)))
                .label("which of the two?")
                .help("give the load a name of its own"),
        ),
        (Some(id), None) => Some(RequestsOf::Service(id)),
        (Some(id), Some(route)) => match address::route(route) {
            Ok(route) => Some(RequestsOf::Route(id, route)),
            Err(problem) => entry.refuse_key(problem),
        },
        (None, None) if is_load => Some(RequestsOf::Load(name.to_owned())),
        (None, None) => {
            let problem = Problem::new(format!("no service and no load has the name {}", quote(name)));
            let known = names.all().chain(loads.iter().map(String::as_str));
            let help = did_you_mean(name, "services and loads", known);
            entry.refuse_key(problem.label("neither").help(help))
        }
        (None, Some(_)) => {
            let problem = Problem::new(format!("unknown service {}", quote(name))).label("no such service");
            entry.refuse_key(problem.help(did_you_mean(name, "services", names.all())))
        }
    }
}

fn goals(table: &Table<'_>) -> Vec<Goal> {
    if table.entries().is_empty() {
        table.note(Problem::new("this objective asks for nothing").label("it is empty").help(REMEDY));
    }
    let goals = Measure::ALL.into_iter().zip(&BOUNDS);
    goals.filter_map(|(measure, bound)| Some(Goal { measure, limit: bound.written(table)? })).collect()
}

/// `">= 40/s"` or `"40/s"`: the least rate, in requests per simulated second.
fn rate(value: &Value<'_>) -> Option<f64> {
    refuse_bare_rate(value)?;
    value.read(|text| {
        let remedy = r#"write the least rate that is enough, as in ">= 40/s" or ">= 2400/m""#;
        let least = text.strip_prefix(">=").unwrap_or(text).trim();
        match parse_rate(least).map_err(|problem| problem.help(remedy))? {
            0.0 => {
                let problem = Problem::new(format!("{} must be above zero", quote(value.key)));
                Err(problem.label("always enough").help(remedy))
            }
            rate => Ok(rate),
        }
    })
}

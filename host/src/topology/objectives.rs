//! `[objectives]`: what a run must achieve, for routes, services and loads.

use super::address;
use super::names::Names;
use super::rates::{parse_rate, refuse_bare_rate, share};
use super::reader::{Table, Value};
use super::units::positive_duration;
use crate::error::{Problem, did_you_mean, quote};
use crate::model::{Goal, Load, Measure, Objective, RequestsOf};

const REMEDY: &str = r#"write what is allowed, such as { p99 = "400ms", errors = "1%" }"#;

/// `[objectives]`, in the order of the file.
pub(super) fn objectives(objectives: Option<Value<'_>>, names: &Names, loads: &[Load]) -> Vec<Objective> {
    let table = objectives.and_then(|value| value.table("[objectives]"));
    let mut entries = table.map(|table| table.entries().to_vec()).unwrap_or_default();
    entries.sort_by_key(|entry| entry.key_place.start);
    entries.iter().filter_map(|entry| objective(entry, names, loads)).collect()
}

fn objective(entry: &Value<'_>, names: &Names, loads: &[Load]) -> Option<Objective> {
    let of = requests_of(entry, names, loads);
    let what = format!("the objective {}", quote(entry.key));
    let goals = entry.table(what).map(|table| goals(&table));
    let (of, goals) = (of?, goals?);
    Some(Objective { of, goals, place: entry.key_place.clone() })
}

/// `SERVICE`, `SERVICE METHOD /route` or `LOAD`.
fn requests_of(entry: &Value<'_>, names: &Names, loads: &[Load]) -> Option<RequestsOf> {
    let (name, route) = match entry.key.split_once(' ') {
        Some((service, route)) => (service, Some(route)),
        None => (entry.key, None),
    };
    let is_load = route.is_none() && loads.iter().any(|load| load.name == name);
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
            let known = names.all().chain(loads.iter().map(|load| load.name.as_str()));
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
    let found = table.keys(Measure::ALL.map(|measure| measure.name()));
    if table.entries().is_empty() {
        table.note(Problem::new("this objective asks for nothing").label("it is empty").help(REMEDY));
    }
    let goals = Measure::ALL.into_iter().zip(found).filter_map(|(measure, value)| {
        let value = value?;
        let limit = match measure {
            Measure::Errors => share(&value),
            Measure::Rate => rate(&value),
            _ => positive_duration(&value).map(|nanos| nanos as f64),
        };
        Some(Goal { measure, limit: limit? })
    });
    goals.collect()
}

/// `">= 40/s"` or `"40/s"`: at least so many requests per simulated second.
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

//! `[[load]]`: who asks, how often, and for what.

mod template;

use std::collections::BTreeSet;

use super::address;
use super::names::Names;
use super::reader::{Table, Value};
use super::units::{duration, positive_duration, rate};
use crate::error::{Problem, quote};
use crate::model::{Arrivals, Bounds, Load, Rate, Spacing, Traffic};

/// The loads, in the order of the file.
pub(super) fn loads(loads: Option<Value<'_>>, names: &Names, bounds: &Bounds) -> Vec<Load> {
    let mut seen = BTreeSet::new();
    let tables = loads.map(|value| value.tables("this load")).unwrap_or_default();
    tables.iter().filter_map(|table| load(table, names, bounds, &mut seen)).collect()
}

fn load(table: &Table<'_>, names: &Names, bounds: &Bounds, seen: &mut BTreeSet<String>) -> Option<Load> {
    let [name_value, to, request, arrivals_value, lasts, start, max_requests, max_in_flight, real_time] =
        table.keys([
            "name",
            "to",
            "request",
            "arrivals",
            "for",
            "start",
            "max-requests",
            "max-in-flight",
            "real-time",
        ]);
    let name_value = table.need("name", name_value, "give the load a name of its own: name = \"…\"");
    let name = name_value.as_ref().and_then(|value| unique(value, seen));
    let to = table.need("to", to, "name the service that is asked: to = \"…\"");
    let to = to.and_then(|value| names.find(&value));
    let remedy = "say what is asked for: request = { method = \"GET\", path = \"/\" }";
    let request = table.need("request", request, remedy);
    let mut values = Vec::new();
    let request = request.and_then(|value| template::request(&value, &mut values));
    let remedy = "say when requests come: arrivals = { poisson = \"50/s\" }";
    let traffic = table.need("arrivals", arrivals_value, remedy).and_then(|value| arrivals(&value));
    let lasts = lasts.map(|value| positive_duration(&value));
    let start = start.map_or(Some(0), |value| duration(&value));
    let max_requests = max_requests.map(|value| value.whole(1..=u64::MAX));
    let max_in_flight = max_in_flight.map_or(Some(bounds.requests), |value| value.count(1..=bounds.requests));
    let real_time = real_time.map_or(Some(true), |value| value.flag());
    Some(Load {
        name: name?,
        to: to?,
        requests: vec![request?],
        values,
        traffic: Traffic::Open(traffic?),
        start: start?,
        lasts: all(lasts)?,
        max_requests: all(max_requests)?,
        max_in_flight: max_in_flight?,
        real_time: real_time?,
        place: name_value?.place(),
    })
}

/// A key that may be left out, but not be wrong.
fn all<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        Some(value) => value.map(Some),
        None => Some(None),
    }
}

fn unique(value: &Value<'_>, seen: &mut BTreeSet<String>) -> Option<String> {
    let name = value.read(address::name)?;
    if seen.insert(name.clone()) {
        return Some(name);
    }
    value.refuse(
        Problem::new(format!("two loads have the name {}", quote(&name)))
            .label("the second one")
            .help("give each load a name of its own: its chance and its row in the report go by it"),
    )
}

/// `arrivals = { poisson = "50/s" }`.
fn arrivals(value: &Value<'_>) -> Option<Arrivals> {
    let table = value.table("arrivals")?;
    let [constant, poisson] = table.keys(["constant", "poisson"]);
    let steady = |rate: Option<Rate>, spacing| Some(Arrivals::Steady { rate: rate?, spacing });
    match (constant, poisson) {
        (Some(value), None) => steady(rate(&value), Spacing::Even),
        (None, Some(value)) => steady(rate(&value), Spacing::Poisson),
        _ => {
            table.note(
                Problem::new("arrivals names none or several kinds")
                    .label("exactly one is needed")
                    .help("write for example { poisson = \"50/s\" }"),
            );
            None
        }
    }
}

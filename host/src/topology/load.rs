//! `[[load]]`: who asks, how often, and for what.

mod draw;
mod request;
mod traffic;

pub(super) use draw::json;

use std::collections::BTreeSet;
use std::path::Path;

use super::address;
use super::names::Names;
use super::reader::{Table, Value, optional};
use super::units::{duration, positive_duration};
use crate::error::{Problem, quote};
use crate::model::{Bounds, Load, RequestTemplate, Traffic};

/// Requests of a load or a user: more than any run makes.
const COUNT_AT_MOST: u64 = 1_000_000_000_000;

/// What all loads share.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub names: &'a Names,
    pub bounds: &'a Bounds,
    /// The topology's folder, where paths begin.
    pub folder: &'a Path,
}

/// The loads, in the order of the file.
pub(super) fn loads(loads: Option<Value<'_>>, around: &Surroundings<'_>) -> Vec<Load> {
    let mut seen = BTreeSet::new();
    let tables = loads.map(|value| value.tables("this load")).unwrap_or_default();
    tables.iter().filter_map(|table| load(table, around, &mut seen)).collect()
}

fn load(table: &Table<'_>, around: &Surroundings<'_>, seen: &mut BTreeSet<String>) -> Option<Load> {
    // Each group of keys has a reader of its own.
    let [name_value, to, request, requests, values] =
        table.some(["name", "to", "request", "requests", "values"]);
    let traffic = table.some(["arrivals", "users", "think", "ramp-up", "iterations", "max-in-flight"]);
    let [start, lasts, max_requests, timeout, span, real_time] =
        table.some(["start", "for", "max-requests", "timeout", "span", "real-time"]);
    table.refuse_others();
    let name_value = table.need("name", name_value, "give the load a name of its own: name = \"…\"");
    let name = name_value.as_ref().and_then(|value| unique(value, seen));
    let to = table.need("to", to, "name the service that is asked: to = \"…\"");
    let to = to.and_then(|value| around.names.find(&value));
    let mut values = values.map_or(Some(Vec::new()), |value| draw::values(&value, around.folder));
    // What is wrong with a value must not make every use of it wrong too.
    let requests = values.as_mut().and_then(|values| {
        let mut reader = request::Reader { values, folder: around.folder };
        requests_of(table, request, requests, &mut reader)
    });
    let traffic = traffic::traffic(table, traffic, around);
    let start = start.map_or(Some(0), |value| duration(&value));
    let lasts = optional(lasts, |value| positive_duration(&value));
    let max_requests = optional(max_requests, |value| value.whole(1..=COUNT_AT_MOST));
    let timeout = optional(timeout, |value| positive_duration(&value));
    let span = span.map_or(Some(false), |value| client_span(&value, name.as_deref(), around.names));
    let real_time = real_time.map_or(Some(true), |value| value.flag());
    let (traffic, max_in_flight): (Traffic, u32) = traffic?;
    Some(Load {
        name: name?,
        to: to?,
        requests: requests?,
        values: values?,
        traffic,
        start: start?,
        lasts: lasts?,
        max_requests: max_requests?,
        max_in_flight,
        timeout: timeout?,
        span: span?,
        real_time: real_time?,
        enabled: true,
        place: name_value?.place(),
    })
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

/// Whether the load is a service in the traces; no other service may have its name then.
fn client_span(value: &Value<'_>, name: Option<&str>, names: &Names) -> Option<bool> {
    let span = value.flag()?;
    match name.filter(|name| span && names.get(name).is_some()) {
        Some(name) => value.refuse(
            Problem::new(format!("the load {0} would be in the traces as the service {0}", quote(name)))
                .label("there is a service of this name")
                .help("give the load another name, or leave span out"),
        ),
        None => Some(span),
    }
}

/// `request` or `requests`: what is asked for.
fn requests_of(
    table: &Table<'_>,
    request: Option<Value<'_>>,
    requests: Option<Value<'_>>,
    reader: &mut request::Reader<'_>,
) -> Option<Vec<RequestTemplate>> {
    match (request, requests) {
        (Some(request), None) => Some(vec![reader.only(&request)?]),
        (None, Some(requests)) => reader.mix(&requests),
        (Some(_), Some(requests)) => requests.refuse_key(
            Problem::new("the load has both request and requests")
                .label("request is given as well")
                .help("put every request into requests = [{ weight = 3, path = \"/…\" }, …]"),
        ),
        (None, None) => {
            let remedy = "say what is asked for: request = { method = \"GET\", path = \"/\" }";
            table.need("request", None, remedy);
            None
        }
    }
}

//! `[[load]]`: who asks, how often, and for what.

mod curve;
mod draw;
mod request;
mod traffic;

pub(super) use draw::json;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use super::address;
use super::key::{Key, Optional, Required, Usual};
use super::names::Names;
use super::patterns;
use super::reader::{Table, Value};
use super::section::{Named, Rule, Section, Sub, Subs};
use super::shapes::{By, Whole, Written};
use super::types::{self, DURATION, FLAG, SERVICE, TIME};
use crate::error::{Problem, quote};
use crate::model::{Bounds, Load, Nanos, RequestTemplate, Traffic};

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

pub(super) static LOADS: Key<Subs, Optional> = Key {
    name: "load",
    of: Subs(&Section {
        name: "load",
        says: "requests that the topology sends by itself",
        keys: &[
            &NAME,
            &TO,
            &REQUEST,
            &REQUESTS,
            &VALUES,
            &traffic::ARRIVALS,
            &traffic::USERS,
            &traffic::THINK,
            &traffic::RAMP_UP,
            &traffic::ITERATIONS,
            &traffic::MAX_IN_FLIGHT,
            &START,
            &FOR,
            &MAX_REQUESTS,
            &TIMEOUT,
            &SPAN,
            &REAL_TIME,
        ],
        rules: &[Rule::One(&["request", "requests"]), Rule::One(&["arrivals", "users"])],
    }),
    absent: Optional("none"),
    says: "requests that the topology sends by itself",
};

static NAME: Key<By<String>, Required> = Key {
    name: "name",
    of: types::NAME,
    absent: Required("give the load a name of its own: name = \"…\""),
    says: "unique among loads",
};

static TO: Key<Written, Required> = Key {
    name: "to",
    of: SERVICE,
    absent: Required("name the service that is asked: to = \"…\""),
    says: "a service with a guest; no ingress is needed",
};

static REQUEST: Key<Sub, Optional> = Key {
    name: "request",
    of: Sub(&request::REQUEST),
    absent: Optional("required without `requests`"),
    says: "what is asked for: `{ method = \"POST\", path = \"/orders\", json = { … } }`",
};

static REQUESTS: Key<Written, Optional> = Key {
    name: "requests",
    of: Written {
        words: "a list of tables",
        schema: |defs| {
            let requests = request::WEIGHTED.refer(defs);
            json!({ "type": "array", "items": requests, "minItems": 1, "maxItems": request::REQUESTS_AT_MOST })
        },
    },
    absent: Optional("required without `request`"),
    says: "a mix: `[{ weight = 3, path = \"/a\" }, { path = \"/b\" }]`",
};

static VALUES: Key<Named, Optional> = Key {
    name: "values",
    of: Named { of: &draw::DRAW, pattern: || format!("^{}$", patterns::NAME), least: 0 },
    absent: Optional("none"),
    says: "what requests draw, by name",
};

static START: Key<By<Nanos>, Usual> =
    Key { name: "start", of: DURATION, absent: Usual("\"0s\""), says: "when it begins" };

static FOR: Key<By<Nanos>, Optional> =
    Key { name: "for", of: TIME, absent: Optional("none"), says: "for how long it sends requests" };

static MAX_REQUESTS: Key<Whole, Optional> = Key {
    name: "max-requests",
    of: Whole(1, COUNT_AT_MOST),
    absent: Optional("none"),
    says: "it ends after this many requests",
};

static TIMEOUT: Key<By<Nanos>, Optional> = Key {
    name: "timeout",
    of: TIME,
    absent: Optional("none"),
    says: "the client gives up, which is an error; the service works on",
};

static SPAN: Key<By<bool>, Usual> = Key {
    name: "span",
    of: FLAG,
    absent: Usual("false"),
    says: "a CLIENT span for each request, of a service that is named like the load",
};

static REAL_TIME: Key<By<bool>, Usual> = Key {
    name: "real-time",
    of: FLAG,
    absent: Usual("true"),
    says: "`false`: only in virtual time, unless `--load NAME=on`",
};

/// The loads, in the order of the file.
/// And the names of all, also of those with a mistake elsewhere.
pub(super) fn loads(root: &Table<'_>, around: &Surroundings<'_>) -> (Vec<Load>, BTreeSet<String>) {
    let mut seen = BTreeSet::new();
    let tables = LOADS.open(root, "this load");
    let loads = tables.iter().filter_map(|table| load(table, around, &mut seen)).collect();
    (loads, seen)
}

fn load(table: &Table<'_>, around: &Surroundings<'_>, seen: &mut BTreeSet<String>) -> Option<Load> {
    let name_value = NAME.need(table);
    let name = name_value.as_ref().and_then(|value| unique(value, seen));
    let to = TO.need(table).and_then(|value| around.names.find(&value));
    let mut values = VALUES.get(table).map_or(Some(Vec::new()), |value| draw::values(&value, around.folder));
    // What is wrong with a value must not make every use of it wrong too.
    let requests = values.as_mut().and_then(|values| {
        let mut reader = request::Reader { values, folder: around.folder };
        requests_of(table, &mut reader)
    });
    let traffic = traffic::traffic(table, around);
    let (start, lasts, max_requests) = (START.read(table), FOR.read(table), MAX_REQUESTS.read(table));
    let timeout = TIMEOUT.read(table);
    let span = client_span(table, name.as_deref(), around.names);
    let real_time = REAL_TIME.read(table);
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
fn client_span(table: &Table<'_>, name: Option<&str>, names: &Names) -> Option<bool> {
    let span = SPAN.read(table)?;
    let twice = name.filter(|name| span && names.get(name).is_some());
    match SPAN.get(table).zip(twice) {
        Some((value, name)) => value.refuse(
            Problem::new(format!("the load {0} would be in the traces as the service {0}", quote(name)))
                .label("there is a service of this name")
                .help("give the load another name, or leave span out"),
        ),
        None => Some(span),
    }
}

/// `request` or `requests`: what is asked for.
fn requests_of(table: &Table<'_>, reader: &mut request::Reader<'_>) -> Option<Vec<RequestTemplate>> {
    match (REQUEST.get(table), REQUESTS.get(table)) {
        (Some(_), None) => Some(vec![reader.only(&REQUEST.open(table, "the request")?)?]),
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

/// Notes a key that belongs to loads of another kind.
fn alien(value: &Value<'_>, other: &str) {
    value.refuse_key::<()>(
        Problem::new(format!("{} is for loads with {other}, and this load has none", quote(value.key)))
            .label("has no effect")
            .help("leave it out"),
    );
}

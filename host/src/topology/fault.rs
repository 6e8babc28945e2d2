//! `[[faults]]`: what goes wrong, for which requests.

use std::collections::BTreeSet;

use super::address;
use super::distribution::distribution;
use super::names::Names;
use super::reader::{Table, Value};
use crate::error::{Problem, quote};
use crate::model::{Chance, Fault, FaultKind, Moment, Target, When};

/// The kinds of fault, before what each needs is looked at.
#[derive(Clone, Copy)]
enum Kind {
    Latency,
    Error,
}

const KINDS: [(&str, Kind); 2] = [("latency", Kind::Latency), ("error", Kind::Error)];

/// The faults, in the order of the file.
pub(super) fn faults(faults: Option<Value<'_>>, names: &Names) -> Vec<Fault> {
    let mut seen = BTreeSet::new();
    let tables = faults.map(|value| value.tables("this fault")).unwrap_or_default();
    tables.iter().filter_map(|table| fault(table, names, &mut seen)).collect()
}

fn fault(table: &Table<'_>, names: &Names, seen: &mut BTreeSet<String>) -> Option<Fault> {
    let [name, kind, delay, status, target_value, probability, enabled] =
        table.keys(["name", "kind", "delay", "status", "target", "probability", "enabled"]);
    let name = table.need("name", name, "give the fault a name of its own: name = \"…\"");
    let place = name.as_ref().map(Value::place);
    let name = name.and_then(|value| unique(&value, seen));
    let kind = table.need("kind", kind, "write kind = \"latency\" or kind = \"error\"");
    let kind = kind.and_then(|value| value.choice("fault kind", &KINDS));
    let kind = kind.and_then(|kind| with_details(table, kind, delay, status));
    let remedy = "name the service that the fault applies to: target = { service = \"…\" }";
    let target = table.need("target", target_value, remedy).and_then(|value| target(&value, names));
    let probability = match probability {
        Some(value) => value.number("a number from 0 to 1", |number| (0.0..=1.0).contains(&number)),
        None => Some(1.0),
    };
    let enabled = enabled.map_or(Some(true), |value| value.flag());
    Some(Fault {
        name: name?,
        kind: kind?,
        target: Some(target?),
        conditions: Vec::new(),
        chance: Chance { probability: probability?, ..Chance::default() },
        when: When::default(),
        enabled: enabled?,
        place: place?,
    })
}

fn unique(value: &Value<'_>, seen: &mut BTreeSet<String>) -> Option<String> {
    let name = value.read(address::name)?;
    if seen.insert(name.clone()) {
        return Some(name);
    }
    value.refuse(
        Problem::new(format!("two faults have the name {}", quote(&name)))
            .label("the second one")
            .help("give each fault a name of its own: reports and --fault tell them apart by it"),
    )
}

fn with_details(
    table: &Table<'_>,
    kind: Kind,
    delay: Option<Value<'_>>,
    status: Option<Value<'_>>,
) -> Option<FaultKind> {
    match kind {
        Kind::Latency => {
            refuse_alien(status, "latency");
            let delay = table.need("delay", delay, "say how long: delay = \"350ms +/- 20ms\"")?;
            Some(FaultKind::Latency { delay: distribution(&delay)?, on: Moment::Handler, event: None })
        }
        Kind::Error => {
            refuse_alien(delay, "error");
            let status = table.need("status", status, "say what is answered: status = 503")?;
            let status = status.count(400..=599)?;
            Some(FaultKind::Error { status: u16::try_from(status).ok()?, body: None, headers: Vec::new() })
        }
    }
}

/// Notes a key that belongs to another kind of fault.
fn refuse_alien(value: Option<Value<'_>>, kind: &str) {
    if let Some(value) = value {
        value.refuse_key::<()>(
            Problem::new(format!("a fault of kind {} has no {}", quote(kind), quote(value.key)))
                .label("has no effect")
                .help("leave it out; delay belongs to kind = \"latency\", status to kind = \"error\""),
        );
    }
}

fn target(value: &Value<'_>, names: &Names) -> Option<Target> {
    let table = value.table("the target")?;
    let [service, route, from] = table.keys(["service", "route", "from"]);
    let service = table.need("service", service, "name the called service: service = \"…\"");
    let service = service.and_then(|value| names.find(&value));
    let route = route.and_then(|value| Some((value.read(address::route)?, value.place())));
    let from = from.and_then(|value| names.find(&value));
    Some(Target { service: service?, route, from, replica: None, from_replica: None, span: None })
}

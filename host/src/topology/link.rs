//! `[[links]]`: what lies between two services, and the policies of the caller.

mod failures;
mod policies;

use std::collections::BTreeSet;

use super::distribution::distribution;
use super::names::Names;
use super::reader::{Table, Value};
use super::units::positive_duration;
use crate::error::Problem;
use crate::model::{Link, ServiceId};

/// The links, in the order of the file.
pub(super) fn links(links: Option<Value<'_>>, names: &Names) -> Vec<Link> {
    let mut seen = BTreeSet::new();
    let tables = links.map(|value| value.tables("this link")).unwrap_or_default();
    tables.iter().filter_map(|table| link(table, names, &mut seen)).collect()
}

fn link(table: &Table<'_>, names: &Names, seen: &mut BTreeSet<(ServiceId, ServiceId)>) -> Option<Link> {
    let [from, to, latency, timeout] = table.some(["from", "to", "latency", "timeout"]);
    let policies = table.some(policies::KEYS);
    table.refuse_others();
    let from = table.need("from", from, "name the calling service: from = \"…\"");
    let to = table.need("to", to, "name the called service: to = \"…\"");
    let latency = latency.and_then(|value| distribution(&value));
    let timeout = timeout.and_then(|value| positive_duration(&value));
    let policies = policies::policies(policies, timeout);
    let (from, to_id) =
        (from.and_then(|value| names.find(&value)), to.as_ref().and_then(|value| names.find(value)));
    let (from, to_id) = (from?, to_id?);
    if !seen.insert((from, to_id)) {
        let (from, to) = (names.name(from), names.name(to_id));
        table.note(
            Problem::new(format!("there are two links from {from} to {to}"))
                .label("the second one")
                .help("write everything about the two services into one link"),
        );
    }
    Some(Link { from, to: to_id, latency, timeout, policies, place: to?.place() })
}

//! `[[links]]`: what lies between two services, and the policies of the caller.

mod failures;
mod policies;

use std::collections::BTreeSet;

use super::key::{Key, Optional, Required};
use super::names::Names;
use super::reader::Table;
use super::section::{Rule, Section, Subs};
use super::shapes::{By, Written};
use super::types::{DISTRIBUTION, SERVICE, TIME};
use crate::error::Problem;
use crate::model::{Distribution, Link, Nanos, ServiceId};

pub(super) static LINKS: Key<Subs, Optional> = Key {
    name: "links",
    of: Subs(&Section {
        name: "link",
        says: "what lies between two services. At most one link per pair of services and direction",
        keys: &[
            &FROM,
            &TO,
            &LATENCY,
            &TIMEOUT,
            &policies::RETRY,
            &policies::BREAKER,
            &policies::HEDGE,
            &policies::BULKHEAD,
            &policies::FALLBACK,
            &policies::DEADLINE,
        ],
        rules: &[Rule::NotBoth("retry", "hedge")],
    }),
    absent: Optional("none"),
    says: "latency and client policies from one service to another",
};

static FROM: Key<Written, Required> = Key {
    name: "from",
    of: SERVICE,
    absent: Required("name the calling service: from = \"…\""),
    says: "the calling service",
};

static TO: Key<Written, Required> = Key {
    name: "to",
    of: SERVICE,
    absent: Required("name the called service: to = \"…\""),
    says: "the called service",
};

static LATENCY: Key<By<Distribution>, Optional> =
    Key { name: "latency", of: DISTRIBUTION, absent: Optional("that of `[network]`"), says: "one way" };

static TIMEOUT: Key<By<Nanos>, Optional> = Key {
    name: "timeout",
    of: TIME,
    absent: Optional("none"),
    says: "how long the caller waits for an attempt. A shorter timeout of the guest counts in its place",
};

/// The links, in the order of the file.
pub(super) fn links(root: &Table<'_>, names: &Names) -> Vec<Link> {
    let mut seen = BTreeSet::new();
    LINKS.open(root, "this link").iter().filter_map(|table| link(table, names, &mut seen)).collect()
}

fn link(table: &Table<'_>, names: &Names, seen: &mut BTreeSet<(ServiceId, ServiceId)>) -> Option<Link> {
    let (from, to) = (FROM.need(table), TO.need(table));
    let (latency, timeout) = (LATENCY.written(table), TIMEOUT.written(table));
    let policies = policies::policies(table, timeout);
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

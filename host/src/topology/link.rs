//! `[[links]]`: what lies between two services, and the policies of the caller, each in a file of its
//! name: its keys, what reads them, and what `simhost check` puts in its text and in its JSON. Their
//! defaults are those of a library that people know, as said at each.

mod breaker;
mod bulkhead;
mod failures;
mod fallback;
mod hedge;
mod retry;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::key::{Key, Optional, Required, Usual};
use super::names::Names;
use super::reader::Table;
use super::section::{Rule, Section, Subs};
use super::shapes::{By, Written};
use super::types::{DISTRIBUTION, FLAG, SERVICE, TIME};
use crate::error::Problem;
use crate::model::{Distribution, Link, Nanos, Policies, ServiceId};
use breaker::{BREAKER, BreakerRow, breaker};
use bulkhead::{BULKHEAD, BulkheadRow, bulkhead};
use fallback::{FALLBACK, FallbackRow, fallback};
use hedge::{HEDGE, HedgeRow, hedge};
use retry::{RETRY, RetryRow, retry};

/// Of counts of policies that have no natural bound.
const COUNT_AT_MOST: u32 = 1_000_000;

pub(super) static LINKS: Key<Subs, Optional> = Key {
    name: "links",
    of: Subs(&Section {
        name: "link",
        says: "what lies between two services. At most one link per pair of services and direction",
        keys: &[&FROM, &TO, &LATENCY, &TIMEOUT, &RETRY, &BREAKER, &HEDGE, &BULKHEAD, &FALLBACK, &DEADLINE],
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

static DEADLINE: Key<By<bool>, Usual> = Key {
    name: "deadline",
    of: FLAG,
    absent: Usual("false"),
    says: "tells the callee how long the caller waits: see [deadlines](policies.md#deadlines)",
};

/// The links, in the order of the file.
pub(super) fn links(root: &Table<'_>, names: &Names) -> Vec<Link> {
    let mut seen = BTreeSet::new();
    LINKS.open(root, "this link").iter().filter_map(|table| link(table, names, &mut seen)).collect()
}

fn link(table: &Table<'_>, names: &Names, seen: &mut BTreeSet<(ServiceId, ServiceId)>) -> Option<Link> {
    let (from, to) = (FROM.need(table), TO.need(table));
    let (latency, timeout) = (LATENCY.written(table), TIMEOUT.written(table));
    let policies = policies(table, timeout);
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

/// Reads the policies of a link; `timeout` is the link's.
fn policies(table: &Table<'_>, timeout: Option<Nanos>) -> Option<Policies> {
    if let (Some(retry), Some(_)) = (RETRY.get(table), HEDGE.get(table)) {
        retry.refuse_key::<()>(
            Problem::new("this link has both retry and hedge")
                .label("there is a hedge as well")
                .help("keep one of them, as in gRPC: a hedge is a retry that does not wait for a failure"),
        );
    }
    let policies = Policies {
        retry: RETRY.open(table, "the retry").and_then(|table| retry(&table)),
        breaker: BREAKER.open(table, "the breaker").and_then(|table| breaker(&table)),
        hedge: HEDGE.open(table, "the hedge").and_then(|table| hedge(&table, timeout)),
        bulkhead: BULKHEAD.open(table, "the bulkhead").and_then(|table| bulkhead(&table)),
        fallback: FALLBACK.open(table, "the fallback").and_then(|table| fallback(&table)),
        deadline: DEADLINE.or_usual(table),
    };
    // `deadline = false` alone is no policy.
    (policies != Policies::default()).then_some(policies)
}

/// The policies of a link as `simhost check` lists them in its text.
pub fn policy_lines(policies: &Policies) -> Vec<String> {
    let Policies { retry, breaker, hedge, bulkhead, fallback, deadline } = policies;
    let parts = [
        deadline.then(|| "tells the callee its deadline".to_owned()),
        retry.as_ref().map(retry::line),
        hedge.as_ref().map(hedge::line),
        bulkhead.as_ref().map(bulkhead::line),
        breaker.as_ref().map(breaker::line),
        fallback.as_ref().map(fallback::line),
    ];
    parts.into_iter().flatten().collect()
}

/// The policies of a link in the JSON of `simhost check`. One that the link does not have is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct PolicyRows {
    /// Whether the callee is told how long its caller will wait.
    pub deadline: bool,
    pub retry: Option<RetryRow>,
    pub breaker: Option<BreakerRow>,
    pub hedge: Option<HedgeRow>,
    pub bulkhead: Option<BulkheadRow>,
    pub fallback: Option<FallbackRow>,
}

impl From<&Policies> for PolicyRows {
    fn from(policies: &Policies) -> Self {
        let Policies { retry, breaker, hedge, bulkhead, fallback, deadline } = policies;
        Self {
            deadline: *deadline,
            retry: retry.as_ref().map(RetryRow::from),
            breaker: breaker.as_ref().map(BreakerRow::from),
            hedge: hedge.as_ref().map(HedgeRow::from),
            bulkhead: bulkhead.as_ref().map(BulkheadRow::from),
            fallback: fallback.as_ref().map(FallbackRow::from),
        }
    }
}

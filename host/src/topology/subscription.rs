//! `[[subscriptions]]`: which services consume which topics, and how.

use std::collections::BTreeSet;

use super::key::{Key, Optional, Required, Usual};
use super::names::Names;
use super::reader::{Table, Value};
use super::section::{Section, Sub, Subs};
use super::shapes::{By, Choice, Count, Written};
use super::topic;
use super::types::{self, DISTRIBUTION, DURATION, NAME, TEXT, TIME};
use crate::error::{Problem, quote};
use crate::model::{
    Code, Distribution, MessageContext, Nanos, OffsetReset, Redelivery, Service, ServiceId, Subscription,
    Topic,
};

/// Messages of a batch: the links that a span has at most (OpenTelemetry specification, "Span limits").
const BATCH_AT_MOST: u32 = 128;

/// Deliveries of a message.
const ATTEMPTS_AT_MOST: u32 = 1_000;

pub(super) static SUBSCRIPTIONS: Key<Subs, Optional> = Key {
    name: "subscriptions",
    of: Subs(&SUBSCRIPTION),
    absent: Optional("none"),
    says: "which services consume which topics: see [subscriptions](topics.md#subscriptions)",
};

static SUBSCRIPTION: Section = Section {
    name: "subscription",
    says: "a group that consumes a topic: the replicas of a service share its partitions",
    keys: &[
        &TOPIC,
        &SERVICE,
        &GROUP,
        &FROM,
        &BATCH,
        &POLL,
        &FETCH,
        &RETRY,
        &DEAD_LETTER,
        &CONTEXT,
        &SESSION_TIMEOUT,
    ],
    rules: &[],
};

static TOPIC: Key<By<String>, Required> = Key {
    name: "topic",
    of: TEXT,
    absent: Required("name the topic: topic = \"…\""),
    says: "the topic that is consumed",
};

static SERVICE: Key<Written, Required> = Key {
    name: "service",
    of: types::SERVICE,
    absent: Required("name the service that consumes it: service = \"…\""),
    says: "the service that consumes it; its guest exports `consumer`",
};

static GROUP: Key<By<String>, Optional> = Key {
    name: "group",
    of: NAME,
    absent: Optional("the service"),
    says: "the consumer group. Each group of a topic gets all of its messages",
};

static FROM: Key<Choice<OffsetReset>, Usual> = Key {
    name: "from",
    of: Choice {
        what: "beginning",
        words: &[("earliest", OffsetReset::Earliest), ("latest", OffsetReset::Latest)],
    },
    absent: Usual("\"earliest\""),
    says: "where the group goes on if its next message is no longer kept: at the oldest one, or behind the newest",
};

static BATCH: Key<Count, Usual> = Key {
    name: "batch",
    of: Count(1, BATCH_AT_MOST),
    absent: Usual("1"),
    says: "messages of a partition that the guest gets at a time, at most",
};

static POLL: Key<By<Nanos>, Usual> = Key {
    name: "poll",
    of: DURATION,
    absent: Usual("\"100ms\""),
    says: "how long a batch that is not full waits for further messages",
};

static FETCH: Key<By<Distribution>, Usual> = Key {
    name: "fetch",
    of: DISTRIBUTION,
    absent: Usual("{ lognormal = { median = \"1ms\", sigma = 0.3 } }"),
    says: "from the broker to the replica",
};

static RETRY: Key<Sub, Optional> = Key {
    name: "retry",
    of: Sub(&REDELIVERY),
    absent: Optional("the defaults"),
    says: "when a message that failed is delivered again",
};

static REDELIVERY: Section = Section {
    name: "redelivery",
    says: "when a message that failed is delivered again. The messages behind it wait",
    keys: &[&ATTEMPTS, &BACKOFF, &MAX_BACKOFF],
    rules: &[],
};

static ATTEMPTS: Key<Count, Usual> = Key {
    name: "attempts",
    of: Count(1, ATTEMPTS_AT_MOST),
    absent: Usual("3"),
    says: "deliveries, the first included; then the message is given up",
};

static BACKOFF: Key<By<Nanos>, Usual> = Key {
    name: "backoff",
    of: DURATION,
    absent: Usual("\"1s\""),
    says: "the wait before the second delivery; each further one is twice as long",
};

static MAX_BACKOFF: Key<By<Nanos>, Usual> =
    Key { name: "max-backoff", of: DURATION, absent: Usual("\"30s\""), says: "no wait is longer" };

static DEAD_LETTER: Key<By<String>, Optional> = Key {
    name: "dead-letter",
    of: TEXT,
    absent: Optional("none: they are lost, and counted"),
    says: "the topic that messages go to that are given up or rejected",
};

static CONTEXT: Key<Choice<MessageContext>, Usual> = Key {
    name: "context",
    of: Choice {
        what: "context",
        words: &[
            ("parent", MessageContext::Parent),
            ("link", MessageContext::Link),
            ("none", MessageContext::None),
        ],
    },
    absent: Usual("\"parent\""),
    says: "the CONSUMER span is a child of the PRODUCER span and linked to it, begins a trace and is linked, or \
           begins a trace as if nothing were known. Of a batch it is never a child",
};

static SESSION_TIMEOUT: Key<By<Nanos>, Usual> = Key {
    name: "session-timeout",
    of: TIME,
    absent: Usual("\"10s\""),
    says: "how long after a replica died or stood still its partitions go to others",
};

/// What subscriptions refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    pub names: &'a Names,
    pub services: &'a [Service],
    /// Of all topics, in the order of the file.
    pub topics: &'a [String],
}

/// `[[subscriptions]]`, in the order of the file; and the groups, each with the index of its topic: none if
/// some could not be read. Topics that nobody consumes are doubtful.
pub(super) fn subscriptions(
    root: &Table<'_>,
    around: &Surroundings<'_>,
    topics: &[Topic],
) -> (Vec<Subscription>, Option<Vec<(usize, String)>>) {
    let tables = SUBSCRIPTIONS.open(root, "this subscription");
    let mut seen = Vec::new();
    let all: Vec<_> = tables.iter().filter_map(|table| subscription(table, around, &mut seen)).collect();
    // One that could not be read may consume it.
    if all.len() == tables.len() {
        let consumed = all.iter().flat_map(|one| [Some(one.topic), one.dead_letter]).flatten();
        let mut idle: BTreeSet<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
        consumed.for_each(|topic| _ = idle.remove(around.topics[topic].as_str()));
        nobody_consumes(root, &idle);
    }
    let groups = (seen.len() == tables.len()).then_some(seen);
    (all, groups)
}

fn nobody_consumes(root: &Table<'_>, topics: &BTreeSet<&str>) {
    let table = topic::TOPICS.get(root).and_then(|value| value.table("[topics]"));
    let entries = table.as_ref().map(Table::entries).unwrap_or_default();
    for entry in entries.iter().filter(|entry| topics.contains(entry.key)) {
        let name = quote(entry.key);
        let problem = Problem::warning(format!("nobody consumes the topic {name}"));
        let help = format!("add [[subscriptions]] with topic = {name} and a service");
        entry.refuse_key::<()>(problem.label("no subscription").help(help));
    }
}

fn subscription(
    table: &Table<'_>,
    around: &Surroundings<'_>,
    seen: &mut Vec<(usize, String)>,
) -> Option<Subscription> {
    let named = TOPIC.need(table);
    let topic = named.as_ref().and_then(|value| topic::find(value, around.topics));
    let service = SERVICE.need(table).and_then(|value| consumer(&value, around));
    let group = group(table, topic, service, around, seen);
    let (from, batch) = (FROM.read(table), BATCH.read(table));
    let (poll, fetch) = (POLL.read(table), FETCH.read(table));
    let retry = redelivery(table);
    let dead_letter = dead_letter(table, topic, around);
    let (context, session_timeout) = (CONTEXT.read(table), SESSION_TIMEOUT.read(table));
    Some(Subscription {
        topic: topic?,
        service: service?,
        group: group?,
        from: from?,
        batch: batch?,
        poll: poll?,
        fetch: fetch?,
        retry: retry?,
        dead_letter: dead_letter?,
        context: context?,
        session_timeout: session_timeout?,
        place: named?.place(),
    })
}

/// A service with a guest.
fn consumer(value: &Value<'_>, around: &Surroundings<'_>) -> Option<ServiceId> {
    let id = around.names.find(value)?;
    let service = &around.services[id.index()];
    match &service.code {
        Code::External(_) => {
            let name = quote(&service.name);
            let problem = Problem::new(format!("{name} is a real server: it cannot consume a topic"));
            value.refuse(problem.label("not a guest").help("name a service with a guest"))
        }
        Code::Embedded(_) | Code::File { .. } => Some(id),
    }
}

/// The group, which no other subscription of the topic has.
fn group(
    table: &Table<'_>,
    topic: Option<usize>,
    service: Option<ServiceId>,
    around: &Surroundings<'_>,
    seen: &mut Vec<(usize, String)>,
) -> Option<String> {
    let group = match GROUP.read(table)? {
        Some(group) => group,
        None => around.services[service?.index()].name.clone(),
    };
    let topic = topic?;
    if seen.contains(&(topic, group.clone())) {
        let (name, of) = (quote(&group), quote(&around.topics[topic]));
        let problem = Problem::new(format!("two subscriptions of {of} have the group {name}"));
        let problem = problem.label("the second one");
        let help = "give each subscription of a topic a group of its own: group = \"…\"";
        match GROUP.get(table) {
            Some(value) => value.refuse::<()>(problem.help(help)),
            None => TOPIC.get(table).and_then(|value| value.refuse::<()>(problem.help(help))),
        };
        return None;
    }
    seen.push((topic, group.clone()));
    Some(group)
}

fn dead_letter(table: &Table<'_>, topic: Option<usize>, around: &Surroundings<'_>) -> Option<Option<usize>> {
    let Some(value) = DEAD_LETTER.get(table) else { return Some(None) };
    let found = topic::find(&value, around.topics)?;
    if Some(found) == topic {
        let name = quote(&around.topics[found]);
        let problem = Problem::new(format!("the dead letters of {name} go to itself"));
        let help = "name another topic: its messages would be delivered for ever";
        return value.refuse(problem.label("the topic that is consumed").help(help));
    }
    Some(Some(found))
}

fn redelivery(table: &Table<'_>) -> Option<Redelivery> {
    let Some(_) = RETRY.get(table) else {
        let (backoff, max_backoff) = (BACKOFF.usual(), MAX_BACKOFF.usual());
        return Some(Redelivery { attempts: ATTEMPTS.usual(), backoff, max_backoff });
    };
    let table = RETRY.open(table, "retry")?;
    let (attempts, backoff) = (ATTEMPTS.read(&table), BACKOFF.read(&table));
    let longest = match MAX_BACKOFF.get(&table) {
        // A longer first wait raises the default.
        None => backoff.map(|backoff| backoff.max(MAX_BACKOFF.usual())),
        Some(_) => MAX_BACKOFF.read(&table),
    };
    Some(Redelivery { attempts: attempts?, backoff: backoff?, max_backoff: longest? })
}

//! What lies between clients and services: `[ingress]` and `[network]`.

use std::net::SocketAddr;

use super::address;
use super::key::{Key, Optional, Required, Usual};
use super::names::Names;
use super::patterns;
use super::reader::{Table, Value};
use super::schema::text;
use super::section::{Section, Sub};
use super::shapes::{By, List, Written};
use super::types::{DISTRIBUTION, SERVICE};
use crate::model::{Distribution, Ingress};

pub(super) static INGRESS: Key<Sub, Optional> = Key {
    name: "ingress",
    of: Sub(&Section {
        name: "ingress",
        says: "where clients send requests. Without this table none can",
        keys: &[&LISTEN, &TO],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "where clients send requests",
};

static LISTEN: Key<By<SocketAddr>, Usual> = Key {
    name: "listen",
    of: By {
        words: "an IP address and a port",
        schema: |_| text(patterns::LISTEN),
        read: |value| listen(value),
    },
    absent: Usual("\"127.0.0.1:8080\""),
    says: "where the ingress listens; port 0 takes any free one",
};

static TO: Key<Written, Required> = Key {
    name: "to",
    of: SERVICE,
    absent: Required("name the service that requests go to: to = \"…\""),
    says: "the service that requests go to",
};

/// `[ingress]`.
pub(super) fn ingress(root: &Table<'_>, names: &Names) -> Option<Ingress> {
    let table = INGRESS.open(root, "[ingress]")?;
    let listen = LISTEN.read(&table);
    let to = TO.need(&table).and_then(|value| names.find(&value));
    Some(Ingress { listen: listen?, to: to? })
}

fn listen(value: &Value<'_>) -> Option<SocketAddr> {
    match value.item() {
        // 8001 alone: the reader would suggest "8001" in quotes, which is no better.
        toml::de::DeValue::Integer(port) => value
            .refuse_kind("a string", format!("write an IP address and a port, such as \"127.0.0.1:{port}\"")),
        _ => value.read(address::listen),
    }
}

pub(super) static NETWORK: Key<Sub, Optional> = Key {
    name: "network",
    of: Sub(&Section {
        name: "network",
        says: "what lies between services, and between them and the outside",
        keys: &[&LATENCY, &TIMER_SLACK, &ALLOW],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "latencies where no link says otherwise, and hosts that guests may call",
};

/// As within a data centre: half of the messages within 300 µs and one in a hundred beyond 600 µs.
static LATENCY: Key<By<Distribution>, Usual> = Key {
    name: "latency",
    of: DISTRIBUTION,
    absent: Usual("{ lognormal = { median = \"300us\", sigma = 0.3 } }"),
    says: "one way, for links that do not set it",
};

/// Timers tick by the millisecond, and the thread that waits has to get a processor.
static TIMER_SLACK: Key<By<Distribution>, Usual> = Key {
    name: "timer-slack",
    of: DISTRIBUTION,
    absent: Usual("{ lognormal = { median = \"400us\", sigma = 0.7 } }"),
    says: "how late a caller notices a timeout, and a request that of a pool of connections",
};

static ALLOW: Key<List<By<String>>, Usual> = Key {
    name: "allow",
    of: List {
        words: "a list of hosts, `\"host\"` or `\"host:port\"`",
        of: By {
            words: "a host",
            schema: |_| text(patterns::HOST),
            read: |value| value.read(address::host_and_port),
        },
    },
    absent: Usual("[]"),
    says: "external hosts that guests may call by URL",
};

/// `[network]`.
#[derive(Debug)]
pub(super) struct Network {
    /// Where no link says otherwise.
    pub latency: Distribution,
    pub timer_slack: Distribution,
    /// The hosts outside that guests may call.
    pub allowed_hosts: Vec<String>,
}

/// What lies between services, and between them and the outside.
pub(super) fn network(root: &Table<'_>) -> Network {
    match NETWORK.open(root, "[network]") {
        Some(table) => Network {
            latency: LATENCY.or_usual(&table),
            timer_slack: TIMER_SLACK.or_usual(&table),
            allowed_hosts: ALLOW.or_usual(&table),
        },
        None => Network {
            latency: LATENCY.usual(),
            timer_slack: TIMER_SLACK.usual(),
            allowed_hosts: ALLOW.usual(),
        },
    }
}

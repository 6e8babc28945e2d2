//! `[limits]` and `limits = { … }`: where a service or the run is stopped.

use super::key::{Computed, Inherited, Key, Optional};
use super::reader::Table;
use super::section::{Section, Sub};
use super::shapes::Count;
use super::types::{Size, Within};
use super::units::show_size;
use crate::clock;
use crate::model::{Bounds, Limits, Nanos};

/// Workers of all services: what 47 bits of address space hold, with room to
/// spare, when each reserves 4 GiB of it.
pub(super) const WORKERS_AT_MOST: u32 = 16_384;

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600_000_000_000;

pub(super) static LIMITS: Key<Sub, Optional> = Key {
    name: "limits",
    of: Sub(&Section {
        name: "limits",
        says: "bounds of the run, and of each service that sets none",
        keys: &[
            &MEMORY,
            &HOST_MEMORY,
            &CPU_TIME,
            &REQUEST_TIME,
            &BODY,
            &HEADERS,
            &SPANS,
            &CALL_DEPTH,
            &CONNECTIONS,
            &REQUESTS,
            &WORKERS,
            &BODIES,
            &CLIENT_TIME,
        ],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "bounds of the run, and of each service that sets none",
};

/// `limits` of a service.
pub(super) static OF_SERVICE: Section = Section {
    name: "service-limits",
    says: "bounds of this service, in place of those of `[limits]`",
    keys: &[
        &of_limits(&MEMORY),
        &of_limits(&HOST_MEMORY),
        &of_limits(&CPU_TIME),
        &of_limits(&REQUEST_TIME),
        &of_limits(&BODY),
        &of_limits(&HEADERS),
        &of_limits(&SPANS),
    ],
    rules: &[],
};

const fn of_limits(key: &'static dyn super::key::Declared) -> Inherited {
    Inherited { key, from: "that of `[limits]`" }
}

fn shown_size(bytes: u64) -> String {
    format!("\"{}\"", show_size(bytes))
}

fn shown_time(nanos: Nanos) -> String {
    format!("\"{}\"", clock::show(nanos))
}

/// A linear memory with 32-bit addresses has pages of 64 KiB and at most 4 GiB.
static MEMORY: Key<Size, Computed> = Key {
    name: "memory",
    of: Size(64 << 10, 4 << 30),
    absent: Computed(|| shown_size(Limits::default().memory)),
    says: "of one worker: an allocation fails, most guests trap",
};

static HOST_MEMORY: Key<Size, Optional> = Key {
    name: "host-memory",
    of: Size(64 << 10, 4 << 30),
    absent: Optional("eight times `body`, 32 MiB at least"),
    says: "of simhost, for one worker's calls and records: a call fails, records are dropped and counted",
};

static CPU_TIME: Key<Within, Computed> = Key {
    name: "cpu-time",
    of: Within(MICROSECOND, HOUR),
    absent: Computed(|| shown_time(Limits::default().cpu_time)),
    says: "computing for one request, calls into the host included: the guest is stopped, 500",
};

static REQUEST_TIME: Key<Within, Computed> = Key {
    name: "request-time",
    of: Within(MILLISECOND, 24 * HOUR),
    absent: Computed(|| shown_time(Limits::default().request_time)),
    says: "from taking a request to its answer, waiting included: stopped, 500",
};

static BODY: Key<Size, Computed> = Key {
    name: "body",
    of: Size(0, 1 << 30),
    absent: Computed(|| shown_size(Limits::default().body)),
    says: "of a request or response: 413, or an error at the caller",
};

static HEADERS: Key<Size, Computed> = Key {
    name: "headers",
    of: Size(1 << 10, 1 << 20),
    absent: Computed(|| shown_size(Limits::default().headers)),
    says: "all fields together: 431, or an error at the caller",
};

static SPANS: Key<Count, Computed> = Key {
    name: "spans",
    of: Count(0, 1_000_000),
    absent: Computed(|| Limits::default().spans.to_string()),
    says: "a guest's own spans for one request: not kept, counted. Log records have the same bound",
};

static CALL_DEPTH: Key<Count, Computed> = Key {
    name: "call-depth",
    of: Count(1, 1_000),
    absent: Computed(|| Bounds::default().call_depth.to_string()),
    says: "calls above one another: the call fails. A cycle may end earlier, as a [deadlock](../concepts/cycles.md)",
};

static CONNECTIONS: Key<Count, Computed> = Key {
    name: "connections",
    of: Count(1, 1_000_000),
    absent: Computed(|| Bounds::default().connections.to_string()),
    says: "at the ingress: one more waits to be accepted",
};

static REQUESTS: Key<Count, Computed> = Key {
    name: "requests",
    of: Count(1, 1_000_000),
    absent: Computed(|| Bounds::default().requests.to_string()),
    says: "from outside, under way: 503",
};

static WORKERS: Key<Count, Computed> = Key {
    name: "workers",
    of: Count(1, WORKERS_AT_MOST),
    absent: Computed(|| Bounds::default().workers.to_string()),
    says: "of all services, at a time: 503. More workers need a larger `vm.max_map_count` of Linux",
};

static BODIES: Key<Size, Computed> = Key {
    name: "bodies",
    of: Size(1 << 20, 64 << 30),
    absent: Computed(|| shown_size(Bounds::default().bodies)),
    says: "of all requests from outside that are received or under way, and again of all answers that clients have \
           not taken; a quarter of it on one connection: 503",
};

static CLIENT_TIME: Key<Within, Computed> = Key {
    name: "client-time",
    of: Within(MILLISECOND, HOUR),
    absent: Computed(|| shown_time(Bounds::default().client_time)),
    says: "for a client to send a head, to send a body, to take an answer: 408, or the connection is closed. See \
           [ingress](ingress.md)",
};

/// The defaults of every service and the bounds of the run, from `[limits]`.
pub(super) fn of_topology(root: &Table<'_>) -> (Limits, Bounds) {
    let (mut own, mut bounds) = (Limits::default(), Bounds::default());
    if let Some(table) = LIMITS.open(root, "[limits]") {
        set(&mut own, &table);
        replace(&mut bounds.call_depth, CALL_DEPTH.written(&table));
        replace(&mut bounds.connections, CONNECTIONS.written(&table));
        replace(&mut bounds.requests, REQUESTS.written(&table));
        replace(&mut bounds.workers, WORKERS.written(&table));
        replace(&mut bounds.bodies, BODIES.written(&table));
        replace(&mut bounds.client_time, CLIENT_TIME.written(&table));
    }
    (own, bounds)
}

/// Replaces what a table of [`OF_SERVICE`] or `[limits]` sets.
pub(super) fn set(limits: &mut Limits, table: &Table<'_>) {
    replace(&mut limits.memory, MEMORY.written(table));
    if let Some(bytes) = HOST_MEMORY.written(table) {
        limits.host_memory = Some(bytes);
    }
    replace(&mut limits.cpu_time, CPU_TIME.written(table));
    replace(&mut limits.request_time, REQUEST_TIME.written(table));
    replace(&mut limits.body, BODY.written(table));
    replace(&mut limits.headers, HEADERS.written(table));
    replace(&mut limits.spans, SPANS.written(table));
}

fn replace<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

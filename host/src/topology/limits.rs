//! `[limits]` and `limits = { … }`: where a service or the run is stopped.

use super::reader::{Table, Value};
use super::units::{duration_within, size};
use crate::model::{Bounds, Limits};

/// Workers of all services: what 47 bits of address space hold, with room to
/// spare, when each reserves 4 GiB of it.
pub(super) const WORKERS_AT_MOST: u32 = 16_384;

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600_000_000_000;

/// The defaults of every service and the bounds of the run, from `[limits]`.
pub(super) fn of_topology(limits: Option<Value<'_>>) -> (Limits, Bounds) {
    let (mut own, mut bounds) = (Limits::default(), Bounds::default());
    let Some(table) = limits.and_then(|value| value.table("[limits]")) else { return (own, bounds) };
    let known = [
        "memory",
        "host-memory",
        "cpu-time",
        "request-time",
        "body",
        "headers",
        "spans",
        "call-depth",
        "connections",
        "requests",
        "workers",
        "bodies",
        "client-time",
    ];
    let [
        memory,
        host_memory,
        cpu_time,
        request_time,
        body,
        headers,
        spans,
        call_depth,
        connections,
        requests,
        workers,
        bodies,
        client_time,
    ] = table.keys(known);
    set(&mut own, [memory, host_memory, cpu_time, request_time, body, headers, spans]);
    replace(&mut bounds.call_depth, call_depth.and_then(|value| value.count(1..=1_000)));
    replace(&mut bounds.connections, connections.and_then(|value| value.count(1..=1_000_000)));
    replace(&mut bounds.requests, requests.and_then(|value| value.count(1..=1_000_000)));
    replace(&mut bounds.workers, workers.and_then(|value| value.count(1..=WORKERS_AT_MOST)));
    replace(&mut bounds.bodies, bodies.and_then(|value| size(&value, 1 << 20..=64 << 30)));
    let client_time = client_time.and_then(|value| duration_within(&value, MILLISECOND..=HOUR));
    replace(&mut bounds.client_time, client_time);
    (own, bounds)
}

/// Replaces what the table of one service sets.
pub(super) fn of_service(limits: &mut Limits, table: &Table<'_>) {
    set(
        limits,
        table.keys(["memory", "host-memory", "cpu-time", "request-time", "body", "headers", "spans"]),
    );
}

fn set(limits: &mut Limits, values: [Option<Value<'_>>; 7]) {
    let [memory, host_memory, cpu_time, request_time, body, headers, spans] = values;
    // A linear memory with 32-bit addresses has pages of 64 KiB and at most 4 GiB.
    replace(&mut limits.memory, memory.and_then(|value| size(&value, 64 << 10..=4 << 30)));
    if let Some(bytes) = host_memory.and_then(|value| size(&value, 64 << 10..=4 << 30)) {
        limits.host_memory = Some(bytes);
    }
    replace(&mut limits.cpu_time, cpu_time.and_then(|value| duration_within(&value, MICROSECOND..=HOUR)));
    replace(
        &mut limits.request_time,
        request_time.and_then(|value| duration_within(&value, MILLISECOND..=24 * HOUR)),
    );
    replace(&mut limits.body, body.and_then(|value| size(&value, 0..=1 << 30)));
    replace(&mut limits.headers, headers.and_then(|value| size(&value, 1 << 10..=1 << 20)));
    replace(&mut limits.spans, spans.and_then(|value| value.count(0..=1_000_000)));
}

fn replace<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

//! Why a guest did not answer, in words that name the bound it met.

use std::fmt;

use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::message::{Headers, Response};
use crate::model::{Limits, Nanos};

use super::bindings::exports::simhost::service::handler;
use super::call_error::HOST_MEMORY_EXCEEDED;
use super::host::{GuestState, HANDLES, argument_bytes};

/// A guest may compute this many times `limits.cpu-time` to tell its routes, its jobs or its topics: it reads
/// its whole configuration then, and no request waits.
pub(super) const ASKED_TIMES: Nanos = 20;

/// The kind of failure when as many workers exist as may exist.
pub const WORKERS_EXHAUSTED: &str = "workers_exhausted";

/// Why a guest did not answer, or not acceptably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestFailure {
    /// The `error.type` of the SERVER span: low in cardinality.
    pub kind: &'static str,
    pub message: String,
    /// The guest's own, innermost frame first.
    pub backtrace: Option<String>,
}

/// Stops a guest that has computed longer than it may.
#[derive(Debug, thiserror::Error)]
#[error("the guest computed for too long")]
pub(super) struct OutOfTime;

impl GuestFailure {
    /// The key of `[limits]` that the guest met, if it did.
    pub fn bound(&self) -> Option<&'static str> {
        match self.kind {
            "request_time_exceeded" => Some("limits.request-time"),
            "cpu_time_exceeded" => Some("limits.cpu-time"),
            "memory_exceeded" => Some("limits.memory"),
            HOST_MEMORY_EXCEEDED => Some("limits.host-memory"),
            WORKERS_EXHAUSTED => Some("limits.workers"),
            _ => None,
        }
    }
}

impl fmt::Display for GuestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// The failure of a guest that was asked what it has: it may compute longer than for a request.
pub(super) fn unasked(failure: GuestFailure, limits: &Limits) -> GuestFailure {
    if failure.kind != "cpu_time_exceeded" {
        return failure;
    }
    let limit = crate::clock::show(limits.cpu_time);
    let message = format!("the guest computed longer than {ASKED_TIMES} times limits.cpu-time = {limit}");
    GuestFailure { message, ..failure }
}

pub(super) fn exhausted() -> GuestFailure {
    let message = "as many workers exist as limits.workers allows".to_owned();
    GuestFailure { kind: WORKERS_EXHAUSTED, message, backtrace: None }
}

/// The failure of a guest that needs more than it may have.
pub(super) fn memory_exceeded(limits: &Limits) -> GuestFailure {
    let message = format!("the guest needed more than limits.memory = {} KiB", limits.memory >> 10);
    GuestFailure { kind: "memory_exceeded", message, backtrace: None }
}

/// What a guest's error was, in words that name the bound it met.
pub(super) fn failure(error: &wasmtime::Error, state: &GuestState) -> GuestFailure {
    let local = state.local.get();
    let limits = &local.identity.limits;
    let backtrace = error.downcast_ref::<WasmBacktrace>().map(ToString::to_string);
    let trap = error.downcast_ref::<Trap>();
    let (kind, message) = if let Some(I32Exit(code)) = error.downcast_ref() {
        // The code of WASI 0.2 is 0 or 1, whatever the guest's own was.
        let how = if *code == 0 { "" } else { " with an error" };
        ("guest_exit", format!("the guest exited{how} instead of answering"))
    } else if error.is::<OutOfTime>() || trap == Some(&Trap::OutOfFuel) {
        let limit = crate::clock::show(limits.cpu_time);
        ("cpu_time_exceeded", format!("the guest computed longer than limits.cpu-time = {limit}"))
    } else if error.is::<PoolConcurrencyLimitError>() {
        return exhausted();
    } else if let Some(message) = over_host_bound(error, limits) {
        (HOST_MEMORY_EXCEEDED, message)
    } else if trap == Some(&Trap::StackOverflow) {
        ("stack_overflow", "the guest's stack overflowed".to_owned())
    } else if state.memory.reached {
        let GuestFailure { kind, message, .. } = memory_exceeded(limits);
        (kind, message)
    } else if let Some(trap) = trap {
        match local.output.complaint() {
            said if said.is_empty() => ("guest_trap", trap.to_string()),
            said => ("guest_trap", format!("{trap}: {said}")),
        }
    } else {
        ("guest_error", error.root_cause().to_string())
    };
    GuestFailure { kind, message, backtrace }
}

/// What a guest wanted of the host that is more than it may have. wasmtime has no types
/// for these errors.
fn over_host_bound(error: &wasmtime::Error, limits: &Limits) -> Option<String> {
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return Some(too_many_handles());
    }
    let cause = error.root_cause().to_string();
    if cause.contains("fuel allocated for hostcalls has been exhausted") {
        let most = argument_bytes(limits) >> 10;
        return Some(format!(
            "the guest passed more than {most} KiB to the host at once (limits.host-memory)"
        ));
    }
    cause.contains("store handle limit exceeded").then(too_many_handles)
}

fn too_many_handles() -> String {
    format!("the guest held more than {HANDLES} spans, calls and timers at a time")
}

/// Refuses a response that could not go over the wire, or is over a bound.
pub(super) fn checked(response: handler::Response, limits: &Limits) -> Result<Response, GuestFailure> {
    let handler::Response { status, headers, body } = response;
    let refuse = |message: String| Err(GuestFailure { kind: "invalid_response", message, backtrace: None });
    if !(200..=599).contains(&status) {
        return refuse(format!("the guest answered status {status}; 200 to 599 are valid"));
    }
    let mut headers = Headers(headers);
    if headers.size() as u64 > limits.headers {
        let (size, limit) = (headers.size(), limits.headers);
        return refuse(format!("{size} bytes of headers exceed limits.headers = {limit} bytes"));
    }
    if let Err(message) = headers.normalise() {
        return refuse(message);
    }
    if body.len() as u64 > limits.body {
        let (size, limit) = (body.len(), limits.body);
        return refuse(format!("a body of {size} bytes exceeds limits.body = {limit} bytes"));
    }
    Ok(Response { status, headers, body })
}

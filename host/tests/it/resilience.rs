//! The policies of links: what a caller does about a callee that fails or is
//! slow, and what of it the spans and the report say.

mod breaker;
mod bulkhead;
mod deadline;
mod everything;
mod fallback;
mod guide;
mod hedge;
mod outside;
mod retry;

use crate::support::{Run, Span, SpanKind, World};
use serde_json::Value;

const MS: u64 = 1_000_000;

/// `front` calls `back` over a link with these lines, in no time.
fn world(link: &str) -> World {
    let world = World::of("probe", "config = { next = \"back\" }").and("back", "probe", "");
    let link = format!("[[links]]\nfrom = \"front\"\nto = \"back\"\n{link}");
    world.with("[network]\nlatency = \"0s\"").with(&link)
}

/// A fault that lets `back` answer a status, with further lines of its own.
fn answers(status: u16, more: &str) -> String {
    format!(
        "[[faults]]\nname = \"answers-{status}\"\nkind = \"error\"\nstatus = {status}\n\
         target = {{ service = \"back\" }}\n{more}"
    )
}

const CALL: &str = "GET /call?service=back&path=/now";

/// The CLIENT spans of `front`, in the order of their starts.
fn attempts(run: &Run) -> Vec<&Span> {
    run.of("front", SpanKind::Client)
}

/// When a span began and ended, in milliseconds since the other did.
fn window(span: &Span, zero: &Span) -> (u64, u64) {
    ((span.start - zero.start) / MS, (span.end - zero.start) / MS)
}

fn windows(run: &Run) -> Vec<(u64, u64)> {
    let attempts = attempts(run);
    attempts.iter().map(|span| window(span, attempts[0])).collect()
}

/// The names of a span's events, exceptions left out.
fn events(span: &Span) -> Vec<&str> {
    let names = span.events.iter().map(|event| event.name.as_str());
    names.filter(|name| *name != "exception").collect()
}

/// The report of a run of loads in virtual time.
fn report(world: &World) -> Value {
    let run = world.clone().flags(&["--json"]).virtually(&[]);
    run.json()
}

//! Faults of the context that travels with a call: traces that break apart.

use super::{CALL, assert_counts, between};
use crate::support::{Run, Span, SpanKind, World};

const HEADERS: &str = "GET /call?service=back&path=/headers";

/// The headers with which the request came to `back`, as its guest saw them.
fn headers(run: &Run) -> Vec<(String, String)> {
    let body = run.answers[0].json()["body"].as_str().expect("a body").to_owned();
    let seen: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    serde_json::from_value(seen["headers"].clone()).expect("a list of headers")
}

fn header(run: &Run, name: &str) -> Option<String> {
    headers(run).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// All that is known of spans, save for their traces and their parents.
fn shapes(run: &Run) -> Vec<(&str, &str, u64, u64)> {
    run.spans().iter().map(|span| (&*span.id, &*span.name, span.start, span.end)).collect()
}

#[test]
fn without_its_context_a_callee_begins_a_trace_of_its_own() {
    let whole = between("drop-context", "enabled = false").virtually(&[HEADERS]);
    let run = between("drop-context", "").virtually(&[HEADERS]);
    let (client, server) = (run.of("front", SpanKind::Client)[0], run.of("back", SpanKind::Server)[0]);
    assert_eq!(server.parent, "");
    assert_ne!(server.trace, client.trace);
    assert_eq!(run.children(client).len(), 0);
    assert!(header(&whole, "traceparent").is_some());
    assert_eq!(header(&run, "traceparent"), None);
    // Nothing else is different: not even the ids of spans.
    assert_eq!(shapes(&run), shapes(&whole));
    assert_counts(&run, 1, 1);
}

#[test]
fn the_trace_that_a_callee_begins_goes_on_behind_it() {
    let world = World::of("probe", "config = { next = \"back\" }").and(
        "back",
        "probe",
        "config = { next = \"last\" }",
    );
    let fault = "[[faults]]\nname = \"it\"\nkind = \"drop-context\"\n\
                 target = { link = \"front -> back\" }";
    let world = world.and("last", "probe", "").with(fault);
    let run = world.virtually(&["GET /baggage?key=tier&value=gold"]);
    let traces = |service: &str| -> Vec<&str> {
        run.of(service, SpanKind::Server).iter().map(|span| &*span.trace).collect()
    };
    assert_ne!(traces("front"), traces("back"));
    // Baggage is gone as well: `back` has none, and sets none.
    assert!(run.answers[0].body.contains("null"), "{}", run.answers[0].body);
}

#[test]
fn a_broken_traceparent_is_there_and_of_no_use() {
    let run = between("drop-context", "how = \"broken\"").virtually(&[HEADERS]);
    let (client, server) = (run.of("front", SpanKind::Client)[0], run.of("back", SpanKind::Server)[0]);
    assert_eq!(server.parent, "");
    assert_ne!(server.trace, client.trace);
    let broken = header(&run, "traceparent").expect("it is there");
    assert_eq!(format!("00-{}", &client.trace[..24]), broken);
}

#[test]
fn a_callee_that_is_told_not_to_sample_leaves_no_spans() {
    let run = between("unsample", "").virtually(&[HEADERS]);
    assert_eq!(run.of("front", SpanKind::Client).len(), 1);
    assert_eq!(run.of("back", SpanKind::Server).len(), 0);
    let seen = header(&run, "traceparent").expect("it is there");
    assert!(seen.ends_with("-02"), "random, and not sampled: {seen}");
    assert_counts(&run, 1, 1);
}

#[test]
fn who_is_told_not_to_sample_is_told_no_threshold() {
    let world = |enabled: &str| {
        let world = between("unsample", enabled).env("OTEL_TRACES_SAMPLER", "probability");
        world.env("OTEL_TRACES_SAMPLER_ARG", "1")
    };
    let whole = world("enabled = false").virtually(&[HEADERS]);
    assert_eq!(header(&whole, "tracestate").as_deref(), Some("ot=th:0"));
    let run = world("").virtually(&[HEADERS]);
    assert_eq!(header(&run, "tracestate"), None);
    assert_eq!(run.of("front", SpanKind::Client)[0].trace_state, "ot=th:0", "the caller has kept it");
}

#[test]
fn the_context_of_a_client_is_dropped_as_well() {
    let load = "[[load]]\nname = \"shoppers\"\nto = \"front\"\narrivals = { constant = \"1/s\" }\n\
                max-requests = 3\nspan = true\nrequest = { path = \"/now\" }";
    let world = |more: &str| {
        let fault = "[[faults]]\nname = \"it\"\nkind = \"drop-context\"\ntarget = { service = \"front\" }";
        World::of("probe", "").with(load).with(&format!("{fault}\n{more}"))
    };
    let parents = |run: &Run| -> Vec<bool> {
        let known = |span: &&Span| run.spans().iter().any(|other| other.id == span.parent);
        run.of("front", SpanKind::Server).iter().map(known).collect()
    };
    assert_eq!(parents(&world("enabled = false").virtually(&[])), [true; 3]);
    for how in ["missing", "broken"] {
        let run = world(&format!("how = \"{how}\"")).virtually(&[]);
        assert_eq!(parents(&run), [false; 3], "{how}");
        assert!(run.of("front", SpanKind::Server).iter().all(|span| span.parent.is_empty()));
    }
}

#[test]
fn only_those_calls_lose_their_context_that_are_struck() {
    let run = between("drop-context", "probability = 0.5").virtually(&[CALL; 40]);
    let servers = run.of("back", SpanKind::Server);
    let roots = servers.iter().filter(|span| span.parent.is_empty()).count();
    assert!((8..=32).contains(&roots), "{roots} of 40");
    assert_counts(&run, 40, roots as u64);
}

//! Chains, cycles and queues: what services do to each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::telemetry::StatusCode;
use crate::support::{Run, Span, SpanKind, World};

const MS: u64 = 1_000_000;

/// The only span of its kind in a service.
#[track_caller]
fn only<'a>(run: &'a Run, service: &str, kind: SpanKind) -> &'a Span {
    match run.of(service, kind)[..] {
        [span] => span,
        ref several => panic!("{} spans of {service}: {:?}", several.len(), run.spans()),
    }
}

#[test]
fn a_chain_of_services_is_one_trace() {
    let world = World::of("hop", "config = { next = \"middle\" }")
        .and("middle", "hop", "config = { next = \"back\" }")
        .and("back", "hop", "");
    let run = world.virtually(&["GET /"]);
    assert_eq!(run.statuses(), [200]);
    assert_eq!(run.spans().len(), 5);
    let mut parent = "";
    for (service, kind) in [
        ("front", SpanKind::Server),
        ("front", SpanKind::Client),
        ("middle", SpanKind::Server),
        ("middle", SpanKind::Client),
        ("back", SpanKind::Server),
    ] {
        let span = only(&run, service, kind);
        assert_eq!((span.parent.as_str(), &span.trace), (parent, &run.spans()[0].trace), "{service}");
        assert_eq!(span.status, StatusCode::Unset);
        parent = &span.id;
    }
    let client = only(&run, "front", SpanKind::Client);
    for (key, value) in [("service.peer.name", "middle"), ("url.full", "http://middle/")] {
        assert_eq!(*client.get(key), value);
    }
}

/// The run of a cycle that the call depth ends: every answer is 502.
fn cycle(world: &World) -> Run {
    let run = world.virtually(&["GET /"]);
    assert_eq!(run.statuses(), [502]);
    assert!(run.bodies()[0].contains("the chain of calls is deeper than 4"), "{}", run.bodies()[0]);
    let kinds = |kind| run.spans().iter().filter(|span| span.kind == kind).collect::<Vec<_>>();
    let (servers, clients) = (kinds(SpanKind::Server), kinds(SpanKind::Client));
    assert_eq!((servers.len(), clients.len()), (5, 5));
    let mut errors: Vec<_> = clients.iter().filter_map(|span| span.error_type().as_str()).collect();
    errors.sort_unstable();
    assert_eq!(errors, ["502", "502", "502", "502", "call_depth_exceeded"]);
    run
}

#[test]
fn a_service_that_calls_itself_ends_with_a_named_error() {
    cycle(&World::of("hop", "config = { next = \"front\" }").with("[limits]\ncall-depth = 4"));
}

#[test]
fn a_cycle_ends_with_a_named_error() {
    let world =
        World::of("hop", "config = { next = \"back\" }").and("back", "hop", "config = { next = \"front\" }");
    let run = cycle(&world.with("[limits]\ncall-depth = 4"));
    assert_eq!(run.of("front", SpanKind::Server).len(), 3);
}

#[test]
fn a_service_that_waits_for_its_own_only_worker_fails_at_once() {
    let settings = "workers = 1\nconfig = { next = \"front\" }\nlimits = { request-time = \"100ms\" }";
    let run = World::of("hop", settings).with("[limits]\ncall-depth = 2").virtually(&["GET /"]);
    assert_eq!(run.statuses(), [503]);
    let first = run.spans().iter().find(|span| span.parent.is_empty()).expect("the first SERVER span");
    assert!(first.duration() < 100 * MS, "{first:?}");
    let inner = run.spans().iter().find(|span| span.kind == SpanKind::Server && !span.parent.is_empty());
    assert_eq!(*inner.expect("the second SERVER span").error_type(), "deadlock");
}

/// Three calls at once to a service with one worker.
fn crowd(settings: &str) -> Run {
    let world = World::of("probe", "config = { next = \"back\" }").and("back", "probe", settings);
    world.virtually(&["GET /parallel?ms=100"])
}

/// The statuses that the guest saw.
fn statuses(run: &Run) -> Vec<u64> {
    let answer = run.answers[0].json();
    let results = answer["results"].as_array().expect("a list");
    results.iter().map(|result| result["status"].as_u64().expect("a status")).collect()
}

#[test]
fn requests_wait_in_the_queue_for_a_worker_before_their_span_begins() {
    let run = crowd("workers = 1");
    assert_eq!(statuses(&run), [200, 200, 200]);
    let servers = run.of("back", SpanKind::Server);
    let starts: Vec<_> = servers.iter().map(|span| (span.start - servers[0].start) / MS).collect();
    assert_eq!(starts, [0, 100, 200]);
    assert!(servers.iter().all(|span| span.duration() == 100 * MS));
}

#[test]
fn a_full_queue_turns_requests_away_with_503() {
    let run = crowd("workers = 1\nqueue = 1");
    assert_eq!(statuses(&run), [200, 200, 503]);
    let servers = run.of("back", SpanKind::Server);
    let turned_away: Vec<_> = servers.iter().filter(|span| *span.error_type() == "queue_full").collect();
    assert_eq!((servers.len(), turned_away.len()), (3, 1));
    let span = turned_away[0];
    assert_eq!((span.status, span.duration()), (StatusCode::Error, 1), "no simulated time");
    assert_eq!(*span.get("http.response.status_code"), 503);
    let client = run.of("front", SpanKind::Client).into_iter().find(|client| client.id == span.parent);
    assert_eq!(*client.expect("the CLIENT span").error_type(), "503");
}

#[test]
fn without_a_queue_only_the_workers_serve() {
    assert_eq!(statuses(&crowd("workers = 2\nqueue = 0")), [200, 200, 503]);
}

#[test]
fn replicas_share_the_requests() {
    let world = World::of("hop", "config = { next = \"back\" }").and("back", "hop", "replicas = 3");
    let run = world.virtually(&["GET /"; 30]);
    let mut served = BTreeMap::<_, u32>::new();
    for span in run.of("back", SpanKind::Server) {
        *served.entry(span.instance.as_str()).or_default() += 1;
    }
    assert_eq!(served.len(), 3, "{served:?}");
    assert!(served.values().all(|count| *count >= 3), "{served:?}");
    let instances: BTreeSet<_> =
        run.of("front", SpanKind::Server).iter().map(|span| &span.instance).collect();
    assert_eq!(instances.len(), 1);
}

#[test]
fn each_replica_has_its_own_queue_and_workers() {
    let run = crowd("replicas = 3\nworkers = 1");
    let mut last = BTreeMap::new();
    for span in run.of("back", SpanKind::Server) {
        let earlier = last.insert(&span.instance, span.end);
        assert!(earlier.is_none_or(|end| end <= span.start), "two at a time in one replica");
    }
}

//! Cycles of calls: they end, by name, as soon as it is certain that they cannot go on.

use crate::support::telemetry::{self, Span};
use crate::support::{Finished, Topology};
use serde_json::Value;

const SECOND: u64 = 1_000_000_000;

fn topology(services: &str) -> Topology {
    Topology::new("cycle", format!("[topology]\nname = \"cycle\"\n[ingress]\nto = \"a\"\n{services}"))
}

/// One request from outside to `a`, and its spans.
fn one(services: &str) -> (Finished, Vec<Span>) {
    let (finished, records) = topology(services).records(&["--request", "GET /"]);
    let spans = telemetry::read(&records);
    (finished, spans)
}

fn report(topology: &Topology, flags: &[&str]) -> Value {
    let finished = topology.run(&[&["--virtual", "--json"], flags].concat());
    serde_json::from_str(finished.success()).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
}

/// From the first start to the last end: nanoseconds.
fn took(spans: &[Span]) -> u64 {
    let start = spans.iter().map(|span| span.start).min().expect("spans");
    spans.iter().map(|span| span.end).max().expect("spans") - start
}

/// How many SERVER spans failed for this reason.
fn failed(spans: &[Span], kind: &str) -> usize {
    spans.iter().filter(|span| span.kind_name() == "SERVER" && span.text("error.type") == Some(kind)).count()
}

#[test]
fn a_call_that_only_its_own_caller_could_serve_fails_at_once() {
    for workers in [1, 3, 16] {
        let (finished, spans) =
            one(&format!("[services.a]\nguest = \"service\"\nworkers = {workers}\nconfig.calls = \"a\"\n"));
        assert_eq!(failed(&spans, "deadlock"), 1, "{workers} workers: {finished:?}");
        assert!(took(&spans) < SECOND / 10, "{workers} workers: {}", took(&spans));
    }
}

#[test]
fn a_cycle_with_workers_enough_ends_at_the_bound_on_depth() {
    let (finished, spans) = one("[services.a]\nguest = \"service\"\nworkers = 40\nconfig.calls = \"a\"\n");
    assert_eq!(failed(&spans, "deadlock"), 0, "{finished:?}");
    let deep = spans.iter().filter(|span| span.text("error.type") == Some("call_depth_exceeded"));
    assert_eq!(deep.count(), 1, "{finished:?}");
    assert!(took(&spans) < SECOND / 10);
}

/// Over another service, whose other calls go on at the same time.
#[test]
fn a_cycle_over_others_is_found_and_so_is_one_of_parallel_calls() {
    for calls in ["a", "c & a", "a & c", "c, a"] {
        let (finished, spans) = one(&format!(
            "[services.a]\nguest = \"service\"\nworkers = 1\nconfig.calls = \"b\"\n\
             [services.b]\nguest = \"service\"\nconfig.calls = \"{calls}\"\n\
             [services.c]\nguest = \"service\"\nconfig.work = \"50ms\"\n"
        ));
        assert_eq!(failed(&spans, "deadlock"), 1, "{calls}: {finished:?}");
        assert!(took(&spans) < SECOND / 5, "{calls}: {}", took(&spans));
    }
}

/// Neither waits for its own queue: each waits for the other's.
const CROSSING: &str = r#"
[services.a]
guest = "service"
workers = 2
queue = 1000
config = { work = "5ms", calls = "b" }

[services.b]
guest = "service"
workers = 2
queue = 1000
config = { work = "5ms", calls = "a" }

[[load]]
name = "to-a"
to = "a"
request = { path = "/" }
arrivals = { poisson = "20/s" }

[[load]]
name = "to-b"
to = "b"
request = { path = "/" }
arrivals = { poisson = "20/s" }
"#;

#[test]
fn services_that_wait_for_each_others_workers_do_not_stand_still() {
    let report = report(&topology(CROSSING), &["--for", "5s"]);
    let drain = report["drain_ns"].as_u64().expect("a time");
    assert!(drain < 2 * SECOND, "{drain}");
    assert_eq!(report["unfinished"], 0);
    let deadlocks = |row: &Value| row["errors_by_type"]["deadlock"].as_u64().unwrap_or(0);
    let all: u64 = report["services"].as_array().expect("rows").iter().map(deadlocks).sum();
    assert!(all > 10, "{report}");
}

/// The requests to a service: how many there were, and how many failed because of a deadlock.
fn requests(report: &Value, service: &str) -> (u64, u64) {
    let rows = report["services"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["service"] == service).expect("the service");
    let deadlocks = row["errors_by_type"]["deadlock"].as_u64().unwrap_or(0);
    (row["count"].as_u64().expect("a number"), deadlocks)
}

/// A request that a client makes at this instant.
fn at(time: &str, to: &str, path: &str) -> String {
    let name = format!("{to}-{time}");
    format!(
        "[[load]]\nname = {name:?}\nto = {to:?}\nstart = {time:?}\nusers = 1\niterations = 1\nthink = \"1s\"\n\
         request.path = {path:?}\n"
    )
}

/// `b` calls `a` back before `a` waits for it: the deadlock begins when `c` is done. What came
/// to `a` meanwhile is not what keeps it.
const BEHIND: &str = r#"
[services.a]
guest = "service"
workers = 1

[services.a.config]
outer = { route = "GET /", calls = "c & b" }
inner = { route = "GET /inner" }
other = { route = "GET /other", calls = "x/leaf" }

[services.b]
guest = "service"
config = { calls = "a/inner" }

[services.c]
guest = "service"
config = { work = "50ms" }
"#;

#[test]
fn a_request_that_only_stands_behind_a_deadlock_is_served() {
    let x = "[services.x]\nguest = \"service\"\n[services.x.config]\n\
             first = { route = \"GET /\", calls = \"a/inner\" }\nleaf = { route = \"GET /leaf\" }\n";
    let loads = [at("1s", "a", "/"), at("1010ms", "x", "/")].concat();
    let report = report(&topology(&format!("{BEHIND}{x}{loads}")), &[]);
    assert_eq!(requests(&report, "a"), (3, 1), "{report}");
    assert_eq!(report["services"][3]["errors"], 0, "{report}");
    assert!(report["drain_ns"].as_u64() < Some(SECOND), "{report}");
}

/// Here each worker of `x` waits for `a` too, and `a` has called `x` before.
#[test]
fn a_service_that_waits_for_a_deadlock_of_others_is_served() {
    let x = "[services.x]\nguest = \"service\"\nworkers = 1\n[services.x.config]\n\
             first = { route = \"GET /\", calls = \"a/inner\" }\nleaf = { route = \"GET /leaf\" }\n";
    let loads = [at("0s", "a", "/other"), at("500ms", "x", "/"), at("1s", "a", "/"), at("1010ms", "x", "/")];
    let report = report(&topology(&format!("{BEHIND}{x}{}", loads.concat())), &[]);
    assert_eq!(requests(&report, "a"), (5, 1), "{report}");
    assert_eq!(report["services"][3]["errors"], 0, "{report}");
    assert!(report["drain_ns"].as_u64() < Some(SECOND), "{report}");
}

#[test]
fn of_several_replicas_each_refuses_what_keeps_it_and_nothing_else() {
    let services = r#"
[services.a]
guest = "service"
workers = 1
replicas = 3
queue = 1000

[services.a.config]
outer = { route = "GET /", work = "5ms", calls = "b" }
inner = { route = "GET /inner", work = "5ms" }

[services.b]
guest = "service"
workers = 200
config = { calls = "a/inner" }

[services.x]
guest = "service"
workers = 200
config = { calls = "a/inner" }

[[load]]
name = "to-a"
to = "a"
request = { path = "/" }
arrivals = { poisson = "40/s" }

[[load]]
name = "to-x"
to = "x"
request = { path = "/" }
arrivals = { poisson = "40/s" }
"#;
    let report = report(&topology(services), &["--for", "10s"]);
    assert!(requests(&report, "a").1 > 10, "{report}");
    assert_eq!(report["services"][2]["errors"], 0, "{report}");
    assert!(report["drain_ns"].as_u64() < Some(2 * SECOND), "{report}");
}

/// What a timeout frees is no deadlock.
#[test]
fn a_caller_that_gives_up_frees_its_worker_by_itself() {
    let link = "[[links]]\nfrom = \"a\"\nto = \"a\"\ntimeout = \"100ms\"\n";
    let (finished, spans) =
        one(&format!("[services.a]\nguest = \"service\"\nworkers = 1\nconfig.calls = \"a\"\n{link}"));
    assert_eq!(failed(&spans, "deadlock"), 0, "{finished:?}");
    assert!(spans.iter().any(|span| span.text("error.type") == Some("timeout")), "{finished:?}");
}

/// The calls lead back to `a`, to a route that calls nobody: there is a wait, and it ends.
#[test]
fn a_queue_in_a_cycle_that_goes_on_is_no_deadlock() {
    let services = r#"
[services.a]
guest = "service"
workers = 8
queue = 1000

[services.a.config]
outer = { route = "GET /", work = "1ms", calls = "b" }
inner = { route = "GET /inner", work = "20ms" }

[services.b]
guest = "service"
workers = 64
config = { calls = "a/inner" }

[[load]]
name = "clients"
to = "a"
request = { path = "/" }
arrivals = { constant = "20/s" }

[[load]]
name = "others"
to = "a"
request = { path = "/inner" }
arrivals = { poisson = "250/s" }
"#;
    let report = report(&topology(services), &["--for", "10s"]);
    let a = &report["services"][0];
    assert!(a["waited"].as_u64() > Some(100), "{a}");
    assert_eq!(a["errors"], 0, "{a}");
}

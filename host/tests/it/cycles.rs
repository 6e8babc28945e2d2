//! Cycles of calls: they end, by name, as soon as it is certain that they cannot go on.

use crate::support::telemetry::{self, Span};
use crate::support::{Finished, Topology};
use serde_json::Value;

const SECOND: u64 = 1_000_000_000;

fn topology(services: &str) -> Topology {
    Topology::new("cycle", format!("[topology]\nname = \"cycle\"\n[ingress]\nto = \"a\"\n{services}"))
}

/// A service with the guest `service`, and lines of its table.
fn service(name: &str, lines: &str) -> String {
    format!("[services.{name}]\nguest = \"service\"\n{lines}\n")
}

/// A load of requests for `path` of a service, at a rate such as `20/s`.
fn load(name: &str, [to, path]: [&str; 2], arrivals: [&str; 2]) -> String {
    let [kind, rate] = arrivals;
    format!(
        "[[load]]\nname = \"{name}\"\nto = \"{to}\"\nrequest = {{ path = \"{path}\" }}\n\
         arrivals = {{ {kind} = \"{rate}\" }}\n"
    )
}

/// One request from outside to `a`, and its spans.
fn one(services: &str) -> (Finished, Vec<Span>) {
    let (finished, records) = topology(services).records(&["--request", "GET /"]);
    let spans = telemetry::read(&records);
    (finished, spans)
}

fn report(topology: &Topology, flags: &[&str]) -> Value {
    let finished = topology.run(&[&["--virtual", "--json"], flags].concat());
    finished.success();
    finished.json()
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
        let (finished, spans) = one(&service("a", &format!("workers = {workers}\nconfig.calls = \"a\"")));
        assert_eq!(failed(&spans, "deadlock"), 1, "{workers} workers: {finished:?}");
        assert!(took(&spans) < SECOND / 10, "{workers} workers: {}", took(&spans));
    }
}

#[test]
fn a_cycle_with_workers_enough_ends_at_the_bound_on_depth() {
    let (finished, spans) = one(&service("a", "workers = 40\nconfig.calls = \"a\""));
    assert_eq!(failed(&spans, "deadlock"), 0, "{finished:?}");
    let deep = spans.iter().filter(|span| span.text("error.type") == Some("call_depth_exceeded"));
    assert_eq!(deep.count(), 1, "{finished:?}");
    assert!(took(&spans) < SECOND / 10);
}

/// Over another service, whose other calls go on at the same time.
#[test]
fn a_cycle_over_others_is_found_and_so_is_one_of_parallel_calls() {
    for calls in ["a", "c & a", "a & c", "c, a"] {
        let services = [
            service("a", "workers = 1\nconfig.calls = \"b\""),
            service("b", &format!("config.calls = \"{calls}\"")),
            service("c", "config.work = \"50ms\""),
        ];
        let (finished, spans) = one(&services.concat());
        assert_eq!(failed(&spans, "deadlock"), 1, "{calls}: {finished:?}");
        assert!(took(&spans) < SECOND / 5, "{calls}: {}", took(&spans));
    }
}

/// Neither waits for its own queue: each waits for the other's.
#[test]
fn services_that_wait_for_each_others_workers_do_not_stand_still() {
    let busy = |calls: &str| {
        format!("workers = 2\nqueue = 1000\nconfig = {{ work = \"5ms\", calls = \"{calls}\" }}")
    };
    let crossing = [
        service("a", &busy("b")),
        service("b", &busy("a")),
        load("to-a", ["a", "/"], ["poisson", "20/s"]),
        load("to-b", ["b", "/"], ["poisson", "20/s"]),
    ];
    let report = report(&topology(&crossing.concat()), &["--for", "5s"]);
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

/// One more service that calls `a`, and that `a` calls.
fn x(lines: &str) -> String {
    let config =
        "config.first = { route = \"GET /\", calls = \"a/inner\" }\nconfig.leaf = { route = \"GET /leaf\" }";
    service("x", &format!("{lines}{config}"))
}

#[test]
fn a_request_that_only_stands_behind_a_deadlock_is_served() {
    let x = x("");
    let loads = [at("1s", "a", "/"), at("1010ms", "x", "/")].concat();
    let report = report(&topology(&format!("{BEHIND}{x}{loads}")), &[]);
    assert_eq!(requests(&report, "a"), (3, 1), "{report}");
    assert_eq!(report["services"][3]["errors"], 0, "{report}");
    assert!(report["drain_ns"].as_u64() < Some(SECOND), "{report}");
}

/// Here each worker of `x` waits for `a` too, and `a` has called `x` before.
#[test]
fn a_service_that_waits_for_a_deadlock_of_others_is_served() {
    let x = x("workers = 1\n");
    let loads = [at("0s", "a", "/other"), at("500ms", "x", "/"), at("1s", "a", "/"), at("1010ms", "x", "/")];
    let report = report(&topology(&format!("{BEHIND}{x}{}", loads.concat())), &[]);
    assert_eq!(requests(&report, "a"), (5, 1), "{report}");
    assert_eq!(report["services"][3]["errors"], 0, "{report}");
    assert!(report["drain_ns"].as_u64() < Some(SECOND), "{report}");
}

#[test]
fn of_several_replicas_each_refuses_what_keeps_it_and_nothing_else() {
    let a = "workers = 1\nreplicas = 3\nqueue = 1000\n\
             config.outer = { route = \"GET /\", work = \"5ms\", calls = \"b\" }\n\
             config.inner = { route = \"GET /inner\", work = \"5ms\" }";
    let services = [
        service("a", a),
        service("b", "workers = 200\nconfig.calls = \"a/inner\""),
        service("x", "workers = 200\nconfig.calls = \"a/inner\""),
        load("to-a", ["a", "/"], ["poisson", "40/s"]),
        load("to-x", ["x", "/"], ["poisson", "40/s"]),
    ];
    let report = report(&topology(&services.concat()), &["--for", "10s"]);
    assert!(requests(&report, "a").1 > 10, "{report}");
    assert_eq!(report["services"][2]["errors"], 0, "{report}");
    assert!(report["drain_ns"].as_u64() < Some(2 * SECOND), "{report}");
}

/// What a timeout frees is no deadlock.
#[test]
fn a_caller_that_gives_up_frees_its_worker_by_itself() {
    let link = "[[links]]\nfrom = \"a\"\nto = \"a\"\ntimeout = \"100ms\"\n";
    let (finished, spans) = one(&(service("a", "workers = 1\nconfig.calls = \"a\"") + link));
    assert_eq!(failed(&spans, "deadlock"), 0, "{finished:?}");
    assert!(spans.iter().any(|span| span.text("error.type") == Some("timeout")), "{finished:?}");
}

/// The calls lead back to `a`, to a route that calls nobody: there is a wait, and it ends.
#[test]
fn a_queue_in_a_cycle_that_goes_on_is_no_deadlock() {
    let a = "workers = 8\nqueue = 1000\nconfig.outer = { route = \"GET /\", work = \"1ms\", calls = \"b\" }\n\
             config.inner = { route = \"GET /inner\", work = \"20ms\" }";
    let services = [
        service("a", a),
        service("b", "workers = 64\nconfig.calls = \"a/inner\""),
        load("clients", ["a", "/"], ["constant", "20/s"]),
        load("others", ["a", "/inner"], ["poisson", "250/s"]),
    ];
    let report = report(&topology(&services.concat()), &["--for", "10s"]);
    let a = &report["services"][0];
    assert!(a["waited"].as_u64() > Some(100), "{a}");
    assert_eq!(a["errors"], 0, "{a}");
}

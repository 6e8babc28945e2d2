//! A guest that takes all it can get: what its host does for it is computing too.

use crate::guests::hostile::hostile;
use crate::support::{World, cost};

/// What [`hostile`] can do again and again.
const WAYS: [&str; 30] = [
    "nothing",
    "now",
    "sleep",
    "nap",
    "random",
    "random-word",
    "instant",
    "thread-sleep",
    "method",
    "body",
    "headers",
    "header",
    "config",
    "key",
    "environment",
    "log",
    "log-nothing",
    "span",
    "context",
    "annotate",
    "baggage",
    "get-baggage",
    "lines",
    "output",
    "call",
    "nobody",
    "pending",
    "fill",
    "copy",
    "grow",
];

/// In virtual time, in which a guest may compute for 20 ms for each of them: the most that a
/// debug build may take for all, in seconds of a processor. Without prices for the host's
/// work it is minutes.
const PROCESSOR: f64 = 45.0;

#[test]
fn a_call_into_the_host_is_computing_whichever_it_is() {
    let requests = WAYS.map(|way| format!("GET /spin/{way}"));
    let world = hostile("limits = { cpu-time = \"20ms\" }");
    let (_folder, command) = world.virtual_command(&requests.each_ref().map(String::as_str));
    let (printed, cost) = cost::of(command);
    assert_eq!(printed.matches("the guest failed: cpu_time_exceeded").count(), WAYS.len(), "{printed}");
    assert!(cost.processor < PROCESSOR, "{cost:?}");
}

#[test]
fn a_call_into_the_host_has_a_price() {
    let run = hostile("limits = { cpu-time = \"10ms\" }").virtually(&["GET /spin/log-nothing"]);
    let line = run.report.lines().find(|line| line.contains("log records over")).expect("what was not kept");
    let count = line.split("; ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a number");
    let calls: u64 = count.replace(',', "").parse().expect("a number");
    // A crossing takes 50 units, a function 150 more. By the guest's own instructions alone
    // it were a million calls.
    assert!((10_000..50_000).contains(&calls), "{line}");
}

#[test]
fn a_call_into_the_host_is_computing_in_real_time_too() {
    let server = hostile("limits = { cpu-time = \"50ms\" }").serve();
    for way in ["now", "random", "body", "output", "log", "call", "nobody", "pending", "grow", "fill"] {
        let answer = server.get(&format!("/spin/{way}"));
        assert_eq!(answer.status, 500, "{way}: {answer:?}");
    }
    let run = server.stop();
    let stopped = run.spans().iter().filter(|span| *span.error_type() == "cpu_time_exceeded");
    assert_eq!(stopped.count(), 10, "{}", run.report);
}

#[test]
fn what_a_guest_may_do_for_a_request_it_may_do_for_its_routes() {
    for way in ["nothing", "now", "sleep", "random", "log", "span", "output", "environment", "grow"] {
        let settings = format!("config = {{ routes = \"{way}\" }}\nlimits = {{ cpu-time = \"50ms\" }}");
        let said = World::of("hostile", &settings).refusal();
        assert!(said.contains("does not tell its routes"), "{way}: {said}");
        assert!(said.contains("limits.cpu-time = 50ms"), "{way}: {said}");
    }
}

#[test]
fn routes_that_never_come_or_are_too_many_are_refused() {
    for (way, bound) in [
        ("sleep-for-ever", "limits.request-time = 60s"),
        ("million", "limits.host-memory"),
        ("long", "limits.host-memory"),
    ] {
        let settings = format!(
            "config = {{ routes = \"{way}\" }}\nlimits = {{ memory = \"512MiB\", cpu-time = \"60s\" }}"
        );
        let said = World::of("hostile", &settings).refusal();
        assert!(said.contains(bound), "{way}: {said}");
    }
}

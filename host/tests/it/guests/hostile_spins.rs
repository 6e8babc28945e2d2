//! A guest that takes all it can get: what its host does for it is computing too.

use crate::guests::hostile::hostile;
use crate::support::World;

/// What a guest may compute for a request here: units of fuel, and nanoseconds.
const CPU_TIME: u64 = 20_000_000;

/// The prices of `wasi/bill.rs`: leaving the guest and coming back, and what is done meanwhile.
const CROSSING: u64 = 50;
const CALLED: u64 = CROSSING + 150;
const TIMER: u64 = CROSSING + 500;
const RECORD: u64 = 500;
const MEASUREMENT: u64 = 300;
const CALL: u64 = CROSSING + 10_000;
const COMMAND: u64 = 5_000;
const LOOKUP: u64 = 2_000;
const MESSAGE: u64 = 10_000;
const LINE: u64 = 50;

/// Bytes of a long text, and lines that are written at once.
const PAGE: u64 = 64 << 10;
const LINES: u64 = 4 << 10;

/// What [`hostile`] can do again and again, and the least that it costs each time: units of fuel.
/// That is what the host's work costs, or a memory's operations, and where the guest's own
/// instructions cost as much, some of those too: so much that the test fails when the price of
/// one function of the host is missing.
const WAYS: [(&str, u64); 49] = [
    ("nothing", 1),
    ("now", CALLED),
    ("sleep", TIMER),
    ("nap", TIMER),
    // Eight bytes at a time.
    ("random", (1 << 17) * CALLED),
    ("random-word", CALLED),
    ("instant", CALLED),
    ("thread-sleep", 2 * TIMER),
    ("method", CALLED + 190),
    ("body", CALLED),
    ("headers", CALLED + 1_360),
    ("header", CALLED + 30),
    ("config", CALLED + 30),
    ("key", CALLED),
    // The standard library asks the host once, and copies.
    ("environment", 1),
    ("log", CALLED + PAGE),
    ("log-nothing", CALLED),
    ("span", 2 * CALLED + RECORD + 30),
    ("context", CALLED + 580),
    ("annotate", CALLED),
    // Keys of 64 bytes: what a span keeps of them, 128, is compared with each of the others.
    ("attributes", CALLED + 1_000 * 64 + (1_000 - 128) * 128 * (4 + 64 / 16)),
    ("baggage", CALLED + 100),
    ("get-baggage", CALLED),
    ("measure", CALLED + MEASUREMENT),
    ("measure-fraction", CALLED + MEASUREMENT),
    ("measure-sets", CALLED + MEASUREMENT + 4),
    ("measure-text", CALLED + MEASUREMENT + 4 + PAGE),
    ("measure-many", CALLED + MEASUREMENT + 1_000 * 64),
    ("query", CALL),
    ("transaction", CALL),
    ("last-work", CALLED),
    ("instrument", 2 * CALLED + RECORD + 13 + 1 + 29),
    // 200 bounds.
    ("instruments", 3 * CALLED + RECORD + MEASUREMENT + 200 * 8),
    ("lines", CALLED + LINES * (LINE + 1)),
    ("output", PAGE + 350_000),
    ("call", CALL),
    ("nobody", CALL),
    ("pending", CALL),
    ("cache", CALLED + COMMAND + LOOKUP + PAGE),
    ("cache-get", CALLED + COMMAND + LOOKUP),
    ("cache-many", CALLED + COMMAND + 256 * (LOOKUP + 1_000)),
    ("no-cache", CALLED + COMMAND + LOOKUP),
    ("caches", CALLED),
    ("send", CALLED + MESSAGE + PAGE),
    ("send-batch", CALLED + 2 * MESSAGE + PAGE),
    ("no-topic", CALLED + MESSAGE),
    ("fill", 1 << 20),
    ("copy", (1 << 20) - 1),
    ("grow", CROSSING),
];

/// More turns than it may take, if each costs what it should.
#[test]
fn a_call_into_the_host_is_computing_whichever_it_is() {
    let requests = WAYS.map(|(way, price)| format!("GET /spin/{way}/{}", CPU_TIME / price + 1));
    let world = hostile("caches = [\"shared\"]\nlimits = { cpu-time = \"20ms\" }")
        .with("[caches.shared]\n[topics.letters]");
    let run = world.virtually(&requests.each_ref().map(String::as_str));
    for (request, (status, body)) in requests.iter().zip(run.statuses().iter().zip(run.bodies())) {
        assert_eq!(*status, 500, "{request}: {body}");
    }
    let stopped = run.spans().iter().filter(|span| *span.error_type() == "cpu_time_exceeded");
    assert_eq!(stopped.count(), WAYS.len());
}

#[test]
fn a_guest_that_ends_in_time_is_not_stopped() {
    let run = hostile("limits = { cpu-time = \"20ms\" }").virtually(&["GET /spin/now/1000"]);
    assert_eq!(run.bodies(), ["1000 times"]);
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
        assert!(said.contains("does not give its routes"), "{way}: {said}");
        assert!(said.contains("limits.cpu-time = 50ms"), "{way}: {said}");
    }
}

#[test]
fn routes_that_never_come_or_are_too_many_are_refused() {
    for (way, bound) in [
        ("sleep-for-ever", "limits.request-time = 1m"),
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

//! Deadlines that go with requests.

use serde_json::{Value, json};

use crate::resilience::{MS, attempts, world};
use crate::support::telemetry::StatusCode;
use crate::support::{Run, SpanKind, World};

fn link(from: &str, to: &str, more: &str) -> String {
    format!("[[links]]\nfrom = \"{from}\"\nto = \"{to}\"\n{more}")
}

/// `front` calls `mid`, which calls `back` over a link with these lines.
fn two_hops(second: &str) -> World {
    let world = World::of("probe", "").and("mid", "probe", "").and("back", "probe", "");
    let world = world.with(&link("front", "mid", "latency = \"2ms\"\ndeadline = true"));
    world.with(&link("mid", "back", &format!("latency = \"0s\"\n{second}")))
}

/// A call to `mid` that waits for 100 ms, and there one to `back` that takes 500 ms.
const DEEP: &str = "GET /call?service=mid&timeout-ms=100&path=/call%3Fservice%3Dback%26path%3D/sleep/500";

fn call_of_mid(run: &Run) -> (u64, Value) {
    let calls = run.of("mid", SpanKind::Client);
    (calls[0].duration() / MS, calls[0].get("simhost.link.timeout").clone())
}

#[test]
fn a_deadline_bounds_the_calls_of_the_callee() {
    let run = two_hops("deadline = true").virtually(&[DEEP]);
    assert_eq!(run.answers[0].json()["error"], "timeout");
    assert_eq!(attempts(&run)[0].get("simhost.link.timeout"), &json!(0.1));
    // It counts from the arrival: nobody knows how long the request was on its way.
    assert_eq!(call_of_mid(&run), (100, json!(0.1)));
    let bounded = two_hops("deadline = true\ntimeout = \"30ms\"").virtually(&[DEEP]);
    assert_eq!(call_of_mid(&bounded), (30, json!(0.03)));
}

#[test]
fn a_link_that_does_not_ask_for_it_ends_it() {
    for other in ["", "breaker = {}"] {
        let run = two_hops(other).virtually(&[DEEP]);
        assert_eq!(call_of_mid(&run), (500, Value::Null));
        assert_eq!(run.answers[0].took, "100ms");
    }
}

#[test]
fn the_callee_sees_what_time_is_left() {
    let seen = |query: &str, more: &str| {
        let run = world(more).virtually(&[&format!("GET /call?service=back&path=/headers{query}")]);
        let body = run.answers[0].json()["body"].clone();
        let body: Value = serde_json::from_str(body.as_str().expect("a body")).expect("JSON");
        let headers = body["headers"].as_array().expect("headers").clone();
        headers.into_iter().filter(|header| header[0] == "x-simhost-deadline").collect::<Vec<_>>()
    };
    assert_eq!(seen("&timeout-ms=250", "deadline = true"), [json!(["x-simhost-deadline", "250"])]);
    assert_eq!(
        seen("&timeout-ms=250", "deadline = true\ntimeout = \"80500us\""),
        [json!(["x-simhost-deadline", "81"])]
    );
    assert!(seen("", "deadline = true").is_empty(), "who waits for ever says nothing");
    assert!(seen("&timeout-ms=250", "deadline = false").is_empty());
}

#[test]
fn a_request_whose_turn_comes_too_late_costs_no_work() {
    let world = World::of("probe", "config = { next = \"back\" }").and("back", "probe", "workers = 1");
    let world = world.with(&link("front", "back", "latency = \"0s\"\ntimeout = \"80ms\"\ndeadline = true"));
    let run = world.virtually(&["GET /parallel?ms=50"]);
    let servers = run.of("back", SpanKind::Server);
    let zero = attempts(&run)[0].start;
    let windows: Vec<_> =
        servers.iter().map(|span| ((span.start - zero) / MS, (span.end - zero) / MS)).collect();
    // The second is begun in time, and ends in vain; the third is not begun.
    assert_eq!(windows, [(0, 50), (50, 100), (100, 100)]);
    assert_eq!(
        (servers[2].status, servers[2].error_type()),
        (StatusCode::Error, &json!("deadline_exceeded"))
    );
    assert_eq!(servers[2].get("http.response.status_code"), &json!(504));
    assert!(run.stdout.contains("deadline_exceeded"), "{}", run.stdout);
}

/// `front` works for 50 ms, and then calls `back`; whoever asks it waits for so long.
fn asked_with(deadline: &str) -> Run {
    let front = "config = { work = \"50ms\", calls = \"back\", log = \"begins\" }";
    let services = [("front", front), ("back", "")];
    let load =
        "[[load]]\nname = \"load\"\nto = \"front\"\narrivals = { constant = \"1/s\" }\nmax-requests = 1";
    let request =
        format!("request = {{ path = \"/\", headers = {{ x-simhost-deadline = \"{deadline}\" }} }}");
    let world = World::of_services(&services).with(&link("front", "back", "deadline = true"));
    world.with(&format!("{load}\n{request}")).virtually(&[])
}

#[test]
fn a_call_that_comes_too_late_is_not_made() {
    let run = asked_with("30");
    let [call] = run.of("front", SpanKind::Client)[..] else { panic!("{:?}", run.spans()) };
    assert_eq!((call.duration(), call.error_type()), (1, &json!("deadline_exceeded")));
    assert_eq!(run.of("back", SpanKind::Server).len(), 0);
    assert_eq!(run.of("front", SpanKind::Server)[0].get("http.response.status_code"), &json!(504));
    // The guest has the reason, and not that of a timeout.
    assert!(run.bytes.contains("GET / failed: 504: back: the deadline has passed"), "{}", run.bytes);
}

#[test]
fn a_request_from_outside_may_have_a_deadline() {
    let status = |deadline| {
        let run = asked_with(deadline);
        let server = run.of("front", SpanKind::Server)[0].clone();
        (server.get("http.response.status_code").as_u64(), server.duration() / MS)
    };
    assert_eq!(status("0"), (Some(504), 0));
    assert_eq!(status("1000").0, Some(200));
    // What makes no sense is no deadline.
    assert_eq!(["-5", "soon", "1e3", ""].map(|deadline| status(deadline).0), [Some(200); 4]);
}

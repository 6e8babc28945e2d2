//! Messages that HTTP does not have, or that are over a bound.

use crate::guests::trouble::{between_counters, fails_alone, trouble};
use crate::support::client::Request;
use crate::support::telemetry::StatusCode;
use crate::support::{SpanKind, World};

#[test]
fn a_status_that_http_does_not_have_is_the_guests_error() {
    for status in [0, 99, 100, 199, 600, 65_535] {
        let run = between_counters(&trouble(""), &format!("/status/{status}"));
        let span = fails_alone(&run, "GET /status/{code}", "invalid_response");
        assert!(span.description.contains(&format!("answered status {status};")), "{}", span.description);
    }
}

#[test]
fn every_other_status_is_the_guests_own_and_keeps_its_worker() {
    let statuses = [200, 204, 299, 304, 404, 418, 499, 500, 503, 599];
    let mut requests: Vec<_> = statuses.iter().map(|status| format!("GET /status/{status}")).collect();
    requests.push("GET /counter".to_owned());
    requests.insert(0, "GET /counter".to_owned());
    let requests: Vec<_> = requests.iter().map(String::as_str).collect();
    let run = trouble("").virtually(&requests);
    assert_eq!(run.statuses()[1..=statuses.len()], statuses);
    assert_eq!(run.bodies().last(), Some(&"2"));
    for span in run.named("GET /status/{code}") {
        let status = span.get("http.response.status_code").as_u64().expect("a status");
        // By the conventions a client's mistake is no error of the server.
        let (code, error_type) = if status >= 500 {
            (StatusCode::Error, Some(status.to_string()))
        } else {
            (StatusCode::Unset, None)
        };
        assert_eq!((span.status, span.error_type().as_str()), (code, error_type.as_deref()));
        assert!(span.events.is_empty() && span.description.is_empty(), "{span:?}");
    }
}

#[test]
fn headers_that_http_does_not_allow_are_the_guests_error() {
    let run = between_counters(&trouble(""), "/bad-headers");
    let span = fails_alone(&run, "GET /bad-headers", "invalid_response");
    assert!(span.description.contains("\"two words\" is not a header name"), "{}", span.description);
}

#[test]
fn a_flood_of_headers_is_the_guests_error() {
    let run = between_counters(&trouble("headers = \"16KiB\""), "/header-flood/2000");
    let span = fails_alone(&run, "GET /header-flood/{n}", "invalid_response");
    assert!(span.description.contains("exceed limits.headers = 16384 bytes"), "{}", span.description);
}

#[test]
fn headers_within_the_limit_arrive() {
    let server = trouble("headers = \"16KiB\"").serve();
    let answer = server.get("/header-flood/50");
    assert_eq!((answer.status, answer.header("x-49")), (200, Some("flood")));
}

#[test]
fn a_body_over_the_limit_is_the_guests_error() {
    let world = trouble("body = \"1000B\"");
    let run = between_counters(&world, "/body/1001");
    let span = fails_alone(&run, "GET /body/{bytes}", "invalid_response");
    assert!(span.description.contains("1001 bytes exceeds limits.body = 1000 bytes"), "{}", span.description);
    let run = world.virtually(&["GET /body/1000"]);
    assert_eq!((run.statuses(), run.bodies()[0].len()), (vec![200], 1000));
}

#[test]
fn a_client_that_sends_too_much_is_told_so_and_no_guest_sees_it() {
    let server = trouble("body = \"1000B\", headers = \"1KiB\"").serve();
    let counter = Request { method: "POST", target: "/counter", headers: &[], body: "" };
    let (full, over) = ("x".repeat(1000), "x".repeat(1001));
    let answer = server.send(Request { body: &over, ..counter });
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains("limits.body = 1000 bytes"), "{}", answer.body);
    let answer = server.send(Request { headers: &[("x-long", &full)], ..counter });
    assert_eq!(answer.status, 431);
    assert!(answer.body.contains("limits.headers = 1024 bytes"), "{}", answer.body);
    assert_eq!(server.send(Request { body: &full, ..counter }).body, "1");
    assert_eq!(server.stop().spans().len(), 1);
}

#[test]
fn a_call_with_a_body_over_the_callees_limit_is_invalid() {
    let world = World::of("trouble", "config = { next = \"back\" }");
    let world = world.and("back", "noop", "limits = { body = \"1000B\" }");
    let run = world.virtually(&["GET /big-call/1001", "GET /big-call/1000"]);
    assert_eq!(run.statuses(), [502, 200]);
    assert!(run.bodies()[0].contains("1001 bytes exceeds limits.body = 1000"), "{}", run.bodies()[0]);
    let clients = run.of("front", SpanKind::Client);
    let errors: Vec<_> = clients.iter().map(|span| span.error_type().as_str()).collect();
    assert_eq!(errors, [Some("invalid_request"), None]);
    assert_eq!(run.of("back", SpanKind::Server).len(), 1);
}

#[test]
fn a_call_that_is_no_http_is_invalid_and_reaches_nobody() {
    let world = World::of("trouble", "config = { next = \"back\" }").and("back", "noop", "");
    let run = world.virtually(&["GET /bad-call"]);
    assert!(run.bodies()[0].contains("\\\"GET IT\\\" is not a method"), "{}", run.bodies()[0]);
    let [client] = run.of("front", SpanKind::Client)[..] else { panic!("{:?}", run.spans()) };
    assert_eq!(*client.error_type(), "invalid_request");
    assert_eq!((client.name.as_str(), client.get("http.request.method").as_str()), ("HTTP", Some("_OTHER")));
    assert_eq!(*client.get("http.request.method_original"), "GET IT");
    assert_eq!(run.of("back", SpanKind::Server).len(), 0);
}

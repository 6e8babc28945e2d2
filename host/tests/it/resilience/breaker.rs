//! A circuit that opens, tries again, and closes.

use serde_json::{Value, json};

use crate::resilience::{CALL, answers, attempts, events, report, windows, world};
use crate::support::telemetry::StatusCode;
use crate::support::{Run, Span, SpanKind, World};

const SLOW: &str = "GET /call?service=back&path=/sleep/100";
const PAUSE: &str = "GET /sleep/5000";

const STATE: &str = "simhost.link.breaker.state";

fn breaker(rule: &str) -> World {
    world(&format!("timeout = \"20ms\"\nbreaker = {{ {rule} }}"))
}

/// What each attempt came to: its error, the breaker's state, and what it did to it.
fn story(run: &Run) -> Vec<String> {
    let attempt = |span: &&Span| {
        let error = span.error_type().as_str().unwrap_or("ok");
        let state = span.get(STATE).as_str().unwrap_or("closed");
        let events = events(span).join(" ").replace("simhost.link.breaker.", "");
        format!("{error} {state} {events}").trim_end().to_owned()
    };
    attempts(run).iter().map(attempt).collect()
}

#[test]
fn failures_in_a_row_open_the_circuit_and_a_success_closes_it() {
    let rule = breaker("failures = 3, open-for = \"5s\"");
    let run = rule.virtually(&[SLOW, SLOW, CALL, SLOW, SLOW, SLOW, CALL, PAUSE, CALL, CALL]);
    let expected = [
        "timeout closed",
        "timeout closed",
        "ok closed",
        "timeout closed",
        "timeout closed",
        "timeout closed opened",
        "circuit_open open",
        "ok half_open half_opened closed",
        "ok closed",
    ];
    assert_eq!(story(&run), expected);
    let refused = attempts(&run)[6];
    assert_eq!((refused.duration(), refused.status), (1, StatusCode::Error), "no simulated time");
    assert_eq!(run.children(refused).len(), 0, "nothing was sent");
    let answer = run.answers[6].json();
    assert_eq!(answer["error"], "circuit-open");
    let text = answer["message"].as_str().expect("a text");
    assert!(text.contains("circuit open: no attempt for another 5s"), "{text}");
    assert_eq!(run.answers[8].json()["status"], 200);
}

#[test]
fn a_failure_while_half_open_opens_the_circuit_again() {
    let run = breaker("failures = 1").virtually(&[SLOW, PAUSE, SLOW, CALL, PAUSE, CALL]);
    let expected = [
        "timeout closed opened",
        "timeout half_open half_opened opened",
        "circuit_open open",
        "ok half_open half_opened closed",
    ];
    assert_eq!(story(&run), expected);
}

#[test]
fn half_open_it_takes_as_many_successes_as_it_lets_through() {
    // Three at a time, of which two are let through; when both are well, it closes.
    let rule = breaker("failures = 1, half-open = 2");
    let run = rule.virtually(&[SLOW, PAUSE, "GET /parallel?ms=10", CALL]);
    let mut story = story(&run);
    story[1..4].sort();
    let expected = [
        "timeout closed opened",
        "circuit_open half_open",
        "ok half_open closed",
        "ok half_open half_opened",
        "ok closed",
    ];
    assert_eq!(story, expected);
}

#[test]
fn an_attempt_that_is_cancelled_does_not_hold_the_circuit_half_open() {
    let link = "timeout = \"20ms\"\nhedge = { after = \"10ms\" }\nbreaker = { failures = 1, half-open = 2 }";
    let run = world(link).virtually(&[SLOW, PAUSE, "GET /call?service=back&path=/sleep/15", CALL]);
    let expected = [
        "timeout closed opened",
        "cancelled closed",
        "ok half_open half_opened",
        "cancelled half_open",
        "ok half_open closed",
    ];
    assert_eq!(story(&run), expected);
}

#[test]
fn a_share_of_failures_opens_the_circuit_once_there_were_enough() {
    let rule = breaker("rate = 0.5, min-requests = 4");
    let run = rule.virtually(&[SLOW, CALL, CALL, SLOW, CALL]);
    assert_eq!(story(&run)[3..], ["timeout closed opened", "circuit_open open"]);
    let run = breaker("rate = 0.6, min-requests = 4").virtually(&[SLOW, CALL, CALL, SLOW, CALL]);
    assert_eq!(story(&run)[3..], ["timeout closed", "ok closed"]);
}

#[test]
fn what_is_no_failure_of_the_callee_opens_nothing() {
    let run = breaker("failures = 1").with(&answers(404, "")).virtually(&[CALL, CALL]);
    assert_eq!(story(&run), ["404 closed", "404 closed"]);
    let named = breaker("failures = 1, on = [\"404\"]").with(&answers(404, "")).virtually(&[CALL, CALL]);
    assert_eq!(story(&named), ["404 closed opened", "circuit_open open"]);
}

#[test]
fn an_open_circuit_ends_the_retries() {
    let link = "retry = { attempts = 5, backoff = \"10ms\", jitter = 0.0 }\nbreaker = { failures = 2 }";
    let run = world(link).with(&answers(503, "")).virtually(&[CALL]);
    assert_eq!(story(&run), ["503 closed", "503 closed opened", "circuit_open open"]);
    assert_eq!(windows(&run), [(0, 0), (10, 10), (30, 30)]);
    assert_eq!(attempts(&run)[2].get("http.request.resend_count"), &json!(2));
    assert_eq!(run.answers[0].json()["error"], "circuit-open");
}

#[test]
fn each_calling_replica_has_a_circuit_of_its_own() {
    let link = "[[links]]\nfrom = \"front\"\nto = \"back\"\nbreaker = { failures = 1, open-for = \"1h\" }";
    let world = World::of("probe", "replicas = 3").and("back", "probe", "").with(link);
    let run = world.with(&answers(503, "")).virtually(&[CALL; 16]);
    let mut tried: Vec<_> = run.of("back", SpanKind::Server).iter().map(|span| &span.parent).collect();
    let attempts = attempts(&run);
    let instance = |id: &String| &attempts.iter().find(|span| span.id == *id).expect("a call").instance;
    tried.sort_by_key(|id| instance(id));
    tried.dedup_by_key(|id| instance(id));
    assert_eq!(tried.len(), 3, "every replica finds out by itself");
    assert_eq!(run.of("back", SpanKind::Server).len(), 3, "and then calls no more");
}

#[test]
fn the_report_says_how_often_a_circuit_opened() {
    let load = "[[load]]\nname = \"load\"\nto = \"front\"\narrivals = { constant = \"10/s\" }\n\
                request = { path = \"/call?service=back&path=/now\" }";
    let world = breaker("failures = 5, open-for = \"5s\"").with(&answers(503, "")).with(load);
    let report = report(&world.flags(&["--for", "20s"]));
    let link = &report["links"][1];
    // At the fifth request, and then whenever it tries again.
    assert_eq!(link["policies"]["opened"], 4);
    assert_eq!(link["errors_by_type"]["503"], 8);
    assert_eq!(link["errors_by_type"]["circuit_open"], 192);
    assert_eq!(report["links"][0].get("policies"), None::<&Value>, "the door has no policies");
}

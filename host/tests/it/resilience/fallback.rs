//! What a caller gets in place of a failure.

use serde_json::{Value, json};

use crate::resilience::{CALL, answers, attempts, events, report, world};
use crate::support::World;
use crate::support::telemetry::StatusCode;

const FALLBACK: &str =
    "fallback = { json = { price = 9.99, tags = [\"old\"] }, headers = { X-Cache = \"stale\" } }";

/// What the guest sees of a call.
fn answer(world: &World, request: &str) -> Value {
    world.virtually(&[request]).answers[0].json()
}

#[test]
fn it_stands_for_an_error_which_the_span_keeps() {
    let run = world(FALLBACK).with(&answers(503, "")).virtually(&[CALL]);
    let answer = run.answers[0].json();
    assert_eq!(
        (&answer["status"], &answer["body"]),
        (&json!(200), &json!(r#"{"price":9.99,"tags":["old"]}"#))
    );
    let headers = json!([["x-cache", "stale"], ["content-type", "application/json"]]);
    assert_eq!(answer["headers"], headers);
    let span = attempts(&run)[0];
    assert_eq!((span.status, span.error_type()), (StatusCode::Error, &json!("503")));
    assert_eq!(events(span), ["simhost.link.fallback"]);
    assert_eq!(span.events[0].attributes["http.response.status_code"], 200);
}

#[test]
fn it_stands_for_a_timeout_and_for_what_is_left_of_retries() {
    let link = format!("timeout = \"20ms\"\nretry = {{ attempts = 2, backoff = \"1ms\" }}\n{FALLBACK}");
    let run = world(&link).virtually(&["GET /call?service=back&path=/sleep/100"]);
    assert_eq!(run.answers[0].json()["status"], 200);
    let attempts = attempts(&run);
    let events: Vec<_> = attempts.iter().map(|span| events(span)).collect();
    assert_eq!(events, [vec![], vec!["simhost.link.fallback"]]);
    assert!(attempts.iter().all(|span| span.error_type() == "timeout"));
}

#[test]
fn it_stands_for_what_the_callers_own_side_refuses() {
    let link = format!("breaker = {{ failures = 1 }}\nbulkhead = {{ max-concurrent = 1 }}\n{FALLBACK}");
    let open = world(&link).with(&answers(503, "")).virtually(&[CALL, CALL]);
    assert_eq!(open.answers[1].json()["status"], 200);
    assert_eq!(attempts(&open)[1].error_type(), "circuit_open");
    let full = world(&link).virtually(&["GET /parallel?ms=50"]);
    let results = full.answers[0].json()["results"].clone();
    let bodies: Vec<_> = results.as_array().expect("three").iter().map(|result| &result["status"]).collect();
    assert_eq!(bodies, [200, 200, 200]);
}

#[test]
fn it_stands_for_nothing_else() {
    let not_found = world(FALLBACK).with(&answers(404, ""));
    assert_eq!(answer(&not_found, CALL)["status"], 404);
    let unnamed = world("fallback = { status = 203, on = [\"timeout\"] }").with(&answers(503, ""));
    assert_eq!(answer(&unnamed, CALL)["status"], 503);
    let invalid = answer(&world(FALLBACK), "GET /call?service=back&path=/now&method=B%20AD");
    assert_eq!(invalid["error"], "invalid");
    assert_eq!(answer(&world(FALLBACK), CALL)["status"], 200);
}

#[test]
fn the_report_counts_it() {
    let load = "[[load]]\nname = \"load\"\nto = \"front\"\narrivals = { constant = \"10/s\" }\n\
                request = { path = \"/call?service=back&path=/now\" }";
    let world = world(FALLBACK).with(&answers(503, "")).with(load).flags(&["--for", "3s"]);
    assert_eq!(report(&world)["links"][1]["policies"]["fallbacks"], 30);
}

//! Attempts after one that failed.

use serde_json::{Value, json};

use crate::resilience::{CALL, MS, answers, attempts, events, report, windows, world};
use crate::support::telemetry::StatusCode;
use crate::support::{Run, Span, SpanKind, World};

#[test]
fn a_failure_is_tried_again_after_a_backoff_that_grows() {
    let world = world("retry = { attempts = 4, backoff = \"50ms\", jitter = 0.0 }").with(&answers(503, ""));
    let run = world.virtually(&[CALL]);
    assert_eq!(run.answers[0].json()["status"], 503);
    assert_eq!(windows(&run), [(0, 0), (50, 50), (150, 150), (350, 350)]);
    let attempts = attempts(&run);
    let counts: Vec<_> = attempts.iter().map(|span| span.get("http.request.resend_count")).collect();
    assert_eq!(counts, [&Value::Null, &json!(1), &json!(2), &json!(3)]);
    let waits: Vec<_> = attempts.iter().map(|span| span.get("simhost.link.retry.backoff")).collect();
    assert_eq!(waits, [&Value::Null, &json!(0.05), &json!(0.1), &json!(0.2)]);
    let servers = run.of("back", SpanKind::Server);
    assert_eq!(servers.len(), 4);
    for (client, server) in attempts.iter().zip(servers) {
        assert_eq!(client.parent, attempts[0].parent, "attempts are siblings");
        assert_eq!(server.parent, client.id, "each has its own callee");
        assert_eq!((client.status, client.error_type()), (StatusCode::Error, &json!("503")));
    }
}

/// Statuses or errors that the attempts came to.
fn outcomes(run: &Run) -> Vec<String> {
    let text = |span: &&Span| match span.get("http.response.status_code") {
        Value::Null => span.error_type().as_str().expect("an error").to_owned(),
        status => status.to_string(),
    };
    attempts(run).iter().map(text).collect()
}

#[test]
fn attempts_end_with_the_first_that_succeeds() {
    let world = world("retry = { attempts = 3, backoff = \"1ms\" }");
    let run = world.with(&answers(503, "probability = 0.5")).virtually(&[CALL; 24]);
    let mut lengths = [0; 4];
    for answer in run.of("front", SpanKind::Server) {
        let mut attempts: Vec<_> = run.children(answer);
        attempts.sort_by_key(|span| span.start);
        let (last, earlier) = attempts.split_last().expect("an attempt");
        assert!(earlier.iter().all(|span| span.error_type() == "503"), "{attempts:?}");
        assert!(attempts.len() == 3 || last.status == StatusCode::Unset, "{attempts:?}");
        lengths[attempts.len()] += 1;
    }
    assert!(lengths[1..].iter().all(|times| *times > 0), "the dice roll anew: {lengths:?}");
}

#[test]
fn only_requests_that_may_be_repeated_are() {
    let attempts_of = |method: &str, methods: &str| {
        let world = world(&format!("retry = {{ attempts = 3, on = [\"404\"]{methods} }}"));
        attempts(&world.virtually(&[&format!("GET /call?service=back&path=/nowhere&method={method}")])).len()
    };
    assert_eq!(["GET", "PUT", "DELETE", "HEAD"].map(|method| attempts_of(method, "")), [3; 4]);
    assert_eq!(["POST", "PATCH"].map(|method| attempts_of(method, "")), [1; 2]);
    assert_eq!(attempts_of("POST", ", methods = \"all\""), 3);
    let some = ", methods = [\"POST\"]";
    assert_eq!([attempts_of("POST", some), attempts_of("GET", some)], [3, 1]);
}

#[test]
fn only_failures_that_are_named_are_tried_again() {
    let attempts_of = |status, on: &str| {
        let world = world(&format!("retry = {{ attempts = 2{on} }}")).with(&answers(status, ""));
        attempts(&world.virtually(&[CALL])).len()
    };
    assert_eq!([502, 503, 504].map(|status| attempts_of(status, "")), [2; 3]);
    assert_eq!([500, 501, 429, 404].map(|status| attempts_of(status, "")), [1; 4]);
    assert_eq!([500, 599, 404].map(|status| attempts_of(status, ", on = [\"5xx\"]")), [2, 2, 1]);
    assert_eq!([429, 503].map(|status| attempts_of(status, ", on = [\"429\", \"reset\"]")), [2, 1]);
}

#[test]
fn a_timeout_is_of_one_attempt_and_its_callee_works_on() {
    let link = "timeout = \"20ms\"\nretry = { attempts = 3, backoff = \"10ms\", jitter = 0.0 }";
    let run = world(link).virtually(&["GET /call?service=back&path=/sleep/100"]);
    assert_eq!(run.answers[0].json()["error"], "timeout");
    assert_eq!(windows(&run), [(0, 20), (30, 50), (70, 90)]);
    assert_eq!(outcomes(&run), ["timeout"; 3]);
    let servers = run.of("back", SpanKind::Server);
    let attempts = attempts(&run);
    assert_eq!(servers.len(), 3);
    for (client, server) in attempts.iter().zip(servers) {
        assert_eq!(client.get("simhost.link.timeout"), &json!(0.02));
        assert_eq!((server.start, server.end), (client.start, client.start + 100 * MS));
        assert_eq!(server.status, StatusCode::Unset, "the callee knows of nothing");
    }
}

#[test]
fn the_guests_own_time_bounds_all_attempts_and_waits() {
    let link = "timeout = \"50ms\"\nretry = { attempts = 5, backoff = \"20ms\", jitter = 0.0 }";
    let ask = |path: &str, timeout| {
        world(link).virtually(&[&format!("GET /call?service=back&path={path}&timeout-ms={timeout}")])
    };
    let run = ask("/sleep/1000", 110);
    assert_eq!((run.answers[0].json()["error"].as_str(), &*run.answers[0].took), (Some("timeout"), "110ms"));
    assert_eq!(windows(&run), [(0, 50), (70, 110)]);
    let attempts = attempts(&run);
    assert_eq!(attempts[1].get("simhost.link.timeout"), &json!(0.04));
    // A retry that would come too late is not waited for.
    let run = ask("/sleep/1000", 60);
    assert_eq!((windows(&run), &*run.answers[0].took), (vec![(0, 50)], "50ms"));
    let attempts = crate::resilience::attempts(&run);
    assert_eq!(events(attempts[0]), ["simhost.link.retry.given_up"]);
    assert_eq!(reason(attempts[0]), "deadline");
}

/// Why a failure was not tried again.
#[track_caller]
fn reason(span: &Span) -> &str {
    let event = span.events.iter().find(|event| event.name == "simhost.link.retry.given_up");
    event.expect("it says so").attributes["simhost.link.retry.reason"].as_str().expect("a text")
}

#[test]
fn a_wait_is_spread_by_its_jitter_as_the_seed_says() {
    let link = "retry = { attempts = 3, backoff = \"100ms\", factor = 1.0, jitter = 0.5 }";
    let world = world(link).with(&answers(503, ""));
    let waits = |seed: &str| {
        let run = world.clone().flags(&["--seed", seed]).virtually(&[CALL; 4]);
        let waits =
            attempts(&run).into_iter().filter_map(|span| span.get("simhost.link.retry.backoff").as_f64());
        (waits.collect::<Vec<_>>(), run.bytes)
    };
    let (mut drawn, bytes) = waits("1");
    assert_eq!(waits("1").1, bytes);
    assert_ne!(waits("2").0, drawn);
    assert!(drawn.iter().all(|wait| (0.05..=0.15).contains(wait)), "{drawn:?}");
    drawn.dedup();
    assert_eq!(drawn.len(), 8, "each wait has a draw of its own: {drawn:?}");
}

#[test]
fn retries_multiply_from_tier_to_tier() {
    let services = [
        ("front", "config.calls = \"mid\""),
        ("mid", "config.calls = \"back\""),
        ("back", "config.errors = 1"),
    ];
    let retry = "retry = { attempts = 3, backoff = \"10ms\", on = [\"5xx\"] }";
    let link = |from, to| format!("[[links]]\nfrom = \"{from}\"\nto = \"{to}\"\n{retry}");
    let world = World::of_services(&services).with(&link("front", "mid")).with(&link("mid", "back"));
    let run = world.virtually(&["GET /"]);
    assert_eq!(run.statuses(), [502]);
    assert_eq!(["front", "mid", "back"].map(|service| run.of(service, SpanKind::Server).len()), [1, 3, 9]);
}

#[test]
fn a_budget_holds_retries_to_a_share_of_the_calls() {
    let load = "[[load]]\nname = \"load\"\nto = \"front\"\narrivals = { constant = \"50/s\" }\n\
                request = { path = \"/call?service=back&path=/now\" }";
    let ask = |budget: &str| {
        let world = world(&format!("retry = {{ attempts = 3, backoff = \"1ms\"{budget} }}"));
        report(&world.with(&answers(503, "")).with(load).flags(&["--for", "20s"]))
    };
    let policies = |report: &Value| report["links"][1]["policies"].clone();
    let unbound = policies(&ask(""));
    assert_eq!((&unbound["resends"], &unbound["withheld"]), (&json!(2_000), &json!(0)));
    // A fifth of the calls that were made in the last ten seconds, or hardly more.
    let bound = policies(&ask(", budget = { share = 0.2, min = \"0/s\" }"));
    assert_eq!((&bound["resends"], &bound["withheld"]), (&json!(200), &json!(1_000)));
    // Ten a second besides, at most.
    let usual = policies(&ask(", budget = 0.2"));
    let resends = usual["resends"].as_u64().expect("a count");
    assert!((390..=410).contains(&resends), "{usual}");
}

#[test]
fn a_spent_budget_is_said_on_the_last_attempt() {
    let link = "retry = { attempts = 2, backoff = \"1ms\", budget = { share = 0.5, min = \"0/s\" } }";
    let run = world(link).with(&answers(503, "")).virtually(&[CALL; 2]);
    let attempts = attempts(&run);
    let events: Vec<_> = attempts.iter().map(|span| events(span).len()).collect();
    assert_eq!(events, [1, 0, 0]);
    assert_eq!(reason(attempts[0]), "budget");
}

/// When the second attempt began, in milliseconds from the first, and why there was none.
fn retry_after(value: &str) -> (Option<u64>, Option<String>) {
    let link = "retry = { attempts = 2, backoff = \"50ms\", jitter = 0.0, max-backoff = \"10s\" }";
    let headers = format!("headers = {{ retry-after = \"{value}\" }}\nfail-first = 1");
    let run = world(link).with(&answers(503, &headers)).virtually(&[CALL]);
    let reason = attempts(&run)[0].events.iter().find(|event| event.name == "simhost.link.retry.given_up");
    let reason = reason.map(|event| event.attributes["simhost.link.retry.reason"].to_string());
    (windows(&run).get(1).map(|(start, _)| *start), reason)
}

#[test]
fn retry_after_is_a_number_of_seconds_or_a_date_of_simulated_time() {
    let date = |time: &str| retry_after(&format!("Thu, 01 Jan 2026 {time} GMT"));
    assert_eq!(retry_after("3"), (Some(3_000), None));
    assert_eq!(date("00:00:03"), (Some(3_000), None));
    assert_eq!(date("00:00:10"), (Some(10_000), None));
    let given_up = (None, Some("\"retry_after\"".to_owned()));
    assert_eq!([retry_after("11"), date("00:00:11")], [given_up.clone(), given_up]);
    // A date that has passed asks for no wait; the backoff stays.
    assert_eq!(retry_after("Wed, 31 Dec 2025 23:59:59 GMT"), (Some(50), None));
    // The older forms of RFC 9110, section 5.6.7.
    assert_eq!(retry_after("Thursday, 01-Jan-26 00:00:02 GMT"), (Some(2_000), None));
    assert_eq!(retry_after("Thu Jan  1 00:00:02 2026"), (Some(2_000), None));
    // What is neither says nothing.
    for nothing in ["soon", "-1", "1.5", "2026-01-01T00:00:03Z"] {
        assert_eq!(retry_after(nothing), (Some(50), None), "{nothing}");
    }
}

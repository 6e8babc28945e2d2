//! Faults of requests and responses, and of the connections that carry them.

use super::{CALL, MS, assert_counts, between, calls, took};
use crate::support::{Run, SpanKind, World};

/// What the guest of `front` got to see of its call.
fn got(run: &Run) -> serde_json::Value {
    run.answers[0].json()
}

/// A fault of this kind at `front`, which takes requests in.
fn at_front(kind: &str, more: &str) -> World {
    World::of("probe", "").with(&format!(
        "[[faults]]\nname = \"it\"\nkind = \"{kind}\"\ntarget = {{ service = \"front\" }}\n{more}"
    ))
}

#[test]
fn who_is_refused_knows_it_after_one_way_there_and_back() {
    let run = between("refuse", "").virtually(&[CALL]);
    assert_eq!(got(&run)["error"], "refused");
    assert_eq!(calls(&run), [(20, "connection_refused".to_owned())]);
    assert_eq!(run.of("back", SpanKind::Server).len(), 0);
    assert_counts(&run, 1, 1);
}

#[test]
fn a_connection_breaks_before_the_service_has_the_request() {
    let run = between("reset", "on = \"request\"").virtually(&[CALL]);
    assert_eq!(got(&run)["error"], "reset");
    assert_eq!(calls(&run), [(10, "connection_reset".to_owned())]);
    assert_eq!(run.of("back", SpanKind::Server).len(), 0);
}

#[test]
fn a_connection_breaks_with_the_response_of_a_service_that_has_done_its_work() {
    let run = between("reset", "").virtually(&["GET /call?service=back&path=/sleep/5"]);
    assert_eq!(got(&run)["error"], "reset");
    assert_eq!(calls(&run), [(25, "connection_reset".to_owned())]);
    let server = run.span("GET /sleep/{ms}");
    assert_eq!((server.duration() / MS, server.error_type().as_str()), (5, None));
}

#[test]
fn what_a_black_hole_takes_is_waited_for_as_long_as_the_caller_waits() {
    let run = between("blackhole", "").virtually(&["GET /call?service=back&path=/now&timeout-ms=300"]);
    assert_eq!(got(&run)["error"], "timeout");
    assert_eq!(calls(&run), [(300, "timeout".to_owned())]);
    assert_eq!(run.of("back", SpanKind::Server).len(), 0);
}

#[test]
fn who_would_wait_for_ever_is_ended_by_its_own_bound() {
    let limits = "[services.front.limits]\nrequest-time = \"2s\"";
    let run = between("blackhole", "").with(limits).virtually(&[CALL]);
    assert_eq!(run.statuses(), [500]);
    assert_eq!(run.span("GET /call").error_type(), "request_time_exceeded");
    assert_eq!(calls(&run), [(2_000, "cancelled".to_owned())]);
}

#[test]
fn a_lost_call_that_nobody_waits_for_ends_as_well() {
    let limits = "[services.front.limits]\nrequest-time = \"2s\"";
    let run = between("blackhole", "").with(limits).virtually(&["GET /fire-and-forget"]);
    assert_eq!(run.statuses(), [200]);
    assert_eq!(calls(&run), [(2_000, "timeout".to_owned())]);
}

#[test]
fn a_retry_takes_the_fault_s_dice_again() {
    let policy = "[[links]]\nfrom = \"front\"\nto = \"back\"\nretry = { attempts = 3, jitter = 0 }";
    let run = between("refuse", "fail-first = { attempts = 2 }").with(policy).virtually(&[CALL]);
    assert_eq!(got(&run)["status"], 200);
    let errors: Vec<_> = calls(&run).into_iter().map(|(_, error)| error).collect();
    assert_eq!(errors, ["connection_refused", "connection_refused", ""]);
    assert_counts(&run, 3, 2);
}

#[test]
fn a_corrupt_response_has_other_bytes_and_the_same_length() {
    let whole = between("corrupt", "enabled = false").virtually(&[CALL]);
    let run = between("corrupt", "share = 0.1").virtually(&[CALL]);
    let (expected, broken) = (got(&whole), got(&run));
    assert_eq!(broken["status"], 200);
    assert_ne!(broken["body"], expected["body"]);
    // Only the message is broken: the service has answered as ever.
    assert_eq!(took(&run.of("back", SpanKind::Server)), took(&whole.of("back", SpanKind::Server)));
    assert_counts(&run, 1, 1);
}

#[test]
fn a_corrupt_request_is_one_that_the_service_cannot_read() {
    let order = r#"POST /orders {"item":"book","quantity":2,"price":9.99}"#;
    let fault = "[[faults]]\nname = \"it\"\nkind = \"corrupt\"\non = \"request\"\nshare = 1.0\n\
                 target = { service = \"orders\" }";
    let run = World::of_services(&[]).with_guest("orders", "orders", "").with(fault).virtually(&[order]);
    assert!((400..500).contains(&run.statuses()[0]), "{:?}", run.answers);
    assert_eq!(run.of("orders", SpanKind::Server).len(), 1);
}

#[test]
fn values_of_a_json_body_are_replaced_and_a_service_gets_to_see_them() {
    let set = "on = \"request\"\nset = { \"/quantity\" = -1, \"/note\" = \"new\" }";
    let run = at_front("mutate", set).virtually(&[r#"POST /headers {"item":"book","quantity":2}"#]);
    let body = run.answers[0].json()["body"].as_str().expect("the body as it came").to_owned();
    let body: serde_json::Value = serde_json::from_str(&body).expect("it is still JSON");
    assert_eq!(body, serde_json::json!({ "item": "book", "quantity": -1, "note": "new" }));
}

#[test]
fn values_of_a_response_are_replaced_and_what_is_no_json_is_spared() {
    let set = "set = { \"/method\" = \"BREW\" }";
    let run = at_front("mutate", set).virtually(&["GET /headers"]);
    assert_eq!(run.answers[0].json()["method"], "BREW");
    assert_counts(&run, 1, 1);
    let set = "on = \"request\"\nset = { \"/method\" = \"BREW\" }";
    let run = at_front("mutate", set).virtually(&["POST /headers no JSON"]);
    assert_eq!(run.answers[0].json()["body"], "no JSON");
    assert_counts(&run, 1, 0);
}

#[test]
fn a_rate_limit_turns_away_what_is_too_much_and_takes_no_worker() {
    let load = "[[load]]\nname = \"steady\"\nto = \"front\"\narrivals = { constant = \"10/s\" }\n\
                request = { path = \"/now\" }";
    let world = at_front("rate-limit", "limit = \"4/s\"\nburst = 3").with(load);
    let run = world.flags(&["--for", "10s"]).virtually(&[]);
    let spans = run.of("front", SpanKind::Server);
    let turned: Vec<_> = spans.iter().filter(|span| span.get("http.response.status_code") == 429).collect();
    // Three at once, and then four in each second.
    assert_eq!((spans.len(), turned.len()), (100, 100 - 3 - 39));
    assert!(turned.iter().all(|span| span.duration() == 1 && span.name == "GET /now"));
    assert_counts(&run, 100, 58);
}

#[test]
fn who_is_turned_away_is_told_when_to_come_back() {
    let limits = "limit = \"1/s\"\nburst = 1\nretry-after = \"1500ms\"";
    let run = between("rate-limit", limits).virtually(&[CALL, CALL]);
    assert_eq!(run.answers[0].json()["status"], 200);
    let turned = run.answers[1].json();
    assert_eq!(turned["status"], 429);
    assert!(turned["headers"].to_string().contains(r#"["retry-after","2"]"#), "{turned}");
}

#[test]
fn an_error_has_the_body_and_the_headers_that_the_topology_gives_it() {
    let answer = "status = 409\njson = { error = \"sold out\" }\nheaders = { x-reason = \"stock\" }";
    let run = between("error", answer).virtually(&[CALL]);
    let answer = got(&run);
    assert_eq!((&answer["status"], &answer["body"]), (&409.into(), &r#"{"error":"sold out"}"#.into()));
    for header in [r#"["x-reason","stock"]"#, r#"["content-type","application/json"]"#] {
        assert!(answer["headers"].to_string().contains(header), "{answer}");
    }
}

#[test]
fn a_latency_on_the_way_keeps_no_worker() {
    for (way, arrives) in [("request", 50), ("response", 10)] {
        let run = between("latency", &format!("delay = \"40ms\"\non = \"{way}\"")).virtually(&[CALL]);
        let (client, server) = (run.of("front", SpanKind::Client)[0], run.of("back", SpanKind::Server)[0]);
        assert_eq!((client.duration() / MS, server.duration() / MS), (60, 0), "{way}");
        assert_eq!((server.start - client.start) / MS, arrives, "{way}");
    }
}

#[test]
fn delays_add_up_and_of_several_ends_the_first_counts() {
    let late = "[[faults]]\nname = \"late\"\nkind = \"latency\"\ndelay = \"40ms\"\non = \"request\"\n\
                target = { service = \"back\" }";
    let reset = "[[faults]]\nname = \"reset\"\nkind = \"reset\"\non = \"request\"\n\
                 target = { service = \"back\" }";
    let run = between("refuse", "").with(late).with(reset).virtually(&[CALL]);
    assert_eq!(calls(&run), [(60, "connection_refused".to_owned())]);
    for (name, injected) in [("it", 1), ("late", 1), ("reset", 0)] {
        let said = format!("fault {name}: matched 1, injected {injected}");
        assert!(run.report.contains(&said), "{said}: {}", run.report);
    }
}

#[test]
fn a_fault_on_the_way_without_a_chance_leaves_every_byte_as_it_was() {
    let requests = [CALL, "GET /call?service=back&path=/spans", "GET /parallel?ms=3"];
    let without = between("refuse", "enabled = false").virtually(&requests);
    for (kind, more) in [
        ("refuse", ""),
        ("reset", ""),
        ("blackhole", ""),
        ("corrupt", "on = \"both\""),
        ("mutate", "on = \"both\"\nset = { \"/a\" = 1 }"),
        ("rate-limit", "limit = \"1/s\""),
        ("partition", ""),
        ("loss", ""),
        ("duplicate", ""),
        ("bandwidth", "rate = \"1KiB/s\""),
        ("jitter", "delay = \"5ms\""),
        ("latency", "delay = \"5ms\"\non = \"response\""),
        ("drop-context", ""),
        ("unsample", ""),
    ] {
        let with = between(kind, &format!("{more}\nprobability = 0.0")).virtually(&requests);
        assert_eq!(with.bytes, without.bytes, "{kind}");
    }
}

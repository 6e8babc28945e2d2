//! Which of the requests that match are struck.

use serde_json::{Value, json};

use super::{counts, requests, slow, steady, struck};
use crate::support::{Run, SpanKind, World};

/// A run of ten seconds, one hundred requests, under a fault with these lines.
fn run(more: &str) -> Run {
    steady(&slow("slow", more)).flags(&["--for", "10s", "--json"]).virtually(&[])
}

/// Which requests were struck, by their numbers from 0.
fn which(run: &Run) -> Vec<usize> {
    let all = requests(run);
    (0..all.len()).filter(|number| all[*number].1 > 0).collect()
}

/// Why requests were spared, by the report.
fn suppressed(run: &Run) -> Value {
    let report = run.json();
    report["faults"][0]["suppressed"].clone()
}

#[test]
fn a_probability_is_the_share_that_is_struck() {
    let fault = slow("slow", "probability = 0.05");
    let run = steady(&fault).flags(&["--for", "1000s", "--json"]).virtually(&[]);
    let (matched, injected) = counts(&run, "slow");
    assert_eq!(matched, 10_000);
    // Four standard deviations of 10,000 draws.
    assert!((413..587).contains(&injected), "{injected}");
    assert_eq!(suppressed(&run), json!({ "probability": matched - injected }));
}

#[test]
fn the_first_of_each_window_are_struck() {
    let run = run("fail-first = 3\nwhen = { at = \"1s\", for = \"2s\", every = \"5s\" }");
    assert_eq!(struck(&run).len(), 6);
    let all = requests(&run);
    let first = |from: u64| all.iter().filter(move |(at, _)| *at >= from).take(3).map(|(at, _)| *at);
    assert_eq!(struck(&run), first(1_000).chain(first(6_000)).collect::<Vec<_>>());
    assert_eq!(counts(&run, "slow"), (40, 6));
    assert_eq!(suppressed(&run), json!({ "fail-first": 34 }));
}

#[test]
fn the_first_attempts_of_each_call_fail_and_the_next_succeeds() {
    let fault = "[[faults]]\nname = \"fails\"\nkind = \"error\"\nstatus = 503\n\
                 target = { service = \"back\" }\nfail-first = { attempts = 2 }";
    let link = "[[links]]\nfrom = \"front\"\nto = \"back\"\nretry = { attempts = 5, backoff = \"10ms\" }";
    let world = World::of("probe", "").and("back", "probe", "").with(link).with(fault);
    let call = "GET /call?service=back&path=/now";
    let run = world.virtually(&[call, call]);
    assert!(run.answers.iter().all(|answer| answer.json()["status"] == 200), "{:?}", run.bodies());
    let attempts: Vec<_> = run.of("back", SpanKind::Server).iter().map(|span| span.error_type()).collect();
    assert_eq!(attempts, [&json!("503"), &json!("503"), &Value::Null].repeat(2));
}

#[test]
fn every_third_that_matches_is_struck() {
    assert_eq!(which(&run("every-nth = 3")), (0..100).filter(|number| number % 3 == 2).collect::<Vec<_>>());
    assert_eq!(which(&run("every-nth = 1")), (0..100).collect::<Vec<_>>());
}

#[test]
fn no_more_are_struck_than_in_all_are_allowed() {
    let run = run("max-total = 7\nwhen = { for = \"500ms\", every = \"5s\" }");
    assert_eq!(counts(&run, "slow"), (10, 7));
    assert_eq!(suppressed(&run), json!({ "max-total": 3 }));
}

#[test]
fn no_more_are_struck_at_a_time_than_are_allowed() {
    // Each takes 250 ms: of those that come every 100 ms, one in three finds a place.
    let fault = "[[faults]]\nname = \"slow\"\nkind = \"latency\"\ndelay = \"250ms\"\n\
                 target = { service = \"front\" }\nmax-active = 1\n";
    let run = steady(fault).flags(&["--for", "10s", "--json"]).virtually(&[]);
    assert_eq!(which(&run), (0..100).step_by(3).collect::<Vec<_>>());
    assert_eq!(suppressed(&run), json!({ "max-active": 66 }));
    let two = steady(&fault.replace("max-active = 1", "max-active = 2"));
    let two = two.flags(&["--for", "10s"]).virtually(&[]);
    assert_eq!(which(&two), (0..100).filter(|number| number % 3 != 2).collect::<Vec<_>>());
}

#[test]
fn a_caller_asks_for_a_fault_by_header_or_baggage() {
    let asked = slow("slow", "by-caller = true");
    let other = asked.replace("name = \"slow\"", "name = \"slower\"");
    // Times are real, and so say nothing certain: what struck a span stands on it.
    let labels = "[telemetry]\nlabel-faults = true";
    let world = World::of("probe", "").with(&asked).with(&other).with(labels);
    let server = world.flags(&["--json"]).serve();
    let get = |headers: &[(&str, &str)]| {
        let request = crate::support::client::Request { method: "GET", target: "/now", headers, body: "" };
        assert_eq!(server.send(request).status, 200);
    };
    get(&[]);
    get(&[("x-simhost-fault", "slow")]);
    get(&[("x-simhost-fault", "another, slow ")]);
    get(&[("x-simhost-fault", "slowest")]);
    get(&[("baggage", "simhost-fault=slow")]);
    get(&[("baggage", "simhost-fault=slow%2Cslower,user=x")]);
    get(&[("baggage", "fault=slow")]);
    let run = server.stop();
    let spans = run.of("front", SpanKind::Server);
    let struck: Vec<_> = spans.iter().map(|span| span.get("simhost.fault.name").clone()).collect();
    let (slow, both) = (json!(["slow"]), json!(["slow", "slower"]));
    let none = Value::Null;
    assert_eq!(struck, [&none, &slow, &slow, &none, &slow, &both, &none].map(Clone::clone));
    // A delay is never shorter than it is to be.
    assert!(spans.iter().zip([0, 1, 1, 0, 1, 2, 0]).all(|(span, of)| span.duration() >= of * 40 * super::MS));
    assert_eq!([counts(&run, "slow"), counts(&run, "slower")], [(7, 4), (7, 1)]);
    assert_eq!(suppressed(&run), json!({ "not-asked": 3 }));
}

#[test]
fn a_fault_that_allows_it_not_cannot_be_asked_for() {
    let fault = slow("slow", "probability = 1e-12");
    let world = steady(&fault).flags(&["--for", "1s", "--json"]);
    let asking = "request = { path = \"/now\", headers = { x-simhost-fault = \"slow\" } }";
    let load = format!(
        "[[load]]\nname = \"asking\"\nto = \"front\"\narrivals = {{ constant = \"10/s\" }}\n{asking}"
    );
    let run = world.with(&load).virtually(&[]);
    assert_eq!(counts(&run, "slow"), (20, 0));
}

#[test]
fn whom_a_fault_strikes_does_not_depend_on_other_faults() {
    let half = slow("half", "probability = 0.5");
    let alone = steady(&half).flags(&["--for", "20s", "--json"]).virtually(&[]);
    let other = "[[faults]]\nname = \"other\"\nkind = \"latency\"\ndelay = \"1ms\"\n\
                 target = { service = \"front\" }\nprobability = 0.5\nwhen = { at = \"3s\", for = \"10s\" }\n";
    let both = steady(&(other.to_owned() + &half)).flags(&["--for", "20s", "--json"]).virtually(&[]);
    let struck =
        |run: &Run| -> Vec<_> { requests(run).into_iter().map(|(at, took)| (at, took >= 40)).collect() };
    assert_eq!(struck(&both), struck(&alone));
    let (_, together) = counts(&both, "other");
    assert!(together > 20 && counts(&both, "half") == counts(&alone, "half"));
}

#[test]
fn every_attempt_rolls_its_own_dice() {
    let fault = "[[faults]]\nname = \"fails\"\nkind = \"error\"\nstatus = 503\n\
                 target = { service = \"back\" }\nprobability = 0.5\n";
    let link = "[[links]]\nfrom = \"front\"\nto = \"back\"\nretry = { attempts = 10, backoff = \"1ms\" }";
    let load = "[[load]]\nname = \"load\"\nto = \"front\"\narrivals = { constant = \"10/s\" }\n\
                request = { path = \"/call?service=back&path=/now\" }";
    let world = World::of("probe", "").and("back", "probe", "").with(link).with(fault).with(load);
    let run = world.flags(&["--for", "40s", "--json"]).virtually(&[]);
    // With a chance of one half each, a call takes two attempts on average.
    let attempts = run.of("front", SpanKind::Client).len();
    assert!((710..890).contains(&attempts), "{attempts}");
}

#[test]
fn replicas_that_the_dice_spare_are_counted_and_no_fault_without_a_match() {
    let fault = "[[faults]]\nname = \"slow\"\nkind = \"down\"\nprobability = 1e-9\n\
                 target = { service = \"front\" }\nwhen = { at = \"1s\", for = \"1s\", every = \"3s\" }";
    let run = steady(fault).flags(&["--for", "9s", "--strict", "--json"]).virtually(&[]);
    assert_eq!(counts(&run, "slow"), (3, 0));
    assert_eq!(suppressed(&run), json!({ "probability": 3 }));
}

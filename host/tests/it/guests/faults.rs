//! Faults strike whom they are aimed at, as often as they should, and leave no
//! mark but their effect.

use crate::support::telemetry::StatusCode;
use crate::support::{Run, SpanKind, World};

const MS: u64 = 1_000_000;

/// A latency fault at `back`, with further lines of its own.
fn slow(name: &str, target: &str, more: &str) -> String {
    format!(
        "[[faults]]\nname = \"{name}\"\nkind = \"latency\"\ndelay = \"40ms\"\n\
         target = {{ service = \"back\"{target} }}\n{more}"
    )
}

fn failing(more: &str) -> String {
    format!(
        "[[faults]]\nname = \"failing\"\nkind = \"error\"\nstatus = 503\n\
         target = {{ service = \"back\" }}\n{more}"
    )
}

fn world(fault: &str) -> World {
    let world = World::of("probe", "").and("back", "probe", "").and("other", "probe", "");
    world.with("[network]\nlatency = \"0s\"").with(fault)
}

const CALL: &str = "GET /call?service=back&path=/now";

/// How long the SERVER spans of `back` took, in milliseconds.
fn durations(run: &Run) -> Vec<u64> {
    run.of("back", SpanKind::Server).iter().map(|span| span.duration() / MS).collect()
}

#[test]
fn a_latency_fault_makes_the_callee_take_longer() {
    let run = world(&slow("slow", "", "")).virtually(&[CALL]);
    assert_eq!(durations(&run), [40]);
    assert_eq!(run.answers[0].took, "40ms");
    assert_eq!(run.span("GET /now").status, StatusCode::Unset);
    assert!(run.report.contains("fault slow: matched 1, injected 1"), "{}", run.report);
}

#[test]
fn an_error_fault_answers_in_place_of_the_guest() {
    let run = world(&failing("")).virtually(&[CALL]);
    let answer = run.answers[0].json();
    assert_eq!(answer["status"], 503);
    let server = run.span("GET /now");
    assert_eq!((server.status, server.error_type().as_str()), (StatusCode::Error, Some("503")));
    let client = run.spans().iter().find(|span| span.id == server.parent).expect("the CLIENT span");
    assert_eq!((client.status, client.error_type().as_str()), (StatusCode::Error, Some("503")));
}

#[test]
fn what_was_injected_shows_nowhere_but_in_the_report() {
    let both = failing("") + "\n" + &slow("slow", "", "");
    let run = world(&both).virtually(&[CALL]);
    assert_eq!(run.answers[0].json()["body"], r#"{"detail":"Service Unavailable"}"#);
    for word in ["inject", "fault", "failing", "slow"] {
        assert!(!run.bytes.contains(word), "the records say {word:?}");
        assert!(!run.answers[0].body.contains(word), "the answer says {word:?}");
    }
}

#[test]
fn a_fault_without_a_chance_leaves_every_byte_as_it_was() {
    let requests = [CALL, "GET /random", "GET /call?service=other&path=/spans"];
    let without = world("").virtually(&requests);
    for fault in [
        slow("slow", "", "probability = 0.0"),
        slow("slow", "", "enabled = false"),
        failing("probability = 0.0"),
        failing("enabled = false"),
    ] {
        let with = world(&fault).virtually(&requests);
        assert_eq!((&with.bytes, &with.stdout), (&without.bytes, &without.stdout), "{fault}");
    }
    let switched_off = world(&slow("slow", "", "")).flags(&["--fault", "slow=off"]).virtually(&requests);
    assert_eq!(switched_off.bytes, without.bytes);
}

#[test]
fn a_fault_can_be_switched_on() {
    let world = world(&slow("slow", "", "enabled = false")).flags(&["--fault", "slow=on"]);
    assert_eq!(durations(&world.virtually(&[CALL])), [40]);
}

#[test]
fn a_fault_of_half_a_chance_strikes_about_half_of_the_requests() {
    let run = world(&slow("slow", "", "probability = 0.5")).virtually(&[CALL; 100]);
    let struck = durations(&run).into_iter().filter(|ms| *ms == 40).count();
    // The chance of less or more than this is one in a million, and the seed is fixed.
    assert!((26..=74).contains(&struck), "{struck} of 100");
    assert!(run.report.contains(&format!("fault slow: matched 100, injected {struck}")), "{}", run.report);
}

#[test]
fn faults_have_dice_of_their_own() {
    let alone = world(&slow("one", "", "probability = 0.5")).virtually(&[CALL; 40]);
    let two = slow("one", "", "probability = 0.5") + "\n" + &slow("two", "", "probability = 0.5");
    let both = world(&two).virtually(&[CALL; 40]);
    // Where `one` strikes does not depend on `two`: it takes 40 or 80 ms there.
    for (alone, both) in durations(&alone).into_iter().zip(durations(&both)) {
        assert!(both == alone || both == alone + 40, "{alone} {both}");
    }
    let struck_twice = durations(&both).into_iter().filter(|ms| *ms == 80).count();
    assert!((1..=25).contains(&struck_twice), "{struck_twice} of 40");
}

#[test]
fn a_fault_strikes_only_the_route_that_it_names() {
    let fault = slow("slow", ", route = \"GET /sleep/{ms}\"", "");
    let run = world(&fault).virtually(&[CALL, "GET /call?service=back&path=/sleep/5"]);
    assert_eq!(durations(&run), [0, 45]);
    assert!(run.report.contains("fault slow: matched 1, injected 1"), "{}", run.report);
}

#[test]
fn a_fault_strikes_only_calls_of_the_service_that_it_names() {
    let nested = "GET /call?service=other&path=/call%3Fservice=back%26path=/now";
    let fault = slow("slow", ", from = \"other\"", "");
    let run = world(&fault).virtually(&[CALL, nested]);
    assert_eq!(durations(&run), [0, 40]);
}

#[test]
fn a_fault_strikes_only_the_service_that_it_names() {
    let run = world(&slow("slow", "", "")).virtually(&["GET /now", "GET /call?service=other&path=/now"]);
    assert!(run.named("GET /now").iter().all(|span| span.duration() == 1));
}

#[test]
fn a_fault_strikes_in_real_time_as_in_virtual_time() {
    let world = world(&slow("slow", "", "probability = 0.5"));
    let virtually = durations(&world.virtually(&[CALL; 10]));
    let server = world.serve();
    for _ in 0..10 {
        assert_eq!(server.get("/call?service=back&path=/now").status, 200);
    }
    let really = durations(&server.stop());
    let struck = |durations: Vec<u64>| durations.into_iter().map(|ms| ms >= 40).collect::<Vec<_>>();
    assert_eq!(struck(really), struck(virtually));
}

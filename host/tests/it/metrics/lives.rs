//! Processes that die, are replaced, stand still, or are wrong about themselves.

use std::collections::BTreeSet;

use simhost::clock::VIRTUAL_START;

use super::{CLIENT, SECOND, SERVER, callers, exemplars, numbers, of_metric};
use crate::support::{Run, Span, SpanKind, guests};

fn fault(kind: &str, lines: &str) -> String {
    format!("[[faults]]\nname = \"it\"\nkind = \"{kind}\"\n{lines}\n")
}

/// The instants at which a service leaves points, since the beginning.
fn instants(run: &Run, service: &str) -> Vec<u64> {
    let times = numbers(run, service, "process.uptime").into_iter().map(|(time, _)| time);
    times.collect::<BTreeSet<_>>().into_iter().collect()
}

#[test]
fn a_process_that_dies_loses_what_it_has_counted_and_begins_anew() {
    let crash = fault(
        "crash",
        "target = { service = \"front\" }\nrestart = \"5s\"\nwhen = { at = \"7s\", for = \"1s\" }",
    );
    let run = callers(&crash).virtually(&[]);
    let end = run.json()["simulated_ns"].as_u64().expect("a number");
    // It is down from the seventh second to the twelfth, and so at the first collection.
    assert_eq!(instants(&run, "front"), [20 * SECOND, end]);
    assert_eq!(instants(&run, "back"), [10 * SECOND, 20 * SECOND, end]);
    for (metric, kind) in [(SERVER, SpanKind::Server), (CLIENT, SpanKind::Client)] {
        let points = of_metric(&run, metric).into_iter().filter(|point| point.service == "front");
        let points: Vec<_> = points.collect();
        assert!(points.iter().all(|point| point.start == VIRTUAL_START + 12 * SECOND), "{points:?}");
        let spans = run.of("front", kind);
        let since = spans.iter().filter(|span| span.start >= VIRTUAL_START + 12 * SECOND).count() as u64;
        let at_end = points.iter().filter(|point| point.time == VIRTUAL_START + end);
        assert_eq!(at_end.map(|point| point.histogram().count).sum::<u64>(), since, "{metric}");
        for (_, exemplar) in exemplars(&points) {
            assert!(spans.iter().any(|span| span.id == exemplar.span), "{metric}: {exemplar:?}");
        }
    }
    assert_eq!(numbers(&run, "front", "process.uptime")[0], (20 * SECOND, 8.0));
    assert_eq!(numbers(&run, "front", "simhost.process.restarts")[0], (20 * SECOND, 1.0));
    assert!(numbers(&run, "back", "simhost.process.restarts").is_empty());
}

#[test]
fn a_process_that_stands_still_leaves_nothing() {
    let pause = fault("pause", "target = { service = \"back\" }\nwhen = { at = \"8s\", for = \"4s\" }");
    let run = callers(&pause).virtually(&[]);
    let end = run.json()["simulated_ns"].as_u64().expect("a number");
    assert_eq!(instants(&run, "back"), [20 * SECOND, end]);
    assert_eq!(instants(&run, "front"), [10 * SECOND, 20 * SECOND, end]);
}

#[test]
fn a_wrong_clock_moves_points_and_exemplars_as_it_moves_spans() {
    let skew = fault("clock-skew", "target = { service = \"back\" }\nby = \"-3s\"\nwhen = { at = \"1s\" }");
    let (wrong, right) = (callers(&skew).virtually(&[]), callers("").virtually(&[]));
    let of = |run: &Run, service: &str| {
        let points = of_metric(run, SERVER).into_iter().filter(move |point| point.service == service);
        points.collect::<Vec<_>>()
    };
    assert_eq!(of(&wrong, "front"), of(&right, "front"));
    let (wrong, right) = (of(&wrong, "back"), of(&right, "back"));
    assert_eq!(wrong.len(), right.len());
    for (wrong, right) in wrong.iter().zip(&right) {
        assert_eq!((wrong.time, &wrong.value), (right.time - 3 * SECOND, &right.value));
        // It began before its clock was wrong.
        assert_eq!(wrong.start, right.start);
        for (wrong, right) in wrong.exemplars.iter().zip(&right.exemplars) {
            let moved = right.time - wrong.time;
            assert!(moved == 0 || moved == 3 * SECOND, "{moved}");
        }
    }
}

#[test]
fn metrics_come_under_a_wrong_name_as_spans_do() {
    let name = fault(
        "wrong-service-name",
        "target = { service = \"back\", replica = 0 }\nservice-name = \"unknown\"\nwhen = { at = \"15s\" }",
    );
    let run = callers(&name).virtually(&[]);
    let end = run.json()["simulated_ns"].as_u64().expect("a number");
    assert_eq!(instants(&run, "unknown"), [20 * SECOND, end]);
    assert_eq!(numbers(&run, "back", "process.uptime").len(), 4, "two at first, then the other one alone");
}

/// A release of `back`, at this share of its replicas.
fn deploy(replicas: f64, when: &str) -> String {
    let guest = guests().join("probe.wasm");
    let guest = guest.display();
    let lines = format!(
        "target = {{ service = \"back\" }}\nguest = '{guest}'\nreplicas = {replicas:?}\n\
         version = \"2.0.0\"\n{when}"
    );
    fault("bad-deploy", &lines)
}

/// The uptimes of the processes of `back` at an instant since the beginning.
fn uptimes(run: &Run, time: u64) -> Vec<f64> {
    let points = of_metric(run, "process.uptime").into_iter();
    let at = points.filter(|point| point.service == "back" && point.time == VIRTUAL_START + time);
    at.map(|point| point.number()).collect()
}

#[test]
fn what_a_fault_deploys_is_a_process_of_its_own() {
    let run = callers(&deploy(0.5, "when = { at = \"12s\", for = \"5s\" }")).virtually(&[]);
    // From the twelfth second to the seventeenth one of two replicas runs the other release. What ends leaves
    // its metrics a last time, at once where another takes its place.
    let expected = [(10, vec![10.0, 10.0]), (17, vec![17.0]), (20, vec![20.0, 3.0, 8.0])];
    for (seconds, uptimes) in expected {
        assert_eq!(self::uptimes(&run, seconds * SECOND), uptimes, "after {seconds} s");
    }
}

#[test]
fn what_is_deployed_from_the_first_instant_is_measured_and_what_it_replaces_was_never_there() {
    for (replicas, versions) in [(0.5, 2), (1.0, 1)] {
        let run = callers(&deploy(replicas, "")).virtually(&[]);
        for seconds in [10, 20] {
            let expected = [seconds as f64; 2];
            assert_eq!(uptimes(&run, seconds * SECOND), expected, "{replicas} after {seconds} s");
        }
        let spans = run.of("back", SpanKind::Server);
        let version = |span: &Span| span.resource.get("service.version").map(ToString::to_string);
        let found: BTreeSet<_> = spans.iter().map(|span| version(span)).collect();
        assert_eq!(found.len(), versions);
        let measured = super::last(&run, SERVER).into_values().filter(|point| point.service == "back");
        assert_eq!(measured.map(|point| point.histogram().count).sum::<u64>(), spans.len() as u64);
    }
}

#[test]
fn of_two_faults_of_a_replica_none_brings_a_process_back_that_the_other_keeps_away() {
    let down = "[[faults]]\nname = \"down\"\nkind = \"down\"\n\
                target = { service = \"back\", replica = 1 }\nwhen = { at = \"11s\", for = \"8s\" }";
    let canary = deploy(0.5, "when = { at = \"2s\", for = \"10s\" }");
    let run = callers(&format!("{canary}\n{down}")).measured(5_000).virtually(&[]);
    // The release is rolled back while its replica is down: its process never comes up again, and the one of
    // the topology comes up only when the other fault ends.
    let expected = [(5, vec![5.0, 5.0, 3.0]), (10, vec![10.0, 8.0]), (15, vec![15.0]), (20, vec![20.0, 1.0])];
    for (seconds, expected) in expected {
        assert_eq!(uptimes(&run, seconds * SECOND), expected, "after {seconds} s");
    }
    let ends = of_metric(&run, "process.uptime").into_iter().map(|point| point.time).max().expect("points");
    assert_eq!(uptimes(&run, ends - VIRTUAL_START).len(), 2);
    assert!(numbers(&run, "back", "simhost.process.restarts").is_empty(), "what is deployed is no restart");
}

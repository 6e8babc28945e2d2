//! Processes that die, are replaced, stand still, or are wrong about themselves.

use std::collections::BTreeSet;

use simhost::clock::VIRTUAL_START;

use super::{SECOND, SERVER, callers, numbers, of_metric};
use crate::support::metrics::Point;
use crate::support::{Run, SpanKind, guests};

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
    let points: Vec<_> =
        of_metric(&run, SERVER).into_iter().filter(|point| point.service == "front").collect();
    assert!(points.iter().all(|point| point.start == VIRTUAL_START + 12 * SECOND), "{points:?}");
    let spans = run.of("front", SpanKind::Server);
    let since = spans.iter().filter(|span| span.start >= VIRTUAL_START + 12 * SECOND).count() as u64;
    let at_end = points.iter().filter(|point| point.time == VIRTUAL_START + end);
    assert_eq!(at_end.map(|point| point.histogram().count).sum::<u64>(), since);
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

#[test]
fn what_a_fault_deploys_is_a_process_of_its_own() {
    let deploy = fault(
        "bad-deploy",
        &format!(
            "target = {{ service = \"back\" }}\nguest = '{}'\nreplicas = 0.5\nversion = \"2.0.0\"\n\
             when = {{ at = \"12s\", for = \"5s\" }}",
            guests().join("probe.wasm").display()
        ),
    );
    let run = callers(&deploy).virtually(&[]);
    let points = of_metric(&run, "process.uptime");
    let of_back = |time: u64| {
        let at =
            points.iter().filter(move |point| point.service == "back" && point.time == VIRTUAL_START + time);
        at.map(Point::number).collect::<Vec<_>>()
    };
    // From the twelfth second to the seventeenth one of two replicas runs the other release. What ends leaves
    // its metrics a last time, at once where another takes its place.
    let expected = [(10, vec![10.0, 10.0]), (17, vec![17.0]), (20, vec![20.0, 3.0, 8.0])];
    for (seconds, uptimes) in expected {
        assert_eq!(of_back(seconds * SECOND), uptimes, "after {seconds} s");
    }
}

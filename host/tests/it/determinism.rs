//! Same seed, same bytes; and what has no effect changes no byte.

mod changes;
mod difference;
mod left;
mod names;
mod random;
mod recorded;
mod runaway;
mod shop;
mod surroundings;
mod topologies;

use std::collections::BTreeSet;

use crate::support::http::Dead;
use crate::support::telemetry::{self, Span};
use crate::support::{Finished, ORDER, Topology, finish, said};

/// Orders of all kinds, and one that fails.
const ORDERS: [&str; 8] = [
    "--request",
    ORDER,
    "--request",
    r#"POST /orders {"item":"book","quantity":8,"price":1}"#,
    "--request",
    r#"POST /orders {"item":"pen","quantity":8,"price":1}"#,
    "--request",
    ORDER,
];

/// The shipped topology with chance in it everywhere.
fn chancy() -> Topology {
    Topology::orders()
        .with(
            "guest = \"notification\"",
            r#"config = { failure-rate = 0.4, delay = "5ms", delay-rate = 0.5 }"#,
        )
        .with("version = \"2.0.1\"", "replicas = 3")
        .with(
            "# One charge in five is turned away.",
            r#"
[[links]]
from = "order-service"
to = "payment-service"
latency = "2ms +/- 1ms"
"#,
        )
}

fn with_faults(more: &[&'static str]) -> Vec<&'static str> {
    [&ORDERS[..], &["--fault", "slow-index-scan=on", "--fault", "payment-errors=on"], more].concat()
}

#[track_caller]
fn assert_same(left: &(Finished, String), right: &(Finished, String)) {
    assert_eq!(difference::first(&left.1, &right.1), None, "of the records");
    assert_eq!(difference::first(left.0.success(), right.0.success()), None, "of standard output");
    assert_eq!(left.0.stderr, right.0.stderr);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let topology = chancy();
    for show in ["summary", "traces"] {
        let arguments = with_faults(&["--show", show]);
        assert_same(&topology.records(&arguments), &topology.records(&arguments));
    }
}

#[test]
fn another_seed_gives_another_run() {
    let topology = chancy();
    let one = topology.records(&with_faults(&[]));
    let two = topology.records(&with_faults(&["--seed", "43"]));
    assert_ne!(one.1, two.1);
    assert_ne!(one.0.success(), two.0.success());
    // The topology's own seed is 42.
    assert_same(&one, &topology.records(&with_faults(&["--seed", "42"])));
    let traces = |records: &str| telemetry::read(records).into_iter().map(|span| span.trace);
    let both = traces(&one.1).filter(|id| traces(&two.1).any(|other| other == *id));
    assert_eq!(both.count(), 0, "no trace id comes twice");
}

/// Backends drop what is far from now, so a run that is exported begins now, and
/// no two of them share a trace id. Nothing else depends on it.
#[test]
fn a_receiver_that_is_dead_changes_nothing_but_when_the_run_began() {
    let topology = chancy();
    let arguments = with_faults(&["--show", "summary"]);
    let (_, quiet) = topology.records(&arguments);
    let dead = Dead::open();
    let endpoint = dead.url();
    let mut command = topology.command(&arguments);
    command.args(["--otlp", &endpoint, "--lossy"]).env("OTEL_BSP_EXPORT_TIMEOUT", "300");
    let (finished, exported) = topology.records_of(&mut command);
    let report = finished.success();
    let (quiet, exported) = (telemetry::read(&quiet), telemetry::read(&exported));
    assert_eq!(relative(&quiet), relative(&exported));
    assert!(exported[0].start > quiet[0].start);
    assert!(exported.iter().all(|span| quiet.iter().all(|other| other.trace != span.trace)));
    assert!(report.contains(&format!("otlp {endpoint}: 0 spans exported")), "{report}");
    assert!(report.contains(&format!("lost: {} spans", exported.len())), "{report}");
}

/// The line of the report that tells the digest.
#[track_caller]
fn digest(finished: &Finished) -> &str {
    let told = finished.success().lines().find_map(|line| line.strip_prefix("digest: "));
    told.unwrap_or_else(|| panic!("no digest in {}", finished.stdout))
}

#[test]
fn the_digest_is_the_same_wherever_the_records_go() {
    let topology = chancy();
    let (in_file, _) = topology.records(&with_faults(&[]));
    let nowhere = topology.run(&with_faults(&["--virtual", "--show", "summary"]));
    assert_eq!(digest(&in_file), digest(&nowhere));
    let drawn = topology.run(&with_faults(&["--virtual", "--show", "traces"]));
    assert_eq!(digest(&in_file), digest(&drawn));
    let mut small = topology.command(&with_faults(&["--virtual"]));
    small.env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2");
    assert_eq!(digest(&in_file), digest(&finish(&mut small)));
    let json = topology.run(&with_faults(&["--virtual", "--json"]));
    let report: serde_json::Value = serde_json::from_str(json.success()).expect("a report");
    assert_eq!(report["digest"], digest(&in_file));
    let other = topology.run(&with_faults(&["--virtual", "--seed", "43"]));
    assert_ne!(digest(&in_file), digest(&other));
}

/// At a speed that is kept, and at one that the machine cannot reach.
#[test]
fn the_pace_changes_no_event() {
    let topology = chancy();
    let unpaced = topology.run(&with_faults(&["--virtual"]));
    for speed in ["50", "1000000"] {
        let (paced, _) = topology.records(&with_faults(&["--speed", speed]));
        assert_eq!(digest(&unpaced), digest(&paced));
    }
}

#[test]
fn without_telemetry_and_in_real_time_there_is_no_digest() {
    let topology = chancy();
    let mut disabled = topology.command(&with_faults(&["--virtual"]));
    let disabled = finish(disabled.env("OTEL_SDK_DISABLED", "true"));
    assert!(!disabled.success().contains("digest"), "{}", disabled.stdout);
    let real = topology.run(&["--request", ORDER]);
    assert!(!real.success().contains("digest"), "{}", real.stdout);
}

/// When a run begins decides about its instants and the upper halves of its
/// trace ids. Samplers look at the lower halves: the same traces are kept.
#[test]
fn a_run_that_begins_later_is_the_same_run() {
    let topology = chancy();
    let at = |start: &'static str| {
        let mut command = topology.command(&with_faults(&["--start", start]));
        command.env("OTEL_TRACES_SAMPLER", "traceidratio").env("OTEL_TRACES_SAMPLER_ARG", "0.7");
        let (finished, records) = topology.records_of(&mut command);
        (digest(&finished).to_owned(), telemetry::read(&records))
    };
    let (one, first) = at("2026-01-01T00:00:00Z");
    let (two, later) = at("2031-05-17T12:00:00+02:00");
    assert_eq!(one, two);
    assert_eq!(relative(&first), relative(&later));
    let traces = |spans: &[Span], half: std::ops::Range<usize>| -> BTreeSet<String> {
        spans.iter().map(|span| span.trace[half.clone()].to_owned()).collect()
    };
    assert_eq!(traces(&first, 16..32), traces(&later, 16..32));
    let upper = (traces(&first, 0..16), traces(&later, 0..16));
    assert!(upper.0.is_disjoint(&upper.1), "{upper:?}");
    assert!((1..4).contains(&traces(&first, 0..32).len()), "some of four traces are kept");
    let second = 1_000_000_000;
    assert_eq!(first[0].start / second, 1_767_225_600);
    assert_eq!(later[0].start / second, 1_936_778_400);
    // The instant that needs no asking.
    let default = topology.run(&with_faults(&["--virtual", "--start", "2026-01-01T00:00:00Z"]));
    assert_eq!(digest(&default), digest(&topology.run(&with_faults(&["--virtual"]))));
}

#[test]
fn a_start_that_cannot_be_is_refused_with_everything_else() {
    let topology = Topology::probe();
    let finished = topology.run(&["--start", "now", "--guest", "nobody=x.wasm"]);
    assert_eq!(finished.code, Some(2));
    for said in ["--start was given, but time is real", "add --virtual", "names the service \"nobody\""] {
        assert!(finished.stderr.contains(said), "{}", finished.stderr);
    }
    let late = ["--virtual", "--start", "2554-07-21T00:00:00Z", "--for", "48h"];
    let finished = topology.run(&late);
    assert_eq!(finished.code, Some(2));
    said(
        &finished,
        &["--for 48h from --start \"2554-07-21T00:00:00Z\" on leads beyond the end of simulated time"],
    );
}

/// The spans, with times that count from the first start, and without trace ids.
fn relative<'a>(spans: impl IntoIterator<Item = &'a Span>) -> Vec<Span> {
    let mut spans: Vec<Span> = spans.into_iter().cloned().collect();
    let zero = spans.iter().map(|span| span.start).min().unwrap_or(0);
    for span in &mut spans {
        span.trace.clear();
        span.start -= zero;
        span.end -= zero;
        span.events.iter_mut().for_each(|event| event.time -= zero);
    }
    spans
}

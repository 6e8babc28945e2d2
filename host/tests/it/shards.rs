//! `--shards`: several worlds beside one another, which are each what they are
//! alone, and together one run that repeats.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support;
use crate::support::telemetry::{self, Span};
use crate::support::{Finished, ORDER, Topology};
use serde_json::Value;
use simhost::rng::{Key, Purpose};

const SEED: u64 = 7;

/// A front that is always short of workers, as `limits.workers` grants too few;
/// what it calls fails now and then; a load that is traced and one of users.
fn short_of_workers() -> Topology {
    let text = r#"
[topology]
name = "short"
seed = 7

[limits]
workers = 6

[services.front]
guest = "service"
replicas = 2
workers = 2
config = { work = { exponential = { mean = "20ms" } }, calls = "back" }

[services.back]
guest = "service"
workers = 4
config = { work = { exponential = { mean = "10ms" } }, errors = 0.1 }

[[faults]]
name = "slow-back"
kind = "latency"
delay = "5ms +/- 4ms"
target = { one-of = [{ service = "back" }, { service = "back", from = "front" }] }
probability = 0.3
enabled = true

[[load]]
name = "visitors"
to = "front"
request = { path = "/" }
arrivals = { poisson = "60/s" }
span = true

[[load]]
name = "staff"
to = "front"
request = { path = "/" }
users = 3
think = { exponential = { mean = "200ms" } }
"#;
    Topology::new("short", text)
}

fn short(arguments: &[&str]) -> (Finished, String) {
    short_of_workers().records(&[&["--for", "8s", "--json"], arguments].concat())
}

fn report(finished: &Finished) -> Value {
    serde_json::from_str(finished.success()).expect("JSON")
}

/// What tells the spans apart, whatever their order.
fn sorted(spans: &[Span]) -> Vec<String> {
    let mut spans: Vec<_> = spans.iter().map(|span| format!("{span:?}")).collect();
    spans.sort();
    spans
}

/// What a run said on standard error, but for how long it took in reality, and that it waits for its records.
fn said(finished: &Finished) -> Vec<&str> {
    let of_reality = ["simulated ", "waiting for the records to be taken", "  ctrl-c ends the wait"];
    let is_said = |line: &&str| !of_reality.iter().any(|begin| line.starts_with(begin));
    finished.stderr.lines().filter(is_said).collect()
}

#[track_caller]
fn assert_same(one: &(Finished, String), other: &(Finished, String)) {
    assert_eq!(one.0.success(), other.0.success());
    assert_eq!(said(&one.0), said(&other.0));
    assert!(one.1 == other.1, "the records differ");
}

#[test]
fn one_shard_is_the_run_itself() {
    assert_same(&short(&[]), &short(&["--shards", "1"]));
}

#[test]
fn three_shards_are_the_same_every_time_on_a_busy_machine_too() {
    let left = short(&["--shards", "3"]);
    let digest = report(&left.0)["digest"].as_str().map(str::len);
    assert_eq!(digest, Some(64), "it has a digest");
    assert_same(&left, &short(&["--shards", "3"]));
    let over = AtomicBool::new(false);
    let busy = std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let busy = short(&["--shards", "3"]);
        over.store(true, Ordering::Relaxed);
        busy
    });
    assert_same(&left, &busy);
}

/// Also where worlds meet the bound on workers: none has those of another.
#[test]
fn each_shard_is_the_run_of_its_own_seed_and_the_report_their_sum() {
    let seed = |shard: u64| Key::new(SEED, Purpose::Shard).with(shard).draw().to_string();
    let alone: Vec<_> =
        [SEED.to_string(), seed(1), seed(2)].iter().map(|seed| short(&["--seed", seed])).collect();
    let (together, records) = short(&["--shards", "3"]);
    let spans: Vec<_> = alone.iter().flat_map(|(_, records)| telemetry::read(records)).collect();
    assert_eq!(sorted(&telemetry::read(&records)), sorted(&spans));

    let exhausted = spans.iter().filter(|span| span.text("error.type") == Some("workers_exhausted"));
    assert!(exhausted.count() > 10, "the bound on workers was met");
    let (all, parts) = (report(&together), alone.iter().map(|(alone, _)| report(alone)));
    let parts: Vec<_> = parts.collect();
    for place in [
        "/requests",
        "/loads/0/requests",
        "/loads/1/count",
        "/routes/0/count",
        "/routes/0/errors",
        "/services/1/replicas",
        "/links/0/count",
        "/faults/0/matched",
        "/faults/0/injected",
        "/telemetry/spans",
    ] {
        let number = |report: &Value| report.pointer(place).and_then(Value::as_u64);
        let sum: Option<u64> = parts.iter().map(number).sum();
        assert!(sum.is_some_and(|sum| sum > 0), "{place} counts something");
        assert_eq!(number(&all), sum, "{place}");
    }
    let simulated = |report: &Value| report["simulated_ns"].as_u64();
    assert_eq!(simulated(&all), parts.iter().map(simulated).max().flatten(), "as long as the longest");
    assert_eq!((&all["shards"], &all["seed"]), (&3.into(), &SEED.into()));
    assert_eq!(parts[0]["shards"], 1);
}

#[test]
fn traces_and_instances_of_shards_are_their_own() {
    let (_, records) = short(&["--shards", "3"]);
    let spans = telemetry::read(&records);
    let ids: BTreeSet<_> = spans.iter().map(|span| (&span.trace, &span.id)).collect();
    assert_eq!(ids.len(), spans.len());
    let instances =
        spans.iter().map(|span| (&*span.service, span.resource["service.instance.id"].to_string()));
    let instances: BTreeSet<_> = instances.collect();
    let of = |name: &str| instances.iter().filter(|(service, _)| *service == name).count();
    assert_eq!(["front", "back", "visitors"].map(of), [6, 3, 3]);
    // Every trace is one world's: its spans hang together.
    for span in spans.iter().filter(|span| !span.parent.is_empty()) {
        assert!(ids.contains(&(&span.trace, &span.parent)), "{span:?}");
    }
}

#[test]
fn the_report_says_how_many_worlds_there_were() {
    let topology = short_of_workers();
    let headline = |shards| {
        let finished = topology.run(&["--virtual", "--for", "1s", "--shards", shards]);
        finished.success().lines().next().expect("a line").to_owned()
    };
    assert!(headline("2").ends_with(" of simulated time, seed 7, 2 shards"), "{}", headline("2"));
    assert!(headline("1").ends_with(" of simulated time, seed 7"), "{}", headline("1"));
}

#[test]
fn ctrl_c_stops_all_shards() {
    let topology = Topology::orders();
    let mut command = topology.command(&["--virtual", "--for", "8000h", "--shards", "3", "--out", "-"]);
    let (finished, text) = support::interrupt(&mut command);
    let said = &finished.stderr;
    assert_eq!(finished.code, Some(0), "{said}");
    assert_eq!(said.matches("finishing what is under way").count(), 1, "{said}");
    assert!(said.contains("3 shards") && said.contains("digest: "), "{said}");
    let spans = telemetry::read(&text);
    let roots = spans.iter().filter(|span| span.name == "POST /orders").count();
    assert!(roots > 0 && spans.len() == 17 * roots, "{roots} roots of {} spans", spans.len());
}

/// Where the clock ends is where every world ends, each with a request of its own under way.
#[test]
fn each_shard_that_cannot_go_on_says_so_and_the_others_do_what_they_do() {
    let text = r#"
[topology]
name = "late"
seed = 7

[limits]
request-time = "10m"

[services.a]
guest = "service"
workers = 100
config = { work = "1m" }

[[load]]
name = "patient"
to = "a"
request = { path = "/" }
arrivals = { poisson = "1/s" }
max-requests = 1000

[services.b]
guest = "service"

[[load]]
name = "brisk"
to = "b"
request = { path = "/" }
arrivals = { poisson = "9/s" }
max-requests = 1000
"#;
    let topology = Topology::new("late", text);
    let run = || topology.records(&["--start", "2554-07-21T23:34:00Z", "--shards", "2"]);
    let (finished, records) = run();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    for shard in ["error: shard 0: after ", "error: shard 1: after "] {
        assert_eq!(finished.stderr.matches(shard).count(), 1, "{}", finished.stderr);
    }
    assert!(finished.stdout.contains("digest: "), "{}", finished.stdout);
    let (again, same) = run();
    assert_eq!((&finished.stdout, said(&finished)), (&again.stdout, said(&again)));
    assert!(records == same && !records.is_empty());
}

#[test]
fn shards_that_cannot_be_are_refused_with_a_remedy() {
    let topology = short_of_workers();
    for (arguments, expected) in [
        (&["--virtual", "--for", "1s", "--shards", "0"][..], "0 is not in 1..=64"),
        (&["--virtual", "--for", "1s", "--shards", "65"], "65 is not in 1..=64"),
        (&["--virtual", "--for", "1s", "--shards", "two"], "invalid digit"),
        (&["--for", "1s", "--shards", "2"], "add --virtual, or leave --shards out"),
        (&["--virtual", "--shards", "2", "--request", ORDER], "cannot be used with"),
    ] {
        let refused = topology.run(arguments);
        assert_eq!(refused.code, Some(2), "{arguments:?}: {refused:?}");
        assert!(refused.stderr.contains(expected), "{expected:?} in {}", refused.stderr);
    }
}

#[test]
fn more_shards_than_processors_run_with_a_note() {
    let finished = short_of_workers().run(&["--virtual", "--for", "1s", "--shards", "64"]);
    finished.success();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    assert_eq!(finished.stderr.contains("note: --shards 64 is more than"), processors < 64, "{finished:?}");
}

/// Each world draws its own target, so worlds have unequally many Resources with wrong names.
#[test]
fn every_span_is_of_its_own_service_where_worlds_rename_different_ones() {
    let text = r#"
[topology]
name = "renamed"
seed = 3
[services.a]
guest = "service"
config.calls = "b"
[services.b]
guest = "service"
replicas = 3
config.calls = "c"
[services.c]
guest = "service"
replicas = 2
[[faults]]
name = "wrong"
kind = "wrong-service-name"
service-name = "wrong"
target = { one-of = [{ service = "a" }, { service = "b" }] }
[[load]]
name = "users"
to = "a"
request = { path = "/" }
arrivals = { poisson = "20/s" }
"#;
    let topology = Topology::new("renamed", text);
    for seed in ["1", "2", "3", "4"] {
        let flags = ["--for", "3s", "--shards", "4", "--seed", seed, "--truth", "truth.jsonl"];
        let (run, records) = topology.records(&flags);
        run.success();
        let spans = telemetry::read(&records);
        let of = |service: &str| -> BTreeSet<_> {
            spans.iter().filter(|span| span.service == service).map(|span| span.instance.clone()).collect()
        };
        // Of a service that is renamed in some worlds: its instances have two names, and no other's.
        let (a, b, c) = (of("a"), of("b"), of("c"));
        assert!(a.is_disjoint(&b) && a.is_disjoint(&c) && b.is_disjoint(&c), "seed {seed}");
        assert!(of("wrong").is_disjoint(&c), "seed {seed}");
        assert!(spans.iter().all(|span| span.service != "c" || span.kind_name() == "SERVER"), "seed {seed}");
        // The truth names instances that the records have.
        let truth = std::fs::read_to_string(topology.beside("truth.jsonl")).expect("the truth");
        let known: BTreeSet<_> = spans.iter().map(|span| span.instance.clone()).collect();
        let struck = truth.match_indices("\"instance\":\"").map(|(at, key)| &truth[at + key.len()..]);
        let struck: BTreeSet<_> = struck.map(|rest| rest[..36].to_owned()).collect();
        assert!(struck.is_subset(&known), "seed {seed}: {struck:?}");
    }
}

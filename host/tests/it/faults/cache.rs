//! Faults of caches: which commands they strike, and how it shows.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::support::telemetry::{self, Span};
use crate::support::{Run, World, finish, said, simhost};

const MS: u64 = 1_000_000;

/// What a run of the topology of a kind told: the lines of the truth, its spans and its report.
struct Told {
    lines: Vec<Value>,
    spans: Vec<Span>,
    report: Value,
}

fn run(kind: &str) -> Told {
    let folder = tempfile::tempdir().expect("a folder");
    let [truth, out] = ["truth.jsonl", "out.jsonl"].map(|name| folder.path().join(name));
    let topology = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../topologies/faults/{kind}.toml"));
    let mut command = simhost();
    command.arg("run").arg(topology).args([
        "--virtual",
        "--for",
        "45s",
        "--seed",
        "5",
        "--compute",
        "0",
        "--json",
    ]);
    let finished = finish(command.arg("--truth").arg(&truth).arg("--out").arg(&out));
    let report = finished.json();
    let lines = std::fs::read_to_string(truth).expect("the truth");
    let lines = lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    Told { lines, spans: telemetry::read(&std::fs::read_to_string(out).expect("the records")), report }
}

impl Told {
    fn records(&self, record: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["record"] == record).collect()
    }

    /// That windows and firings name the cache, whoever uses it; the keys that were looked for.
    #[track_caller]
    fn keys(&self) -> Vec<String> {
        for window in self.records("window") {
            let target = (&window["target"]["service"], &window["target"]["cache"]);
            assert_eq!(target, (&Value::Null, &Value::from("pages")), "{window}");
        }
        let firings = self.records("firing");
        let summary = &self.lines.last().expect("a last line")["faults"][0];
        assert_eq!(summary["injected"], firings.len());
        assert!(summary["causes"]["changed"].as_u64() > Some(10), "{summary}");
        let key = |firing: &&Value| {
            let told = ["cache", "service", "route", "span_kind"].map(|key| &firing[key]);
            assert_eq!(told, ["pages", "catalog", "GET /products/{id}", "client"], "{firing}");
            let span = self.spans.iter().find(|span| firing["span_id"] == *span.id).expect("its span");
            span.text("db.query.text").expect("a command").to_owned()
        };
        firings.iter().map(key).collect()
    }

    fn calls_between(&self, from: u64, to: u64) -> usize {
        let start = self.spans.iter().map(|span| span.start).min().expect("spans");
        let of =
            |span: &&Span| span.service == "rendering" && (from..to).contains(&((span.start - start) / MS));
        self.spans.iter().filter(of).count()
    }
}

#[test]
fn a_flush_strikes_those_who_look_for_what_was_there_until_it_is_there_again() {
    let told = run("flush-cache");
    let keys = told.keys();
    let distinct: BTreeSet<_> = keys.iter().collect();
    // Nearly all of the hundred pages had been made, and each is missed by one or by a few at a time.
    assert!(distinct.len() > 90 && keys.len() < 130, "{} of {}", distinct.len(), keys.len());
    assert!(told.calls_between(10_000, 20_000) < 10 && told.calls_between(20_000, 30_000) > 90);
    assert_eq!(told.report["caches"][0]["evicted"], 0, "a flush is no eviction");
}

#[test]
fn a_cache_that_shrinks_evicts_and_strikes_those_who_look_for_what_it_would_have_kept() {
    let told = run("shrink-cache");
    let keys = told.keys();
    let distinct: BTreeSet<_> = keys.iter().collect();
    assert!(distinct.len() > 90 && keys.len() > 400, "{} of {}", distinct.len(), keys.len());
    let [before, during, after] = [(10_000, 20_000), (28_000, 38_000), (44_000, 54_000)];
    assert!(told.calls_between(before.0, before.1) < 10);
    // Of a hundred pages twenty-four have room.
    assert!((300..450).contains(&told.calls_between(during.0, during.1)));
    assert!(told.calls_between(after.0, after.1) < 10);
    assert!(told.report["caches"][0]["evicted"].as_u64() > Some(400));
}

/// A service that keeps its answers in `pages`, with a fault of it; the other cache is not used.
fn struck(fault: &str, requests: usize) -> Run {
    let show = "config.show = { route = \"GET /items/{id}\", cache = \"1s\", cache-in = \"pages\" }";
    let caches = "[caches.other]\n[caches.pages]\nlatency = \"200us\"\ntimeout = \"20ms\"";
    World::default()
        .with_guest("front", "service", &format!("caches = [\"pages\", \"other\"]\n{show}"))
        .with(&format!("{caches}\n[[faults]]\nname = \"it\"\n{fault}"))
        .virtually(&vec!["GET /items/7"; requests])
}

#[test]
fn commands_to_a_cache_are_late_refused_or_lost_and_its_client_goes_on_without_it() {
    let late = struck("kind = \"latency\"\ndelay = \"5ms\"\ntarget = { cache = \"pages\" }", 2);
    let lengths: Vec<_> =
        ["GET", "SET"].iter().flat_map(|name| late.named(name)).map(|span| span.end - span.start).collect();
    assert_eq!(lengths, [5_400_000; 3]);
    for (kind, error, took) in [("refuse", "connection_refused", 400_000), ("blackhole", "timeout", 20 * MS)]
    {
        let run = struck(&format!("kind = \"{kind}\"\ntarget = {{ cache = \"pages\" }}"), 2);
        assert_eq!(run.statuses(), [200, 200]);
        let (gets, sets) = (run.named("GET"), run.named("SET"));
        assert_eq!((gets.len(), sets.len()), (2, 2), "nothing is kept");
        for span in gets.into_iter().chain(sets) {
            assert_eq!((span.text("error.type"), span.end - span.start), (Some(error), took), "{kind}");
            assert_eq!(span.text("db.response.status_code"), None);
        }
    }
}

#[test]
fn some_commands_are_struck_by_chance_and_which_cache_it_is_the_seed_says() {
    let run = struck("kind = \"refuse\"\ntarget = { cache = \"pages\" }\nprobability = 0.4", 60);
    let failed = run.named("GET").iter().filter(|span| span.text("error.type").is_some()).count();
    assert!((12..36).contains(&failed), "{failed}");
    let one_of = "kind = \"refuse\"\ntarget = { one-of = [{ cache = \"other\" }, { cache = \"pages\" }] }";
    let is_struck = |seed: u32| {
        let show = "config.show = { route = \"GET /\", cache = \"1s\", cache-in = \"pages\" }";
        let world = World::default().with_guest(
            "front",
            "service",
            &format!("caches = [\"pages\", \"other\"]\n{show}"),
        );
        let world =
            world.with(&format!("[caches.other]\n[caches.pages]\n[[faults]]\nname = \"it\"\n{one_of}"));
        let run = world.flags(&["--seed", &seed.to_string()]).virtually(&["GET /"]);
        run.span("GET").text("error.type").is_some()
    };
    let struck: Vec<bool> = (1..=6).map(is_struck).collect();
    assert!(struck.contains(&true) && struck.contains(&false), "{struck:?}");
}

#[test]
fn a_cache_without_a_timeout_that_swallows_commands_is_doubted() {
    let text = "[topology]\nname = \"t\"\n[services.front]\nguest = \"service\"\ncaches = [\"pages\"]\n[caches.pages]\n\
                [[faults]]\nname = \"it\"\nkind = \"blackhole\"\ntarget = { cache = \"pages\" }\n";
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.toml");
    std::fs::write(&path, text).expect("the topology is written");
    let finished = finish(simhost().args(["check", "--strict"]).arg(&path));
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    said(&finished, &["the cache \"pages\" has no timeout", "timeout = \"50ms\""]);
}

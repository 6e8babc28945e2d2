//! The story of each incident holds for most seeds: its symptom shows, and the truth names whom
//! the seed has drawn.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use simhost::fault::draw_targets;
use simhost::model::Model;

use super::{model, run, spans};
use crate::support::{SpanKind, at_once, other_build, simhost};

/// Seeds that each incident is run with.
const SEEDS: u64 = 5;

/// What an incident does at least, compared with the same run without its cause.
enum Symptom {
    /// Requests that are slower: the 99th percentile of the extra time, in milliseconds.
    Slower(f64),
    /// Requests that fail.
    Errors(u64),
    /// Requests that end otherwise or later.
    Changed(u64),
    /// Requests as before, and so many spans that look wrong.
    Records(u64),
    /// Requests as before, and a group that was behind by so many messages, and has given up some of them.
    Lag(u64),
}

const SYMPTOMS: [(&str, Symptom); 17] = [
    ("bad-canary", Symptom::Slower(40.0)),
    ("broken-context", Symptom::Records(500)),
    ("cache-stampede", Symptom::Slower(300.0)),
    ("clock-skew", Symptom::Records(200)),
    ("connection-leak", Symptom::Errors(100)),
    ("eviction-storm", Symptom::Slower(100.0)),
    ("flapping-dependency", Symptom::Changed(15)),
    ("lock-convoy", Symptom::Slower(300.0)),
    ("lost-index", Symptom::Slower(100.0)),
    ("memory-leak", Symptom::Errors(2)),
    ("n-plus-one", Symptom::Slower(40.0)),
    ("noisy-neighbour", Symptom::Slower(200.0)),
    ("poison-message", Symptom::Lag(150)),
    ("replica-partition", Symptom::Slower(300.0)),
    ("retry-storm", Symptom::Errors(100)),
    ("slow-index-scan", Symptom::Slower(200.0)),
    ("timeout-cascade", Symptom::Errors(100)),
];

/// The golden truths are what runs of this build leave behind: [`crate::topologies`] holds them to that.
#[test]
fn the_symptom_of_each_incident_shows_in_its_golden_truth_and_the_victim_is_named() {
    let missing = at_once(&SYMPTOMS, |(name, symptom)| {
        let truth = read(&file(name, "truth.jsonl"));
        let seed =
            serde_json::from_str::<Value>(truth.lines().next().expect("a line")).expect("JSON")["seed"]
                .as_u64()
                .expect("a seed");
        shows(&Incident::new(name, seed, simhost), symptom, &truth)
    });
    let missing: Vec<_> = missing.into_iter().filter_map(Result::err).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
#[ignore = "needs a build with optimisations: .ci/run release"]
fn another_build_shows_the_symptom_of_each_incident_for_most_seeds() {
    let cells: Vec<_> = SYMPTOMS
        .iter()
        .flat_map(|(name, symptom)| (1..=SEEDS).map(move |seed| (*name, symptom, seed)))
        .collect();
    let shown = at_once(&cells, |(name, symptom, seed)| {
        let incident = Incident::new(name, *seed, other_build);
        let folder = tempfile::tempdir().expect("a folder");
        run(incident.command().current_dir(folder.path()).args(["--show", "none", "--truth", "truth.jsonl"]));
        shows(&incident, symptom, &read(&folder.path().join("truth.jsonl")))
    });
    let mut by_name: BTreeMap<&str, Vec<Result<(), String>>> = BTreeMap::new();
    for ((name, ..), shown) in cells.iter().zip(shown) {
        by_name.entry(name).or_default().push(shown);
    }
    for (name, shown) in by_name {
        let missing: Vec<_> = shown.iter().filter_map(|shown| shown.as_ref().err()).collect();
        assert!(missing.len() * 4 <= shown.len(), "{name} has no symptom: {missing:#?}");
    }
}

/// An incident at a seed, whose first fault is its cause; the others are harmless.
struct Incident {
    name: &'static str,
    seed: u64,
    model: Model,
    program: fn() -> Command,
}

impl Incident {
    fn new(name: &'static str, seed: u64, program: fn() -> Command) -> Self {
        let mut model = model(&file(name, "toml"));
        model.seed = seed;
        draw_targets(&mut model);
        Self { name, seed, model, program }
    }

    /// Runs it without the harmless faults.
    fn command(&self) -> Command {
        let mut command = (self.program)();
        command.arg("run").arg(file(self.name, "toml")).args(["--virtual", "--json", "--for", "8m"]);
        command.args(["--seed", &self.seed.to_string()]);
        for fault in &self.model.faults[1..] {
            command.args(["--fault", &format!("{}=off", fault.name)]);
        }
        command
    }

    /// The kind and the name of what its cause strikes.
    fn victim(&self) -> (&'static str, &str) {
        let (model, fault) = (&self.model, &self.model.faults[0]);
        match (&fault.target, fault.database(), fault.cache()) {
            (Some(target), ..) => ("service", &model.service(target.service).name),
            (None, Some(database), _) => ("database", &model.databases[database].name),
            (None, None, Some(cache)) => ("cache", &model.caches[cache].name),
            (None, None, None) => panic!("{} strikes nobody", self.name),
        }
    }

    /// Spans that look wrong.
    fn disordered(&self) -> u64 {
        let folder = tempfile::tempdir().expect("a folder");
        run(self.command().current_dir(folder.path()).args(["--show", "none", "--out", "spans.jsonl"]));
        disordered(&spans::read(&read(&folder.path().join("spans.jsonl"))))
    }

    /// The groups of its first topic, as the report has them.
    fn groups(&self) -> Vec<Value> {
        let report: Value =
            serde_json::from_slice(&run(self.command().args(["--show", "summary"]))).expect("JSON");
        report["topics"][0]["groups"].as_array().expect("groups").clone()
    }
}

/// Whether an incident does what it is said to, by its truth and what else its runs leave behind.
fn shows(incident: &Incident, symptom: &Symptom, truth: &str) -> Result<(), String> {
    let truth: Vec<Value> = truth.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (kind, victim) = incident.victim();
    assert_eq!(truth[0]["faults"][0]["target"][kind], victim, "{}", incident.name);
    let causes = &truth.last().expect("a summary")["faults"][0]["causes"];
    let place = format!("{} at seed {}", incident.name, incident.seed);
    let least = |what: &str, least: f64| {
        let found = causes[what].as_f64().unwrap_or(0.0);
        if found >= least {
            Ok(())
        } else {
            Err(format!("{place}: {what} is {found}, not {least}: {causes}"))
        }
    };
    match symptom {
        Symptom::Slower(by) => least("extra_p99_ms", *by),
        Symptom::Errors(count) => least("errors_caused", *count as f64),
        Symptom::Changed(count) => least("changed", *count as f64),
        Symptom::Records(count) => {
            assert_eq!(causes["errors_caused"], 0, "{place}: {causes}");
            let wrong = incident.disordered();
            if wrong >= *count { Ok(()) } else { Err(format!("{place}: {wrong} spans, not {count}")) }
        }
        Symptom::Lag(count) => {
            assert_eq!(causes["errors_caused"], 0, "{place}: {causes}");
            let groups = incident.groups();
            let is_behind = |group: &&Value| {
                group["lag_max"].as_u64() >= Some(*count) && group["dead_letters"].as_u64() > Some(0)
            };
            match groups.iter().filter(is_behind).count() {
                1 => Ok(()),
                found => Err(format!("{place}: {found} groups are behind: {groups:?}")),
            }
        }
    }
}

/// A file of an incident.
fn file(name: &str, extension: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../topologies/incidents/{name}.{extension}"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a file")
}

/// SERVER spans below the entry that have no parent, or begin before the call that they answer.
fn disordered(records: &spans::Records) -> u64 {
    let clients = records.spans.iter().filter(|span| span.kind == SpanKind::Client);
    let starts: BTreeMap<_, _> = clients.map(|span| (&*span.id, span.start)).collect();
    let servers: Vec<_> = records.spans.iter().filter(|span| span.kind == SpanKind::Server).collect();
    // The first request is from before any incident: its root is the entry.
    let entry = servers.iter().find(|span| span.parent.is_empty()).map(|span| span.service.clone());
    let is_wrong = |span: &&&spans::Span| match starts.get(&*span.parent) {
        Some(start) => span.start < *start,
        None => Some(&span.service) != entry.as_ref(),
    };
    servers.iter().filter(is_wrong).count() as u64
}

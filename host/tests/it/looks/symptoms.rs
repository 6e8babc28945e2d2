//! The story of each incident holds for most seeds: its symptom shows, and the truth names whom
//! the seed has drawn.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use simhost::fault::draw_targets;

use super::{model, run, spans};
use crate::support::{SpanKind, at_once, simhost};

/// Seeds that each incident is run with: a build with optimisations has time for more.
const SEEDS: u64 = if cfg!(debug_assertions) { 1 } else { 5 };

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

#[test]
fn the_symptom_of_each_incident_shows_for_most_seeds_and_the_truth_names_the_victim() {
    let cells: Vec<_> = SYMPTOMS
        .iter()
        .flat_map(|(name, symptom)| (1..=SEEDS).map(move |seed| (*name, symptom, seed)))
        .collect();
    let shown = at_once(&cells, |(name, symptom, seed)| shows(name, symptom, *seed));
    let mut by_name: BTreeMap<&str, Vec<Result<(), String>>> = BTreeMap::new();
    for ((name, ..), shown) in cells.iter().zip(shown) {
        by_name.entry(name).or_default().push(shown);
    }
    for (name, shown) in by_name {
        let missing: Vec<_> = shown.iter().filter_map(|shown| shown.as_ref().err()).collect();
        assert!(missing.len() * 4 <= shown.len(), "{name} has no symptom: {missing:#?}");
    }
}

/// Runs an incident without the harmless faults beside its cause, which is the first of its file.
fn shows(name: &str, symptom: &Symptom, seed: u64) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../topologies/incidents/{name}.toml"));
    let mut model = model(&path);
    model.seed = seed;
    draw_targets(&mut model);
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = simhost();
    let show = if matches!(symptom, Symptom::Lag(_)) { "summary" } else { "none" };
    command.current_dir(folder.path()).arg("run").arg(&path).args(["--virtual", "--json", "--show", show]);
    command.args(["--for", "8m", "--truth", "truth.jsonl", "--seed", &seed.to_string()]);
    for fault in &model.faults[1..] {
        command.args(["--fault", &format!("{}=off", fault.name)]);
    }
    if let Symptom::Records(_) = symptom {
        command.args(["--out", "spans.jsonl"]);
    }
    let report = run(&mut command);
    let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).expect("a file");
    let truth: Vec<Value> =
        read("truth.jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (fault, aim) = (&model.faults[0], &truth[0]["faults"][0]["target"]);
    let (kind, victim) = match (&fault.target, fault.database(), fault.cache()) {
        (Some(target), ..) => ("service", &model.service(target.service).name),
        (None, Some(database), _) => ("database", &model.databases[database].name),
        (None, None, Some(cache)) => ("cache", &model.caches[cache].name),
        (None, None, None) => panic!("{name} strikes nobody"),
    };
    assert_eq!(aim[kind], *victim, "{name}");
    let causes = &truth.last().expect("a summary")["faults"][0]["causes"];
    let least = |what: &str, least: f64| {
        let found = causes[what].as_f64().unwrap_or(0.0);
        if found >= least {
            Ok(())
        } else {
            Err(format!("seed {seed}: {what} is {found}, not {least}: {causes}"))
        }
    };
    match symptom {
        Symptom::Slower(by) => least("extra_p99_ms", *by),
        Symptom::Errors(count) => least("errors_caused", *count as f64),
        Symptom::Changed(count) => least("changed", *count as f64),
        Symptom::Records(count) => {
            assert_eq!(causes["errors_caused"], 0, "{name}: {causes}");
            let wrong = disordered(&spans::read(&read("spans.jsonl")));
            if wrong >= *count { Ok(()) } else { Err(format!("seed {seed}: {wrong} spans, not {count}")) }
        }
        Symptom::Lag(count) => {
            assert_eq!(causes["errors_caused"], 0, "{name}: {causes}");
            let report: Value = serde_json::from_slice(&report).expect("JSON");
            let groups = report["topics"][0]["groups"].as_array().expect("groups");
            let is_behind = |group: &&Value| {
                group["lag_max"].as_u64() >= Some(*count) && group["dead_letters"].as_u64() > Some(0)
            };
            match groups.iter().filter(is_behind).count() {
                1 => Ok(()),
                found => Err(format!("seed {seed}: {found} groups are behind: {groups:?}")),
            }
        }
    }
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

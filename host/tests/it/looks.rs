//! Law 9: no value, interval or name tells a fault from a healthy system but through its
//! effect. Each incident and a generated system is looked at as who hunts for tell-tales would.
//!
//! A look is a function that lists what it finds; [`constants_are_found`] holds the looks
//! themselves to a topology that has every tell-tale.

mod spans;
mod symptoms;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{SpanKind, Topology, at_once, other_build, simhost};
use serde_json::Value;
use simhost::fault::{Windows, draw_targets};
use simhost::model::Model;
use simhost::rng::{Key, Purpose};
use simhost::topology;
use spans::{Records, Span};

const SECOND: u64 = 1_000_000_000;

/// A group of this number of values shows whether they repeat.
const ENOUGH: usize = 200;

/// A service that has answered so many requests has failed some: incidents have an error in five
/// hundred to a thousand, systems of many services one in two thousand.
const REQUESTS: usize = 3_000;
const REQUESTS_OF_MANY: usize = 10_000;

/// Attributes that say what became of a request: they come with failures of any cause.
const OF_FAILURE: [&str; 7] = [
    "error.type",
    "exception",
    "simhost.link.",
    "http.request.resend_count",
    "simhost.guest.backtrace",
    "db.response.status_code",
    "db.client.connection.pool.name",
];

/// `topologies/incidents`, and a system that `simhost generate` writes.
fn topologies() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../topologies");
    let entries = std::fs::read_dir(root.join("incidents")).expect("a folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "toml"));
    paths.push(root.join("generated/services-10.toml"));
    paths.sort();
    assert!(paths.len() > 12);
    paths
}

/// A run, cut where the cause of its incident sets in.
struct Looked {
    records: Records,
    /// When the first fault of the file opens, and when it or the last of what it has changed is over;
    /// what does not open lies behind the end.
    window: (u64, u64),
    /// The first fault deploys a version.
    deploys: bool,
    /// Requests without a failure that are too many.
    requests: usize,
}

fn look(path: &Path, flags: &[&str], build: fn() -> Command) -> Looked {
    let folder = tempfile::tempdir().expect("a folder");
    let model = model(path);
    let onset = onset(&model);
    // What such a fault does goes on when its window is closed: the truth tells how long.
    let is_short = onset.is_some_and(|(opens, closes)| closes.is_some_and(|closes| closes - opens <= SECOND));
    let mut command = build();
    command.current_dir(folder.path()).arg("run").arg(path).args(["--virtual", "--show", "none"]);
    command.args(["--out", "spans.jsonl"]).args(flags);
    run(if is_short { command.args(["--truth", "truth.jsonl"]) } else { &mut command });
    let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).expect("a file");
    let window = onset.map_or((u64::MAX, u64::MAX), |(opens, closes)| {
        let closes = closes.map_or(u64::MAX, |closes| simhost::clock::VIRTUAL_START + closes);
        let closes = if is_short { closes.max(impact_end(&read("truth.jsonl"))) } else { closes };
        (simhost::clock::VIRTUAL_START + opens, closes)
    });
    let deploys = model.faults.first().is_some_and(|fault| fault.kind.name == "bad-deploy");
    let is_large = model.services.len() >= 10;
    let requests = if is_large { REQUESTS_OF_MANY } else { REQUESTS };
    Looked { records: spans::read(&read("spans.jsonl")), window, deploys, requests }
}

/// When the last request ended that the first fault of a truth file has changed.
fn impact_end(truth: &str) -> u64 {
    let summary: Value = serde_json::from_str(truth.lines().last().expect("a summary")).expect("JSON");
    let seconds = summary["faults"][0]["causes"]["impact"]["end_at"].as_f64().expect("an impact");
    simhost::clock::VIRTUAL_START + (seconds * 1e9) as u64
}

/// Runs a command to its end, however long that takes on a busy machine: its standard output.
fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn model(path: &Path) -> Model {
    topology::load(path, &["service"]).expect("a topology").model
}

/// When the first fault of the file opens, from the run's start, and when it closes, if it does.
fn onset(model: &Model) -> Option<(u64, Option<u64>)> {
    let fault = model.faults.first()?;
    let key = Key::new(model.root(), Purpose::Window).with_name(&fault.name);
    let first = Windows::new(&fault.when, 0, key).next()?;
    Some((first.opens, first.closes))
}

impl Looked {
    fn is_within(&self, span: &Span) -> bool {
        span.end >= self.window.0 && span.start <= self.window.1
    }

    /// Durations of spans of a kind, by service and name; what was refused before it began has none.
    fn durations(&self) -> BTreeMap<(&str, &str, SpanKind), Vec<u64>> {
        let mut groups: BTreeMap<_, Vec<u64>> = BTreeMap::new();
        for span in self.records.spans.iter().filter(|span| span.duration() > 1 || !span.failed) {
            groups.entry((&*span.service, &*span.name, span.kind)).or_default().push(span.duration());
        }
        groups
    }

    /// How long requests were on their way, by caller and callee.
    fn hops(&self) -> BTreeMap<(&str, &str), Vec<u64>> {
        let clients = self.records.spans.iter().filter(|span| span.kind == SpanKind::Client);
        let clients: BTreeMap<_, _> = clients.map(|span| (&*span.id, span)).collect();
        let mut hops: BTreeMap<_, Vec<u64>> = BTreeMap::new();
        for server in self.records.spans.iter().filter(|span| span.kind == SpanKind::Server) {
            let Some(client) = clients.get(&*server.parent) else { continue };
            // A clock that is behind makes it begin before the call.
            let hop = server.start.abs_diff(client.start);
            hops.entry((&*client.service, &*server.service)).or_default().push(hop);
        }
        hops
    }

    /// Values that repeat as nothing in life does.
    fn constants(&self) -> Vec<String> {
        let durations =
            self.durations().into_iter().map(|(of, values)| (format!("durations of {of:?}"), values));
        let hops = self.hops().into_iter().map(|(of, values)| (format!("hops of {of:?}"), values));
        durations.chain(hops).filter_map(|(what, values)| repeated(&what, values)).collect()
    }

    /// Timeouts that all last equally long.
    fn exact_timeouts(&self) -> Vec<String> {
        let is_timeout =
            |span: &&Span| span.kind == SpanKind::Client && span.error.as_deref() == Some("timeout");
        let lengths: Vec<_> = self.records.spans.iter().filter(is_timeout).map(Span::duration).collect();
        let distinct = lengths.iter().collect::<BTreeSet<_>>().len();
        let repeat = lengths.len() >= 10 && distinct * 10 < lengths.len() * 9;
        repeat.then(|| format!("{} timeouts have {distinct} lengths", lengths.len())).into_iter().collect()
    }

    /// Services that never fail while nothing is wrong.
    fn flawless(&self) -> Vec<String> {
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        let servers = self.records.spans.iter().filter(|span| span.kind == SpanKind::Server);
        for span in servers.filter(|span| !self.is_within(span)) {
            let (all, failed) = counts.entry(&span.service).or_default();
            *all += 1;
            *failed += usize::from(span.failed);
        }
        let flawless = counts.into_iter().filter(|(_, (all, failed))| *all >= self.requests && *failed == 0);
        flawless
            .map(|(service, (all, _))| format!("{service} answers {all} requests without a fault"))
            .collect()
    }

    /// Too few services that write logs while nothing is wrong.
    fn silence(&self) -> Vec<String> {
        let calm = self.records.logs.iter().filter(|log| log.time < self.window.0);
        let services: BTreeSet<_> = calm.map(|log| &log.service).collect();
        (services.len() < 2).then(|| format!("only {services:?} write logs")).into_iter().collect()
    }

    /// Attributes, events and versions that come with the cause alone.
    fn tell_tales(&self) -> Vec<String> {
        let (within, outside): (Vec<&Span>, Vec<&Span>) =
            self.records.spans.iter().partition(|span| self.is_within(span));
        let is_failure = |name: &String| {
            let (_, name) = name.split_once(' ').expect("what it is, and its name");
            OF_FAILURE.iter().any(|part| name.starts_with(part))
        };
        let names = |spans: &[&Span]| -> BTreeSet<String> {
            let keys = spans.iter().flat_map(|span| span.keys.iter().map(|key| format!("attribute {key}")));
            let events =
                spans.iter().flat_map(|span| span.events.iter().map(|event| format!("event {event}")));
            keys.chain(events).filter(|name| !is_failure(name)).collect()
        };
        let mut found: Vec<_> = names(&within).difference(&names(&outside)).cloned().collect();
        // A version that is new is no sign where others come as well, without harm.
        let first = self.records.spans.iter().map(|span| span.start).min().unwrap_or(0) + 30 * SECOND;
        let old: BTreeSet<_> =
            outside.iter().filter(|span| span.start < first).map(|span| version(span)).collect();
        let new: BTreeSet<_> =
            self.records.spans.iter().map(version).filter(|new| !old.contains(new)).collect();
        if self.deploys && new.len() < 2 {
            found.push(format!("the only new version is {new:?}"));
        }
        found
    }

    fn all(&self) -> BTreeMap<&'static str, Vec<String>> {
        BTreeMap::from([
            ("constants", self.constants()),
            ("exact timeouts", self.exact_timeouts()),
            ("flawless services", self.flawless()),
            ("silence", self.silence()),
            ("tell-tales", self.tell_tales()),
        ])
    }
}

fn version(span: &Span) -> (&str, &str) {
    (&span.service, &span.version)
}

/// How values repeat, if they do: one in a hundred is the same, more than a twentieth are not
/// new, or they are round.
fn repeated(what: &str, mut values: Vec<u64>) -> Option<String> {
    const ROUND: u64 = 100_000;
    let all = values.len();
    if all < ENOUGH {
        return None;
    }
    let round = values.iter().filter(|value| *value % ROUND == 0).count();
    values.sort_unstable();
    let most = values.chunk_by(|one, other| one == other).max_by_key(|chunk| chunk.len()).expect("a value");
    let (most, of) = (most.len(), most[0]);
    values.dedup();
    let repeats = most * 100 > all.max(500) || values.len() * 20 < all * 19 || round * 100 > all;
    repeats.then(|| {
        format!("{what}: {most} of {all} are {of} ns, {} are distinct, {round} are round", values.len())
    })
}

/// What the build under test is looked at by: all are looked at in the release build, which takes a tenth of
/// the time.
const SOME: [&str; 3] = ["noisy-neighbour", "poison-message", "services-10"];

#[test]
fn nothing_in_some_incidents_tells_that_it_is_simulated_or_where_its_cause_is() {
    let is_one = |path: &&PathBuf| path.file_stem().is_some_and(|name| SOME.iter().any(|one| name == *one));
    let some: Vec<_> = topologies().iter().filter(is_one).cloned().collect();
    assert_eq!(some.len(), SOME.len(), "{some:?}");
    nothing_tells(&some, simhost);
}

#[test]
#[ignore = "needs another build of the program: .ci/run release"]
fn another_build_tells_in_no_incident_that_it_is_simulated_or_where_its_cause_is() {
    nothing_tells(&topologies(), other_build);
}

fn nothing_tells(topologies: &[PathBuf], build: fn() -> Command) {
    let found = at_once(topologies, |path| {
        let looked = look(path, &["--for", "6m"], build);
        let found = looked.all().into_iter().filter(|(_, found)| !found.is_empty());
        found.map(|(look, found)| format!("{} has {look}: {found:#?}", path.display())).collect::<Vec<_>>()
    });
    let found = found.concat();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn constants_are_found() {
    let topology = Topology::new(
        "constants",
        r#"
[topology]
name = "constants"
[network]
latency = "300us"
timer-slack = "0s"
[services.front]
guest = "service"
config = { work = "2ms", calls = "back?" }
[services.back]
guest = "service"
version = "1.0.0"
config = { work = "1ms", calls = "deep?" }
[services.deep]
guest = "service"
config = { work = { lognormal = { median = "40ms", sigma = 0.2 } }, span = "SELECT", database = "mysql" }
[[links]]
from = "back"
to = "deep"
timeout = "45ms"
[[faults]]
name = "scan"
kind = "latency"
delay = "2ms +/- 1ms"
event = { name = "scan detected" }
target = { service = "deep", span = "SELECT" }
when = { at = "1m", for = "1m" }
[[load]]
name = "visitors"
to = "front"
request = { path = "/" }
arrivals = { constant = "50/s" }
"#,
    );
    let found = look(&topology.path(), &["--for", "150s"], simhost).all();
    for (look, found) in &found {
        assert!(!found.is_empty(), "{look} finds nothing");
    }
    assert!(
        found["constants"].iter().any(|found| found.starts_with("hops of (\"front\", \"back\")")),
        "{found:?}"
    );
    assert!(found["tell-tales"].contains(&"event scan detected".to_owned()), "{found:?}");
}

/// Over seeds, incidents set in at other times, after a calm, and mostly strike others.
#[test]
fn the_seed_decides_whom_an_incident_strikes_and_when() {
    for path in topologies().iter().filter(|path| path.to_string_lossy().contains("incidents")) {
        let mut model = model(path);
        let mut drawn = Vec::new();
        for seed in 1..=20 {
            model.seed = seed;
            draw_targets(&mut model);
            let (opens, closes) = onset(&model).expect("an incident");
            assert!(opens >= 150 * SECOND, "{}: no calm before seed {seed}", path.display());
            let length = closes.map(|closes| closes - opens);
            let fault = &model.faults[0];
            let victim = format!("{:?} {:?} {:?}", fault.target, fault.database(), fault.cache());
            drawn.push((opens, length, victim));
        }
        let minutes: BTreeSet<_> = drawn.iter().map(|(opens, ..)| opens / (60 * SECOND)).collect();
        // Of windows that close: what lasts for ever, or an instant, has one length.
        let lasting: Vec<_> = drawn.iter().filter_map(|(_, length, _)| *length).collect();
        let lengths: BTreeSet<_> = lasting.iter().filter(|length| **length > SECOND).collect();
        let victims: BTreeSet<_> = drawn.iter().map(|(.., victim)| victim).collect();
        let path = path.display();
        assert!(minutes.len() >= 3, "{path}: always in the same minutes: {minutes:?}");
        assert!(victims.len() >= 2, "{path}: always the same victim: {victims:?}");
        assert!(lengths.len() != 1, "{path}: always as long: {lengths:?}");
    }
}

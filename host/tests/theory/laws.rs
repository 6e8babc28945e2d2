//! What holds whatever happens: Little's law on every link and in every queue,
//! and that nothing is lost or made up on the way. Held for all topologies that
//! ship, as they are and when things go wrong; once by the bus's own accounts, and
//! once by the spans alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use simhost::bus::stats::Accounts;
use simhost::model::{
    Breaker, Budget, Bulkhead, Distribution, Effect, Failures, Hedge, Link, Methods, Model, Nanos,
    NetworkFault, Policies, RecordFault, ReplicaFault, Retry, Schedule, ServiceId, Trip, WorkerFault,
};
use simhost::telemetry::record::{Scope, SpanKind, SpanRecord, Value};
use simhost::telemetry::signal::Signal;
use simhost::topology::{self, Topology};

use crate::lab::{self, Lab, Spans};

/// Simulated time of a run: nanoseconds.
const TIME: Nanos = 4_000_000_000;

/// A run that has ended.
struct Ended {
    accounts: Accounts,
    spans: Vec<SpanRecord>,
}

impl Ended {
    /// Runs the loads of `lab`, and holds what comes of it against every law.
    #[track_caller]
    /// `told` says whether the spans alone must tell the same.
    fn lawful(lab: &Lab, what: &str, told: bool) -> Self {
        let accounts = lab.run(TIME, 1).pop().expect("the end");
        let broken = accounts.broken();
        assert!(broken.is_empty(), "{what}: {broken:?}");
        let counts = lab.counts();
        assert_eq!(counts.opened, counts.closed, "{what}: spans that began, and that ended");
        let spans = lab.spans();
        assert_eq!(
            counts.recorded[Signal::Traces],
            spans.len() as u64,
            "{what}: spans that were counted, and that are there"
        );
        let findings = if told { findings(&spans) } else { Vec::new() };
        assert!(findings.is_empty(), "{what}:\n{}", findings.join("\n"));
        assert!(accounts.services.iter().any(|service| service.all().count > 10), "{what}: nobody came");
        Self { accounts, spans }
    }

    /// How many CLIENT and SERVER spans have each `error.type`.
    fn errors(&self) -> BTreeMap<String, usize> {
        let mut errors = BTreeMap::new();
        for span in self.spans.iter().filter(|span| span.scope == Scope::Bus) {
            if let Some(error) = error_type(span) {
                *errors.entry(error).or_default() += 1;
            }
        }
        errors
    }
}

fn error_type(span: &SpanRecord) -> Option<String> {
    match span.attributes.get("error.type")? {
        Value::Text(text) => Some(text.to_string()),
        other => panic!("an error.type that is no text: {other:?}"),
    }
}

/// What is wrong with the spans of a run in which nothing is under way any more.
fn findings(spans: &[SpanRecord]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut known = BTreeMap::new();
    for span in spans {
        if known.insert((span.trace_id, span.span_id), span).is_some() {
            findings.push(format!("two spans have the same ids: {span:?}"));
        }
    }
    let mut answered = BTreeSet::new();
    for span in spans {
        if span.end < span.start {
            findings.push(format!("it ends before it begins: {span:?}"));
        }
        let Some(parent) = span.parent else { continue };
        let Some(parent) = known.get(&(span.trace_id, parent)) else {
            findings.push(format!("nobody called it: {span:?}"));
            continue;
        };
        if span.start < parent.start {
            findings.push(format!("it begins before its parent: {span:?}"));
        }
        let is_served = span.kind == SpanKind::Server;
        if is_served && (parent.kind != SpanKind::Client || parent.scope != Scope::Bus) {
            findings.push(format!("no call is its parent: {span:?}"));
        }
        if is_served && !answered.insert((parent.trace_id, parent.span_id)) {
            findings.push(format!("a call that was served twice: {parent:?}"));
        }
    }
    // Reasons for which a call never left its caller, or never reached the callee.
    const NOT_SENT: [&str; 8] = [
        "unknown_service",
        "invalid_request",
        "call_depth_exceeded",
        "connection_refused",
        "connection_reset",
        "circuit_open",
        "bulkhead_full",
        "deadline_exceeded",
    ];
    // What a database or a cache answers has no SERVER span.
    let is_served = |span: &SpanRecord| span.attributes.get("db.system.name").is_none();
    let calls = spans.iter().filter(|span| span.kind == SpanKind::Client && span.scope == Scope::Bus);
    let calls = calls.filter(|span| is_served(span));
    for call in calls.filter(|call| !answered.contains(&(call.trace_id, call.span_id))) {
        if !error_type(call).is_some_and(|error| NOT_SENT.contains(&&*error)) {
            findings.push(format!("nobody served it, for no reason: {call:?}"));
        }
    }
    findings
}

/// Services of a topology that is run here: more take long to set up in a debug build.
const SERVICES: usize = 100;

/// Whether every call still has its SERVER span, or a reason, and times that agree: not
/// where messages vanish or come twice, processes die with their spans, or telemetry lies.
const fn leaves_spans_whole(effect: &Effect) -> bool {
    match effect {
        Effect::Network(
            NetworkFault::Latency { .. }
            | NetworkFault::Reset { .. }
            | NetworkFault::Refuse
            | NetworkFault::Corrupt { .. }
            | NetworkFault::Mutate { .. }
            | NetworkFault::Bandwidth { .. }
            | NetworkFault::Jitter { .. },
        ) => true,
        Effect::Network(
            NetworkFault::Blackhole
            | NetworkFault::Partition { .. }
            | NetworkFault::Loss { .. }
            | NetworkFault::Duplicate
            | NetworkFault::DropContext { .. }
            | NetworkFault::Unsample,
        ) => false,
        Effect::Door(_)
        | Effect::Span(_)
        | Effect::Database { .. }
        | Effect::Cache(_)
        | Effect::Topic { .. }
        | Effect::Export(_) => true,
        Effect::Worker(WorkerFault::Crash { .. }) => false,
        Effect::Worker(_) => true,
        Effect::Replica(
            ReplicaFault::Cpu { .. } | ReplicaFault::Pause | ReplicaFault::PoolExhaustion { .. },
        ) => true,
        Effect::Replica(
            ReplicaFault::Crash { .. } | ReplicaFault::RestartLoop { .. } | ReplicaFault::Down,
        ) => false,
        Effect::Record(RecordFault::WrongServiceName { .. } | RecordFault::Cardinality { .. }) => true,
        Effect::Record(
            RecordFault::ClockSkew { .. } | RecordFault::LoseSpans | RecordFault::LateSpans { .. },
        ) => false,
    }
}

/// Every topology that ships and makes requests of its own.
fn topologies() -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../topologies")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the topologies can be read") {
            let path = entry.expect("the topologies can be read").path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(kind) if kind == "toml" && is_for_here(&load(&path).model) => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

fn is_for_here(model: &Model) -> bool {
    !model.loads.is_empty() && model.services.len() <= SERVICES
}

fn load(path: &Path) -> Topology {
    topology::load(path, &lab::embedded()).expect("a topology that ships")
}

/// Runs a topology after a change.
#[track_caller]
fn run(path: &Path, what: &str, change: impl FnOnce(&mut Model)) -> Ended {
    let mut topology = load(path);
    change(&mut topology.model);
    let what = format!("{}, {what}", path.file_name().expect("a file").display());
    let told = topology.model.faults.iter().all(|fault| !fault.enabled || leaves_spans_whole(&fault.effect));
    Ended::lawful(&Lab::of(topology, Spans::Kept), &what, told)
}

#[test]
fn every_topology_keeps_the_laws_whatever_goes_wrong() {
    // What a change does shows in one topology or the other: in some, too little goes on.
    let (mut single, mut together, mut guards) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut resends = 0;
    for path in topologies() {
        let plain = run(&path, "as it is", |_| {});
        // Each caller gives up at the mean of what its calls take: on many of them.
        let calls = || plain.accounts.links().filter_map(|(from, link)| Some((from?, link.to?, link)));
        let timeouts: Vec<_> =
            calls().map(|(from, to, link)| (from, to, link.calls.mean() as Nanos)).collect();
        let impatient = run(&path, "with timeouts", |model| set_timeouts(model, &timeouts));
        let narrow = run(&path, "with one worker and one place", make_narrow);
        let has_faults = run(&path, "with all faults", switch_faults_on);
        let everything = run(&path, "with all of that", |model| {
            set_timeouts(model, &timeouts);
            make_narrow(model);
            switch_faults_on(model);
        });
        let guarded = run(&path, "with policies", |model| {
            set_timeouts(model, &timeouts);
            set_policies(model);
        });
        let did = guarded.accounts.links().filter_map(|(_, link)| link.policies);
        resends += did.map(|did| did.resends).sum::<u64>();
        guards.extend(guarded.errors().into_keys());
        single.extend([impatient, narrow, has_faults].iter().flat_map(|run| run.errors().into_keys()));
        together.extend(everything.errors().into_keys());
    }
    assert!(resends > 100, "{resends}");
    for error in ["timeout", "queue_full", "connection_refused", "connection_reset"] {
        assert!(single.contains(error), "no {error} among {single:?}");
    }
    // One worker is not asked often enough to be over a limit of its rate, or for a rare answer of a fault.
    for rare in ["429", "402"] {
        single.remove(rare);
    }
    let missing: Vec<_> = single.difference(&together).collect();
    assert!(missing.is_empty(), "{missing:?} of {together:?}");
    for refusal in ["cancelled", "circuit_open", "bulkhead_full"] {
        assert!(guards.contains(refusal), "no {refusal} among {guards:?}");
    }
}

fn set_timeouts(model: &mut Model, timeouts: &[(ServiceId, ServiceId, Nanos)]) {
    for (from, to, timeout) in timeouts.iter().copied() {
        match model.links.iter_mut().find(|link| (link.from, link.to) == (from, to)) {
            Some(link) => link.timeout = Some(timeout),
            None => {
                let (timeout, place) = (Some(timeout), 0..0);
                model.links.push(Link { from, to, latency: None, timeout, policies: None, place })
            }
        }
    }
}

/// Every caller has every policy; half of them hedge where the others try again.
fn set_policies(model: &mut Model) {
    let on = Failures { statuses: vec![(500, 599)], timeout: true, reset: true, refused: true };
    for (index, link) in model.links.iter_mut().enumerate() {
        let retry = Retry {
            attempts: 3,
            backoff: 1_000_000,
            factor: 2.0,
            max_backoff: 10_000_000,
            jitter: 0.5,
            on: on.clone(),
            methods: Methods::All,
            budget: Some(Budget { share: 0.5, min: 1.0, window: 1_000_000_000 }),
            retry_after: true,
        };
        let after = link.timeout.unwrap_or(2_000_000) / 2;
        let hedge = Hedge { after, attempts: 3, on: on.clone(), methods: Methods::All };
        let breaker = Breaker {
            trip: Trip::InARow(3),
            window: 1_000_000_000,
            open_for: 50_000_000,
            half_open: 2,
            on: on.clone(),
        };
        link.policies = Some(Policies {
            retry: index.is_multiple_of(2).then_some(retry),
            hedge: (!index.is_multiple_of(2)).then_some(hedge),
            breaker: Some(breaker),
            // Hedges run at the same time, where there is place for them.
            bulkhead: Some(Bulkhead { max_concurrent: 1 + (index as u32 % 2) * 2, queue: 1 }),
            fallback: None,
            deadline: true,
        });
    }
}

fn make_narrow(model: &mut Model) {
    model.services.iter_mut().for_each(|service| (service.workers, service.queue) = (1, 1));
}

fn switch_faults_on(model: &mut Model) {
    for fault in &mut model.faults {
        fault.enabled = true;
        // Windows that open later than the run ends would strike nothing.
        if let Schedule::Fixed { at, .. } = &mut fault.when.schedule {
            *at = Distribution::Fixed(TIME / 4 * 3);
        }
    }
}

#[test]
fn guests_that_die_in_every_way_leave_nothing_behind() {
    let topology = "[topology]\nname = 'dying'\nseed = 9\n\
        [services.front]\nguest = 'service'\nconfig.calls = 'middle? & middle?, trouble/status/500?'\n\
        # Its time is up while its calls are under way, on some of its requests.\n\
        [services.middle]\nguest = 'service'\nworkers = 4\nqueue = 4\nlimits.request-time = '20ms'\n\
        config.calls = '\
            20% trouble/panic?, 20% trouble/exit? & 20% trouble/loop?, 20% trouble/allocate?, \
            10% trouble/loop-sleep? & 10% trouble/loop-log?, 20% trouble/bad-headers?, \
            trouble/counter? & 20% trouble/nowhere?, 20% nobody?, 20% middle?, 5% trouble/spans/1500?'\n\
        [services.trouble]\nguest = './trouble.wasm'\nworkers = 3\nqueue = 2\n\
        limits = { cpu-time = '2ms', request-time = '30ms', memory = '4MiB' }\n\
        [[load]]\nname = 'brave'\nto = 'front'\nrequest = { path = '/' }\narrivals = { poisson = '100/s' }\n";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/dist/tests");
    let ended = Ended::lawful(&Lab::new(topology, &folder, Spans::Kept), "dying guests", true);
    let errors = ended.errors();
    let kinds = [
        "guest_trap",
        "guest_exit",
        "invalid_response",
        "cpu_time_exceeded",
        "request_time_exceeded",
        "cancelled",
        "queue_full",
        "unknown_service",
    ];
    for kind in kinds {
        assert!(errors.contains_key(kind), "nothing has met {kind}: {errors:?}");
    }
}

#[test]
fn a_call_that_is_lost_is_found() {
    let path = topologies().pop().expect("a topology");
    let Ended { spans, .. } = run(&path, "as it is", |_| {});
    let served = |span: &&SpanRecord| span.kind == SpanKind::Server && span.parent.is_some();
    let lost = spans.iter().find(served).expect("a call").span_id;
    let rest: Vec<_> = spans.iter().filter(|span| span.span_id != lost).cloned().collect();
    let findings = findings(&rest);
    assert!(findings.iter().any(|finding| finding.starts_with("nobody served it")), "{findings:?}");
}

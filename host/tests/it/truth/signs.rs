//! The span that a firing names was recorded, and shows what the fault has done.

use std::collections::BTreeMap;

use crate::support::Topology;
use crate::support::telemetry::{self, Span};
use serde_json::Value;

use super::{lines, parent, records, written};

/// `front` asks `back` within the span `ask`, 5 ms away. `load` are further lines of the load.
fn topology(load: &str, faults: &str) -> Topology {
    let text = format!(
        "[topology]\nname = \"signs\"\nseed = 3\n[ingress]\nto = \"front\"\n[network]\nlatency = \"5ms\"\n\
         [services.front]\nguest = \"service\"\nconfig = {{ calls = \"back\", work = \"1ms\" }}\n\
         [services.back]\nguest = \"service\"\nreplicas = 2\nversion = \"1.0.0\"\n\
         config = {{ work = \"20ms\", span = \"lookup\", response-bytes = 100 }}\n\
         [[links]]\nfrom = \"front\"\nto = \"back\"\ntimeout = \"2s\"\n\
         [[load]]\nname = \"clients\"\nto = \"front\"\nrequest = {{ path = \"/\" }}\ntimeout = \"3s\"\n\
         arrivals = {{ constant = \"40/s\" }}\n{load}\n{faults}\n"
    );
    Topology::new("signs", text)
}

/// The spans of a run, and its firings.
fn run(topology: &Topology, environment: &[(&str, &str)]) -> (Vec<Span>, Vec<Value>) {
    let flags = ["--for", "3s", "--truth", "truth.jsonl", "--no-counterfactual"];
    let mut command = topology.command(&flags);
    let (finished, bytes) = topology.records_of(command.envs(environment.iter().copied()));
    finished.success();
    let lines = lines(&written(topology));
    (telemetry::read(&bytes), records(&lines, "firing").into_iter().cloned().collect())
}

/// The span that a firing names, if it names one.
#[track_caller]
fn shown<'a>(spans: &'a [Span], firing: &Value) -> Option<&'a Span> {
    let id = firing["span_id"].as_str()?;
    let named = |span: &&Span| span.id == id && firing["trace_id"] == span.trace.as_str();
    let span = spans.iter().find(named).unwrap_or_else(|| panic!("no span of {firing}"));
    assert_eq!(firing["span_kind"], span.kind_name().to_lowercase(), "{firing}");
    Some(span)
}

/// That its service, its route and its process are those that the record names.
#[track_caller]
fn assert_is_of(span: &Span, firing: &Value) {
    if span.kind_name() == "CLIENT" {
        let caller = firing["from"].as_str().unwrap_or("clients");
        assert_eq!(
            (span.service.as_str(), span.text("service.peer.name")),
            (caller, firing["service"].as_str())
        );
        return;
    }
    assert_eq!(firing["service"], span.service.as_str(), "{firing}");
    // The second arrival of a request picks a replica of its own.
    let is_same = firing["service_instance_id"] == span.resource["service.instance.id"];
    assert!(is_same || firing["kind"] == "duplicate", "{firing} {span:?}");
    if span.kind_name() == "SERVER" {
        assert_eq!(firing["route"], span.name.as_str(), "{firing}");
    }
}

/// Nanoseconds.
fn took(span: &Span) -> u64 {
    span.end - span.start
}

const MS: u64 = 1_000_000;

/// What a span shows.
type Effect = fn(&Span, &[Span]) -> bool;

fn slow(span: &Span, _: &[Span]) -> bool {
    // Without a fault it is 20 ms in `back`, and 30 ms on the way to it and back.
    took(span) >= 35 * MS
}

fn failed(span: &Span, _: &[Span]) -> bool {
    span.status_text().starts_with("ERROR")
}

fn any(_: &Span, _: &[Span]) -> bool {
    true
}

/// All kinds but `mutate`, which wants JSON (`faults/told.rs` has it), and those of databases
/// (`faults/database.rs`) and topics (`faults/topic.rs`): what they say, the kind of
/// the span that shows them, and how it does.
const KINDS: [(&str, &str, Option<&str>, Effect); 32] = [
    ("latency", "delay = \"20ms\"", Some("SERVER"), slow),
    ("latency", "delay = \"20ms\"\non = \"request\"", Some("CLIENT"), |span, _| took(span) >= 50 * MS),
    ("latency", "delay = \"20ms\"\non = \"response\"", Some("CLIENT"), |span, _| took(span) >= 50 * MS),
    ("latency", "delay = \"20ms\"", Some("INTERNAL"), slow),
    ("error", "status = 503", Some("SERVER"), failed),
    ("reset", "on = \"request\"", Some("CLIENT"), failed),
    ("reset", "", Some("CLIENT"), failed),
    ("refuse", "", Some("CLIENT"), failed),
    ("blackhole", "", Some("CLIENT"), failed),
    ("partition", "on = \"response\"", Some("CLIENT"), failed),
    ("loss", "on = \"request\"", Some("CLIENT"), |span, all| slow(span, all) || failed(span, all)),
    ("corrupt", "", Some("CLIENT"), any),
    ("duplicate", "", Some("SERVER"), |span, all| {
        all.iter().filter(|other| other.kind_name() == "SERVER" && other.parent == span.parent).count() == 2
    }),
    ("bandwidth", "rate = \"1KiB/s\"", Some("CLIENT"), |span, _| took(span) > 50 * MS),
    ("jitter", "delay = \"20ms\"", Some("CLIENT"), |span, _| took(span) >= 50 * MS),
    ("rate-limit", "limit = \"5/s\"", Some("SERVER"), |span, _| {
        span.int("http.response.status_code") == Some(429)
    }),
    ("cpu", "times = 3", Some("SERVER"), |span, _| took(span) >= 60 * MS),
    ("pause", "when = { at = \"1s\", for = \"500ms\" }", Some("CLIENT"), slow),
    ("memory-leak", "per-request = \"1MiB\"", Some("SERVER"), any),
    ("pool-exhaustion", "workers = \"all\"\nwhen = { at = \"1s\", for = \"500ms\" }", Some("CLIENT"), slow),
    ("crash", "restart = \"300ms\"\nwhen = { at = \"1s\", for = \"1s\" }", Some("CLIENT"), failed),
    ("restart-loop", "up = \"200ms\"\ndown = \"200ms\"", Some("CLIENT"), failed),
    ("down", "when = { at = \"1s\", for = \"1s\" }", Some("CLIENT"), failed),
    ("bad-deploy", "guest = \"service\"\nversion = \"2.0.0\"\nrequests = 0.5", Some("SERVER"), |span, _| {
        span.resource["service.version"] == "2.0.0"
    }),
    ("drop-context", "", Some("CLIENT"), |span, all| !all.iter().any(|other| other.parent == span.id)),
    ("unsample", "", None, any),
    ("lose-spans", "", None, any),
    ("late-spans", "by = \"1s\"", Some("SERVER"), any),
    ("wrong-service-name", "", None, any),
    ("cardinality", "attribute = \"a\"", Some("SERVER"), |span, _| span.attributes.contains_key("a")),
    ("clock-skew", "by = \"1s\"", None, any),
    ("collector-down", "", None, any),
];

/// A fault of a kind with further lines.
fn fault(name: &str, kind: &str, more: &str, target: &str) -> String {
    let target = if kind == "collector-down" { String::new() } else { format!("target = {{ {target} }}\n") };
    format!("[[faults]]\nname = \"{name}\"\nkind = \"{kind}\"\n{target}{more}\n")
}

#[test]
fn each_kind_of_fault_names_a_recorded_span_that_shows_its_effect_or_none() {
    for (kind, more, expected, effect) in KINDS {
        let target = match expected {
            Some("INTERNAL") => "service = \"back\", span = \"lookup\"",
            _ if ["late-spans", "cardinality"].contains(&kind) => "service = \"back\", route = \"GET /\"",
            _ => "service = \"back\"",
        };
        let topology = topology("", &fault("it", kind, more, target));
        let (spans, firings) = run(&topology, &[]);
        assert!(!firings.is_empty() || kind == "collector-down", "{kind} strikes nothing");
        let mut named = 0;
        for firing in &firings {
            // Some strike the replica, and no request.
            let expected = expected.filter(|_| !firing["trace_id"].is_null());
            let span = shown(&spans, firing);
            assert_eq!(span.map(|span| span.kind_name()), expected, "{kind} {more}: {firing}");
            let Some(span) = span else { continue };
            assert_is_of(span, firing);
            assert!(effect(span, &spans), "{kind} {more}: {firing} {span:?}");
            named += 1;
        }
        assert!(expected.is_none() || named >= 3, "{kind} {more}: {named} of {}", firings.len());
    }
}

/// A client outside has no span of ours, unless a load says so: where only such a span would
/// show the effect, none is named.
#[test]
fn what_befalls_requests_from_outside_names_the_span_of_their_load_or_none() {
    let kinds = [
        ("refuse", "", None),
        ("blackhole", "", None),
        ("reset", "", None),
        ("jitter", "delay = \"20ms\"", None),
        ("latency", "delay = \"20ms\"\non = \"request\"", None),
        ("drop-context", "", Some("SERVER")),
        ("duplicate", "", Some("SERVER")),
        ("latency", "delay = \"20ms\"", Some("SERVER")),
        ("down", "when = { at = \"1s\", for = \"1s\" }", None),
        ("pause", "when = { at = \"1s\", for = \"500ms\" }", Some("SERVER")),
        ("unsample", "", None),
    ];
    for (load, has_span) in [("", false), ("span = true", true)] {
        for (kind, more, without) in kinds {
            let topology = topology(load, &fault("it", kind, more, "service = \"front\""));
            let (spans, firings) = run(&topology, &[]);
            let expected = match kind {
                "unsample" => None,
                "duplicate" => Some("SERVER"),
                "latency" if without == Some("SERVER") => Some("SERVER"),
                _ if has_span => Some("CLIENT"),
                _ => without,
            };
            for firing in &firings {
                let span = shown(&spans, firing);
                assert_eq!(
                    span.map(|span| span.kind_name()),
                    expected.filter(|_| !firing["trace_id"].is_null()),
                    "{kind}: {firing}"
                );
                if let Some(span) = span {
                    assert_is_of(span, firing);
                }
            }
            assert!(!firings.is_empty(), "{kind} strikes nothing");
        }
    }
}

/// Processes that die take their spans along, samplers keep a part, other faults lose some.
#[test]
fn no_firing_names_a_span_that_was_not_recorded_whatever_else_goes_on() {
    let faults = [
        fault("slow", "latency", "delay = \"200ms\"", "service = \"back\""),
        fault("slower", "latency", "delay = \"100ms\"", "service = \"back\", span = \"lookup\""),
        fault("gone", "lose-spans", "probability = 0.4", "service = \"back\""),
        fault("lost", "lose-spans", "probability = 0.2", "service = \"front\""),
        fault("late", "late-spans", "by = \"1s\"\nprobability = 0.5", "service = \"back\""),
        fault("loop", "restart-loop", "up = \"300ms\"\ndown = \"100ms\"", "service = \"back\", replica = 1"),
        fault(
            "fall",
            "crash",
            "restart = \"100ms\"\nwhen = { at = \"500ms\", every = \"1s\", for = \"1ms\" }",
            "service = \"front\"",
        ),
        fault("cut", "unsample", "probability = 0.2", "service = \"back\""),
        fault("bare", "drop-context", "probability = 0.2", "service = \"front\""),
    ];
    let sampler = [("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.7")];
    let topology = topology("span = true", &faults.concat());
    let (spans, firings) = run(&topology, &sampler);
    let mut counts: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    for firing in &firings {
        let is_named = shown(&spans, firing).inspect(|span| assert_is_of(span, firing)).is_some();
        counts.entry(firing["fault"].as_str().expect("a name")).or_default()[usize::from(is_named)] += 1;
    }
    let some = |fault: &str| counts.get(fault).is_some_and(|[none, named]| *none > 0 && *named > 0);
    assert!(["slow", "slower", "loop", "fall", "bare"].into_iter().all(some), "{counts:?}");
    assert_eq!(["gone", "lost", "cut"].map(|fault| counts[fault][1]), [0; 3], "{counts:?}");
}

/// A process that died has no SERVER span of what it had: the call that waited shows it.
#[test]
fn where_the_span_of_the_struck_request_is_lost_the_call_that_waits_is_named() {
    let faults = [
        fault("slow", "latency", "delay = \"400ms\"", "service = \"back\""),
        fault(
            "fall",
            "crash",
            "restart = \"100ms\"\nwhen = { at = \"1s\", for = \"1s\" }",
            "service = \"back\"",
        ),
    ];
    let (spans, firings) = run(&topology("", &faults.concat()), &[]);
    let kinds: Vec<_> = firings
        .iter()
        .filter(|firing| firing["fault"] == "slow")
        .map(|firing| {
            let span = shown(&spans, firing).unwrap_or_else(|| panic!("no span shows {firing}"));
            assert!(span.kind_name() == "SERVER" || failed(span, &spans), "{span:?}");
            assert!(parent(&spans, span).is_some());
            span.kind_name()
        })
        .collect();
    let lost = kinds.iter().filter(|kind| **kind == "CLIENT").count();
    assert!(lost > 5 && lost < kinds.len() / 2, "{lost} of {}", kinds.len());
}

#[test]
fn what_strikes_after_its_window_says_why() {
    let window = "when = { at = \"1s\", for = \"100ms\", every = \"10s\" }";
    let cases = [
        ("jitter", "delay = \"1ms\"", Some("under_way")),
        ("cpu", "times = 20", Some("under_way")),
        ("crash", "restart = \"400ms\"", Some("restarting")),
        ("down", "", None),
        ("latency", "delay = \"500ms\"", None),
    ];
    for (kind, more, expected) in cases {
        let topology = topology("", &fault("it", kind, &format!("{more}\n{window}"), "service = \"back\""));
        let (_, firings) = run(&topology, &[]);
        let mut late = 0;
        for firing in &firings {
            let is_late = firing["at"].as_f64().expect("seconds") >= 1.1;
            let why = expected.filter(|_| is_late).map_or(Value::Null, Value::from);
            assert_eq!(
                (&firing["after_window"], &firing["window"]),
                (&why, &Value::from(1)),
                "{kind}: {firing}"
            );
            late += u64::from(is_late);
        }
        assert_eq!(late > 0, expected.is_some(), "{kind}: {late} of {}", firings.len());
    }
}

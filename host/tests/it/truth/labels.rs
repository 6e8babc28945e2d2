//! What struck a span stands on the span where somebody asks for it, and nowhere else.

use std::collections::BTreeMap;

use crate::support::telemetry::{self, Span};
use crate::support::{Topology, guest};
use serde_json::Value;

use super::{lines, records, written};

const NAME: &str = "simhost.fault.name";
const KIND: &str = "simhost.fault.kind";

/// `front` asks `back`, whom faults strike in all places where a span shows it.
fn topology(label: bool) -> Topology {
    let text = format!(
        r#"
[topology]
name = "labelled"

[ingress]
to = "front"

[services.front]
guest = {probe:?}

[services.back]
guest = {probe:?}

[[load]]
name = "steady"
to = "front"
request = {{ path = "/call?service=back&path=/spans" }}
arrivals = {{ constant = "10/s" }}

[[faults]]
name = "slow-worker"
kind = "latency"
delay = "5ms"
target = {{ service = "back" }}
probability = 0.5

[[faults]]
name = "also-slow"
kind = "latency"
delay = "2ms"
target = {{ service = "back" }}
probability = 0.5

[[faults]]
name = "slow-way"
kind = "latency"
delay = "5ms"
on = "request"
target = {{ service = "back" }}

[[faults]]
name = "noisy"
kind = "cardinality"
attribute = "session.id"
target = {{ service = "back", span = "outer" }}

[telemetry]
label-faults = {label}
"#,
        probe = guest("tests/probe")
    );
    Topology::new("labelled", text)
}

fn run(label: bool) -> (Vec<Span>, Vec<Value>, String) {
    let topology = topology(label);
    let (finished, bytes) =
        topology.records(&["--for", "4s", "--truth", "truth.jsonl", "--no-counterfactual"]);
    finished.success();
    (telemetry::read(&bytes), lines(&written(&topology)), bytes)
}

/// An attribute that is a list of texts.
fn texts(span: &Span, key: &str) -> Vec<String> {
    let Some(value) = span.attributes.get(key) else { return Vec::new() };
    let values = value.as_array().unwrap_or_else(|| panic!("{value} is no array"));
    values.iter().map(|value| value.as_str().expect("a text").to_owned()).collect()
}

#[test]
fn every_struck_span_and_no_other_says_what_struck_it() {
    let (spans, truth, _) = run(true);
    let mut struck: BTreeMap<&str, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for firing in records(&truth, "firing") {
        let (names, kinds) = struck.entry(firing["span_id"].as_str().expect("a span")).or_default();
        names.push(firing["fault"].as_str().expect("a name").to_owned());
        kinds.push(firing["kind"].as_str().expect("a kind").to_owned());
    }
    let mut kinds_of_spans = BTreeMap::new();
    for span in &spans {
        let (names, kinds) = struck.remove(span.id.as_str()).unwrap_or_default();
        *kinds_of_spans.entry((span.kind_name(), names.len())).or_insert(0) += 1;
        assert_eq!((texts(span, NAME), texts(span, KIND)), (names, kinds), "{span:?}");
    }
    assert!(struck.is_empty(), "all of them are there: {struck:?}");
    // On the way, in the worker, by both, and in the guest.
    for (kind, faults) in [("CLIENT", 1), ("SERVER", 1), ("SERVER", 2), ("PRODUCER", 1)] {
        assert!(kinds_of_spans.contains_key(&(kind, faults)), "{kinds_of_spans:?}");
    }
}

#[test]
fn unless_it_is_asked_for_no_record_has_a_word_of_it() {
    let (spans, truth, bytes) = run(false);
    assert!(records(&truth, "firing").len() > 50);
    for word in ["slow-worker", "also-slow", "slow-way", "noisy", "simhost.fault", "latency", "cardinality"] {
        assert!(!bytes.contains(word), "{word}");
    }
    // Labels are all that is different.
    let (labelled, ..) = run(true);
    let bare = labelled.into_iter().map(|mut span| {
        span.attributes.retain(|key, _| ![NAME, KIND].contains(&key.as_str()));
        span
    });
    assert_eq!(bare.collect::<Vec<_>>(), spans);
}

//! Consistent probability sampling, in whole runs: which traces are kept, and what they say of it.

mod ingress;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{METRICS, Topology, finish, refused};

/// What a run has recorded.
#[derive(Debug, PartialEq)]
struct Recorded {
    /// What the spans of each trace say in their `traceState`, by trace id.
    traces: BTreeMap<String, BTreeSet<String>>,
    /// The metrics without exemplars.
    metrics: Vec<Value>,
}

/// Half a minute of orders, sampled with this share.
fn orders(sampler: &str, share: &str) -> Recorded {
    let topology = Topology::orders();
    let mut command = topology.command(&["--for", "30s", "--load", "shoppers=on"]);
    command.env("OTEL_TRACES_SAMPLER", sampler).env("OTEL_TRACES_SAMPLER_ARG", share).env(METRICS, "");
    let (run, records) = topology.records_of(&mut command);
    run.success();
    let mut recorded = Recorded { traces: BTreeMap::new(), metrics: Vec::new() };
    for line in records.lines() {
        let mut line: Value = serde_json::from_str(line).expect("a line of JSON");
        for span in spans(&line) {
            let state = span["traceState"].as_str().unwrap_or_default().to_owned();
            let flags = span["flags"].as_u64().expect("flags");
            assert_eq!(flags & 3, 3, "sampled, and its id is random: {span}");
            let trace = span["traceId"].as_str().expect("an id").to_owned();
            recorded.traces.entry(trace).or_default().insert(state);
        }
        if line.get("resourceMetrics").is_some() {
            without_exemplars(&mut line);
            recorded.metrics.push(line);
        }
    }
    recorded
}

fn spans(line: &Value) -> impl Iterator<Item = &Value> {
    let resources = line["resourceSpans"].as_array().into_iter().flatten();
    let scopes = resources.flat_map(|resource| resource["scopeSpans"].as_array().into_iter().flatten());
    scopes.flat_map(|scope| scope["spans"].as_array().into_iter().flatten())
}

/// Exemplars point to spans that are kept.
fn without_exemplars(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("exemplars");
            map.values_mut().for_each(without_exemplars);
        }
        Value::Array(list) => list.iter_mut().for_each(without_exemplars),
        _ => {}
    }
}

/// The traces whose last 14 digits are no less than a threshold of 14 digits.
fn kept(all: &Recorded, threshold: &str) -> BTreeSet<String> {
    all.traces.keys().filter(|id| &id[18..] >= threshold).cloned().collect()
}

#[test]
fn the_traces_that_are_kept_are_those_whose_ids_say_so_and_all_their_spans_name_the_threshold() {
    let all = orders("always_on", "");
    assert!(all.traces.len() > 100, "{}", all.traces.len());
    assert!(all.traces.values().flatten().all(String::is_empty), "a sampler of the SDK says nothing");
    let mut more = all.traces.keys().cloned().collect::<BTreeSet<_>>();
    for (sampler, share, threshold, said) in [
        ("parentbased_probability", "0.5", "80000000000000", "ot=th:8"),
        ("probability", "0.25", "c0000000000000", "ot=th:c"),
        ("parentbased_probability", "0.1", "e6660000000000", "ot=th:e666"),
    ] {
        let sampled = orders(sampler, share);
        let ids: BTreeSet<_> = sampled.traces.keys().cloned().collect();
        assert_eq!(ids, kept(&all, threshold), "{sampler} {share}");
        assert!(ids.is_subset(&more) && ids.len() < more.len(), "{share}: a lower share keeps a subset");
        assert!(sampled.traces.values().flatten().all(|state| state == said), "{share}: {sampled:?}");
        assert_eq!(sampled.metrics, all.metrics, "{share}: metrics count all requests");
        more = ids;
    }
}

#[test]
fn a_share_of_all_and_a_share_of_none_are_what_they_say() {
    let (all, whole) = (orders("always_on", ""), orders("probability", "1"));
    assert_eq!(whole.traces.keys().collect::<Vec<_>>(), all.traces.keys().collect::<Vec<_>>());
    assert!(whole.traces.values().flatten().all(|state| state == "ot=th:0"));
    let none = orders("parentbased_probability", "0");
    assert_eq!(none.traces.len(), 0);
    assert_eq!(none.metrics, all.metrics);
}

#[test]
fn a_share_that_56_bits_cannot_tell_from_none_is_refused() {
    let topology = Topology::orders();
    let mut command = topology.command(&["--virtual", "--for", "1s"]);
    command.env("OTEL_TRACES_SAMPLER", "probability").env("OTEL_TRACES_SAMPLER_ARG", "1e-18");
    refused(&finish(&mut command), &["OTEL_TRACES_SAMPLER_ARG is `1e-18`", "2^-56"]);
}

//! Consistent probability sampling by simhost and by a Collector behind it.

use std::collections::{BTreeMap, BTreeSet};

use super::running::{Collector, Protocol};
use crate::support::telemetry::{self, read};
use crate::support::{Topology, finish};

const SAMPLER: (&str, &str) = ("OTEL_TRACES_SAMPLER", "parentbased_probability");
const SHARE: &str = "OTEL_TRACES_SAMPLER_ARG";

/// Traces with the ids of their spans. Of a trace's id it has the half that is drawn from the seed: the other
/// one depends on when the run begins.
type Traces = BTreeMap<String, BTreeSet<String>>;

fn traces(spans: &[telemetry::Span]) -> Traces {
    let mut traces = Traces::new();
    for span in spans {
        traces.entry(span.trace[16..].to_owned()).or_default().insert(span.id.clone());
    }
    traces
}

#[test]
fn a_collector_that_samples_further_keeps_the_traces_that_simhost_would_have_kept() {
    let Some(collector) = Collector::start_with(&["check-probability.yaml"], &[]) else { return };
    let mut run = collector.run(Protocol::Grpc);
    run.args(["topologies/orders.toml", "--virtual", "--for", "10s", "--show", "none"]);
    finish(run.env(SAMPLER.0, SAMPLER.1).env(SHARE, "0.5")).success();

    // The same requests, of which simhost itself keeps a quarter.
    let topology = Topology::orders_as_it_ships();
    let mut run = topology.command(&["--for", "10s", "--show", "none"]);
    let (finished, records) = topology.records_of(run.env(SAMPLER.0, SAMPLER.1).env(SHARE, "0.25"));
    finished.success();
    let expected = traces(&read(&records));
    assert!((90..160).contains(&expected.len()), "a quarter of 500 orders: {}", expected.len());

    let spans = collector.wait_for_sampled(|spans| {
        let kept = traces(spans);
        if kept == expected { Ok(()) } else { Err(format!("{} traces of {}", kept.len(), expected.len())) }
    });
    assert!(spans.iter().all(|span| span.trace_state == "ot=th:c"), "{:?}", spans[0]);
}

impl Collector {
    /// Waits until the spans that its sampler has kept are as they should be.
    fn wait_for_sampled(
        &self,
        check: impl Fn(&[telemetry::Span]) -> Result<(), String>,
    ) -> Vec<telemetry::Span> {
        self.wait_for_lines("sampled.jsonl", |lines| {
            let spans = read(lines);
            check(&spans).map(|()| spans)
        })
    }
}

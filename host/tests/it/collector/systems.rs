//! The systems of the tutorials through a real Collector, set up as courses on tracing do: what arrives, what
//! its connectors derive from it, and what its tail sampler keeps.

use std::collections::{BTreeMap, BTreeSet};

use super::derived;
use super::read::Span;
use super::running::{Collector, Protocol};
use crate::support::metrics::{Point, parse};
use crate::support::telemetry::{self, StatusCode};
use crate::support::{SpanKind, at_once, finish};

/// A system, and what makes its run worth a look.
pub struct System {
    pub name: &'static str,
    arguments: &'static [&'static str],
    /// Traces at least of which a tail sampler must keep all spans, and traces at least of which it may not.
    kept: usize,
    others: usize,
}

const SYSTEMS: [System; 5] = [
    System {
        name: "orders",
        arguments: &["--fault", "payment-errors=on", "--fault", "slow-index-scan=on"],
        kept: 100,
        others: 200,
    },
    System { name: "checkout", arguments: &["--fault", "lost-index=on"], kept: 5, others: 50 },
    System {
        name: "storefront",
        arguments: &["--fault", "declined-payments=on", "--fault", "slow-payments=on"],
        kept: 20,
        others: 50,
    },
    System { name: "items", arguments: &[], kept: 0, others: 100 },
    System { name: "dispatch", arguments: &[], kept: 0, others: 50 },
];

/// A run through a Collector, and what it has recorded itself.
pub struct Course {
    pub collector: Collector,
    pub spans: Vec<telemetry::Span>,
    points: Vec<Point>,
}

impl Course {
    /// None where there is no Collector to test with.
    fn run(system: &System) -> Option<Self> {
        let collector = Collector::start_with(&["check-tutorial.yaml"], &[])?;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("out.jsonl");
        let mut run = collector.run(Protocol::Grpc);
        run.arg(format!("topologies/{}.toml", system.name)).args(["--virtual", "--for", "10s"]);
        finish(run.args(system.arguments).args(["--show", "none", "--out"]).arg(&file)).success();
        let written = std::fs::read_to_string(file).expect("the file");
        Some(Self { collector, spans: telemetry::read(&written), points: parse(&written) })
    }

    /// The points of a metric. There is one collection, so that each series has one.
    pub fn points(&self, metric: &str) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(move |point| point.metric == metric)
    }
}

#[test]
fn what_a_collector_has_and_derives_of_each_system_is_what_the_run_says() {
    at_once(&SYSTEMS, |system| {
        let Some(course) = Course::run(system) else { return };
        every_span_arrives(&course);
        derived::span_metrics_have_what_the_services_measure(&course, system.name);
        derived::exemplars_are_spans_of_the_run(&course);
        derived::the_service_graph_has_the_calls_messages_and_statements(&course, system.name);
        the_tail_sampler_keeps_failed_and_slow_traces_whole(&course, system);
    });
}

fn every_span_arrives(course: &Course) {
    let ids = |ids: &mut dyn Iterator<Item = &str>| ids.map(str::to_owned).collect::<BTreeSet<_>>();
    let arrived = course.collector.wait_for_spans(course.spans.len());
    assert_eq!(
        ids(&mut arrived.iter().map(|span| span.id.as_str())),
        ids(&mut course.spans.iter().map(|span| span.id.as_str()))
    );
}

fn the_tail_sampler_keeps_failed_and_slow_traces_whole(course: &Course, system: &System) {
    let mut traces: BTreeMap<&str, Vec<&telemetry::Span>> = BTreeMap::new();
    for span in &course.spans {
        traces.entry(&span.trace).or_default().push(span);
    }
    let must_be_kept = |spans: &[&telemetry::Span]| {
        let first = spans.iter().map(|span| span.start).min().expect("a span");
        let last = spans.iter().map(|span| span.end).max().expect("a span");
        spans.iter().any(|span| span.status == StatusCode::Error) || (last - first) / 1_000_000 >= 500
    };
    let (kept, others): (Vec<_>, Vec<_>) = traces.iter().partition(|(_, spans)| must_be_kept(spans));
    let numbers = (kept.len(), others.len());
    assert!(numbers.0 >= system.kept && numbers.1 >= system.others, "{}: {numbers:?}", system.name);
    course.collector.wait("sampled.jsonl", |exports| {
        let mut sampled: BTreeMap<String, usize> = BTreeMap::new();
        for span in exports.iter().flat_map(Span::all) {
            *sampled.entry(span.trace).or_default() += 1;
        }
        for (trace, spans) in &kept {
            if sampled.get(**trace) != Some(&spans.len()) {
                return Err(format!("{:?} of {} spans of {trace}", sampled.get(**trace), spans.len()));
            }
        }
        // One in twenty of the others, by their ids, which no seed decides: of few of them it may be none.
        let baseline: Vec<_> = others.iter().filter(|(trace, _)| sampled.contains_key(**trace)).collect();
        let many = others.len() >= 200;
        if (many && baseline.is_empty())
            || baseline.iter().any(|(trace, spans)| sampled[**trace] != spans.len())
        {
            return Err(format!("{}: of the others {baseline:?}", system.name));
        }
        let few = baseline.len() * 100 < others.len() * 12;
        assert!(few || !many, "{} of {}", baseline.len(), others.len());
        Ok(())
    });
    assert!(traces.len() > kept.len() && course.spans.iter().any(|span| span.kind != SpanKind::Internal));
}

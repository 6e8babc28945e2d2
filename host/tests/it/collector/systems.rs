//! The systems of the tutorials through a real Collector: what arrives, and the edges that it draws from it.

use std::collections::BTreeMap;

use super::read::latest_sums;
use super::running::{Collector, Protocol};
use crate::support::telemetry::{self, Span};
use crate::support::{SpanKind, finish};

/// Each system, and what makes its run worth a look.
const SYSTEMS: [(&str, &[&str]); 5] = [
    ("orders", &["--fault", "payment-errors=on"]),
    ("checkout", &["--fault", "lost-index=on"]),
    ("storefront", &["--fault", "declined-payments=on"]),
    ("items", &[]),
    ("dispatch", &[]),
];

/// The edges that the spans of a run have: who called or told whom, how often.
fn edges(spans: &[Span]) -> BTreeMap<String, u64> {
    let by_id: BTreeMap<_, _> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    let mut edges = BTreeMap::new();
    for span in spans.iter().filter(|span| matches!(span.kind, SpanKind::Server | SpanKind::Consumer)) {
        // The root has no caller that anyone knows.
        let from = by_id.get(span.parent.as_str()).map_or("user", |parent| &parent.service);
        *edges.entry(format!("{from} → {}", span.service)).or_default() += 1;
    }
    for span in spans.iter().filter(|span| span.kind == SpanKind::Client) {
        if let Some(database) = span.attributes.get("db.namespace").and_then(|name| name.as_str()) {
            *edges.entry(format!("{} → {database}", span.service)).or_default() += 1;
        }
    }
    edges
}

#[test]
fn every_system_arrives_whole_and_draws_the_edges_that_its_spans_have() {
    for (system, arguments) in SYSTEMS {
        let Some(collector) = Collector::start() else { return };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("out.jsonl");
        let mut run = collector.run(Protocol::Grpc);
        run.arg(format!("topologies/{system}.toml")).args(["--virtual", "--for", "10s", "--show", "none"]);
        finish(run.args(arguments).arg("--out").arg(&file)).success();
        let spans = telemetry::read(&std::fs::read_to_string(&file).expect("the file"));
        let arrived = collector.wait_for_spans(spans.len());
        let ids = |ids: &mut dyn Iterator<Item = &str>| {
            ids.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(
            ids(&mut arrived.iter().map(|span| span.id.as_str())),
            ids(&mut spans.iter().map(|span| span.id.as_str())),
            "{system}"
        );
        let expected = edges(&spans);
        collector.wait("metrics.jsonl", |exports| {
            let mut drawn = latest_sums(exports, "traces_service_graph_request_total", |labels| {
                format!("{} → {}", labels["client"], labels["server"])
            });
            drawn.retain(|_, requests| *requests > 0);
            if drawn == expected {
                Ok(())
            } else {
                Err(format!("{system}: edges {drawn:#?}\ninstead of {expected:#?}"))
            }
        });
    }
}

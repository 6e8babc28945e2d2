//! The name of a topology takes part in every draw, as the seed does.

use std::collections::BTreeSet;

use crate::support::Topology;
use crate::support::telemetry::{self, Span};

/// Two seconds of the shipped topology under this name.
fn called(name: &str) -> Vec<Span> {
    let orders = Topology::orders();
    let text = std::fs::read_to_string(orders.path()).expect("the topology");
    let renamed = text.replace("name = \"orders\"", &format!("name = {name:?}"));
    let (finished, records) = Topology::new("orders", renamed).records(&["--for", "2s"]);
    finished.success();
    telemetry::read(&records)
}

#[test]
fn two_topologies_of_one_seed_share_no_id_and_no_arrival() {
    let [one, other, again] = ["orders", "orders-too", "orders"].map(called);
    assert!(one.len() > 1_000 && one == again, "the same name is the same run");
    for (what, of) in [
        ("trace id", (|span| span.trace.clone()) as fn(&Span) -> String),
        ("span id", |span| span.id.clone()),
        ("instance", |span| span.resource["service.instance.id"].to_string()),
    ] {
        let [one, other] = [&one, &other].map(|spans| spans.iter().map(of).collect::<BTreeSet<_>>());
        assert_eq!(one.intersection(&other).count(), 0, "no {what} is in both");
    }
    let arrivals = |spans: &[Span]| -> BTreeSet<u64> {
        spans
            .iter()
            .filter(|span| span.name == "POST /orders" && span.kind_name() == "SERVER")
            .map(|span| span.start)
            .collect()
    };
    let (one, other) = (arrivals(&one), arrivals(&other));
    assert!(one.len() > 50 && one.is_disjoint(&other), "{} and {} arrivals", one.len(), other.len());
}

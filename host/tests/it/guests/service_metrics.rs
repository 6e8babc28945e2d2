//! What the guest `service` measures, as its configuration says.

use serde_json::json;

use crate::support::metrics::{Measured, Point};
use crate::support::{Run, World};

/// The last points of a metric of guests, with the value of an attribute.
fn last(run: &Run, metric: &str) -> Vec<Point> {
    let all: Vec<_> = run.points().into_iter().filter(|point| point.metric == metric).collect();
    let end = all.iter().map(|point| point.time).max();
    all.into_iter().filter(|point| Some(point.time) == end && point.scope == "simhost.guest").collect()
}

#[test]
fn a_configured_counter_counts_the_requests_that_succeed() {
    let front = "config.place = { route = \"GET /orders/{channel}\", calls = \"15% back/fails\", \
                 metrics = { \"orders.placed\" = \"counter 2 {order} channel={channel} kind=new\" } }";
    let back = "config.fails = { route = \"GET /fails\", errors = 1 }";
    let world = World::of_services(&[("front", front), ("back", back)]).measured(60_000);
    let requests: Vec<String> =
        (0..60).map(|at| format!("GET /orders/{}", ["web", "shop"][at % 2])).collect();
    let run = world.virtually(&requests.iter().map(String::as_str).collect::<Vec<_>>());
    let good = |channel: &str| {
        let answers = requests.iter().zip(run.statuses());
        answers.filter(|(request, status)| request.ends_with(channel) && *status == 200).count()
    };
    assert!(good("web") + good("shop") < 60, "some fail");
    let points = last(&run, "orders.placed");
    let counted = |channel: &str| {
        let point = points.iter().find(|point| point.attributes["channel"] == channel).expect("a point");
        assert_eq!((&point.attributes["kind"], point.unit.as_str()), (&json!("new"), "{order}"));
        point.number()
    };
    for channel in ["web", "shop"] {
        assert_eq!(counted(channel), 2.0 * good(channel) as f64, "{channel}");
    }
}

#[test]
fn a_configured_range_is_drawn_anew_for_each_request() {
    let front = "config.metrics = { items = \"histogram 1..3 {item}\", level = \"gauge 0.5..1.5\" }";
    let world = World::of_services(&[("front", front)]).measured(60_000);
    let run = world.virtually(&["GET /"; 40]);
    let items = last(&run, "items").remove(0);
    let items = items.histogram();
    assert_eq!((items.count, items.min, items.max), (40, 1.0, 3.0));
    assert!(items.sum > 40.0 && items.sum < 120.0 && items.sum.fract() == 0.0, "{items:?}");
    let Measured::Gauge(level) = last(&run, "level").remove(0).value else { panic!("a gauge") };
    assert!((0.5..1.5).contains(&level));
}

#[test]
fn each_problem_of_an_instrument_is_reported_at_its_key() {
    let front = "config.metrics = { \"orders.placed\" = \"summary 1\", \"1st\" = \"counter\" }";
    let said = World::of_services(&[("front", front)]).refusal();
    assert!(said.contains("\"summary\" is no kind of instrument: \"counter\""), "{said}");
    assert!(said.contains("\"1st\" is no name of an instrument"), "{said}");
    assert!(said.contains("write KIND [VALUE] [UNIT] [KEY=VALUE]"), "{said}");
}

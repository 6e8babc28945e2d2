//! What the guest `service` measures, as its configuration says, and what the guest `orders` does.

use serde_json::json;

use crate::support::metrics::{self, Measured, Point};
use crate::support::{METRICS, Run, Topology, World, finish};

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

#[test]
fn a_slip_in_a_value_or_in_the_name_of_a_parameter_is_reported_at_its_key() {
    let front = "config.place = { route = \"POST /orders/{channel}\", metrics = { a = \"gauge NaN\", \
                 b = \"counter ten\", c = \"counter 1 {order} channel={chanel}\", d = \"counter 1 s x=1 x=2\" } }";
    let said = World::of_services(&[("front", front)]).refusal();
    for part in ["\"NaN\" is no number", "\"ten\" is no number", "the attribute \"x\" is there twice"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let front = "config.place = { route = \"POST /orders/{channel}\", metrics = { \
                 c = \"counter 1 {order} channel={chanel}\" } }";
    let said = World::of_services(&[("front", front)]).refusal();
    assert!(said.contains("no route has the parameter {chanel}"), "{said}");
    assert!(said.contains("write one of those of the route: \"channel\""), "{said}");
}

#[test]
fn instruments_that_are_too_many_are_counted_and_two_of_them_are_named() {
    let metrics: Vec<_> = (1..=131).map(|number| format!("m{number:03} = \"counter\"")).collect();
    let front = format!("guest = \"service\"\nconfig.metrics = {{ {} }}", metrics.join(", "));
    let text = format!("[topology]\nname = \"many\"\n[ingress]\nto = \"front\"\n[services.front]\n{front}\n");
    let topology = Topology::new("many", text);
    let mut command =
        topology.command(&["--virtual", "--show", "summary", "--request", "GET /", "--request", "GET /"]);
    let run = finish(command.env(METRICS, ""));
    let said = "front: 62 measurements of 31 instruments (m101, m102, …) not kept";
    assert!(run.success().contains(said) || run.stderr.contains(said), "{run:?}");
}

#[test]
fn the_order_service_measures_the_orders_that_it_takes() {
    let order =
        |quantity: i64| format!("POST /orders {{\"item\":\"book\",\"quantity\":{quantity},\"price\":9.5}}");
    let orders = [order(3), order(0), order(1), order(1_000_000)];
    let topology = Topology::orders();
    let mut command = topology.command(&[]);
    orders.iter().for_each(|order| _ = command.args(["--request", order]));
    let (_, lines) = topology.records_of(command.env(METRICS, ""));
    let points = metrics::parse(&lines);
    let only = |metric: &str| points.iter().find(|point| point.metric == metric).expect("a point");
    let placed = only("orders.placed");
    assert_eq!((placed.number(), &placed.attributes["order.item"]), (2.0, &json!("book")));
    let items = only("orders.items").histogram();
    assert_eq!((items.count, items.sum, items.min, items.max), (2, 4.0, 1.0, 3.0));
}

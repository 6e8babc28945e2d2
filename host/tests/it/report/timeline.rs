//! The report over time and by instance: through the real program, with a real guest.

use serde_json::Value;

use super::json;
use crate::support::Topology;

/// A service that stands still from 20 s to 30 s, and one of whose two callees' replicas is slow.
const TOPOLOGY: &str = r#"
[topology]
name = "timeline"
seed = 3

[services.shop]
guest = "service"
workers = 200
version = "1.0.0"
config.calls = "stock"

[services.stock]
guest = "service"
replicas = 2
workers = 200
version = "2.3.1"
config.work = { exponential = { mean = "10ms" } }

[[load]]
name = "clients"
to = "shop"
request = { path = "/" }
arrivals = { poisson = "50/s" }

[[faults]]
name = "outage"
kind = "error"
status = 500
target = { service = "shop" }
probability = 0.5
when = { at = "20s", for = "10s" }

[[faults]]
name = "slow-replica"
kind = "latency"
delay = "200ms"
target = { service = "stock", replica = 1 }
"#;

#[test]
fn the_timeline_says_when_and_the_instances_say_where() {
    let topology = Topology::new("timeline", TOPOLOGY);
    let finished = topology.run(&["--virtual", "--for", "1m", "--json", "--show", "summary"]);
    let report = json(&finished);
    let timeline = &report["timeline"];
    assert_eq!(timeline["interval_ns"], 1_000_000_000);
    let rows = timeline["rows"].as_array().expect("rows");
    let names: Vec<_> = rows.iter().map(|row| (&row["of"], &row["name"])).collect();
    assert_eq!(
        format!("{names:?}"),
        r#"[(String("load"), String("clients")), (String("service"), String("shop")), (String("service"), String("stock"))]"#
    );
    // Every request of the run is in exactly one interval.
    let sum =
        |values: &Value| values.as_array().expect("a list").iter().filter_map(Value::as_u64).sum::<u64>();
    assert_eq!(sum(&rows[0]["requests"]), report["loads"][0]["requests"]);
    assert_eq!(sum(&rows[0]["errors"]), report["loads"][0]["errors"]);
    let errors: Vec<_> = rows[0]["errors"].as_array().expect("a list").iter().map(Value::as_u64).collect();
    let with_errors: Vec<_> = (0..errors.len()).filter(|second| errors[*second] > Some(0)).collect();
    assert_eq!(with_errors, (20..30).collect::<Vec<_>>());
    let symptoms = report["symptoms"].as_array().expect("symptoms");
    let symptom = symptoms.iter().find(|one| one["name"] == "shop" && one["what"] == "errors").expect("one");
    assert_eq!(
        (&symptom["start_ns"], &symptom["end_ns"]),
        (&20_000_000_000_u64.into(), &30_000_000_000_u64.into())
    );

    let instances = report["instances"].as_array().expect("instances");
    let means: Vec<_> =
        instances.iter().map(|row| (row["service"].as_str(), row["mean_ns"].as_u64())).collect();
    let [(Some("stock"), Some(quick)), (Some("stock"), Some(slow))] = means[..] else { panic!("{means:?}") };
    assert!(slow > quick + 150_000_000, "{quick} {slow}");
    assert!(instances.iter().all(|row| row["version"] == "2.3.1"), "{instances:?}");
    assert_ne!(instances[0]["instance"], instances[1]["instance"]);
}

#[test]
fn a_person_sees_the_timeline_within_eighty_columns() {
    let topology = Topology::new("timeline", TOPOLOGY);
    let finished = topology.run(&["--virtual", "--for", "1m", "--show", "summary"]);
    let (_, timeline) = finished.stdout.split_once(" timeline: ").expect("a timeline");
    let lines: Vec<_> = timeline.lines().take_while(|line| !line.is_empty()).collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("clients") && line.contains("rate/s")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("symptom: service shop: errors up to")), "{lines:#?}");
    // Two replicas that fare differently have a line each.
    let of_stock = finished.stdout.lines().filter(|line| line.trim_start().starts_with("stock    2.3.1"));
    assert_eq!(of_stock.count(), 2, "{}", finished.stdout);
}

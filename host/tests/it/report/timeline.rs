//! The report over time and by instance: through the real program, with a real guest.

use serde_json::Value;

use crate::support::{Topology, finish};

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
    let report = finished.json();
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
    let mut command = topology.command(&["--virtual", "--for", "1m", "--show", "summary"]);
    let finished = finish(command.env("COLUMNS", "80"));
    let (_, timeline) = finished.stdout.split_once(" timeline: ").expect("a timeline");
    let lines: Vec<_> = timeline.lines().take_while(|line| !line.is_empty()).collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("clients") && line.contains("rate/s")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("symptom: service shop: errors up to")), "{lines:#?}");
    // Two replicas that fare differently have a line each.
    let is_instance = |line: &&str| {
        let mut words = line.split_whitespace();
        let is_id = |word: &str| word.len() == 8 && word.chars().all(|digit| digit.is_ascii_hexdigit());
        words.next() == Some("stock") && words.any(is_id)
    };
    assert_eq!(finished.stdout.lines().filter(is_instance).count(), 2, "{}", finished.stdout);
}

/// One load goes on for a minute, the other begins after 20 s; from 40 s on the shop calls nobody.
const LOADS: &str = r#"
[topology]
name = "loads"
seed = 3

[services.shop]
guest = "service"
workers = 200
config.calls = "stock"

[services.stock]
guest = "service"
workers = 200

[services.blog]
guest = "service"
workers = 200

[[load]]
name = "clients"
to = "shop"
request = { path = "/" }
arrivals = { constant = "50/s" }

[[load]]
name = "readers"
to = "blog"
request = { path = "/" }
arrivals = { constant = "50/s" }
start = "20s"

[[faults]]
name = "cut"
kind = "error"
status = 503
target = { service = "shop" }
when = { at = "40s" }
"#;

#[test]
fn a_service_that_is_asked_no_more_has_a_symptom_and_a_load_that_starts_late_has_none() {
    let topology = Topology::new("loads", LOADS);
    let report = topology.run(&["--virtual", "--for", "1m", "--json", "--show", "summary"]).json();
    let rows = report["timeline"]["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 5);
    for list in ["requests", "errors", "p50_ns", "p95_ns"] {
        assert!(rows.iter().all(|row| row[list].as_array().is_some_and(|list| list.len() == 60)), "{list}");
    }
    let symptoms = report["symptoms"].as_array().expect("symptoms");
    let found: Vec<_> = symptoms
        .iter()
        .map(|one| {
            let [of, name, what] = ["of", "name", "what"].map(|key| one[key].as_str().expect("a text"));
            (format!("{of} {name} {what}"), one["start_ns"].as_u64(), one["end_ns"].as_u64())
        })
        .collect();
    let from_40_on =
        |what: &str, end: u64| (what.to_owned(), Some(40_000_000_000), Some(end * 1_000_000_000));
    let expected = [
        from_40_on("load clients errors", 60),
        from_40_on("service shop errors", 60),
        // Two intervals are looked at together, and the last of them may not be whole.
        from_40_on("service stock rate", 58),
    ];
    assert_eq!(found, expected);
}

#[test]
fn loads_that_are_not_drawn_are_counted() {
    let load = |number: usize| {
        format!(
            "[[load]]\nname = \"load-{number}\"\nto = \"blog\"\nrequest = {{ path = \"/\" }}\n\
             arrivals = {{ constant = \"5/s\" }}\n"
        )
    };
    let loads: String = (1..=7).map(load).collect();
    let service = "[topology]\nname = \"many\"\n[services.blog]\nguest = \"service\"\n";
    let topology = Topology::new("many", format!("{service}{loads}"));
    let finished = topology.run(&["--virtual", "--for", "10s", "--show", "summary"]);
    assert!(finished.success().contains("\n … and 2 more loads; --json has all\n"), "{}", finished.stdout);
}

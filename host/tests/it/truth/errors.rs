//! What the truth counts as an error is what the report counts as one.

use std::collections::BTreeMap;

use crate::support::Topology;
use serde_json::{Value, json};

use super::{lines, summary, written};

/// One service and one load. `load` are further lines of the load, `fault` those of the fault.
fn topology(load: &str, fault: &str) -> Topology {
    let text = format!(
        "[topology]\nname = \"errors\"\nseed = 1\n[services.a]\nguest = \"service\"\nworkers = 100\n\
         config.work = \"10ms\"\n[[load]]\nname = \"clients\"\nto = \"a\"\nrequest = {{ path = \"/\" }}\n\
         arrivals = {{ poisson = \"20/s\" }}\n{load}\n[[faults]]\nname = \"it\"\ntarget = {{ service = \"a\" }}\n{fault}\n"
    );
    Topology::new("errors", text)
}

/// The errors of the load by type, as the report of a run counts them.
fn reported(topology: &Topology, flags: &[&str]) -> (u64, BTreeMap<String, u64>) {
    let flags = [&["--virtual", "--for", "5s", "--json"], flags].concat();
    let report: Value = serde_json::from_str(topology.run(&flags).success()).expect("a report");
    let load = &report["loads"][0];
    let by_type = serde_json::from_value(load["errors_by_type"].clone()).expect("errors by type");
    (load["errors"].as_u64().expect("a number"), by_type)
}

#[test]
fn errors_with_and_without_a_fault_are_those_of_the_two_reports() {
    let cases = [
        ("timeout", "timeout = \"1s\"", "kind = \"latency\"\ndelay = \"2s\"\nprobability = 0.7"),
        ("overload", "max-in-flight = 3", "kind = \"latency\"\ndelay = \"1s\""),
        ("overload", "max-in-flight = 3\nspan = true", "kind = \"latency\"\ndelay = \"1s\""),
        ("timeout", "timeout = \"300ms\"", "kind = \"blackhole\"\nprobability = 0.5"),
        ("connection_refused", "timeout = \"1s\"", "kind = \"refuse\"\nprobability = 0.5"),
        ("connection_reset", "span = true", "kind = \"reset\"\non = \"response\"\nprobability = 0.5"),
        ("503", "", "kind = \"error\"\nstatus = 503\nprobability = 0.5"),
        ("connection_refused", "", "kind = \"crash\"\nrestart = \"1s\"\nwhen = { at = \"1s\" }"),
    ];
    for (kind, load, fault) in cases {
        let topology = topology(load, fault);
        let (errors, by_type) = reported(&topology, &["--truth", "truth.jsonl"]);
        let (fewer, others) = reported(&topology, &["--fault", "it=off"]);
        assert!(by_type.contains_key(kind) && errors > fewer, "{kind}: {by_type:?}");
        let lines = lines(&written(&topology));
        let row = summary(&lines, "it");
        let causes = &row["causes"];
        assert_eq!((&causes["errors_with"], &causes["errors_without"]), (&json!(errors), &json!(fewer)));
        let kinds: Vec<_> = by_type.keys().chain(others.keys()).collect();
        let count =
            |counts: &BTreeMap<String, u64>, kind: &String| counts.get(kind).copied().unwrap_or_default();
        for kind in &kinds {
            let both = json!({ "with": count(&by_type, kind), "without": count(&others, kind) });
            assert_eq!(causes["errors_by_type"][kind.as_str()], both, "{kind}: {causes}");
        }
        let total = &lines.last().expect("a summary")["total"];
        assert_eq!((&total["errors"], &total["errors_by_type"]), (&json!(errors), &json!(by_type)));
        assert_eq!(total["requests"], causes["compared"]);
        // What is not sent, no fault strikes: it fails because of those that were.
        let of_struck = row["requests_failed"].as_u64().expect("a number");
        assert!(of_struck <= errors && (kind == "overload" || of_struck > 0), "{kind}: {row}");
    }
}

#[test]
fn a_request_that_times_out_is_its_timeout_in_every_record() {
    let topology = topology("timeout = \"1s\"", "kind = \"latency\"\ndelay = \"2s\"");
    let (errors, _) = reported(&topology, &["--truth", "truth.jsonl"]);
    let lines = lines(&written(&topology));
    let row = summary(&lines, "it");
    assert_eq!(row["requests_failed"], errors);
    let first = &row["causes"]["first_changed"];
    assert_eq!((&first["error_type"], &first["status"]), (&json!("timeout"), &Value::Null));
    assert_eq!(first["took_ms"], 1000.0);
}

//! What a fault has caused: the run is made once more without it.

use crate::support;
use crate::support::{ORDER, Topology, interrupt};
use serde_json::{Value, json};

use super::{BOTH, lines, summary, told, written};

/// The one who knows it by another way: two whole runs, compared by their spans.
#[test]
fn what_a_fault_has_caused_is_what_diff_finds() {
    let topology = Topology::orders();
    let (_, lines) = told(&topology, &["--for", "4s"]);
    for fault in ["slow-index-scan", "payment-errors"] {
        let mut diff = support::simhost();
        diff.arg("diff").arg(topology.path()).args(["--for", "4s", "--json", "--without", fault]).args(BOTH);
        let finished = support::finish(&mut diff);
        let difference: Value = serde_json::from_str(finished.success()).expect("a difference");
        let traces = &difference["traces"];
        let causes = &summary(&lines, fault)["causes"];
        assert_eq!(causes["compared"], traces["matched"]);
        // Traces are identical where no span is different; a request may be the same
        // while something that nobody waits for is not.
        assert_eq!(causes["changed"], traces["differing"], "{causes} {traces}");
        assert_eq!(causes["errors_caused"], traces["newly_succeeded"]);
        assert_eq!(causes["errors_averted"], traces["newly_failed"]);
        assert_eq!((&causes["only_with"], &causes["only_without"]), (&json!(0), &json!(0)));
        let first = |key: &str| &summary(&lines, fault)[key]["trace_id"];
        assert_eq!(causes["first_changed"]["trace_id"], *first("first_struck"));
        assert_eq!(causes["first_changed"]["trace_id"], *first("first_symptom"));
    }
    let slow = &summary(&lines, "slow-index-scan")["causes"];
    let mean = slow["extra_mean_ms"].as_f64().expect("milliseconds");
    // 350 ms on average, with a deviation of 20 ms.
    assert!((340.0..360.0).contains(&mean), "{mean}");
    assert!(slow["extra_p99_ms"].as_f64().unwrap() > mean);
    assert_eq!(slow["errors_caused"], 0);
    let failing = &summary(&lines, "payment-errors")["causes"];
    assert_eq!(failing["errors_caused"], failing["errors_with"]);
    assert_eq!((&failing["errors_without"], &failing["error_share"]), (&json!(0), &json!(1.0)));
}

#[test]
fn of_requests_of_the_command_line_the_causes_are_known_too() {
    let topology = Topology::orders();
    let (_, lines) = told(&topology, &["--request", ORDER, "--request", "GET /nowhere"]);
    let causes = &summary(&lines, "slow-index-scan")["causes"];
    assert_eq!(
        (&causes["compared"], &causes["changed"], &causes["changed_share"]),
        (&json!(2), &json!(1), &json!(0.5))
    );
}

#[test]
fn without_the_counterfactual_the_summary_says_so() {
    let topology = Topology::orders();
    let (_, lines) = told(&topology, &["--for", "1s", "--no-counterfactual", "--seed", "5"]);
    for fault in ["slow-index-scan", "payment-errors"] {
        let row = summary(&lines, fault);
        assert_eq!((&row["causes"], &row["causes_skipped"]), (&Value::Null, &json!("not_wanted")));
        assert!(row["first_struck"].is_object());
        // What is known without a comparison are errors, whichever fault has made them.
        assert_eq!(row["first_symptom"]["visible_as"], "error");
    }
    assert!(!written(&topology).contains("errors_caused"));
}

#[test]
fn a_fault_that_never_struck_has_caused_nothing() {
    let topology = Topology::orders();
    let (_, lines) = told(&topology, &["--request", "GET /nowhere"]);
    let row = summary(&lines, "slow-index-scan");
    assert_eq!((&row["causes"], &row["causes_skipped"]), (&Value::Null, &json!("never_fired")));
    assert_eq!((&row["first_symptom"], &row["first_firing_at"]), (&Value::Null, &Value::Null));
}

/// What is done to records alone need not be compared; a clock is what guests look at.
#[test]
fn of_what_changes_no_request_no_causes_are_sought() {
    let world =
        "[topology]\nname = \"records\"\n[ingress]\nto = \"front\"\n[services.front]\nguest = \"service\"\n";
    let load = "[[load]]\nname = \"steady\"\nto = \"front\"\nrequest = { path = \"/\" }\n\
                arrivals = { constant = \"10/s\" }\n";
    let mut text = world.to_owned() + load;
    let kinds = [
        ("collector-down", ""),
        ("lose-spans", "probability = 0.5\ntarget = { service = \"front\" }"),
        ("late-spans", "by = \"1s\"\ntarget = { service = \"front\" }"),
        ("clock-skew", "by = \"1s\"\ntarget = { service = \"front\" }"),
    ];
    for (kind, more) in kinds {
        text.push_str(&format!("[[faults]]\nname = \"{kind}\"\nkind = \"{kind}\"\n{more}\n"));
    }
    let topology = Topology::new("records", text);
    topology.run(&["--virtual", "--truth", "truth.jsonl", "--for", "2s"]).success();
    let lines = lines(&written(&topology));
    for (kind, _) in &kinds[..3] {
        let row = summary(&lines, kind);
        assert_eq!(
            (&row["causes"], &row["causes_skipped"]),
            (&Value::Null, &json!("changes_no_request")),
            "{kind}"
        );
    }
    let row = summary(&lines, "clock-skew");
    assert_eq!((&row["causes"]["changed"], &row["causes_skipped"]), (&json!(0), &Value::Null));
}

/// A part of a run cannot be made again as it was.
#[test]
fn after_ctrl_c_the_run_is_not_made_again() {
    let topology = Topology::orders();
    let flags = ["--virtual", "--for", "1h", "--speed", "1", "--truth", "truth.jsonl", "--out", "-"];
    // Spans are out when a firing is.
    let (finished, _) = interrupt(&mut topology.command(&[&flags[..], &BOTH[..]].concat()));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let lines = lines(&written(&topology));
    let last = lines.last().expect("a line");
    let skipped: Vec<_> =
        last["faults"].as_array().expect("faults").iter().map(|row| &row["causes_skipped"]).collect();
    assert!(skipped.contains(&&json!("interrupted")), "{last}");
    assert!(
        skipped.iter().all(|why| ["interrupted", "never_fired"].iter().any(|known| *why == known)),
        "{last}"
    );
}

//! What the report says of faults that did nothing, and why.

use common_run::{ORDER, Topology};
use serde_json::Value;

use super::common_run;

/// A fault of payments with further lines.
fn with(more: &str) -> Topology {
    let fault = "[[faults]]\nname = \"declined\"\nkind = \"error\"\nstatus = 503\n\
                 target = { service = \"payment-service\" }\n";
    Topology::orders().with("# One charge in five is turned away.", &format!("{fault}{more}\n"))
}

#[test]
fn the_report_says_how_many_were_spared_and_why() {
    let topology = with("probability = 0.5\nmax-total = 3");
    let run =
        |flags: &[&str]| topology.run(&[&["--virtual", "--for", "2s", "--show", "summary"], flags].concat());
    let finished = run(&["--json"]);
    let report: Value = serde_json::from_str(finished.success()).expect("a report");
    let fault = &report["faults"][0];
    let reasons = fault["suppressed"].as_object().expect("reasons");
    let spared: u64 = reasons.values().filter_map(Value::as_u64).sum();
    assert_eq!(reasons.keys().collect::<Vec<_>>(), ["max-total", "probability"]);
    assert_eq!(fault["injected"], 3);
    assert_eq!(fault["matched"], 3 + spared);
    assert_eq!(fault["windows"], 1);
    let expected = format!(
        "fault declined: matched {}, injected 3, suppressed {spared} (max-total {}, probability {})\n",
        fault["matched"], reasons["max-total"], reasons["probability"]
    );
    assert!(run(&[]).success().contains(&expected), "{expected}");
}

#[test]
fn a_fault_that_meets_nothing_is_a_warning_and_with_strict_an_error() {
    let cases = [
        ("match = { \"header.x-tier\" = \"gold\" }", "the fault declined matched nothing"),
        ("when = { at = \"1h\" }", "the fault declined was never active: its window did not open"),
    ];
    for (more, said) in cases {
        let topology = with(more);
        let run = |flags: &[&str]| topology.run(&[&["--virtual", "--request", ORDER], flags].concat());
        let warned = run(&[]);
        assert!(warned.success().contains(&format!("\nwarning: {said}")), "{}", warned.stdout);
        assert_eq!(warned.stderr, "");
        let strict = run(&["--strict"]);
        assert_eq!(strict.code, Some(1));
        assert_eq!(strict.stdout, warned.stdout);
        assert!(strict.stderr.starts_with(&format!("error: {said}")), "{}", strict.stderr);
        assert!(strict.stderr.contains("  help: "), "{}", strict.stderr);
    }
}

#[test]
fn a_fault_that_meets_something_is_good_enough_for_strict() {
    let finished = with("probability = 0.000001").run(&["--virtual", "--strict", "--request", ORDER]);
    let report = finished.success();
    assert!(report.contains("fault declined: matched 1, injected 0, suppressed 1 (probability)"), "{report}");
    assert!(!report.contains("warning"), "{report}");
}

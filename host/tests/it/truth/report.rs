//! What the report says of faults that did nothing, and why.

use crate::support::{ORDER, Topology};
use serde_json::Value;

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
        ("match = { \"header.x-tier\" = \"gold\" }", "the fault declined matched nothing: no request "),
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

/// What keeps a fault from striking, and whether that is its own doing.
#[test]
fn a_fault_that_matches_and_never_strikes_is_a_warning_unless_its_chance_explains_it() {
    let of = |kind: &str, more: &str| {
        let fault = format!(
            "[[faults]]\nname = \"declined\"\nkind = \"{kind}\"\ntarget = {{ service = \"payment-service\" }}\n{more}\n"
        );
        Topology::orders().with("# One charge in five is turned away.", &fault)
    };
    let first = "[[faults]]\nname = \"first\"\nkind = \"error\"\nstatus = 503\n\
                 target = { service = \"payment-service\" }\n";
    let overridden = Topology::orders().with(
        "# One charge in five is turned away.",
        &format!("{first}[[faults]]\nname = \"declined\"\nkind = \"error\"\nstatus = 500\ntarget = {{ service = \"payment-service\" }}\n"),
    );
    let cases = [
        (overridden, Some("were struck by another fault before, or had no answer to strike")),
        (
            of("mutate", "on = \"request\"\nset = { \"/nowhere/at/all\" = 1 }"),
            Some("had no such value in a JSON body"),
        ),
        (of("rate-limit", "limit = \"10000/s\""), Some("were within the limit")),
        // All of them: at 1 of 1,000,000 that is no wonder.
        (of("error", "status = 503\nprobability = 0.000001"), None),
        (of("error", "status = 503\nevery-nth = 1000000"), None),
        (of("error", "status = 503\nby-caller = true"), None),
    ];
    for (topology, expected) in cases {
        let run = |flags: &[&str]| {
            topology.run(&[&["--virtual", "--for", "1s", "--show", "summary"], flags].concat())
        };
        let (lax, strict) = (run(&[]), run(&["--strict"]));
        let text = lax.success();
        match expected {
            Some(why) => {
                let said = text.lines().find(|line| line.starts_with("warning: the fault declined matched "));
                let said = said.unwrap_or_else(|| panic!("no warning: {text}"));
                assert!(said.contains(" and struck none: ") && said.contains(why), "{said}");
                assert_eq!(strict.code, Some(1), "{why}");
                assert!(strict.stderr.contains(why), "{}", strict.stderr);
            }
            None => {
                assert!(!text.contains("warning: "), "{text}");
                strict.success();
            }
        }
    }
}

#[test]
fn a_fault_that_meets_nothing_says_what_it_would_have_met() {
    let kinds = [
        ("kind = \"lose-messages\"\ntarget = { topic = \"orders\" }", "no message met"),
        ("kind = \"pause\"\ntarget = { service = \"mailer\" }", "no request, message or run of a job"),
        (
            "kind = \"latency\"\ndelay = \"1s\"\ntarget = { service = \"mailer\" }",
            "no request or message met",
        ),
        ("kind = \"unsample\"\ntarget = { service = \"mailer\" }", "no request met"),
    ];
    for (kind, said) in kinds {
        let text = format!(
            "[topology]\nname = \"idle\"\n[services.shop]\nguest = \"service\"\n[[load]]\nname = \"visitors\"\nto = \"shop\"\n\
             request.path = \"/\"\narrivals.constant = \"1/s\"\n[services.mailer]\nguest = \"service\"\n\
             config.mail = {{ topic = \"orders\" }}\n[topics.orders]\n\
             [[subscriptions]]\ntopic = \"orders\"\nservice = \"mailer\"\n[[faults]]\nname = \"it\"\n{kind}\n"
        );
        let finished = Topology::new("idle", text).run(&["--virtual", "--for", "1s"]);
        let warning = format!("the fault it matched nothing: {said}");
        assert!(finished.stdout.contains(&warning), "{warning} in {}{}", finished.stdout, finished.stderr);
    }
}
